//! The verdict of one run (guarantee.md, section 3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{History, Ledger};

use super::{Blame, Configuration, Finding, Lost};

/// How a run is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every promise of the configuration held.
    Pass,
    /// Loss, all of it where the configuration promises nothing.
    ExpectedLoss,
    /// A majority's disks are gone and the cluster refuses to serve.
    Halted,
    /// No eligible fault fired.
    Void,
    /// A promise broken inside the guarantee.
    Fail,
    /// Liveness missed with an eligible core.
    Stuck,
    /// Panic in product code.
    Crashed,
    /// The trace hash differs from that of the same seed.
    Nondeterministic,
}

impl Verdict {
    /// All verdicts, mildest first: the order in which reports list them.
    pub const ALL: [Self; 8] = [
        Self::Pass,
        Self::ExpectedLoss,
        Self::Halted,
        Self::Void,
        Self::Fail,
        Self::Stuck,
        Self::Crashed,
        Self::Nondeterministic,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::ExpectedLoss => "expected-loss",
            Self::Halted => "halted",
            Self::Void => "void",
            Self::Fail => "fail",
            Self::Stuck => "stuck",
            Self::Crashed => "crashed",
            Self::Nondeterministic => "nondeterministic",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// All that is known of a run when it is over.
pub struct Evidence<'a> {
    /// What the brokers promise.
    pub configuration: Configuration,
    /// Whether the scenario means to have no faults.
    pub faultless: bool,
    /// What clients saw.
    pub history: &'a History,
    /// What befell the cluster.
    pub ledger: &'a Ledger,
    /// Why something is gone. Asked once for each.
    pub blame: &'a dyn Fn(&Lost) -> Blame,
    /// What white-box oracles found; empty where they were off.
    pub oracle: Vec<Finding>,
    /// How the second phase went.
    pub liveness: Liveness,
    /// How the run ended.
    pub ending: Ending,
}

/// The second phase: after healing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liveness {
    /// Whether there was a core to serve: brokers that are whole and connected.
    pub core: bool,
    /// When everything was healed, nanoseconds since the start of the run.
    pub healed_ns: u64,
    /// `converge_within_ms` of the scenario, in nanoseconds.
    pub bound_ns: u64,
    /// When the last probe was acknowledged, if all of them were.
    pub probed_ns: Option<u64>,
    /// When every lag was zero, if it ever was.
    pub caught_up_ns: Option<u64>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It ran to its end.
    Completed,
    /// The cluster refused to serve, a majority's disks being gone.
    Halted,
    /// It used up its budget of events.
    Storm {
        /// When, nanoseconds since the start of the run.
        at_ns: u64,
        /// The event at which the budget was used up.
        event: u64,
        /// Events in that simulated second.
        events_per_s: u64,
    },
}

/// A run, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How.
    pub verdict: Verdict,
    /// All that was lost, and why.
    pub lost: Vec<(Lost, Blame)>,
    /// Every broken promise, the most telling first. Empty for a pass.
    pub findings: Vec<Finding>,
}
