//! One call of `zeroloss run` or `zeroloss sweep`, and what it noticed.
//!
//! Costs are CPU time of the simulations, as the operating system counts it for
//! ended child processes; wall time says more about who else is on the machine.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::process::Output;

use serde::{Deserialize, Serialize};
use zeroloss::check::Promise;

use super::program::Program;

/// A run that takes longer than this hangs, CPU seconds.
const HANGS_AFTER_S: &str = "60";
/// The verdict of a run that ended in an assertion of the product's.
pub(super) const PANICKED: &str = "crashed";
/// The verdict of a run in which something due did not happen.
const STUCK: &str = "stuck";
/// The word for runs that are all right, each by itself, and do not meet together what
/// their scenario expects of its own seeds.
pub(super) const EXPECTATION: &str = "expectation";
/// The word for a run that took longer than [`HANGS_AFTER_S`].
const HUNG: &str = "hung";
/// The word for a process that ended without a report.
pub(super) const ABORTED: &str = "aborted";
/// The exit code for arguments or files that make no sense.
const USAGE: i32 = 2;
/// The unit of time in `/proc`, on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// The way in which runs are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judging {
    /// With every check, those included that look into the product.
    AllChecks,
    /// By what clients saw alone: the product's own assertions kill nothing, a
    /// run that ends in one is counted and the hunt goes on.
    BlackBox,
}

/// The first run that noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// The promises that it saw broken, or its verdict.
    pub check: String,
    /// The scenario's id.
    pub scenario: String,
    /// The seed; `None` in a sweep, of an expectation, and of a process that aborted.
    pub seed: Option<u64>,
    /// The scenario's place in the gate's order, from 1 on, where the gate noticed.
    #[serde(default)]
    pub place: Option<usize>,
}

/// The kind of check that noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// A promise about what is kept and shown.
    Safety,
    /// A scenario's expectation of all its runs together.
    Expectation,
    /// A promise that things happen in time.
    Liveness,
    /// An assertion of the product's, or a process that ended without a report.
    Panic,
}

impl By {
    /// Whether the kill says only that something went wrong: a broken promise of safety may
    /// have gone unseen.
    #[must_use]
    pub fn is_marked(self) -> bool {
        matches!(self, Self::Liveness | Self::Panic)
    }
}

impl Kill {
    /// The kind of check that noticed. Of several promises one of safety counts.
    #[must_use]
    pub fn by(&self) -> By {
        let progress = [
            Promise::Liveness,
            Promise::BoundedStep,
            Promise::EventBudget,
        ]
        .map(Promise::name);
        let is_progress = |check| progress.contains(&check) || check == STUCK || check == HUNG;
        match self.check.as_str() {
            EXPECTATION => By::Expectation,
            PANICKED | ABORTED => By::Panic,
            check if check == Promise::NoPanic.name() => By::Panic,
            checks if checks.split(", ").all(is_progress) => By::Liveness,
            _ => By::Safety,
        }
    }
}

/// The outcome of one call.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) runs: u64,
    pub(super) noticed: Option<Kill>,
}

/// A line of `zeroloss run --json`, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    scenario: String,
    as_expected: bool,
    verdicts: BTreeMap<String, u64>,
    first_unfit: Option<Unfit>,
}

#[derive(Deserialize)]
struct Unfit {
    seed: u64,
    verdict: String,
    findings: Vec<FindingLine>,
}

#[derive(Deserialize)]
struct FindingLine {
    promise: String,
}

impl Unfit {
    fn check(&self) -> String {
        let mut promises: Vec<&str> = Vec::new();
        for finding in &self.findings {
            if !promises.contains(&finding.promise.as_str()) {
                promises.push(&finding.promise);
            }
        }
        match promises.is_empty() || self.verdict == PANICKED {
            true => self.verdict.clone(),
            false => promises.join(", "),
        }
    }
}

/// Runs a scenario over `seeds`; or over its own, which have to meet together what it
/// expects, too.
pub(super) fn run(
    program: &Program,
    scenario: &str,
    seeds: Option<&Range<u64>>,
    judging: Judging,
) -> io::Result<Ran> {
    let given = seeds.map(|seeds| format!("{}..{}", seeds.start, seeds.end));
    let mut arguments = vec!["run", scenario, "--json", "--watchdog-s", HANGS_AFTER_S];
    if let Some(given) = &given {
        arguments.extend(["--seeds", given]);
    }
    if judging == Judging::BlackBox {
        arguments.push("--no-oracle");
    }
    read(scenario, &program.run(arguments)?, seeds.is_none())
}

fn read(scenario: &str, ended: &Output, are_own: bool) -> io::Result<Ran> {
    let kill = |check: String, scenario: &str, seed| Kill {
        check,
        scenario: scenario.to_owned(),
        seed,
        place: None,
    };
    let text = String::from_utf8_lossy(&ended.stdout);
    if let Some(line) = text.lines().next() {
        let line: Line = serde_json::from_str(line)?;
        let unfit = line.first_unfit;
        let single = unfit.map(|unfit| kill(unfit.check(), &line.scenario, Some(unfit.seed)));
        let is_met = line.as_expected || !are_own;
        let noticed = single
            .or_else(|| (!is_met).then(|| kill(EXPECTATION.to_owned(), &line.scenario, None)));
        let runs = line.verdicts.values().sum();
        return Ok(Ran { runs, noticed });
    }
    let why = String::from_utf8_lossy(&ended.stderr);
    let (check, seed) = match (ended.status.code(), hung_seed(&why)) {
        (Some(11), Some(seed)) => (HUNG, Some(seed)),
        (Some(USAGE), _) => {
            return Err(io::Error::other(format!("zeroloss run {scenario}: {why}")));
        }
        _ => (ABORTED, None),
    };
    Ok(Ran {
        runs: 0,
        noticed: Some(kill(check.to_owned(), scenario, seed)),
    })
}

/// The seed of `HUNG scenario  seed=N`.
fn hung_seed(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.contains("HUNG "));
    let (_, seed) = lines.next()?.split_once("  seed=")?;
    seed.trim().parse().ok()
}

/// One sweep, up to the first point that does not fit.
pub(super) fn sweep(program: &Program, scenario: &str, judging: Judging) -> io::Result<Ran> {
    let mut arguments = vec!["sweep", scenario, "--first"];
    arguments.extend(["--watchdog-s", HANGS_AFTER_S]);
    if judging == Judging::BlackBox {
        arguments.push("--no-oracle");
    }
    let ended = program.run(arguments)?;
    let text = String::from_utf8_lossy(&ended.stdout);
    let check = match ended.status.code() {
        Some(0) => None,
        Some(10..=14) => Some(first_broken(&text)),
        Some(USAGE) => {
            let why = String::from_utf8_lossy(&ended.stderr);
            return Err(io::Error::other(format!(
                "zeroloss sweep {scenario}: {why}"
            )));
        }
        _ => Some(ABORTED),
    };
    Ok(Ran {
        noticed: check.map(|check| Kill {
            check: check.to_owned(),
            scenario: scenario.to_owned(),
            seed: None,
            place: None,
        }),
        runs: runs_of(&text).unwrap_or(0),
    })
}

/// The first line of a sweep's `FAIL` block; a process that hung prints none.
fn first_broken(text: &str) -> &str {
    let mut blocks = text.lines().filter(|line| line.contains("  seed="));
    let first = blocks.find_map(|line| line.strip_prefix("FAIL ")?.split_whitespace().next());
    first.unwrap_or(HUNG)
}

/// `… crash points in 7,009 runs`.
fn runs_of(text: &str) -> Option<u64> {
    let (_, runs) = text.split_once(" crash points in ")?;
    runs.split_once(' ')?.0.replace(',', "").parse().ok()
}

/// CPU time of all children that have ended, seconds: fields 16 and 17 of
/// `proc(5)`'s stat.
pub(super) fn children_cpu_s() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name, in parentheses; it may hold spaces.
    let (_, fields) = stat
        .rsplit_once(')')
        .ok_or_else(|| io::Error::other("/proc/self/stat has no name"))?;
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{ExitStatus, Output};

    use super::{By, read};

    fn ended(status: i32, out: &str, err: &str) -> Output {
        Output {
            status: ExitStatus::from_raw(status),
            stdout: out.into(),
            stderr: err.into(),
        }
    }

    fn line(as_expected: bool, unfit: &str) -> String {
        format!(
            "{{\"scenario\":\"a/b\",\"as_expected\":{as_expected},\"verdicts\":{{\"pass\":7}},\"first_unfit\":{unfit}}}\n"
        )
    }

    /// Each way in which a call notices, with its kind; and those in which it does not.
    #[test]
    fn what_a_call_noticed_is_read_off_its_end() {
        let unfit = |verdict: &str, promises: &[&str]| {
            let findings = promises
                .iter()
                .map(|it| format!("{{\"promise\":\"{it}\"}}"));
            let findings = findings.collect::<Vec<_>>().join(",");
            line(
                false,
                &format!("{{\"seed\":3,\"verdict\":\"{verdict}\",\"findings\":[{findings}]}}"),
            )
        };
        let noticed = |ended: &Output, are_own: bool| {
            let ran = read("s.toml", ended, are_own).expect("it is read");
            let kill = ran.noticed?;
            Some((kill.check.clone(), kill.seed, kill.by()))
        };
        let of = |check: &str, seed, by| Some((check.to_owned(), seed, by));
        let out = |text: &str| ended(10 << 8, text, "");

        assert_eq!(noticed(&out(&line(true, "null")), true), None);
        let short = out(&line(false, "null"));
        assert_eq!(
            noticed(&short, true),
            of("expectation", None, By::Expectation)
        );
        assert_eq!(noticed(&short, false), None, "other seeds need not meet it");
        let both = out(&unfit("fail", &["durability", "liveness", "durability"]));
        assert_eq!(
            noticed(&both, true),
            of("durability, liveness", Some(3), By::Safety)
        );
        let stuck = out(&unfit("stuck", &["liveness", "bounded-step"]));
        assert_eq!(
            noticed(&stuck, true),
            of("liveness, bounded-step", Some(3), By::Liveness)
        );
        let crashed = out(&unfit("crashed", &["no-panic"]));
        assert_eq!(noticed(&crashed, false), of("crashed", Some(3), By::Panic));
        let hung = ended(11 << 8, "", "HUNG a/b  seed=5\n");
        assert_eq!(noticed(&hung, true), of("hung", Some(5), By::Liveness));
        let killed = ended(6, "", "memory allocation of 64 bytes failed\n");
        assert_eq!(noticed(&killed, true), of("aborted", None, By::Panic));
        let usage = ended(2 << 8, "", "no such file\n");
        let why = read("s.toml", &usage, true).expect_err("nothing was run");
        assert!(why.to_string().contains("no such file"));
    }
}
