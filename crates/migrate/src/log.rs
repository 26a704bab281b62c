//! The log: one JSON line per instance, appended; each is there exactly once, whatever ends the run.
//!
//! Lines are on the storage before the journal says that their items are done, and the journal knows how long the log was
//! then. What is behind that length at the next start belongs to items that are done again: it is cut off.
//!
//! A log may be rotated while it grows: one that was moved away is followed by a new one, one that was copied and emptied is
//! filled from its beginning.

use crate::Error;
use crate::journal::{Journal, sync};
use crate::record::Record;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An open log.
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens the log called `name` and cuts it to what the journal knows.
    pub fn open(destination: &Path, name: &str, journal: &Journal) -> Result<Log, Error> {
        let folder = Journal::folder(destination);
        let path = folder.join(format!("{name}.jsonl"));
        let known: u64 = journal.word("log")?.and_then(|word| word.parse().ok()).unwrap_or(0);
        // Whoever empties it moves its end, and lines belong there.
        let open = File::options().create(true).append(true).open(&path);
        let file = open.map_err(Error::io("open", &path))?;
        sync(&folder)?;
        let there = file.metadata().map_err(Error::io("read", &path))?.len();
        if there > known {
            file.set_len(known).map_err(Error::io("write", &path))?;
        }
        if there < known {
            // It is another one, or was emptied: what is added to it from here on may have to be cut off.
            journal.remember("log", &there.to_string())?;
        }
        Ok(Log { path, file })
    }

    /// Goes on in a new file where the log was moved away.
    pub fn follow(&mut self, destination: &Path, name: &str, journal: &Journal) -> Result<(), Error> {
        let here = self.file.metadata().map_err(Error::io("read", &self.path))?;
        let same = |there: &Metadata| (there.dev(), there.ino()) == (here.dev(), here.ino());
        match fs::metadata(&self.path) {
            Ok(there) if same(&there) => Ok(()),
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("read", &self.path)(e)),
            _ => {
                *self = Log::open(destination, name, journal)?;
                Ok(())
            }
        }
    }

    /// Adds lines; they are on the storage when this returns, and the length of the log is returned.
    pub fn add<'a>(&mut self, records: impl Iterator<Item = &'a Record>) -> Result<u64, Error> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record).map_err(|e| Error::io("write", &self.path)(e.into()))?;
            lines.push(b'\n');
        }
        let written = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
        let length = written.and_then(|()| Ok(self.file.metadata()?.len()));
        length.map_err(Error::io("write", &self.path))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Order;

    fn record(n: u64) -> Record {
        Record::blank(PathBuf::from(format!("/in/{n}.dcm")), n)
    }

    fn sources(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let source = |line| serde_json::from_str::<Record>(line).unwrap().source.display().to_string();
        text.lines().map(source).collect()
    }

    #[test]
    fn a_log_may_be_rotated_while_it_grows_and_cut_after_that() {
        let folder = tempfile::tempdir().unwrap();
        let (root, path) = (folder.path(), folder.path().join(".firstlight/migration.jsonl"));
        let journal = Journal::open(root, "migration", Order::AsFound).unwrap();
        let mut log = Log::open(root, "migration", &journal).unwrap();
        let add = |log: &mut Log, numbers: std::ops::Range<u64>| {
            log.follow(root, "migration", &journal).unwrap();
            log.add(numbers.map(record).collect::<Vec<_>>().iter()).unwrap()
        };
        let length = add(&mut log, 0..5);
        journal.remember("log", &length.to_string()).unwrap();

        // Moved away: a new one follows. A kill before the journal knows of its lines takes them back.
        fs::rename(&path, root.join("moved")).unwrap();
        add(&mut log, 5..7);
        assert_eq!(sources(&root.join("moved")).len(), 5);
        assert_eq!(sources(&path), ["/in/5.dcm", "/in/6.dcm"]);
        let mut log = Log::open(root, "migration", &journal).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        let length = add(&mut log, 5..8);
        journal.remember("log", &length.to_string()).unwrap();

        // Copied and emptied: it fills from its beginning.
        File::create(&path).unwrap();
        let length = add(&mut log, 8..9);
        assert_eq!((sources(&path), fs::metadata(&path).unwrap().len()), (vec!["/in/8.dcm".to_owned()], length));
        journal.remember("log", &length.to_string()).unwrap();
        add(&mut log, 9..10);
        drop(log);
        Log::open(root, "migration", &journal).unwrap();
        assert_eq!(sources(&path), ["/in/8.dcm"], "what the journal does not know is cut off");
    }
}
