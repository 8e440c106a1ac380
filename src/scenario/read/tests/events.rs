//! `at_event`: what it means, and what is refused.

use super::{GOOD, bad, good};
use crate::scenario::{Condition, Event, FileClass, parse, plan};

const BEFORE: &str = "when = \"dirty\"\n";

#[test]
fn faults_come_with_the_events_that_were_drawn() {
    let at = "at_event = { event = \"sync\", nth = [5, 9], every_nth = [10, 20] }\n";
    let scenario = good(&GOOD.replacen(BEFORE, at, 1));
    for seed in 0..20 {
        let faults = plan(&scenario, seed).faults;
        let at: Vec<_> = faults.iter().filter_map(|it| it.trigger.at_event).collect();
        let [first, second, third] = &at[..] else {
            panic!("three of them: {at:?}");
        };
        assert_eq!(
            (first.event, first.file),
            (Event::Sync, Some(FileClass::CommitLog))
        );
        assert!((5..=9).contains(&first.nth), "{first:?}");
        assert!((10..=20).contains(&(second.nth - first.nth)), "{second:?}");
        assert!((10..=20).contains(&(third.nth - second.nth)), "{third:?}");
        let trigger = faults.iter().find(|it| it.trigger.at_event.is_some());
        let trigger = trigger.expect("there").trigger;
        assert_eq!(
            trigger.from_ns, 1_000_000_000,
            "counted from the window's begin"
        );
    }
    let recovering = good(&GOOD.replacen("\"dirty\"", "\"recovering\"", 1));
    assert_eq!(recovering.faults[0].when, Condition::Recovering);
}

#[test]
fn every_event_can_be_waited_for() {
    let raft = GOOD.replacen(
        "[cluster]",
        "[cluster]\nbrokers = 3\nreplication = \"raft\"",
        1,
    );
    for event in Event::ALL {
        let at = format!("at_event = {{ event = \"{}\", nth = 3 }}\n", event.name());
        let text = raft.replacen(BEFORE, &at, 1);
        let scenario = parse("x", "x.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        let rule = scenario.faults[0].at_event.expect("there");
        assert_eq!((rule.event, rule.file.is_some()), (event, event.has_file()));
    }
}

#[test]
fn an_event_that_cannot_be_waited_for_is_refused() {
    let at = |keys: &str| format!("at_event = {{ {keys} }}\n");
    let cases = [
        ("an unknown event", BEFORE, at("event = \"synch\", nth = 1")),
        ("no number", BEFORE, at("event = \"sync\"")),
        ("number zero", BEFORE, at("event = \"sync\", nth = 0")),
        (
            "an event of replicas",
            BEFORE,
            at("event = \"vote\", nth = 1"),
        ),
        (
            "a file where there is none",
            BEFORE,
            at("event = \"roll\", nth = 1, file = \"any\""),
        ),
        (
            "a condition too",
            "at_ms = [1_000, 9_000]",
            at("event = \"sync\", nth = 1"),
        ),
        (
            "every so often too",
            BEFORE,
            format!("every_ms = 9\n{}", at("event = \"sync\", nth = 1")),
        ),
        ("without end", "when = \"in-flight\"\n", String::new()),
        (
            "a client",
            "when = \"in-flight\"\n",
            at("event = \"sync\", nth = 1"),
        ),
        (
            "a client that recovers",
            "\"in-flight\"",
            "\"recovering\"".to_owned(),
        ),
    ];
    let shown = cases.map(|(name, from, to)| {
        let said = match name {
            "without end" => {
                let endless = at("event = \"sync\", nth = 1, every_nth = 3");
                let text = GOOD
                    .replacen(BEFORE, &endless, 1)
                    .replacen("count = 3\n", "", 1);
                let error = parse("x", "x.toml", &text).expect_err("endless");
                error.to_string()
            }
            _ => bad(from, &to),
        };
        format!("-- {name}\n{said}\n")
    });
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn one_after_another_are_several() {
    let raft = GOOD.replacen(
        "[cluster]",
        "[cluster]\nbrokers = 3\nreplication = \"raft\"",
        1,
    );
    let rule = |target: &str, more: &str| {
        let rule = format!("target = \"{target}\"\nspread_ms = [5, 50]\n{more}");
        raft.replacen("target = \"any\"\n", &rule, 1)
    };
    let scenario = parse("x", "x.toml", &rule("all", "")).unwrap_or_else(|error| panic!("{error}"));
    let spread_ms = scenario.faults[0].spread_ms.expect("there");
    assert_eq!((spread_ms.low, spread_ms.high), (5, 50));
    let event = "at_event = { event = \"sync\", nth = 1 }\n";
    let alone = rule("leader", "");
    let with_event = rule("all", event).replacen(BEFORE, "", 1);
    let shown = [alone, with_event].map(|text| {
        let error = parse("x", "x.toml", &text).expect_err("not several");
        format!("{error}\n")
    });
    insta::assert_snapshot!(shown.join("\n"));
}
