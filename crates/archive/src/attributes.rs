//! What the index takes from a data set: the attributes that queries match by and return (PS3.18 10.6.3).

use dicom::{DataSet, Element, Facts, Source, Tag, Uid, Vr};
use serde_json::{Map, Value, json};

use crate::fold::{fold, groups};
use crate::{Error, InstanceKey};

const DIRECTORY_RECORDS: Tag = Tag(0x0004, 0x1220);
pub(crate) const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
pub(crate) const SOP_CLASS_UID: Tag = Tag(0x0008, 0x0016);
pub(crate) const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
pub(crate) const STUDY_DATE: Tag = Tag(0x0008, 0x0020);
pub(crate) const STUDY_TIME: Tag = Tag(0x0008, 0x0030);
pub(crate) const ACCESSION_NUMBER: Tag = Tag(0x0008, 0x0050);
pub(crate) const INSTANCE_AVAILABILITY: Tag = Tag(0x0008, 0x0056);
pub(crate) const MODALITY: Tag = Tag(0x0008, 0x0060);
pub(crate) const MODALITIES_IN_STUDY: Tag = Tag(0x0008, 0x0061);
pub(crate) const REFERRING_PHYSICIAN: Tag = Tag(0x0008, 0x0090);
pub(crate) const STUDY_DESCRIPTION: Tag = Tag(0x0008, 0x1030);
pub(crate) const SERIES_DESCRIPTION: Tag = Tag(0x0008, 0x103E);
pub(crate) const AVAILABLE_TRANSFER_SYNTAX: Tag = Tag(0x0008, 0x3002);
pub(crate) const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
pub(crate) const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
pub(crate) const PATIENT_BIRTH_DATE: Tag = Tag(0x0010, 0x0030);
pub(crate) const PATIENT_SEX: Tag = Tag(0x0010, 0x0040);
pub(crate) const BODY_PART: Tag = Tag(0x0018, 0x0015);
pub(crate) const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
pub(crate) const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);
pub(crate) const STUDY_ID: Tag = Tag(0x0020, 0x0010);
pub(crate) const SERIES_NUMBER: Tag = Tag(0x0020, 0x0011);
pub(crate) const INSTANCE_NUMBER: Tag = Tag(0x0020, 0x0013);
pub(crate) const STUDY_SERIES: Tag = Tag(0x0020, 0x1206);
pub(crate) const STUDY_INSTANCES: Tag = Tag(0x0020, 0x1208);
pub(crate) const SERIES_INSTANCES: Tag = Tag(0x0020, 0x1209);
pub(crate) const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
pub(crate) const ROWS: Tag = Tag(0x0028, 0x0010);
pub(crate) const COLUMNS: Tag = Tag(0x0028, 0x0011);
pub(crate) const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
pub(crate) const PPS_START_DATE: Tag = Tag(0x0040, 0x0244);
pub(crate) const PPS_START_TIME: Tag = Tag(0x0040, 0x0245);
pub(crate) const SCHEDULED_STEP_ID: Tag = Tag(0x0040, 0x0009);
pub(crate) const REQUEST_ATTRIBUTES: Tag = Tag(0x0040, 0x0275);
pub(crate) const REQUESTED_PROCEDURE_ID: Tag = Tag(0x0040, 0x1001);

/// Person names of a study that are matched.
pub(crate) const STUDY_NAMES: [Tag; 2] = [PATIENT_NAME, REFERRING_PHYSICIAN];

const STUDY_COMMON: &[Tag] = &[
    STUDY_DATE,
    STUDY_TIME,
    ACCESSION_NUMBER,
    REFERRING_PHYSICIAN,
    Tag(0x0008, 0x0201), // Timezone Offset From UTC
    STUDY_DESCRIPTION,   // not demanded, but every viewer's list shows it
    PATIENT_NAME,
    PATIENT_ID,
    PATIENT_BIRTH_DATE,
    PATIENT_SEX,
    STUDY_INSTANCE_UID,
    STUDY_ID,
];

/// What each level's answer has even where the instance has not (type R of PS3.18 tables 10.6.3-3 to 10.6.3-5). The counts and
/// the UIDs are always there; Modalities in Study is left out where it is empty, because viewers read its values unasked.
pub(crate) const STUDY_REQUIRED: &[(Tag, &str)] = &[
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
pub(crate) const SERIES_REQUIRED: &[(Tag, &str)] = &[(MODALITY, "CS"), (SERIES_NUMBER, "IS")];
pub(crate) const INSTANCE_REQUIRED: &[(Tag, &str)] = &[(SOP_CLASS_UID, "UI"), (INSTANCE_NUMBER, "IS")];
/// Of each item of the Request Attributes Sequence.
pub(crate) const REQUEST_REQUIRED: &[(Tag, &str)] = &[(SCHEDULED_STEP_ID, "SH"), (REQUESTED_PROCEDURE_ID, "SH")];

const STUDY_MORE: &[Tag] = &[
    Tag(0x0008, 0x1048), // Physician(s) of Record
    Tag(0x0008, 0x1060), // Name of Physician(s) Reading Study
    Tag(0x0008, 0x1080), // Admitting Diagnoses Description
    Tag(0x0010, 0x0021), // Issuer of Patient ID
    Tag(0x0010, 0x0032), // Patient's Birth Time
    Tag(0x0010, 0x1000), // Other Patient IDs
    Tag(0x0010, 0x1001), // Other Patient Names
    Tag(0x0010, 0x1010), // Patient's Age
    Tag(0x0010, 0x1020), // Patient's Size
    Tag(0x0010, 0x1030), // Patient's Weight
    Tag(0x0010, 0x2160), // Ethnic Group
    Tag(0x0010, 0x2180), // Occupation
    Tag(0x0010, 0x21B0), // Additional Patient History
    Tag(0x0010, 0x4000), // Patient Comments
    Tag(0x0032, 0x1032), // Requesting Physician
    Tag(0x0032, 0x1060), // Requested Procedure Description
    Tag(0x0032, 0x4000), // Study Comments
];

const SERIES_COMMON: &[Tag] =
    &[MODALITY, SERIES_DESCRIPTION, SERIES_INSTANCE_UID, SERIES_NUMBER, PPS_START_DATE, PPS_START_TIME];

const SERIES_MORE: &[Tag] = &[
    Tag(0x0008, 0x0021), // Series Date
    Tag(0x0008, 0x0031), // Series Time
    Tag(0x0008, 0x0070), // Manufacturer
    Tag(0x0008, 0x0080), // Institution Name
    Tag(0x0008, 0x1010), // Station Name
    Tag(0x0008, 0x1040), // Institutional Department Name
    Tag(0x0008, 0x1050), // Performing Physician's Name
    Tag(0x0008, 0x1070), // Operators' Name
    Tag(0x0008, 0x1090), // Manufacturer's Model Name
    BODY_PART,
    Tag(0x0018, 0x1000), // Device Serial Number
    Tag(0x0018, 0x1020), // Software Versions
    Tag(0x0018, 0x1030), // Protocol Name
    Tag(0x0018, 0x5100), // Patient Position
    Tag(0x0020, 0x0052), // Frame of Reference UID
    Tag(0x0020, 0x0060), // Laterality
    Tag(0x0040, 0x0254), // Performed Procedure Step Description
];

const INSTANCE_COMMON: &[Tag] = &[SOP_CLASS_UID, SOP_INSTANCE_UID, INSTANCE_NUMBER];

const INSTANCE_MORE: &[Tag] = &[
    Tag(0x0008, 0x0008), // Image Type
    Tag(0x0008, 0x0012), // Instance Creation Date
    Tag(0x0008, 0x0013), // Instance Creation Time
    Tag(0x0008, 0x0022), // Acquisition Date
    Tag(0x0008, 0x0023), // Content Date
    Tag(0x0008, 0x002A), // Acquisition DateTime
    Tag(0x0008, 0x0032), // Acquisition Time
    Tag(0x0008, 0x0033), // Content Time
    Tag(0x0018, 0x0050), // Slice Thickness
    Tag(0x0018, 0x0088), // Spacing Between Slices
    Tag(0x0020, 0x0012), // Acquisition Number
    Tag(0x0020, 0x0032), // Image Position (Patient)
    Tag(0x0020, 0x0037), // Image Orientation (Patient)
    Tag(0x0020, 0x1041), // Slice Location
    Tag(0x0028, 0x0030), // Pixel Spacing
    Tag(0x0028, 0x1050), // Window Center
    Tag(0x0028, 0x1051), // Window Width
    Tag(0x0028, 0x1052), // Rescale Intercept
    Tag(0x0028, 0x1053), // Rescale Slope
    Tag(0x0040, 0xA491), // Completion Flag
    Tag(0x0040, 0xA493), // Verification Flag
    Tag(0x0042, 0x0010), // Document Title
    Tag(0x0070, 0x0080), // Content Label
    Tag(0x0070, 0x0081), // Content Description
];

/// The attributes of one instance that the index keeps.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub key: InstanceKey,
    pub class: String,
    pub modality: String,
    pub instance_number: Option<i64>,
    pub series_number: Option<i64>,
    pub study: Texts<8>,
    pub series: Texts<6>,
    /// Person names of the study: one for each component group, with its place, folded.
    pub names: Vec<(Tag, usize, String)>,
    pub study_json: Shown,
    pub series_json: Shown,
    pub instance_json: Shown,
}

/// Normalised texts that are matched, in the order of the columns of the index.
pub(crate) type Texts<const N: usize> = [String; N];

/// DICOM JSON of the attributes of one level: returned always, and on request.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub common: String,
    pub more: String,
}

impl Record {
    /// Takes the attributes of an opened instance; refuses one without usable UIDs.
    pub(crate) fn of(source: &Source) -> Result<Record, Error> {
        let (facts, set) = (source.facts(), source.data_set());
        if set.get(DIRECTORY_RECORDS).is_some() {
            return Err(Error::Refused("an index of a file set; the archive makes its own".into()));
        }
        let key = InstanceKey {
            study: uid("Study Instance UID", &facts.study_uid)?,
            series: uid("Series Instance UID", &facts.series_uid)?,
            sop: uid("SOP Instance UID", &facts.sop_instance_uid)?,
        };
        let class = uid("SOP Class UID", &facts.sop_class_uid)?;
        let text = |tag| set.string(tag).unwrap_or_default();
        let request = |tag| request_attribute(set, tag).unwrap_or_default();
        Ok(Record {
            class,
            modality: facts.modality.clone(),
            instance_number: number(&text(INSTANCE_NUMBER)),
            series_number: number(&text(SERIES_NUMBER)),
            study: [
                date(&text(STUDY_DATE)),
                time(&text(STUDY_TIME)),
                text(ACCESSION_NUMBER),
                text(PATIENT_ID),
                date(&text(PATIENT_BIRTH_DATE)),
                text(PATIENT_SEX),
                text(STUDY_ID),
                fold(&text(STUDY_DESCRIPTION)),
            ],
            series: [
                fold(&text(SERIES_DESCRIPTION)),
                text(BODY_PART),
                date(&text(PPS_START_DATE)),
                time(&text(PPS_START_TIME)),
                request(SCHEDULED_STEP_ID),
                request(REQUESTED_PROCEDURE_ID),
            ],
            names: STUDY_NAMES
                .into_iter()
                .flat_map(|tag| groups(&text(tag)).into_iter().map(move |(place, group)| (tag, place, group)))
                .collect(),
            study_json: shown(set, STUDY_COMMON, STUDY_MORE),
            series_json: series_json(set),
            instance_json: shown(set, INSTANCE_COMMON, INSTANCE_MORE),
            key,
        })
    }
}

/// The eight hexadecimal digits that name a tag in DICOM JSON.
pub(crate) fn name(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.0, tag.1)
}

/// A DICOM JSON attribute.
pub(crate) fn attribute(vr: &str, values: Vec<Value>) -> Value {
    if values.is_empty() { json!({ "vr": vr }) } else { json!({ "vr": vr, "Value": values }) }
}

/// What the index returns of the pixels of the stored object.
pub(crate) fn image_attributes(facts: &Facts, into: &mut Map<String, Value>) {
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
pub(crate) fn date(text: &str) -> String {
    text.chars().filter(|c| *c != '.').collect()
}

/// `HHMMSS.FFFFFF`; the old form with colons too.
pub(crate) fn time(text: &str) -> String {
    text.chars().filter(|c| *c != ':').collect()
}

fn number(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

/// A UID that can be a key, and that an address can name.
fn uid(what: &str, text: &str) -> Result<String, Error> {
    if text.trim_matches([' ', '\0']).is_empty() {
        return Err(Error::Refused(format!("no {what}")));
    }
    Uid::check(text).map(String::from).map_err(|why| Error::Refused(format!("the {what} {why}")))
}

fn shown(set: &DataSet, common: &[Tag], more: &[Tag]) -> Shown {
    let json = |tags: &[Tag]| Value::Object(map(set, tags)).to_string();
    Shown { common: json(common), more: json(more) }
}

fn series_json(set: &DataSet) -> Shown {
    let mut common = map(set, SERIES_COMMON);
    let item: Map<String, Value> = [SCHEDULED_STEP_ID, REQUESTED_PROCEDURE_ID]
        .into_iter()
        .filter_map(|tag| Some((name(tag), attribute("SH", vec![request_attribute(set, tag)?.into()]))))
        .collect();
    if !item.is_empty() {
        common.insert(name(REQUEST_ATTRIBUTES), attribute("SQ", vec![Value::Object(item)]));
    }
    Shown { common: Value::Object(common).to_string(), more: Value::Object(map(set, SERIES_MORE)).to_string() }
}

/// The attributes that are there, as DICOM JSON.
fn map(set: &DataSet, tags: &[Tag]) -> Map<String, Value> {
    let present = tags.iter().filter_map(|&tag| Some((tag, set.get(tag)?)));
    present.map(|(tag, element)| (name(tag), element_json(set, element))).collect()
}

fn element_json(set: &DataSet, element: &Element) -> Value {
    let vr = match element.vr {
        Vr::UN => "LO",
        vr => vr.to_string(),
    };
    let mut values: Vec<Value> = set.strings(element.tag).into_iter().map(|text| value(element.vr, text)).collect();
    if values.iter().all(Value::is_null) {
        // Blanks alone are no value: it is left out, not null (PS3.18 F.2.5).
        values.clear();
    }
    attribute(vr, values)
}

fn value(vr: Vr, text: String) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    match vr {
        Vr::PN => person_name(&text),
        Vr::IS => text.parse::<i64>().map_or(Value::String(text), Value::from),
        Vr::DS => decimal(text),
        _ => Value::String(text),
    }
}

fn decimal(text: String) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    match text.parse::<f64>() {
        Ok(n) if n.is_finite() => n.into(),
        _ => Value::String(text),
    }
}

fn person_name(text: &str) -> Value {
    let names = ["Alphabetic", "Ideographic", "Phonetic"];
    let groups = names.into_iter().zip(text.split('=')).filter(|(_, group)| !group.is_empty());
    let groups: Map<String, Value> = groups.map(|(name, group)| (name.to_owned(), group.into())).collect();
    if groups.is_empty() { Value::Null } else { Value::Object(groups) }
}

/// A value of the first item of the Request Attributes Sequence.
fn request_attribute(set: &DataSet, tag: Tag) -> Option<String> {
    let element = set.get(REQUEST_ATTRIBUTES)?.items()?.first()?.elements.iter().find(|e| e.tag == tag)?;
    let bytes = set.bytes(element).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches([' ', '\0']);
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_types_of_dicom_json() {
        assert_eq!(value(Vr::IS, "12".into()), json!(12));
        assert_eq!(value(Vr::IS, "twelve".into()), json!("twelve"));
        assert_eq!(value(Vr::DS, "-1.5e2".into()), json!(-150.0));
        assert_eq!(value(Vr::LO, String::new()), Value::Null);
        assert_eq!(value(Vr::PN, "A^B==C".into()), json!({"Alphabetic": "A^B", "Phonetic": "C"}));
    }

    #[test]
    fn uids_that_cannot_be_keys_are_refused() {
        assert_eq!(uid("UID", "1.2.840\0").unwrap(), "1.2.840");
        for bad in ["", " ", "1.2/../3", "1.2\u{661}", &"1".repeat(129), ".."] {
            assert!(matches!(uid("UID", bad), Err(Error::Refused(_))), "{bad:?}");
        }
    }
}
