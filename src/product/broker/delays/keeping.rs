//! A message that is to come later: taken in under another topic, and turned
//! back into what its sender meant.

use super::LEVELS_MAX;
use crate::broker::store::NewMessage;
use crate::record::{Message, Properties, PropertyBuf, PropertyError, key};
use crate::remoting::send::SCHEDULE_TOPIC;

/// Properties of the waiting alone. The producer's own number of a message is
/// that of the one it sent (D19), which is the scheduled one.
const OF_THE_WAITING: [&str; 5] = [
    key::REAL_TOPIC,
    key::REAL_QUEUE_ID,
    key::DELAY,
    key::PRODUCER_ID,
    key::PRODUCER_SEQUENCE,
];

/// The level that a message's properties ask for; `None`: it is not to wait.
/// Levels count from 1; those beyond the last one are the last one.
///
/// # Errors
/// The property is no number; its value.
pub(in crate::broker) fn level_of(properties: &str, levels: usize) -> Result<Option<u32>, &str> {
    let Some(text) = Properties::new(properties).get(key::DELAY) else {
        return Ok(None);
    };
    let level: i64 = text.trim().parse().map_err(|_| text)?;
    let level = u32::try_from(level.max(0)).unwrap_or(u32::MAX);
    Ok(Some(at_most(level, levels)).filter(|level| *level > 0))
}

/// A level, or the last one of so many.
pub(in crate::broker) fn at_most(level: u32, levels: usize) -> u32 {
    level.min(levels as u32).min(LEVELS_MAX)
}

/// A scheduled message in the making: the properties that it will have, and its
/// queue.
pub(in crate::broker) struct Scheduled {
    properties: PropertyBuf,
    queue_id: i32,
}

impl Scheduled {
    /// `message`, whose queue was chosen, at a level that [`level_of`] gave.
    ///
    /// # Errors
    /// The topic cannot be a property's value.
    pub(in crate::broker) fn new(
        message: &NewMessage<'_>,
        level: u32,
    ) -> Result<Self, PropertyError> {
        let mut properties = PropertyBuf::from_text(message.properties);
        properties.set(key::REAL_TOPIC, message.topic)?;
        properties.set(key::REAL_QUEUE_ID, &message.queue_id.to_string())?;
        Ok(Self {
            properties,
            queue_id: level as i32 - 1,
        })
    }

    /// `message` as the scheduled one that it becomes.
    pub(in crate::broker) fn keep<'a>(&'a self, message: NewMessage<'a>) -> NewMessage<'a> {
        NewMessage {
            topic: SCHEDULE_TOPIC,
            queue_id: self.queue_id,
            properties: self.properties.as_str(),
            ..message
        }
    }
}

/// Where a scheduled message is to go.
pub(super) struct Destination<'a> {
    topic: &'a str,
    queue_id: i32,
    /// Its properties there.
    properties: PropertyBuf,
}

impl<'a> Destination<'a> {
    /// `None` where the record does not say: it was not written by this broker.
    pub(super) fn of(scheduled: &Message<'a>) -> Option<Self> {
        let properties = Properties::new(scheduled.properties);
        let mut own = PropertyBuf::from_text(scheduled.properties);
        OF_THE_WAITING.iter().for_each(|name| own.remove(name));
        Some(Self {
            topic: properties.get(key::REAL_TOPIC)?,
            queue_id: properties.get(key::REAL_QUEUE_ID)?.parse().ok()?,
            properties: own,
        })
    }

    /// The scheduled message as it was meant; it names the scheduled one.
    pub(super) fn delivered(
        &'a self,
        scheduled: &Message<'a>,
        scheduled_address: u64,
        now_ms: u64,
    ) -> NewMessage<'a> {
        NewMessage {
            topic: self.topic,
            queue_id: self.queue_id,
            flag: scheduled.flag,
            sys_flag: scheduled.sys_flag,
            born_timestamp_ms: scheduled.born_timestamp_ms,
            born_host: scheduled.born_host,
            store_timestamp_ms: now_ms,
            reconsume_times: scheduled.reconsume_times,
            prepared_transaction_offset: scheduled_address,
            properties: self.properties.as_str(),
            body: scheduled.body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::level_of;

    #[test]
    fn a_level_is_read_from_properties() {
        let level = |text: &str| level_of(text, 3).map_err(str::to_owned);
        assert_eq!(level("TAGS\u{1}a\u{2}"), Ok(None));
        for (value, expected) in [
            ("0", None),
            ("-3", None),
            ("1", Some(1)),
            ("3", Some(3)),
            ("4", Some(3)),
            ("99999999999", Some(3)),
        ] {
            assert_eq!(level(&format!("DELAY\u{1}{value}\u{2}")), Ok(expected));
        }
        assert_eq!(level("DELAY\u{1}soon\u{2}"), Err("soon".to_owned()));
        assert_eq!(level_of("DELAY\u{1}1\u{2}", 0), Ok(None), "no levels");
    }
}
