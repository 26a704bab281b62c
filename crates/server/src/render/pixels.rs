//! Samples to display values: Modality, VOI, polarity, palette, colour (PS3.4 N.2; PS3.3 C.7.6.3.1.2).

use super::source::{Cell, Grid, Samples};
use super::tone::{Colour, Tone, Voi, Window};
use super::{Error, Rows};

/// What is shown of a frame, at the size of its samples.
pub struct Display<'a> {
    samples: &'a Samples,
    tone: &'a Tone,
    /// The least and the greatest modality value, where nothing else says what is black and white.
    extent: (f64, f64),
    /// Of grey: the display value of each pattern of bits, where there are not too many.
    table: Vec<u8>,
}

impl<'a> Display<'a> {
    /// Gets ready to show samples.
    pub fn new(samples: &'a Samples, tone: &'a Tone) -> Result<Display<'a>, Error> {
        let pixels = samples.width as usize * samples.height as usize;
        if samples.channels == 0 || samples.grid.len() < pixels * usize::from(samples.channels) {
            return Err(Error::Mismatch("fewer samples than pixels"));
        }
        let mut display = Display { samples, tone, extent: (0.0, 1.0), table: Vec::new() };
        if display.channels() == 1 {
            if tone.voi == Voi::Extent {
                display.extent = extent(samples, tone);
            }
            let numbers = samples.grid.numbers();
            display.table = numbers.into_iter().map(|number| display.grey(number as f64)).collect();
        }
        Ok(display)
    }

    /// The display value of a stored value.
    fn grey(&self, stored: f64) -> u8 {
        let value = self.tone.modality.map(stored);
        let (low, high) = self.extent;
        let shown = match &self.tone.voi {
            // Padding is background: where it is not below all of the image, it is black all the same.
            Voi::Extent if self.tone.is_padding(stored) => f64::from(u8::from(self.tone.inverted && value >= low)),
            Voi::Extent if high > low => (value - low) / (high - low),
            Voi::Extent => 0.0,
            Voi::Window(window) => Window::map(window, value),
            Voi::Table(lut) => f64::from(lut.map(value.round() as i64)) / f64::from(lut.white),
        };
        let shown = if shown.is_nan() { 0.0 } else { shown.clamp(0.0, 1.0) };
        let shown = if self.tone.inverted { 1.0 - shown } else { shown };
        (shown * 255.0).round() as u8
    }

    fn grey_row(&self, from: usize, out: &mut [u8]) {
        let step = usize::from(self.samples.channels);
        let (grid, places) = (&self.samples.grid, (from * step..).step_by(step));
        let looked_up = |at: usize| grid.pattern(at).and_then(|pattern| self.table.get(usize::from(pattern))).copied();
        out.iter_mut()
            .zip(places)
            .for_each(|(out, at)| *out = looked_up(at).unwrap_or_else(|| self.grey(grid.value(at))));
    }

    fn colour_row(&self, from: usize, out: &mut [[u8; 3]], convert: impl Fn([u8; 3]) -> [u8; 3]) {
        let step = usize::from(self.samples.channels);
        let shift = self.samples.bits.clamp(8, 32) - 8;
        let eight = |at: usize| match &self.samples.grid {
            Grid::U8(data) | Grid::Stored(data, Cell { bytes: 1, bits: 8, signed: false, .. }) => data[at],
            grid => (grid.integer(at).max(0) >> shift).min(255) as u8,
        };
        for (out, at) in out.iter_mut().zip((from * step..).step_by(step)) {
            *out = convert([eight(at), eight(at + 1), eight(at + 2)]);
        }
    }
}

impl Rows for Display<'_> {
    fn width(&self) -> u32 {
        self.samples.width
    }

    fn height(&self) -> u32 {
        self.samples.height
    }

    fn channels(&self) -> usize {
        match self.tone.colour {
            Colour::Palette(_) => 3,
            Colour::Samples if self.samples.channels >= 3 => 3,
            _ => 1,
        }
    }

    fn row(&mut self, y: u32, out: &mut [u8]) {
        let from = y as usize * self.samples.width as usize;
        let step = usize::from(self.samples.channels);
        if self.channels() == 1 {
            return self.grey_row(from, out);
        }
        let out = out.as_chunks_mut::<3>().0;
        match &self.tone.colour {
            Colour::Palette(palette) => {
                let indices = (from..).map(|n| self.samples.grid.integer(n * step));
                out.iter_mut().zip(indices).for_each(|(out, index)| *out = palette.map(index));
            }
            _ if self.samples.ybr => self.colour_row(from, out, ybr_to_rgb),
            _ => self.colour_row(from, out, |rgb| rgb),
        }
    }
}

/// The least and the greatest modality value, padding left out.
fn extent(samples: &Samples, tone: &Tone) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut see = |stored: f64| {
        let value = tone.modality.map(stored);
        if value.is_finite() && !tone.is_padding(stored) {
            low = low.min(value);
            high = high.max(value);
        }
    };
    let grid = &samples.grid;
    let places = (0..samples.width as usize * samples.height as usize).map(|n| n * usize::from(samples.channels));
    let numbers = grid.numbers();
    if numbers.is_empty() {
        places.for_each(|at| see(grid.value(at)));
        return (low, high);
    }
    let mut seen = vec![false; numbers.len()];
    places.filter_map(|at| grid.pattern(at)).for_each(|pattern| seen[usize::from(pattern)] = true);
    seen.iter().zip(numbers).filter(|(seen, _)| **seen).for_each(|(_, number)| see(number as f64));
    (low, high)
}

/// YBR_FULL to RGB (the inverse of PS3.3 C.7.6.3.1.2).
fn ybr_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| v.round().clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::super::lut::{Lut, Palette};
    use super::super::tone::{Function, Modality};
    use super::*;

    fn tone(voi: Voi) -> Tone {
        Tone {
            modality: Modality::Linear { slope: 1.0, intercept: -1024.0 },
            voi,
            inverted: false,
            padding: None,
            labels: false,
            colour: Colour::Grey,
        }
    }

    fn of(grid: Grid) -> Samples {
        Samples { width: grid.len() as u32, height: 1, channels: 1, bits: 16, ybr: false, grid }
    }

    fn signed(values: &[i16]) -> Samples {
        of(Grid::I16(values.to_vec()))
    }

    fn shown(samples: &Samples, tone: &Tone) -> Vec<u8> {
        let mut display = Display::new(samples, tone).unwrap();
        let mut out = vec![0; display.row_len() * display.height() as usize];
        let len = display.row_len();
        out.chunks_mut(len).enumerate().for_each(|(y, row)| display.row(y as u32, row));
        out
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
        let shown = shown(&signed(&values), &tone(Voi::Window(window)));
        for (stored, shown) in values.iter().zip(shown) {
            assert_eq!(shown, standard_window(f64::from(*stored) - 1024.0, 40.0, 400.0), "{stored}");
        }
    }

    #[test]
    fn extent_leaves_padding_out_and_inverts() {
        let mut tone = tone(Voi::Extent);
        tone.padding = Some((-2000.0, -2000.0));
        assert_eq!(shown(&signed(&[-2000, 0, 50, 100]), &tone), [0, 0, 128, 255]);
        tone.inverted = true;
        assert_eq!(shown(&signed(&[-2000, 0, 50, 100]), &tone), [255, 255, 128, 0]);
        assert_eq!(shown(&signed(&[7, 7]), &tone), [255, 255], "a flat image");
    }

    #[test]
    fn padding_above_the_image_or_within_it_is_black() {
        let mut tone = tone(Voi::Extent);
        tone.padding = Some((3000.0, 4095.0));
        assert_eq!(shown(&signed(&[3000, 0, 50, 100, 4095]), &tone), [0, 0, 128, 255, 0]);
        tone.inverted = true;
        assert_eq!(shown(&signed(&[3000, 0, 50, 100, 4095]), &tone), [0, 255, 128, 0, 0]);
        tone.padding = Some((0.0, 0.0));
        assert_eq!(shown(&signed(&[-100, 0, 100]), &tone), [255, 0, 0]);
    }

    #[test]
    fn numbers_of_32_bits_and_floats() {
        let words = |values: &[u32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let cell = |signed| Cell { bytes: 4, shift: 0, bits: 32, signed };
        let values = words(&[0, 1 << 31, u32::MAX]);
        assert_eq!(shown(&of(Grid::Stored(values.clone(), cell(false))), &tone(Voi::Extent)), [0, 128, 255]);
        assert_eq!(shown(&of(Grid::Stored(values, cell(true))), &tone(Voi::Extent)), [255, 0, 255]);
        let floats = [f32::NAN, 0.0, 0.5, 1.0, f32::INFINITY].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(shown(&of(Grid::F32(floats)), &tone(Voi::Extent)), [0, 0, 128, 255, 255]);
    }

    #[test]
    fn tables_and_palettes() {
        let lut = |values: &[u16]| Lut { first: 0, white: 65535, values: values.to_vec() };
        let mut tone = tone(Voi::Table(Lut { first: -1024, white: 4095, values: vec![0, 2048, 4095] }));
        assert_eq!(shown(&signed(&[0, 1, 2, 3]), &tone), [0, 128, 255, 255]);
        let palette = Palette::new([lut(&[0, 65535]), lut(&[0, 0x8000]), lut(&[0xFF00, 0])], 16);
        tone.colour = Colour::Palette(Box::new(palette));
        assert_eq!(shown(&signed(&[0, 1]), &tone), [0, 0, 255, 255, 128, 0]);
    }

    #[test]
    fn colours() {
        let mut samples = Samples {
            width: 2,
            height: 1,
            channels: 3,
            bits: 8,
            ybr: true,
            grid: Grid::U8(vec![76, 85, 255, 255, 128, 128]),
        };
        let mut tone = tone(Voi::Extent);
        tone.colour = Colour::Samples;
        assert_eq!(shown(&samples, &tone), [254, 0, 0, 255, 255, 255]);
        samples.ybr = false;
        samples.grid = Grid::U16(vec![0, 2048, 4095, 16, 32, 48]);
        samples.bits = 12;
        assert_eq!(shown(&samples, &tone), [0, 128, 255, 1, 2, 3]);
        samples.height = 2;
        assert!(Display::new(&samples, &tone).is_err(), "too few samples");
    }
}
