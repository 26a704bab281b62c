//! What is returned of a row that was found, as texts (PS3.18 10.6.3.3).

use dicom::{Facts, Tag};
use serde_json::{Map, Value};

use super::answer::{Found, FoundSeries, FoundStudy, Include};
use crate::Error;
use crate::index::attributes::*;
use crate::index::search::{Fields, Query, QueryLevel};
use crate::index::text_row::{TextRow, number};

/// The same as [`answer`](super::answer()), as texts.
pub fn text_row<'a>(
    level: QueryLevel,
    query: &Query,
    include: &Include,
    found: &Found<'a>,
) -> Result<TextRow<'a>, Error> {
    let mut row = TextRow::default();
    row.put(SPECIFIC_CHARACTER_SET, "{\"Value\":[\"ISO_IR 192\"],\"vr\":\"CS\"}");
    row.put(INSTANCE_AVAILABILITY, "{\"Value\":[\"ONLINE\"],\"vr\":\"CS\"}");
    add_study(&mut row, level, query, include, &found.study)?;
    if let Some(series) = &found.series {
        add_series(&mut row, level, query, include, series)?;
    }
    if let Some(instance) = &found.instance {
        add(&mut row, include, instance.common, instance.more)?;
        INSTANCE_REQUIRED.iter().for_each(|(tag, vr)| row.require(*tag, vr));
        if let Ok(facts) = serde_json::from_str::<Facts>(instance.facts) {
            let mut image = Map::new();
            image_attributes(&facts, &mut image);
            TextRow::of(&image).take_over(&mut row);
        }
    }
    Ok(row)
}

fn add_study<'a>(
    row: &mut TextRow<'a>,
    level: QueryLevel,
    query: &Query,
    include: &Include,
    study: &FoundStudy<'a>,
) -> Result<(), Error> {
    if level == QueryLevel::Study || query.study.is_none() {
        add(row, include, study.common, study.more)?;
        STUDY_REQUIRED.iter().for_each(|(tag, vr)| row.require(*tag, vr));
        let modalities: Vec<_> = study.modalities.split('\\').filter(|m| !m.is_empty()).map(Value::from).collect();
        if !modalities.is_empty() {
            row.put(MODALITIES_IN_STUDY, attribute("CS", modalities).to_string());
        }
        count(row, STUDY_SERIES, study.series);
        count(row, STUDY_INSTANCES, study.instances);
    } else {
        pick(row, include, study.common)?;
        pick(row, include, study.more)?;
    }
    name_it(row, STUDY_INSTANCE_UID, query.study.as_deref());
    Ok(())
}

fn add_series<'a>(
    row: &mut TextRow<'a>,
    level: QueryLevel,
    query: &Query,
    include: &Include,
    series: &FoundSeries<'a>,
) -> Result<(), Error> {
    if level == QueryLevel::Series || query.series.is_none() {
        add(row, include, series.common, series.more)?;
        SERIES_REQUIRED.iter().for_each(|(tag, vr)| row.require(*tag, vr));
        require_of_request(row)?;
        count(row, SERIES_INSTANCES, series.instances);
    } else {
        pick(row, include, series.common)?;
        pick(row, include, series.more)?;
    }
    name_it(row, SERIES_INSTANCE_UID, query.series.as_deref());
    Ok(())
}

/// A UID that is asked for need not be kept to be told.
fn name_it(row: &mut TextRow<'_>, tag: Tag, asked: Option<&str>) {
    if row.get(tag).is_none() {
        row.put(tag, attribute("UI", asked.into_iter().map(Value::from).collect()).to_string());
    }
}

/// Adds, empty, what the item of the Request Attributes Sequence has always, where there is one.
fn require_of_request(row: &mut TextRow<'_>) -> Result<(), Error> {
    let of_request = number(REQUEST_ATTRIBUTES);
    row.change(
        |tag, _| tag == of_request,
        |value| {
            if let Some(item) = value.pointer_mut("/Value/0").and_then(Value::as_object_mut) {
                for (tag, vr) in REQUEST_REQUIRED {
                    item.entry(name(*tag)).or_insert_with(|| attribute(vr, Vec::new()));
                }
            }
        },
    )
}

/// Adds what is returned always, and what was asked for.
fn add<'a>(row: &mut TextRow<'a>, include: &Include, common: &'a str, more: &'a str) -> Result<(), Error> {
    row.extend(common, |_| true)?;
    pick(row, include, more)
}

/// Adds what was asked for from one text.
fn pick<'a>(row: &mut TextRow<'a>, include: &Include, text: &'a str) -> Result<(), Error> {
    match include.fields() {
        Fields::Default => Ok(()),
        Fields::All => row.extend(text, |_| true),
        Fields::Some(tags) => {
            let wanted: Vec<u32> = tags.iter().map(|tag| number(*tag)).collect();
            row.extend(text, |tag| wanted.contains(&tag))
        }
    }
}

fn count(row: &mut TextRow<'_>, tag: Tag, count: i64) {
    row.put(tag, format!("{{\"Value\":[{count}],\"vr\":\"IS\"}}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::query::{FoundInstance, answer};

    const COMMON: &str =
        r#"{"0020000D":{"Value":["1.2"],"vr":"UI"},"00100010":{"Value":[{"Alphabetic":"A\"}^{B\\"}],"vr":"PN"}}"#;
    const MORE: &str = r#"{"00081080":{"Value":["a, {b}"],"vr":"LO"},"00101010":{"Value":["010Y"],"vr":"AS"}}"#;
    const SERIES: &str =
        r#"{"0020000E":{"Value":["3.4"],"vr":"UI"},"00400275":{"Value":[{"00400009":{"vr":"SH"}}],"vr":"SQ"}}"#;

    const FACTS: &str = r#"{"study_uid":"","series_uid":"","sop_instance_uid":"","sop_class_uid":"","modality":"","source_ae":"",
        "transfer_syntax":"1.2.840.10008.1.2.1","pixels":"native","rows":2,"columns":3,"frames":1,"samples":1,"bits_allocated":16,
        "bits_stored":16,"high_bit":15,"signed":false,"photometric":"MONOCHROME2","planar":0,"lossy":false,"icc":false}"#;

    /// The row as texts and as values are the same.
    fn same(level: QueryLevel, query: &Query, found: &Found<'_>) {
        let include = Include::of(query);
        let expected = answer(level, query, &include, found).unwrap();
        let mut written = Vec::new();
        text_row(level, query, &include, found).unwrap().write(&mut written);
        let read: Map<String, Value> = serde_json::from_slice(&written).unwrap();
        assert_eq!(read, expected, "{level:?} {query:?}");
        assert_eq!(read.keys().cloned().collect::<Vec<_>>(), expected.keys().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn texts_say_what_values_say() {
        let study = FoundStudy { common: COMMON, more: MORE, modalities: "CT\\MR", series: 2, instances: 3 };
        let spaced = FoundStudy { common: "{ \"0020000D\" : {\"vr\":\"UI\"} }", more: "{}", modalities: "", ..study };
        let series = FoundSeries { common: SERIES, more: MORE, instances: 3 };
        let instance = FoundInstance { common: r#"{"00080018":{"vr":"UI"}}"#, more: MORE, facts: FACTS };
        let fields = [Fields::Default, Fields::All, Fields::Some(vec![Tag(0x0010, 0x1010), Tag(0x0020, 0x000D)])];
        for include in fields {
            for below in [None, Some("1.2".to_owned())] {
                let query = Query { study: below.clone(), series: below, include: include.clone(), ..Query::default() };
                for study in [study, spaced] {
                    same(QueryLevel::Study, &query, &Found { study, series: None, instance: None });
                    same(QueryLevel::Series, &query, &Found { study, series: Some(series), instance: None });
                    same(
                        QueryLevel::Instance,
                        &query,
                        &Found { study, series: Some(series), instance: Some(instance) },
                    );
                }
            }
        }
    }
}
