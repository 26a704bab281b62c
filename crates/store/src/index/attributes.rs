//! Attributes by their names, as DICOM JSON (PS3.18 F.2) and as texts that are matched.
#![allow(missing_docs)]

use dicom::{Facts, Tag};
use serde_json::{Map, Value, json};

pub const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
pub const SOP_CLASS_UID: Tag = Tag(0x0008, 0x0016);
pub const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
pub const STUDY_DATE: Tag = Tag(0x0008, 0x0020);
pub const CONTENT_DATE: Tag = Tag(0x0008, 0x0023);
pub const STUDY_TIME: Tag = Tag(0x0008, 0x0030);
pub const ACCESSION_NUMBER: Tag = Tag(0x0008, 0x0050);
pub const INSTANCE_AVAILABILITY: Tag = Tag(0x0008, 0x0056);
pub const MODALITY: Tag = Tag(0x0008, 0x0060);
pub const MODALITIES_IN_STUDY: Tag = Tag(0x0008, 0x0061);
pub const MANUFACTURER: Tag = Tag(0x0008, 0x0070);
pub const REFERRING_PHYSICIAN: Tag = Tag(0x0008, 0x0090);
pub const STUDY_DESCRIPTION: Tag = Tag(0x0008, 0x1030);
pub const SERIES_DESCRIPTION: Tag = Tag(0x0008, 0x103E);
pub const AVAILABLE_TRANSFER_SYNTAX: Tag = Tag(0x0008, 0x3002);
pub const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
pub const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
pub const ISSUER_OF_PATIENT_ID: Tag = Tag(0x0010, 0x0021);
pub const PATIENT_BIRTH_DATE: Tag = Tag(0x0010, 0x0030);
pub const PATIENT_SEX: Tag = Tag(0x0010, 0x0040);
pub const BODY_PART: Tag = Tag(0x0018, 0x0015);
pub const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
pub const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);
pub const STUDY_ID: Tag = Tag(0x0020, 0x0010);
pub const SERIES_NUMBER: Tag = Tag(0x0020, 0x0011);
pub const INSTANCE_NUMBER: Tag = Tag(0x0020, 0x0013);
pub const STUDY_SERIES: Tag = Tag(0x0020, 0x1206);
pub const STUDY_INSTANCES: Tag = Tag(0x0020, 0x1208);
pub const SERIES_INSTANCES: Tag = Tag(0x0020, 0x1209);
pub const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
pub const ROWS: Tag = Tag(0x0028, 0x0010);
pub const COLUMNS: Tag = Tag(0x0028, 0x0011);
pub const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
pub const PPS_START_DATE: Tag = Tag(0x0040, 0x0244);
pub const PPS_START_TIME: Tag = Tag(0x0040, 0x0245);
pub const SCHEDULED_STEP_ID: Tag = Tag(0x0040, 0x0009);
pub const REQUEST_ATTRIBUTES: Tag = Tag(0x0040, 0x0275);
pub const REQUESTED_PROCEDURE_ID: Tag = Tag(0x0040, 0x1001);

/// Person names of a study that are matched.
pub const STUDY_NAMES: [Tag; 2] = [PATIENT_NAME, REFERRING_PHYSICIAN];

/// What each level's answer has even where the instance has not (type R of PS3.18 tables 10.6.3-3 to 10.6.3-5). The counts and
/// the UIDs are always there; Modalities in Study is left out where it is empty, because viewers read its values unasked.
pub const STUDY_REQUIRED: &[(Tag, &str)] = &[
    (STUDY_DATE, "DA"),
    (STUDY_TIME, "TM"),
    (ACCESSION_NUMBER, "SH"),
    (REFERRING_PHYSICIAN, "PN"),
    (PATIENT_NAME, "PN"),
    (PATIENT_ID, "LO"),
    (PATIENT_BIRTH_DATE, "DA"),
    (PATIENT_SEX, "CS"),
    (STUDY_ID, "SH"),
];
pub const SERIES_REQUIRED: &[(Tag, &str)] = &[(MODALITY, "CS"), (SERIES_NUMBER, "IS")];
pub const INSTANCE_REQUIRED: &[(Tag, &str)] = &[(SOP_CLASS_UID, "UI"), (INSTANCE_NUMBER, "IS")];
/// Of each item of the Request Attributes Sequence.
pub const REQUEST_REQUIRED: &[(Tag, &str)] = &[(SCHEDULED_STEP_ID, "SH"), (REQUESTED_PROCEDURE_ID, "SH")];

/// The eight hexadecimal digits that name a tag in DICOM JSON.
pub fn name(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.0, tag.1)
}

/// A DICOM JSON attribute.
pub fn attribute(vr: &str, values: Vec<Value>) -> Value {
    if values.is_empty() { json!({ "vr": vr }) } else { json!({ "vr": vr, "Value": values }) }
}

/// What the index returns of the pixels of the stored object.
pub fn image_attributes(facts: &Facts, into: &mut Map<String, Value>) {
    let mut add = |tag, vr, value: Value| into.insert(name(tag), attribute(vr, vec![value]));
    add(AVAILABLE_TRANSFER_SYNTAX, "UI", facts.transfer_syntax.uid().into());
    if facts.rows > 0 && facts.columns > 0 {
        add(ROWS, "US", facts.rows.into());
        add(COLUMNS, "US", facts.columns.into());
        add(BITS_ALLOCATED, "US", facts.bits_allocated.into());
        add(NUMBER_OF_FRAMES, "IS", facts.frames.into());
    }
}

/// `YYYYMMDD`; the old form with dots too.
pub fn date(text: &str) -> String {
    text.chars().filter(|c| *c != '.').collect()
}

/// `HHMMSS.FFFFFF`; the old form with colons too.
pub fn time(text: &str) -> String {
    text.chars().filter(|c| *c != ':').collect()
}
