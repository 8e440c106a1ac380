//! The applied state: what the log says, folded up to an address.
//!
//! Promise (D9): the address and the state change together; a snapshot holds
//! both, so that replaying the log from the address gives the same state as
//! replaying it from the start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::delays::Delays;
use super::entries::{Expire, OffsetCommit, TopicConfig};
use super::producers::Producers;
use super::transactions::Transactions;
use crate::log::QueueTail;
use crate::raft::{Configuration, NUMBER_MAX};

/// A group's place on one queue: group, topic, queue number.
type Place = (String, String, u32);

/// What the entries below `applied_address` amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedState {
    /// Every entry below this log address is folded in, none at or above it.
    pub applied_address: u64,
    /// The index of the last entry that is folded in; 0 for none.
    pub applied_index: u64,
    /// Of a replica: who is in the cluster, as of the applied entries.
    pub configuration: Option<Configuration>,
    /// Of a replica: what has expired lies below this address (D30).
    pub expired_address: u64,
    /// The index of the entry there.
    pub expired_index: u64,
    /// Half messages and decisions (D21).
    pub transactions: Transactions,
    /// Messages that wait for their time (D29).
    pub delays: Delays,
    topics: BTreeMap<String, Vec<u64>>,
    offsets: BTreeMap<Place, u64>,
    pub(super) producers: Producers,
}

/// How far each queue of each topic is durable, by queue number.
pub(super) type QueueTails = BTreeMap<String, Vec<QueueTail>>;

/// The snapshot's form on disk: JSON, as RocketMQ's `config/*.json`.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    applied_address: u64,
    applied_index: u64,
    /// [`Configuration::encode`], in hex; empty for a single broker.
    configuration: String,
    expired_address: u64,
    expired_index: u64,
    topics: BTreeMap<String, Vec<SnapshotQueue>>,
    offsets: Vec<(String, String, u32, u64)>,
    #[serde(default)]
    producers: Producers,
    #[serde(default)]
    transactions: Transactions,
    #[serde(default)]
    delays: Delays,
}

/// A queue in the snapshot.
#[derive(Serialize, Deserialize)]
struct SnapshotQueue {
    #[serde(default)]
    first_offset: u64,
    next_offset: u64,
    /// Its last sector, in hex: see [`QueueTail`].
    last_sector: String,
}

impl Snapshot {
    /// A base comes from a peer: what is counted on from here has to leave room.
    fn check_numbers(&self) -> Result<(), String> {
        let places = [
            self.applied_address,
            self.applied_index,
            self.expired_address,
            self.expired_index,
        ];
        let queues = self.topics.values().flatten();
        let queues = queues.flat_map(|queue| [queue.first_offset, queue.next_offset]);
        let groups = self.offsets.iter().map(|(.., offset)| *offset);
        let mut numbers = places.into_iter().chain(queues).chain(groups);
        match numbers.find(|number| *number > NUMBER_MAX) {
            None => Ok(()),
            Some(number) => Err(format!("{number} is no offset and no place in a log")),
        }
    }
}

impl AppliedState {
    /// A topic's queues, each with its next offset; `None` for an unknown topic.
    pub fn topic(&self, topic: &str) -> Option<&[u64]> {
        self.topics.get(topic).map(Vec::as_slice)
    }

    /// Every topic with the next offset of each of its queues.
    pub fn topics(&self) -> impl Iterator<Item = (&str, &[u64])> {
        self.topics
            .iter()
            .map(|(topic, next)| (topic.as_str(), next.as_slice()))
    }

    /// The next offset that a group is to consume.
    pub fn group_offset(&self, group: &str, topic: &str, queue_id: u32) -> Option<u64> {
        self.offsets
            .get(&(group.to_owned(), topic.to_owned(), queue_id))
            .copied()
    }

    /// Whether a group may record an offset, where so many are kept.
    pub(super) fn has_room_for(&self, commit: &OffsetCommit, offsets_max: usize) -> bool {
        let place = (commit.group.clone(), commit.topic.clone(), commit.queue_id);
        self.offsets.len() < offsets_max || self.offsets.contains_key(&place)
    }

    /// Applies a message: its queue is one longer. Returns false where the topic,
    /// the queue or the offset is not the one that is due.
    pub fn apply_message(&mut self, topic: &str, queue_id: u32, offset: u64) -> bool {
        let next = self
            .topics
            .get_mut(topic)
            .and_then(|queues| queues.get_mut(queue_id as usize));
        match next {
            Some(next) if *next == offset => {
                *next += 1;
                true
            }
            _ => false,
        }
    }

    /// Applies an offset commit: a register, the last one wins (D22).
    pub fn apply_offset(&mut self, commit: OffsetCommit) {
        self.offsets
            .insert((commit.group, commit.topic, commit.queue_id), commit.offset);
    }

    /// Applies an expiry: what has expired stays so.
    pub fn apply_expire(&mut self, expire: Expire) {
        if expire.address > self.expired_address {
            self.expired_address = expire.address;
            self.expired_index = expire.next_index;
        }
    }

    /// Applies a topic's configuration; queues are only ever added.
    pub fn apply_topic(&mut self, config: TopicConfig) {
        let queues = self.topics.entry(config.topic).or_default();
        let count = queues.len().max(config.queues as usize);
        queues.resize(count, 0);
    }

    /// For each topic, where each of its queues begins in a log that begins
    /// here.
    pub(super) fn queue_beginnings(&self) -> QueueTails {
        let beginning = |queues: &Vec<u64>| {
            let tails = queues.iter().map(|next| QueueTail::beginning_at(*next));
            tails.collect()
        };
        self.topics
            .iter()
            .map(|(topic, queues)| (topic.clone(), beginning(queues)))
            .collect()
    }

    /// The snapshot's bytes; `tails` are the queues as this state describes
    /// them.
    pub fn encode(&self, tails: &QueueTails) -> Vec<u8> {
        let queue = |topic: &str, number: usize, next_offset: u64| {
            let tail = tails.get(topic).and_then(|tails| tails.get(number));
            let last_sector = tail.map_or(String::new(), |tail| to_hex(&tail.last_sector));
            SnapshotQueue {
                first_offset: tail.map_or(0, |tail| tail.first_offset),
                next_offset,
                last_sector,
            }
        };
        let topics = self.topics.iter().map(|(topic, queues)| {
            let queues = queues.iter().enumerate();
            (
                topic.clone(),
                queues
                    .map(|(number, next)| queue(topic, number, *next))
                    .collect(),
            )
        });
        let offsets = self
            .offsets
            .iter()
            .map(|((group, topic, queue_id), offset)| {
                (group.clone(), topic.clone(), *queue_id, *offset)
            });
        let snapshot = Snapshot {
            applied_address: self.applied_address,
            applied_index: self.applied_index,
            configuration: self
                .configuration
                .as_ref()
                .map_or(String::new(), |configuration| {
                    to_hex(&configuration.encode())
                }),
            expired_address: self.expired_address,
            expired_index: self.expired_index,
            topics: topics.collect(),
            offsets: offsets.collect(),
            producers: self.producers.clone(),
            transactions: self.transactions.clone(),
            delays: self.delays.clone(),
        };
        serde_json::to_vec(&snapshot).expect("a snapshot is plain data")
    }

    /// Reads a snapshot; the error says why it is none.
    pub fn decode(bytes: &[u8]) -> Result<(Self, QueueTails), String> {
        let snapshot: Snapshot = serde_json::from_slice(bytes).map_err(|why| why.to_string())?;
        snapshot.check_numbers()?;
        let mut state = Self {
            applied_address: snapshot.applied_address,
            applied_index: snapshot.applied_index,
            configuration: read_configuration(&snapshot.configuration)?,
            expired_address: snapshot.expired_address,
            expired_index: snapshot.expired_index,
            producers: snapshot.producers,
            transactions: snapshot.transactions,
            delays: snapshot.delays,
            ..Self::default()
        };
        let mut tails = QueueTails::new();
        for (topic, queues) in snapshot.topics {
            let mut next_offsets = Vec::with_capacity(queues.len());
            let mut topic_tails = Vec::with_capacity(queues.len());
            for SnapshotQueue {
                first_offset,
                next_offset,
                last_sector,
            } in queues
            {
                let last_sector = from_hex(&last_sector).ok_or("a sector is not hex")?.into();
                next_offsets.push(next_offset);
                topic_tails.push(QueueTail {
                    first_offset,
                    entries: next_offset,
                    last_sector,
                });
            }
            state.topics.insert(topic.clone(), next_offsets);
            tails.insert(topic, topic_tails);
        }
        for (group, topic, queue_id, offset) in snapshot.offsets {
            state.offsets.insert((group, topic, queue_id), offset);
        }
        Ok((state, tails))
    }
}

fn read_configuration(hex: &str) -> Result<Option<Configuration>, String> {
    if hex.is_empty() {
        return Ok(None);
    }
    let bytes = from_hex(hex).ok_or("the configuration is not hex")?;
    let configuration = Configuration::decode(&bytes).ok_or("the configuration is unreadable")?;
    Ok(Some(configuration))
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string never fails");
            text
        })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::broker::producers::{Origin, Stored};

    use super::{AppliedState, OffsetCommit, QueueTail, QueueTails, TopicConfig};

    fn commit(offset: u64) -> OffsetCommit {
        OffsetCommit {
            group: "g".into(),
            topic: "t".into(),
            queue_id: 1,
            offset,
        }
    }

    #[test]
    fn folds_and_comes_back_from_its_snapshot() {
        let mut state = AppliedState::default();
        assert!(
            !state.apply_message("t", 0, 0),
            "the topic is not known yet"
        );
        state.apply_topic(TopicConfig {
            topic: "t".into(),
            queues: 2,
        });
        assert!(state.apply_message("t", 1, 0));
        assert!(!state.apply_message("t", 1, 0), "offset 0 is taken");
        assert!(!state.apply_message("t", 2, 0), "no such queue");
        state.apply_offset(commit(7));
        state.apply_offset(commit(5));
        state.applied_address = 99;
        let origin = Origin {
            producer: "p".into(),
            sequence: 9,
        };
        let stored = Stored {
            queue_id: 1,
            queue_offset: 0,
            address: 40,
        };
        state.producers.note(origin, stored);
        assert_eq!(state.group_offset("g", "t", 1), Some(5));
        assert_eq!(state.topic("t"), Some(&[0, 1][..]));
        let tail = |entries, byte| QueueTail {
            first_offset: 0,
            entries,
            last_sector: vec![byte; 20].into(),
        };
        let tails: QueueTails = [("t".to_owned(), vec![tail(0, 7), tail(1, 255)])].into();
        assert_eq!(
            AppliedState::decode(&state.encode(&tails)),
            Ok((state, tails))
        );
    }
}
