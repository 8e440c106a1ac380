//! The verdict of a chaos run, by the checkers that judge simulations.

use std::fmt;

use zeroloss::check::{
    Blame, Configuration, Ending, Evidence, Flush, Judgement, Liveness, Lost, Verdict, judge,
};
use zeroloss::history::History;
use zeroloss::workload::Finished;

use super::Settings;
use super::action::Action;
use super::cluster::{Cluster, Count};

/// How long a healed cluster may take until everything is caught up, nanoseconds.
const BOUND_NS: u64 = 300_000_000_000;

/// One run's result. Its `Display` is the report.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    lasts_s: u64,
    counts: Vec<(Action, Count)>,
    /// Actions that could not be tried on this machine.
    left_out: Vec<&'static str>,
    judgement: Judgement,
    complaints: Vec<String>,
    is_read: bool,
}

impl Report {
    /// Whether nothing was lost, no promise broken, and no broker ended unasked.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.judgement.verdict == Verdict::Pass && self.complaints.is_empty() && self.is_read
    }

    /// How often each action came, by name.
    pub fn fired(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter();
        counts.map(|(action, count)| (action.name(), count.fired))
    }

    /// Actions that could not be tried on this machine.
    #[must_use]
    pub fn left_out(&self) -> &[&'static str] {
        &self.left_out
    }

    /// Messages acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.judgement.counts.acknowledged
    }
}

pub(super) fn judge_run(
    settings: &Settings,
    cluster: &mut Cluster,
    history: &History,
    finished: Option<Finished>,
    healed_ns: u64,
) -> Report {
    let is_read = finished.is_some_and(|finished| finished.read);
    let caught_up_ns = finished.and_then(|finished| finished.caught_up_ns);
    let judgement = judge(Evidence {
        configuration: Configuration {
            stores_once: true,
            ..Configuration::raft(cluster.len() as u32, Flush::Sync)
        },
        faultless: false,
        lacks: false,
        history,
        ledger: &cluster.ledger,
        // Everything that happened to them is inside the guarantee: nothing excuses a
        // loss.
        blame: &|_: &Lost| Blame::StillHeld,
        commit_facts: &[],
        oracle: Vec::new(),
        waived: Vec::new(),
        has_lapsed: false,
        liveness: Liveness {
            operations_ns: Vec::new(),
            core: true,
            healed_ns,
            bound_ns: BOUND_NS,
            probed_ns: caught_up_ns,
            caught_up_ns,
            level_ns: caught_up_ns,
            held_in_the_end: Vec::new(),
            leaderships_ns: Vec::new(),
        },
        ending: Ending::Completed,
    });
    let full = Action::DiskFull.name();
    Report {
        seed: settings.seed,
        lasts_s: settings.lasts.as_secs(),
        counts: cluster
            .counts
            .iter()
            .map(|(of, count)| (*of, *count))
            .collect(),
        left_out: (!cluster.has_small_disks())
            .then_some(full)
            .into_iter()
            .collect(),
        judgement,
        complaints: std::mem::take(&mut cluster.complaints),
        is_read,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} s of actions", self.seed, self.lasts_s)?;
        writeln!(
            f,
            "{:<12} {:>6} {:>16} {:>10} {:>10}",
            "action", "fired", "sends in flight", "on leader", "postponed"
        )?;
        for (action, count) in &self.counts {
            let Count {
                fired,
                in_flight,
                on_leader,
                postponed,
            } = count;
            let name = action.name();
            writeln!(
                f,
                "{name:<12} {fired:>6} {in_flight:>16} {on_leader:>10} {postponed:>10}"
            )?;
        }
        for name in &self.left_out {
            writeln!(
                f,
                "LEFT OUT: {name}; it needs a small file system, mounted as root"
            )?;
        }
        let counts = &self.judgement.counts;
        writeln!(
            f,
            "sends: {} acknowledged, {} rejected, {} unknown; {} processed; {} lost; verdict {}",
            counts.acknowledged,
            counts.rejected,
            counts.unknown,
            counts.processed,
            self.judgement.lost.len(),
            self.judgement.verdict
        )?;
        if !self.is_read {
            writeln!(
                f,
                "BROKEN: not everything could be read after the brokers had healed"
            )?;
        }
        for complaint in &self.complaints {
            writeln!(f, "BROKEN: {complaint}")?;
        }
        for finding in &self.judgement.findings {
            writeln!(f, "BROKEN {}:", finding.promise)?;
            for line in &finding.lines {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}
