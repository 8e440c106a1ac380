//! The business promise: every order that its service's database holds as paid
//! has its red packet in the end, one; no other order has any.
//!
//! Excepted: an order whose half message was discarded by a log entry, because
//! nobody of its producer group answered a check before the limit; one whose loss
//! the configuration allows; and one that stands where something else was lost so:
//! the group had passed that place before.
//!
//! Three orders in the database of their service: two are paid, and the packets of the last two
//! were issued:
//!
//! ```
//! use zeroloss::check::business::{self, What};
//! use zeroloss::check::{Facts, Waived};
//! use zeroloss::history::{Event, Recorder, Value};
//!
//! let orders = [1, 2, 3].map(|number| Value::make(1, number, 64, 0).0);
//! let [without, right, unpaid] = orders;
//! let seen = Recorder::default();
//! let paid = vec![(without, true), (right, true), (unpaid, false)];
//! seen.record(1, 1, Event::FinalOrders { orders: paid });
//! seen.record(2, 2, Event::FinalPackets { packets: vec![right, unpaid] });
//!
//! let history = seen.take();
//! // No loss is excused here.
//! let found = business::check(&Facts::new(&history), [], &Waived::none());
//! let found: Vec<_> = found.iter().map(|violation| (violation.value, violation.what)).collect();
//! assert_eq!(found, [(without, What::NoPacket), (unpaid, What::NotPaid)]);
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::history::{ClientId, Event, Value};

use super::{At, Facts, Finding, Lost, LostThing, Promise, Waived};

/// An order, by who sent its half message and that one's count.
type Key = (ClientId, u64);

/// The content of the databases in the end, and the orders that were discarded.
#[derive(Default)]
pub(super) struct BusinessFacts {
    /// Settled orders, and whether they are paid.
    orders: BTreeMap<Key, (Value, bool)>,
    /// How many red packets each order has.
    packets: BTreeMap<Key, (Value, u64)>,
    discarded: BTreeSet<Key>,
    /// The entry that shows the red packets; `None`: nobody looked.
    looked: Option<usize>,
}

fn key(value: Value) -> Key {
    (value.client, value.sequence)
}

impl BusinessFacts {
    /// Adds one event; others than these are ignored.
    pub(super) fn add(&mut self, index: usize, event: &Event) {
        match event {
            Event::FinalOrders { orders } => {
                let orders = orders.iter();
                self.orders.extend(orders.map(|it| (key(it.0), *it)));
            }
            Event::FinalPackets { packets } => {
                self.looked = Some(index);
                for value in packets {
                    self.packets.entry(key(*value)).or_insert((*value, 0)).1 += 1;
                }
            }
            Event::FinalDiscards { values } => {
                self.discarded.extend(values.iter().copied().map(key));
            }
            _ => {}
        }
    }

    /// Whether its half message stands in the discard topic.
    pub(super) fn is_discarded(&self, value: Value) -> bool {
        self.discarded.contains(&key(value))
    }

    /// Orders paid, and of these those without a red packet; `None`: nobody
    /// looked.
    pub(super) fn paid_and_missing(&self) -> Option<(u64, u64)> {
        self.looked?;
        let paid = self.orders.iter().filter(|(_, (_, paid))| *paid);
        let missing = paid
            .clone()
            .filter(|(key, _)| !self.packets.contains_key(key));
        Some((paid.count() as u64, missing.count() as u64))
    }
}

/// An order that has not what is due to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The order.
    pub value: Value,
    /// When it was established, nanoseconds.
    pub at_ns: u64,
    /// The entry of the history that shows it.
    pub event: u64,
    /// The problem.
    pub what: What,
}

/// A problem with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is paid, and has no red packet.
    NoPacket,
    /// It has so many.
    Several(u64),
    /// It has one, and is not paid.
    NotPaid,
}

/// Every violation, in the order of orders. `excused`: what was lost with
/// permission, and `waived` the places of that.
pub fn check<'a>(
    facts: &Facts<'_>,
    excused: impl IntoIterator<Item = &'a Lost>,
    waived: &Waived,
) -> Vec<Violation> {
    let business = &facts.business;
    let Some(looked) = business.looked else {
        return Vec::new();
    };
    let excused = excused.into_iter().filter_map(|lost| match &lost.thing {
        LostThing::Transaction { value, .. } => Some(key(*value)),
        _ => None,
    });
    let mut excused: BTreeSet<Key> = excused.collect();
    excused.extend(in_waived_places(facts, waived));
    let violation = |value, what| Violation {
        value,
        at_ns: facts.at_ns(looked),
        event: looked as u64,
        what,
    };
    let paid = business.orders.iter().filter(|(_, (_, paid))| *paid);
    let missing = paid.filter(|(key, (value, _))| {
        let has = business.packets.contains_key(key);
        !has && !excused.contains(key) && !facts.has_aged_out(*value)
    });
    let missing = missing.map(|(_, (value, _))| violation(*value, What::NoPacket));
    let packets = business.packets.iter().flat_map(|(key, (value, count))| {
        let paid = business.orders.get(key).is_some_and(|(_, paid)| *paid);
        let unpaid = (!paid).then(|| violation(*value, What::NotPaid));
        let several = (*count > 1).then(|| violation(*value, What::Several(*count)));
        unpaid.into_iter().chain(several)
    });
    missing.chain(packets).collect()
}

/// The orders that the complete read found in waived places.
fn in_waived_places(facts: &Facts<'_>, waived: &Waived) -> BTreeSet<Key> {
    let queues = facts.queues.iter();
    let reads = queues.filter_map(|(queue, of_queue)| Some((*queue, of_queue.final_read?)));
    let found = reads.flat_map(|(queue, read)| {
        let there = read.messages.iter();
        let there = there.filter(|(offset, _)| waived.covers(queue, *offset));
        there.filter_map(|(_, value)| value.map(key))
    });
    found.collect()
}

impl Violation {
    /// As a broken promise.
    pub fn finding(&self) -> Finding {
        Finding {
            promise: Promise::Business,
            lines: vec![self.to_string()],
            at_ns: self.at_ns,
            event: self.event,
            moments_ns: Vec::new(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, at_ns, .. } = self;
        match self.what {
            What::NoPacket => write!(f, "the order {value} is paid and has no red packet")?,
            What::Several(count) => write!(f, "the order {value} has {count} red packets")?,
            What::NotPaid => write!(f, "the order {value} has a red packet and is not paid")?,
        }
        write!(f, ", at {}", At(*at_ns))
    }
}

#[cfg(test)]
mod tests {
    use crate::check::story::story;
    use crate::check::{Facts, Waived, known_stored, transactions};

    /// `excused`: all that is lost is lost with permission.
    fn findings(text: &str, excused: bool) -> Vec<String> {
        let history = story(text);
        let facts = Facts::new(&history);
        let lost = transactions::lost(&facts);
        let read = known_stored::check(&facts);
        let lost = lost.iter().chain(&read).filter(|_| excused);
        let waived = Waived::of(lost.clone());
        let found = super::check(&facts, lost, &waived);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_order_has_its_packet_or_a_reason() {
        for text in [
            "half 1; stored 1; pay 1; orders 1 2!; packets 1",
            // Nobody looked.
            "half 1; stored 1; pay 1; orders 1",
            // Nobody answered, and it stands in the discard topic.
            "half 1; stored 1; pay 1; discards 1; orders 1; packets",
        ] {
            assert!(findings(text, false).is_empty(), "{text}");
        }
        let lost = "half 1; stored 1; pay 1; final 0..0:; orders 1; packets";
        assert!(findings(lost, true).is_empty(), "lost with permission");
        // The group had passed offset 0 when it was lost and given to another.
        let passed = "half 1; stored 1; pay 1; commits 1; pull 0..1: 1@0;
                      half 2; stored 2; pay 2; commits 2; final 0..1: 2@0;
                      orders 1 2; packets 1";
        assert_eq!(findings(passed, true), Vec::<String>::new());
        assert_eq!(findings(passed, false).len(), 1);
    }

    #[test]
    fn missing_double_and_undue_packets_are_found() {
        let cases = [
            "half 1; stored 1; pay 1; final 0..1: 1@0; orders 1; packets",
            "half 1; stored 1; pay 1; final 0..1: 1@0; orders 1; packets 1 1",
            "half 1; stored 1; orders 1!; packets 1",
            "half 1; stored 1; orders; packets 1",
            // The group did answer, or the end was acknowledged: it may not be
            // discarded.
            "half 1; stored 1; pay 1; says-commit 1; discards 1; orders 1; packets",
            "half 1; stored 1; pay 1; commits 1; ended 1; discards 1; orders 1; packets",
        ];
        let shown = cases.map(|text| format!("# {text}\n{}\n", findings(text, false).join("\n")));
        insta::assert_snapshot!(shown.join("\n"));
    }
}
