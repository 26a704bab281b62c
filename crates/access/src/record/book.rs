//! The files of the record: a line is written before the first byte leaves, and synced within a second. What can't be written is told in
//! the log; it holds nobody up.

use super::chain::{self, Head};
use super::event::Event;
use super::message::Frame;
use crate::time::now;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// Between two syncs.
const SYNC: Duration = Duration::from_millis(500);
/// Bytes of a file; then another is begun.
const FULL: u64 = 64 << 20;
/// Different events of a minute; beyond that each is a record of its own.
const MOST: usize = 100_000;

/// The record of a server.
pub struct Book {
    folder: PathBuf,
    host: String,
    keep: Option<Duration>,
    state: Mutex<State>,
    written: Condvar,
}

struct State {
    file: File,
    number: u64,
    bytes: u64,
    head: Head,
    minute: i64,
    counts: HashMap<Event, Count>,
    is_dirty: bool,
    lines: u64,
}

/// How often something happened in this minute.
struct Count {
    count: u64,
    patient: Option<String>,
}

impl State {
    /// Counts what happened in this minute before; `false`: it did not.
    fn counts(&mut self, event: &Event) -> bool {
        self.counts.get_mut(event).map(|known| known.count += 1).is_some()
    }
}

impl Book {
    /// Opens the record in a folder, or begins it. `keep`: files that are older are removed; without it, none is.
    pub fn open(folder: &Path, host: &str, keep: Option<Duration>) -> io::Result<Arc<Book>> {
        let book = Arc::new(Book::at(folder, host, keep)?);
        let kept = Arc::downgrade(&book);
        thread::Builder::new().name("access-record".into()).spawn(move || look_after(&kept))?;
        Ok(book)
    }

    fn at(folder: &Path, host: &str, keep: Option<Duration>) -> io::Result<Book> {
        std::fs::create_dir_all(folder)?;
        let (head, whole, number) = chain::end(folder)?;
        let (file, number, bytes) = match number {
            0 => (begin(folder, 1, head)?, 1, 0),
            number => {
                let file = options().open(folder.join(chain::name(number)))?;
                // What was being written when the power went.
                file.set_len(whole)?;
                (file, number, whole)
            }
        };
        let state = State { file, number, bytes, head, minute: 0, counts: HashMap::new(), is_dirty: false, lines: 0 };
        let host = host.chars().filter(char::is_ascii_graphic).take(255).collect();
        Ok(Book { folder: folder.to_owned(), host, keep, state: Mutex::new(state), written: Condvar::new() })
    }

    /// Counts an event that happened in this minute before; `false`: it did not, and is to be noted.
    pub fn counts(&self, event: &Event) -> bool {
        self.counts_at(event, now())
    }

    fn counts_at(&self, event: &Event, at: i64) -> bool {
        let mut state = self.state();
        self.end_minute(&mut state, at);
        state.counts(event)
    }

    /// Records an event, unless it is one of this minute: then it is counted. `patient`: whose study it is, by Patient ID.
    pub fn note(&self, event: Event, patient: Option<&str>) {
        self.note_at(event, patient, now());
    }

    fn note_at(&self, event: Event, patient: Option<&str>, at: i64) {
        let mut state = self.state();
        self.end_minute(&mut state, at);
        if state.counts(&event) {
            return;
        }
        self.write(&mut state, &event, patient, 1, at);
        if state.counts.len() < MOST {
            state.counts.insert(event, Count { count: 1, patient: patient.map(str::to_owned) });
        }
    }

    /// What happened more than once in a minute that is over is counted in a second record.
    fn end_minute(&self, state: &mut State, at: i64) {
        let minute = at.div_euclid(60);
        if state.minute == minute {
            return;
        }
        let end = state.minute * 60 + 59;
        state.minute = minute;
        for (event, Count { count, patient }) in std::mem::take(&mut state.counts) {
            if count > 1 {
                self.write(state, &event, patient.as_deref(), count, end);
            }
        }
    }

    fn write(&self, state: &mut State, event: &Event, patient: Option<&str>, count: u64, at: i64) {
        let frame = Frame { event, patient, count, at, host: &self.host }.text();
        let (line, head) = state.head.line(&frame);
        let written = self.room(state).and_then(|()| state.file.write_all(line.as_bytes()));
        match written {
            Ok(()) => {
                (state.head, state.is_dirty) = (head, true);
                state.bytes += line.len() as u64;
                state.lines += 1;
                self.written.notify_all();
            }
            Err(error) => {
                // A part of the line may be there.
                let _ = state.file.set_len(state.bytes);
                tracing::error!(%error, "an access could not be recorded");
            }
        }
    }

    /// Begins another file where this one is full.
    fn room(&self, state: &mut State) -> io::Result<()> {
        if state.bytes < FULL {
            return Ok(());
        }
        state.file.sync_data()?;
        let file = begin(&self.folder, state.number + 1, state.head)?;
        (state.file, state.bytes) = (file, 0);
        state.number += 1;
        Ok(())
    }

    /// Syncs what was written, and counts what is over.
    fn tick(&self) {
        let mut state = self.state();
        self.end_minute(&mut state, now());
        if !std::mem::take(&mut state.is_dirty) {
            return;
        }
        let file = state.file.try_clone();
        drop(state);
        if let Err(error) = file.and_then(|file| file.sync_data()) {
            tracing::error!(%error, "the record of access could not be synced");
        }
    }

    /// Removes files that are older than they are kept.
    fn forget(&self) {
        let Some(keep) = self.keep else { return };
        let current = self.state().number;
        let old = |path: &Path| {
            path.metadata().and_then(|meta| meta.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > keep))
        };
        for (_, path) in
            chain::files(&self.folder).unwrap_or_default().into_iter().filter(|(number, _)| *number < current)
        {
            if old(&path)
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(%error, "an old file of the record of access stays");
            }
        }
    }

    /// Waits until there is more than was seen, or for a while; how much there is now.
    pub(super) fn wait(&self, seen: u64, longest: Duration) -> u64 {
        let state = self.written.wait_timeout_while(self.state(), longest, |state| state.lines <= seen);
        state.unwrap_or_else(PoisonError::into_inner).0.lines
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        let mut state = self.state();
        self.end_minute(&mut state, i64::MAX);
        let _ = state.file.sync_data();
    }
}

fn look_after(book: &Weak<Book>) {
    let mut ticks: u64 = 0;
    loop {
        thread::sleep(SYNC);
        let Some(book) = book.upgrade() else { return };
        book.tick();
        if ticks.is_multiple_of(7200) {
            book.forget();
        }
        ticks += 1;
    }
}

/// For its owner alone: it tells who saw whom.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).mode(0o600);
    options
}

fn begin(folder: &Path, number: u64, head: Head) -> io::Result<File> {
    let mut file = options().create_new(true).open(folder.join(chain::name(number)))?;
    file.write_all(chain::first_line(head).as_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, check};
    use super::*;
    use crate::identity::Who;

    fn event(study: &str) -> Event {
        Event { who: Who::User("ana".into()), from: None, kind: Kind::Read, study: Some(study.into()) }
    }

    fn lines(folder: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(folder.join(chain::name(1))).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn one_record_at_once_and_one_that_counts() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::at(folder.path(), "host", None).unwrap();
        let at = 29_000_000 * 60;
        for second in 0..50 {
            book.note_at(event("1.2"), Some("P-1"), at + second);
        }
        book.note_at(event("1.3"), None, at + 55);
        assert_eq!(lines(folder.path()).len(), 2, "each at once");
        let mut state = book.state();
        book.end_minute(&mut state, at + 60);
        drop(state);
        let all = lines(folder.path());
        assert_eq!(all.len(), 3);
        assert!(all[2].contains("value=\"NTA=\"") && all[2].contains("P-1"), "fifty: {}", all[2]);
        assert_eq!(check(folder.path(), None).unwrap().records, 3);
    }

    #[test]
    fn what_is_changed_or_missing_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::open(folder.path(), "host", None).unwrap();
        (0..20).for_each(|n| book.note(event(&format!("1.{n}")), None));
        drop(book);
        let whole = check(folder.path(), None).unwrap();
        assert_eq!((whole.records, whole.files), (20, 1));
        let path = folder.path().join(chain::name(1));
        let text = std::fs::read_to_string(&path).unwrap();
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        let write = |lines: Vec<&str>| std::fs::write(&path, lines.concat()).unwrap();
        for (what, lines) in [
            ("changed", text.replacen("ParticipantObjectID=\"1.7\"", "ParticipantObjectID=\"1.9\"", 1)),
            ("left out", [&all[..9], &all[10..]].concat().concat()),
            ("turned around", [&all[..9], &[all[10], all[9]][..], &all[11..]].concat().concat()),
            ("put in", [&all[..9], &[all[9], all[9]][..], &all[10..]].concat().concat()),
        ] {
            std::fs::write(&path, lines).unwrap();
            assert!(matches!(check(folder.path(), None), Err(chain::Broken::Line { line: 8..=12, .. })), "{what}");
        }
        // What is cut off at the end only a head that was written down tells.
        write(all[..15].to_vec());
        let cut = check(folder.path(), Some(&whole.head)).unwrap();
        assert_eq!((cut.records, cut.holds), (14, Some(false)));
        write(all);
        assert_eq!(check(folder.path(), Some(&whole.head)).unwrap().holds, Some(true));
    }

    #[test]
    fn it_goes_on_where_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Book::open(folder.path(), "host", None).unwrap();
        open().note(event("1.1"), None);
        let path = folder.path().join(chain::name(1));
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(b"0123 half a line");
        std::fs::write(&path, torn).unwrap();
        open().note(event("1.2"), None);
        assert_eq!(check(folder.path(), None).unwrap().records, 2);
    }

    #[test]
    fn a_full_file_is_followed_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::open(folder.path(), "host", None).unwrap();
        book.note(event("1.1"), None);
        book.state().bytes = FULL;
        book.note(event("1.2"), None);
        drop(book);
        let found = check(folder.path(), None).unwrap();
        assert_eq!((found.files, found.records), (2, 2));
        std::fs::remove_file(folder.path().join(chain::name(1))).unwrap();
        assert_eq!(check(folder.path(), None).unwrap().records, 1, "retention takes whole files from the front");
    }
}
