//! Hunts over a script in place of `zeroloss`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::gate::{self, GateScenario};
use super::hunt::{Hunted, hunt_swarm};
use super::program::{Pair, Program};
use super::run::{By, Judging};

/// `zeroloss run`: number 1 breaks `broken` and the second seed of the single swarm, number 2
/// ends without a report, and `red` is red for everybody. `dear` costs CPU time.
const RUN: &str = r#"
echo "$ZEROLOSS_MUTANT $1 $6" >> calls
line() { echo "{\"scenario\":\"$1\",\"as_expected\":$2,\"verdicts\":{\"pass\":8},\"first_unfit\":$3}"; }
unfit() { line "$1" false "{\"seed\":$2,\"verdict\":\"fail\",\"findings\":[{\"promise\":\"durability\"}]}"; }
case "$ZEROLOSS_MUTANT $1" in
    *" red") unfit red 3 ;;
    "1 broken") unfit broken 5 ;;
    "1 scenarios/swarm-single.toml") unfit swarm-single 1 ;;
    "2 broken") echo "out of memory" >&2; kill -ABRT $$ ;;
    *" dear") i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; line "$1" true null ;;
    *) line "$1" true null ;;
esac
"#;

/// `zeroloss sweep`.
const SWEEP: &str = "echo '9 crash points in 1,009 runs'\n";

fn pair(folder: &Path, number: u32) -> Pair {
    for (name, text) in [("run", RUN), ("sweep", SWEEP)] {
        let written =
            File::create(folder.join(name)).and_then(|mut it| it.write_all(text.as_bytes()));
        written.expect("it is written");
    }
    let program = |number| Program::new("/bin/sh".into(), folder.to_owned(), number);
    Pair {
        planted: program(number),
        unplanted: program(0),
    }
}

fn calls(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("calls")).expect("something was run");
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn gate_hunt(folder: &Path, number: u32, names: &[&str], cap_cpu_s: f64) -> Hunted {
    let gate = names.iter().map(|name| GateScenario {
        scenario: (*name).to_owned(),
        cpu_s: 1.0,
    });
    let gate: Vec<_> = gate.collect();
    gate::hunt(&pair(folder, number), &gate, cap_cpu_s).expect("it is run")
}

#[test]
fn the_gate_stops_at_the_first_kill_and_says_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let hunted = gate_hunt(folder.path(), 1, &["fine", "red", "broken", "behind"], 60.0);
    let kill = hunted.kill.expect("it is killed");
    assert_eq!(
        (kill.place, kill.seed, kill.by()),
        (Some(3), Some(5), By::Safety)
    );
    // Red without the mutant, too: no kill, and said.
    assert_eq!(hunted.red_anyway, [("red".to_owned(), Some(3))]);
    let wanted = ["1 fine", "1 red", "0 red 3..4", "1 broken", "0 broken 5..6"];
    assert_eq!(calls(folder.path()), wanted);
}

#[test]
fn a_process_without_a_report_is_a_kill_and_a_cap_ends_a_gate() {
    let folder = tempfile::tempdir().expect("a folder");
    let kill = gate_hunt(folder.path(), 2, &["broken"], 60.0)
        .kill
        .expect("it is killed");
    assert_eq!((kill.check.as_str(), kill.by()), ("aborted", By::Panic));

    let hunted = gate_hunt(folder.path(), 1, &["dear", "broken"], 0.01);
    assert!(hunted.kill.is_none() && hunted.is_cut, "{hunted:?}");
    let hunted = gate_hunt(folder.path(), 3, &["broken"], 60.0);
    assert!(hunted.kill.is_none() && !hunted.is_cut, "{hunted:?}");
}

#[test]
fn the_cheapest_scenario_is_first_and_a_red_one_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = pair(folder.path(), 1).unplanted;
    let names = ["dear", "broken"].map(str::to_owned);
    let (gate, red) = gate::measure(&program, &names).expect("it is run");
    let order: Vec<_> = gate.iter().map(|it| it.scenario.as_str()).collect();
    assert_eq!((order.as_slice(), red), (&["broken", "dear"][..], None));
    let (_, red) = gate::measure(&program, &["red".to_owned()]).expect("it is run");
    assert_eq!(red.map(|kill| kill.scenario), Some("red".to_owned()));
}

/// The files below `scenarios`, those in folders included, and nothing else.
#[test]
fn the_gate_has_all_scenario_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("scenarios/inner");
    fs::create_dir_all(&inner).expect("a folder");
    for file in ["a.toml", "note.md", "inner/b.toml"] {
        File::create(folder.path().join("scenarios").join(file)).expect("a file");
    }
    let found = gate::scenarios(folder.path()).expect("it is read");
    assert_eq!(found, ["scenarios/a.toml", "scenarios/inner/b.toml"]);
}

#[test]
fn a_swarm_hunt_stops_at_the_first_kill_or_at_the_cap() {
    let folder = tempfile::tempdir().expect("a folder");
    let judging = Judging::AllChecks;
    let hunted = hunt_swarm(&pair(folder.path(), 1), judging, 60.0).expect("it is run");
    let kill = hunted.kill.expect("it is killed");
    assert_eq!(
        (kill.scenario.as_str(), kill.seed, kill.place),
        ("swarm-single", Some(1), None)
    );
    assert_eq!(hunted.runs, 8 + 8 + 2);

    let hunted = hunt_swarm(&pair(folder.path(), 3), judging, 0.0).expect("it is run");
    assert!(hunted.kill.is_none() && hunted.is_cut, "{hunted:?}");
    let all = hunt_swarm(&pair(folder.path(), 3), judging, 600.0).expect("it is run");
    assert!(all.kill.is_none() && !all.is_cut, "{all:?}");
    assert_eq!(all.runs, 2_000 * (1 + 1 + 8) + 1_009);
}
