//! HTJ2K looked at by OpenJPEG's port to Rust. Header and samples are taken as that decoder reads them: nothing of our own parser is asked.

use super::Answer;
use crate::decode::guarded;
use crate::encode::Plan;
use crate::error::Error;
use crate::input::hex;
use sha2::{Digest, Sha256};

const DECODER: &str = "openjp2 0.6.1";

pub(super) fn look(plan: &Plan, codestream: &[u8], samples_sha256: &str) -> Answer {
    let parameters = jpeg2k::DecodeParameters::new().strict(true).ignore_pclr_cmap_cdef();
    let decoded = guarded(DECODER, || {
        jpeg2k::Image::from_bytes_with(codestream, parameters).map_err(|error| Error::unsupported(error.to_string()))
    });
    let image = match decoded {
        Ok(image) => image,
        Err(error) => return Answer::Other(format!("{DECODER} can't decode it: {error}")),
    };
    match samples(plan, &image) {
        Ok(samples) if hex(&Sha256::digest(&samples)) == samples_sha256 => Answer::Same(DECODER.into()),
        Ok(_) => Answer::Other(format!("{DECODER} decodes other samples")),
        Err(what) => Answer::Other(format!("{DECODER} finds {what}")),
    }
}

/// The samples as the containers of Bits Allocated hold them; the stream's own size, precision and sign must be the plan's.
fn samples(plan: &Plan, image: &jpeg2k::Image) -> Result<Vec<u8>, String> {
    let components = image.components();
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
    let size = usize::from(plan.bits_allocated.div_ceil(8));
    let mut bytes = Vec::with_capacity(pixels * components.len() * size);
    for n in 0..pixels {
        for component in components {
            bytes.extend_from_slice(&component.data()[n].to_le_bytes()[..size.min(4)]);
        }
    }
    Ok(bytes)
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
