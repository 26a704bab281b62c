//! Instances as they are handed out: immutable snapshots of one stored object and its frame table.

use std::fs::File;
use std::io;
use std::sync::Arc;

use dicom::{Facts, ReadAt, Source, TransferSyntax};
use store::Key;
use store::index::frames::FrameEntry;

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
    /// When the object was stored, in seconds since 1970.
    pub stored: i64,
    /// SOP class, modality and pixel attributes of the stored object.
    pub facts: Facts,
    /// Where each frame's bytes are; one that is missing or cut has none, and those after the last one are missing too
    /// ([`Archive::source`](crate::Archive::source) tells why). Empty without pixels, and when frames cannot be told apart without decoding:
    /// then they are read through [`Archive::source`](crate::Archive::source).
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

    /// The file of the local file system that has these bytes, where there is one.
    pub fn local(&self) -> Option<&File> {
        self.inner.local()
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
