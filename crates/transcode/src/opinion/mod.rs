//! The second opinion: a decoder that is neither ours nor the encoder's looks at written frames, within verification.
//!
//! An encoder and a decoder that share a mistake agree with each other. So every frame of the first of each class, and a share of
//! those that follow, chosen by the hash of their samples, are decoded by another implementation too:
//! HTJ2K by a port of OpenJPEG ([`htj2k`]), JPEG-LS by DCMTK where it is installed ([`jpeg_ls`]), JPEG XL by `jxl-oxide` beside `jxl`
//! ([`jpeg_xl`]). One that disagrees stops the conversion.

mod htj2k;
mod jpeg_ls;
mod jpeg_xl;
#[cfg(test)]
pub(crate) mod tests;

use crate::encode::Plan;
use crate::facts::Facts;
use crate::policy::Target;
use crate::source::Source;
use crate::syntax::Coding;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

/// More classes than any archive has: beyond them, every frame is looked at.
const MOST_CLASSES: usize = 10_000;

/// Which frames are shown to the second decoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// So many frames of each class, all of them.
    pub first: u64,
    /// Then this share of the frames, from 0 to 1.
    pub share: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { first: 1000, share: 0.01 }
    }
}

impl Sampling {
    /// No second opinion at all.
    pub const OFF: Sampling = Sampling { first: 0, share: 0.0 };

    /// Is nothing looked at?
    pub fn is_off(&self) -> bool {
        self.first == 0 && self.share <= 0.0
    }
}

impl FromStr for Sampling {
    type Err = String;

    /// `off`, `all`, a number of first frames, or that and a share: `1000, 1%`.
    fn from_str(text: &str) -> Result<Sampling, String> {
        let wrong = || format!("{text:?} is not off, all, a number of frames, or that and a share (1000, 1%)");
        match text.trim() {
            "off" => return Ok(Sampling::OFF),
            "all" => return Ok(Sampling { first: 0, share: 1.0 }),
            _ => {}
        }
        let (first, share) = text.split_once(',').map_or((text, None), |(first, share)| (first, Some(share)));
        let first = first.trim().parse().map_err(|_| wrong())?;
        let Some(share) = share else { return Ok(Sampling { first, ..Sampling::default() }) };
        let percent: f64 = share.trim().trim_end_matches('%').trim_end().parse().map_err(|_| wrong())?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(wrong());
        }
        Ok(Sampling { first, share: percent / 100.0 })
    }
}

/// What images have in common that one codec may get wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Class {
    /// Modality; empty when it is no code string.
    pub modality: String,
    /// Bits Stored.
    pub bits: u16,
    /// Two's complement.
    pub signed: bool,
    /// Photometric Interpretation; empty when it is no code string.
    pub photometric: String,
    /// Name and version of the codec.
    pub codec: String,
}

impl Class {
    pub(crate) fn of(facts: &Facts, codec: String) -> Class {
        let code = |text: &str| {
            let fits = text.len() <= 16
                && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b' '));
            if fits { text.to_owned() } else { String::new() }
        };
        Class {
            modality: code(&facts.modality),
            bits: facts.bits_stored,
            signed: facts.signed,
            photometric: code(&facts.photometric),
            codec,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.signed { "signed" } else { "unsigned" };
        let or = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
        write!(f, "{} {} bit {sign} {} by {}", or(&self.modality), self.bits, or(&self.photometric), self.codec)
    }
}

/// Frames of a class, by what the second decoder said of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// It decoded the same samples, or what may stand for them.
    pub agreed: u64,
    /// It did not: the instance was not converted.
    pub disagreed: u64,
    /// It should have been asked, but there is none here.
    pub without: u64,
    /// It was not asked.
    pub not_asked: u64,
}

impl Tally {
    /// Adds another's counts.
    pub fn add(&mut self, other: Tally) {
        self.agreed += other.agreed;
        self.disagreed += other.disagreed;
        self.without += other.without;
        self.not_asked += other.not_asked;
    }
}

/// What the second decoder said of one frame.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opinion {
    /// It was not asked.
    #[default]
    NotAsked,
    /// This decoder gave the same samples; where something may be lost, samples that differ by no more than decoders may.
    Agreed(String),
    /// It was to be asked, and could not be: why.
    Without(String),
}

/// Asks for opinions and counts them; clones share the counts, from thread to thread.
#[derive(Debug, Clone, Default)]
pub struct Opinions {
    sampling: Sampling,
    tallies: Arc<Mutex<BTreeMap<Class, Tally>>>,
}

impl Opinions {
    /// Goes on from what was counted before.
    pub fn new(sampling: Sampling, known: impl IntoIterator<Item = (Class, Tally)>) -> Opinions {
        Opinions { sampling, tallies: Arc::new(Mutex::new(known.into_iter().collect())) }
    }

    /// The counts so far, those that were known at the start included.
    pub fn tallies(&self) -> BTreeMap<Class, Tally> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows a written frame to the second decoder, if it is its turn. The error says in which way it disagrees.
    pub(crate) fn ask(&self, class: &Class, plan: &Plan, shown: &Shown<'_>) -> Result<Opinion, String> {
        if plan.target == Target::ExplicitLittleEndian {
            return Ok(Opinion::NotAsked);
        }
        if !self.wanted(class, shown.samples_sha256) {
            self.count(class, |tally| &mut tally.not_asked);
            return Ok(Opinion::NotAsked);
        }
        let answer = match plan.target.transfer_syntax().coding() {
            Coding::HtJ2k => htj2k::look(plan, shown),
            Coding::JpegLs => jpeg_ls::look(plan, shown.codestream, shown.samples_sha256),
            Coding::JpegXl if plan.target == Target::JpegXlRecompression => jpeg_xl::look_at_jpeg(plan, shown),
            Coding::JpegXl => jpeg_xl::look(plan, shown),
            _ => Answer::Without("there is no second decoder for this transfer syntax".into()),
        };
        match answer {
            Answer::Same(decoder) => {
                self.count(class, |tally| &mut tally.agreed);
                Ok(Opinion::Agreed(decoder))
            }
            Answer::Without(why) => {
                self.count(class, |tally| &mut tally.without);
                Ok(Opinion::Without(why))
            }
            Answer::Other(what) => {
                self.count(class, |tally| &mut tally.disagreed);
                Err(what)
            }
        }
    }

    /// The first of a class, then a share: the same frames in every run.
    fn wanted(&self, class: &Class, samples_sha256: &str) -> bool {
        if self.sampling.is_off() {
            return false;
        }
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tally) = tallies.get(class) else { return self.sampling.first > 0 || in_share(self, samples_sha256) };
        tally.agreed + tally.disagreed < self.sampling.first || in_share(self, samples_sha256)
    }

    fn count(&self, class: &Class, which: impl Fn(&mut Tally) -> &mut u64) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        if tallies.contains_key(class) || tallies.len() < MOST_CLASSES {
            *which(tallies.entry(class.clone()).or_default()) += 1;
        }
    }
}

fn in_share(opinions: &Opinions, sha256: &str) -> bool {
    let number = sha256.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0);
    f64::from(number) < opinions.sampling.share * 2f64.powi(32)
}

/// Opinions on the frames of one instance.
pub(crate) struct Second<'a> {
    pub(crate) opinions: &'a Opinions,
    pub(crate) class: &'a Class,
}

impl Second<'_> {
    /// As [`Opinions::ask`].
    pub(crate) fn look(&mut self, plan: &Plan, shown: &Shown<'_>) -> Result<Opinion, String> {
        self.opinions.ask(self.class, plan, shown)
    }
}

/// A frame as the first decoder found it.
pub(crate) struct Shown<'a> {
    /// What was written.
    pub(crate) written: &'a Source,
    /// The frame, without padding.
    pub(crate) codestream: &'a [u8],
    /// What the first decoder made of it.
    pub(crate) samples: &'a [u8],
    /// SHA-256 of these samples.
    pub(crate) samples_sha256: &'a str,
}

/// What a second decoder found.
enum Answer {
    /// The same samples, as far as decoders agree; the decoder's name and version.
    Same(String),
    /// It can't tell, and why.
    Without(String),
    /// Something else, or nothing.
    Other(String),
}
