//! JPEG with the discrete cosine transform (T.81): 8 and 12 bits, sequential and progressive, samples as the reference software
//! gives them. Always lossy: decoded for display, and for whoever asks for another coding by name.

use super::jpeg_scan::Image;
use super::{agree, jpeg_upsample, place};
use dicom::error::{Error, Result};
use dicom::facts::Facts;
use dicom::syntax::Coding;

pub(super) fn frame(facts: &Facts, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let info = agree(facts, stored, Coding::Jpeg)?;
    if !matches!(info.precision, 8 | 12) {
        return Err(Error::unsupported(format!("JPEG of {} bits", info.precision)));
    }
    let image = Image::read(facts, info.precision, stored)?;
    let planes: Vec<Vec<u16>> = image.parts.iter().map(|part| jpeg_upsample::full_size(&image, part)).collect();
    let pixels = image.width * image.height;
    if info.precision == 8 && facts.bits_allocated == 8 && !facts.signed {
        out.resize(pixels * planes.len(), 0);
        for (n, plane) in planes.iter().enumerate() {
            let samples = out[n..].iter_mut().step_by(planes.len());
            samples.zip(plane).for_each(|(to, from)| *to = *from as u8);
        }
        return Ok(());
    }
    let samples = (0..pixels).flat_map(|at| planes.iter().map(move |plane| i32::from(plane[at])));
    place(facts, info.precision, samples, out)
}
