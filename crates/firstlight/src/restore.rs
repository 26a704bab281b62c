//! `firstlight restore FILE|UID -o OUT`: the file that came in, byte for byte.
//!
//! A file that `convert` or `migrate` wrote finds its residue in the `.firstlight/residue` of the destination it lies in, or beside it as
//! FILE.residue. An archive has its own. What is written is compared by its SHA-256 before it gets its name, so OUT is whole or not there.

use crate::failure::{Exit, Failure, file_line, without_panic};
use crate::settings::look::Restore;
use crate::units::{bytes, count};
use archive::{Archive, InstanceKey, Options};
use dicom::{Source, Uid};
use files::{
    Outcome, Record,
    proofs::{self, Held},
    records::{self, LogLine},
    residue_path,
};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use transcode::{Residue, RestoreError};

/// A residue is never larger.
const MOST: u64 = 64 << 20;

/// Why nothing was restored.
enum Stopped {
    /// It is wrong with the file: exit code 1.
    Wrong(Failure),
    /// Usage or environment: exit code 2.
    Environment(Failure),
}

/// Runs the command.
pub fn run(set: &Restore) -> Result<Exit, Failure> {
    let done = if set.what.exists() { from_file(set) } else { from_archive(set) };
    match done {
        Ok(exit) => Ok(exit),
        Err(Stopped::Environment(failure)) => Err(failure),
        Err(Stopped::Wrong(failure)) => {
            failure.print();
            Ok(Exit::Refused)
        }
    }
}

fn from_file(set: &Restore) -> Result<Exit, Stopped> {
    let file = std::path::absolute(&set.what).map_err(|e| cannot("read", &set.what, &e))?;
    if file.is_dir() {
        let failure = Failure::new(format!("{} is a folder", file.display()));
        return Err(Stopped::Environment(failure.hint("name a file that `convert` wrote, or with --data a UID")));
    }
    let residue = match set.residue.clone().or_else(|| find_residue(&file)) {
        Some(path) => read_residue(&path)?,
        None => return give_back_kept(&file, set),
    };
    let restored = write(set.out.as_deref(), set.force, &mut |out| {
        let restored = without_panic(|| {
            let object = Source::open(&file)?;
            residue.restore(&object, out)
        });
        restored.map_err(|panic| wrong(&file, panic))?.map_err(|e| cannot_restore(&file, e))
    });
    restored?;
    tell(&residue.original_sha256(), residue.original_len(), set.out.as_deref());
    Ok(Exit::Well)
}

/// The residue in the memory of a destination above, or beside the file.
fn find_residue(file: &Path) -> Option<PathBuf> {
    let mut above = destinations(file).map(|(folder, below)| residue_path(&folder.join("residue"), &below));
    above.find(|path| path.is_file()).or_else(|| {
        let beside = residue_path(file.parent()?, Path::new(file.file_name()?));
        beside.is_file().then_some(beside)
    })
}

/// `.firstlight` of each destination above a file, and the path of the file below that destination.
fn destinations(file: &Path) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let above = file.ancestors().skip(1).filter(|folder| folder.join(files::STATE_DIR).is_dir());
    above.filter_map(|folder| Some((folder.join(files::STATE_DIR), file.strip_prefix(folder).ok()?.to_owned())))
}

fn read_residue(path: &Path) -> Result<Residue, Stopped> {
    let size = fs::metadata(path).map_err(|e| cannot("read", path, &e))?.len();
    if size > MOST {
        return Err(wrong(path, "it is too large for a residue"));
    }
    let stored = fs::read(path).map_err(|e| cannot("read", path, &e))?;
    Residue::parse(stored).map_err(|e| cannot_restore(path, e))
}

/// What a destination remembers of a file.
struct Remembered {
    outcome: Outcome,
    /// SHA-256 of the file as it was written, where that is known.
    sha256: Option<String>,
    no_way_back: Option<String>,
    source: Option<PathBuf>,
    deidentified: bool,
}

/// A file without a residue may be what came in itself.
fn give_back_kept(file: &Path, set: &Restore) -> Result<Exit, Stopped> {
    let sha256 = hash_of(file).map_err(|e| cannot("read", file, &e))?;
    let known = remembered(file, &sha256)?.ok_or_else(|| {
        let failure = Failure::new(format!("{} has no residue, and no destination remembers it", file.display()));
        let hint = "restore it where `convert` or `migrate` wrote it, or name its residue with --residue";
        Stopped::Wrong(failure.hint(hint))
    })?;
    if known.deidentified {
        let failure = Failure::new(format!("{}: no way back, on purpose: it was de-identified", file.display()));
        return Err(Stopped::Wrong(failure.hint("who holds the key and the original knows which one it is")));
    }
    if known.outcome == Outcome::Converted {
        let why = known.no_way_back.unwrap_or_else(|| "its residue is missing".into());
        let failure = Failure::new(format!("{}: no way back: {why}", file.display()));
        return Err(Stopped::Wrong(match known.source {
            Some(source) => failure.hint(format!("it was made from {}: that file is the original", source.display())),
            None => failure.hint("the file it was made from is the original"),
        }));
    }
    if known.sha256.as_ref() != Some(&sha256) {
        let failure = Failure::new(format!("{} is not what was kept: it was changed since", file.display()));
        return Err(Stopped::Wrong(failure.hint("bring it back from a backup, or from where it came")));
    }
    let mut len = 0;
    write(set.out.as_deref(), set.force, &mut |out| {
        let mut from = File::open(file).map_err(|e| cannot("read", file, &e))?;
        let mut hash = Hashing { out, hash: Sha256::new() };
        len = io::copy(&mut from, &mut hash).map_err(|e| cannot("write what is restored from", file, &e))?;
        if hex(&hash.hash.finalize()) == sha256 { Ok(()) } else { Err(wrong(file, "it changed while it was read")) }
    })?;
    eprintln!("note: {} was kept as it came: it is its own way back", file.display());
    tell(&sha256, len, set.out.as_deref());
    Ok(Exit::Well)
}

/// What a destination above remembers of a file: by its place, or where the file was moved, by its bytes. The evidence knows
/// best; a destination of an earlier version has only records of what it kept.
fn remembered(file: &Path, sha256: &str) -> Result<Option<Remembered>, Stopped> {
    for (folder, below) in destinations(file) {
        let (mut here, mut same) = (None, None);
        let asked = |entry: &proofs::Entry| entry.file() == below || entry.sha256() == sha256;
        let read = proofs::standing(&folder, asked, |entry, held| {
            let found = if entry.file() == below { &mut here } else { &mut same };
            *found = Some(Remembered::of_evidence(held.clone()));
        });
        read.map_err(|e| cannot("read the evidence in", &folder, &e))?;
        let same = same.filter(|known: &Remembered| known.outcome != Outcome::Converted);
        if let Some(known) = here.or(same).or_else(|| recorded(&folder, file, sha256)) {
            return Ok(Some(known));
        }
    }
    Ok(None)
}

fn recorded(folder: &Path, file: &Path, sha256: &str) -> Option<Remembered> {
    let mut found = None;
    for told in records::read(folder).map_while(Result::ok) {
        let LogLine::Record { record, .. } = told else { continue };
        let here = record.destination.as_deref() == Some(file);
        let same = record.outcome == Outcome::Kept && record.source_sha256.as_deref() == Some(sha256);
        if here || (same && found.is_none()) {
            found = Some(Remembered::of_record(*record));
        }
    }
    found
}

impl Remembered {
    fn of_evidence(held: Held) -> Remembered {
        Remembered {
            outcome: held.outcome,
            sha256: Some(hex(&held.sha256)),
            no_way_back: held.no_way_back,
            source: held.source,
            deidentified: held.deidentified,
        }
    }

    fn of_record(record: Record) -> Remembered {
        Remembered {
            outcome: record.outcome,
            sha256: record.source_sha256,
            no_way_back: record.no_way_back,
            source: Some(record.source),
            deidentified: record.deidentified.is_some(),
        }
    }
}

fn from_archive(set: &Restore) -> Result<Exit, Stopped> {
    let uid = set.what.to_string_lossy();
    let is_uid = Uid::parse(&uid).is_some();
    let Some(data) = set.data.as_deref().filter(|_| is_uid) else {
        let hint = if is_uid { "to restore by UID, say --data DIR" } else { "check the path" };
        return Err(Stopped::Environment(Failure::new(format!("{uid} is not there")).hint(hint)));
    };
    if !archive::is_there(data) {
        let failure = crate::kept::no_archive(data);
        return Err(Stopped::Environment(failure.hint("--data names the folder that `serve` keeps")));
    }
    let broken = |e: archive::Error| Stopped::Environment(Failure::new(format!("the archive {}: {e}", data.display())));
    let archive = Archive::open(data, Options::default()).map_err(broken)?;
    let keys = archive.named(&uid).map_err(broken)?;
    match &keys[..] {
        [] => Err(Stopped::Wrong(Failure::new(format!("no instance, series or study {uid} in {}", data.display())))),
        [key] if key.sop == *uid => one(&archive, key, set.out.as_deref(), set.force).map(|()| Exit::Well),
        keys => Ok(many(&archive, keys, set)),
    }
}

/// Every instance of a series or study; goes on after one that can't be restored.
fn many(archive: &Archive, keys: &[InstanceKey], set: &Restore) -> Exit {
    let mut exit = Exit::Well;
    for key in keys {
        let place = set.out.as_deref().map(|out| {
            out.join(&hex(&Sha256::digest(&key.series))[..16])
                .join(format!("{}.dcm", &hex(&Sha256::digest(&key.sop))[..16]))
        });
        let folder = place
            .as_deref()
            .and_then(Path::parent)
            .map_or(Ok(()), |folder| fs::create_dir_all(folder).map_err(|e| cannot("make", folder, &e)));
        match folder.and_then(|()| one(archive, key, place.as_deref(), set.force)) {
            Ok(()) => {}
            Err(Stopped::Wrong(failure)) => {
                failure.print();
                exit = exit.max(Exit::Refused);
            }
            Err(Stopped::Environment(failure)) => {
                failure.print();
                exit = exit.max(Exit::Environment);
            }
        }
    }
    eprintln!("{} named", count(keys.len() as u64, "instance"));
    exit
}

fn one(archive: &Archive, key: &InstanceKey, out: Option<&Path>, force: bool) -> Result<(), Stopped> {
    let mut done = None;
    write(out, force, &mut |to| {
        let restored = archive.restore(key, to).map_err(|e| {
            let failure = Failure::new(format!("{}: {e}", key.sop));
            Stopped::Wrong(failure.hint("what was received is kept where there is no way back to it: see the error"))
        });
        done = Some(restored?);
        Ok(())
    })?;
    if let Some(done) = done {
        tell(&done.sha256, done.bytes, out);
    }
    Ok(())
}

/// Lets `fill` write a file that gets its name only when it is whole and synced; without a name its bytes go nowhere.
fn write(
    out: Option<&Path>,
    force: bool,
    fill: &mut dyn FnMut(&mut dyn Write) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let Some(out) = out else { return fill(&mut io::sink()) };
    if !force && fs::symlink_metadata(out).is_ok() {
        let failure = Failure::new(format!("{} is there already", out.display()));
        return Err(Stopped::Environment(failure.hint("choose another name, or say --force to replace it")));
    }
    let out = std::path::absolute(out).map_err(|e| cannot("write", out, &e))?;
    let folder = out.parent().unwrap_or(Path::new("/"));
    let mut file = unfinished(folder).map_err(|e| cannot("write to", folder, &e))?;
    let mut buffer = BufWriter::with_capacity(256 << 10, file.as_file_mut());
    fill(&mut buffer)?;
    buffer.flush().map_err(|e| cannot("write", &out, &e))?;
    drop(buffer);
    file.as_file().sync_all().map_err(|e| cannot("write", &out, &e))?;
    let placed = if force { file.persist(&out) } else { file.persist_noclobber(&out) };
    placed.map_err(|e| cannot("write", &out, &e.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| cannot("write to", folder, &e))
}

#[cfg(unix)]
fn unfinished(folder: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let usual = fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(".firstlight-").permissions(usual).tempfile_in(folder)
}

#[cfg(not(unix))]
fn unfinished(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".firstlight-").tempfile_in(folder)
}

fn tell(sha256: &str, len: u64, out: Option<&Path>) {
    match out {
        Some(out) => println!("{sha256}  {}: {}, as it came in", out.display(), bytes(len)),
        None => println!("{sha256}  {} can be restored; nothing was written without -o", bytes(len)),
    }
}

fn cannot(doing: &str, path: &Path, error: &io::Error) -> Stopped {
    Stopped::Environment(Failure::io(doing, path, error))
}

fn wrong(path: &Path, what: impl std::fmt::Display) -> Stopped {
    Stopped::Wrong(Failure::new(file_line("cannot restore", path, &what, None)))
}

fn cannot_restore(path: &Path, error: RestoreError) -> Stopped {
    let hint = match &error {
        RestoreError::Write(e) => return cannot("write what is restored from", path, e),
        RestoreError::NotAResidue | RestoreError::Damaged(_) => {
            "bring the residue back from a backup, or convert the original once more"
        }
        RestoreError::Version(_) => "use the version of firstlight that wrote it, or a newer one",
        RestoreError::OtherObject { .. } => {
            "restore needs the very file that was converted: bring it back, or name its own residue with --residue"
        }
        RestoreError::Different => "please report it with this file and its residue, if they may be shared",
        _ => "`firstlight verify` shows whether the file can be decoded",
    };
    Stopped::Wrong(Failure::new(file_line("cannot restore", path, &error, None)).hint(hint))
}

/// Hashes what passes through.
struct Hashing<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn hash_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
