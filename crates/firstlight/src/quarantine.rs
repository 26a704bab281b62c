//! `firstlight quarantine`: what failed a check, what can't be read, what is kept and not served, and where its bytes are.

use crate::failure::{Exit, Failure};
use crate::kept::{self, Kept};
use crate::settings::look::Quarantine as Asked;
use crate::units::{bytes, count, time};
use archive::Unservable;
use dicom::TransferSyntax;
use files::{
    Outcome, names,
    proofs::{self, Entry},
};
use serde_json::json;
use std::path::{Path, PathBuf};
use transcode::{Quarantine, Quarantined};

/// Runs the command.
pub fn run(set: Asked) -> Result<Exit, Failure> {
    match set {
        Asked::List { folder, json } => list(&folder, json),
        Asked::Show { folder, name } => show(&of(&folder)?.0, &name),
    }
}

/// What can't be read, or is kept and not served.
struct Aside {
    /// `unreadable` or `kept`.
    kind: &'static str,
    /// The object of an archive, or the file below a folder.
    place: PathBuf,
    sha256: String,
    source: Option<PathBuf>,
    reason: String,
    bytes: u64,
    made: i64,
}

/// The wrong conversions of an archive or a folder, and what else lies aside.
fn of(dir: &Path) -> Result<(Quarantine, Vec<Aside>), Failure> {
    match kept::open(dir)? {
        Kept::Archive(archive) => {
            let unserved = archive.unserved().map_err(|e| Failure::new(e.to_string()))?;
            let aside = unserved.into_iter().map(|object| Aside {
                kind: if object.why == Unservable::Unreadable { "unreadable" } else { "kept" },
                place: ["objects", &object.object_id[..2], &object.object_id[2..]].iter().collect(),
                sha256: object.object_id,
                source: Some(object.source),
                reason: object.reason,
                bytes: object.bytes,
                made: object.stored,
            });
            Ok((Quarantine::new(dir.join("quarantine"), Quarantine::LIMIT), aside.collect()))
        }
        Kept::Folder { state, .. } => {
            let mut aside = Vec::new();
            let asked = |entry: &Entry| !matches!(entry, Entry::Proof(_));
            let read = proofs::standing(&state, asked, |entry, _| {
                let Entry::Copy(copy) = entry else { return };
                if copy.outcome == Outcome::Unreadable {
                    aside.push(Aside {
                        kind: "unreadable",
                        place: copy.file,
                        sha256: copy.file_sha256,
                        source: copy.source,
                        reason: copy.reason.unwrap_or_default(),
                        bytes: copy.bytes,
                        made: copy.made,
                    });
                }
            });
            read.map_err(|e| Failure::io("read the evidence in", &state, &e))?;
            Ok((proofs::quarantine(&state), aside))
        }
    }
}

fn entries(quarantine: &Quarantine) -> Result<Vec<Quarantined>, Failure> {
    quarantine.list().map_err(|e| Failure::new(format!("cannot read {}: {e}", quarantine.folder().display())))
}

fn list(dir: &Path, json: bool) -> Result<Exit, Failure> {
    let (quarantine, aside) = of(dir)?;
    let entries = entries(&quarantine)?;
    for entry in &entries {
        if json {
            println!("{}", serde_json::to_string(entry).unwrap_or_default());
        } else {
            println!("{}  {}  {:>8}  {}", entry.name, time(entry.made), bytes(entry.bytes), entry.reason);
        }
    }
    for aside in &aside {
        println!("{}", if json { aside.json() } else { aside.line() });
    }
    let unreadable = aside.iter().filter(|aside| aside.kind == "unreadable").count();
    if !json {
        let mut parts = vec![format!("{} in quarantine", count(entries.len() as u64, "conversion"))];
        parts.extend((unreadable > 0).then(|| format!("{unreadable} unreadable")));
        parts.extend((aside.len() > unreadable).then(|| format!("{} kept and not served", aside.len() - unreadable)));
        eprintln!("{}", parts.join(", "));
    }
    Ok(if entries.is_empty() && unreadable == 0 { Exit::Well } else { Exit::Refused })
}

impl Aside {
    fn line(&self) -> String {
        let source = self.source.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
        format!(
            "{}  {}  {:>8}  {}: {}: {}",
            &self.sha256[..32.min(self.sha256.len())],
            time(self.made),
            bytes(self.bytes),
            self.kind,
            source.escape_debug(),
            self.reason.escape_debug()
        )
    }

    fn json(&self) -> String {
        let mut json = json!({
            "kind": self.kind, "name": self.sha256, "place": names::shown(&self.place), "reason": self.reason,
            "bytes": self.bytes, "made": self.made,
        });
        let paths = [("source", self.source.as_deref()), ("place", Some(&*self.place))];
        for (name, path) in paths {
            json[name] = path.map(names::shown).into();
            if let Some(bytes) = path.and_then(names::bytes_of) {
                json[format!("{name}_bytes")] = bytes.into();
            }
        }
        json.to_string()
    }
}

fn show(quarantine: &Quarantine, name: &str) -> Result<Exit, Failure> {
    let entries = entries(quarantine)?;
    let found: Vec<&Quarantined> = entries.iter().filter(|entry| entry.name.starts_with(name)).collect();
    let [entry] = found[..] else {
        let failure = Failure::new(format!("{} entries of the quarantine are called {name}", found.len()));
        return Err(failure.hint("firstlight quarantine list shows their names"));
    };
    let syntax = |uid: &str| TransferSyntax::new(uid).name().to_owned();
    let wrong = match entry.kept {
        true => quarantine.file(entry).display().to_string(),
        false => "not kept: the quarantine was full".to_owned(),
    };
    for (title, value) in [
        ("entry", entry.name.clone()),
        ("when", time(entry.made)),
        ("reason", entry.reason.clone()),
        ("rule", entry.rule.clone()),
        ("codec", entry.codec.clone()),
        ("source", entry.source.clone()),
        ("source SHA-256", entry.source_sha256.clone()),
        ("SOP instance", entry.sop_instance_uid.clone()),
        ("was", syntax(&entry.source_transfer_syntax)),
        ("was to become", syntax(&entry.transfer_syntax)),
        ("wrong file", wrong),
        ("its bytes", entry.bytes.to_string()),
        ("its SHA-256", entry.sha256.clone()),
    ] {
        println!("{title:<15} {value}");
    }
    Ok(Exit::Well)
}
