//! Limits: a send within the documented ones is never refused for good, and one beyond
//! them is never stored.
//!
//! A refusal for good is one that another attempt would get as well: the message is
//! illegal, or the request is not served. A broker that is busy, full, or no leader says
//! something else. A client that hears it drops the message: of a message that keeps to
//! the limits, that is a loss.

use std::collections::BTreeMap;

use super::{At, Facts, Finding, Promise};
use crate::history::{Event, SendOutcome, Value};

/// `MESSAGE_ILLEGAL` and `REQUEST_CODE_NOT_SUPPORTED`: for good.
const FOR_GOOD: [i32; 2] = [13, 3];

/// Every send that was treated as if it were on the other side of the limits.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Finding> {
    let beyond = facts.entries().filter_map(|(index, entry)| {
        let Event::BeyondLimit { value } = entry.event else {
            return None;
        };
        Some((value, index))
    });
    let beyond: BTreeMap<Value, usize> = beyond.collect();
    let mut findings: Vec<_> = refused(facts, &beyond).collect();
    findings.extend(stored(facts, &beyond));
    findings.sort_by_key(|found| found.event);
    findings
}

fn refused<'a>(
    facts: &'a Facts<'_>,
    beyond: &'a BTreeMap<Value, usize>,
) -> impl Iterator<Item = Finding> + 'a {
    facts.sends.values().filter_map(move |sent| {
        let (index, SendOutcome::Rejected { code }) = sent.outcome? else {
            return None;
        };
        if !FOR_GOOD.contains(code) || beyond.contains_key(&sent.value) {
            return None;
        }
        let line = format!(
            "{} keeps to the limits, and was refused with code {code} at {}",
            sent.value,
            At(facts.at_ns(index))
        );
        Some(finding(facts, index, line, sent.began))
    })
}

fn stored<'a>(
    facts: &'a Facts<'_>,
    beyond: &'a BTreeMap<Value, usize>,
) -> impl Iterator<Item = Finding> + 'a {
    let places = facts.queues.iter().flat_map(|(queue, of_queue)| {
        let all = of_queue.places().all().iter();
        all.map(move |place| (*queue, place))
    });
    places.filter_map(move |(queue, place)| {
        let sent = *beyond.get(&place.value)?;
        let line = format!(
            "{} is beyond the limits, and stands at {queue} offset {}, known at {}",
            place.value,
            place.offset,
            At(facts.at_ns(place.known))
        );
        Some(finding(facts, place.known, line, sent))
    })
}

fn finding(facts: &Facts<'_>, index: usize, line: String, before: usize) -> Finding {
    Finding {
        promise: Promise::Limits,
        lines: vec![line],
        at_ns: facts.at_ns(index),
        event: index as u64,
        moments_ns: vec![facts.at_ns(before)],
    }
}

#[cfg(test)]
mod tests {
    use crate::check::story::lines_found;

    fn findings(text: &str) -> String {
        lines_found(text, super::check)
    }

    #[test]
    fn what_keeps_to_the_limits_is_not_illegal() {
        assert_eq!(findings("send 1; ack 1@0; final 0..1: 1@0"), "");
        assert_eq!(findings("send 1; reject 1"), "");
        insta::assert_snapshot!(findings("send 1; illegal 1"), @"client 1 #1 keeps to the limits, and was refused with code 13 at 2.000s");
    }

    #[test]
    fn what_is_beyond_is_illegal_and_is_nowhere() {
        assert_eq!(findings("beyond 1; send 1; illegal 1"), "");
        assert_eq!(findings("beyond 1; send 1; unknown 1; final 0..0:"), "");
        insta::assert_snapshot!(findings("beyond 1; send 1; ack 1@0"), @"client 1 #1 is beyond the limits, and stands at orders/3 offset 0, known at 3.000s");
        insta::assert_snapshot!(findings("beyond 1; send 1; unknown 1; final 0..1: 1@0"), @"client 1 #1 is beyond the limits, and stands at orders/3 offset 0, known at 4.000s");
    }
}
