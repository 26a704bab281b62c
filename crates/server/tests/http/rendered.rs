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
    let plan = Made::new("1.5.8", "1.2.840.10008.5.1.4.1.1.481.5", EXPLICIT).file();
    let site = Site::of(&[plan]);
    for target in [format!("{}/rendered", made::path("1.5.8")), format!("/dicom-web/studies/{STUDY}/thumbnail")] {
        assert_eq!(site.get(&target).await.status, StatusCode::NOT_FOUND, "{target}");
    }
}

#[tokio::test]
async fn reports_and_documents_are_read() {
    let text = InMemDicomObject::from_element_iter([
        DataElement::new(Tag(0x0040, 0xA040), VR::CS, PrimitiveValue::from("TEXT")),
        DataElement::new(Tag(0x0040, 0xA160), VR::UT, PrimitiveValue::from("No <script>alert(1)</script> here")),
    ]);
    let report =
        Made::new("1.5.11", "1.2.840.10008.5.1.4.1.1.88.11", EXPLICIT).sequence(0x0040_A730, vec![text]).file();
    let document = Made::new("1.5.12", "1.2.840.10008.5.1.4.1.1.104.1", EXPLICIT)
        .with(0x0042_0012, VR::LO, "application/pdf")
        .bytes(0x0042_0011, VR::OB, b"%PDF-1.4 made".to_vec())
        .file();
    let site = Site::of(&[report, document]);
    let page = site.accept(&format!("{}/rendered", made::path("1.5.11")), "text/html").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(
        page.text().contains("No &lt;script&gt;alert(1)&lt;/script&gt; here") && page.text().contains("Dawn Aurora")
    );
    let lines = site.accept(&format!("{}/rendered", made::path("1.5.11")), "text/plain").await;
    assert!(lines.text().contains("No <script>alert(1)</script> here\n"));
    let image = site.accept(&format!("{}/rendered", made::path("1.5.11")), "image/jpeg").await;
    assert_eq!(image.status, StatusCode::NOT_ACCEPTABLE);
    let pdf = site.accept(&format!("{}/rendered", made::path("1.5.12")), "application/pdf").await;
    assert_eq!((pdf.header("content-type"), &pdf.body[..8]), ("application/pdf", &b"%PDF-1.4"[..]));
    let refused = site.accept(&format!("{}/rendered", made::path("1.5.12")), "image/png").await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
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

#[tokio::test]
async fn a_region_mirrored_at_will() {
    let site = Site::of(&[image16("1.8.1", 8, 4, |x, y| y * 8 + x).file()]);
    let (.., whole) = png(&rendered(&site, "1.8.1", "").await);
    for (query, of) in
        [("2,1,3,2,2,1", [(3, 2), (4, 2)]), ("2,1,3,2,-2,1", [(4, 2), (3, 2)]), ("2,1,3,2,2,-1", [(3, 2), (4, 2)])]
    {
        let (width, height, _, data) = png(&rendered(&site, "1.8.1", &format!("?viewport={query}")).await);
        assert_eq!((width, height), (2, 1), "{query}");
        assert_eq!(data, of.map(|(x, y)| whole[y * 8 + x]), "{query}");
    }
    let (.., flipped) = png(&rendered(&site, "1.8.1", "?viewport=8,4,0,0,-8,-4").await);
    assert!(flipped.iter().rev().eq(whole.iter()), "both ways is turned around");
    for query in ["?viewport=2,2,8,0,1,1", "?viewport=2,2,0,0,0,1", "?viewport=2,2,-1,0,1,1"] {
        assert_eq!(rendered(&site, "1.8.1", query).await.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_region_is_taken_from_the_level_that_will_do() {
    let site = converted(&[image16("1.8.2", 1024, 1024, |x, _| x).file()]).await;
    let (width, height, _, data) = png(&rendered(&site, "1.8.2", "?viewport=64,64,512,0,256,256").await);
    assert_eq!((width, height), (64, 64));
    for (x, shown) in data[..64].iter().enumerate() {
        let expected = (512.0 + 4.0 * x as f64 + 1.5) / 1023.0 * 255.0;
        assert!((f64::from(*shown) - expected).abs() <= 2.0, "{shown} at {x}, {expected}");
    }
}

#[tokio::test]
async fn words_are_burned_in_where_they_are_asked_for() {
    let site = Site::of(&[image16("1.8.3", 400, 300, |_, _| 500).file()]);
    let plain = png(&rendered(&site, "1.8.3", "").await).3;
    let changed = |data: &[u8]| -> Vec<usize> {
        let rows = data.chunks(400).zip(plain.chunks(400)).enumerate();
        rows.filter(|(_, (a, b))| a != b).map(|(y, _)| y).collect()
    };
    let patient = changed(&png(&rendered(&site, "1.8.3", "?annotation=patient").await).3);
    assert!(!patient.is_empty() && patient.iter().all(|y| *y < 150), "{patient:?}");
    let technique = changed(&png(&rendered(&site, "1.8.3", "?annotation=technique").await).3);
    assert!(!technique.is_empty() && technique.iter().all(|y| *y > 150), "{technique:?}");
    assert_eq!(rendered(&site, "1.8.3", "?annotation=all").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn colour_profiles() {
    let grey = image16("1.8.4", 4, 4, |x, _| x).file();
    let colours = [[200, 30, 60]; 16].concat();
    let colour = Made::new("1.8.5", made::SECONDARY, EXPLICIT).bytes8(4, 4, 3, "RGB", colours).file();
    let site = Site::of(&[grey, colour]);
    let profile = |answer: &Answer| {
        let reader = png::Decoder::new(std::io::Cursor::new(&answer.body[..])).read_info().unwrap();
        reader.info().icc_profile.as_ref().map(|profile| profile.to_vec())
    };
    for (sop, space) in [("1.8.4", b"GRAY"), ("1.8.5", b"RGB ")] {
        assert_eq!(profile(&rendered(&site, sop, "").await), None);
        assert_eq!(profile(&rendered(&site, sop, "?iccprofile=no").await), None);
        for name in ["yes", "srgb", "adobergb", "rommrgb", "displayp3"] {
            let answer = rendered(&site, sop, &format!("?iccprofile={name}")).await;
            let bytes = profile(&answer).expect("a profile");
            assert_eq!(&bytes[16..20], space, "{name}");
        }
        assert_eq!(rendered(&site, sop, "?iccprofile=cmyk").await.status, StatusCode::BAD_REQUEST);
    }
    let own = png(&rendered(&site, "1.8.5", "?iccprofile=srgb").await).3;
    assert_eq!(own[..3], [200, 30, 60], "it is sRGB already");
    let wide = png(&rendered(&site, "1.8.5", "?iccprofile=displayp3").await).3;
    assert!(wide[0] < 200 && wide[1] > 30, "in a wider space it is less saturated: {:?}", &wide[..3]);
}

#[tokio::test]
async fn many_frames_move() {
    let frames: Vec<Vec<u16>> = (0..3u16).map(|n| (0..64u16).map(|x| x * 10 + n * 100).collect()).collect();
    let file =
        Made::new("1.8.6", made::SECONDARY, EXPLICIT).grey16(8, 8, &frames).with(0x0018_1063, VR::DS, "250").file();
    let site = Site::of(&[file]);
    let path = made::path("1.8.6");
    let gif = |answer: &Answer| {
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "image/gif"));
        let mut decoder = gif::DecodeOptions::new().read_info(std::io::Cursor::new(answer.body.to_vec())).unwrap();
        let mut delays = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            delays.push(frame.delay);
        }
        delays
    };
    let all = site.accept(&format!("{path}/rendered"), "image/gif").await;
    assert_eq!(gif(&all), [25, 25, 25], "hundredths of a second");
    assert_eq!(gif(&site.accept(&format!("{path}/frames/1,3/rendered"), "image/gif").await).len(), 2);
    assert_eq!(gif(&site.accept(&format!("{path}/frames/2/rendered"), "image/gif").await), [0], "one stands still");
    let held = [("accept", "image/gif"), ("if-none-match", all.header("etag"))];
    assert_eq!(site.send("GET", &format!("{path}/rendered"), &held).await.status, StatusCode::NOT_MODIFIED);
    let parts = site.accept(&format!("{path}/frames/3,1/rendered"), "multipart/related; type=image/png").await;
    let one = site.accept(&format!("{path}/frames/3/rendered"), "image/png").await;
    let (head, content) = &parts.parts()[0];
    assert!(head.starts_with("Content-Type: image/png\r\nContent-Location: "), "{head}");
    assert!(*content == one.body);
    assert_eq!(site.accept(&format!("{path}/frames/1,4/rendered"), "image/png").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_series_is_rendered_image_by_image() {
    let images = ["1.8.7", "1.8.8"].map(|sop| image16(sop, 16, 8, |x, _| x).file());
    let report = Made::new("1.8.9", "1.2.840.10008.5.1.4.1.1.88.11", EXPLICIT).file();
    let site = Site::of(&[images.to_vec(), vec![report]].concat());
    for target in
        [format!("/dicom-web/studies/{STUDY}/series/{SERIES}/rendered"), format!("/dicom-web/studies/{STUDY}/rendered")]
    {
        for accept in ["image/jpeg", "multipart/related; type=\"image/jpeg\"", "*/*"] {
            let answer = site.accept(&target, accept).await;
            assert_eq!(answer.status, StatusCode::OK, "{target} {accept}");
            let parts = answer.parts();
            assert_eq!(parts.len(), 2, "{target} {accept}");
            assert!(parts.iter().all(|part| part.1.starts_with(&[0xFF, 0xD8, 0xFF])));
        }
        assert_eq!(site.accept(&target, "text/html").await.status, StatusCode::NOT_ACCEPTABLE);
    }
}

#[tokio::test]
async fn a_picture_as_jpeg_xl() {
    let site = Site::of(&[image16("1.8.10", 40, 30, |x, y| x * y).file()]);
    let answer = site.accept(&format!("{}/rendered", made::path("1.8.10")), "image/jxl").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "image/jxl"));
    assert!(answer.body.starts_with(&[0xFF, 0x0A]) || answer.body.starts_with(&[0, 0, 0, 12]));
}

/// An element of numbers.
fn floats(tag: (u16, u16), values: &[f32]) -> DataElement<InMemDicomObject> {
    DataElement::new(Tag(tag.0, tag.1), VR::FL, PrimitiveValue::F32(values.into()))
}

fn words(tag: (u16, u16), vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(Tag(tag.0, tag.1), vr, PrimitiveValue::from(value))
}

fn sequence(tag: (u16, u16), item: InMemDicomObject) -> DataElement<InMemDicomObject> {
    DataElement::new(Tag(tag.0, tag.1), VR::SQ, dicom_core::value::DataSetSequence::from(vec![item]))
}

/// A presentation state of image 1.9.1: a window, and what `change` adds.
fn state(sop: &str, change: impl FnOnce(Made) -> Made) -> Vec<u8> {
    let image = InMemDicomObject::from_element_iter([words((0x0008, 0x1155), VR::UI, "1.9.1")]);
    let series = InMemDicomObject::from_element_iter([
        words((0x0020, 0x000E), VR::UI, SERIES),
        sequence((0x0008, 0x1140), image),
    ]);
    let window = InMemDicomObject::from_element_iter([
        words((0x0028, 0x1050), VR::DS, "128"),
        words((0x0028, 0x1051), VR::DS, "256"),
    ]);
    let made = Made::new(sop, "1.2.840.10008.5.1.4.1.1.11.1", EXPLICIT)
        .elsewhere("Dawn^Aurora", STUDY, "1.2.3.4.9")
        .sequence(0x0008_1115, vec![series])
        .sequence(0x0028_3110, vec![window]);
    change(made).file()
}

#[tokio::test]
async fn an_image_as_a_presentation_state_has_it() {
    // 8 columns of 32 values each step, 4 rows.
    let image = image16("1.9.1", 8, 4, |x, y| x * 32 + y).file();
    let turn = state("1.9.2", |made| {
        made.words(0x0070_0042, VR::US, vec![90]).with(0x0070_0041, VR::CS, "N").with(0x2050_0020, VR::CS, "INVERSE")
    });
    let shutter = state("1.9.3", |made| {
        made.with(0x0018_1600, VR::CS, "RECTANGULAR")
            .with(0x0018_1602, VR::IS, "3")
            .with(0x0018_1604, VR::IS, "6")
            .with(0x0018_1606, VR::IS, "1")
            .with(0x0018_1608, VR::IS, "4")
            .words(0x0018_1622, VR::US, vec![0xFFFF])
    });
    let line = InMemDicomObject::from_element_iter([
        words((0x0070, 0x0005), VR::CS, "PIXEL"),
        floats((0x0070, 0x0022), &[1.0, 2.0, 4.0, 2.0]),
        words((0x0070, 0x0023), VR::CS, "POLYLINE"),
    ]);
    let drawn = InMemDicomObject::from_element_iter([sequence((0x0070, 0x0009), line)]);
    let graphics = state("1.9.4", |made| made.sequence(0x0070_0001, vec![drawn]));
    let lost = Made::new("1.9.5", "1.2.840.10008.5.1.4.1.1.11.1", EXPLICIT).file();
    let site = Site::of(&[image, turn, shutter, graphics, lost]);
    let of = async |sop: &str| {
        let target = made::path(sop).replace(SERIES, "1.2.3.4.9");
        png(&site.accept(&format!("{target}/rendered"), "image/png").await)
    };
    let shown = |x: u16, y: u16| (f64::from(x * 32 + y) - 127.5) / 255.0 + 0.5;
    let grey = |x, y| (shown(x, y).clamp(0.0, 1.0) * 255.0).round() as u8;
    let (width, height, _, data) = of("1.9.2").await;
    assert_eq!((width, height), (4, 8), "turned");
    assert_eq!(
        (data[3], data[0]),
        (255 - grey(0, 0), 255 - grey(0, 3)),
        "the first pixel is at the right, and inverted"
    );
    let (width, _, _, data) = of("1.9.3").await;
    let first: Vec<u8> = data[..width as usize].to_vec();
    assert_eq!(first, [255, 255, grey(2, 0), grey(3, 0), grey(4, 0), grey(5, 0), 255, 255]);
    let (.., data) = of("1.9.4").await;
    assert_eq!(data[8..16], [255, 255, 255, 255, grey(4, 1), grey(5, 1), grey(6, 1), grey(7, 1)]);
    assert_eq!(data[..4], [grey(0, 0), grey(1, 0), grey(2, 0), grey(3, 0)]);
    assert_eq!(site.get(&format!("{}/rendered", made::path("1.9.5"))).await.status, StatusCode::NOT_FOUND);
    let region = format!("{}/rendered?viewport=2,2,0,0,2,2", made::path("1.9.2").replace(SERIES, "1.2.3.4.9"));
    assert_eq!(site.get(&region).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_presentation_state_of_any_size_takes_little() {
    let text = |lines: usize, place: f32| {
        InMemDicomObject::from_element_iter([
            words((0x0070, 0x0003), VR::CS, "PIXEL"),
            words((0x0070, 0x0006), VR::ST, &"X\r\n".repeat(lines)),
            floats((0x0070, 0x0010), &[place, place]),
        ])
    };
    let path: Vec<f32> = (0..16_000u16).map(|n| if n % 2 == 0 { -9e9 } else { f32::from(n) * 1e6 }).collect();
    let line = || {
        InMemDicomObject::from_element_iter([
            words((0x0070, 0x0005), VR::CS, "PIXEL"),
            floats((0x0070, 0x0022), &path),
            words((0x0070, 0x0023), VR::CS, "POLYLINE"),
        ])
    };
    let many = |tag, items: Vec<InMemDicomObject>| {
        DataElement::new(tag, VR::SQ, dicom_core::value::DataSetSequence::from(items))
    };
    let drawn = InMemDicomObject::from_element_iter([
        many(Tag(0x0070, 0x0008), (0..400).map(|n| text(20_000 * usize::from(n == 0) + 64, 1.0)).collect()),
        many(Tag(0x0070, 0x0009), (0..20).map(|_| line()).collect()),
    ]);
    let corners: Vec<String> = (0..20_000).map(|n| (n % 97).to_string()).collect();
    let hostile = state("1.9.7", |made| {
        made.sequence(0x0070_0001, vec![drawn]).with(0x0018_1600, VR::CS, "POLYGONAL").with(
            0x0018_1620,
            VR::IS,
            &corners.join("\\"),
        )
    });
    let site = Site::of(&[image16("1.9.1", 512, 512, |x, y| x + y).file(), hostile]);
    let target = made::path("1.9.7").replace(SERIES, "1.2.3.4.9");
    let (width, height, ..) = png(&site.accept(&format!("{target}/rendered"), "image/png").await);
    assert_eq!((width, height), (512, 512));
}
