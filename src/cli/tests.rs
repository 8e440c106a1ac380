//! The command line over a runner that only pretends.

use std::io::{Error, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use clap::Parser;

use super::{Cli, call, execute};
use crate::check::{Blame, Counts, Exit, Finding, Instead, Judgement, Lost, LostThing, Missed};
use crate::check::{Promise, Verdict};
use crate::explore::{ExploreError, Job, Observer, Runner, Settings, explore};
use crate::history::{FaultEvent, FaultKind, Ledger, Queue, Value};
use crate::report::{RunReport, ScenarioReport, TimelineLine, Trace};
use crate::scenario::{RunOptions, Scenario};

const MS: u64 = 1_000_000;

/// A directory of scenarios `a`, `b`, `single/c`: four seeds each, zero loss
/// expected of all but `b`.
fn scenarios() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path().join("scenarios");
    std::fs::create_dir_all(root.join("single")).expect("created");
    for (name, outcome) in [("a", "zero-loss"), ("b", "loss"), ("single/c", "zero-loss")] {
        let text = format!(
            "title = \"{name}\"\nwhy = \"To see {name}.\"\n[cluster]\nflush = \"sync\"\n\
             [[workload]]\nkind = \"send\"\nmessages = 10\n\
             [[fault]]\nkind = \"power-loss\"\ncount = 2\n[[fault]]\nkind = \"rot\"\n\
             [run]\nseeds = \"0..4\"\n[expect]\noutcome = \"{outcome}\"\n"
        );
        save(&root.join(format!("{name}.toml")), &text);
    }
    dir
}

#[expect(clippy::disallowed_methods, reason = "a test's own files")]
fn save(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}

struct Ran {
    exit: u8,
    out: String,
    err: String,
}

/// Runs the command line on [`scenarios`]; `DIR` in an argument is their place.
fn zeroloss(arguments: &str, runner: impl Runner) -> Ran {
    let dir = scenarios();
    ran_in(dir.path(), arguments, runner)
}

fn ran_in(dir: &Path, arguments: &str, runner: impl Runner) -> Ran {
    let dir = dir.display().to_string();
    let arguments = arguments.split(' ').map(|word| word.replace("DIR", &dir));
    let arguments = std::iter::once("zeroloss".to_owned()).chain(arguments);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = call(arguments, runner, &mut out, &mut err);
    Ran {
        exit: exit.code(),
        out: String::from_utf8(out).expect("text"),
        err: String::from_utf8(err).expect("text"),
    }
}

fn fired(kind: FaultKind) -> FaultEvent {
    FaultEvent {
        at_ns: 11_021 * MS,
        event: 0,
        kind,
        node: 0,
        eligible: true,
        observed: true,
        dirty_log_bytes: 512,
        dirty_other_bytes: 0,
        sends_in_flight: 1,
        held_after: 9_000,
        hit: 0,
        held_by: 0,
        death: None,
        note: String::new(),
    }
}

/// A run of `verdict`, with everything that such a run has.
fn pretend(scenario: &Scenario, seed: u64, options: &RunOptions, verdict: Verdict) -> RunReport {
    let mut ledger = Ledger::default();
    ledger.armed.insert(FaultKind::PowerLoss, 2);
    ledger.armed.insert(FaultKind::Rot, 1);
    ledger.fired = vec![fired(FaultKind::PowerLoss); 2];
    let lost = lost();
    let mut finding = lost.finding();
    let why = "taken by power-loss of broker 0 at 11.021s, under which nothing may be lost";
    finding.lines.push(why.to_owned());
    finding.moments_ns.push(11_021 * MS);
    let skipped = Finding {
        promise: Promise::AtLeastOnce,
        ..finding.clone()
    };
    let (lost, allowed, findings) = match verdict {
        Verdict::Fail => (
            vec![(lost, Blame::StillHeld)],
            vec![],
            vec![finding.clone(), finding, skipped],
        ),
        Verdict::ExpectedLoss => (vec![(lost, Blame::Fault(0))], vec![finding], vec![]),
        _ => (vec![], vec![], vec![]),
    };
    let judgement = Judgement {
        verdict,
        counts: Counts {
            acknowledged: 300,
            rejected: 1,
            unknown: 2,
            processed: 310,
            repeated: 10,
            lost_processed: 0,
            published_again: 0,
            paid: 0,
            without_packet: 0,
        },
        lost,
        allowed,
        waived: Vec::new(),
        findings,
    };
    let trace = Trace {
        hash: 0x1234 + seed,
        events: 51_000,
        simulated_ns: 42_000 * MS,
        timeline: match options.timeline {
            true => timeline(),
            false => Vec::new(),
        },
    };
    RunReport::new(&scenario.id, seed, trace, &ledger, judgement)
}

fn lost() -> Lost {
    Lost {
        thing: LostThing::Acknowledged {
            queue: Queue {
                topic: "orders".into(),
                queue_id: 3,
            },
            offset: 1_842,
            address: 9_120,
            value: Value {
                client: 1,
                sequence: 7,
                digest: 7,
            },
        },
        known_ns: 11_020 * MS,
        missed_ns: 12_408 * MS,
        event: 40_312,
        missed: Missed::FinalRead {
            instead: Instead::Nothing,
        },
    }
}

fn timeline() -> Vec<TimelineLine> {
    let lines = [
        (9_000, "b0 /   append 9020"),
        (9_001, "b0 /   ack 9020        synced=9020"),
        (11_019, "b0 /   append 9120"),
        (11_020, "b0 /   ack 9120        synced=9119"),
        (11_021, "b0 !   power lost"),
        (11_500, "b0 .   started"),
        (12_000, "b0 /   recovered to 9119"),
        (12_100, "b0 /   append 9119"),
        (12_408, "reader  orders/3 0..1842"),
    ];
    let lines = lines.map(|(at_ms, text)| TimelineLine {
        at_ns: at_ms * MS,
        text: text.to_owned(),
    });
    lines.to_vec()
}

/// `a` passes, `b` loses as expected, `single/c` fails with two seeds.
fn mixed(scenario: &Scenario, seed: u64, options: &RunOptions) -> RunReport {
    let verdict = match (scenario.id.as_str(), seed) {
        ("b", 0..3) => Verdict::ExpectedLoss,
        ("b", _) => Verdict::Void,
        ("single/c", 1) => Verdict::Fail,
        ("single/c", 2) => Verdict::Stuck,
        _ => Verdict::Pass,
    };
    let mut report = pretend(scenario, seed, options, verdict);
    if scenario.id == "a" {
        report.faults.remove(&FaultKind::Rot);
    }
    report
}

#[test]
fn a_line_for_each_scenario_and_a_block_for_the_first_failure() {
    let ran = zeroloss("run DIR/scenarios", mixed);
    assert_eq!(ran.exit, 10);
    insta::assert_snapshot!(ran.out);
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let one = zeroloss("run DIR/scenarios --jobs 1", mixed);
    let two = zeroloss("run DIR/scenarios --jobs 2", mixed);
    let many = zeroloss("run DIR/scenarios --jobs 16", mixed);
    assert_eq!(one.out, two.out);
    assert_eq!(one.out, many.out);
}

#[test]
fn a_later_scenario_that_ends_first_waits_for_its_turn() {
    let ended = Arc::new((Mutex::new(false), Condvar::new()));
    let runner = move |scenario: &Scenario, seed: u64, options: &RunOptions| {
        let (later_ended, changed) = &*ended;
        if scenario.id == "a" {
            let guard = later_ended.lock().expect("unpoisoned");
            let _guard = changed
                .wait_while(guard, |ended| !*ended)
                .expect("unpoisoned");
        } else {
            *later_ended.lock().expect("unpoisoned") = true;
            changed.notify_all();
        }
        pretend(scenario, seed, options, Verdict::Pass)
    };
    let ran = zeroloss("run DIR/scenarios --jobs 2 --seed 5", runner);
    let ids = ran
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("pass  ")?.split(' ').next());
    assert_eq!(ids.collect::<Vec<_>>(), ["a", "b", "single/c"]);
    assert_eq!(ran.exit, 0, "of one run nobody expects that it loses");
}

#[test]
fn json_is_a_line_for_each_scenario() {
    let ran = zeroloss("run DIR/scenarios --json", mixed);
    assert_eq!(ran.exit, 10);
    let lines: Vec<serde_json::Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["verdicts"]["expected-loss"], 3);
    assert_eq!(lines[2]["broken"]["durability"], 1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&lines[2]).expect("JSON"));
}

#[test]
fn seeds_are_the_file_s_unless_given() {
    let seeds = |arguments: &str| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        zeroloss(
            arguments,
            move |scenario: &Scenario, seed: u64, options: &RunOptions| {
                record.lock().expect("unpoisoned").push(seed);
                pretend(scenario, seed, options, Verdict::Pass)
            },
        );
        let mut seen = seen.lock().expect("unpoisoned").clone();
        seen.sort_unstable();
        seen
    };
    assert_eq!(seeds("run DIR/scenarios/a.toml"), [0, 1, 2, 3]);
    assert_eq!(seeds("run DIR/scenarios/a.toml --seed 9"), [9]);
    assert_eq!(seeds("run DIR/scenarios/a.toml --seeds 7..9"), [7, 8]);
    let fresh = seeds("run DIR/scenarios/a.toml --fresh 3");
    assert_eq!(fresh.len(), 3);
    assert!(fresh[0] >= 1_000_000, "beyond what files name: {fresh:?}");
}

#[test]
fn red_fresh_seeds_are_not_left_to_the_next_commit() {
    let ran = |verdict| {
        zeroloss(
            "run DIR/scenarios/a.toml --fresh 3",
            move |scenario: &Scenario, seed: u64, options: &RunOptions| {
                pretend(scenario, seed, options, verdict)
            },
        )
    };
    let green = ran(Verdict::Pass);
    assert!(green.err.starts_with("fresh seeds "), "{}", green.err);
    assert!(!green.err.contains("regression"), "{}", green.err);
    let red = ran(Verdict::Fail);
    assert_eq!(red.exit, 10);
    assert!(red.err.contains("keep each as a regression"), "{}", red.err);
}

#[test]
fn options_reach_the_run() {
    let oracle = |arguments: &str| {
        let seen = Arc::new(Mutex::new(None));
        let record = seen.clone();
        zeroloss(
            arguments,
            move |scenario: &Scenario, seed: u64, options: &RunOptions| {
                *record.lock().expect("unpoisoned") = Some(options.oracle);
                pretend(scenario, seed, options, Verdict::Pass)
            },
        );
        let seen = seen.lock().expect("unpoisoned");
        seen.expect("it ran")
    };
    assert!(oracle("run DIR/scenarios/a.toml"));
    assert!(!oracle("run DIR/scenarios/a.toml --no-oracle"));
    assert!(!oracle("replay DIR/scenarios/a.toml --seed 1 --no-oracle"));
}

#[test]
fn exit_codes() {
    let always = |verdict: Verdict| {
        move |scenario: &Scenario, seed: u64, options: &RunOptions| {
            pretend(scenario, seed, options, verdict)
        }
    };
    for (verdict, code) in [
        (Verdict::Pass, 0),
        (Verdict::ExpectedLoss, 10),
        (Verdict::Fail, 10),
        (Verdict::Stuck, 11),
        (Verdict::Void, 14),
    ] {
        let run = zeroloss("run DIR/scenarios/a.toml", always(verdict));
        assert_eq!(run.exit, code, "run: {verdict}");
        let replay = zeroloss("replay DIR/scenarios/a.toml --seed 3", always(verdict));
        assert_eq!(replay.exit, code, "replay: {verdict}");
    }
    assert_eq!(zeroloss("run DIR/nowhere", mixed).exit, 2);
    assert_eq!(zeroloss("run DIR", mixed).exit, 10);
}

#[test]
fn a_panic_is_a_crash_with_its_words() {
    let runner = |scenario: &Scenario, seed: u64, options: &RunOptions| {
        assert!(seed != 2, "the log has a hole at {seed}");
        pretend(scenario, seed, options, Verdict::Pass)
    };
    let ran = zeroloss("run DIR/scenarios/a.toml", runner);
    assert_eq!(ran.exit, 12);
    let block = ran.out.split_once("FAIL no-panic").expect("a block").1;
    let place = block.lines().nth(2).expect("the place").trim();
    assert!(place.starts_with("at src/cli/tests.rs:"), "{place}");
    insta::assert_snapshot!(block.replace(place, "at src/cli/tests.rs:LINE"));
}

#[test]
fn a_seed_that_differs_when_looked_at_again_is_nondeterministic() {
    let count = AtomicU64::new(0);
    let runner = move |scenario: &Scenario, seed: u64, options: &RunOptions| {
        let mut report = pretend(scenario, seed, options, Verdict::Fail);
        report.trace_hash += count.fetch_add(1, Ordering::Relaxed);
        report
    };
    let ran = zeroloss("run DIR/scenarios/a.toml --seed 1", runner);
    assert_eq!(ran.exit, 13);
    assert!(ran.out.contains("two runs with one seed"), "{}", ran.out);
}

#[test]
fn replay_shows_everything() {
    let ran = zeroloss("replay DIR/scenarios/single/c.toml --seed 1", mixed);
    assert_eq!(ran.exit, 10);
    insta::assert_snapshot!(ran.out);
    let ran = zeroloss("replay DIR/scenarios/b.toml --seed 1", mixed);
    assert_eq!(ran.exit, 0, "a loss that was expected");
}

#[test]
fn replay_names_the_first_event_that_differs() {
    let count = AtomicU64::new(0);
    let runner = move |scenario: &Scenario, seed: u64, options: &RunOptions| {
        let mut report = pretend(scenario, seed, options, Verdict::Pass);
        if count.fetch_add(1, Ordering::Relaxed) == 1 {
            report.trace_hash += 1;
            report.timeline[4].text = "b0 !   killed".to_owned();
        }
        report
    };
    let ran = zeroloss("replay DIR/scenarios/a.toml --seed 1", runner);
    assert_eq!(ran.exit, 13);
    assert!(
        ran.out.contains("first run:  11.021s b0 !   power lost"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("second run: 11.021s b0 !   killed"),
        "{}",
        ran.out
    );
}

#[test]
fn list_is_aligned() {
    insta::assert_snapshot!(zeroloss("list DIR/scenarios", mixed).out, @"
    a         zero-loss  seeds 0..4
        To see a.
        faults: power-loss ×2, rot
    b         loss       seeds 0..4
        To see b.
        faults: power-loss ×2, rot
    single/c  zero-loss  seeds 0..4
        To see single/c.
        faults: power-loss ×2, rot
    ");
}

#[test]
fn bad_files_are_all_shown_before_any_run() {
    let dir = scenarios();
    for name in ["a", "b"] {
        save(
            &dir.path().join(format!("scenarios/{name}.toml")),
            "why = 3\n",
        );
    }
    let runner = |_: &Scenario, _: u64, _: &RunOptions| -> RunReport { panic!("no run") };
    let ran = ran_in(dir.path(), "run DIR/scenarios", runner);
    assert_eq!((ran.exit, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("scenarios/a.toml:1:1"), "{}", ran.err);
    assert!(ran.err.contains("scenarios/b.toml:1:1"), "{}", ran.err);
    assert!(!ran.err.contains("panic"), "{}", ran.err);
}

#[test]
fn a_plan_is_shown_written_and_replayed_without_its_seed() {
    let dir = scenarios();
    let of_seed_3 = |scenario: &Scenario, seed: u64, options: &RunOptions| -> RunReport {
        assert!(seed == 3 && scenario.planned.is_some());
        mixed(scenario, seed, options)
    };
    let shown = ran_in(dir.path(), "plan DIR/scenarios/a.toml --seed 3", mixed);
    assert_eq!((shown.exit, shown.err.as_str()), (0, ""));
    let written = ran_in(
        dir.path(),
        "plan DIR/scenarios/a.toml --seed 3 --out DIR/p.toml",
        mixed,
    );
    assert_eq!((written.exit, written.out.as_str()), (0, ""));
    let plan = std::fs::read_to_string(dir.path().join("p.toml")).expect("written");
    assert_eq!(plan, shown.out);
    let replayed = ran_in(
        dir.path(),
        "replay DIR/scenarios/a.toml --plan DIR/p.toml",
        of_seed_3,
    );
    assert_eq!(replayed.err, "");
    save(
        &dir.path().join("p.toml"),
        &plan.replacen("\nfrom_ns", "\nform_ns", 1),
    );
    let runner = |_: &Scenario, _: u64, _: &RunOptions| -> RunReport { panic!("no run") };
    let refused = ran_in(
        dir.path(),
        "replay DIR/scenarios/a.toml --plan DIR/p.toml",
        runner,
    );
    assert_eq!((refused.exit, refused.out.as_str()), (2, ""));
    assert!(
        refused.err.contains("did you mean `from_ns`?"),
        "{}",
        refused.err
    );
    let missing = ran_in(
        dir.path(),
        "replay DIR/scenarios/a.toml --plan DIR/q.toml",
        runner,
    );
    assert_eq!(missing.exit, 2);
    assert!(
        missing.err.starts_with("error: cannot read the plan"),
        "{}",
        missing.err
    );
}

/// A pipe whose reader has gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(Error::from(ErrorKind::BrokenPipe))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let dir = scenarios();
    let root = dir.path().join("scenarios").display().to_string();
    for command in ["run", "list"] {
        let cli = Cli::try_parse_from(["zeroloss", command, &root]).expect("right usage");
        let runner: Arc<dyn Runner> = Arc::new(mixed);
        let mut err = Vec::new();
        assert_eq!(
            execute(&cli, &runner, &mut Closed, &mut err),
            Exit::TestbedIo
        );
        assert_eq!(String::from_utf8(err).expect("text"), "");
    }
}

#[test]
fn a_run_that_never_returns_is_named() {
    struct Nobody;
    impl Observer for Nobody {
        fn run_ended(&mut self) {}
        fn scenario_ended(&mut self, _: ScenarioReport) -> std::io::Result<()> {
            Ok(())
        }
    }
    let dir = scenarios();
    let scenario = crate::scenario::load(&dir.path().join("scenarios/a.toml")).expect("valid");
    let runner: Arc<dyn Runner> = Arc::new(|_: &Scenario, _: u64, _: &RunOptions| -> RunReport {
        loop {
            std::thread::park();
        }
    });
    let job = Job {
        scenario: Arc::new(scenario),
        seeds: 3..4,
    };
    let settings = Settings {
        jobs: 1,
        oracle: true,
        hang_after: std::time::Duration::ZERO,
    };
    let error = explore(&runner, &[job], &settings, &mut Nobody).expect_err("it hangs");
    insta::assert_snapshot!(error, @"
    HUNG a  seed=3
      reproduce: zeroloss replay scenarios/a.toml --seed 3
    ");
    assert!(matches!(error, ExploreError::Hung(_)));
    assert_eq!(super::CommandError::from(error).exit(), Exit::Stuck);
}

#[test]
fn a_run_with_faults_of_its_own_is_not_swept() {
    let never = |_: &Scenario, _: u64, _: &RunOptions| -> RunReport { panic!("nothing is run") };
    let ran = zeroloss("sweep DIR/scenarios/a.toml", never);
    insta::assert_snapshot!(ran.err, @"error: scenarios/a.toml has faults of its own: a sweep wants a run without, `faults = \"none\"`");
    assert_eq!((ran.exit, ran.out.as_str()), (2, ""));
}

#[test]
fn usage() {
    let refused = [
        "run",
        "run x --seed 1 --seeds 0..2",
        "run x --seeds 2..2",
        "run x --fresh 0",
        "run x --fresh 5 --seed 1",
        "run x --seeds two",
        "run x --jobs 0",
        "replay x",
        "sweep",
        "sweep x --point 12",
        "sweep x --first --point 12:b0=none",
        "fly",
    ];
    for arguments in refused {
        let words = std::iter::once("zeroloss").chain(arguments.split(' '));
        let error = Cli::try_parse_from(words).expect_err(arguments);
        assert_eq!(error.exit_code(), 2, "{arguments}");
    }
}

#[test]
fn help_is_a_result_and_what_is_said_of_wrong_usage_is_none() {
    let never = |_: &Scenario, _: u64, _: &RunOptions| -> RunReport { panic!("nothing is run") };
    let help = zeroloss("run --help", never);
    assert_eq!((help.exit, help.err.as_str()), (0, ""));
    assert!(help.out.contains("--ledger"), "{}", help.out);
    let wrong = zeroloss("fly", never);
    assert_eq!((wrong.exit, wrong.out.as_str()), (2, ""));
    assert!(wrong.err.contains("'fly'"), "{}", wrong.err);
}
