//! The way back: what came in, byte for byte, from the received object or from the converted one and its residue.
//!
//! A residue is kept in the index, in the commit that makes the converted object the one that is handed out.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use dicom::{LocalFile, ReadAt, Source};
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use store::Key;
use store::objects::each_chunk;
use transcode::{NoWayBack, Residue};

use crate::archive::Inner;
use crate::index::now;
use crate::{Archive, Error, InstanceKey};

/// What leads from the converted object of an instance back to what was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// Bytes of the residue; `None` when there is no way back.
    pub residue: Option<u64>,
    /// Why there is none; empty when there is one.
    pub reason: String,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// When the received object was released, in seconds since 1970; `None` while it is kept.
    pub released: Option<i64>,
}

/// An instance that was given back as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// SHA-256 of the bytes that were written, hexadecimal; it was compared with that of the bytes that came in.
    pub sha256: String,
    /// Bytes that were written.
    pub bytes: u64,
    /// The received object is not in the store: it was made again.
    pub made_again: bool,
}

impl Archive {
    /// The way back of an instance; `None` when there is no such instance, or it was not converted.
    pub fn way_back(&self, key: &InstanceKey) -> Result<Option<WayBack>, Error> {
        let sql = "SELECT length(w.residue), coalesce(w.reason, ''), w.made, w.released FROM studies s \
             JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id JOIN ways_back w ON w.original = i.received \
             WHERE s.uid = ? AND e.uid = ? AND i.uid = ?";
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let found = statement.query_row([&key.study, &key.series, &key.sop], |row| {
                Ok(WayBack { residue: row.get(0)?, reason: row.get(1)?, made: row.get(2)?, released: row.get(3)? })
            });
            Ok(found.optional()?)
        })
    }

    /// The instances that a study, series or SOP Instance UID names, in the order they came.
    pub fn named(&self, uid: &str) -> Result<Vec<InstanceKey>, Error> {
        let sql = "SELECT s.uid, e.uid, i.uid FROM instances i JOIN series e ON e.id = i.series \
             JOIN studies s ON s.id = e.study WHERE i.id IN (SELECT id FROM instances WHERE uid = ?1 \
             UNION SELECT i.id FROM instances i JOIN series e ON e.id = i.series WHERE e.uid = ?1 \
             UNION SELECT i.id FROM instances i JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study \
             WHERE s.uid = ?1) ORDER BY i.id";
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let keys = statement.query_map([uid], |row| {
                Ok(InstanceKey { study: row.get(0)?, series: row.get(1)?, sop: row.get(2)? })
            })?;
            Ok(keys.collect::<Result<_, _>>()?)
        })
    }

    /// Writes what was received of an instance to `out`, byte for byte, and compares its SHA-256. On an error the bytes in
    /// `out` are of no use.
    pub fn restore(&self, key: &InstanceKey, out: &mut dyn Write) -> Result<Restored, Error> {
        let sql = "SELECT o.key, o.bytes FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
             JOIN objects o ON o.id = i.received WHERE s.uid = ? AND e.uid = ? AND i.uid = ?";
        let found = self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let row = |row: &rusqlite::Row<'_>| Ok((Key::new(row.get(0)?), row.get(1)?));
            Ok(statement.query_row([&key.study, &key.series, &key.sop], row).optional()?)
        })?;
        let (received, bytes) = found.ok_or_else(|| Error::NoWayBack("there is no such instance".into()))?;
        if let Some(bytes) = self.inner.copy_received(&received, bytes, out)? {
            return Ok(Restored { sha256: received.to_string(), bytes, made_again: false });
        }
        let bytes = self.inner.make_again(&received, out)?;
        Ok(Restored { sha256: received.to_string(), bytes, made_again: true })
    }
}

impl Inner {
    /// Copies an object that is whole; `None` when it is not there, or damaged.
    fn copy_received(&self, key: &Key, size: u64, out: &mut dyn Write) -> Result<Option<u64>, Error> {
        let reading = || Error::io(format!("reading object {key}"));
        let object = match self.objects.open(key, size) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(reading())?,
        };
        let mut hash = Sha256::new();
        each_chunk(&*object, |bytes| {
            hash.update(bytes);
            Ok(())
        })
        .map_err(reading())?;
        if hash.finalize()[..] != key.as_bytes()[..] {
            return Ok(None);
        }
        each_chunk(&*object, |bytes| out.write_all(bytes)).map_err(Error::io("writing what was received"))?;
        out.flush().map_err(Error::io("writing what was received"))?;
        Ok(Some(object.size()))
    }

    /// Makes a received object again from the converted one, and returns its bytes.
    fn make_again(&self, received: &Key, out: &mut dyn Write) -> Result<u64, Error> {
        let key = *received;
        let found = self.index.read(|snapshot| way_back_of(snapshot, &key))?;
        let ((object, bytes), residue, reason) =
            found.ok_or_else(|| Error::Damaged(format!("object {key} is not in the store, and was not converted")))?;
        let Some(residue) = residue else { return Err(Error::NoWayBack(reason)) };
        prove(received, &self.stored_source(&object, bytes)?, residue, out)
    }

    /// Random access to a released object, made again in the spool. `missing`: what opening it said.
    pub(crate) fn restored(&self, key: &Key, missing: io::Error) -> Result<Arc<dyn ReadAt>, Error> {
        let file = self.make_again_in_spool(key, missing)?;
        let opened = File::open(&file.0).and_then(LocalFile::new).map_err(Error::io("opening a restored object"))?;
        Ok(Arc::new(opened))
    }

    fn make_again_in_spool(&self, key: &Key, missing: io::Error) -> Result<Nameless, Error> {
        let sought = *key;
        let released = self.index.read(|snapshot| is_released(snapshot, &sought))?;
        if !released {
            return Err(Error::io(format!("opening object {key}"))(missing));
        }
        let file = Nameless(self.spool.path());
        let mut out = BufWriter::new(File::create_new(&file.0).map_err(Error::io("restoring an object"))?);
        self.make_again(key, &mut out)?;
        Ok(file)
    }
}

/// A file that lives as long as it is open.
struct Nameless(PathBuf);

impl Drop for Nameless {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs a residue on the object as the store has it, and compares with the key of what was received; returns its bytes.
pub(crate) fn prove(received: &Key, object: &Source, residue: Vec<u8>, out: &mut dyn Write) -> Result<u64, Error> {
    let no_way = |e: transcode::RestoreError| Error::NoWayBack(e.to_string());
    let residue = Residue::parse(residue).map_err(no_way)?;
    if residue.original_sha256() != received.to_string() {
        return Err(Error::NoWayBack("the residue leads to another object".into()));
    }
    residue.restore(object, out).map_err(no_way)?;
    Ok(residue.original_len())
}

/// Keeps the way back from `object` to `original`. One that may be all that is left is never given up for none.
pub(crate) fn keep(
    index: &Connection,
    original: i64,
    object: i64,
    way_back: &Result<Residue, NoWayBack>,
) -> Result<(), Error> {
    if original == object {
        return Ok(());
    }
    let (residue, reason) = match way_back {
        Ok(residue) => (Some(residue.as_bytes()), None),
        Err(reason) => (None, Some(reason.to_string())),
    };
    let sql = "INSERT INTO ways_back (original, object, made, reason, residue) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (original) DO UPDATE SET object = excluded.object, made = excluded.made, reason = excluded.reason, \
         residue = excluded.residue";
    index.prepare_cached(sql)?.execute(params![original, object, now(), reason, residue])?;
    Ok(())
}

/// Bytes that were released came once more: their file goes again.
pub(crate) fn came_again(index: &Connection, key: &Key) -> Result<(), Error> {
    let sql = "UPDATE ways_back SET removed = NULL WHERE removed IS NOT NULL \
         AND original = (SELECT id FROM objects WHERE key = ?)";
    index.prepare_cached(sql)?.execute([key.as_bytes()])?;
    Ok(())
}

/// The converted object, the residue, and why there is none, of a received object.
type Found = ((Key, u64), Option<Vec<u8>>, String);

fn way_back_of(index: &Connection, received: &Key) -> Result<Option<Found>, Error> {
    let sql = "SELECT c.key, c.bytes, w.residue, coalesce(w.reason, '') FROM objects r JOIN ways_back w ON w.original = r.id \
         JOIN objects c ON c.id = w.object WHERE r.key = ?";
    let found = index
        .prepare_cached(sql)?
        .query_row([received.as_bytes()], |row| Ok(((Key::new(row.get(0)?), row.get(1)?), row.get(2)?, row.get(3)?)));
    Ok(found.optional()?)
}

fn is_released(index: &Connection, received: &Key) -> Result<bool, Error> {
    let sql = "SELECT w.released IS NOT NULL FROM objects r JOIN ways_back w ON w.original = r.id WHERE r.key = ?";
    let found = index.prepare_cached(sql)?.query_row([received.as_bytes()], |row| row.get(0));
    Ok(found.optional()?.unwrap_or(false))
}
