//! Half messages: taken in under another topic, and turned back into what the
//! producer meant.

use super::super::store::NewMessage;
use super::{DISCARD_TOPIC, HALF_TOPIC, OP_TOPIC, Outcome};
use crate::record::{Message, Properties, PropertyBuf, PropertyError, key};
use crate::remoting::transaction::sys_flag;

/// Properties that say where a half message is to go, beside those that every
/// message keeps.
const OF_THE_HALF: [&str; 3] = [
    key::REAL_TOPIC,
    key::REAL_QUEUE_ID,
    key::TRANSACTION_PREPARED,
];

/// A half message in the making: the properties that it will have.
///
/// # Errors
/// The topic cannot be a property's value.
pub(in crate::broker) fn half_properties(
    message: &NewMessage<'_>,
    group: &str,
) -> Result<String, PropertyError> {
    let mut properties = PropertyBuf::from_text(message.properties);
    properties.set(key::REAL_TOPIC, message.topic)?;
    properties.set(key::REAL_QUEUE_ID, &message.queue_id.to_string())?;
    properties.set(key::PRODUCER_GROUP, group)?;
    Ok(properties.as_str().to_owned())
}

/// `message` as the half message that it becomes.
pub(in crate::broker) fn as_half<'a>(
    message: NewMessage<'a>,
    properties: &'a str,
) -> NewMessage<'a> {
    NewMessage {
        topic: HALF_TOPIC,
        queue_id: 0,
        sys_flag: message.sys_flag & !(sys_flag::TRANSACTION as u32),
        properties,
        ..message
    }
}

/// Where a half message was to go.
pub(in crate::broker) struct Destination {
    pub(in crate::broker) topic: String,
    pub(in crate::broker) queue_id: i32,
    /// Its properties there.
    pub(in crate::broker) properties: String,
}

impl Destination {
    /// `None` where the record does not say: it was not written by this broker.
    pub(in crate::broker) fn of(half: &Message<'_>) -> Option<Self> {
        let properties = Properties::new(half.properties);
        let mut own = PropertyBuf::from_text(half.properties);
        OF_THE_HALF.iter().for_each(|name| own.remove(name));
        if let Some(id) = properties.get(key::UNIQ_KEY) {
            own.set(key::TRANSACTION_ID, id).ok()?;
        }
        Some(Self {
            topic: properties.get(key::REAL_TOPIC)?.to_owned(),
            queue_id: properties.get(key::REAL_QUEUE_ID)?.parse().ok()?,
            properties: own.as_str().to_owned(),
        })
    }
}

/// The message by which a transaction is decided: the published one, a note of
/// the rollback, or the half message in the discard topic.
pub(in crate::broker) fn deciding<'a>(
    half: &Message<'a>,
    half_address: u64,
    to: &'a Destination,
    outcome: Outcome,
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
        Outcome::Committed => NewMessage {
            sys_flag: half.sys_flag | sys_flag::COMMIT as u32,
            ..copy
        },
        Outcome::RolledBack => NewMessage {
            topic: OP_TOPIC,
            queue_id: 0,
            sys_flag: sys_flag::ROLLBACK as u32,
            body: &[],
            ..copy
        },
        Outcome::Discarded => NewMessage {
            topic: DISCARD_TOPIC,
            queue_id: 0,
            properties: half.properties,
            ..copy
        },
    }
}
