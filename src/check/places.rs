//! Places: which values stood at which offsets of a queue, and since when.

use std::ops::Range;

use crate::history::Value;

/// One value known to stand at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) value: Value,
    /// Since when, an index into the history.
    pub(super) known: usize,
}

impl Place {
    /// The key that two equal places share.
    pub(super) fn key(&self) -> (u64, Value) {
        (self.offset, self.value)
    }
}

/// Places ordered by offset and value, each once with its first index.
///
/// A sorted vector: places come nearly in order, and are then only read.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

impl Places {
    pub(super) fn new(places: impl IntoIterator<Item = Place>) -> Self {
        let mut places: Vec<_> = places.into_iter().collect();
        places.sort();
        places.dedup_by_key(|place| place.key());
        Self(places)
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Place] {
        &self.0
    }

    /// Those with an offset in `offsets`.
    pub(super) fn within(&self, offsets: Range<u64>) -> &[Place] {
        let from = |offset| self.0.partition_point(|place| place.offset < offset);
        let (first, end) = (from(offsets.start), from(offsets.end));
        self.0.get(first..end).unwrap_or_default()
    }

    /// Whether the value stood at the offset at any time.
    pub(super) fn has(&self, key: (u64, Value)) -> bool {
        self.0.binary_search_by_key(&key, Place::key).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Places};
    use crate::check::story::value;

    #[test]
    fn ordered_each_once_with_its_first_index() {
        let place = |offset, sequence, known| Place {
            offset,
            value: value(sequence),
            known,
        };
        let places = Places::new([
            place(5, 1, 9),
            place(4, 2, 3),
            place(5, 1, 7),
            place(5, 0, 8),
        ]);
        assert_eq!(
            places.all(),
            [place(4, 2, 3), place(5, 0, 8), place(5, 1, 7)]
        );
        assert_eq!(places.within(5..6), [place(5, 0, 8), place(5, 1, 7)]);
        assert!(places.within(6..9).is_empty());
        #[expect(
            clippy::reversed_empty_ranges,
            reason = "a broken broker may answer so"
        )]
        let backwards = places.within(6..2);
        assert!(backwards.is_empty());
        assert!(places.has((4, value(2))) && !places.has((4, value(1))));
    }
}
