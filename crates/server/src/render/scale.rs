//! Fitting rows to a viewport (PS3.18 8.3.5.1.4): means of areas going down, straight lines going up.

use super::Rows;

/// The size of an image of `full` columns and rows within `viewport`, keeping its proportions.
pub fn fitted(full: (u32, u32), viewport: (u32, u32), enlarge: bool) -> (u32, u32) {
    let (w, h) = (f64::from(full.0.max(1)), f64::from(full.1.max(1)));
    let ratio = (f64::from(viewport.0) / w).min(f64::from(viewport.1) / h);
    let ratio = if enlarge { ratio } else { ratio.min(1.0) };
    (((w * ratio).round() as u32).max(1), ((h * ratio).round() as u32).max(1))
}

/// Rows of another size, made of the rows below it as they are asked for.
pub struct Fitted<'a> {
    of: &'a mut dyn Rows,
    width: u32,
    height: u32,
    /// What each column is made of.
    columns: Vec<Taps>,
    /// The last two rows below, by their number.
    held: [(Option<u32>, Vec<u8>); 2],
    sum: Vec<f32>,
}

/// Positions that one position is made of, and their weights, which add up to 1.
type Taps = Vec<(u32, f32)>;

impl<'a> Fitted<'a> {
    /// Makes `size` columns and rows of what `of` has.
    pub fn new(of: &'a mut dyn Rows, size: (u32, u32)) -> Fitted<'a> {
        let same = size.0 == of.width();
        let columns = if same { Vec::new() } else { (0..size.0).map(|n| taps(n, of.width(), size.0)).collect() };
        let line = vec![0; of.row_len()];
        let sum = vec![0.0; of.row_len()];
        Fitted { of, width: size.0, height: size.1, columns, held: [(None, line.clone()), (None, line)], sum }
    }

    /// Row `y` of what is below.
    fn below(&mut self, y: u32) -> &[u8] {
        let at = match self.held.iter().position(|(held, _)| *held == Some(y)) {
            Some(at) => at,
            None => {
                self.held.swap(0, 1);
                self.of.row(y, &mut self.held[1].1);
                self.held[1].0 = Some(y);
                1
            }
        };
        &self.held[at].1
    }
}

impl Rows for Fitted<'_> {
    fn width(&self) -> u32 {
        self.width
    }

    fn height(&self) -> u32 {
        self.height
    }

    fn channels(&self) -> usize {
        self.of.channels()
    }

    fn row(&mut self, y: u32, out: &mut [u8]) {
        if (self.width, self.height) == (self.of.width(), self.of.height()) {
            return self.of.row(y, out);
        }
        let mut sum = std::mem::take(&mut self.sum);
        sum.fill(0.0);
        for (from, weight) in taps(y, self.of.height(), self.height) {
            sum.iter_mut().zip(self.below(from)).for_each(|(s, &v)| *s += weight * f32::from(v));
        }
        let channels = self.channels();
        if self.columns.is_empty() {
            out.iter_mut().zip(&sum).for_each(|(out, value)| *out = value.round().clamp(0.0, 255.0) as u8);
        }
        for (taps, out) in self.columns.iter().zip(out.chunks_exact_mut(channels)) {
            for (channel, out) in out.iter_mut().enumerate() {
                let value: f32 = taps.iter().map(|&(x, weight)| weight * sum[x as usize * channels + channel]).sum();
                *out = value.round().clamp(0.0, 255.0) as u8;
            }
        }
        self.sum = sum;
    }
}

/// What position `n` of `output` is made of.
fn taps(n: u32, input: u32, output: u32) -> Taps {
    let ratio = f64::from(input) / f64::from(output);
    if ratio > 1.0 { area(n, ratio, input) } else { line(n, ratio, input) }
}

fn area(n: u32, ratio: f64, input: u32) -> Taps {
    let (from, to) = (f64::from(n) * ratio, (f64::from(n + 1) * ratio).min(f64::from(input)));
    let taps = (from as u32..(to.ceil() as u32).min(input)).map(|x| {
        let covered = to.min(f64::from(x + 1)) - from.max(f64::from(x));
        (x, (covered / (to - from)) as f32)
    });
    taps.collect()
}

fn line(n: u32, ratio: f64, input: u32) -> Taps {
    let at = ((f64::from(n) + 0.5) * ratio - 0.5).clamp(0.0, f64::from(input - 1));
    let (left, share) = (at as u32, (at - at.floor()) as f32);
    let right = (left + 1).min(input - 1);
    vec![(left, 1.0 - share), (right, share)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grey image in memory.
    struct Grey(u32, u32, Vec<u8>);

    impl Rows for Grey {
        fn width(&self) -> u32 {
            self.0
        }
        fn height(&self) -> u32 {
            self.1
        }
        fn channels(&self) -> usize {
            1
        }
        fn row(&mut self, y: u32, out: &mut [u8]) {
            out.copy_from_slice(&self.2[(y * self.0) as usize..][..self.0 as usize]);
        }
    }

    fn resize(width: u32, height: u32, data: &[u8], to: (u32, u32)) -> Vec<u8> {
        let mut of = Grey(width, height, data.to_vec());
        let mut fitted = Fitted::new(&mut of, to);
        let mut out = vec![0; (to.0 * to.1) as usize];
        out.chunks_mut(to.0 as usize).enumerate().for_each(|(y, row)| fitted.row(y as u32, row));
        out
    }

    #[test]
    fn means_of_areas() {
        assert_eq!(resize(4, 2, &[0, 100, 200, 200, 100, 0, 200, 200], (2, 1)), [50, 200]);
        assert_eq!(resize(3, 1, &[0, 90, 180], (2, 1)), [30, 150], "a pixel shared by two");
        assert_eq!(resize(1, 3, &[0, 90, 180], (1, 2)), [30, 150], "a row shared by two");
    }

    #[test]
    fn sizes() {
        assert_eq!(fitted((2000, 1000), (256, 256), false), (256, 128));
        assert_eq!(fitted((10, 20), (256, 256), false), (10, 20));
        assert_eq!(fitted((10, 20), (256, 256), true), (128, 256));
        assert_eq!(fitted((10000, 1), (100, 100), false), (100, 1));
        assert_eq!(resize(1, 1, &[9], (3, 3)), [9; 9]);
        assert_eq!(resize(2, 1, &[9, 7], (2, 1)), [9, 7]);
    }

    #[test]
    fn straight_lines_between_rows_and_columns() {
        assert_eq!(resize(2, 2, &[0, 100, 100, 200], (4, 4))[..8], [0, 25, 75, 100, 25, 50, 100, 125]);
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let flat = [77; 37 * 23];
        assert!(resize(37, 23, &flat, (10, 7)).iter().all(|&v| v == 77));
        assert!(resize(37, 23, &flat, (64, 64)).iter().all(|&v| v == 77));
    }
}
