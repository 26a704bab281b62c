//! Instances as they are handed out: immutable snapshots of one stored object and its frame table.

use std::io;
use std::sync::Arc;

use dicom::{Facts, Pixels, ReadAt, Source, TransferSyntax};
use rusqlite::{Connection, OptionalExtension, Row, params};
use store::Key;

use crate::archive::Inner;
use crate::index::decode_frames;
use crate::{Archive, Error};

/// One stored instance, as it was at the moment it was looked up.
///
/// A conversion that ends meanwhile makes another `Instance`; this one stays readable and consistent.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID.
    pub series: String,
    /// SOP Instance UID.
    pub sop: String,
    /// Instance Number (0020,0013).
    pub number: Option<i64>,
    /// Transfer syntax UID of the stored object.
    pub transfer_syntax: String,
    /// Strong and stable name of the stored bytes (lower-case hex SHA-256 of the object), fit for an ETag.
    pub object_id: String,
    /// Bytes of the stored object (a DICOM file).
    pub size: u64,
    /// SOP class, modality and pixel attributes of the stored object.
    pub facts: Facts,
    /// Where each frame's bytes are; one that is missing or cut has none, and those after the last one are missing too
    /// ([`Archive::source`] tells why). Empty without pixels, and when frames cannot be told apart without decoding:
    /// then they are read through [`Archive::source`].
    pub frames: Vec<FrameEntry>,
    pub(crate) key: Key,
}

impl Instance {
    /// The transfer syntax of the frames as they are stored: that of the object, unless they prove another one.
    pub fn syntax_of_frames(&self) -> TransferSyntax {
        self.facts.frame_syntax.clone().unwrap_or_else(|| TransferSyntax::new(&self.transfer_syntax))
    }

    /// Where the bytes of frame `n` (from 0) are; `None` when it is missing or cut, or can't be told without decoding.
    pub fn frame(&self, n: u32) -> Option<&FrameEntry> {
        self.frames.get(n as usize).filter(|frame| frame.len > 0)
    }

    /// Frame `n` (from 0), or where that is not there the first that is: what an instance is shown by.
    pub fn frame_to_show(&self, n: u32) -> u32 {
        let first = || self.frames.iter().position(|frame| frame.len > 0);
        if self.frame(n).is_some() { n } else { first().map_or(n, |first| first as u32) }
    }
}

/// Where the bytes of one frame are in the stored object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrameEntry {
    /// Byte offset of the frame's first byte in the object.
    pub offset: u64,
    /// Bytes of the frame, all fragments together, no item headers.
    pub len: u64,
    /// Offset and length of each fragment; empty when the frame is the one run `offset..offset + len`.
    pub fragments: Vec<(u64, u64)>,
    /// Resolution levels, coarsest first; empty where there are none or their ends are not known.
    pub levels: Vec<LevelEntry>,
}

/// One resolution level of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelEntry {
    /// 0 is the full image, n is 1/2^n of each side.
    pub level: u8,
    /// Pixels a row at this level.
    pub width: u32,
    /// Rows at this level.
    pub height: u32,
    /// Bytes of the frame's codestream that this level needs.
    pub end: u64,
    /// CRC-32 of the decoded samples of this level.
    pub crc32: Option<u32>,
}

/// Random access to the bytes of one stored object; cheap to clone, usable from many threads.
#[derive(Clone)]
pub struct ObjectReader {
    pub(crate) inner: Arc<dyn ReadAt>,
}

impl ObjectReader {
    /// Bytes of the object.
    pub fn size(&self) -> u64 {
        self.inner.size()
    }

    /// Fills `buf` with the bytes from `offset` on; an error when the object ends before.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact_at(offset, buf)
    }

    /// The bytes of one frame, fragments joined.
    pub fn read_frame(&self, frame: &FrameEntry) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; frame.len as usize];
        self.read_frame_at(frame, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `buf` with the bytes of one frame from `offset` (counted in the frame) on.
    pub fn read_frame_at(&self, frame: &FrameEntry, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if frame.fragments.is_empty() {
            return self.read_at(frame.offset + offset, buf);
        }
        let (mut skip, mut done) = (offset, 0);
        for &(at, len) in &frame.fragments {
            if done == buf.len() {
                break;
            }
            if skip >= len {
                skip -= len;
                continue;
            }
            let n = usize::try_from(len - skip).unwrap_or(usize::MAX).min(buf.len() - done);
            self.read_at(at + skip, &mut buf[done..done + n])?;
            done += n;
            skip = 0;
        }
        if done == buf.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

const COLUMNS: &str = "s.uid, e.uid, i.uid, i.class, i.number, e.modality, o.key, o.bytes, o.syntax, o.facts, o.frames";
const FROM: &str = "FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
    JOIN objects o ON o.id = i.object";

impl Archive {
    /// One instance as it is now.
    pub fn instance(&self, study: &str, series: &str, sop: &str) -> Result<Option<Arc<Instance>>, Error> {
        let sql = format!("SELECT o.id, length(o.frames) {FROM} WHERE s.uid = ? AND e.uid = ? AND i.uid = ?");
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            let version = statement.query_row([study, series, sop], Version::of).optional()?;
            version.map(|version| self.inner.load(snapshot, version)).transpose()
        })
    }

    /// The instances of a series, by Instance Number; of the whole study with `series: None`, series by series.
    pub fn instances(&self, study: &str, series: Option<&str>) -> Result<Vec<Arc<Instance>>, Error> {
        let sql = format!(
            "SELECT o.id, length(o.frames) {FROM} WHERE s.uid = ?1 AND (?2 IS NULL OR e.uid = ?2) \
             ORDER BY e.number, e.id, i.number, i.id"
        );
        self.inner.index.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            let versions = statement.query_map(params![study, series], Version::of)?;
            versions.map(|version| self.inner.load(snapshot, version?)).collect()
        })
    }

    /// The stored bytes of an instance. Stays readable when the instance is converted meanwhile.
    pub fn object(&self, instance: &Instance) -> Result<ObjectReader, Error> {
        let inner = self.inner.open(&instance.key, instance.size)?;
        if inner.size() != instance.size {
            let (have, want) = (inner.size(), instance.size);
            return Err(Error::Damaged(format!("object {} has {have} bytes instead of {want}", instance.object_id)));
        }
        Ok(ObjectReader { inner })
    }

    /// The stored instance, parsed.
    pub fn source(&self, instance: &Instance) -> Result<Source, Error> {
        self.inner.source(&instance.key, instance.size)
    }
}

/// Names the state of an object: frame tables may gain levels, bytes never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    object: i64,
    frames: i64,
}

impl Version {
    fn of(row: &Row<'_>) -> rusqlite::Result<Version> {
        Ok(Version { object: row.get(0)?, frames: row.get(1)? })
    }
}

impl Inner {
    /// The instance whose current object this is, from memory or from the index.
    fn load(&self, snapshot: &Connection, version: Version) -> Result<Arc<Instance>, Error> {
        if let Some(instance) = self.instances.get(&version) {
            return Ok(instance);
        }
        let sql = format!("SELECT {COLUMNS} {FROM} WHERE o.id = ?");
        let stored = snapshot.prepare_cached(&sql)?.query_row([version.object], Stored::of)?;
        let instance = Arc::new(self.instance_of(stored)?);
        self.instances.insert(version, instance.clone());
        Ok(instance)
    }

    fn instance_of(&self, stored: Stored) -> Result<Instance, Error> {
        let object_id = stored.key.to_string();
        let mut frames = decode_frames(&stored.frames)
            .ok_or_else(|| Error::Damaged(format!("the frame table of object {object_id} cannot be read")))?;
        // Facts written by another version of the program may lack a field: the object has them all.
        let mut facts: Facts = match serde_json::from_str(&stored.facts) {
            Ok(facts) => facts,
            Err(_) => self.source(&stored.key, stored.bytes)?.facts().clone(),
        };
        // Versions before found all frames or none, and what they took the file's word for may be proven otherwise.
        if frames.is_empty()
            && matches!(facts.pixels, Pixels::Native | Pixels::Encapsulated | Pixels::Float)
            && let Ok(source) = self.source(&stored.key, stored.bytes)
        {
            frames = frame_table(&source);
            (facts.frames, facts.frame_syntax) = (source.facts().frames, source.facts().frame_syntax.clone());
        }
        facts.study_uid.clone_from(&stored.study);
        facts.series_uid.clone_from(&stored.series);
        facts.sop_instance_uid.clone_from(&stored.sop);
        facts.sop_class_uid = stored.class;
        facts.modality = stored.modality;
        Ok(Instance {
            study: stored.study,
            series: stored.series,
            sop: stored.sop,
            number: stored.number,
            transfer_syntax: stored.syntax,
            object_id,
            size: stored.bytes,
            facts,
            frames,
            key: stored.key,
        })
    }

    /// The object, parsed; one that was released is restored.
    pub(crate) fn source(&self, key: &Key, size: u64) -> Result<Source, Error> {
        Ok(Source::from_reader(self.open(key, size)?)?)
    }

    /// The object, parsed, as the store has it.
    pub(crate) fn stored_source(&self, key: &Key, size: u64) -> Result<Source, Error> {
        let object = self.objects.open(key, size).map_err(Error::io(format!("opening object {key}")))?;
        Ok(Source::from_reader(object)?)
    }

    /// Random access to an object; one that was released is restored.
    fn open(&self, key: &Key, size: u64) -> Result<Arc<dyn ReadAt>, Error> {
        match self.objects.open(key, size) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.restored(key, e),
            other => other.map_err(|e| Error::io(format!("opening object {key}"))(e)),
        }
    }
}

/// Facts as the index keeps them: what its own columns have is left out.
pub(crate) fn facts_json(facts: &Facts) -> String {
    let mut facts = facts.clone();
    for known in [
        &mut facts.study_uid,
        &mut facts.series_uid,
        &mut facts.sop_instance_uid,
        &mut facts.sop_class_uid,
        &mut facts.modality,
    ] {
        known.clear();
    }
    serde_json::to_string(&facts).expect("facts are plain values")
}

/// The frame table of an opened instance, without levels.
pub(crate) fn frame_table(source: &Source) -> Vec<FrameEntry> {
    let entry = |frame: &dicom::Frame| FrameEntry {
        offset: frame.offset(),
        len: frame.length(),
        fragments: if frame.fragments.len() == 1 { Vec::new() } else { frame.fragments.clone() },
        levels: Vec::new(),
    };
    source.frames().iter().map(entry).collect()
}

/// A row, before its blobs are read.
struct Stored {
    study: String,
    series: String,
    sop: String,
    class: String,
    number: Option<i64>,
    modality: String,
    key: Key,
    bytes: u64,
    syntax: String,
    facts: String,
    frames: Vec<u8>,
}

impl Stored {
    fn of(row: &Row<'_>) -> rusqlite::Result<Stored> {
        Ok(Stored {
            study: row.get(0)?,
            series: row.get(1)?,
            sop: row.get(2)?,
            class: row.get(3)?,
            number: row.get(4)?,
            modality: row.get(5)?,
            key: Key::new(row.get(6)?),
            bytes: row.get(7)?,
            syntax: row.get(8)?,
            facts: row.get(9)?,
            frames: row.get(10)?,
        })
    }
}
