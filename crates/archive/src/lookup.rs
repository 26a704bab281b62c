//! Instances looked up in the index, or in memory where their state is known.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use dicom::{Facts, Pixels, ReadAt, Source};
use store::Key;
use store::index::frames::decode_frames;
use store::index::{Current, InstanceKey, InstanceRow, Scope};

use crate::archive::{Archive, Inner};
use crate::error::Error;
use crate::instance::{Instance, ObjectReader, frame_table};

impl Archive {
    /// One instance as it is now.
    pub fn instance(&self, study: &str, series: &str, sop: &str) -> Result<Option<Arc<Instance>>, Error> {
        let key = InstanceKey { study: study.into(), series: series.into(), sop: sop.into() };
        Ok(self.inner.look_up(Scope::Instance(&key))?.pop())
    }

    /// The instances of a series, by Instance Number; of the whole study with `series: None`, series by series.
    pub fn instances(&self, study: &str, series: Option<&str>) -> Result<Vec<Arc<Instance>>, Error> {
        self.inner.look_up(series.map_or(Scope::Study(study), |series| Scope::Series(study, series)))
    }

    /// A number that becomes another one whenever something may be handed out otherwise than before; `None` where the index can't tell that
    /// at the cost of a few instructions. What is newly stored leaves it as it is.
    pub fn handed_out(&self) -> Result<Option<u64>, Error> {
        Ok(self.inner.index.handed_out()?)
    }

    /// The stored bytes of an instance. Stays readable when the instance is converted meanwhile.
    pub fn object(&self, instance: &Instance) -> Result<ObjectReader, Error> {
        let inner = self.inner.open(&instance.key, instance.size)?;
        if inner.size() != instance.size {
            let (have, want) = (inner.size(), instance.size);
            return Err(Error::Damaged(format!("object {} has {have} bytes instead of {want}", instance.object_id)));
        }
        Ok(ObjectReader { inner })
    }

    /// The stored instance, parsed.
    pub fn source(&self, instance: &Instance) -> Result<Source, Error> {
        self.inner.source(&instance.key, instance.size)
    }
}

impl Inner {
    /// The instances of a scope, from memory or from the index.
    fn look_up(&self, scope: Scope<'_>) -> Result<Vec<Arc<Instance>>, Error> {
        let mut known = HashMap::new();
        let current = self.index.instances(scope, &mut |version| {
            let instance = self.instances.get(&version);
            instance.map(|instance| known.insert(version, instance)).is_some()
        })?;
        let instance = |Current { version, row }: Current| match row {
            None => known.get(&version).cloned().ok_or_else(|| Error::Damaged("the index left out a row".into())),
            Some(row) => {
                let instance = Arc::new(self.instance_of(*row)?);
                self.instances.insert(version, instance.clone());
                Ok(instance)
            }
        };
        current.into_iter().map(instance).collect()
    }

    fn instance_of(&self, stored: InstanceRow) -> Result<Instance, Error> {
        let object_id = stored.object.to_string();
        let mut frames = decode_frames(&stored.frames)
            .ok_or_else(|| Error::Damaged(format!("the frame table of object {object_id} cannot be read")))?;
        // Facts written by another version of the program may lack a field: the object has them all.
        let mut facts: Facts = match serde_json::from_str(&stored.facts) {
            Ok(facts) => facts,
            Err(_) => self.source(&stored.object, stored.bytes)?.facts().clone(),
        };
        // Versions before found all frames or none, and what they took the file's word for may be proven otherwise.
        if frames.is_empty()
            && matches!(facts.pixels, Pixels::Native | Pixels::Encapsulated | Pixels::Float)
            && let Ok(source) = self.source(&stored.object, stored.bytes)
        {
            frames = frame_table(&source);
            (facts.frames, facts.frame_syntax) = (source.facts().frames, source.facts().frame_syntax.clone());
        }
        facts.study_uid.clone_from(&stored.key.study);
        facts.series_uid.clone_from(&stored.key.series);
        facts.sop_instance_uid.clone_from(&stored.key.sop);
        facts.sop_class_uid = stored.class;
        facts.modality = stored.modality;
        Ok(Instance {
            study: stored.key.study,
            series: stored.key.series,
            sop: stored.key.sop,
            number: stored.number,
            transfer_syntax: stored.syntax,
            object_id,
            size: stored.bytes,
            stored: stored.stored,
            facts,
            frames,
            key: stored.object,
        })
    }

    /// The object, parsed; one that was released is restored.
    pub(crate) fn source(&self, key: &Key, size: u64) -> Result<Source, Error> {
        Ok(Source::from_reader(self.open(key, size)?)?)
    }

    /// The object, parsed, as the store has it.
    pub(crate) fn stored_source(&self, key: &Key, size: u64) -> Result<Source, Error> {
        let object = self.objects.open_stored(key, size).map_err(Error::io(format!("opening object {key}")))?;
        Ok(Source::from_reader(object)?)
    }

    /// Random access to an object; one that was released is restored.
    fn open(&self, key: &Key, size: u64) -> Result<Arc<dyn ReadAt>, Error> {
        match self.objects.open(key, size) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.restored(key, e),
            other => other.map_err(|e| Error::io(format!("opening object {key}"))(e)),
        }
    }
}
