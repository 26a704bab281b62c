//! The second opinion: a decoder that has nothing of the one that verified looks at written frames, within verification.
//!
//! An encoder and a decoder that share a mistake agree with each other. So every frame of the first of each class, and a share of
//! those that follow, chosen by the hash of their samples, are decoded by another implementation too:
//! HTJ2K by one after T.814 that shares nothing with our codec ([`htj2k`]), JPEG-LS, which CharLS writes, by one of our own after T.87 ([`jpeg_ls`]),
//! JPEG XL by `jxl-oxide` beside `jxl` ([`jpeg_xl`]). Who wrote both encoder and decoder may have read a sentence wrong twice, so some of the
//! frames of HTJ2K are decoded by an outsider as well ([`openjp2`]). One that disagrees stops the conversion. All are built in.

mod htj2k;
mod jpeg_ls;
mod jpeg_xl;
mod openjp2;
mod sampling;
mod t814;
mod t87;
#[cfg(test)]
pub(crate) mod tests;

pub use sampling::Sampling;

use crate::plan::Plan;
use crate::policy::Target;
use dicom::facts::Facts;
use dicom::source::Source;
use dicom::syntax::Coding;
use sampling::Turn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// More classes than any archive has: beyond them, every frame is looked at.
const MOST_CLASSES: usize = 10_000;

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
    /// This decoder, or each of these, gave the same samples; where something may be lost, samples that differ by no more than decoders may.
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
        let turn = self.turn(class, shown.samples_sha256);
        if turn == Turn::Nobody {
            self.count(class, |tally| &mut tally.not_asked);
            return Ok(Opinion::NotAsked);
        }
        let answer = match plan.target.transfer_syntax().coding() {
            Coding::HtJ2k => htj2k::look(plan, shown, turn == Turn::Both),
            Coding::JpegLs => jpeg_ls::look(plan, shown),
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

    /// Whose turn it is to look at a frame with these samples.
    fn turn(&self, class: &Class, samples_sha256: &str) -> Turn {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = tallies.get(class).map_or(0, |tally| tally.agreed + tally.disagreed);
        self.sampling.turn(seen, samples_sha256)
    }

    fn count(&self, class: &Class, which: impl Fn(&mut Tally) -> &mut u64) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        if tallies.contains_key(class) || tallies.len() < MOST_CLASSES {
            *which(tallies.entry(class.clone()).or_default()) += 1;
        }
    }
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

/// Are these the same samples? On one side as containers of Bits Allocated hold them, pixel by pixel; on the other one plane a component,
/// of whose values the lowest bits count.
fn same_samples<T: Copy>(
    bits_allocated: u16,
    samples: &[u8],
    planes: &[impl AsRef<[T]>],
    value: impl Fn(T) -> u32,
) -> bool {
    match bits_allocated {
        ..=8 => same_words(samples, planes, |v| value(v) & 0xFF, |[a]: [u8; 1]| a.into()),
        9..=16 => same_words(samples, planes, |v| value(v) & 0xFFFF, |word| u16::from_le_bytes(word).into()),
        _ => same_words(samples, planes, value, u32::from_le_bytes),
    }
}

fn same_words<T: Copy, const SIZE: usize>(
    samples: &[u8],
    planes: &[impl AsRef<[T]>],
    value: impl Fn(T) -> u32,
    word: impl Fn([u8; SIZE]) -> u32,
) -> bool {
    let (words, rest) = samples.as_chunks::<SIZE>();
    let whole = rest.is_empty() && planes.iter().all(|plane| plane.as_ref().len() * planes.len() == words.len());
    // All are looked at, so that the loops are plain ones.
    let apart = |other: u32, (a, b): (&[u8; SIZE], &T)| other | (word(*a) ^ value(*b));
    whole
        && match planes {
            [plane] => words.iter().zip(plane.as_ref()).fold(0, apart) == 0,
            _ => planes
                .iter()
                .enumerate()
                .all(|(n, plane)| words.iter().skip(n).step_by(planes.len()).zip(plane.as_ref()).fold(0, apart) == 0),
        }
}
