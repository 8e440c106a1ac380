//! The body of a pull: records, one after the other.

use bytes::Bytes;

use crate::record::{DecodeError, Message, Properties, key};

/// A message as served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its offset in the queue.
    pub offset: u64,
    /// Its log address.
    pub address: u64,
    /// How often it was consumed without success.
    pub reconsume_times: u32,
    /// The application's bytes. Shares the answer's memory.
    pub body: Bytes,
    /// UTF-8, checked when decoded.
    properties: Bytes,
}

impl Received {
    /// Whether it has one of these tags, or none is asked for.
    pub(super) fn has_tag_of(&self, tags: &[String]) -> bool {
        let own = || self.properties().get(key::TAGS);
        tags.is_empty() || own().is_some_and(|own| tags.iter().any(|tag| tag == own))
    }

    /// Its properties.
    pub fn properties(&self) -> Properties<'_> {
        Properties::new(std::str::from_utf8(&self.properties).unwrap_or_default())
    }
}

/// A record in a pull's answer that is not a message of the queue pulled. The records
/// behind it cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// Not a record, or one whose body is not what was stored.
    #[error("record {index} of the answer: {error}")]
    Undecodable {
        /// Its place in the answer, from 0.
        index: usize,
        /// The error of a record that does not verify.
        error: DecodeError,
    },
    /// A record of another queue.
    #[error("record {index} of the answer belongs to {topic}/{queue_id}")]
    Foreign {
        /// Its place in the answer, from 0.
        index: usize,
        /// Its topic.
        topic: String,
        /// Its queue.
        queue_id: u32,
    },
}

/// Records of so many bytes have room from the start; more take more.
const RECORD_BYTES: usize = 192;

/// The messages of an answer, up to the first that is bad.
pub(super) fn decode(
    body: &Bytes,
    topic: &str,
    queue_id: u32,
) -> (Vec<Received>, Option<BadRecord>) {
    let mut messages = Vec::with_capacity(body.len() / RECORD_BYTES);
    let mut rest: &[u8] = body;
    while !rest.is_empty() {
        let index = messages.len();
        let (message, behind) = match Message::decode_first(rest) {
            Ok(decoded) => decoded,
            Err(error) => return (messages, Some(BadRecord::Undecodable { index, error })),
        };
        if message.topic != topic || message.queue_id != queue_id {
            let topic = message.topic.to_owned();
            let queue_id = message.queue_id;
            let foreign = BadRecord::Foreign {
                index,
                topic,
                queue_id,
            };
            return (messages, Some(foreign));
        }
        messages.push(Received {
            offset: message.queue_offset,
            address: message.physical_offset,
            reconsume_times: message.reconsume_times,
            body: body.slice_ref(message.body),
            properties: body.slice_ref(message.properties.as_bytes()),
        });
        rest = behind;
    }
    (messages, None)
}
