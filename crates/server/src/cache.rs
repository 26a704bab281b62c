//! A small cache in memory: least recently used goes first, bounded by bytes.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values by key, each with a weight in bytes.
pub struct Cache<K, V> {
    capacity: usize,
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    entries: HashMap<K, Entry<V>>,
    by_age: BTreeMap<u64, K>,
    clock: u64,
    bytes: usize,
}

struct Entry<V> {
    value: V,
    weight: usize,
    used: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// An empty cache that holds up to `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        let inner = Inner { entries: HashMap::new(), by_age: BTreeMap::new(), clock: 0, bytes: 0 };
        Cache { capacity, inner: Mutex::new(inner) }
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<V> {
        let inner = &mut *self.lock();
        inner.clock += 1;
        let entry = inner.entries.get_mut(key)?;
        inner.by_age.remove(&entry.used);
        entry.used = inner.clock;
        inner.by_age.insert(entry.used, key.clone());
        Some(entry.value.clone())
    }

    /// Keeps a value; what is heavier than an eighth of the cache is not kept.
    pub fn put(&self, key: K, value: V, weight: usize) {
        if weight > self.capacity / 8 {
            return;
        }
        let inner = &mut *self.lock();
        inner.remove(&key);
        inner.clock += 1;
        inner.bytes += weight;
        inner.by_age.insert(inner.clock, key.clone());
        inner.entries.insert(key, Entry { value, weight, used: inner.clock });
        while inner.bytes > self.capacity {
            let Some((_, oldest)) = inner.by_age.pop_first() else { break };
            inner.remove(&oldest);
        }
    }

    /// Forgets all values.
    pub fn clear(&self) {
        let inner = &mut *self.lock();
        inner.entries.clear();
        inner.by_age.clear();
        inner.bytes = 0;
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, V> Inner<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_age.remove(&entry.used);
            self.bytes -= entry.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = Cache::new(80);
        for key in 0..8 {
            cache.put(key, key * 10, 10);
        }
        assert_eq!(cache.get(&0), Some(0));
        cache.put(8, 80, 10);
        assert_eq!((cache.get(&0), cache.get(&1), cache.get(&8)), (Some(0), None, Some(80)));
        assert_eq!(cache.bytes(), 80);
        cache.put(0, 1, 5);
        assert_eq!((cache.get(&0), cache.bytes()), (Some(1), 75));
        cache.put(9, 9, 11);
        assert_eq!(cache.get(&9), None, "too heavy");
        cache.clear();
        assert_eq!((cache.get(&0), cache.bytes()), (None, 0));
    }
}
