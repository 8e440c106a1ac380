//! Reports as text.
//!
//! A run in which the product panicked:
//!
//! ```
//! use zeroloss::report::{RunReport, text};
//!
//! let run = RunReport::crashed("raft/figure-8", 3, "index out of bounds at src/x.rs:7");
//! let again = text::replay("scenarios/raft/figure-8.toml", run.seed);
//! let block = text::fail_block(&run, &again);
//! let lines: Vec<_> = block.lines().collect();
//! assert_eq!(lines, [
//!     "FAIL no-panic   raft/figure-8  seed=3",
//!     "  index out of bounds at src/x.rs:7",
//!     "  reproduce: zeroloss replay scenarios/raft/figure-8.toml --seed 3",
//! ]);
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::check::{At, Exit, Finding, Promise, Tally, Verdict};

use super::excerpt::{excerpt, seconds};
use super::notes::{notes, warnings};
use super::numbers::Grouped;
use super::{RunReport, ScenarioReport};

/// A finding's further lines beyond this many are left out.
const FINDING_LINES_MAX: usize = 12;
/// Of the other seeds with one verdict, so many are named.
const SEEDS_MAX: usize = 8;

/// A scenario: its line, warnings, shortfalls, and the FAIL block of the first
/// run that does not fit. `id_width` aligns the lines of several scenarios.
pub fn scenario(report: &ScenarioReport, id_width: usize) -> String {
    let mut text = line(report, id_width);
    let assessment = report.assessment();
    for note in notes(report) {
        let _ = writeln!(text, "      {note}");
    }
    for warning in warnings(report) {
        let _ = writeln!(text, "      warning: {warning}");
    }
    for shortfall in &assessment.shortfalls {
        let _ = writeln!(text, "      {shortfall}");
    }
    for line in &assessment.unjudged {
        let own = Grouped(report.about.own_runs);
        let _ = writeln!(text, "      not judged below {own} runs: {line}");
    }
    if let Some(run) = &report.first_unfit {
        let again = replay(&report.about.file, run.seed);
        text.push_str(&fail_block(run, &again));
        if let [_, others @ ..] = report.unfit.as_slice()
            && !others.is_empty()
        {
            let _ = writeln!(text, "  other seeds: {}", seeds(others));
        }
    }
    text
}

/// `3 fail (14, 75, 312), 1 stuck (8)`, the first seeds of each verdict.
fn seeds(unfit: &[(u64, Verdict)]) -> String {
    let mut by_verdict: BTreeMap<Verdict, Vec<u64>> = BTreeMap::new();
    for (seed, verdict) in unfit {
        by_verdict.entry(*verdict).or_default().push(*seed);
    }
    let words = by_verdict.iter().map(|(verdict, seeds)| {
        let shown: Vec<_> = seeds.iter().take(SEEDS_MAX).map(u64::to_string).collect();
        let more = if seeds.len() > SEEDS_MAX { ", …" } else { "" };
        format!("{} {verdict} ({}{more})", seeds.len(), shown.join(", "))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The choices of a seed in a swarm, above its timeline.
pub fn draw(words: &[String]) -> String {
    words.iter().map(|line| format!("  {line}\n")).collect()
}

fn line(report: &ScenarioReport, id_width: usize) -> String {
    let status = match report.assessment().exit {
        Exit::Success => "pass",
        _ => "FAIL",
    };
    let mut text = format!(
        "{status}  {:<id_width$}  {:<9}  {:016x}  {:>11} events  {:>9} acked  {:>7} lost  {:<24}  ",
        report.about.id,
        report.about.outcome,
        report.hash,
        Grouped(report.events),
        Grouped(report.counts.acknowledged),
        Grouped(report.lost),
        report.tally.to_string(),
    );
    let _ = writeln!(text, "{}", faults(report));
    text
}

/// `power-loss 8 (7 dirty), kill 3`: fired, and how many of them met log data
/// that was not yet durable.
fn faults(report: &ScenarioReport) -> String {
    if report.about.faultless {
        return "no faults".to_owned();
    }
    let of_rules = report
        .faults
        .iter()
        .filter(|(kind, _)| !kind.is_a_setting());
    let counts = of_rules.map(|(kind, count)| match count.dirty {
        0 => format!("{kind} {}", Grouped(count.fired)),
        dirty => format!("{kind} {} ({} dirty)", Grouped(count.fired), Grouped(dirty)),
    });
    let counts: Vec<_> = counts.collect();
    match counts.is_empty() {
        true => "no fault armed".to_owned(),
        false => counts.join(", "),
    }
}

/// The block of one run that does not fit: what was broken, where to look, how
/// to see it again.
pub fn fail_block(run: &RunReport, reproduce: &str) -> String {
    let shown = run.shown();
    let mut text = String::new();
    match shown.first() {
        Some(first) => first_finding(run, first, &mut text),
        None => {
            let (scenario, seed) = (&run.scenario, run.seed);
            let end = At(run.simulated_ns);
            let verdict = run.verdict;
            let _ = writeln!(text, "FAIL {verdict}   {scenario}  seed={seed}  t={end}");
        }
    }
    if let Some(more) = more(shown) {
        let _ = writeln!(text, "  {more}");
    }
    let _ = writeln!(text, "  reproduce: {reproduce}");
    text
}

/// The command that shows a run again.
pub fn replay(file: &str, seed: u64) -> String {
    format!("zeroloss replay {file} --seed {seed}")
}

/// The same, where the faults are a plan's.
pub fn replay_plan(file: &str, plan: &Path) -> String {
    format!("zeroloss replay {file} --plan {}", plan.display())
}

fn first_finding(run: &RunReport, finding: &Finding, text: &mut String) {
    let (promise, scenario, seed) = (finding.promise, &run.scenario, run.seed);
    let _ = write!(text, "FAIL {promise}   {scenario}  seed={seed}");
    // A crash leaves nobody who could say when it was.
    if promise != Promise::NoPanic {
        let _ = write!(text, "  t={}  event={}", At(finding.at_ns), finding.event);
    }
    text.push('\n');
    for line in finding.lines.iter().take(FINDING_LINES_MAX) {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str(&excerpt(&run.timeline, finding));
}

/// `and 3 more of durability, 1 of at-least-once`.
fn more(shown: &[Finding]) -> Option<String> {
    let rest = shown.get(1..).filter(|rest| !rest.is_empty())?;
    // Findings are ordered by promise.
    let groups = rest.chunk_by(|a, b| a.promise == b.promise);
    let groups = groups.map(|group| (group[0].promise, group.len() as u64));
    let listed: Vec<_> = groups
        .map(|(promise, count): (Promise, u64)| format!("{} of {promise}", Grouped(count)))
        .collect();
    Some(format!("and more: {}", listed.join(", ")))
}

/// Everything that happened in a run, a line each.
pub fn timeline(run: &RunReport) -> String {
    let width = run
        .timeline
        .last()
        .map_or(0, |line| seconds(line.at_ns).len());
    let mut text = String::new();
    for line in &run.timeline {
        let _ = writeln!(text, "{:>width$}  {}", seconds(line.at_ns), line.text);
    }
    text
}

/// One run by itself: what `replay` ends with.
pub fn run(run: &RunReport, reproduce: &str, fits: bool) -> String {
    let counts = &run.counts;
    let mut text = format!(
        "{}  {}  seed {}  {}  hash {:016x}\n",
        if fits { "pass" } else { "FAIL" },
        run.scenario,
        run.seed,
        run.verdict,
        run.trace_hash
    );
    let _ = writeln!(
        text,
        "      {} events in {}; sends: {} acknowledged, {} rejected, {} unknown; \
         {} processed, {} of them again; {} lost, {} of them processed before",
        Grouped(run.events),
        At(run.simulated_ns),
        Grouped(counts.acknowledged),
        Grouped(counts.rejected),
        Grouped(counts.unknown),
        Grouped(counts.processed),
        Grouped(counts.repeated),
        run.lost.len(),
        Grouped(counts.lost_processed)
    );
    if counts.published_again > 0 {
        let again = Grouped(counts.published_again);
        let _ = writeln!(text, "      published more than once: {again} transactions");
    }
    for (kind, count) in &run.faults {
        let _ = writeln!(
            text,
            "      {kind}: {} armed, {} postponed, {} dropped, {} fired, {} could matter, {} did, {} met dirty log data",
            count.armed,
            count.postponed,
            count.dropped,
            count.fired,
            count.eligible,
            count.observed,
            count.dirty
        );
    }
    for ((who, transaction_step), deaths) in &run.deaths {
        let _ = writeln!(
            text,
            "      {} died at {transaction_step}: {deaths}",
            who.name()
        );
    }
    for (what, times) in run.happened.iter().filter(|(_, times)| **times > 0) {
        let _ = writeln!(text, "      {}: {times}", what.name());
    }
    if let Some(why) = &run.nothing_due {
        let _ = writeln!(text, "      convergence is not demanded: {why}");
    }
    if !fits {
        text.push_str(&fail_block(run, reproduce));
    } else {
        for allowed in &run.allowed {
            let _ = writeln!(text, "  {}", allowed.lines.join("; "));
        }
    }
    text
}

/// The last line: all scenarios together.
pub fn summary<'a>(reports: impl IntoIterator<Item = &'a (Tally, Exit)>) -> String {
    let mut runs = Tally::default();
    let (mut scenarios, mut expected) = (0, 0);
    for (tally, exit) in reports {
        runs.merge(tally);
        scenarios += 1;
        expected += u64::from(*exit == Exit::Success);
    }
    let mut text = format!(
        "{} as expected; {}: {runs}",
        match scenarios - expected {
            0 => plural(scenarios, "scenario"),
            _ => format!("{expected} of {}", plural(scenarios, "scenario")),
        },
        plural(runs.runs(), "run"),
    );
    if runs.count(Verdict::Void) == runs.runs() {
        text.push_str("; nothing was tested");
    }
    text.push('\n');
    text
}

fn plural(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", Grouped(count)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{fail_block, replay, scenario, summary, timeline};
    use crate::check::{Counts, Exit, ExpectedOutcome, Finding, Promise, Tally, Verdict};
    use crate::history::FaultKind;
    use crate::report::{About, FaultCount, RunReport, ScenarioReport, TimelineLine};

    fn run(verdict: Verdict, faults: &[(FaultKind, FaultCount)]) -> RunReport {
        RunReport {
            verdict,
            simulated_ns: 9_000_000_000,
            counts: Counts {
                acknowledged: 7,
                ..Counts::default()
            },
            faults: faults.iter().copied().collect(),
            findings: Vec::new(),
            ..RunReport::crashed("x", 3, "")
        }
    }

    fn report(outcome: ExpectedOutcome, faultless: bool, runs: Vec<RunReport>) -> String {
        let mut report = ScenarioReport::new(About {
            id: "x".to_owned(),
            file: "scenarios/x.toml".to_owned(),
            outcome,
            void_max: 0.2,
            faultless,
            needs: Vec::new(),
            sometimes: Vec::new(),
            own_runs: 1,
        });
        runs.into_iter().for_each(|run| report.add(run));
        scenario(&report, 4)
    }

    fn count(armed: u64, fired: u64, eligible: u64) -> FaultCount {
        FaultCount {
            armed,
            postponed: 0,
            dropped: armed.saturating_sub(fired),
            fired,
            eligible,
            observed: 0,
            dirty: 0,
        }
    }

    #[test]
    fn without_faults_by_intent_there_is_no_warning() {
        let text = report(
            ExpectedOutcome::ZeroLoss,
            true,
            vec![run(Verdict::Pass, &[])],
        );
        assert!(text.ends_with("  no faults\n"), "{text}");
    }

    #[test]
    fn a_zero_is_a_warning() {
        let idle = RunReport {
            counts: Counts::default(),
            faults: BTreeMap::new(),
            ..run(Verdict::Void, &[])
        };
        insta::assert_snapshot!(report(ExpectedOutcome::ZeroLoss, false, vec![idle]), @"
        FAIL  x     zero-loss  c77b3abb6f87acd9            0 events          0 acked        0 lost  1 void                    no fault armed
              warning: nothing was acknowledged
              warning: no fault was armed
              every run was void: no fault came that could matter
        ");
        let faults = [
            (FaultKind::Rot, count(4, 0, 0)),
            (FaultKind::Kill, count(4, 4, 0)),
        ];
        let text = report(
            ExpectedOutcome::ZeroLoss,
            false,
            vec![run(Verdict::Pass, &faults)],
        );
        let warnings: Vec<_> = text.lines().skip(1).map(str::trim).collect();
        assert_eq!(
            warnings,
            [
                "warning: kill fired 4 times, never when it could matter",
                "warning: rot armed 4 times, fired 0"
            ]
        );
    }

    #[test]
    fn a_run_that_does_not_fit_and_broke_nothing_is_shown_too() {
        let faults = [(FaultKind::Kill, count(1, 1, 1))];
        let text = report(
            ExpectedOutcome::ZeroLoss,
            false,
            vec![run(Verdict::Halted, &faults)],
        );
        let block: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(
            block,
            [
                "FAIL halted   x  seed=3  t=9.000s",
                "  reproduce: zeroloss replay scenarios/x.toml --seed 3"
            ]
        );
    }

    #[test]
    fn losses_and_excused_breaches_name_the_fault() {
        let (lying, set_back) = (FaultKind::DiskLying, FaultKind::DiskRolledBack);
        let losing = RunReport {
            taken: [(set_back, 41)].into(),
            waived: [
                ((set_back, Promise::StateMachineSafety), 3),
                ((set_back, Promise::ElectionSafety), 1),
                ((lying, Promise::PromisesKept), 2),
            ]
            .into(),
            ..run(Verdict::ExpectedLoss, &[(set_back, count(2, 2, 2))])
        };
        let text = report(ExpectedOutcome::Loss { share: 0.5 }, false, vec![losing]);
        insta::assert_snapshot!(text.lines().nth(1).expect("a line").trim(), @"taken by disk-rolled-back: 41; excused by it: election-safety 1, state-machine-safety 3; excused by disk-lying: promises-kept 2");
    }

    #[test]
    fn an_excerpt_keeps_to_the_moments_and_shows_its_gaps() {
        let lines = (0..20).map(|second| TimelineLine {
            at_ns: second * 1_000_000_000,
            text: format!("event {second}"),
        });
        let failed = RunReport {
            timeline: lines.collect(),
            findings: vec![Finding {
                promise: Promise::Durability,
                lines: vec!["gone".to_owned()],
                at_ns: 18_000_000_000,
                event: 5,
                moments_ns: vec![2_500_000_000],
            }],
            ..run(Verdict::Fail, &[])
        };
        let again = replay("scenarios/x.toml", 3);
        insta::assert_snapshot!(fail_block(&failed, &again), @"
        FAIL durability   x  seed=3  t=18.000s  event=5
          gone
             0.000  event 0
             1.000  event 1
             2.000  event 2
             3.000  event 3
                 …
            16.000  event 16
            17.000  event 17
            18.000  event 18
            19.000  event 19
          reproduce: zeroloss replay scenarios/x.toml --seed 3
        ");
        assert_eq!(timeline(&failed).lines().count(), 20);
    }

    #[test]
    fn the_summary_counts_scenarios_and_runs() {
        let tally = |verdict| {
            let mut tally = Tally::default();
            tally.add(verdict);
            tally
        };
        let good = (tally(Verdict::Pass), Exit::Success);
        let bad = (tally(Verdict::Stuck), Exit::Stuck);
        let void = (tally(Verdict::Void), Exit::Void);
        let shown = [
            summary([&good]),
            summary([&good, &good, &bad]),
            summary([&void]),
        ];
        insta::assert_snapshot!(shown.concat(), @"
        1 scenario as expected; 1 run: 1 pass
        2 of 3 scenarios as expected; 3 runs: 2 pass, 1 stuck
        0 of 1 scenario as expected; 1 run: 1 void; nothing was tested
        ");
    }
}
