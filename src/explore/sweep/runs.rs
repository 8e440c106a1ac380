//! Runs of points, on threads, in order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::explore::panics::caught;
use crate::explore::thread::Threads;
use crate::explore::{Hung, Settings};
use crate::report::{RunReport, sweep_point};
use crate::scenario::{CrashPoint, Scenario};
use crate::sim::{Boundary, SweepOptions, run_swept};

use super::Planned;

/// The settings that all runs of a sweep have in common.
pub(super) struct Runs<'a> {
    pub(super) scenario: &'a Arc<Scenario>,
    pub(super) seed: u64,
    pub(super) settings: &'a Settings,
}

/// A run of a point: judged by all checks, and as a black box.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    judged: RunReport,
    black_box: RunReport,
    /// How many crashes there were, and what they left; `None`: it ended in a panic.
    came: Option<(usize, Vec<u64>)>,
    pub(super) boundaries: Vec<Boundary>,
}

impl Judged {
    /// Both reports.
    pub(super) fn reports(&self) -> (&RunReport, &RunReport) {
        (&self.judged, &self.black_box)
    }

    /// The report that decides.
    pub(super) fn deciding(self, oracle: bool) -> RunReport {
        match oracle {
            true => self.judged,
            false => self.black_box,
        }
    }

    /// Both reports, and what was recorded; where the run was not the one that
    /// was planned, it is not deterministic.
    pub(super) fn against(self, planned: &Planned) -> ((RunReport, RunReport), Vec<Boundary>) {
        let expected = (planned.point.crashes.len(), &planned.left);
        let astray = match &self.came {
            Some((crashes, left)) => (*crashes, left) != expected,
            None => false,
        };
        let reports = match astray {
            true => (self.judged.astray(), self.black_box.astray()),
            false => (self.judged, self.black_box),
        };
        (reports, self.boundaries)
    }
}

impl Runs<'_> {
    /// One run with its boundaries behind the point.
    pub(super) fn recorded(&self, point: &CrashPoint) -> Result<Judged, Hung> {
        let options = SweepOptions {
            record: true,
            timeline: false,
        };
        self.alone(point, options)
    }

    /// One run of a point. One that does not get there is not deterministic.
    pub(super) fn once(&self, point: &CrashPoint, timeline: bool) -> Result<Judged, Hung> {
        let options = SweepOptions {
            record: false,
            timeline,
        };
        let mut judged = self.alone(point, options)?;
        if matches!(&judged.came, Some((crashes, _)) if *crashes < point.crashes.len()) {
            judged.judged = judged.judged.astray();
            judged.black_box = judged.black_box.astray();
        }
        Ok(judged)
    }

    fn alone(&self, point: &CrashPoint, options: SweepOptions) -> Result<Judged, Hung> {
        let mut threads = Threads::new(self.settings.hang_after);
        self.start(&mut threads, 0, point, options);
        threads.next().map(|(_, judged)| judged)
    }

    /// Every point, handed out in order with its place, until that breaks off.
    pub(super) fn each<'p>(
        &self,
        points: impl Iterator<Item = &'p Planned>,
        options: SweepOptions,
        take: &mut dyn FnMut(usize, Judged) -> ControlFlow<()>,
    ) -> Result<(), Hung> {
        let mut threads = Threads::new(self.settings.hang_after);
        let mut unstarted = points.enumerate();
        let (mut early, mut next) = (BTreeMap::new(), 0);
        loop {
            while threads.running() < self.settings.jobs.max(1) {
                let Some((place, planned)) = unstarted.next() else {
                    break;
                };
                self.start(&mut threads, place, &planned.point, options);
            }
            if threads.running() == 0 {
                return Ok(());
            }
            let (place, judged) = threads.next()?;
            early.insert(place, judged);
            while let Some(judged) = early.remove(&next) {
                if take(next, judged).is_break() {
                    return Ok(());
                }
                next += 1;
            }
        }
    }

    fn start(
        &self,
        threads: &mut Threads<usize, Judged>,
        place: usize,
        point: &CrashPoint,
        options: SweepOptions,
    ) {
        let (scenario, seed, point) = (self.scenario.clone(), self.seed, point.clone());
        let if_hung = Hung {
            scenario: scenario.id.clone(),
            seed,
            reproduce: sweep_point(&scenario.file, seed, &point),
        };
        threads.start(place, if_hung, move || {
            run(&scenario, seed, &point, options)
        });
    }
}

fn run(scenario: &Scenario, seed: u64, point: &CrashPoint, options: SweepOptions) -> Judged {
    match caught(|| run_swept(scenario, seed, point, options)) {
        Ok(swept) => Judged {
            judged: swept.judged,
            black_box: swept.black_box,
            came: Some((swept.crashes, swept.left)),
            boundaries: swept.boundaries,
        },
        Err(panic) => {
            let crashed = RunReport::crashed(&scenario.id, seed, &panic);
            Judged {
                judged: crashed.clone(),
                black_box: crashed,
                came: None,
                boundaries: Vec::new(),
            }
        }
    }
}
