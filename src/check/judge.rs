//! The verdict of one run (guarantee.md, section 3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{FaultKind, History, Ledger};

use super::case::Case;
use super::offset_uniqueness::{self, Reused};
use super::read_committed::{self, CommitFact};
use super::{At, Blame, Configuration, Counts, Facts, Finding, Liveness, Lost, Promise, Waived};
use super::{CHECKS, Flush, halted, silent};
use super::{durability, group_offsets, known_stored, liveness, transactions};

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
    /// No eligible fault fired, or something that the scenario needs did not happen.
    Void,
    /// A promise broken inside the guarantee.
    Fail,
    /// Only progress is missed: liveness, a bounded step, or the event budget.
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
    /// The configuration that decides what the brokers promise.
    pub configuration: Configuration,
    /// Whether the scenario means to have no faults.
    pub faultless: bool,
    /// Whether something did not happen that the scenario is there for.
    pub lacks: bool,
    /// The view of the clients.
    pub history: &'a History,
    /// The faults that the cluster met.
    pub ledger: &'a Ledger,
    /// Why something is gone. Asked once for each; the fault it names must be in
    /// the ledger.
    pub blame: &'a dyn Fn(&Lost) -> Blame,
    /// The entries that a white-box tracker saw served; empty where it was off.
    pub commit_facts: &'a [CommitFact],
    /// The findings of white-box oracles; empty where they were off.
    pub oracle: Vec<Finding>,
    /// Their findings about promises that had lapsed by then.
    pub waived: Vec<Finding>,
    /// Whether a fault took log, term or vote of a replica that nobody had promised to
    /// keep. A replica that forgot need not come back.
    pub has_lapsed: bool,
    /// How the second phase went.
    pub liveness: Liveness,
    /// How the run ended.
    pub ending: Ending,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It ran to its end.
    Completed,
    /// The cluster refused to serve, a majority's disks being gone (three
    /// brokers at least).
    Halted,
    /// It used up its budget of events, and was cut off.
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
    /// How much was done.
    pub counts: Counts,
    /// All that was lost, and why; allowed or not.
    pub lost: Vec<(Lost, Blame)>,
    /// The losses, and what else is broken and not promised by the configuration,
    /// in words.
    pub allowed: Vec<Finding>,
    /// Other breaches, each with the fault that excuses it.
    pub waived: Vec<(FaultKind, Finding)>,
    /// Every broken promise, the most telling first. Empty for a pass.
    pub findings: Vec<Finding>,
}

/// Judges one run. Everything that was lost is either where the configuration
/// promises nothing, and then waives what follows from it, or it is a finding.
pub fn judge(evidence: Evidence<'_>) -> Judgement {
    let facts = Facts::new(evidence.history);
    let facts = facts.with_retention(evidence.configuration.retention_ms);
    let facts = facts.with_clocks(evidence.ledger);
    let (mut findings, lost) = all_lost(&facts, &evidence);
    let (excused, broken): (Vec<_>, Vec<_>) = lost
        .iter()
        .partition(|(lost, blame)| is_excused(&facts, &evidence, lost, *blame));
    let waived = Waived::of(excused.iter().map(|(lost, _)| lost));
    let in_words = |losses: &[&(Lost, Blame)]| -> Vec<Finding> {
        let losses = losses.iter();
        losses
            .map(|(lost, blame)| explain(&facts, lost, *blame, &evidence))
            .collect()
    };
    let mut allowed = in_words(&excused);
    findings.extend(in_words(&broken));
    let case = Case {
        facts: &facts,
        evidence: &evidence,
        excused: &excused,
        waived: &waived,
        is_kept: evidence.configuration.flush == Flush::Sync && excused.is_empty(),
    };
    findings.extend(CHECKS.iter().flat_map(|check| check(&case)));
    let unfinished = unfinished(&facts, &evidence);
    let (lapsed, due) = unfinished
        .into_iter()
        .partition::<Vec<_>, _>(|finding| evidence.has_lapsed && is_of_time(finding));
    findings.extend(due);
    let lapsed: Vec<_> = lapsed.into_iter().chain(lapsed_halt(&evidence)).collect();
    let served = read_committed::check(evidence.commit_facts);
    findings.extend(served.iter().map(|served| served.finding()));
    findings.extend(evidence.oracle.iter().cloned());
    let lapsed_too = !lapsed.is_empty();
    let (waived, unexplained) = attributed(&evidence, &lapsed);
    findings.extend(unexplained);
    findings.sort_by_key(|finding| (finding.promise, finding.at_ns, finding.event));
    if !evidence.configuration.decides_once {
        let (waived, kept) = findings.into_iter().partition(is_of_transactions);
        allowed.extend::<Vec<_>>(waived);
        findings = kept;
    }
    Judgement {
        verdict: verdict(
            &evidence,
            &findings,
            !lost.is_empty() || !allowed.is_empty() || lapsed_too,
        ),
        counts: Counts::of(&facts).with_lost(&facts, &lost),
        allowed,
        waived,
        lost,
        findings,
    }
}

/// Findings that rest on a transaction's having one outcome.
fn is_of_transactions(finding: &Finding) -> bool {
    matches!(finding.promise, Promise::Transactions | Promise::Business)
}

/// A cluster that halts because it forgot what nobody promised: for good.
fn lapsed_halt(evidence: &Evidence<'_>) -> Option<Finding> {
    let last = evidence.history.entries.last()?;
    (evidence.has_lapsed && evidence.ending == Ending::Halted).then(|| Finding {
        promise: Promise::Liveness,
        lines: vec!["it refuses to serve: no majority is left that remembers".to_owned()],
        at_ns: last.at_ns,
        event: 0,
        moments_ns: Vec::new(),
    })
}

/// Findings of things that came too late, or never. A storm of events is none of that.
fn is_of_time(finding: &Finding) -> bool {
    finding.promise == Promise::Liveness
}

/// Breaches that white-box oracles excused, and those of promises that no longer
/// hold, by the first fault under which nothing is promised. A breach without such a
/// fault before it is not excused.
fn attributed(
    evidence: &Evidence<'_>,
    lapsed: &[Finding],
) -> (Vec<(FaultKind, Finding)>, Vec<Finding>) {
    let (mut waived, mut unexplained) = (Vec::new(), Vec::new());
    let broken = evidence.waived.iter().map(|it| (it, it.event));
    // A thing that never comes is missed at the end, behind every fault.
    for (finding, event) in broken.chain(lapsed.iter().map(|it| (it, u64::MAX))) {
        let before = evidence.ledger.fired.iter().enumerate();
        let mut before = before.take_while(|(_, fault)| fault.event <= event);
        match before.find(|(index, _)| may_be_lost(evidence, *index)) {
            Some((_, fault)) => waived.push((fault.kind, finding.clone())),
            None => unexplained.push(finding.clone()),
        }
    }
    (waived, unexplained)
}

fn all_lost(facts: &Facts<'_>, evidence: &Evidence<'_>) -> (Vec<Finding>, Vec<(Lost, Blame)>) {
    let mut findings = Vec::new();
    let mut lost = durability::check(facts);
    lost.extend(known_stored::check(facts));
    lost.extend(transactions::lost(facts));
    for violation in group_offsets::check(facts) {
        match violation {
            group_offsets::Violation::Lost(offset) => lost.push(offset),
            other => findings.push(other.finding()),
        }
    }
    let blamed = lost.into_iter().map(|lost| {
        let blame = (evidence.blame)(&lost);
        (lost, blame)
    });
    (findings, blamed.collect())
}

fn is_excused(facts: &Facts<'_>, evidence: &Evidence<'_>, lost: &Lost, blame: Blame) -> bool {
    match blame {
        Blame::StillHeld => false,
        Blame::Fault(index) => {
            may_be_lost(evidence, index) && !was_silent(facts, evidence, lost, index)
        }
    }
}

fn may_be_lost(evidence: &Evidence<'_>, fault: usize) -> bool {
    evidence
        .configuration
        .may_lose(&evidence.ledger.fired[fault])
}

/// An acknowledgement that is sent before its entry is durable proves nothing about
/// the entries below it.
fn was_silent(facts: &Facts<'_>, evidence: &Evidence<'_>, lost: &Lost, fault: usize) -> bool {
    evidence.configuration.flush == Flush::Sync
        && silent::is_silent(facts, evidence.ledger, lost, fault)
}

/// A loss, with what is known of its cause.
fn explain(facts: &Facts<'_>, lost: &Lost, blame: Blame, evidence: &Evidence<'_>) -> Finding {
    let mut finding = lost.finding();
    match blame {
        Blame::StillHeld => finding
            .lines
            .push("no fault took it: enough replicas still held it".to_owned()),
        Blame::Fault(index) => {
            let fault = &evidence.ledger.fired[index];
            let promised = if !may_be_lost(evidence, index) {
                "nothing may be lost"
            } else if was_silent(facts, evidence, lost, index) {
                "the broker must stop until its operator salvages what is left, and it served on"
            } else {
                "nothing is promised"
            };
            finding.lines.push(format!(
                "taken by {} of broker {} at {}, under which {promised}",
                fault.kind,
                fault.node,
                At(fault.at_ns)
            ));
            finding.moments_ns.push(fault.at_ns);
        }
    }
    finding
}

/// Under asynchronous flush a fault may take a place that nothing was lost at: the
/// message that was read there, without an acknowledgement, was sent once more.
fn was_taken_between(evidence: &Evidence<'_>, from_ns: u64, upto_ns: u64) -> bool {
    let mut fired = evidence.ledger.fired.iter();
    evidence.configuration.flush == Flush::Async
        && fired.any(|fault| {
            (from_ns..upto_ns).contains(&fault.at_ns) && evidence.configuration.may_lose(fault)
        })
}

/// Offsets that name two values, but for those that a fault explains.
pub(super) fn reused(case: &Case<'_>) -> Vec<Reused> {
    let mut reused = offset_uniqueness::check(case.facts, case.waived);
    reused.retain(|it| !was_taken_between(case.evidence, it.first_ns, it.second_ns));
    reused
}

/// The work that did not come to its end.
fn unfinished(facts: &Facts<'_>, evidence: &Evidence<'_>) -> Vec<Finding> {
    match evidence.ending {
        Ending::Completed => liveness::check(facts, &evidence.liveness),
        Ending::Halted => halted::check(facts, &evidence.liveness),
        Ending::Storm {
            at_ns,
            event,
            events_per_s,
        } => vec![Finding {
            promise: Promise::EventBudget,
            lines: vec![format!(
                "{events_per_s} events in one simulated second: a storm, cut off at {}",
                At(at_ns)
            )],
            at_ns,
            event,
            moments_ns: Vec::new(),
        }],
    }
}

fn verdict(evidence: &Evidence<'_>, findings: &[Finding], any_lost: bool) -> Verdict {
    let is_idle = !evidence.faultless && !evidence.ledger.any_eligible();
    let is_void = is_idle || evidence.lacks;
    if findings
        .iter()
        .any(|finding| !finding.promise.is_progress())
    {
        Verdict::Fail
    } else if !findings.is_empty() {
        Verdict::Stuck
    } else if evidence.ending == Ending::Halted && !evidence.has_lapsed {
        Verdict::Halted
    } else if any_lost {
        Verdict::ExpectedLoss
    } else if is_void {
        Verdict::Void
    } else {
        Verdict::Pass
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
