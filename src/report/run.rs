//! One run's report.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::check::{At, Blame, Counts, Finding, Judgement, Lost, Promise, Verdict};
use crate::history::{FaultKind, Happening, Ledger, TransactionStep, VictimRole};

/// The result of the run of one scenario with one seed.
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
    /// How much was done.
    pub counts: Counts,
    /// All that was lost, and why.
    pub lost: Vec<(Lost, Blame)>,
    /// The faults, by kind.
    pub faults: BTreeMap<FaultKind, FaultCount>,
    /// How many died at each step of a transaction.
    pub deaths: BTreeMap<(VictimRole, TransactionStep), u64>,
    /// Other happenings that are worth counting, and how often each occurred.
    pub happened: BTreeMap<Happening, u64>,
    /// Why nothing was due after healing, where nothing was, in words.
    pub nothing_due: Option<String>,
    /// The losses that the configuration allows, in words.
    pub allowed: Vec<Finding>,
    /// The losses, by the fault that took them.
    pub taken: BTreeMap<FaultKind, u64>,
    /// Other breaches that are excused, by the fault that excuses them.
    pub waived: BTreeMap<(FaultKind, Promise), u64>,
    /// Broken promises, the most telling first.
    pub findings: Vec<Finding>,
    /// Everything that happened, where the run was asked to keep it.
    pub timeline: Vec<TimelineLine>,
}

/// The additions of a run to its history, its ledger and its judgement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// See [`RunReport::trace_hash`].
    pub hash: u64,
    /// See [`RunReport::events`].
    pub events: u64,
    /// See [`RunReport::simulated_ns`].
    pub simulated_ns: u64,
    /// See [`RunReport::timeline`].
    pub timeline: Vec<TimelineLine>,
}

impl RunReport {
    /// The report of a run that was judged.
    pub fn new(
        scenario: &str,
        seed: u64,
        trace: Trace,
        ledger: &Ledger,
        judgement: Judgement,
    ) -> Self {
        let mut taken = BTreeMap::new();
        for (_, blame) in &judgement.lost {
            if let Blame::Fault(index) = blame {
                *taken.entry(ledger.fired[*index].kind).or_default() += 1;
            }
        }
        let mut waived = BTreeMap::new();
        for (kind, finding) in &judgement.waived {
            *waived.entry((*kind, finding.promise)).or_default() += 1;
        }
        Self {
            taken,
            waived,
            scenario: scenario.to_owned(),
            seed,
            verdict: judgement.verdict,
            trace_hash: trace.hash,
            events: trace.events,
            simulated_ns: trace.simulated_ns,
            counts: judgement.counts,
            lost: judgement.lost,
            faults: FaultCount::by_kind(ledger),
            deaths: deaths(ledger),
            happened: BTreeMap::new(),
            nothing_due: None,
            allowed: judgement.allowed,
            findings: judgement.findings,
            timeline: trace.timeline,
        }
    }

    /// This run's report where a second run with the same seed was another one,
    /// with the first event of the timelines that differs.
    pub fn nondeterministic(mut self, again: &Self) -> Self {
        let both = self.timeline.iter().zip(&again.timeline);
        let mut lines = vec![format!(
            "two runs with one seed: {} with hash {:016x}, {} with hash {:016x}",
            self.verdict, self.trace_hash, again.verdict, again.trace_hash
        )];
        let differing = both.clone().position(|(a, b)| a != b);
        let at_ns = differing.map_or(0, |index| self.timeline[index].at_ns);
        if let Some((a, b)) = differing.and_then(|index| both.clone().nth(index)) {
            lines.push(format!("first run:  {} {}", At(a.at_ns), a.text));
            lines.push(format!("second run: {} {}", At(b.at_ns), b.text));
        }
        self.verdict = Verdict::Nondeterministic;
        self.findings = vec![Finding {
            promise: Promise::Determinism,
            lines,
            at_ns,
            event: differing.unwrap_or(0) as u64,
            moments_ns: Vec::new(),
        }];
        self
    }

    /// This run's report where it was to crash at boundaries that were recorded
    /// before, and did not get there, or left other disks.
    #[must_use]
    pub fn astray(mut self) -> Self {
        let line = "the run did not come to the crash point that was recorded with its seed";
        self.verdict = Verdict::Nondeterministic;
        self.findings = vec![Finding {
            promise: Promise::Determinism,
            lines: vec![line.to_owned()],
            at_ns: self.simulated_ns,
            event: self.events,
            moments_ns: Vec::new(),
        }];
        self
    }

    /// The findings to show of it: broken promises, or else the losses that were allowed
    /// by the configuration, whatever the scenario expects.
    pub fn shown(&self) -> &[Finding] {
        match self.findings.is_empty() {
            true => &self.allowed,
            false => &self.findings,
        }
    }

    /// The report of a run that ended in a panic: nothing else is known of it.
    pub fn crashed(scenario: &str, seed: u64, message: &str) -> Self {
        let finding = Finding {
            promise: Promise::NoPanic,
            lines: message.lines().map(str::to_owned).collect(),
            at_ns: 0,
            event: 0,
            moments_ns: Vec::new(),
        };
        let judgement = Judgement {
            verdict: Verdict::Crashed,
            counts: Counts::default(),
            lost: Vec::new(),
            allowed: Vec::new(),
            waived: Vec::new(),
            findings: vec![finding],
        };
        let (trace, ledger) = (Trace::default(), Ledger::default());
        Self::new(scenario, seed, trace, &ledger, judgement)
    }
}

/// A death may be at several steps, of several transactions.
fn deaths(ledger: &Ledger) -> BTreeMap<(VictimRole, TransactionStep), u64> {
    let mut counts = BTreeMap::new();
    for death in ledger.fired.iter().filter_map(|fault| fault.death.as_ref()) {
        for transaction_step in &death.at {
            *counts.entry((death.who, *transaction_step)).or_default() += 1;
        }
    }
    counts
}

/// How often one kind of fault was planned, and came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FaultCount {
    /// Planned.
    pub armed: u64,
    /// Had to wait, for room in the fault budget or for something to take.
    pub postponed: u64,
    /// Planned, and never fired.
    pub dropped: u64,
    /// Fired.
    pub fired: u64,
    /// Fired when it could matter.
    pub eligible: u64,
    /// Fired when it could matter, and changed something.
    pub observed: u64,
    /// Fired while the commit log had bytes that were not yet durable.
    pub dirty: u64,
}

impl FaultCount {
    fn by_kind(ledger: &Ledger) -> BTreeMap<FaultKind, Self> {
        let mut counts = BTreeMap::<_, Self>::new();
        for (kind, armed) in &ledger.armed {
            counts.entry(*kind).or_default().armed = *armed;
        }
        for (kind, postponed) in &ledger.postponed {
            counts.entry(*kind).or_default().postponed = *postponed;
        }
        for fault in &ledger.fired {
            let count = counts.entry(fault.kind).or_default();
            count.fired += 1;
            count.eligible += u64::from(fault.eligible);
            count.observed += u64::from(fault.eligible && fault.observed);
            count.dirty += u64::from(fault.dirty_log_bytes > 0);
        }
        for (kind, setting) in &ledger.settings {
            let count = counts.entry(*kind).or_default();
            count.fired += setting.fired;
            count.eligible += setting.eligible;
            count.observed += setting.observed;
        }
        for count in counts.values_mut() {
            count.dropped = count.armed.saturating_sub(count.fired);
        }
        counts
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: Self) {
        self.armed += other.armed;
        self.postponed += other.postponed;
        self.dropped += other.dropped;
        self.fired += other.fired;
        self.eligible += other.eligible;
        self.observed += other.observed;
        self.dirty += other.dirty;
    }
}

/// One line of a run's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineLine {
    /// Nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The events, in aligned columns.
    pub text: String,
}
