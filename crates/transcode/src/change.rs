//! One element that is written anew, and its value.

use dicom::data_set::{Tag, Vr};

/// An element that is written anew; `None` takes it out.
pub(crate) type Change = (Tag, Option<(Vr, Vec<u8>)>);

/// Characters of a ratio: it is known only when all frames are written, and fills a gap that was left for it.
pub(crate) const RATIO_WIDTH: usize = 12;

/// A compression ratio as a decimal string.
pub(crate) fn ratio_text(bytes_before: u64, bytes_after: u64) -> String {
    let ratio = bytes_before as f64 / bytes_after.max(1) as f64;
    format!("{ratio:.3}").chars().take(RATIO_WIDTH).collect()
}

/// A value of even length (PS3.5 6.2).
pub(crate) fn even(text: String, padding: u8) -> Vec<u8> {
    let mut value = text.into_bytes();
    if value.len() % 2 == 1 {
        value.push(padding);
    }
    value
}
