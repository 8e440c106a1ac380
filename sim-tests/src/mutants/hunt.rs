//! Running seeds until something notices.

use std::io;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::program::Pair;
use super::run::{ABORTED, EXPECTATION, Judging, Kill, PANICKED, children_cpu_s, run, sweep};

/// Seeds of each scenario in the first round; each further round has twice as
/// many, so that what is found early costs little.
const FIRST_ROUND: u64 = 8;
/// Seeds of one call, times the scenario's share: what a kill cost is known as exactly as
/// that, and a cap is kept.
const CALL_SEEDS: u64 = 16;
/// The grounds of a hunt that has no hint where to look: everything at once, and
/// every crash point of one short run.
const SWEEP: &str = "scenarios/sweep/single-sync.toml";
/// Each with its share: so many seeds of it come for one of the first. A cheap swarm gets
/// more of them.
const SWARMS: [(&str, u64); 3] = [
    ("scenarios/swarm.toml", 1),
    ("scenarios/swarm-expiry.toml", 1),
    ("scenarios/swarm-single.toml", 8),
];
/// Seeds of the first swarm, at most; of each other one as many times its share.
const SWARM_SEEDS: u64 = 2_000;

/// The set of runs of a hunt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// The scenarios that the mutant's own file names.
    Aimed,
    /// Every scenario over its own seeds, as the gate runs them.
    Gate,
    /// The swarms and a sweep, over seeds that the gate does not run.
    Swarm,
}

impl Ground {
    /// Whether it is the same for every mutant.
    #[must_use]
    pub fn is_blind(self) -> bool {
        self != Self::Aimed
    }

    /// The name, as in arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aimed => "aimed",
            Self::Gate => "gate",
            Self::Swarm => "swarm",
        }
    }
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
    /// Runs that are red without the mutant, too, by scenario and seed (none of an
    /// expectation): they kill nothing, and the tree is to be mended.
    pub red_anyway: Vec<(String, Option<u64>)>,
    /// The CPU time of all runs of the hunt, seconds.
    pub cpu_s: f64,
    /// Whether the cap of CPU time ended it before its ground did.
    pub is_cut: bool,
}

/// Runs the swarms, and after their first round one sweep, until a run is not as it
/// should be or `cap_cpu_s` is used up. The sweep is done whole.
///
/// # Errors
/// As [`hunt`].
pub fn hunt_swarm(pair: &Pair, judging: Judging, cap_cpu_s: f64) -> io::Result<Hunted> {
    let swarms = SWARMS.map(|(swarm, share)| (swarm.to_owned(), share));
    let begun = Hunted::default();
    let first = 0..FIRST_ROUND;
    let mut hunted = go_on(begun, pair, &swarms, &first, judging, cap_cpu_s)?;
    if hunted.kill.is_some() || hunted.is_cut {
        return Ok(hunted);
    }
    let before_s = children_cpu_s()?;
    let swept = sweep(&pair.planted, SWEEP, judging)?;
    hunted.cpu_s += children_cpu_s()? - before_s;
    hunted.runs += swept.runs;
    match swept.noticed {
        Some(kill) if is_no_kill(&kill, judging) => hunted.panics += 1,
        Some(_) if sweep(&pair.unplanted, SWEEP, judging)?.noticed.is_some() => {
            hunted.red_anyway.push((SWEEP.to_owned(), None));
        }
        Some(kill) => {
            hunted.kill = Some(kill);
            return Ok(hunted);
        }
        None => {}
    }
    let rest = FIRST_ROUND..SWARM_SEEDS;
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
        for scenario in scenarios.iter().filter(|scenario| *scenario != SWARMS[0].0) {
            let own = run(&pair.planted, scenario, None, judging)?;
            begun.runs += own.runs;
            // A single run that is red is met again, and said, over the seeds.
            let short = own.noticed.filter(|kill| kill.check == EXPECTATION);
            if let Some(kill) = short
                && run(&pair.unplanted, scenario, None, judging)?
                    .noticed
                    .is_none()
            {
                begun.kill = Some(kill);
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

/// Whether it is an assertion of the product's, where those kill nothing.
fn is_no_kill(kill: &Kill, judging: Judging) -> bool {
    let by_assertion = kill.check == PANICKED || kill.check == ABORTED;
    judging == Judging::BlackBox && by_assertion
}

/// `scenarios`: each with its share, see [`SWARMS`].
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
    while from < seeds.end {
        let upto = seeds.end.min(from + round);
        for (scenario, share) in scenarios {
            let mut left = from * share..upto * share;
            while !left.is_empty() {
                if hunted.cpu_s >= cap_cpu_s {
                    hunted.is_cut = true;
                    return Ok(hunted);
                }
                let call = left.start..left.end.min(left.start + CALL_SEEDS * share);
                let before_s = children_cpu_s()?;
                let ran = run(&pair.planted, scenario, Some(&call), judging)?;
                hunted.cpu_s += children_cpu_s()? - before_s;
                let Some(kill) = ran.noticed else {
                    hunted.runs += call.end - call.start;
                    left.start = call.end;
                    continue;
                };
                let next = kill.seed.map_or(call.end, |seed| seed + 1);
                let noticing = kill.seed.unwrap_or(left.start)..next;
                hunted.runs += next - left.start;
                left.start = next;
                if is_no_kill(&kill, judging) {
                    hunted.panics += 1;
                    continue;
                }
                let anyway = run(&pair.unplanted, scenario, Some(&noticing), judging)?;
                if anyway.noticed.is_some() {
                    hunted.red_anyway.push((kill.scenario, kill.seed));
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
