//! Objects on their way: read where they are, compared with their names, put, and read again where they are now.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;

use store::index::{Index, NamedObject};
use store::{Key, Staged};

use super::destination::Arriving;
use super::{Stopped, Told};
use crate::archive::Inner;
use crate::error::Error;
use crate::stream::Stream;

/// Objects that are looked at with one look into the index.
const PAGE: usize = 512;
/// Objects that wait for the storage together, and the bytes of which no more are added.
const TOGETHER: usize = 64;
const BYTES_TOGETHER: u64 = 256 << 20;
/// Objects that are read at the same time.
const AT_ONCE: usize = 8;

/// Copies what `named` names and is not there. Returns what is in no store, or that it was stopped.
pub(super) fn copy(
    from: &Inner,
    named: &dyn Index,
    to: &Arriving,
    run: &mut Told<'_>,
) -> Result<Result<Vec<Key>, Stopped>, Error> {
    let (mut there, mut missing, mut after) = (to.there(), Vec::new(), None);
    let (mut batch, mut bytes) = (Vec::new(), 0);
    run.done.there = 0;
    run.done.faults.clear();
    loop {
        let page = named.named_objects(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        for object in page {
            if run.is_stopped() {
                return Ok(Err(Stopped));
            }
            if there.has(&object)? {
                run.done.there += 1;
                continue;
            }
            bytes += object.bytes;
            batch.push(object);
            if batch.len() == TOGETHER || bytes >= BYTES_TOGETHER {
                put(from, to, std::mem::take(&mut batch), &mut missing, run)?;
                bytes = 0;
            }
        }
        run.tell();
    }
    put(from, to, batch, &mut missing, run)?;
    run.tell();
    Ok(Ok(missing))
}

/// How many objects an index names, and their bytes.
pub(super) fn named(index: &dyn Index) -> Result<(u64, u64), Error> {
    let (mut objects, mut bytes, mut after) = (0, 0, None);
    loop {
        let page = index.named_objects(after, PAGE)?;
        let Some(last) = page.last() else { return Ok((objects, bytes)) };
        after = Some(last.key);
        objects += page.len() as u64;
        bytes += page.iter().map(|object| object.bytes).sum::<u64>();
    }
}

enum Found {
    Whole(Staged),
    Damaged(String),
    Missing,
}

fn put(
    from: &Inner,
    to: &Arriving,
    batch: Vec<NamedObject>,
    missing: &mut Vec<Key>,
    run: &mut Told<'_>,
) -> Result<(), Error> {
    let found = at_once(batch, |object| stage(from, to, &object).map(|found| (object, found)));
    let mut staged = Vec::new();
    for found in found {
        match found? {
            (_, Found::Whole(whole)) => staged.push(whole),
            (object, Found::Damaged(why)) => run.done.faults.push((object.key.to_string(), why)),
            (object, Found::Missing) if object.released => {}
            (object, Found::Missing) => missing.push(object.key),
        }
    }
    if staged.is_empty() {
        return Ok(());
    }
    let names: Vec<(Key, u64)> = staged.iter().map(|staged| (staged.key(), staged.size())).collect();
    to.note(&names)?;
    let put = to.objects.put(staged);
    put.into_iter().try_for_each(|put| put.map(drop)).map_err(Error::io("writing an object in its new place"))?;
    for proven in at_once(names, |(key, size)| to.prove(&key, size).map(|()| size)) {
        run.done.bytes += proven.map_err(Error::io("reading an object in its new place"))?;
        run.done.copied += 1;
    }
    to.note(&[])?;
    run.tell();
    Ok(())
}

/// An object in the spool of the new place, compared with its name.
fn stage(from: &Inner, to: &Arriving, object: &NamedObject) -> Result<Found, Error> {
    let opened = match from.objects.open_stored(&object.key, object.bytes) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
        opened => opened,
    };
    let staged = opened.and_then(|opened| to.spool.stage(&mut Stream::of(opened)));
    match staged {
        Ok(staged) if staged.key() == object.key => Ok(Found::Whole(staged)),
        Ok(_) => Ok(Found::Damaged("its bytes are not what was stored".into())),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(Error::Full),
        Err(error) => Ok(Found::Damaged(error.to_string())),
    }
}

/// Does the same with many things on some threads; the answers are in their order.
fn at_once<T: Send, R: Send>(things: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = AT_ONCE.min(things.len());
    let waiting = Mutex::new(things.into_iter().enumerate());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let hand = || std::iter::from_fn(next).map(|(n, thing)| (n, work(thing))).collect::<Vec<_>>();
    let mut done = thread::scope(|scope| {
        let hands: Vec<_> = (0..threads).map(|_| scope.spawn(hand)).collect();
        hands
            .into_iter()
            .flat_map(|hand| hand.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Vec<_>>()
    });
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, done)| done).collect()
}
