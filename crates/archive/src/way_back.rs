//! The way back: what came in, byte for byte, from the received object or from the converted one and its residue.
//!
//! A residue is kept in the index, in the commit that makes the converted object the one that is handed out.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use dicom::{LocalFile, ReadAt, Source};
use sha2::{Digest, Sha256};
use store::Key;
use store::index::{InstanceKey, WayBack};
use store::objects::each_chunk;
use transcode::Residue;

use crate::archive::{Archive, Inner};
use crate::error::Error;

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
        Ok(self.inner.index.way_back(key)?)
    }

    /// The instances that a study, series or SOP Instance UID names, in the order they came.
    pub fn named(&self, uid: &str) -> Result<Vec<InstanceKey>, Error> {
        Ok(self.inner.index.named(uid)?)
    }

    /// Writes what was received of an instance to `out`, byte for byte, and compares its SHA-256. On an error the bytes in
    /// `out` are of no use.
    pub fn restore(&self, key: &InstanceKey, out: &mut dyn Write) -> Result<Restored, Error> {
        let found = self.inner.index.received(key)?;
        let (received, bytes) = found.ok_or_else(|| Error::NoWayBack("there is no such instance".into()))?;
        let mut out = Rest { out, written: 0, skip: 0 };
        if let Some(bytes) = self.inner.copy_received(&received, bytes, &mut out)? {
            return Ok(Restored { sha256: received.to_string(), bytes, made_again: false });
        }
        // What was written by then is of the very bytes, which are written on.
        out.skip = out.written;
        let bytes = self.inner.make_again(&received, &mut out)?;
        Ok(Restored { sha256: received.to_string(), bytes, made_again: true })
    }
}

impl Inner {
    /// Copies an object that is whole; `None` when it is not there, not any more, or damaged: only the very bytes are written.
    fn copy_received(&self, key: &Key, size: u64, out: &mut dyn Write) -> Result<Option<u64>, Error> {
        let reading = || Error::io(format!("reading object {key}"));
        let object = match self.objects.open(key, size) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(reading())?,
        };
        let mut hash = Sha256::new();
        let hashed = each_chunk(&*object, |bytes| {
            hash.update(bytes);
            Ok(())
        });
        match hashed {
            // A store far away may say so only now.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(reading())?,
        }
        if hash.finalize()[..] != key.as_bytes()[..] {
            return Ok(None);
        }
        match each_chunk(&*object, |bytes| out.write_all(bytes)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io("writing what was received"))?,
        }
        out.flush().map_err(Error::io("writing what was received"))?;
        Ok(Some(object.size()))
    }

    /// Makes a received object again from the converted one, and returns its bytes.
    fn make_again(&self, received: &Key, out: &mut dyn Write) -> Result<u64, Error> {
        let key = *received;
        let found = self.index.way_to(received)?;
        let way =
            found.ok_or_else(|| Error::Damaged(format!("object {key} is not in the store, and was not converted")))?;
        let Some(residue) = way.residue else { return Err(Error::NoWayBack(way.reason)) };
        prove(received, &self.stored_source(&way.object, way.bytes)?, residue, out)
    }

    /// Random access to a released object, made again in the spool. `missing`: what opening it said.
    pub(crate) fn restored(&self, key: &Key, missing: io::Error) -> Result<Arc<dyn ReadAt>, Error> {
        let file = self.make_again_in_spool(key, missing)?;
        let opened = File::open(&file.0).and_then(LocalFile::new).map_err(Error::io("opening a restored object"))?;
        Ok(Arc::new(opened))
    }

    fn make_again_in_spool(&self, key: &Key, missing: io::Error) -> Result<Nameless, Error> {
        if !self.index.is_released(key)? {
            return Err(Error::io(format!("opening object {key}"))(missing));
        }
        let file = Nameless(self.spool.path());
        let mut out = BufWriter::new(File::create_new(&file.0).map_err(Error::io("restoring an object"))?);
        self.make_again(key, &mut out)?;
        Ok(file)
    }
}

/// Where bytes go that were perhaps written in part before: so many are left out.
struct Rest<'a> {
    out: &'a mut dyn Write,
    written: u64,
    skip: u64,
}

impl Write for Rest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.skip > 0 {
            let skipped = self.skip.min(bytes.len() as u64);
            self.skip -= skipped;
            return Ok(skipped as usize);
        }
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
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
