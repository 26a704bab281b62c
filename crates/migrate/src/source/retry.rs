//! Once more, after a while: what may pass is tried again, each time later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Attempts before it counts as failed for now.
const ATTEMPTS: u32 = 7;
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(60);

/// Why an attempt failed.
#[derive(Debug)]
pub enum Fault {
    /// It may pass: tried again, after so long if the server says so.
    Again(String, Option<Duration>),
    /// It will not.
    Never(String),
}

/// Tries until it succeeds, will not pass, has failed often, or is stopped.
pub fn retry<T>(stop: &AtomicBool, mut attempt: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    let mut pause = FIRST;
    for left in (0..ATTEMPTS).rev() {
        match attempt() {
            Err(Fault::Again(_, after)) if left > 0 && !stop.load(Ordering::Relaxed) => {
                sleep(after.unwrap_or(pause).min(LONGEST).mul_f64(0.75 + 0.5 * chance()), stop);
                pause *= 2;
            }
            end => return end,
        }
    }
    unreachable!("the last attempt ends it")
}

/// Sleeps, but not through a stop.
fn sleep(time: Duration, stop: &AtomicBool) {
    let until = Instant::now() + time;
    while !stop.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(Duration::from_millis(100)));
    }
}

/// Between 0 and 1: many clients that failed together do not come back together.
fn chance() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    f64::from(now % 1000) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_the_rest_is_not() {
        let (stop, mut tried) = (AtomicBool::new(false), 0);
        let done = retry(&stop, || {
            tried += 1;
            if tried < 3 { Err(Fault::Again("busy".into(), Some(Duration::from_millis(1)))) } else { Ok(tried) }
        });
        assert_eq!(done.unwrap(), 3);
        let mut tried = 0;
        let done: Result<(), _> = retry(&stop, || {
            tried += 1;
            Err(Fault::Never("gone".into()))
        });
        assert!(matches!(done, Err(Fault::Never(_))) && tried == 1);
    }
}
