//! The effect of an entry of the log on the state: read once, wherever it comes from,
//! and applied in one place.
//!
//! ```text
//!   append ─┐
//!   replay ─┼─▶ Change ──▶ AppliedState ──▶ what its queue gets
//!   expiry ─┘              (of a store, or of a base)
//! ```

use std::sync::Arc;

use super::effect::Effect;
use super::entries::{BadEntry, Expire, OffsetCommit, TopicConfig};
use super::error::StoreError;
use super::producers::{Origin, Stored};
use super::state::AppliedState;
use crate::log::{Entry, QueueEntry, Staged};
use crate::raft::Configuration;
use crate::record::{EntryKind, Message, Properties, key, tag_hash};

/// An entry above the read limit, or not looked at yet.
#[derive(Debug)]
pub(super) struct Unapplied {
    pub(super) index: u64,
    pub(super) end_address: u64,
    pub(super) change: Change,
}

impl Unapplied {
    pub(super) fn new(staged: Staged, change: Change) -> Self {
        Self {
            index: staged.index,
            end_address: staged.end_address,
            change,
        }
    }
}

/// The effect of an entry on the state.
#[derive(Debug)]
pub(super) enum Change {
    Message(MessageChange),
    Offset(OffsetCommit),
    Topic(TopicConfig),
    Configuration(Configuration),
    Expire(Expire),
    Nothing,
}

/// The effect of a message: its queue gets an entry, and more where it is of a
/// transaction or a delay, or names its producer.
#[derive(Debug)]
pub(super) struct MessageChange {
    pub(super) topic: Arc<str>,
    pub(super) queue_id: u32,
    pub(super) queue_offset: u64,
    pub(super) entry: QueueEntry,
    pub(super) origin: Option<Origin>,
    pub(super) effect: Option<Box<Effect>>,
}

impl MessageChange {
    /// Of a message whose record is at `address`, `record_bytes` long.
    pub(super) fn of(
        message: &Message<'_>,
        topic: Arc<str>,
        address: u64,
        record_bytes: u32,
    ) -> Self {
        let tag = Properties::new(message.properties).get(key::TAGS);
        Self {
            topic,
            queue_id: message.queue_id,
            queue_offset: message.queue_offset,
            entry: QueueEntry {
                address,
                record_bytes,
                tag_hash: tag.map_or(0, tag_hash),
            },
            origin: Origin::of(message.properties),
            effect: Effect::of(message, address, record_bytes).map(Box::new),
        }
    }

    /// Its origin, if it has one, and where it is stored.
    fn sent(&self) -> Option<(&Origin, Stored)> {
        let stored = Stored {
            queue_id: self.queue_id,
            queue_offset: self.queue_offset,
            address: self.entry.address,
        };
        self.origin.as_ref().map(|origin| (origin, stored))
    }
}

impl Change {
    /// Of an entry as it stands in the log. `shared` gives the name of a topic
    /// to be kept.
    ///
    /// # Errors
    /// It was written by something else than this broker.
    pub(super) fn of(
        entry: &Entry,
        shared: impl FnOnce(&str) -> Arc<str>,
    ) -> Result<Self, StoreError> {
        let address = entry.address;
        let record = entry.record();
        let bad = |why| StoreError::bad_entry(address, why);
        Ok(match entry.kind {
            EntryKind::Message => {
                let message = Message::decode_enveloped(record)
                    .map_err(|why| StoreError::undecodable(address, why))?;
                let topic = shared(message.topic);
                let record_bytes = record.len() as u32;
                Self::Message(MessageChange::of(&message, topic, address, record_bytes))
            }
            EntryKind::OffsetCommit => Self::Offset(OffsetCommit::decode(record).map_err(bad)?),
            EntryKind::TopicConfig => Self::Topic(TopicConfig::decode(record).map_err(bad)?),
            EntryKind::Configuration => {
                Self::Configuration(Configuration::decode(record).ok_or(bad(BadEntry))?)
            }
            EntryKind::Expire => Self::Expire(Expire::decode(record).map_err(bad)?),
            EntryKind::NoOp => Self::Nothing,
        })
    }

    /// The origin of a message that has one, and where it is stored.
    pub(super) fn sent(&self) -> Option<(&Origin, Stored)> {
        match self {
            Self::Message(message) => message.sent(),
            _ => None,
        }
    }

    /// Its effect beside standing in its queue.
    pub(super) fn effect(&self) -> Option<&Effect> {
        match self {
            Self::Message(message) => message.effect.as_deref(),
            _ => None,
        }
    }
}

impl AppliedState {
    /// Applies the entry that comes next; gives the message whose queue is one
    /// longer now.
    ///
    /// # Errors
    /// It is not what can come next: the log was written by something else than
    /// this broker.
    pub(super) fn apply(&mut self, next: Unapplied) -> Result<Option<MessageChange>, StoreError> {
        let mut stored = None;
        match next.change {
            Change::Message(mut message) => {
                self.store(&mut message)?;
                stored = Some(message);
            }
            Change::Offset(commit) => self.apply_offset(commit),
            Change::Topic(config) => self.apply_topic(config),
            Change::Configuration(configuration) => self.configuration = Some(configuration),
            Change::Expire(expire) => self.apply_expire(expire),
            Change::Nothing => {}
        }
        self.applied_index = next.index;
        self.applied_address = next.end_address;
        Ok(stored)
    }

    fn store(&mut self, message: &mut MessageChange) -> Result<(), StoreError> {
        let (topic, queue_id) = (&message.topic, message.queue_id);
        let (offset, address) = (message.queue_offset, message.entry.address);
        let inconsistent = |what| StoreError::Inconsistent { address, what };
        if !self.apply_message(topic, queue_id, offset) {
            let what = format!("offset {offset} of {topic}/{queue_id} is not due");
            return Err(inconsistent(what));
        }
        if let Some(effect) = message.effect.take() {
            self.apply_effect(*effect).map_err(inconsistent)?;
        }
        if let Some((origin, stored)) = message.sent() {
            self.producers.note(origin.clone(), stored);
        }
        Ok(())
    }
}
