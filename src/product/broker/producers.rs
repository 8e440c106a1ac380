//! The messages that producers have sent already (D19): a retried send is stored once.
//!
//! ```text
//!   entry with origin ── appended ──▶ tentative ── committed ──▶ Producers
//!                                         └─ cut ──▶ as if it had never been sent
//! ```
//!
//! A message may name its producer and a sequence number, in its properties. So
//! what was sent is a function of the log: made again wherever the log is read,
//! in every snapshot and base, the same on every replica and for every leader.
//!
//! Promise: of a producer's last [`WINDOW`] sequence numbers each is stored
//! once, as long as no more than [`PRODUCERS_MAX`] others sent later.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::{Properties, key};

/// Sequence numbers that are remembered of a producer: those in flight and
/// waiting to be retried lie within.
pub(super) const WINDOW: u64 = 1_024;
/// Producers that are remembered.
pub(super) const PRODUCERS_MAX: usize = 1_024;

/// The sender of a message, and its number there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub(super) producer: String,
    pub(super) sequence: u64,
}

impl Origin {
    /// As the message's properties say; `None` where they do not.
    pub(super) fn of(properties: &str) -> Option<Self> {
        let properties = Properties::new(properties);
        Some(Self {
            producer: properties.get(key::PRODUCER_ID)?.to_owned(),
            sequence: properties.get(key::PRODUCER_SEQUENCE)?.parse().ok()?,
        })
    }
}

/// Where a message was stored first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) queue_id: u32,
    pub(super) queue_offset: u64,
    pub(super) address: u64,
}

/// The knowledge about an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Nothing like it was stored.
    Never,
    /// It stands there, and is committed.
    Committed(Stored),
    /// It was appended there; whether it stays is not known yet.
    Appended(Stored),
    /// It lies so far behind what its producer sent last that nobody knows.
    Forgotten,
}

/// A producer's last sequence numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    sent: BTreeMap<u64, Stored>,
    /// Of the newest message: who sent last is forgotten last.
    address: u64,
}

/// Every producer that is remembered. Part of the applied state; a copy of it shares
/// the windows until they change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<String, Window>")]
pub(super) struct Producers(BTreeMap<String, Arc<Window>>);

impl From<BTreeMap<String, Window>> for Producers {
    fn from(windows: BTreeMap<String, Window>) -> Self {
        let windows = windows.into_iter();
        Self(
            windows
                .map(|(producer, window)| (producer, Arc::new(window)))
                .collect(),
        )
    }
}

impl Producers {
    /// The answer of the committed entries.
    pub(super) fn look(&self, origin: &Origin) -> Sent {
        let Some(window) = self.0.get(&origin.producer) else {
            return Sent::Never;
        };
        match window.sent.get(&origin.sequence) {
            Some(stored) => Sent::Committed(*stored),
            None if origin.sequence < window.floor() => Sent::Forgotten,
            None => Sent::Never,
        }
    }

    /// A message is committed. Of several with one origin the first counts.
    pub(super) fn note(&mut self, origin: Origin, stored: Stored) {
        if !self.0.contains_key(&origin.producer) && self.0.len() == PRODUCERS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, window)| window.address);
            if let Some(oldest) = oldest.map(|(producer, _)| producer.clone()) {
                self.0.remove(&oldest);
            }
        }
        let window = Arc::make_mut(self.0.entry(origin.producer).or_default());
        window.address = stored.address;
        window.sent.entry(origin.sequence).or_insert(stored);
        let floor = window.floor();
        window.sent = window.sent.split_off(&floor);
    }

    /// Every producer's window, shared.
    pub(super) fn windows(&self) -> impl Iterator<Item = (String, Arc<Window>)> {
        let windows = self.0.iter();
        windows.map(|(producer, window)| (producer.clone(), Arc::clone(window)))
    }

    /// A producer's window, out of a snapshot.
    pub(super) fn read(&mut self, producer: String, window: Window) {
        self.0.insert(producer, Arc::new(window));
    }
}

impl Window {
    /// The first sequence number that is remembered.
    fn floor(&self) -> u64 {
        let last = self.sent.last_key_value();
        // The last number of all is one, too: there is none behind it.
        last.map_or(0, |(last, _)| last.saturating_sub(WINDOW - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, PRODUCERS_MAX, Producers, Sent, Stored, WINDOW};

    fn origin(producer: usize, sequence: u64) -> Origin {
        let producer = format!("producer-{producer}");
        Origin { producer, sequence }
    }

    fn stored(address: u64) -> Stored {
        Stored {
            queue_id: 1,
            queue_offset: address / 10,
            address,
        }
    }

    #[test]
    fn an_origin_is_read_from_properties() {
        let text = "TAGS\u{1}a\u{2}PRODUCER_ID\u{1}producer-7\u{2}PRODUCER_SEQ\u{1}9\u{2}";
        assert_eq!(Origin::of(text), Some(origin(7, 9)));
        for none in ["", "PRODUCER_ID\u{1}p\u{2}", "PRODUCER_SEQ\u{1}9\u{2}"] {
            assert_eq!(Origin::of(none), None);
        }
        let no_number = "PRODUCER_ID\u{1}p\u{2}PRODUCER_SEQ\u{1}-9\u{2}";
        assert_eq!(Origin::of(no_number), None);
    }

    #[test]
    fn the_first_of_an_origin_counts_while_it_is_in_the_window() {
        let mut producers = Producers::default();
        assert_eq!(producers.look(&origin(0, 5)), Sent::Never);
        producers.note(origin(0, 5), stored(100));
        producers.note(origin(0, 5), stored(200));
        assert_eq!(producers.look(&origin(0, 5)), Sent::Committed(stored(100)));
        assert_eq!(producers.look(&origin(0, 4)), Sent::Never, "late, and new");
        assert_eq!(producers.look(&origin(1, 5)), Sent::Never, "another's");
        producers.note(origin(0, 4 + WINDOW), stored(300));
        assert_eq!(producers.look(&origin(0, 5)), Sent::Committed(stored(100)));
        producers.note(origin(0, 5 + WINDOW), stored(400));
        assert_eq!(producers.look(&origin(0, 5)), Sent::Forgotten);
        assert_eq!(producers.look(&origin(0, 6)), Sent::Never);
    }

    /// A number is the client's word: whatever it is, the log that has it can be
    /// read again (reports/findings/033-a-number-that-had-no-next.md).
    #[test]
    fn the_last_number_of_all_has_a_window_like_any_other() {
        let mut producers = Producers::default();
        producers.note(origin(0, u64::MAX), stored(100));
        let first = u64::MAX - (WINDOW - 1);
        producers.note(origin(0, first), stored(200));
        for (sequence, sent) in [
            (u64::MAX, Sent::Committed(stored(100))),
            (first, Sent::Committed(stored(200))),
            (first + 1, Sent::Never),
            (first - 1, Sent::Forgotten),
            (0, Sent::Forgotten),
        ] {
            assert_eq!(producers.look(&origin(0, sequence)), sent, "{sequence}");
        }
    }

    #[test]
    fn the_producer_that_sent_last_is_forgotten_last() {
        let mut producers = Producers::default();
        for producer in 0..PRODUCERS_MAX {
            producers.note(origin(producer, 0), stored(producer as u64));
        }
        producers.note(origin(0, 1), stored(9_000));
        producers.note(origin(PRODUCERS_MAX, 0), stored(9_001));
        assert_eq!(producers.look(&origin(1, 0)), Sent::Never);
        assert_eq!(producers.look(&origin(0, 0)), Sent::Committed(stored(0)));
    }
}
