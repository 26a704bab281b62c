//! Figures of the process itself, under the names that Prometheus' own clients give them.

use rustix::param::{clock_ticks_per_second, page_size};
use std::fmt::Write;
use std::fs;

/// Writes what `/proc/self` tells; what it does not tell is left out.
pub fn write(out: &mut String) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in brackets, and may hold anything.
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
    let mut one = |kind: &str, name: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = writeln!(out, "# HELP process_{name} {help}\n# TYPE process_{name} {kind}\nprocess_{name} {value}");
        }
    };
    let ticks = |from: &[u64]| from.iter().sum::<u64>() as f64 / clock_ticks_per_second() as f64;
    one("counter", "cpu_seconds_total", "CPU time spent.", fields.get(11..13).map(ticks));
    let resident = fields.get(21).map(|pages| (pages * page_size() as u64) as f64);
    one("gauge", "resident_memory_bytes", "Memory in use.", resident);
    one("gauge", "threads", "Threads.", fields.get(17).map(|count| *count as f64));
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
    one("gauge", "open_fds", "Open files and connections.", open);
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_memory_and_files() {
        let mut text = String::new();
        super::write(&mut text);
        for name in
            ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_threads", "process_open_fds"]
        {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
            let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value > 0.0 || name.contains("cpu"), "{line}");
        }
    }
}
