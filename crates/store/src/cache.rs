//! A small bounded cache: two generations, the older one forgotten when the younger is full.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::sync::{Mutex, PoisonError};

/// Keeps the values used last: at least `most`, at most twice as many.
pub struct Cache<K, V> {
    most: usize,
    generations: Mutex<(HashMap<K, V>, HashMap<K, V>)>,
}

impl<K: Hash + Eq + Copy, V: Clone> Cache<K, V> {
    /// A cache of so many values.
    pub fn new(most: usize) -> Cache<K, V> {
        Cache { most: most.max(1), generations: Mutex::default() }
    }

    /// The value of a key, used now.
    pub fn get(&self, key: &K) -> Option<V> {
        let mut both = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = both.0.get(key) {
            return Some(value.clone());
        }
        let value = both.1.remove(key)?;
        Self::put(&mut both, self.most, *key, value.clone());
        Some(value)
    }

    /// Keeps a value.
    pub fn insert(&self, key: K, value: V) {
        let mut both = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        Self::put(&mut both, self.most, key, value);
    }

    /// Forgets a value.
    pub fn remove(&self, key: &K) {
        let mut both = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        both.0.remove(key);
        both.1.remove(key);
    }

    /// Forgets what is not to be kept.
    pub fn retain(&self, keep: impl Fn(&V) -> bool) {
        let mut both = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        both.0.retain(|_, value| keep(value));
        both.1.retain(|_, value| keep(value));
    }

    fn put(both: &mut (HashMap<K, V>, HashMap<K, V>), most: usize, key: K, value: V) {
        if both.0.len() >= most {
            both.1 = mem::take(&mut both.0);
        }
        both.0.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let cache = Cache::new(10);
        cache.insert(0, 0);
        for n in 1..1000 {
            cache.insert(n, n);
            assert_eq!(cache.get(&0), Some(0), "{n}");
        }
        cache.retain(|value| *value != 999);
        assert_eq!((cache.get(&999), cache.get(&998)), (None, Some(998)));
        let kept = (0..1000).filter(|n| cache.get(n).is_some()).count();
        assert!((10..=20).contains(&kept), "{kept}");
    }
}
