//! Log entries that are not messages: what the broker itself has decided.
//!
//! They travel and replicate like messages (D22, D29), so that what a client
//! was told of an offset or a topic is as durable as a message.

use thiserror::Error;

/// A group's offset on one queue: "everything below is processed". The last one
/// in the log applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The queue's number.
    pub queue_id: u32,
    /// The next offset to consume.
    pub offset: u64,
}

/// A topic and how many queues it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    /// The topic.
    pub topic: String,
    /// Its queues are `0..queues`.
    pub queues: u32,
}

/// The leader's decision that everything below an address has expired (D30).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expire {
    /// A segment of the leader's log began here; other replicas drop what they
    /// can.
    pub address: u64,
    /// The index of the entry there.
    pub next_index: u64,
}

impl Expire {
    /// Appends address 8, index 8.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.address.to_be_bytes());
        out.extend_from_slice(&self.next_index.to_be_bytes());
    }

    /// Reads what [`Expire::encode`] wrote.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, BadEntry> {
        let bytes = &mut bytes;
        let entry = Self {
            address: u64::from_be_bytes(take(bytes)?),
            next_index: u64::from_be_bytes(take(bytes)?),
        };
        bytes.is_empty().then_some(entry).ok_or(BadEntry)
    }
}

/// A broker's own entry that cannot be read. The log's checksums passed, so the
/// entry was written by something else than this broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a broker's own log entry has a shape this version does not know")]
pub struct BadEntry;

impl OffsetCommit {
    /// Appends `group`, `topic` (length 2, bytes), queue 4, offset 8.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_text(out, &self.group);
        put_text(out, &self.topic);
        out.extend_from_slice(&self.queue_id.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
    }

    /// Reads what [`OffsetCommit::encode`] wrote.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, BadEntry> {
        let bytes = &mut bytes;
        let entry = Self {
            group: take_text(bytes)?,
            topic: take_text(bytes)?,
            queue_id: u32::from_be_bytes(take(bytes)?),
            offset: u64::from_be_bytes(take(bytes)?),
        };
        bytes.is_empty().then_some(entry).ok_or(BadEntry)
    }
}

impl TopicConfig {
    /// Appends `topic` (length 2, bytes), queues 4.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_text(out, &self.topic);
        out.extend_from_slice(&self.queues.to_be_bytes());
    }

    /// Reads what [`TopicConfig::encode`] wrote.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, BadEntry> {
        let bytes = &mut bytes;
        let entry = Self {
            topic: take_text(bytes)?,
            queues: u32::from_be_bytes(take(bytes)?),
        };
        bytes.is_empty().then_some(entry).ok_or(BadEntry)
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("names are checked to be short before an append");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], BadEntry> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(BadEntry)?;
    *bytes = rest;
    Ok(*head)
}

fn take_text(bytes: &mut &[u8]) -> Result<String, BadEntry> {
    let length = usize::from(u16::from_be_bytes(take(bytes)?));
    let (text, rest) = bytes.split_at_checked(length).ok_or(BadEntry)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).map_err(|_| BadEntry)
}

#[cfg(test)]
mod tests {
    use super::{BadEntry, OffsetCommit, TopicConfig};

    #[test]
    fn entries_come_back_as_written_and_nothing_else_is_accepted() {
        let commit = OffsetCommit {
            group: "red-packet".into(),
            topic: "orders".into(),
            queue_id: 3,
            offset: 1842,
        };
        let mut bytes = Vec::new();
        commit.encode(&mut bytes);
        assert_eq!(OffsetCommit::decode(&bytes), Ok(commit));
        for cut in 0..bytes.len() {
            assert_eq!(OffsetCommit::decode(&bytes[..cut]), Err(BadEntry));
        }
        bytes.push(0);
        assert_eq!(OffsetCommit::decode(&bytes), Err(BadEntry));

        let topic = TopicConfig {
            topic: "orders".into(),
            queues: 4,
        };
        let mut bytes = Vec::new();
        topic.encode(&mut bytes);
        assert_eq!(TopicConfig::decode(&bytes), Ok(topic));
    }
}
