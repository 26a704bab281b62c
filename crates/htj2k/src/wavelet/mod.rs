//! The wavelet transforms (T.800 Annex F), row by row: rows go in as they come, rows come out as soon as they are final.
//!
//! Both transforms are lifting: `STEPS` times, the rows (or samples) of one parity are changed by their two neighbours of the
//! other. When row `y` is there, step 1 can be done on row `y - 1`, then step 2 on row `y - 2`, and so on: so a handful of
//! rows is all that is held. Beyond the edges the signal is mirrored, which for lifting means that the neighbour that
//! is missing is the neighbour on the other side.

mod irreversible;
mod reversible;

use crate::buffer::Buffer;
use crate::simd::Simd;
use core::ops::Range;
pub(crate) use reversible::Integer;

/// A transform, named by the type of its coefficients: `i32` and `i64` are the reversible 5/3, `f32` the irreversible 9/7.
pub(crate) trait Transform: Copy + Default + core::fmt::Debug + Send + Sync + 'static {
    /// Lifting steps in one direction.
    const STEPS: i64;

    /// Synthesis of one row from its low and high coefficients; `odd` tells whether the row begins at an odd column,
    /// `place` where the row stands vertically. Vertical scaling, if there is any, is done here too.
    fn synthesise_row(simd: Simd, low: &[Self], high: &[Self], odd: bool, place: Place, out: &mut [Self]);

    /// Analysis of one row, the inverse of `synthesise_row`; `row` is used up.
    fn analyse_row(simd: Simd, row: &mut [Self], odd: bool, place: Place, low: &mut [Self], high: &mut [Self]);

    /// Lifting step 1, 2, ... of the synthesis of columns: changes `row` by its neighbours. Odd steps change even rows.
    fn synthesise_step(simd: Simd, step: i64, row: &mut [Self], above: &[Self], below: &[Self]);

    /// Lifting step 1, 2, ... of the analysis of columns. Odd steps change odd rows.
    fn analyse_step(simd: Simd, step: i64, row: &mut [Self], above: &[Self], below: &[Self]);
}

/// Where a row stands in the vertical signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Even,
    Odd,
    /// The signal is this one row, at an even place: left alone.
    AloneEven,
    /// The signal is this one row, at an odd place: doubled by the analysis (F.4.8).
    AloneOdd,
}

impl Place {
    fn of(y: i64, y0: i64, y1: i64) -> Place {
        match (y1 - y0 == 1, y & 1 == 0) {
            (false, true) => Place::Even,
            (false, false) => Place::Odd,
            (true, true) => Place::AloneEven,
            (true, false) => Place::AloneOdd,
        }
    }
}

/// How far a vertical transform is. The caller holds the rows: a ring of the latest ones, or a whole plane, which is then changed in place.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    width: usize,
    /// Whether the rows are a ring.
    ring: bool,
    y0: i64,
    y1: i64,
    /// The next row to come in; it counts on beyond `y1` while the last rows are finished.
    next: i64,
    /// The next row to go out.
    out: i64,
}

/// Rows of the ring: `STEPS + 2` are in use, rounded up to a power of two.
const RING: usize = 8;

impl Columns {
    /// Begins with rows `y0..y1` of a width, of which `ring` is to hold the latest.
    pub(crate) fn start<T: Transform>(&mut self, ring: &mut Buffer<T>, width: usize, y0: u32, y1: u32) {
        ring.set_length(width * RING);
        self.begin(true, width, y0, y1);
    }

    /// Begins with rows `y0..y1` of a width, which the caller holds; what they are before matters to the analysis only.
    pub(crate) fn start_in_place(&mut self, width: usize, y0: u32, y1: u32) {
        self.begin(false, width, y0, y1);
    }

    fn begin(&mut self, ring: bool, width: usize, y0: u32, y1: u32) {
        (self.width, self.ring) = (width, ring);
        (self.y0, self.y1) = (y0 as i64, y1 as i64);
        (self.next, self.out) = (self.y0, self.y0);
    }

    #[inline]
    fn range(&self, y: i64) -> Range<usize> {
        let n = (y - self.y0) as usize;
        // The ring's size is a constant, so that no division is needed.
        let slot = if self.ring { n % RING } else { n };
        slot * self.width..(slot + 1) * self.width
    }

    /// Finishes the next row of the synthesis; `load` fills in the horizontally synthesised row it is asked for.
    #[inline]
    pub(crate) fn synthesise<T: Transform, E>(
        &mut self,
        rows: &mut [T],
        simd: Simd,
        mut load: impl FnMut(u32, Place, &mut [T]) -> Result<(), E>,
    ) -> Result<(), E> {
        let row = self.out;
        while self.next <= row + T::STEPS {
            let y = self.next;
            if y < self.y1 {
                let range = self.range(y);
                load(y as u32, Place::of(y, self.y0, self.y1), &mut rows[range])?;
            }
            self.steps(rows, |step, row, above, below| T::synthesise_step(simd, step, row, above, below), 0);
            self.next += 1;
        }
        self.out += 1;
        Ok(())
    }

    /// The row that `synthesise` finished last.
    pub(crate) fn latest<'a, T>(&self, rows: &'a [T]) -> &'a [T] {
        &rows[self.range(self.out - 1)]
    }

    /// Takes the next row of an image to analyse; `fill` writes it.
    pub(crate) fn analyse<T: Transform>(&mut self, rows: &mut [T], simd: Simd, fill: impl FnOnce(&mut [T])) {
        fill(self.room(rows));
        self.advance_analysis(rows, simd);
    }

    /// Where the next row to analyse is to be written, before `advance_analysis`.
    pub(crate) fn room<'a, T>(&self, rows: &'a mut [T]) -> &'a mut [T] {
        &mut rows[self.range(self.next)]
    }

    /// The next row is there, or there are no more: lets others become final.
    pub(crate) fn advance_analysis<T: Transform>(&mut self, rows: &mut [T], simd: Simd) {
        self.steps(rows, |step, row, above, below| T::analyse_step(simd, step, row, above, below), 1);
        self.next += 1;
    }

    /// A row that has become final and is no one's neighbour any more, with its number and place; each is given once.
    pub(crate) fn finished<'a, T: Transform>(&mut self, rows: &'a mut [T]) -> Option<(u32, Place, &'a mut [T])> {
        let y = self.out;
        if y >= self.y1 || self.next <= y + T::STEPS + 1 {
            return None;
        }
        self.out += 1;
        let range = self.range(y);
        Some((y as u32, Place::of(y, self.y0, self.y1), &mut rows[range]))
    }

    /// All the steps that row `next` makes possible: step `s` on row `next - s`, if that has the parity that the step changes. The
    /// first step changes odd rows if `first` is 1.
    #[inline]
    fn steps<T: Transform>(&self, rows: &mut [T], mut lift: impl FnMut(i64, &mut [T], &[T], &[T]), first: i64) {
        if self.y1 - self.y0 < 2 {
            return;
        }
        for step in 1..=T::STEPS {
            let y = self.next - step;
            if y < self.y0 || y >= self.y1 || (y + step + 1 + first) & 1 != 0 {
                continue;
            }
            let (above, below) = (y - 1, y + 1);
            let (here, above, below) = (
                self.range(y),
                (above >= self.y0).then(|| self.range(above)),
                (below < self.y1).then(|| self.range(below)),
            );
            match (above, below) {
                (Some(above), Some(below)) => {
                    if let Ok([row, above, below]) = rows.get_disjoint_mut([here, above, below]) {
                        lift(step, row, above, below);
                    }
                }
                (Some(only), None) | (None, Some(only)) => {
                    if let Ok([row, only]) = rows.get_disjoint_mut([here, only]) {
                        lift(step, row, only, only);
                    }
                }
                (None, None) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
