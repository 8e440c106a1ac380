//! Faults that come with an event: at its very instant, before anything else
//! happens on the victim.

use super::run_with_timeline;
use crate::history::FaultKind;
use crate::report::RunReport;
use crate::scenario::{Event, Scenario, parse};

fn scenario(replicas: &str, at_event: &str, target: &str) -> Scenario {
    let killed = match replicas.is_empty() {
        true => "0",
        false => "\"leader\"",
    };
    let text = format!(
        r#"
title = "one fault"
why = "it comes with an event"
[cluster]
flush = "sync"
segment_bytes = 8_192
{replicas}
[[workload]]
kind = "send"
producers = 2
in_flight = 4
rate_per_s = 200
[[fault]]
kind = "kill"
target = {killed}
at_ms = [500, 2_900]
every_ms = 300
down_ms = 20
[[fault]]
kind = "power-loss"
target = {target}
at_ms = [400, 3_000]
at_event = {at_event}
survival = "none"
[run]
seeds = "0..1"
duration_ms = 3_000
[expect]
outcome = "zero-loss"
"#
    );
    parse("one", "one.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

const RAFT: &str = "brokers = 3\nreplication = \"raft\"\nelection_timeout_ms = 60\nheartbeat_ms = 15\nretention_ms = 300";

/// The lines from the event on, without the clients' own.
fn from_event(report: &RunReport, event: Event, nth: u64) -> Vec<String> {
    let name = event.name();
    let comes = format!("{name} number {nth}: a fault comes");
    let lines = report.timeline.iter();
    let mut lines = lines.skip_while(|line| !line.text.contains(&comes));
    let first = lines.next().unwrap_or_else(|| panic!("no {comes}"));
    let brokers = lines.filter(|line| line.text.starts_with('b'));
    let at_once = brokers.take_while(|line| line.at_ns == first.at_ns);
    at_once.map(|line| line.text.clone()).collect()
}

#[test]
fn nothing_comes_between_an_event_and_its_fault() {
    for (replicas, target) in [("", "0"), (RAFT, "1")] {
        for event in Event::ALL {
            if event.is_of_replicas() && replicas.is_empty() {
                continue;
            }
            // The commands of this scenario are over when its faults begin.
            if event == Event::Command {
                continue;
            }
            // A follower acknowledges nothing.
            let target = match event {
                Event::Acknowledgement if !replicas.is_empty() => "\"leader\"",
                _ => target,
            };
            let nth = if event == Event::Vote { 1 } else { 3 };
            let at_event = format!("{{ event = \"{}\", nth = {nth} }}", event.name());
            let report = run_with_timeline(scenario(replicas, &at_event, target), 0);
            let power = report.faults[&FaultKind::PowerLoss];
            assert_eq!(power.fired, 1, "{event:?}, {replicas}");
            let then = from_event(&report, event, nth);
            assert!(then[0].contains("machine goes down"), "{event:?}: {then:?}");
            let power = then.iter().find(|line| line.contains("power lost"));
            assert!(power.is_some(), "{event:?}: {then:?}");
        }
    }
}

#[test]
fn the_nth_acknowledgement_is_the_last() {
    for nth in [1, 7] {
        let at_event = format!("{{ event = \"acknowledgement\", nth = {nth} }}");
        let report = run_with_timeline(scenario("", &at_event, "0"), 3);
        let lines = report.timeline.iter();
        let since = lines.skip_while(|line| line.at_ns < 400_000_000);
        let before = since.take_while(|line| !line.text.contains("power lost"));
        let acknowledged = before.filter(|line| line.text.contains(" ack "));
        assert_eq!(acknowledged.count(), nth);
    }
}

#[test]
fn a_leader_is_the_broker_that_leads_at_the_event() {
    let at_event = "{ event = \"append\", nth = 40 }";
    let report = run_with_timeline(scenario(RAFT, at_event, "\"leader\""), 1);
    assert_eq!(report.faults[&FaultKind::PowerLoss].fired, 1);
    let then = from_event(&report, Event::Append, 40);
    assert!(then[0].contains("machine goes down"), "{then:?}");
}
