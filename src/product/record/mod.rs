//! Bytes: RocketMQ's message record, and our own checked envelope around it.
//!
//! Promise: encode and decode, and nothing else. Arbitrary bytes never panic;
//! what does not verify is told apart by what failed.
//!
//! ```text
//!   ┌ envelope ──────────────────┬────────────────┬────────────────────────┐
//!   │ placement part (this disk) │ log part (all  │ record (RocketMQ's     │
//!   │ incarnation, position,     │ replicas equal,│ message, sent to the   │
//!   │ known durable        32 B  │ chained)  48 B │ client as it is)       │
//!   └────────────────────────────┴────────────────┴────────────────────────┘
//! ```
//!
//! A record is read where it stands, and a body that changed is found out:
//!
//! ```
//! use zeroloss_broker::record::{DecodeError, Message, Properties, PropertyBuf, key};
//!
//! # let (born_host, store_host) = (([10, 0, 0, 7], 4711).into(), ([10, 0, 0, 1], 10_911).into());
//! let mut properties = PropertyBuf::default();
//! properties.set(key::TAGS, "paid")?;
//! let message = Message {
//!     topic: "orders", queue_id: 3, queue_offset: 5, physical_offset: 4_096,
//!     body: b"order 1", properties: properties.as_str(),
//!     born_timestamp_ms: 1_700_000_000_000, born_host,
//!     store_timestamp_ms: 1_700_000_000_002, store_host,
//!     flag: 0, sys_flag: 0, reconsume_times: 0, prepared_transaction_offset: 0,
//! };
//! let mut record = Vec::new();
//! message.encode(&mut record)?;
//! assert_eq!(Message::decode(&record)?, message);
//! assert_eq!(Properties::new(message.properties).get(key::TAGS), Some("paid"));
//!
//! let body = record.windows(7).position(|bytes| bytes == b"order 1").unwrap();
//! record[body] ^= 1;
//! assert!(matches!(Message::decode(&record), Err(DecodeError::BodyCrc { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod envelope;
mod message;
mod properties;

pub(crate) use envelope::ENTRY_MAGIC;
pub use envelope::{
    Defect, ENVELOPE_BYTES, EntryKind, Envelope, LogPart, MARK_BYTES, Mark, Parsed, Placement,
    encode_mark, parse, parse_sealed, place, seal,
};
pub use message::{
    BORN_HOST_V6, DecodeError, EncodeError, MESSAGE_MAGIC_V1, Message, PROPERTIES_BYTES_MAX,
    STORE_HOST_V6, TOPIC_BYTES_MAX,
};
pub use properties::{Properties, PropertyBuf, PropertyError, key, tag_hash};

/// Bytes as a hex dump, 16 to the line, for snapshots.
#[cfg(test)]
fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| {
        line.iter()
            .map(|byte| format!("{byte:02x} "))
            .collect::<String>()
    };
    bytes
        .chunks(16)
        .map(|bytes| line(bytes).trim_end().to_owned() + "\n")
        .collect()
}
