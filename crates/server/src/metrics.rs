//! Counters in the Prometheus text format.

use crate::connections::Connections;
use crate::searches::Searches;
use archive::Stats;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What requests are for; the label `route`.
const ROUTES: [&str; 15] = [
    "store",
    "qido",
    "first",
    "metadata",
    "frames",
    "instances",
    "bulkdata",
    "levels",
    "rendered",
    "thumbnail",
    "viewer",
    "session",
    "changes",
    "other",
    "rejected",
];
/// What is none of those before it.
const OTHER: usize = ROUTES.len() - 2;
/// Statuses that are told apart; the last stands for all others.
const STATUSES: [u16; 21] =
    [200, 201, 202, 204, 206, 304, 400, 403, 404, 405, 406, 408, 409, 413, 415, 416, 429, 500, 503, 507, 0];
/// Upper bounds of the time classes, in seconds.
const BOUNDS: [f64; 8] = [0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0];

/// Counters of one server.
#[derive(Default)]
pub struct Metrics {
    requests: [[AtomicU64; STATUSES.len()]; ROUTES.len()],
    seconds: [[AtomicU64; BOUNDS.len() + 1]; ROUTES.len()],
    micros: [AtomicU64; ROUTES.len()],
    bytes: AtomicU64,
    /// Requests that are being answered.
    pub active: AtomicU64,
    /// Replies found ready made.
    pub cache_hits: AtomicU64,
    /// Replies that had to be made.
    pub cache_misses: AtomicU64,
    /// What became of instances that came to be stored.
    pub stored: Stored,
    /// Instances deleted over HTTP.
    pub deleted: AtomicU64,
}

/// Instances that came to be stored, by what became of them.
#[derive(Default)]
pub struct Stored {
    /// New ones.
    pub new: AtomicU64,
    /// Those whose very bytes were there.
    pub again: AtomicU64,
    /// Those that were refused or could not be stored.
    pub refused: AtomicU64,
}

impl Stored {
    fn write(&self, out: &mut String) {
        let name = "firstlight_store_instances_total";
        let _ = writeln!(out, "# HELP {name} Instances sent to be stored over HTTP.\n# TYPE {name} counter");
        for (outcome, count) in [("stored", &self.new), ("duplicate", &self.again), ("refused", &self.refused)] {
            let _ = writeln!(out, "{name}{{outcome=\"{outcome}\"}} {}", count.load(Relaxed));
        }
    }
}

impl Metrics {
    /// Counts one answered request. `length` is what Content-Length said.
    pub fn count(&self, route: &'static str, status: u16, took: Duration, length: u64) {
        let route = ROUTES.iter().position(|r| *r == route).unwrap_or(OTHER);
        let status = STATUSES.iter().position(|s| *s == status).unwrap_or(STATUSES.len() - 1);
        let class = BOUNDS.iter().position(|b| took.as_secs_f64() <= *b).unwrap_or(BOUNDS.len());
        self.requests[route][status].fetch_add(1, Relaxed);
        self.seconds[route][class].fetch_add(1, Relaxed);
        self.micros[route].fetch_add(took.as_micros() as u64, Relaxed);
        self.bytes.fetch_add(length, Relaxed);
    }

    /// Requests answered so far.
    pub fn answered(&self) -> u64 {
        self.requests.iter().flatten().map(|count| count.load(Relaxed)).sum()
    }

    /// Bytes of the bodies that were announced so far.
    pub fn sent_bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// All counters and those of the archive, as text.
    pub fn text(&self, stats: Option<Stats>, cache_bytes: usize) -> String {
        let mut out = String::new();
        self.write_requests(&mut out);
        self.stored.write(&mut out);
        self.write_seconds(&mut out);
        let mut one = |kind: &str, name: &str, help: &str, value: u64| {
            let _ = writeln!(
                out,
                "# HELP firstlight_{name} {help}\n# TYPE firstlight_{name} {kind}\nfirstlight_{name} {value}"
            );
        };
        one("counter", "deleted_instances_total", "Instances deleted over HTTP.", self.deleted.load(Relaxed));
        one("counter", "http_response_bytes_total", "Bytes of response bodies announced.", self.bytes.load(Relaxed));
        one("gauge", "http_requests_active", "Requests being answered.", self.active.load(Relaxed));
        one("counter", "cache_hits_total", "Replies found ready made.", self.cache_hits.load(Relaxed));
        one("counter", "cache_misses_total", "Replies that had to be made.", self.cache_misses.load(Relaxed));
        one("gauge", "cache_bytes", "Bytes of ready made replies.", cache_bytes as u64);
        if let Some(stats) = stats {
            one("gauge", "studies", "Studies stored.", stats.studies);
            one("gauge", "series", "Series stored.", stats.series);
            one("gauge", "instances", "Instances stored.", stats.instances);
            one("gauge", "instances_converted", "Instances whose current object is a converted one.", stats.converted);
            one("gauge", "instances_kept", "Instances kept as received by a rule.", stats.kept);
            one("gauge", "instances_pending", "Instances that wait for conversion.", stats.pending);
            one("gauge", "instances_failed", "Instances whose conversion failed.", stats.failed);
            one("gauge", "conflicts", "Objects stored beside another of the same UIDs.", stats.conflicts);
            one("gauge", "received_bytes", "Bytes of all received objects.", stats.received_bytes);
            one("gauge", "converted_bytes", "Bytes of all converted objects.", stats.converted_bytes);
        }
        out
    }

    /// Connections, what waits for clients, and the queue of searches.
    pub fn write_load(out: &mut String, connections: &Connections, searches: &Searches) {
        let mut one = |kind: &str, name: &str, help: &str, value: u64| {
            let name = format!("firstlight_{name}");
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        };
        let (open, reserved) = connections.open();
        let counts = &connections.counts;
        one("gauge", "connections", "Connections.", open as u64);
        one("gauge", "connections_reserved", "Connections that may ask for health only.", reserved as u64);
        one("counter", "connections_total", "Connections accepted.", counts.accepted.load(Relaxed));
        one(
            "counter",
            "connections_refused_total",
            "Connections for which there was no room.",
            counts.refused.load(Relaxed),
        );
        let displaced = counts.displaced.load(Relaxed);
        one("counter", "connections_displaced_total", "Connections closed to make room for others.", displaced);
        one(
            "counter",
            "connections_late_total",
            "Connections closed because a time was over.",
            counts.late.load(Relaxed),
        );
        one("gauge", "unsent_bytes", "Bytes of answers that wait for clients to take them.", connections.held());
        one("gauge", "searches_waiting", "Searches that wait for a thread.", searches.waiting() as u64);
        one("counter", "searches_refused_total", "Searches that were not begun: too many waited.", searches.refused());
    }

    fn write_requests(&self, out: &mut String) {
        out.push_str(
            "# HELP firstlight_http_requests_total Requests answered.\n# TYPE firstlight_http_requests_total counter\n",
        );
        for (route, counts) in ROUTES.iter().zip(&self.requests) {
            for (status, count) in STATUSES.iter().zip(counts).filter(|(_, c)| c.load(Relaxed) > 0) {
                let status = if *status == 0 { "other".to_owned() } else { status.to_string() };
                let _ = writeln!(
                    out,
                    "firstlight_http_requests_total{{route=\"{route}\",status=\"{status}\"}} {}",
                    count.load(Relaxed)
                );
            }
        }
    }

    fn write_seconds(&self, out: &mut String) {
        let name = "firstlight_http_request_seconds";
        let _ = writeln!(out, "# HELP {name} Time until the head of the response was ready.\n# TYPE {name} histogram");
        for (at, route) in ROUTES.iter().enumerate() {
            let total: u64 = self.seconds[at].iter().map(|c| c.load(Relaxed)).sum();
            if total == 0 {
                continue;
            }
            let mut sum = 0;
            for (bound, count) in BOUNDS.iter().zip(&self.seconds[at]) {
                sum += count.load(Relaxed);
                let _ = writeln!(out, "{name}_bucket{{route=\"{route}\",le=\"{bound}\"}} {sum}");
            }
            let seconds = self.micros[at].load(Relaxed) as f64 / 1e6;
            let _ = writeln!(out, "{name}_bucket{{route=\"{route}\",le=\"+Inf\"}} {total}");
            let _ =
                writeln!(out, "{name}_sum{{route=\"{route}\"}} {seconds}\n{name}_count{{route=\"{route}\"}} {total}");
        }
    }
}

/// The route label of a matched path.
pub fn route_of(path: &str) -> &'static str {
    let Some(rest) = path.strip_prefix("/dicom-web") else {
        return match path.split('/').nth(1) {
            Some("viewer") => "viewer",
            Some("session") => "session",
            Some("changes" | "events") => "changes",
            _ => "other",
        };
    };
    match rest.rsplit('/').next().unwrap_or_default() {
        "rendered" => "rendered",
        "thumbnail" => "thumbnail",
        "metadata" => "metadata",
        "levels" => "levels",
        "first" => "first",
        "studies" | "series" | "instances" => "qido",
        "frames" | "{frames}" => "frames",
        _ if rest.contains("/bulkdata/") => "bulkdata",
        _ => "instances",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_format() {
        let metrics = Metrics::default();
        metrics.count("frames", 206, Duration::from_micros(700), 100);
        metrics.count("frames", 299, Duration::from_secs(99), 1);
        let text = metrics.text(None, 0);
        for line in [
            "firstlight_http_requests_total{route=\"frames\",status=\"206\"} 1",
            "firstlight_http_requests_total{route=\"frames\",status=\"other\"} 1",
            "firstlight_http_request_seconds_bucket{route=\"frames\",le=\"0.001\"} 1",
            "firstlight_http_request_seconds_bucket{route=\"frames\",le=\"+Inf\"} 2",
            "firstlight_http_response_bytes_total 101",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn routes() {
        assert_eq!(
            route_of("/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}"),
            "frames"
        );
        assert_eq!(route_of("/dicom-web/studies/{study}"), "instances");
        assert_eq!(route_of("/dicom-web/studies/{study}/series"), "qido");
        assert_eq!(route_of("/viewer/{*path}"), "viewer");
    }
}
