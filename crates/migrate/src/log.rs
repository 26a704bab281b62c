//! The log: one JSON line per instance, appended; each is there exactly once, whatever ends the run.
//!
//! Lines are on the storage before the journal says that their items are done, and the journal knows how long the log was
//! then, and its head (see [`chain`](files::chain)). What is behind that length at the next start belongs to items that are done again:
//! it is cut off.
//!
//! A log may be rotated while it grows: one that was moved away is followed by a new one, one that was copied and emptied is
//! filled from its beginning. Either says in its first line which head it goes on from.

use crate::Error;
use crate::journal::{Journal, Mark, sync};
use files::{Record, chain::Chain};
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An open log.
pub struct Log {
    path: PathBuf,
    file: File,
    chain: Chain,
}

impl Log {
    /// Opens the log called `name` and cuts it to what the journal knows.
    pub fn open(destination: &Path, name: &str, journal: &Journal) -> Result<Log, Error> {
        let folder = Journal::folder(destination);
        let path = folder.join(format!("{name}.jsonl"));
        let known: u64 = journal.word("log")?.and_then(|word| word.parse().ok()).unwrap_or(0);
        let head = journal.word("head")?;
        // Whoever empties it moves its end, and lines belong there.
        let open = File::options().create(true).read(true).append(true).open(&path);
        let mut file = open.map_err(Error::io("open", &path))?;
        sync(&folder)?;
        let there = file.metadata().map_err(Error::io("read", &path))?.len();
        if there > known {
            file.set_len(known).map_err(Error::io("write", &path))?;
        }
        let found = Chain::go_on(&mut file).map_err(Error::io("read", &path))?;
        let left = file.metadata().map_err(Error::io("read", &path))?.len();
        // Another one, or one that was emptied, goes on from what the journal knows; so does one that lost lines.
        let chain = match head {
            Some(head) if head != found.head() && (left == 0 || there < known) => Chain::from(head),
            _ => found,
        };
        if left < known {
            // What is added to it from here on may have to be cut off.
            journal.remember("log", &left.to_string())?;
        }
        Ok(Log { path, file, chain })
    }

    /// Goes on in a new file where the log was moved away.
    pub fn follow(&mut self, destination: &Path, name: &str, journal: &Journal) -> Result<(), Error> {
        let here = self.file.metadata().map_err(Error::io("read", &self.path))?;
        let same = |there: &Metadata| (there.dev(), there.ino()) == (here.dev(), here.ino());
        match fs::metadata(&self.path) {
            Ok(there) if same(&there) => {
                if here.len() == 0 {
                    self.chain = Chain::from(self.chain.head().to_owned());
                }
                Ok(())
            }
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("read", &self.path)(e)),
            _ => {
                *self = Log::open(destination, name, journal)?;
                Ok(())
            }
        }
    }

    /// Adds lines; they are on the storage when this returns. How far the log is then.
    pub fn add<'a>(&mut self, records: impl Iterator<Item = &'a Record>) -> Result<Mark, Error> {
        let mut lines = String::new();
        for record in records {
            let json = record.json().map_err(|e| Error::io("write", &self.path)(e.into()))?;
            lines.push_str(&self.chain.line(json));
        }
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        let length = written.and_then(|()| Ok(self.file.metadata()?.len()));
        let bytes = length.map_err(Error::io("write", &self.path))?;
        Ok(Mark { bytes, head: self.chain.head().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Order;
    use files::chain::Head;

    fn record(n: u64) -> Record {
        Record::blank(PathBuf::from(format!("/in/{n}.dcm")), n)
    }

    fn sources(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let source = |line: &str| Record::parse(line.as_bytes()).unwrap().source.display().to_string();
        text.lines().map(source).collect()
    }

    fn keep(journal: &mut Journal, mark: Mark) {
        journal.end(&[], &mark).unwrap();
    }

    #[test]
    fn a_log_may_be_rotated_while_it_grows_and_cut_after_that() {
        let folder = tempfile::tempdir().unwrap();
        let (root, path) = (folder.path(), folder.path().join(".firstlight/migration.jsonl"));
        let mut journal = Journal::open(root, "migration", Order::AsFound).unwrap();
        let mut log = Log::open(root, "migration", &journal).unwrap();
        let add = |log: &mut Log, journal: &Journal, numbers: std::ops::Range<u64>| {
            log.follow(root, "migration", journal).unwrap();
            log.add(numbers.map(record).collect::<Vec<_>>().iter()).unwrap()
        };
        let mark = add(&mut log, &journal, 0..5);
        keep(&mut journal, mark.clone());

        // Moved away: a new one follows. A kill before the journal knows of its lines takes them back.
        fs::rename(&path, root.join("moved")).unwrap();
        add(&mut log, &journal, 5..7);
        assert_eq!(sources(&root.join("moved")).len(), 5);
        assert_eq!(sources(&path), ["/in/5.dcm", "/in/6.dcm"]);
        let mut log = Log::open(root, "migration", &journal).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        let mark = add(&mut log, &journal, 5..8);
        keep(&mut journal, mark.clone());

        // Copied and emptied: it fills from its beginning.
        let emptied = Head::of(&path).unwrap();
        File::create(&path).unwrap();
        let mark = add(&mut log, &journal, 8..9);
        assert_eq!((sources(&path), fs::metadata(&path).unwrap().len()), (vec!["/in/8.dcm".to_owned()], mark.bytes));
        keep(&mut journal, mark.clone());
        add(&mut log, &journal, 9..10);
        drop(log);
        Log::open(root, "migration", &journal).unwrap();
        assert_eq!(sources(&path), ["/in/8.dcm"], "what the journal does not know is cut off");

        // Each part is whole, and says what it goes on from.
        let moved = Head::of(&root.join("moved")).unwrap();
        let last = Head::of(&path).unwrap();
        assert_eq!(
            (moved.lines, moved.after, &*moved.troubles, last.lines, &*last.troubles),
            (5, None, &[][..], 1, &[][..])
        );
        assert_eq!(last.after.as_deref(), Some(&*emptied.head));
        assert_eq!(emptied.after, Some(moved.head));
    }
}
