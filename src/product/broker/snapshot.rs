//! The applied state as bytes: lines of JSON, so that neither writing nor reading
//! one is ever a long step.
//!
//! ```text
//!   head ⏎ queues of a topic ⏎ … offsets ⏎ … a producer ⏎ … halves ⏎ … delays ⏎ … end ⏎
//! ```
//!
//! A line stands for a few hundred entries at most. The form before this one was a
//! single line; it is still read.

use serde::{Deserialize, Serialize};

use super::chunked::Run;
use super::delays::{Delayed, Delays};
use super::producers::{Producers, Window};
use super::state::{AppliedState, Place, QueueTails};
use super::transactions::{Decided, Half, Transactions};
use crate::env::yield_once;
use crate::log::QueueTail;
use crate::raft::{Configuration, NUMBER_MAX};

/// A snapshot is read in parts of about so many bytes.
const PART_BYTES: usize = 64 << 10;
/// Queues of a topic in one line: each brings a sector.
const QUEUES_PER_LINE: usize = 16;
/// Entries of a map in one line. A base is the same bytes on every replica that stands
/// there.
const ENTRIES_PER_LINE: usize = 256;

/// All that is no map.
#[derive(Serialize, Deserialize)]
struct Head {
    applied_address: u64,
    applied_index: u64,
    /// [`Configuration::encode`], in hex; empty for a single broker.
    configuration: String,
    expired_address: u64,
    expired_index: u64,
}

/// A line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Head(Head),
    /// A topic's next queues.
    Queues(String, Vec<SnapshotQueue>),
    Offsets(Vec<(Place, u64)>),
    Producer(String, Window),
    Halves(Vec<(u64, Half)>),
    Decided(Vec<(u64, Decided)>),
    Delays(Vec<(u64, Delayed)>),
    /// How many lines there are before this one.
    End(u64),
}

/// A queue in the snapshot.
#[derive(Serialize, Deserialize)]
struct SnapshotQueue {
    #[serde(default)]
    first_offset: u64,
    next_offset: u64,
    /// Its last sector, in hex: see [`QueueTail`].
    last_sector: String,
}

/// The form of one line.
#[derive(Deserialize)]
struct Single {
    #[serde(flatten)]
    head: Head,
    topics: std::collections::BTreeMap<String, Vec<SnapshotQueue>>,
    offsets: Vec<(String, String, u32, u64)>,
    #[serde(default)]
    producers: Producers,
    #[serde(default)]
    transactions: Transactions,
    #[serde(default)]
    delays: Delays,
}

/// A part that becomes one line, shared with the state that it is of.
enum Piece {
    Head,
    Queues(String, Vec<u64>, usize),
    Offsets(Run<Place, u64>),
    Producer(String, std::sync::Arc<Window>),
    Halves(Run<u64, Half>),
    Decided(Run<u64, Decided>),
    Delays(Run<u64, Delayed>),
    End(u64),
}

/// A state's lines, one at a time.
pub(super) struct Lines {
    head: Head,
    tails: QueueTails,
    pieces: std::vec::IntoIter<Piece>,
}

impl Lines {
    /// Of `state`; `tails` are the queues as it describes them.
    pub(super) fn of(state: &AppliedState, tails: QueueTails) -> Self {
        let mut pieces = vec![Piece::Head];
        for (topic, queues) in state.topics() {
            let parts = queues.chunks(QUEUES_PER_LINE);
            pieces.extend(parts.enumerate().map(|(number, part)| {
                Piece::Queues(topic.to_owned(), part.to_vec(), number * QUEUES_PER_LINE)
            }));
        }
        let offsets = state.offsets.runs(ENTRIES_PER_LINE).into_iter();
        pieces.extend(offsets.map(Piece::Offsets));
        let producers = state.producers.windows();
        pieces.extend(producers.map(|(producer, window)| Piece::Producer(producer, window)));
        let halves = state.transactions.pending_runs(ENTRIES_PER_LINE);
        pieces.extend(halves.into_iter().map(Piece::Halves));
        let decided = state.transactions.decided_runs(ENTRIES_PER_LINE);
        pieces.extend(decided.into_iter().map(Piece::Decided));
        let delays = state.delays.runs(ENTRIES_PER_LINE).into_iter();
        pieces.extend(delays.map(Piece::Delays));
        pieces.push(Piece::End(pieces.len() as u64));
        Self {
            head: Head::of(state),
            tails,
            pieces: pieces.into_iter(),
        }
    }

    fn queues(&self, topic: &str, next_offsets: &[u64], first: usize) -> Vec<SnapshotQueue> {
        let tails = self.tails.get(topic);
        let queue = |(number, next_offset): (usize, &u64)| {
            let tail = tails.and_then(|tails| tails.get(first + number));
            SnapshotQueue {
                first_offset: tail.map_or(0, |tail| tail.first_offset),
                next_offset: *next_offset,
                last_sector: tail.map_or(String::new(), |tail| to_hex(&tail.last_sector)),
            }
        };
        next_offsets.iter().enumerate().map(queue).collect()
    }
}

impl Iterator for Lines {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let line = match self.pieces.next()? {
            Piece::Head => Line::Head(self.head.clone()),
            Piece::Queues(topic, next_offsets, first) => {
                let queues = self.queues(&topic, &next_offsets, first);
                Line::Queues(topic, queues)
            }
            Piece::Offsets(chunk) => Line::Offsets(chunk.to_vec()),
            Piece::Producer(producer, window) => Line::Producer(producer, (*window).clone()),
            Piece::Halves(chunk) => Line::Halves(chunk.to_vec()),
            Piece::Decided(chunk) => Line::Decided(chunk.to_vec()),
            Piece::Delays(chunk) => Line::Delays(chunk.to_vec()),
            Piece::End(lines) => Line::End(lines),
        };
        let mut bytes = serde_json::to_vec(&line).expect("a snapshot is plain data");
        bytes.push(b'\n');
        Some(bytes)
    }
}

impl Clone for Head {
    fn clone(&self) -> Self {
        Self {
            configuration: self.configuration.clone(),
            ..*self
        }
    }
}

impl Head {
    fn of(state: &AppliedState) -> Self {
        let configuration = state.configuration.as_ref().map(Configuration::encode);
        Self {
            applied_address: state.applied_address,
            applied_index: state.applied_index,
            configuration: configuration.map_or(String::new(), |bytes| to_hex(&bytes)),
            expired_address: state.expired_address,
            expired_index: state.expired_index,
        }
    }
}

/// A state that is being read, line by line.
#[derive(Default)]
pub(super) struct Reading {
    state: AppliedState,
    tails: QueueTails,
    lines: u64,
    ended: bool,
}

impl Reading {
    /// The next line; the error says why it is none.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let line =
            serde_json::from_slice(line).map_err(|why: serde_json::Error| why.to_string())?;
        let state = &mut self.state;
        match line {
            Line::Head(head) => self.head(&head)?,
            Line::Queues(topic, queues) => self.queues(topic, queues)?,
            Line::Offsets(offsets) => {
                for (place, offset) in offsets {
                    state.offsets.insert(place, bounded(offset)?);
                }
            }
            Line::Producer(producer, window) => state.producers.read(producer, window),
            Line::Halves(halves) => state.transactions.read_pending(halves),
            Line::Decided(decided) => state.transactions.read_decided(decided),
            Line::Delays(delays) => state.delays.read(delays),
            Line::End(lines) => {
                self.ended = lines == self.lines;
            }
        }
        self.lines += 1;
        Ok(())
    }

    fn head(&mut self, head: &Head) -> Result<(), String> {
        let state = &mut self.state;
        state.applied_address = bounded(head.applied_address)?;
        state.applied_index = bounded(head.applied_index)?;
        state.configuration = read_configuration(&head.configuration)?;
        state.expired_address = bounded(head.expired_address)?;
        state.expired_index = bounded(head.expired_index)?;
        Ok(())
    }

    fn queues(&mut self, topic: String, queues: Vec<SnapshotQueue>) -> Result<(), String> {
        let mut next_offsets = self.state.topic(&topic).unwrap_or_default().to_vec();
        let tails = self.tails.entry(topic.clone()).or_default();
        for queue in queues {
            let last_sector = from_hex(&queue.last_sector).ok_or("a sector is not hex")?;
            next_offsets.push(bounded(queue.next_offset)?);
            tails.push(QueueTail {
                first_offset: bounded(queue.first_offset)?,
                entries: queue.next_offset,
                last_sector: last_sector.into(),
            });
        }
        self.state.topics.insert(topic, next_offsets);
        Ok(())
    }

    /// The state that was read; the error says why that is no state.
    pub(super) fn end(self) -> Result<(AppliedState, QueueTails), String> {
        match self.ended {
            true => Ok((self.state, self.tails)),
            false => Err("it ends too early".to_owned()),
        }
    }

    /// The form of one line.
    pub(super) fn single(bytes: &[u8]) -> Result<(AppliedState, QueueTails), String> {
        let single: Single = serde_json::from_slice(bytes).map_err(|why| why.to_string())?;
        let mut reading = Self::default();
        reading.head(&single.head)?;
        reading.state.producers = single.producers;
        reading.state.transactions = single.transactions;
        reading.state.delays = single.delays;
        for (topic, queues) in single.topics {
            reading.queues(topic, queues)?;
        }
        for (group, topic, queue_id, offset) in single.offsets {
            let place = (group, topic, queue_id);
            reading.state.offsets.insert(place, bounded(offset)?);
        }
        Ok((reading.state, reading.tails))
    }
}

/// A number that leaves room for all that is counted on from it. A base comes from a
/// peer.
fn bounded(number: u64) -> Result<u64, String> {
    match number {
        ..=NUMBER_MAX => Ok(number),
        _ => Err(format!("{number} is no offset and no place in a log")),
    }
}

/// Whether bytes are of the form before this one.
pub(super) fn is_single(bytes: &[u8]) -> bool {
    !bytes.contains(&b'\n')
}

/// The lines of a file of the present form.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.is_empty())
}

/// Reads a snapshot, and lets others have a turn between any two parts.
pub(super) async fn decode_in_parts(bytes: &[u8]) -> Result<(AppliedState, QueueTails), String> {
    if is_single(bytes) {
        return Reading::single(bytes);
    }
    let (mut reading, mut read) = (Reading::default(), 0);
    for line in lines(bytes) {
        reading.line(line)?;
        read += line.len();
        if read >= PART_BYTES {
            read = 0;
            yield_once().await;
        }
    }
    reading.end()
}

impl AppliedState {
    /// The snapshot's bytes; `tails` are the queues as this state describes
    /// them.
    pub fn encode(&self, tails: &QueueTails) -> Vec<u8> {
        Lines::of(self, tails.clone()).flatten().collect()
    }

    /// Reads a snapshot; the error says why it is none.
    pub fn decode(bytes: &[u8]) -> Result<(Self, QueueTails), String> {
        if is_single(bytes) {
            return Reading::single(bytes);
        }
        let mut reading = Reading::default();
        for line in lines(bytes) {
            reading.line(line)?;
        }
        reading.end()
    }
}

fn read_configuration(hex: &str) -> Result<Option<Configuration>, String> {
    if hex.is_empty() {
        return Ok(None);
    }
    let bytes = from_hex(hex).ok_or("the configuration is not hex")?;
    let configuration = Configuration::decode(&bytes).ok_or("the configuration is unreadable")?;
    Ok(Some(configuration))
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Formatting each byte took 4 % of a simulated run: snapshots are written often.
        text.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
    }
    text
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
