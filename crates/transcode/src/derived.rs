//! What an image says of itself after a lossy step (PS3.3 C.7.6.1.1.5, C.12.4): it is another one, derived from the first.

use crate::change::{Change, even, ratio_text};
use crate::elements;
use crate::policy::{Bound, Target};
use dicom::data_set::{Tag, Vr};
use dicom::error::{Error, Result};
use dicom::source::Source;
use dicom::syntax::Coding;
use sha2::{Digest, Sha256};

const IMAGE_TYPE: Tag = Tag(0x0008, 0x0008);
const SOP_INSTANCE: Tag = Tag(0x0008, 0x0018);
const DESCRIPTION: Tag = Tag(0x0008, 0x2111);
const SOURCE_IMAGES: Tag = Tag(0x0008, 0x2112);
const DERIVATION_CODE: Tag = Tag(0x0008, 0x9215);
const SMALLEST: Tag = Tag(0x0028, 0x0106);
const LARGEST: Tag = Tag(0x0028, 0x0107);
const PADDING: Tag = Tag(0x0028, 0x0120);
const LOSSY: Tag = Tag(0x0028, 0x2110);
const RATIO: Tag = Tag(0x0028, 0x2112);
const METHOD: Tag = Tag(0x0028, 0x2114);
const SHARED_GROUPS: Tag = Tag(0x5200, 0x9229);
const FRAME_GROUPS: Tag = Tag(0x5200, 0x9230);
/// What a source is to the image that was made of it with loss.
const PREDECESSOR: (&str, &str) = ("121320", "Uncompressed predecessor");
/// Characters of an ST value.
const MAX_DESCRIPTION: usize = 1024;

/// SOP classes of enhanced multi-frame images: there DERIVED changes which attributes may be present.
const ENHANCED: [&str; 9] = [
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.3",
    "1.2.840.10008.5.1.4.1.1.6.2",
    "1.2.840.10008.5.1.4.1.1.12.1.1",
    "1.2.840.10008.5.1.4.1.1.12.2.1",
    "1.2.840.10008.5.1.4.1.1.13.1.1",
    "1.2.840.10008.5.1.4.1.1.13.1.2",
    "1.2.840.10008.5.1.4.1.1.130",
];

/// Why an image can't lose anything and stay sound, told from its elements.
pub(crate) fn obstacle(source: &Source) -> Option<String> {
    let set = source.data_set();
    let has = |tag: Tag| set.get(tag).is_some();
    let enhanced = ENHANCED.contains(&source.facts().sop_class_uid.as_str());
    if enhanced || has(SHARED_GROUPS) || has(FRAME_GROUPS) {
        return Some(
            "what is said of single frames (functional groups) would no longer hold after a lossy step".into(),
        );
    }
    if has(PADDING) {
        return Some("pixel padding would no longer be told from the image after a lossy step".into());
    }
    if source.facts().photometric == "PALETTE COLOR" {
        return Some("palette colours are never coded with loss".into());
    }
    let unknown = source.facts().sop_instance_uid.is_empty() || source.facts().sop_class_uid.is_empty();
    unknown.then(|| "it has no SOP Instance UID that a derived image could refer to".into())
}

/// The UID of what the codec makes of this file: the same for the same file, rule and codec, another one for any other.
pub(crate) fn uid(source: &Source, target: Target, codec: &str) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(source.sha256()?);
    hash.update(format!("\n{} {:?} {codec}", target.name(), target.bound()));
    let digest = hash.finalize();
    let mut uuid: [u8; 16] = digest[..16].try_into().expect("SHA-256 has 32 bytes");
    // A UUID of version 8 (RFC 9562), as PS3.5 B.2 takes them.
    uuid[6] = uuid[6] & 0x0F | 0x80;
    uuid[8] = uuid[8] & 0x3F | 0x80;
    Ok(format!("2.25.{}", u128::from_be_bytes(uuid)))
}

/// The elements of a derived image, but for the ratio of this step; beside them the ratios of the steps before.
pub(crate) fn changes(source: &Source, target: Target, bound: Bound, uid: &str) -> Result<(Vec<Change>, String)> {
    let (ratios, methods) = history(source)?;
    let method = method(target.transfer_syntax().coding()).unwrap_or_default();
    let methods = if methods.is_empty() { method.to_owned() } else { format!("{methods}\\{method}") };
    let name = target.transfer_syntax();
    let words = format!("{} by Firstlight: {bound}", name.name());
    let list = vec![
        (IMAGE_TYPE, Some((Vr::CS, image_type(source)?))),
        (SOP_INSTANCE, Some((Vr::UI, even(uid.to_owned(), 0)))),
        (DESCRIPTION, Some((Vr::ST, description(source, &words)?))),
        (SOURCE_IMAGES, Some((Vr::SQ, with_item(source, SOURCE_IMAGES, &source_image(source, PREDECESSOR))?))),
        (DERIVATION_CODE, Some((Vr::SQ, with_item(source, DERIVATION_CODE, &code("113040", "Lossy Compression"))?))),
        // They are optional, and may be wrong by now.
        (SMALLEST, None),
        (LARGEST, None),
        (LOSSY, Some((Vr::CS, b"01".to_vec()))),
        (METHOD, Some((Vr::CS, even(methods, b' ')))),
    ];
    Ok((list, ratios))
}

/// The elements of an image that was resampled: what it is, and from which image it was made.
pub(crate) fn resampled(source: &Source, words: &str) -> Result<Vec<Change>> {
    let mut kind = image_type(source)?.trim_ascii_end().to_vec();
    if !kind.ends_with(b"RESAMPLED") {
        kind.extend_from_slice(b"\\RESAMPLED");
    }
    if kind.len() % 2 == 1 {
        kind.push(b' ');
    }
    let purpose = ("121322", "Source image for image processing operation");
    Ok(vec![
        (IMAGE_TYPE, Some((Vr::CS, kind))),
        (DESCRIPTION, Some((Vr::ST, description(source, words)?))),
        (SOURCE_IMAGES, Some((Vr::SQ, with_item(source, SOURCE_IMAGES, &source_image(source, purpose))?))),
        (DERIVATION_CODE, Some((Vr::SQ, with_item(source, DERIVATION_CODE, &code("113085", "Spatial resampling"))?))),
    ])
}

/// Lossy Image Compression of a lossy image that is not marked: once its own stream is gone, nothing else tells.
pub(crate) fn unmarked(source: &Source) -> Result<Vec<Change>> {
    let set = source.data_set();
    if !source.facts().lossy || set.strings(LOSSY).iter().any(|v| v == "01") {
        return Ok(Vec::new());
    }
    let (ratios, methods) = history(source)?;
    let mut list = vec![(LOSSY, Some((Vr::CS, b"01".to_vec())))];
    if set.get(METHOD).is_none() && !methods.is_empty() {
        list.push((RATIO, Some((Vr::DS, even(ratios, b' ')))));
        list.push((METHOD, Some((Vr::CS, even(methods, b' ')))));
    }
    Ok(list)
}

/// Ratios and methods of the lossy steps so far. A stream that is lossy and was never written down is measured.
fn history(source: &Source) -> Result<(String, String)> {
    let set = source.data_set();
    let join = |tag| set.strings(tag).join("\\");
    let (ratios, methods) = (join(RATIO), join(METHOD));
    let facts = source.facts();
    match method(facts.transfer_syntax.coding()) {
        Some(method) if facts.lossy && methods.is_empty() && source.stream().is_some_and(|s| s.lossy) => {
            let stored = source.frames().iter().map(|f| f.length()).sum();
            let ratio = ratio_text(facts.frame_bytes() * source.frames().len() as u64, stored);
            Ok((if ratios.is_empty() { ratio } else { ratios }, method.to_owned()))
        }
        _ => Ok((ratios, methods)),
    }
}

/// Lossy Image Compression Method (0028,2114).
fn method(coding: Coding) -> Option<&'static str> {
    Some(match coding {
        Coding::Jpeg => "ISO_10918_1",
        Coding::JpegLs => "ISO_14495_1",
        Coding::Jpeg2000 => "ISO_15444_1",
        Coding::HtJ2k => "ISO_15444_15",
        Coding::JpegXl => "ISO_18181_1",
        _ => return None,
    })
}

/// Image Type with the first value DERIVED.
fn image_type(source: &Source) -> Result<Vec<u8>> {
    let mut values = source.data_set().strings(IMAGE_TYPE);
    match values.first_mut() {
        Some(first) => *first = "DERIVED".into(),
        None => values = vec!["DERIVED".into(), "PRIMARY".into()],
    }
    Ok(even(values.join("\\"), b' '))
}

/// The description that was there, and what was done now.
fn description(source: &Source, words: &str) -> Result<Vec<u8>> {
    let set = source.data_set();
    let before = set.get(DESCRIPTION).map(|e| set.bytes(e)).transpose()?.unwrap_or_default();
    let before = before.trim_ascii_end();
    let mut text = before.to_vec();
    if !text.is_empty() {
        text.extend_from_slice(b"; ");
    }
    text.extend_from_slice(words.as_bytes());
    if text.len() > MAX_DESCRIPTION {
        text = words.as_bytes().to_vec();
    }
    if text.len() % 2 == 1 {
        text.push(b' ');
    }
    Ok(text)
}

/// The items of a sequence with one more at the end.
fn with_item(source: &Source, tag: Tag, content: &[u8]) -> Result<Vec<u8>> {
    let set = source.data_set();
    let mut items = match set.get(tag) {
        Some(element) => elements::items(set, element)?,
        None => Vec::new(),
    };
    elements::write_item(&mut items, 0xE000, content.len() as u32)?;
    items.extend_from_slice(content);
    if items.len() as u64 >= u64::from(u32::MAX) {
        return Err(Error::Limit("a sequence of 4 GiB".into()));
    }
    Ok(items)
}

/// An item of Source Image Sequence: the instance itself, and what it was to the new one.
fn source_image(source: &Source, purpose: (&str, &str)) -> Vec<u8> {
    let facts = source.facts();
    let mut item = Vec::new();
    element(&mut item, Tag(0x0008, SOP_CLASS_REFERENCE), Vr::UI, even(facts.sop_class_uid.clone(), 0));
    element(&mut item, Tag(0x0008, SOP_INSTANCE_REFERENCE), Vr::UI, even(facts.sop_instance_uid.clone(), 0));
    let purpose = code(purpose.0, purpose.1);
    let mut items = Vec::new();
    let _ = elements::write_item(&mut items, 0xE000, purpose.len() as u32);
    items.extend_from_slice(&purpose);
    element(&mut item, Tag(0x0040, 0xA170), Vr::SQ, items);
    item
}

const SOP_CLASS_REFERENCE: u16 = 0x1150;
const SOP_INSTANCE_REFERENCE: u16 = 0x1155;

/// A code of DICOM's own scheme (PS3.16 Annex D).
fn code(value: &str, meaning: &str) -> Vec<u8> {
    let mut item = Vec::new();
    element(&mut item, Tag(0x0008, 0x0100), Vr::SH, even(value.to_owned(), b' '));
    element(&mut item, Tag(0x0008, 0x0102), Vr::SH, even("DCM".to_owned(), b' '));
    element(&mut item, Tag(0x0008, 0x0104), Vr::LO, even(meaning.to_owned(), b' '));
    item
}

fn element(out: &mut Vec<u8>, tag: Tag, vr: Vr, value: Vec<u8>) {
    elements::write_head(out, tag, vr, value.len() as u32).expect("memory takes it");
    out.extend_from_slice(&value);
}
