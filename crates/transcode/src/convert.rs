//! Decode, encode, write, read back, compare: the only way to a [`Verified`].

use crate::bounded::Loss;
use crate::cross_check::{Class, Opinion, Opinions, Second, Tally};
use crate::decode::{Codecs, DecodeWith};
use crate::encode::Encoder;
use crate::error::{self, Check};
use crate::jpeg_xl;
use crate::plan::Plan;
use crate::policy::{Action, Decision, Policy, Target};
use crate::residue::{self, NoWayBack, Proof, Residue};
use crate::suitable;
use crate::verify::{self, Expected};
use crate::write::{self, Table, Writer};
use cpu_time::ThreadTime;
use dicom::data_set::Value;
use dicom::error::{Error, Result};
use dicom::facts;
use dicom::frames::Frame;
use dicom::input::hex;
use dicom::source::Source;
use dicom::syntax::TransferSyntax;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Samples beyond this many bytes could make an offset table overflow: they get the extended one.
const EXTENDED_ABOVE: u64 = 3 << 30;

/// Buffers and codecs that are reused from instance to instance; one per thread.
#[derive(Debug)]
pub struct Context {
    encoder: Encoder,
    pub(crate) codecs: Codecs,
    samples: Vec<u8>,
    codestream: Vec<u8>,
    /// Memory that the written file is read back into.
    room: Vec<u8>,
    /// Instances with more bytes of samples than this get an Extended Offset Table.
    pub extended_above: u64,
    /// Make and prove a [`Residue`], so that the source can be restored from what is written.
    pub way_back: bool,
    /// CPU time spent on reading back, decoding again, comparing and proving the way back, all instances together.
    pub verifying: Duration,
    /// Asks a second decoder; contexts of one run share one.
    pub opinions: Opinions,
}

impl Default for Context {
    fn default() -> Self {
        Context {
            encoder: Encoder::default(),
            codecs: Codecs::default(),
            samples: Vec::new(),
            codestream: Vec::new(),
            room: Vec::new(),
            extended_above: EXTENDED_ABOVE,
            way_back: true,
            verifying: Duration::ZERO,
            opinions: Opinions::default(),
        }
    }
}

impl Context {
    /// A context that asks for and counts its second opinions together with others.
    pub fn new(opinions: Opinions) -> Context {
        Context { opinions, ..Context::default() }
    }

    /// Makes encoder and decoder share a mistake.
    #[cfg(test)]
    pub(crate) fn swap_codec(&mut self, wrong: Option<crate::cross_check::tests::Wrong>) {
        (self.encoder.wrong, self.codecs.wrong) = (wrong, wrong);
    }
}

/// What became of an instance.
#[derive(Debug)]
pub enum Outcome {
    /// A new file was written at the destination and proven equal.
    Converted(Box<Verified>),
    /// Nothing was written: the instance stays as received.
    Kept {
        /// Why.
        reason: String,
        /// The rule that fired.
        rule: String,
    },
    /// What was written is wrong: the instance stays as received, and the wrong file can be kept to be looked into.
    Disproved(Box<Disproved>),
}

/// End of one resolution level in a codestream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelEnd {
    /// 0 is full size, n is 1/2^n.
    pub level: u8,
    /// Columns at this level.
    pub width: u32,
    /// Rows at this level.
    pub height: u32,
    /// Codestream bytes that hold this level and all coarser ones.
    pub end: u64,
    /// CRC-32 of the decoded samples of the level: little endian, interleaved, in 8, 16 or 32 bits by their precision.
    pub crc32: Option<u32>,
}

/// Proof for one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameEvidence {
    /// SHA-256 of the samples the source decodes to.
    pub sha256_before: String,
    /// SHA-256 of the samples the written file decodes to.
    pub sha256_after: String,
    /// SHA-256 of the JPEG stream that the frame was, and that is rebuilt from the written file byte for byte; only of JPEG XL JPEG
    /// Recompression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jpeg_sha256: Option<String>,
    /// Offset of the codestream in the written file.
    pub offset: u64,
    /// Bytes of the codestream (pad byte not counted).
    pub length: u64,
    /// Ends of the levels, coarsest first; empty where there are none.
    pub levels: Vec<LevelEnd>,
    /// What was lost, where a rule allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// What the second decoder said.
    #[serde(default)]
    pub opinion: Opinion,
}

/// A written file that was read back and whose every sample and element was compared with the source. It is removed when it is
/// dropped before [`Verified::into_path`].
#[derive(Debug)]
pub struct Verified {
    /// Name of the rule that asked for the conversion.
    pub rule: String,
    /// Syntax of the source.
    pub source_syntax: TransferSyntax,
    /// Syntax of the written file.
    pub target_syntax: TransferSyntax,
    /// Bytes of the source file.
    pub bytes_in: u64,
    /// Bytes of the written file.
    pub bytes_out: u64,
    /// SHA-256 over the samples of all frames.
    pub samples_sha256: String,
    /// SHA-256 of the written file.
    pub file_sha256: String,
    /// Name and version of the codec that wrote the frames.
    pub codec: String,
    /// What leads back to the bytes of the source, proven to; or why nothing does.
    pub way_back: Result<Residue, NoWayBack>,
    /// The new SOP Instance UID, when something was lost: what was written is another instance then.
    pub derived_uid: Option<String>,
    /// What second opinions are counted by.
    pub class: Class,
    frames: Vec<FrameEvidence>,
    file: Temporary,
}

impl Verified {
    /// Proof of each frame.
    pub fn frames(&self) -> &[FrameEvidence] {
        &self.frames
    }

    /// The worst of what was lost in any frame; `None` when nothing was.
    pub fn loss(&self) -> Option<Loss> {
        self.frames.iter().filter_map(|frame| frame.loss).reduce(Loss::worse)
    }

    /// What second opinions there were.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for frame in &self.frames {
            match frame.opinion {
                Opinion::NotAsked => tally.not_asked += 1,
                Opinion::Agreed(_) => tally.agreed += 1,
                Opinion::Without(_) => tally.without += 1,
            }
        }
        tally
    }

    /// Where the written file is now. Who moves it elsewhere syncs it before, and the folder after.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Gives the written file up: whoever takes it syncs it, moves it to its place and syncs the folder.
    pub fn into_path(mut self) -> PathBuf {
        self.file.keep = true;
        std::mem::take(&mut self.file.path)
    }
}

/// A written file that did not pass a check. It is removed when it is dropped before [`Disproved::persist`].
#[derive(Debug)]
pub struct Disproved {
    /// Name of the rule that asked for the conversion.
    pub rule: String,
    /// The check that failed.
    pub check: Check,
    /// Which check, and in which way.
    pub reason: String,
    /// Syntax of the source.
    pub source_syntax: TransferSyntax,
    /// Syntax of the written file.
    pub target_syntax: TransferSyntax,
    /// Name and version of the codec that wrote the frames.
    pub codec: String,
    /// What second opinions are counted by.
    pub class: Class,
    file: Temporary,
}

impl Disproved {
    /// Where the wrong file is now.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Syncs the wrong file and moves it to `to`, on the same file system.
    pub fn persist(mut self, to: &Path) -> Result<()> {
        File::open(&self.file.path)?.sync_all()?;
        fs::rename(&self.file.path, to)?;
        self.file.keep = true;
        Ok(())
    }
}

/// A file that goes away unless it is kept.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    keep: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Converts as the policy says. `destination` is a new file in the folder where the result will live; it is there after
/// [`Outcome::Converted`] and removed in every other case.
///
/// An error means that a file can't be read or written; whatever is damaged or can't be done without loss is [`Outcome::Kept`].
pub fn convert(source: &Source, policy: &Policy, context: &mut Context, destination: &Path) -> Result<Outcome> {
    let Decision { rule, then, only_if_smaller, .. } = policy.decide(source.facts());
    let keep = |reason: String| Ok(Outcome::Kept { reason, rule: rule.clone() });
    // What is damaged is kept for that, whatever else may be said of it.
    let sound = source.check_frames();
    if let Err(Error::Damaged(reason)) = sound {
        return keep(reason);
    }
    let target = match then {
        Action::Keep { reason } => return keep(reason),
        Action::Convert(target) => target,
    };
    match sound {
        Err(Error::Unsupported(reason)) => return keep(reason),
        other => other?,
    }
    if let Some(reason) = obstacle(source, target)? {
        return keep(reason);
    }
    let below = only_if_smaller.then_some(source.len());
    match write_verified(source, target, &rule, below, context, destination) {
        Ok(Ok(verified)) => Ok(Outcome::Converted(Box::new(verified))),
        Ok(Err(disproved)) => Ok(Outcome::Disproved(Box::new(disproved))),
        Err(error @ (Error::Io(_) | Error::Damaged(_))) => Err(error),
        Err(Error::Unsupported(reason)) => keep(reason),
        Err(error) => keep(error.to_string()),
    }
}

/// Why this instance is not to be coded again, beyond what the policy can tell from its facts.
fn obstacle(source: &Source, target: Target) -> Result<Option<String>> {
    // The file meta could not repeat it as it is.
    let facts = source.facts();
    let is_text = |uid: &str| uid.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control());
    if !is_text(&facts.sop_class_uid) || !is_text(&facts.sop_instance_uid) {
        return Ok(Some("a UID of it holds what is no text".into()));
    }
    let stream = source.stream();
    if stream.is_some_and(|s| s.colour_transform) && source.facts().photometric == "YBR_FULL" {
        return Ok(Some(
            "photometric interpretation is YBR_FULL, but the stream has a colour transform of its own".into(),
        ));
    }
    if suitable::carried(source.facts(), target) {
        return Ok(None);
    }
    if let Some(reason) = suitable::obstacle_elsewhere(source, target) {
        return Ok(Some(reason));
    }
    let colours = suitable::no_name_for_colour(source, target).or_else(|| suitable::colours_by_marks(source, target));
    if let Some(reason) = colours {
        return Ok(Some(reason));
    }
    if let Some(reason) = surplus(source)? {
        return Ok(Some(reason));
    }
    let there = source.facts().transfer_syntax == target.transfer_syntax();
    match target {
        Target::Htj2kLosslessRpcl if there && all_progressive(source)? => {
            Ok(Some("it is HTJ2K Lossless RPCL already, every level's end known".into()))
        }
        Target::Htj2kLossless if there && !has_empty_levels(source)? => Ok(Some("it is HTJ2K Lossless already".into())),
        _ => Ok(None),
    }
}

/// Is this HTJ2K of tiny images with more levels than halve a side? Versions before wrote it so; it is to be written anew.
pub fn has_empty_levels(source: &Source) -> Result<bool> {
    let facts = source.facts();
    if !facts.syntax_of_frames().is_htj2k() || facts.longest_side() > suitable::TINY {
        return Ok(false);
    }
    let mut codestream = Vec::new();
    for (n, _) in (0..).zip(source.frames()).filter(|(_, frame)| frame.fault().is_none()) {
        source.read_frame(n, &mut codestream)?;
        let header = htj2k::Header::parse(&codestream, &htj2k::Limits::default());
        if header.is_ok_and(|header| verify::has_empty_levels(&header)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn all_progressive(source: &Source) -> Result<bool> {
    let mut codestream = Vec::new();
    for n in 0..source.frames().len() {
        source.read_frame(n as u32, &mut codestream)?;
        let is_right = |codestream: &[u8]| verify::progressive(codestream).is_ok();
        let right = is_right(&codestream) || codestream.pop_if(|last| *last == 0).is_some() && is_right(&codestream);
        if !right || source.frames()[n].fragments.len() != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Native pixel data with more bytes than the attributes account for would lose them; zeros that are no whole frame are padding.
fn surplus(source: &Source) -> Result<Option<String>> {
    let set = source.data_set();
    let Some(Value::Bytes { offset, len }) = facts::pixel_element(set).map(|e| &e.value) else { return Ok(None) };
    let used = source.frames().last().map_or(0, |f| f.offset() + f.length() - offset);
    let spare = len.saturating_sub(used);
    let mut zeros = spare < source.facts().frame_bytes();
    if spare > 1 && zeros {
        set.input.chunks(offset + used, spare, |bytes| {
            zeros &= bytes.iter().all(|b| *b == 0);
            Ok(())
        })?;
    }
    Ok((spare > 1 && !zeros).then(|| format!("pixel data has {spare} bytes more than its attributes account for")))
}

fn write_verified(
    source: &Source,
    target: Target,
    rule: &str,
    below: Option<u64>,
    context: &mut Context,
    destination: &Path,
) -> Result<Result<Verified, Disproved>> {
    let facts = source.facts();
    let plan = Plan::new(source, target, &mut context.codecs)?;
    let large = facts.frame_bytes().saturating_mul(facts.frames.into()) > context.extended_above;
    let first = match target {
        Target::ExplicitLittleEndian => Table::Native,
        _ if large => Table::Extended,
        _ => Table::Basic,
    };
    let out = OpenOptions::new().write(true).create_new(true).open(destination)?;
    let file = Temporary { path: destination.to_owned(), keep: false };
    let mut table = first;
    let expected = match write_file(source, &plan, table, context, &out)? {
        Some(expected) => expected,
        None => {
            table = Table::Extended;
            (&out).rewind()?;
            out.set_len(0)?;
            write_file(source, &plan, table, context, &out)?.ok_or_else(|| Error::Limit("an offset table".into()))?
        }
    };
    if let Some(below) = below
        && out.metadata()?.len() >= below
    {
        return Err(Error::unsupported("the new file would not be smaller"));
    }
    drop(out);
    let start = ThreadTime::now();
    let Context { codecs, opinions, way_back, verifying, samples, room, .. } = context;
    let only = matches!(expected.as_slice(), [one] if !one.held).then_some(samples.as_slice());
    let class = Class::of(facts, plan.codec());
    let written = Source::load_into(destination, std::mem::take(room)).map_err(error::Error::from);
    let proven = written.and_then(|written| {
        let file_sha256 = written.sha256()?;
        let residue = match target.bound() {
            Some(bound) => Err(NoWayBack::Pixels(format!("a rule allowed loss ({bound})"))),
            None => make_residue(source, &written, target, *way_back),
        };
        let mut proof = residue.as_ref().ok().map(|residue| Proof::new(residue, source, &written));
        let mut second = Second { opinions, class: &class };
        let proven = verify::verify(source, &written, &plan, table, &expected, codecs, &mut second, &mut proof, only)?;
        let way_back = proof.map_or(Ok(()), Proof::finish);
        let (len, way_back) = (written.len(), way_back.and(residue));
        *room = written.into_room();
        Ok((proven, len, file_sha256, way_back))
    });
    *verifying += start.elapsed();
    let ((frames, samples_sha256), bytes_out, file_sha256, way_back) = match proven {
        Ok(proven) => proven,
        Err(error::Error::Dicom(Error::Io(error))) => return Err(error.into()),
        Err(error) => {
            let check = if let error::Error::Disproved { check, .. } = &error { *check } else { Check::Verification };
            let reason = match error {
                error::Error::Disproved { .. } => error.to_string(),
                error => format!("{check}: {error}"),
            };
            return Ok(Err(Disproved {
                rule: rule.to_owned(),
                check,
                reason,
                source_syntax: facts.transfer_syntax.clone(),
                target_syntax: target.transfer_syntax(),
                codec: plan.codec(),
                class,
                file,
            }));
        }
    };
    Ok(Ok(Verified {
        rule: rule.to_owned(),
        source_syntax: facts.transfer_syntax.clone(),
        target_syntax: target.transfer_syntax(),
        bytes_in: source.len(),
        bytes_out,
        samples_sha256,
        file_sha256,
        codec: plan.codec(),
        way_back,
        derived_uid: plan.changes.uid.clone(),
        class,
        frames,
        file,
    }))
}

/// The residue, not proven yet.
fn make_residue(source: &Source, written: &Source, target: Target, asked: bool) -> Result<Residue, NoWayBack> {
    let jpegs: Vec<u64> = source.frames().iter().map(Frame::length).collect();
    match asked {
        true => residue::make(source, written, (target == Target::JpegXlRecompression).then_some(&jpegs)),
        false => Err(NoWayBack::NotAsked),
    }
}

/// Decodes, encodes and writes every frame; `None` when a 32-bit offset table is not enough.
fn write_file(
    source: &Source,
    plan: &Plan,
    table: Table,
    context: &mut Context,
    file: &File,
) -> Result<Option<Vec<Expected>>> {
    let frames = source.frames().len() as u32;
    let out = BufWriter::with_capacity(256 * 1024, file);
    if suitable::carried(source.facts(), plan.target) {
        return write_carried(source, context, out).map(Some);
    }
    let mut writer = Writer::start(out, source, plan, frames, table)?;
    let mut expected = Vec::with_capacity(frames as usize);
    context.encoder.begin();
    for n in 0..frames {
        if plan.target == Target::JpegXlRecompression {
            expected.push(recompress(source, n, context)?);
            writer.frame(&context.codestream)?;
            continue;
        }
        let Context { encoder, codecs, samples, codestream, .. } = context;
        let in_frame = |error| Error::Frame { frame: n + 1, what: without_class(error) };
        let held = source.held_samples(n).filter(|_| plan.as_they_are());
        let samples = match held {
            Some(held) => held,
            None => {
                source.decode_with(n, codecs, samples)?;
                plan.settle(source.facts(), samples).map_err(in_frame)?;
                &*samples
            }
        };
        if held.is_some() {
            plan.look(source.facts(), samples).map_err(in_frame)?;
        }
        let loss = encoder.encode(plan, samples, codecs, codestream).map_err(in_frame)?;
        let sha256 = hex(&Sha256::digest(samples));
        let decoded = if loss.is_some() { hex(&Sha256::digest(&encoder.decoded)) } else { sha256.clone() };
        let (length, held) = (codestream.len() as u64, held.is_some());
        expected.push(Expected { sha256, decoded, loss, length, jpeg_sha256: None, held });
        writer.frame(codestream)?;
    }
    if plan.target == Target::JpegXlRecompression {
        smaller(source, &expected)?;
    }
    let Some(mut out) = writer.finish()? else { return Ok(None) };
    out.flush()?;
    Ok(Some(expected))
}

/// Writes elements in Explicit VR Little Endian, pixels and all as they are.
fn write_carried(source: &Source, context: &mut Context, mut out: BufWriter<&File>) -> Result<Vec<Expected>> {
    write::write_explicit_little(source, &mut out)?;
    let mut expected = Vec::with_capacity(source.frames().len());
    for (n, frame) in source.frames().iter().enumerate() {
        source.decode_with(n as u32, &mut context.codecs, &mut context.samples)?;
        let sha256 = hex(&Sha256::digest(&context.samples));
        expected.push(Expected {
            decoded: sha256.clone(),
            sha256,
            loss: None,
            length: frame.length(),
            jpeg_sha256: None,
            held: false,
        });
    }
    Ok(expected)
}

fn without_class(error: Error) -> String {
    match error {
        Error::Unsupported(what) => what,
        other => other.to_string(),
    }
}

/// Makes the codestream of frame `n` out of its JPEG stream; every byte of the frame counts.
fn recompress(source: &Source, n: u32, context: &mut Context) -> Result<Expected> {
    let mut jpeg = Vec::new();
    source.read_frame(n, &mut jpeg)?;
    source.decode_with(n, &mut context.codecs, &mut context.samples)?;
    context.codestream = jpeg_xl::recompress(&jpeg).map_err(|error| match error {
        Error::Unsupported(reason) => Error::Unsupported(format!("frame {}: {reason}", n + 1)),
        other => other,
    })?;
    let sha256 = hex(&Sha256::digest(&context.samples));
    Ok(Expected {
        decoded: sha256.clone(),
        sha256,
        loss: None,
        length: context.codestream.len() as u64,
        jpeg_sha256: Some(hex(&Sha256::digest(&jpeg))),
        held: false,
    })
}

/// A JPEG that does not get smaller stays what it is.
fn smaller(source: &Source, written: &[Expected]) -> Result<()> {
    let before: u64 = source.frames().iter().map(Frame::length).sum();
    let after: u64 = written.iter().map(|frame| frame.length).sum();
    if after < before {
        return Ok(());
    }
    Err(Error::unsupported(format!("JPEG XL is not smaller: {after} bytes for {before} of JPEG")))
}
