//! Frames: negotiation, byte order on the wire, fragments, errors.

use crate::made::{self, BIG, EXPLICIT, IMPLICIT, JPEG_LS, Made, SECONDARY};
use crate::site::Site;
use axum::http::StatusCode;
use dicom_core::VR;

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
        (Some("image/jphc,multipart/related; type=application/octet-stream; transfer-syntax=*"), true),
        (Some("undefined"), true),
        (Some("*/*"), true),
        (None, true),
        (Some("text/html,application/xhtml+xml,*/*;q=0.8"), true),
        (Some("image/jls"), false),
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
async fn what_was_not_asked_for_is_406_and_nothing_else() {
    for strict in [false, true] {
        let site = Site::with(&[encoded("1.1.1")], |config| config.strict_accept = strict);
        let target = format!("{}/frames/1", made::path("1.1.1"));
        for accept in ["image/jp2", "text/html", "image/png", "multipart/related; type=image/jpeg"] {
            let answer = site.accept(&target, accept).await;
            assert_eq!((answer.status, answer.body.len()), (StatusCode::NOT_ACCEPTABLE, 0), "{accept}");
            assert!(!answer.header("x-reason").is_empty(), "{accept}");
        }
        assert_eq!(site.accept(&target, "multipart/related; type=image/jls").await.status, StatusCode::OK);
    }
}

/// The samples of a file of one frame, read by a decoder.
fn decoded(file: Vec<u8>) -> Vec<u8> {
    let source = dicom::Source::from_bytes(file).unwrap();
    let mut out = Vec::new();
    transcode::Decode::decode_frame(&source, 0, &mut out).unwrap();
    out
}

#[tokio::test]
async fn frames_are_coded_anew_for_who_names_a_coding() {
    let (file, frames) = made::three_frames("1.1.7", EXPLICIT);
    let site = Site::of(&[file]);
    let target = format!("{}/frames/2", made::path("1.1.7"));
    for (accept, kind) in [
        ("image/jls", "image/jls;transfer-syntax=1.2.840.10008.1.2.4.80"),
        ("image/jphc", "image/jphc;transfer-syntax=1.2.840.10008.1.2.4.201"),
        ("image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202", "image/jphc;transfer-syntax=1.2.840.10008.1.2.4.202"),
        ("image/jxl", "image/jxl;transfer-syntax=1.2.840.10008.1.2.4.110"),
    ] {
        let answer = site.accept(&target, accept).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, kind), "{accept}");
        let syntax = kind.rsplit('=').next().unwrap();
        let coded = Made::new("1.1.8", SECONDARY, syntax).coded16(64, 48, answer.body.to_vec()).file();
        assert!(decoded(coded) == frames[1], "{accept}");
        let piece = site.send("GET", &target, &[("accept", accept), ("range", "bytes=10-99")]).await;
        assert_eq!(piece.status, StatusCode::PARTIAL_CONTENT);
        assert!(piece.body == answer.body[10..100], "{accept}: the same bytes again");
    }
    let lossy = site.accept(&target, "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50").await;
    assert_eq!(lossy.status, StatusCode::NOT_ACCEPTABLE, "16 bits do not fit");
}

#[tokio::test]
async fn jpeg_is_made_only_where_lossy_is_asked_for() {
    let ramp: Vec<u8> = (0..64 * 64u32).map(|n| (n % 64 * 4) as u8).collect();
    let file = Made::new("1.1.9", SECONDARY, EXPLICIT).bytes8(64, 64, 1, "MONOCHROME2", ramp.clone()).file();
    let site = Site::of(&[file]);
    let target = format!("{}/frames/1", made::path("1.1.9"));
    assert_eq!(site.accept(&target, "image/jpeg").await.status, StatusCode::NOT_ACCEPTABLE);
    let answer =
        site.accept(&target, "multipart/related; type=image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50").await;
    let (head, content) = answer.part();
    assert_eq!(head, "Content-Type: image/jpeg;transfer-syntax=1.2.840.10008.1.2.4.50");
    let coded = Made::new("1.1.10", SECONDARY, "1.2.840.10008.1.2.4.50").fragments(64, 64, &[vec![content.to_vec()]]);
    let shown = decoded(coded.file());
    assert!(shown.iter().zip(&ramp).all(|(a, b)| a.abs_diff(*b) < 12), "near what it was");
}

#[tokio::test]
async fn pixel_data_of_a_series_is_one_part_a_frame() {
    let (file, frames) = made::three_frames("1.1.11", EXPLICIT);
    let report = Made::new("1.1.12", "1.2.840.10008.5.1.4.1.1.88.11", EXPLICIT).file();
    let site = Site::of(&[file, report]);
    for target in [
        format!("{}/pixeldata", made::path("1.1.11")),
        format!("/dicom-web/studies/{}/series/{}/pixeldata", made::STUDY, made::SERIES),
        format!("/dicom-web/studies/{}/pixeldata", made::STUDY),
    ] {
        let answer = site.accept(&target, OHIF).await;
        let parts = answer.parts();
        assert_eq!(parts.len(), 3, "{target}");
        for (n, (head, content)) in parts.iter().enumerate() {
            assert!(head.starts_with("Content-Type: application/octet-stream;transfer-syntax=1.2.840.10008.1.2.1"));
            assert!(head.ends_with(&format!("/instances/1.1.11/frames/{}", n + 1)), "{head}");
            assert!(content == &frames[n], "{target}");
        }
        let none = site.accept(&target, "text/html").await;
        assert_eq!(none.status, StatusCode::NOT_ACCEPTABLE, "{target}");
    }
    let none = site.get(&format!("{}/pixeldata", made::path("1.1.12"))).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn frames_that_are_only_told_of_are_left_out_and_that_is_told() {
    let frame: Vec<u16> = (0..64).collect();
    let told = Made::new("1.1.13", SECONDARY, EXPLICIT).grey16(8, 8, std::slice::from_ref(&frame));
    let site = Site::of(&[told.with(0x0028_0008, VR::IS, "16000000").file()]);
    for place in ["pixeldata", "bulkdata"] {
        let answer = site.accept(&format!("{}/{place}", made::path("1.1.13")), OHIF).await;
        assert_eq!((answer.status, answer.parts().len()), (StatusCode::PARTIAL_CONTENT, 1), "{place}");
        assert!(answer.header("warning").contains("15999999 "), "{place}: {}", answer.header("warning"));
        assert!(answer.parts()[0].0.ends_with("/frames/1"), "{place}");
    }
    let moving = site.accept(&format!("{}/rendered", made::path("1.1.13")), "image/gif").await;
    assert_eq!((moving.status, moving.header("content-type")), (StatusCode::OK, "image/gif"));
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
