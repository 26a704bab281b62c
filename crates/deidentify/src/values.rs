//! Values that stand in for others: dummies by VR (PS3.5 6.2), new UIDs, shifted dates.

use super::key::Key;
use dicom::data_set::Vr;

/// Stands where text was.
pub(crate) const REMOVED: &str = "REMOVED";

/// A value that is valid for the VR and tells nothing.
pub(crate) fn dummy(vr: Vr) -> Vec<u8> {
    match vr {
        Vr::DA => b"19000101".to_vec(),
        Vr::TM => b"000000".to_vec(),
        Vr::DT => b"19000101000000".to_vec(),
        Vr::AS => b"000Y".to_vec(),
        Vr::DS | Vr::IS => b"0 ".to_vec(),
        Vr::UR => b"urn:none".to_vec(),
        Vr::US | Vr::SS | Vr::OB | Vr::OW | Vr::UN => vec![0; 2],
        Vr::UL | Vr::SL | Vr::FL | Vr::OL | Vr::OF | Vr::AT => vec![0; 4],
        Vr::FD | Vr::OD | Vr::UV | Vr::SV | Vr::OV => vec![0; 8],
        Vr::SQ => Vec::new(),
        _ => even(REMOVED.as_bytes().to_vec(), vr),
    }
}

/// Padded to even length.
pub(crate) fn even(mut value: Vec<u8>, vr: Vr) -> Vec<u8> {
    if value.len() % 2 == 1 {
        value.push(if vr == Vr::UI { 0 } else { b' ' });
    }
    value
}

/// Every UID of a value replaced; those that the standard itself gave out stay.
pub(crate) fn uids(key: &Key, value: &[u8]) -> Vec<u8> {
    let one = |part: &[u8]| {
        let old = trim(part);
        match old {
            b"" => Vec::new(),
            _ if well_known(old) => old.to_vec(),
            _ => key.uid(&String::from_utf8_lossy(old)).into_bytes(),
        }
    };
    even(value.split(|b| *b == b'\\').map(one).collect::<Vec<_>>().join(&b'\\'), Vr::UI)
}

/// UIDs under the root of the standard name no instance: frames of reference of atlases, palettes, classes.
pub(crate) fn well_known(uid: &[u8]) -> bool {
    let digits = uid.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    digits && uid.len() <= 30 && (uid.starts_with(b"1.2.840.10008.") || uid.starts_with(b"2.16.840.1.113883.6."))
}

/// Padding off both ends.
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let pad = |b: &u8| matches!(b, b' ' | b'\0');
    let start = value.iter().position(|b| !pad(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !pad(b)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// Dates moved back by `days`; times stay. `None` when a value is not understood.
pub(crate) fn shift(vr: Vr, value: &[u8], days: i64) -> Option<Vec<u8>> {
    let parts = value.split(|b| *b == b'\\').map(|part| shift_one(vr, trim(part), days)).collect::<Option<Vec<_>>>()?;
    Some(even(parts.join(&b'\\'), vr))
}

fn shift_one(vr: Vr, value: &[u8], days: i64) -> Option<Vec<u8>> {
    let time = |t: &[u8]| t.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-' | b':'));
    if value.is_empty() {
        return Some(Vec::new());
    }
    match vr {
        Vr::TM => time(value).then(|| value.to_vec()),
        // Timezone Offset From UTC is an SH.
        Vr::SH => (value.len() == 5 && time(value)).then(|| value.to_vec()),
        Vr::DA | Vr::DT => {
            // The form of ACR-NEMA has points: 1993.08.22.
            let plain: Vec<u8> = match value {
                [_, _, _, _, b'.', _, _, b'.', _, _] => value.iter().copied().filter(|b| *b != b'.').collect(),
                _ => value.to_vec(),
            };
            let (date, rest) = plain.split_at_checked(8)?;
            if (vr == Vr::DA && !rest.is_empty()) || !time(rest) {
                return None;
            }
            let mut moved = format_date(days_of(date)? - days)?.into_bytes();
            moved.extend_from_slice(rest);
            Some(moved)
        }
        _ => None,
    }
}

/// Days since 1970-01-01 of YYYYMMDD, in the Gregorian calendar.
fn days_of(date: &[u8]) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| std::str::from_utf8(date.get(range)?).ok()?.parse::<i64>().ok();
    if !date.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

fn format_date(days: i64) -> Option<String> {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + of_era + i64::from(month <= 2);
    (1..=9999).contains(&year).then(|| format!("{year:04}{month:02}{:02}", of_year - (153 * shifted + 2) / 5 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_move_over_months_leap_days_and_years() {
        let back = |vr, value: &str, days| shift(vr, value.as_bytes(), days).map(|v| String::from_utf8(v).unwrap());
        assert_eq!(back(Vr::DA, "20240301", 1).as_deref(), Some("20240229"));
        assert_eq!(back(Vr::DA, "20230301", 1).as_deref(), Some("20230228"));
        assert_eq!(back(Vr::DA, "20000101", 366).as_deref(), Some("19981231"));
        assert_eq!(back(Vr::DA, "1993.08.22", 0).as_deref(), Some("19930822"));
        assert_eq!(back(Vr::DA, "20240301\\20240302", 1).as_deref(), Some("20240229\\20240301 "));
        assert_eq!(back(Vr::DT, "20240301121314.5+0100", 1).as_deref(), Some("20240229121314.5+0100 "));
        assert_eq!(back(Vr::TM, "121314", 1).as_deref(), Some("121314"));
        assert_eq!(back(Vr::DT, "2024", 1), None);
        assert_eq!(back(Vr::DA, "MARKER", 1), None);
        assert_eq!(back(Vr::TM, "at noon", 1), None);
        for days in -800_000..800_000 {
            if let Some(date) = format_date(days) {
                assert_eq!(days_of(date.as_bytes()), Some(days));
            }
        }
    }

    #[test]
    fn uids_of_the_standard_stay() {
        let key = Key::new([3; 32]);
        assert_eq!(uids(&key, b"1.2.840.10008.1.4.1.1\0"), b"1.2.840.10008.1.4.1.1\0");
        let new = uids(&key, b"1.2.3\\1.2.840.10008.1.4.1.1\\");
        let parts: Vec<_> = trim(&new).split(|b| *b == b'\\').collect();
        assert_eq!(parts[0], key.uid("1.2.3").as_bytes());
        assert_eq!((parts[1], parts[2]), (&b"1.2.840.10008.1.4.1.1"[..], &b""[..]));
    }
}
