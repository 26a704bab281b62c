//! `firstlight evidence`: what proves that instances are what their sources were, and whether their files still are.

use crate::failure::{Exit, Failure};

use crate::kept::{self, Kept};
use crate::output::Stdout;
use crate::settings::look::Evidence as Asked;
use crate::units::{bytes, count, time};
use archive::{Archive, Evidence};
use dicom::TransferSyntax;
use files::{
    Outcome, Proof,
    names::bytes_of,
    proofs::{self, Entry, Held, Ledger},
};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use transcode::Opinion;

/// Evidence taken from an archive at once.
const PAGE: usize = 1000;

/// Runs the command.
pub fn run(set: Asked) -> Result<Exit, Failure> {
    let mut out = Out::new(&set);
    let data = set.data;
    if set.what.is_empty() {
        out.all(&kept::folder(None, data)?)?;
        return out.end();
    }
    for path in &set.what {
        if path.is_dir() {
            out.folder(path)?;
        } else if path.is_file() {
            out.file(path)?;
        } else {
            out.instance(&path.to_string_lossy(), &kept::folder(None, data.clone())?)?;
        }
    }
    out.end()
}

enum Form {
    Table,
    Json,
    Csv,
}

/// How the file stands that the evidence speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nobody looked.
    Unknown,
    Same,
    Differs,
    Missing,
}

struct Out {
    form: Form,
    to: BufWriter<Stdout>,
    exit: Exit,
    shown: u64,
    proven: u64,
    kept: u64,
    unreadable: u64,
    wrong: u64,
    missing: u64,
}

impl Out {
    fn new(set: &Asked) -> Out {
        let form = match (set.json, set.csv) {
            (true, _) => Form::Json,
            (_, true) => Form::Csv,
            _ => Form::Table,
        };
        let to = BufWriter::new(Stdout);
        Out { form, to, exit: Exit::Well, shown: 0, proven: 0, kept: 0, unreadable: 0, wrong: 0, missing: 0 }
    }

    /// A destination, or a folder below one.
    fn folder(&mut self, path: &Path) -> Result<(), Failure> {
        let own = archive::is_there(path) || path.join(files::STATE_DIR).is_dir();
        let full = path.canonicalize().map_err(|e| Failure::io("read", path, &e))?;
        let above = full.ancestors().skip(1).find(|dir| dir.join(files::STATE_DIR).is_dir());
        let Some(root) = above.filter(|_| !own) else { return self.all(path) };
        let below = full.strip_prefix(root).unwrap_or(path);
        let before = self.shown;
        self.files(root, |entry| entry.file().starts_with(below))?;
        if self.shown == before {
            self.none(path, "there is no evidence of any file in it");
        }
        Ok(())
    }

    fn all(&mut self, dir: &Path) -> Result<(), Failure> {
        match kept::open(dir)? {
            Kept::Archive(archive) => {
                let mut after = 0;
                loop {
                    let page = archive.evidence_after(after, PAGE).map_err(|e| self.unreadable(&archive, &e))?;
                    let Some(last) = page.last() else { return Ok(()) };
                    after = last.id;
                    page.iter().try_for_each(|evidence| self.show(&of_archive(evidence), Standing::Unknown))?;
                }
            }
            Kept::Folder { root, .. } => self.files(&root, |_| true),
        }
    }

    /// The evidence of files of a destination, each looked at.
    fn files(&mut self, root: &Path, asked: impl Fn(&Entry) -> bool) -> Result<(), Failure> {
        let mut failed = Ok(());
        self.read(&root.join(files::STATE_DIR), asked, |out, entry, held| {
            if failed.is_ok() {
                failed = look(&root.join(entry.file()), entry.sha256()).and_then(|standing| match standing {
                    // A run ended before it got its place; the next one takes that back.
                    Standing::Missing | Standing::Differs if held.pending => Ok(()),
                    standing => out.show(&entry, standing),
                });
            }
        })?;
        failed
    }

    /// The evidence of a file, and whether the file is still what it speaks of.
    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let told = |what: String| Failure::new(format!("{}: {what}", path.display()));
        let root = kept::root_of(path).ok_or_else(|| {
            told("no folder above it was written by convert".into()).hint("of an archive, name the SOP Instance UID")
        })?;
        let sha256 = hash_of(path).map_err(|e| Failure::io("read", path, &e))?;
        let full = path.canonicalize().map_err(|e| Failure::io("read", path, &e))?;
        let below = full.strip_prefix(&root).unwrap_or(path).to_owned();
        let (mut here, mut same) = (None, None);
        let asked = |entry: &Entry| entry.file() == below || entry.sha256() == sha256;
        self.read(&root.join(files::STATE_DIR), asked, |_, entry, _| {
            let found = if entry.file() == below { &mut here } else { &mut same };
            *found = Some(entry);
        })?;
        match here.or(same) {
            Some(entry) => {
                let standing = if entry.sha256() == sha256 { Standing::Same } else { Standing::Differs };
                self.show(&entry, standing)
            }
            None => {
                self.none(path, "there is no evidence: it is not of this folder, or was kept by an earlier version");
                Ok(())
            }
        }
    }

    fn instance(&mut self, uid: &str, dir: &Path) -> Result<(), Failure> {
        let before = self.shown;
        match kept::open(dir)? {
            Kept::Archive(archive) => {
                let found = archive.evidence_of(uid).map_err(|e| Failure::new(e.to_string()))?;
                found.iter().try_for_each(|evidence| self.show(&of_archive(evidence), Standing::Unknown))?;
            }
            Kept::Folder { root, .. } => self.files(&root, |entry| entry.sop_instance_uid() == Some(uid))?,
        }
        if self.shown == before {
            eprintln!("note: {}: no evidence of such an instance in {}", uid.escape_debug(), dir.display());
            self.exit = self.exit.max(Exit::Refused);
        }
        Ok(())
    }

    fn none(&mut self, path: &Path, what: &str) {
        eprintln!("note: {}: {what}", path.display());
        self.exit = self.exit.max(Exit::Refused);
    }

    /// The lines of a folder that are asked for and stand.
    fn read(
        &mut self,
        state: &Path,
        asked: impl Fn(&Entry) -> bool,
        mut each: impl FnMut(&mut Out, Entry, &Held),
    ) -> Result<(), Failure> {
        let read = proofs::standing(state, asked, |entry, held| each(self, entry, held));
        let Ledger { troubles, .. } = read.map_err(|e| Failure::io("read the evidence in", state, &e))?;
        for trouble in troubles {
            eprintln!("damaged: line {} of {}: {}", trouble.line, state.join("evidence.jsonl").display(), trouble.what);
            self.exit = self.exit.max(Exit::Refused);
        }
        Ok(())
    }

    fn unreadable(&self, _archive: &Archive, error: &archive::Error) -> Failure {
        Failure::new(error.to_string()).hint("firstlight scrub --data DIR finds and names what is damaged")
    }

    fn show(&mut self, entry: &Entry, standing: Standing) -> Result<(), Failure> {
        self.shown += 1;
        match (standing, entry) {
            (Standing::Differs, _) => self.wrong += 1,
            (Standing::Missing, _) => self.missing += 1,
            (_, Entry::Proof(_)) => self.proven += 1,
            (_, Entry::Copy(copy)) if copy.outcome == Outcome::Unreadable => self.unreadable += 1,
            (_, _) => self.kept += 1,
        }
        if matches!(standing, Standing::Differs | Standing::Missing) {
            self.exit = self.exit.max(Exit::Refused);
            if !matches!(self.form, Form::Table) {
                let what = if standing == Standing::Missing { "it is not there" } else { "it is not what was proven" };
                eprintln!("wrong: {}: {what}", entry.file().display());
            }
        }
        let written = match self.form {
            Form::Json => entry.json().map_err(io::Error::from).map(|json| json + "\n"),
            Form::Csv => Ok(csv(entry, self.shown == 1)),
            Form::Table => Ok(line(entry, standing)),
        };
        written
            .and_then(|text| self.to.write_all(text.as_bytes()))
            .map_err(|e| Failure::new(format!("cannot print: {e}")))
    }

    fn end(mut self) -> Result<Exit, Failure> {
        self.to.flush().map_err(|e| Failure::new(format!("cannot print: {e}")))?;
        if matches!(self.form, Form::Table) {
            let mut parts = vec![format!("{} proven", count(self.proven, "instance"))];
            let more = [
                (self.kept, "kept, by the hash of their bytes"),
                (self.unreadable, "unreadable, by the hash of their bytes"),
                (self.missing, "NOT THERE"),
            ];
            parts.extend(more.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
            if self.wrong > 0 {
                parts.push(format!("{} NOT what was proven", count(self.wrong, "instance")));
            }
            eprintln!("{}", parts.join(", "));
        }
        Ok(self.exit)
    }
}

fn look(path: &Path, sha256: &str) -> Result<Standing, Failure> {
    match hash_of(path) {
        Ok(found) if found == sha256 => Ok(Standing::Same),
        Ok(_) => Ok(Standing::Differs),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Standing::Missing),
        Err(e) => Err(Failure::io("read", path, &e)),
    }
}

fn hash_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Evidence of an archive in the shape of that of a folder.
fn of_archive(evidence: &Evidence) -> Entry {
    let file = Path::new("objects").join(&evidence.proof.file_sha256);
    let evidence = evidence.proof.clone();
    Entry::Proof(Box::new(Proof { file, source: None, residue: None, no_way_back: None, evidence }))
}

fn line(entry: &Entry, standing: Standing) -> String {
    let whole = match standing {
        Standing::Unknown => "",
        Standing::Same => "  the file is what was proven",
        Standing::Differs => "  THE FILE IS NOT WHAT WAS PROVEN",
        Standing::Missing => "  THE FILE IS NOT THERE",
    };
    let proof = match entry {
        Entry::Proof(proof) => proof,
        Entry::Copy(copy) => {
            let word = match copy.outcome {
                Outcome::Converted => "converted and de-identified",
                Outcome::Unreadable => "unreadable, as it came",
                _ if copy.deidentified => "de-identified",
                _ => "kept as it came",
            };
            let reason = copy.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let uid = copy.sop_instance_uid.as_deref().unwrap_or("-");
            let (made, size, name) = (time(copy.made), bytes(copy.bytes), copy.file.display());
            return format!("{made}  --  {uid:<40}  {:>12}  {size:>8}  {name} {word}{reason}{whole}\n", "");
        }
        Entry::Withdrawn { .. } => return String::new(),
    };
    let agreed = proof.evidence.frames.iter().filter(|frame| matches!(frame.opinion, Opinion::Agreed(_))).count();
    format!(
        "{}  {:<2}  {:<40}  {:>12}  {:>8} -> {:>8}  {}, by {} ({} of them seen by another decoder){whole}\n",
        time(proof.evidence.made),
        proof.evidence.modality,
        proof.evidence.sop_instance_uid,
        count(proof.evidence.frames.len() as u64, "frame"),
        bytes(proof.evidence.bytes_in),
        bytes(proof.evidence.bytes_out),
        TransferSyntax::new(&*proof.evidence.transfer_syntax).name(),
        proof.evidence.codec,
        agreed,
    )
}

/// One row for each frame; `file_bytes` holds all bytes of a name that is no UTF-8.
fn csv(entry: &Entry, head: bool) -> String {
    let mut out = String::new();
    if head {
        out.push_str(
            "file,sop_instance_uid,modality,frame,sha256_before,sha256_after,length,level_ends,level_crc32,\
             second_opinion,source_transfer_syntax,transfer_syntax,codec,rule,policy,made,host,file_bytes\n",
        );
    }
    let Entry::Proof(proof) = entry else { return out };
    for (n, frame) in (1..).zip(&proof.evidence.frames) {
        let joined = |texts: Vec<String>| texts.join(" ");
        let opinion = match &frame.opinion {
            Opinion::NotAsked => "not asked".to_owned(),
            Opinion::Agreed(decoder) => format!("agreed: {decoder}"),
            Opinion::Without(why) => format!("none: {why}"),
        };
        let cells: [String; 18] = [
            proof.file.display().to_string(),
            proof.evidence.sop_instance_uid.clone(),
            proof.evidence.modality.clone(),
            n.to_string(),
            frame.sha256_before.clone(),
            frame.sha256_after.clone(),
            frame.length.to_string(),
            joined(frame.levels.iter().map(|level| level.end.to_string()).collect()),
            joined(frame.levels.iter().filter_map(|l| l.crc32).map(|crc| format!("{crc:08x}")).collect()),
            opinion,
            proof.evidence.source_transfer_syntax.clone(),
            proof.evidence.transfer_syntax.clone(),
            proof.evidence.codec.clone(),
            proof.evidence.rule.clone(),
            proof.evidence.policy.clone(),
            time(proof.evidence.made),
            proof.evidence.host.clone(),
            bytes_of(&proof.file).unwrap_or_default(),
        ];
        out.push_str(&cells.map(|cell| quoted(&cell)).join(","));
        out.push('\n');
    }
    out
}

/// A cell; a formula is not one in a spreadsheet.
fn quoted(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}
