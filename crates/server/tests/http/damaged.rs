//! Frames beside others that are missing, cut, or not what the file says: each is answered for itself, and no fault of a file is one of
//! the server.

use crate::made::{self, EXPLICIT, JPEG_LS, Made, SECONDARY};
use crate::site::Site;
use axum::http::StatusCode;
use testkit::report;

const SAMPLES: [(&str, &str); 1] =
    [("accept", "multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1")];

/// What each frame, the rendered image and the thumbnail of the one instance are answered with.
async fn statuses(site: &Site, frames: u32) -> (Vec<u16>, Vec<u16>, [u16; 2]) {
    let row = site.get("/dicom-web/instances").await.json()[0].clone();
    let uid = |tag: &str| row[tag]["Value"][0].as_str().unwrap().to_owned();
    let path =
        format!("/dicom-web/studies/{}/series/{}/instances/{}", uid("0020000D"), uid("0020000E"), uid("00080018"));
    let (mut stored, mut decoded) = (Vec::new(), Vec::new());
    for n in 1..=frames {
        let answer = site.get(&format!("{path}/frames/{n}")).await;
        if answer.status == StatusCode::NOT_FOUND {
            assert!(answer.header("x-reason").len() > 10, "a reason");
        }
        stored.push(answer.status.as_u16());
        decoded.push(site.send("GET", &format!("{path}/frames/{n}"), &SAMPLES).await.status.as_u16());
    }
    let rendered = site.get(&format!("{path}/rendered")).await.status.as_u16();
    (stored, decoded, [rendered, site.get(&format!("{path}/thumbnail")).await.status.as_u16()])
}

#[tokio::test]
async fn reported_files() {
    let ok = 200;
    let whole = vec![ok; 4];
    let last_missing = vec![ok, ok, ok, 404];
    for (name, frames) in [
        ("rle_last_fragment_empty", &whole),
        ("jpeg_first_fragment_empty", &whole),
        ("one_frame_missing", &last_missing),
        ("native_cut", &last_missing),
        ("number_of_frames_missing", &vec![ok, 404]),
        ("native_under_jpeg", &vec![ok]),
        ("jpeg_under_explicit", &vec![ok]),
    ] {
        let Some(file) = report(&format!("frames/{name}.dcm")) else { return };
        let site = Site::of(&[file]);
        let found = statuses(&site, frames.len() as u32).await;
        assert_eq!(found, (frames.clone(), frames.clone(), [ok, ok]), "{name}");
    }
    let Some(file) = report("convert/cv-rgb-one-third.dcm") else { return };
    let found = statuses(&Site::of(&[file]), 1).await;
    assert_eq!(found, (vec![404], vec![404], [404, 404]));
}

#[tokio::test]
async fn samples_under_a_compressed_syntax_are_samples_on_the_wire() {
    let Some(file) = report("frames/native_under_jpeg.dcm") else { return };
    let site = Site::of(&[file]);
    let row = site.get("/dicom-web/instances").await.json()[0].clone();
    let path = row["00081190"]["Value"][0].as_str().unwrap().to_owned();
    let path = &path[path.find("/dicom-web").unwrap()..];
    let answer = site.get(&format!("{path}/frames/1")).await;
    let (head, _) = answer.part();
    assert_eq!(head, "Content-Type: application/octet-stream;transfer-syntax=1.2.840.10008.1.2.1");
}

/// Compressed frames that can't be told apart, and ones that no decoder reads: asked for as samples they are 404, not 500.
#[tokio::test]
async fn what_can_not_be_decoded_is_not_found() {
    let noise = |n: u8| vec![vec![n; 40], vec![n; 40]];
    let site = Site::of(&[
        Made::new("1.1.1", SECONDARY, JPEG_LS).fragments(8, 8, &[vec![[made::JPEG_START, &[1; 96]].concat()]]).file(),
        Made::new("1.1.2", SECONDARY, "1.2.840.10008.1.2.8.1").fragments(8, 8, &[noise(1), noise(2)]).file(),
        Made::new("1.1.3", SECONDARY, EXPLICIT).bytes8(8, 8, 1, "MONOCHROME2", Vec::new()).file(),
    ]);
    for sop in ["1.1.1", "1.1.2", "1.1.3"] {
        let answer = site.send("GET", &format!("{}/frames/1", made::path(sop)), &SAMPLES).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{sop}");
        assert!(!answer.header("x-reason").is_empty(), "{sop}");
    }
}

#[tokio::test]
async fn an_answer_of_many_says_what_it_lacks() {
    let Some(file) = report("frames/one_frame_missing.dcm") else { return };
    let site = Site::of(&[file]);
    let path = site.get("/dicom-web/instances").await.json()[0]["00081190"]["Value"][0].as_str().unwrap().to_owned();
    let path = path.split_once("/dicom-web").map(|(_, path)| format!("/dicom-web{path}")).unwrap();
    let study = path.split("/series/").next().unwrap();
    for target in [format!("{path}/pixeldata"), format!("{study}/pixeldata"), format!("{path}/bulkdata")] {
        let answer = site.get(&target).await;
        let told = answer.header("warning");
        assert_eq!((answer.status, answer.parts().len()), (StatusCode::PARTIAL_CONTENT, 3), "{target}");
        assert!(told.starts_with("299 firstlight \"1 ") && told.contains("not in this answer"), "{target}: {told}");
        assert_eq!(answer.header("content-range"), "", "no range was asked for");
    }
    let several = site.get(&format!("{path}/frames/1,4")).await;
    assert_eq!(several.status, StatusCode::NOT_FOUND, "a list of which one is missing is refused, with the reason");
    assert!(several.header("x-reason").len() > 10);
}

#[tokio::test]
async fn what_turns_out_to_be_damaged_is_told_at_the_end() {
    // The first image is whole, the second can't be decoded.
    let whole = Made::new("1.8.1", SECONDARY, EXPLICIT).grey16(8, 8, &[vec![1; 64]]).file();
    let damaged = Made::new("1.8.2", SECONDARY, JPEG_LS).coded16(8, 8, vec![0xff, 0xd8, 0xff, 0xf7, 0, 0]).file();
    let site = Site::of(&[whole, damaged]);
    let answer = site.accept(&format!("/dicom-web/studies/{}/rendered", made::STUDY), "image/png").await;
    assert_eq!((answer.status, answer.header("trailer")), (StatusCode::OK, "Warning"));
    let text = String::from_utf8_lossy(&answer.body);
    let (_, behind) = text.rsplit_once("--\r\n").unwrap();
    assert!(behind.starts_with("1 parts are not in this answer: "), "{behind}");
}
