//! The index in PostgreSQL (15 or newer): one writer with group commit, a pool of readers, and who waits is woken. All SQL of this engine is
//! here, by concept.
//!
//! Many programs, on many machines, may have it open. Its tables are in the schema `firstlight` of a database that is the archive's own.

mod access;
mod accounts;
mod address;
mod amend;
mod backup;
mod changes;
mod checksum;
mod copying;
mod engine;
mod evidence;
mod failing;
mod find;
mod instances;
mod jobs;
mod later;
mod listen;
mod metadata;
mod moved;
mod place;
mod pool;
mod register;
mod removal;
mod requeue;
mod retell;
mod scheduling;
mod schema;
mod scrub;
mod session;
mod sums;
mod task;
mod trigrams;
mod unusable;
mod values;
mod wait;
mod ways_back;
mod writer;

pub use access::Access;
pub use address::Address;
pub use engine::Postgres;
pub use unusable::Unusable;

#[cfg(test)]
mod tests;
