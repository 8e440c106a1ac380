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

/// What a record is.
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
    /// Who the replicas are, from this entry on (D15).
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

/// What of an entry is equal on all replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPart {
    /// What the record is.
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

/// What stands at a position of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// An entry; both checksums verify.
    Entry(Envelope),
    /// A mark; its checksum verifies.
    Mark(Mark),
    /// Zeros where the header would be.
    Blank,
    /// A header that verifies and belongs to another incarnation.
    OtherIncarnation {
        /// That incarnation.
        incarnation: u64,
        /// Bytes that it takes, its record included.
        framed_bytes: u64,
    },
    /// More bytes are needed to tell.
    Short {
        /// How many, from the position on.
        needed_bytes: u64,
        /// The header, where it is there and verifies.
        header: Option<Envelope>,
    },
    /// Not an entry, or not any more.
    Bad {
        /// What failed.
        defect: Defect,
        /// The header's own words, where the header verifies.
        header: Option<Envelope>,
    },
}

/// What of an envelope failed to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Neither an entry nor a mark begins here.
    #[error("no envelope begins here")]
    Magic,
    /// The header's checksum fails.
    #[error("the envelope's header checksum fails")]
    HeaderCrc,
    /// A whole header that was written for another position.
    #[error("the envelope was written for file position {written_for}")]
    Misplaced {
        /// Its own position, bytes.
        written_for: u64,
    },
    /// A kind that this version does not know.
    #[error("unknown record kind {found}")]
    Kind {
        /// What stands there.
        found: u8,
    },
    /// It calls bytes durable that were not yet written.
    #[error("the envelope calls bytes durable that come after it")]
    Claim,
    /// A frame that is longer or shorter than its log part says.
    #[error("the envelope declares {declared} bytes and there are {actual}")]
    Length {
        /// Envelope and record together, bytes.
        declared: u64,
        /// What there is.
        actual: u64,
    },
    /// The hash over log part and record fails.
    #[error("the record's hash fails")]
    Hash,
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
    let hash = xxh3_64(&frame[HASH_FROM..]);
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

fn header_crc(header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..CRC_AT.start]);
    hasher.update(&header[CRC_AT.end..ENVELOPE_BYTES]);
    hasher.finalize()
}

/// Reads what stands at file position `position` of a segment of `incarnation`;
/// `bytes` begin there. Never panics.
#[must_use]
pub fn parse(bytes: &[u8], incarnation: u64, position: u64) -> Parsed {
    let Some(header) = bytes.first_chunk::<ENVELOPE_BYTES>() else {
        return Parsed::Short {
            needed_bytes: ENVELOPE_BYTES as u64,
            header: None,
        };
    };
    if header.iter().all(|byte| *byte == 0) {
        return Parsed::Blank;
    }
    let placement = match parse_placement(header) {
        Ok(placement) => placement,
        Err(defect) => {
            return Parsed::Bad {
                defect,
                header: None,
            };
        }
    };
    let framed_bytes = ENVELOPE_BYTES as u64 + u64::from(u32_at(header, 72));
    if placement.position != position {
        let defect = Defect::Misplaced {
            written_for: placement.position,
        };
        return Parsed::Bad {
            defect,
            header: None,
        };
    }
    if placement.incarnation != incarnation {
        return Parsed::OtherIncarnation {
            incarnation: placement.incarnation,
            framed_bytes,
        };
    }
    if header[..4] == MARK_MAGIC {
        return Parsed::Mark(parse_mark(header, placement));
    }
    match parse_log_part(header) {
        Ok(log) => parse_record(bytes, Envelope { log, placement }),
        Err(defect) => Parsed::Bad {
            defect,
            header: None,
        },
    }
}

fn parse_placement(header: &[u8; ENVELOPE_BYTES]) -> Result<Placement, Defect> {
    if header[..4] != ENTRY_MAGIC && header[..4] != MARK_MAGIC {
        return Err(Defect::Magic);
    }
    if u32_at(header, CRC_AT.start) != header_crc(header) {
        return Err(Defect::HeaderCrc);
    }
    Ok(Placement {
        incarnation: u64_at(header, 8),
        position: u64_at(header, 16),
        durable_address: u64_at(header, 24),
    })
}

fn parse_mark(header: &[u8; ENVELOPE_BYTES], placement: Placement) -> Mark {
    Mark {
        placement,
        next_index: u64_at(header, 48),
        term: u64_at(header, 56),
        hash: u64_at(header, HASH_AT),
    }
}

fn parse_log_part(header: &[u8; ENVELOPE_BYTES]) -> Result<LogPart, Defect> {
    let kind = EntryKind::from_byte(header[76]).ok_or(Defect::Kind { found: header[76] })?;
    Ok(LogPart {
        kind,
        index: u64_at(header, 48),
        term: u64_at(header, 56),
        address: u64_at(header, 64),
        record_bytes: u32_at(header, 72),
        previous_hash: u64_at(header, HASH_FROM),
        hash: u64_at(header, HASH_AT),
    })
}

fn parse_record(bytes: &[u8], envelope: Envelope) -> Parsed {
    if envelope.placement.durable_address > envelope.log.address {
        return Parsed::Bad {
            defect: Defect::Claim,
            header: None,
        };
    }
    let needed_bytes = envelope.log.framed_bytes();
    let Some(frame) = bytes.get(..needed_bytes as usize) else {
        return Parsed::Short {
            needed_bytes,
            header: Some(envelope),
        };
    };
    if xxh3_64(&frame[HASH_FROM..]) == envelope.log.hash {
        Parsed::Entry(envelope)
    } else {
        Parsed::Bad {
            defect: Defect::Hash,
            header: Some(envelope),
        }
    }
}

/// The log part of `frame`, which is one entry's envelope and record as another
/// replica sent them: length and hash verify. The placement part is of that
/// replica's disk and is not looked at. Never panics.
///
/// # Errors
/// What failed; a frame of another length fails by its hash.
pub fn parse_sealed(frame: &[u8]) -> Result<LogPart, Defect> {
    let header = frame
        .first_chunk::<ENVELOPE_BYTES>()
        .ok_or(Defect::Length {
            declared: ENVELOPE_BYTES as u64,
            actual: frame.len() as u64,
        })?;
    let part = parse_log_part(header)?;
    if part.framed_bytes() != frame.len() as u64 {
        return Err(Defect::Length {
            declared: part.framed_bytes(),
            actual: frame.len() as u64,
        });
    }
    match xxh3_64(&frame[HASH_FROM..]) == part.hash {
        true => Ok(part),
        false => Err(Defect::Hash),
    }
}

fn u32_at(header: &[u8; ENVELOPE_BYTES], at: usize) -> u32 {
    u32::from_be_bytes(header[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(header: &[u8; ENVELOPE_BYTES], at: usize) -> u64 {
    u64::from_be_bytes(header[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACEMENT: Placement = Placement {
        incarnation: 0xfeed_f00d,
        position: 512,
        durable_address: 90,
    };

    fn frame(record: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; ENVELOPE_BYTES];
        frame.extend_from_slice(record);
        let part = LogPart {
            kind: EntryKind::NoOp,
            index: 7,
            term: 3,
            address: 90,
            record_bytes: 0,
            previous_hash: 0x1122_3344_5566_7788,
            hash: 0,
        };
        seal(&mut frame, part);
        place(&mut frame, PLACEMENT);
        frame
    }

    fn parse_here(bytes: &[u8]) -> Parsed {
        parse(bytes, PLACEMENT.incarnation, PLACEMENT.position)
    }

    #[test]
    fn an_envelope_is_these_bytes() {
        insta::assert_snapshot!(super::super::hex(&frame(b"no operation")));
    }

    #[test]
    fn what_is_sealed_and_placed_parses_back_and_points_to_the_next() {
        let Parsed::Entry(envelope) = parse_here(&frame(b"abc")) else {
            panic!("not whole")
        };
        assert_eq!(envelope.placement, PLACEMENT);
        assert_eq!(
            (envelope.log.index, envelope.log.term, envelope.log.address),
            (7, 3, 90)
        );
        assert_eq!(envelope.log.end_address(), 90 + 83);
    }

    #[test]
    fn every_flipped_bit_is_noticed_wherever_it_is() {
        let whole = frame(b"some record");
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let parsed = parse_here(&flipped);
            assert!(
                matches!(parsed, Parsed::Bad { .. }),
                "bit {bit}: {parsed:?}"
            );
        }
    }

    #[test]
    fn a_flipped_record_leaves_the_headers_own_words_standing() {
        let mut rotten = frame(b"abc");
        *rotten.last_mut().expect("a byte") ^= 1;
        let Parsed::Bad {
            defect: Defect::Hash,
            header: Some(header),
        } = parse_here(&rotten)
        else {
            panic!("the header verifies")
        };
        assert_eq!(header.placement.durable_address, 90);
    }

    /// The hash alone must notice a change of index, term, address, length,
    /// kind or previous hash: on another disk the placement part is remade.
    #[test]
    fn a_changed_log_part_is_noticed_behind_a_remade_placement() {
        for at in 40..77 {
            let mut changed = frame(b"some record");
            changed[at] ^= 2;
            place(&mut changed, PLACEMENT);
            let parsed = parse_here(&changed);
            assert!(!matches!(parsed, Parsed::Entry(_)), "byte {at}: {parsed:?}");
        }
    }

    #[test]
    fn a_copy_has_a_new_placement_and_the_same_log_part() {
        let mut copy = frame(b"abc");
        let log_part = copy[32..].to_vec();
        place(
            &mut copy,
            Placement {
                incarnation: 1,
                position: 4096,
                durable_address: 0,
            },
        );
        assert_eq!(copy[32..], log_part);
        assert!(matches!(parse(&copy, 1, 4096), Parsed::Entry(_)));
    }

    #[test]
    fn blank_foreign_misplaced_and_short_are_told_apart() {
        let whole = frame(b"abc");
        assert_eq!(parse_here(&[0; 600]), Parsed::Blank);
        assert_eq!(
            parse(&whole, 1, 512),
            Parsed::OtherIncarnation {
                incarnation: 0xfeed_f00d,
                framed_bytes: 83
            }
        );
        let misplaced = Defect::Misplaced { written_for: 512 };
        assert_eq!(
            parse(&whole, PLACEMENT.incarnation, 1024),
            Parsed::Bad {
                defect: misplaced,
                header: None
            }
        );
        assert_eq!(
            parse_here(&whole[..79]),
            Parsed::Short {
                needed_bytes: 80,
                header: None
            }
        );
        assert!(matches!(
            parse_here(&whole[..82]),
            Parsed::Short {
                needed_bytes: 83,
                header: Some(_)
            }
        ));
    }

    #[test]
    fn a_claim_beyond_itself_is_no_claim() {
        let mut boast = frame(b"abc");
        place(
            &mut boast,
            Placement {
                durable_address: 91,
                ..PLACEMENT
            },
        );
        assert_eq!(
            parse_here(&boast),
            Parsed::Bad {
                defect: Defect::Claim,
                header: None
            }
        );
    }

    #[test]
    fn a_mark_parses_back() {
        let mark = Mark {
            placement: PLACEMENT,
            next_index: 8,
            term: 3,
            hash: 99,
        };
        let mut bytes = Vec::new();
        encode_mark(&mut bytes, mark);
        assert_eq!(parse_here(&bytes), Parsed::Mark(mark));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, incarnation: u64, position: u64) {
            prop_assert!(!matches!(parse(&bytes, incarnation, position), Parsed::Entry(_)));
        }

        /// Random bytes seldom get past the magic: these do.
        #[test]
        fn arbitrary_headers_with_a_valid_checksum_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 80..200)) {
            let Placement { incarnation, position, durable_address } = PLACEMENT;
            place(&mut bytes, Placement { incarnation, position, durable_address });
            prop_assert!(!matches!(parse_here(&bytes), Parsed::Entry(_)));
        }
    }
}
