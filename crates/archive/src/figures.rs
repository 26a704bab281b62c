//! What conversion did, in counters that only grow, and what second opinions said. Kept in the index, in the
//! transaction of what they count; asking costs a few rows.

use rusqlite::{Connection, params};
use transcode::{Class, Tally, reason_class};

use crate::archive::Inner;
use crate::{Archive, Error, FaultKind, Pass};

/// Modalities that are counted by themselves (PS3.3 C.7.3.1.1.1); all others are `other`, so that what is sent cannot make labels.
const MODALITIES: [&str; 54] = [
    "AR",
    "ASMT",
    "AU",
    "BDUS",
    "BI",
    "BMD",
    "CR",
    "CT",
    "CTPROTOCOL",
    "DG",
    "DOC",
    "DX",
    "ECG",
    "EPS",
    "ES",
    "FID",
    "GM",
    "HC",
    "HD",
    "IO",
    "IOL",
    "IVOCT",
    "IVUS",
    "KER",
    "KO",
    "LEN",
    "LS",
    "MG",
    "MR",
    "NM",
    "OAM",
    "OCT",
    "OP",
    "OPM",
    "OPT",
    "OPV",
    "OT",
    "PR",
    "PT",
    "PX",
    "REG",
    "RF",
    "RG",
    "RTDOSE",
    "RTIMAGE",
    "RTPLAN",
    "RTSTRUCT",
    "SEG",
    "SM",
    "SR",
    "TG",
    "US",
    "XA",
    "XC",
];

/// A counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What is counted: `converted`, `bytes_in`, `bytes_out`, `frames`, `milliseconds` by transfer syntax, `kept` by rule and
    /// class of reason, `failed` by class of reason.
    pub name: String,
    /// Modality.
    pub modality: String,
    /// Transfer syntax UID, rule and class of reason with a tab between, or class of reason.
    pub detail: String,
    /// Its value.
    pub value: u64,
}

/// All that is counted of conversion, its proof, and its quality.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Counters.
    pub counters: Vec<Figure>,
    /// Second opinions.
    pub opinions: Vec<(Class, Tally)>,
    /// The pass of the scrubber that is under way, or the last.
    pub scrub: Option<Pass>,
    /// Faults that are not healed, by kind.
    pub faults: Vec<(FaultKind, u64)>,
}

impl Archive {
    /// What was counted so far.
    pub fn figures(&self) -> Result<Figures, Error> {
        let scrub = self.scrub_pass()?;
        let opinions = opinions(&self.inner)?;
        self.inner.index.read(|snapshot| {
            let mut rows = snapshot.prepare_cached("SELECT name, modality, detail, value FROM figures")?;
            let rows = rows.query_map([], |row| {
                Ok(Figure { name: row.get(0)?, modality: row.get(1)?, detail: row.get(2)?, value: row.get(3)? })
            })?;
            let counters = rows.collect::<Result<_, _>>()?;
            let count = |kind: FaultKind| {
                let mut count = snapshot.prepare_cached("SELECT count(*) FROM faults WHERE kind = ?")?;
                Ok::<_, Error>((kind, count.query_row([kind.name()], |row| row.get(0))?))
            };
            let faults = FaultKind::ALL.into_iter().map(count).collect::<Result<_, _>>()?;
            Ok(Figures { counters, opinions, scrub, faults })
        })
    }
}

/// The second opinions so far.
pub(crate) fn opinions(inner: &Inner) -> Result<Vec<(Class, Tally)>, Error> {
    inner.index.read(|snapshot| {
        let mut rows = snapshot.prepare_cached("SELECT class, agreed, disagreed, without, not_asked FROM opinions")?;
        let rows = rows.query_map([], |row| {
            let class: Option<Class> = serde_json::from_str(&row.get::<_, String>(0)?).ok();
            let (agreed, disagreed, without, not_asked) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            Ok(class.map(|class| (class, Tally { agreed, disagreed, without, not_asked })))
        })?;
        Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
    })
}

/// Adds to the second opinions of a class.
pub(crate) fn add_opinions(index: &Connection, class: &Class, tally: Tally) -> Result<(), Error> {
    let json = serde_json::to_string(class).expect("a class is plain values");
    let sql = "INSERT INTO opinions (class, agreed, disagreed, without, not_asked) VALUES (?, ?, ?, ?, ?) \
        ON CONFLICT DO UPDATE SET agreed = agreed + excluded.agreed, disagreed = disagreed + excluded.disagreed, \
        without = without + excluded.without, not_asked = not_asked + excluded.not_asked";
    let Tally { agreed, disagreed, without, not_asked } = tally;
    index.prepare_cached(sql)?.execute(params![json, agreed, disagreed, without, not_asked])?;
    Ok(())
}

/// What one conversion adds.
#[derive(Debug)]
pub(crate) struct Converted<'a> {
    pub modality: &'a str,
    pub syntax: &'a str,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub frames: u64,
    pub milliseconds: u64,
}

impl Converted<'_> {
    pub(crate) fn add(&self, index: &Connection) -> Result<(), Error> {
        for (name, value) in [
            ("converted", 1),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
            ("frames", self.frames),
            ("milliseconds", self.milliseconds),
        ] {
            add(index, name, self.modality, self.syntax, value)?;
        }
        Ok(())
    }
}

/// Counts an instance that was kept.
pub(crate) fn add_kept(index: &Connection, modality: &str, rule: &str, reason: &str) -> Result<(), Error> {
    add(index, "kept", modality, &format!("{rule}\t{}", reason_class(reason)), 1)
}

/// Counts a conversion that failed.
pub(crate) fn add_failed(index: &Connection, modality: &str, reason: &str) -> Result<(), Error> {
    add(index, "failed", modality, reason_class(reason), 1)
}

fn add(index: &Connection, name: &str, modality: &str, detail: &str, value: u64) -> Result<(), Error> {
    let modality = MODALITIES.iter().find(|known| **known == modality).unwrap_or(&"other");
    let sql = "INSERT INTO figures (name, modality, detail, value) VALUES (?, ?, ?, ?) \
        ON CONFLICT DO UPDATE SET value = value + excluded.value";
    index.prepare_cached(sql)?.execute(params![name, modality, detail, value])?;
    Ok(())
}
