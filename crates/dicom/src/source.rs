//! A DICOM instance opened for reading: file meta, data set, facts, frames (PS3.10 chapter 7).

use crate::charset::Charset;
use crate::data_set::{DataSet, Element, Item, Tag, Value, Vr, swap, word};
use crate::document;
use crate::error::{Error, Result};
use crate::facts::{Facts, Pixels};
use crate::frames::{self, Found, Frame, Problem};
use crate::input::{Input, hex};
use crate::json;
use crate::read_at::ReadAt;
use crate::stream::{self, StreamInfo};
use crate::syntax::{Coding, Encoding, TransferSyntax};
use crate::walk::{self, Walked};
use flate2::read::DeflateDecoder;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Inflated data sets larger than this go to a temporary file.
const SPOOL: u64 = 32 << 20;
const META: u16 = 0x0002;

/// An instance, opened. Pixel data stays on disk.
#[derive(Debug)]
pub struct Source {
    file: Arc<Input>,
    meta: Vec<Element>,
    set: Arc<DataSet>,
    facts: Facts,
    frames: Vec<Frame>,
    /// What is wrong with the pixels as a whole; single frames may be there all the same.
    problem: Option<Problem>,
    /// What the first compressed frame says of itself.
    stream: Option<StreamInfo>,
    deflated: bool,
    /// Where the data set begins in the file.
    data_start: u64,
    sha256: OnceLock<Hash>,
}

/// SHA-256 of the file.
#[derive(Debug, Clone, Copy)]
struct Hash {
    digest: [u8; 32],
    /// It was worked out, from the very bytes that are held.
    of_held: bool,
}

/// A bulk value taken by [`Source::bulk`].
#[derive(Debug, Clone)]
pub struct Bulk {
    /// The value, little endian.
    pub bytes: Vec<u8>,
    /// Media type of the value.
    pub media_type: String,
}

impl Source {
    /// Opens a file: header and layout are read, pixel data is not.
    pub fn open(path: &Path) -> Result<Source> {
        Source::read(Input::open(path)?)
    }

    /// As [`Source::open`], for an instance that will be converted: a file that is not large is read once and held in memory.
    pub fn load(path: &Path) -> Result<Source> {
        Source::load_into(path, Vec::new())
    }

    /// As [`Source::load`], in the room of an instance that was done with ([`Source::into_room`]).
    pub fn load_into(path: &Path, spare: Vec<u8>) -> Result<Source> {
        Source::read(Input::load(path, spare)?)
    }

    /// The memory that the file took.
    pub fn into_room(self) -> Vec<u8> {
        let Source { file, set, .. } = self;
        drop(set);
        Arc::try_unwrap(file).map(Input::into_room).unwrap_or_default()
    }

    /// As [`Source::open`], of bytes wherever they lie.
    pub fn from_reader(reader: Arc<dyn ReadAt>) -> Result<Source> {
        Source::read(Input::from_reader(reader)?)
    }

    /// As [`Source::open`], of bytes in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Source> {
        Source::read(Input::from_bytes(bytes))
    }

    /// As [`Source::open`], of an input.
    pub fn read(input: Input) -> Result<Source> {
        let file = Arc::new(input);
        let start = after_preamble(&file)?;
        let (meta, start) = walk::walk_group(&file, start, META)?;
        let header = DataSet {
            input: file.clone(),
            elements: meta,
            encoding: Encoding::ExplicitLittle,
            charset: Charset::default(),
            irregular: false,
        };
        let told = header.string(Tag(META, 0x0010)).filter(|uid| !uid.is_empty()).map(TransferSyntax::new);
        let deflated = told.as_ref().is_some_and(|t| t.uid() == TransferSyntax::DEFLATED);
        let data_start = start;
        let (body, start) = if deflated { (Arc::new(inflate(&file, start)?), 0) } else { (file.clone(), start) };
        let encoding = told.as_ref().map_or_else(|| guess(&body, start), |t| Ok(t.encoding()))?;
        let walked = walk::walk(&body, start, encoding)?;
        if walked.elements.is_empty() {
            return Err(Error::NotDicom);
        }
        let syntax = told.unwrap_or_else(|| TransferSyntax::of_encoding(walked.encoding));
        let source_ae = header.string(Tag(META, 0x0016)).unwrap_or_default();
        Source::assemble(file, header.elements, body, walked, syntax, source_ae, deflated, data_start)
    }

    #[allow(clippy::too_many_arguments)] // the parts of a file, named once
    fn assemble(
        file: Arc<Input>,
        meta: Vec<Element>,
        body: Arc<Input>,
        walked: Walked,
        syntax: TransferSyntax,
        source_ae: String,
        deflated: bool,
        data_start: u64,
    ) -> Result<Source> {
        let mut set = DataSet {
            input: body,
            elements: walked.elements,
            encoding: walked.encoding,
            charset: Charset::default(),
            irregular: walked.irregular,
        };
        if let Some(element) = set.get(Tag(0x0008, 0x0005)) {
            set.charset = Charset::parse(&set.bytes(element)?);
        }
        let set = Arc::new(set);
        let mut facts = Facts::read(&set, syntax, source_ae);
        let found = match frames::find(&set, &facts, &walked.cut) {
            Ok(found) => found,
            Err(Error::Io(error)) => return Err(error.into()),
            Err(error) => {
                let damaged = matches!(error, Error::Truncated { .. } | Error::Malformed { .. } | Error::Limit(_));
                Found { problem: Some(Problem { damaged, text: error.to_string() }), ..Found::default() }
            }
        };
        facts.frame_syntax = found.syntax;
        if facts.frames == 0 {
            facts.frames = found.frames.len() as u32;
        }
        // What ends too early or holds what belongs nowhere is not made anew, whatever its frames are.
        let problem = walked.fault.map(Problem::damaged).or(found.problem);
        let frames = found.frames;
        let mut source = Source {
            file,
            meta,
            set,
            facts,
            frames,
            problem,
            stream: None,
            deflated,
            data_start,
            sha256: OnceLock::new(),
        };
        source.identify()?;
        source.look_at_stream();
        Ok(source)
    }

    /// An item of a sequence as an instance of its own in this transfer syntax: the image that it holds.
    pub fn of_item(&self, item: &Item, syntax: TransferSyntax) -> Result<Source> {
        let (elements, encoding) = (item.elements.clone(), self.set.encoding);
        let walked = Walked { elements, irregular: self.set.irregular, encoding, fault: None, cut: Vec::new() };
        let (file, body) = (self.file.clone(), self.set.input.clone());
        Source::assemble(file, Vec::new(), body, walked, syntax, String::new(), self.deflated, self.data_start)
    }

    /// What the data set does not say of its identity, the file meta may.
    fn identify(&mut self) -> Result<()> {
        let uid = |element| {
            Ok::<_, Error>(String::from_utf8_lossy(&self.meta_value(element)?).trim_matches(['\0', ' ']).to_owned())
        };
        let (class, instance) = (uid(0x0002)?, uid(0x0003)?);
        if self.facts.sop_class_uid.is_empty() {
            self.facts.sop_class_uid = class;
        }
        if self.facts.sop_instance_uid.is_empty() {
            self.facts.sop_instance_uid = instance;
        }
        Ok(())
    }

    /// Reads the header of the first compressed frame: only the stream knows whether it is lossy.
    fn look_at_stream(&mut self) {
        let coding = self.facts.coding();
        self.facts.lossy |= matches!(coding, Coding::Jpeg | Coding::Video)
            || matches!(
                self.facts.transfer_syntax.uid(),
                TransferSyntax::JPEG_XL | TransferSyntax::JPEG_XL_RECOMPRESSION
            );
        let compressed = self.facts.pixels == Pixels::Encapsulated || self.facts.frame_syntax.is_some();
        let Some(first) = self.first_frame().filter(|_| compressed) else { return };
        let mut head = Vec::new();
        for most in stream::LOOKS {
            if self.read_some(first, most, &mut head).is_err() {
                return;
            }
            if let Ok(info) = stream::probe(&head, coding) {
                self.facts.lossy |= info.as_ref().is_some_and(|info| info.lossy);
                self.stream = info;
                return;
            }
        }
    }

    /// Facts of the instance.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The walked data set.
    pub fn data_set(&self) -> &DataSet {
        &self.set
    }

    /// Where each frame is, as far as it is there: one may have a [fault](Frame::fault), and those that are told and not listed are
    /// missing. Who needs all of them asks [`Source::check_frames`] first.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The first frame (from 0) that is there and whole.
    pub fn first_frame(&self) -> Option<u32> {
        self.frames.iter().position(|frame| frame.fault().is_none()).map(|n| n as u32)
    }

    /// Do the offsets of [`Source::frames`] count in the file itself? Not in a deflated one: take the frames by
    /// [`Source::read_frame`] then.
    pub fn frames_in_file(&self) -> bool {
        !self.deflated
    }

    /// Are all frames there, and is nothing else wrong from the pixels on? Damage is [`Error::Damaged`], what can't be read here is
    /// [`Error::Unsupported`].
    pub fn check_frames(&self) -> Result<()> {
        match &self.problem {
            None => Ok(()),
            Some(problem) if problem.damaged => Err(Error::Damaged(problem.text.clone())),
            Some(problem) => Err(Error::unsupported(problem.text.clone())),
        }
    }

    /// The stored bytes of frame `n` (from 0), fragments joined. `out` is cleared first.
    pub fn read_frame(&self, n: u32, out: &mut Vec<u8>) -> Result<()> {
        self.read_some(n, u64::MAX, out)
    }

    /// The first bytes of frame `n`, at most `limit`.
    pub fn read_some(&self, n: u32, limit: u64, out: &mut Vec<u8>) -> Result<()> {
        let frame = self.frames.get(n as usize).filter(|frame| frame.fault().is_none());
        let frame = frame.ok_or_else(|| self.no_frame(n))?;
        out.clear();
        out.reserve(frame.length().min(limit) as usize);
        for (offset, len) in &frame.fragments {
            let len = (*len).min(limit - out.len() as u64);
            let at = out.len();
            out.resize(at + len as usize, 0);
            self.set.input.read_at(*offset, &mut out[at..])?;
        }
        Ok(())
    }

    /// Why frame `n` can't be read.
    fn no_frame(&self, n: u32) -> Error {
        let fault = self.frames.get(n as usize).and_then(Frame::fault);
        let what = match (fault, &self.problem) {
            (Some(fault), _) => fault.to_owned(),
            (None, Some(problem)) if n < self.facts.frames.max(1) => problem.text.clone(),
            _ => "there is no such frame".into(),
        };
        Error::Frame { frame: n.saturating_add(1), what }
    }

    /// The stored bytes of frame `n`, where they are in memory side by side.
    pub fn held_frame(&self, n: u32) -> Option<&[u8]> {
        match self.frames.get(n as usize)?.fragments.as_slice() {
            [(offset, len)] => self.set.input.held(*offset, *len),
            _ => None,
        }
    }

    /// All bytes of the file, where they are in memory and their SHA-256 was taken from there.
    pub fn hashed_bytes(&self) -> Option<&[u8]> {
        self.sha256.get().filter(|hash| hash.of_held)?;
        self.file.all()
    }

    /// What the first compressed frame says of itself.
    pub fn stream(&self) -> Option<&StreamInfo> {
        self.stream.as_ref()
    }

    /// The elements of the file meta.
    pub fn meta(&self) -> &[Element] {
        &self.meta
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.file.len()
    }

    /// Is the file empty? Never: it would not have been opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the bytes of the file as they are.
    pub fn copy_to(&self, out: &mut dyn Write) -> Result<()> {
        self.file.copy_to(0, self.file.len(), out)
    }

    /// SHA-256 of the file as it is, hexadecimal. It is worked out once.
    pub fn sha256(&self) -> Result<String> {
        Ok(hex(&self.digest()?))
    }

    /// As [`Source::sha256`], in bytes.
    pub fn digest(&self) -> Result<[u8; 32]> {
        match self.sha256.get() {
            Some(known) => Ok(known.digest),
            None => {
                let digest = self.file.sha256()?;
                Ok(self.sha256.get_or_init(|| Hash { digest, of_held: self.file.all().is_some() }).digest)
            }
        }
    }

    /// Says what SHA-256 the file must have, so that it is not worked out again. A way back is proven against it.
    pub fn expect_sha256(&mut self, sha256: [u8; 32]) {
        self.sha256 = OnceLock::from(Hash { digest: sha256, of_held: false });
    }

    /// The bytes of the file.
    pub fn input(&self) -> &Input {
        &self.file
    }

    /// The data set as DICOM JSON (PS3.18 F.2). `bulk_uri` makes the BulkDataURI of a value from its path: tags of 8
    /// hexadecimal digits and item numbers from 0, joined by `/` (`7FE00010`, `00081140/0/00091010`).
    pub fn dicom_json(&self, bulk_uri: &dyn Fn(&str) -> String) -> Result<serde_json::Map<String, serde_json::Value>> {
        json::data_set(&self.set, bulk_uri)
    }

    /// The bytes of the data set as they lie in the file. Around a deflated one stands what PS3.5 A.5 does not know: it is left out.
    pub fn stored_data_set(&self) -> (&Arc<Input>, Range<u64>) {
        let (start, end) = (self.data_start, self.file.len());
        let zlib = self.deflated && self.file.bytes(start, 5).is_ok_and(|head| is_zlib(&head)) && end - start > 6;
        (&self.file, if zlib { start + 2..end - 4 } else { start..end })
    }

    /// The value behind a path that [`Source::dicom_json`] gave out; `None` when there is no such value.
    /// Top-level pixel data is not taken this way: use the frames. An encapsulated document has its own media type, and its own
    /// length.
    pub fn bulk(&self, path: &str) -> Result<Option<Bulk>> {
        let Some((runs, word, media_type)) = self.bulk_runs(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        for (offset, len) in runs {
            bytes.extend_from_slice(&self.set.input.bytes(offset, len)?);
        }
        swap(&mut bytes, word);
        Ok(Some(Bulk { bytes, media_type }))
    }

    /// Where the value of [`Source::bulk`] lies in the file, and its media type; `None` where there is no such value, or its bytes
    /// do not lie there as they are told.
    pub fn bulk_place(&self, path: &str) -> Result<Option<(Runs, String)>> {
        let found = self.bulk_runs(path)?.filter(|(_, word, _)| *word == 1 && !self.deflated);
        Ok(found.map(|(runs, _, media_type)| (runs, media_type)))
    }

    /// The runs of bytes of a value, the bytes of one number that has to be turned around, and the media type.
    fn bulk_runs(&self, path: &str) -> Result<Option<(Runs, usize, String)>> {
        let Some(element) = resolve(&self.set.elements, path) else { return Ok(None) };
        let octets = "application/octet-stream".to_owned();
        Ok(match &element.value {
            Value::Items(_) => None,
            Value::Bytes { offset, len } if path == "00420011" => {
                let (len, media_type) = document::describe(&self.set, &self.facts, *offset, *len)?;
                Some((vec![(*offset, len)], 1, media_type))
            }
            Value::Bytes { offset, len } => {
                Some((vec![(*offset, *len)], if element.big_endian { word(element.vr) } else { 1 }, octets))
            }
            Value::Fragments(parts) => Some((parts.get(1..).unwrap_or_default().to_vec(), 1, octets)),
        })
    }

    /// The value bytes of an element of the file meta.
    pub fn meta_bytes(&self, element: &Element) -> Result<Vec<u8>> {
        match element.value {
            Value::Bytes { offset, len } => Ok(self.file.bytes(offset, len)?.into_owned()),
            _ => Ok(Vec::new()),
        }
    }

    /// The value bytes of (0002,`element`); empty when it is not there.
    pub fn meta_value(&self, element: u16) -> Result<Vec<u8>> {
        self.meta.iter().find(|e| e.tag == Tag(META, element)).map_or_else(|| Ok(Vec::new()), |e| self.meta_bytes(e))
    }
}

fn resolve<'a>(mut elements: &'a [Element], path: &str) -> Option<&'a Element> {
    let mut steps = path.split('/');
    loop {
        let step = steps.next()?;
        let tag = u32::from_str_radix(step, 16).ok().filter(|_| step.len() == 8)?;
        let element = elements.iter().find(|e| e.tag == Tag((tag >> 16) as u16, tag as u16))?;
        let Some(item) = steps.next() else { return Some(element) };
        elements = &element.items()?.get(item.parse::<usize>().ok()?)?.elements;
    }
}

/// Where the file meta (or, without one, the data set) starts.
pub(crate) fn after_preamble(input: &Input) -> Result<u64> {
    let is = |at: u64, what: &[u8]| input.bytes(at, what.len() as u64).is_ok_and(|b| *b == *what);
    if is(128, b"DICM") {
        return Ok(132);
    }
    if is(0, b"DICM") {
        return Ok(4);
    }
    // Without the prefix: the first element must be of the file meta, or of the identifying group, in either byte order.
    let starts = input.bytes(0, 4).is_ok_and(|b| b[0] == 2 && b[1] == 0 && b[3] <= 1);
    let group_8 =
        input.bytes(0, 4).is_ok_and(|b| (b[0] == 8 && b[1] == 0 && b[3] == 0) || (b[0] == 0 && b[1] == 8 && b[2] == 0));
    if starts || group_8 { Ok(0) } else { Err(Error::NotDicom) }
}

/// How a data set without file meta is written.
pub(crate) fn guess(input: &Input, start: u64) -> Result<Encoding> {
    let head = input.bytes(start, 8).map_err(|_| Error::NotDicom)?;
    let explicit = Vr::from_binary([head[4], head[5]]).is_some();
    Ok(match (explicit, head[0]) {
        (true, 0) => Encoding::ExplicitBig,
        (true, _) => Encoding::ExplicitLittle,
        (false, _) => Encoding::ImplicitLittle,
    })
}

/// Offset and length of each run of bytes.
type Runs = Vec<(u64, u64)>;

/// Does a deflated data set begin with the header of RFC 1950, which PS3.5 A.5 does not know? As a deflate stream such bytes would
/// begin a stored block, which tells its length twice (RFC 1951 3.2.4).
pub fn is_zlib(head: &[u8]) -> bool {
    let Some(&[method, flags, len_high, not_low, not_high]) = head.first_chunk() else { return false };
    let header = method & 0x0F == 8 && method >> 4 <= 7 && flags & 0x20 == 0;
    let stored = flags == !not_low && len_high == !not_high;
    header && u16::from_be_bytes([method, flags]) % 31 == 0 && !stored
}

/// Inflates the data set (PS3.5 A.5), bounded by a multiple of what came in. A header of RFC 1950 before it is stepped over.
fn inflate(file: &Input, mut start: u64) -> Result<Input> {
    if file.bytes(start, 5).is_ok_and(|head| is_zlib(&head)) {
        start += 2;
    }
    let limit = (256 << 20) + 64 * (file.len() - start);
    let mut decoder = DeflateDecoder::new(Tail { input: file, at: start }).take(limit + 1);
    let mut bytes = Vec::new();
    let bad = |error: std::io::Error| Error::malformed(start, format!("deflated data set: {error}"));
    decoder.by_ref().take(SPOOL).read_to_end(&mut bytes).map_err(bad)?;
    if (bytes.len() as u64) < SPOOL {
        return Ok(Input::from_bytes(bytes));
    }
    let mut spool = tempfile::tempfile()?;
    spool.write_all(&bytes)?;
    let mut chunk = vec![0; 256 * 1024];
    loop {
        match decoder.read(&mut chunk).map_err(bad)? {
            0 => return Input::from_file(spool),
            n => spool.write_all(&chunk[..n])?,
        }
        if spool.metadata()?.len() > limit {
            return Err(Error::Limit(format!("a deflated data set of more than {limit} bytes")));
        }
    }
}

/// An [`Input`] read from an offset to its end.
struct Tail<'a> {
    input: &'a Input,
    at: u64,
}

impl Read for Tail<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = (self.input.len() - self.at).min(buf.len() as u64) as usize;
        self.input.read_at(self.at, &mut buf[..n]).map_err(std::io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}
