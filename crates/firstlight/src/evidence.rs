//! `firstlight evidence`: what proves that converted instances are what their sources were.

use crate::args::EvidenceFlags;
use crate::failure::{Exit, Failure};
use crate::kept::{self, Kept};
use crate::units::{bytes, count, time};
use archive::{Archive, Evidence};
use migrate::Proof;
use migrate::proofs::{self, Line};
use std::collections::HashMap;
use std::io::{BufWriter, Write, stdout};
use std::path::{Path, PathBuf};
use transcode::{Opinion, Source, TransferSyntax};

/// Evidence taken from an archive at once.
const PAGE: usize = 1000;

/// Runs the command.
pub fn run(flags: EvidenceFlags, data: Option<PathBuf>) -> Result<Exit, Failure> {
    let mut out = Out::new(&flags);
    let data = flags.data.or(data);
    if flags.what.is_empty() {
        out.all(&kept::folder(None, data)?)?;
        return out.end();
    }
    for what in &flags.what {
        let path = Path::new(what);
        if path.is_dir() {
            out.all(path)?;
        } else if path.is_file() {
            out.file(path)?;
        } else {
            out.instance(what, &kept::folder(None, data.clone())?)?;
        }
    }
    out.end()
}

enum Form {
    Table,
    Json,
    Csv,
}

struct Out {
    form: Form,
    to: BufWriter<std::io::Stdout>,
    exit: Exit,
    shown: u64,
}

impl Out {
    fn new(flags: &EvidenceFlags) -> Out {
        let form = match (flags.json, flags.csv) {
            (true, _) => Form::Json,
            (_, true) => Form::Csv,
            _ => Form::Table,
        };
        Out { form, to: BufWriter::new(stdout()), exit: Exit::Well, shown: 0 }
    }

    fn all(&mut self, dir: &Path) -> Result<(), Failure> {
        match kept::open(dir)? {
            Kept::Archive(archive) => {
                let mut after = 0;
                loop {
                    let page = archive.evidence_after(after, PAGE).map_err(|e| self.unreadable(&archive, &e))?;
                    let Some(last) = page.last() else { return Ok(()) };
                    after = last.id;
                    page.iter().try_for_each(|evidence| self.show(&of_archive(evidence), None))?;
                }
            }
            Kept::Folder { state, .. } => {
                let proofs = self.read(&state, |_| true)?;
                proofs.iter().try_for_each(|proof| self.show(proof, None))
            }
        }
    }

    /// The evidence of a file, and whether the file is still what it speaks of.
    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let told = |what: String| Failure::new(format!("{}: {what}", path.display()));
        let root = kept::root_of(path).ok_or_else(|| {
            told("no folder above it was written by convert".into()).hint("of an archive, name the SOP Instance UID")
        })?;
        let source = Source::open(path).map_err(|e| told(e.to_string()))?;
        let sha256 = source.sha256().map_err(|e| told(e.to_string()))?.to_string();
        let full = path.canonicalize().map_err(|e| Failure::io("read", path, &e))?;
        let below = full.strip_prefix(&root).unwrap_or(path).to_owned();
        let proofs =
            self.read(&root.join(migrate::KEPT), |proof| proof.file == below || proof.evidence.file_sha256 == sha256)?;
        let Some(proof) = proofs.last() else {
            eprintln!(
                "note: {}: there is no evidence: it was kept as it came, or is not of this folder",
                path.display()
            );
            self.exit = self.exit.max(Exit::Refused);
            return Ok(());
        };
        if proof.evidence.file_sha256 != sha256 {
            self.exit = self.exit.max(Exit::Refused);
        }
        self.show(proof, Some(proof.evidence.file_sha256 == sha256))
    }

    fn instance(&mut self, uid: &str, dir: &Path) -> Result<(), Failure> {
        let found = match kept::open(dir)? {
            Kept::Archive(archive) => {
                let found = archive.evidence_of(uid).map_err(|e| Failure::new(e.to_string()))?;
                found.iter().map(of_archive).collect()
            }
            Kept::Folder { state, .. } => self.read(&state, |proof| proof.evidence.sop_instance_uid == uid)?,
        };
        if found.is_empty() {
            eprintln!("note: {}: no evidence of such an instance in {}", uid.escape_debug(), dir.display());
            self.exit = self.exit.max(Exit::Refused);
        }
        found.iter().try_for_each(|proof| self.show(proof, None))
    }

    /// The lines of a folder that are asked for; of a file that was written again the last one.
    fn read(&mut self, state: &Path, asked: impl Fn(&Proof) -> bool) -> Result<Vec<Proof>, Failure> {
        let unreadable = |e: &std::io::Error| Failure::io("read the evidence in", state, e);
        let lines = match proofs::evidence(state) {
            Ok(lines) => lines,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(unreadable(&e)),
        };
        let (mut places, mut proofs) = (HashMap::new(), Vec::<Proof>::new());
        for line in lines {
            match line.map_err(|e| unreadable(&e))? {
                Line::Proof(proof) if asked(&proof) => match places.insert(proof.file.clone(), proofs.len()) {
                    Some(at) => {
                        places.insert(proof.file.clone(), at);
                        proofs[at] = *proof;
                    }
                    None => proofs.push(*proof),
                },
                Line::Proof(_) => {}
                Line::Damaged(n) => {
                    eprintln!(
                        "damaged: line {n} of {} is not what was written",
                        state.join("evidence.jsonl").display()
                    );
                    self.exit = self.exit.max(Exit::Refused);
                }
            }
        }
        Ok(proofs)
    }

    fn unreadable(&self, _archive: &Archive, error: &archive::Error) -> Failure {
        Failure::new(error.to_string()).hint("firstlight scrub --data DIR finds and names what is damaged")
    }

    fn show(&mut self, proof: &Proof, same: Option<bool>) -> Result<(), Failure> {
        self.shown += 1;
        let written = match self.form {
            Form::Json => serde_json::to_string(proof).map_err(std::io::Error::from).map(|json| json + "\n"),
            Form::Csv => Ok(csv(proof, self.shown == 1)),
            Form::Table => Ok(line(proof, same)),
        };
        written
            .and_then(|text| self.to.write_all(text.as_bytes()))
            .map_err(|e| Failure::new(format!("cannot print: {e}")))
    }

    fn end(mut self) -> Result<Exit, Failure> {
        self.to.flush().map_err(|e| Failure::new(format!("cannot print: {e}")))?;
        if matches!(self.form, Form::Table) {
            eprintln!("{} proven", count(self.shown, "instance"));
        }
        Ok(self.exit)
    }
}

/// Evidence of an archive in the shape of that of a folder.
fn of_archive(evidence: &Evidence) -> Proof {
    let file = Path::new("objects").join(&evidence.proof.file_sha256);
    Proof { file, evidence: evidence.proof.clone() }
}

fn line(proof: &Proof, same: Option<bool>) -> String {
    let agreed = proof.evidence.frames.iter().filter(|frame| matches!(frame.opinion, Opinion::Agreed(_))).count();
    let whole = match same {
        None => "",
        Some(true) => "  the file is what was proven",
        Some(false) => "  THE FILE IS NOT WHAT WAS PROVEN",
    };
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

/// One row for each frame.
fn csv(proof: &Proof, head: bool) -> String {
    let mut out = String::new();
    if head {
        out.push_str(
            "file,sop_instance_uid,modality,frame,sha256_before,sha256_after,length,level_ends,level_crc32,\
             second_opinion,source_transfer_syntax,transfer_syntax,codec,rule,policy,made,host\n",
        );
    }
    for (n, frame) in (1..).zip(&proof.evidence.frames) {
        let joined = |texts: Vec<String>| texts.join(" ");
        let opinion = match &frame.opinion {
            Opinion::NotAsked => "not asked".to_owned(),
            Opinion::Agreed(decoder) => format!("agreed: {decoder}"),
            Opinion::Without(why) => format!("none: {why}"),
        };
        let cells: [String; 17] = [
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
