//! Rows on their way: what differs between two indices is written, and then nothing may differ.
//!
//! Both sides of a table are read in the order of their keys. A row is the same where the new index would keep the old one's values with the
//! checksum that it has.

use std::collections::VecDeque;

use store::index::{Index, Snapshot, StoredRow, Table, Value};

use super::{Stopped, Told};
use crate::error::Error;

/// Rows that are read at once: fewer where they are large.
const MOST: usize = 1000;
const FEWEST: usize = 16;
/// Bytes of rows in memory that are many.
const MANY: usize = 4 << 20;

/// One side of a table, row by row.
struct Side<'a> {
    moment: &'a dyn Snapshot,
    table: &'a Table,
    page: VecDeque<StoredRow>,
    after: Option<Vec<Value>>,
    most: usize,
    ended: bool,
}

/// A row of either side, or of both.
struct Pair {
    key: Vec<Value>,
    from: Option<Vec<Value>>,
    to: Option<StoredRow>,
}

impl Pair {
    fn is_same(&self) -> bool {
        self.to.as_ref().is_some_and(|to| self.from.as_ref() == Some(&to.values) && to.is_whole())
    }
}

/// Writes all that differs.
pub(super) fn write(from: &dyn Snapshot, to: &dyn Index, run: &mut Told<'_>) -> Result<Result<(), Stopped>, Error> {
    for table in from.tables()? {
        // What goes makes room first: another row may have what is one of a kind in it.
        let any = to.snapshot()?.count(&table)? > 0;
        for taking in [true, false].into_iter().filter(|taking| any || !taking) {
            if let Err(stopped) = differences(from, to, &table, taking, run)? {
                return Ok(Err(stopped));
            }
        }
    }
    Ok(Ok(()))
}

fn differences(
    from: &dyn Snapshot,
    to: &dyn Index,
    table: &Table,
    taking: bool,
    run: &mut Told<'_>,
) -> Result<Result<(), Stopped>, Error> {
    let moment = to.snapshot()?;
    let (mut gone, mut come, mut bytes) = (Vec::new(), Vec::new(), 0);
    let stopped = pairs(from, &*moment, to, table, |pair| {
        match (taking, pair) {
            (true, pair) if pair.to.is_some() && !pair.is_same() => gone.push(pair.key),
            (false, Pair { from: Some(values), to: None, .. }) => {
                bytes += values.iter().map(weight).sum::<usize>();
                come.push(values);
            }
            _ => {}
        }
        if gone.len() + come.len() >= MOST || bytes >= MANY {
            bytes = 0;
            send(to, table, &mut gone, &mut come, run)?;
        }
        Ok(!run.is_stopped())
    })?;
    send(to, table, &mut gone, &mut come, run)?;
    Ok(stopped)
}

fn send(
    to: &dyn Index,
    table: &Table,
    gone: &mut Vec<Vec<Value>>,
    come: &mut Vec<Vec<Value>>,
    run: &mut Told<'_>,
) -> Result<(), Error> {
    let (gone, come) = (std::mem::take(gone), std::mem::take(come));
    if !gone.is_empty() || !come.is_empty() {
        run.done.taken_out += gone.len() as u64;
        run.done.written += come.len() as u64;
        to.change(table, gone, come)?;
        run.tell();
    }
    Ok(())
}

/// Holds all rows of both against each other.
pub(super) fn compare(from: &dyn Snapshot, to: &dyn Index, run: &mut Told<'_>) -> Result<Result<(), Stopped>, Error> {
    let moment = to.snapshot()?;
    for table in from.tables()? {
        let stopped = pairs(from, &*moment, to, &table, |pair| {
            if !pair.is_same() {
                return Err(Error::Damaged(format!("a row of {} is not the same in the new index", table.name)));
            }
            run.done.compared += 1;
            if run.done.compared.is_multiple_of(MOST as u64) {
                run.tell();
            }
            Ok(!run.is_stopped())
        })?;
        if let Err(stopped) = stopped {
            return Ok(Err(stopped));
        }
    }
    Ok(Ok(()))
}

/// Hands on all rows of both sides, those with the same key together, until `each` says that it is enough.
fn pairs(
    from: &dyn Snapshot,
    moment: &dyn Snapshot,
    to: &dyn Index,
    table: &Table,
    mut each: impl FnMut(Pair) -> Result<bool, Error>,
) -> Result<Result<(), Stopped>, Error> {
    let (mut old, mut new) = (Side::new(from, table), Side::new(moment, table));
    let (mut next, mut there) = (old.kept(to, None)?, new.next()?);
    loop {
        let key = match (&next, &there) {
            (None, None) => return Ok(Ok(())),
            (Some(row), None) => table.key_of(row),
            (None, Some(row)) => table.key_of(&row.values),
            (Some(one), Some(other)) => table.key_of(one).min(table.key_of(&other.values)),
        };
        let from = next.take_if(|row| table.key_of(row) == key);
        let at = there.take_if(|row| table.key_of(&row.values) == key);
        if from.is_some() {
            next = old.kept(to, Some(&key))?;
        }
        if at.is_some() {
            there = new.next()?;
        }
        if !each(Pair { key, from, to: at })? {
            return Ok(Err(Stopped));
        }
    }
}

impl<'a> Side<'a> {
    fn new(moment: &'a dyn Snapshot, table: &'a Table) -> Side<'a> {
        Side { moment, table, page: VecDeque::new(), after: None, most: FEWEST, ended: false }
    }

    fn next(&mut self) -> Result<Option<StoredRow>, Error> {
        if self.page.is_empty() && !self.ended {
            self.page = self.moment.rows(self.table, self.after.as_deref(), self.most)?.into();
            self.ended = self.page.len() < self.most;
            self.after = self.page.back().map(|row| self.table.key_of(&row.values));
            let bytes: usize = self.page.iter().map(StoredRow::weight).sum();
            self.most = if bytes > MANY { self.most / 2 } else { self.most * 2 }.clamp(FEWEST, MOST);
        }
        Ok(self.page.pop_front())
    }

    /// The next row as the other index keeps it. Of rows that are one to it (texts that it cuts) there is the first.
    fn kept(&mut self, to: &dyn Index, before: Option<&[Value]>) -> Result<Option<Vec<Value>>, Error> {
        while let Some(row) = self.next()? {
            let name = &self.table.name;
            if !row.is_whole() {
                let key = self.table.key_of(&row.values);
                return Err(Error::Damaged(format!("a row of {name} is not what was written: {key:?}")));
            }
            let values = to.as_kept(self.table, row.values);
            match before.map(|before| self.table.key_of(&values).as_slice().cmp(before)) {
                Some(std::cmp::Ordering::Less) => {
                    return Err(Error::Damaged(format!("a text in {name} has a NUL, which the new index cannot keep")));
                }
                Some(std::cmp::Ordering::Equal) => {}
                _ => return Ok(Some(values)),
            }
        }
        Ok(None)
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Integer(_) => 8,
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
    }
}
