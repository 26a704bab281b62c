//! Walks a data set (PS3.5 chapter 7, A.4): every length is checked before it is followed, depth and number of elements are bounded.

use crate::data_set::{Element, Item, Tag, Value, Vr, long_header};
use crate::dictionary;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::syntax::Encoding;

/// Sequences within sequences.
const MAX_DEPTH: u32 = 64;
/// Elements and items of one instance.
const MAX_ELEMENTS: u32 = 4_000_000;
/// Fragments of one value.
const MAX_FRAGMENTS: usize = 8_000_000;
const UNDEFINED: u32 = 0xFFFF_FFFF;
const WINDOW: usize = 16 * 1024;

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
/// Purpose of Reference Code Sequence; in the frozen draft of Structured Reporting it was Observation Class, a CS (PS3.6 table 6-1, note).
const OBSERVATION_CLASS: Tag = Tag(0x0040, 0xA170);
/// Values shorter than this hold no item.
const ITEM_HEAD: u64 = 8;

/// What a walk found.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) elements: Vec<Element>,
    /// Some element is not written the way the transfer syntax says.
    pub(crate) irregular: bool,
    /// How the first element is written.
    pub(crate) encoding: Encoding,
    /// What is wrong from the pixel data on; all that comes before is there.
    pub(crate) fault: Option<String>,
    /// Offsets of fragments of the pixel data that are not there as their lengths say.
    pub(crate) cut: Vec<u64>,
}

/// Walks the data set from `start` to the end of the input.
pub(crate) fn walk(input: &Input, start: u64, encoding: Encoding) -> Result<Walked> {
    let mut walker = Walker::new(input);
    let end = input.len();
    let actual = walker.sniff(start, end, encoding)?;
    walker.irregular |= actual != encoding;
    let mut at = start;
    let mut elements = walker.elements(&mut at, Scope { encoding: actual, end, depth: 0, delimited: false })?;
    dictionary::settle_all(&mut elements, dictionary::Around::default(), input);
    let Walker { irregular, fault, cut, .. } = walker;
    Ok(Walked { elements, irregular, encoding: actual, fault, cut })
}

/// Walks the elements before the pixel data, as far as they are there whole.
pub(crate) fn walk_head(input: &Input, start: u64, encoding: Encoding) -> Result<Vec<Element>> {
    let mut walker = Walker::new(input);
    let end = input.len();
    let encoding = walker.sniff(start, end, encoding)?;
    let scope = Scope { encoding, end, depth: 0, delimited: false };
    let (mut at, mut elements) = (start, Vec::new());
    while end - at >= 8 && walker.reader.tag(at, encoding == Encoding::ExplicitBig)?.group() < 0x7FE0 {
        let Ok(element) = walker.element(&mut at, scope) else { break };
        elements.push(element);
    }
    dictionary::settle_all(&mut elements, dictionary::Around::default(), input);
    Ok(elements)
}

/// Walks the elements of group `group` at `start`, which are Explicit VR Little Endian (the file meta, PS3.10 7.1).
pub(crate) fn walk_group(input: &Input, start: u64, group: u16) -> Result<(Vec<Element>, u64)> {
    let mut walker = Walker::new(input);
    let end = input.len();
    let scope = Scope { encoding: Encoding::ExplicitLittle, end, depth: 0, delimited: false };
    let (mut at, mut elements) = (start, Vec::new());
    while end - at >= 8 && walker.reader.tag(at, false)?.group() == group {
        elements.push(walker.element(&mut at, scope)?);
    }
    Ok((elements, at))
}

#[derive(Clone, Copy)]
struct Scope {
    encoding: Encoding,
    end: u64,
    depth: u32,
    /// Ends at an item delimiter.
    delimited: bool,
}

struct Walker<'a> {
    reader: Reader<'a>,
    left: u32,
    irregular: bool,
    fault: Option<String>,
    cut: Vec<u64>,
}

struct Head {
    vr: Vr,
    len: u32,
    value: u64,
    explicit: bool,
}

impl<'a> Walker<'a> {
    fn new(input: &'a Input) -> Self {
        Walker { reader: Reader::new(input), left: MAX_ELEMENTS, irregular: false, fault: None, cut: Vec::new() }
    }

    /// Notes what is wrong at the end of an instance that can be read all the same; the first fault counts.
    fn note(&mut self, fault: &Error) {
        self.irregular = true;
        self.fault.get_or_insert_with(|| fault.to_string());
    }

    fn elements(&mut self, at: &mut u64, scope: Scope) -> Result<Vec<Element>> {
        let big = scope.encoding == Encoding::ExplicitBig;
        let mut elements = Vec::new();
        loop {
            if scope.end - *at < 8 {
                return self.close(elements, *at, scope);
            }
            let tag = self.reader.tag(*at, big)?;
            if tag == ITEM_END && scope.delimited {
                *at += 8;
                return Ok(elements);
            }
            if scope.depth == 0 && tag == Tag(0, 0) {
                return Ok(elements); // zero padding after the data set
            }
            if tag.group() == 0xFFFE && scope.depth == 0 && self.stray(at, tag, scope)? {
                continue;
            }
            if tag.group() == 0xFFFE {
                return Err(Error::malformed(*at, "a delimiter where an element should be"));
            }
            match self.element(at, scope) {
                Ok(element) => elements.push(element),
                // The pixels are there: what lies behind them takes nothing from them.
                Err(error @ (Error::Malformed { .. } | Error::Truncated { .. })) if behind_pixels(&elements, scope) => {
                    self.note(&error);
                    return Ok(elements);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Passes an item or a delimiter that belongs to nothing, between elements of the top level: some writers leave them behind a
    /// sequence that is empty or has ended. Nothing in them is an element of the data set; that they are there is noted.
    fn stray(&mut self, at: &mut u64, tag: Tag, scope: Scope) -> Result<bool> {
        let (start, (_, len)) = (*at, self.item_head(*at, scope)?);
        match tag {
            ITEM => {
                *at += 8;
                if len == UNDEFINED || scope.end - *at < u64::from(len) {
                    self.item(at, len, scope)?;
                } else {
                    *at += u64::from(len);
                }
                self.note(&Error::malformed(start, "an item where an element should be"));
            }
            ITEM_END | SEQUENCE_END if len == 0 => {
                *at += 8;
                self.note(&Error::malformed(start, "a delimiter where an element should be"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn close(&self, elements: Vec<Element>, at: u64, scope: Scope) -> Result<Vec<Element>> {
        if scope.delimited {
            return Err(Error::malformed(at, "an item is not closed"));
        }
        if scope.depth > 0 && at != scope.end {
            return Err(Error::malformed(at, "an item ends within an element"));
        }
        Ok(elements)
    }

    fn element(&mut self, at: &mut u64, scope: Scope) -> Result<Element> {
        self.count()?;
        let start = *at;
        let tag = self.reader.tag(start, scope.encoding == Encoding::ExplicitBig)?;
        let head = self.head(start, tag, scope)?;
        let mut element = Element {
            tag,
            vr: head.vr,
            value: Value::Bytes { offset: head.value, len: u64::from(head.len) },
            start,
            end: 0,
            written_explicit: head.explicit,
            undefined: head.len == UNDEFINED,
            big_endian: scope.encoding == Encoding::ExplicitBig,
            known: head.vr,
            inside: None,
        };
        *at = head.value;
        if element.undefined {
            self.undefined(&mut element, at, scope)?;
        } else {
            self.defined(&mut element, at, u64::from(head.len), scope)?;
        }
        element.end = *at;
        if element.vr == Vr::UN {
            self.know(&mut element, scope)?;
        }
        Ok(element)
    }

    /// What a value of VR UN is: a VR that the dictionary has, or a sequence in Implicit VR Little Endian (PS3.5 6.2.2, note 2).
    fn know(&mut self, element: &mut Element, scope: Scope) -> Result<()> {
        let known = dictionary::vr_of(element.tag);
        element.known = if known == Vr::SQ { Vr::UN } else { known };
        let Value::Bytes { offset, len } = element.value else {
            element.known = Vr::SQ;
            return Ok(());
        };
        if matches!(known, Vr::SQ | Vr::UN) && len >= ITEM_HEAD {
            element.inside = self.unknown_items(offset, len, known == Vr::SQ, scope.depth)?.map(Vec::into_boxed_slice);
        }
        if element.inside.is_some() {
            element.known = Vr::SQ;
        }
        Ok(())
    }

    /// The items in a value of unknown VR, if it can be nothing else: they fill it to its last byte. Where no dictionary says that
    /// it is a sequence, their elements must stand in order as well.
    fn unknown_items(&mut self, offset: u64, len: u64, told: bool, depth: u32) -> Result<Option<Vec<Item>>> {
        if self.reader.tag(offset, false)? != ITEM {
            return Ok(None);
        }
        let (left, irregular) = (self.left, self.irregular);
        let scope = Scope { encoding: Encoding::ImplicitLittle, end: offset + len, depth, delimited: false };
        let found = self.items(&mut { offset }, scope);
        self.irregular = irregular;
        let in_order = |items: &[Item]| {
            items.iter().any(|item| !item.elements.is_empty())
                && items.iter().all(|item| item.elements.windows(2).all(|two| two[0].tag < two[1].tag))
        };
        match found {
            Ok(items) if told || in_order(&items) => Ok(Some(items)),
            Err(error @ Error::Io(_)) => Err(error),
            _ => {
                self.left = left;
                Ok(None)
            }
        }
    }

    fn undefined(&mut self, element: &mut Element, at: &mut u64, scope: Scope) -> Result<()> {
        let fragments = element.tag == PIXEL_DATA
            || (element.written_explicit && matches!(element.vr, Vr::OB | Vr::OW | Vr::OF | Vr::OL | Vr::OD | Vr::OV));
        if fragments {
            let mut found = Vec::new();
            match self.fragments(at, scope, &mut found) {
                Err(error @ (Error::Malformed { .. } | Error::Truncated { .. }))
                    if scope.depth == 0 && element.tag == PIXEL_DATA && !found.is_empty() =>
                {
                    self.note(&error);
                    *at = scope.end;
                }
                other => other?,
            }
            element.value = Value::Fragments(found);
            return Ok(());
        }
        let encoding =
            if element.written_explicit && element.vr == Vr::UN { Encoding::ImplicitLittle } else { scope.encoding };
        if !element.written_explicit {
            element.vr = if element.tag.group() % 2 == 1 { Vr::UN } else { Vr::SQ };
        }
        element.value = Value::Items(self.items(at, Scope { encoding, delimited: true, ..scope })?);
        Ok(())
    }

    fn defined(&mut self, element: &mut Element, at: &mut u64, len: u64, scope: Scope) -> Result<()> {
        let have = scope.end - *at;
        if len > have {
            let error = Error::Truncated {
                what: format!("element ({:04X},{:04X}) at byte {}", element.tag.0, element.tag.1, element.start),
                have,
                need: len,
            };
            if scope.depth > 0 || !is_pixels(element.tag) {
                return Err(error);
            }
            // The frames that have come are whole.
            self.note(&error);
            element.value = Value::Bytes { offset: *at, len: have };
            *at = scope.end;
            return Ok(());
        }
        let end = *at + len;
        if element.vr == Vr::SQ {
            let mut inner = *at;
            match self.items(&mut inner, Scope { end, delimited: false, ..scope }) {
                Ok(items) => element.value = Value::Items(items),
                Err(error @ (Error::Limit(_) | Error::Io(_))) => return Err(error),
                // What does not hold items is carried as bytes of unknown meaning.
                Err(_) => {
                    element.vr = if self.is_code(element.tag, *at, len)? { Vr::CS } else { Vr::UN };
                    element.known = element.vr;
                    self.irregular = true;
                }
            }
        }
        *at = end;
        Ok(())
    }

    /// Is it the code string that this element was in old reports?
    fn is_code(&mut self, tag: Tag, at: u64, len: u64) -> Result<bool> {
        if tag != OBSERVATION_CLASS || len > 16 {
            return Ok(false);
        }
        let code = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b' ' | b'_' | 0);
        Ok(self.reader.input.bytes(at, len)?.iter().all(code))
    }

    fn items(&mut self, at: &mut u64, scope: Scope) -> Result<Vec<Item>> {
        if scope.depth >= MAX_DEPTH {
            return Err(Error::Limit(format!("sequences nested deeper than {MAX_DEPTH} at byte {at}")));
        }
        let mut items = Vec::new();
        loop {
            if *at == scope.end && !scope.delimited {
                return Ok(items);
            }
            let (tag, len) = self.item_head(*at, scope)?;
            *at += 8;
            match tag {
                ITEM => items.push(self.item(at, len, scope)?),
                SEQUENCE_END if scope.delimited => return Ok(items),
                SEQUENCE_END if *at == scope.end => return Ok(items),
                _ => return Err(Error::malformed(*at - 8, "no item where one should be")),
            }
        }
    }

    fn item(&mut self, at: &mut u64, len: u32, scope: Scope) -> Result<Item> {
        self.count()?;
        let delimited = len == UNDEFINED;
        let end = if delimited { scope.end } else { *at + u64::from(len) };
        if end > scope.end {
            return Err(Error::Truncated {
                what: format!("an item at byte {at}"),
                have: scope.end - *at,
                need: u64::from(len),
            });
        }
        let encoding = self.sniff(*at, end, scope.encoding)?;
        self.irregular |= encoding != scope.encoding;
        let elements = self.elements(at, Scope { encoding, end, depth: scope.depth + 1, delimited })?;
        Ok(Item { elements, undefined: delimited })
    }

    fn fragments(&mut self, at: &mut u64, scope: Scope, found: &mut Vec<(u64, u64)>) -> Result<()> {
        loop {
            let (tag, len) = self.fragment_head(*at, scope)?;
            *at += 8;
            let have = scope.end - *at;
            match tag {
                ITEM if u64::from(len) <= have => found.push((*at, u64::from(len))),
                ITEM => {
                    self.cut.push(*at);
                    let what = format!("a fragment at byte {at}");
                    found.push((*at, have));
                    return Err(Error::Truncated { what, have, need: u64::from(len) });
                }
                SEQUENCE_END => return Ok(()),
                _ => {
                    // The length of the fragment before is wrong; those behind it may be right.
                    let error = Error::malformed(*at - 8, "no fragment where one should be");
                    let Some(last) = found.last_mut().filter(|_| scope.depth == 0) else { return Err(error) };
                    self.cut.push(last.0);
                    let Some(next) = self.next_item(last.0, scope)? else { return Err(error) };
                    last.1 = next - last.0;
                    self.note(&error);
                    *at = next;
                    continue;
                }
            }
            if found.len() > MAX_FRAGMENTS {
                return Err(Error::Limit(format!("more than {MAX_FRAGMENTS} fragments")));
            }
            *at += u64::from(len);
        }
    }

    /// The first item from `from` on that another one or the end of the sequence follows.
    fn next_item(&mut self, from: u64, scope: Scope) -> Result<Option<u64>> {
        let input = self.reader.input;
        let mut at = from;
        while scope.end.saturating_sub(at) >= 8 {
            let bytes = input.bytes(at, (scope.end - at).min(1 << 16))?;
            for place in
                bytes.windows(4).enumerate().filter(|(_, tag)| *tag == b"\xFE\xFF\x00\xE0").map(|found| found.0)
            {
                let start = at + place as u64;
                let Ok((_, len)) = self.fragment_head(start, scope) else { break };
                let behind = start + 8 + u64::from(len);
                let follows =
                    self.fragment_head(behind, scope).is_ok_and(|(tag, _)| matches!(tag, ITEM | SEQUENCE_END));
                if follows && start > from {
                    return Ok(Some(start));
                }
            }
            at += bytes.len() as u64 - 3;
        }
        Ok(None)
    }

    fn item_head(&mut self, at: u64, scope: Scope) -> Result<(Tag, u32)> {
        if scope.end.saturating_sub(at) < 8 {
            return Err(Error::Truncated {
                what: format!("a sequence at byte {at}"),
                have: scope.end.saturating_sub(at),
                need: 8,
            });
        }
        Ok(item_head(self.reader.take(at)?, scope))
    }

    /// As [`Walker::item_head`], of a fragment: what follows are pixels, of which nothing is read.
    fn fragment_head(&mut self, at: u64, scope: Scope) -> Result<(Tag, u32)> {
        if scope.end.saturating_sub(at) < 8 {
            return self.item_head(at, scope);
        }
        Ok(item_head(self.reader.take_no_more(at)?, scope))
    }

    fn head(&mut self, at: u64, tag: Tag, scope: Scope) -> Result<Head> {
        let big = scope.encoding == Encoding::ExplicitBig;
        let implicit = |len| Head { vr: dictionary::vr_of(tag), len, value: at + 8, explicit: false };
        if scope.encoding == Encoding::ImplicitLittle {
            return Ok(implicit(self.reader.u32(at + 4, false)?));
        }
        let raw: [u8; 2] = self.reader.take(at + 4)?;
        let Some(vr) = Vr::from_binary(raw) else {
            self.irregular = true;
            if raw.iter().all(u8::is_ascii_uppercase) && scope.end - at >= 12 {
                // A VR of a later edition has a 32-bit length (PS3.5 6.2, note 3).
                return Ok(Head { vr: Vr::UN, len: self.reader.u32(at + 8, big)?, value: at + 12, explicit: true });
            }
            return Ok(implicit(self.reader.u32(at + 4, big)?));
        };
        if !long_header(vr) {
            let raw: [u8; 2] = self.reader.take(at + 6)?;
            let len = if big { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) };
            return Ok(Head { vr, len: u32::from(len), value: at + 8, explicit: true });
        }
        if scope.end - at < 12 {
            return Err(Error::Truncated { what: format!("an element at byte {at}"), have: scope.end - at, need: 12 });
        }
        Ok(Head { vr, len: self.reader.u32(at + 8, big)?, value: at + 12, explicit: true })
    }

    /// How the first element at `at` is really written: writers mix up explicit and implicit.
    fn sniff(&mut self, at: u64, end: u64, encoding: Encoding) -> Result<Encoding> {
        if end - at < 8 {
            return Ok(encoding);
        }
        let head: [u8; 8] = self.reader.take(at)?;
        let vr = Vr::from_binary([head[4], head[5]]);
        Ok(match encoding {
            Encoding::ImplicitLittle if vr.is_some() && head[..2] != [0xFE, 0xFF] => {
                // The two letters could be a length: believe them where that length can't be, or they are the element's own VR.
                let len = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
                let tag = Tag(u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]));
                if len > end - at - 8 || vr == Some(dictionary::vr_of(tag)) {
                    Encoding::ExplicitLittle
                } else {
                    encoding
                }
            }
            Encoding::ExplicitLittle
                if vr.is_none() && !head[4..6].iter().all(u8::is_ascii_uppercase) && head[..2] != [0xFE, 0xFF] =>
            {
                let len = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
                if len <= end - at - 8 || len == u64::from(UNDEFINED) { Encoding::ImplicitLittle } else { encoding }
            }
            _ => encoding,
        })
    }

    fn count(&mut self) -> Result<()> {
        self.left =
            self.left.checked_sub(1).ok_or_else(|| Error::Limit(format!("more than {MAX_ELEMENTS} elements")))?;
        Ok(())
    }
}

/// Tag and length of an item.
fn item_head(raw: [u8; 8], scope: Scope) -> (Tag, u32) {
    let big = scope.encoding == Encoding::ExplicitBig;
    let [a, b, c, d, len @ ..] = raw;
    (tag_of([a, b, c, d], big), if big { u32::from_be_bytes(len) } else { u32::from_le_bytes(len) })
}

fn tag_of(raw: [u8; 4], big: bool) -> Tag {
    let half = |a, b| if big { u16::from_be_bytes([a, b]) } else { u16::from_le_bytes([a, b]) };
    Tag(half(raw[0], raw[1]), half(raw[2], raw[3]))
}

fn is_pixels(tag: Tag) -> bool {
    tag.group() == PIXEL_DATA.group() && matches!(tag.element(), 0x0008..=0x0010)
}

/// Has the walk of the top level passed the pixels?
fn behind_pixels(elements: &[Element], scope: Scope) -> bool {
    scope.depth == 0 && elements.iter().rev().any(|element| is_pixels(element.tag))
}

/// Small reads through a window.
struct Reader<'a> {
    input: &'a Input,
    window: Vec<u8>,
    start: u64,
}

impl<'a> Reader<'a> {
    fn new(input: &'a Input) -> Self {
        Reader { input, window: Vec::new(), start: 0 }
    }

    fn take<const N: usize>(&mut self, at: u64) -> Result<[u8; N]> {
        if !self.has(at, N) {
            let len = self.input.len().saturating_sub(at).clamp(N as u64, WINDOW as u64);
            self.window.resize(len as usize, 0);
            self.start = at;
            if let Err(error) = self.input.read_at(at, &mut self.window) {
                self.window.clear();
                return Err(error);
            }
        }
        Ok(self.held(at))
    }

    /// As [`Reader::take`]; the window stays where it is.
    fn take_no_more<const N: usize>(&mut self, at: u64) -> Result<[u8; N]> {
        if self.has(at, N) {
            return Ok(self.held(at));
        }
        let mut out = [0; N];
        self.input.read_at(at, &mut out)?;
        Ok(out)
    }

    fn has(&self, at: u64, len: usize) -> bool {
        at >= self.start && at - self.start + len as u64 <= self.window.len() as u64
    }

    fn held<const N: usize>(&self, at: u64) -> [u8; N] {
        let from = (at - self.start) as usize;
        let mut out = [0; N];
        out.copy_from_slice(&self.window[from..from + N]);
        out
    }

    fn tag(&mut self, at: u64, big: bool) -> Result<Tag> {
        Ok(tag_of(self.take(at)?, big))
    }

    fn u32(&mut self, at: u64, big: bool) -> Result<u32> {
        let raw = self.take(at)?;
        Ok(if big { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) })
    }
}
