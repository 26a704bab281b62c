//! Rendered images against values computed here, from the formulas of the standard.

use crate::made::{self, CT, EXPLICIT, Made, SERIES, STUDY};
use crate::site::{Answer, Site};
use axum::http::StatusCode;
use dicom_core::VR;

/// A PNG's columns, rows, samples per pixel and samples.
fn png(answer: &Answer) -> (u32, u32, usize, Vec<u8>) {
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "image/png"), "{:?}", answer.body);
    let mut reader = png::Decoder::new(std::io::Cursor::new(&answer.body)).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    (info.width, info.height, info.color_type.samples(), data)
}

/// Stored values 0, 1, 2 ... of 64 columns and 32 rows.
fn ramp(sop: &str) -> Made {
    Made::new(sop, CT, EXPLICIT).grey16(64, 32, &[(0..2048).collect()])
}

async fn rendered(site: &Site, sop: &str, query: &str) -> Answer {
    site.accept(&format!("{}/rendered{query}", made::path(sop)), "image/png").await
}

/// PS3.3 C.11.2.1.2.1 with an output of 0 to 255.
fn window(x: f64, c: f64, w: f64) -> u8 {
    match x {
        x if x <= c - 0.5 - (w - 1.0) / 2.0 => 0,
        x if x > c - 0.5 + (w - 1.0) / 2.0 => 255,
        x => (((x - (c - 0.5)) / (w - 1.0) + 0.5) * 255.0).round() as u8,
    }
}

#[tokio::test]
async fn modality_and_window() {
    let file = ramp("1.5.1")
        .with(0x0028_1050, VR::DS, "40")
        .with(0x0028_1051, VR::DS, "400")
        .with(0x0028_1052, VR::DS, "-1024")
        .with(0x0028_1053, VR::DS, "1.5")
        .file();
    let site = Site::of(&[file]);
    let (width, height, samples, data) = png(&rendered(&site, "1.5.1", "").await);
    assert_eq!((width, height, samples), (64, 32, 1));
    for (stored, shown) in data.iter().enumerate() {
        assert_eq!(*shown, window(stored as f64 * 1.5 - 1024.0, 40.0, 400.0), "{stored}");
    }
    let (.., data) = png(&rendered(&site, "1.5.1", "?window=500,1000,linear").await);
    for (stored, shown) in data.iter().enumerate() {
        assert_eq!(*shown, window(stored as f64 * 1.5 - 1024.0, 500.0, 1000.0), "{stored}");
    }
}

#[tokio::test]
async fn least_to_greatest_and_inverted() {
    let site = Site::of(&[ramp("1.5.2").file(), ramp("1.5.3").with(0x0028_0004, VR::CS, "MONOCHROME1").file()]);
    let (.., plain) = png(&rendered(&site, "1.5.2", "").await);
    let (.., inverted) = png(&rendered(&site, "1.5.3", "").await);
    for (stored, (plain, inverted)) in plain.iter().zip(&inverted).enumerate() {
        let share = stored as f64 / 2047.0 * 255.0;
        assert_eq!(*plain, share.round() as u8, "{stored}");
        assert!((f64::from(*inverted) - (255.0 - share)).abs() <= 0.5, "{stored}");
    }
}

#[tokio::test]
async fn palette_is_applied() {
    let lut = |f: fn(u16) -> u16| (0..256).map(f).collect::<Vec<u16>>();
    let file = Made::new("1.5.4", made::SECONDARY, EXPLICIT)
        .bytes8(16, 16, 1, "PALETTE COLOR", (0..=255).collect())
        .words(0x0028_1101, VR::US, vec![256, 0, 16])
        .words(0x0028_1102, VR::US, vec![256, 0, 16])
        .words(0x0028_1103, VR::US, vec![256, 0, 16])
        .words(0x0028_1201, VR::OW, lut(|n| n << 8))
        .words(0x0028_1202, VR::OW, lut(|n| (255 - n) << 8))
        .words(0x0028_1203, VR::OW, lut(|n| (n ^ 0x55) << 8 | 0xFF))
        .file();
    let site = Site::of(&[file]);
    let (.., samples, data) = png(&rendered(&site, "1.5.4", "").await);
    assert_eq!(samples, 3);
    for (n, rgb) in data.chunks(3).enumerate() {
        let n = n as u8;
        assert_eq!(rgb, [n, 255 - n, n ^ 0x55], "{n}");
    }
}

#[tokio::test]
async fn colour() {
    let rgb: Vec<u8> = (0..16 * 16 * 3).map(|n| (n % 256) as u8).collect();
    let ybr = [[76u8, 85, 255], [150, 44, 21], [29, 255, 107], [128, 128, 128]].concat();
    let site = Site::of(&[
        Made::new("1.5.5", made::SECONDARY, EXPLICIT).bytes8(16, 16, 3, "RGB", rgb.clone()).file(),
        Made::new("1.5.6", made::SECONDARY, EXPLICIT).bytes8(2, 2, 3, "YBR_FULL", ybr).file(),
    ]);
    assert!(png(&rendered(&site, "1.5.5", "").await).3 == rgb);
    let expected = [[255i16, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]].concat();
    let shown = png(&rendered(&site, "1.5.6", "").await).3;
    assert!(shown.iter().zip(&expected).all(|(s, e)| (i16::from(*s) - e).abs() <= 2), "{shown:?}");
}

#[tokio::test]
async fn viewports_thumbnails_and_jpeg() {
    let site = Site::of(&[ramp("1.5.7").file()]);
    let (width, height, ..) = png(&rendered(&site, "1.5.7", "?viewport=32%2C32").await);
    assert_eq!((width, height), (32, 16));
    let (width, height, ..) = png(&rendered(&site, "1.5.7", "?viewport=128,128").await);
    assert_eq!((width, height), (128, 64), "rendered images grow with the viewport");
    for base in [
        made::path("1.5.7"),
        format!("/dicom-web/studies/{STUDY}/series/{SERIES}"),
        format!("/dicom-web/studies/{STUDY}"),
        format!("{}/frames/1", made::path("1.5.7")),
    ] {
        let thumbnail = site.accept(&format!("{base}/thumbnail?viewport=16%2C16"), "image/jpeg").await;
        assert_eq!((thumbnail.status, thumbnail.header("content-type")), (StatusCode::OK, "image/jpeg"), "{base}");
        assert!(thumbnail.body.starts_with(&[0xFF, 0xD8, 0xFF]));
        let held = site
            .send("GET", &format!("{base}/thumbnail?viewport=16%2C16"), &[("if-none-match", thumbnail.header("etag"))])
            .await;
        assert_eq!(held.status, StatusCode::NOT_MODIFIED);
    }
    for (target, status) in [
        (format!("{}/rendered?viewport=0,5", made::path("1.5.7")), 400),
        (format!("{}/rendered?window=1", made::path("1.5.7")), 400),
        (format!("{}/frames/2/rendered", made::path("1.5.7")), 404),
        (format!("{}/rendered", made::path("9.9")), 404),
    ] {
        let answer = site.get(&target).await;
        assert_eq!(answer.status.as_u16(), status, "{target}");
        assert!(!answer.body.is_empty(), "an error in words");
    }
}

#[tokio::test]
async fn what_cannot_be_decoded_is_not_shown() {
    let broken = Made::new("1.5.9", made::SECONDARY, made::JPEG_LS).fragments(
        8,
        8,
        &[vec![[made::JPEG_START, &[1; 86]].concat()]],
    );
    let site = Site::of(&[broken.file()]);
    let answer = rendered(&site, "1.5.9", "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text());
    assert_eq!(site.get(&format!("{}/frames/1", made::path("1.5.9"))).await.status, StatusCode::OK, "but handed out");
}

#[tokio::test]
async fn a_video_is_played_as_it_is() {
    let stream: Vec<u8> = (0..600u32).map(|n| (n % 241) as u8).collect();
    let fragments = vec![stream[..200].to_vec(), stream[200..].to_vec()];
    let file = Made::new("1.5.10", "1.2.840.10008.5.1.4.1.1.77.1.1.1", "1.2.840.10008.1.2.4.102")
        .fragments(8, 8, &[fragments])
        .file();
    let site = Site::of(&[file]);
    let target = format!("{}/rendered", made::path("1.5.10"));
    let whole = site.accept(&target, "video/mp4").await;
    assert_eq!((whole.status, whole.header("content-type")), (StatusCode::OK, "video/mp4"));
    assert!(whole.body == stream);
    let piece = site.send("GET", &target, &[("accept", "video/mp4"), ("range", "bytes=190-209")]).await;
    assert_eq!((piece.status, &piece.body[..]), (StatusCode::PARTIAL_CONTENT, &stream[190..210]));
    assert_eq!(site.get(&format!("{}/thumbnail", made::path("1.5.10"))).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nothing_to_show() {
    let report = Made::new("1.5.8", "1.2.840.10008.5.1.4.1.1.88.11", EXPLICIT).file();
    let site = Site::of(&[report]);
    for target in [format!("{}/rendered", made::path("1.5.8")), format!("/dicom-web/studies/{STUDY}/thumbnail")] {
        assert_eq!(site.get(&target).await.status, StatusCode::NOT_FOUND, "{target}");
    }
}
