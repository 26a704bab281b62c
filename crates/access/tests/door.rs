//! The door over an archive: who comes in by what, and who no longer does.

use access::{Door, Error, Filter, Grants, Identity, Mode, NewKey, NewShare, Options, Right, Secret, Shown, Who};
use archive::Archive;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use testkit::{Form, Made};

const HOUR: Duration = Duration::from_secs(3600);
const PASSWORD: &str = "early morning light";

struct House {
    archive: Archive,
    door: Door,
    _folder: TempDir,
}

fn house(change: impl FnOnce(&mut Options)) -> House {
    let folder = TempDir::new().unwrap();
    let archive = Archive::open(folder.path(), archive::Options::default()).unwrap();
    let mut options = Options { life: HOUR, ..Options::default() };
    change(&mut options);
    House { door: Door::new(archive.clone(), options), archive, _folder: folder }
}

/// An instance of a study.
fn small(study: &str, sop: &str) -> Vec<u8> {
    let even = |uid: &str| if uid.len().is_multiple_of(2) { uid.to_owned() } else { format!("{uid}\0") };
    let mut made = Made::new(Form::Explicit);
    made.text(0x0008, 0x0016, "UI", &even("1.2.840.10008.5.1.4.1.1.7"));
    made.text(0x0008, 0x0018, "UI", &even(sop));
    made.text(0x0008, 0x0060, "CS", "OT");
    made.text(0x0020, 0x000D, "UI", &even(study));
    made.text(0x0020, 0x000E, "UI", &even(&format!("{study}.5")));
    made.file()
}

fn read(on: Filter) -> Grants {
    Grants::one([Right::Read].into_iter().collect(), on)
}

fn key(name: &str, lasts: Option<Duration>) -> NewKey {
    NewKey { name: name.into(), grants: read(Filter::All), lasts }
}

type Known = Result<Option<Arc<Identity>>, Error>;

fn by_key(door: &Door, text: &str) -> Known {
    Shown::key(text).map_or(Ok(None), |shown| door.identify(&shown))
}

fn by_session(door: &Door, text: &str) -> Known {
    Shown::session(text).map_or(Ok(None), |shown| door.identify(&shown))
}

fn by_link(door: &Door, text: &str, opened: Option<&str>) -> Known {
    Shown::link(text, opened).map_or(Ok(None), |shown| door.identify(&shown))
}

fn who(identity: Option<Arc<Identity>>) -> Option<String> {
    identity.map(|identity| identity.who().to_string())
}

#[test]
fn a_door_is_open_until_there_is_an_account() {
    let house = house(|_| {});
    assert!(house.door.is_open().unwrap());
    house.door.add_key(key("pacs", None)).unwrap();
    assert!(!house.door.is_open().unwrap(), "at once");
    let strict = Door::new(house.archive.clone(), Options { mode: Mode::SignIn, ..Options::default() });
    house.door.revoke_key(1).unwrap();
    assert!(house.door.is_open().unwrap() && !strict.is_open().unwrap());
}

#[test]
fn a_key_lets_in_until_it_is_revoked_or_ends() {
    let house = house(|_| {});
    let (id, secret) = house.door.add_key(key("pacs", Some(HOUR))).unwrap();
    let (_, ended) = house.door.add_key(key("old", Some(Duration::ZERO))).unwrap();
    let text = secret.key_text();
    assert_eq!(who(by_key(&house.door, &text).unwrap()).as_deref(), Some("key 1 pacs"));
    assert_eq!(who(by_key(&house.door, &ended.key_text()).unwrap()), None);
    assert_eq!(who(by_session(&house.door, &secret.text()).unwrap()), None, "of another kind");
    assert_eq!(who(by_key(&house.door, &Secret::new().unwrap().key_text()).unwrap()), None);
    assert_eq!(house.door.keys().unwrap().len(), 2);
    assert!(house.door.revoke_key(id).unwrap() && !house.door.revoke_key(id).unwrap());
    assert_eq!(who(by_key(&house.door, &text).unwrap()), None, "although it was remembered");
}

#[test]
fn what_another_process_withdraws_acts_when_the_memory_is_over() {
    let house = house(|_| {});
    let (id, secret) = house.door.add_key(key("pacs", None)).unwrap();
    let elsewhere = Door::new(house.archive.clone(), Options { life: HOUR, ..Options::default() });
    let forgetful = Door::new(house.archive.clone(), Options { life: Duration::ZERO, ..Options::default() });
    for door in [&elsewhere, &forgetful] {
        assert!(by_key(door, &secret.key_text()).unwrap().is_some());
    }
    house.door.revoke_key(id).unwrap();
    assert!(by_key(&elsewhere, &secret.key_text()).unwrap().is_some(), "remembered");
    assert!(by_key(&forgetful, &secret.key_text()).unwrap().is_none());
    assert!(Options::default().life <= Duration::from_secs(60), "withdrawal acts within a minute");
}

#[test]
fn users_sign_in_and_out() {
    let house = house(|_| {});
    assert!(house.door.put_user("ana", PASSWORD, &read(Filter::All)).unwrap());
    for (name, password) in [("ana", "early morning ligh"), ("Ana", PASSWORD), ("bo", PASSWORD), ("", ""), ("ana", "")]
    {
        assert!(house.door.sign_in(name, password).unwrap().is_none(), "{name} {password}");
    }
    let session = house.door.sign_in("ana", PASSWORD).unwrap().unwrap().text();
    let signed = by_session(&house.door, &session).unwrap().unwrap();
    assert_eq!(
        (signed.who(), signed.has(Right::Read), signed.has(Right::Write)),
        (&Who::User("ana".into()), true, false)
    );
    assert!(by_key(&house.door, &format!("fl_{session}")).unwrap().is_none(), "a session is no key");
    assert!(house.door.sign_out(&session).unwrap() && by_session(&house.door, &session).unwrap().is_none());
    let (one, other) =
        (house.door.sign_in("ana", PASSWORD).unwrap().unwrap(), house.door.sign_in("ana", PASSWORD).unwrap().unwrap());
    assert!(house.door.set_password("ana", "another morning").unwrap() && !house.door.set_password("bo", "x").unwrap());
    assert!(by_session(&house.door, &one.text()).unwrap().is_none(), "signed in by the old one");
    assert!(
        house.door.sign_in("ana", PASSWORD).unwrap().is_none()
            && by_session(&house.door, &other.text()).unwrap().is_none()
    );
    let last = house.door.sign_in("ana", "another morning").unwrap().unwrap();
    assert!(house.door.remove_user("ana").unwrap() && by_session(&house.door, &last.text()).unwrap().is_none());
}

#[test]
fn sessions_end_by_themselves() {
    for (what, idle, longest) in [("idle", Duration::ZERO, HOUR), ("too long", HOUR, Duration::ZERO)] {
        let house = house(|options| (options.idle, options.longest) = (idle, longest));
        house.door.put_user("ana", PASSWORD, &read(Filter::All)).unwrap();
        let session = house.door.sign_in("ana", PASSWORD).unwrap().unwrap();
        assert!(by_session(&house.door, &session.text()).unwrap().is_none(), "{what}");
    }
}

#[test]
fn rights_of_a_user_change_for_who_is_signed_in() {
    let house = house(|_| {});
    house.door.put_user("ana", PASSWORD, &read(Filter::All)).unwrap();
    let provider = Who::Token { issuer: "https://id".into(), subject: "7".into() };
    let session = house.door.begin_session(&provider, Some(&read(Filter::Any(Vec::new())))).unwrap();
    assert_eq!(by_session(&house.door, &session.text()).unwrap().unwrap().who(), &provider);
    let local = house.door.begin_session(&Who::User("ana".into()), None).unwrap();
    assert!(by_session(&house.door, &local.text()).unwrap().unwrap().has(Right::Read));
    let nothing = archive::UserRow { name: "ana".into(), password: None, grants: "[]".into(), made: 0 };
    house.archive.accounts().put_user(nothing).unwrap();
    house.door.forget();
    assert!(!by_session(&house.door, &local.text()).unwrap().unwrap().has(Right::Read));
    let broken = archive::UserRow { name: "ana".into(), password: None, grants: "all".into(), made: 0 };
    house.archive.accounts().put_user(broken).unwrap();
    house.door.forget();
    assert!(by_session(&house.door, &local.text()).is_err(), "what can't be read grants nothing");
}

#[test]
fn an_invitation_makes_one_user() {
    let house = house(|_| {});
    let invitation = house.door.invite(&Grants::everything()).unwrap().text();
    assert!(house.door.is_invited(&invitation).unwrap() && !house.door.is_invited("x").unwrap());
    assert!(
        house.door.accept(&invitation, "a b", PASSWORD).is_err()
            && house.door.accept(&invitation, "ana", "short").is_err()
    );
    assert!(house.door.accept(&invitation, "early", PASSWORD).is_err(), "the name in the password");
    let session = house.door.accept(&invitation, "ana", PASSWORD).unwrap().unwrap();
    assert!(by_session(&house.door, &session.text()).unwrap().unwrap().has(Right::Administer));
    assert!(
        house.door.accept(&invitation, "bo", PASSWORD).unwrap().is_none()
            && !house.door.is_invited(&invitation).unwrap()
    );
    let second = house.door.invite(&Grants::everything()).unwrap().text();
    assert!(house.door.accept(&second, "bo", PASSWORD).unwrap().is_none(), "somebody is here");
    assert!(
        by_session(&house.door, &second).unwrap().is_none() && by_link(&house.door, &second, None).unwrap().is_none()
    );
}

#[test]
fn a_link_shares_its_studies_as_often_as_was_said() {
    let house = house(|_| {});
    for (study, sop) in [("1.2", "1.2.1"), ("1.3", "1.3.1")] {
        house.archive.ingest_bytes(&small(study, sop)).unwrap();
    }
    let share = |studies: &[&str], lasts, uses| {
        let studies = studies.iter().map(|uid| (*uid).to_owned()).collect();
        house.door.add_share(NewShare { name: "Dr. Roe".into(), studies, lasts, uses })
    };
    assert!(share(&[], HOUR, None).is_err() && share(&["1.2", "1.9"], HOUR, None).is_err());
    let (free, link) = share(&["1.2"], HOUR, None).unwrap();
    let by = by_link(&house.door, &link.text(), None).unwrap().unwrap();
    assert_eq!(by.who().to_string(), format!("link {free} Dr. Roe"));
    for (right, study, may) in [
        (Right::Read, "1.2", true),
        (Right::Read, "1.3", false),
        (Right::Read, "1.9", false),
        (Right::Write, "1.2", false),
    ] {
        assert_eq!(house.door.may(&by, right, study).unwrap(), may, "{right:?} {study}");
    }
    assert!(house.door.open_share(&link.text(), None).unwrap().unwrap().secret.is_none());
    let (_, ended) = share(&["1.2"], Duration::ZERO, None).unwrap();
    assert!(
        by_link(&house.door, &ended.text(), None).unwrap().is_none()
            && house.door.open_share(&ended.text(), None).unwrap().is_none()
    );

    let (counted, once) = share(&["1.2", "1.3"], HOUR, Some(1)).unwrap();
    assert!(by_link(&house.door, &once.text(), None).unwrap().is_none(), "it was not opened");
    let opened = house.door.open_share(&once.text(), None).unwrap().unwrap();
    assert_eq!((opened.name.as_str(), opened.studies.len()), ("Dr. Roe", 2));
    let mark = opened.secret.unwrap().text();
    assert!(by_link(&house.door, &once.text(), Some(&mark)).unwrap().is_some());
    assert!(by_link(&house.door, &link.text(), Some(&mark)).unwrap().is_some(), "of another link, which needs none");
    assert!(house.door.open_share(&once.text(), Some(&mark)).unwrap().is_some(), "the same browser again");
    assert!(house.door.open_share(&once.text(), None).unwrap().is_none(), "another one");
    let (_, other) = share(&["1.3"], HOUR, Some(5)).unwrap();
    assert!(by_link(&house.door, &other.text(), Some(&mark)).unwrap().is_none(), "the mark of another link");
    assert!(house.door.revoke_share(counted).unwrap());
    assert!(by_link(&house.door, &once.text(), Some(&mark)).unwrap().is_none());
    assert_eq!(house.door.shares().unwrap().len(), 3);
}

#[test]
fn a_label_changes_who_may_see() {
    let house = house(|_| {});
    house.archive.ingest_bytes(&small("1.2", "1.2.1")).unwrap();
    let ward = Identity::new(Who::User("ana".into()), read(Filter::Any(vec!["label=ward".parse().unwrap()])));
    let may = || house.door.may(&ward, Right::Read, "1.2").unwrap();
    assert!(!may());
    assert!(house.door.label("1.2", "ward", true).unwrap() && may());
    assert!(house.door.label("1.2", "ward", false).unwrap() && !may(), "although it was remembered");
    assert!(!house.door.label("1.9", "ward", true).unwrap());
}
