//! The table at the end: one row per rule, columns that line up.

use crate::failure::Exit;
use crate::units;
use files::{Done, Outcome, Record};
use std::collections::BTreeMap;
use std::fmt;

/// Counts of one run.
#[derive(Debug)]
pub struct Summary {
    rules: BTreeMap<String, Row>,
    unreadable: u64,
    skipped: u64,
    failed: u64,
    walked: u64,
    disproved: u64,
    dry_run: bool,
    ways: Ways,
}

/// What leads back from converted files to their sources.
#[derive(Debug, Default)]
struct Ways {
    files: u64,
    bytes_in: u64,
    bytes: u64,
    none: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Row {
    converted: u64,
    kept: u64,
    unchanged: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Summary {
    pub fn new(dry_run: bool) -> Summary {
        Summary {
            rules: BTreeMap::new(),
            unreadable: 0,
            skipped: 0,
            failed: 0,
            walked: 0,
            disproved: 0,
            dry_run,
            ways: Ways::default(),
        }
    }

    /// Counts a folder or file that the walk could not read.
    pub fn environment(&mut self, counts: bool) {
        self.walked += u64::from(counts);
    }

    /// Counts a file.
    pub fn add(&mut self, done: &Done) {
        let record = &done.record;
        self.disproved += u64::from(record.disproved.is_some());
        match record.outcome {
            Outcome::Unreadable => self.unreadable += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Converted | Outcome::Kept => {
                let row = self.rules.entry(record.rule.clone().unwrap_or_default()).or_default();
                row.converted += u64::from(record.outcome == Outcome::Converted);
                row.kept += u64::from(record.outcome == Outcome::Kept);
                row.unchanged += u64::from(record.unchanged);
                self.ways.add(record);
                row.bytes_in += record.bytes_in;
                row.bytes_out += record.bytes_out.unwrap_or(record.bytes_in);
            }
        }
    }

    /// Files counted so far.
    pub fn files(&self) -> u64 {
        self.total().files() + self.unreadable + self.skipped + self.failed
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        if self.failed + self.walked > 0 {
            Exit::Environment
        } else if self.unreadable + self.disproved > 0 {
            Exit::Refused
        } else {
            Exit::Well
        }
    }

    fn total(&self) -> Row {
        self.rules.values().fold(Row::default(), |a, b| Row {
            converted: a.converted + b.converted,
            kept: a.kept + b.kept,
            unchanged: a.unchanged + b.unchanged,
            bytes_in: a.bytes_in + b.bytes_in,
            bytes_out: a.bytes_out + b.bytes_out,
        })
    }

    fn last_line(&self) -> String {
        let mut parts = vec![format!("{} converted", self.total().converted), format!("{} kept", self.total().kept)];
        parts.push(format!("{} unreadable", self.unreadable));
        parts.push(format!("{} skipped (not DICOM)", self.skipped));
        if self.failed + self.walked > 0 {
            parts.push(format!("{} failed", self.failed + self.walked));
        }
        if self.disproved > 0 {
            parts.push(format!("{} failed a check and kept (firstlight quarantine list)", self.disproved));
        }
        if self.total().unchanged > 0 {
            parts.push(format!("{} of them done before", self.total().unchanged));
        }
        parts.join(", ") + if self.dry_run { "; nothing was written" } else { "" }
    }
}

impl Ways {
    fn add(&mut self, record: &Record) {
        if let Some(bytes) = record.residue_bytes {
            self.files += 1;
            self.bytes_in += record.bytes_in;
            self.bytes += bytes;
        }
        self.none += u64::from(record.no_way_back.is_some());
    }

    fn line(&self) -> Option<String> {
        way_back_line((self.files, self.bytes, self.bytes_in), self.none)
    }
}

/// How many converted files have a way back (so many files, its bytes, those of the sources), and how many have none.
pub fn way_back_line((files, bytes, bytes_in): (u64, u64, u64), none: u64) -> Option<String> {
    if files + none == 0 {
        return None;
    }
    let cost = match files {
        0 => String::new(),
        _ => format!(": {} beside {}", units::bytes(bytes), units::bytes(bytes_in)),
    };
    Some(format!("way back for {files} of {} converted{cost}", files + none))
}

impl Row {
    fn files(&self) -> u64 {
        self.converted + self.kept
    }

    fn cells(&self, name: &str, dry_run: bool) -> Vec<String> {
        let mut cells =
            vec![name.to_owned(), self.files().to_string(), self.converted.to_string(), self.kept.to_string()];
        cells.push(units::bytes(self.bytes_in));
        if !dry_run {
            cells.push(units::bytes(self.bytes_out));
            cells.push(units::saved(self.bytes_in, self.bytes_out));
        }
        cells
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut titles = vec!["rule", "files", "converted", "kept", "read"];
        if !self.dry_run {
            titles.extend(["written", "saved"]);
        }
        let mut rows = vec![titles.into_iter().map(str::to_owned).collect::<Vec<_>>()];
        rows.extend(self.rules.iter().map(|(name, row)| row.cells(name, self.dry_run)));
        if self.rules.len() != 1 {
            rows.push(self.total().cells("total", self.dry_run));
        }
        write!(f, "{}", units::table(&rows, 1))?;
        writeln!(f, "{}", self.last_line())?;
        self.ways.line().map_or(Ok(()), |line| writeln!(f, "{line}"))
    }
}
