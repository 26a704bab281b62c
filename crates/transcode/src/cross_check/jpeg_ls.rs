//! JPEG-LS looked at by a decoder after T.87 of our own, which is independent here: CharLS wrote the stream, and read it first.

use super::{Answer, Shown, same_samples, t87};
use crate::plan::Plan;

/// It is a part of this crate, and of its version.
const DECODER: &str = concat!("t87 ", env!("CARGO_PKG_VERSION"));

/// The samples must be the same, whether something was lost or not: T.87 leaves no choice to a decoder. The stream's own size and
/// precision must be the plan's.
pub(super) fn look(plan: &Plan, shown: &Shown<'_>) -> Answer {
    let pixels = plan.rows as usize * plan.columns as usize;
    let picture = match t87::decode(shown.codestream, pixels * usize::from(plan.samples)) {
        Ok(picture) => picture,
        Err(error) => return Answer::Other(format!("{DECODER} can't decode it: {error}")),
    };
    if picture.planes.len() != usize::from(plan.samples) {
        return Answer::Other(format!("{DECODER} finds {} components", picture.planes.len()));
    }
    if picture.precision != plan.precision {
        return Answer::Other(format!("{DECODER} finds samples of {} bits", picture.precision));
    }
    let size = (plan.columns as usize, plan.rows as usize);
    if let Some(other) = picture.planes.iter().find(|plane| (plane.width, plane.height) != size) {
        return Answer::Other(format!("{DECODER} finds {} x {} pixels", other.width, other.height));
    }
    let planes: Vec<&[u16]> = picture.planes.iter().map(|plane| &plane.samples[..]).collect();
    if same_samples(plan.bits_allocated, shown.samples, &planes, u32::from) {
        Answer::Same(DECODER.into())
    } else {
        Answer::Other(format!("{DECODER} decodes other samples"))
    }
}
