//! Reads a written instance back and holds it against its source: every element, every table, every sample.

use crate::bounded::Loss;
use crate::cross_check::{Second, Shown};
use crate::decode::{self as decoders, Codecs, Decode, DecodeWith};
use crate::elements::{self, EXTENDED_LENGTHS, EXTENDED_OFFSETS, PIXEL_DATA, left_out};
use crate::error::{Check, Error, Result};
use crate::plan::Plan;
use crate::residue::Proof;
use crate::suitable;
use crate::write::Table;
use crate::{FrameEvidence, LevelEnd};
use dicom::data_set::{DataSet, Element, Tag, Value, Vr};
use dicom::input::hex;
use dicom::source::Source;
use sha2::{Digest, Sha256};

/// What was known of a frame when it was written.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// SHA-256 of the samples that the source decodes to.
    pub(crate) sha256: String,
    /// SHA-256 of the samples that the frame decodes to: another one only when something may be lost.
    pub(crate) decoded: String,
    /// What was lost, when that was allowed.
    pub(crate) loss: Option<Loss>,
    /// Bytes of the codestream, without padding.
    pub(crate) length: u64,
    /// SHA-256 of the JPEG stream that must be rebuilt.
    pub(crate) jpeg_sha256: Option<String>,
    /// The samples that were hashed and encoded are those that the source holds in memory.
    pub(crate) held: bool,
}

/// A difference between what was to be written and what is there.
fn differs<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::disproved(Check::Verification, what))
}

/// Proves that `written` is `source` but for what the plan changes. Returns the proof of each frame and the SHA-256 over
/// all samples of the written file. A `way_back` is tried on the frames as they are
/// decoded. `only`: the samples of a single frame, where they are still at hand.
#[allow(clippy::too_many_arguments)]
pub(crate) fn verify(
    source: &Source,
    written: &Source,
    plan: &Plan,
    table: Table,
    expected: &[Expected],
    codecs: &mut Codecs,
    second: &mut Second<'_>,
    way_back: &mut Option<Proof<'_>>,
    only: Option<&[u8]>,
) -> Result<(Vec<FrameEvidence>, String)> {
    meta(source, written, plan)?;
    elements(source, written, plan, expected)?;
    match table {
        Table::Native => native_length(source, written, plan)?,
        _ => tables(written, table, expected)?,
    }
    // Of one frame, the hash of the frame is the hash of all.
    let mut all = (expected.len() != 1).then(Sha256::new);
    let mut evidence = Vec::with_capacity(expected.len());
    let (mut samples, mut buffer) = (std::mem::take(&mut codecs.read_back), Vec::new());
    for (n, expected) in expected.iter().enumerate() {
        let stored = match written.held_frame(n as u32) {
            _ if table == Table::Native => &[][..],
            Some(held) => held,
            None => {
                written.read_frame(n as u32, &mut buffer)?;
                &buffer
            }
        };
        let stored = &stored[..stored.len().min(expected.length as usize)];
        let leveled = (plan.target.is_htj2k() && !codecs.swapped()).then_some(!plan.target.is_lossy());
        let levels = match &expected.jpeg_sha256 {
            Some(sha256) => jpeg(written, n as u32, sha256, &mut samples, way_back).map(|()| Vec::new())?,
            None => decode(written, leveled, n as u32, stored, codecs, &mut samples)?,
        };
        if let Some(all) = &mut all {
            all.update(&samples);
        }
        // The same bytes have the same hash: where what was encoded is at hand, it is compared and not hashed again.
        let encoded = if expected.held { source.held_samples(n as u32) } else { only };
        let same = expected.loss.is_none() && encoded == Some(&samples[..]);
        let after = if same { expected.decoded.clone() } else { hex(&Sha256::digest(&samples)) };
        if after != expected.decoded {
            return differs(format!("frame {} decodes to other samples", n + 1));
        }
        if let (Some(proof), None) = (way_back.as_mut(), &expected.jpeg_sha256) {
            proof.frame(&samples);
        }
        let kept = match (plan.target.bound(), expected.loss) {
            (None, None) => expected.decoded == expected.sha256,
            (bound, loss) => bound.zip(loss).is_some_and(|(bound, loss)| loss.within(&bound)),
        };
        if !kept {
            return differs(format!("frame {} lost more than it may", n + 1));
        }
        let shown = Shown { written, codestream: stored, samples: &samples, samples_sha256: &after };
        let opinion = second
            .look(plan, &shown)
            .map_err(|what| Error::disproved(Check::SecondOpinion, format!("frame {}: {what}", n + 1)))?;
        let place = &written.frames()[n];
        let (offset, length) = (place.offset(), if table == Table::Native { place.length() } else { expected.length });
        evidence.push(FrameEvidence {
            sha256_before: expected.sha256.clone(),
            sha256_after: after,
            jpeg_sha256: expected.jpeg_sha256.clone(),
            offset,
            length,
            levels,
            loss: expected.loss,
            opinion,
        });
    }
    codecs.read_back = samples;
    let all = match (all, evidence.as_slice()) {
        (None, [frame]) => frame.sha256_after.clone(),
        (all, _) => hex(&all.unwrap_or_default().finalize()),
    };
    Ok((evidence, all))
}

/// Rebuilds the JPEG stream of a frame, which must be the one that was there, and decodes it. The way back starts from the
/// stream.
pub(crate) fn jpeg(
    written: &Source,
    n: u32,
    sha256: &str,
    samples: &mut Vec<u8>,
    way_back: &mut Option<Proof<'_>>,
) -> Result<()> {
    let rebuilt = written.jpeg_frame(n)?;
    if hex(&Sha256::digest(&rebuilt)) != sha256 {
        return differs(format!("frame {}: the JPEG is not rebuilt byte for byte", n + 1));
    }
    if let Some(proof) = way_back {
        proof.frame(&rebuilt);
    }
    Ok(decoders::jpeg_stream(written.facts(), &rebuilt, samples)?)
}

/// Decodes a written frame into `samples`. Where it has levels that is every one, each from the one before; their ends and checksums
/// are returned. `leveled`: there are levels, and whether they are of a reversible transform.
pub(crate) fn decode(
    written: &Source,
    leveled: Option<bool>,
    n: u32,
    stored: &[u8],
    codecs: &mut Codecs,
    samples: &mut Vec<u8>,
) -> Result<Vec<LevelEnd>> {
    let Some(reversible) = leveled else {
        written.decode_with(n, codecs, samples)?;
        return Ok(Vec::new());
    };
    let index = by_levels(stored, reversible).or_else(differs)?;
    let mut crcs = Vec::with_capacity(index.levels.len());
    decoders::htj2k::levels(written.facts(), stored, &index, &mut codecs.progressive, samples, &mut crcs)?;
    let level = |(l, crc32): (&htj2k::Level, u32)| LevelEnd {
        level: l.level,
        width: l.width,
        height: l.height,
        end: l.end,
        crc32: Some(crc32),
    };
    Ok(index.levels.iter().zip(crcs).map(level).collect())
}

/// Is this a codestream that today's clients decode from any prefix that ends at a level: HTJ2K, reversible, RPCL, one tile,
/// maximal precincts, TLM, a base with one side of 64 or less, no level that halves nothing, the end of every level known?
pub(crate) fn progressive(codestream: &[u8]) -> Result<htj2k::Index, String> {
    by_levels(codestream, true)
}

/// Has a codestream more levels of decomposition than halve a side? Those who show it may fail on that.
pub(crate) fn has_empty_levels(header: &htj2k::Header) -> bool {
    header.decompositions > htj2k::most_decompositions(header.width, header.height)
}

fn by_levels(codestream: &[u8], reversible: bool) -> Result<htj2k::Index, String> {
    let index = htj2k::Index::read(codestream, &htj2k::Limits::default()).map_err(|error| error.to_string())?;
    let header = &index.header;
    let (width, height) = header.size_at(header.decompositions);
    let demands = [
        (header.high_throughput, "its code-blocks are not those of HTJ2K"),
        (header.reversible || !reversible, "its transform is irreversible"),
        (header.progression == htj2k::Progression::Rpcl, "its progression is not RPCL"),
        (header.tiles == (1, 1), "it is tiled"),
        (header.maximal_precincts, "its precincts are small"),
        (header.tlm, "it has no TLM"),
        (width.min(height) <= 64, "its base is larger than 64"),
        (!has_empty_levels(header), "it has levels that halve no side"),
        (index.complete, "it is cut short"),
        (
            index.levels.last().is_some_and(|l| l.level == 0 && l.end == codestream.len() as u64),
            "the ends of its levels can't be known",
        ),
    ];
    match demands.iter().find(|d| !d.0) {
        Some((_, reason)) => Err((*reason).to_owned()),
        None => Ok(index),
    }
}

fn meta(source: &Source, written: &Source, plan: &Plan) -> Result<()> {
    if written.facts().transfer_syntax != plan.target.transfer_syntax() {
        return differs("another transfer syntax");
    }
    if written.facts().source_ae != source.facts().source_ae {
        return differs("another source AE title");
    }
    for (element, uid) in [(0x0002, &written.facts().sop_class_uid), (0x0003, &written.facts().sop_instance_uid)] {
        let told = written.meta_value(element)?;
        if !uid.is_empty() && told.trim_ascii_end().strip_suffix(b"\0").unwrap_or(&told) != uid.as_bytes() {
            return differs("UIDs of the file meta that are not those of the data set");
        }
    }
    let (group, last) = (written.meta().first(), written.meta().last());
    match (group, last, written.meta_value(0)?.as_slice()) {
        (Some(group), Some(last), [a, b, c, d])
            if group.end + u64::from(u32::from_le_bytes([*a, *b, *c, *d])) == last.end =>
        {
            Ok(())
        }
        _ => differs("a wrong length of the file meta"),
    }
}

/// Every element of the source is there with its bytes, and nothing else but what the plan changes.
fn elements(source: &Source, written: &Source, plan: &Plan, expected: &[Expected]) -> Result<()> {
    let (facts, source, written) = (source.facts(), source.data_set(), written.data_set());
    if written.irregular {
        return differs("elements that are not written as the transfer syntax says");
    }
    let bytes_before = facts.frame_bytes() * expected.len() as u64;
    for (tag, value) in plan.changes.complete(bytes_before, expected.iter().map(|e| e.length).sum()) {
        let found = written.get(tag).map(|e| raw(written, e)).transpose()?;
        if found.as_deref() != value.as_ref().map(|v| v.1.as_slice()) {
            return differs(format!("({:04X},{:04X}) is not what it should be", tag.0, tag.1));
        }
    }
    // Pixels in words of another byte order were swapped by their size, not by their VR: their samples are compared.
    let pixels = !suitable::carried(facts, plan.target) || source.get(PIXEL_DATA).is_some_and(|e| e.big_endian);
    let kept = |e: &&Element| !(left_out(e.tag) || plan.changes.has(e.tag) || pixels && e.tag == PIXEL_DATA);
    same_list(source, source.elements.iter().filter(kept), written, written.elements.iter().filter(kept))
}

/// The bytes of a value, of a sequence its items.
fn raw<'a>(set: &'a DataSet, element: &Element) -> Result<std::borrow::Cow<'a, [u8]>> {
    match element.value {
        Value::Bytes { offset, len } => Ok(set.input.bytes(offset, len)?),
        _ => {
            let start = elements::value_start(element);
            Ok(set.input.bytes(start, element.end - start)?)
        }
    }
}

/// Pixel data that is not compressed has the bytes of its frames, and at most one for an even length; where it was carried, all
/// that it had.
fn native_length(source: &Source, written: &Source, plan: &Plan) -> Result<()> {
    let bytes = |source: &Source| match source.data_set().get(PIXEL_DATA).map(|e| &e.value) {
        Some(Value::Bytes { offset, len }) => Some((*offset, *len)),
        _ => None,
    };
    let right = match (bytes(source), bytes(written)) {
        (before, after) if suitable::carried(source.facts(), plan.target) => before.map(|b| b.1) == after.map(|a| a.1),
        (_, None) => false,
        (_, Some((offset, len))) => {
            let used = written.frames().last().map_or(0, |f| f.offset() + f.length() - offset);
            len == used + used % 2
        }
    };
    if right { Ok(()) } else { differs("a wrong length of the pixel data") }
}

fn same_list<'a>(
    a: &DataSet,
    list_a: impl Iterator<Item = &'a Element>,
    b: &DataSet,
    mut list_b: impl Iterator<Item = &'a Element>,
) -> Result<()> {
    for element in list_a {
        let Some(other) = list_b.next() else { return differs(format!("{} is missing", name(element.tag))) };
        same_element(a, element, b, other)?;
    }
    match list_b.next() {
        Some(other) => differs(format!("{} was not there", name(other.tag))),
        None => Ok(()),
    }
}

fn same_element(a: &DataSet, ea: &Element, b: &DataSet, eb: &Element) -> Result<()> {
    if ea.tag != eb.tag || elements::written_vr(ea) != eb.vr {
        return differs(format!("{} became {} {}", name(ea.tag), name(eb.tag), eb.vr.to_string()));
    }
    match (&ea.value, &eb.value) {
        (Value::Bytes { len: la, .. }, Value::Bytes { len: lb, .. }) if la == lb => same_bytes(a, ea, b, eb, *la),
        (Value::Items(ia), Value::Items(ib)) if ia.len() == ib.len() => {
            let inner = |e: &&Element| e.tag.element() != 0 || ea.vr == Vr::UN;
            ia.iter().zip(ib).try_for_each(|(x, y)| {
                same_list(a, x.elements.iter().filter(inner), b, y.elements.iter().filter(inner))
            })
        }
        (Value::Fragments(fa), Value::Fragments(fb)) if fa.len() == fb.len() => {
            fa.iter().zip(fb).try_for_each(|(x, y)| {
                if x.1 == y.1 && a.input.bytes(x.0, x.1)? == b.input.bytes(y.0, y.1)? {
                    Ok(())
                } else {
                    differs(format!("{} has other fragments", name(ea.tag)))
                }
            })
        }
        _ => differs(format!("{} has another value", name(ea.tag))),
    }
}

fn same_bytes(a: &DataSet, ea: &Element, b: &DataSet, eb: &Element, len: u64) -> Result<()> {
    const WHOLE: u64 = 16 << 20;
    let equal = if len <= WHOLE || ea.big_endian {
        a.bytes_le(ea)? == b.bytes_le(eb)?
    } else {
        digest(a, ea)? == digest(b, eb)?
    };
    if equal { Ok(()) } else { differs(format!("{} has other bytes", name(ea.tag))) }
}

fn digest(set: &DataSet, element: &Element) -> Result<Vec<u8>> {
    let mut hash = Sha256::new();
    if let Value::Bytes { offset, len } = element.value {
        set.input.chunks(offset, len, |bytes| {
            hash.update(bytes);
            Ok(())
        })?;
    }
    Ok(hash.finalize().to_vec())
}

/// One fragment a frame, and a table that says where each is.
fn tables(written: &Source, table: Table, expected: &[Expected]) -> Result<()> {
    let set = written.data_set();
    let Some(Value::Fragments(fragments)) = set.get(PIXEL_DATA).map(|e| &e.value) else {
        return differs("pixel data is not in fragments");
    };
    let Some((basic, fragments)) = fragments.split_first() else { return differs("no offset table") };
    let even = |(fragment, expected): (&(u64, u64), &Expected)| {
        fragment.1 % 2 == 0 && fragment.1 == expected.length + expected.length % 2
    };
    if fragments.len() != expected.len() || !fragments.iter().zip(expected).all(even) {
        return differs("fragments that are not the frames");
    }
    let first = fragments.first().map_or(0, |f| f.0);
    let starts = fragments.iter().map(|f| f.0 - first);
    let values = |tag: Tag| set.get(tag).map(|e| set.bytes(e)).transpose().map(Option::unwrap_or_default);
    let right = match table {
        Table::Basic => {
            let told = set.input.bytes(basic.0, basic.1)?;
            starts
                .map(u32::try_from)
                .collect::<Result<Vec<_>, _>>()
                .is_ok_and(|s| s.iter().flat_map(|o| o.to_le_bytes()).eq(told.iter().copied()))
                && set.get(EXTENDED_OFFSETS).is_none()
        }
        Table::Extended => {
            let lengths = expected.iter().flat_map(|e| e.length.to_le_bytes());
            basic.1 == 0
                && starts.flat_map(u64::to_le_bytes).eq(values(EXTENDED_OFFSETS)?.iter().copied())
                && lengths.eq(values(EXTENDED_LENGTHS)?.iter().copied())
        }
        Table::Native => false,
    };
    if right { Ok(()) } else { differs("an offset table that does not fit the frames") }
}

fn name(tag: Tag) -> String {
    format!("({:04X},{:04X})", tag.0, tag.1)
}
