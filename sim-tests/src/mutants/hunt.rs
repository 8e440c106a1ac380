//! Running seeds until something notices.
//!
//! Costs are CPU time of the simulations, as the operating system counts it for
//! ended child processes; wall time says more about who else is on the machine.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::tree::{Pair, Program};

/// Seeds of each scenario in the first round; each further round has twice as
/// many, so that what is found early costs little.
const FIRST_ROUND: u64 = 8;
/// The grounds of a hunt that has no hint where to look: everything at once, and
/// every crash point of one short run.
const BLIND_SWEEP: &str = "scenarios/sweep/single-sync.toml";
/// Each with its share: so many seeds of it come for one of the first. A cheap swarm gets
/// more of them.
const BLIND_SWARMS: [(&str, u64); 3] = [
    ("scenarios/swarm.toml", 1),
    ("scenarios/swarm-expiry.toml", 1),
    ("scenarios/swarm-single.toml", 8),
];
/// Seeds of the first swarm, at most; of each other one as many times its share.
pub const BLIND_SEEDS: u64 = 2_000;
/// A run that takes longer than this hangs, CPU seconds.
const HANGS_AFTER_S: u64 = 60;
/// The word for runs that are all right, each by itself, and do not meet together what
/// their scenario expects of its own seeds.
const EXPECTATION: &str = "expectation";
/// The verdict of a run that ended in an assertion of the product's.
const PANICKED: &str = "crashed";
/// The unit of time in `/proc`, on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// The set of runs of a hunt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// The scenarios that the mutant's own file names.
    Aimed,
    /// The same for every mutant: the swarms and a sweep.
    Blind,
}

/// How runs are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judging {
    /// With every check, those included that look into the product.
    AllChecks,
    /// By what clients saw alone: the product's own assertions kill nothing, a
    /// run that ends in one is counted and the hunt goes on.
    BlackBox,
}

/// The outcome of a hunt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hunted {
    /// The run that noticed the mutant, if one did.
    pub kill: Option<Kill>,
    /// Runs up to the kill, or all.
    pub runs: u64,
    /// Those of them that ended in an assertion of the product's, where that is
    /// no kill.
    pub panics: u64,
    /// Runs that are red without the mutant, too, by scenario and seed: they kill
    /// nothing, and the tree is to be mended.
    pub red_anyway: Vec<(String, u64)>,
    /// The CPU time of all runs of the hunt, seconds.
    pub cpu_s: f64,
}

/// The first run that noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// The promises that it saw broken, or its verdict.
    pub check: String,
    /// The scenario's id.
    pub scenario: String,
    /// The seed; `None` in a sweep, and of an expectation.
    pub seed: Option<u64>,
}

/// A line of `zeroloss run --json`, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    scenario: String,
    verdicts: BTreeMap<String, u64>,
    shortfalls: Vec<String>,
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

/// Runs the swarms, and after their first round one sweep, until a run is not as it
/// should be or `cap_cpu_s` is used up. The sweep is done whole.
///
/// # Errors
/// As [`hunt`].
pub fn hunt_blind(pair: &Pair, judging: Judging, cap_cpu_s: f64) -> io::Result<Hunted> {
    let swarms = BLIND_SWARMS.map(|(swarm, share)| (swarm.to_owned(), share));
    let begun = Hunted::default();
    let first = 0..FIRST_ROUND;
    let mut hunted = go_on(begun, pair, &swarms, &first, judging, cap_cpu_s)?;
    if hunted.kill.is_some() {
        return Ok(hunted);
    }
    let before_s = children_cpu_s()?;
    let swept = sweep(&pair.planted, judging)?;
    hunted.cpu_s += children_cpu_s()? - before_s;
    hunted.runs += swept.runs;
    hunted.panics += swept.panics;
    if swept.kill.is_some() {
        hunted.kill = swept.kill;
        return Ok(hunted);
    }
    let rest = FIRST_ROUND..BLIND_SEEDS;
    go_on(hunted, pair, &swarms, &rest, judging, cap_cpu_s)
}

/// Runs `scenarios` over their own seeds, as the gate does, and where they meet what is
/// expected of them over `seeds`, in growing rounds, until one is not as it should be or
/// `cap_cpu_s` is used up.
///
/// # Errors
/// `zeroloss` cannot be run, or says what cannot be read.
pub fn hunt(
    pair: &Pair,
    scenarios: &[String],
    seeds: &Range<u64>,
    judging: Judging,
    cap_cpu_s: f64,
) -> io::Result<Hunted> {
    let mut begun = Hunted::default();
    if judging == Judging::AllChecks {
        let before_s = children_cpu_s()?;
        for scenario in scenarios
            .iter()
            .filter(|scenario| *scenario != BLIND_SWARMS[0].0)
        {
            let own = own_seeds(&pair.planted, scenario)?;
            begun.runs += own.runs;
            if own.falls_short && !own_seeds(&pair.unplanted, scenario)?.falls_short {
                begun.kill = Some(Kill {
                    check: EXPECTATION.to_owned(),
                    scenario: own.scenario,
                    seed: None,
                });
                break;
            }
        }
        begun.cpu_s = children_cpu_s()? - before_s;
    }
    match begun.kill {
        Some(_) => Ok(begun),
        None => {
            let each: Vec<_> = scenarios.iter().map(|it| (it.clone(), 1)).collect();
            go_on(begun, pair, &each, seeds, judging, cap_cpu_s)
        }
    }
}

/// A scenario over its own seeds.
#[derive(Default)]
struct Own {
    /// The scenario's id.
    scenario: String,
    runs: u64,
    /// Each run is all right, and they do not meet together what it expects.
    falls_short: bool,
}

fn own_seeds(program: &Program, scenario: &str) -> io::Result<Own> {
    let mut zeroloss = program.command();
    zeroloss.args(["run", scenario, "--json"]);
    let ended = zeroloss.output()?;
    let text = String::from_utf8_lossy(&ended.stdout);
    // A run that hangs is met again, and said, over the seeds.
    let Some(line) = text.lines().next() else {
        return Ok(Own::default());
    };
    let line: Line = serde_json::from_str(line)?;
    Ok(Own {
        scenario: line.scenario,
        runs: line.verdicts.values().sum(),
        falls_short: line.first_unfit.is_none() && !line.shortfalls.is_empty(),
    })
}

/// `scenarios`: each with its share, see [`BLIND_SWARMS`].
fn go_on(
    mut hunted: Hunted,
    pair: &Pair,
    scenarios: &[(String, u64)],
    seeds: &Range<u64>,
    judging: Judging,
    cap_cpu_s: f64,
) -> io::Result<Hunted> {
    let mut round = FIRST_ROUND;
    let mut from = seeds.start;
    while from < seeds.end && hunted.cpu_s < cap_cpu_s {
        let upto = seeds.end.min(from + round);
        for (scenario, share) in scenarios {
            let mut left = from * share..upto * share;
            while !left.is_empty() && hunted.cpu_s < cap_cpu_s {
                let before_s = children_cpu_s()?;
                let kill = run(&pair.planted, scenario, &left, judging)?;
                hunted.cpu_s += children_cpu_s()? - before_s;
                let Some(kill) = kill else {
                    hunted.runs += left.end - left.start;
                    break;
                };
                let next = kill.seed.map_or(left.end, |seed| seed + 1);
                hunted.runs += next - left.start;
                if judging == Judging::BlackBox && kill.check == PANICKED {
                    hunted.panics += 1;
                    left.start = next;
                    continue;
                }
                if let Some(seed) = kill.seed
                    && run(&pair.unplanted, scenario, &(seed..next), judging)?.is_some()
                {
                    hunted.red_anyway.push((kill.scenario, seed));
                    left.start = next;
                    continue;
                }
                hunted.kill = Some(kill);
                return Ok(hunted);
            }
        }
        from = upto;
        round *= 2;
    }
    Ok(hunted)
}

fn run(
    program: &Program,
    scenario: &str,
    seeds: &Range<u64>,
    judging: Judging,
) -> io::Result<Option<Kill>> {
    let mut zeroloss = program.command();
    zeroloss
        .args(["run", scenario, "--json", "--seeds"])
        .arg(format!("{}..{}", seeds.start, seeds.end))
        .args(["--watchdog-s", &HANGS_AFTER_S.to_string()]);
    if judging == Judging::BlackBox {
        zeroloss.arg("--no-oracle");
    }
    let ended = zeroloss.output()?;
    let text = String::from_utf8_lossy(&ended.stdout);
    if let Some(line) = text.lines().next() {
        let line: Line = serde_json::from_str(line)?;
        return Ok(line.first_unfit.map(|unfit| Kill {
            check: unfit.check(),
            scenario: line.scenario,
            seed: Some(unfit.seed),
        }));
    }
    let why = String::from_utf8_lossy(&ended.stderr);
    match (ended.status.code(), hung_seed(&why)) {
        (Some(11), Some(seed)) => Ok(Some(Kill {
            check: "hung".to_owned(),
            scenario: scenario.to_owned(),
            seed: Some(seed),
        })),
        _ => Err(io::Error::other(format!("zeroloss run {scenario}: {why}"))),
    }
}

/// The seed of `HUNG scenario  seed=N`.
fn hung_seed(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.contains("HUNG "));
    let (_, seed) = lines.next()?.split_once("  seed=")?;
    seed.trim().parse().ok()
}

/// One sweep, up to the first point that does not fit. An assertion of the
/// product's ends it without a kill where those kill nothing.
fn sweep(program: &Program, judging: Judging) -> io::Result<Hunted> {
    let mut zeroloss = program.command();
    zeroloss.args(["sweep", BLIND_SWEEP, "--first"]);
    zeroloss.args(["--watchdog-s", &HANGS_AFTER_S.to_string()]);
    if judging == Judging::BlackBox {
        zeroloss.arg("--no-oracle");
    }
    let ended = zeroloss.output()?;
    let text = String::from_utf8_lossy(&ended.stdout);
    let check = match ended.status.code() {
        Some(0) => None,
        Some(10..=14) => Some(first_broken(&text).to_owned()),
        _ => {
            let why = String::from_utf8_lossy(&ended.stderr);
            return Err(io::Error::other(format!(
                "zeroloss sweep {BLIND_SWEEP}: {why}"
            )));
        }
    };
    let panicked = check.as_deref() == Some(PANICKED) && judging == Judging::BlackBox;
    // The caller counts the cost.
    Ok(Hunted {
        kill: check.filter(|_| !panicked).map(|check| Kill {
            check,
            scenario: BLIND_SWEEP.to_owned(),
            seed: None,
        }),
        runs: runs_of(&text).unwrap_or(0),
        panics: u64::from(panicked),
        red_anyway: Vec::new(),
        cpu_s: 0.0,
    })
}

/// The first line of a sweep's `FAIL` block; a process that hung prints none.
fn first_broken(text: &str) -> &str {
    let mut blocks = text.lines().filter(|line| line.contains("  seed="));
    let first = blocks.find_map(|line| line.strip_prefix("FAIL ")?.split_whitespace().next());
    first.unwrap_or("hung")
}

/// `… crash points in 7,009 runs`.
fn runs_of(text: &str) -> Option<u64> {
    let (_, runs) = text.split_once(" crash points in ")?;
    runs.split_once(' ')?.0.replace(',', "").parse().ok()
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

/// CPU time of all children that have ended, seconds: fields 16 and 17 of
/// `proc(5)`'s stat.
fn children_cpu_s() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name, in parentheses; it may hold spaces.
    let (_, fields) = stat
        .rsplit_once(')')
        .ok_or_else(|| io::Error::other("/proc/self/stat has no name"))?;
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / TICKS_PER_S)
}
