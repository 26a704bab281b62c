//! The components of a tile, from packets to the caller's rows: synthesis, the inverse colour transform, output.

use super::blocks::{Blocks, Coefficient};
use super::output::{Output, Range};
use super::synthesis::{Keep, Pass, SeamRows, Space, Synthesis, Target};
use super::{Frame, Lane, Planes, Spaces, component_area};
use crate::buffer::Buffer;
use crate::geometry::Rect;
use crate::limits::Spending;
use crate::simd::Simd;
use crate::threads::{self, Cut, Pool, Slabs};
use crate::{Error, colour};
use alloc::vec::Vec;
use core::array;

/// Most bits of a sample, and one for the colour transform, that 32-bit arithmetic holds.
const NARROW: u8 = 27;

/// A tile on its way to an output.
pub(super) struct Job<'a, 'b, 'c> {
    pub(super) frame: &'a Frame<'a>,
    pub(super) lanes: &'a Pool<Lane>,
    pub(super) spending: &'b mut Spending,
    pub(super) out: &'b mut Output<'c>,
}

type ColourTransform<T> = fn(Simd, &[T], &[T], &[T], &mut [Vec<T>; 3]);

impl Job<'_, '_, '_> {
    /// Decodes what the output has room for.
    pub(super) fn decode(mut self, planes: &mut Planes) -> Result<(), Error> {
        let Frame { coding, .. } = *self.frame;
        let components = self.frame.source.tile.components.len();
        let mut first = 0;
        if coding.cod.colour_transform && components >= 3 {
            first = 3;
            match (coding.of(0).reversible, self.is_wide(0, true)) {
                (true, false) => self.colour::<i32>(planes, colour::reversible_inverse)?,
                (true, true) => self.colour::<i64>(planes, colour::reversible_inverse)?,
                (false, _) => self.colour::<f32>(planes, colour::irreversible_inverse)?,
            }
        }
        for c in first..components {
            match (coding.of(c as u16).reversible, self.is_wide(c, false)) {
                (true, false) => self.component::<i32>(c, planes)?,
                (true, true) => self.component::<i64>(c, planes)?,
                (false, _) => self.component::<f32>(c, planes)?,
            }
        }
        Ok(())
    }

    /// Whether reversible coefficients need 64 bits.
    fn is_wide(&self, component: usize, colour: bool) -> bool {
        self.frame.siz.components[component].precision + u8::from(colour) > NARROW
    }

    fn component<T: Coefficient>(&mut self, c: usize, planes: &mut Planes) -> Result<(), Error> {
        let mark = self.spending.mark();
        let own = if self.frame.keep == Keep::Nothing { 0 } else { c };
        let [synthesis] = some(T::of(planes), own);
        let window = self.start(c, synthesis)?;
        finish(self.frame, self.lanes, [synthesis], Place { first: c, window, inverse: None }, self.out)?;
        if self.frame.keep == Keep::Nothing {
            self.spending.release(mark);
        }
        Ok(())
    }

    /// The first three components together.
    fn colour<T: Coefficient>(&mut self, planes: &mut Planes, inverse: ColourTransform<T>) -> Result<(), Error> {
        let [a, b, c] = some(T::of(planes), 0);
        let coding = self.frame.coding;
        let windows = [self.start(0, a)?, self.start(1, b)?, self.start(2, c)?];
        let places = [0, 1, 2].map(|n| whole(self.frame, self.out, n));
        let same = (1..3).all(|n| {
            let reversible = coding.of(n as u16).reversible == coding.of(0).reversible;
            windows[n] == windows[0] && places[n] == places[0] && reversible
        });
        if !same {
            return Err(Error::malformed(0, "components of a colour transform that differ"));
        }
        let place = Place { first: 0, window: windows[0], inverse: Some(inverse) };
        finish(self.frame, self.lanes, [a, b, c], place, self.out)
    }

    /// Begins a component; gives the part of the level that the tile has.
    fn start<T: Coefficient>(&mut self, c: usize, synthesis: &mut Synthesis<T>) -> Result<Rect, Error> {
        let Frame { level, keep, .. } = *self.frame;
        let component = &self.frame.source.tile.components[c];
        let Some(last) = component.levels.checked_sub(level) else {
            return Err(Error::unsupported(0, "a tile has fewer levels than the main header says"));
        };
        let window = component.area.reduced(level).shared(&whole(self.frame, self.out, c));
        let style = self.frame.coding.of(c as u16).style;
        let target = Target { component: c, last, window, style, keep };
        synthesis.start(self.frame, self.lanes, &target, self.spending)?;
        Ok(window)
    }
}

/// Some of the syntheses, made if they are not there.
fn some<T: Coefficient, const N: usize>(syntheses: &mut Vec<Synthesis<T>>, first: usize) -> [&mut Synthesis<T>; N] {
    if syntheses.len() < first + N {
        syntheses.resize_with(first + N, Synthesis::default);
    }
    let some: &mut [Synthesis<T>; N] = syntheses[first..].first_chunk_mut().unwrap_or_else(|| unreachable!());
    some.each_mut()
}

/// What the output has of a component.
fn whole(frame: &Frame<'_>, out: &Output<'_>, c: usize) -> Rect {
    match out {
        Output::Interleaved { window, .. } => *window,
        Output::Planes(_) => component_area(frame.siz.image, &frame.siz.components[c], frame.level),
    }
}

/// Where the rows of some components go: the first component, the part of the level, and what makes colours of them.
struct Place<T> {
    first: usize,
    window: Rect,
    inverse: Option<ColourTransform<T>>,
}

/// The last resolution level of components that were begun, row by row.
fn finish<T: Coefficient, const N: usize>(
    frame: &Frame<'_>,
    lanes: &Pool<Lane>,
    mut syntheses: [&mut Synthesis<T>; N],
    place: Place<T>,
    out: &mut Output<'_>,
) -> Result<(), Error> {
    if place.window.is_empty() {
        return Ok(());
    }
    let slabs = syntheses[0].last_slabs(frame, place.window);
    let mut seams = syntheses.each_mut().map(|s| s.take_seams(&slabs));
    let result = {
        let syntheses = syntheses.each_ref().map(|s| &**s);
        let passes = syntheses.map(|s| s.last_pass(frame, slabs));
        let columns = place.window.x0..place.window.x1;
        Rows { frame, lanes, syntheses, passes, slabs, place, columns }.write(out, &mut seams)
    };
    for (synthesis, seams) in syntheses.into_iter().zip(seams) {
        synthesis.give_seams(seams);
    }
    result
}

/// The rows of some components on their way to the output.
struct Rows<'a, T, const N: usize> {
    frame: &'a Frame<'a>,
    lanes: &'a Pool<Lane>,
    syntheses: [&'a Synthesis<T>; N],
    /// The synthesis of each component's last resolution level, unless that is at hand.
    passes: [Option<Pass<'a, T>>; N],
    slabs: Slabs,
    place: Place<T>,
    columns: core::ops::Range<u32>,
}

impl<T: Coefficient, const N: usize> Rows<'_, T, N> {
    fn write(&self, out: &mut Output<'_>, seams: &mut [Buffer<T>; N]) -> Result<(), Error> {
        let slabs = self.slabs;
        let rows = Part { slabs, ahead: 0, out: out.reborrow() };
        let share = Share { rows, first: 0, seams: seams.each_mut().map(|s| SeamRows::new(s, slabs.count())) };
        threads::each(0..slabs.count(), share, &|n, share| self.lanes.with(|_, lane| self.slab(lane, n, share)))?;
        let rows = Part { slabs, ahead: T::STEPS as u32, out: out.reborrow() };
        threads::each(1..slabs.count(), rows, &|n, mut rows: Part<'_>| {
            self.lanes.with(|_, lane| self.seam(lane, n, &mut rows.out, seams));
            Ok(())
        })
    }

    /// The rows of a slab that its cuts leave right.
    fn slab(&self, lane: &mut Lane, n: u32, mut share: Share<'_, '_, T, N>) -> Result<(), Error> {
        let (tools, Spaces { of_components, colours }) = T::of_lane(lane);
        let blocks = &mut Blocks { source: self.frame.source, tools };
        for (space, pass) in of_components.iter_mut().zip(&self.passes) {
            if let Some(pass) = pass {
                space.begin_rows(pass, n);
            }
        }
        let window = &self.place.window;
        let right = match &self.passes[0] {
            Some(pass) => pass.right(n),
            None => self.slabs.rows(n),
        };
        for y in self.slabs.rows(n) {
            for ((space, pass), seams) in of_components.iter_mut().zip(&self.passes).zip(&mut share.seams) {
                if let Some(pass) = pass {
                    space.next(pass, blocks, seams.rows)?;
                }
            }
            if right.contains(&y) && (window.y0..window.y1).contains(&y) {
                self.emit(of_components, colours, y, &mut share.rows.out);
            }
        }
        Ok(())
    }

    /// The rows that the cut before slab `n` has made wrong.
    fn seam(&self, lane: &mut Lane, n: u32, out: &mut Output<'_>, seams: &[Buffer<T>; N]) {
        let (_, Spaces { of_components, colours }) = T::of_lane(lane);
        let window = &self.place.window;
        let mut rows = 0..0;
        for (space, pass) in of_components.iter_mut().zip(self.passes.iter().flatten()) {
            space.begin_seam(pass, n);
            rows = pass.seam(n);
        }
        for y in rows {
            for ((space, pass), seams) in of_components.iter_mut().zip(self.passes.iter().flatten()).zip(seams) {
                space.next_of_seam(pass, self.frame.source.simd, seams);
            }
            if (window.y0..window.y1).contains(&y) {
                self.emit(of_components, colours, y, out);
            }
        }
    }

    /// Stores a row of each component.
    fn emit(&self, spaces: &[Space<T>; 3], colours: &mut [Vec<T>; 3], y: u32, out: &mut Output<'_>) {
        let (simd, Place { first, window, inverse }) = (self.frame.source.simd, &self.place);
        let rows: [&[T]; N] = array::from_fn(|n| match &self.passes[n] {
            Some(pass) => spaces[n].row(pass, &self.columns),
            None => self.syntheses[n].whole().row(y, self.columns.clone()),
        });
        let at = |c: usize| {
            let whole = whole(self.frame, out, c);
            let range = Range::of(&self.frame.siz.components[c]);
            (((window.x0 - whole.x0) as usize, (y - whole.y0) as usize), range)
        };
        match (inverse, &rows[..]) {
            (Some(inverse), [a, b, c]) => {
                let places = [0, 1, 2].map(at);
                colours.iter_mut().for_each(|row| row.resize(window.width() as usize, T::default()));
                inverse(simd, a, b, c, colours);
                out.rows(simd, places, colours.each_ref().map(|row| &row[..]));
            }
            (_, rows) => {
                let (place, range) = at(*first);
                out.row(simd, *first, place, rows[0], range);
            }
        }
    }
}

/// A part of the output, of so many rows more at its top than slabs have.
struct Part<'o> {
    slabs: Slabs,
    ahead: u32,
    out: Output<'o>,
}

impl Cut for Part<'_> {
    fn cut(self, n: u32) -> (Self, Self) {
        let Part { slabs, ahead, out } = self;
        let (before, after) = out.cut(slabs.start(n) - ahead);
        (Part { slabs, ahead, out: before }, Part { slabs, ahead, out: after })
    }
}

/// What a slab writes to: its part of the output, and the rows near its cuts.
struct Share<'o, 's, T, const N: usize> {
    rows: Part<'o>,
    first: u32,
    seams: [SeamRows<'s, T>; N],
}

impl<T: Coefficient, const N: usize> Cut for Share<'_, '_, T, N> {
    fn cut(self, n: u32) -> (Self, Self) {
        let Share { rows, first, seams } = self;
        let (rows, rows_after) = rows.cut(n);
        let mut cut = seams.map(|seams| seams.cut(n - first));
        let after = cut.each_mut().map(|seams| core::mem::take(&mut seams.1));
        (Share { rows, first, seams: cut.map(|seams| seams.0) }, Share { rows: rows_after, first: n, seams: after })
    }
}
