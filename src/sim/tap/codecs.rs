//! The product's formats, in the checkers' words. Nothing else here knows them.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::broker::{BASE_FILE, Expire};
use crate::check::replicas::{HardState, Head, Replica, Seats};
use crate::log::IDENTITY_FILE;
use crate::raft;
use crate::record::{ENVELOPE_BYTES, EntryKind, parse_sealed};
use crate::sim::disk::DiskModel;

use super::image::View;

/// Bytes of a small file before its payload.
const ATOMIC_FILE_HEADER_BYTES: usize = 24;

/// How such a file begins.
const ATOMIC_FILE_MAGIC: u64 = u64::from_be_bytes(*b"ZLA1\0\0\0\0");

/// The bytes of a small file, verified or not.
pub(super) fn atomic_file_bytes(disk: &DiskModel, path: &str, view: View) -> Option<Vec<u8>> {
    let content = match view {
        View::Cached => disk.cached_file(path)?,
        View::Durable => disk.durable_file(path)?,
    };
    Some(content.to_vec())
}

/// The payload of a small file that is replaced as a whole, where it verifies.
pub(super) fn atomic_file(disk: &DiskModel, path: &str, view: View) -> Option<Vec<u8>> {
    let content = match view {
        View::Cached => disk.cached_file(path)?,
        View::Durable => disk.durable_file(path)?,
    };
    if !disk
        .unreadable_ranges(path, view == View::Durable)
        .is_empty()
    {
        return None;
    }
    let mut bytes = content.to_vec();
    let word = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let (magic, length, checksum) = (word(0)?, word(8)?, word(16)?);
    let payload = bytes.split_off(ATOMIC_FILE_HEADER_BYTES);
    let verifies = magic == ATOMIC_FILE_MAGIC
        && length == payload.len() as u64
        && checksum == xxh3_64_with_seed(&payload, xxh3_64(path.as_bytes()));
    verifies.then_some(payload)
}

/// The id of a disk, once it is formatted.
pub(super) fn disk_id(disk: &DiskModel, view: View) -> Option<u64> {
    let payload = atomic_file(disk, IDENTITY_FILE, view)?;
    Some(u64::from_be_bytes(*payload.get(16..)?.first_chunk()?))
}

/// A replica's term and vote.
pub(super) fn hard_state(disk: &DiskModel, view: View) -> Option<HardState> {
    let state = stored(disk, view)?;
    Some(HardState {
        term: state.term,
        vote: state.vote.map(replica),
    })
}

/// Whether a replica stores that it may have had what it cannot read.
pub(super) fn has_uncertain_tail(disk: &DiskModel) -> bool {
    stored(disk, View::Cached).is_some_and(|state| state.uncertain_tail.is_some())
}

fn stored(disk: &DiskModel, view: View) -> Option<raft::HardState> {
    let payload = atomic_file(disk, raft::HARD_STATE_FILE, view)?;
    raft::HardState::decode(&payload)
}

fn replica(id: raft::ReplicaId) -> Replica {
    Replica {
        node: id.node as u32,
        disk: id.disk,
    }
}

/// The base that a replica begins with, in place of the entries that it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    /// The last entry that it stands for.
    pub(super) head: Head,
    /// The replicas with a seat there.
    pub(super) seats: Option<Seats>,
    /// Of all that it says.
    pub(super) digest: u64,
}

/// A replica's base, where it has one that verifies.
pub(super) fn base(disk: &DiskModel, view: View) -> Option<Base> {
    let payload = atomic_file(disk, BASE_FILE, view)?;
    // A line that says where the log begins, and then the state's lines.
    let mut lines = payload.split(|byte| *byte == b'\n');
    let stored: serde_json::Value = serde_json::from_slice(lines.next()?).ok()?;
    let number = |key: &str| stored.get(key)?.as_u64();
    let state: serde_json::Value = serde_json::from_slice(lines.next()?).ok()?;
    // That of a broker that stands alone has none.
    let configuration = state.get("head")?.get("configuration");
    let configuration = configuration.and_then(|told| bytes_of(told.as_str()?));
    Some(Base {
        head: Head {
            index: number("next_index")?.checked_sub(1)?,
            term: number("term")?,
            hash: number("hash")?,
            end_address: number("address")?,
        },
        seats: configuration.and_then(|told| seats_of(&told)),
        digest: xxh3_64(&payload),
    })
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// The log address below which all has expired: the record of an expiry entry.
pub(super) fn expired_address_of(record: &[u8]) -> Option<u64> {
    Expire::decode(record).ok().map(|expire| expire.address)
}

/// The replicas with a seat: the record of a configuration entry.
pub(super) fn seats_of(record: &[u8]) -> Option<Seats> {
    raft::Configuration::decode(record).map(|configuration| seats(&configuration))
}

fn seats(configuration: &raft::Configuration) -> Seats {
    let seats = configuration.seats.iter().map(|(node, seat)| {
        let votes = seat.state == raft::SeatState::Voter;
        (*node as u32, votes.then_some(seat.disk))
    });
    Seats(seats.collect())
}

/// The promise or the claim of a replica in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It leads, and has the newest configuration that it sends at that index.
    Leads(Option<(u64, Seats)>),
    /// It voted for the addressee.
    Voted(Replica),
    /// It has the leader's log up to that index.
    Matched(u64),
    /// That disk of its own is blank.
    Blank(u64),
}

/// The content of a peer message: in which term.
pub(super) fn said(packet: &raft::PeerMessage) -> Option<(u64, Said)> {
    let said = match &packet.message {
        raft::Message::Append(_) => Said::Leads(last_seats(&packet.frames)),
        raft::Message::VoteAnswer { granted: true } => Said::Voted(replica(packet.to)),
        raft::Message::AppendAnswer(answer) if answer.accepted => {
            Said::Matched(answer.matched_index)
        }
        raft::Message::Join { .. } => Said::Blank(packet.from.disk),
        _ => return None,
    };
    Some((packet.term, said))
}

/// The last configuration among the frames of entries; a look at each envelope's
/// length and kind is enough for the others.
fn last_seats(frames: &[u8]) -> Option<(u64, Seats)> {
    let mut last = None;
    let mut at = 0;
    while let Some(header) = frames.get(at..at + ENVELOPE_BYTES) {
        let record_bytes = u32::from_be_bytes(*header[72..].first_chunk()?) as usize;
        let frame = frames.get(at..at + ENVELOPE_BYTES + record_bytes)?;
        if header[76] == EntryKind::Configuration as u8 {
            let part = parse_sealed(frame).ok()?;
            last = Some((part.index, seats_of(&frame[ENVELOPE_BYTES..])?));
        }
        at += frame.len();
    }
    last
}
