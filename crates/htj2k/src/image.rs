//! The caller's samples: borrowed, interleaved by pixel, in native byte order.

use crate::Error;

/// Samples to encode.
#[derive(Clone, Copy, Debug)]
pub enum Samples<'a> {
    /// Unsigned, up to 8 bits.
    U8(&'a [u8]),
    /// Signed, up to 8 bits.
    I8(&'a [i8]),
    /// Unsigned, up to 16 bits.
    U16(&'a [u16]),
    /// Signed, up to 16 bits.
    I16(&'a [i16]),
    /// Anything up to 31 bits.
    I32(&'a [i32]),
}

/// Room for decoded samples. The type must hold the range of every component.
#[derive(Debug)]
pub enum SamplesMut<'a> {
    /// Unsigned, up to 8 bits.
    U8(&'a mut [u8]),
    /// Signed, up to 8 bits.
    I8(&'a mut [i8]),
    /// Unsigned, up to 16 bits.
    U16(&'a mut [u16]),
    /// Signed, up to 16 bits.
    I16(&'a mut [i16]),
    /// Anything up to 31 bits.
    I32(&'a mut [i32]),
}

impl Samples<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Samples::U8(s) => s.len(),
            Samples::I8(s) => s.len(),
            Samples::U16(s) => s.len(),
            Samples::I16(s) => s.len(),
            Samples::I32(s) => s.len(),
        }
    }
}

impl SamplesMut<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            SamplesMut::U8(s) => s.len(),
            SamplesMut::I8(s) => s.len(),
            SamplesMut::U16(s) => s.len(),
            SamplesMut::I16(s) => s.len(),
            SamplesMut::I32(s) => s.len(),
        }
    }
}

impl<'a> SamplesMut<'a> {
    pub(crate) fn reborrow(&mut self) -> SamplesMut<'_> {
        match self {
            SamplesMut::U8(s) => SamplesMut::U8(s),
            SamplesMut::I8(s) => SamplesMut::I8(s),
            SamplesMut::U16(s) => SamplesMut::U16(s),
            SamplesMut::I16(s) => SamplesMut::I16(s),
            SamplesMut::I32(s) => SamplesMut::I32(s),
        }
    }

    /// The samples before and from `at`.
    pub(crate) fn split_at(self, at: usize) -> (SamplesMut<'a>, SamplesMut<'a>) {
        macro_rules! split {
            ($s:expr, $kind:ident) => {{
                let (before, after) = $s.split_at_mut(at);
                (SamplesMut::$kind(before), SamplesMut::$kind(after))
            }};
        }
        match self {
            SamplesMut::U8(s) => split!(s, U8),
            SamplesMut::I8(s) => split!(s, I8),
            SamplesMut::U16(s) => split!(s, U16),
            SamplesMut::I16(s) => split!(s, I16),
            SamplesMut::I32(s) => split!(s, I32),
        }
    }
}

/// An image to encode: every component has the same size and precision.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Samples per pixel, 1 to 16384.
    pub components: u16,
    /// Bits per sample, 1 to 31. Values must lie in this range; a value outside is an error.
    pub precision: u8,
    /// Whether samples are two's complement.
    pub signed: bool,
    /// Samples (not bytes) from one row to the next, at least `width * components`.
    pub stride: usize,
    /// The samples.
    pub samples: Samples<'a>,
}

impl Image<'_> {
    /// Checks that the description and the samples agree.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.width == 0 || self.height == 0 {
            return Err(Error::request("the image has no pixels"));
        }
        if !(1..=16384).contains(&self.components) {
            return Err(Error::request("an image has 1 to 16384 components"));
        }
        if !(1..=31).contains(&self.precision) {
            return Err(Error::request("a sample has 1 to 31 bits"));
        }
        check_room(self.samples.len(), self.width, self.height, self.components, self.stride)
    }
}

/// Checks that `len` samples hold `height` rows, `stride` apart.
pub(crate) fn check_room(len: usize, width: u32, height: u32, components: u16, stride: usize) -> Result<(), Error> {
    let row = width as u64 * components as u64;
    if (stride as u64) < row {
        return Err(Error::request("the stride is shorter than a row"));
    }
    let need = match height.checked_sub(1) {
        Some(before) => (before as u64).checked_mul(stride as u64).and_then(|n| n.checked_add(row)),
        None => Some(0),
    };
    match need {
        Some(need) if need <= len as u64 => Ok(()),
        _ => Err(Error::request("the buffer is smaller than the image")),
    }
}
