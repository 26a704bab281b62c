//! Folders, walked as a stream: what is still to be entered is in the journal, not in memory.

use super::form::{self, Form};
use super::{CHUNK, Scan, ScanEvent, date, or_dash, pack};
use crate::error::{Error, Usage};
use crate::journal::{Found, Kind};
use dicom::{Head, Source};
use files::{Advice, Notice, NoticeKind, dicomdir, notice::reason};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Walks a folder, the files of a DICOMDIR, a packed file, or takes one file.
pub(super) fn walk(scan: &mut Scan, path: &Path) -> Result<(), Error> {
    let meta = fs::metadata(path).map_err(Error::io("read", path))?;
    if meta.is_dir() {
        scan.journal.add_folders(scan.source, &[(path.to_owned(), PathBuf::new(), identity(&meta))])?;
        return walk_folders(scan);
    }
    if dicomdir::named_so(path) && Source::open(path).is_ok_and(|source| dicomdir::is_one(&source)) {
        return walk_dicomdir(scan, path);
    }
    let relative = path.file_name().map(PathBuf::from).unwrap_or_default();
    look_into(scan, vec![Entry { path: path.to_owned(), relative, meta, kind: Kind::File }], true)
}

fn walk_folders(scan: &mut Scan) -> Result<(), Error> {
    while let Some(folder) = scan.journal.next_folder(scan.source)? {
        match fs::read_dir(&folder.path) {
            Ok(entries) => {
                scan.indexes.enter(&folder.path, folder.relative.components().count());
                enter(scan, entries, &folder.path, &folder.relative)?;
            }
            Err(e) => (scan.told)(cannot_read(&folder.path, &e)),
        }
        if scan.stopped() {
            return Ok(());
        }
        scan.journal.entered(folder.id)?;
    }
    Ok(())
}

fn enter(scan: &mut Scan, entries: fs::ReadDir, folder: &Path, relative: &Path) -> Result<(), Error> {
    let mut entries = entries.peekable();
    while entries.peek().is_some() && !scan.stopped() {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in entries.by_ref().take(CHUNK) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    (scan.told)(cannot_read(folder, &e));
                    continue;
                }
            };
            let (path, relative) = (entry.path(), relative.join(entry.file_name()));
            match fs::metadata(&path) {
                Ok(meta) if meta.is_file() => {
                    let kind = if scan.indexes.names(&path) { Kind::Listed } else { Kind::File };
                    files.push(Entry { path, relative, meta, kind });
                }
                Ok(meta) if meta.is_dir() => {
                    if scan.outside.is_some() && path.canonicalize().ok() == scan.outside {
                        (scan.told)(note(&path, "the destination, left out of the sources"));
                    } else if entry.file_name() == files::STATE_DIR {
                        (scan.told)(note(&path, "what Firstlight keeps beside a destination, left out"));
                    } else {
                        folders.push((path, relative, identity(&meta)));
                    }
                }
                Ok(_) => (scan.told)(note(&path, "neither a file nor a folder, left out")),
                Err(e) => (scan.told)(cannot_read(&path, &e)),
            }
        }
        for seen in scan.journal.add_folders(scan.source, &folders)? {
            (scan.told)(note(&seen, "leads to a folder that is walked already, not followed again"));
        }
        look_into(scan, files, false)?;
    }
    Ok(())
}

fn walk_dicomdir(scan: &mut Scan, path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let unreadable = |error: dicom::Error| Error::from(Usage::BadDicomdir { path: path.to_owned(), error });
    let source = Source::open(path).map_err(unreadable)?;
    let (mut files, strays) = dicomdir::referenced_files(&source, folder).map_err(unreadable)?;
    for stray in strays {
        let what = format!("names \"{}\", which is not below it", stray.escape_debug());
        (scan.told)(ScanEvent::Trouble(Notice::new(NoticeKind::CannotRead, path, what)));
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
                Ok(_) => {
                    let what = "named by the DICOMDIR, not a file";
                    (scan.told)(ScanEvent::Trouble(Notice::new(NoticeKind::CannotRead, path, what)));
                }
                Err(e) => (scan.told)(cannot_read(path, &e)),
            }
        }
        look_into(scan, there, false)?;
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
fn look_into(scan: &mut Scan, files: Vec<Entry>, named: bool) -> Result<(), Error> {
    let mut new = Vec::new();
    for file in files {
        if !scan.journal.knows(&file.path, 0, file.meta.len(), modified(&file.meta))? {
            new.push(file);
        }
    }
    let heads = scan.heads;
    let each = new.len().div_ceil(scan.jobs.max(1)).max(1);
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
            Look::Instance(head) => found.push(instance(scan, file, head.as_ref())),
            Look::Index => found.push(Found { modality: dicomdir::MODALITY.into(), ..instance(scan, file, None) }),
            Look::Refused(what) => {
                let what = format!("{what}, which is not read here");
                let notice = Notice::new(NoticeKind::Refused, &file.path, what).advise(Advice::Unpack);
                (scan.told)(ScanEvent::Trouble(notice));
            }
            Look::Pack(kind) => {
                // A packed file that the user named is a folder of its own; found in a folder, it is one below it.
                let base = if named { PathBuf::new() } else { file.relative.clone() };
                pack::walk(scan, kind, &file.path, modified(&file.meta), &base)?;
            }
            Look::Unreadable(e) => (scan.told)(cannot_read(&file.path, &e)),
        }
    }
    scan.add(found)
}

fn instance(scan: &Scan, file: &Entry, head: Option<&Head>) -> Found {
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
        place: scan.mirror.then(|| file.relative.clone()),
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
    files::without_panic(|| Head::read(bytes)).ok()?.ok()
}

fn modified(meta: &Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())
}

fn identity(meta: &Metadata) -> Vec<u8> {
    [meta.dev().to_le_bytes(), meta.ino().to_le_bytes()].concat()
}

pub(super) fn cannot_read(path: &Path, error: &io::Error) -> ScanEvent {
    ScanEvent::Trouble(Notice::new(NoticeKind::CannotRead, path, reason(error)).advise(Advice::on(error)))
}

fn note(path: &Path, what: &str) -> ScanEvent {
    ScanEvent::Note(Notice::new(NoticeKind::Note, path, what))
}
