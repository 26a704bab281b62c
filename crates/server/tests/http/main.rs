//! The server as a client sees it: requests in, bytes out, over the router and over real sockets.

mod access;
mod changes;
mod corpus;
mod crowd;
mod damaged;
mod first;
mod forms;
mod frames;
mod guard;
mod jpeg_xl;
mod known;
mod leaks;
mod made;
mod objects;
mod pages;
mod ranges;
mod removal;
mod rendered;
mod search;
mod session;
mod site;
mod sockets;
mod status;
mod store;
mod tls;
mod worklist;
