//! What conversion did, in counters that only grow, and what second opinions said. Kept in the index, in the
//! transaction of what they count; asking costs a few rows.

use store::Index;
use store::index::{FaultKind, Figure, Opinions, Pass};
use transcode::{Class, Tally, reason_class};

use crate::archive::Archive;
use crate::error::Error;

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
        let index = &*self.inner.index;
        let opinions = opinions(index)?;
        Ok(Figures { counters: index.figures()?, opinions, scrub: index.pass()?, faults: index.fault_counts()? })
    }
}

/// The second opinions so far; of classes that this version does not know, none.
pub(crate) fn opinions(index: &dyn Index) -> Result<Vec<(Class, Tally)>, Error> {
    let of = |row: Opinions| {
        let Opinions { class, agreed, disagreed, without, not_asked } = row;
        Some((serde_json::from_str(&class).ok()?, Tally { agreed, disagreed, without, not_asked }))
    };
    Ok(index.opinions()?.into_iter().filter_map(of).collect())
}

/// The second opinions of a class as the index keeps them.
pub(crate) fn opinions_row(class: &Class, tally: Tally) -> Opinions {
    let Tally { agreed, disagreed, without, not_asked } = tally;
    let class = serde_json::to_string(class).expect("a class is plain values");
    Opinions { class, agreed, disagreed, without, not_asked }
}

/// What one conversion adds to the counters.
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
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let counted = [
            ("converted", 1),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
            ("frames", self.frames),
            ("milliseconds", self.milliseconds),
        ];
        counted.map(|(name, value)| figure(name, self.modality, self.syntax, value)).into()
    }
}

/// Counts an instance that was kept.
pub(crate) fn kept(modality: &str, rule: &str, reason: &str) -> Vec<Figure> {
    vec![figure("kept", modality, &format!("{rule}\t{}", reason_class(reason)), 1)]
}

/// Counts a conversion that failed.
pub(crate) fn failed(modality: &str, reason: &str) -> Vec<Figure> {
    vec![figure("failed", modality, reason_class(reason), 1)]
}

fn figure(name: &str, modality: &str, detail: &str, value: u64) -> Figure {
    let modality = MODALITIES.iter().find(|known| **known == modality).unwrap_or(&"other");
    Figure { name: name.to_owned(), modality: (*modality).to_owned(), detail: detail.to_owned(), value }
}
