//! One run's report.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::check::{Blame, Finding, Lost, Verdict};
use crate::history::FaultKind;

/// What the run of one scenario with one seed came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// The scenario's id.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// How it is judged.
    pub verdict: Verdict,
    /// Over every disk, network, fault and client event with its time.
    pub trace_hash: u64,
    /// Events that went into the hash.
    pub events: u64,
    /// Simulated time at the end, nanoseconds.
    pub simulated_ns: u64,
    /// Sends acknowledged.
    pub acknowledged: u64,
    /// Sends rejected.
    pub rejected: u64,
    /// Sends of unknown outcome.
    pub unknown: u64,
    /// Messages processed by consumers, repeats included.
    pub processed: u64,
    /// Of these, the repeats.
    pub duplicates: u64,
    /// All that was lost, and why.
    pub lost: Vec<(Lost, Blame)>,
    /// The faults, by kind.
    pub faults: BTreeMap<FaultKind, FaultCount>,
    /// Broken promises, the most telling first.
    pub findings: Vec<Finding>,
    /// Everything that happened, where the run was asked to keep it.
    pub timeline: Vec<TimelineLine>,
}

/// How often one kind of fault was planned, and came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FaultCount {
    /// Planned.
    pub armed: u64,
    /// Fired.
    pub fired: u64,
    /// Fired when it could matter.
    pub eligible: u64,
    /// Fired while the commit log had bytes that were not yet durable.
    pub dirty: u64,
}

/// One line of a run's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineLine {
    /// Nanoseconds since the start of the run.
    pub at_ns: u64,
    /// What happened, in aligned columns.
    pub text: String,
}
