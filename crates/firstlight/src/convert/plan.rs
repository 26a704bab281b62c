//! What is to be converted, and where each file goes: walked, mirrored and checked for collisions before anything is
//! written.

use crate::args::Layout;
use crate::failure::{Failure, file_line, hint_for, reason};
use crate::settings;
use crate::units::count;
use migrate::{Item, Target, dicomdir};
use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use transcode::Source;

/// The files to be converted.
#[derive(Debug)]
pub struct Plan {
    /// The destination folder, absolute.
    pub destination: PathBuf,
    pub items: Vec<Item>,
    pub troubles: Vec<Trouble>,
}

/// Something in the sources that can't be walked.
#[derive(Debug)]
pub struct Trouble {
    path: PathBuf,
    what: String,
    hint: Option<&'static str>,
    /// Whether it changes the exit code; a note does not.
    pub counts: bool,
}

impl Trouble {
    fn io(path: &Path, error: &io::Error) -> Self {
        Trouble { path: path.to_owned(), what: reason(error), hint: hint_for(error), counts: true }
    }

    fn note(path: &Path, what: impl Into<String>) -> Self {
        Trouble { path: path.to_owned(), what: what.into(), hint: None, counts: false }
    }

    /// The line a user reads.
    pub fn line(&self) -> String {
        file_line(if self.counts { "cannot read" } else { "note" }, &self.path, &self.what, self.hint)
    }
}

impl Plan {
    /// Walks the sources. A source that is not there, two files that would have the same place, or a place that is
    /// itself a source are errors.
    pub fn make(set: &settings::Convert) -> Result<Plan, Failure> {
        let destination =
            std::path::absolute(&set.destination).map_err(|e| Failure::io("use", &set.destination, &e))?;
        if destination.exists() && !destination.is_dir() {
            let line = format!("{} is there and is not a folder", destination.display());
            return Err(Failure::new(line).hint("the last argument is the folder that receives the converted files"));
        }
        let mut walked = Walk::default();
        for source in &set.sources {
            walk(source, Some(&destination), &mut walked)?;
        }
        let Walk { mut found, troubles, .. } = walked;
        if set.layout == Layout::Mirror {
            check_places(&mut found, &destination)?;
        }
        let target = |relative| if set.layout == Layout::Mirror { Target::Mirror(relative) } else { Target::Study };
        let items = found
            .into_iter()
            .map(|f| Item { source: f.path, copy: None, target: target(f.relative), bytes: f.bytes })
            .collect();
        Ok(Plan { destination, items, troubles })
    }

    /// Bytes of all sources.
    pub fn bytes(&self) -> u64 {
        self.items.iter().map(|item| item.bytes).sum()
    }
}

/// A regular file below one of the sources.
#[derive(Debug)]
pub struct Found {
    /// Absolute path.
    pub path: PathBuf,
    /// Path below its source.
    pub relative: PathBuf,
    pub bytes: u64,
}

/// Files found so far.
#[derive(Debug, Default)]
pub struct Walk {
    pub found: Vec<Found>,
    pub troubles: Vec<Trouble>,
    folders: HashSet<(u64, u64)>,
}

/// Adds what `source` names: a file, a folder with all below it (but not `outside`), or the files of a DICOMDIR.
pub fn walk(source: &Path, outside: Option<&Path>, into: &mut Walk) -> Result<(), Failure> {
    let source = std::path::absolute(source).map_err(|e| Failure::io("read", source, &e))?;
    let meta = fs::metadata(&source).map_err(|e| Failure::io("read", &source, &e))?;
    into.folders.clear();
    if meta.is_dir() {
        let outside = outside.and_then(|path| path.canonicalize().ok());
        if outside.is_some() && outside == source.canonicalize().ok() {
            let line = format!("{} is both source and destination", source.display());
            return Err(Failure::new(line).hint("choose another destination: sources are never written to"));
        }
        walk_folder(source, outside.as_deref(), into);
    } else if is_dicomdir(&source) {
        walk_dicomdir(&source, meta.len(), into)?;
    } else {
        let relative = source.file_name().map(PathBuf::from).unwrap_or_default();
        into.found.push(Found { path: source, relative, bytes: meta.len() });
    }
    Ok(())
}

fn walk_folder(root: PathBuf, outside: Option<&Path>, into: &mut Walk) {
    let mut waiting = vec![(root, PathBuf::new())];
    while let Some((folder, relative)) = waiting.pop() {
        let entries = match sorted_entries(&folder) {
            Ok(entries) => entries,
            Err(e) => {
                into.troubles.push(Trouble::io(&folder, &e));
                continue;
            }
        };
        let mut below = Vec::new();
        for name in entries {
            let (path, relative) = (folder.join(&name), relative.join(&name));
            match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => below.push((path, relative, meta)),
                Ok(meta) if meta.is_file() => into.found.push(Found { path, relative, bytes: meta.len() }),
                Ok(_) => into.troubles.push(Trouble::note(&path, "neither a file nor a folder, left out")),
                Err(e) => into.troubles.push(Trouble::io(&path, &e)),
            }
        }
        // The stack gives them back in order.
        for (path, relative, meta) in below.into_iter().rev() {
            if outside.is_some_and(|out| path.canonicalize().is_ok_and(|real| real == out)) {
                into.troubles.push(Trouble::note(&path, "the destination, left out of the sources"));
            } else if path.file_name().is_some_and(|name| name == migrate::KEPT) {
                into.troubles.push(Trouble::note(&path, "what Firstlight keeps beside a destination, left out"));
            } else if into.folders.insert(identity(&meta)) {
                waiting.push((path, relative));
            } else {
                into.troubles
                    .push(Trouble::note(&path, "leads to a folder that is walked already, not followed again"));
            }
        }
    }
}

fn sorted_entries(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

#[cfg(unix)]
fn identity(meta: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

fn is_dicomdir(path: &Path) -> bool {
    let named =
        path.file_name().is_some_and(|name| name.to_string_lossy().to_ascii_uppercase().starts_with("DICOMDIR"));
    named && Source::open(path).is_ok_and(|source| dicomdir::is_one(&source))
}

fn walk_dicomdir(path: &Path, bytes: u64, into: &mut Walk) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let unreadable = |e: transcode::Error| {
        Failure::new(format!("cannot read {}: {e}", path.display())).hint("name the folder instead")
    };
    let source = Source::open(path).map_err(unreadable)?;
    let (files, strays) = dicomdir::referenced_files(&source, folder).map_err(unreadable)?;
    for stray in strays {
        into.troubles.push(Trouble {
            counts: true,
            ..Trouble::note(path, format!("names \"{}\", which is not below it", stray.escape_debug()))
        });
    }
    let mut seen = HashSet::new();
    for file in files {
        if !seen.insert(file.clone()) {
            continue;
        }
        let relative = file.strip_prefix(folder).unwrap_or(&file).to_owned();
        match fs::metadata(&file) {
            Ok(meta) if meta.is_file() => into.found.push(Found { path: file, relative, bytes: meta.len() }),
            Ok(_) => into
                .troubles
                .push(Trouble { counts: true, ..Trouble::note(&file, "named by the DICOMDIR, not a file") }),
            Err(e) => into.troubles.push(Trouble::io(&file, &e)),
        }
    }
    let relative = path.file_name().map(PathBuf::from).unwrap_or_default();
    into.found.push(Found { path: path.to_owned(), relative, bytes });
    Ok(())
}

/// Two files with one place, or a file where another needs a folder; a place that is itself a source.
fn check_places(found: &mut Vec<Found>, destination: &Path) -> Result<(), Failure> {
    let mut order: Vec<&Found> = found.iter().collect();
    order.sort_by(|a, b| a.relative.components().cmp(b.relative.components()).then_with(|| a.path.cmp(&b.path)));
    let mut clashes =
        order.windows(2).filter(|pair| pair[1].relative.starts_with(&pair[0].relative) && pair[0].path != pair[1].path);
    if let Some(pair) = clashes.next() {
        let more = match clashes.count() as u64 {
            0 => String::new(),
            n => format!(" (and {})", count(n, "more collision")),
        };
        let place = destination.join(&pair[0].relative);
        let line = format!(
            "{} and {} would both become {}{more}",
            pair[0].path.display(),
            pair[1].path.display(),
            place.display()
        );
        return Err(
            Failure::new(line).hint("convert them into different folders, or use --layout study; nothing was written")
        );
    }
    if let Ok(real) = destination.canonicalize() {
        let sources: HashSet<PathBuf> = found.iter().filter_map(|f| f.path.canonicalize().ok()).collect();
        let hit = found.iter().map(|f| real.join(&f.relative)).find(|place| sources.contains(place));
        if let Some(place) = hit {
            let line = format!("{} is a source and would be written to", place.display());
            return Err(Failure::new(line).hint("choose another destination: sources are never written to"));
        }
    }
    let mut seen = HashSet::new();
    found.retain(|f| seen.insert(f.path.clone()));
    Ok(())
}
