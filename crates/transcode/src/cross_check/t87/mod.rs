//! A decoder of JPEG-LS after ITU-T T.87 (ISO/IEC 14495-1), which shares no line with CharLS, by which streams are written.
//!
//! [`header`] reads the marker segments (Annex C), [`scan`] goes through the lines of a scan (Annexes B and D), [`line`] decodes one of them
//! (Annex A): [`quantize`] finds the context, [`context`] keeps what each has learnt, [`bits`] reads Golomb codes.
//!
//! It has 2 to 16 bits, every interleaving, NEAR from 0 to 255, preset parameters, restart intervals and sub-sampled components.
//! Mapping tables, lines that are counted at the end (DNL) and sides over 65,535 are refused: DICOM has none of them.

mod bits;
mod context;
mod header;
mod line;
mod quantize;
mod scan;
#[cfg(test)]
mod tests;

use header::{Header, Segment};

/// Why a stream is not decoded.
type Result<T> = std::result::Result<T, String>;

/// What a stream decodes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// Bits of a sample.
    pub(super) precision: u8,
    /// One plane a component, in the order of the frame header.
    pub(super) planes: Vec<Plane>,
}

/// The samples of one component, row by row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) samples: Vec<u16>,
}

/// Decodes a stream of at most so many samples; nothing is allocated for one that tells of more.
pub(super) fn decode(stream: &[u8], most_samples: usize) -> Result<Picture> {
    let mut header = Header::new(stream)?;
    let mut picture: Option<Picture> = None;
    let mut seen = Vec::new();
    while let Segment::Scan(scan) = header.next()? {
        let frame = header.frame()?;
        let picture = match &mut picture {
            Some(picture) => picture,
            none => none.insert(frame.blank(most_samples)?),
        };
        if scan.components.iter().any(|n| seen.contains(n)) {
            return Err("a component is there twice".into());
        }
        seen.extend(&scan.components);
        let end = scan::decode(&scan, frame, header.rest(), &mut picture.planes)?;
        header.skip(end);
    }
    match picture {
        Some(picture) if seen.len() == picture.planes.len() => Ok(picture),
        _ => Err("a component is missing".into()),
    }
}
