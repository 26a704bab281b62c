//! Frame tables with the ends of levels: of what was converted, and of HTJ2K that was received.

use dicom::Source;
use store::index::frames::{FrameEntry, LevelEntry, encode_frames};
use transcode::FrameEvidence;

use crate::error::Error;
use crate::instance::frame_table;

/// The frame table of a received HTJ2K object with the ends of its levels; `None` of any other object.
pub(crate) fn received(source: &Source) -> Result<Option<Vec<u8>>, Error> {
    if !source.facts().syntax_of_frames().is_htj2k() {
        return Ok(None);
    }
    let (mut frames, mut bytes) = (frame_table(source), Vec::new());
    for (n, frame) in (0..).zip(&mut frames) {
        bytes.clear();
        if frame.len == 0 {
            continue;
        }
        source.read_frame(n, &mut bytes)?;
        // A codestream whose ends cannot be known has none; it is handed out whole.
        let Ok(index) = htj2k::Index::read(&bytes, &htj2k::Limits::default()) else { continue };
        if index.complete {
            frame.levels = index
                .levels
                .iter()
                .map(|l| LevelEntry { level: l.level, width: l.width, height: l.height, end: l.end, crc32: l.crc32 })
                .collect();
        }
    }
    Ok(Some(encode_frames(&frames)))
}

/// The frame table of a converted object, by its evidence.
pub(crate) fn written(frames: &[FrameEvidence]) -> Vec<FrameEntry> {
    let level = |l: &transcode::LevelEnd| LevelEntry {
        level: l.level,
        width: l.width,
        height: l.height,
        end: l.end,
        crc32: l.crc32,
    };
    let entry = |frame: &FrameEvidence| FrameEntry {
        offset: frame.offset,
        len: frame.length,
        fragments: Vec::new(),
        levels: frame.levels.iter().map(level).collect(),
    };
    frames.iter().map(entry).collect()
}

/// Do both tables name the same bytes? A pad byte at the end of a fragment is not of the codestream.
pub(crate) fn same_places(stored: &[FrameEntry], written: &[FrameEntry]) -> bool {
    let same = |(s, w): (&FrameEntry, &FrameEntry)| {
        s.offset == w.offset && s.fragments.is_empty() && (s.len == w.len || s.len == w.len + (w.len & 1))
    };
    stored.len() == written.len() && stored.iter().zip(written).all(same)
}
