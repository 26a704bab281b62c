//! What goes out: every form of every kind of source is read back with the same values and samples.

mod common;

use common::*;
use dicom::{Error, Source, Tag, Value, Vr};
use transcode::{Outgoing, OutgoingForm, sound_file_meta};

const EXPLICIT: &str = "1.2.840.10008.1.2.1";

fn out(source: Source, form: OutgoingForm) -> Vec<u8> {
    let mut outgoing = Outgoing::new(source, form).unwrap();
    let mut bytes = Vec::new();
    outgoing.copy_to(&mut bytes).unwrap();
    assert_eq!(outgoing.len(), bytes.len() as u64, "its length was known");
    assert_eq!(sound_file_meta(&bytes), Some(outgoing.transfer_syntax()));
    // Any part reads as the whole does.
    for (from, to) in [(0, 1), (100, 140), (bytes.len() / 2, bytes.len() / 2 + 7), (bytes.len() - 3, bytes.len())] {
        let mut part = vec![0; to - from];
        outgoing.read_at(from as u64, &mut part).unwrap();
        assert_eq!(part, bytes[from..to], "{from}..{to}");
    }
    bytes
}

fn text(source: &Source, group: u16, element: u16) -> Vec<String> {
    source.data_set().strings(Tag(group, element))
}

#[test]
fn a_value_that_is_too_long_for_its_vr_goes_as_un() {
    let mut made = Made::image(Form::Implicit, 1, 2, 8, 8, false);
    let contour = vec!["-12.345"; 10_000].join("\\");
    // In an item, too.
    let mut inner = Made::new(Form::Implicit);
    inner.text(0x3006, 0x0050, "DS", &contour);
    made.head(0x3006, 0x0039, "SQ", inner.body.len() as u32 + 8).item(0xE000, inner.body.len() as u32);
    made.body.extend_from_slice(&inner.body);
    made.text(0x0020, 0x4000, "LT", &"x".repeat(66_500)).element(0x7FE0, 0x0010, "OW", &[1, 2]);
    let written = Source::from_bytes(out(made.source(), OutgoingForm::Explicit)).unwrap();
    let comment = written.data_set().get(Tag(0x0020, 0x4000)).unwrap();
    assert_eq!((comment.vr, comment.known_vr()), (Vr::UN, Vr::LT));
    let item = &written.data_set().get(Tag(0x3006, 0x0039)).unwrap().items().unwrap()[0];
    let element = item.get(Tag(0x3006, 0x0050)).unwrap();
    assert_eq!(element.vr, Vr::UN);
    assert_eq!(written.data_set().text(element).len(), 10_000);
    let json = written.dicom_json(&|path| path.to_owned()).unwrap();
    assert_eq!(json["30060039"]["Value"][0]["30060050"]["Value"].as_array().unwrap().len(), 10_000);
}

#[test]
fn files_without_meta_or_preamble_get_them() {
    for form in [Form::Explicit, Form::Implicit, Form::Big] {
        let mut made = Made::image(form, 2, 2, 16, 12, false);
        let pixels: &[u8] = if form == Form::Big { &[0, 1, 0, 2, 0, 3, 0, 4] } else { &[1, 0, 2, 0, 3, 0, 4, 0] };
        made.element(0x7FE0, 0x0010, "OW", pixels);
        let file = made.file();
        let meta = 8 + made.syntax.len() + made.syntax.len() % 2;
        for bare in [file[132 + meta..].to_vec(), file[128..].to_vec(), file[132..].to_vec(), file.clone()] {
            assert_eq!(sound_file_meta(&bare), None, "a group 0002 without its length is not sound");
            let open = || Source::from_bytes(bare.clone()).unwrap();
            let explicit = Source::from_bytes(out(open(), OutgoingForm::Explicit)).unwrap();
            assert_eq!(explicit.facts().transfer_syntax.uid(), EXPLICIT);
            assert_eq!(samples_sha256(&explicit).unwrap(), samples_sha256(&open()).unwrap());
            let stored = out(open(), OutgoingForm::Stored);
            assert!(stored.ends_with(&made.body), "the data set is as it is stored");
            assert_eq!(Source::from_bytes(stored).unwrap().facts().transfer_syntax.uid(), made.syntax);
        }
    }
}

#[test]
fn a_title_of_blanks_is_none() {
    let mut made = Made::image(Form::Implicit, 1, 2, 8, 8, false);
    made.meta(0x0016, "AE", &" ".repeat(18)).element(0x7FE0, 0x0010, "OW", &[1, 2]);
    let written = Source::from_bytes(out(made.source(), OutgoingForm::Explicit)).unwrap();
    assert_eq!(written.facts().source_ae, "");
}

#[test]
fn a_code_where_the_dictionary_has_a_sequence_stays_a_code() {
    let mut made = Made::image(Form::Implicit, 1, 2, 8, 8, false);
    made.text(0x0040, 0xA170, "CS", "NAMED TYPE").text(0x0040, 0xA730, "SQ", "no items here ");
    let source = made.source();
    let json = source.dicom_json(&|path| path.to_owned()).unwrap();
    assert_eq!(json["0040A170"], serde_json::json!({"vr": "CS", "Value": ["NAMED TYPE"]}));
    assert_eq!(json["0040A730"]["vr"], "UN");
    let written = Source::from_bytes(out(source, OutgoingForm::Explicit)).unwrap();
    assert_eq!(text(&written, 0x0040, 0xA170), ["NAMED TYPE"]);
    assert_eq!(
        written.data_set().bytes(written.data_set().get(Tag(0x0040, 0xA730)).unwrap()).unwrap(),
        &b"no items here "[..]
    );
}

/// Elements as Implicit VR Little Endian, in one item.
fn item(elements: &dyn Fn(&mut Made)) -> Vec<u8> {
    let mut inner = Made::new(Form::Implicit);
    elements(&mut inner);
    let mut item = Made::new(Form::Implicit);
    item.item(0xE000, inner.body.len() as u32);
    item.body.extend_from_slice(&inner.body);
    item.body
}

#[test]
fn a_sequence_in_un_is_a_sequence_to_who_reads_and_bytes_to_who_writes() {
    let window = item(&|made| {
        made.text(0x0028, 0x1050, "DS", "500 ").text(0x0028, 0x1051, "DS", "1000");
    });
    let groups = item(&|made| {
        made.element(0x0028, 0x9132, "SQ", &window);
    });
    let private = item(&|made| {
        made.text(0x0009, 0x0010, "LO", "ACME").text(0x0009, 0x1001, "UN", "ab");
    });
    let unordered = item(&|made| {
        made.text(0x0011, 0x1001, "UN", "ab").text(0x0009, 0x0010, "LO", "ACME");
    });
    let mut made = Made::image(Form::Explicit, 1, 2, 8, 8, true);
    made.element(0x0028, 0x0120, "UN", &[0xFE, 0xFF]);
    made.element(0x5200, 0x9230, "UN", &groups).element(0x5200, 0x9229, "UN", b"\xFE\xFF\0\xE0\x08\0\0\0abc");
    made.element(0x0009, 0x1002, "UN", &private).element(0x0009, 0x1003, "UN", &unordered);
    made.element(0x7FE0, 0x0010, "OB", &[1, 2]);
    let source = made.source();
    let json = source.dicom_json(&|path| path.to_owned()).unwrap();
    assert_eq!(json["00280120"], serde_json::json!({"vr": "SS", "Value": [-2]}), "Pixel Representation decides");
    let voi = &json["52009230"]["Value"][0]["00289132"];
    assert_eq!((&json["52009230"]["vr"], &voi["vr"]), (&"SQ".into(), &"SQ".into()));
    assert_eq!(voi["Value"][0]["00281051"]["Value"][0], 1000);
    assert_eq!(json["52009229"]["vr"], "UN", "it does not parse");
    assert_eq!(json["00091002"]["Value"][0]["00091001"]["InlineBinary"], "YWI=");
    assert_eq!(json["00091003"]["vr"], "UN", "nobody says that it is a sequence, and it does not look like one");
    assert_eq!(source.bulk("00091002/0/00091001").unwrap().unwrap().bytes, b"ab");
    let written = out(source, OutgoingForm::Stored);
    assert!(written.ends_with(&made.body), "as it is stored");
    let explicit = out(made.source(), OutgoingForm::Explicit);
    assert!(explicit.ends_with(&made.body), "the same bytes in Explicit VR");
    assert!(matches!(made.source().data_set().get(Tag(0x5200, 0x9230)).unwrap().value, Value::Bytes { .. }));
}

#[test]
fn sequences_in_un_may_nest_without_end() {
    let mut value = b"ab".to_vec();
    for _ in 0..2000 {
        let inner = value.clone();
        value = item(&|made| {
            made.element(0x0009, 0x1001, "UN", &inner);
        });
    }
    let mut made = Made::image(Form::Explicit, 1, 2, 8, 8, true);
    made.element(0x0009, 0x1001, "UN", &value).element(0x7FE0, 0x0010, "OB", &[1, 2]);
    let source = made.source();
    assert!(source.dicom_json(&|path| path.to_owned()).is_ok());
    assert!(out(source, OutgoingForm::Explicit).ends_with(&made.body));
}

#[test]
fn compressed_frames_are_decoded_and_named_for_what_they_are() {
    for (policy, form) in [
        ("default", OutgoingForm::Explicit),
        ("htj2k-all", OutgoingForm::Explicit),
        ("htj2k-all", OutgoingForm::Encapsulated),
    ] {
        let mut made = Made::new(Form::Explicit);
        made.text(8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.7\0").text(8, 0x18, "UI", "1.2\0").number(0x28, 2, 3);
        made.text(0x28, 4, "CS", "RGB ")
            .number(0x28, 6, 0)
            .text(0x28, 8, "IS", "3 ")
            .number(0x28, 0x10, 5)
            .number(0x28, 0x11, 7);
        made.number(0x28, 0x100, 8).number(0x28, 0x101, 8).number(0x28, 0x102, 7).number(0x28, 0x103, 0);
        let samples: Vec<u8> = noise(3 * 3 * 35 + 1, 8).iter().map(|v| *v as u8).collect();
        made.element(0x7FE0, 0x0010, "OB", &[&samples[..315], &[0]].concat());
        let native = made.source();
        let compressed = converted(&native, policy);
        assert_ne!(compressed.facts().transfer_syntax.uid(), EXPLICIT);
        let bytes = out(compressed, form);
        let written = Source::from_bytes(bytes).unwrap();
        let uid = if form == OutgoingForm::Explicit { EXPLICIT } else { "1.2.840.10008.1.2.1.98" };
        assert_eq!((written.facts().transfer_syntax.uid(), &*written.facts().photometric), (uid, "RGB"));
        assert_eq!(samples_sha256(&written).unwrap(), samples_sha256(&native).unwrap(), "{policy}");
    }
}

#[test]
fn an_icon_is_decoded_too() {
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    let source = converted(&made.element(0x7FE0, 0x0010, "OB", &[9, 8, 7, 6]).source(), "default");
    let mut stream = Vec::new();
    source.read_frame(0, &mut stream).unwrap();
    stream.resize(stream.len().next_multiple_of(2), 0);
    let mut icon = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    icon.fragments(&[&[], &stream]);
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    made.syntax = "1.2.840.10008.1.2.4.80";
    made.head(0x88, 0x0200, "SQ", u32::MAX).item(0xE000, u32::MAX);
    made.body.extend_from_slice(&icon.body);
    made.item(0xE00D, 0).item(0xE0DD, 0).fragments(&[&[], &stream]);
    let written = Source::from_bytes(out(made.source(), OutgoingForm::Explicit)).unwrap();
    assert_eq!(written.bulk("00880200/0/7FE00010").unwrap().unwrap().bytes, [9, 8, 7, 6]);
    assert_eq!(samples_sha256(&written).unwrap(), samples_sha256(&source).unwrap());
}

#[test]
fn what_cannot_be_given_uncompressed_says_why() {
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    made.syntax = "1.2.840.10008.1.2.4.80";
    made.fragments(&[&[], &[0xFF, 0xD8, 0xFF, 0xF7, 1, 1]]);
    let mut broken = Outgoing::new(made.source(), OutgoingForm::Explicit).unwrap();
    assert!(broken.check(1).is_err(), "told before anything is sent");
    assert!(broken.read_at(broken.len() - 2, &mut [0; 2]).is_err());
    // 65,535 x 65,535 x 2 bytes do not fit into a value.
    let mut huge = Made::image(Form::Explicit, 65_535, 65_535, 16, 16, false);
    huge.syntax = "1.2.840.10008.1.2.4.80";
    huge.fragments(&[&[], &[0xFF, 0xD8, 0xFF, 0xF7, 1, 1]]);
    let error = Outgoing::new(huge.source(), OutgoingForm::Explicit).unwrap_err();
    assert!(matches!(&error, Error::Unsupported(what) if what.contains("1.2.840.10008.1.2.1.98")), "{error}");
    let mut video = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    video.syntax = "1.2.840.10008.1.2.4.102";
    video.fragments(&[&[], &[0, 0, 0, 1]]);
    assert!(Outgoing::new(video.source(), OutgoingForm::Explicit).unwrap_err().to_string().contains("video"));
}

#[test]
fn a_deflated_data_set_may_have_a_zlib_header() {
    use std::io::Write;
    let mut made = Made::image(Form::Explicit, 1, 2, 8, 8, false);
    made.syntax = "1.2.840.10008.1.2.1.99";
    made.element(0x7FE0, 0x0010, "OB", &[1, 2]);
    let body = std::mem::take(&mut made.body);
    let file = |deflated: Vec<u8>| [made.file(), deflated].concat();
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    raw.write_all(&body).unwrap();
    let raw = raw.finish().unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(&body).unwrap();
    let mut stored = vec![0x78, body.len() as u8, (body.len() >> 8) as u8, !body.len() as u8, (!body.len() >> 8) as u8];
    stored.extend_from_slice(&body);
    stored.extend_from_slice(&[3, 0]);
    for deflated in [raw.clone(), zlib.finish().unwrap(), stored] {
        let source = Source::from_bytes(file(deflated)).unwrap();
        let expected = samples_sha256(&source).unwrap();
        let bytes = out(source, OutgoingForm::Stored);
        let again = Source::from_bytes(bytes).unwrap();
        assert_eq!(samples_sha256(&again).unwrap(), expected, "without the header it goes out");
        let explicit = Source::from_bytes(out(again, OutgoingForm::Explicit)).unwrap();
        assert_eq!(samples_sha256(&explicit).unwrap(), expected);
    }
}

#[test]
fn a_document_ends_where_it_says() {
    let with = |length: Option<u32>, mime: &str, value: &[u8]| {
        let mut made = Made::new(Form::Explicit);
        made.text(8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.104.1\0").element(0x42, 0x11, "OB", value);
        made.text(0x42, 0x12, "LO", mime);
        if let Some(length) = length {
            made.element(0x42, 0x15, "UL", &length.to_le_bytes());
        }
        let bulk = made.source().bulk("00420011").unwrap().unwrap();
        (bulk.bytes, bulk.media_type)
    };
    let pdf = b"%PDF-1.4\n%%EOF\n\0";
    let kind = |bytes: &[u8], media: &str| (bytes.to_vec(), media.to_owned());
    assert_eq!(with(Some(15), "application/pdf ", pdf), kind(&pdf[..15], "application/pdf"));
    assert_eq!(with(None, "application/pdf ", pdf), kind(&pdf[..15], "application/pdf"));
    assert_eq!(with(Some(9), "application/pdf ", pdf), kind(&pdf[..15], "application/pdf"), "a length that can't be");
    assert_eq!(with(Some(16), "application/pdf ", pdf), kind(pdf, "application/pdf"));
    assert_eq!(with(Some(3), "text/XML", b"<a>\0"), kind(b"<a>", "text/xml"));
    assert_eq!(with(None, "", b"ab"), kind(b"ab", "application/pdf"), "its class says it");
    assert_eq!(with(None, "application/x-thing", b"a\0"), kind(b"a\0", "application/x-thing"));
}

/// Every file of the corpus that can be decoded goes out in Explicit VR Little Endian with the samples of the reference.
#[test]
fn the_corpus_goes_out_uncompressed() {
    let Some(open) = open_data() else { return };
    let (mut right, mut excused, mut refused, mut wrong) = (0, 0, Vec::new(), Vec::new());
    for row in table(&open.join("REFERENCE.tsv")) {
        let path = &row["path"];
        let Ok(source) = Source::open(&open.join(path)) else { continue };
        if row["status"] != "AGREE" || source.facts().frame_bytes() * u64::from(source.facts().frames) > 64 << 20 {
            continue;
        }
        let (lossy, mut bytes) = (source.facts().lossy, Vec::new());
        if let Err(error) =
            Outgoing::new(source, OutgoingForm::Explicit).and_then(|mut outgoing| outgoing.copy_to(&mut bytes))
        {
            // Lossy colours that have no name without compression: the standard excuses those, and no others (PS3.18 8.7.3).
            if lossy && error.to_string().contains("no name without compression") {
                excused += 1;
            } else {
                refused.push(format!("{path}: {error}"));
            }
            continue;
        }
        let written = Source::from_bytes(bytes).unwrap();
        assert_eq!(written.facts().transfer_syntax.uid(), EXPLICIT, "{path}");
        match samples_sha256(&written) {
            Ok(hash) if hash == row["pixels_sha256"] => right += 1,
            Ok(_) => wrong.push(path.clone()),
            Err(error) => wrong.push(format!("{path}: {error}")),
        }
    }
    println!("{right} have the samples of the reference");
    refused.iter().chain(&wrong).for_each(|line| println!("{line}"));
    assert!(right > 450, "{right}");
    println!("{excused} are lossy, in colours that have no name without compression");
    assert!(excused <= 3, "{excused}");
    assert!(wrong.is_empty() && refused.is_empty(), "{} differ, {} are refused", wrong.len(), refused.len());
}
