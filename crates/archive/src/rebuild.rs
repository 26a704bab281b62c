//! The index made anew from the objects alone.
//!
//! Every object is opened and listed as what it was received as; those that Firstlight wrote as conversions are left to the converter, which
//! makes the same bytes again and finds them there. What only the index knew is lost, and said: which of several objects with the same UIDs
//! came first, where what can't be served came from, ways back to what was released, deletions and holds.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use dicom::{IMPLEMENTATION_CLASS_UID, Source};
use store::index::place::{self, Place};
use store::index::postgres::Address;
use store::index::sqlite::Sqlite;
use store::index::{Index, Ingested, NewUnserved, Scope, Scrubbing};
use store::{Key, Objects, sync_folder};

use crate::archive::{Archive, Options};
use crate::error::Error;
use crate::ingest::row;

/// Objects that are listed with one look into the store, and by one commit.
const PAGE: usize = 256;
/// Implementation Class UID (PS3.10 7.1).
const IMPLEMENTATION: u16 = 0x0012;
/// What conversion writes into an archive: JPEG-LS, HTJ2K and JPEG XL without loss.
const CONVERTED: [&str; 5] = [
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.110",
    "1.2.840.10008.1.2.4.111",
];

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Objects.
    pub objects: u64,
    /// Instances that are listed.
    pub instances: u64,
    /// Objects beside them that have the same UIDs: which of them came first is not known.
    pub conflicts: u64,
    /// Objects that can't be served.
    pub unserved: u64,
    /// Objects that Firstlight wrote of instances that are listed by others: the converter makes them again.
    pub conversions: u64,
    /// Instances of which there is only what Firstlight wrote. It may be what was received, or all that is left of it.
    pub only_converted: u64,
    /// Objects whose bytes are not what their names say. They are not listed.
    pub damaged: u64,
}

impl Archive {
    /// Makes the index of the archive in `dir` anew, beside its objects, and gives it its name when it is whole; `None` when `stop` was set before.
    /// There must be none.
    pub fn rebuild(
        dir: &Path,
        options: &Options,
        stop: &AtomicBool,
        told: &mut dyn FnMut(&Rebuilt),
    ) -> Result<Option<Rebuilt>, Error> {
        let place = match options.index.place(dir)? {
            Place::Own(place) => place,
            Place::At(address) => return rebuild_at(dir, &address, options, stop, told),
        };
        let making = dir.join("index.rebuilding");
        if place.exists() {
            return Err(Error::Query(format!("{} is there: move it away first", place.display())));
        }
        crate::backup::remove_index(&making)?;
        let objects = options.objects.open(dir, true)?;
        let index = Sqlite::open(&making, 2)?;
        let Some(found) = rebuild(&index, &*objects, stop, told)? else { return Ok(None) };
        drop(index);
        let naming = || Error::io(format!("writing {}", place.display()));
        fs::rename(&making, &place).and_then(|()| sync_folder(dir)).map_err(naming())?;
        Ok(Some(found))
    }

    /// How many objects there are that no row names.
    pub fn unlisted(&self, stop: &AtomicBool) -> Result<u64, Error> {
        let (mut unlisted, mut after) = (0, None);
        while !stop.load(Ordering::Relaxed) {
            let page = self.inner.objects.list(after, PAGE).map_err(Error::io("listing the objects"))?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (key, _) in page {
                unlisted += u64::from(!self.inner.index.lists(&key)?);
            }
        }
        Ok(unlisted)
    }
}

/// As [`Archive::rebuild`], in a database, which must be empty.
fn rebuild_at(
    dir: &Path,
    address: &Address,
    options: &Options,
    stop: &AtomicBool,
    told: &mut dyn FnMut(&Rebuilt),
) -> Result<Option<Rebuilt>, Error> {
    let index = place::open(dir, address, 2)?;
    if index.listed_total()? != (0, 0) {
        return Err(Error::Query(format!("{address} is not empty: an index is made anew in an empty database")));
    }
    let objects = place::objects_of(&index, &options.objects)?.open(dir, true)?;
    place::settle_objects(&index, dir)?;
    rebuild(&index, &*objects, stop, told)
}

fn rebuild(
    index: &dyn Index,
    objects: &dyn Objects,
    stop: &AtomicBool,
    told: &mut dyn FnMut(&Rebuilt),
) -> Result<Option<Rebuilt>, Error> {
    let (mut found, mut ours, mut after) = (Rebuilt::default(), Vec::new(), None);
    loop {
        let page = objects.list(after, PAGE).map_err(Error::io("listing the objects"))?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        let mut rows = Vec::new();
        for (key, size) in page {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            found.objects += 1;
            match opened(objects, &key, size)? {
                Opened::Damaged => found.damaged += 1,
                Opened::Unservable(error) => keep_unserved(index, &mut found, &key, size, &error)?,
                Opened::Source(source) if is_conversion(&source) => ours.push((key, size)),
                Opened::Source(source) => match row(&source, key, size) {
                    Ok(new) => rows.push(index.register(new)),
                    Err(error) => keep_unserved(index, &mut found, &key, size, &error)?,
                },
            }
        }
        for row in rows {
            found.count(row.wait()?);
        }
        told(&found);
    }
    for (key, size) in ours {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Opened::Source(source) = opened(objects, &key, size)? else { continue };
        let new = row(&source, key, size)?;
        if index.instances(Scope::Instance(&new.key), &mut |_| true)?.is_empty() {
            found.only_converted += 1;
            found.count(index.register(new).wait()?);
        } else {
            found.conversions += 1;
        }
    }
    told(&found);
    Ok(Some(found))
}

impl Rebuilt {
    fn count(&mut self, ingested: Ingested) {
        match ingested {
            Ingested::Stored(_) => self.instances += 1,
            Ingested::Conflict(_) => self.conflicts += 1,
            Ingested::Duplicate(_) => {}
        }
    }
}

enum Opened {
    Source(Box<Source>),
    Unservable(Error),
    Damaged,
}

/// Reads an object whole: only the very bytes are listed.
fn opened(objects: &dyn Objects, key: &Key, size: u64) -> Result<Opened, Error> {
    let reading = || Error::io(format!("reading object {key}"));
    if store::objects::hash(objects, key, size).map_err(reading())? != *key {
        return Ok(Opened::Damaged);
    }
    let object = objects.open_stored(key, size).map_err(reading())?;
    Ok(match crate::ingest::opened(|| Source::from_reader(object)) {
        Ok(source) => Opened::Source(Box::new(source)),
        Err(error) if error.unservable().is_some() => Opened::Unservable(error),
        Err(error) => return Err(error),
    })
}

fn is_conversion(source: &Source) -> bool {
    let by = source.meta_value(IMPLEMENTATION).unwrap_or_default();
    let by = by.strip_suffix(b"\0").unwrap_or(&by);
    by == IMPLEMENTATION_CLASS_UID.as_bytes() && CONVERTED.contains(&source.facts().transfer_syntax.uid())
}

fn keep_unserved(index: &dyn Index, found: &mut Rebuilt, key: &Key, bytes: u64, error: &Error) -> Result<(), Error> {
    let Some((why, reason)) = error.unservable() else { return Ok(()) };
    found.unserved += 1;
    let source = Path::new("(not known)").to_owned();
    index.keep_unserved(NewUnserved { key: *key, bytes, why, reason, source, since: 0 })?;
    Ok(())
}
