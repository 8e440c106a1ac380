//! The checked envelope around every record (guarantee.md, D10).
//!
//! ```text
//!  0 magic 4        ┐
//!  4 header crc 4   │ placement part: of this disk, remade when the record
//!  8 incarnation 8  │ is copied. `durable` is the log address below which
//! 16 position 8     │ everything was known durable when this was written.
//! 24 durable 8      ┘
//! 32 hash 8         ┐ log part: equal on all replicas. The hash (xxh3-64)
//! 40 previous 8     │ covers all that follows it, the record included, and
//! 48 index 8        │ `previous` is the hash of the entry before: a chain.
//! 56 term 8         │
//! 64 address 8      │ Both parts are contiguous, and what each checksum
//! 72 length 4       │ covers is, too: one pass over the bytes, no copy.
//! 76 kind 1, zero 3 ┘
//! 80 record                                        (big-endian throughout)
//! ```
//!
//! The magic comes first because its first byte is not zero: a reader tells a
//! header from padding even where only that byte fits the sector
//! (reports/findings/001-header-taken-for-padding.md).
//!
//! The header crc (CRC-32) covers all of the header but itself. A header that
//! verifies on its
//! own says where its record belongs and what was durable before it, even when
//! the record behind it does not verify: that is what tells rot from a torn
//! write (D11).
//!
//! A *mark* has the same shape and its own magic, no record and no log address:
//! written in idle time, it says that everything before it was durable.

mod parse;
#[cfg(test)]
mod tests;

pub use parse::{Defect, Parsed, parse, parse_sealed};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes before the record. An entry takes `ENVELOPE_BYTES` plus its record's
/// length of log address space, so that the next entry's address is a function
/// of the log alone (D20).
pub const ENVELOPE_BYTES: usize = 80;
/// Bytes of a mark; the rest of its sector is zero.
pub const MARK_BYTES: usize = ENVELOPE_BYTES;

/// The first bytes of an entry's envelope.
pub(crate) const ENTRY_MAGIC: [u8; 4] = *b"ZLE1";
const MARK_MAGIC: [u8; 4] = *b"ZLM1";
const CRC_AT: std::ops::Range<usize> = 4..8;
const HASH_AT: usize = 32;
const HASH_FROM: usize = 40;

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A RocketMQ message record.
    Message = 1,
    /// A consumer group's offset (D22).
    OffsetCommit = 2,
    /// A topic's configuration (D29).
    TopicConfig = 3,
    /// Nothing: the first entry of a term (D4).
    NoOp = 4,
    /// The replicas, from this entry on (D15).
    Configuration = 5,
    /// From which log address on messages are kept (D30).
    Expire = 6,
}

impl EntryKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Message,
            Self::OffsetCommit,
            Self::TopicConfig,
            Self::NoOp,
            Self::Configuration,
            Self::Expire,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// The part of an entry that is equal on all replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPart {
    /// The kind of the record.
    pub kind: EntryKind,
    /// The entry's number in the log, from 1.
    pub index: u64,
    /// The term it was appended in; 0 on a single node.
    pub term: u64,
    /// Its log address.
    pub address: u64,
    /// The record's length, bytes.
    pub record_bytes: u32,
    /// Hash of the entry before; 0 for the first.
    pub previous_hash: u64,
    /// Hash of this entry: over all of the above and the record.
    pub hash: u64,
}

impl LogPart {
    /// The address of the entry behind.
    #[must_use]
    pub fn end_address(&self) -> u64 {
        self.address.saturating_add(self.framed_bytes())
    }

    /// Bytes of envelope and record together, in the log and in its file.
    #[must_use]
    pub fn framed_bytes(&self) -> u64 {
        ENVELOPE_BYTES as u64 + u64::from(self.record_bytes)
    }
}

/// Where an entry or a mark stands on this disk, and what it knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The segment's incarnation: bytes of another one are not this log's.
    pub incarnation: u64,
    /// Position in the segment's file, bytes.
    pub position: u64,
    /// Everything below this log address was durable when this was written.
    pub durable_address: u64,
}

/// An entry's envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope {
    /// Equal on all replicas.
    pub log: LogPart,
    /// Of this disk.
    pub placement: Placement,
}

/// A durable mark: the log up to here was durable when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Where it stands; its `durable_address` is the log's end before it.
    pub placement: Placement,
    /// Index of the entry to come next.
    pub next_index: u64,
    /// Term of the last entry before it.
    pub term: u64,
    /// Hash of the last entry before it: a mark counts only when it belongs to
    /// the live log (D6).
    pub hash: u64,
}

/// Writes the log part into `frame`, which is [`ENVELOPE_BYTES`] of room and
/// the record behind them. `part.hash` and `part.record_bytes` are computed;
/// the result is the part as written.
///
/// # Panics
/// `frame` is shorter than an envelope or longer than 4 GiB.
pub fn seal(frame: &mut [u8], part: LogPart) -> LogPart {
    let record_bytes = u32::try_from(frame.len() - ENVELOPE_BYTES).expect("a record below 4 GiB");
    frame[40..48].copy_from_slice(&part.previous_hash.to_be_bytes());
    frame[48..56].copy_from_slice(&part.index.to_be_bytes());
    frame[56..64].copy_from_slice(&part.term.to_be_bytes());
    frame[64..72].copy_from_slice(&part.address.to_be_bytes());
    frame[72..76].copy_from_slice(&record_bytes.to_be_bytes());
    frame[76..80].copy_from_slice(&[part.kind as u8, 0, 0, 0]);
    let hash = entry_hash(frame);
    frame[HASH_AT..HASH_FROM].copy_from_slice(&hash.to_be_bytes());
    LogPart {
        record_bytes,
        hash,
        ..part
    }
}

/// Writes the placement part in front of a sealed log part; a copy of an entry
/// is a new placement before the same bytes.
///
/// # Panics
/// `header` is shorter than an envelope.
pub fn place(header: &mut [u8], placement: Placement) {
    put_placement(header, ENTRY_MAGIC, placement);
}

/// Appends a mark to `out`.
pub fn encode_mark(out: &mut Vec<u8>, mark: Mark) {
    let mut header = [0; MARK_BYTES];
    header[32..40].copy_from_slice(&mark.hash.to_be_bytes());
    header[48..56].copy_from_slice(&mark.next_index.to_be_bytes());
    header[56..64].copy_from_slice(&mark.term.to_be_bytes());
    put_placement(&mut header, MARK_MAGIC, mark.placement);
    out.extend_from_slice(&header);
}

fn put_placement(header: &mut [u8], magic: [u8; 4], placement: Placement) {
    header[..4].copy_from_slice(&magic);
    header[8..16].copy_from_slice(&placement.incarnation.to_be_bytes());
    header[16..24].copy_from_slice(&placement.position.to_be_bytes());
    header[24..32].copy_from_slice(&placement.durable_address.to_be_bytes());
    let crc = header_crc(header);
    header[CRC_AT].copy_from_slice(&crc.to_be_bytes());
}

/// The hash of an entry: everything behind the hash itself.
fn entry_hash(frame: &[u8]) -> u64 {
    xxh3_64(&frame[HASH_FROM..])
}

fn header_crc(header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..CRC_AT.start]);
    hasher.update(&header[CRC_AT.end..ENVELOPE_BYTES]);
    hasher.finalize()
}
