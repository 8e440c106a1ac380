//! A scenario over its seeds.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::check::{
    Assessment, Counts, ExpectedOutcome, Finding, Promise, Tally, Together, Verdict, assess,
};
use crate::history::{FaultKind, Happening, TransactionStep, VictimRole};

use crate::scenario::Scenario;

use super::{FaultCount, RunReport};

/// The facts about a scenario that a report needs.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// The scenario's id.
    pub id: String,
    /// Its file, as a user would name it.
    pub file: String,
    /// The outcome that must come out.
    pub outcome: ExpectedOutcome,
    /// The share of runs that may be void.
    pub void_max: f64,
    /// Whether it means to have no faults.
    pub faultless: bool,
    /// The happenings that each of its runs needs, as far as no fault is one of them.
    pub needs: Vec<Happening>,
    /// The happenings that some of its runs need.
    pub sometimes: Vec<Happening>,
    /// How many runs it has by itself: of fewer nobody expects that they meet together
    /// what it expects of its runs.
    pub own_runs: u64,
}

impl About {
    /// The facts about `scenario` that a report needs.
    pub fn of(scenario: &Scenario) -> Self {
        Self {
            id: scenario.id.clone(),
            file: scenario.file.clone(),
            outcome: scenario.expect.outcome,
            void_max: scenario.expect.void_max,
            faultless: scenario.is_faultless(),
            needs: scenario.expect.happenings_needed(),
            sometimes: scenario.expect.sometimes.clone(),
            own_runs: scenario.run.seeds.end - scenario.run.seeds.start,
        }
    }
}

/// The result of a scenario over its seeds.
#[derive(Debug, Clone)]
pub struct ScenarioReport {
    /// The scenario.
    pub about: About,
    /// The runs, by verdict.
    pub tally: Tally,
    /// Over all runs.
    pub counts: Counts,
    /// Over all runs, allowed or not.
    pub lost: u64,
    /// The losses, over all runs, by the fault that took them.
    pub taken: BTreeMap<FaultKind, u64>,
    /// Other breaches that are excused, by the fault that excuses them.
    pub waived: BTreeMap<(FaultKind, Promise), u64>,
    /// Events over all runs.
    pub events: u64,
    /// Simulated time over all runs, nanoseconds.
    pub simulated_ns: u64,
    /// Over all runs, by kind.
    pub faults: BTreeMap<FaultKind, FaultCount>,
    /// In how many runs somebody died at each step of a transaction.
    pub deaths: BTreeMap<(VictimRole, TransactionStep), u64>,
    /// In how many runs it happened.
    pub happened: BTreeMap<Happening, u64>,
    /// In how many runs nothing was due after healing: no core can be whole.
    pub nothing_due: u64,
    /// In how many runs each promise was broken.
    pub broken: BTreeMap<Promise, u64>,
    /// The first seed that lost something where nothing is promised.
    pub first_loss: Option<u64>,
    /// The seeds of runs that do not fit the expectation, ascending.
    pub unfit: Vec<(u64, Verdict)>,
    /// The first of these.
    pub first_unfit: Option<RunReport>,
    /// Over the runs' trace hashes, in the order of the seeds.
    pub hash: u64,
}

impl ScenarioReport {
    /// The report of no run yet.
    pub fn new(about: About) -> Self {
        Self {
            about,
            tally: Tally::default(),
            counts: Counts::default(),
            lost: 0,
            taken: BTreeMap::new(),
            waived: BTreeMap::new(),
            events: 0,
            simulated_ns: 0,
            faults: BTreeMap::new(),
            deaths: BTreeMap::new(),
            happened: BTreeMap::new(),
            nothing_due: 0,
            broken: BTreeMap::new(),
            first_loss: None,
            unfit: Vec::new(),
            first_unfit: None,
            hash: 0,
        }
    }

    /// Adds one run. Runs come in the order of their seeds: the hash depends on
    /// it, and the first unfit run is the one with the smallest seed.
    pub fn add(&mut self, run: RunReport) {
        self.hash = xxh3_64_with_seed(&run.trace_hash.to_le_bytes(), self.hash);
        self.counts.add(&run.counts);
        self.lost += run.lost.len() as u64;
        self.events += run.events;
        self.simulated_ns += run.simulated_ns;
        for (kind, count) in &run.faults {
            self.faults.entry(*kind).or_default().add(*count);
        }
        for at in run.deaths.keys() {
            *self.deaths.entry(*at).or_default() += 1;
        }
        for (what, _) in run.happened.iter().filter(|(_, times)| **times > 0) {
            *self.happened.entry(*what).or_default() += 1;
        }
        self.nothing_due += u64::from(run.nothing_due.is_some());
        for (kind, count) in &run.taken {
            *self.taken.entry(*kind).or_default() += count;
        }
        for (what, count) in &run.waived {
            *self.waived.entry(*what).or_default() += count;
        }
        for promise in promises(&run.findings) {
            *self.broken.entry(promise).or_default() += 1;
        }
        self.tally.add(run.verdict);
        if run.verdict == Verdict::ExpectedLoss && !run.lost.is_empty() {
            self.first_loss.get_or_insert(run.seed);
        }
        if !self.about.outcome.allows(run.verdict) {
            self.unfit.push((run.seed, run.verdict));
            self.first_unfit.get_or_insert(run);
        }
    }

    /// Takes a second run of the first unfit seed, with its timeline. A second
    /// run that differs from the first one makes that seed nondeterministic.
    ///
    /// # Panics
    ///
    /// Where no run was unfit.
    pub fn look_closer(&mut self, again: RunReport) {
        let first = self.first_unfit.take().expect("an unfit run");
        let same = (first.verdict, first.trace_hash) == (again.verdict, again.trace_hash);
        if same {
            self.first_unfit = Some(again);
            return;
        }
        self.tally.remove(first.verdict);
        self.tally.add(Verdict::Nondeterministic);
        self.unfit[0].1 = Verdict::Nondeterministic;
        *self.broken.entry(Promise::Determinism).or_default() += 1;
        self.first_unfit = Some(first.nondeterministic(&again));
    }

    /// The runs against the expectation.
    pub fn assessment(&self) -> Assessment {
        let together = Together {
            unseen: &self.unseen(),
            is_judged: self.tally.runs() >= self.about.own_runs,
        };
        let About {
            outcome, void_max, ..
        } = self.about;
        assess(outcome, void_max, &self.tally, together)
    }

    /// The happenings that were needed in some run, and occurred in none.
    fn unseen(&self) -> Vec<Happening> {
        let sometimes = self.about.sometimes.iter().copied();
        let unseen = sometimes.filter(|what| !self.happened.contains_key(what));
        unseen.collect()
    }
}

/// The promises of findings, each once.
fn promises(findings: &[Finding]) -> Vec<Promise> {
    let mut promises: Vec<_> = findings.iter().map(|finding| finding.promise).collect();
    promises.sort_unstable();
    promises.dedup();
    promises
}
