//! Instances as they are handed out: immutable snapshots of one stored object and its frame table.

use std::io;
use std::sync::Arc;

use transcode::Facts;

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
    /// Where each frame's bytes are.
    pub frames: Vec<FrameEntry>,
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
    pub(crate) inner: Arc<dyn crate::objects::ReadAt>,
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
