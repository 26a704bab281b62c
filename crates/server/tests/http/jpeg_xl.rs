//! JPEG XL goes to who names it; everyone else gets the JPEG that was recompressed, or samples.

use crate::corpus::only;
use crate::made::{self, EXPLICIT, Made, SECONDARY};
use crate::site::Site;
use axum::http::StatusCode;
use dicom::Source;
use std::sync::atomic::AtomicBool;
use transcode::Policy;

const OHIF: &str = "multipart/related; type=application/octet-stream; transfer-syntax=*";
const BASELINE: &str = "1.2.840.10008.1.2.4.50";
const LOSSLESS: &str = "1.2.840.10008.1.2.4.110";
const RECOMPRESSION: &str = "1.2.840.10008.1.2.4.111";
/// How a JPEG XL container and a bare codestream begin.
const CONTAINER: &[u8] = b"\0\0\0\x0CJXL \r\n\x87\n";
const CODESTREAM: &[u8] = &[0xFF, 0x0A];

fn convert(site: &Site, target: &str) {
    let policy = format!("[[rule]]\nname = \"all\"\nthen = {{ transfer_syntax = \"{target}\" }}");
    let told = |event| println!("{event:?}");
    let done =
        site.archive.convert_pending(&Policy::parse(&policy).unwrap(), 1, &AtomicBool::new(false), &told).unwrap();
    assert_eq!(done.converted, 1, "{done:?}");
}

/// A JPEG of the corpus, stored as JPEG XL: the site, the path of the instance, its UID, and the JPEG stream.
async fn recompressed() -> Option<(Site, String, String, Vec<u8>)> {
    let path = testkit::corpus("")?.join("pydicom/pydicom__SC_rgb_jpeg.dcm");
    let (source, mut jpeg) = (Source::open(&path).unwrap(), Vec::new());
    source.read_frame(0, &mut jpeg).unwrap();
    let site = Site::of(&[std::fs::read(&path).unwrap()]);
    convert(&site, "jpeg-xl-recompression");
    let (path, _) = only(&site).await;
    Some((site, path, source.facts().sop_instance_uid.clone(), jpeg))
}

/// A native colour image, stored as lossless JPEG XL.
fn lossless() -> (Site, Vec<u8>) {
    let pixels: Vec<u8> = (0..48 * 32 * 3u32).map(|n| (n * n / 97) as u8).collect();
    let file = Made::new("1.1.2", SECONDARY, EXPLICIT).bytes8(48, 32, 3, "RGB", pixels.clone()).file();
    let site = Site::of(&[file]);
    convert(&site, "jpeg-xl-lossless");
    (site, pixels)
}

#[tokio::test]
async fn a_recompressed_jpeg_is_a_jpeg_to_who_does_not_name_jpeg_xl() {
    let Some((site, path, _, jpeg)) = recompressed().await else { return };
    let frame = format!("{path}/frames/1");
    for accept in [OHIF, "*/*", "undefined", "multipart/related; type=image/jpeg", "image/jpeg, image/jxl;q=0.5"] {
        let answer = site.accept(&frame, accept).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept}");
        let content = if answer.header("content-type").starts_with("multipart") {
            let (head, content) = answer.part();
            assert_eq!(head, format!("Content-Type: image/jpeg;transfer-syntax={BASELINE}"), "{accept}");
            content
        } else {
            assert_eq!(answer.header("content-type"), format!("image/jpeg;transfer-syntax={BASELINE}"), "{accept}");
            answer.body.clone()
        };
        assert!(content == jpeg, "{accept}: the bytes that came in");
        let part = site.send("GET", &frame, &[("accept", accept), ("range", "bytes=100-299")]).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{accept}");
        assert!(part.body == answer.body[100..300], "{accept}: ranges of what is rebuilt");
    }
}

#[tokio::test]
async fn a_recompressed_jpeg_is_jpeg_xl_to_who_names_it() {
    let Some((site, path, _, jpeg)) = recompressed().await else { return };
    let frame = format!("{path}/frames/1");
    let as_jpeg = site.accept(&frame, OHIF).await;
    for accept in [
        "multipart/related; type=image/jxl",
        "multipart/related; type=\"image/jxl\"; transfer-syntax=1.2.840.10008.1.2.4.111",
        "multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.111",
    ] {
        let answer = site.accept(&frame, accept).await;
        let (head, content) = answer.part();
        assert_eq!(head, format!("Content-Type: image/jxl;transfer-syntax={RECOMPRESSION}"), "{accept}");
        assert!(content.starts_with(CONTAINER) && content.len() < jpeg.len(), "{accept}");
        assert_ne!(answer.header("etag"), as_jpeg.header("etag"));
    }
    let bare = site.accept(&frame, "image/jxl").await;
    assert_eq!(bare.header("content-type"), format!("image/jxl;transfer-syntax={RECOMPRESSION}"));
}

#[tokio::test]
async fn a_whole_instance_follows_the_same_rule() {
    let Some((site, target, _, jpeg)) = recompressed().await else { return };
    for accept in ["application/dicom", "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50"] {
        let answer = site.accept(&target, accept).await;
        assert_eq!(answer.header("content-type"), format!("application/dicom;transfer-syntax={BASELINE}"), "{accept}");
        let source = Source::from_bytes(answer.body.to_vec()).unwrap();
        assert_eq!(source.facts().transfer_syntax.uid(), BASELINE);
        let mut frame = Vec::new();
        source.read_frame(0, &mut frame).unwrap();
        assert!(frame == jpeg, "{accept}");
    }
    let stored = site.accept(&target, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.111").await;
    assert_eq!(stored.header("content-type"), format!("application/dicom;transfer-syntax={RECOMPRESSION}"));
    let other = site.accept(&target, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90").await;
    assert_eq!(other.status, StatusCode::NOT_ACCEPTABLE);
    assert_ne!(stored.header("etag"), site.accept(&target, "application/dicom").await.header("etag"));
}

#[tokio::test]
async fn levels_tell_of_what_goes_out_by_default() {
    let Some((site, path, uid, _)) = recompressed().await else { return };
    let levels = site.get(&format!("{path}/levels")).await.json();
    let instance = &levels["instances"][&uid];
    assert_eq!(instance["transferSyntax"], BASELINE);
    assert_eq!(instance["frames"].as_array().map(Vec::len), Some(0), "no length is known before it is rebuilt");
}

#[tokio::test]
async fn jpeg_xl_is_rendered_and_decoded() {
    if let Some((site, path, _, _)) = recompressed().await {
        let samples = site.accept(&format!("{path}/frames/1"), "application/octet-stream").await;
        assert_eq!((samples.status, samples.body.len()), (StatusCode::OK, 256 * 256 * 3));
        let rendered = site.accept(&format!("{path}/rendered"), "image/png").await;
        assert_eq!((rendered.status, rendered.header("content-type")), (StatusCode::OK, "image/png"));
    }
    let (colour, pixels) = lossless();
    let png = colour.accept(&format!("{}/rendered", made::path("1.1.2")), "image/png").await;
    let mut reader = png::Decoder::new(std::io::Cursor::new(&png.body[..])).read_info().unwrap();
    let mut shown = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut shown).unwrap();
    assert!(shown == pixels, "every sample of the colour image");
}

#[tokio::test]
async fn lossless_jpeg_xl_is_samples_to_who_does_not_name_it() {
    let (site, pixels) = lossless();
    let frame = format!("{}/frames/1", made::path("1.1.2"));
    for accept in [OHIF, "*/*", "image/*, */*;q=0.5", "multipart/related; type=application/octet-stream"] {
        let answer = site.accept(&frame, accept).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept}");
        let content = if answer.header("content-type").starts_with("multipart") {
            let (head, content) = answer.part();
            assert_eq!(head, format!("Content-Type: application/octet-stream;transfer-syntax={EXPLICIT}"), "{accept}");
            content
        } else {
            answer.body.clone()
        };
        assert!(content == pixels, "{accept}");
    }
    let answer = site.accept(&frame, "multipart/related; type=image/jxl").await;
    let (head, content) = answer.part();
    assert_eq!(head, format!("Content-Type: image/jxl;transfer-syntax={LOSSLESS}"));
    assert!(content.starts_with(CODESTREAM), "a bare codestream");
}

#[tokio::test]
async fn read_strictly_any_syntax_is_jpeg_xl_too() {
    let (_, pixels) = lossless();
    let file = Made::new("1.1.2", SECONDARY, EXPLICIT).bytes8(48, 32, 3, "RGB", pixels).file();
    let site = Site::with(&[file], |config| config.strict_accept = true);
    convert(&site, "jpeg-xl-lossless");
    let frame = format!("{}/frames/1", made::path("1.1.2"));
    let (head, _) = site.accept(&frame, "multipart/related; type=image/jxl; transfer-syntax=*").await.part();
    assert_eq!(head, format!("Content-Type: image/jxl;transfer-syntax={LOSSLESS}"));
    let refused = site.accept(&frame, "multipart/related; type=image/jp2").await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
}
