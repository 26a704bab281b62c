//! Puts the de-identified instance together: Explicit VR Little Endian, sequences of undefined length, pixel bytes where they are.

use super::clean::{self, Identity};
use super::private::Declared;
use super::profile::{Act, Basic, ProfileOption};
use super::values::{self, REMOVED, dummy, even, trim};
use super::{Deidentifier, streams};
use crate::error::{Error, Result};
use dicom::data_set::{DataSet, Element, Item, Tag, Value, Vr, long_header, word};
use dicom::dictionary;
use dicom::facts::{self, Pixels};
use dicom::rope::Rope;
use dicom::source::Source;
use dicom::syntax::{Coding, TransferSyntax};
use dicom::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use std::collections::{HashMap, HashSet};

const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const CONTENT_SEQUENCE: Tag = Tag(0x0040, 0xA730);
const PRIVATE_CHARACTERISTICS: Tag = Tag(0x0008, 0x0300);
const SCHEME: Tag = Tag(0x0008, 0x0102);
const PIXELS: u16 = 0x7FE0;
const UNDEFINED: u32 = u32::MAX;
/// Values of more bytes than this stay where they are and are read when they are needed.
const LARGE: u64 = 64 * 1024;
/// Designators of coding schemes that are public (PS3.16 Table 8-1): their codes tell nothing of who uses them.
const SCHEMES: [&str; 18] = [
    "ACR",
    "BI",
    "C4",
    "DCM",
    "FMA",
    "I10",
    "I9",
    "ICDO3",
    "ISO3166_1",
    "LN",
    "MSH",
    "NCIt",
    "RADLEX",
    "SCT",
    "SNM3",
    "SRT",
    "UCUM",
    "UMLS",
];

/// The bytes of the new instance.
pub(crate) fn rewrite(by: &Deidentifier, source: &Source) -> Result<Rope> {
    let coding = source.facts().transfer_syntax.coding();
    if source.facts().transfer_syntax.is_encapsulated() && coding == Coding::Unknown {
        return Err(Error::Identifying("nothing is known of its transfer syntax".into()));
    }
    source.check_frames().map_err(|error| match error {
        dicom::Error::Io(_) => error.into(),
        _ => Error::Identifying("its frames can't be found".into()),
    })?;
    let set = source.data_set();
    let patient = patient(source);
    let mut writer = Writer {
        by,
        set,
        declared: Declared::read(set),
        identity: Identity::read(set)?,
        days: by.key.days(patient.as_bytes()),
        pseudonym: by.key.token("patient", patient.as_bytes())[..16].to_uppercase(),
        rope: Rope::default(),
    };
    writer.meta(source)?;
    writer.data_set(source)?;
    Ok(writer.rope)
}

/// What stands for the patient: Patient ID, or the name, or the study.
fn patient(source: &Source) -> String {
    let set = source.data_set();
    let first = [PATIENT_ID, PATIENT_NAME].into_iter().find_map(|tag| set.string(tag).filter(|v| !v.is_empty()));
    first.unwrap_or_else(|| source.facts().study_uid.clone())
}

/// How the elements of a sequence are treated beyond what the table says of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// As they are.
    Keep,
    /// Free text cleaned, codes of private schemes replaced.
    Clean,
    /// Every value replaced; the structure stays.
    Dummy,
}

struct Writer<'a> {
    by: &'a Deidentifier,
    set: &'a DataSet,
    declared: Declared,
    identity: Identity,
    days: i64,
    pseudonym: String,
    rope: Rope,
}

impl Writer<'_> {
    /// Preamble and file meta (PS3.10 7.1): no source, no sender, nothing private.
    fn meta(&mut self, source: &Source) -> Result<()> {
        let facts = source.facts();
        let syntax = if facts.transfer_syntax.is_encapsulated() {
            facts.transfer_syntax.uid()
        } else {
            TransferSyntax::EXPLICIT_LITTLE
        };
        let instance = match self.by.profile.act(SOP_INSTANCE_UID, Vr::UI) {
            Act::Uid => values::uids(&self.by.key, facts.sop_instance_uid.as_bytes()),
            _ => facts.sop_instance_uid.clone().into_bytes(),
        };
        let group = |element| Tag(0x0002, element);
        self.value(group(0x0001), Vr::OB, &[0, 1]);
        for (element, uid) in [(0x0002, facts.sop_class_uid.as_bytes()), (0x0003, trim(&instance))] {
            if !uid.is_empty() && numeric(uid) {
                self.value(group(element), Vr::UI, uid);
            }
        }
        self.value(group(0x0010), Vr::UI, syntax.as_bytes());
        self.value(group(0x0012), Vr::UI, IMPLEMENTATION_CLASS_UID.as_bytes());
        self.value(group(0x0013), Vr::SH, IMPLEMENTATION_VERSION_NAME.as_bytes());
        let meta = std::mem::take(&mut self.rope);
        let mut bytes = vec![0; meta.len() as usize];
        meta.read_at(0, &mut bytes)?;
        self.rope.bytes(&[0; 128]);
        self.rope.bytes(b"DICM");
        self.value(group(0x0000), Vr::UL, &(bytes.len() as u32).to_le_bytes());
        self.rope.bytes(&bytes);
        Ok(())
    }

    fn data_set(&mut self, source: &Source) -> Result<()> {
        let mut elements: Vec<&Element> = self.set.elements().iter().filter(|e| !ours(e.tag)).collect();
        elements.sort_by_key(|e| e.tag);
        elements.dedup_by_key(|e| e.tag);
        let retained = self.retained(self.set.elements());
        let mut marks = vec![
            (Tag(0x0012, 0x0062), Mark::Value(Vr::CS, "YES".into())),
            (Tag(0x0012, 0x0063), Mark::Value(Vr::LO, "DICOM PS3.15 Annex E Basic Profile, Firstlight".into())),
            (Tag(0x0012, 0x0064), Mark::Codes),
            (Tag(0x0028, 0x0303), Mark::Value(Vr::CS, self.dates().into())),
        ]
        .into_iter()
        .peekable();
        let pixels = facts::pixel_element(self.set).map(|e| e.tag);
        for element in elements {
            while let Some((tag, mark)) = marks.next_if(|m| m.0 < element.tag) {
                self.mark(tag, mark);
            }
            if Some(element.tag) == pixels {
                self.pixel_data(source, element)?;
            } else {
                self.element(element, Mode::Keep, &retained)?;
            }
        }
        marks.for_each(|(tag, mark)| self.mark(tag, mark));
        Ok(())
    }

    fn dates(&self) -> &'static str {
        if self.by.profile.has(ProfileOption::RetainFullDates) {
            "UNMODIFIED"
        } else if self.by.profile.has(ProfileOption::RetainModifiedDates) {
            "MODIFIED"
        } else {
            "REMOVED"
        }
    }

    fn mark(&mut self, tag: Tag, mark: Mark) {
        match mark {
            Mark::Value(vr, value) => self.value(tag, vr, value.as_bytes()),
            Mark::Codes => {
                self.head(tag, Vr::SQ, UNDEFINED);
                for (code, meaning) in self.by.profile.codes().collect::<Vec<_>>() {
                    self.code(code, "DCM", meaning);
                }
                self.delimit(0xE0DD);
            }
        }
    }

    fn retained(&self, elements: &[Element]) -> HashSet<Tag> {
        if self.by.profile.has(ProfileOption::RetainSafePrivate) {
            self.declared.retained(self.set, elements)
        } else {
            HashSet::new()
        }
    }

    /// One element, at any depth. `retained`: private elements of this level that may stay.
    fn element(&mut self, element: &Element, mode: Mode, retained: &HashSet<Tag>) -> Result<()> {
        let tag = element.tag;
        if tag.group() % 2 == 1 {
            return if retained.contains(&tag) { self.private(element) } else { Ok(()) };
        }
        if tag.group() == PIXELS && !offset_table(tag) {
            return Ok(()); // pixels of an icon or of something that is not known
        }
        if tag == PRIVATE_CHARACTERISTICS && !self.by.profile.has(ProfileOption::RetainSafePrivate) {
            return Ok(());
        }
        let known = dictionary::vr_of(tag);
        let vr = if matches!(element.vr, Vr::UN) { known } else { element.vr };
        let act = self.act(tag, known, vr);
        if act == Act::Remove {
            return Ok(());
        }
        if known == Vr::SQ {
            return match self.items(element) {
                Some(items) => self.sequence(tag, items, act, mode),
                None => Ok(()),
            };
        }
        let Value::Bytes { len, .. } = element.value else { return Ok(()) };
        match act {
            _ if len == 0 => self.value(tag, vr, &[]),
            _ if matches!(tag, PATIENT_ID | PATIENT_NAME) && act != Act::Keep => {
                let pseudonym = self.pseudonym.clone();
                self.value(tag, vr, pseudonym.as_bytes());
            }
            Act::Remove => {}
            Act::Empty => self.value(tag, vr, &[]),
            Act::Uid => self.uid(element, vr)?,
            Act::Dummy if vr == Vr::UI => self.uid(element, vr)?,
            Act::Dummy => self.value(tag, vr, &dummy(vr)),
            Act::Shift => self.shift(element, vr)?,
            Act::Clean(basic) => self.clean(element, vr, basic)?,
            Act::Keep => self.keep(element, vr, mode)?,
        }
        Ok(())
    }

    /// What is done, where an element is written with a VR that is not its own: whichever of the two says more.
    fn act(&self, tag: Tag, known: Vr, written: Vr) -> Act {
        match self.by.profile.act(tag, known) {
            Act::Keep if written != known => self.by.profile.act(tag, written),
            act => act,
        }
    }

    fn uid(&mut self, element: &Element, vr: Vr) -> Result<()> {
        let new = values::uids(&self.by.key, &self.set.bytes(element)?);
        self.value(element.tag, vr, &new);
        Ok(())
    }

    fn shift(&mut self, element: &Element, vr: Vr) -> Result<()> {
        let shifted = values::shift(vr, &self.set.bytes(element)?, self.days);
        self.value(element.tag, vr, &shifted.unwrap_or_else(|| dummy(vr)));
        Ok(())
    }

    fn clean(&mut self, element: &Element, vr: Vr, basic: Basic) -> Result<()> {
        let texts = if text(vr) { self.set.text(element) } else { Vec::new() };
        let kept: Vec<String> = texts.iter().filter_map(|t| clean::clean(t, &self.identity)).collect();
        match (kept.is_empty(), basic.act()) {
            (false, _) => self.value(element.tag, vr, kept.join("\\").as_bytes()),
            (true, Act::Empty) => self.value(element.tag, vr, &[]),
            (true, Act::Dummy) => self.value(element.tag, vr, &dummy(vr)),
            (true, _) => {}
        }
        Ok(())
    }

    fn keep(&mut self, element: &Element, vr: Vr, mode: Mode) -> Result<()> {
        match mode {
            Mode::Dummy if !structural(vr, element.tag) => {
                let zeros = matches!(vr, Vr::FL | Vr::FD);
                let Value::Bytes { len, .. } = element.value else { return Ok(()) };
                let value = if zeros { vec![0; len.min(LARGE) as usize] } else { dummy(vr) };
                self.value(element.tag, vr, &value);
                return Ok(());
            }
            Mode::Clean if text(vr) && !code(element.tag) => return self.clean(element, vr, Basic::D),
            _ => {}
        }
        if text(vr) || matches!(vr, Vr::UR | Vr::AE | Vr::UN | Vr::PN) {
            let Value::Bytes { len, .. } = element.value else { return Ok(()) };
            if len > 256 * LARGE || self.identity.is_in(&self.set.bytes(element)?) {
                self.value(element.tag, vr, &dummy(vr));
                return Ok(());
            }
        }
        if matches!(vr, Vr::UI | Vr::DS | Vr::IS) && !numeric(&self.set.bytes(element)?) {
            return Ok(()); // text where none can be
        }
        self.copy(element, vr)
    }

    /// The value as it is.
    fn copy(&mut self, element: &Element, vr: Vr) -> Result<()> {
        let Value::Bytes { offset, len } = element.value else { return Ok(()) };
        let size = if element.big_endian { word(element.vr) } else { 1 };
        if len <= LARGE && size == 1 {
            let bytes = self.set.input.bytes(offset, len)?;
            self.value(element.tag, vr, &bytes);
            return Ok(());
        }
        let vr = if len > 0xFFFE && !long_header(vr) { Vr::UN } else { vr };
        let even = u32::try_from(len + len % 2).map_err(|_| dicom::Error::Limit("a value of 4 GiB".into()))?;
        self.head(element.tag, vr, even);
        self.rope.range(&self.set.input, offset, len, size);
        self.rope.fill(0, len % 2);
        Ok(())
    }

    /// A private element that may stay.
    fn private(&mut self, element: &Element) -> Result<()> {
        let dates = [Vr::DA, Vr::DT, Vr::TM].contains(&element.vr);
        match &element.value {
            Value::Items(items) => self.sequence(element.tag, items, Act::Keep, Mode::Keep),
            Value::Fragments(_) => Ok(()),
            Value::Bytes { .. } if element.vr == Vr::PN => Ok(()),
            Value::Bytes { .. } if element.vr == Vr::UI && !self.by.profile.has(ProfileOption::RetainUids) => {
                self.uid(element, Vr::UI)
            }
            Value::Bytes { .. } if dates && !self.by.profile.has(ProfileOption::RetainFullDates) => Ok(()),
            Value::Bytes { .. } => self.keep(element, element.vr, Mode::Keep),
        }
    }

    /// The items of a sequence, also where it was written as a value of unknown VR; `None` where they can't be read.
    fn items<'e>(&self, element: &'e Element) -> Option<&'e [Item]> {
        match &element.value {
            Value::Bytes { len: 0, .. } => Some(&[]),
            _ => element.items(),
        }
    }

    fn sequence(&mut self, tag: Tag, items: &[Item], act: Act, mode: Mode) -> Result<()> {
        if act == Act::Empty || items.is_empty() {
            self.value(tag, Vr::SQ, &[]);
            return Ok(());
        }
        let mode = match (act, mode) {
            (Act::Dummy, _) | (_, Mode::Dummy) => Mode::Dummy,
            (Act::Clean(_), _) => Mode::Clean,
            (_, mode) => mode,
        };
        self.head(tag, Vr::SQ, UNDEFINED);
        if mode == Mode::Dummy && tag == CONTENT_SEQUENCE {
            self.removed_content();
        } else {
            items.iter().try_for_each(|item| self.item(item, mode))?;
        }
        self.delimit(0xE0DD);
        Ok(())
    }

    fn item(&mut self, item: &Item, mode: Mode) -> Result<()> {
        let scheme = item.get(SCHEME).and_then(|e| self.set.text(e).into_iter().next());
        let coded = [0x0100, 0x0119, 0x0120].iter().any(|code| item.get(Tag(0x0008, *code)).is_some());
        let foreign = scheme.map_or(coded, |s| !SCHEMES.contains(&s.as_str()));
        let mode = if mode == Mode::Clean && foreign { Mode::Dummy } else { mode };
        let retained = self.retained(&item.elements);
        self.start_item();
        let mut elements: Vec<&Element> = item.elements.iter().collect();
        elements.sort_by_key(|e| e.tag);
        elements.dedup_by_key(|e| e.tag);
        elements.into_iter().try_for_each(|element| self.element(element, mode, &retained))?;
        self.delimit(0xE00D);
        Ok(())
    }

    /// One content item that says that the others are gone: a valid tree of the least content (PS3.3 C.17.3).
    fn removed_content(&mut self) {
        self.start_item();
        self.value(Tag(0x0040, 0xA010), Vr::CS, b"CONTAINS");
        self.value(Tag(0x0040, 0xA040), Vr::CS, b"TEXT");
        self.head(Tag(0x0040, 0xA043), Vr::SQ, UNDEFINED);
        self.code("121106", "DCM", "Comment");
        self.delimit(0xE0DD);
        self.value(Tag(0x0040, 0xA160), Vr::UT, REMOVED.as_bytes());
        self.delimit(0xE00D);
    }

    /// Pixel data: native bytes turned to little endian, what lies behind the last frame zeroed; fragments with their comments
    /// blanked.
    fn pixel_data(&mut self, source: &Source, element: &Element) -> Result<()> {
        match &element.value {
            Value::Bytes { offset, len } => {
                let used = source.frames().last().map_or(0, |f| f.offset() + f.length() - offset).min(*len);
                let padded =
                    u32::try_from(len + len % 2).map_err(|_| dicom::Error::Limit("pixel data of 4 GiB".into()))?;
                let size = if element.big_endian { word(element.vr) } else { 1 };
                let whole = used.next_multiple_of(size as u64).min(*len);
                self.head(element.tag, element.vr, padded);
                self.rope.range(&self.set.input, *offset, whole, size);
                self.rope.fill(0, u64::from(padded) - whole);
                Ok(())
            }
            Value::Fragments(fragments) => self.fragments(source, element, fragments),
            Value::Items(_) => Err(Error::Identifying("its pixel data is a sequence".into())),
        }
    }

    fn fragments(&mut self, source: &Source, element: &Element, fragments: &[(u64, u64)]) -> Result<()> {
        let blanks = blanks(source)?;
        self.head(element.tag, Vr::OB, UNDEFINED);
        let Some((table, fragments)) = fragments.split_first() else {
            return Err(Error::Identifying("its pixel data has no offset table".into()));
        };
        let first = fragments.first().map_or(0, |f| f.0);
        let starts = source.frames().iter().map(|f| u32::try_from(f.offset().saturating_sub(first)).unwrap_or(0));
        let right: Vec<u8> = starts.flat_map(u32::to_le_bytes).collect();
        let told = self.set.input.bytes(table.0, table.1.min(right.len() as u64))?;
        let keep = table.1 == right.len() as u64 && *told == *right;
        self.tag(Tag(0xFFFE, 0xE000), if keep { right.len() as u32 } else { 0 });
        if keep {
            self.rope.bytes(&right);
        }
        for (offset, len) in fragments {
            self.tag(Tag(0xFFFE, 0xE000), *len as u32);
            let mut at = *offset;
            for (from, to, fill) in blanks.get(offset).into_iter().flatten() {
                self.rope.range(&self.set.input, at, from - at, 1);
                self.rope.fill(*fill, to - from);
                at = *to;
            }
            self.rope.range(&self.set.input, at, offset + len - at, 1);
        }
        self.delimit(0xE0DD);
        Ok(())
    }

    fn code(&mut self, value: &str, scheme: &str, meaning: &str) {
        self.start_item();
        self.value(Tag(0x0008, 0x0100), Vr::SH, value.as_bytes());
        self.value(SCHEME, Vr::SH, scheme.as_bytes());
        self.value(Tag(0x0008, 0x0104), Vr::LO, meaning.as_bytes());
        self.delimit(0xE00D);
    }

    fn start_item(&mut self) {
        self.tag(Tag(0xFFFE, 0xE000), UNDEFINED);
    }

    fn delimit(&mut self, element: u16) {
        self.tag(Tag(0xFFFE, element), 0);
    }

    fn tag(&mut self, tag: Tag, len: u32) {
        self.rope.bytes(&tag.group().to_le_bytes());
        self.rope.bytes(&tag.element().to_le_bytes());
        self.rope.bytes(&len.to_le_bytes());
    }

    /// An element of a value at hand, padded.
    fn value(&mut self, tag: Tag, vr: Vr, value: &[u8]) {
        let value = even(value.to_vec(), vr);
        let vr = if value.len() > 0xFFFE && !long_header(vr) { Vr::UN } else { vr };
        self.head(tag, vr, value.len() as u32);
        self.rope.bytes(&value);
    }

    fn head(&mut self, tag: Tag, vr: Vr, len: u32) {
        self.rope.bytes(&tag.group().to_le_bytes());
        self.rope.bytes(&tag.element().to_le_bytes());
        self.rope.bytes(&vr.to_bytes());
        if long_header(vr) {
            self.rope.bytes(&[0, 0]);
            self.rope.bytes(&len.to_le_bytes());
        } else {
            self.rope.bytes(&(len as u16).to_le_bytes());
        }
    }
}

/// What marks the instance as de-identified.
enum Mark {
    Value(Vr, String),
    Codes,
}

/// Elements that are written anew (PS3.15 E.1.1).
fn ours(tag: Tag) -> bool {
    matches!((tag.group(), tag.element()), (0x0012, 0x0062..=0x0064) | (0x0028, 0x0303))
}

/// Extended Offset Table and its lengths.
fn offset_table(tag: Tag) -> bool {
    matches!(tag.element(), 0x0001 | 0x0002)
}

/// What the values of UI, DS and IS are made of.
fn numeric(value: &[u8]) -> bool {
    value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-' | b'e' | b'E' | b'\\' | b' ' | b'\0'))
}

fn text(vr: Vr) -> bool {
    matches!(vr, Vr::LO | Vr::SH | Vr::ST | Vr::LT | Vr::UT | Vr::UC)
}

/// Parts of a coded entry, kept whole where the scheme is public.
fn code(tag: Tag) -> bool {
    tag.group() == 0x0008 && matches!(tag.element(), 0x0100..=0x0106 | 0x010B..=0x010F | 0x0117..=0x0124)
}

/// What the structure of a sequence stands on, also when its values are replaced.
fn structural(vr: Vr, tag: Tag) -> bool {
    matches!(vr, Vr::CS | Vr::US | Vr::UL | Vr::SS | Vr::SL | Vr::UI | Vr::AT) || tag == SCHEME
}

/// Blanks by the offset of the fragment they are in: from, to, fill.
type Blanks = HashMap<u64, Vec<(u64, u64, u8)>>;

fn blanks(source: &Source) -> Result<Blanks> {
    let mut blanks = Blanks::new();
    if source.facts().pixels == Pixels::Video {
        return Ok(blanks);
    }
    let coding = source.facts().transfer_syntax.coding();
    let mut stored = Vec::new();
    for (n, frame) in source.frames().iter().enumerate() {
        source.read_frame(n as u32, &mut stored)?;
        let mut at = 0;
        let found = streams::blanks(&stored, coding)?;
        for (offset, len) in &frame.fragments {
            for (range, fill) in &found {
                let from = (range.start as u64).max(at);
                let to = (range.end as u64).min(at + len);
                if from < to {
                    blanks.entry(*offset).or_default().push((offset + from - at, offset + to - at, *fill));
                }
            }
            at += len;
        }
    }
    Ok(blanks)
}
