//! Rendered images against values computed here, from the formulas of the standard.

use crate::made::{self, CT, EXPLICIT, Made, SERIES, STUDY};
use crate::site::{Answer, Site};
use axum::http::StatusCode;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::InMemDicomObject;
use std::sync::atomic::AtomicBool;
use transcode::Policy;

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

/// A grey image of 16 bits whose stored values are those of `value`, at column and row.
fn image16(sop: &str, columns: u16, rows: u16, value: impl Fn(u16, u16) -> u16) -> Made {
    let pixels = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))).map(|(x, y)| value(x, y)).collect();
    Made::new(sop, made::SECONDARY, EXPLICIT).grey16(columns, rows, &[pixels])
}

/// A site whose images were converted to HTJ2K: they have levels.
async fn converted(files: &[Vec<u8>]) -> Site {
    let site = Site::of(files);
    let policy = Policy::shipped("htj2k-all").unwrap();
    site.archive.convert_pending(&policy, 1, &AtomicBool::new(false), &|_| ()).unwrap();
    let levels = site.get(&format!("/dicom-web/studies/{STUDY}/series/{SERIES}/levels")).await.text();
    assert!(levels.contains("1.2.840.10008.1.2.4.202"), "there is no level to be taken: {levels}");
    site
}

async fn thumbnail(site: &Site, sop: &str) -> (u32, u32, usize, Vec<u8>) {
    png(&site.accept(&format!("{}/thumbnail", made::path(sop)), "image/png").await)
}

#[tokio::test]
async fn indices_are_looked_up_before_they_are_scaled() {
    let red: Vec<u16> = (0..256).map(|n| if n == 0 { 0xFFFF } else { 0 }).collect();
    let blue: Vec<u16> = (0..256).map(|n| if n == 200 { 0xFFFF } else { 0 }).collect();
    let green: Vec<u16> = (0..256).map(|n| if n == 0 || n == 200 { 0 } else { 0xFFFF }).collect();
    let board = (0..1024u32 * 1024).map(|n| if (n % 1024 + n / 1024) % 2 == 0 { 0 } else { 200 }).collect();
    let mut made = Made::new("1.6.1", made::SECONDARY, EXPLICIT).bytes8(1024, 1024, 1, "PALETTE COLOR", board);
    for (n, table) in [red, green, blue].into_iter().enumerate() {
        let n = n as u32;
        made = made.words(0x0028_1101 + n, VR::US, vec![256, 0, 16]).words(0x0028_1201 + n, VR::OW, table);
    }
    let site = converted(&[made.file()]).await;
    let (width, .., data) = thumbnail(&site, "1.6.1").await;
    assert_eq!(width, 256);
    assert!(data.as_chunks().0.iter().all(|rgb| matches!(rgb, [127..=128, 0, 127..=128])), "{:?}", &data[..12]);
}

#[tokio::test]
async fn a_scrambled_order_is_put_right_before_it_is_scaled() {
    // Bits of the column in reverse; the VOI LUT reverses them again.
    let reverse = |v: u16| v.reverse_bits() >> 6;
    let table: Vec<u16> = (0..1024).map(|v| reverse(v) << 6).collect();
    let lut = InMemDicomObject::from_element_iter([
        DataElement::new(Tag(0x0028, 0x3002), VR::US, PrimitiveValue::U16(vec![1024, 0, 16].into())),
        DataElement::new(Tag(0x0028, 0x3006), VR::OW, PrimitiveValue::U16(table.into())),
    ]);
    let voi = image16("1.6.2", 1024, 512, |x, _| reverse(x)).sequence(0x0028_3010, vec![lut.clone()]);
    let modality = image16("1.6.3", 1024, 512, |x, _| reverse(x)).sequence(0x0028_3000, vec![lut]);
    let site = converted(&[voi.file(), modality.file()]).await;
    for sop in ["1.6.2", "1.6.3"] {
        let (width, height, _, data) = thumbnail(&site, sop).await;
        assert_eq!((width, height), (256, 128));
        for (x, shown) in data[64 * 256..65 * 256].iter().enumerate() {
            assert!((i32::from(*shown) - x as i32).abs() <= 1, "{sop}: {shown} at {x}");
        }
    }
}

#[tokio::test]
async fn padding_has_no_part_in_means() {
    // A ramp of 1000 to 1199 with padding in every other row: at no level is there a row without it.
    let of =
        |sop| image16(sop, 1024, 1024, |x, y| if y % 2 == 0 { 0 } else { 1000 + (u32::from(x) * 200 / 1024) as u16 });
    let padded = of("1.6.4").words(0x0028_0120, VR::US, vec![0]);
    let site = converted(&[padded.file()]).await;
    let (.., data) = thumbnail(&site, "1.6.4").await;
    for (x, shown) in data[128 * 256..129 * 256].iter().enumerate() {
        assert!((i32::from(*shown) - x as i32 / 2).abs() <= 1, "{shown} at {x}: half of the ramp");
    }
}

#[tokio::test]
async fn intensities_are_taken_from_a_level() {
    // Columns of 0 and 1000: their mean is in the window, they are not.
    let grey = image16("1.6.5", 1024, 1024, |x, _| (x % 2) * 1000).with(0x0028_1050, VR::DS, "500").with(
        0x0028_1051,
        VR::DS,
        "200",
    );
    let site = converted(&[grey.file()]).await;
    let (.., data) = thumbnail(&site, "1.6.5").await;
    let middle = &data[128 * 256 + 20..128 * 256 + 230];
    assert!(middle.iter().all(|v| *v == middle[0]), "{middle:?}");
}

#[tokio::test]
async fn samples_of_32_bits_without_a_sign() {
    let values: Vec<u8> = (0..64u32).flat_map(|n| (n * (u32::MAX / 63)).to_le_bytes()).collect();
    let dose = Made::new("1.6.6", "1.2.840.10008.5.1.4.1.1.481.2", EXPLICIT).bits32(8, 8, values);
    let site = Site::of(&[dose.file()]);
    let (.., data) = png(&rendered(&site, "1.6.6", "").await);
    for (n, shown) in data.iter().enumerate() {
        assert_eq!(*shown, (n as f64 / 63.0 * 255.0).round() as u8, "{n}");
    }
}

#[tokio::test]
async fn a_window_narrower_than_1_after_a_small_slope() {
    let site = Site::of(&[ramp("1.6.7")
        .with(0x0028_1050, VR::DS, "0.5")
        .with(0x0028_1051, VR::DS, "0.98")
        .with(0x0028_1052, VR::DS, "0")
        .with(0x0028_1053, VR::DS, "0.0005")
        .file()]);
    let (.., data) = png(&rendered(&site, "1.6.7", "").await);
    for (stored, shown) in data.iter().enumerate() {
        let share = ((stored as f64 * 0.0005 - 0.5) / 0.98 + 0.5).clamp(0.0, 1.0);
        assert_eq!(*shown, (share * 255.0).round() as u8, "{stored}");
    }
}
