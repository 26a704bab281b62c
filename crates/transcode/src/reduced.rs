//! An instance at a lower resolution (a level of its wavelet): another image, derived from the first by spatial resampling (PS3.3
//! C.7.6.1.1.2, C.7.6.1.1.4, C.12.4). Of intensities only: what is an index, a label or padding has no means.

use crate::change::{Change, even};
use crate::changes::{PHOTOMETRIC, PLANAR};
use crate::decode::Decode;
use crate::derived;
use crate::elements::{self, PIXEL_DATA};
use crate::outgoing::write_changed;
use crate::policy::Target;
use crate::recode::Recode;
use crate::write;
use dicom::data_set::{DataSet, Tag, Vr};
use dicom::error::{Error, Result};
use dicom::facts;
use dicom::rope::Rope;
use dicom::source::Source;
use dicom::stream::codestream_of;
use dicom::syntax::TransferSyntax;
use htj2k::{Decoder, Header, Limits, SamplesMut};
use sha2::{Digest, Sha256};

const SOP_INSTANCE: Tag = Tag(0x0008, 0x0018);
const SERIES_INSTANCE: Tag = Tag(0x0020, 0x000E);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const SMALLEST: Tag = Tag(0x0028, 0x0106);
const LARGEST: Tag = Tag(0x0028, 0x0107);
/// Distances between pixels: Pixel Spacing, Imager Pixel Spacing, Nominal Scanned Pixel Spacing.
const SPACINGS: [Tag; 3] = [Tag(0x0028, 0x0030), Tag(0x0018, 0x1164), Tag(0x0018, 0x2010)];
/// What speaks of pixels by their place, or of values that have no means, and why.
const OBSTACLES: [(Tag, &str); 9] = [
    (Tag(0x5200, 0x9229), "what is said of single frames (functional groups) speaks of the full image"),
    (Tag(0x5200, 0x9230), "what is said of single frames (functional groups) speaks of the full image"),
    (Tag(0x0028, 0x0120), "pixel padding has no means"),
    (Tag(0x0028, 0x3000), "values that are looked up in a Modality LUT have no means"),
    (Tag(0x0028, 0x3010), "values that are looked up in a VOI LUT have no means"),
    (Tag(0x0018, 0x1600), "its shutter speaks of pixels of the full image"),
    (Tag(0x0018, 0x6011), "its ultrasound regions speak of pixels of the full image"),
    (Tag(0x0048, 0x0006), "tiles of a slide are reduced by their pyramid"),
    (Tag(0x0062, 0x0002), "segments have no means"),
];

/// The UID of what is made from the object with this UID at a level: the same whenever it is made.
pub fn reduced_uid(uid: &str, level: u8) -> String {
    let digest = Sha256::digest(format!("{uid}\nlevel {level}"));
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest[..16]);
    // A UUID of version 8 (RFC 9562), as PS3.5 B.2 takes them.
    uuid[6] = uuid[6] & 0x0F | 0x80;
    uuid[8] = uuid[8] & 0x3F | 0x80;
    format!("2.25.{}", u128::from_be_bytes(uuid))
}

/// The instance with every side halved `level` times, as a file in Explicit VR Little Endian. What has no such level, or can't be
/// reduced, is [`Error::Unsupported`].
pub fn reduce(source: &Source, level: u8) -> Result<Vec<u8>> {
    if let Some(reason) = obstacle(source) {
        return Err(Error::unsupported(reason));
    }
    source.check_frames()?;
    let mut frames = Frames::new(source, level)?;
    let mut pixels = Vec::new();
    for n in 0..source.frames().len() as u32 {
        frames.add(n, &mut pixels)?;
    }
    pixels.resize(pixels.len().next_multiple_of(2), 0);
    let len = u32::try_from(pixels.len()).map_err(|_| Error::Limit("pixels of 4 GiB".into()))?;
    let element = facts::pixel_element(source.data_set()).ok_or_else(|| Error::unsupported("there are no pixels"))?;
    let (mut out, uid) = (Rope::default(), reduced_uid(&source.facts().sop_instance_uid, level));
    let changes = changes(source, level, frames.size, &uid)?;
    write::write_meta(&mut out, source, &TransferSyntax::new(TransferSyntax::EXPLICIT_LITTLE), Some(&uid))?;
    write_changed(source, &mut out, &changes, element, true)?;
    elements::write_head(&mut out, PIXEL_DATA, if source.facts().bits_allocated > 8 { Vr::OW } else { Vr::OB }, len)?;
    out.bytes(&pixels);
    write_changed(source, &mut out, &changes, element, false)?;
    let mut file = vec![0; out.len() as usize];
    out.read_at(0, &mut file)?;
    Ok(file)
}

/// Why an instance has no reduced form.
fn obstacle(source: &Source) -> Option<String> {
    let (set, facts) = (source.data_set(), source.facts());
    let named = OBSTACLES.iter().find(|(tag, _)| set.get(*tag).is_some()).map(|(_, reason)| (*reason).to_owned());
    named
        .or_else(|| {
            let intensities = match facts.samples {
                1 => facts.photometric.starts_with("MONOCHROME"),
                _ => facts.samples == 3 && !source.is_ybr(),
            };
            (!intensities).then(|| format!("samples of {} are no intensities here", facts.photometric))
        })
        .or_else(|| {
            let overlays = set.elements().iter().any(|element| matches!(element.tag.group(), 0x6000..=0x601E));
            overlays.then(|| "its overlays lie on pixels of the full image".into())
        })
        .or_else(|| (!matches!(facts.bits_allocated, 8 | 16)).then(|| "its samples are not of 8 or 16 bits".into()))
        .or_else(|| facts.sop_instance_uid.is_empty().then(|| "it has no SOP Instance UID to be derived from".into()))
}

/// Frames at a level.
struct Frames<'a> {
    source: &'a Source,
    level: u8,
    /// Columns and rows at the level.
    size: (u32, u32),
    /// Of what is not stored in HTJ2K: the same transform.
    recode: Option<Recode<'a>>,
    decoder: Decoder,
    stored: Vec<u8>,
    samples: Vec<i32>,
}

impl<'a> Frames<'a> {
    fn new(source: &'a Source, level: u8) -> Result<Frames<'a>> {
        let facts = source.facts();
        let recode = match facts.syntax_of_frames().is_htj2k() {
            true => None,
            false => Some(Recode::new(source, Target::Htj2kLosslessRpcl)?),
        };
        let side = |side: u32| u32::try_from(u64::from(side).div_ceil(1 << level.min(32))).unwrap_or(1);
        let size = (side(facts.columns), side(facts.rows));
        let (decoder, stored, samples) = (Decoder::default(), Vec::new(), Vec::new());
        Ok(Frames { source, level, size, recode, decoder, stored, samples })
    }

    /// Adds frame `n` in its native form.
    fn add(&mut self, n: u32, out: &mut Vec<u8>) -> Result<()> {
        match &mut self.recode {
            Some(recode) => self.stored = recode.frame(n)?,
            None => self.source.read_frame(n, &mut self.stored)?,
        }
        let (facts, stream) = (self.source.facts(), codestream_of(&self.stored));
        let bad = |error: htj2k::Error| Error::Frame { frame: n.saturating_add(1), what: error.to_string() };
        let header = Header::parse(stream, &Limits::default()).map_err(bad)?;
        if self.level > header.decompositions || header.size_at(self.level) != self.size {
            return Err(Error::unsupported(format!("it has no level {}", self.level)));
        }
        let stride = self.size.0 as usize * usize::from(facts.samples);
        self.samples.resize(stride * self.size.1 as usize, 0);
        let decoded =
            self.decoder.decode(stream, self.level, SamplesMut::I32(&mut self.samples), stride).map_err(bad)?;
        if !decoded.complete || decoded.components != facts.samples {
            return Err(Error::Frame { frame: n.saturating_add(1), what: "the level is not whole".into() });
        }
        match facts.bits_allocated {
            8 => out.extend(self.samples.iter().map(|sample| *sample as u8)),
            _ => out.extend(self.samples.iter().flat_map(|sample| (*sample as u16).to_le_bytes())),
        }
        Ok(())
    }
}

/// What the reduced image says of itself.
fn changes(source: &Source, level: u8, (columns, rows): (u32, u32), uid: &str) -> Result<Vec<Change>> {
    let (set, facts) = (source.data_set(), source.facts());
    let side =
        |side: u32| u16::try_from(side).map_err(|_| Error::unsupported("it is larger than a native image can be"));
    let series = set.string(SERIES_INSTANCE).unwrap_or_default();
    let words = format!("Every side halved {level} times by Firstlight (reversible 5/3 wavelet of ISO/IEC 15444)");
    let mut list = derived::resampled(source, &words)?;
    list.extend([
        (SOP_INSTANCE, Some((Vr::UI, even(uid.to_owned(), 0)))),
        // In the series of its source it would stand between images of another resolution.
        (SERIES_INSTANCE, Some((Vr::UI, even(reduced_uid(series.trim(), level), 0)))),
        (ROWS, Some((Vr::US, side(rows)?.to_le_bytes().to_vec()))),
        (COLUMNS, Some((Vr::US, side(columns)?.to_le_bytes().to_vec()))),
        // They are optional, and wrong by now.
        (SMALLEST, None),
        (LARGEST, None),
    ]);
    if facts.samples > 1 {
        list.push((PLANAR, Some((Vr::US, vec![0, 0]))));
        list.push((PHOTOMETRIC, Some((Vr::CS, even("RGB".into(), b' ')))));
    }
    for tag in SPACINGS {
        list.extend(spacing(set, tag, level)?.map(|value| (tag, Some((Vr::DS, value)))));
    }
    list.extend(derived::unmarked(source)?);
    list.sort_by_key(|change| change.0);
    Ok(list)
}

/// A distance between pixels that is 2^level times as far.
fn spacing(set: &DataSet, tag: Tag, level: u8) -> Result<Option<Vec<u8>>> {
    let values = set.strings(tag);
    if values.iter().all(|value| value.trim().is_empty()) {
        return Ok(None);
    }
    let far = |value: &String| {
        let number = value.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| Error::unsupported("its pixel spacing is no number"))?;
        Ok(decimal(number * f64::from(1u32 << level)))
    };
    let values = values.iter().map(far).collect::<Result<Vec<_>>>()?;
    Ok(Some(even(values.join("\\"), b' ')))
}

/// A number as DS, which has 16 characters at most (PS3.5 6.2).
fn decimal(number: f64) -> String {
    let plain = number.to_string();
    if plain.len() <= 16 {
        return plain;
    }
    // What is small or large keeps its digits behind an exponent.
    let fixed = (1e-4..1e14).contains(&number.abs());
    let shorter = || (0..=14).rev().map(|digits| format!("{number:.digits$}")).find(|text| text.len() <= 16);
    fixed.then(shorter).flatten().unwrap_or_else(|| format!("{number:.8e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_of_the_source_and_the_level() {
        let uid = reduced_uid("1.2.3", 2);
        assert!(uid.starts_with("2.25.") && uid.len() <= 64 && uid[5..].bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(uid, reduced_uid("1.2.3", 2));
        assert_ne!(uid, reduced_uid("1.2.3", 1));
        assert_ne!(uid, reduced_uid("1.2.4", 2));
    }

    #[test]
    fn distances_have_16_characters() {
        assert_eq!(decimal(0.488281 * 4.0), "1.953124");
        assert_eq!(decimal(2.0), "2");
        let third = decimal(2.0 / 3.0);
        assert_eq!(third, "0.66666666666667");
        for number in [1e-20, 1e300 / 3.0, -1e-9 / 7.0, 12_345_678.901_234_567] {
            let text = decimal(number);
            assert!(text.len() <= 16 && (text.parse::<f64>().unwrap() / number - 1.0).abs() < 1e-6, "{text}");
        }
    }
}
