//! `firstlight user`, `key`, `share` and `label`: who may come in, and to what. A server that runs learns of it within seconds.

pub mod keys;
mod secret_input;
pub mod shares;
pub mod users;

use crate::args::access::LabelFlags;
use crate::failure::{Exit, Failure};
use crate::kept;
use crate::settings;
use crate::settings::access::{On, Record};
use crate::units::count;
use ::access::record::{self, Book, Broken};
use ::access::{Door, Error, Filter, Grants, Options};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// The accounts of an archive.
fn door(data: &Path) -> Result<Door, Failure> {
    Ok(Door::new(kept::archive(data)?, Options::default()))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let failure = Failure::new(error.to_string());
        match error {
            Error::NoStudy(_) => {
                failure.hint("`firstlight evidence --data DIR` and the list of studies have their UIDs")
            }
            _ => failure,
        }
    }
}

/// Gives labels to a study, or takes them away.
pub fn label(set: On<LabelFlags>) -> Result<Exit, Failure> {
    let (door, asked) = (door(&set.data)?, set.command);
    for word in &asked.words {
        if word.trim().is_empty() || word.contains('\\') {
            return Err(Failure::new(format!(
                "\"{}\" is no label: one word or more, without a backslash",
                word.escape_debug()
            )));
        }
        if !door.label(&asked.study, word.trim(), !asked.remove)? {
            return Err(Error::NoStudy(asked.study.clone()).into());
        }
    }
    Ok(Exit::Well)
}

/// Opens the record of who saw what, and begins to send it where that is wanted.
pub fn begin_record(set: &Record) -> Result<Arc<Book>, Failure> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let book = Book::open(&set.folder, &host, set.keep).map_err(|e| Failure::io("write to", &set.folder, &e))?;
    if let Some(receiver) = set.receiver.clone() {
        let authorities = receiver.authorities.clone();
        record::forward(&book, receiver).map_err(|e| Failure::io("read", &authorities, &e))?;
    }
    Ok(book)
}

/// `firstlight audit --access`: checks that the record of who saw what is whole.
pub fn check_record(set: &settings::Audit) -> Result<Exit, Failure> {
    let inner = set.destination.join("access-record");
    let folder = if inner.is_dir() { inner } else { set.destination.clone() };
    let is_one = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("access-");
    let any =
        std::fs::read_dir(&folder).is_ok_and(|mut all| all.any(|one| one.is_ok_and(|one| is_one(&one.file_name()))));
    if !any {
        return Err(Failure::new(format!("{} holds no record of access", folder.display()))
            .hint("name the folder given to serve as --access-record, or its --data"));
    }
    let checked = match record::check(&folder, set.heads.first().map(String::as_str)) {
        Ok(checked) => checked,
        Err(broken @ Broken::Line { .. }) => {
            println!("{broken}");
            return Ok(Exit::Refused);
        }
        Err(other) => return Err(Failure::new(other.to_string())),
    };
    if checked.holds == Some(false) {
        println!("the record does not hold the head that was named: what followed it was cut off");
        return Ok(Exit::Refused);
    }
    match set.json {
        true => println!("{}", json!({ "files": checked.files, "records": checked.records, "head": checked.head })),
        false => println!(
            "{} in {}, each follows from those before it\nhead {}",
            count(checked.records, "record"),
            count(checked.files as u64, "file"),
            checked.head
        ),
    }
    Ok(Exit::Well)
}

/// Rights as a line has them.
fn shown(grants: &Grants) -> String {
    let grant = |may: &dyn std::fmt::Display, on: &Filter| format!("{may} on {on}");
    match &grants.0[..] {
        [] => "nothing".to_owned(),
        all => all.iter().map(|one| grant(&one.may, &one.on)).collect::<Vec<_>>().join("; "),
    }
}

/// What is said of a number that names nothing.
fn no_number(what: &str, number: i64, list: &str) -> Failure {
    Failure::new(format!("no {what} has the number {number}")).hint(format!("`firstlight {list} list` has the numbers"))
}
