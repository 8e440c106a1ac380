//! One seed, one run: byte-identical output and one trace hash, wherever and
//! whenever it is run.
//!
//! Things that would break it, and how each was seen to fail once: a map whose order
//! depends on the process, a draw from a process-wide counter, state that one run
//! leaves to the next on its thread, results taken in the order in which workers
//! finish.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zeroloss::explore::{Job, Observer, Runner, Settings, explore, run_once};
use zeroloss::report::{RunReport, ScenarioReport, text};
use zeroloss::scenario::{RunOptions, Scenario, parse};

const HANG_AFTER: Duration = Duration::from_secs(120);
const ACTS: [&str; 3] = [
    "1-async-flush-power-loss",
    "2-sync-flush-power-loss",
    "3-sync-flush-disk-destroyed",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file_of(act: &str) -> String {
    format!("scenarios/acts/{act}.toml")
}

fn act(name: &str) -> Arc<Scenario> {
    let file = file_of(name);
    let text = std::fs::read_to_string(root().join(&file)).expect("the act is there");
    Arc::new(parse(&format!("acts/{name}"), &file, &text).expect("the act is a scenario"))
}

fn runner() -> Arc<dyn Runner> {
    Arc::new(zeroloss::sim::run)
}

fn alone(scenario: &Arc<Scenario>, seed: u64, timeline: bool) -> RunReport {
    let oracle = true;
    let options = RunOptions { oracle, timeline };
    run_once(&runner(), scenario, seed, options, HANG_AFTER).expect("it ends")
}

/// Runs the command line in a process of its own, in the checkout.
fn process(arguments: &[&str]) -> (String, Option<i32>) {
    let ran = Command::new(env!("CARGO_BIN_EXE_zeroloss-child"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("the command line runs");
    let shown = String::from_utf8(ran.stdout).expect("text");
    assert!(
        !shown.is_empty(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    (shown, ran.status.code())
}

/// The text that `replay` prints of a run.
fn as_replayed(run: &RunReport, scenario: &Scenario) -> String {
    let fits = scenario.expect.outcome.allows(run.verdict);
    let again = text::replay(&scenario.file, run.seed);
    text::timeline(run) + &text::run(run, &again, fits)
}

#[test]
fn twice_in_one_process() {
    for name in ACTS {
        let scenario = act(name);
        let (first, again) = (alone(&scenario, 7, true), alone(&scenario, 7, true));
        assert!(first.events > 1_000, "{name}: a run worth comparing");
        assert_eq!(first.trace_hash, again.trace_hash, "{name}");
        assert_eq!(first, again, "{name}");
        assert_eq!(
            as_replayed(&first, &scenario),
            as_replayed(&again, &scenario)
        );
        let other = alone(&scenario, 8, false);
        assert_ne!(first.trace_hash, other.trace_hash, "seeds differ");
    }
}

#[test]
fn in_two_processes_and_in_this_one() {
    for name in ACTS {
        let (scenario, file) = (act(name), file_of(name));
        let arguments = ["replay", &file, "--seed", "11"];
        let (first, again) = (process(&arguments), process(&arguments));
        assert_eq!(first, again, "{name}");
        let here = alone(&scenario, 11, true);
        assert_eq!(first.0, as_replayed(&here, &scenario), "{name}");
    }
}

/// Every report of an exploration, by seed.
fn explored(scenario: &Arc<Scenario>, seeds: std::ops::Range<u64>) -> BTreeMap<u64, RunReport> {
    let reports = Arc::new(Mutex::new(BTreeMap::new()));
    let kept = Arc::clone(&reports);
    let keeping = move |scenario: &Scenario, seed: u64, options: &RunOptions| {
        let report = zeroloss::sim::run(scenario, seed, options);
        let mut bare = report.clone();
        bare.timeline.clear();
        kept.lock().expect("no run panics").insert(seed, bare);
        report
    };
    let runner: Arc<dyn Runner> = Arc::new(keeping);
    let job = Job {
        scenario: Arc::clone(scenario),
        seeds,
    };
    let settings = Settings {
        jobs: 1,
        oracle: true,
        hang_after: HANG_AFTER,
    };
    explore(&runner, &[job], &settings, &mut Silent).expect("it ends");
    std::mem::take(&mut *reports.lock().expect("no run panics"))
}

struct Silent;

impl Observer for Silent {
    fn run_ended(&mut self) {}
    fn scenario_ended(&mut self, _: ScenarioReport) -> std::io::Result<()> {
        Ok(())
    }
}

/// A seed found at position N of an exploration has to replay alone.
#[test]
fn alone_and_as_the_fiftieth_of_an_exploration() {
    let name = ACTS[1];
    let scenario = act(name);
    let reports = explored(&scenario, 0..50);
    assert_eq!(reports.len(), 50);
    for seed in [0, 24, 49] {
        assert_eq!(reports[&seed], alone(&scenario, seed, false), "seed {seed}");
    }
    // Alone in a process that has run nothing before.
    let (shown, _) = process(&["replay", &file_of(name), "--seed", "49"]);
    let hash = format!("{:016x}", reports[&49].trace_hash);
    assert!(shown.contains(&hash), "hash {hash} is not in:\n{shown}");
}

#[test]
fn with_one_worker_and_with_two() {
    let run = |jobs: &str, form: &[&str]| {
        let arguments = ["run", "scenarios/acts", "--seeds", "0..6", "--jobs", jobs];
        process(&[&arguments[..], form].concat())
    };
    for form in [&[][..], &["--json"][..]] {
        assert_eq!(run("1", form), run("2", form));
    }
}
