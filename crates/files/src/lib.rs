//! A folder tree as destination, as `convert` and `migrate` share it.
//!
//! ```text
//! Worker     one file: opened, decided on, converted or kept; made whole in a folder of temporary files
//! Publisher  what workers made takes its place: bytes, evidence, name, each on the storage before the next
//! beside it  `.firstlight`: records of what became of each file, evidence, residues, the quarantine
//! ```
//! A run may end at any moment: a file in its place is whole and has evidence. No source is ever written to.

pub mod chain;
pub mod dicomdir;
mod folders;
mod lock;
pub mod names;
pub mod notice;
mod output;
mod panics;
pub mod proofs;
mod publisher;
mod record;
pub mod records;
mod state;
mod step;
mod worker;

pub use folders::is_plain;
pub use lock::lock_soon;
pub use notice::{Advice, Notice, NoticeKind};
pub use output::{Done, StagedOutput};
pub use panics::{quiet_caught_panics, without_panic};
pub use proofs::{Proof, Proofs, Proving};
pub use publisher::{Publisher, together};
pub use record::{Outcome, Record};
pub use state::{STATE_DIR, heads};
pub use worker::{History, Item, Settings, Target, Worker, residue_path};
