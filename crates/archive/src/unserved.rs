//! What an archive keeps and does not serve: DICOM that can't be read, and objects that belong to no study. Each is an object under
//! its hash like any other, with the path it came from in the index. Nothing of a source is lost when it is switched off.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use dicom::{LIKELY_HEAD, is_likely_dicom};
use store::index::{Ingested, NewUnserved, Unservable, Unserved};

use crate::archive::Archive;
use crate::error::Error;

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
        let since = self.inner.since();
        self.inner.put_whole(staged)?;
        let (source, reason) = (source.to_owned(), reason.to_owned());
        let kept = self.inner.index.keep_unserved(NewUnserved { key, bytes, why, reason, source, since });
        let kept = kept.map_err(Error::from);
        if let Err(Error::Leaving) = &kept {
            self.inner.abandon(&key, bytes)?;
        }
        kept
    }

    /// What is kept and not served, in the order it came.
    pub fn unserved(&self) -> Result<Vec<Unserved>, Error> {
        Ok(self.inner.index.unserved()?)
    }
}
