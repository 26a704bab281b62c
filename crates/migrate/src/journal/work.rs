//! What is to be done, and what became of it.

use super::paths::{bytes_of, path_of};
use super::{Journal, Kind, remember};
use crate::Error;
use files::{Outcome, dicomdir::MODALITY};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An item to be done.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its number.
    pub id: i64,
    /// Its place in the order.
    pub rank: i64,
    /// How it is reached.
    pub kind: Kind,
    /// As found: its `path`.
    pub path: PathBuf,
    /// As found: its `part`.
    pub part: u64,
    /// As found: its `name`.
    pub name: Vec<u8>,
    /// Path below the destination.
    pub place: Option<PathBuf>,
    /// Size, as far as it is known.
    pub bytes: u64,
    /// What an earlier run wrote for it.
    pub became: Option<PathBuf>,
}

/// What became of an item.
#[derive(Debug)]
pub struct Ended<'a> {
    /// The item.
    pub id: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// The file that was written.
    pub became: Option<&'a PathBuf>,
    /// Why it was kept, can't be read, was skipped, or failed.
    pub reason: Option<&'a str>,
    /// Size of the source, now that it was read.
    pub bytes: u64,
    /// Bytes of the source less those of what was written.
    pub saved: i64,
    /// How long it took.
    pub seconds: f64,
    /// What leads back from a converted file to its source.
    pub way: Way,
}

/// What leads back from a converted file to its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It was not asked for, or is not needed.
    None,
    /// So many bytes of residue.
    Residue(u64),
    /// Nothing does.
    Never,
}

/// What came of a sampled item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It is converted or kept.
    Well = 0,
    /// It is converted, and nothing leads back.
    OneWay = 1,
    /// It can't be read.
    Unreadable = 2,
}

/// Counts over a journal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Items that wait, and their bytes.
    pub waiting: (u64, u64),
    /// Items that were converted, and their bytes.
    pub converted: (u64, u64),
    /// Items that were kept as they came, and their bytes.
    pub kept: (u64, u64),
    /// DICOM that can't be read.
    pub unreadable: u64,
    /// Not DICOM.
    pub skipped: u64,
    /// The environment was in the way.
    pub failed: u64,
    /// Bytes of sources less those of what was written.
    pub saved: i64,
    /// Why items were kept.
    pub reasons: BTreeMap<String, u64>,
    /// Why items could not be read, or failed.
    pub troubles: BTreeMap<String, u64>,
    /// Converted items that something leads back from, and the bytes of that; their bytes as they came.
    pub ways: (u64, u64, u64),
    /// Converted items that nothing leads back from.
    pub one_way: u64,
}

impl Row {
    /// What a user calls it.
    pub fn shown(&self) -> PathBuf {
        super::found::shown(self.kind, &self.path, &self.name)
    }

    /// Is it a file by itself?
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File | Kind::Listed)
    }

    /// Does a DICOMDIR name it?
    pub fn is_listed(&self) -> bool {
        self.kind == Kind::Listed
    }

    /// It names others, and is done after them.
    pub fn is_index(&self) -> bool {
        self.rank == super::LAST
    }
}

impl Counts {
    /// Items of any kind.
    pub fn items(&self) -> u64 {
        self.waiting.0 + self.done()
    }

    /// Items that are done with.
    pub fn done(&self) -> u64 {
        self.converted.0 + self.kept.0 + self.unreadable + self.skipped + self.failed
    }

    /// Bytes of all items.
    pub fn bytes(&self) -> u64 {
        self.waiting.1 + self.converted.1 + self.kept.1
    }

    /// Bytes of what was converted or kept.
    pub fn done_bytes(&self) -> u64 {
        self.converted.1 + self.kept.1
    }

    fn because(&mut self, state: i64, reason: &str, items: u64) {
        let reasons = match state {
            2 => &mut self.reasons,
            3 | 5 => &mut self.troubles,
            _ => return,
        };
        let class: String = transcode::general_reason(reason).chars().take(120).collect();
        let known = reasons.len() < REASONS || reasons.contains_key(&class);
        *reasons.entry(if known { class } else { "other reasons".into() }).or_default() += items;
    }

    fn put(&mut self, state: i64, items: u64, bytes: u64, saved: i64) {
        self.saved += saved;
        match state {
            0 => self.waiting = (self.waiting.0 + items, self.waiting.1 + bytes),
            1 => self.converted = (self.converted.0 + items, self.converted.1 + bytes),
            2 => self.kept = (self.kept.0 + items, self.kept.1 + bytes),
            3 => self.unreadable += items,
            4 => self.skipped += items,
            _ => self.failed += items,
        }
    }

    /// Counts an item that waited with `bytes` and is done.
    pub(crate) fn add(&mut self, ended: &Ended, waited_bytes: u64) {
        self.waiting = (self.waiting.0.saturating_sub(1), self.waiting.1.saturating_sub(waited_bytes));
        self.put(state(ended.outcome), 1, ended.bytes, ended.saved);
        self.because(state(ended.outcome), ended.reason.unwrap_or_default(), 1);
        match ended.way {
            Way::None => {}
            Way::Never => self.one_way += 1,
            Way::Residue(bytes) => {
                self.ways = (self.ways.0 + 1, self.ways.1 + bytes, self.ways.2 + ended.bytes);
            }
        }
    }
}

/// Reasons that are counted apart.
const REASONS: usize = 200;

fn state(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Converted => 1,
        Outcome::Kept => 2,
        Outcome::Unreadable => 3,
        Outcome::Skipped => 4,
        Outcome::Failed => 5,
    }
}

impl Journal {
    /// What failed in earlier runs waits again.
    pub fn retry_failed(&self, sources: &[i64]) -> Result<(), Error> {
        self.db.execute(&format!("UPDATE items SET state = 0 WHERE state = 5 AND {}", among(sources)), [])?;
        Ok(())
    }

    /// Indexes of other items wait again where any of the others waits.
    pub fn renew_indexes(&self, sources: &[i64]) -> Result<(), Error> {
        let among = among(sources);
        let sql = format!(
            "UPDATE items SET state = 0 WHERE state IN (1, 2) AND modality = '{MODALITY}' AND {among} \
             AND EXISTS (SELECT 1 FROM items WHERE state = 0 AND {among})"
        );
        self.db.execute(&sql, [])?;
        Ok(())
    }

    /// The next items of the sources after `after` (rank and number) in the order of the migration.
    pub fn next(&self, sources: &[i64], after: (i64, i64), limit: usize) -> Result<Vec<Row>, Error> {
        let sql = format!(
            "SELECT id, rank, kind, path, part, name, place, bytes, became FROM items INDEXED BY items_waiting \
             WHERE state = 0 AND (rank, id) > (?, ?) AND {} ORDER BY rank, id LIMIT ?",
            among(sources)
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let rows = statement.query_map(params![after.0, after.1, limit], row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Records what became of items, and how far the log is with their lines; on the storage when this returns.
    pub fn end(&mut self, ended: &[Ended], log: &Mark) -> Result<(), Error> {
        let transaction = self.db.transaction()?;
        {
            let sql = "UPDATE items SET state = ?, became = ?, reason = ?, bytes = ?, saved = ?, seconds = ?, way = ? WHERE id = ?";
            let mut end = transaction.prepare_cached(sql)?;
            for item in ended {
                let became = item.became.map(|path| bytes_of(path));
                end.execute(params![
                    state(item.outcome),
                    became,
                    item.reason,
                    item.bytes,
                    item.saved,
                    item.seconds,
                    item.way.number(),
                    item.id
                ])?;
            }
        }
        remember(&transaction, "log", &log.bytes.to_string())?;
        remember(&transaction, "head", &log.head)?;
        transaction.commit()?;
        Ok(())
    }

    /// Counts over the items of the sources.
    pub fn counts(&self, sources: &[i64]) -> Result<Counts, Error> {
        counts(&self.db, sources, 2)
    }

    /// Items that wait, by modality, syntax and class of size, those with most bytes first.
    pub fn classes(&self, sources: &[i64]) -> Result<Vec<SampledClass>, Error> {
        classes(&self.db, sources)
    }

    /// Some items of a class, spread over all of it; entries of packed streams only with the others.
    pub fn some_of(&self, sources: &[i64], class: &Class, limit: usize) -> Result<Vec<Row>, Error> {
        let sql = format!(
            "SELECT id, rank, kind, path, part, name, place, bytes, became FROM items WHERE state = 0 AND kind <> 3 \
             AND modality = ? AND syntax = ? AND {CLASS} = ? AND {} ORDER BY (id * 2654435761) % 4294967296 LIMIT ?",
            among(sources)
        );
        let mut statement = self.db.prepare(&sql)?;
        let rows = statement.query_map(params![class.modality, class.syntax, class.size, limit], row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Remembers what a sampled item became.
    pub fn sampled(&self, item: i64, bytes_out: u64, seconds: f64, said: Said) -> Result<(), Error> {
        let sql = "INSERT OR REPLACE INTO samples (item, bytes_out, seconds, said) VALUES (?, ?, ?, ?)";
        self.db.prepare_cached(sql)?.execute(params![item, bytes_out, seconds, said as i64])?;
        Ok(())
    }
}

/// A class of items that wait, with what was sampled of it.
#[derive(Debug, Clone)]
pub struct SampledClass {
    /// What is alike in it.
    pub class: Class,
    /// Items that wait.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was sampled.
    pub samples: Vec<Sample>,
}

/// How far a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Its bytes.
    pub bytes: u64,
    /// Its head.
    pub head: String,
}

/// What was sampled of a class.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Bytes before.
    pub bytes_in: f64,
    /// Bytes after.
    pub bytes_out: f64,
    /// How long it took.
    pub seconds: f64,
    /// What came of it.
    pub said: Said,
}

/// See [`Journal::classes`].
pub(super) fn classes(db: &Connection, sources: &[i64]) -> Result<Vec<SampledClass>, Error> {
    let sql = format!(
        "SELECT modality, syntax, {CLASS} AS class, count(*), total(bytes) FROM items WHERE state = 0 AND {} \
         GROUP BY 1, 2, 3 ORDER BY 5 DESC, 1, 2, 3",
        among(sources)
    );
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map([], |row| {
        let class = Class { modality: row.get(0)?, syntax: row.get(1)?, size: row.get(2)? };
        Ok(SampledClass { class, items: row.get(3)?, bytes: row.get::<_, f64>(4)? as u64, samples: Vec::new() })
    })?;
    let mut classes = rows.collect::<Result<Vec<_>, _>>()?;
    for class in &mut classes {
        class.samples = samples(db, &class.class)?;
    }
    Ok(classes)
}

fn samples(db: &Connection, class: &Class) -> Result<Vec<Sample>, Error> {
    let sql = format!(
        "SELECT bytes, bytes_out, s.seconds, said FROM samples s JOIN items ON id = item \
         WHERE modality = ? AND syntax = ? AND {CLASS} = ?"
    );
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map(params![class.modality, class.syntax, class.size], |row| {
        let said = match row.get(3)? {
            0 => Said::Well,
            1 => Said::OneWay,
            _ => Said::Unreadable,
        };
        let (bytes_in, bytes_out) = (row.get::<_, i64>(0)? as f64, row.get::<_, i64>(1)? as f64);
        Ok(Sample { bytes_in, bytes_out, seconds: row.get(2)?, said })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Class of size: the upper bound in MB as a power of 8, so that items of one class cost alike.
const CLASS: &str = "CASE WHEN bytes < 100000 THEN 0 WHEN bytes < 1000000 THEN 1 WHEN bytes < 10000000 THEN 2 \
     WHEN bytes < 100000000 THEN 3 ELSE 4 END";

/// Items that are alike: by modality, transfer syntax and size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Modality, `-` when it is not known.
    pub modality: String,
    /// Transfer syntax UID, `-` when it is not known.
    pub syntax: String,
    /// Index into [`Class::SIZES`].
    pub size: i64,
}

impl Class {
    /// Names of the classes of size.
    pub const SIZES: [&str; 5] = ["< 100 kB", "< 1 MB", "< 10 MB", "< 100 MB", "larger"];

    /// The name of its size.
    pub fn size_name(&self) -> &'static str {
        usize::try_from(self.size).ok().and_then(|n| Class::SIZES.get(n)).unwrap_or(&"larger")
    }
}

/// `version` is that of the journal: one that a newer program has not opened yet tells nothing of ways back.
pub(super) fn counts(db: &Connection, sources: &[i64], version: i64) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let sql = format!(
        "SELECT state, count(*), total(bytes), total(saved) FROM items WHERE {} GROUP BY state",
        among(sources)
    );
    let mut statement = db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (bytes, saved): (f64, f64) = (row.get(2)?, row.get(3)?);
        counts.put(row.get(0)?, row.get(1)?, bytes as u64, saved as i64);
    }
    let list = among(sources);
    let sql =
        format!("SELECT state, reason, count(*) FROM items WHERE state IN (2, 3, 5) AND {list} GROUP BY state, reason");
    let mut statement = db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let reason: Option<String> = row.get(1)?;
        counts.because(row.get(0)?, &reason.unwrap_or_default(), row.get(2)?);
    }
    if version >= 2 {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE way >= 0), total(way) FILTER (WHERE way >= 0), \
             total(bytes) FILTER (WHERE way >= 0), count(*) FILTER (WHERE way < 0) FROM items WHERE state = 1 AND {list}"
        );
        let ways = |row: &rusqlite::Row| Ok((row.get(0)?, row.get::<_, f64>(1)?, row.get::<_, f64>(2)?, row.get(3)?));
        let (files, residue, bytes, none) = db.query_row(&sql, [], ways)?;
        (counts.ways, counts.one_way) = ((files, residue as u64, bytes as u64), none);
    }
    Ok(counts)
}

impl Way {
    fn number(self) -> Option<i64> {
        match self {
            Way::None => None,
            Way::Never => Some(-1),
            Way::Residue(bytes) => Some(bytes as i64),
        }
    }
}

/// Numbers of ours, so that no value of a user is in the statement; none means all.
fn among(sources: &[i64]) -> String {
    if sources.is_empty() {
        return "true".into();
    }
    let list: Vec<String> = sources.iter().map(i64::to_string).collect();
    format!("source IN ({})", list.join(", "))
}

fn row(row: &rusqlite::Row) -> rusqlite::Result<Row> {
    let path = |n| Ok::<_, rusqlite::Error>(row.get::<_, Option<Vec<u8>>>(n)?.map(path_of));
    Ok(Row {
        id: row.get(0)?,
        rank: row.get(1)?,
        kind: Kind::of(row.get(2)?),
        path: path(3)?.unwrap_or_default(),
        part: row.get(4)?,
        name: row.get(5)?,
        place: path(6)?,
        bytes: row.get(7)?,
        became: path(8)?,
    })
}
