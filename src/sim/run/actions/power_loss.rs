//! The machine loses power.

use crate::history::FaultKind;
use crate::scenario;
use crate::scenario::{Fate, Kept, Survivors, Victim};
use crate::sim::disk::{DiskModel, DiskSurvival, Pending};
use crate::sim::random::{Purpose, Stream};
use crate::sim::run::faults::COMMIT_LOG;
use crate::sim::run::phases::Run;
use crate::sim::run::process::Operator;
use crate::sim::tap::Taken;

/// Takes the power from a disk: what became of what was pending, in words.
pub(super) fn cut_power(disk: &mut DiskModel, survivors: &Survivors, draw: u32) -> String {
    let (report, how) = match survivors {
        Survivors::InThisWay(survival) => {
            let mut dice = Stream::new(u64::from(draw), Purpose::Survival);
            let report = disk.power_loss(survival_of(*survival), &mut dice);
            (report, format!("survival {survival:?}"))
        }
        Survivors::Kept(keep_pending) => {
            let report = disk.power_loss_keeping(keep_pending);
            (report, "survival as planned".to_owned())
        }
        Survivors::Any => panic!("a plan has drawn it"),
    };
    let (whole, all) = (report.survived(), report.pieces());
    format!("power lost, {how}: {whole} of {all} pending whole")
}

/// The source that decides what a power loss leaves.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim::run) enum Left<'a> {
    /// The plan, and the hit's draw.
    Planned(&'a Survivors, u32),
    /// A crash point.
    Told(Kept),
}

impl Run<'_> {
    pub(in crate::sim::run) fn power_loss(&mut self, machine: usize, left: Left<'_>, down_ns: u64) {
        let death = self.death_of(Victim::Broker(machine as u32));
        let dirty = self.dirty(machine as u32);
        let pending = self.world.lock().disks[machine].model.pending(COMMIT_LOG);
        let eligible = pending != Pending::default() || self.sends_in_flight() > 0;
        let worked = self.is_at_work(machine, dirty);
        self.end_process(machine, true);
        let (held_after, believed, note) = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            let believed = inner.tap.believed_end(disk, machine as u32);
            let note = match left {
                Left::Planned(survival, draw) => cut_power(&mut disk.model, survival, draw),
                Left::Told(kept) => {
                    let boundaries = inner.boundaries.as_ref().expect("they told");
                    let left = boundaries.takes(&mut disk.model, machine as u32, kept);
                    self.left.push(left);
                    format!("power lost, left: {}", Fate::Power(kept))
                }
            };
            disk.machine_died();
            inner
                .tap
                .lost_cache(&inner.core, disk, machine as u32, Taken::Cache);
            (inner.tap.durable_end(disk, machine as u32), believed, note)
        };
        self.enter(FaultKind::PowerLoss, machine as u32, eligible, dirty, note);
        self.is_observed(worked);
        self.is_death(death);
        self.leaves(held_after);
        self.believed.insert(self.ledger.fired.len() - 1, believed);
        self.start_later(machine, down_ns, Operator::None);
    }
}

fn survival_of(survival: scenario::Survival) -> DiskSurvival {
    match survival {
        scenario::Survival::None => DiskSurvival::None,
        scenario::Survival::All => DiskSurvival::All,
        scenario::Survival::Prefix => DiskSurvival::Prefix,
        scenario::Survival::SectorSubset => DiskSurvival::SectorSubset,
        scenario::Survival::Torn => DiskSurvival::Torn,
        scenario::Survival::Garbage => DiskSurvival::Garbage,
        scenario::Survival::SizeWithoutData => DiskSurvival::SizeWithoutData,
        scenario::Survival::DataWithoutSize => DiskSurvival::DataWithoutSize,
        scenario::Survival::EntrySubset => DiskSurvival::EntrySubset,
    }
}
