//! Frames: negotiation, byte order on the wire, fragments, errors.

use crate::made::{self, BIG, EXPLICIT, IMPLICIT, JPEG_LS, Made, SECONDARY};
use crate::site::Site;
use axum::http::StatusCode;

const OHIF: &str = "multipart/related; type=application/octet-stream; transfer-syntax=*";

/// A frame of two fragments and a frame of one.
fn fragments() -> [Vec<Vec<u8>>; 2] {
    let first = [made::JPEG_START, &[1; 96]].concat();
    [vec![first, vec![2; 50]], vec![[made::JPEG_START, &[3; 76]].concat()]]
}

fn encoded(sop: &str) -> Vec<u8> {
    Made::new(sop, SECONDARY, JPEG_LS).fragments(8, 8, &fragments()).file()
}

#[tokio::test]
async fn the_contract_of_the_viewers() {
    let site = Site::of(&[encoded("1.1.1")]);
    let target = format!("{}/frames/1", made::path("1.1.1"));
    let multipart =
        ["multipart/related; type=\"image/jls\"; boundary=", "image/jls;transfer-syntax=1.2.840.10008.1.2.4.80"];
    for (accept, is_multipart) in [
        (Some(OHIF), true),
        (Some("multipart/related; type=\"application/octet-stream\"; transfer-syntax=*"), true),
        (Some("multipart/related; type=image/jphc,multipart/related; type=image/jls"), true),
        (Some("undefined"), true),
        (Some("*/*"), true),
        (None, true),
        (Some("text/html,application/xhtml+xml"), true),
        (Some("image/jls"), false),
        (Some("image/jphc"), false),
        (Some("application/octet-stream;transfer-syntax=*"), false),
    ] {
        let headers: Vec<_> = accept.map(|a| ("accept", a)).into_iter().collect();
        let answer = site.send("GET", &target, &headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept:?}");
        assert_eq!(answer.header("content-encoding"), "");
        let content = if is_multipart {
            assert!(
                answer.header("content-type").starts_with(multipart[0]),
                "{accept:?}: {}",
                answer.header("content-type")
            );
            let (head, content) = answer.part();
            assert_eq!(head, format!("Content-Type: {}", multipart[1]));
            content
        } else {
            assert_eq!(answer.header("content-type"), multipart[1], "{accept:?}");
            answer.body.clone()
        };
        assert_eq!(content, fragments()[0].concat(), "fragments joined, no item headers");
    }
}

#[tokio::test]
async fn the_query_wins_over_the_header() {
    let site = Site::of(&[encoded("1.1.1")]);
    let target = format!("{}/frames/2?accept=image/jls", made::path("1.1.1"));
    let answer = site.accept(&target, OHIF).await;
    assert_eq!(answer.header("content-type"), "image/jls;transfer-syntax=1.2.840.10008.1.2.4.80");
    assert_eq!(answer.body, fragments()[1][0]);
    let encoded = format!(
        "{}/frames/2?accept=multipart%2Frelated%3B%20type%3Dapplication%2Foctet-stream%3B%20transfer-syntax%3D*",
        made::path("1.1.1")
    );
    assert!(site.accept(&encoded, "undefined").await.header("content-type").starts_with("multipart/related"));
}

#[tokio::test]
async fn strict_mode_says_406_and_nothing_else() {
    let site = Site::with(&[encoded("1.1.1")], |config| config.strict_accept = true);
    let target = format!("{}/frames/1", made::path("1.1.1"));
    for accept in ["image/jphc", "undefined", "text/html"] {
        let answer = site.accept(&target, accept).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::NOT_ACCEPTABLE, 0), "{accept}");
    }
    assert_eq!(site.accept(&target, "multipart/related; type=image/jls").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_list_of_frames() {
    let (file, frames) = made::three_frames("1.1.2", EXPLICIT);
    let site = Site::of(&[file]);
    let answer = site.accept(&format!("{}/frames/3,1", made::path("1.1.2")), OHIF).await;
    let parts = answer.parts();
    assert_eq!(parts.len(), 2);
    assert!(parts[0].1 == frames[2] && parts[1].1 == frames[0]);
    let all = site.accept(&format!("{}/frames", made::path("1.1.2")), OHIF).await.parts();
    assert!(all.iter().map(|part| &part.1[..]).eq(frames.iter().map(|frame| &frame[..])));
}

#[tokio::test]
async fn little_endian_on_the_wire() {
    for syntax in [EXPLICIT, IMPLICIT, BIG] {
        let (file, frames) = made::three_frames("1.1.3", syntax);
        let site = Site::of(&[file]);
        let answer = site.accept(&format!("{}/frames/2", made::path("1.1.3")), OHIF).await;
        assert_eq!(answer.status, StatusCode::OK, "{syntax}");
        let (head, content) = answer.part();
        assert_eq!(head, "Content-Type: application/octet-stream;transfer-syntax=1.2.840.10008.1.2.1", "{syntax}");
        assert!(content == frames[1], "{syntax}");
        let piece = site
            .send("GET", &format!("{}/frames/2", made::path("1.1.3")), &[("accept", OHIF), ("range", "bytes=200-299")])
            .await;
        assert_eq!(piece.status, StatusCode::PARTIAL_CONTENT);
        assert!(piece.body == answer.body[200..300]);
    }
}

#[tokio::test]
async fn single_bits_begin_at_a_byte() {
    // Three frames of 3x3 bits: 27 bits in a row, the second frame begins in the middle of the second byte.
    let bits: Vec<u8> = (0..27).map(|n| u8::from([0, 2, 3, 9, 13, 17, 18, 20, 26].contains(&n))).collect();
    let pack = |bits: &[u8]| {
        bits.chunks(8).map(|c| c.iter().enumerate().fold(0u8, |b, (n, v)| b | v << n)).collect::<Vec<u8>>()
    };
    let file = Made::new("1.1.4", "1.2.840.10008.5.1.4.1.1.66.4", EXPLICIT)
        .bytes8(3, 3, 1, "MONOCHROME2", pack(&bits))
        .words(0x0028_0100, dicom_core::VR::US, vec![1])
        .words(0x0028_0101, dicom_core::VR::US, vec![1])
        .words(0x0028_0102, dicom_core::VR::US, vec![0])
        .with(0x0028_0008, dicom_core::VR::IS, "3")
        .file();
    let site = Site::of(&[file]);
    for n in 0..3 {
        let answer =
            site.accept(&format!("{}/frames/{}", made::path("1.1.4"), n + 1), "application/octet-stream").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, pack(&bits[n * 9..n * 9 + 9]), "frame {}", n + 1);
    }
}

#[tokio::test]
async fn errors_of_frames_have_no_body() {
    let site = Site::of(&[encoded("1.1.1")]);
    let base = made::path("1.1.1");
    for (target, status) in [
        (format!("{base}/frames/3"), 404),
        (format!("{base}/frames/0"), 400),
        (format!("{base}/frames/x"), 400),
        (format!("{}/frames/1", made::path("1.1.9")), 404),
        (format!("{}/frames/1", made::path("..%2F..%2Fetc")), 400),
        (format!("{}/frames/1", made::path("1.1.1%00")), 400),
        (format!("{}/frames/1", made::path("%25")), 400),
    ] {
        let answer = site.accept(&target, OHIF).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (status, 0), "{target}");
        assert_eq!(answer.header("content-type"), "", "{target}");
    }
    let foreign = site.send("GET", &format!("{base}/frames/1"), &[("origin", "http://evil.example")]).await;
    assert_eq!((foreign.status, foreign.body.len()), (StatusCode::FORBIDDEN, 0));
}
