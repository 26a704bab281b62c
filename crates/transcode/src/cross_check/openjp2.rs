//! HTJ2K looked at by OpenJPEG's port to Rust, the decoder that is of other authors. Header and samples are taken as that decoder reads them: nothing of our own parser is asked.

use super::{Answer, Shown, same_samples};
use crate::bounded::Loss;
use crate::decode::guarded;
use crate::plan::Plan;
use dicom::error::Error;
use jpeg2k::{DecodeParameters, Image, ImageComponent};

const DECODER: &str = "openjp2 0.6.1";

/// How far the irreversible transform may leave the samples of two decoders apart. T.800 (Annex F) prescribes no arithmetic for it,
/// and each rounds its own result: one step. And this decoder multiplies what is high-pass by 1.6257324 where 2/K is 1.6257861, to be
/// like its former self: 2^-15 of it is missing in each direction, which shows in samples of 14 bits and more. What is no further
/// from samples that keep the bound of the rule keeps it but for this much.
fn rounding(plan: &Plan) -> u32 {
    1 + ((1 << plan.precision) >> 14)
}

/// The samples of .201 and .202, which must be the same, or of .203, which may be apart by a [rounding].
pub(super) fn look(plan: &Plan, shown: &Shown<'_>) -> Answer {
    let parameters = DecodeParameters::new().strict(true).ignore_pclr_cmap_cdef();
    let decoded = guarded(DECODER, || {
        Image::from_bytes_with(shown.codestream, parameters).map_err(|error| Error::unsupported(error.to_string()))
    });
    let image = match decoded {
        Ok(image) => image,
        Err(error) => return Answer::Other(format!("{DECODER} can't decode it: {error}")),
    };
    let planes = match planes(plan, image.components()) {
        Ok(planes) => planes,
        Err(what) => return Answer::Other(format!("{DECODER} finds {what}")),
    };
    if !plan.target.is_lossy() {
        return if same_samples(plan.bits_allocated, shown.samples, &planes, |v: i32| v as u32) {
            Answer::Same(DECODER.into())
        } else {
            Answer::Other(format!("{DECODER} decodes other samples"))
        };
    }
    let samples = by_pixel(plan, &planes);
    match Loss::measure(plan.form(), shown.samples, &samples).max_error {
        _ if samples.len() != shown.samples.len() => Answer::Other(format!("{DECODER} decodes other samples")),
        apart if apart <= rounding(plan) => Answer::Same(DECODER.into()),
        apart => Answer::Other(format!("{DECODER} decodes samples that are off by up to {apart}")),
    }
}

/// The components; the stream's own size, precision and sign must be the plan's.
fn planes<'a>(plan: &Plan, components: &'a [ImageComponent]) -> Result<Vec<&'a [i32]>, String> {
    let pixels = plan.rows as usize * plan.columns as usize;
    if components.len() != usize::from(plan.samples) {
        return Err(format!("{} components", components.len()));
    }
    for component in components {
        if (component.width(), component.height()) != (plan.columns, plan.rows) || component.data().len() != pixels {
            return Err(format!("{} x {} pixels", component.width(), component.height()));
        }
        if component.precision() != u32::from(plan.precision) || component.is_signed() != plan.signed {
            let sign = if component.is_signed() { "signed" } else { "unsigned" };
            return Err(format!("{sign} samples of {} bits", component.precision()));
        }
    }
    Ok(components.iter().map(ImageComponent::data).collect())
}

/// The samples as the containers of Bits Allocated hold them.
fn by_pixel(plan: &Plan, planes: &[&[i32]]) -> Vec<u8> {
    let size = usize::from(plan.bits_allocated.div_ceil(8)).min(4);
    let pixels = plan.rows as usize * plan.columns as usize;
    let mut bytes = Vec::with_capacity(pixels * planes.len() * size);
    for n in 0..pixels {
        for plane in planes {
            bytes.extend_from_slice(&plane[n].to_le_bytes()[..size]);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    /// What evidence calls the decoder is what is built in.
    #[test]
    fn the_version_is_the_one_of_the_lock_file() {
        let lock = include_str!("../../../../Cargo.lock");
        let at = lock.find("name = \"openjp2\"").expect("a dependency");
        let version = lock[at..].lines().nth(1).and_then(|line| line.split('"').nth(1)).expect("a version");
        assert_eq!(super::DECODER, format!("openjp2 {version}"));
    }
}
