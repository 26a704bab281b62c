//! What the index takes from a data set: the attributes that queries match by and return (PS3.18 10.6.3).

use dicom::{DataSet, Element, Source, Tag, Uid, Vr};
use serde_json::{Map, Value};
use store::index::attributes::*;
use store::index::{InstanceKey, NewInstance, NewObject, PersonName, SeriesTexts, Shown, StudyTexts, fold, groups};

use crate::error::Error;

const DIRECTORY_RECORDS: Tag = Tag(0x0004, 0x1220);

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

/// The attributes of an opened instance that the index keeps, beside what it knows of the object; refuses one without usable UIDs.
pub(crate) fn new_instance(source: &Source, object: NewObject) -> Result<NewInstance, Error> {
    let (facts, set) = (source.facts(), source.data_set());
    if set.get(DIRECTORY_RECORDS).is_some() {
        return Err(Error::Refused("an index of a file set; the archive makes its own".into()));
    }
    let key = InstanceKey {
        study: uid("Study Instance UID", &facts.study_uid)?,
        series: uid("Series Instance UID", &facts.series_uid)?,
        sop: uid("SOP Instance UID", &facts.sop_instance_uid)?,
    };
    Ok(NewInstance {
        class: uid("SOP Class UID", &facts.sop_class_uid)?,
        modality: facts.modality.clone(),
        instance_number: number(&text(set, INSTANCE_NUMBER)),
        series_number: number(&text(set, SERIES_NUMBER)),
        study: study_texts(set),
        series: series_texts(set),
        names: STUDY_NAMES.into_iter().flat_map(|tag| person_names(set, tag)).collect(),
        study_shown: shown(set, STUDY_COMMON, STUDY_MORE),
        series_shown: series_shown(set),
        instance_shown: shown(set, INSTANCE_COMMON, INSTANCE_MORE),
        object,
        key,
    })
}

fn study_texts(set: &DataSet) -> StudyTexts {
    StudyTexts {
        date: date(&text(set, STUDY_DATE)),
        time: time(&text(set, STUDY_TIME)),
        accession: text(set, ACCESSION_NUMBER),
        patient_id: text(set, PATIENT_ID),
        birth_date: date(&text(set, PATIENT_BIRTH_DATE)),
        sex: text(set, PATIENT_SEX),
        study_id: text(set, STUDY_ID),
        description: fold(&text(set, STUDY_DESCRIPTION)),
    }
}

fn series_texts(set: &DataSet) -> SeriesTexts {
    let request = |tag| request_attribute(set, tag).unwrap_or_default();
    SeriesTexts {
        description: fold(&text(set, SERIES_DESCRIPTION)),
        body_part: text(set, BODY_PART),
        pps_date: date(&text(set, PPS_START_DATE)),
        pps_time: time(&text(set, PPS_START_TIME)),
        step_id: request(SCHEDULED_STEP_ID),
        procedure_id: request(REQUESTED_PROCEDURE_ID),
    }
}

fn person_names(set: &DataSet, tag: Tag) -> impl Iterator<Item = PersonName> {
    groups(&text(set, tag)).into_iter().map(move |(place, text)| PersonName { tag, place, text })
}

fn text(set: &DataSet, tag: Tag) -> String {
    set.string(tag).unwrap_or_default()
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

fn series_shown(set: &DataSet) -> Shown {
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
    use serde_json::json;

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
