//! A frame cut into slabs of rows, which the threads of the caller's pool share (feature `rayon`; without it one thread does all).
//!
//! Slabs are small and handed out as threads become free. Where they are cut depends on the frame alone, and so does what is made of them.

use core::ops::Range;

/// Where rows are cut into slabs: at multiples of a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slabs {
    start: u32,
    end: u32,
    step: u32,
    /// The first cut is at this multiple of the step.
    first: u32,
    count: u32,
}

/// Least rows of a slab.
const LEAST: u32 = 128;
/// No cut is closer to the first or last row.
const EDGE: u32 = 32;

impl Slabs {
    /// Rows as one slab.
    pub(crate) fn one(rows: Range<u32>) -> Self {
        Slabs { start: rows.start, end: rows.end, step: u32::MAX, first: 1, count: 1 }
    }

    /// Rows cut where code-blocks of both parities begin; `block` is the exponent of their height.
    pub(crate) fn new(rows: Range<u32>, block: u8) -> Self {
        let step = (2u32 << block.min(20)).max(LEAST);
        let first = (rows.start.saturating_add(EDGE)).div_ceil(step);
        let last = rows.end.saturating_sub(EDGE) / step;
        Slabs { start: rows.start, end: rows.end, step, first, count: (last + 1).saturating_sub(first) + 1 }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The first row of slab `n`; of the one after the last, the end.
    pub(crate) fn start(&self, n: u32) -> u32 {
        match n {
            0 => self.start,
            n if n < self.count => (self.first + n - 1) * self.step,
            _ => self.end,
        }
    }

    pub(crate) fn rows(&self, n: u32) -> Range<u32> {
        self.start(n)..self.start(n + 1)
    }

    /// The rows of slab `n`, and at cuts so many more; less than `EDGE`.
    pub(crate) fn with_margin(&self, n: u32, margin: u32) -> Range<u32> {
        let rows = self.rows(n);
        let start = if n > 0 { rows.start - margin } else { rows.start };
        start..if n + 1 < self.count { rows.end + margin } else { rows.end }
    }
}

/// What is shared out with the slabs: cut in two before slab `n`.
pub(crate) trait Cut: Sized {
    fn cut(self, n: u32) -> (Self, Self);
}

impl Cut for () {
    fn cut(self, _: u32) -> (Self, Self) {
        ((), ())
    }
}

#[cfg(feature = "rayon")]
pub(crate) use shared::{Pool, each, threads};

#[cfg(feature = "rayon")]
mod shared {
    use super::{Cut, Range};
    use alloc::vec::Vec;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// Threads of the pool that the caller is in.
    pub(crate) fn threads() -> usize {
        rayon::current_num_threads()
    }

    /// Does all slabs, each with its part of `share`. The error is that of the first slab that has one.
    pub(crate) fn each<C: Cut + Send, E: Send>(
        slabs: Range<u32>,
        share: C,
        work: &(impl Fn(u32, C) -> Result<(), E> + Sync),
    ) -> Result<(), E> {
        match slabs.len() {
            0 => Ok(()),
            1 => work(slabs.start, share),
            n => {
                let middle = slabs.start + n as u32 / 2;
                let (before, after) = share.cut(middle);
                let (one, two) =
                    rayon::join(|| each(slabs.start..middle, before, work), || each(middle..slabs.end, after, work));
                one.and(two)
            }
        }
    }

    /// What threads work with: each takes one for the time of a slab. They are numbered.
    pub(crate) struct Pool<L>(Mutex<(Vec<(usize, L)>, usize)>);

    impl<L: Default> Pool<L> {
        pub(crate) fn new(items: Vec<(usize, L)>) -> Self {
            let count = items.len();
            Pool(Mutex::new((items, count)))
        }

        pub(crate) fn with<R>(&self, work: impl FnOnce(usize, &mut L) -> R) -> R {
            let (number, mut item) = self.take();
            let result = work(number, &mut item);
            self.lock().0.push((number, item));
            result
        }

        /// One that is free, or a new one.
        fn take(&self) -> (usize, L) {
            let (free, count) = &mut *self.lock();
            free.pop().unwrap_or_else(|| {
                *count += 1;
                (*count - 1, L::default())
            })
        }

        /// All of them by number.
        pub(crate) fn into_items(self) -> Vec<(usize, L)> {
            let (mut items, _) = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
            items.sort_unstable_by_key(|item| item.0);
            items
        }

        fn lock(&self) -> MutexGuard<'_, (Vec<(usize, L)>, usize)> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(not(feature = "rayon"))]
pub(crate) use alone::{Pool, each, threads};

#[cfg(not(feature = "rayon"))]
mod alone {
    use super::{Cut, Range};
    use alloc::vec::Vec;
    use core::cell::RefCell;

    pub(crate) fn threads() -> usize {
        1
    }

    /// Does all slabs in turn.
    pub(crate) fn each<C: Cut, E>(
        slabs: Range<u32>,
        mut share: C,
        work: &impl Fn(u32, C) -> Result<(), E>,
    ) -> Result<(), E> {
        for n in slabs.start..slabs.end.saturating_sub(1) {
            let (own, rest) = share.cut(n + 1);
            work(n, own)?;
            share = rest;
        }
        if slabs.is_empty() { Ok(()) } else { work(slabs.end - 1, share) }
    }

    /// What the one thread works with.
    pub(crate) struct Pool<L>(RefCell<Vec<(usize, L)>>);

    impl<L: Default> Pool<L> {
        pub(crate) fn new(mut items: Vec<(usize, L)>) -> Self {
            if items.is_empty() {
                items.push((0, L::default()));
            }
            Pool(RefCell::new(items))
        }

        pub(crate) fn with<R>(&self, work: impl FnOnce(usize, &mut L) -> R) -> R {
            let (number, item) = &mut self.0.borrow_mut()[0];
            work(*number, item)
        }

        pub(crate) fn into_items(self) -> Vec<(usize, L)> {
            self.0.into_inner()
        }
    }
}
