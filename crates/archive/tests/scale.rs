//! An index of 100,000 studies answers as fast as a small one.

mod common;

use std::time::{Duration, Instant};

use archive::{Archive, Fields, Options, Query, QueryLevel};
use common::*;

const STUDIES: i64 = 100_000;

/// One study is ingested; the rest are copies of its rows under other UIDs, names and dates.
fn filled() -> (Archive, tempfile::TempDir) {
    let (archive, folder) = archive();
    let mut file = made("1.1", "1.2", "1.3");
    file.set(0x0008_0020, "DA", "20000101").set(0x0010_0010, "PN", "Name^Given").set(0x0010_0020, "LO", "ID0");
    file.set(0x0008_1030, "LO", "Chest").set(0x0008_0060, "CS", "CT");
    archive.ingest_bytes(&file.file()).unwrap();
    drop(archive);
    let index = unsealed(folder.path());
    index
        .execute_batch(&format!(
            "BEGIN;
             CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < {STUDIES}) SELECT n FROM n;
             INSERT INTO studies (id, uid, date, time, accession, patient_id, birth_date, sex, study_id, description, modalities,
                 series, instances, version, common, more) SELECT n, '1.1.' || n, strftime('%Y%m%d', '2000-01-01', '+' || (n % 9000) || ' days'), time,
                 'A' || n, 'ID' || n, birth_date, sex, study_id, CASE n % 1000 WHEN 7 THEN 'rare' ELSE description END,
                 CASE n % 500 WHEN 3 THEN 'PT' ELSE modalities END, series, instances, version, common, more
                 FROM n, studies s WHERE s.id = 1;
             INSERT INTO names (tag, text, place, study) SELECT tag, 'name' || study_n.n || '^given', place, study_n.n FROM n study_n, names WHERE study = 1;
             INSERT INTO study_modalities (modality, study) SELECT CASE n % 500 WHEN 3 THEN 'PT' ELSE 'CT' END, n FROM n;
             INSERT INTO series (id, study, uid, modality, number, description, body_part, pps_date, pps_time, step_id,
                 procedure_id, instances, version, common, more) SELECT n, n, '1.2.' || n, modality, number, description, body_part, pps_date, pps_time, step_id,
                 procedure_id, instances, version, common, more FROM n, series e WHERE e.id = 1;
             COMMIT; ANALYZE;"
        ))
        .unwrap();
    drop(index);
    (Archive::open(folder.path(), Options::default()).unwrap(), folder)
}

#[test]
fn queries_stay_fast_at_100_000_studies() {
    let (archive, _folder) = filled();
    assert_eq!(archive.stats().unwrap().studies, STUDIES as u64);
    let page =
        Query { limit: Some(101), include: Fields::Some(vec![tag(0x0008_1030), tag(0x0008_0060)]), ..Query::default() };
    let by = |t: u32, v: &str| Query { matches: vec![(tag(t), v.to_owned())], ..page.clone() };
    // What is asked, rows expected, CPU milliseconds allowed.
    let cases: Vec<(&str, QueryLevel, Query, usize, u64)> = vec![
        ("first page", QueryLevel::Study, page.clone(), 101, 20),
        ("page far behind", QueryLevel::Study, Query { offset: 50_000, ..page.clone() }, 101, 40),
        ("study UID", QueryLevel::Study, by(0x0020_000D, "1.1.777"), 1, 5),
        ("patient ID", QueryLevel::Study, by(0x0010_0020, "ID777"), 1, 5),
        ("patient ID, prefix", QueryLevel::Study, by(0x0010_0020, "ID777*"), 101, 20),
        ("patient ID, inside", QueryLevel::Study, by(0x0010_0020, "*9877*"), 20, 150),
        ("name", QueryLevel::Study, by(0x0010_0010, "NAME777^GIVEN"), 1, 5),
        ("name, prefix", QueryLevel::Study, by(0x0010_0010, "Name7777*"), 11, 5),
        ("name, inside", QueryLevel::Study, by(0x0010_0010, "*9877*"), 20, 150),
        ("name, fuzzy", QueryLevel::Study, Query { fuzzy: true, ..by(0x0010_0010, "name9877 giv") }, 11, 150),
        ("one day", QueryLevel::Study, by(0x0008_0020, "20101231"), 11, 5),
        ("ten years", QueryLevel::Study, by(0x0008_0020, "20050101-20141231"), 101, 20),
        ("common modality", QueryLevel::Study, by(0x0008_0061, "CT"), 101, 20),
        ("rare modality", QueryLevel::Study, by(0x0008_0061, "PT"), 101, 150),
        ("rare description", QueryLevel::Study, by(0x0008_1030, "*rar*"), 100, 150),
        ("nothing", QueryLevel::Study, by(0x0010_0020, "nobody"), 0, 5),
        ("series of a study", QueryLevel::Series, Query { study: Some("1.1.777".into()), ..page.clone() }, 1, 5),
        ("series by UID", QueryLevel::Series, by(0x0020_000E, "1.2.777"), 1, 5),
        ("series, first page", QueryLevel::Series, page.clone(), 101, 20),
        ("instances of a study", QueryLevel::Instance, Query { study: Some("1.1".into()), ..page.clone() }, 1, 5),
    ];
    let mut slow = Vec::new();
    for (what, level, query, rows, allowed) in cases {
        let (began, before, mut found, mut times) = (Instant::now(), on_cpu(), 0, 0);
        while times < 3 || began.elapsed() < Duration::from_millis(50) {
            found = archive.find(level, &query).unwrap().rows.len();
            times += 1;
        }
        let each = (on_cpu() - before) / times;
        eprintln!("{what:22} {found:4} rows {:8.3} CPU-ms", each.as_secs_f64() * 1e3);
        assert!(if rows == 101 || rows == 1 || rows == 0 { found == rows } else { found > 0 }, "{what}: {found} rows");
        if each > Duration::from_millis(allowed) {
            slow.push(format!("{what}: {each:?}, {allowed} ms allowed"));
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

/// Time this thread has been on a CPU, whatever else the machine does.
fn on_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}
