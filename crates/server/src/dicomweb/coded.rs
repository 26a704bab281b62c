//! Frames coded anew for a client that names a coding (PS3.18 8.7.3.3.2): lossless ones are proven, JPEG is lossy and asked for as that.

use crate::error::{Answered, Problem};
use crate::media::Coding;
use crate::state::App;
use archive::Instance;
use bytes::Bytes;
use dicom::{Facts, Source};
use jpeg_encoder::{ColorType, Encoder};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use transcode::{Decode, Recode, recode_obstacle};

/// Quality of JPEG Baseline for who names no other.
const QUALITY: u8 = 90;

/// Can frames of such an instance be coded so, as far as its attributes tell?
pub fn can_be(facts: &Facts, coding: Coding) -> bool {
    match coding.target() {
        Some(target) => recode_obstacle(facts, target).is_none(),
        None => {
            let bytes = (facts.bits_allocated, facts.bits_stored, facts.high_bit, facts.signed) == (8, 8, 7, false);
            bytes && matches!(facts.samples, 1 | 3) && facts.photometric != "PALETTE COLOR"
        }
    }
}

/// Frame `n` (from 0) coded so; kept for the ranges that follow.
pub fn frame(app: &App, instance: &Arc<Instance>, n: u32, coding: Coding) -> Answered<Bytes> {
    let key = format!("coded {} {} {n}", coding.syntax(), instance.object_id);
    if let Some(bytes) = app.made.get(&key) {
        app.metrics.cache_hits.fetch_add(1, Relaxed);
        return Ok(bytes);
    }
    app.metrics.cache_misses.fetch_add(1, Relaxed);
    let source = app.archive.source(instance)?;
    let made = match coding.target() {
        Some(target) => Recode::new(&source, target).and_then(|mut recode| recode.frame(n)),
        None => jpeg(&source, n),
    };
    let bytes = Bytes::from(made.map_err(refuse)?);
    app.made.put(key, bytes.clone(), bytes.len());
    Ok(bytes)
}

fn refuse(error: dicom::Error) -> Problem {
    match error {
        dicom::Error::Unsupported(reason) => Problem::not_acceptable(format!("{reason}; ask for transfer-syntax=*")),
        dicom::Error::Io(_) => error.into(),
        other => Problem::not_there(other),
    }
}

/// JPEG Baseline of 8-bit samples.
fn jpeg(source: &Source, n: u32) -> Result<Vec<u8>, dicom::Error> {
    let facts = source.facts();
    let side = |side: u32| u16::try_from(side).map_err(|_| dicom::Error::unsupported("it is too large for JPEG"));
    let (width, height) = (side(facts.columns)?, side(facts.rows)?);
    let colour = match facts.samples {
        3 if source.is_ybr() => ColorType::Ycbcr,
        3 => ColorType::Rgb,
        _ => ColorType::Luma,
    };
    let (mut samples, mut out) = (Vec::new(), Vec::new());
    source.decode_frame(n, &mut samples)?;
    Encoder::new(&mut out, QUALITY)
        .encode(&samples, width, height, colour)
        .map_err(|error| dicom::Error::unsupported(format!("JPEG: {error}")))?;
    Ok(out)
}
