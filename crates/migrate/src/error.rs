//! What ends a migration, by whose fault.

use files::notice::{is_full, reason};
use std::io;
use std::path::{Path, PathBuf};

/// An error that ends a migration; what was done stays done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {doing} {}: {}", path.display(), reason(source))]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The journal could not be read or written.
    #[error("the journal of the migration: {0}")]
    Journal(rusqlite::Error),
    /// The destination has no room left.
    #[error("the disk of the destination is full")]
    Full,
    /// The archive could not be opened, read or written.
    #[error("the archive: {0}")]
    Archive(archive::Error),
    /// What was asked for can't be done.
    #[error(transparent)]
    Usage(#[from] Usage),
}

/// Why what was asked for can't be done.
#[derive(Debug, thiserror::Error)]
pub enum Usage {
    /// A source and the destination are not apart.
    #[error("{}", how.between(named, destination))]
    Overlap {
        /// How they lie.
        how: Overlap,
        /// The source.
        named: PathBuf,
        /// The destination.
        destination: PathBuf,
    },
    /// The destination holds instances of others.
    #[error("{} holds DICOM that was not written here ({})", destination.display(), found.display())]
    ForeignDestination {
        /// The destination.
        destination: PathBuf,
        /// One of them.
        found: PathBuf,
    },
    /// A file that is to be written over is an instance.
    #[error("{} is there and is DICOM", .0.display())]
    FileIsDicom(PathBuf),
    /// The destination is no folder.
    #[error("{} is there and is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// Nothing is named, and the destination is no archive.
    #[error("no source is named, and {} is not an archive with a backlog", .0.display())]
    NoSource(PathBuf),
    /// A server is named where only files are read.
    #[error("{0} is the address of a server")]
    ServerSource(String),
    /// The objects of an archive are not files to be taken.
    #[error("{} is an archive of firstlight: its objects are not files to be migrated", .0.display())]
    ArchiveAsSource(PathBuf),
    /// An archive has no layout.
    #[error("{} is an archive, which names its objects itself", .0.display())]
    LayoutOfArchive(PathBuf),
    /// Only a folder tree takes what is de-identified.
    #[error("{} is an archive: nothing is de-identified on the way into one", .0.display())]
    DeidentifyIntoArchive(PathBuf),
    /// The migration was begun under another policy.
    #[error("this migration was begun under another policy")]
    OtherPolicy,
    /// The migration, which takes the identity out, was begun under another policy, profile or key.
    #[error("this migration was begun under another policy, profile or key")]
    OtherProfile,
    /// The migration was begun with another layout.
    #[error("this migration was begun with another layout")]
    OtherLayout,
    /// Two items would have one place.
    #[error("{} and {} would both become {}", one.display(), other.display(), place.display())]
    Collision {
        /// An item.
        one: PathBuf,
        /// Another.
        other: PathBuf,
        /// The place.
        place: PathBuf,
    },
    /// A DICOMDIR that is named can't be read.
    #[error("cannot read {}: {error}", path.display())]
    BadDicomdir {
        /// The file.
        path: PathBuf,
        /// Why.
        error: dicom::Error,
    },
    /// A server does not list what it has.
    #[error("cannot list {server}: {why}")]
    CannotList {
        /// Its address.
        server: String,
        /// What it answers.
        why: String,
    },
    /// A source has gone meanwhile.
    #[error("{} is not there any more", .0.display())]
    SourceGone(PathBuf),
    /// The items of a source fail one after the other.
    #[error("{items} items in a row failed: {reason}")]
    SourceFails {
        /// So many.
        items: usize,
        /// Why the last did.
        reason: String,
    },
    /// Another process has the migration.
    #[error("a migration into {} is running", .0.display())]
    Running(PathBuf),
    /// The destination has no migration.
    #[error("{} has no migration", .0.display())]
    NoMigration(PathBuf),
    /// A newer version made the journal.
    #[error("the journal was made by a newer version")]
    NewerJournal,
    /// What is to be audited was not written here.
    #[error("{} is neither an archive nor a folder that firstlight wrote", .0.display())]
    NotOurs(PathBuf),
    /// A destination that is de-identified does not know its sources.
    #[error("{} is de-identified: it does not know its sources", .0.display())]
    SourcesUnknown(PathBuf),
}

/// How a source and a destination lie that are not apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// They are the same.
    Same,
    /// The destination lies in the source.
    InSource,
    /// The source lies in the destination.
    AroundSource,
    /// The destination lies in the medium that a DICOMDIR names.
    InMedium,
}

impl Overlap {
    fn between(self, source: &Path, destination: &Path) -> String {
        let (source, destination) = (source.display(), destination.display());
        match self {
            Overlap::Same => format!("{source} is both source and destination"),
            Overlap::InSource => format!("{destination} lies in the source {source}"),
            Overlap::AroundSource => format!("the source {source} lies in the destination {destination}"),
            Overlap::InMedium => format!("{destination} lies in the medium of the source {source}"),
        }
    }
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| match is_full(&source) {
            true => Error::Full,
            false => Error::Io { doing, path: path.to_owned(), source },
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Error::Full,
            _ => Error::Journal(error),
        }
    }
}

impl From<archive::Error> for Error {
    fn from(error: archive::Error) -> Error {
        match error {
            archive::Error::Full => Error::Full,
            other => Error::Archive(other),
        }
    }
}
