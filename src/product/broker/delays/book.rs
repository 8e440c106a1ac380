//! The messages that wait for their time: a fold over the log.

use serde::{Deserialize, Serialize};

use crate::broker::chunked::{Chunked, Run};
use crate::record::Message;
use crate::remoting::send::SCHEDULE_TOPIC;

/// A message that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delayed {
    /// Its queue in the schedule topic: its level, counted from 0.
    pub queue_id: u32,
    /// Length of its record, bytes.
    pub record_bytes: u32,
    /// When it was stored, milliseconds since 1970, by its leader's clock.
    pub stored_ms: u64,
}

/// The effect of a message in the log on those that wait. They are named by their log
/// address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) enum DelayEffect {
    /// One that waits.
    Scheduled { address: u64, delayed: Delayed },
    /// One that waited is where it was to go.
    Delivered { scheduled_address: u64 },
}

impl DelayEffect {
    /// The message that it is about.
    pub(in crate::broker) fn scheduled_address(&self) -> u64 {
        match self {
            Self::Scheduled { address, .. } => *address,
            Self::Delivered { scheduled_address } => *scheduled_address,
        }
    }

    /// Of the message at `address`, which decides no transaction. No client can
    /// send one that names another: what it sends names none.
    pub(in crate::broker) fn of(
        message: &Message<'_>,
        address: u64,
        record_bytes: u32,
    ) -> Option<Self> {
        match (message.topic, message.prepared_transaction_offset) {
            (SCHEDULE_TOPIC, _) => Some(Self::Scheduled {
                address,
                delayed: Delayed {
                    queue_id: message.queue_id,
                    record_bytes,
                    stored_ms: message.store_timestamp_ms,
                },
            }),
            (_, 0) => None,
            (_, scheduled_address) => Some(Self::Delivered { scheduled_address }),
        }
    }
}

/// All messages that wait, as of an address of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Delays(Chunked<u64, Delayed>);

impl Delays {
    /// The message at a log address, if it waits.
    pub fn get(&self, address: u64) -> Option<Delayed> {
        self.0.get(&address).copied()
    }

    /// How many wait.
    pub(in crate::broker) fn count(&self) -> usize {
        self.0.len()
    }

    /// Those from a log address on, in the order of the log.
    pub fn from(&self, address: u64) -> impl Iterator<Item = (u64, Delayed)> {
        let waiting = self.0.from(&address);
        waiting.map(|(address, delayed)| (*address, *delayed))
    }

    /// The log address of the first one in the log.
    pub fn oldest(&self) -> Option<u64> {
        self.0.first().map(|(address, _)| *address)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All messages that wait, in runs of so many.
    pub(in crate::broker) fn runs(&self, entries: usize) -> Vec<Run<u64, Delayed>> {
        self.0.runs(entries)
    }

    /// Some of what waits, out of a snapshot.
    pub(in crate::broker) fn read(&mut self, delays: Vec<(u64, Delayed)>) {
        for (address, delayed) in delays {
            self.0.insert(address, delayed);
        }
    }

    /// Applies an entry. False where what it delivers does not wait: the log
    /// delivers nothing twice.
    pub(in crate::broker) fn apply(&mut self, effect: DelayEffect) -> bool {
        match effect {
            DelayEffect::Scheduled { address, delayed } => {
                self.0.insert(address, delayed).is_none()
            }
            DelayEffect::Delivered { scheduled_address } => {
                self.0.remove(&scheduled_address).is_some()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DelayEffect, Delayed, Delays};

    fn delayed(queue_id: u32) -> Delayed {
        Delayed {
            queue_id,
            record_bytes: 100,
            stored_ms: 7,
        }
    }

    fn scheduled(address: u64) -> DelayEffect {
        let delayed = delayed(address as u32 % 18);
        DelayEffect::Scheduled { address, delayed }
    }

    #[test]
    fn a_waiting_message_is_delivered_once() {
        let mut delays = Delays::default();
        for address in [500, 700, 900] {
            assert!(delays.apply(scheduled(address)));
        }
        let delivered = DelayEffect::Delivered {
            scheduled_address: 500,
        };
        assert_eq!(delays.oldest(), Some(500));
        assert!(delays.apply(delivered.clone()));
        assert!(!delays.apply(delivered));
        assert_eq!(delays.get(500), None);
        assert_eq!(delays.oldest(), Some(700));
        let later: Vec<u64> = delays.from(701).map(|(address, _)| address).collect();
        assert_eq!(later, [900]);
        assert!(!delays.is_empty() && Delays::default().is_empty());
    }

    #[test]
    fn waiting_messages_come_back_from_their_text() {
        let mut delays = Delays::default();
        delays.apply(scheduled(500));
        let text = serde_json::to_string(&delays).unwrap();
        assert_eq!(serde_json::from_str::<Delays>(&text).unwrap(), delays);
    }
}
