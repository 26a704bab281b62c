//! The scrubber: reads and decodes the whole archive again, and compares it with what is known of it.
//!
//! A pass begins with the index ([`rows`]): the sum of every row, and what rows say of each other. Then object by object in the
//! order they came ([`objects`]): there, of its size, of its hash, and, of a converted one, every frame as the evidence says. The place
//! that was reached is in the index, so that a pass goes on where it was stopped. What is wrong is kept as a fault, by name, until it is
//! found healthy again.

mod objects;
mod rows;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use store::index::{Fault, OpenPass, Pass};

use crate::archive::{Archive, now};
use crate::error::Error;

/// How a pass is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scrub {
    /// Spread a pass over so many days; without it, as fast as it goes.
    pub days: Option<f64>,
    /// Begin anew, where a pass that was stopped would go on.
    pub restart: bool,
}

/// Objects between two looks at what is stored of the cursor.
const SAVE: Duration = Duration::from_secs(5);

impl Archive {
    /// Looks at everything, or goes on with a pass that was stopped; returns its state and what it found, when it is done or
    /// `stop` is set. `told` is called for each fault and now and then.
    pub fn scrub(
        &self,
        how: Scrub,
        stop: &AtomicBool,
        told: &mut dyn FnMut(Pass, Option<&Fault>),
    ) -> Result<(Pass, Vec<Fault>), Error> {
        let mut run = Run::begin(self, how)?;
        run.rows(stop, told)?;
        run.objects(how, stop, told)?;
        run.unserved(stop, told)?;
        if !stop.load(Ordering::Relaxed) {
            run.end()?;
        }
        Ok((run.pass, run.faults))
    }

    /// Looks at every row and at the bytes of every object, from beginning to end, and writes nothing of it into the index; samples are
    /// not decoded. `told` is called for each fault and, with how far it is, after each object.
    pub fn audit(&self, stop: &AtomicBool, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<Vec<Fault>, Error> {
        let (of_objects, of_bytes) = self.inner.index.listed_total()?;
        let pass = Pass { began: now(), of_objects, of_bytes, ..Pass::default() };
        let (faults, damaged) = (Vec::new(), BTreeSet::new());
        let mut run = Run { archive: self, id: None, cursor: 0, pass, faults, damaged, saved: Instant::now() };
        run.rows(stop, told)?;
        run.objects(Scrub::default(), stop, told)?;
        run.unserved(stop, told)?;
        told(run.pass, None);
        Ok(run.faults)
    }

    /// The pass that is under way, or the last one; `None` before the first.
    pub fn scrub_pass(&self) -> Result<Option<Pass>, Error> {
        Ok(self.inner.index.pass()?)
    }

    /// What was found wrong and not found healthy since.
    pub fn faults(&self) -> Result<Vec<Fault>, Error> {
        Ok(self.inner.index.faults()?)
    }
}

/// One pass, or what is left of one.
struct Run<'a> {
    archive: &'a Archive,
    /// Its row in the index; an audit has none.
    id: Option<i64>,
    cursor: i64,
    pass: Pass,
    faults: Vec<Fault>,
    /// Tables and rows that are damaged: what hangs on them is not told again.
    damaged: BTreeSet<(String, String)>,
    saved: Instant,
}

impl<'a> Run<'a> {
    fn begin(archive: &'a Archive, how: Scrub) -> Result<Run<'a>, Error> {
        let index = &archive.inner.index;
        let OpenPass { id, cursor, began, objects, bytes } = index.begin_pass(how.restart)?;
        let (of_objects, of_bytes) = index.listed_total()?;
        let pass = Pass { began, ended: None, changed: now(), objects, bytes, of_objects, of_bytes };
        let (faults, damaged) = (Vec::new(), BTreeSet::new());
        let id = Some(id);
        Ok(Run { archive, id, cursor, pass, faults, damaged, saved: Instant::now() })
    }

    fn found(&mut self, fault: Fault, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<(), Error> {
        if let Some(id) = self.id {
            self.archive.inner.index.add_fault(id, &fault)?;
        }
        told(self.pass, Some(&fault));
        self.faults.push(fault);
        Ok(())
    }

    fn save(&mut self) -> Result<(), Error> {
        self.saved = Instant::now();
        let Some(id) = self.id else { return Ok(()) };
        let Pass { began, objects, bytes, .. } = self.pass;
        Ok(self.archive.inner.index.save_pass(&OpenPass { id, cursor: self.cursor, began, objects, bytes })?)
    }

    /// The pass is done: faults of earlier passes that it did not find again are healed.
    fn end(&mut self) -> Result<(), Error> {
        self.save()?;
        if let Some(id) = self.id {
            self.pass.ended = Some(self.archive.inner.index.end_pass(id)?);
        }
        Ok(())
    }
}
