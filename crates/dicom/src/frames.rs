//! Where each frame is, and which are not there: native runs, fragments, and the offset tables that may or may not tell the truth
//! (PS3.5 A.4).
//!
//! Each frame stands for itself. One that is missing or cut takes nothing from its neighbours; what is wrong with the whole is said
//! beside them, and whoever needs all frames asks for that.

use crate::data_set::{DataSet, Element, Tag, Value, Vr};
use crate::error::{Error, Result};
use crate::facts::{self, Facts, Pixels};
use crate::input::Input;
use crate::stream;
use crate::syntax::{Coding, TransferSyntax};

const EXTENDED_OFFSETS: Tag = Tag(0x7FE0, 0x0001);
/// Bytes from a fragment to the next: the item header.
const HEADER: u64 = 8;
/// Where there are as many fragments as frames, so many of them are looked at for whether that may be chance.
const FEW: usize = 1024;

/// Where the bytes of one frame are in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// `(offset, length)` of each run of bytes, in order; one for native frames. None when the frame is not whole.
    pub fragments: Vec<(u64, u64)>,
    fault: Option<Box<str>>,
}

impl Frame {
    fn whole(fragments: Vec<(u64, u64)>) -> Frame {
        Frame { fragments, fault: None }
    }

    fn faulty(fault: impl Into<String>) -> Frame {
        Frame { fragments: Vec::new(), fault: Some(fault.into().into()) }
    }

    /// Why the frame can't be read: it is missing, or cut.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Offset of the first byte in the file.
    pub fn offset(&self) -> u64 {
        self.fragments.first().map_or(0, |f| f.0)
    }

    /// Bytes of all runs (a pad byte at the end of the last fragment counted).
    pub fn length(&self) -> u64 {
        self.fragments.iter().map(|f| f.1).sum()
    }
}

/// The frames of an instance, as far as they are there.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In order; those after the last one are missing.
    pub(crate) frames: Vec<Frame>,
    /// Why the instance as a whole can't be made anew, although some frames may be there.
    pub(crate) problem: Option<Problem>,
    /// What the frames prove to be, where that is not what the file says.
    pub(crate) syntax: Option<TransferSyntax>,
}

/// What is wrong with an instance; kept apart from [`Error`] so that it can be told again and again.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) text: String,
    /// The file is damaged, not just beyond what can be read here.
    pub(crate) damaged: bool,
}

impl Problem {
    pub(crate) fn damaged(text: impl Into<String>) -> Problem {
        Problem { text: text.into(), damaged: true }
    }
}

impl Found {
    fn whole(frames: Vec<Frame>) -> Found {
        Found { frames, ..Found::default() }
    }

    /// The first problem counts: it is nearest to the cause.
    fn but(mut self, problem: Problem) -> Found {
        self.problem.get_or_insert(problem);
        self
    }
}

/// Finds the frames of a data set. `cut`: offsets of fragments that are not there as their lengths say.
pub(crate) fn find(set: &DataSet, facts: &Facts, cut: &[u64]) -> Result<Found> {
    let Some(element) = facts::pixel_element(set) else { return Ok(Found::default()) };
    let (told, problem) = match facts::frames(set) {
        Ok(told) => (Some(told), None),
        // What is no number tells nothing: the frames are counted by what is there.
        Err(error) => (None, Some(Problem::damaged(error.to_string()))),
    };
    let search = Search { input: &set.input, set, facts, told, cut };
    let found = match &element.value {
        Value::Items(_) => Err(Error::malformed(element.start, "pixel data that is a sequence")),
        Value::Bytes { offset, len } => search.bytes(element, *offset, *len),
        Value::Fragments(fragments) => search.fragments(element, fragments),
    }?;
    Ok(match problem {
        Some(problem) => Found { problem: Some(problem), ..found },
        None => found,
    })
}

struct Search<'a> {
    input: &'a Input,
    set: &'a DataSet,
    facts: &'a Facts,
    /// Number of Frames, if it is a number.
    told: Option<u32>,
    cut: &'a [u64],
}

impl Search<'_> {
    /// Pixel data that is one run of bytes.
    fn bytes(&self, element: &Element, offset: u64, len: u64) -> Result<Found> {
        if self.facts.pixels == Pixels::Video {
            return Err(Error::unsupported("a video stream that is not in fragments"));
        }
        if !self.facts.transfer_syntax.is_encapsulated() {
            let pairs = element.big_endian && element.vr == Vr::OW && self.facts.bits_allocated <= 8;
            return native(self.facts, self.told, offset, len, pairs);
        }
        let malformed = Error::malformed(
            element.start,
            "pixel data that is not in fragments under a transfer syntax with compression",
        );
        let told = self.facts.transfer_syntax.name();
        let bytes = native_bits(self.facts).and_then(|bits| bits.checked_mul(u64::from(self.told?)));
        if bytes.is_some_and(|bits| bits > 0 && bits.div_ceil(8).next_multiple_of(2) == len.next_multiple_of(2)) {
            let mut found = native(self.facts, self.told, offset, len, false)?;
            found.syntax = Some(TransferSyntax::new(TransferSyntax::EXPLICIT_LITTLE));
            let text = format!("{malformed}: they are samples of the very length that the attributes say, not {told}");
            return Ok(found.but(Problem::damaged(text)));
        }
        let head = self.head((offset, len))?;
        if head.starts_with(&[0xFE, 0xFF, 0x00, 0xE0]) {
            let fragments = self.items(offset, len)?;
            return Ok(self.fragments(element, &fragments)?.but(Problem::damaged(malformed.to_string())));
        }
        match self.sniff((offset, len))? {
            Some(syntax) => {
                let found = Found::whole(vec![Frame::whole(vec![(offset, len)])]);
                Ok(Found { syntax: Some(syntax), ..found }.but(Problem::damaged(malformed.to_string())))
            }
            None => Err(malformed),
        }
    }

    /// Items of an encapsulated value that has a length, as far as they can be read.
    fn items(&self, offset: u64, len: u64) -> Result<Vec<(u64, u64)>> {
        let (mut at, end, mut items) = (offset, offset + len, Vec::new());
        while end - at >= HEADER {
            let head = self.input.bytes(at, HEADER)?;
            let len = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
            at += HEADER;
            if head[..4] != [0xFE, 0xFF, 0x00, 0xE0] || len > end - at {
                break;
            }
            items.push((at, len));
            at += len;
        }
        Ok(items)
    }

    /// Pixel data in fragments, the first of which is the Basic Offset Table.
    fn fragments(&self, element: &Element, fragments: &[(u64, u64)]) -> Result<Found> {
        if self.facts.pixels == Pixels::Video {
            let all = fragments.get(1..).unwrap_or_default().to_vec();
            return Ok(Found::whole(vec![Frame::whole(all)]));
        }
        let Some((table, fragments)) = fragments.split_first() else {
            return Err(Error::unsupported("encapsulated pixel data without an offset table"));
        };
        let (syntax, problem) = self.true_syntax(element, fragments)?;
        let coding = syntax.as_ref().unwrap_or(&self.facts.transfer_syntax).coding();
        let found = self.divide(*table, fragments, coding)?;
        let found = Found { syntax, ..found };
        Ok(match problem {
            Some(problem) => Found { problem: Some(problem), ..found },
            None => found,
        })
    }

    /// What the fragments are, where the first of them proves that the file says something else, and what is to be said of that.
    fn true_syntax(
        &self,
        element: &Element,
        fragments: &[(u64, u64)],
    ) -> Result<(Option<TransferSyntax>, Option<Problem>)> {
        let told = &self.facts.transfer_syntax;
        let first = fragments.iter().copied().find(|f| f.1 > 0);
        let sniffed = match first {
            Some(first) => self.sniff(first)?,
            None => None,
        };
        let j2k = |coding| matches!(coding, Coding::Jpeg2000 | Coding::HtJ2k);
        match sniffed {
            Some(syntax) if told.is_encapsulated() && syntax.coding() == told.coding() => Ok((None, None)),
            // One family, one reader: the stream itself says what its code-blocks are.
            Some(syntax) if j2k(syntax.coding()) && j2k(told.coding()) => Ok((Some(syntax), None)),
            // A start by chance proves nothing where frames have none of their own.
            Some(_) if matches!(told.coding(), Coding::DeflatedFrame) => Ok((None, None)),
            Some(syntax) if syntax.coding() == Coding::Rle && told.uid() == "1.2.840.10008.1.2.1.98" => {
                Ok((None, None))
            }
            Some(syntax) => {
                let text = format!("the frames are {}, but the file says {}", syntax.name(), told.name());
                Ok((Some(syntax), Some(Problem::damaged(text))))
            }
            None if self.are_samples(fragments) && told.coding() != Coding::Native => {
                let text =
                    format!("the frames are samples of the very length that the attributes say, not {}", told.name());
                let syntax = TransferSyntax::new("1.2.840.10008.1.2.1.98");
                Ok((Some(syntax), Some(Problem::damaged(text))))
            }
            None if told.is_encapsulated() && told.coding() != Coding::Unknown => Ok((None, None)),
            None if told.coding() == Coding::Unknown => Err(Error::unsupported(format!("transfer syntax {told}"))),
            None => Err(Error::malformed(element.start, "fragments under a transfer syntax without compression")),
        }
    }

    /// Has every fragment the very length of a frame of samples? Only said of codings whose frames have a start that can be told,
    /// and is not there.
    fn are_samples(&self, fragments: &[(u64, u64)]) -> bool {
        let told = self.facts.transfer_syntax.coding();
        let bytes = native_bits(self.facts).map_or(0, |bits| bits.div_ceil(8).next_multiple_of(2));
        stream::starts(&[], 0, told, self.facts).is_some()
            && bytes > 0
            && Some(fragments.len()) == self.told.map(|n| n as usize)
            && fragments.iter().all(|f| f.1 == bytes)
    }

    /// The transfer syntax that the first bytes of a fragment prove.
    fn sniff(&self, fragment: (u64, u64)) -> Result<Option<TransferSyntax>> {
        for most in stream::LOOKS {
            let found = stream::sniff(&self.some(fragment, most)?, fragment.1, self.facts);
            if found.is_some() || fragment.1 <= most {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn some(&self, (offset, len): (u64, u64), most: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len.min(most) as usize];
        self.input.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    fn head(&self, fragment: (u64, u64)) -> Result<Vec<u8>> {
        self.some(fragment, stream::HEAD as u64)
    }

    /// Does a compressed image start with this fragment?
    fn starts(&self, fragment: (u64, u64), coding: Coding) -> Result<bool> {
        Ok(stream::starts(&self.head(fragment)?, fragment.1, coding, self.facts) == Some(true))
    }

    /// Does a compressed image end with this fragment?
    fn ends(&self, (offset, len): (u64, u64), coding: Coding) -> Result<bool> {
        let tail = len.min(8);
        Ok(stream::ends_image(&self.some((offset + len - tail, tail), tail)?, coding) == Some(true))
    }

    /// Divides fragments into frames.
    fn divide(&self, table: (u64, u64), fragments: &[(u64, u64)], coding: Coding) -> Result<Found> {
        let tells = stream::starts(&[], 0, coding, self.facts).is_some();
        let real: Vec<(u64, u64)> = fragments.iter().copied().filter(|f| f.1 > 0).collect();
        let (frames, exact) = match self.told {
            Some(told) => (told as usize, true),
            None if tells => (self.groups(&real, coding, false)?.len(), false),
            None => (real.len(), false),
        };
        // An empty fragment is a frame that is missing, where it makes the number right and nothing else is wrong.
        let one_each = exact && fragments.len() == frames && (self.cut.is_empty() || real.len() == frames);
        let mut found = if one_each && !self.is_split(fragments, coding, tells)? {
            let each = |f: &(u64, u64)| match f.1 {
                0 => Frame::faulty("it is missing: its fragment is empty"),
                _ => Frame::whole(vec![*f]),
            };
            Found::whole(fragments.iter().map(each).collect())
        } else if frames == 1 {
            self.single(&real, coding, tells)?
        } else if let Some(found) = self.by_tables(table, fragments, frames, coding)? {
            found
        } else {
            self.by_starts(table, fragments, &real, frames, coding, tells)?
        };
        for frame in found.frames.iter_mut().filter(|_| !self.cut.is_empty()) {
            if self.is_cut(&frame.fragments) {
                *frame = Frame::faulty("it is cut: the file ends within it, or the length of a fragment is wrong");
            }
        }
        let whole = found.frames.iter().filter(|frame| frame.fault.is_none()).count();
        Ok(match frames {
            _ if whole == frames => found,
            _ if whole == 0 => found.but(Problem::damaged(format!(
                "truncated: {frames} frames are told, in fragments of {} bytes",
                real.iter().map(|f| f.1).sum::<u64>()
            ))),
            _ => found.but(Problem::damaged(format!("{whole} of {frames} frames are there and whole"))),
        })
    }

    fn is_cut(&self, fragments: &[(u64, u64)]) -> bool {
        fragments.iter().any(|fragment| self.cut.binary_search(&fragment.0).is_ok())
    }

    /// As many fragments as frames, and yet some fragment goes on with the image of the one before?
    fn is_split(&self, fragments: &[(u64, u64)], coding: Coding, tells: bool) -> Result<bool> {
        if !tells || fragments.len() < 2 || fragments.len() > FEW {
            return Ok(false);
        }
        for pair in fragments.windows(2) {
            let known = stream::ends_image(&[], coding).is_some() && pair.iter().all(|f| f.1 > 0);
            if known && !self.starts(pair[1], coding)? && !self.ends(pair[0], coding)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All fragments are one frame, unless the stream says that there are more: then it is the first of them.
    fn single(&self, real: &[(u64, u64)], coding: Coding, tells: bool) -> Result<Found> {
        if real.is_empty() {
            return Ok(Found::whole(vec![Frame::faulty("it is missing: there is not a byte of it")]));
        }
        let mut groups = if tells { self.groups(real, coding, false)? } else { vec![real.to_vec()] };
        if groups.len() > 1 {
            groups = self.groups(real, coding, true)?;
        }
        let count = groups.len();
        let found = Found::whole(groups.into_iter().take(1).map(Frame::whole).collect());
        Ok(if count > 1 { found.but(too_many(count, 1)) } else { found })
    }

    /// By a table that is right for every frame.
    fn by_tables(
        &self,
        table: (u64, u64),
        fragments: &[(u64, u64)],
        frames: usize,
        coding: Coding,
    ) -> Result<Option<Found>> {
        let tells = stream::starts(&[], 0, coding, self.facts).is_some();
        for starts in self.tables(table)? {
            let Some(found) = by_offsets(fragments, &starts, frames) else { continue };
            let mut right = found.iter().all(|frame| !frame.fragments.is_empty());
            for frame in found.iter().filter(|_| tells) {
                right = right && self.starts(frame.fragments[0], coding)?;
            }
            if right {
                return Ok(Some(Found::whole(found)));
            }
        }
        Ok(None)
    }

    /// What the offset tables say: the basic one, and the extended one.
    fn tables(&self, table: (u64, u64)) -> Result<Vec<Vec<u64>>> {
        Ok(basic_offsets(self.input, table)?.into_iter().chain(extended_offsets(self.set)?).collect())
    }

    /// Fragments put together where a compressed image starts. `ends_too`: also where one has ended, whatever follows.
    fn groups(&self, real: &[(u64, u64)], coding: Coding, ends_too: bool) -> Result<Vec<Vec<(u64, u64)>>> {
        let mut groups: Vec<Vec<(u64, u64)>> = Vec::new();
        for fragment in real {
            let ended = match groups.last().and_then(|group| group.last()) {
                None => true,
                Some(last) => ends_too && self.ends(*last, coding)?,
            };
            if ended || self.starts(*fragment, coding)? {
                groups.push(vec![*fragment]);
            } else if let Some(group) = groups.last_mut() {
                group.push(*fragment);
            }
        }
        Ok(groups)
    }

    /// By where compressed images start, and by what of the tables holds.
    fn by_starts(
        &self,
        table: (u64, u64),
        fragments: &[(u64, u64)],
        real: &[(u64, u64)],
        frames: usize,
        coding: Coding,
        tells: bool,
    ) -> Result<Found> {
        let mut groups = match (tells, coding) {
            // One fragment for each, once the empty ones are left out.
            _ if real.len() == frames && !self.is_split(real, coding, tells)? => {
                real.iter().map(|f| vec![*f]).collect()
            }
            (true, _) => self.groups(real, coding, false)?,
            // Samples in fragments: a frame ends where it has its bytes.
            (false, Coding::Native) => by_size(self.facts, real),
            (false, _) if real.len() <= frames => real.iter().map(|f| vec![*f]).collect(),
            (false, _) => {
                let text = format!("{} fragments that can't be told apart into {frames} frames", real.len());
                return Err(Error::unsupported(text));
            }
        };
        if tells && groups.len() != frames {
            // An image that has lost its start is one all the same, and its neighbours keep their numbers.
            groups = self.groups(real, coding, true)?;
        }
        if groups.len() == frames {
            return Ok(Found::whole(groups.into_iter().map(Frame::whole).collect()));
        }
        let first = fragments.first().map_or(0, |f| f.0);
        let mut anchors = Vec::new();
        for starts in self.tables(table)? {
            let place = |offset: &u64| groups.binary_search_by_key(&first.checked_add(*offset)?, |g| g[0].0).ok();
            let told = starts.iter().take(frames).enumerate().filter_map(|(n, offset)| Some((n, place(offset)?)));
            let told = increasing(told.collect());
            if told.len() > anchors.len() {
                anchors = told;
            }
        }
        let count = groups.len();
        // What is cut may hold others: those behind it are not told by their order.
        let told = anchors.last().map_or(0, |last| last.1);
        let cut = groups[told..].iter().position(|group| self.is_cut(group));
        let until = cut.map_or(count, |cut| told + cut + 1);
        let found = Found::whole(by_anchors(groups, &anchors, until, frames));
        Ok(if count > frames { found.but(too_many(count, frames)) } else { found })
    }
}

fn too_many(count: usize, frames: usize) -> Problem {
    Problem { text: format!("{count} compressed images where Number of Frames says {frames}"), damaged: false }
}

/// Fragments put together until they have the bytes of a frame.
fn by_size(facts: &Facts, real: &[(u64, u64)]) -> Vec<Vec<(u64, u64)>> {
    let need = native_bits(facts).map_or(0, |bits| bits.div_ceil(8));
    let mut groups: Vec<Vec<(u64, u64)>> = Vec::new();
    let mut have = need;
    for fragment in real {
        if have >= need {
            groups.push(Vec::new());
            have = 0;
        }
        have += fragment.1;
        if let Some(group) = groups.last_mut() {
            group.push(*fragment);
        }
    }
    groups
}

/// Of `(frame, group)` that a table claims, the most that are in order both ways: the entries that may be true.
fn increasing(claims: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    // The longest increasing run of groups, by patience: `tails[n]` ends the best run of n + 1.
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(claims.len());
    for (n, claim) in claims.iter().enumerate() {
        let at = tails.partition_point(|tail| claims[*tail].1 < claim.1);
        before.push(at.checked_sub(1).map(|at| tails[at]));
        if at == tails.len() {
            tails.push(n);
        } else {
            tails[at] = n;
        }
    }
    let mut run = Vec::with_capacity(tails.len());
    let mut last = tails.last().copied();
    while let Some(n) = last {
        run.push(claims[n]);
        last = before[n];
    }
    run.reverse();
    run
}

/// Gives each frame its group: by the claims of a table where there are any, in order between two of them where the numbers agree, and
/// in order from the last of them on, up to the group `until`. What else there is can't be told.
fn by_anchors(groups: Vec<Vec<(u64, u64)>>, anchors: &[(usize, usize)], until: usize, frames: usize) -> Vec<Frame> {
    let (count, mut of_frame) = (groups.len(), std::collections::BTreeMap::new());
    // The next frame and group that are not settled.
    let (mut n, mut g) = (0, 0);
    for &(frame, group) in anchors {
        if frame - n == group - g {
            of_frame.extend((n..frame).zip(g..group));
        }
        of_frame.insert(frame, group);
        (n, g) = (frame + 1, group + 1);
    }
    of_frame.extend((n..frames).zip(g..until));
    let last = of_frame.keys().next_back().map_or(0, |last| last + 1);
    let mut groups: Vec<Option<Vec<(u64, u64)>>> = groups.into_iter().map(Some).collect();
    let missing = |n: usize| {
        Frame::faulty(format!("it is missing: of {frames} frames {count} are there, and none that is frame {}", n + 1))
    };
    let mut group = |n: usize| groups[*of_frame.get(&n)?].take();
    (0..last).map(|n| group(n).map_or_else(|| missing(n), Frame::whole)).collect()
}

/// Is native colour stored with half the chrominance (PS3.3 C.7.6.3.1.2)?
pub fn sub_sampled(facts: &Facts) -> bool {
    facts.samples == 3 && matches!(facts.photometric.as_str(), "YBR_FULL_422" | "YBR_PARTIAL_422")
}

/// Bits of one native frame as it is stored. Sub-sampled colour has two samples a pixel.
pub fn native_bits(facts: &Facts) -> Option<u64> {
    let samples = if sub_sampled(facts) { 2 } else { u64::from(facts.samples) };
    let pixels = u64::from(facts.rows) * u64::from(facts.columns);
    pixels.checked_mul(samples)?.checked_mul(u64::from(facts.bits_allocated))
}

/// Frames of uncompressed Pixel Data at `offset`, as many as are there. `told`: how many there should be.
/// `pairs`: bytes are swapped two by two, so a frame comes with whole pairs.
fn native(facts: &Facts, told: Option<u32>, offset: u64, len: u64, pairs: bool) -> Result<Found> {
    let bits = native_bits(facts)
        .filter(|bits| *bits > 0)
        .ok_or_else(|| Error::unsupported("an image without rows, columns, samples or bits"))?;
    let there = len.saturating_mul(8) / bits;
    let told = told.map_or(there.min(facts::MAX_FRAMES.into()), u64::from);
    let frame = |n: u64| {
        let (mut from, mut to) = (n * bits / 8, ((n + 1) * bits).div_ceil(8));
        if pairs {
            from -= from % 2;
            to = (to + to % 2).min(len);
        }
        Frame::whole(vec![(offset + from, to - from)])
    };
    let mut found = Found::whole((0..told.min(there)).map(frame).collect());
    if told <= there {
        return Ok(found);
    }
    let (have, need) = (len - there * bits / 8, bits.div_ceil(8));
    if have > 0 {
        found.frames.push(Frame::faulty(format!("it is cut: {have} of its {need} bytes are there")));
    }
    let need = bits.checked_mul(told).map_or(u64::MAX, |bits| bits.div_ceil(8));
    let what = format!("pixel data of {} x {} x {told} frames", facts.columns, facts.rows);
    Ok(found.but(Problem::damaged(Error::Truncated { what, have: len, need }.to_string())))
}

fn basic_offsets(input: &Input, table: (u64, u64)) -> Result<Option<Vec<u64>>> {
    if table.1 == 0 || !table.1.is_multiple_of(4) {
        return Ok(None);
    }
    let raw = input.bytes(table.0, table.1)?;
    Ok(Some(raw.as_chunks::<4>().0.iter().map(|b| u64::from(u32::from_le_bytes(*b))).collect()))
}

fn extended_offsets(set: &DataSet) -> Result<Option<Vec<u64>>> {
    let Some(element) = set.get(EXTENDED_OFFSETS) else { return Ok(None) };
    let raw = set.bytes_le(element)?;
    Ok((!raw.is_empty()).then(|| raw.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect()))
}

/// Divides fragments at offsets that count from the first item header; `None` when an offset is at no fragment.
fn by_offsets(fragments: &[(u64, u64)], starts: &[u64], frames: usize) -> Option<Vec<Frame>> {
    let first = fragments.first()?.0;
    if starts.len() != frames || starts.first() != Some(&0) {
        return None;
    }
    let index = |start: &u64| fragments.binary_search_by_key(&first.checked_add(*start)?, |f| f.0).ok();
    let mut cuts = starts.iter().map(index).collect::<Option<Vec<_>>>()?;
    cuts.push(fragments.len());
    let increasing = cuts.windows(2).all(|w| w[0] < w[1]);
    let frame = |w: &[usize]| Frame::whole(fragments[w[0]..w[1]].iter().copied().filter(|f| f.1 > 0).collect());
    increasing.then(|| cuts.windows(2).map(frame).collect())
}

/// Offsets of a Basic Offset Table for fragments of these (padded) lengths; `None` when 32 bits are not enough.
pub fn offset_table(lengths: &[u64]) -> Option<Vec<u32>> {
    let mut at = 0u64;
    lengths
        .iter()
        .map(|len| {
            let offset = u32::try_from(at).ok();
            at += HEADER + len;
            offset
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_tables_are_cumulative_and_end_at_32_bits() {
        assert_eq!(offset_table(&[10, 20, 2]), Some(vec![0, 18, 46]));
        assert_eq!(offset_table(&[u64::from(u32::MAX), 2]), None);
        assert_eq!(offset_table(&[u64::from(u32::MAX) - 8, 2]), Some(vec![0, u32::MAX]));
    }

    #[test]
    fn stale_offsets_are_refused() {
        let fragments = [(8, 10), (26, 10), (44, 10)];
        assert_eq!(by_offsets(&fragments, &[0, 18], 2).map(|f| f.len()), Some(2));
        assert_eq!(by_offsets(&fragments, &[0, 17], 2), None);
        assert_eq!(by_offsets(&fragments, &[0, 0], 2), None);
        assert_eq!(by_offsets(&fragments, &[18, 36], 2), None);
    }
}
