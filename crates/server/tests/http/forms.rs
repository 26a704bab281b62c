//! The forms in which things are given: models, content codings, zip, other transfer syntaxes, WADO-URI, capabilities.

use crate::made::{self, CT, EXPLICIT, Made, SECONDARY, SERIES, STUDY};
use crate::site::{Answer, Site};
use axum::http::StatusCode;
use dicom_core::VR;
use std::io::{Cursor, Read};

const XML: &str = "multipart/related; type=\"application/dicom+xml\"";

fn two() -> Site {
    Site::of(&["1.7.1", "1.7.2"].map(|sop| made::three_frames(sop, EXPLICIT).0))
}

fn series(rest: &str) -> String {
    format!("/dicom-web/studies/{STUDY}/series/{SERIES}{rest}")
}

#[tokio::test]
async fn data_sets_as_xml() {
    let site = two();
    for (target, count) in [
        (series("/metadata"), 2),
        (format!("{}/metadata", made::path("1.7.1")), 1),
        ("/dicom-web/instances".to_owned(), 2),
        ("/dicom-web/studies?limit=1".to_owned(), 1),
    ] {
        let answer = site.accept(&target, XML).await;
        assert_eq!(answer.status, StatusCode::OK, "{target}");
        assert!(answer.header("content-type").starts_with(XML), "{target}: {}", answer.header("content-type"));
        let parts = answer.parts();
        assert_eq!(parts.len(), count, "{target}");
        for (head, content) in parts {
            assert_eq!(head, "Content-Type: application/dicom+xml");
            let text = String::from_utf8(content.to_vec()).unwrap();
            assert!(text.contains("<FamilyName>Dawn</FamilyName>") || text.contains("tag=\"00080018\""), "{text}");
        }
        let held = site.send("GET", &target, &[("accept", XML), ("if-none-match", answer.header("etag"))]).await;
        assert_eq!(held.status, StatusCode::NOT_MODIFIED, "{target}");
        assert_ne!(answer.header("etag"), site.get(&target).await.header("etag"));
        for accept in ["text/html", "image/png", "application/pdf"] {
            assert_eq!(site.accept(&target, accept).await.status, StatusCode::NOT_ACCEPTABLE, "{target} {accept}");
        }
    }
}

#[tokio::test]
async fn every_content_coding_is_the_same_text() {
    let site = two();
    let target = series("/metadata");
    let plain = site.get(&target).await;
    for coding in ["gzip", "br", "zstd", "deflate"] {
        let answer = site.send("GET", &target, &[("accept-encoding", coding)]).await;
        assert_eq!(answer.header("content-encoding"), coding);
        assert!(answer.body.len() < plain.body.len(), "{coding}");
        assert!(answer.header("etag").ends_with(&format!("-{coding}\"")), "{}", answer.header("etag"));
        let mut text = Vec::new();
        match coding {
            "gzip" => flate2::read::MultiGzDecoder::new(&answer.body[..]).read_to_end(&mut text),
            "br" => brotli::Decompressor::new(&answer.body[..], 4096).read_to_end(&mut text),
            "zstd" => ruzstd::decoding::StreamingDecoder::new(&answer.body[..]).unwrap().read_to_end(&mut text),
            _ => flate2::read::ZlibDecoder::new(&answer.body[..]).read_to_end(&mut text),
        }
        .unwrap();
        assert!(text == plain.body, "{coding}");
    }
    assert_eq!(site.send("GET", &target, &[("accept-encoding", "identity")]).await.header("content-encoding"), "");
}

#[tokio::test]
async fn metadata_of_what_is_asked_for() {
    let site = two();
    let whole = site.get(&series("/metadata")).await.json();
    let some = site.get(&series("/metadata?includefield=PatientName")).await.json();
    for (whole, some) in whole.as_array().unwrap().iter().zip(some.as_array().unwrap()) {
        let tags: Vec<&str> = some.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(tags, ["00080016", "00080018", "00100010", "0020000D", "0020000E"]);
        assert!(tags.iter().all(|tag| whole[tag] == some[tag]));
    }
    assert_eq!(site.get(&series("/metadata?includefield=all")).await.json(), whole);
}

#[tokio::test]
async fn searches_have_a_tag_and_take_lists() {
    let site = two();
    let answer = site.get("/dicom-web/instances?charset=utf-8").await;
    assert_eq!(answer.header("warning"), "");
    let held = site.send("GET", "/dicom-web/instances", &[("if-none-match", answer.header("etag"))]).await;
    assert_eq!((held.status, held.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let both = site.get("/dicom-web/instances?SOPInstanceUID=1.7.1&SOPInstanceUID=1.7.2").await.json();
    assert_eq!(both.as_array().map(Vec::len), Some(2));
    let nested = site.get("/dicom-web/series?RequestAttributesSequence.ScheduledProcedureStepID=none").await;
    assert_eq!((nested.header("warning"), nested.json().as_array().map(Vec::len)), ("", Some(0)));
}

#[tokio::test]
async fn an_instance_without_an_image_has_its_attributes_empty() {
    let report = Made::new("1.7.3", "1.2.840.10008.5.1.4.1.1.88.11", EXPLICIT).file();
    let rows = Site::of(&[report]).get("/dicom-web/instances").await.json();
    for tag in ["00280010", "00280011", "00280100"] {
        assert_eq!(rows[0][tag], serde_json::json!({"vr": "US"}), "{tag}");
    }
}

#[tokio::test]
async fn a_zip_of_dicom_files() {
    let site = two();
    for target in [made::path("1.7.1"), series(""), format!("/dicom-web/studies/{STUDY}")] {
        let answer = site.accept(&target, "application/zip").await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/zip"), "{target}");
        let mut zip = zip::ZipArchive::new(Cursor::new(answer.body.to_vec())).unwrap();
        assert_eq!(zip.len(), if target == made::path("1.7.1") { 1 } else { 2 });
        for n in 0..zip.len() {
            let mut entry = zip.by_index(n).unwrap();
            let name = entry.name().unwrap().into_owned();
            let sop = name.rsplit(['/', '.']).nth(1).unwrap();
            assert!(name.starts_with(&format!("{STUDY}/{SERIES}/1.7.")), "{name}");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert!(sop == "1" || sop == "2");
            let alone = site.accept(&made::path(&format!("1.7.{sop}")), "application/dicom; transfer-syntax=*").await;
            assert!(bytes == alone.body, "{target}");
        }
    }
    let coded = site.accept(&series(""), "application/zip; transfer-syntax=1.2.840.10008.1.2.4.80").await;
    let mut zip = zip::ZipArchive::new(Cursor::new(coded.body.to_vec())).unwrap();
    let mut bytes = Vec::new();
    zip.by_index(1).unwrap().read_to_end(&mut bytes).unwrap();
    let source = dicom::Source::from_bytes(bytes).unwrap();
    assert_eq!(source.facts().transfer_syntax.uid(), "1.2.840.10008.1.2.4.80");
    assert_eq!(site.accept(&made::path("1.7.9"), "application/zip").await.status, StatusCode::NOT_FOUND);
}

fn frames_of(file: &[u8], syntax: &str) -> Vec<Vec<u8>> {
    let source = dicom::Source::from_bytes(file.to_vec()).unwrap();
    assert_eq!(source.facts().transfer_syntax.uid(), syntax);
    let decode = |n| {
        let mut out = Vec::new();
        transcode::Decode::decode_frame(&source, n, &mut out).unwrap();
        out
    };
    (0..source.facts().frames).map(decode).collect()
}

#[tokio::test]
async fn instances_in_the_transfer_syntax_that_is_named() {
    let (file, frames) = made::three_frames("1.7.1", EXPLICIT);
    let site = Site::of(&[file, made::three_frames("1.7.2", EXPLICIT).0]);
    for syntax in ["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"] {
        let accept = format!("application/dicom; transfer-syntax={syntax}");
        let answer = site.accept(&made::path("1.7.1"), &accept).await;
        assert_eq!(answer.header("content-type"), format!("application/dicom;transfer-syntax={syntax}"));
        assert!(frames_of(&answer.body, syntax) == frames, "{syntax}");
        let range = [("accept", accept.as_str()), ("range", "bytes=132-599")];
        assert!(site.send("GET", &made::path("1.7.1"), &range).await.body == answer.body[132..600], "{syntax}");
        let all = site
            .accept(&series(""), &format!("multipart/related; type=\"application/dicom\"; transfer-syntax={syntax}"))
            .await;
        let parts = all.parts();
        assert_eq!(parts.len(), 2, "{syntax}");
        for (head, content) in parts {
            assert_eq!(head, format!("Content-Type: application/dicom;transfer-syntax={syntax}"));
            assert!(frames_of(&content, syntax) == frames, "{syntax}");
        }
    }
    let report = Made::new("1.7.4", "1.2.840.10008.5.1.4.1.1.88.11", EXPLICIT).file();
    let site = Site::of(&[report]);
    let refused = site.accept(&made::path("1.7.4"), "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80").await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn all_values_by_reference() {
    let bytes: Vec<u8> = (0..3000u32).map(|n| (n % 250) as u8).collect();
    let file = Made::new("1.7.5", SECONDARY, EXPLICIT)
        .bytes8(8, 8, 1, "MONOCHROME2", vec![7; 64])
        .bytes(0x0009_1001, VR::OB, bytes.clone())
        .with(0x0009_0010, VR::LO, "FIRSTLIGHT TEST")
        .file();
    let site = Site::of(&[file, made::three_frames("1.7.6", EXPLICIT).0]);
    let answer = site.get(&format!("{}/bulkdata", made::path("1.7.5"))).await;
    let parts = answer.parts();
    assert_eq!(parts.len(), 2);
    let (head, content) = parts.iter().find(|part| part.0.ends_with("/bulkdata/00091001")).expect("a place");
    assert!(head.starts_with("Content-Type: application/octet-stream\r\nContent-Location: http://"), "{head}");
    assert!(content == &bytes);
    for target in [series("/bulkdata"), format!("/dicom-web/studies/{STUDY}/bulkdata")] {
        assert_eq!(site.get(&target).await.parts().len(), 5, "{target}");
        assert_eq!(site.accept(&target, "text/html").await.status, StatusCode::NOT_ACCEPTABLE, "{target}");
    }
}

fn wado(more: &str) -> String {
    format!("/wado?requestType=WADO&studyUID={STUDY}&seriesUID={SERIES}&objectUID=1.7.7{more}")
}

fn size(answer: &Answer) -> (u32, u32) {
    let reader = png::Decoder::new(Cursor::new(&answer.body[..])).read_info().unwrap();
    (reader.info().width, reader.info().height)
}

#[tokio::test]
async fn one_object_by_a_query() {
    let ramp = (0..200 * 100u32).map(|n| (n % 200) as u8).collect();
    let file = Made::new("1.7.7", CT, EXPLICIT).bytes8(200, 100, 1, "MONOCHROME2", ramp).file();
    let site = Site::of(&[file]);
    for place in ["", "/dicom-web"] {
        let image = site.get(&format!("{place}{}", wado(""))).await;
        assert_eq!((image.status, image.header("content-type")), (StatusCode::OK, "image/jpeg"), "{place}");
    }
    let root = site.get(&wado("").replace("/wado", "/dicom-web")).await;
    assert_eq!(root.header("content-type"), "image/jpeg", "at the root");
    let png = "&contentType=image%2Fpng";
    for (more, expected) in [
        ("", (200, 100)),
        ("&rows=50", (100, 50)),
        ("&columns=20&rows=20", (20, 10)),
        ("&region=0,0,0.5,1", (100, 100)),
    ] {
        assert_eq!(size(&site.get(&wado(&format!("{png}{more}"))).await), expected, "{more}");
    }
    let windowed = site.get(&wado(&format!("{png}&windowCenter=100&windowWidth=2"))).await;
    assert_ne!(windowed.body, site.get(&wado(png)).await.body);
    let file = site.get(&wado("&contentType=application%2Fdicom")).await;
    assert_eq!(file.header("content-type"), "application/dicom;transfer-syntax=1.2.840.10008.1.2.1");
    let coded = site.get(&wado("&contentType=application%2Fdicom&transferSyntax=1.2.840.10008.1.2.4.80")).await;
    assert_eq!(coded.header("content-type"), "application/dicom;transfer-syntax=1.2.840.10008.1.2.4.80");
    for (target, status) in [
        (wado("&frameNumber=2"), 404),
        (wado("&frameNumber=0"), 400),
        (wado("&anonymize=yes"), 400),
        (wado("&contentType=text%2Fhtml"), 406),
        (wado("").replace("WADO", "x"), 400),
        ("/wado?requestType=WADO&studyUID=1.2".to_owned(), 400),
        (wado("").replace("1.7.7", "1.7.8"), 404),
        (wado("").replace("1.7.7", "x"), 400),
    ] {
        assert_eq!(site.get(&target).await.status.as_u16(), status, "{target}");
    }
}

#[tokio::test]
async fn what_the_server_can_do() {
    let site = Site::of(&[]);
    let reads = "GET, HEAD, OPTIONS";
    for (path, allowed) in
        [("/dicom-web", reads), ("/dicom-web/series", reads), (&made::path("1.1"), "DELETE, GET, HEAD, OPTIONS")]
    {
        let answer = site.send("OPTIONS", path, &[]).await;
        assert_eq!((answer.status, answer.header("allow")), (StatusCode::OK, allowed), "{path}");
        assert!(answer.text().contains("<resource path=\"studies/{study}\">"), "{path}");
    }
    for path in ["/dicom-web/", "/dicom-web/capabilities"] {
        let json = site.accept(path, "application/json").await.json();
        assert!(json["openapi"].as_str().unwrap().starts_with("3.1"), "{path}");
        assert_eq!(
            site.accept(path, "application/vnd.sun.wadl+xml").await.header("content-type"),
            "application/vnd.sun.wadl+xml"
        );
        assert_eq!(site.accept(path, "image/png").await.status, StatusCode::NOT_ACCEPTABLE);
    }
    let site = Site::with(&[], |config| config.allowed_origins = vec!["https://viewer.example.org".into()]);
    let preflight = [("origin", "https://viewer.example.org"), ("access-control-request-method", "GET")];
    assert_eq!(site.send("OPTIONS", "/dicom-web/studies", &preflight).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn images_at_a_lower_resolution() {
    let ramp = |sop: &str| {
        let pixels = (0..256 * 128u32).map(|n| (n % 256 * 16) as u16).collect();
        Made::new(sop, CT, EXPLICIT)
            .grey16(256, 128, &[pixels])
            .with(0x0008_0008, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL")
            .with(0x0028_0030, VR::DS, "0.5\\0.25")
            .words(0x0028_0106, VR::US, vec![0])
    };
    let padded = ramp("1.7.13").words(0x0028_0120, VR::US, vec![0]).file();
    let site = Site::of(&[ramp("1.7.11").file(), ramp("1.7.12").file(), padded]);
    let target = format!("{}?level=2", made::path("1.7.11"));
    let answer = site.accept(&target, "application/dicom").await;
    assert_eq!(answer.header("content-type"), "application/dicom;transfer-syntax=1.2.840.10008.1.2.1");
    let read = dicom_object::from_reader(&answer.body[128..]).unwrap();
    let text = |group, element| {
        let element = read.element(dicom_core::Tag(group, element)).unwrap();
        element.to_str().unwrap().trim_end_matches(['\0', ' ']).to_owned()
    };
    assert_eq!((text(0x0028, 0x0011), text(0x0028, 0x0010)), ("64".into(), "32".into()));
    assert_eq!(text(0x0028, 0x0030), "2\\1");
    assert_eq!(text(0x0008, 0x0008), "DERIVED\\PRIMARY\\AXIAL\\RESAMPLED");
    let (uid, series_uid) = (transcode::reduced_uid("1.7.11", 2), transcode::reduced_uid(SERIES, 2));
    assert_eq!((text(0x0008, 0x0018), text(0x0020, 0x000E)), (uid.clone(), series_uid));
    assert_eq!(read.meta().media_storage_sop_instance_uid.trim_end_matches('\0'), uid);
    assert!(read.element(dicom_core::Tag(0x0028, 0x0106)).is_err());
    let sources = read.element(dicom_core::Tag(0x0008, 0x2112)).unwrap().items().unwrap();
    let source = sources[0].element(dicom_core::Tag(0x0008, 0x1155)).unwrap().to_str().unwrap().into_owned();
    assert_eq!(source.trim_end_matches('\0'), "1.7.11");
    let frames = frames_of(&answer.body, EXPLICIT);
    let row: Vec<u16> = frames[0].as_chunks().0.iter().take(64).map(|pair| u16::from_le_bytes(*pair)).collect();
    for (x, sample) in row.iter().enumerate().take(60) {
        assert!(i32::from(*sample).abs_diff(x as i32 * 64) <= 8, "{sample} at {x}: a ramp stays one, and where it was");
    }
    let held = [("accept", "application/dicom"), ("if-none-match", answer.header("etag"))];
    assert_eq!(site.send("GET", &target, &held).await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(
        site.accept(&series("?level=2"), "multipart/related; type=\"application/dicom\"").await.parts().len(),
        2
    );
    let zipped = site.accept(&series("?level=1"), "application/zip").await;
    assert_eq!(zip::ZipArchive::new(Cursor::new(zipped.body.to_vec())).unwrap().len(), 2);
    for (target, status) in [
        (format!("{}?level=1", made::path("1.7.13")), 406),
        (format!("{}?level=9", made::path("1.7.11")), 406),
        (format!("{}?level=x", made::path("1.7.11")), 400),
        (format!("{}?level=1", made::path("1.7.19")), 404),
    ] {
        assert_eq!(site.accept(&target, "application/dicom").await.status.as_u16(), status, "{target}");
    }
    let whole = site.accept(&format!("{}?level=0", made::path("1.7.11")), "application/dicom").await;
    assert!(whole.body == site.accept(&made::path("1.7.11"), "application/dicom").await.body);
}

#[tokio::test]
async fn a_search_gives_anything_that_is_stored() {
    let file = Made::new("1.7.21", CT, EXPLICIT)
        .grey16(2, 2, &[vec![0, 1, 2, 3]])
        .with(0x0018_0060, VR::DS, "120")
        .with(0x0009_0010, VR::LO, "FIRSTLIGHT TEST")
        .with(0x0009_1001, VR::LO, "private")
        .file();
    let site = Site::of(&[file]);
    let row = async |query: &str| site.get(&format!("/dicom-web/instances{query}")).await.json()[0].clone();
    let plain = row("").await;
    assert!(plain.get("00180060").is_none() && plain.get("00091001").is_none());
    let some = row("?includefield=KVP&includefield=00091001").await;
    assert_eq!(some["00180060"]["Value"][0].as_f64(), Some(120.0));
    assert_eq!(some["00091001"]["Value"][0], "private");
    assert!(some.get("00090010").is_none(), "and nothing else");
    let all = row("?includefield=all").await;
    let metadata = site.get(&format!("{}/metadata", made::path("1.7.21"))).await.json()[0].clone();
    for (tag, attribute) in metadata.as_object().unwrap() {
        assert!(all.get(tag).is_some() || attribute.get("BulkDataURI").is_some(), "{tag}");
    }
    assert!(all.get("7FE00010").is_none());
}
