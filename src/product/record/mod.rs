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
