//! Instances that were looked up, kept in memory by what they weigh: the frame table of a slide has as many bytes as those of ten thousand
//! slices.

use std::mem::size_of;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use store::index::ObjectVersion;
use store::index::frames::{FrameEntry, LevelEntry};

use crate::instance::Instance;

/// What the texts of an instance and the bookkeeping take, about.
const TEXTS: usize = 1024;
/// With so few, one part of the cache has all of its bytes: one large table may take most of them.
const FEW: usize = 32;

/// Instances by the state of their objects; those used last stay.
pub(crate) type Kept = Cache<ObjectVersion, Arc<Instance>, Weight>;

/// None yet, and so many bytes at most.
pub(crate) fn kept(bytes: u64) -> Kept {
    Cache::with_weighter(FEW, bytes, Weight)
}

/// Bytes of memory that an instance takes, about.
#[derive(Clone)]
pub(crate) struct Weight;

impl Weighter<ObjectVersion, Arc<Instance>> for Weight {
    fn weight(&self, _: &ObjectVersion, instance: &Arc<Instance>) -> u64 {
        let lists = |frame: &FrameEntry| {
            frame.fragments.capacity() * size_of::<(u64, u64)>() + frame.levels.capacity() * size_of::<LevelEntry>()
        };
        let frames = instance.frames.capacity() * size_of::<FrameEntry>();
        (TEXTS + size_of::<Instance>() + frames + instance.frames.iter().map(lists).sum::<usize>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Key;

    const FACTS: &str = r#"{"study_uid":"","series_uid":"","sop_instance_uid":"","sop_class_uid":"","modality":"","source_ae":"",
        "transfer_syntax":"1.2.840.10008.1.2.1","pixels":"native","rows":2,"columns":3,"frames":1,"samples":1,"bits_allocated":16,
        "bits_stored":16,"high_bit":15,"signed":false,"photometric":"MONOCHROME2","planar":0,"lossy":false,"icc":false}"#;

    fn instance(frames: usize) -> Arc<Instance> {
        let levels = vec![LevelEntry { level: 0, width: 1, height: 1, end: 1, crc32: None }; 4];
        let frame = FrameEntry { levels, ..FrameEntry::default() };
        Arc::new(Instance {
            study: "1".into(),
            series: "2".into(),
            sop: "3".into(),
            number: None,
            transfer_syntax: String::new(),
            object_id: String::new(),
            size: 0,
            stored: 0,
            facts: serde_json::from_str(FACTS).unwrap(),
            frames: vec![frame; frames],
            key: Key::new([0; 32]),
        })
    }

    #[test]
    fn bytes_are_bounded_and_what_is_used_stays() {
        const MOST: u64 = 4 << 20;
        let (cache, version) = (kept(MOST), |n| ObjectVersion { object: n, frames: 1 });
        cache.insert(version(0), instance(10));
        for n in 1..5000 {
            cache.insert(version(n), instance(10));
            assert!(cache.get(&version(0)).is_some(), "{n}");
            assert!(cache.weight() <= MOST);
        }
        // One that takes half of it has room, one that takes all has not, and nothing else goes for it.
        cache.insert(version(-1), instance(8_000));
        assert!(cache.get(&version(-1)).is_some() && cache.weight() <= MOST);
        cache.insert(version(-2), instance(100_000));
        assert!(cache.get(&version(-2)).is_none() && cache.get(&version(-1)).is_some());
    }
}
