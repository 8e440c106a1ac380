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

use super::setting::Setting;
use super::{Between, Scenario};

/// `[swarm]`. A field that is `None` or empty stays as the file says elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Swarm {
    /// One of these numbers of brokers.
    pub brokers: Vec<u32>,
    /// The settings that are drawn.
    pub(super) settings: Vec<Range>,
    /// How many times as long brokers' work takes; in some runs it takes no time.
    pub cpu_slowdown: Option<Between>,
    /// Of each workload that has such a thing.
    pub in_flight: Option<Between>,
    /// Of each workload that consumes.
    pub batch_max: Option<Between>,
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
    /// The chance of a kind of fault to stay in the run of one seed, in percent of
    /// `keep_fault`.
    pub keep_fault_percent: Between,
    /// The chance of each habit that other clients have, for each workload.
    pub habits: f64,
    /// The chance of every kind of fault that stays to have a crash follow each of its
    /// faults soon: a kill or a power loss, of the same broker or of all.
    pub crash_after: f64,
    /// How often the faults of a kind that stays come, in percent of what their
    /// rules say.
    pub rate_percent: Between,
}

/// A setting, and the values that a seed draws from.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) row: &'static Setting,
    pub(super) values: Between,
}

impl PartialEq for Range {
    fn eq(&self, other: &Self) -> bool {
        (self.row.key, self.values) == (other.row.key, other.values)
    }
}

impl Swarm {
    /// The values of a setting that stands here.
    pub(super) fn range(&self, name: &str) -> Option<Between> {
        let mut ranges = self.settings.iter();
        let found = ranges.find(|range| range.row.key.name == name);
        found.map(|range| range.values)
    }
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
        match &self.swarm {
            None => Vec::new(),
            Some(swarm) => words::words(self, swarm, seed),
        }
    }
}

#[cfg(test)]
mod tests;
