//! What happened, in words and in one hash: the world's events and the
//! clients'.

use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3;

use crate::history::History;
use crate::report::TimelineLine;
use crate::sim::world::TraceLine;

/// The world's hash, and every entry of the history with its time.
pub(super) fn with_history(world_hash: u64, history: &History) -> u64 {
    let mut hasher = Xxh3::with_seed(world_hash);
    for entry in &history.entries {
        entry.hash(&mut hasher);
    }
    hasher.finish()
}

/// Both, in the order of time.
pub(super) fn merge(world: Vec<TraceLine>, history: &History) -> Vec<TimelineLine> {
    let world = world.into_iter().map(|line| TimelineLine {
        at_ns: line.at_ns,
        text: format!("n{:<3} {}", line.node, line.text),
    });
    let clients = history.entries.iter().map(|entry| TimelineLine {
        at_ns: entry.at_ns,
        text: format!("c{:<3} {:?}", entry.client, entry.event),
    });
    let mut all: Vec<TimelineLine> = world.chain(clients).collect();
    all.sort_by_key(|line| line.at_ns);
    all
}
