//! What a worker made of an item: a file that is whole beside the place it is to take, or why there is none.

use crate::notice::{Advice, Notice, NoticeKind, is_full, reason};
use crate::proofs::Entry;
use crate::record::{Outcome, Record};
use crate::step::step;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use transcode::Verified;

/// What a worker made of an item. It counts as done when a [`Publisher`](crate::Publisher) has put it in its place.
#[derive(Debug)]
pub struct StagedOutput {
    /// What became of it, were it in its place.
    pub done: Done,
    /// Nothing where there is no file to be placed.
    pub(crate) staged: Option<StagedFile>,
}

/// A file that is whole, beside the place it is to take.
#[derive(Debug)]
pub(crate) struct StagedFile {
    /// What the item is called on the screen.
    pub(crate) source: PathBuf,
    pub(crate) file: NewFile,
    pub(crate) place: PathBuf,
    /// An earlier run wrote what is at the place.
    pub(crate) ours: bool,
    pub(crate) residue: RestoreFile,
    /// What the evidence says of it.
    pub(crate) entry: Option<Entry>,
    /// The very bytes are at the place.
    pub(crate) there: bool,
}

/// A file in the making; gone when dropped before it has its place.
#[derive(Debug)]
pub(crate) struct Temporary(pub(crate) PathBuf);

#[derive(Debug)]
pub(crate) enum NewFile {
    Converted(Box<Verified>),
    /// The source as it came; de-identified, what was made of it.
    Kept(Temporary),
}

/// What leads back to the source.
#[derive(Debug)]
pub(crate) enum RestoreFile {
    /// This file, to be put there.
    Residue(Temporary, PathBuf),
    /// Nothing, and what may be there belongs to a file that is replaced.
    Removed(PathBuf),
    None,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl StagedOutput {
    /// Something that has its place already, or none.
    pub fn settled(done: Done) -> StagedOutput {
        StagedOutput { done, staged: None }
    }

    /// Lets the storage begin with the bytes, so that there is less to wait for.
    pub(crate) fn begin(self) -> StagedOutput {
        if let Some(staged) = &self.staged {
            write_out(staged.file.path());
            if let RestoreFile::Residue(residue, _) = &staged.residue {
                write_out(&residue.0);
            }
        }
        self
    }
}

impl NewFile {
    pub(crate) fn path(&self) -> &Path {
        match self {
            NewFile::Converted(verified) => verified.path(),
            NewFile::Kept(file) => &file.0,
        }
    }
}

/// What became of a file, and what a user should be told of it.
#[derive(Debug)]
pub struct Done {
    /// A line of the report.
    pub record: Record,
    /// What is worth saying at once.
    pub notice: Option<Notice>,
    /// It failed because the destination has no room.
    pub full: bool,
}

/// Why a file has no place in the destination.
pub(crate) enum Stopped {
    Skipped,
    /// It would not be true where it is to go.
    LeftOut(String),
    /// DICOM that can't be read, or that must not be written because it would tell of a person.
    Unreadable(String, Advice),
    Failed {
        why: String,
        advice: Option<Advice>,
        full: bool,
    },
}

impl StagedFile {
    /// Waits until the bytes of all files are on the storage.
    pub(crate) fn sync(&self) -> io::Result<()> {
        step()?;
        if let RestoreFile::Residue(residue, _) = &self.residue {
            File::open(&residue.0)?.sync_all()?;
        }
        File::open(self.file.path())?.sync_all()
    }
}

impl Done {
    /// Nothing was written after all.
    pub(crate) fn stopped(&mut self, source: &Path, why: Stopped) {
        let record = &mut self.record;
        let notice = |kind, why: &str| Some(Notice::new(kind, source, why));
        (record.outcome, record.reason, self.notice, self.full) = match why {
            Stopped::Skipped => (Outcome::Skipped, Some("not a DICOM file".to_owned()), None, false),
            Stopped::LeftOut(why) => {
                let notice = notice(NoticeKind::LeftOut, &why);
                (Outcome::Skipped, Some(format!("left out: {why}")), notice, false)
            }
            Stopped::Unreadable(why, advice) => {
                let notice = notice(NoticeKind::Unreadable, &why).map(|notice| notice.advise(advice));
                (Outcome::Unreadable, Some(why), notice, false)
            }
            Stopped::Failed { why, advice, full } => {
                let notice = notice(NoticeKind::Failed, &why).map(|notice| notice.advise(advice));
                (Outcome::Failed, Some(why), notice, full)
            }
        };
        (record.destination, record.bytes_out, record.residue_bytes) = (None, None, None);
    }
}

impl From<dicom::Error> for Stopped {
    fn from(error: dicom::Error) -> Self {
        use dicom::Error::*;
        match &error {
            NotDicom => Stopped::Skipped,
            Io(e) => Stopped::Failed { why: reason(e), advice: Advice::on(e), full: is_full(e) },
            Truncated { .. } => Stopped::Unreadable(error.to_string(), Advice::CopyAgain),
            Limit(_) => Stopped::Unreadable(error.to_string(), Advice::Bounds),
            _ => Stopped::Unreadable(error.to_string(), Advice::Contradiction),
        }
    }
}

impl From<deidentify::Error> for Stopped {
    fn from(error: deidentify::Error) -> Self {
        match error {
            deidentify::Error::Dicom(error) => error.into(),
            deidentify::Error::Identifying(_) => Stopped::Unreadable(error.to_string(), Advice::Deidentification),
        }
    }
}

impl From<transcode::Error> for Stopped {
    fn from(error: transcode::Error) -> Self {
        match error {
            transcode::Error::Dicom(error) => error.into(),
            other => Stopped::Unreadable(other.to_string(), Advice::Contradiction),
        }
    }
}

pub(crate) fn cannot_write(error: io::Error) -> Stopped {
    let why = format!("cannot write the destination: {}", reason(&error));
    Stopped::Failed { why, advice: Advice::on(&error), full: is_full(&error) }
}

/// Lets the storage begin. It reads what was written no more, which is no harm: the check of what was read back is done.
#[cfg(target_os = "linux")]
fn write_out(path: &Path) {
    if let Ok(file) = File::open(path) {
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
}

#[cfg(not(target_os = "linux"))]
fn write_out(_: &Path) {}
