//! Stored instances held against their evidence again, long after they were written.

use crate::convert::{Context, FrameEvidence};
use crate::error::{Check, Error, Result};
use crate::verify;
use dicom::input::hex;
use dicom::source::Source;
use sha2::{Digest, Sha256};

/// Decodes every frame again: places, lengths, samples, and the ends and checksums of levels must be what the evidence says.
pub fn recheck(
    stored: &Source,
    frames: &[FrameEvidence],
    samples_sha256: &str,
    context: &mut Context,
) -> Result<(), Error> {
    let differs = |what: String| Err(Error::disproved(Check::Verification, what));
    if stored.frames().len() != frames.len() {
        return differs(format!("there are {} frames, not {}", stored.frames().len(), frames.len()));
    }
    let (mut all, mut samples, mut bytes) = (Sha256::new(), Vec::new(), Vec::new());
    for (n, told) in frames.iter().enumerate() {
        let number = n + 1;
        if stored.frames()[n].offset() != told.offset {
            return differs(format!("frame {number} is at another place"));
        }
        stored.read_frame(n as u32, &mut bytes)?;
        if (bytes.len() as u64) < told.length {
            return differs(format!("frame {number} is shorter than it was"));
        }
        bytes.truncate(told.length as usize);
        let leveled = (!told.levels.is_empty()).then_some(told.loss.is_none());
        let levels = match &told.jpeg_sha256 {
            Some(sha256) => verify::jpeg(stored, n as u32, sha256, &mut samples, &mut None).map(|()| Vec::new())?,
            None => verify::decode(stored, leveled, n as u32, &bytes, &mut context.codecs, &mut samples)?,
        };
        all.update(&samples);
        if hex(&Sha256::digest(&samples)) != told.sha256_after {
            return differs(format!("frame {number} decodes to other samples"));
        }
        // Evidence of older versions has no checksums.
        let same = |(a, b): (&crate::LevelEnd, &crate::LevelEnd)| {
            (a.level, a.width, a.height, a.end) == (b.level, b.width, b.height, b.end)
                && (b.crc32.is_none() || a.crc32 == b.crc32)
        };
        if levels.len() != told.levels.len() || !levels.iter().zip(&told.levels).all(same) {
            return differs(format!("frame {number} has other levels"));
        }
    }
    if hex(&all.finalize()) != samples_sha256 { differs("the samples are others".into()) } else { Ok(()) }
}
