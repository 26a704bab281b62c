//! The log: one JSON line per instance, appended; each is there exactly once, whatever ends the run.
//!
//! Lines are on the storage before the journal says that their items are done, and the journal knows how long the log was
//! then. What is behind that length at the next start belongs to items that are done again: it is cut off.

use crate::Error;
use crate::journal::{Journal, sync};
use crate::record::Record;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// An open log.
pub struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Log {
    /// Opens the log called `name` and cuts it to what the journal knows.
    pub fn open(destination: &Path, name: &str, journal: &Journal) -> Result<Log, Error> {
        let path = Journal::folder(destination).join(format!("{name}.jsonl"));
        let known: u64 = journal.word("log")?.and_then(|word| word.parse().ok()).unwrap_or(0);
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let mut file = open.map_err(Error::io("open", &path))?;
        sync(&Journal::folder(destination))?;
        let there = file.metadata().map_err(Error::io("read", &path))?.len();
        let bytes = known.min(there);
        if there > bytes {
            file.set_len(bytes).map_err(Error::io("write", &path))?;
        }
        file.seek(SeekFrom::Start(bytes)).map_err(Error::io("write", &path))?;
        Ok(Log { path, file, bytes })
    }

    /// Adds lines; they are on the storage when this returns, and the length of the log is returned.
    pub fn add<'a>(&mut self, records: impl Iterator<Item = &'a Record>) -> Result<u64, Error> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record).map_err(|e| Error::io("write", &self.path)(e.into()))?;
            lines.push(b'\n');
        }
        let written = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
        written.map_err(Error::io("write", &self.path))?;
        self.bytes += lines.len() as u64;
        Ok(self.bytes)
    }
}

/// Of files whose lines nobody counts: a line that a killed run did not finish is closed, so that the next one is whole.
pub fn close_last_line(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last != *b"\n" { file.write_all(b"\n") } else { Ok(()) }
}
