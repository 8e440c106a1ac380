//! Crashes at boundaries between disk operations: asked for before the run, and
//! carried out when the world says that one fell.

use super::actions::Left;
use super::phases::{Run, RunStep};
use crate::history::FaultKind;
use crate::scenario::{BoundaryCrash, CrashPoint, Fate};
use crate::sim::boundary::Boundaries;

/// How long who crashed stays down, nanoseconds.
const DOWN_NS: u64 = 10_000_000;

impl Run<'_> {
    /// Lets the world count boundaries until the safety phase ends, deal the
    /// point's crashes, and `record` what comes after them.
    pub(super) fn watch_boundaries(&mut self, point: &CrashPoint, record: bool) {
        for (_, fate) in point.crashes.iter().flat_map(|crash| &crash.victims) {
            let kind = match fate {
                Fate::Kill => FaultKind::Kill,
                Fate::Power(_) => FaultKind::PowerLoss,
            };
            *self.ledger.armed.entry(kind).or_default() += 1;
        }
        let step = self.number(RunStep::BoundaryCrash);
        let upto_ns = self.setting.stop_at_ns;
        let boundaries = Boundaries::new(self.seed, upto_ns, &point.crashes, step, record);
        self.world.lock().boundaries = Some(boundaries);
    }

    /// Does to the run what the world has done to the victims of a crash at a boundary.
    pub(super) fn hear_of_crash(&mut self) {
        let Some(BoundaryCrash { victims, .. }) = self.world.lock().take_fallen() else {
            return;
        };
        self.crashes += 1;
        self.note_fired();
        for (node, fate) in victims {
            match fate {
                Fate::Kill => self.kill(node as usize, DOWN_NS),
                Fate::Power(kept) => self.power_loss(node as usize, Left::Told(kept), DOWN_NS),
            }
        }
    }
}
