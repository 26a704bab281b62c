//! Prepared metadata is kept until it is stale.

use super::*;
use crate::index::PreparedRow;

fn row(text: &str, root: &str) -> PreparedRow {
    let deflate = text.as_bytes().to_vec();
    let (bytes, sha256) = (deflate.len() as u64, Sha256::digest(text).into());
    PreparedRow { deflate, bytes, crc: 0xFFFF_FFFE, sha256, root: root.into() }
}

fn text(bed: &Bed, series: i64, form: u16) -> Option<String> {
    bed.prepared(series, form).unwrap().map(|row| String::from_utf8(row.deflate).unwrap())
}

pub fn prepared_until_it_is_stale(bed: Bed) {
    let mut second = new_instance("1.1", "1.9", "1.4");
    second.series_number = Some(0);
    bed.add(new_instance("1.1", "1.2", "1.3"));
    bed.add(second);
    let all = bed.series_of("1.1", None).unwrap();
    let one = bed.series_of("1.1", Some("1.2")).unwrap();
    assert_eq!((all.len(), one.len(), all[1]), (2, 1, one[0]));
    assert!(bed.series_of("1.9", None).unwrap().is_empty());
    let series = bed.series(one[0]).unwrap();
    assert_eq!((series.study.as_str(), series.uid.as_str()), ("1.1", "1.2"));
    assert_eq!(bed.stale(2).unwrap(), [one[0], all[0]], "in the order they came");
    bed.keep_prepared(one[0], series.version, 2, row("prepared", "")).unwrap();
    let kept = bed.prepared(one[0], 2).unwrap().unwrap();
    assert_eq!((kept.bytes, kept.crc, kept.root.as_str()), (8, 0xFFFF_FFFE, ""));
    assert_eq!(text(&bed, one[0], 3), None);
    assert_eq!(bed.stale(2).unwrap(), [all[0]]);
    bed.add(new_instance("1.1", "1.2", "1.5"));
    assert_eq!(text(&bed, one[0], 2), None);
    assert_eq!(bed.stale(2).unwrap().len(), 2);
}

pub fn the_later_version_stays(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let series = bed.series_of("1.1", None).unwrap()[0];
    let version = bed.series(series).unwrap().version;
    bed.keep_prepared(series, version, 2, row("now", "")).unwrap();
    bed.keep_prepared(series, version - 1, 2, row("before", "")).unwrap();
    assert_eq!(text(&bed, series, 2).as_deref(), Some("now"));
    bed.keep_prepared(series, version, 2, row("again", "")).unwrap();
    assert_eq!(text(&bed, series, 2).as_deref(), Some("again"));
}

pub fn another_root_takes_its_place(bed: Bed) {
    bed.add(new_instance("1.1", "1.2", "1.3"));
    let series = bed.series_of("1.1", None).unwrap()[0];
    let version = bed.series(series).unwrap().version;
    bed.keep_prepared(series, version, 2, row("text", "")).unwrap();
    bed.reroot_prepared(series, row("other", "http://a/")).unwrap();
    assert_eq!(bed.prepared(series, 2).unwrap().unwrap().root, "");
    bed.reroot_prepared(
        series,
        PreparedRow { deflate: b"rooted".to_vec(), root: "http://a/".into(), ..row("text", "") },
    )
    .unwrap();
    let kept = bed.prepared(series, 2).unwrap().unwrap();
    assert_eq!((kept.deflate.as_slice(), kept.root.as_str()), (&b"rooted"[..], "http://a/"));
}
