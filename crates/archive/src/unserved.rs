//! What an archive keeps and does not serve: DICOM that can't be read, and objects that belong to no study. Each is an object under
//! its hash like any other, with the path it came from in the index. Nothing of a source is lost when it is switched off.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use dicom::{LIKELY_HEAD, is_likely_dicom};
use rusqlite::{Connection, params};
use store::Key;

use crate::index::now;
use crate::ingest::healed;
use crate::{Archive, Error, Ingested};

/// Why something is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unservable {
    /// It can't be read.
    Unreadable,
    /// It can be read, and is no instance of a study: a hanging protocol, a DICOMDIR, an object without UIDs.
    NoInstance,
}

/// An object that is kept and not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// SHA-256 of its bytes, hexadecimal: the name of the object.
    pub object_id: String,
    /// Its bytes.
    pub bytes: u64,
    /// Why it is not served.
    pub why: Unservable,
    /// In words.
    pub reason: String,
    /// Where it came from.
    pub source: PathBuf,
    /// When it came, in seconds since 1970.
    pub stored: i64,
}

/// What became of a file that was to be stored; in every case its bytes are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is an instance.
    Ingested(Ingested),
    /// It is kept, and not served.
    Unserved {
        /// Why.
        why: Unservable,
        /// In words.
        reason: String,
        /// It was not there before.
        new: bool,
    },
}

impl Archive {
    /// Stores a file that came from `source`: as an instance, or, where that can't be, as what is [kept and not
    /// served](Archive::unserved). What is not DICOM is refused, as `listed` by no DICOMDIR and not [likely](is_likely_dicom) to be.
    pub fn ingest_or_keep(&self, path: &Path, source: &Path, listed: bool) -> Result<Taken, Error> {
        let error = match self.ingest(path) {
            Ok(ingested) => return Ok(Taken::Ingested(ingested)),
            Err(error) => error,
        };
        let Some((why, reason)) = error.unservable() else { return Err(error) };
        let mut head = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LIKELY_HEAD as u64).read_to_end(&mut head));
        read.map_err(Error::io(format!("reading {}", path.display())))?;
        if why == Unservable::Unreadable && !listed && !is_likely_dicom(&head, source) {
            return Err(Error::Dicom(dicom::Error::NotDicom));
        }
        let new = self.keep_unserved(path, source, why, &reason)?;
        Ok(Taken::Unserved { why, reason, new })
    }

    /// Keeps a file that [`Archive::ingest`] refused, as it is; durable when this returns. False when these bytes of this source were
    /// there already.
    pub fn keep_unserved(&self, path: &Path, source: &Path, why: Unservable, reason: &str) -> Result<bool, Error> {
        let mut file = File::open(path).map_err(Error::io(format!("opening {}", path.display())))?;
        let staged = self.inner.spool.stage(&mut file).map_err(Error::io("storing what was received"))?;
        let (key, bytes) = (staged.key(), staged.size());
        self.inner.put_whole(staged)?;
        let (source, reason) = (source.as_os_str().as_bytes().to_vec(), reason.to_owned());
        self.inner.index.write(move |index| {
            healed(index, &key)?;
            let sql = "INSERT INTO unserved (key, bytes, kind, source, reason, stored) VALUES (?, ?, ?, ?, ?, ?) \
                 ON CONFLICT DO UPDATE SET kind = excluded.kind, reason = excluded.reason";
            let known = "SELECT count(*) FROM unserved WHERE key = ? AND source = ?";
            let known: i64 =
                index.prepare_cached(known)?.query_row(params![key.as_bytes(), source], |row| row.get(0))?;
            index.prepare_cached(sql)?.execute(params![key.as_bytes(), bytes, why as i64, source, reason, now()])?;
            Ok(known == 0)
        })
    }

    /// What is kept and not served, in the order it came.
    pub fn unserved(&self) -> Result<Vec<Unserved>, Error> {
        let sql = "SELECT key, bytes, kind, reason, source, stored FROM unserved ORDER BY id";
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let unserved = statement.query_map([], |row| {
                let why = if row.get::<_, i64>(2)? == 0 { Unservable::Unreadable } else { Unservable::NoInstance };
                Ok(Unserved {
                    object_id: Key::new(row.get(0)?).to_string(),
                    bytes: row.get(1)?,
                    why,
                    reason: row.get(3)?,
                    source: OsString::from_vec(row.get(4)?).into(),
                    stored: row.get(5)?,
                })
            })?;
            Ok(unserved.collect::<Result<_, _>>()?)
        })
    }
}

/// The bytes became an instance after all: a later version can read them.
pub(crate) fn now_served(index: &Connection, key: &Key) -> Result<(), Error> {
    index.prepare_cached("DELETE FROM unserved WHERE key = ?")?.execute([key.as_bytes()])?;
    Ok(())
}
