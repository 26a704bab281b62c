//! The lines of a scan: one component, or several mixed by line or by sample (T.87 Annex B); restart intervals.

use super::bits::Bits;
use super::header::{Frame, Interleave, ScanHeader};
use super::line::State;
use super::{Plane, Result};

/// Decodes a scan into the planes of its components; `data` begin behind the scan header. Returns where they end.
pub(super) fn decode(scan: &ScanHeader, frame: &Frame, data: &[u8], planes: &mut [Plane]) -> Result<usize> {
    match (scan.interleave, scan.components.len()) {
        (Interleave::Sample, 2) => by_sample::<2>(scan, data, planes),
        (Interleave::Sample, 3) => by_sample::<3>(scan, data, planes),
        (Interleave::Sample, 4) => by_sample::<4>(scan, data, planes),
        _ => by_line(scan, frame, data, planes),
    }
}

/// Where a scan is between two restart markers.
struct Intervals {
    every: u32,
    left: u32,
    /// The number of the next marker.
    marker: u8,
}

impl Intervals {
    fn new(every: u32) -> Intervals {
        Intervals { every, left: every, marker: 0 }
    }

    /// Before a line: at the end of an interval its marker is passed (T.81 B.2.1), and nothing is known any more.
    fn before_line<'a>(&mut self, bits: Bits<'a>, data: &'a [u8], done: &mut usize) -> Result<Option<Bits<'a>>> {
        if self.every == 0 {
            return Ok(None);
        }
        if self.left > 0 {
            self.left -= 1;
            return Ok(None);
        }
        let end = *done + bits.end();
        let fill = data[end..].iter().take_while(|byte| **byte == 0xFF).count();
        if data.get(end + fill) != Some(&(0xD0 + self.marker)) {
            return Err("there is no restart marker where one should be".into());
        }
        *done = end + fill + 1;
        (self.marker, self.left) = ((self.marker + 1) % 8, self.every - 1);
        Ok(Some(Bits::new(&data[*done..])))
    }
}

/// A component's lines, in turns.
struct Lines<const N: usize> {
    above: Vec<[u16; N]>,
    line: Vec<[u16; N]>,
    run_index: usize,
}

impl<const N: usize> Lines<N> {
    fn new(width: usize) -> Lines<N> {
        Lines { above: vec![[0; N]; width + 2], line: vec![[0; N]; width + 2], run_index: 0 }
    }

    fn restart(&mut self) {
        self.above.fill([0; N]);
        self.line.fill([0; N]);
        self.run_index = 0;
    }

    /// The next line (A.2.1 for its edges).
    fn decode<'a>(&mut self, state: &mut State, bits: Bits<'a>) -> Result<Bits<'a>> {
        std::mem::swap(&mut self.above, &mut self.line);
        let last = self.above.len() - 1;
        self.above[last] = self.above[last - 1];
        self.line[0] = self.above[1];
        state.line(bits, &mut self.run_index, &self.above, &mut self.line)
    }

    fn samples(&self) -> &[[u16; N]] {
        &self.line[1..self.line.len() - 1]
    }
}

/// One component, or line after line of several, of each as many as its sampling factor tells (B.2).
fn by_line(scan: &ScanHeader, frame: &Frame, data: &[u8], planes: &mut [Plane]) -> Result<usize> {
    let mut state = State::new(scan.parameters);
    let (mut bits, mut done) = (Bits::new(data), 0);
    let mut intervals = Intervals::new(scan.restart);
    let mut lines: Vec<Lines<1>> = scan.components.iter().map(|n| Lines::new(planes[*n].width)).collect();
    let together = |n: usize| if scan.components.len() > 1 { frame.components[n].vertical } else { 1 };
    let groups = scan.components.iter().map(|n| planes[*n].height.div_ceil(together(*n))).max().unwrap_or(0);
    for group in 0..groups {
        if let Some(behind) = intervals.before_line(bits, data, &mut done)? {
            bits = behind;
            state.restart();
            lines.iter_mut().for_each(Lines::restart);
        }
        for (n, lines) in scan.components.iter().zip(&mut lines) {
            let plane = &mut planes[*n];
            let rows = (group * together(*n)..(group + 1) * together(*n)).filter(|row| *row < plane.height);
            for _ in rows {
                bits = lines.decode(&mut state, bits)?;
                plane.samples.extend_from_slice(lines.samples().as_flattened());
            }
        }
    }
    Ok(done + bits.end())
}

/// Pixel after pixel (B.3).
fn by_sample<const N: usize>(scan: &ScanHeader, data: &[u8], planes: &mut [Plane]) -> Result<usize> {
    let mut state = State::new(scan.parameters);
    let (mut bits, mut done) = (Bits::new(data), 0);
    let mut intervals = Intervals::new(scan.restart);
    let first = &planes[scan.components[0]];
    let (width, height) = (first.width, first.height);
    let mut lines = Lines::<N>::new(width);
    for _ in 0..height {
        if let Some(behind) = intervals.before_line(bits, data, &mut done)? {
            bits = behind;
            state.restart();
            lines.restart();
        }
        bits = lines.decode(&mut state, bits)?;
        for (i, n) in scan.components.iter().enumerate() {
            planes[*n].samples.extend(lines.samples().iter().map(|pixel| pixel[i]));
        }
    }
    Ok(done + bits.end())
}
