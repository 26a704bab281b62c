//! Overlays in bits of the pixels that the image leaves unused (PS3.3 C.9.2 as it was before it was retired; PS3.5 8.1.2): moved to
//! Overlay Data (60xx,3000), where they belong today.

use crate::change::Change;
use crate::decode::{Codecs, DecodeWith};
use dicom::data_set::{DataSet, Tag, Value, Vr};
use dicom::error::Result;
use dicom::facts::Facts;
use dicom::source::Source;

const ROWS: u16 = 0x0010;
const COLUMNS: u16 = 0x0011;
const ORIGIN: u16 = 0x0050;
const BITS_ALLOCATED: u16 = 0x0100;
const BIT_POSITION: u16 = 0x0102;
const DATA: u16 = 0x3000;

/// An overlay on its way out of the pixels.
#[derive(Debug, Clone)]
pub(crate) struct Overlay {
    group: u16,
    /// The bit of each sample that holds it.
    bit: u16,
    /// One bit a pixel, the lowest bit of a byte first.
    data: Vec<u8>,
}

impl Overlay {
    /// Overlay Data as an element of its own, and attributes that say so.
    pub(crate) fn changes(&self) -> [Change; 3] {
        let us = |value: u16| Some((Vr::US, value.to_le_bytes().to_vec()));
        [
            (Tag(self.group, BITS_ALLOCATED), us(1)),
            (Tag(self.group, BIT_POSITION), us(0)),
            (Tag(self.group, DATA), Some((Vr::OW, self.data.clone()))),
        ]
    }
}

/// Is there an overlay in the pixels that can't be moved? Why.
pub(crate) fn obstacle(set: &DataSet, facts: &Facts) -> Option<String> {
    places(set).find_map(|(group, bit)| {
        let number = |element| set.u16(Tag(group, element));
        let whole = number(ROWS).map(u32::from) == Some(facts.rows)
            && number(COLUMNS).map(u32::from) == Some(facts.columns)
            && set.get(Tag(group, ORIGIN)).is_none_or(|e| set.bytes_le(e).is_ok_and(|b| *b == [1, 0, 1, 0]));
        let free = bit.is_some_and(|bit| bit > facts.high_bit && bit < facts.bits_allocated);
        let plain = facts.frames == 1 && facts.samples == 1 && !facts.signed;
        (!whole || !free || !plain).then(|| {
            format!("an overlay lies in unused bits of the pixels ({group:04X},0102) and can't be moved out of them")
        })
    })
}

/// Takes the overlays of an image that has no [`obstacle`] out of its one frame.
pub(crate) fn take(source: &Source, codecs: &mut Codecs) -> Result<Vec<Overlay>> {
    let places: Vec<(u16, u16)> = places(source.data_set()).filter_map(|(group, bit)| Some((group, bit?))).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut samples = Vec::new();
    source.decode_with(0, codecs, &mut samples)?;
    let size = usize::from(source.facts().bits_allocated / 8);
    let overlay = |(group, bit): (u16, u16)| {
        let byte = usize::from(bit / 8);
        let mut data = vec![0; samples.len().div_ceil(size * 8).next_multiple_of(2)];
        for (n, sample) in samples.chunks_exact(size).enumerate() {
            data[n / 8] |= (sample[byte] >> (bit % 8) & 1) << (n % 8);
        }
        Overlay { group, bit, data }
    };
    Ok(places.into_iter().map(overlay).collect())
}

/// Overlays that lie in the pixels of `source` and no longer in those of `written`: the group of each and its bit.
pub(crate) fn moved(source: &Source, written: &Source) -> Vec<(u16, u8)> {
    let still: Vec<u16> = places(written.data_set()).map(|(group, _)| group).collect();
    let embedded = places(source.data_set()).filter_map(|(group, bit)| Some((group, u8::try_from(bit?).ok()?)));
    embedded.filter(|(group, _)| !still.contains(group)).collect()
}

/// Overlay Data (60xx,3000) of a data set, empty when there is none.
pub(crate) fn data(set: &DataSet, group: u16) -> Result<Vec<u8>> {
    set.get(Tag(group, DATA)).map_or_else(|| Ok(Vec::new()), |element| Ok(set.bytes_le(element)?.into_owned()))
}

/// Puts an overlay back into the bit of each sample (of `size` bytes) that it was taken from.
pub(crate) fn put_back(data: &[u8], bit: u8, size: usize, samples: &mut [u8]) {
    for (n, sample) in samples.chunks_exact_mut(size.max(1)).enumerate() {
        let set = data.get(n / 8).is_some_and(|byte| byte >> (n % 8) & 1 == 1);
        if let Some(byte) = sample.get_mut(usize::from(bit / 8)).filter(|_| set) {
            *byte |= 1 << (bit % 8);
        }
    }
}

/// Clears the bits that the overlays were in.
pub(crate) fn clear(overlays: &[Overlay], bits_allocated: u16, samples: &mut [u8]) {
    let mask = overlays.iter().fold(0u16, |mask, overlay| mask | 1 << overlay.bit);
    if mask != 0 {
        let [low, high] = (!mask).to_le_bytes();
        let size = usize::from(bits_allocated / 8);
        samples.chunks_exact_mut(size).for_each(|sample| {
            sample[0] &= low;
            if let Some(second) = sample.get_mut(1) {
                *second &= high;
            }
        });
    }
}

/// Groups of overlays without data of their own, and the bit they say they are in.
fn places(set: &DataSet) -> impl Iterator<Item = (u16, Option<u16>)> {
    set.elements().iter().filter_map(|element| {
        let group = element.tag.group();
        let is_overlay =
            (0x6000..=0x60FF).contains(&group) && group % 2 == 0 && element.tag.element() == BITS_ALLOCATED;
        let separate =
            || set.get(Tag(group, DATA)).is_some_and(|data| !matches!(data.value, Value::Bytes { len: 0, .. }));
        let embedded = is_overlay && set.first_u16(element).unwrap_or(1) > 1 && !separate();
        embedded.then(|| (group, set.u16(Tag(group, BIT_POSITION))))
    })
}
