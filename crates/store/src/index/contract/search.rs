//! Searches (PS3.4 C.2.2.2, PS3.18 10.6).

use std::time::Duration;

use super::*;
use crate::Error;
use crate::index::attributes::*;
use crate::index::{Fields, Matches, Patience, Query, QueryLevel};

/// Three studies of different patients; study `1.n` has n series of one instance each.
fn fill(bed: &Bed) {
    let studies = [
        ("1.1", "20200101", "101500", "A1", "P1", "MÜLLER^Ana=山田^太郎", "Chest"),
        ("1.2", "20210202", "235959.5", "A2", "P2", "Smith^John", "chest X-ray"),
        ("1.3", "20210203", "", "B3", "P22", "Miller^Anna", ""),
    ];
    for (n, (study, date, time, accession, patient, name, text)) in (1..).zip(studies) {
        for series in 0..n {
            let mut new = new_instance(study, &format!("{study}.{series}"), &format!("{study}.{series}.1"));
            new.study = StudyTexts {
                date: date.into(),
                time: time.into(),
                accession: accession.into(),
                patient_id: patient.into(),
                description: description(text),
                ..StudyTexts::default()
            };
            new.names = person(PATIENT_NAME, name);
            (new.series_number, new.modality) = (Some(9 - series), ["CT", "MR", "SR"][series as usize].into());
            new.study_shown.common = format!(
                "{{\"0020000D\":{{\"vr\":\"UI\",\"Value\":[\"{study}\"]}},\"00100020\":{{\"vr\":\"LO\",\"Value\":[\"{patient}\"]}}}}"
            );
            new.study_shown.more = "{\"00101010\":{\"vr\":\"AS\",\"Value\":[\"010Y\"]}}".into();
            new.series_shown.common = format!("{{\"0020000E\":{{\"vr\":\"UI\",\"Value\":[\"{}\"]}}}}", new.key.series);
            new.instance_shown.common = format!("{{\"00080018\":{{\"vr\":\"UI\",\"Value\":[\"{}\"]}}}}", new.key.sop);
            bed.add(new);
        }
    }
}

fn find(bed: &Bed, level: QueryLevel, query: &Query) -> Matches {
    bed.find(&Patience::of(Duration::MAX), level, query).unwrap()
}

fn matching(matches: &[(Tag, &str)]) -> Query {
    Query { matches: matches.iter().map(|(tag, value)| (*tag, (*value).to_owned())).collect(), ..Query::default() }
}

/// The first values of an attribute, row by row.
fn values(found: &Matches, tag: Tag) -> Vec<String> {
    let value = |row: &serde_json::Map<String, serde_json::Value>| {
        Some(row.get(&name(tag))?.get("Value")?.get(0)?.as_str()?.to_owned())
    };
    found.rows.iter().map(|row| value(row).unwrap_or_default()).collect()
}

fn studies(bed: &Bed, query: &Query) -> String {
    let mut found: Vec<String> = values(&find(bed, QueryLevel::Study, query), STUDY_INSTANCE_UID);
    found.sort();
    found.iter().map(|uid| uid.rsplit('.').next().unwrap()).collect()
}

pub fn keys_match(bed: Bed) {
    fill(&bed);
    for (tag, value, expected) in [
        (STUDY_INSTANCE_UID, "1.2", "2"),
        (STUDY_INSTANCE_UID, "1.3\\1.1", "13"),
        (STUDY_INSTANCE_UID, "1.3,1.1, 1.9", "13"),
        (STUDY_DATE, "20210202", "2"),
        (STUDY_DATE, "20210202-", "23"),
        (STUDY_DATE, "-20210202", "12"),
        (STUDY_DATE, "20200101-20210202", "12"),
        (STUDY_DATE, "2021.02.02", "2"),
        (STUDY_DATE, "2021*", "23"),
        (STUDY_TIME, "10-11", "1"),
        (STUDY_TIME, "-23", "12"),
        (STUDY_TIME, "23:59:59.5", "2"),
        (ACCESSION_NUMBER, "A1", "1"),
        (ACCESSION_NUMBER, "a1", ""),
        (ACCESSION_NUMBER, "A?", "12"),
        (ACCESSION_NUMBER, "*", "123"),
        (PATIENT_ID, "P2", "2"),
        (PATIENT_ID, "P2*", "23"),
        (PATIENT_ID, "*2", "23"),
        (PATIENT_ID, "P?2", "3"),
        (PATIENT_ID, "%", ""),
        (PATIENT_ID, "P_", ""),
        (PATIENT_ID, "", "123"),
        (STUDY_DESCRIPTION, "CHEST", "1"),
        (STUDY_DESCRIPTION, "Chést*", "12"),
        (STUDY_DESCRIPTION, "*x-RAY*", "2"),
        (MODALITIES_IN_STUDY, "MR", "23"),
        (MODALITIES_IN_STUDY, "SR\\XX", "3"),
        (MODALITIES_IN_STUDY, "C*", "123"),
        (STUDY_SERIES, "3", "3"),
        (STUDY_INSTANCES, "2", "2"),
        (STUDY_INSTANCES, "two", ""),
    ] {
        assert_eq!(studies(&bed, &matching(&[(tag, value)])), expected, "{} {value:?}", name(tag));
    }
    assert_eq!(studies(&bed, &matching(&[(PATIENT_ID, "P2*"), (ACCESSION_NUMBER, "B3")])), "3");
    let series = |tag, value| find(&bed, QueryLevel::Series, &matching(&[(tag, value)])).rows.len();
    assert_eq!([series(MODALITY, "CT"), series(MODALITY, "MR"), series(SERIES_NUMBER, "7")], [3, 2, 1]);
    let instances = |tag, value| find(&bed, QueryLevel::Instance, &matching(&[(tag, value)])).rows.len();
    assert_eq!([instances(SOP_INSTANCE_UID, "1.3.0.1"), instances(INSTANCE_NUMBER, "1")], [1, 6]);
}

pub fn what_is_told_matches(bed: Bed) {
    for (sop, maker, date, rows, syntax) in [
        ("1.1", "GE MEDICAL", "20200102", 512, "1.2.840.10008.1.2.4.80"),
        ("1.2", "Siemens", "2021.03.04", 256, "1.2.840.10008.1.2.1"),
        ("1.3", "", "", 0, "1.2.840.10008.1.2.1"),
    ] {
        let mut new = new_instance("1", sop, sop);
        if !maker.is_empty() {
            new.series_shown.more = format!("{{\"00080070\":{{\"vr\":\"LO\",\"Value\":[\"{maker}\"]}}}}");
            new.instance_shown.more = format!("{{\"00080023\":{{\"vr\":\"DA\",\"Value\":[\"{date}\"]}}}}");
        }
        new.instance_shown.common = format!("{{\"00080018\":{{\"vr\":\"UI\",\"Value\":[\"{sop}\"]}}}}");
        (new.object.facts, new.object.syntax) = (format!("{{\"rows\":{rows},\"columns\":7}}"), syntax.into());
        bed.add(new);
    }
    for (tag, value, expected) in [
        (MANUFACTURER, "GE MEDICAL", "1"),
        (MANUFACTURER, "ge medical", ""),
        (MANUFACTURER, "*e*", "2"),
        (MANUFACTURER, "GE*", "1"),
        (MANUFACTURER, "*", "123"),
        (CONTENT_DATE, "20210304", "2"),
        (CONTENT_DATE, "2021.03.04", "2"),
        (CONTENT_DATE, "20200101-", "12"),
        (CONTENT_DATE, "-20200102", "1"),
        (ROWS, "512", "1"),
        (ROWS, "0", ""),
        (COLUMNS, "7", "123"),
        (AVAILABLE_TRANSFER_SYNTAX, "1.2.840.10008.1.2.4.80\\1.2.3", "1"),
        (AVAILABLE_TRANSFER_SYNTAX, "1.2.840.10008.1.2.1", "23"),
    ] {
        let found = find(&bed, QueryLevel::Instance, &matching(&[(tag, value)]));
        let mut sops: Vec<String> = values(&found, SOP_INSTANCE_UID);
        sops.sort();
        let sops: String = sops.iter().map(|uid| uid.rsplit('.').next().unwrap()).collect();
        assert_eq!((&*sops, &found.ignored[..]), (expected, &[][..]), "{} {value:?}", name(tag));
    }
    // What is of an image is not matched above it.
    let found = find(&bed, QueryLevel::Series, &matching(&[(ROWS, "512"), (MANUFACTURER, "GE*")]));
    assert_eq!((found.rows.len(), &found.ignored[..]), (1, &[ROWS][..]));
}

pub fn names_match(bed: Bed) {
    fill(&bed);
    for (value, fuzzy, expected) in [
        ("muller^ana", false, "1"),
        ("MULLER", false, ""),
        ("m*", false, "13"),
        ("*an?*", false, "13"),
        ("山田*", false, "1"),
        ("=山田*", false, "1"),
        ("smith^john=x", false, ""),
        ("Smith^John^", false, "2"),
        ("*", false, "123"),
        ("ann mil", true, "3"),
        ("ana", true, "1"),
        ("mith", true, ""),
    ] {
        let query = Query { fuzzy, ..matching(&[(PATIENT_NAME, value)]) };
        assert_eq!(studies(&bed, &query), expected, "{value:?} {fuzzy}");
    }
}

pub fn levels_and_orders(bed: Bed) {
    fill(&bed);
    let found = find(&bed, QueryLevel::Study, &Query::default());
    assert_eq!(values(&found, STUDY_INSTANCE_UID), ["1.3", "1.2", "1.1"]);
    let of_study = Query { study: Some("1.3".into()), ..Query::default() };
    let found = find(&bed, QueryLevel::Series, &of_study);
    assert_eq!(values(&found, SERIES_INSTANCE_UID), ["1.3.2", "1.3.1", "1.3.0"]);
    assert!(!found.rows[0].contains_key(&name(PATIENT_ID)));
    let found = find(&bed, QueryLevel::Series, &Query::default());
    assert_eq!(values(&found, SERIES_INSTANCE_UID)[..4], ["1.3.2", "1.3.1", "1.3.0", "1.2.1"]);
    assert_eq!(values(&found, PATIENT_ID)[3], "P2");
    let of_series = Query { series: Some("1.3.1".into()), ..of_study };
    let found = find(&bed, QueryLevel::Instance, &of_series);
    assert_eq!(values(&found, SOP_INSTANCE_UID), ["1.3.1.1"]);
    assert_eq!(values(&found, STUDY_INSTANCE_UID), ["1.3"]);
}

pub fn pages(bed: Bed) {
    fill(&bed);
    let page =
        |offset, limit| find(&bed, QueryLevel::Series, &Query { offset, limit: Some(limit), ..Query::default() });
    let whole = values(&find(&bed, QueryLevel::Series, &Query::default()), SERIES_INSTANCE_UID);
    for (offset, limit, more) in [(0, 2, true), (2, 4, false), (4, 1, true), (5, 1, false), (6, 9, false), (0, 0, true)]
    {
        let found = page(offset, limit);
        let expected: Vec<_> = whole.iter().skip(offset).take(limit).cloned().collect();
        assert_eq!(values(&found, SERIES_INSTANCE_UID), expected, "{offset} {limit}");
        assert_eq!(found.more, more, "{offset} {limit}");
    }
}

pub fn what_is_asked_for_is_returned(bed: Bed) {
    fill(&bed);
    let age = Tag(0x0010, 0x1010);
    let with = |include| find(&bed, QueryLevel::Study, &Query { include, ..Query::default() });
    assert!(!with(Fields::Default).rows[0].contains_key(&name(age)));
    assert_eq!(values(&with(Fields::Some(vec![age])), age), ["010Y"; 3]);
    assert_eq!(values(&with(Fields::All), age), ["010Y"; 3]);
    let row = &with(Fields::Default).rows[0];
    assert_eq!(row[&name(STUDY_SERIES)]["Value"][0], 3);
    assert_eq!(row[&name(MODALITIES_IN_STUDY)]["Value"], serde_json::json!(["CT", "MR", "SR"]));
    assert!(row.contains_key(&name(PATIENT_NAME)), "an attribute of type 2 is there even where it is empty");
}

pub fn who_gives_up_is_told_so(bed: Bed) {
    for n in 0..1_000 {
        drop(bed.register(new_instance(&format!("1.{n}"), "1.2", "1.3")));
    }
    bed.add(new_instance("1.9999", "1.2", "1.3"));
    let gone = Patience::of(Duration::MAX);
    gone.give_up();
    let query = matching(&[(PATIENT_ID, "*x*y*")]);
    let found = bed.find(&gone, QueryLevel::Instance, &query);
    assert!(matches!(found, Err(Error::TooLong)), "{found:?}");
    // Whoever has the same connection next is not interrupted.
    assert!(find(&bed, QueryLevel::Instance, &query).rows.is_empty());
}

pub fn what_cannot_be_matched_is_said(bed: Bed) {
    fill(&bed);
    let (unknown, below) = (Tag(0x0011, 0x0010), SOP_INSTANCE_UID);
    let found =
        find(&bed, QueryLevel::Study, &matching(&[(unknown, "x"), (below, "1.3"), (SPECIFIC_CHARACTER_SET, "x")]));
    assert_eq!(found.ignored, [unknown, below]);
    assert_eq!(found.rows.len(), 3);
    let long = matching(&[(PATIENT_ID, &"x".repeat(5000))]);
    let found = bed.find(&Patience::of(Duration::MAX), QueryLevel::Study, &long);
    assert!(matches!(found, Err(Error::Query(_))), "{found:?}");
}
