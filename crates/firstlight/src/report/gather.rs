//! What the report tells, taken from a folder that `convert` or `migrate` wrote, or from an archive. No value of an instance is in it but modality,
//! transfer syntax and UID.

use crate::failure::Failure;
use archive::{Archive, Decision, Fault, FaultKind, Pass, State, Unservable, Unserved};
use files::{Outcome, Record, chain::Head, proofs, records};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use transcode::{Class, Quarantined, Tally, general_reason, reason_class};

/// Failures that are listed one by one.
const LISTED: usize = 200;
/// Instances taken from an archive at once.
const PAGE: usize = 5000;

/// All that the page shows.
#[derive(Debug, Default)]
pub struct Facts {
    pub place: String,
    /// Of an archive: what is served, not a folder of files.
    pub archive: bool,
    pub converted: u64,
    pub kept: u64,
    pub pending: u64,
    /// Conversions that failed, and files that the environment kept from being read or written.
    pub failed: u64,
    /// DICOM that can't be read.
    pub unreadable: u64,
    /// Kept as they came because something is wrong in them.
    pub damaged: u64,
    /// Of the instances that were converted.
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Of those that were kept.
    pub bytes_kept: u64,
    pub seconds: f64,
    pub modalities: BTreeMap<String, Modality>,
    /// Rule, reason.
    pub reasons: BTreeMap<(String, String), u64>,
    pub failures: Vec<Case>,
    /// When each conversion was done, in seconds since 1970, and the bytes it read.
    pub done: Vec<(i64, u64)>,
    pub opinions: BTreeMap<Class, Tally>,
    pub quarantine: Vec<Quarantined>,
    pub scrub: Option<Pass>,
    pub faults: Vec<Fault>,
    /// The files of records and of evidence.
    pub heads: Vec<Head>,
}

#[derive(Debug, Default)]
pub struct Modality {
    pub converted: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub seconds: f64,
}

/// One failure, and the way to it.
#[derive(Debug)]
pub struct Case {
    pub kind: &'static str,
    pub what: String,
    pub place: String,
    pub next: String,
}

impl Facts {
    /// Of a folder that `convert` or `migrate` wrote.
    pub fn of_folder(root: &Path, state: &Path) -> Result<Facts, Failure> {
        let mut facts = Facts { place: root.display().to_string(), ..Facts::default() };
        for record in last_records(state)?.into_values() {
            facts.add_record(record);
        }
        facts.add_heads(state)?;
        facts.opinions = proofs::opinions(state);
        let quarantine = proofs::quarantine(state);
        facts.quarantine = quarantine
            .list()
            .map_err(|e| Failure::new(format!("cannot read the quarantine of {}: {e}", root.display())))?;
        facts.add_quarantine(root);
        Ok(facts)
    }

    fn add_record(&mut self, record: Record) {
        let out = record.bytes_out.unwrap_or(0);
        match record.outcome {
            Outcome::Converted => {
                self.add_converted(record.modality.as_deref(), record.bytes_in, out, record.seconds, record.finished);
            }
            Outcome::Kept => {
                self.kept += 1;
                self.bytes_kept += record.bytes_in;
                let reason = record.reason.as_deref().unwrap_or("no reason was recorded");
                self.add_reason(record.rule.as_deref().unwrap_or("-"), reason);
                if is_damage(reason) {
                    self.damaged += 1;
                    self.add_file("kept", record);
                }
            }
            Outcome::Unreadable => {
                self.unreadable += 1;
                self.add_file("unreadable", record);
            }
            Outcome::Failed => {
                self.failed += 1;
                self.add_file("failed", record);
            }
            Outcome::Skipped => {}
        }
    }

    /// A file that needs a look.
    fn add_file(&mut self, kind: &'static str, record: Record) {
        let path = record.source.display().to_string();
        let next = match kind {
            "failed" => "run the same command again".to_owned(),
            _ => format!("firstlight inspect '{path}'"),
        };
        self.add_case(Case { kind, what: record.reason.unwrap_or_default(), next, place: path });
    }

    fn add_heads(&mut self, state: &Path) -> Result<(), Failure> {
        self.heads = files::heads(state).map_err(|e| Failure::io("read the records in", state, &e))?;
        for head in &self.heads {
            for trouble in &head.troubles {
                self.failures.push(Case {
                    kind: "record",
                    what: trouble.what.to_string(),
                    place: format!("line {} of {}", trouble.line, head.file.display()),
                    next: "bring the file back from a backup".into(),
                });
            }
        }
        Ok(())
    }

    fn add_converted(
        &mut self,
        modality: Option<&str>,
        bytes_in: u64,
        bytes_out: u64,
        seconds: f64,
        done: Option<i64>,
    ) {
        self.converted += 1;
        self.bytes_in += bytes_in;
        self.bytes_out += bytes_out;
        self.seconds += seconds;
        let name = modality.filter(|name| !name.is_empty() && name.len() <= 16).unwrap_or("none");
        let of = self.modalities.entry(name.to_owned()).or_default();
        of.converted += 1;
        of.bytes_in += bytes_in;
        of.bytes_out += bytes_out;
        of.seconds += seconds;
        self.done.extend(done.map(|at| (at, bytes_in)));
    }

    fn add_reason(&mut self, rule: &str, reason: &str) {
        *self.reasons.entry((rule.to_owned(), general_reason(reason))).or_default() += 1;
    }

    fn add_case(&mut self, case: Case) {
        if self.failures.len() < LISTED {
            self.failures.push(case);
        }
    }

    fn add_quarantine(&mut self, dir: &Path) {
        for n in 0..self.quarantine.len() {
            let entry = &self.quarantine[n];
            let next = format!(
                "firstlight quarantine show {} --data '{}'",
                &entry.name[..12.min(entry.name.len())],
                dir.display()
            );
            let place = format!("SOP instance {}", entry.sop_instance_uid);
            let what = entry.reason.clone();
            self.add_case(Case { kind: "disproved", what, place, next });
        }
    }

    /// Of an archive.
    pub fn of_archive(archive: &Archive, dir: &Path) -> Result<Facts, Failure> {
        let mut facts = Facts::read_archive(archive, dir).map_err(|e| {
            Failure::new(format!("cannot read the archive: {e}"))
                .hint("firstlight scrub finds and names what is damaged")
        })?;
        // What import and migrate did not get into it, no index knows.
        let state = dir.join(files::STATE_DIR);
        for record in last_records(&state)?.into_values().filter(|record| record.destination.is_none()) {
            facts.add_record(record);
        }
        facts.add_heads(&state)?;
        Ok(facts)
    }

    fn add_unserved(&mut self, object: Unserved) {
        self.bytes_kept += object.bytes;
        if object.why == Unservable::NoInstance {
            self.kept += 1;
            return self.add_reason("not served", &object.reason);
        }
        self.unreadable += 1;
        let place = object.source.display().to_string();
        let next = format!("kept as the object {}", object.object_id);
        self.add_case(Case { kind: "unreadable", what: object.reason, place, next });
    }

    fn read_archive(archive: &Archive, dir: &Path) -> Result<Facts, archive::Error> {
        let mut facts = Facts { place: dir.display().to_string(), archive: true, ..Facts::default() };
        let stats = archive.stats()?;
        let mut after = 0;
        loop {
            // Only the last conversion of an instance counts for what is stored; all of them took their time.
            let page = archive.evidence_after(after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for evidence in page.iter().map(|evidence| &evidence.proof) {
                let seconds = evidence.milliseconds as f64 / 1000.0;
                let modality = Some(evidence.modality.as_str());
                facts.add_converted(modality, evidence.bytes_in, evidence.bytes_out, seconds, Some(evidence.made));
            }
        }
        (facts.pending, facts.kept, facts.failed) = (stats.pending, stats.kept, stats.failed);
        facts.bytes_kept = stats.received_bytes.saturating_sub(facts.bytes_in);
        each_decision(archive, State::Kept, |decision| facts.add_reason(&decision.rule, &decision.reason))?;
        each_decision(archive, State::Failed, |decision| {
            let disproved = matches!(reason_class(&decision.reason), "verification" | "second-opinion");
            if !disproved {
                facts.add_case(Case {
                    kind: "failed",
                    next: format!("tried {}; served as it was received", times(decision.attempts.into())),
                    place: format!("SOP instance {}", decision.key.sop),
                    what: decision.reason,
                });
            }
        })?;
        archive.unserved()?.into_iter().for_each(|object| facts.add_unserved(object));
        let figures = archive.figures()?;
        facts.opinions = figures.opinions.into_iter().collect();
        facts.scrub = figures.scrub;
        facts.quarantine = archive.quarantine().list()?;
        facts.add_quarantine(dir);
        facts.faults = archive.faults()?;
        for fault in &facts.faults {
            let next = match fault.kind {
                FaultKind::Missing | FaultKind::Object => "bring the object back from a backup, then scrub again",
                FaultKind::Samples => "firstlight evidence shows what it was; the received object is the way back",
                FaultKind::Evidence | FaultKind::Index => "bring the index back from a backup, then scrub again",
            };
            let place = format!("{} {}", fault.kind.name(), fault.name);
            facts.failures.push(Case { kind: "fault", what: fault.what.clone(), place, next: next.into() });
        }
        Ok(facts)
    }

    /// What a person should look at, but for the quarantine.
    pub fn to_look_at(&self) -> u64 {
        self.failed + self.unreadable + self.damaged + self.faults.len() as u64
    }

    /// The share of bytes saved of what was converted, in percent.
    pub fn saved_percent(&self) -> f64 {
        if self.bytes_in == 0 {
            0.0
        } else {
            100.0 * (self.bytes_in as f64 - self.bytes_out as f64) / self.bytes_in as f64
        }
    }
}

fn each_decision(archive: &Archive, state: State, mut each: impl FnMut(Decision)) -> Result<(), archive::Error> {
    let mut offset = 0;
    loop {
        let page = archive.decisions(state, offset, PAGE)?;
        offset += page.len();
        if page.is_empty() {
            return Ok(());
        }
        page.into_iter().for_each(&mut each);
    }
}

/// What was last said of each source.
fn last_records(state: &Path) -> Result<HashMap<PathBuf, Record>, Failure> {
    records::last(state).map_err(|e| Failure::io("read the records in", state, &e))
}

/// Does the reason say that something is wrong in the file itself?
fn is_damage(reason: &str) -> bool {
    const WORDS: [&str; 5] = ["truncated", "malformed", "over the limit", "internal error", "damaged"];
    WORDS.iter().any(|word| reason.contains(word))
}

fn times(n: u64) -> String {
    match n {
        1 => "once".into(),
        2 => "twice".into(),
        n => format!("{n} times"),
    }
}
