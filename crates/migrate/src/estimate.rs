//! What a migration will save and how long it will take: measured on a sample that is converted to nowhere.
//!
//! Items are put into classes by modality, transfer syntax and size; of each class a few are converted. What a class saves
//! is estimated by the ratio of sums, with its standard error; the range is two of them to either side. A class without a
//! sample may save nothing or as much as the best.

use crate::Error;
use crate::item_worker::Destination;
use crate::journal::{Class, Journal, Kind, Row, Said, Sample, SampledClass};
use crate::source::Fetch;
use ::deidentify::Deidentifier;
use dicom::Source;
use files::without_panic;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use transcode::{Context, NoWayBack, Opinions, Outcome, Policy, Sampling};

/// Samples of one class.
const EACH: usize = 6;

/// What lies ahead.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The classes, those with most bytes first.
    pub classes: Vec<PlanClass>,
    /// Items that wait.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes saved: from, to.
    pub saved: (f64, f64),
    /// Seconds of work of one thread: from, to.
    pub seconds: (f64, f64),
    /// Items that were sampled.
    pub samples: u64,
    /// Bytes of classes without a sample.
    pub unsampled: u64,
    /// Items that can't be read: of the samples, and about how many of all that wait.
    pub unreadable: (u64, f64),
    /// Items that will be converted with no way back, likewise.
    pub one_way: (u64, f64),
}

/// One class of a plan.
#[derive(Debug, Clone)]
pub struct PlanClass {
    /// What is alike in it.
    pub class: Class,
    /// Items that wait.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Share of the bytes that is saved: from, to; none without a sample.
    pub saved: Option<(f64, f64)>,
}

/// Converts samples, until all classes have some or the time is over.
pub(crate) struct Sampler<'a> {
    pub policy: &'a Policy,
    /// Takes the identity out before anything is made of an item.
    pub deidentify: Option<&'a Deidentifier>,
    /// What leads back is asked for.
    pub way_back: bool,
    pub destination: &'a Destination,
    pub scratch: &'a Path,
    pub time: Duration,
    pub stop: &'a AtomicBool,
}

impl Sampler<'_> {
    /// Samples what waits; what an earlier run sampled is not sampled again.
    pub fn run(&self, journal: &Journal, sources: &[i64], fetch: &mut Fetch) -> Result<(), Error> {
        let until = Instant::now() + self.time;
        // An estimate is of the long run, not of its first frames.
        let mut context = Context::new(Opinions::new(Sampling::OFF, []));
        context.way_back = self.way_back && self.deidentify.is_none();
        let mut left: Vec<Vec<Row>> = Vec::new();
        for SampledClass { class, samples, .. } in journal.classes(sources)? {
            let missing = EACH.saturating_sub(samples.len());
            left.push(if missing == 0 { Vec::new() } else { journal.some_of(sources, &class, missing)? });
        }
        // One of each class first, the largest class before the others.
        for round in 0..EACH {
            for rows in &left {
                let Some(row) = rows.get(round) else { continue };
                if Instant::now() >= until || self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let started = Instant::now();
                if let Some((bytes_out, said)) = self.one(row, fetch, &mut context) {
                    journal.sampled(row.id, bytes_out, started.elapsed().as_secs_f64(), said)?;
                }
            }
        }
        Ok(())
    }

    /// Bytes it would become; nothing where the environment is in the way, or when it is not DICOM.
    fn one(&self, row: &Row, fetch: &mut Fetch, context: &mut Context) -> Option<(u64, Said)> {
        if row.kind == Kind::Backlog {
            return self.of_backlog(row, context);
        }
        let copy = fetch.fetch(row).ok()?;
        let path = copy.as_ref().map_or(&*row.path, |copy| copy.path());
        let unreadable = Some((row.bytes, Said::Unreadable));
        let source = match without_panic(|| Source::open(path)) {
            Ok(Ok(source)) => source,
            Ok(Err(dicom::Error::NotDicom | dicom::Error::Io(_))) => return None,
            _ => return unreadable,
        };
        match self.deidentify.map(|by| without_panic(|| by.apply(&source))) {
            None => self.convert(&source, context),
            Some(Ok(Ok(made))) => self.convert(&made.source, context),
            Some(_) => unreadable,
        }
    }

    fn of_backlog(&self, row: &Row, context: &mut Context) -> Option<(u64, Said)> {
        let Destination::Archive { archive, .. } = self.destination else { return None };
        let mut parts = row.path.iter().map(|part| part.to_string_lossy().into_owned());
        let (study, series, sop) = (parts.next()?, parts.next()?, parts.next()?);
        let instance = archive.instance(&study, &series, &sop).ok()??;
        let source = archive.source(&instance).ok()?;
        self.convert(&source, context)
    }

    /// The file is made, proven and removed.
    fn convert(&self, source: &Source, context: &mut Context) -> Option<(u64, Said)> {
        let to = self.scratch.join("sample.dcm");
        // The source is hashed before it is converted, as in the run.
        let hashed = without_panic(|| source.sha256().map(|_| ()));
        let done = without_panic(|| transcode::convert(source, self.policy, context, &to));
        let _ = fs::remove_file(&to);
        hashed.ok()?.ok()?;
        match done {
            Ok(Ok(Outcome::Converted(verified))) => {
                let never = verified.way_back.as_ref().is_err_and(|why| *why != NoWayBack::NotAsked);
                // An archive keeps what came in.
                let never = never && matches!(self.destination, Destination::Tree);
                Some((verified.bytes_out, if never { Said::OneWay } else { Said::Well }))
            }
            Ok(Ok(Outcome::Kept { .. } | Outcome::Disproved(_))) => Some((source.len(), Said::Well)),
            Ok(Err(dicom::Error::Io(_))) => None,
            // It is kept, with what came in its way.
            _ => Some((source.len(), Said::Well)),
        }
    }
}

impl Plan {
    /// Reckons from what was sampled.
    pub(crate) fn of(classes: Vec<SampledClass>) -> Plan {
        let mut plan = Plan::default();
        let mut known = Vec::new();
        for SampledClass { class, items, bytes, samples } in classes {
            plan.samples += samples.len() as u64;
            for (said, sum) in [(Said::Unreadable, &mut plan.unreadable), (Said::OneWay, &mut plan.one_way)] {
                let found = samples.iter().filter(|sample| sample.said == said).count();
                sum.0 += found as u64;
                sum.1 += items as f64 * found as f64 / samples.len().max(1) as f64;
            }
            known.push((class, items, bytes, Rates::of(&samples, items)));
        }
        let best = known.iter().filter_map(|(.., rates)| rates.map(|r| r.saved)).fold(0.0, f64::max);
        let slowest = known.iter().filter_map(|(.., rates)| rates.map(|r| r.seconds)).fold(0.0, f64::max);
        let (mut saved, mut variance, mut seconds, mut seconds_variance) = (0.0, 0.0, 0.0, 0.0);
        let (mut more, mut longer) = (0.0, 0.0);
        for (class, items, bytes, rates) in known {
            plan.items += items;
            plan.bytes += bytes;
            let all = bytes as f64;
            match rates {
                Some(rates) => {
                    saved += all * rates.saved;
                    variance += (all * rates.saved_error).powi(2);
                    seconds += all * rates.seconds;
                    seconds_variance += (all * rates.seconds_error).powi(2);
                }
                None => {
                    plan.unsampled += bytes;
                    more += all * best;
                    longer += all * slowest;
                }
            }
            let range = |r: Rates| (r.saved - 2.0 * r.saved_error, (r.saved + 2.0 * r.saved_error).min(1.0));
            plan.classes.push(PlanClass { class, items, bytes, saved: rates.map(range) });
        }
        let (error, seconds_error) = (2.0 * variance.sqrt(), 2.0 * seconds_variance.sqrt());
        plan.saved = (saved - error, (saved + error + more).min(plan.bytes as f64));
        plan.seconds = ((seconds - seconds_error).max(seconds / 2.0), seconds + seconds_error + longer);
        plan
    }

    /// Hours on the clock with so many threads, of which not every one is always at work: from, to.
    pub fn hours(&self, limits: &crate::Limits) -> (f64, f64) {
        let threads = limits.jobs.max(1) as f64;
        let share = limits.hours.map_or(1.0, |hours| f64::from(hours.minutes()) / (24.0 * 60.0)).max(1e-3);
        let by_rate = limits.rate.map_or(0.0, |rate| self.bytes as f64 / rate.max(1) as f64);
        let hours = |seconds: f64| seconds.max(by_rate) / share / 3600.0;
        (hours(self.seconds.0 / threads), hours(self.seconds.1 / (threads * 0.7).max(1.0)))
    }
}

/// Per byte of a class.
#[derive(Debug, Clone, Copy)]
struct Rates {
    saved: f64,
    saved_error: f64,
    seconds: f64,
    seconds_error: f64,
}

impl Rates {
    fn of(samples: &[Sample], items: u64) -> Option<Rates> {
        let read: f64 = samples.iter().map(|s| s.bytes_in).sum();
        if read <= 0.0 {
            return None;
        }
        let whole = samples.len() as u64 >= items;
        let rate = |of: &dyn Fn(&Sample) -> f64| {
            let rate = samples.iter().map(of).sum::<f64>() / read;
            let n = samples.len() as f64;
            let squares: f64 = samples.iter().map(|s| (of(s) - rate * s.bytes_in).powi(2)).sum();
            // One sample says little of how much they differ: half of what it saves, either way.
            let error = match samples.len() {
                1 => rate.abs() / 4.0,
                // Few samples say less than their spread does, and even alike ones are not all alike.
                _ => ((squares / (n * (n - 1.0))).sqrt() / (read / n) * (1.0 + 2.0 / (n - 1.0).powf(1.5)))
                    .max(rate.abs() / 100.0),
            };
            (rate, if whole { 0.0 } else { error })
        };
        let (saved, saved_error) = rate(&|s| s.bytes_in - s.bytes_out);
        let (seconds, seconds_error) = rate(&|s| s.seconds);
        Some(Rates { saved, saved_error, seconds, seconds_error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_wider_the_less_is_known() {
        let samples = |all: [(f64, f64, f64); 3]| {
            all.map(|(bytes_in, bytes_out, seconds)| Sample { bytes_in, bytes_out, seconds, said: Said::Well })
        };
        let even = samples([(100.0, 40.0, 1.0), (200.0, 80.0, 2.0), (300.0, 120.0, 3.0)]);
        let rates = Rates::of(&even, 1000).unwrap();
        assert!((rates.saved - 0.6).abs() < 1e-9 && rates.saved_error < 0.01 && (rates.seconds - 0.01).abs() < 1e-9);
        let uneven = samples([(100.0, 10.0, 1.0), (100.0, 90.0, 1.0), (100.0, 50.0, 1.0)]);
        let rates = Rates::of(&uneven, 1000).unwrap();
        assert!((rates.saved - 0.5).abs() < 1e-9 && rates.saved_error > 0.2);
        let one = Rates::of(&uneven[..1], 1000).unwrap();
        assert!(one.saved_error > 0.2);
        assert!(Rates::of(&uneven[..1], 1).unwrap().saved_error == 0.0);
        assert!(Rates::of(&[], 5).is_none());
    }
}
