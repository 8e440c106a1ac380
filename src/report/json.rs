//! A scenario's report for machines.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::check::{Finding, Tally};

use super::{FaultCount, RunReport, ScenarioReport};

/// Findings of the first unfit run that are written out.
const FINDINGS_MAX: usize = 10;

#[derive(Serialize)]
struct Scenario<'a> {
    scenario: &'a str,
    file: &'a str,
    expected: String,
    as_expected: bool,
    exit_code: u8,
    shortfalls: Vec<String>,
    unjudged: Vec<String>,
    hash: String,
    verdicts: BTreeMap<&'static str, u64>,
    events: u64,
    simulated_ns: u64,
    acknowledged: u64,
    rejected: u64,
    unknown: u64,
    processed: u64,
    repeated: u64,
    lost: u64,
    lost_processed: u64,
    #[serde(skip_serializing_if = "is_zero")]
    paid: u64,
    #[serde(skip_serializing_if = "is_zero")]
    without_packet: u64,
    faults: BTreeMap<&'static str, FaultCount>,
    /// Runs in which who died at which step of a transaction.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    deaths: BTreeMap<String, u64>,
    /// Runs in which it happened.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    happened: BTreeMap<&'static str, u64>,
    /// Runs in which each promise was broken.
    broken: BTreeMap<&'static str, u64>,
    /// The seeds of all runs that do not fit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unfit: BTreeMap<&'static str, Vec<u64>>,
    first_unfit: Option<Run<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    seed: u64,
    verdict: &'static str,
    hash: String,
    findings_total: usize,
    findings: &'a [Finding],
}

/// One line of JSON, its keys in a fixed order, with a newline. Hashes are
/// hexadecimal strings: JSON's numbers do not hold 64 bits everywhere.
pub fn json(report: &ScenarioReport) -> String {
    let assessment = report.assessment();
    let counts = &report.counts;
    let faults = report.faults.iter();
    let (deaths, happened) = (report.deaths.iter(), report.happened.iter());
    let broken = report.broken.iter();
    let mut unfit: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for (seed, verdict) in &report.unfit {
        unfit.entry(verdict.name()).or_default().push(*seed);
    }
    let scenario = Scenario {
        scenario: &report.about.id,
        file: &report.about.file,
        expected: report.about.outcome.to_string(),
        as_expected: assessment.exit.code() == 0,
        exit_code: assessment.exit.code(),
        shortfalls: assessment.shortfalls,
        unjudged: assessment.unjudged,
        hash: format!("{:016x}", report.hash),
        verdicts: verdicts(&report.tally),
        events: report.events,
        simulated_ns: report.simulated_ns,
        acknowledged: counts.acknowledged,
        rejected: counts.rejected,
        unknown: counts.unknown,
        processed: counts.processed,
        repeated: counts.repeated,
        lost: report.lost,
        lost_processed: report.counts.lost_processed,
        paid: counts.paid,
        without_packet: counts.without_packet,
        deaths: deaths
            .map(|((who, transaction_step), runs)| {
                (format!("{}: {transaction_step}", who.name()), *runs)
            })
            .collect(),
        happened: happened.map(|(what, runs)| (what.name(), *runs)).collect(),
        faults: faults.map(|(kind, count)| (kind.name(), *count)).collect(),
        broken: broken
            .map(|(promise, runs)| (promise.name(), *runs))
            .collect(),
        unfit,
        first_unfit: report.first_unfit.as_ref().map(run),
    };
    let mut text = serde_json::to_string(&scenario).expect("strings and numbers only");
    text.push('\n');
    text
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn run(run: &RunReport) -> Run<'_> {
    let shown = run.shown();
    Run {
        seed: run.seed,
        verdict: run.verdict.name(),
        hash: format!("{:016x}", run.trace_hash),
        findings_total: shown.len(),
        findings: &shown[..shown.len().min(FINDINGS_MAX)],
    }
}

fn verdicts(tally: &Tally) -> BTreeMap<&'static str, u64> {
    let counts = tally.counts();
    counts
        .map(|(verdict, count)| (verdict.name(), count))
        .collect()
}
