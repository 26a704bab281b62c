//! DICOMDIRs (PS3.3 F.3) that tell the truth about files which were written anew: the transfer syntax and the instance that each
//! record says its file has (PS3.3 Table F.3-3: (0004,1511), (0004,1512)).
//!
//! Only these values change, with the lengths around them, and the offsets by which records point to each other (PS3.3 F.3.2.1:
//! counted from the first byte of the file). Every other byte stays. What is made is read again before it is given out.

use crate::elements::value_start;
use crate::residue::{self, NoWayBack, Residue};
use dicom::data_set::{Element, Tag, Value, long_header};
use dicom::error::{Error, Result};
use dicom::source::Source;
use std::ops::Range;

const RECORDS: Tag = Tag(0x0004, 0x1220);
const FILE_ID: Tag = Tag(0x0004, 0x1500);
const INSTANCE: Tag = Tag(0x0004, 0x1511);
const SYNTAX: Tag = Tag(0x0004, 0x1512);
/// Offsets of the first and the last record of the root.
const ROOT: [Tag; 2] = [Tag(0x0004, 0x1200), Tag(0x0004, 0x1202)];
/// Offsets of the next record, of the first below, and of one that names the file in its place (retired).
const RECORD: [Tag; 3] = [Tag(0x0004, 0x1400), Tag(0x0004, 0x1420), Tag(0x0004, 0x1504)];
/// It is held in memory.
const LARGEST: u64 = 256 << 20;

/// A DICOMDIR that was written anew.
#[derive(Debug)]
pub struct Directory {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Records that say something else now.
    pub records: u32,
    /// What leads back to the one that came.
    pub way_back: Result<Residue, NoWayBack>,
}

/// What a file has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNow {
    /// Transfer Syntax UID.
    pub transfer_syntax: String,
    /// SOP Instance UID; empty where it has none.
    pub instance: String,
}

impl Directory {
    /// Asks for the file that each record names (Referenced File ID as it is written) and writes anew what has changed; nothing
    /// where all is as it was. Records that point to where no record is can't be carried along: that is an error.
    pub fn renewed(source: &Source, now: &mut dyn FnMut(&[u8]) -> Option<FileNow>) -> Result<Option<Directory>> {
        let set = source.data_set();
        let records = set.get(RECORDS).ok_or_else(|| wrong("it has no records"))?;
        let Value::Items(items) = &records.value else { return Err(wrong("its records are not a sequence")) };
        if !source.frames_in_file() {
            return Err(wrong("it is deflated"));
        }
        if source.len() > LARGEST {
            return Err(Error::Limit("a DICOMDIR of more than 256 MiB".into()));
        }
        let whole = set.input.bytes(0, source.len())?;
        let mut edits = Edits { whole: &whole, all: Vec::new() };
        let (mut at, mut starts, mut changed) = (value_start(records), Vec::new(), 0);
        let first = edits.all.len();
        for item in items {
            let end = item.elements.last().map_or(at + 8, |last| last.end);
            let before = edits.all.len();
            if let Some(id) = item.get(FILE_ID)
                && let Some(file) = now(&set.bytes(id)?)
            {
                let mut differs = false;
                for (tag, value) in [(INSTANCE, &file.instance), (SYNTAX, &file.transfer_syntax)] {
                    if let Some(element) = item.get(tag).filter(|_| !value.is_empty())
                        && trimmed(&set.bytes(element)?) != value.as_bytes()
                    {
                        edits.replace(element, value.as_bytes())?;
                        differs = true;
                    }
                }
                changed += u32::from(differs);
            }
            let grown = edits.grown(before);
            edits.group_length(&item.elements, grown)?;
            if !item.undefined {
                edits.length(at + 4, grown, records.big_endian)?;
            }
            starts.push(at);
            at = end + if item.undefined { 8 } else { 0 };
        }
        if changed == 0 {
            return Ok(None);
        }
        let grown = edits.grown(first);
        if !records.undefined {
            edits.length(value_start(records) - 4, grown, records.big_endian)?;
        }
        edits.group_length(set.elements(), grown)?;
        let mut pointers: Vec<&Element> = ROOT.iter().filter_map(|tag| set.get(*tag)).collect();
        pointers.extend(items.iter().flat_map(|item| RECORD.iter().filter_map(|tag| item.get(*tag))));
        let moves = edits.moves();
        for pointer in pointers {
            edits.pointer(pointer, &starts, &moves)?;
        }
        let bytes = edits.apply();
        let written = Source::from_bytes(bytes.clone())?;
        if Directory::renewed_count(&written, now)? != Some(0) {
            return Err(wrong("what was written is not what was meant"));
        }
        let way_back = residue::make(source, &written, None).and_then(|residue| {
            residue.restore(&written, &mut std::io::sink()).map_err(|_| NoWayBack::NotEqual)?;
            Ok(residue)
        });
        Ok(Some(Directory { bytes, records: changed, way_back }))
    }

    /// Records of one that was written that do not say what their files have; none where its records can't be followed.
    fn renewed_count(written: &Source, now: &mut dyn FnMut(&[u8]) -> Option<FileNow>) -> Result<Option<usize>> {
        let set = written.data_set();
        let Some(Value::Items(items)) = set.get(RECORDS).map(|records| &records.value) else { return Ok(None) };
        let mut wrong = 0;
        for item in items {
            let Some(file) = item.get(FILE_ID).and_then(|id| now(&set.bytes(id).ok()?)) else { continue };
            for (tag, value) in [(INSTANCE, &file.instance), (SYNTAX, &file.transfer_syntax)] {
                let Some(element) = item.get(tag).filter(|_| !value.is_empty()) else { continue };
                wrong += usize::from(trimmed(&set.bytes(element)?) != value.as_bytes());
            }
        }
        Ok(Some(wrong))
    }
}

/// Bytes that take the place of others, in the order of the file but for those of the lengths.
struct Edits<'a> {
    whole: &'a [u8],
    all: Vec<(Range<u64>, Vec<u8>)>,
}

impl Edits<'_> {
    /// An element with another value: its header is as it was, its length is not.
    fn replace(&mut self, element: &Element, value: &[u8]) -> Result<()> {
        let len = value.len() + value.len() % 2;
        let start = usize::try_from(element.start).map_err(|_| wrong("it is too large"))?;
        let head = if element.written_explicit && long_header(element.vr) { 8 } else { 6 };
        let mut bytes = match element.written_explicit {
            true => self.whole[start..start + head].to_vec(),
            false => self.whole[start..start + 4].to_vec(),
        };
        if element.written_explicit && head == 6 {
            let len = u16::try_from(len).map_err(|_| wrong("a UID is too long"))?;
            bytes.extend(if element.big_endian { len.to_be_bytes() } else { len.to_le_bytes() });
        } else {
            let len = u32::try_from(len).map_err(|_| wrong("a UID is too long"))?;
            bytes.extend(if element.big_endian { len.to_be_bytes() } else { len.to_le_bytes() });
        }
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len() + value.len() % 2, 0);
        self.all.push((element.start..element.end, bytes));
        Ok(())
    }

    /// Bytes that were added by the edits from the one numbered `first` on.
    fn grown(&self, first: usize) -> i64 {
        self.all[first..].iter().map(|(old, new)| new.len() as i64 - (old.end - old.start) as i64).sum()
    }

    /// The number of four bytes at `place`, changed by `by`.
    fn length(&mut self, place: u64, by: i64, big_endian: bool) -> Result<()> {
        let was = number(self.whole, place, big_endian)?;
        let len = u32::try_from(i64::from(was) + by).map_err(|_| wrong("it is too large"))?;
        let bytes = if big_endian { len.to_be_bytes() } else { len.to_le_bytes() };
        self.all.push((place..place + 4, bytes.to_vec()));
        Ok(())
    }

    /// A group length (retired) of the group of these elements.
    fn group_length(&mut self, elements: &[Element], by: i64) -> Result<()> {
        let length = elements.iter().find(|element| element.tag == Tag(0x0004, 0));
        match length.map(|element| (&element.value, element.big_endian)) {
            Some((Value::Bytes { offset, len: 4 }, big_endian)) if by != 0 => self.length(*offset, by, big_endian),
            _ => Ok(()),
        }
    }

    /// Where bytes move: from each place on, by so many.
    fn moves(&self) -> Vec<(u64, i64)> {
        let mut moves: Vec<(u64, i64)> = self
            .all
            .iter()
            .map(|(old, new)| (old.end, new.len() as i64 - (old.end - old.start) as i64))
            .filter(|(_, by)| *by != 0)
            .collect();
        moves.sort_unstable();
        let mut sum = 0;
        for (_, by) in &mut moves {
            sum += *by;
            *by = sum;
        }
        moves
    }

    /// An offset of a record, to where that record is now.
    fn pointer(&mut self, element: &Element, starts: &[u64], moves: &[(u64, i64)]) -> Result<()> {
        let Value::Bytes { offset, len: 4 } = element.value else { return Err(wrong("an offset has not four bytes")) };
        let was = u64::from(number(self.whole, offset, element.big_endian)?);
        if was == 0 {
            return Ok(());
        }
        if starts.binary_search(&was).is_err() {
            return Err(wrong("a record points to where no record is"));
        }
        let passed = moves.partition_point(|(place, _)| *place <= was);
        let by = if passed == 0 { 0 } else { moves[passed - 1].1 };
        self.length(offset, by, element.big_endian)
    }

    fn apply(mut self) -> Vec<u8> {
        self.all.sort_by_key(|(old, _)| old.start);
        let (mut bytes, mut at) = (Vec::with_capacity(self.whole.len() + 4096), 0);
        for (old, new) in &self.all {
            bytes.extend_from_slice(&self.whole[at..old.start as usize]);
            bytes.extend_from_slice(new);
            at = old.end as usize;
        }
        bytes.extend_from_slice(&self.whole[at..]);
        bytes
    }
}

fn number(whole: &[u8], place: u64, big_endian: bool) -> Result<u32> {
    let bytes = usize::try_from(place).ok().and_then(|at| whole.get(at..)?.first_chunk::<4>());
    let bytes = *bytes.ok_or_else(|| wrong("it ends within a number"))?;
    Ok(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
}

fn trimmed(uid: &[u8]) -> &[u8] {
    let end = uid.iter().rposition(|b| !matches!(b, 0 | b' ')).map_or(0, |at| at + 1);
    &uid[..end]
}

fn wrong(what: &str) -> Error {
    Error::Unsupported(format!("a DICOMDIR that can't be written anew: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u32, vr: &str, value: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = [(tag >> 16) as u16, tag as u16].iter().flat_map(|half| half.to_le_bytes()).collect();
        bytes.extend(vr.as_bytes());
        bytes.extend(((value.len() + value.len() % 2) as u16).to_le_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len() + value.len() % 2, if vr == "UI" { 0 } else { b' ' });
        bytes
    }

    /// A DICOMDIR of three records that point to each other; items and sequence of known length, or not.
    fn dicomdir(defined: bool, syntax: &str) -> Vec<u8> {
        let meta =
            [element(0x0002_0002, "UI", b"1.2.840.10008.1.3.10"), element(0x0002_0010, "UI", b"1.2.840.10008.1.2.1")];
        let meta = meta.concat();
        let mut file =
            [vec![0; 128], b"DICM".to_vec(), element(0x0002_0000, "UL", &(meta.len() as u32).to_le_bytes())].concat();
        file.extend(meta);
        let root = file.len();
        let record = |next: u32, below: u32, id: &str| {
            [
                element(0x0004_1400, "UL", &next.to_le_bytes()),
                element(0x0004_1420, "UL", &below.to_le_bytes()),
                element(0x0004_1500, "CS", id.as_bytes()),
                element(0x0004_1511, "UI", b"2.25.7"),
                element(0x0004_1512, "UI", syntax.as_bytes()),
            ]
            .concat()
        };
        let (body, head) = (record(0, 0, "A\\B1").len(), root + 24 + 12);
        let place = |n: usize| (head + n * (8 + body + if defined { 0 } else { 8 })) as u32;
        file.extend(element(0x0004_1200, "UL", &place(0).to_le_bytes()));
        file.extend(element(0x0004_1202, "UL", &place(2).to_le_bytes()));
        let mut items = Vec::new();
        for (n, (next, below)) in [(place(2), place(1)), (0, 0), (0, 0)].into_iter().enumerate() {
            let body = record(next, below, ["A\\B1", "A\\B2", "A\\B3"][n]);
            items.extend([0xFE, 0xFF, 0x00, 0xE0]);
            items.extend(if defined { body.len() as u32 } else { u32::MAX }.to_le_bytes());
            items.extend(body);
            if !defined {
                items.extend([0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0]);
            }
        }
        file.extend([4, 0, 0x20, 0x12, b'S', b'Q', 0, 0]);
        file.extend(if defined { items.len() as u32 } else { u32::MAX }.to_le_bytes());
        file.extend(items);
        if !defined {
            file.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        }
        file
    }

    fn now(syntax: &str) -> impl FnMut(&[u8]) -> Option<FileNow> + '_ {
        move |id| {
            let known = trimmed(id) != b"A\\B2";
            known.then(|| FileNow { transfer_syntax: syntax.into(), instance: "2.25.7".into() })
        }
    }

    #[test]
    fn records_that_lie_are_written_anew_and_point_where_they_did() {
        for defined in [true, false] {
            let before = dicomdir(defined, "1.2.840.10008.1.2.1");
            let source = Source::from_bytes(before.clone()).unwrap();
            assert!(Directory::renewed(&source, &mut now("1.2.840.10008.1.2.1")).unwrap().is_none());
            let made = Directory::renewed(&source, &mut now("1.2.840.10008.1.2.4.202")).unwrap().unwrap();
            assert_eq!((made.records, made.bytes.len()), (2, before.len() + 8));
            // The second names a file that is not there: it says what it said.
            let written = Source::from_bytes(made.bytes.clone()).unwrap();
            let set = written.data_set();
            let Value::Items(items) = &set.get(RECORDS).unwrap().value else { panic!("no records") };
            let said: Vec<_> = items.iter().map(|item| set.text(item.get(SYNTAX).unwrap()).concat()).collect();
            assert_eq!(said, ["1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.202"]);
            let at = |place: u64| made.bytes[place as usize..].starts_with(&[0xFE, 0xFF, 0x00, 0xE0]);
            let offset = |e: &Element| u64::from(u32::from_le_bytes(set.bytes(e).unwrap()[..4].try_into().unwrap()));
            assert!(ROOT.iter().all(|tag| at(offset(set.get(*tag).unwrap()))));
            assert_eq!(offset(items[0].get(Tag(4, 0x1400)).unwrap()), items[2].elements[0].start - 8);
            assert_eq!(offset(items[0].get(Tag(4, 0x1420)).unwrap()), items[1].elements[0].start - 8);
            assert_eq!(offset(items[2].get(Tag(4, 0x1400)).unwrap()), 0);
            let mut back = Vec::new();
            made.way_back.unwrap().restore(&written, &mut back).unwrap();
            assert_eq!(back, before);
        }
    }

    #[test]
    fn one_whose_records_point_nowhere_is_not_written_anew() {
        let mut bytes = dicomdir(true, "1.2.840.10008.1.2.1");
        let place = bytes.windows(4).position(|four| four == [4, 0, 0x20, 0x14]).unwrap() + 8;
        bytes[place] ^= 2;
        let source = Source::from_bytes(bytes).unwrap();
        let error = Directory::renewed(&source, &mut now("1.2.840.10008.1.2.4.202")).unwrap_err();
        assert!(error.to_string().contains("points to where no record is"), "{error}");
    }
}
