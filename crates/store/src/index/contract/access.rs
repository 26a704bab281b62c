//! Users, secrets, labels, and searches that stay within what may be seen.

use std::time::Duration;

use super::*;
use crate::index::attributes::*;
use crate::index::{NewSecret, Patience, Query, QueryLevel, SecretKind, UserRow, Within};

/// A time that no test sees.
const LATER: i64 = 1 << 40;

fn user(name: &str, grants: &str) -> UserRow {
    UserRow { name: name.into(), password: Some("$argon2id$".into()), grants: grants.into(), made: 0 }
}

fn secret(kind: SecretKind, byte: u8, owner: &str) -> NewSecret {
    let grants = format!("[{byte}]");
    NewSecret { kind, hash: [byte; 32], name: "a".into(), owner: owner.into(), grants, expires: None, uses: None }
}

pub fn users_are_made_and_removed(bed: Bed) {
    assert!(!bed.has_accounts().unwrap() && bed.user("ana").unwrap().is_none());
    assert!(bed.put_user(user("bo", "1")).unwrap() && bed.put_user(user("ana", "1")).unwrap());
    let made = bed.user("ana").unwrap().unwrap().made;
    let changed = UserRow { password: None, ..user("ana", "2") };
    assert!(!bed.put_user(changed).unwrap(), "it was there");
    let ana = bed.user("ana").unwrap().unwrap();
    assert_eq!((ana.password, ana.grants.as_str(), ana.made), (None, "2", made));
    assert!(made > 0 && bed.user("Ana").unwrap().is_none(), "names are as they are");
    let names: Vec<_> = bed.users().unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!((names, bed.has_accounts().unwrap()), (vec!["ana".to_owned(), "bo".into()], true));
    assert!(bed.remove_user("ana").unwrap() && !bed.remove_user("ana").unwrap());
    assert!(bed.remove_user("bo").unwrap() && !bed.has_accounts().unwrap());
}

pub fn secrets_are_known_by_their_hash(bed: Bed) {
    let share = bed.add_secret(secret(SecretKind::Share, 1, "")).unwrap();
    assert!(!bed.has_accounts().unwrap(), "a link alone shuts nobody out");
    let key = bed.add_secret(secret(SecretKind::Key, 2, "ana")).unwrap();
    assert!(bed.has_accounts().unwrap() && share != key);
    let found = bed.secret(&[2; 32]).unwrap().unwrap();
    assert_eq!((found.id, found.secret), (key, secret(SecretKind::Key, 2, "ana")));
    assert!(found.made > 0 && found.seen == found.made && bed.secret(&[3; 32]).unwrap().is_none());
    bed.see_secret(&[2; 32], LATER).unwrap();
    bed.see_secret(&[2; 32], 5).unwrap();
    assert_eq!(bed.secret(&[2; 32]).unwrap().unwrap().seen, LATER, "it was seen later");
    assert_eq!(bed.secrets(SecretKind::Share).unwrap().len(), 1);
    assert!(!bed.revoke_secret(SecretKind::Key, share).unwrap(), "of another kind");
    assert!(bed.revoke_secret(SecretKind::Share, share).unwrap() && bed.secret(&[1; 32]).unwrap().is_none());
    assert!(bed.add_secret(secret(SecretKind::Key, 2, "bo")).is_err(), "one hash is one secret");
    let next = bed.add_secret(secret(SecretKind::Share, 1, "")).unwrap();
    assert!(next > share, "a number is never given again");
}

pub fn uses_are_counted(bed: Bed) {
    bed.add_secret(NewSecret { uses: Some(2), ..secret(SecretKind::Share, 1, "") }).unwrap();
    bed.add_secret(NewSecret { expires: Some(10), ..secret(SecretKind::Share, 2, "") }).unwrap();
    bed.add_secret(NewSecret { expires: Some(LATER), ..secret(SecretKind::Share, 3, "") }).unwrap();
    let take = |byte| bed.use_secret(&[byte; 32]).unwrap();
    assert_eq!([take(1), take(1), take(1)], [true, true, false]);
    assert_eq!([take(2), take(3), take(3), take(4)], [false, true, true, false]);
    let left = |byte| bed.secret(&[byte; 32]).unwrap().map(|row| row.secret.uses);
    assert_eq!((left(1), left(2), left(3)), (Some(Some(0)), Some(None), Some(None)), "what ended is still listed");
    assert_eq!(bed.forget_ended(11).unwrap(), 1);
    assert_eq!((left(2), left(3)), (None, Some(None)));
}

pub fn secrets_go_with_their_owner(bed: Bed) {
    bed.put_user(user("ana", "")).unwrap();
    for (byte, kind, owner) in [
        (1, SecretKind::Session, "ana"),
        (2, SecretKind::Session, "ana"),
        (3, SecretKind::Key, "ana"),
        (4, SecretKind::Session, "bo"),
    ] {
        bed.add_secret(secret(kind, byte, owner)).unwrap();
    }
    assert_eq!(bed.revoke_secrets_of(SecretKind::Session, "ana", Some([2; 32])).unwrap(), 1);
    let there = |byte| bed.secret(&[byte; 32]).unwrap().is_some();
    assert_eq!([there(1), there(2), there(3), there(4)], [false, true, true, true]);
    assert!(bed.remove_user("ana").unwrap());
    assert_eq!([there(2), there(3), there(4)], [false, false, true]);
    let share = bed.add_secret(secret(SecretKind::Share, 5, "")).unwrap();
    bed.add_secret(secret(SecretKind::Opened, 6, &share.to_string())).unwrap();
    assert!(bed.revoke_secret(SecretKind::Share, share).unwrap() && !there(6), "what it opened is shut");
}

/// Study `1.n` is of patient `Pn`, issued by `H` where n is odd; it has CT, and MR too where n is over 2.
fn fill(bed: &Bed) {
    for n in 1..=4 {
        for modality in if n > 2 { &["MR", "CT"][..] } else { &["CT"] } {
            let mut new = new_instance(&format!("1.{n}"), &format!("1.{n}.{modality}"), &format!("1.{n}.{modality}.1"));
            new.modality = (*modality).into();
            new.study.patient_id = format!("P{n}");
            new.study_shown.common = format!("{{\"0020000D\":{{\"vr\":\"UI\",\"Value\":[\"1.{n}\"]}}}}");
            if n % 2 == 1 {
                new.study_shown.more = "{\"00100021\":{\"vr\":\"LO\",\"Value\":[\"H\"]}}".into();
            }
            bed.add(new);
        }
    }
}

pub fn studies_have_facts_and_labels(bed: Bed) {
    fill(&bed);
    assert!(bed.study_facts("1.9").unwrap().is_none() && !bed.label_study("1.9", "ward", true).unwrap());
    for (label, has) in [("ward", true), ("ward", true), ("ask first", true), ("gone", true), ("gone", false)] {
        assert!(bed.label_study("1.3", label, has).unwrap());
    }
    let facts = bed.study_facts("1.3").unwrap().unwrap();
    assert_eq!((facts.study.as_str(), facts.patient.as_str(), facts.issuer.as_str()), ("1.3", "P3", "H"));
    assert_eq!(
        (facts.modalities, facts.labels),
        (vec!["CT".into(), "MR".into()], vec!["ask first".into(), "ward".into()])
    );
    let other = bed.study_facts("1.2").unwrap().unwrap();
    assert_eq!((other.issuer.as_str(), other.labels.len(), other.modalities.len()), ("", 0, 1));
}

pub fn searches_stay_within(bed: Bed) {
    fill(&bed);
    bed.label_study("1.1", "ward", true).unwrap();
    let found = |level, within: Option<Vec<Within>>, matches: &[(Tag, &str)]| {
        let matches = matches.iter().map(|(tag, value)| (*tag, (*value).to_owned())).collect();
        let found =
            bed.find(&Patience::of(Duration::MAX), level, &Query { within, matches, ..Query::default() }).unwrap();
        let uid = |row: &serde_json::Map<String, serde_json::Value>| row[&name(STUDY_INSTANCE_UID)]["Value"][0].clone();
        let mut uids: Vec<_> = found.rows.iter().map(|row| uid(row).as_str().unwrap().to_owned()).collect();
        uids.sort();
        uids.iter().map(|uid| &uid[2..]).collect::<String>()
    };
    let patient = |id: &str, issuer: Option<&str>| Within::Patient { id: id.into(), issuer: issuer.map(Into::into) };
    let studies = |uids: &[&str]| Within::Studies(uids.iter().map(|uid| (*uid).into()).collect());
    for (within, expected) in [
        (None, "1234"),
        (Some(vec![]), ""),
        (Some(vec![studies(&[])]), ""),
        (Some(vec![studies(&["1.2", "1.4", "1.9"])]), "24"),
        (Some(vec![patient("P3", None)]), "3"),
        (Some(vec![patient("P3", Some("H")), patient("P2", Some("H"))]), "3"),
        (Some(vec![patient("P*", None)]), ""),
        (Some(vec![Within::Modality("MR".into())]), "34"),
        (Some(vec![Within::Modality("M*".into())]), ""),
        (Some(vec![Within::Label("ward".into())]), "1"),
        (Some(vec![Within::Modality("MR".into()), Within::Label("ward".into()), patient("P4", None)]), "134"),
    ] {
        assert_eq!(found(QueryLevel::Study, within.clone(), &[]), expected, "{within:?}");
        let twice: String = expected.chars().flat_map(|n| vec![n; if n > '2' { 2 } else { 1 }]).collect();
        assert_eq!(found(QueryLevel::Instance, within.clone(), &[]), twice, "{within:?}");
        let one = found(QueryLevel::Series, within.clone(), &[(PATIENT_ID, "P1"), (MODALITY, "CT")]);
        assert_eq!(one, if expected.contains('1') { "1" } else { "" }, "{within:?}");
    }
    // A page and what it says of others counts what may be seen alone.
    let page = Query { within: Some(vec![Within::Modality("MR".into())]), limit: Some(1), ..Query::default() };
    let first = bed.find(&Patience::of(Duration::MAX), QueryLevel::Study, &page).unwrap();
    let last = bed.find(&Patience::of(Duration::MAX), QueryLevel::Study, &Query { offset: 1, ..page }).unwrap();
    assert_eq!((first.rows.len(), first.more, last.rows.len(), last.more), (1, true, 1, false));
}
