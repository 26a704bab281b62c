//! The index in SQLite: WAL mode, one writer with group commit, a pool of readers. All SQL of this engine is here, by concept.

mod access;
mod amend;
mod backup;
mod changes;
mod checksum;
mod copying;
mod engine;
mod evidence;
mod find;
mod functions;
mod handed_out;
mod instances;
mod jobs;
mod metadata;
mod moved;
mod readers;
mod refold;
mod register;
mod removal;
mod requeue;
mod retell;
mod scheduling;
mod schema;
mod scrub;
mod sums;
mod values;
mod ways_back;
mod writer;

pub use engine::Sqlite;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::contract::Bed;

    crate::index_contract!(bed);

    fn bed() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let index = Sqlite::open(&folder.path().join("index.sqlite"), 4).unwrap();
        Bed { index: Box::new(index), holds: Box::new(folder) }
    }
}
