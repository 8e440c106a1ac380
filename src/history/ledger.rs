//! The ledger of faults: what was armed, what could have mattered, what fired.

use std::collections::BTreeMap;

use super::Death;
use super::fault_kind::FaultKind;

/// One fault that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultEvent {
    /// When, nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The simulator's event: finer than time, the order of all there is.
    pub event: u64,
    /// The kind of fault.
    pub kind: FaultKind,
    /// The node it hit.
    pub node: u32,
    /// Whether it could have mattered (guarantee.md, section 3, "Eligible").
    pub eligible: bool,
    /// Whether it changed something (guarantee.md, section 3, "Observed").
    pub observed: bool,
    /// Bytes of the commit log that were pending on that disk.
    pub dirty_log_bytes: u64,
    /// Bytes of all other files that were pending there.
    pub dirty_other_bytes: u64,
    /// Sends begun and not ended at that moment.
    pub sends_in_flight: u64,
    /// One past the last log address that the node held durably after it.
    pub held_after: u64,
    /// Brokers whose amnesia was outstanding after it (guarantee.md, section 1).
    pub hit: u32,
    /// Brokers that after it still held all that was committed.
    pub held_by: u32,
    /// The process that died, if one did, and how transactions stood.
    pub death: Option<Death>,
    /// The effect, in words, for timelines.
    pub note: String,
}

/// All faults of a run, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The planned faults, by kind.
    pub armed: BTreeMap<FaultKind, u64>,
    /// The faults that had to wait, for room in the fault budget or for something to
    /// take, by kind; whether it fired later or never.
    pub postponed: BTreeMap<FaultKind, u64>,
    /// The faults that fired.
    pub fired: Vec<FaultEvent>,
    /// The effects of the network's settings, by kind.
    pub settings: BTreeMap<FaultKind, SettingCount>,
    /// How brokers' clocks went, where they were wrong, in the order of time.
    pub clocks: Vec<ClockChange>,
    /// When a broker first opened its store again by itself: because an entry was
    /// bad, or a base came. Nanoseconds since the start of the run.
    pub reopened_ns: Option<u64>,
    /// When an operator gave up what a node's disk had lost: node, nanoseconds
    /// since the start of the run.
    pub salvaged: Vec<(u32, u64)>,
}

/// How a broker's clocks go from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockChange {
    /// From when, nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The node of the clock.
    pub node: u32,
    /// The time on its monotonic clock then, nanoseconds.
    pub own_ns: u64,
    /// How much faster both go than time, parts per million.
    pub rate_ppm: i64,
    /// The lead of its wall clock over the monotonic one, nanoseconds.
    pub ahead_ns: i64,
}

/// How often a setting of the network hit a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettingCount {
    /// In all.
    pub fired: u64,
    /// Where it could have mattered.
    pub eligible: u64,
    /// Where somebody got something else, or at another time.
    pub observed: u64,
}

impl Ledger {
    /// Whether anything that fired could have mattered.
    pub fn any_eligible(&self) -> bool {
        let mut settings = self.settings.values();
        self.fired.iter().any(|fault| fault.eligible) || settings.any(|it| it.eligible > 0)
    }
}
