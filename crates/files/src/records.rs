//! The records of a destination, whoever wrote them: `convert` adds to `converted.jsonl`, `migrate` to `migration.jsonl`, `import` to
//! `import.jsonl`. A log that was rotated is read too where its parts lie beside it, as `migration.jsonl.1`.

use crate::chain::{self, Line, Trouble};
use crate::record::Record;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const NAMES: [&str; 3] = ["converted.jsonl", "migration.jsonl", "import.jsonl"];

/// What stands in the files of records.
#[derive(Debug)]
pub enum LogLine {
    /// What became of a file.
    Record {
        /// The file of records.
        file: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// The record.
        record: Box<Record>,
    },
    /// A line is not what was written, or not in its place.
    Trouble {
        /// The file of records.
        file: PathBuf,
        /// What is wrong.
        trouble: Trouble,
    },
}

/// The files of records in the state of a destination, a log after its rotated parts.
pub fn files(state: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for name in NAMES {
        let part = |path: &PathBuf| {
            let rest = path.file_name()?.to_str()?.strip_prefix(name)?.strip_prefix('.')?.to_owned();
            (!rest.is_empty() && path.is_file()).then_some(rest)
        };
        let there = fs::read_dir(state).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut parts: Vec<(String, PathBuf)> = there.filter_map(|path| Some((part(&path)?, path))).collect();
        // The higher its number, the older; dates go the other way.
        parts.sort_by(|(a, _), (b, _)| match (a.parse::<u32>(), b.parse::<u32>()) {
            (Ok(a), Ok(b)) if a.max(b) < 10_000 => b.cmp(&a),
            _ => a.cmp(b),
        });
        files.extend(parts.into_iter().map(|(_, path)| path));
        files.extend(Some(state.join(name)).filter(|path| path.is_file()));
    }
    files
}

/// Reads the records in the state of a destination, file by file as [`files`] has them.
pub fn read(state: &Path) -> impl Iterator<Item = io::Result<LogLine>> + use<> {
    files(state).into_iter().flat_map(read_file)
}

fn read_file(file: PathBuf) -> Box<dyn Iterator<Item = io::Result<LogLine>>> {
    let lines = match chain::open(&file) {
        Ok(lines) => lines,
        Err(error) => return Box::new(std::iter::once(Err(error))),
    };
    Box::new(lines.filter_map(move |line| match line {
        Err(error) => Some(Err(error)),
        Ok(Line::Trouble(trouble)) => Some(Ok(LogLine::Trouble { file: file.clone(), trouble })),
        Ok(Line::Whole { number, body, .. }) => {
            // Versions before left lines that a killed run did not finish.
            let record = Record::parse(&body).ok()?;
            Some(Ok(LogLine::Record { file: file.clone(), line: number, record: Box::new(record) }))
        }
    }))
}

/// What was last said of each source.
pub fn last(state: &Path) -> io::Result<HashMap<PathBuf, Record>> {
    let mut records: HashMap<PathBuf, Record> = HashMap::new();
    for told in read(state) {
        let LogLine::Record { record, .. } = told? else { continue };
        let newer = records.get(&record.source).is_none_or(|before| before.finished <= record.finished);
        if newer {
            records.insert(record.source.clone(), *record);
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_before_the_log_they_are_of() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["migration.jsonl", "migration.jsonl.1", "migration.jsonl.10", "migration.jsonl.2", "migration.jsonl-x"]
        {
            fs::write(folder.path().join(name), "").unwrap();
        }
        for name in ["converted.jsonl.20260102", "converted.jsonl.20260101", "converted.jsonl", "evidence.jsonl"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<_> =
            files(folder.path()).iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(
            names,
            [
                "converted.jsonl.20260101",
                "converted.jsonl.20260102",
                "converted.jsonl",
                "migration.jsonl.10",
                "migration.jsonl.2",
                "migration.jsonl.1",
                "migration.jsonl"
            ]
        );
    }
}
