//! Samples to display values: Modality, VOI, polarity, palette, colour (PS3.4 N.2; PS3.3 C.7.6.3.1.2).

use super::source::{Grid, Samples};
use super::tone::{Colour, Tone, Voi, Window};
use super::{Error, Picture};

/// Maps samples to what is shown.
pub fn display(samples: &Samples, tone: &Tone) -> Result<Picture, Error> {
    let pixels = samples.width as usize * samples.height as usize;
    if samples.grid.len() < pixels * usize::from(samples.channels) {
        return Err(Error::Mismatch("fewer samples than pixels"));
    }
    let (channels, data) = match &tone.colour {
        Colour::Grey => (1, grey(samples, tone, pixels)),
        Colour::Palette(luts) => (3, palette(samples, luts, pixels)),
        Colour::Rgb => (3, colour(samples, pixels, |rgb| rgb)),
        Colour::Ybr => (3, colour(samples, pixels, ybr_to_rgb)),
    };
    Ok(Picture { width: samples.width, height: samples.height, channels, data })
}

fn grey(samples: &Samples, tone: &Tone, pixels: usize) -> Vec<u8> {
    let step = usize::from(samples.channels.max(1));
    let grid = &samples.grid;
    let curve = Curve::new(tone, || extent(grid, tone, pixels, step));
    match grid {
        // One table for all values that 8 or 16 bits can hold.
        Grid::U8(data) => through(data, pixels, step, &curve.table(0..=255), |v| v.into()),
        Grid::I8(data) => through(data, pixels, step, &curve.table(-128..=127), |v| (i32::from(v) + 128) as usize),
        Grid::U16(data) => through(data, pixels, step, &curve.table(0..=65535), |v| v.into()),
        Grid::I16(data) => {
            through(data, pixels, step, &curve.table(-32768..=32767), |v| (i32::from(v) + 32768) as usize)
        }
        Grid::I32(_) | Grid::F64(_) => (0..pixels).map(|n| curve.map(grid.value(n * step))).collect(),
    }
}

fn through<T: Copy>(data: &[T], pixels: usize, step: usize, table: &[u8], index: impl Fn(T) -> usize) -> Vec<u8> {
    data.iter().step_by(step).take(pixels).map(|&v| table[index(v)]).collect()
}

/// Stored value to display value.
struct Curve<'a> {
    tone: &'a Tone,
    extent: (f64, f64),
}

impl<'a> Curve<'a> {
    fn new(tone: &'a Tone, extent: impl FnOnce() -> (f64, f64)) -> Self {
        let extent = if tone.voi == Voi::Extent { extent() } else { (0.0, 1.0) };
        Curve { tone, extent }
    }

    fn table(&self, values: std::ops::RangeInclusive<i32>) -> Vec<u8> {
        values.map(|v| self.map(v.into())).collect()
    }

    fn map(&self, stored: f64) -> u8 {
        let value = self.tone.modality.map(stored);
        let shown = match &self.tone.voi {
            Voi::Extent => {
                let (low, high) = self.extent;
                if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
            }
            Voi::Window(window) => Window::map(window, value),
            Voi::Table(lut) => f64::from(lut.map(value.round() as i32)) / f64::from((1u32 << lut.bits) - 1),
        };
        let shown = if shown.is_nan() { 0.0 } else { shown.min(1.0) };
        let shown = if self.tone.inverted { 1.0 - shown } else { shown };
        (shown * 255.0).round() as u8
    }
}

/// The least and the greatest modality value, padding left out.
fn extent(grid: &Grid, tone: &Tone, pixels: usize, step: usize) -> (f64, f64) {
    let padding = tone.padding.unwrap_or((1, 0));
    let is_image = |v: &f64| v.is_finite() && !(padding.0 as f64 <= *v && *v <= padding.1 as f64);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in (0..pixels).map(|n| grid.value(n * step)).filter(is_image) {
        let value = tone.modality.map(value);
        low = low.min(value);
        high = high.max(value);
    }
    (low, high)
}

fn palette(samples: &Samples, luts: &[super::lut::Lut; 3], pixels: usize) -> Vec<u8> {
    let step = usize::from(samples.channels.max(1));
    (0..pixels).flat_map(|n| luts.each_ref().map(|lut| lut.map8(samples.grid.value(n * step) as i32))).collect()
}

fn colour(samples: &Samples, pixels: usize, convert: impl Fn([u8; 3]) -> [u8; 3]) -> Vec<u8> {
    let step = usize::from(samples.channels);
    let shift = samples.bits.clamp(8, 16) - 8;
    let eight = |at: usize| match &samples.grid {
        Grid::U8(data) => data[at],
        grid => ((grid.value(at).max(0.0) as u32) >> shift).min(255) as u8,
    };
    (0..pixels).flat_map(|n| convert([eight(n * step), eight(n * step + 1), eight(n * step + 2)])).collect()
}

/// YBR_FULL to RGB (the inverse of PS3.3 C.7.6.3.1.2).
fn ybr_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| v.round().clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::super::lut::Lut;
    use super::super::tone::{Function, Modality};
    use super::*;

    fn tone(voi: Voi) -> Tone {
        Tone {
            modality: Modality::Linear { slope: 1.0, intercept: -1024.0 },
            voi,
            inverted: false,
            padding: None,
            colour: Colour::Grey,
        }
    }

    fn signed(values: &[i16]) -> Samples {
        Samples {
            width: values.len() as u32,
            height: 1,
            channels: 1,
            bits: 16,
            ybr: false,
            grid: Grid::I16(values.to_vec()),
        }
    }

    /// The window of the standard, written once more without any of the code above: PS3.3 C.11.2.1.2.1, 8-bit output.
    fn standard_window(x: f64, c: f64, w: f64) -> u8 {
        if x <= c - 0.5 - (w - 1.0) / 2.0 {
            0
        } else if x > c - 0.5 + (w - 1.0) / 2.0 {
            255
        } else {
            (((x - (c - 0.5)) / (w - 1.0) + 0.5) * 255.0).round() as u8
        }
    }

    #[test]
    fn a_window_over_every_stored_value() {
        let values: Vec<i16> = (-2000..4000).collect();
        let window = Window { center: 40.0, width: 400.0, function: Function::Linear };
        let shown = display(&signed(&values), &tone(Voi::Window(window))).unwrap();
        for (stored, shown) in values.iter().zip(shown.data) {
            assert_eq!(shown, standard_window(f64::from(*stored) - 1024.0, 40.0, 400.0), "{stored}");
        }
    }

    #[test]
    fn extent_leaves_padding_out_and_inverts() {
        let mut tone = tone(Voi::Extent);
        tone.padding = Some((-2000, -2000));
        let shown = display(&signed(&[-2000, 0, 50, 100]), &tone).unwrap();
        assert_eq!(shown.data, [0, 0, 128, 255]);
        tone.inverted = true;
        assert_eq!(display(&signed(&[-2000, 0, 50, 100]), &tone).unwrap().data, [255, 255, 128, 0]);
        assert_eq!(display(&signed(&[7, 7]), &tone).unwrap().data, [255, 255], "a flat image");
    }

    #[test]
    fn tables_and_palettes() {
        let lut = |values: Vec<u16>| Lut { first: 0, bits: 16, values };
        let mut tone = tone(Voi::Table(Lut { first: -1024, bits: 12, values: vec![0, 2048, 4095] }));
        assert_eq!(display(&signed(&[0, 1, 2, 3]), &tone).unwrap().data, [0, 128, 255, 255]);
        tone.colour = Colour::Palette(Box::new([lut(vec![0, 65535]), lut(vec![0, 0x8000]), lut(vec![0xFF00, 0])]));
        assert_eq!(display(&signed(&[0, 1]), &tone).unwrap().data, [0, 0, 255, 255, 128, 0]);
    }

    #[test]
    fn colours() {
        let mut samples = Samples {
            width: 2,
            height: 1,
            channels: 3,
            bits: 8,
            ybr: false,
            grid: Grid::U8(vec![76, 85, 255, 255, 128, 128]),
        };
        let mut tone = tone(Voi::Extent);
        tone.colour = Colour::Ybr;
        assert_eq!(display(&samples, &tone).unwrap().data, [254, 0, 0, 255, 255, 255]);
        tone.colour = Colour::Rgb;
        samples.grid = Grid::U16(vec![0, 2048, 4095, 16, 32, 48]);
        samples.bits = 12;
        assert_eq!(display(&samples, &tone).unwrap().data, [0, 128, 255, 1, 2, 3]);
        samples.height = 2;
        assert!(display(&samples, &tone).is_err(), "too few samples");
    }
}
