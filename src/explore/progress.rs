//! One scenario while its runs come in.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::report::{About, RunReport, ScenarioReport};

use super::Job;

/// Runs that came, put in order.
pub(super) struct ScenarioProgress {
    report: Option<ScenarioReport>,
    /// Seeds whose runs are not added yet.
    left: Range<u64>,
    /// Runs that came before one with a smaller seed.
    early: BTreeMap<u64, RunReport>,
    looking_closer: bool,
}

impl ScenarioProgress {
    pub(super) fn new(job: &Job) -> Self {
        let scenario = &job.scenario;
        Self {
            report: Some(ScenarioReport::new(About::of(scenario))),
            left: job.seeds.clone(),
            early: BTreeMap::new(),
            looking_closer: false,
        }
    }

    /// Takes a run. The last one names the seed to look at more closely, if any.
    pub(super) fn take_first(&mut self, seed: u64, run: RunReport) -> Option<u64> {
        let report = self.report.as_mut().expect("shown once all runs are in");
        self.early.insert(seed, run);
        while let Some(next) = self.early.remove(&self.left.start) {
            report.add(next);
            self.left.start += 1;
        }
        let unfit = report.first_unfit.as_ref().map(|run| run.seed);
        let unfit = unfit.filter(|_| self.left.is_empty());
        self.looking_closer = unfit.is_some();
        unfit
    }

    /// Takes the closer look. Nothing is to be looked at after it.
    pub(super) fn take_closer(&mut self, run: RunReport) -> Option<u64> {
        let report = self.report.as_mut().expect("shown after the closer look");
        report.look_closer(run);
        self.looking_closer = false;
        None
    }

    /// The report, once, when nothing is missing.
    pub(super) fn finished(&mut self) -> Option<ScenarioReport> {
        match self.left.is_empty() && !self.looking_closer {
            true => self.report.take(),
            false => None,
        }
    }
}
