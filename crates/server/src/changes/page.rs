//! A page of changes, of studies that the asker may see.

use crate::error::{Answered, Problem};
use crate::state::App;
use access::{Identity, Right};
use archive::{Change, Changed};
use serde_json::{Value, json};

/// Changes that are looked at for one page at most: one that finds less than it wants says where it stopped.
const LOOKED: usize = 5_000;
/// Changes that are read at once.
const READ: usize = 500;

/// A page.
pub struct Page {
    /// What may be told.
    pub changes: Vec<Told>,
    /// The number to go on from.
    pub next: i64,
    /// There are more.
    pub more: bool,
}

/// A change that may be told.
pub struct Told {
    change: Change,
    of: Changed,
}

impl Told {
    /// Its number.
    pub fn number(&self) -> i64 {
        self.change.number
    }

    /// Its word.
    pub fn kind(&self) -> &'static str {
        self.change.kind.name()
    }

    /// As JSON; of a whole study it has no series and no instance.
    pub fn json(&self) -> Value {
        let Changed { study, series, sop } = &self.of;
        let mut told = json!({"number": self.number(), "at": self.change.at, "kind": self.kind(), "study": study});
        for (name, uid) in [("series", series), ("instance", sop)] {
            if let Some(uid) = uid {
                told[name] = uid.as_str().into();
            }
        }
        told
    }
}

/// The changes above a number, at most so many. What is gone is left out: a later change tells that it went.
pub fn of(app: &App, asker: &Identity, after: i64, most: usize) -> Answered<Page> {
    let mut page = Page { changes: Vec::new(), next: after, more: false };
    for _ in 0..LOOKED / READ {
        let found = app.archive.changes(page.next, READ)?;
        let is_last = found.len() < READ;
        for change in found {
            if page.changes.len() == most {
                page.more = true;
                return Ok(page);
            }
            page.next = change.number;
            let Some(of) = change.of.clone() else { continue };
            if app.door.may(asker, Right::Read, &of.study).map_err(Problem::internal)? {
                page.changes.push(Told { change, of });
            }
        }
        if is_last {
            return Ok(page);
        }
    }
    page.more = true;
    Ok(page)
}
