//! High-Throughput JPEG 2000 (T.814), by the codec of this workspace.

use super::{Codecs, agree, place};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::stream::codestream_of;
use crate::syntax::Coding;
use htj2k::SamplesMut;

pub(super) fn frame(facts: &Facts, stored: &[u8], codecs: &mut Codecs, out: &mut Vec<u8>) -> Result<()> {
    let info = agree(facts, stored, Coding::HtJ2k)?;
    let stream = codestream_of(stored);
    let stride = facts.columns as usize * usize::from(facts.samples);
    let count = stride * facts.rows as usize;
    let signed = info.signed == Some(true);
    let bad = |error: htj2k::Error| Error::malformed(error.at, error.to_string());
    let whole = |decoded: htj2k::Decoded| {
        if decoded.complete { Ok(()) } else { Err(Error::malformed(0, "the codestream is cut short")) }
    };
    if info.precision > 16 {
        let mut samples = vec![0i32; count];
        whole(codecs.htj2k.decode(stream, 0, SamplesMut::I32(&mut samples), stride).map_err(bad)?)?;
        return place(facts, info.precision, samples.into_iter(), out);
    }
    if !signed && info.precision <= 8 {
        out.resize(count, 0);
        whole(codecs.htj2k.decode(stream, 0, SamplesMut::U8(out), stride).map_err(bad)?)?;
        if facts.bits_allocated <= 8 && (!facts.signed || info.precision == 8) {
            return Ok(());
        }
        let samples = std::mem::take(out);
        return place(facts, info.precision, samples.iter().map(|v| i32::from(*v)), out);
    }
    if signed {
        codecs.signed_words.resize(count, 0);
        whole(codecs.htj2k.decode(stream, 0, SamplesMut::I16(&mut codecs.signed_words), stride).map_err(bad)?)?;
        place(facts, info.precision, codecs.signed_words.iter().map(|v| i32::from(*v)), out)
    } else {
        codecs.words.resize(count, 0);
        whole(codecs.htj2k.decode(stream, 0, SamplesMut::U16(&mut codecs.words), stride).map_err(bad)?)?;
        place(facts, info.precision, codecs.words.iter().map(|v| i32::from(*v)), out)
    }
}
