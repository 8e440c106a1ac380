//! `[swarm]`: what each seed makes of a scenario (Groce et al., "Swarm Testing",
//! ISSTA 2012).
//!
//! The file says all there can be. A seed leaves whole kinds of faults and whole
//! features out, and then draws sizes and rates: things that never come together where
//! everything is always there come together in some run.
//!
//! ```text
//!   file ─▶ Scenario with [swarm] ─ seed ─▶ Scenario without: what runs
//! ```

mod crash_after;
mod draw;
mod habits;
mod words;

use super::{Between, Scenario};

/// `[swarm]`. A field that is `None` or empty stays as the file says elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Swarm {
    /// One of these numbers of brokers.
    pub brokers: Vec<u32>,
    /// Bytes of a segment.
    pub segment_bytes: Option<Between>,
    /// Pause between checkpoints.
    pub checkpoint_interval_ms: Option<Between>,
    /// How many times as long brokers' work takes; in some runs it takes no time.
    pub cpu_slowdown: Option<Between>,
    /// Of each workload that has such a thing.
    pub in_flight: Option<Between>,
    /// Of each workload that consumes.
    pub batch_max: Option<Between>,
    /// Descriptors that a store keeps.
    pub open_files_max: Option<Between>,
    /// Frames that a replica keeps in memory for its followers.
    pub recent_bytes: Option<Between>,
    /// Of one message between brokers.
    pub peer_message_bytes: Option<Between>,
    /// Streams that a broker bears.
    pub connections_max: Option<Between>,
    /// Bytes of frames that have begun that it bears.
    pub partial_bytes_max: Option<Between>,
    /// In a calm run no fault comes before, milliseconds: the brokers start together,
    /// found their cluster, and clients have begun.
    pub calm_ms: u64,
    /// The chance of a run to begin calmly. In the others the cluster is founded
    /// under faults, and in some of them only once everything has healed.
    pub calm: f64,
    /// The chance of every feature to stay: a topic with all that send to it and
    /// consume it, a trouble of the network, deduplication, a preferred leader,
    /// retention, the operator.
    pub keep_feature: f64,
    /// The chance of every kind of fault to stay.
    pub keep_fault: f64,
    /// The chance of each habit that other clients have, for each workload.
    pub habits: f64,
    /// The chance of every kind of fault that stays to have a crash follow each of its
    /// faults soon: a kill or a power loss, of the same broker or of all.
    pub crash_after: f64,
    /// How often the faults of a kind that stays come, in percent of what their
    /// rules say.
    pub rate_percent: Between,
}

impl Scenario {
    /// The scenario that runs with `seed`: this scenario, or of a swarm, what the seed
    /// draws.
    pub fn drawn(&self, seed: u64) -> Self {
        match &self.swarm {
            None => self.clone(),
            Some(swarm) => draw::draw(self, swarm, seed),
        }
    }

    /// The choices of a seed, in words, a line each; nothing where nothing is drawn.
    pub fn words_of_draw(&self, seed: u64) -> Vec<String> {
        match self.swarm {
            None => Vec::new(),
            Some(_) => words::words(self, &self.drawn(seed)),
        }
    }
}

#[cfg(test)]
mod tests;
