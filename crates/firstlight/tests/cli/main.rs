//! The command as a user meets it: output, talk, exit codes and what it writes.

mod convert;
mod look;
mod place;
mod proof;
mod restore;
