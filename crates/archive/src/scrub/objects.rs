//! The objects: each is there, of its size and its hash, and its frames are what the evidence says.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use store::index::{Fault, FaultKind, ListedObject, Pass};
use store::{Key, objects};
use transcode::{Context, FrameEvidence};

use super::{Run, SAVE, Scrub};
use crate::archive::now;
use crate::error::Error;
use crate::evidence::unpack;

/// Objects taken from the index at once.
const BATCH: u32 = 64;
/// Work that an object costs beside its bytes.
const EACH: u64 = 16 << 10;
/// How long a sleep lasts before the stop is looked at.
const NAP: Duration = Duration::from_millis(200);

impl Run<'_> {
    pub(super) fn objects(
        &mut self,
        how: Scrub,
        stop: &AtomicBool,
        told: &mut dyn FnMut(Pass, Option<&Fault>),
    ) -> Result<(), Error> {
        let mut context = Context::default();
        let mut pace = Pace::new(how.days, self.pass);
        loop {
            let batch = self.archive.inner.index.objects_after(self.cursor, BATCH)?;
            if batch.is_empty() {
                return Ok(());
            }
            for object in batch {
                if stop.load(Ordering::Relaxed) {
                    return self.save();
                }
                let looked = match self.look(&object, &mut context) {
                    Ok(looked) => looked,
                    // What can't be told now is looked at again: the next run goes on here.
                    Err(error) => {
                        self.save()?;
                        return Err(error);
                    }
                };
                if let Some((kind, what)) = looked {
                    let name = object.key.map(|key| key.to_string()).unwrap_or_default();
                    let name = if kind == FaultKind::Evidence { format!("object {name}") } else { name };
                    let instance = object.instance.clone();
                    self.found(Fault { kind, name, instance, what, found: now() }, told)?;
                }
                self.cursor = object.id;
                self.pass.objects += 1;
                self.pass.bytes = self.pass.bytes.saturating_add(object.bytes);
                if self.id.is_none() {
                    told(self.pass, None);
                } else if self.saved.elapsed() >= SAVE {
                    self.save()?;
                    told(self.pass, None);
                }
                pace.rest(object.bytes, stop);
            }
        }
    }

    /// What is kept and not served: there, of its size and its hash.
    pub(super) fn unserved(
        &mut self,
        stop: &AtomicBool,
        told: &mut dyn FnMut(Pass, Option<&Fault>),
    ) -> Result<(), Error> {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (mut seen, mut bytes) = (0, 0);
        for object in self.archive.unserved()? {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let Some(key) = Key::parse(&object.object_id) else { continue };
            if let Some((kind, what)) = self.whole(&key, object.bytes)? {
                self.found(Fault { kind, name: object.object_id, instance: None, what, found: now() }, told)?;
            }
            (seen, bytes) = (seen + 1, bytes + object.bytes);
        }
        self.pass.objects += seen;
        self.pass.bytes = self.pass.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Is an object there, and what was stored?
    fn whole(&self, key: &Key, bytes: u64) -> Result<Option<(FaultKind, String)>, Error> {
        let objects = &*self.archive.inner.objects;
        match objects.size(key).map_err(Error::io("looking for an object"))? {
            None => return Ok(Some((FaultKind::Missing, format!("{bytes} bytes are not there")))),
            Some(size) if size != bytes => {
                return Ok(Some((FaultKind::Object, format!("it has {size} bytes instead of {bytes}"))));
            }
            Some(_) => {}
        }
        match objects::hash(objects, key, bytes) {
            Ok(found) if found == *key => Ok(None),
            Ok(_) => Ok(Some((FaultKind::Object, "its bytes are not what was stored".into()))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Some((FaultKind::Missing, format!("{bytes} bytes are not there any more"))))
            }
            Err(error) if is_damage(&error) => Ok(Some((FaultKind::Object, format!("it cannot be read: {error}")))),
            Err(error) => Err(Error::io(format!("reading object {key}"))(error)),
        }
    }

    /// What is wrong with an object; rows that are damaged were told before.
    fn look(&self, object: &ListedObject, context: &mut Context) -> Result<Option<(FaultKind, String)>, Error> {
        let Some(key) = object.key.filter(|_| object.whole) else { return Ok(None) };
        let inner = &self.archive.inner;
        match self.whole(&key, object.bytes)? {
            None => {}
            Some((FaultKind::Missing, _)) if inner.index.is_released_object(object.id)? => return Ok(None),
            // It was deleted and forgotten since it was listed.
            Some((FaultKind::Missing, _)) if !inner.index.lists(&key)? => return Ok(None),
            fault => return Ok(fault),
        }
        if !object.converted || self.id.is_none() {
            return Ok(None);
        }
        let Some(evidence) = inner.index.newest_evidence(object.id)? else { return Ok(None) };
        let Ok(frames) = unpack(&evidence.frames) else {
            return Ok(Some((FaultKind::Evidence, "its evidence cannot be read".into())));
        };
        self.decode((&key, object.bytes), &frames, &evidence.samples_sha256, context)
    }

    fn decode(
        &self,
        (key, bytes): (&Key, u64),
        frames: &[FrameEvidence],
        samples_sha256: &str,
        context: &mut Context,
    ) -> Result<Option<(FaultKind, String)>, Error> {
        let inner = &self.archive.inner;
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            let source = inner.stored_source(key, bytes)?;
            Ok(transcode::recheck(&source, frames, samples_sha256, context).err())
        }));
        match decoded {
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(transcode::Error::Dicom(dicom::Error::Io(error))))) if !is_damage(&error) => {
                Err(Error::io(format!("reading object {key}"))(error))
            }
            Ok(Ok(Some(error))) => Ok(Some((FaultKind::Samples, error.to_string()))),
            Ok(Err(Error::Io { source, .. } | Error::Dicom(dicom::Error::Io(source)))) if !is_damage(&source) => {
                Err(Error::io(format!("reading object {key}"))(source))
            }
            Ok(Err(error)) => Ok(Some((FaultKind::Samples, error.to_string()))),
            Err(_) => {
                *context = Context::default();
                Ok(Some((FaultKind::Samples, "the decoder gave up on it".into())))
            }
        }
    }
}

/// Does it say something of the object, rather than of the way to it? A disk that can't read a sector does.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::InvalidData)
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// Spreads a pass over its days: after each object, a rest in proportion to its share of the archive.
struct Pace {
    /// Seconds for each unit of work; none when in a hurry.
    each: Option<f64>,
    due: f64,
    began: Instant,
}

impl Pace {
    fn new(days: Option<f64>, pass: Pass) -> Pace {
        let work = (pass.of_bytes + pass.of_objects * EACH).max(1) as f64;
        Pace { each: days.map(|days| days * 86_400.0 / work), due: 0.0, began: Instant::now() }
    }

    fn rest(&mut self, bytes: u64, stop: &AtomicBool) {
        let Some(each) = self.each else { return };
        self.due += (bytes + EACH) as f64 * each;
        while !stop.load(Ordering::Relaxed) {
            let ahead = self.due - self.began.elapsed().as_secs_f64();
            if ahead <= 0.0 {
                return;
            }
            thread::sleep(NAP.min(Duration::from_secs_f64(ahead)));
        }
    }
}
