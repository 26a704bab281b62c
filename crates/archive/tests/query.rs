//! Queries: the matching of PS3.4 C.2.2.2, the answers of PS3.18 10.6.

mod common;

use archive::{Archive, Error, Fields, Query, QueryLevel};
use common::*;
use serde_json::{Value, json};
use tempfile::TempDir;

const STUDY_DATE: u32 = 0x0008_0020;
const STUDY_TIME: u32 = 0x0008_0030;
const ACCESSION: u32 = 0x0008_0050;
const MODALITY: u32 = 0x0008_0060;
const MODALITIES: u32 = 0x0008_0061;
const DESCRIPTION: u32 = 0x0008_1030;
const NAME: u32 = 0x0010_0010;
const PATIENT_ID: u32 = 0x0010_0020;
const COMMENTS: u32 = 0x0010_4000;
const BODY_PART: u32 = 0x0018_0015;
const STUDY_UID: u32 = 0x0020_000D;

/// Study UID, then what the attributes of [`filled`] are.
const STUDIES: [[&str; 8]; 6] = [
    ["1.1", "20200101", "101500", "Müller^Hans", "P1", "A1", "CHEST CT", "CT"],
    ["1.2", "20200315", "0900", "MULLER^ANNA^MARIE", "P2", "A2", "Knee", "MR"],
    ["1.3", "20210101", "235959.5", "Smith^John=山田^太郎", "P%3", "A_3", "100% done_now", "CT"],
    ["1.4", "", "", "", "", "", "", "SR"],
    ["1.5", "20191231", "000000", "Smithers^W", "p1", "A*5", "'; DROP TABLE studies; --", "MG"],
    ["1.6", "2020.06.01", "10:20:30", "O'Neil^Shaq", "P?6", "A6", "chest x-ray", "DX"],
];

fn filled() -> (Archive, TempDir) {
    let (archive, folder) = archive();
    for [uid, date, time, name, id, accession, description, modality] in STUDIES {
        let mut file = made(uid, &format!("{uid}.1"), &format!("{uid}.1.1"));
        file.set(0x0008_0005, "CS", "ISO_IR 192");
        file.set(STUDY_DATE, "DA", date).set(STUDY_TIME, "TM", time).set(NAME, "PN", name).set(PATIENT_ID, "LO", id);
        file.set(ACCESSION, "SH", accession).set(DESCRIPTION, "LO", description).set(MODALITY, "CS", modality);
        file.set(COMMENTS, "LT", &format!("comment of {uid}")).set(BODY_PART, "CS", "CHEST");
        archive.ingest_bytes(&file.file()).unwrap();
    }
    // A study of two modalities, three series, four instances.
    for (series, sop, number, modality) in
        [("1.1.2", "1.1.2.1", "2", "CT"), ("1.1.2", "1.1.2.2", "1", "CT"), ("1.1.0", "1.1.0.1", "1", "SR")]
    {
        let mut file = made("1.1", series, sop);
        file.set(MODALITY, "CS", modality).set(0x0020_0013, "IS", number).set(0x0020_0011, "IS", &series[4..]);
        file.set(0x0008_103E, "LO", "Thin  slices").image(16, 8, 1);
        archive.ingest_bytes(&file.file()).unwrap();
    }
    (archive, folder)
}

fn uids(archive: &Archive, query: &Query) -> Vec<String> {
    let found = archive.find(QueryLevel::Study, query).unwrap();
    found.rows.iter().map(|row| value(row, "0020000D").as_str().unwrap().to_owned()).collect()
}

fn matching(archive: &Archive, matches: &[(u32, &str)]) -> Vec<String> {
    let matches = matches.iter().map(|(t, v)| (tag(*t), (*v).to_owned())).collect();
    let mut found = uids(archive, &Query { matches, ..Query::default() });
    found.sort();
    found
}

/// Attributes that are matched, and the studies that are found.
type Case<'a> = (&'a [(u32, &'a str)], &'a [&'a str]);

#[test]
fn attributes_match_as_the_standard_says() {
    let (archive, _folder) = filled();
    let cases: &[Case<'_>] = &[
        // Universal.
        (&[], &["1.1", "1.2", "1.3", "1.4", "1.5", "1.6"]),
        (&[(PATIENT_ID, "")], &["1.1", "1.2", "1.3", "1.4", "1.5", "1.6"]),
        (&[(PATIENT_ID, "*")], &["1.1", "1.2", "1.3", "1.4", "1.5", "1.6"]),
        // Single values are case-sensitive, but for names and descriptions.
        (&[(PATIENT_ID, "P1")], &["1.1"]),
        (&[(PATIENT_ID, "p1")], &["1.5"]),
        (&[(DESCRIPTION, "chest*")], &["1.1", "1.6"]),
        // Wild cards.
        (&[(PATIENT_ID, "P*")], &["1.1", "1.2", "1.3", "1.6"]),
        (&[(PATIENT_ID, "?1")], &["1.1", "1.5"]),
        (&[(PATIENT_ID, "*1*")], &["1.1", "1.5"]),
        (&[(ACCESSION, "A?")], &["1.1", "1.2", "1.6"]),
        // What is special to SQL is not special here.
        (&[(PATIENT_ID, "P%")], &[]),
        (&[(PATIENT_ID, "P%*")], &["1.3"]),
        (&[(PATIENT_ID, "%")], &[]),
        (&[(ACCESSION, "A_?")], &["1.3"]),
        (&[(ACCESSION, "A_")], &[]),
        (&[(ACCESSION, "_*")], &[]),
        (&[(ACCESSION, "*_*")], &["1.3"]),
        (&[(DESCRIPTION, "*'; drop table*")], &["1.5"]),
        (&[(DESCRIPTION, "' OR '1'='1")], &[]),
        (&[(PATIENT_ID, "P[1-9]")], &[]),
        (&[(PATIENT_ID, "P\\1")], &[]),
        // Person names: case and accents do not count, each component group does.
        (&[(NAME, "muller^hans")], &["1.1"]),
        (&[(NAME, "MÜLLER*")], &["1.1", "1.2"]),
        (&[(NAME, "*anna*")], &["1.2"]),
        (&[(NAME, "smith^john")], &["1.3"]),
        (&[(NAME, "smith*")], &["1.3", "1.5"]),
        (&[(NAME, "smith")], &[]),
        (&[(NAME, "山田*")], &["1.3"]),
        (&[(NAME, "o'neil^*")], &["1.6"]),
        // Dates and times.
        (&[(STUDY_DATE, "20200101")], &["1.1"]),
        (&[(STUDY_DATE, "20200101-20201231")], &["1.1", "1.2", "1.6"]),
        (&[(STUDY_DATE, "-20200101")], &["1.1", "1.5"]),
        (&[(STUDY_DATE, "20200601-")], &["1.3", "1.6"]),
        (&[(STUDY_DATE, "2020*")], &["1.1", "1.2", "1.6"]),
        (&[(STUDY_TIME, "09-10")], &["1.1", "1.2", "1.6"]),
        (&[(STUDY_TIME, "-0000")], &["1.5"]),
        (&[(STUDY_TIME, "235959-235959.9")], &["1.3"]),
        // UIDs, one or many.
        (&[(STUDY_UID, "1.3")], &["1.3"]),
        (&[(STUDY_UID, "1.3\\1.5\\9.9")], &["1.3", "1.5"]),
        (&[(STUDY_UID, "1.3,1.5")], &["1.3", "1.5"]),
        (&[(STUDY_UID, "1.*")], &[]),
        // Any modality of the study.
        (&[(MODALITIES, "CT")], &["1.1", "1.3"]),
        (&[(MODALITIES, "SR")], &["1.1", "1.4"]),
        (&[(MODALITIES, "MR\\MG")], &["1.2", "1.5"]),
        (&[(MODALITIES, "M*")], &["1.2", "1.5"]),
        // All must hold.
        (&[(MODALITIES, "CT"), (STUDY_DATE, "2021*")], &["1.3"]),
        (&[(MODALITIES, "CT"), (PATIENT_ID, "P2")], &[]),
        (&[(0x0020_1208, "4")], &["1.1"]),
        (&[(0x0020_1208, "four")], &[]),
    ];
    for (matches, expected) in cases {
        assert_eq!(matching(&archive, matches), *expected, "{matches:x?}");
    }
}

#[test]
fn fuzzy_names_match_by_the_beginnings_of_words() {
    let (archive, _folder) = filled();
    let fuzzy = |value: &str| {
        let matches = vec![(tag(NAME), value.to_owned())];
        let mut found = uids(&archive, &Query { matches, fuzzy: true, ..Query::default() });
        found.sort();
        found
    };
    assert_eq!(fuzzy("mull"), ["1.1", "1.2"]);
    assert_eq!(fuzzy("Marie Müller"), ["1.2"]);
    assert_eq!(fuzzy("JOHN^SMI"), ["1.3"]);
    assert_eq!(fuzzy("uller"), Vec::<String>::new());
    assert_eq!(fuzzy("*").len(), 6);
}

#[test]
fn pages_are_stable_and_say_when_there_is_more() {
    let (archive, _folder) = filled();
    let page = |limit, offset| archive.find(QueryLevel::Study, &Query { limit, offset, ..Query::default() }).unwrap();
    let all = uids(&archive, &Query::default());
    assert_eq!(all, ["1.3", "1.6", "1.2", "1.1", "1.5", "1.4"], "newest first");
    let mut paged = Vec::new();
    for offset in (0..6).step_by(2) {
        let found = page(Some(2), offset);
        assert_eq!(found.more, offset < 4);
        paged.extend(found.rows.iter().map(|row| value(row, "0020000D").as_str().unwrap().to_owned()));
    }
    assert_eq!(paged, all);
    assert!(page(Some(2), 6).rows.is_empty());
    assert!(page(Some(0), 0).more);
    assert!(!page(None, 0).more);
}

#[test]
fn a_study_is_shown_as_the_standard_says() {
    let (archive, _folder) = filled();
    let query = Query { matches: vec![(tag(STUDY_UID), "1.1".into())], ..Query::default() };
    let row = &archive.find(QueryLevel::Study, &query).unwrap().rows[0];
    let shown = Value::Object(row.clone());
    assert_eq!(shown["00100010"], json!({"vr": "PN", "Value": [{"Alphabetic": "Müller^Hans"}]}));
    assert_eq!(shown["00080061"], json!({"vr": "CS", "Value": ["CT", "SR"]}));
    assert_eq!(shown["00201206"], json!({"vr": "IS", "Value": [3]}));
    assert_eq!(shown["00201208"], json!({"vr": "IS", "Value": [4]}));
    assert_eq!(shown["00080005"], json!({"vr": "CS", "Value": ["ISO_IR 192"]}));
    assert_eq!(shown["00080056"], json!({"vr": "CS", "Value": ["ONLINE"]}));
    assert_eq!(shown["00081030"], json!({"vr": "LO", "Value": ["CHEST CT"]}));
    assert_eq!(shown.get("00104000"), None);
    for include in [Fields::All, Fields::Some(vec![tag(COMMENTS), tag(MODALITY)])] {
        let row = &archive.find(QueryLevel::Study, &Query { include, ..query.clone() }).unwrap().rows[0];
        assert_eq!(value(row, "00104000"), "comment of 1.1");
        assert_eq!(row.get("00080060"), None, "an attribute of the series is not one of the study");
    }
    let three = Query { matches: vec![(tag(STUDY_UID), "1.3".into())], ..Query::default() };
    let row = &archive.find(QueryLevel::Study, &three).unwrap().rows[0];
    assert_eq!(value(row, "00100010"), json!({"Alphabetic": "Smith^John", "Ideographic": "山田^太郎"}));
    // Empty in the file is empty in the answer.
    let four = Query { matches: vec![(tag(STUDY_UID), "1.4".into())], ..Query::default() };
    let row = &archive.find(QueryLevel::Study, &four).unwrap().rows[0];
    assert_eq!(row["00100020"], json!({"vr": "LO"}));
}

#[test]
fn series_and_instances_are_listed_by_number() {
    let (archive, _folder) = filled();
    let series = Query { study: Some("1.1".into()), ..Query::default() };
    let found = archive.find(QueryLevel::Series, &series).unwrap();
    let listed: Vec<_> = found.rows.iter().map(|row| value(row, "0020000E")).collect();
    assert_eq!(listed, ["1.1.1", "1.1.0", "1.1.2"]);
    assert_eq!(value(&found.rows[2], "00201209"), 2);
    assert_eq!(value(&found.rows[2], "0008103E"), "Thin  slices");
    assert_eq!(value(&found.rows[2], "0020000D"), "1.1");
    assert!(found.rows[0].get("00100010").is_none(), "the study is known to who asks");

    let instances = Query { series: Some("1.1.2".into()), ..series.clone() };
    let found = archive.find(QueryLevel::Instance, &instances).unwrap();
    let listed: Vec<_> = found.rows.iter().map(|row| value(row, "00080018")).collect();
    assert_eq!(listed, ["1.1.2.2", "1.1.2.1"]);
    let row = &found.rows[0];
    assert_eq!((value(row, "00280010"), value(row, "00280011")), (json!(16), json!(8)));
    assert_eq!(value(row, "00083002"), "1.2.840.10008.1.2.1");
    assert_eq!(value(row, "00200013"), 1);

    // Without a scope the levels above are shown, and can be matched by.
    let by = |level, t: u32, v: &str| {
        archive.find(level, &Query { matches: vec![(tag(t), v.into())], ..Query::default() }).unwrap()
    };
    let found = by(QueryLevel::Series, NAME, "müller^h*");
    assert_eq!(found.rows.len(), 3);
    assert_eq!(value(&found.rows[0], "00100010"), json!({"Alphabetic": "Müller^Hans"}));
    assert_eq!(by(QueryLevel::Instance, MODALITY, "CT").rows.len(), 4);
    // What is matched by is returned.
    let found = by(QueryLevel::Series, BODY_PART, "CH*");
    assert!(found.rows.len() == 6 && found.rows.iter().all(|row| value(row, "00180015") == "CHEST"));
    assert_eq!(by(QueryLevel::Instance, 0x0020_0013, "2").rows.len(), 1);
    assert_eq!(by(QueryLevel::Instance, 0x0008_0018, "1.1.2.1,1.3.1.1").rows.len(), 2);
    assert_eq!(by(QueryLevel::Series, 0x0008_103E, "thin slices").rows.len(), 2);
    assert!(
        archive
            .find(QueryLevel::Series, &Query { study: Some("7.7".into()), ..Query::default() })
            .unwrap()
            .rows
            .is_empty()
    );
}

#[test]
fn what_cannot_be_matched_is_told() {
    let (archive, _folder) = filled();
    let matches = vec![(tag(0x0018_0050), "1".to_owned()), (tag(MODALITY), "CT".to_owned())];
    let found = archive.find(QueryLevel::Study, &Query { matches, ..Query::default() }).unwrap();
    assert_eq!(found.rows.len(), 6);
    assert_eq!(found.ignored, [tag(0x0018_0050), tag(MODALITY)]);
    let long = vec![(tag(PATIENT_ID), "x".repeat(5000))];
    let refused = archive.find(QueryLevel::Study, &Query { matches: long, ..Query::default() });
    assert!(matches!(refused, Err(Error::Query(_))));
}

#[test]
fn the_request_is_found_in_its_sequence() {
    let (archive, _folder) = archive();
    let mut file = made("1.1", "1.2", "1.3");
    // One item of defined length with Scheduled Procedure Step ID and Requested Procedure ID.
    let mut item = Vec::new();
    for (element, text) in [([0x40, 0x00, 0x09, 0x00], b"STEP"), ([0x40, 0x00, 0x01, 0x10], b"PROC")] {
        item.extend(element);
        item.extend(b"SH\x04\0");
        item.extend(text);
    }
    let mut sequence = vec![0xFE, 0xFF, 0x00, 0xE0];
    sequence.extend((item.len() as u32).to_le_bytes());
    sequence.extend(item);
    file.bytes(0x0040_0275, "SQ", &sequence);
    archive.ingest_bytes(&file.file()).unwrap();
    let matches = vec![(tag(0x0040_0009), "STEP".to_owned()), (tag(0x0040_1001), "P*".to_owned())];
    let found = archive.find(QueryLevel::Series, &Query { matches, ..Query::default() }).unwrap();
    assert_eq!(value(&found.rows[0], "00400275")["00400009"]["Value"][0], "STEP");
    let matches = vec![(tag(0x0040_0009), "OTHER".to_owned())];
    assert!(archive.find(QueryLevel::Series, &Query { matches, ..Query::default() }).unwrap().rows.is_empty());
}

/// Patient names, each of a study of its own.
fn named(names: &[&str]) -> (Archive, TempDir) {
    let (archive, folder) = archive();
    for (n, name) in names.iter().enumerate() {
        let study = format!("1.{}", n + 1);
        let mut file = made(&study, &format!("{study}.1"), &format!("{study}.1.1"));
        file.set(0x0008_0005, "CS", "ISO_IR 192").set(NAME, "PN", name);
        archive.ingest_bytes(&file.file()).unwrap();
    }
    (archive, folder)
}

/// The names among `names` that a value matches.
fn found<'a>(archive: &Archive, names: &[&'a str], value: &str) -> Vec<&'a str> {
    let studies = matching(archive, &[(NAME, value)]);
    names.iter().enumerate().filter(|(n, _)| studies.contains(&format!("1.{}", n + 1))).map(|(_, name)| *name).collect()
}

/// isar #1135, Weasis #149 and #428, DICOMcloud #101: `?` is one character as it is written, empty components at the end mean nothing.
#[test]
fn wild_cards_in_names_of_any_script() {
    let kims = ["Kim^Yeongsu=김^영수=김^영수", "Kim^Gilsu=金^吉洙=김^길수", "Kim^Yeongjin=김^영진=김^영진"];
    let lees = ["LEE^", "LEE", "LEE^Ann", "LEESON^Bo", "^Lee", ""];
    let kana = ["Yamada=山田=ヤマダ", "Yamata=山多=ヤマタ", "Hata=畑=ハタ", "Bata=場田=バタ", "Pata=ﾊﾟﾀ"];
    let names = [&kims[..], &lees, &kana].concat();
    let (archive, _folder) = named(&names);
    let cases: &[(&str, &[&str])] = &[
        ("김^?수", &[kims[0], kims[1]]),
        ("김^영?", &[kims[0], kims[2]]),
        ("김*", &kims),
        ("김^??", &kims),
        ("김^?", &[]),
        ("기*", &[]),
        ("\u{1100}\u{1175}\u{11B7}^\u{110B}\u{1167}\u{11BC}?", &[kims[0], kims[2]]),
        ("LEE^*", &[lees[0], lees[1], lees[2]]),
        ("LEE^", &[lees[0], lees[1]]),
        ("LEE^^^^", &[lees[0], lees[1]]),
        ("LEE", &[lees[0], lees[1]]),
        ("LEE*", &[lees[0], lees[1], lees[2], lees[3]]),
        ("LEE^*^*^*^*", &[lees[0], lees[1], lees[2]]),
        ("LEE?", &[]),
        ("LEE^?*", &[lees[2]]),
        ("^*", &[lees[4], lees[5]]),
        ("*^Lee", &[lees[4]]),
        ("ヤマダ", &[kana[0]]),
        ("ﾔﾏﾀﾞ", &[kana[0]]),
        ("ヤマ?", &[kana[0], kana[1]]),
        ("ﾔﾏ?", &[kana[0], kana[1]]),
        ("?タ", &[kana[2], kana[3], kana[4]]),
        ("ハタ", &[kana[2]]),
        ("バ*", &[kana[3]]),
        // Each component group by itself, or each in its place.
        ("山田", &[kana[0]]),
        ("=山田", &[kana[0]]),
        ("=ヤマダ", &[]),
        ("==ヤマダ", &[kana[0]]),
        ("yamada==ヤマ?", &[kana[0]]),
        ("yamada==ハタ", &[]),
        ("=김^영*=김^?수", &[kims[0]]),
        ("山田=yamada", &[]),
        ("Yamada=山田=", &[kana[0]]),
        ("*=*=*", &names),
    ];
    for (value, expected) in cases {
        assert_eq!(found(&archive, &names, value), *expected, "{value}");
    }
}

#[test]
fn an_archive_of_the_last_version_answers_right_at_once() {
    let names = ["Kim=김^영수", "LEE^", "Müller^Hans=ミュラー", "Bata=場田=バタ"];
    let (archive, folder) = named(&names);
    let mut file = made("1.9", "1.9.1", "1.9.1.1");
    file.set(0x0008_0005, "CS", "ISO_IR 192").set(DESCRIPTION, "LO", "パ и й").set(0x0008_103E, "LO", "머리");
    archive.ingest_bytes(&file.file()).unwrap();
    drop(archive);
    let index = unsealed(folder.path());
    index
        .execute_batch(
            "DROP TABLE names;
             CREATE TABLE names (tag INTEGER NOT NULL, text TEXT NOT NULL, study INTEGER NOT NULL REFERENCES studies, sum BLOB,
                 PRIMARY KEY (tag, text, study)) STRICT, WITHOUT ROWID;
             INSERT INTO names (tag, text, study) VALUES (1048592, 'kim', 1), (1048592, 'lee', 2), (1048592, 'ハタ', 4);
             UPDATE studies SET description = 'ハ и и' WHERE uid = '1.9';
             UPDATE series SET description = 'x' WHERE uid = '1.9.1';
             DROP TABLE settled; DROP INDEX jobs_next_try;",
        )
        .unwrap();
    of_version(&index, 5);
    drop(index);
    let archive = Archive::open(folder.path(), archive::Options::default()).unwrap();
    for (value, expected) in [("김^?수", 0), ("LEE^*", 1), ("muller^hans", 2), ("ミュ??", 2), ("バタ", 3)] {
        assert_eq!(found(&archive, &names, value), [names[expected]], "{value}");
    }
    assert_eq!(found(&archive, &names, "ハタ"), Vec::<&str>::new());
    assert_eq!(matching(&archive, &[(DESCRIPTION, "パ и й")]), ["1.9"]);
    let matches = vec![(tag(0x0008_103E), "머?".to_owned())];
    assert_eq!(archive.find(QueryLevel::Series, &Query { matches, ..Query::default() }).unwrap().rows.len(), 1);
    // Each new row has its sum.
    let index = unsealed(folder.path());
    let without: i64 = index.query_row("SELECT count(*) FROM names WHERE sum IS NULL", [], |row| row.get(0)).unwrap();
    assert_eq!(without, 0);
}

/// PS3.18 tables 10.6.3-3 to 10.6.3-5: what is required is there, if empty, of an instance that has next to nothing.
#[test]
fn what_is_required_is_there_at_every_level() {
    let (archive, _folder) = archive();
    let mut bare = made("1.1", "1.1.1", "1.1.1.1");
    bare.set(MODALITY, "CS", "");
    archive.ingest_bytes(&bare.file()).unwrap();
    let study = [
        "00080020", "00080030", "00080050", "00080090", "00100010", "00100020", "00100030", "00100040", "0020000D",
        "00200010", "00201206", "00201208",
    ];
    let series = ["00080060", "0020000E", "00200011", "00201209"];
    let instance = ["00080016", "00080018", "00200013"];
    let below = |study: Option<&str>, series: Option<&str>| Query {
        study: study.map(str::to_owned),
        series: series.map(str::to_owned),
        ..Query::default()
    };
    let cases: [(QueryLevel, Query, Vec<&[&str]>); 6] = [
        (QueryLevel::Study, below(None, None), vec![&study]),
        (QueryLevel::Series, below(None, None), vec![&study, &series]),
        (QueryLevel::Series, below(Some("1.1"), None), vec![&series]),
        (QueryLevel::Instance, below(None, None), vec![&study, &series, &instance]),
        (QueryLevel::Instance, below(Some("1.1"), None), vec![&series, &instance]),
        (QueryLevel::Instance, below(Some("1.1"), Some("1.1.1")), vec![&instance]),
    ];
    for (level, query, required) in cases {
        let row = &archive.find(level, &query).unwrap().rows[0];
        for tag in required.concat() {
            assert!(row.get(tag).is_some_and(|attribute| attribute["vr"].is_string()), "{level:?} {query:?} {tag}");
        }
        // Viewers read its values unasked, and one study would hide all others.
        assert_eq!(row.get("00080061"), None, "{level:?} {query:?}");
    }
    let row = &archive.find(QueryLevel::Study, &Query::default()).unwrap().rows[0];
    assert_eq!(row["00100010"], json!({"vr": "PN"}));
}

#[test]
fn a_search_ends_when_nobody_waits() {
    let names: Vec<String> = (0..300).map(|n| format!("Name{n}^Given")).collect();
    let (archive, _folder) = named(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let matches = vec![(tag(NAME), "*e*7*ven".to_owned())];
    let query = Query { matches, ..Query::default() };
    let gone = archive::Patience::of(std::time::Duration::MAX);
    gone.give_up();
    assert!(matches!(archive.find_for(&gone, QueryLevel::Study, &query), Err(Error::TooLong)));
    let short = archive::Patience::of(std::time::Duration::ZERO);
    assert!(matches!(archive.find_for(&short, QueryLevel::Study, &query), Err(Error::TooLong)));
    // The reader that was stopped serves the next.
    for _ in 0..20 {
        assert!(!archive.find(QueryLevel::Study, &query).unwrap().rows.is_empty());
    }
}
