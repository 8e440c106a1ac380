//! Reading envelopes: every way in which the bytes may not be what was written.

use super::{
    CRC_AT, ENTRY_MAGIC, ENVELOPE_BYTES, EntryKind, Envelope, HASH_AT, HASH_FROM, LogPart,
    MARK_MAGIC, Mark, Placement, entry_hash, header_crc,
};

/// The content of a position of a segment.
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
        /// The check that failed.
        defect: Defect,
        /// The header's own words, where the header verifies.
        header: Option<Envelope>,
    },
}

/// The part of an envelope that failed to verify.
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
        /// The value that stands there.
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
        /// The length of the bytes that there are.
        actual: u64,
    },
    /// The hash over log part and record fails.
    #[error("the record's hash fails")]
    Hash,
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
    if entry_hash(frame) == envelope.log.hash {
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
/// The part that failed; a frame of another length fails by its hash.
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
    match entry_hash(frame) == part.hash {
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
