//! The gate as a ground: every scenario over its own seeds, the cheapest first.
//!
//! Promise: costs are those of the build without a mutant, which is green over all that is
//! counted as a kill here.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::hunt::Hunted;
use super::program::{Pair, Program};
use super::run::{Judging, Kill, children_cpu_s, run};

/// The folder whose scenarios the gate runs (`.ci/run`).
const SCENARIOS: &str = "scenarios";

/// A scenario of the gate, and its cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateScenario {
    /// The file, from the workspace's root.
    pub scenario: String,
    /// CPU seconds over its own seeds, without a mutant.
    pub cpu_s: f64,
}

/// All scenario files below `scenarios`, from the workspace's root, by name.
///
/// # Errors
/// A folder cannot be read.
pub fn scenarios(workspace: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![SCENARIOS.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(workspace.join(&folder))? {
            let entry = entry?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            match entry.file_type()?.is_dir() {
                true => folders.push(name),
                false if name.ends_with(".toml") => found.push(name),
                false => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Runs each scenario without a mutant; the cheapest is first. Behind them the first that
/// is red, if one is.
///
/// # Errors
/// `zeroloss` cannot be run, or says what cannot be read.
pub fn measure(
    program: &Program,
    scenarios: &[String],
) -> io::Result<(Vec<GateScenario>, Option<Kill>)> {
    let (mut gate, mut red) = (Vec::new(), None);
    for scenario in scenarios {
        let before_s = children_cpu_s()?;
        let ran = run(program, scenario, None, Judging::AllChecks)?;
        gate.push(GateScenario {
            scenario: scenario.clone(),
            cpu_s: children_cpu_s()? - before_s,
        });
        red = red.or(ran.noticed);
    }
    gate.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
    Ok((gate, red))
}

/// Runs the gate with every check, until a scenario is not as it should be or `cap_cpu_s`
/// is used up.
///
/// # Errors
/// As [`measure`].
pub fn hunt(pair: &Pair, gate: &[GateScenario], cap_cpu_s: f64) -> io::Result<Hunted> {
    let mut hunted = Hunted::default();
    let judging = Judging::AllChecks;
    for (GateScenario { scenario, .. }, place) in gate.iter().zip(1..) {
        if hunted.cpu_s >= cap_cpu_s {
            hunted.is_cut = true;
            break;
        }
        let before_s = children_cpu_s()?;
        let ran = run(&pair.planted, scenario, None, judging)?;
        hunted.cpu_s += children_cpu_s()? - before_s;
        hunted.runs += ran.runs;
        let Some(mut kill) = ran.noticed else {
            continue;
        };
        let seeds = kill.seed.map(|seed| seed..seed + 1);
        let anyway = run(&pair.unplanted, scenario, seeds.as_ref(), judging)?;
        if anyway.noticed.is_some() {
            hunted.red_anyway.push((kill.scenario, kill.seed));
            continue;
        }
        kill.place = Some(place);
        hunted.kill = Some(kill);
        break;
    }
    Ok(hunted)
}
