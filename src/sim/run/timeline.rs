//! The events, in words and in one hash: the world's events and the clients'.

use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3;

use super::columns::Columns;
use crate::history::History;
use crate::report::TimelineLine;
use crate::sim::world::{NodeName, TraceLine};

/// The world's hash, and every entry of the history with its time.
pub(super) fn with_history(world_hash: u64, history: &History) -> u64 {
    let mut hasher = Gathered {
        hasher: Xxh3::with_seed(world_hash),
        waiting: Vec::with_capacity(GATHERED_BYTES + 64),
    };
    for entry in &history.entries {
        entry.hash(&mut hasher);
    }
    hasher.finish()
}

/// Bytes that are hashed at once.
const GATHERED_BYTES: usize = 4 << 10;

/// An entry is hashed in words of a few bytes; the hash wants more at a time.
struct Gathered {
    hasher: Xxh3,
    waiting: Vec<u8>,
}

impl Hasher for Gathered {
    fn write(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= GATHERED_BYTES {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
    }

    fn finish(&self) -> u64 {
        let mut whole = self.hasher.clone();
        whole.update(&self.waiting);
        whole.digest()
    }
}

/// Both, in the order of time. A client's machine is called after the client.
/// Where there are several brokers, each has a column.
pub(super) fn merge(world: Vec<TraceLine>, history: &History, brokers: u32) -> Vec<TimelineLine> {
    let mut columns = Columns::of(brokers);
    let line = |at_ns, name: String, columns: &str, text: String| TimelineLine {
        at_ns,
        text: format!("{name:<4} {columns}{text}"),
    };
    let world: Vec<TimelineLine> = world
        .into_iter()
        .map(|event| {
            let name = NodeName::of(event.node, brokers);
            let columns = columns.show(&event);
            line(event.at_ns, name.to_string(), &columns, event.text)
        })
        .collect();
    let beside = " ".repeat(columns.width());
    let clients = history.entries.iter().map(|entry| {
        let name = NodeName::Client(entry.client);
        line(
            entry.at_ns,
            name.to_string(),
            &beside,
            entry.event.to_string(),
        )
    });
    let mut all: Vec<TimelineLine> = world.into_iter().chain(clients).collect();
    all.sort_by_key(|line| line.at_ns);
    all
}
