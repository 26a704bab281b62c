//! Byte ranges of frames: any split joins to the whole, for multipart and single part; 206, 416, 304 exactly.

use crate::made::{self, EXPLICIT, JPEG_LS, Made};
use crate::site::{Answer, Site};
use axum::http::StatusCode;

const OHIF: &str = "multipart/related; type=application/octet-stream; transfer-syntax=*";
const SINGLE: &str = "application/octet-stream; transfer-syntax=*";

/// An image of one frame in three fragments, and the frame.
fn fragmented() -> (Vec<u8>, Vec<u8>) {
    let body = (0..1196u32).map(|n| (n * n % 251) as u8);
    let frame: Vec<u8> = made::JPEG_START.iter().copied().chain(body).collect();
    let fragments = vec![frame[..400].to_vec(), frame[400..402].to_vec(), frame[402..].to_vec()];
    (Made::new("1.9.1", made::SECONDARY, JPEG_LS).fragments(40, 30, &[fragments]).file(), frame)
}

async fn range(site: &Site, target: &str, accept: &str, range: &str) -> Answer {
    site.send("GET", target, &[("accept", accept), ("range", range)]).await
}

/// Fetches in pieces of `step` bytes and checks each answer's head.
async fn in_pieces(site: &Site, target: &str, accept: &str, step: usize, whole: &Answer) -> Vec<u8> {
    let total = whole.body.len();
    let mut joined = Vec::new();
    while joined.len() < total {
        let (from, to) = (joined.len(), (joined.len() + step).min(total) - 1);
        // The last piece as viewers ask for it: to the end.
        let wanted = if to == total - 1 { format!("bytes={from}-") } else { format!("bytes={from}-{to}") };
        let piece = range(site, target, accept, &wanted).await;
        assert_eq!(piece.status, StatusCode::PARTIAL_CONTENT, "{wanted}");
        assert_eq!(piece.header("content-range"), format!("bytes {from}-{to}/{total}"));
        assert_eq!(piece.header("content-length"), (to + 1 - from).to_string());
        assert_eq!(piece.header("etag"), whole.header("etag"));
        assert_eq!(piece.header("content-type"), whole.header("content-type"));
        assert_eq!(piece.header("content-encoding"), "");
        joined.extend_from_slice(&piece.body);
    }
    joined
}

#[tokio::test]
async fn any_split_joins_to_the_whole() {
    let (fragmented, frame) = fragmented();
    let (native, frames) = made::three_frames("1.9.2", EXPLICIT);
    let site = Site::of(&[fragmented, native]);
    for (target, content) in [
        (format!("{}/frames/1", made::path("1.9.1")), &frame),
        (format!("{}/frames/2", made::path("1.9.2")), &frames[1]),
    ] {
        for accept in [OHIF, SINGLE] {
            let whole = site.accept(&target, accept).await;
            assert_eq!(whole.status, StatusCode::OK);
            assert_eq!(whole.header("accept-ranges"), "bytes");
            assert_eq!(whole.header("content-length"), whole.body.len().to_string());
            let inner = if accept == OHIF { whole.part().1 } else { whole.body.clone() };
            assert!(inner == content[..], "{target} {accept}");
            let total = whole.body.len();
            for step in [total, total / 2, total / 3 + 1, 997, 64, 1 + total / 40] {
                assert!(
                    in_pieces(&site, &target, accept, step, &whole).await == whole.body,
                    "{target} {accept} by {step}"
                );
            }
            for last in [1, 10, total - 1, total, total + 5] {
                let tail = range(&site, &target, accept, &format!("bytes=-{last}")).await;
                assert_eq!(tail.status, StatusCode::PARTIAL_CONTENT);
                assert!(tail.body == whole.body[total - last.min(total)..], "the last {last}");
            }
        }
    }
}

#[tokio::test]
async fn every_cut_of_a_small_frame() {
    let site = Site::of(&[fragmented().0]);
    let target = format!("{}/frames/1", made::path("1.9.1"));
    let whole = site.accept(&target, OHIF).await;
    for at in 1..whole.body.len() {
        let first = range(&site, &target, OHIF, &format!("bytes=0-{}", at - 1)).await;
        let second = range(&site, &target, OHIF, &format!("bytes={at}-")).await;
        assert!([&first.body[..], &second.body[..]].concat() == whole.body, "cut at {at}");
    }
}

#[tokio::test]
async fn past_the_end_is_416_without_a_body() {
    let site = Site::of(&[fragmented().0]);
    let target = format!("{}/frames/1", made::path("1.9.1"));
    for accept in [OHIF, SINGLE] {
        let total = site.accept(&target, accept).await.body.len();
        for wanted in [format!("bytes={total}-"), format!("bytes={}-{}", total + 1, total + 9), "bytes=-0".to_owned()] {
            let refused = range(&site, &target, accept, &wanted).await;
            assert_eq!(refused.status, StatusCode::RANGE_NOT_SATISFIABLE, "{wanted}");
            assert_eq!(refused.header("content-range"), format!("bytes */{total}"));
            assert!(refused.body.is_empty());
        }
    }
}

#[tokio::test]
async fn nonsense_gives_the_whole() {
    let site = Site::of(&[fragmented().0]);
    let target = format!("{}/frames/1", made::path("1.9.1"));
    let whole = site.accept(&target, OHIF).await;
    for wanted in ["bytes=0-5,5-6", "bytes=5-1", "chunks=1-2", "bytes=x"] {
        let answer = range(&site, &target, OHIF, wanted).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &whole.body), "{wanted}");
    }
}

#[tokio::test]
async fn several_ranges_are_parts_that_tell_where_they_are_from() {
    let site = Site::of(&[fragmented().0]);
    let target = format!("{}/frames/1", made::path("1.9.1"));
    let whole = site.accept(&target, OHIF).await;
    let answer = range(&site, &target, OHIF, "bytes=20-29,0-3").await;
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    assert!(answer.header("content-type").starts_with("multipart/byteranges; boundary="));
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    let parts = answer.parts();
    for ((head, content), (first, last)) in parts.iter().zip([(20, 29), (0, 3)]) {
        let kind = whole.header("content-type");
        let total = whole.body.len();
        assert_eq!(*head, format!("Content-Type: {kind}\r\nContent-Range: bytes {first}-{last}/{total}"));
        assert!(content[..] == whole.body[first..=last]);
    }
    assert_eq!(parts.len(), 2);
}

#[tokio::test]
async fn conditions() {
    let site = Site::of(&[fragmented().0]);
    let target = format!("{}/frames/1", made::path("1.9.1"));
    let whole = site.accept(&target, OHIF).await;
    let etag = whole.header("etag").to_owned();
    assert!(etag.starts_with('"'), "a strong entity tag");
    let with = async |headers: &[(&str, &str)]| {
        let headers = [&[("accept", OHIF)], headers].concat();
        site.send("GET", &target, &headers).await
    };
    let same = with(&[("range", "bytes=3-9"), ("if-range", &etag)]).await;
    assert_eq!((same.status, &same.body[..]), (StatusCode::PARTIAL_CONTENT, &whole.body[3..10]));
    let other = with(&[("range", "bytes=3-9"), ("if-range", "\"other\"")]).await;
    assert_eq!((other.status, &other.body), (StatusCode::OK, &whole.body));
    let past = with(&[("range", "bytes=99999999-"), ("if-range", "\"other\"")]).await;
    assert_eq!(past.status, StatusCode::OK, "a condition that fails comes before the range");
    assert_eq!(with(&[("if-match", "\"other\"")]).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(with(&[("if-match", &etag)]).await.status, StatusCode::OK);
    let held = with(&[("if-none-match", &etag)]).await;
    assert_eq!((held.status, held.body.len(), held.header("etag")), (StatusCode::NOT_MODIFIED, 0, etag.as_str()));

    let single = site.accept(&target, SINGLE).await;
    assert_ne!(single.header("etag"), etag, "another representation, another tag");
    assert!(single.header("vary").contains("Accept"));
}

#[tokio::test]
async fn head_tells_the_whole() {
    let site = Site::of(&[fragmented().0]);
    let target = format!("{}/frames/1", made::path("1.9.1"));
    let whole = site.accept(&target, OHIF).await;
    let head = site.send("HEAD", &target, &[("accept", OHIF), ("range", "bytes=0-9")]).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    for name in ["content-length", "content-type", "etag", "accept-ranges"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
}
