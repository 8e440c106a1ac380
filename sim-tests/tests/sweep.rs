//! The sweep, swept: every point of a tiny run is judged, a loss that is there is
//! found, and what it says depends on nothing but file and seed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zeroloss::check::{Exit, Verdict};
use zeroloss::explore::Settings;
use zeroloss::explore::sweep::{SweepObserver, one_point, sweep};
use zeroloss::report::{Ends, SweepReport, sweep_text};
use zeroloss::scenario::{CrashPoint, Scenario, parse};

const SEED: u64 = 3;

struct Nobody;

impl SweepObserver for Nobody {
    fn runs_planned(&mut self, _: u64) {}
    fn run_ended(&mut self) {}
}

/// Three messages, one after the other, on one disk.
fn tiny(flush: &str) -> Arc<Scenario> {
    let text = format!(
        "faults = \"none\"\ntitle = \"tiny\"\nwhy = \"To be swept in a few seconds.\"\n\
         [cluster]\nflush = \"{flush}\"\nsegment_bytes = 8_192\n\
         [[workload]]\nkind = \"send\"\nqueues = 1\nmessages = 3\nbody_bytes = [100, 200]\n\
         [run]\nseeds = \"0..1\"\nduration_ms = 50\n[expect]\noutcome = \"zero-loss\"\n"
    );
    Arc::new(parse("tiny", "tiny.toml", &text).expect("a scenario"))
}

fn settings(jobs: usize, oracle: bool) -> Settings {
    Settings {
        jobs,
        oracle,
        hang_after: Duration::from_secs(120),
    }
}

fn swept(scenario: &Arc<Scenario>, jobs: usize, oracle: bool) -> SweepReport {
    let settings = settings(jobs, oracle);
    sweep(scenario, SEED, &settings, Ends::AtTheEnd, &mut Nobody).expect("it ends")
}

/// The report without its hash, which every event of every run changes.
fn shown(report: &SweepReport) -> String {
    sweep_text(report).replace(&format!("{:016x}", report.hash), "(hash)")
}

#[test]
fn every_point_of_a_tiny_run_is_judged() {
    let report = swept(&tiny("sync"), 1, true);
    insta::assert_snapshot!(shown(&report));
    let total = report.total();
    assert_eq!(total.judged.count(Verdict::Pass), total.points);
    assert_eq!(total.black_box.count(Verdict::Pass), total.points);
    let again = swept(&tiny("sync"), 3, true);
    assert_eq!(sweep_text(&again), sweep_text(&report), "on three threads");
}

#[test]
fn losses_of_asynchronous_flush_are_found_by_the_view_of_clients_alone() {
    let scenario = tiny("async");
    let report = swept(&scenario, 2, false);
    insta::assert_snapshot!(shown(&report));
    assert_eq!(report.assessment().exit, Exit::Missed);
    let total = report.total();
    assert!(total.black_box.count(Verdict::ExpectedLoss) > 0);
    // The point that it names does it again, by itself.
    let point = report.first_unfit_point().expect("a loss");
    let run = one_point(&scenario, SEED, &point, &settings(1, false)).expect("it ends");
    assert_eq!(run.verdict, Verdict::ExpectedLoss);
    assert!(!run.timeline.is_empty());
}

#[test]
fn a_point_that_does_not_come_is_nondeterminism() {
    let point: CrashPoint = "1000000:b0=none".parse().expect("a point");
    let settings = settings(1, true);
    let run = one_point(&tiny("sync"), SEED, &point, &settings).expect("it ends");
    assert_eq!(run.verdict, Verdict::Nondeterministic);
}

/// The repository's own sweeps have no faults of their own, and something to lose:
/// a transaction that is committed and a segment roll.
#[test]
fn the_sweeps_of_the_repository_have_all_that_they_are_there_for() {
    for (file, rolls) in [("single-sync.toml", 1), ("raft-3.toml", 3)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/sweep");
        let scenario = zeroloss::scenario::load(&folder.join(file)).expect("a valid scenario");
        let scenario = Arc::new(scenario);
        let seed = scenario.run.seeds.start;
        let point = CrashPoint::default();
        let run = one_point(&scenario, seed, &point, &settings(1, true)).expect("it ends");
        let until_ns = scenario.run.duration_ms * 1_000_000;
        let lines = run.timeline.iter().filter(|line| line.at_ns < until_ns);
        let count = |what: &[&str]| {
            let has = |text: &str| what.iter().all(|part| text.contains(part));
            lines.clone().filter(|line| has(&line.text)).count()
        };
        assert!(scenario.is_faultless());
        assert!(count(&["ack transaction", " committed"]) > 0, "{file}");
        let segments = count(&["rename commitlog/"]);
        assert!(
            segments >= rolls + scenario.cluster.brokers as usize,
            "{file}"
        );
    }
}
