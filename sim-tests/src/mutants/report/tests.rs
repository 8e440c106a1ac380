//! The score of made-up hunts.

use super::super::generate;
use super::super::hunt::{Ground, Hunted};
use super::super::judged::Judged;
use super::super::run::{Judging, Kill};
use super::super::table::Hunt;
use super::{Class, GateScenario, Kind, Measured, Measurement, Score};

fn kill(check: &str, place: Option<usize>) -> Option<Kill> {
    Some(Kill {
        check: check.to_owned(),
        scenario: "acts/1".to_owned(),
        seed: Some(3),
        place,
    })
}

fn hunt(ground: Ground, kill: Option<Kill>, cpu_s: f64) -> Hunt {
    let hunted = Hunted {
        kill,
        runs: 8,
        cpu_s,
        ..Hunted::default()
    };
    Hunt {
        ground,
        judging: Judging::AllChecks,
        hunted,
    }
}

fn gate(check: &str, place: usize) -> Vec<Hunt> {
    vec![hunt(Ground::Gate, kill(check, Some(place)), 2.0)]
}

fn swarm(kill: Option<Kill>, cpu_s: f64) -> Vec<Hunt> {
    vec![
        hunt(Ground::Gate, None, 20.0),
        hunt(Ground::Swarm, kill, cpu_s),
    ]
}

fn measurement(commit: &str) -> Measurement {
    let text = "fn f(a: u8, b: u8) -> bool {\n    a < 3 || b == 1 || a > 5 && b != 7\n}\n";
    let mutants = generate::in_file("src/product/log/a.rs", text).expect("it is parsed");
    let hunts = [
        gate("durability", 1),
        gate("liveness", 3),
        gate("crashed", 4),
        swarm(kill("durability, liveness", None), 60.0),
        swarm(kill("expectation", None), 61.0),
        swarm(None, 300.0),
        swarm(None, 300.0),
        swarm(None, 300.0),
    ];
    let measured = mutants.iter().zip(&hunts);
    Measurement {
        kind: Kind::Sample,
        commit: commit.to_owned(),
        date: "2026-12-01".to_owned(),
        is_changed: false,
        seed: Some(7),
        drawn_of: Some(5_000),
        grounds: vec![Ground::Gate, Ground::Swarm],
        cap_cpu_s: 300,
        is_gate_whole: true,
        gate: vec![GateScenario {
            scenario: "scenarios/acts/1.toml".to_owned(),
            cpu_s: 0.5,
        }],
        mutants: measured
            .map(|(mutant, hunts)| Measured::of(mutant, hunts))
            .collect(),
    }
}

/// A judgement of the first survivor.
fn judged() -> Judged {
    let first = measurement("c").mutants[5].key.clone();
    let text = format!(
        "[[survivor]]\nmodule = \"{}\"\nfunction = \"{}\"\ndescription = \"{}\"\n\
         judgement = \"equivalent\"\nwhy = \"b is 1 | 2 here.\"\n",
        first.module, first.function, first.description
    );
    Judged::parse(&text).expect("a judgement")
}

#[test]
fn a_page_of_one_measurement() {
    let mut score = Score::default();
    score.add(measurement("0123456789abcdef"));
    score.judge(&judged());
    assert_eq!(score.unjudged().count(), 2);
    insta::assert_snapshot!(score.page());
}

/// A measurement replaces the last one, its row only where the commit is the same; what
/// people said is said of the new one, too, and never of one that was killed.
#[test]
fn judgements_and_rows_outlive_a_measurement() {
    let mut score = Score::default();
    for commit in ["aaaa", "bbbb", "bbbb"] {
        score.add(measurement(commit));
        score.judge(&judged());
    }
    let commits: Vec<_> = score.trend.iter().map(|row| row.commit.as_str()).collect();
    assert_eq!(commits, ["aaaa", "bbbb"]);
    assert_eq!(score.measurements.len(), 1);
    assert_eq!(score.trend[0].figures.equivalent, 1);

    let mut killed = measurement("cccc");
    killed.mutants[5].class = Class::Gate;
    score.add(killed);
    score.judge(&judged());
    assert_eq!(score.trend[2].figures.equivalent, 0, "it is killed by now");

    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("reports")).expect("a folder");
    score.save(folder.path()).expect("it is written");
    assert_eq!(Score::load(folder.path()).expect("it is read"), score);
}
