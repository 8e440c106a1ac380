//! Delayed messages come once, and not before their time.
//!
//! A message that waits stands in the broker's schedule topic, acknowledged at
//! its place there, and comes to its own topic by another entry of the log. So
//! each copy that was scheduled comes once: to its topic, or, where it was sent
//! back, to its group's retry topic. Tolerance: none, by brokers' own
//! clocks. The time counts from when its send began, which is never later than when the broker stored it; a send
//! that is repeated may be scheduled twice, and then comes twice. When a message
//! that was sent back may come again is [`redelivery`](super::redelivery)'s.

use std::collections::BTreeMap;

use crate::history::{Event, Queue, Value};

use super::{At, Facts, Finding, Promise};

/// When the send of a message that waits began, and how long it waits,
/// nanoseconds.
type Wait = (u64, u64);

/// A message that waits, or waited.
#[derive(Default)]
struct Copies {
    scheduled: u64,
    came: u64,
    /// The entry of the history that shows the last of them.
    index: usize,
}

/// Every message that came too early, and, where `is_kept` (nothing that was
/// stored is ever lost), every one that came more or less often than it was
/// scheduled.
pub(super) fn check(facts: &Facts<'_>, is_kept: bool) -> Vec<Finding> {
    let waits: BTreeMap<Value, Wait> = facts
        .entries()
        .filter_map(|(_, entry)| match entry.event {
            Event::Delayed { value, delay_ns } => Some((value, (entry.at_ns, delay_ns))),
            _ => None,
        })
        .collect();
    let mut findings = early(facts, &waits);
    if is_kept {
        findings.extend(miscounted(facts, &waits));
    }
    findings
}

fn early(facts: &Facts<'_>, waits: &BTreeMap<Value, Wait>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if waits.is_empty() {
        return findings;
    }
    for (queue, of_queue) in facts.queues.iter().filter(|it| !it.0.is_schedule()) {
        for place in of_queue.read_places().all() {
            let at_ns = facts.at_ns(place.known);
            let Some((from_ns, delay_ns)) = waits.get(&place.value) else {
                continue;
            };
            if facts.clocks.may_have_passed(*from_ns, at_ns, *delay_ns) {
                continue;
            }
            let line = format!(
                "{} read from {queue} offset {} at {}, due no earlier than {}",
                place.value,
                place.offset,
                At(at_ns),
                At(from_ns + delay_ns)
            );
            findings.push(finding(facts, line, place.known));
        }
    }
    findings
}

fn miscounted(facts: &Facts<'_>, waits: &BTreeMap<Value, Wait>) -> Vec<Finding> {
    let mut copies: BTreeMap<Value, Copies> = BTreeMap::new();
    let comes = |queue: &Queue, value: &Value| {
        let is_own = queue.group_of_dead_letters().is_none() && waits.contains_key(value);
        queue.is_of_retries() || is_own
    };
    let mut any_schedule = false;
    for (queue, of_queue) in &facts.queues {
        let Some(read) = of_queue.final_read else {
            continue;
        };
        any_schedule |= queue.is_schedule();
        for value in read.messages.iter().filter_map(|(_, value)| *value) {
            let is_scheduled = queue.is_schedule();
            if !is_scheduled && !comes(queue, &value) {
                continue;
            }
            let copies = copies.entry(value).or_default();
            copies.index = copies.index.max(read.index);
            match is_scheduled {
                true => copies.scheduled += 1,
                false => copies.came += 1,
            }
        }
    }
    // The schedule is before what comes of it, and expires first.
    let is_wrong = |value: Value, copies: &Copies| {
        let expired = || facts.may_have_expired(value, copies.index, copies.index);
        copies.scheduled > copies.came || copies.scheduled < copies.came && !expired()
    };
    // Nobody looked at the schedule.
    copies.retain(|value, copies| any_schedule && is_wrong(*value, copies));
    let wrong = copies.into_iter().map(|(value, copies)| {
        let Copies {
            scheduled,
            came,
            index,
        } = copies;
        let line = format!("{value} was scheduled {scheduled} times, and came {came} times");
        finding(facts, line, index)
    });
    wrong.collect()
}

fn finding(facts: &Facts<'_>, line: String, index: usize) -> Finding {
    Finding {
        promise: Promise::Redelivery,
        lines: vec![line],
        at_ns: facts.at_ns(index),
        event: index as u64,
        moments_ns: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Facts;
    use crate::check::story::story;

    fn wrong_where(text: &str, is_kept: bool) -> String {
        let history = story(text);
        let found = super::check(&Facts::new(&history), is_kept);
        let lines = found.into_iter().flat_map(|found| found.lines);
        lines.collect::<Vec<_>>().join("\n")
    }

    fn wrong(text: &str) -> String {
        wrong_where(text, true)
    }

    #[test]
    fn once_and_in_time() {
        let text = "delay 1 3; send 1; unknown 1; pull 0..1: 1@0; scheduled 1; final 0..1: 1@0";
        assert_eq!(wrong(text), "");
        assert_eq!(wrong("send 2; scheduled; final 0..1: 2@0"), "");
    }

    #[test]
    fn too_early() {
        let text = "delay 1 3; pull 0..1: 1@0; scheduled 1; final 0..1: 1@0";
        insta::assert_snapshot!(
            wrong(text),
            @"client 1 #1 read from orders/3 offset 0 at 2.000s, due no earlier than 4.000s"
        );
    }

    #[test]
    fn never_twice_or_without_having_waited() {
        let text = "delay 1 1; delay 2 1; delay 3 1; scheduled 1 2; final 0..3: 2@0 2@1 3@2";
        insta::assert_snapshot!(wrong(text), @r"
        client 1 #1 was scheduled 1 times, and came 0 times
        client 1 #2 was scheduled 1 times, and came 2 times
        client 1 #3 was scheduled 0 times, and came 1 times
        ");
        assert_eq!(wrong_where(text, false), "");
    }

    #[test]
    fn a_schedule_expires_before_what_came_of_it() {
        let came = |scheduled| {
            let text = format!("delay 1 1; send 1; {scheduled}; final 0..1: 1@0");
            let history = story(&text);
            let facts = Facts::new(&history).with_retention(Some(1));
            super::check(&facts, true).len()
        };
        assert_eq!(came("scheduled"), 0);
        assert_eq!(came("scheduled 1"), 0);
        assert_eq!(came("scheduled 1 1"), 1, "one of them never came");
    }

    #[test]
    fn a_message_sent_back_comes_to_its_retry_topic() {
        let text = "send 1; final 0..1: 1@0; scheduled 1 1";
        assert_ne!(wrong(text), "");
        assert_eq!(wrong(&format!("{text}; retried 1 1")), "");
        let delayed = "delay 1 1; final 0..1: 1@0; scheduled 1 1; retried 1";
        assert_eq!(wrong(delayed), "");
    }
}
