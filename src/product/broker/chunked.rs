//! A sorted map whose copy costs a reference for every few dozen entries.
//!
//! A snapshot is a copy of the applied state as it was at one moment, and the loop
//! makes it between two requests. Promise: making one takes time in proportion to
//! the chunks, and what changes afterwards copies the one chunk that it is in.
//!
//! ```text
//!   copy ──┐   chunk 0 │ chunk 1 │ chunk 2
//!          ├──▶  shared │  shared │  its own: something in it changed
//!   map  ──┘                      │  its own
//! ```

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Entries of a chunk, at most.
const CHUNK_MAX: usize = 32;

/// A run of entries, in order.
type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// See the module.
///
/// Invariant: a chunk's entries are at or above its key and below the next one's;
/// no chunk is empty.
#[derive(Debug, Clone)]
pub(super) struct Chunked<K, V> {
    chunks: BTreeMap<K, Chunk<K, V>>,
}

impl<K, V> Default for Chunked<K, V> {
    fn default() -> Self {
        Self {
            chunks: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone, V: Clone> Chunked<K, V> {
    /// The value of a key.
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (_, chunk) = self
            .chunks
            .range((Bound::Unbounded, Bound::Included(key)))
            .next_back()?;
        let at = find(chunk, key).ok()?;
        Some(&chunk[at].1)
    }

    /// The value of a key, to be changed.
    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let bounds = (Bound::Unbounded, Bound::Included(key));
        let (_, chunk) = self.chunks.range_mut(bounds).next_back()?;
        let at = find(chunk, key).ok()?;
        Some(&mut Arc::make_mut(chunk)[at].1)
    }

    /// Sets the value of a key, and gives the one that it had.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let bounds = (Bound::Unbounded, Bound::Included(&key));
        let place = self.chunks.range(bounds).next_back();
        let Some(place) = place.map(|(first, _)| first.clone()) else {
            // Below all others: the first chunk begins here from now on.
            let mut entries = match self.chunks.pop_first() {
                Some((_, chunk)) => Arc::unwrap_or_clone(chunk),
                None => Vec::new(),
            };
            entries.insert(0, (key.clone(), value));
            self.put(key, entries);
            return None;
        };
        let chunk = self.chunks.get_mut(&place).expect("it was just found");
        let entries = Arc::make_mut(chunk);
        match find(entries, &key) {
            Ok(at) => Some(std::mem::replace(&mut entries[at].1, value)),
            Err(at) => {
                entries.insert(at, (key, value));
                if entries.len() > CHUNK_MAX {
                    let entries = std::mem::take(entries);
                    self.put(place, entries);
                }
                None
            }
        }
    }

    /// A chunk in its place; in two where it is too long. A chunk that grows at its end
    /// is not halved again and again.
    fn put(&mut self, first: K, mut entries: Vec<(K, V)>) {
        if entries.len() > CHUNK_MAX {
            let rest = entries.split_off(CHUNK_MAX / 2);
            self.chunks.insert(rest[0].0.clone(), Arc::new(rest));
        }
        self.chunks.insert(first, Arc::new(entries));
    }

    /// Takes an entry out.
    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let bounds = (Bound::Unbounded, Bound::Included(key));
        let (first, chunk) = self.chunks.range_mut(bounds).next_back()?;
        let at = find(chunk, key).ok()?;
        let (_, value) = Arc::make_mut(chunk).remove(at);
        if chunk.is_empty() {
            let first: K = first.clone();
            self.chunks.remove::<K>(&first);
        }
        Some(value)
    }

    /// Takes the first entry out.
    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        let key = self.first()?.0.clone();
        let value = self.remove(&key)?;
        Some((key, value))
    }

    /// The first entry.
    pub(super) fn first(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.chunks.values().map(|chunk| chunk.len()).sum()
    }

    /// All entries, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let entries = self.chunks.values().flat_map(|chunk| chunk.iter());
        entries.map(|(key, value)| (key, value))
    }

    /// The entries from a key on, in order.
    pub(super) fn from<'a>(
        &'a self,
        key: &K,
    ) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        let bounds = (Bound::Unbounded, Bound::Included(key));
        let within = self.chunks.range(bounds).next_back().map(|(_, chunk)| {
            let at = chunk.partition_point(|(it, _)| it < key);
            chunk[at..].iter()
        });
        let behind = self.chunks.range((Bound::Excluded(key), Bound::Unbounded));
        let behind = behind.flat_map(|(_, chunk)| chunk.iter());
        let entries = within.into_iter().flatten().chain(behind);
        entries.map(|(key, value)| (key, value))
    }

    /// All entries in runs of `entries` each, shared: the same for equal maps, however
    /// each of them came to be.
    pub(super) fn runs(&self, entries: usize) -> Vec<Run<K, V>> {
        let mut runs: Vec<Run<K, V>> = Vec::new();
        let mut room = 0;
        for chunk in self.chunks.values() {
            let mut from = 0;
            while from < chunk.len() {
                if room == 0 {
                    runs.push(Run(Vec::new()));
                    room = entries;
                }
                let upto = chunk.len().min(from + room);
                if let Some(Run(parts)) = runs.last_mut() {
                    parts.push((Arc::clone(chunk), from..upto));
                }
                room -= upto - from;
                from = upto;
            }
        }
        runs
    }

    #[cfg(test)]
    fn chunks(&self) -> impl Iterator<Item = Chunk<K, V>> {
        self.chunks.values().cloned()
    }
}

/// A run of entries, as parts of chunks.
pub(super) struct Run<K, V>(Vec<(Chunk<K, V>, Range<usize>)>);

impl<K: Clone, V: Clone> Run<K, V> {
    /// Its entries, in order.
    pub(super) fn to_vec(&self) -> Vec<(K, V)> {
        let parts = self.0.iter();
        parts
            .flat_map(|(chunk, part)| chunk[part.clone()].iter().cloned())
            .collect()
    }
}

fn find<K: Borrow<Q>, V, Q: Ord + ?Sized>(entries: &[(K, V)], key: &Q) -> Result<usize, usize> {
    entries.binary_search_by(|(it, _)| it.borrow().cmp(key))
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Chunked<K, V> {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for Chunked<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone + Eq> Eq for Chunked<K, V> {}

impl<K: Ord + Clone + Serialize, V: Clone + Serialize> Serialize for Chunked<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, K, V> Deserialize<'de> for Chunked<K, V>
where
    K: Ord + Clone + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map: BTreeMap<K, V> = BTreeMap::deserialize(deserializer)?;
        Ok(map.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{CHUNK_MAX, Chunked};

    #[test]
    fn a_copy_shares_what_did_not_change() {
        let mut map: Chunked<u64, u64> = (0..10_000).map(|key| (key, key)).collect();
        let copy = map.clone();
        assert_eq!(map.insert(5_000, 7), Some(5_000));
        assert_eq!(map.remove(&9_999), Some(9_999));
        assert_eq!((copy.get(&5_000), copy.len()), (Some(&5_000), 10_000));
        let pairs = map.chunks().zip(copy.chunks());
        let own = pairs.filter(|(one, other)| !Arc::ptr_eq(one, other));
        assert_eq!(own.count(), 2, "one chunk for each change");
        assert!(copy.chunks().all(|chunk| chunk.len() <= CHUNK_MAX));
    }

    /// One grows at its end and is cut in two there; the other grows in its midst.
    #[test]
    fn runs_do_not_tell_how_a_map_came_to_be() {
        let one: Chunked<u64, u64> = (0..1_000).map(|key| (key, key)).collect();
        let other: Chunked<u64, u64> = (0..1_000).rev().map(|key| (key, key)).collect();
        let lengths = |map: &Chunked<u64, u64>| map.chunks().map(|it| it.len()).collect::<Vec<_>>();
        assert_ne!(lengths(&one), lengths(&other));
        let runs = |map: &Chunked<u64, u64>| -> Vec<_> {
            map.runs(64).iter().map(super::Run::to_vec).collect()
        };
        assert_eq!(runs(&one), runs(&other));
        assert!(
            runs(&one)
                .concat()
                .into_iter()
                .eq((0..1_000).map(|key| (key, key)))
        );
        assert_eq!(runs(&one).len(), 16);
        assert!(Chunked::<u64, u64>::default().runs(64).is_empty());
    }

    proptest! {
        /// As a sorted map without chunks.
        #[test]
        fn does_what_a_map_does(steps in prop::collection::vec((0u8..4, 0u64..700), 0..3_000)) {
            let (mut chunked, mut map) = (Chunked::default(), BTreeMap::new());
            for (what, key) in steps {
                match what {
                    0 | 1 => prop_assert_eq!(chunked.insert(key, key), map.insert(key, key)),
                    2 => prop_assert_eq!(chunked.remove(&key), map.remove(&key)),
                    _ => {
                        prop_assert_eq!(chunked.get(&key), map.get(&key));
                        let from: Vec<_> = chunked.from(&key).collect();
                        let expected: Vec<_> = map.range(key..).collect();
                        prop_assert_eq!(from, expected);
                        if let Some(value) = chunked.get_mut(&key) {
                            *value += 1;
                            *map.get_mut(&key).expect("both have it") += 1;
                        }
                    }
                }
                prop_assert_eq!(chunked.first(), map.first_key_value());
            }
            prop_assert_eq!(chunked.len(), map.len());
            prop_assert!(chunked.iter().eq(map.iter()));
            prop_assert!(chunked.chunks().all(|chunk| !chunk.is_empty()));
        }
    }
}
