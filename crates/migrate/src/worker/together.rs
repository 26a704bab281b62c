//! The names of a few files are waited for together: a folder is synced once for all of them.

use super::{Done, Item, Stopped, Worker, cannot_write};
use std::io;
use std::time::{Duration, Instant};

/// Files whose names are waited for together, at most.
const TOGETHER: usize = 16;
/// No file waits longer than this for others.
const LONGEST: Duration = Duration::from_millis(200);

impl Worker<'_> {
    /// Does one file. A panic of a codec costs this file alone.
    pub fn convert(&mut self, item: &Item) -> Done {
        let mut done = [(item, self.do_one(item))];
        self.settle(&mut done);
        let [(_, done)] = done;
        done
    }

    /// Does files until there is no `next`, and tells of each when it is on the storage; no more are begun when `told` says false.
    /// The names of a few files are waited for together.
    pub fn convert_all<'i>(
        &mut self,
        mut next: impl FnMut() -> Option<&'i Item>,
        mut told: impl FnMut(&'i Item, Done) -> bool,
    ) {
        let (mut waiting, mut since) = (Vec::with_capacity(TOGETHER), Instant::now());
        loop {
            let item = next();
            if let Some(item) = item {
                if waiting.is_empty() {
                    since = Instant::now();
                }
                waiting.push((item, self.do_one(item)));
            }
            if item.is_none() || waiting.len() == TOGETHER || since.elapsed() > LONGEST {
                self.settle(&mut waiting);
                if !waiting.drain(..).all(|(item, done)| told(item, done)) || item.is_none() {
                    return;
                }
            }
        }
    }

    /// Waits until the names of what was done are on the storage.
    fn settle(&mut self, done: &mut [(&Item, Done)]) {
        let Err(error) = self.folders.settle() else { return };
        for (item, done) in
            done.iter_mut().filter(|(_, done)| done.record.destination.is_some() && !done.record.unchanged)
        {
            let stopped = cannot_write(io::Error::new(error.kind(), error.to_string()));
            done.full = matches!(&stopped, Stopped::Failed { full: true, .. });
            done.line = stopped.into_record(item, &mut done.record);
        }
    }
}
