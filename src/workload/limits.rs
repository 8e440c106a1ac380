//! Messages at a documented limit: one byte below it, at it, one byte beyond.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::record::{PropertyBuf, key};

/// Longest properties that a send may have, bytes (the row `properties` of the broker's
/// bounds). Said once more: the product's own number would agree with every mistake in it.
const PROPERTIES_BYTES_MAX: usize = 32_255;

/// Longest properties that fit a record, bytes: a client refuses longer ones itself.
const RECORD_PROPERTIES_BYTES_MAX: usize = 32_767;

/// Tells the draws of limits from others of the same message.
const LIMITS_SEED: u64 = 0x6c69_6d69_7473;

/// The limits of sends, and how often they are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One message in so many is at a limit or beside it; 0: none.
    pub one_in: u64,
    /// Longest body that brokers take, bytes (`maxMessageSize`).
    pub body_bytes_max: usize,
}

/// RocketMQ's longest body, and no message at it.
impl Default for Limits {
    fn default() -> Self {
        Self {
            one_in: 0,
            body_bytes_max: 4 << 20,
        }
    }
}

/// A message at a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct AtLimit {
    /// Its body is so long, bytes; `None`: as others.
    pub(super) body_bytes: Option<usize>,
    /// Its properties are so long, bytes; `None`: as others.
    properties_bytes: Option<usize>,
    /// Its tag is what makes them long, where messages have no tags; else its keys.
    by_tag: bool,
}

impl Limits {
    /// The limits that a message meets, by its dice and the plan's seed.
    pub(super) fn draw(&self, dice: u64, seed: u64) -> AtLimit {
        let other = xxh3_64_with_seed(&dice.to_be_bytes(), seed ^ LIMITS_SEED);
        if self.one_in == 0 || !other.is_multiple_of(self.one_in) {
            return AtLimit::default();
        }
        let (body, properties) = (self.body_bytes_max, PROPERTIES_BYTES_MAX);
        let (body_bytes, properties_bytes) = match (other >> 32) % 9 {
            0 => (Some(body - 1), None),
            1 => (Some(body), None),
            2 => (Some(body + 1), None),
            3 => (None, Some(properties - 1)),
            4 => (None, Some(properties)),
            5 => (None, Some(properties + 1)),
            6 => (None, Some(RECORD_PROPERTIES_BYTES_MAX)),
            7 => (None, Some(RECORD_PROPERTIES_BYTES_MAX + 1)),
            _ => (Some(body), Some(properties)),
        };
        AtLimit {
            body_bytes,
            properties_bytes,
            by_tag: (other >> 48).is_multiple_of(2),
        }
    }

    /// Whether a message of these lengths is to be refused.
    pub(super) fn refuse(&self, body_bytes: usize, properties_bytes: usize) -> bool {
        body_bytes > self.body_bytes_max || properties_bytes > PROPERTIES_BYTES_MAX
    }
}

impl AtLimit {
    /// Makes properties as long as they are to be, once their producer adds so many
    /// bytes.
    pub(super) fn fill(&self, properties: &mut PropertyBuf, added_bytes: usize, has_tags: bool) {
        let Some(wanted) = self.properties_bytes else {
            return;
        };
        let name = match self.by_tag && !has_tags {
            true => key::TAGS,
            false => key::KEYS,
        };
        // Two separators come with it.
        let there = properties.as_str().len() + added_bytes + name.len() + 2;
        let filler = "k".repeat(wanted.saturating_sub(there));
        let set = properties.set(name, &filler);
        set.expect("letters are no separators");
    }
}

#[cfg(test)]
mod tests {
    use super::{AtLimit, Limits, PROPERTIES_BYTES_MAX};
    use crate::record::PropertyBuf;

    #[test]
    fn every_limit_is_met_from_both_sides() {
        let limits = Limits {
            one_in: 1,
            body_bytes_max: 100,
        };
        let drawn: Vec<AtLimit> = (0..400).map(|dice| limits.draw(dice, 7)).collect();
        let refused = |at: &AtLimit| {
            limits.refuse(at.body_bytes.unwrap_or(0), at.properties_bytes.unwrap_or(0))
        };
        for (bytes, is_refused) in [(99, false), (100, false), (101, true)] {
            let mut of_body = drawn.iter().filter(|at| at.body_bytes == Some(bytes));
            assert!(of_body.all(|at| refused(at) == is_refused), "{bytes}");
            assert!(drawn.iter().any(|at| at.body_bytes == Some(bytes)));
        }
        for (bytes, is_refused) in [(32_254, false), (32_255, false), (32_256, true)] {
            let mut of_these = drawn.iter().filter(|at| at.properties_bytes == Some(bytes));
            assert!(of_these.all(|at| refused(at) == is_refused), "{bytes}");
            assert!(drawn.iter().any(|at| at.properties_bytes == Some(bytes)));
        }
        let none = Limits {
            one_in: 0,
            ..limits
        };
        assert_eq!(none.draw(3, 7), AtLimit::default());
    }

    #[test]
    fn properties_are_filled_to_the_byte() {
        for by_tag in [false, true] {
            let at = AtLimit {
                properties_bytes: Some(PROPERTIES_BYTES_MAX),
                by_tag,
                ..AtLimit::default()
            };
            let mut properties = PropertyBuf::default();
            properties.set("DELAY", "3").expect("no separator");
            at.fill(&mut properties, 40, false);
            assert_eq!(properties.as_str().len() + 40, PROPERTIES_BYTES_MAX);
        }
    }
}
