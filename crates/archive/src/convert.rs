//! Conversion of all that waits, with many threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use store::index::{LEASE, Retry};
use transcode::Policy;

use crate::archive::{Archive, Inner};
use crate::error::Error;
use crate::event::{Event, Summary};
use crate::run::Run;

/// Between two renewals of leases.
const RENEW: Duration = Duration::from_secs(LEASE as u64 / 4);

impl Archive {
    /// Converts what waits for conversion with `jobs` threads; returns when nothing waits or `stop` is set.
    ///
    /// `progress` is called in the calling thread. Instances that were kept or that failed under another policy
    /// are looked at again. Those that failed for want of the storage are tried again by the first call on an opened archive, and by
    /// later ones after a pause that grows with every attempt. The error is one of the index; those of instances are events, and
    /// recorded.
    pub fn convert_pending(
        &self,
        policy: &Policy,
        jobs: usize,
        stop: &AtomicBool,
        progress: &dyn Fn(Event),
    ) -> Result<Summary, Error> {
        let retry = if self.inner.retried.swap(true, Ordering::Relaxed) { Retry::Rested } else { Retry::Now };
        let run = Run::begin(self, policy, retry)?;
        let (tell, events) = channel();
        let (mut summary, mut renewed) = (Summary::default(), Instant::now());
        let worked = thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs.max(1))
                .map(|_| {
                    let (run, tell) = (&run, tell.clone());
                    scope.spawn(move || run.work(stop, &tell))
                })
                .collect();
            drop(tell);
            loop {
                match events.recv_timeout(RENEW) {
                    Ok(event) => {
                        summary.count(&event);
                        progress(event);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if renewed.elapsed() >= RENEW {
                    renewed = Instant::now();
                    // A lease that could not be renewed now is renewed next time.
                    let _ = run.renew().inspect_err(|error| tracing::warn!(%error, "leases were not renewed"));
                }
            }
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Err(Error::Closed)))
        });
        run.release()?;
        worked?;
        if summary != Summary::default() {
            // What viewers ask for first is ready before they ask. Should it fail, it is made when it is asked for.
            let _ = self.prepare_metadata().inspect_err(|error| tracing::warn!(%error, "preparing metadata"));
        }
        Ok(summary)
    }

    /// Has [`Archive::convert_pending`] something to do under this policy? Should it have nothing now, it is asked again once something
    /// was stored, or so long has passed. What does not wait costs nothing.
    pub fn wait_for_work(&self, policy: &Policy, longest: Duration) -> Result<bool, Error> {
        let Inner { index, retried, .. } = &*self.inner;
        let hash = policy.hash();
        let waits = || Ok::<_, Error>(!retried.load(Ordering::Relaxed) || index.waits(&hash)?);
        let seen = index.commits();
        if waits()? {
            return Ok(true);
        }
        index.wait_for_commit(seen, longest);
        waits()
    }
}
