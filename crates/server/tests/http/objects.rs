//! Whole instances: what comes back is what went in, but for its preamble.

use crate::made::{self, BIG, EXPLICIT, IMPLICIT, SERIES, STUDY};
use crate::site::Site;
use axum::http::StatusCode;
use dicom_core::Tag;

#[tokio::test]
async fn one_instance_bare_and_as_multipart() {
    let file = made::three_frames("1.4.1", EXPLICIT).0;
    let site = Site::of(std::slice::from_ref(&file));
    let single = site.accept(&made::path("1.4.1"), "application/dicom; transfer-syntax=*").await;
    assert_eq!(single.status, StatusCode::OK);
    assert_eq!(single.header("content-type"), "application/dicom;transfer-syntax=1.2.840.10008.1.2.1");
    assert_eq!(single.body[..128], [0; 128], "the preamble is zeroed");
    assert!(single.body[128..] == file[128..], "the rest is as received");
    let multipart =
        site.accept(&made::path("1.4.1"), "multipart/related; type=\"application/dicom\"; transfer-syntax=*").await;
    assert!(multipart.part().1 == single.body);
    let piece =
        site.send("GET", &made::path("1.4.1"), &[("accept", "application/dicom"), ("range", "bytes=100-199")]).await;
    assert_eq!((piece.status, &piece.body[..]), (StatusCode::PARTIAL_CONTENT, &single.body[100..200]));
}

#[tokio::test]
async fn a_series_and_a_study() {
    let files = ["1.4.1", "1.4.2", "1.4.3"].map(|sop| made::three_frames(sop, EXPLICIT).0);
    let site = Site::of(&files);
    for target in [format!("/dicom-web/studies/{STUDY}/series/{SERIES}"), format!("/dicom-web/studies/{STUDY}")] {
        let parts = site.get(&target).await.parts();
        assert_eq!(parts.len(), 3);
        for (part, file) in parts.iter().zip(&files) {
            assert_eq!(part.0, "Content-Type: application/dicom;transfer-syntax=1.2.840.10008.1.2.1");
            assert!(part.1[128..] == file[128..]);
        }
    }
    for missing in ["/dicom-web/studies/9.9", "/dicom-web/studies/1.2.3.4/series/9.9", &made::path("9.9")] {
        assert_eq!(site.get(missing).await.status, StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test]
async fn implicit_and_big_endian_never_go_on_the_wire() {
    for syntax in [IMPLICIT, BIG] {
        let (file, frames) = made::three_frames("1.4.4", syntax);
        let site = Site::of(&[file]);
        let answer = site.accept(&made::path("1.4.4"), "application/dicom").await;
        assert_eq!(answer.header("content-type"), "application/dicom;transfer-syntax=1.2.840.10008.1.2.1", "{syntax}");
        let read = dicom_object::from_reader(&answer.body[128..]).unwrap();
        assert_eq!(read.meta().transfer_syntax.trim_end_matches('\0'), EXPLICIT);
        assert_eq!(read.element(Tag(0x0010, 0x0010)).unwrap().to_str().unwrap(), "Dawn^Aurora");
        let pixels = read.element(Tag(0x7FE0, 0x0010)).unwrap().to_bytes().unwrap();
        assert!(pixels[..] == frames.concat(), "{syntax}");
    }
}

#[tokio::test]
async fn strict_mode_gives_only_what_was_asked_for() {
    let encoded = made::Made::new("1.4.5", made::SECONDARY, made::JPEG_LS)
        .fragments(8, 8, &[vec![[made::JPEG_START, &[1; 86]].concat()]])
        .file();
    let site = Site::with(&[encoded], |config| config.strict_accept = true);
    let refused = site.accept(&made::path("1.4.5"), "multipart/related; type=\"application/dicom\"").await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
    assert!(refused.text().contains("transfer-syntax=*"), "{}", refused.text());
    assert_eq!(site.accept(&made::path("1.4.5"), "application/dicom; transfer-syntax=*").await.status, StatusCode::OK);
}
