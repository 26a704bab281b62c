//! Sizes, rates and times as a person reads them, and tables of them.

use std::time::Duration;

/// Bytes in decimal units, three digits: `999 B`, `1.23 MB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A share of what there was before: `61.3 %`; empty when there was nothing.
pub fn saved(before: u64, after: u64) -> String {
    if before == 0 {
        return String::new();
    }
    let tenths = ((before as f64 - after as f64) * 1000.0 / before as f64).round();
    // Adding zero makes a rounded minus zero plain.
    format!("{:.1} %", tenths / 10.0 + 0.0)
}

/// Whole seconds: `42 s`, `3 min 05 s`, `2 h 07 min`.
pub fn duration(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}

/// A time in seconds since 1970, in UTC: `2026-11-22 19:50:03`.
pub fn time(seconds: i64) -> String {
    let (day, s) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days from 1 March of year 0, in eras of 400 years.
    let day = day + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02} {:02}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60)
}

/// `1 file`, `2 files`.
pub fn count(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// Rows of cells as lines: the first `left` columns to the left, the others to the right.
pub fn table(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column < left {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        lines.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let shown: Vec<String> =
            [0, 999, 1000, 1234, 9_994, 9_995, 99_949, 999_499, 999_500, 1_234_567_890].map(bytes).into();
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.00 kB", "1.23 kB", "9.99 kB", "10.0 kB", "99.9 kB", "999 kB", "1.00 MB", "1.23 GB"]
        );
    }

    #[test]
    fn moments() {
        let shown = [0, 951_782_399, 951_782_400, 1_709_164_800, 4_102_444_799].map(time);
        let right = ["1970-01-01 00:00:00", "2000-02-28 23:59:59", "2000-02-29 00:00:00", "2024-02-29 00:00:00"];
        assert_eq!(shown[..4], right);
        assert_eq!(shown[4], "2099-12-31 23:59:59");
    }

    #[test]
    fn times_and_shares() {
        assert_eq!(duration(Duration::from_secs(185)), "3 min 05 s");
        assert_eq!(duration(Duration::from_secs(7620)), "2 h 07 min");
        assert_eq!(saved(1000, 387), "61.3 %");
        assert_eq!(saved(0, 0), "");
        assert_eq!(saved(100, 150), "-50.0 %");
        assert_eq!(saved(100_000, 100_001), "0.0 %");
    }
}
