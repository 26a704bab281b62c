//! Holds a source and the object made from it against each other and writes the program that leads back.
//!
//! Every step is compared with the source's bytes before it is taken; what nothing else gives is literal. So a program is
//! right by its making, and yet it is run once more: see [`Proof`].

use super::element::step;
use super::format::{Header, Origin};
use super::layout::Layout;
use super::program::ProgramWriter;
use super::restore::{Check, RestoreError, Restorer};
use super::window::Window;
use super::{NoWayBack, Residue};
use crate::decode::DecodeWith;
use crate::elements::value_start;
use crate::overlay;
use dicom::data_set::{Element, Item, Value};
use dicom::error::{Error, Result};
use dicom::facts;
use dicom::frames::{native_bits, sub_sampled};
use dicom::input::Input;
use dicom::source::Source;
use dicom::syntax::{Coding, Encoding};
use std::io;
use std::ops::Range;

/// Elements of the object that are looked through for the one of the source.
const AHEAD: usize = 8;
/// A shorter run is cheaper as it is.
const SHORT: u64 = 8;
const CHUNK: u64 = 256 * 1024;

/// Makes the residue of `written`, which was converted from `source`. `jpegs`: bytes of each frame of the source, where the
/// object holds JPEG that can be rebuilt.
pub(crate) fn make(source: &Source, written: &Source, jpegs: Option<&[u64]>) -> Result<Residue, NoWayBack> {
    let origin = origin(source, written, jpegs.is_some())?;
    let digest = |of: &Source| of.digest().map_err(|error| NoWayBack::Failed(error.to_string()));
    let (original_sha256, converted_sha256) = (digest(source)?, digest(written)?);
    let limit = limit(source.len());
    let encoding = source.data_set().encoding;
    let mut maker = Maker {
        source: source.input(),
        object: Window::new(written.input()),
        encoding,
        program: ProgramWriter::new(source.input(), limit),
    };
    let walked = maker.walk(source, written, origin, jpegs);
    let (program, program_len) = walked.and_then(|()| maker.program.finish()).map_err(|error| match error {
        Error::Limit(_) => NoWayBack::TooLarge { limit },
        other => NoWayBack::Failed(other.to_string()),
    })?;
    let mut header = Header {
        encoding,
        origin,
        original_len: source.len(),
        converted_len: written.len(),
        program_len,
        overlays: overlay::moved(source, written),
        original_sha256,
        converted_sha256,
        program: (0, 0),
    };
    let bytes = header.seal(&program);
    Ok(Residue { bytes, header: Box::new(header) })
}

/// Compressed bytes that a residue may have: it is held in memory, and is to be small beside its source.
fn limit(source: u64) -> u64 {
    (source / 8).clamp(64 << 10, 32 << 20)
}

fn origin(source: &Source, written: &Source, jpegs: bool) -> Result<Origin, NoWayBack> {
    let facts = source.facts();
    if !source.frames_in_file() {
        return Err(NoWayBack::Deflated);
    }
    if jpegs {
        return Ok(Origin::Jpeg);
    }
    if facts.transfer_syntax.coding() != Coding::Native {
        return Err(NoWayBack::Compressed(facts.transfer_syntax.name().to_owned()));
    }
    let size = facts.bits_allocated / 8;
    let whole = matches!(facts.bits_allocated, 8 | 16 | 32 | 64);
    if !whole && !written.facts().transfer_syntax.is_encapsulated() {
        // The object holds the very bytes; no frame is asked.
        return Ok(Origin::Samples(Layout { size: 1, ..Layout::default() }));
    }
    if !whole || facts.bits_allocated != written.facts().bits_allocated {
        return Err(NoWayBack::Pixels(format!("{} bits allocated", facts.bits_allocated)));
    }
    let (big_endian, words) = source.byte_order();
    Ok(Origin::Samples(Layout {
        size: size as u8,
        planar: facts.planar == 1 && facts.samples > 1,
        big_endian,
        words,
        halved: sub_sampled(facts) && !sub_sampled(written.facts()),
    }))
}

struct Maker<'a> {
    source: &'a Input,
    object: Window<'a>,
    encoding: Encoding,
    program: ProgramWriter<'a>,
}

impl Maker<'_> {
    fn walk(&mut self, source: &Source, written: &Source, origin: Origin, jpegs: Option<&[u64]>) -> Result<()> {
        let first = |of: &Source| of.meta().first().or(of.data_set().elements.first()).map_or(0, |e| e.start);
        let (before, object) = (first(source), first(written));
        // Preamble and file meta are Explicit VR Little Endian whatever follows (PS3.10 7.1).
        let encoding = std::mem::replace(&mut self.encoding, Encoding::ExplicitLittle);
        self.token(before.saturating_sub(object)..before, 0..object)?;
        self.list(source.meta(), written.meta(), None)?;
        self.encoding = encoding;
        let runs = pixel_runs(source, origin, jpegs);
        self.list(
            &source.data_set().elements,
            &written.data_set().elements,
            Some((facts::pixel_element(source.data_set()), runs)),
        )
    }

    /// Elements of one level. `pixels`: the element that holds them, and where the bytes are that the frames give.
    fn list(
        &mut self,
        a: &[Element],
        mut b: &[Element],
        pixels: Option<(Option<&Element>, Vec<Range<u64>>)>,
    ) -> Result<()> {
        let holds = |e: &Element| pixels.as_ref().and_then(|p| p.0).is_some_and(|p| p.start == e.start);
        for element in a {
            let found = b.iter().take(AHEAD).position(|other| other.tag == element.tag);
            let other = found.map(|n| &b[n]);
            if holds(element) && !self.same_pixels(element, other)? {
                for run in pixels.iter().flat_map(|p| &p.1) {
                    self.program.literal_to(run.start)?;
                    self.program.pixels(run.end - run.start)?;
                }
            } else if let Some(other) = other.filter(|_| !holds(element)) {
                self.element(element, other)?;
            }
            self.program.literal_to(element.end)?;
            b = &b[found.map_or(0, |n| n + 1)..];
        }
        Ok(())
    }

    /// Pixel data that was written as it was, or in another byte order, needs no frames.
    fn same_pixels(&mut self, a: &Element, b: Option<&Element>) -> Result<bool> {
        let Some(b) = b.filter(|b| matches!((&a.value, &b.value), (Value::Bytes { .. }, Value::Bytes { .. }))) else {
            return Ok(false);
        };
        Ok(self.token(a.start..a.end, b.start..b.end)? || self.token(value_at(a)..a.end, value_at(b)..b.end)?)
    }

    fn element(&mut self, a: &Element, b: &Element) -> Result<()> {
        let (value_a, value_b) = (value_at(a), value_at(b));
        match (&a.value, &b.value) {
            (Value::Items(ia), Value::Items(ib)) if a.vr == b.vr && ia.len() == ib.len() => {
                self.token(a.start..value_a, b.start..value_b)?;
                self.items(ia, ib, value_a, value_b, a.undefined && b.undefined)
            }
            _ if self.token(a.start..a.end, b.start..b.end)? => Ok(()),
            _ => {
                self.program.literal_to(value_a)?;
                self.token(value_a..a.end, value_b..b.end).map(drop)
            }
        }
    }

    fn items(&mut self, a: &[Item], b: &[Item], mut at_a: u64, mut at_b: u64, delimited: bool) -> Result<()> {
        let end = |item: &Item, head: u64| item.elements.last().map_or(head + 8, |e| e.end);
        for (x, y) in a.iter().zip(b) {
            self.token(at_a..at_a + 8, at_b..at_b + 8)?;
            self.list(&x.elements, &y.elements, None)?;
            (at_a, at_b) = (end(x, at_a), end(y, at_b));
            if x.undefined && y.undefined {
                self.token(at_a..at_a + 8, at_b..at_b + 8)?;
            }
            at_a += if x.undefined { 8 } else { 0 };
            at_b += if y.undefined { 8 } else { 0 };
        }
        if delimited { self.token(at_a..at_a + 8, at_b..at_b + 8).map(drop) } else { Ok(()) }
    }

    /// Covers the bytes `a` of the source by those at `b` of the object: as an element in the other encoding, or as they are.
    /// False when they are not the same; then nothing is covered.
    fn token(&mut self, a: Range<u64>, b: Range<u64>) -> Result<bool> {
        let len = a.end - a.start;
        if a.start < self.program.at() || a.end > self.source.len() || !self.program.reaches(b.start) {
            return Ok(false);
        }
        if self.encoding != Encoding::ExplicitLittle && self.is_step(&a, &b)? {
            self.program.literal_to(a.start)?;
            self.program.element(b.start, b.end, len)?;
            return Ok(true);
        }
        if len < SHORT || len != b.end - b.start || !self.equal(a.start, b.start, len)? {
            return Ok(false);
        }
        self.program.literal_to(a.start)?;
        self.program.copy(b.start, len)?;
        Ok(true)
    }

    fn is_step(&mut self, a: &Range<u64>, b: &Range<u64>) -> Result<bool> {
        if b.end - b.start < 8 {
            return Ok(false);
        }
        let Ok(step) = step(&mut self.object, b.start, self.encoding) else { return Ok(false) };
        let head = step.head();
        if step.value.end != b.end
            || step.len() != a.end - a.start
            || *self.source.bytes(a.start, head.len() as u64)? != *head
        {
            return Ok(false);
        }
        let (mut at, mut same) = (a.start + head.len() as u64, true);
        step.each(&self.object, |bytes| {
            same = same && *self.source.bytes(at, bytes.len() as u64)? == *bytes;
            at += bytes.len() as u64;
            Ok(())
        })?;
        Ok(same)
    }

    fn equal(&self, a: u64, b: u64, len: u64) -> Result<bool> {
        let mut done = 0;
        while done < len {
            let n = (len - done).min(CHUNK);
            if self.source.bytes(a + done, n)? != self.object.input.bytes(b + done, n)? {
                return Ok(false);
            }
            done += n;
        }
        Ok(true)
    }
}

fn value_at(element: &Element) -> u64 {
    match element.value {
        Value::Bytes { offset, .. } => offset,
        _ => value_start(element),
    }
}

/// Where the source has the bytes that its frames give, in order.
fn pixel_runs(source: &Source, origin: Origin, jpegs: Option<&[u64]>) -> Vec<Range<u64>> {
    let bits = native_bits(source.facts()).unwrap_or(0);
    let frames = source.frames();
    if let (Some(Value::Bytes { offset, len }), Origin::Samples(layout)) =
        (facts::pixel_element(source.data_set()).map(|e| &e.value), origin)
    {
        let all = (bits / 8).saturating_mul(frames.len() as u64).min(*len);
        let run = *offset..offset + if layout.words { all - all % 2 } else { all };
        return Vec::from([run]);
    }
    let mut runs = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let mut left = jpegs.map_or(bits / 8, |lengths| lengths.get(n).copied().unwrap_or(0));
        for (offset, len) in &frame.fragments {
            let take = left.min(*len);
            runs.push(*offset..offset + take);
            left -= take;
        }
    }
    runs
}

/// Runs a residue while the object's frames are verified, so that they are decoded once.
pub(crate) struct Proof<'a>(Result<Restorer<'a, io::Sink>, NoWayBack>);

impl<'a> Proof<'a> {
    /// Where the bytes that the SHA-256 of the source was taken of are still at hand, what is restored is compared with them: it has
    /// that SHA-256 then.
    pub(crate) fn new(residue: &'a Residue, source: &'a Source, written: &'a Source) -> Self {
        let check = source.hashed_bytes().map_or_else(Check::default, Check::Bytes);
        Proof(Ok(Restorer::new(residue, written, check, io::sink())))
    }

    /// Takes the next frame: its samples as decoded from the object, or the JPEG that was rebuilt.
    pub(crate) fn frame(&mut self, bytes: &[u8]) {
        if let Ok(restorer) = &mut self.0
            && let Err(error) = restorer.frame(bytes)
        {
            self.0 = Err(no_way(error));
        }
    }

    /// Were the restored bytes those of the source?
    pub(crate) fn finish(self) -> Result<(), NoWayBack> {
        self.0?.finish().map(drop).map_err(no_way)
    }
}

fn no_way(error: RestoreError) -> NoWayBack {
    match error {
        RestoreError::Different => NoWayBack::NotEqual,
        other => NoWayBack::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cross_check::tests::made;
    use crate::{Context, Decode, Outcome, Policy};

    #[test]
    fn a_proof_sees_any_byte_that_is_another_by_the_hash_and_by_comparing() {
        let file = made(16, true);
        let source = Source::from_bytes(file.clone()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy::shipped("htj2k-all").unwrap();
        let done = crate::convert(&source, &policy, &mut Context::default(), &folder.path().join("out.dcm")).unwrap();
        let Outcome::Converted(verified) = done else { panic!("{done:?}") };
        let residue = verified.way_back.as_ref().unwrap();
        let written = Source::open(verified.path()).unwrap();
        let mut samples = Vec::new();
        written.decode_frame(0, &mut samples).unwrap();
        let mut told = Source::from_bytes(file).unwrap();
        told.expect_sha256(source.digest().unwrap());
        assert!(source.hashed_bytes().is_some() && told.hashed_bytes().is_none());
        for source in [&source, &told] {
            let proof = |samples: &[u8]| {
                let mut proof = Proof::new(residue, source, &written);
                proof.frame(samples);
                proof.finish()
            };
            assert_eq!(proof(&samples), Ok(()));
            for at in [0, 1000, samples.len() - 1] {
                let mut other = samples.clone();
                other[at] ^= 1;
                assert_eq!(proof(&other), Err(NoWayBack::NotEqual), "{at}");
            }
            assert!(matches!(proof(&samples[1..]), Err(NoWayBack::Failed(_) | NoWayBack::NotEqual)));
        }
    }
}
