//! Byte ranges and conditions on a representation of known length (RFC 9110 chapters 13 and 14).

use axum::http::{HeaderMap, HeaderValue, Method, header};
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

/// What of a representation a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: 200.
    Whole,
    /// These bytes of it: 206.
    Part(Range<u64>),
    /// Several parts of it: 206, as `multipart/byteranges`.
    Parts(Vec<Range<u64>>),
    /// Nothing, since it is not what the client takes it for: 412.
    Changed,
    /// Bytes that it does not have: 416.
    Unsatisfiable,
    /// Nothing: the client holds it already: 304.
    Held,
}

/// Ranges of one request that are answered one by one; who asks for more gets the whole.
const MOST_RANGES: usize = 16;

/// Applies If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since, If-Range and Range, in the order of RFC 9110 13.2.2, to a
/// representation of `total` bytes with the strong entity tag `etag` (with its quotes), modified so many seconds after 1970 where that is
/// known.
pub fn wanted(method: &Method, headers: &HeaderMap, etag: &str, modified: Option<i64>, total: u64) -> Wanted {
    let later = |name| modified.zip(date(headers, name)).map(|(modified, date)| modified > date);
    let is_changed = match headers.contains_key(header::IF_MATCH) {
        true => !matches(headers, etag),
        false => later(header::IF_UNMODIFIED_SINCE) == Some(true),
    };
    if is_changed {
        return Wanted::Changed;
    }
    let is_held = match headers.contains_key(header::IF_NONE_MATCH) {
        true => held(headers, etag),
        false => unmodified(headers, modified),
    };
    if is_held {
        return Wanted::Held;
    }
    let range = headers.get(header::RANGE).filter(|_| method == Method::GET);
    let Some(range) = range else { return Wanted::Whole };
    match headers.get(header::IF_RANGE) {
        // A date never matches: within a second one object may take another's place.
        Some(condition) if condition.as_bytes() != etag.as_bytes() => Wanted::Whole,
        _ => satisfy(range, total),
    }
}

/// Does If-Modified-Since name a time since which nothing was modified?
pub fn unmodified(headers: &HeaderMap, modified: Option<i64>) -> bool {
    modified.zip(date(headers, header::IF_MODIFIED_SINCE)).is_some_and(|(modified, date)| modified <= date)
}

/// The date of a header, in seconds after 1970; what is no date is ignored (RFC 9110 13.1.3).
fn date(headers: &HeaderMap, name: header::HeaderName) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// `Last-Modified` of what was stored so many seconds after 1970.
pub fn last_modified(seconds: i64) -> Option<HeaderValue> {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))?;
    HeaderValue::try_from(httpdate::fmt_http_date(time)).ok()
}

/// Does If-Match name this entity tag (strong comparison), if it is there?
fn matches(headers: &HeaderMap, etag: &str) -> bool {
    let mut told = headers.get_all(header::IF_MATCH).iter().peekable();
    let named = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|tag| tag.trim() == "*" || tag.trim() == etag)
    };
    told.peek().is_none() || told.any(named)
}

/// Does If-None-Match name this entity tag (weak comparison)?
pub fn held(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let ours = opaque(etag);
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == ours)
}

/// `Content-Range` of a 206 (`range`) or of a 416 (`None`).
pub fn content_range(range: Option<&Range<u64>>, total: u64) -> HeaderValue {
    let text = match range {
        Some(r) => format!("bytes {}-{}/{total}", r.start, r.end - 1),
        None => format!("bytes */{total}"),
    };
    HeaderValue::try_from(text).expect("digits and ASCII punctuation")
}

/// One range is answered exactly, and several one by one, as long as they are few and do not overlap (RFC 9110 14.2 and 17.15); what is
/// not a range of bytes is ignored, as it demands.
fn satisfy(header: &HeaderValue, total: u64) -> Wanted {
    let Some(ranges) = parse(header) else { return Wanted::Whole };
    let mut within: Vec<_> = ranges.iter().filter_map(|spec| spec.within(total)).collect();
    match within.len() {
        0 => Wanted::Unsatisfiable,
        1 if ranges.len() == 1 => Wanted::Part(within.remove(0)),
        n if n <= MOST_RANGES && apart(&within) => Wanted::Parts(within),
        _ => Wanted::Whole,
    }
}

/// Does no byte lie in two of them?
fn apart(ranges: &[Range<u64>]) -> bool {
    let mut sorted: Vec<_> = ranges.iter().collect();
    sorted.sort_by_key(|range| range.start);
    sorted.windows(2).all(|two| two[0].end <= two[1].start)
}

/// One range-spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// `first-last`, last included.
    Closed(u64, u64),
    /// `first-`.
    From(u64),
    /// `-count`.
    Last(u64),
}

impl Spec {
    fn within(self, total: u64) -> Option<Range<u64>> {
        let range = match self {
            Spec::Closed(first, last) => first..last.saturating_add(1).min(total),
            Spec::From(first) => first..total,
            Spec::Last(count) => total.saturating_sub(count)..total,
        };
        (range.start < range.end).then_some(range)
    }
}

fn parse(header: &HeaderValue) -> Option<Vec<Spec>> {
    let (unit, set) = header.to_str().ok()?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    set.split(',').map(|spec| parse_spec(spec.trim())).collect()
}

fn parse_spec(text: &str) -> Option<Spec> {
    let (first, last) = text.split_once('-')?;
    match (first.is_empty(), last.is_empty()) {
        (false, true) => Some(Spec::From(number(first)?)),
        (true, false) => Some(Spec::Last(number(last)?)),
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::Closed(first, last))
        }
        (true, true) => None,
    }
}

/// Digits only; a number too large for 64 bits is as good as the largest.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str, total: u64) -> Wanted {
        satisfy(&HeaderValue::from_str(range).unwrap(), total)
    }

    #[test]
    fn single_ranges_are_exact() {
        assert_eq!(asked("bytes=0-0", 10), Wanted::Part(0..1));
        assert_eq!(asked("bytes=2-5", 10), Wanted::Part(2..6));
        assert_eq!(asked("bytes=2-500", 10), Wanted::Part(2..10));
        assert_eq!(asked("bytes=9-", 10), Wanted::Part(9..10));
        assert_eq!(asked("bytes=-3", 10), Wanted::Part(7..10));
        assert_eq!(asked("bytes=-30", 10), Wanted::Part(0..10));
        assert_eq!(asked("Bytes= 1-2", 10), Wanted::Part(1..3));
    }

    #[test]
    fn what_is_past_the_end_is_unsatisfiable() {
        for range in ["bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99999999999999999999999-", "bytes=10-11,12-13"] {
            assert_eq!(asked(range, 10), Wanted::Unsatisfiable, "{range}");
        }
        assert_eq!(asked("bytes=0-", 0), Wanted::Unsatisfiable);
        assert_eq!(asked("bytes=-1", 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn what_is_no_range_of_bytes_is_ignored() {
        for range in ["bytes=5-2", "bytes=", "bytes=-", "bytes=a-b", "bytes=+1-2", "lines=1-2", "bytes", "bytes=1-2,x"]
        {
            assert_eq!(asked(range, 10), Wanted::Whole, "{range}");
        }
    }

    #[test]
    fn several_ranges_that_are_few_and_apart() {
        assert_eq!(asked("bytes=4-5,0-1", 10), Wanted::Parts(vec![4..6, 0..2]), "in the order asked for");
        assert_eq!(
            asked("bytes=0-1,20-21", 10),
            Wanted::Parts(std::iter::once(0..2).collect()),
            "one of them is there"
        );
        assert_eq!(asked("bytes=0-5,4-9", 10), Wanted::Whole, "they overlap");
        let many: Vec<String> = (0..17).map(|n| format!("{n}-{n}")).collect();
        assert_eq!(asked(&format!("bytes={}", many.join(",")), 100), Wanted::Whole, "too many");
    }

    #[test]
    fn conditions_come_first() {
        let with = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            wanted(&Method::GET, &headers, "\"a\"", Some(784_111_777), 10)
        };
        assert_eq!(with(&[("range", "bytes=1-2"), ("if-range", "\"a\"")]), Wanted::Part(1..3));
        assert_eq!(with(&[("range", "bytes=1-2"), ("if-range", "\"b\"")]), Wanted::Whole);
        assert_eq!(with(&[("range", "bytes=1-2"), ("if-range", "W/\"a\"")]), Wanted::Whole);
        assert_eq!(with(&[("range", "bytes=99-"), ("if-range", "Sun, 22 Nov 2026 15:00:00 GMT")]), Wanted::Whole);
        assert_eq!(with(&[("range", "bytes=1-2"), ("if-none-match", "\"b\", W/\"a\"")]), Wanted::Held);
        assert_eq!(with(&[("if-none-match", "*")]), Wanted::Held);
        assert_eq!(with(&[("if-match", "\"b\"")]), Wanted::Changed);
        assert_eq!(with(&[("if-match", "W/\"a\""), ("range", "bytes=1-2")]), Wanted::Changed, "strong comparison");
        assert_eq!(with(&[("if-match", "\"b\", \"a\"")]), Wanted::Whole);
        assert_eq!(with(&[("if-match", "*")]), Wanted::Whole);
        assert_eq!(with(&[("if-none-match", "\"b\"")]), Wanted::Whole);
    }

    #[test]
    fn dates_count_where_there_is_no_tag() {
        let with = |name: &'static str, date: &'static str, tag: Option<&'static str>| {
            let mut headers =
                HeaderMap::from_iter([(header::HeaderName::from_static(name), HeaderValue::from_static(date))]);
            tag.inspect(|tag| drop(headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(tag))));
            wanted(&Method::GET, &headers, "\"a\"", Some(784_111_777), 10)
        };
        let (same, before) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT");
        assert_eq!(last_modified(784_111_777).unwrap(), same);
        assert_eq!(with("if-modified-since", same, None), Wanted::Held);
        assert_eq!(with("if-modified-since", before, None), Wanted::Whole);
        assert_eq!(with("if-modified-since", same, Some("\"b\"")), Wanted::Whole, "the tag decides");
        assert_eq!(with("if-modified-since", "yesterday", None), Wanted::Whole);
        assert_eq!(with("if-unmodified-since", same, None), Wanted::Whole);
        assert_eq!(with("if-unmodified-since", before, None), Wanted::Changed);
    }

    #[test]
    fn head_has_no_ranges() {
        let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=1-2"))]);
        assert_eq!(wanted(&Method::HEAD, &headers, "\"a\"", None, 10), Wanted::Whole);
    }
}
