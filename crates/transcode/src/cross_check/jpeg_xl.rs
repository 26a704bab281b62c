//! JPEG XL looked at by other decoders than the one that verified it: samples by `jxl-oxide`; of a JPEG, whose stream `jxl-oxide`
//! rebuilt, the picture by `jxl`. Header and samples are taken as `jxl-oxide` reads them: nothing of our own parser is asked.

use super::{Answer, Shown};
use crate::decode::{Decode, guarded};
use crate::jpeg_xl::{self, READER, REBUILDER as OXIDE};
use crate::plan::Plan;
use dicom::jpeg_xl::{Header, codestream_of};
use jxl_oxide::{JxlImage, JxlThreadPool, image::BitDepth};

/// How far pictures may be apart on the average, in steps of 8 bits, where nothing says that they are the same: decoders round their
/// transforms in different ways, and bring what lies outside the range of colours back into it in different ways.
const MEAN_APART: f64 = 2.0;

/// The samples of .110, which must be the same, or of .112, which must be close.
pub(super) fn look(plan: &Plan, shown: &Shown<'_>) -> Answer {
    let decoded = match guarded(OXIDE, || Ok(by_oxide(plan, shown.codestream))) {
        Ok(Ok(decoded)) => decoded,
        Ok(Err(what)) => return Answer::Other(format!("{OXIDE} {what}")),
        Err(error) => return Answer::Other(format!("{OXIDE} can't decode it: {error}")),
    };
    let (others, step) = (values(plan, shown.samples), 2f64.powi(i32::from(plan.precision) - 8));
    let same = if plan.target.is_lossy() { close(&decoded, &others, step) } else { decoded == others };
    if same { Answer::Same(OXIDE.into()) } else { Answer::Other(format!("{OXIDE} decodes other samples")) }
}

/// The same number of samples, on the average hardly apart. `step`: one of 8 bits.
fn close(one: &[i32], other: &[i32], step: f64) -> bool {
    let apart: u64 = one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    one.len() == other.len() && apart as f64 <= MEAN_APART * step * one.len() as f64
}

/// The picture of .111: a client that knows JPEG XL shows it instead of the JPEG.
pub(super) fn look_at_jpeg(plan: &Plan, shown: &Shown<'_>) -> Answer {
    let picture = Header::read(&codestream_of(shown.codestream))
        .and_then(|header| Ok((header, jpeg_xl::decode(shown.codestream, &header)?)));
    let (header, picture) = match picture {
        Ok(picture) => picture,
        Err(error) => return Answer::Other(format!("{READER} can't decode it: {error}")),
    };
    let told = (header.width, header.height, header.components, header.precision);
    if told != (plan.columns, plan.rows, plan.samples, 8) || picture.len() != shown.samples.len() {
        return Answer::Other(format!("{READER} finds a picture of {told:?}"));
    }
    let rgb = if shown.written.is_ybr() { rgb(shown.samples) } else { shown.samples.to_vec() };
    let wide = |samples: &[u8]| samples.iter().map(|v| i32::from(*v)).collect::<Vec<_>>();
    if !close(&wide(&picture), &wide(&rgb), 1.0) {
        return Answer::Other(format!("{READER} decodes another picture"));
    }
    Answer::Same(format!("{READER}: the picture"))
}

/// Samples as they stand in the stream: unsigned, of the plan's precision. Size, depth and channels must be the plan's.
fn by_oxide(plan: &Plan, stream: &[u8]) -> Result<Vec<i32>, String> {
    let undecoded = |error| format!("can't decode it: {error}");
    let image = JxlImage::builder().pool(JxlThreadPool::none()).read(stream).map_err(undecoded)?;
    let metadata = &image.image_header().metadata;
    let depth = BitDepth::IntegerSample { bits_per_sample: plan.precision.into() };
    if (image.width(), image.height()) != (plan.columns, plan.rows) {
        return Err(format!("finds {} x {} pixels", image.width(), image.height()));
    }
    if metadata.bit_depth != depth {
        return Err(format!("finds {:?}", metadata.bit_depth));
    }
    let channels = image.pixel_format().channels();
    if channels != usize::from(plan.samples) || !metadata.ec_info.is_empty() || image.num_loaded_keyframes() != 1 {
        return Err(format!("finds {channels} channels in {} images", image.num_loaded_keyframes()));
    }
    let top = f64::from((1u32 << plan.precision) - 1);
    let picture = image.render_frame(0).map_err(undecoded)?.image_all_channels();
    Ok(picture.buf().iter().map(|v| (f64::from(*v).clamp(0.0, 1.0) * top).round() as i32).collect())
}

/// Our samples in the same way: signed ones as the two's complement of the stream's precision.
fn values(plan: &Plan, samples: &[u8]) -> Vec<i32> {
    let mask = (1i32 << plan.precision) - 1;
    match plan.bits_allocated {
        8 => samples.iter().map(|v| i32::from(*v) & mask).collect(),
        _ => samples.as_chunks().0.iter().map(|b| i32::from(u16::from_le_bytes(*b)) & mask).collect(),
    }
}

/// YCbCr to RGB as JPEG has it (ITU-T T.871 7).
fn rgb(ybr: &[u8]) -> Vec<u8> {
    let pixel = |[y, b, r]: &[u8; 3]| {
        let (y, b, r) = (f32::from(*y), f32::from(*b) - 128.0, f32::from(*r) - 128.0);
        [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b].map(|v| v.round() as u8)
    };
    ybr.as_chunks().0.iter().flat_map(pixel).collect()
}
