//! Folders, walked as a stream: what is still to be entered is in the journal, not in memory.

use super::form::{self, Form};
use super::{CHUNK, Census, Walked, date, or_dash, pack};
use crate::Error;
use crate::dicomdir;
use crate::journal::{Found, Kind};
use crate::trouble::{file_line, hint_for, reason};
use dicom::{Head, Source};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Walks a folder, the files of a DICOMDIR, a packed file, or takes one file.
pub(super) fn walk(census: &mut Census, path: &Path) -> Result<(), Error> {
    let meta = fs::metadata(path).map_err(Error::io("read", path))?;
    if meta.is_dir() {
        census.journal.add_folders(census.source, &[(path.to_owned(), PathBuf::new(), identity(&meta))])?;
        return walk_folders(census);
    }
    if dicomdir::named_so(path) && Source::open(path).is_ok_and(|source| dicomdir::is_one(&source)) {
        return walk_dicomdir(census, path);
    }
    let relative = path.file_name().map(PathBuf::from).unwrap_or_default();
    look_into(census, vec![Entry { path: path.to_owned(), relative, meta, kind: Kind::File }], true)
}

fn walk_folders(census: &mut Census) -> Result<(), Error> {
    while let Some(folder) = census.journal.next_folder(census.source)? {
        match fs::read_dir(&folder.path) {
            Ok(entries) => {
                census.indexes.enter(&folder.path, folder.relative.components().count());
                enter(census, entries, &folder.path, &folder.relative)?;
            }
            Err(e) => (census.told)(cannot_read(&folder.path, &e)),
        }
        if census.stopped() {
            return Ok(());
        }
        census.journal.entered(folder.id)?;
    }
    Ok(())
}

fn enter(census: &mut Census, entries: fs::ReadDir, folder: &Path, relative: &Path) -> Result<(), Error> {
    let mut entries = entries.peekable();
    while entries.peek().is_some() && !census.stopped() {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in entries.by_ref().take(CHUNK) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    (census.told)(cannot_read(folder, &e));
                    continue;
                }
            };
            let (path, relative) = (entry.path(), relative.join(entry.file_name()));
            match fs::metadata(&path) {
                Ok(meta) if meta.is_file() => {
                    let kind = if census.indexes.names(&path) { Kind::Listed } else { Kind::File };
                    files.push(Entry { path, relative, meta, kind });
                }
                Ok(meta) if meta.is_dir() => {
                    if census.outside.is_some() && path.canonicalize().ok() == census.outside {
                        (census.told)(note(&path, "the destination, left out of the sources"));
                    } else if entry.file_name() == crate::KEPT {
                        (census.told)(note(&path, "what Firstlight keeps beside a destination, left out"));
                    } else {
                        folders.push((path, relative, identity(&meta)));
                    }
                }
                Ok(_) => (census.told)(note(&path, "neither a file nor a folder, left out")),
                Err(e) => (census.told)(cannot_read(&path, &e)),
            }
        }
        for seen in census.journal.add_folders(census.source, &folders)? {
            (census.told)(note(&seen, "leads to a folder that is walked already, not followed again"));
        }
        look_into(census, files, false)?;
    }
    Ok(())
}

fn walk_dicomdir(census: &mut Census, path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let unreadable =
        |e: dicom::Error| Error::usage(format!("cannot read {}: {e}", path.display()), "name the folder instead");
    let source = Source::open(path).map_err(unreadable)?;
    let (mut files, strays) = dicomdir::referenced_files(&source, folder).map_err(unreadable)?;
    for stray in strays {
        let what = format!("names \"{}\", which is not below it", stray.escape_debug());
        (census.told)(Walked::Trouble(file_line("cannot read", path, &what, None)));
    }
    files.push(path.to_owned());
    for files in files.chunks(CHUNK) {
        let mut there = Vec::new();
        for path in files {
            let relative = path.strip_prefix(folder).unwrap_or(path).to_owned();
            match fs::metadata(path) {
                Ok(meta) if meta.is_file() => {
                    there.push(Entry { path: path.clone(), relative, meta, kind: Kind::Listed });
                }
                Ok(_) => (census.told)(Walked::Trouble(file_line(
                    "cannot read",
                    path,
                    &"named by the DICOMDIR, not a file",
                    None,
                ))),
                Err(e) => (census.told)(cannot_read(path, &e)),
            }
        }
        look_into(census, there, false)?;
    }
    Ok(())
}

struct Entry {
    path: PathBuf,
    relative: PathBuf,
    meta: Metadata,
    kind: Kind,
}

/// What the first bytes of a file say.
enum Look {
    Instance(Option<Head>),
    /// It names other files.
    Index,
    Pack(Kind),
    Refused(&'static str),
    Unreadable(io::Error),
}

/// Adds files to the journal; those it knows are not looked into again.
fn look_into(census: &mut Census, files: Vec<Entry>, named: bool) -> Result<(), Error> {
    let mut new = Vec::new();
    for file in files {
        if !census.journal.knows(&file.path, 0, file.meta.len(), modified(&file.meta))? {
            new.push(file);
        }
    }
    let heads = census.heads;
    let each = new.len().div_ceil(census.jobs.max(1)).max(1);
    let looks: Vec<Look> = std::thread::scope(|scope| {
        let parts: Vec<_> = new
            .chunks(each)
            .map(|part| scope.spawn(move || part.iter().map(|file| look(&file.path, heads)).collect()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|_| Vec::new())).collect()
    });
    let mut found = Vec::new();
    for (file, look) in new.iter().zip(looks) {
        match look {
            Look::Instance(head) => found.push(instance(census, file, head.as_ref())),
            Look::Index => found.push(Found { modality: dicomdir::MODALITY.into(), ..instance(census, file, None) }),
            Look::Refused(what) => {
                let what = format!("{what}, which is not read here");
                let hint = Some("unpack it, and name the folder that holds what was in it");
                (census.told)(Walked::Trouble(file_line("refused", &file.path, &what, hint)));
            }
            Look::Pack(kind) => {
                // A packed file that the user named is a folder of its own; found in a folder, it is one below it.
                let base = if named { PathBuf::new() } else { file.relative.clone() };
                pack::walk(census, kind, &file.path, modified(&file.meta), &base)?;
            }
            Look::Unreadable(e) => (census.told)(cannot_read(&file.path, &e)),
        }
    }
    census.add(found)
}

fn instance(census: &Census, file: &Entry, head: Option<&Head>) -> Found {
    let day = |seconds| {
        let day = jiff::Timestamp::from_second(seconds).map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).date());
        day.map_or(0, |day| i64::from(day.year()) * 10_000 + i64::from(day.month()) * 100 + i64::from(day.day()))
    };
    let told = head.map_or(0, |head| date(&head.study_date));
    Found {
        kind: file.kind,
        path: file.path.clone(),
        part: 0,
        name: Vec::new(),
        place: census.mirror.then(|| file.relative.clone()),
        bytes: file.meta.len(),
        modified: modified(&file.meta),
        modality: or_dash(head.map_or("", |head| &head.modality)),
        syntax: or_dash(head.map_or("", |head| head.transfer_syntax.uid())),
        date: if told > 0 { told } else { day(file.meta.mtime()) },
    }
}

fn look(path: &Path, heads: bool) -> Look {
    match form::look(path) {
        Ok(Form::Pack(kind)) => Look::Pack(kind),
        Ok(Form::Refused(what)) => Look::Refused(what),
        Ok(Form::File(bytes)) if dicomdir::begins_one(&bytes) => Look::Index,
        Ok(Form::File(bytes)) => Look::Instance(if heads { head(bytes) } else { None }),
        Err(e) => Look::Unreadable(e),
    }
}

/// What the first bytes say; nothing when a parser fails on them.
pub(super) fn head(bytes: Vec<u8>) -> Option<Head> {
    crate::trouble::without_panic(|| Head::read(bytes)).ok()?.ok()
}

fn modified(meta: &Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())
}

fn identity(meta: &Metadata) -> Vec<u8> {
    [meta.dev().to_le_bytes(), meta.ino().to_le_bytes()].concat()
}

pub(super) fn cannot_read(path: &Path, error: &io::Error) -> Walked {
    Walked::Trouble(file_line("cannot read", path, &reason(error), hint_for(error)))
}

fn note(path: &Path, what: &str) -> Walked {
    Walked::Note(file_line("note", path, &what, None))
}
