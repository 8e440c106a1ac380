//! The actions of a consumer, and their times.

use std::ops::RangeInclusive;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Failing;
use crate::history::ClientId;

/// The actions of one consumer.
#[derive(Debug, Clone)]
pub struct ConsumePlan {
    /// Its name in the history.
    pub client: ClientId,
    /// It begins at this time, on the environment's clock.
    pub begins_at_ns: RangeInclusive<u64>,
    /// The time that processing one message takes, nanoseconds.
    pub processing_ns: RangeInclusive<u64>,
    /// The messages that it wants, as their tags say; `None`: all.
    pub wanted: Option<Wanted>,
    /// The messages that it cannot process at first.
    pub failing: Option<Failing>,
    /// Others have its client id, too: it keeps it where it comes back.
    pub equal_ids: bool,
    /// How long it stays in its group; `None`: it never leaves.
    pub stays: Option<Stays>,
    /// Decides how long each takes.
    pub seed: u64,
}

/// The messages that are wanted, as
/// [`Event::Subscribed`](crate::history::Event::Subscribed) says.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Messages carry so many tags, in turn.
    pub of: u64,
    /// The tags wanted, by their numbers.
    pub tags: Vec<u64>,
}

/// When a consumer leaves its group, and how soon it is back.
#[derive(Debug, Clone)]
pub struct Stays {
    /// It stays so long, nanoseconds.
    pub stay_ns: RangeInclusive<u64>,
    /// It is away so long, nanoseconds.
    pub away_ns: RangeInclusive<u64>,
    /// It does not leave after this, on the environment's clock.
    pub stop_at_ns: u64,
}

/// The tag of that number.
pub(in crate::workload) fn tag(number: u64) -> String {
    format!("tag-{number}")
}

/// A value of the range, as the dice of that number fall.
pub(super) fn drawn(range: &RangeInclusive<u64>, number: u64, seed: u64) -> u64 {
    let spread = range.end() - range.start() + 1;
    range.start() + xxh3_64_with_seed(&number.to_be_bytes(), seed) % spread
}

/// The queues that each of several consumers of a group takes: in turn.
pub fn share_of_queues(queues: u32, consumers: u32, consumer: u32) -> Vec<u32> {
    (0..queues)
        .filter(|queue| queue % consumers == consumer)
        .collect()
}
