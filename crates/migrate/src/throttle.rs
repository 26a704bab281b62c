//! How fast a migration may go: at so many items at once, so many bytes a second, in such hours; or not at all.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long a waiting worker sleeps before it looks at the clock again.
const LOOK: Duration = Duration::from_millis(250);
const DAY: u16 = 24 * 60;

/// Hours of the day, in local time; the end may be before the beginning, and is then of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    from: u16,
    to: u16,
}

impl Hours {
    /// Minutes of a day in which work is done.
    pub fn minutes(self) -> u16 {
        match self.from == self.to {
            true => DAY,
            false => (self.to + DAY - self.from) % DAY,
        }
    }

    /// Is the minute of the day among them?
    pub fn holds(self, minute: u16) -> bool {
        (minute + DAY - self.from) % DAY < self.minutes()
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Hours, String> {
        let minute = |text: &str| {
            let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "0"));
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            ((hour < 24 || (hour, minute) == (24, 0)) && minute < 60).then_some((hour * 60 + minute) % DAY)
        };
        let hours = text.split_once('-').and_then(|(from, to)| Some(Hours { from: minute(from)?, to: minute(to)? }));
        hours.ok_or_else(|| format!("{text:?} are no hours: they are like 20:00-06:00, from 00:00 to 24:00"))
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Hours, String> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> String {
        hours.to_string()
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hours { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// What a migration may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Items worked on at once.
    pub jobs: usize,
    /// Bytes of sources a second.
    pub rate: Option<u64>,
    /// Hours of the day.
    pub hours: Option<Hours>,
    /// Nothing new is begun.
    pub paused: bool,
}

/// Why nothing new is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Paused by the user.
    Paused,
    /// Outside of the hours.
    Hours(Hours),
}

/// Lets work through.
#[derive(Debug)]
pub struct Throttle {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    running: usize,
    /// Bytes that may be read now; below zero after a large file.
    budget: f64,
    filled: Instant,
    closed: bool,
}

/// Leave to do one piece of work.
#[derive(Debug)]
pub struct Permit<'a>(&'a Throttle);

impl Throttle {
    /// A throttle with these limits.
    pub fn new(limits: Limits) -> Throttle {
        let state = State { limits, running: 0, budget: 0.0, filled: Instant::now(), closed: false };
        Throttle { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits until work may be begun; `None` once it is closed.
    pub fn admit(&self) -> Option<Permit<'_>> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if state.hold().is_none() && state.running < state.limits.jobs.max(1) && state.refill() >= 0.0 {
                state.running += 1;
                return Some(Permit(self));
            }
            state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    /// Sets other limits.
    pub fn set(&self, limits: Limits) {
        self.state().limits = limits;
        self.changed.notify_all();
    }

    /// The limits as they are.
    pub fn limits(&self) -> Limits {
        self.state().limits
    }

    /// Why nothing new is begun, if so.
    pub fn hold(&self) -> Option<Hold> {
        self.state().hold()
    }

    /// Lets nothing through any more.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl State {
    fn hold(&self) -> Option<Hold> {
        if self.limits.paused {
            return Some(Hold::Paused);
        }
        self.limits.hours.filter(|hours| !hours.holds(minute_of_day())).map(Hold::Hours)
    }

    /// At most one second's bytes are saved up.
    fn refill(&mut self) -> f64 {
        let passed = self.filled.elapsed().as_secs_f64();
        self.filled = Instant::now();
        match self.limits.rate {
            Some(rate) => self.budget = (self.budget + passed * rate as f64).min(rate as f64),
            None => self.budget = 0.0,
        }
        self.budget
    }
}

impl Permit<'_> {
    /// Counts bytes that are about to be read.
    pub fn spend(&self, bytes: u64) {
        let mut state = self.0.state();
        if state.limits.rate.is_some() {
            state.budget -= bytes as f64;
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.state().running -= 1;
        self.0.changed.notify_one();
    }
}

fn minute_of_day() -> u16 {
    let now = jiff::Zoned::now();
    now.hour().unsigned_abs() as u16 * 60 + u16::from(now.minute().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_cross_midnight() {
        let night: Hours = "20:00-06:00".parse().unwrap();
        let at = |hour: u16, minute: u16| night.holds(hour * 60 + minute);
        assert!(at(20, 0) && at(23, 59) && at(0, 0) && at(5, 59));
        assert!(!at(6, 0) && !at(12, 0) && !at(19, 59));
        assert_eq!((night.minutes(), night.to_string().as_str()), (600, "20:00-06:00"));
        let day: Hours = "8-17:30".parse().unwrap();
        assert!(day.holds(8 * 60) && day.holds(17 * 60 + 29) && !day.holds(17 * 60 + 30) && !day.holds(0));
        assert_eq!("00:00-24:00".parse::<Hours>().unwrap().minutes(), DAY);
        for wrong in ["", "20", "25:00-06:00", "20:60-06:00", "a-b", "20:00-06:00-07:00"] {
            assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_more_than_the_jobs_run_at_once_and_a_pause_holds() {
        let throttle = Throttle::new(Limits { jobs: 2, ..Limits::default() });
        let (one, _two) = (throttle.admit().unwrap(), throttle.admit().unwrap());
        std::thread::scope(|scope| {
            let third = scope.spawn(|| throttle.admit().is_some());
            std::thread::sleep(Duration::from_millis(50));
            assert!(!third.is_finished());
            drop(one);
            assert!(third.join().unwrap());
            throttle.set(Limits { jobs: 8, paused: true, ..Limits::default() });
            assert_eq!(throttle.hold(), Some(Hold::Paused));
            let held = scope.spawn(|| throttle.admit().is_some());
            std::thread::sleep(Duration::from_millis(50));
            assert!(!held.is_finished());
            throttle.close();
            assert!(!held.join().unwrap());
        });
    }

    #[test]
    fn the_rate_is_kept() {
        let throttle = Throttle::new(Limits { jobs: 1, rate: Some(1_000_000), ..Limits::default() });
        let began = Instant::now();
        for _ in 0..6 {
            throttle.admit().unwrap().spend(100_000);
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(480), "{took:?}");
    }
}
