//! DIMSE: DICOM over its own network protocol (PS3.7, PS3.8), as scanners and PACS speak it.
//!
//! ```text
//! server       connections in bounds (slots), a thread for each association
//! negotiate    who may call, which services and transfer syntaxes (peers, uids)
//! association  messages: a command set (command), a data set, PDUs (wire), TCP or TLS below them (line, tls)
//! store        C-STORE: the data set -> archive, durable, then the status
//! find         C-FIND: keys (identifier) -> the archive's query -> answers
//! retrieve     C-MOVE, C-GET: each instance in its transfer syntax or decoded (outgoing, implicit)
//! worklist     C-FIND of what is scheduled; performed: N-CREATE, N-SET of what a modality says that it does
//! commit       storage commitment: what is in the archive is told on an association of its own
//! request      associations of ours: send (C-STORE with new tries), pull (C-FIND, C-GET into the archive)
//! ```
//! The PDUs of the negotiation are `dicom-ul`'s; data goes from the socket to the archive without being held.

mod association;
mod command;
mod commit;
mod error;
mod find;
mod identifier;
mod implicit;
mod line;
mod negotiate;
mod outgoing;
mod peers;
mod performed;
mod pull;
mod request;
mod retrieve;
mod send;
mod server;
mod slots;
pub mod status;
mod store;
mod times;
mod tls;
mod uids;
mod wire;
mod worklist;

pub use error::Error;
pub use negotiate::Access;
pub use outgoing::{Object, Sent};
pub use peers::{AeTitle, Peer, ambiguous};
pub use pull::{Pulled, pull};
pub use send::{Call, Retry, Sender, object_of};
pub use server::{Config, Limits, Server};
pub use times::Times;
pub use tls::{Acceptor, Certificates, Requester, TlsError};
