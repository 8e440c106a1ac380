//! Half messages: taken in under another topic, and turned back into what the
//! producer meant.

use super::super::error::AppendError;
use super::super::groups::NAME_BYTES_MAX;
use super::super::store::{Appended, NewMessage, Store};
use super::{DISCARD_TOPIC, Decision, HALF_TOPIC, OP_TOPIC};
use crate::broker::send::SENT_PROPERTIES_BYTES_MAX;
use crate::env::Disk;
use crate::record::{Message, Properties, PropertyBuf, PropertyError, key};
use crate::remoting::transaction::sys_flag;

/// Properties of a half message that what is published does not have: where it
/// is to go; and what was sent, which was the half message (D19).
const OF_THE_HALF: [&str; 5] = [
    key::REAL_TOPIC,
    key::REAL_QUEUE_ID,
    key::TRANSACTION_PREPARED,
    key::PRODUCER_ID,
    key::PRODUCER_SEQUENCE,
];

impl<D: Disk> Store<D> {
    /// Stages a message as a half message. Its queue is chosen, and its topic
    /// made, now: whatever is taken in can be committed.
    pub(in crate::broker) async fn append_half(
        &mut self,
        message: NewMessage<'_>,
        group: &str,
    ) -> Result<Appended, AppendError> {
        self.has_room_for_half(message.properties, group)?;
        let mut properties = PropertyBuf::from_text(message.properties);
        properties.set(key::REAL_TOPIC, message.topic)?;
        properties.set(key::PRODUCER_GROUP, group)?;
        // It has no delay: see [`crate::broker`]'s delays.
        properties.remove(key::DELAY);
        let length_bytes = published(properties.as_str())?.len();
        // A committed message can be sent back, as an ordinary one can.
        let bytes_max = SENT_PROPERTIES_BYTES_MAX;
        if length_bytes > bytes_max {
            return Err(AppendError::FinalProperties {
                length_bytes,
                bytes_max,
            });
        }
        let queue_id = self.make_queue(message.topic, message.queue_id).await?;
        properties.set(key::REAL_QUEUE_ID, &queue_id.to_string())?;
        let half = NewMessage {
            topic: HALF_TOPIC,
            queue_id: 0,
            sys_flag: message.sys_flag & !(sys_flag::TRANSACTION as u32),
            properties: properties.as_str(),
            ..message
        };
        self.append_message(half).await
    }
}

impl<D: Disk> Store<D> {
    /// The data that are kept of a half message until it is decided, and for a while
    /// after, are bounded: its names, and how many there are.
    fn has_room_for_half(&self, properties: &str, group: &str) -> Result<(), AppendError> {
        let most = self.config.bounds.halves;
        if self.state.transactions.pending_count() >= most {
            let what = "half messages that nobody has decided";
            return Err(AppendError::Full { what, most });
        }
        let id = Properties::new(properties).get(key::UNIQ_KEY);
        for (what, name) in [("producer group", group), ("message id", id.unwrap_or(""))] {
            let length = name.len();
            if length > NAME_BYTES_MAX {
                return Err(AppendError::Name { what, length });
            }
        }
        Ok(())
    }
}

/// A half message's properties once it is committed.
fn published(half: &str) -> Result<String, PropertyError> {
    let mut own = PropertyBuf::from_text(half);
    OF_THE_HALF.iter().for_each(|name| own.remove(name));
    if let Some(id) = Properties::new(half).get(key::UNIQ_KEY) {
        own.set(key::TRANSACTION_ID, id)?;
    }
    Ok(own.as_str().to_owned())
}

/// Where a half message was to go.
pub(super) struct Destination {
    topic: String,
    queue_id: i32,
    /// Its properties there.
    properties: String,
    /// Its properties where it is discarded.
    discarded: String,
}

impl Destination {
    /// `None` where the record does not say: it was not written by this broker.
    pub(super) fn of(half: &Message<'_>) -> Option<Self> {
        let properties = Properties::new(half.properties);
        Some(Self {
            topic: properties.get(key::REAL_TOPIC)?.to_owned(),
            queue_id: properties.get(key::REAL_QUEUE_ID)?.parse().ok()?,
            properties: published(half.properties).ok()?,
            discarded: discarded(half.properties),
        })
    }
}

/// A half message's properties where it is discarded: what an operator needs to
/// send it after all.
fn discarded(half: &str) -> String {
    let mut own = PropertyBuf::from_text(half);
    own.remove(key::PRODUCER_ID);
    own.remove(key::PRODUCER_SEQUENCE);
    own.as_str().to_owned()
}

/// The message by which a transaction is decided: the published one, a note of
/// the rollback, or the half message in the discard topic.
pub(super) fn deciding<'a>(
    half: &Message<'a>,
    half_address: u64,
    to: &'a Destination,
    outcome: Decision,
    now_ms: u64,
) -> NewMessage<'a> {
    let copy = NewMessage {
        topic: &to.topic,
        queue_id: to.queue_id,
        flag: half.flag,
        sys_flag: half.sys_flag,
        born_timestamp_ms: half.born_timestamp_ms,
        born_host: half.born_host,
        store_timestamp_ms: now_ms,
        reconsume_times: half.reconsume_times,
        prepared_transaction_offset: half_address,
        properties: &to.properties,
        body: half.body,
    };
    match outcome {
        Decision::Committed => NewMessage {
            sys_flag: half.sys_flag | sys_flag::COMMIT as u32,
            ..copy
        },
        Decision::RolledBack => NewMessage {
            topic: OP_TOPIC,
            queue_id: 0,
            sys_flag: sys_flag::ROLLBACK as u32,
            body: &[],
            ..copy
        },
        Decision::Discarded => NewMessage {
            topic: DISCARD_TOPIC,
            queue_id: 0,
            properties: &to.discarded,
            ..copy
        },
    }
}
