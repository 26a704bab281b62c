//! Entries in two generations, bounded by what they weigh together: the older half goes when the younger is full.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// Keeps what was used last, within a weight.
#[derive(Debug)]
pub(super) struct Weighed<K, V> {
    half: u64,
    young: Generation<K, V>,
    old: Generation<K, V>,
}

#[derive(Debug)]
struct Generation<K, V> {
    entries: HashMap<K, (V, u64)>,
    weight: u64,
}

impl<K, V> Default for Generation<K, V> {
    fn default() -> Self {
        Generation { entries: HashMap::new(), weight: 0 }
    }
}

impl<K: Hash + Eq + Copy, V: Clone> Weighed<K, V> {
    /// Entries that together weigh at most `most`.
    pub(super) fn new(most: u64) -> Weighed<K, V> {
        Weighed { half: most / 2, young: Generation::default(), old: Generation::default() }
    }

    /// The entry, used now, and what had to go for it to be young again.
    pub(super) fn get(&mut self, key: &K) -> (Option<V>, Vec<(K, V)>) {
        if let Some((value, _)) = self.young.entries.get(key) {
            return (Some(value.clone()), Vec::new());
        }
        let Some((value, weight)) = self.old.entries.remove(key) else { return (None, Vec::new()) };
        self.old.weight -= weight;
        let gone = self.insert(*key, value.clone(), weight);
        (Some(value), gone)
    }

    /// Keeps an entry, and says which ones went for it; itself where it is heavier than all may be.
    pub(super) fn insert(&mut self, key: K, value: V, weight: u64) -> Vec<(K, V)> {
        self.remove(&key);
        if weight > self.half {
            return vec![(key, value)];
        }
        let mut gone = Vec::new();
        if self.young.weight + weight > self.half {
            let old = mem::replace(&mut self.old, mem::take(&mut self.young));
            gone.extend(old.entries.into_iter().map(|(key, (value, _))| (key, value)));
        }
        self.young.weight += weight;
        self.young.entries.insert(key, (value, weight));
        gone
    }

    /// Forgets an entry.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        for generation in [&mut self.young, &mut self.old] {
            if let Some((value, weight)) = generation.entries.remove(key) {
                generation.weight -= weight;
                return Some(value);
            }
        }
        None
    }

    /// Forgets those entries, and says which they were.
    pub(super) fn remove_where(&mut self, gone: impl Fn(&K) -> bool) -> Vec<(K, V)> {
        let keys = self.young.entries.keys().chain(self.old.entries.keys());
        let keys: Vec<K> = keys.filter(|key| gone(key)).copied().collect();
        keys.into_iter().filter_map(|key| self.remove(&key).map(|value| (key, value))).collect()
    }

    /// What all weigh.
    #[cfg(test)]
    pub(super) fn weight(&self) -> u64 {
        self.young.weight + self.old.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_weigh_no_more_than_told_and_each_that_went_is_named() {
        let (mut kept, mut alive) = (Weighed::new(1000), std::collections::HashSet::new());
        for n in 0..500_u64 {
            alive.insert(n);
            for (gone, ()) in kept.insert(n, (), n % 90 + 1) {
                assert!(alive.remove(&gone), "{gone}");
            }
            assert!(kept.weight() <= 1000, "{n}");
            let (first, gone) = kept.get(&0);
            assert!(first.is_some(), "{n}: what is used stays");
            gone.iter().for_each(|(gone, ())| assert!(alive.remove(gone)));
        }
        let found = alive.iter().filter(|n| kept.get(n).0.is_some()).count();
        assert!(found > 5);
    }

    #[test]
    fn what_is_too_heavy_is_not_kept() {
        let mut kept = Weighed::new(10);
        assert_eq!(kept.insert(1, "heavy", 6), [(1, "heavy")]);
        assert_eq!(kept.insert(1, "light", 5), []);
        assert_eq!((kept.remove(&1), kept.remove(&1), kept.weight()), (Some("light"), None, 0));
    }
}
