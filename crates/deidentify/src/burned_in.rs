//! What rules on attributes can't clean: text burned into pixels, documents, sound, other instances' names (PS3.15 E.3.1).

use crate::error::{Error, Result};
use dicom::data_set::{DataSet, Tag};
use dicom::facts::Pixels;
use dicom::source::Source;

const BURNED_IN_ANNOTATION: Tag = Tag(0x0028, 0x0301);
const CONVERSION_TYPE: Tag = Tag(0x0008, 0x0064);
const IMAGE_TYPE: Tag = Tag(0x0008, 0x0008);

/// What is done with images that may show text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BurnedIn {
    /// They are not written.
    #[default]
    Block,
    /// They are written, and named for a person to look at.
    Flag,
}

/// SOP classes, by the part after `1.2.840.10008.5.1.4.1.1.`, whose images often show text; a final `.` stands for all below.
const RISKY: &[(&str, &str)] = &[
    ("3", "ultrasound"),
    ("3.1", "ultrasound"),
    ("6", "ultrasound"),
    ("6.1", "ultrasound"),
    ("6.2", "ultrasound"),
    ("7", "secondary capture"),
    ("7.", "secondary capture"),
    ("12.", "angiography or fluoroscopy"),
    ("14.", "intravascular OCT"),
    ("77.1.", "visible light"),
    ("77.2", "visible light"),
];

/// Of the visible light classes, those that scanners of glass slides make.
const SLIDES: &str = "77.1.6";

/// Classes of which no part can be cleaned.
const BLOCKED: &[(&str, &str)] = &[
    ("1.2.840.10008.1.3.10", "a DICOMDIR lists patients by name: make a new one of the new files"),
    ("1.2.840.10008.5.1.4.1.1.104.", "an encapsulated document can't be cleaned"),
    ("1.2.840.10008.5.1.4.1.1.9.4.", "recorded sound can't be cleaned"),
];

/// Refuses what can't be cleaned; returns what a person should look at.
pub(crate) fn examine(source: &Source, burned_in: BurnedIn) -> Result<Vec<String>> {
    let class = source.facts().sop_class_uid.as_str();
    let set = source.data_set();
    let is = |prefix: &str| if prefix.ends_with('.') { class.starts_with(prefix) } else { class == prefix };
    if let Some((_, why)) = BLOCKED.iter().find(|b| is(b.0)) {
        return Err(Error::Identifying((*why).to_owned()));
    }
    if set.get(Tag(0x0042, 0x0011)).is_some() {
        return Err(Error::Identifying("an encapsulated document can't be cleaned".into()));
    }
    if overlay_in_pixels(set) {
        return Err(Error::Identifying("an overlay lies in unused bits of the pixels".into()));
    }
    match (text_in_pixels(source), burned_in) {
        (None, _) => Ok(Vec::new()),
        (Some(why), BurnedIn::Flag) => Ok(vec![format!("may show burned-in text: {why}")]),
        (Some(why), BurnedIn::Block) => Err(Error::Identifying(format!("may show burned-in text: {why}"))),
    }
}

/// Why the pixels may show text; `None` where they hold none, or the object says that they show none.
fn text_in_pixels(source: &Source) -> Option<String> {
    let set = source.data_set();
    if source.facts().pixels == Pixels::None {
        return None;
    }
    match set.string(BURNED_IN_ANNOTATION).as_deref() {
        Some("YES") => return Some("its Burned In Annotation is YES".into()),
        Some("NO") => return None,
        _ => {}
    }
    let image_type = set.strings(IMAGE_TYPE);
    if image_type.iter().skip(2).any(|v| ["SCREEN", "DOSE", "REPORT", "PROTOCOL"].iter().any(|word| v.contains(word))) {
        return Some("its Image Type tells of a screen or a report".into());
    }
    if set.string(CONVERSION_TYPE).is_some_and(|v| !v.is_empty()) {
        return Some("it was captured or scanned (Conversion Type)".into());
    }
    if source.facts().pixels == Pixels::Video {
        return Some("it is video".into());
    }
    let class = source.facts().sop_class_uid.strip_prefix("1.2.840.10008.5.1.4.1.1.")?;
    if class == SLIDES {
        let label = image_type.iter().any(|v| matches!(v.as_str(), "LABEL" | "OVERVIEW"));
        return label.then(|| "it shows the label of a slide".into());
    }
    let is = |risky: &str| if risky.ends_with('.') { class.starts_with(risky) } else { class == risky };
    RISKY.iter().find(|r| is(r.0)).map(|r| format!("its SOP class is {}", r.1))
}

/// Overlays of more than one bit allocated live in the pixel data (PS3.3 C.9.2, retired).
fn overlay_in_pixels(set: &DataSet) -> bool {
    set.elements().iter().any(|element| {
        let group = element.tag.group();
        (0x6000..=0x60FF).contains(&group)
            && element.tag.element() == 0x0100
            && set.first_u16(element).is_some_and(|bits| bits > 1)
    })
}
