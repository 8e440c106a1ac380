//! The fast checks against the definitions, word by word and in quadratic time,
//! on random histories.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::queue_order::OutOfOrder;
use super::story::story;
use super::{Facts, LostThing, Waived, durability, queue_order};
use crate::history::{Event, History, SendOutcome, Value};

/// Histories of a few messages over a few offsets: anything may be served.
fn histories() -> impl Strategy<Value = History> {
    let steps = prop::collection::vec((0..6u8, 0..6u64, 0..6u64, 0..64u8), 1..40);
    steps.prop_map(|steps| {
        let mut text = String::new();
        let (mut sent, mut ended, mut asked) = (BTreeSet::new(), BTreeSet::new(), None);
        for (verb, a, b, served) in steps {
            let line = match verb {
                0 | 1 if sent.insert(a) => format!("send {a}"),
                2 | 3 if sent.contains(&a) && ended.insert(a) => format!("ack {a}@{b}"),
                4 if asked.is_none() => {
                    asked = Some(a);
                    format!("ask {a}")
                }
                5 => match asked.take() {
                    Some(from) => format!("answer {from}..{b}:{}", messages(served, &sent)),
                    None => continue,
                },
                _ => continue,
            };
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str("final 0..6:");
        text.push_str(&messages(21, &sent));
        story(&text)
    })
}

/// Of the messages sent, those that `chosen` selects, one for each offset.
fn messages(chosen: u8, sent: &BTreeSet<u64>) -> String {
    let chosen = sent.iter().filter(|number| chosen >> **number & 1 == 1);
    let placed = chosen.enumerate();
    placed
        .map(|(offset, number)| format!(" {number}@{offset}"))
        .collect()
}

type Placed = BTreeSet<(u64, Value)>;

/// Acknowledgements: index, offset, value.
fn acknowledged(history: &History) -> Vec<(usize, u64, Value)> {
    let entries = history.entries.iter().enumerate();
    let found = entries.filter_map(|(index, entry)| match &entry.event {
        Event::SendEnded {
            op,
            outcome: SendOutcome::Acknowledged { offset, .. },
        } => Some((index, *offset, super::story::value(*op))),
        _ => None,
    });
    found.collect()
}

/// "Lost(m)" of guarantee.md, section 1.
fn lost_by_definition(history: &History) -> Placed {
    let is_lost = |&(acked, offset, value): &(usize, u64, Value)| {
        let entries = history.entries.iter().enumerate();
        let lacks = |messages: &[(u64, Option<Value>)]| !messages.contains(&(offset, Some(value)));
        entries.clone().any(|(index, entry)| match &entry.event {
            Event::FinalRead { messages, .. } => lacks(messages),
            Event::Pulled {
                offset: from,
                next_begin_offset,
                messages,
                ..
            } => {
                let mut asked = history.entries[..index].iter();
                let asked = asked.rposition(|e| matches!(e.event, Event::PullBegan { .. }));
                asked.is_some_and(|asked| asked > acked)
                    && (*from..*next_begin_offset).contains(&offset)
                    && lacks(messages)
            }
            _ => false,
        })
    };
    let acknowledged = acknowledged(history).into_iter().filter(is_lost);
    acknowledged
        .map(|(_, offset, value)| (offset, value))
        .collect()
}

/// "a acknowledged before b was sent: offset(a) < offset(b)": every such b.
fn disordered_by_definition(history: &History) -> Placed {
    let mut places: Placed = acknowledged(history)
        .iter()
        .map(|ack| (ack.1, ack.2))
        .collect();
    for entry in &history.entries {
        if let Event::Pulled { messages, .. } | Event::FinalRead { messages, .. } = &entry.event {
            let readable = messages.iter();
            places.extend(readable.filter_map(|(offset, value)| Some((*offset, (*value)?))));
        }
    }
    let began = |value: Value| {
        let mut entries = history.entries.iter();
        entries
            .position(|e| matches!(e.event, Event::SendBegan { value: sent, .. } if sent == value))
    };
    let is_behind = |(offset, value): &(u64, Value)| {
        let sent = began(*value).expect("all were sent");
        let earlier = acknowledged(history).into_iter().filter(|ack| ack.0 < sent);
        earlier.into_iter().any(|ack| *offset < ack.1)
    };
    places.into_iter().filter(is_behind).collect()
}

proptest! {
    #[test]
    fn durability_is_its_definition(history in histories()) {
        let lost = durability::check(&Facts::new(&history)).into_iter().map(|lost| match lost.thing {
            LostThing::Acknowledged { offset, value, .. } => (offset, value),
            other => panic!("durability lost {other:?}"),
        });
        prop_assert_eq!(lost.collect::<Placed>(), lost_by_definition(&history));
    }

    #[test]
    fn queue_order_is_its_definition(history in histories()) {
        let found = queue_order::check(&Facts::new(&history), &Waived::none());
        let found = found.into_iter().filter_map(|found| match found {
            OutOfOrder::Stored { later: (value, offset), .. } => Some((offset, value)),
            OutOfOrder::Served { .. } => None,
        });
        prop_assert_eq!(found.collect::<Placed>(), disordered_by_definition(&history));
    }
}

#[test]
fn random_histories_are_not_all_alike() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut lost, mut disordered) = (0, 0);
    for _ in 0..200 {
        let history = histories()
            .new_tree(&mut runner)
            .expect("a history")
            .current();
        lost += usize::from(!lost_by_definition(&history).is_empty());
        disordered += usize::from(!disordered_by_definition(&history).is_empty());
    }
    assert!((20..200).contains(&lost), "{lost} of 200 lose something");
    assert!(
        (20..200).contains(&disordered),
        "{disordered} of 200 are out of order"
    );
}
