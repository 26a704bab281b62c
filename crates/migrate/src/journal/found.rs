//! What the walk puts into the journal.

use super::Journal;
use super::paths::{bytes_of, path_of};
use crate::error::{Error, Usage};
use rusqlite::{ErrorCode, OptionalExtension, params};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How an item is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File = 0,
    /// An entry of a zip file.
    Zip = 1,
    /// An entry of a tar file.
    Tar = 2,
    /// An entry of a tar file that is compressed as a whole, or what is compressed alone.
    Stream = 3,
    /// An instance of a DICOMweb server.
    Web = 4,
    /// An instance that waits in the archive itself.
    Backlog = 5,
    /// A file that a DICOMDIR names.
    Listed = 6,
    /// An entry of a zip file whose directory is gone.
    ZipCut = 7,
}

impl Kind {
    pub(super) fn of(number: i64) -> Kind {
        match number {
            1 => Kind::Zip,
            2 => Kind::Tar,
            3 => Kind::Stream,
            4 => Kind::Web,
            5 => Kind::Backlog,
            6 => Kind::Listed,
            7 => Kind::ZipCut,
            _ => Kind::File,
        }
    }
}

/// Something that may be an instance.
#[derive(Debug, Clone)]
pub struct Found {
    /// How it is reached.
    pub kind: Kind,
    /// The file, the packed file, or the path of an instance on a server.
    pub path: PathBuf,
    /// Number or offset of the entry of a packed file.
    pub part: u64,
    /// Name of the entry of a packed file, as it is written there.
    pub name: Vec<u8>,
    /// Path below the destination, where the layout mirrors the source.
    pub place: Option<PathBuf>,
    /// Size; 0 where a server does not say.
    pub bytes: u64,
    /// When it was written, in nanoseconds since 1970; of entries, what tells this version of the packed file.
    pub modified: i64,
    /// Modality, `-` when it is not known.
    pub modality: String,
    /// Transfer syntax UID, `-` when it is not known.
    pub syntax: String,
    /// Study date as a number, such as 20260131.
    pub date: i64,
}

/// A folder, or a study, that is still to be entered.
#[derive(Debug)]
pub struct Folder {
    pub id: i64,
    pub path: PathBuf,
    pub relative: PathBuf,
}

impl Journal {
    /// Is the item there with this size and time?
    pub fn knows(&self, path: &Path, part: u64, bytes: u64, modified: i64) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM items WHERE path = ? AND part = ? AND bytes = ? AND modified = ?";
        let known = self.db.prepare_cached(sql)?.query_row(params![bytes_of(path), part, bytes, modified], |_| Ok(()));
        Ok(known.optional()?.is_some())
    }

    /// Adds what was found, all or nothing; an item that changed waits again. Those whose place another has are returned.
    pub fn add(&mut self, source: i64, found: &[Found]) -> Result<Vec<PathCollision>, Error> {
        let rank = self.order.rank();
        let sql = format!(
            "INSERT INTO items (source, kind, path, part, name, place, bytes, modified, modality, syntax, date, rank) \
             SELECT ?1, kind, ?3, ?4, ?5, ?6, bytes, modified, modality, ?10, date, {rank} FROM \
             (SELECT ?2 AS kind, ?7 AS bytes, ?8 AS modified, ?9 AS modality, ?11 AS date) WHERE true \
             ON CONFLICT (path, part) DO UPDATE SET bytes = excluded.bytes, modified = excluded.modified, \
             modality = excluded.modality, syntax = excluded.syntax, date = excluded.date, rank = excluded.rank, \
             place = excluded.place, \
             state = CASE WHEN bytes = excluded.bytes AND modified = excluded.modified THEN state ELSE 0 END"
        );
        let transaction = self.db.transaction()?;
        let mut clashes = Vec::new();
        {
            let mut insert = transaction.prepare_cached(&sql)?;
            for item in found {
                let place = item.place.as_deref().map(bytes_of);
                let done = insert.execute(params![
                    source,
                    item.kind as i64,
                    bytes_of(&item.path),
                    item.part,
                    item.name,
                    place,
                    item.bytes,
                    item.modified,
                    item.modality,
                    item.syntax,
                    item.date
                ]);
                match done {
                    Ok(_) => {}
                    Err(e) if e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                        let place = item.place.clone().unwrap_or_default();
                        let sql = "SELECT path, name, kind FROM items WHERE place = ?";
                        let other = transaction.prepare_cached(sql)?.query_row([bytes_of(&place)], |row| {
                            Ok(shown(Kind::of(row.get(2)?), &path_of(row.get(0)?), &row.get::<_, Vec<u8>>(1)?))
                        });
                        let one = shown(item.kind, &item.path, &item.name);
                        clashes.push(PathCollision { one, other: other.optional()?.unwrap_or_default(), place });
                    }
                    Err(e) => return Err(e.into()),
                }
            }
        }
        transaction.commit()?;
        Ok(clashes)
    }

    /// Adds folders to be entered; one that is there already is not entered again and its path is returned.
    pub fn add_folders(&mut self, source: i64, folders: &[(PathBuf, PathBuf, Vec<u8>)]) -> Result<Vec<PathBuf>, Error> {
        let transaction = self.db.transaction()?;
        let mut seen = Vec::new();
        {
            let sql =
                "INSERT INTO folders (source, path, relative, identity) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
            let mut insert = transaction.prepare_cached(sql)?;
            let mut same =
                transaction.prepare_cached("SELECT path = ? FROM folders WHERE source = ? AND identity = ?")?;
            for (path, relative, identity) in folders {
                let added = insert.execute(params![source, bytes_of(path), bytes_of(relative), identity])?;
                if added == 0
                    && !same.query_row(params![bytes_of(path), source, identity], |row| row.get::<_, bool>(0))?
                {
                    seen.push(path.clone());
                }
            }
        }
        transaction.commit()?;
        Ok(seen)
    }

    /// The next folder to enter.
    pub fn next_folder(&self, source: i64) -> Result<Option<Folder>, Error> {
        let sql = "SELECT id, path, relative FROM folders WHERE source = ? AND walked = 0 ORDER BY id DESC LIMIT 1";
        let folder = self.db.prepare_cached(sql)?.query_row([source], |row| {
            let path = |n| Ok::<_, rusqlite::Error>(path_of(row.get::<_, Vec<u8>>(n)?));
            Ok(Folder { id: row.get(0)?, path: path(1)?, relative: path(2)? })
        });
        Ok(folder.optional()?)
    }

    /// A folder was entered and everything in it is in the journal.
    pub fn entered(&self, folder: i64) -> Result<(), Error> {
        self.db.prepare_cached("UPDATE folders SET walked = 1 WHERE id = ?")?.execute([folder])?;
        Ok(())
    }
}

/// Two sources that would have one place.
#[derive(Debug)]
pub struct PathCollision {
    /// The one that came second.
    pub one: PathBuf,
    /// The one that came first.
    pub other: PathBuf,
    /// Path below the destination.
    pub place: PathBuf,
}

impl PathCollision {
    /// What it means for a destination, the folder `root`.
    pub(crate) fn below(&self, root: &Path) -> Usage {
        Usage::Collision { one: self.other.clone(), other: self.one.clone(), place: root.join(&self.place) }
    }
}

/// What a user calls an item.
pub(super) fn shown(kind: Kind, path: &Path, name: &[u8]) -> PathBuf {
    match kind {
        Kind::File | Kind::Listed | Kind::Backlog | Kind::Web => path.to_owned(),
        Kind::Zip | Kind::Tar | Kind::Stream | Kind::ZipCut => {
            let mut shown = path.as_os_str().to_owned();
            shown.push("!");
            shown.push(std::ffi::OsStr::from_bytes(name));
            shown.into()
        }
    }
}
