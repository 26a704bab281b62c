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

/// An instance whose frame is no JPEG-LS, whatever it says.
fn broken(sop: &str) -> Vec<u8> {
    made::Made::new(sop, made::SECONDARY, made::JPEG_LS)
        .fragments(8, 8, &[vec![[made::JPEG_START, &[1; 86]].concat()]])
        .file()
}

#[tokio::test]
async fn compressed_instances_can_be_had_uncompressed() {
    let (file, frames) = made::three_frames("1.4.1", EXPLICIT);
    let site = Site::of(&[file]);
    let policy = "[[rule]]\nname = \"all\"\nthen = { transfer_syntax = \"htj2k-lossless-rpcl\" }";
    let policy = transcode::Policy::parse(policy).unwrap();
    let done = site.archive.convert_pending(&policy, 1, &std::sync::atomic::AtomicBool::new(false), &|_| {}).unwrap();
    assert_eq!(done.converted, 1, "{done:?}");
    let target = made::path("1.4.1");
    let stored = site.accept(&target, "application/dicom").await;
    assert_eq!(stored.header("content-type"), "application/dicom;transfer-syntax=1.2.840.10008.1.2.4.202");
    let study = format!("/dicom-web/studies/{STUDY}");
    for (target, accept) in [
        (&target, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"),
        (
            &target,
            "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90, application/dicom; transfer-syntax=1.2.840.10008.1.2.1;q=0.5",
        ),
        (&target, "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.1"),
        (&study, "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.1"),
    ] {
        let answer = site.accept(target, accept).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept}");
        let body = match answer.header("content-type") {
            "application/dicom;transfer-syntax=1.2.840.10008.1.2.1" => answer.body.clone(),
            _ => answer.part().1,
        };
        let read = dicom_object::from_reader(&body[128..]).unwrap();
        assert_eq!(read.meta().transfer_syntax.trim_end_matches('\0'), EXPLICIT);
        let pixels = read.element(Tag(0x7FE0, 0x0010)).unwrap().to_bytes().unwrap();
        assert!(pixels[..] == frames.concat(), "{accept}");
        assert_ne!(answer.header("etag"), stored.header("etag"));
        let piece = site.send("GET", target, &[("accept", accept), ("range", "bytes=300-17999")]).await;
        assert_eq!(piece.status, StatusCode::PARTIAL_CONTENT);
        assert!(piece.body == answer.body[300..18_000], "ranges of what is made");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    }
    let apart = site.accept(&target, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1.98").await;
    assert_eq!(apart.header("content-type"), "application/dicom;transfer-syntax=1.2.840.10008.1.2.1.98");
    let refused = site.accept(&target, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90").await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
}

/// More than is made whole: it is made while it is sent.
#[tokio::test]
async fn a_large_instance_is_made_while_it_is_sent() {
    let frames: Vec<Vec<u16>> = (0..30u16).map(|f| (0..1024 * 512u32).map(|n| (n as u16) ^ f).collect()).collect();
    let file = made::Made::new("1.4.1", made::CT, IMPLICIT).grey16(1024, 512, &frames).file();
    let site = Site::of(&[file]);
    let answer = site.accept(&made::path("1.4.1"), "application/dicom").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.len() > 30 << 20);
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    let samples: Vec<u8> = frames.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    assert!(answer.body.ends_with(&samples));
    let range = [("accept", "application/dicom"), ("range", "bytes=10000001-10000100")];
    let piece = site.send("GET", &made::path("1.4.1"), &range).await;
    assert!(piece.body == answer.body[10_000_001..10_000_101]);
}

#[tokio::test]
async fn one_bad_instance_hides_no_other() {
    let good = made::three_frames("1.4.1", EXPLICIT).0;
    let site = Site::of(&[good, broken("1.4.2")]);
    let study = format!("/dicom-web/studies/{STUDY}");
    let uncompressed = "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.1";
    let answer = site.accept(&study, uncompressed).await;
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.parts().len(), 1);
    assert!(
        answer.header("warning").starts_with("299 firstlight \"1 of 2 instances are not in this answer: "),
        "{answer:?}"
    );
    assert_eq!(answer.header("content-range"), "");
    let all = site.accept(&study, "multipart/related; type=\"application/dicom\"; transfer-syntax=*").await;
    assert_eq!((all.status, all.parts().len()), (StatusCode::OK, 2));
    let alone = site.accept(&made::path("1.4.2"), "application/dicom; transfer-syntax=1.2.840.10008.1.2.1").await;
    assert_eq!(alone.status, StatusCode::NOT_ACCEPTABLE);
    assert!(alone.text().contains("transfer-syntax=*"), "{}", alone.text());
    let frame = site
        .accept(
            &format!("{}/frames/1", made::path("1.4.2")),
            "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
        )
        .await;
    assert_eq!(frame.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_object_that_is_gone_leaves_a_hole() {
    let files = ["1.4.1", "1.4.2"].map(|sop| made::three_frames(sop, EXPLICIT).0);
    let site = Site::of(&files);
    let instance = site.archive.instance(STUDY, SERIES, "1.4.1").unwrap().unwrap();
    let gone =
        walk(site.folder()).into_iter().find(|path| path.to_string_lossy().contains(&instance.object_id[4..])).unwrap();
    std::fs::remove_file(gone).unwrap();
    let answer = site.get(&format!("/dicom-web/studies/{STUDY}")).await;
    assert_eq!((answer.status, answer.parts().len()), (StatusCode::PARTIAL_CONTENT, 1));
    let told = "1 of 2 instances are not in this answer: ";
    let zipped = site.accept(&format!("/dicom-web/studies/{STUDY}"), "text/html, application/zip").await;
    assert_eq!((zipped.status, zipped.header("content-type")), (StatusCode::PARTIAL_CONTENT, "application/zip"));
    assert!(zipped.header("warning").contains(told));
    let zip = zip::ZipArchive::new(std::io::Cursor::new(zipped.body.to_vec())).unwrap();
    assert!(zip.len() == 1 && String::from_utf8_lossy(zip.comment()).starts_with(told));
    let coded = "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.4.80";
    let coded = site.accept(&format!("/dicom-web/studies/{STUDY}"), coded).await;
    assert_eq!((coded.status, coded.parts().len()), (StatusCode::PARTIAL_CONTENT, 1));
    assert!(coded.header("warning").contains(told));
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn what_has_no_preamble_gets_one() {
    let whole = made::three_frames("1.4.1", EXPLICIT).0;
    let site = Site::of(&[whole[132..].to_vec()]);
    let answer = site.accept(&made::path("1.4.1"), "application/dicom; transfer-syntax=*").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(&answer.body[128..132], b"DICM");
    let read = dicom_object::from_reader(&answer.body[128..]).unwrap();
    assert_eq!(read.meta().media_storage_sop_instance_uid.trim_end_matches('\0'), "1.4.1");
    let data_set = whole.len() - 3 * 64 * 48 * 2 - 200;
    assert!(answer.body.ends_with(&whole[data_set..]), "the data set is as received");
}
