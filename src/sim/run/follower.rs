//! Where transactions stand, as far as clients have recorded it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::history::{
    ClientId, EndOutcome, Event, Happening, History, OpId, Queue, SendOutcome, Value,
};
use crate::scenario::Scenario;
use crate::sim::tap::{Happened, Order};

/// One transaction, as its service and its database know it.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) half_address: Option<u64>,
    /// Acknowledged, and its service lives and has not settled it.
    paying: bool,
    /// Its service lives, and has it paid and not begun to end it.
    pub(super) unended: bool,
    /// By an end that its service waits for.
    pub(super) ending: bool,
    /// A question was answered "committed", and nobody has read it.
    pub(super) unread: bool,
    /// A question was answered "rolled back" while it was paid for.
    pub(super) barred: bool,
}

impl Transaction {
    /// Whether anything may still be aimed at it.
    fn is_open(&self) -> bool {
        self.paying || self.unended || self.ending || self.unread || self.barred
    }
}

/// Follows a history as it grows.
#[derive(Debug, Default)]
pub(super) struct Follower {
    read: usize,
    /// The producer group of each order service's process, and of its database.
    group_of: BTreeMap<ClientId, usize>,
    /// Sent, and neither acknowledged nor given up by a process that lives.
    pub(super) halves: BTreeMap<(ClientId, OpId), Order>,
    ends: BTreeMap<(ClientId, OpId), Order>,
    pub(super) open: BTreeMap<Order, Transaction>,
    /// Acknowledged half messages that no entry was seen to decide for good.
    pub(super) undecided: BTreeMap<Order, u64>,
    /// By the address of its acknowledged half message.
    pub(super) order_of: BTreeMap<u64, Order>,
    pub(super) paid: BTreeSet<Order>,
    sent_back: BTreeMap<(ClientId, OpId), Happening>,
    holdings: Holdings,
    /// When what waits is due, the run's time.
    due_ns: BTreeSet<u64>,
    pub(super) happened: Happened,
}

/// Of a group on a queue: who resumed it last, and whether anything of it was
/// committed since it was first resumed.
#[derive(Debug, Default)]
struct Holdings {
    of: BTreeMap<(Arc<str>, Queue), (ClientId, bool)>,
    commits: BTreeMap<(ClientId, OpId), (Arc<str>, Queue)>,
}

impl Holdings {
    /// Whether the event takes over a queue of which nothing was committed.
    fn saw(&mut self, client: ClientId, event: &Event) -> bool {
        match event {
            Event::CommitBegan {
                op, group, queue, ..
            } => {
                let place = (Arc::clone(group), queue.clone());
                self.commits.insert((client, *op), place);
            }
            Event::CommitEnded { op, acknowledged } => {
                let place = self.commits.remove(&(client, *op));
                let held = place.and_then(|place| self.of.get_mut(&place));
                if let Some((_, committed)) = held {
                    *committed |= acknowledged;
                }
            }
            Event::Resumed { group, queue, .. } => {
                let place = (Arc::clone(group), queue.clone());
                let (before, committed) = self.of.entry(place).or_insert((client, false));
                let takes = *before != client && !*committed;
                *before = client;
                return takes;
            }
            _ => {}
        }
        false
    }
}

fn order(value: Value) -> Order {
    (value.client, value.sequence)
}

impl Follower {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut group_of = BTreeMap::new();
        let groups = scenario.producer_groups();
        for (group, (instances, database)) in groups.iter().zip(scenario.databases()).enumerate() {
            group_of.extend(instances.iter().map(|instance| (*instance, group)));
            group_of.insert(database, group);
        }
        Self {
            group_of,
            ..Self::default()
        }
    }

    /// Reads on.
    pub(super) fn follow(&mut self, history: &History) {
        for entry in &history.entries[self.read..] {
            self.saw(entry.at_ns, entry.client, &entry.event);
        }
        self.read = history.entries.len();
    }

    /// Whether something that waits is due then.
    pub(super) fn is_any_due(&self, within_ns: RangeInclusive<u64>) -> bool {
        self.due_ns.range(within_ns).next().is_some()
    }

    fn saw(&mut self, at_ns: u64, client: ClientId, event: &Event) {
        if self.holdings.saw(client, event) {
            self.happens(Happening::TakenOverUncommitted, 1);
        }
        match event {
            Event::Noticed(what) => self.happens(*what, 1),
            Event::Delayed { delay_ns, .. } => {
                self.due_ns.insert(at_ns + delay_ns);
            }
            Event::HalfBegan { op, value } => {
                self.halves.insert((client, *op), order(*value));
            }
            Event::HalfEnded { op, outcome } => self.half_ended(client, *op, outcome),
            Event::Settled { value, paid } => self.settled(order(*value), *paid),
            Event::EndBegan { op, value, .. } => {
                self.ends.insert((client, *op), order(*value));
                let it = self.open.entry(order(*value)).or_default();
                (it.unended, it.ending) = (false, true);
            }
            Event::EndEnded { op, outcome } => {
                if *outcome == EndOutcome::Unknown {
                    self.happens(Happening::EndUnanswered, 1);
                }
                if let Some(order) = self.ends.remove(&(client, *op)) {
                    let it = self.open.entry(order).or_default();
                    (it.ending, it.barred) = (false, false);
                    self.forget_closed(order);
                }
            }
            Event::CheckAnswered { value, commit, .. } => {
                self.happens(Happening::CheckAnswered, 1);
                self.answered(client, *value, *commit);
            }
            Event::Redelivered { .. } => self.happens(Happening::Redelivered, 1),
            Event::SendBackBegan { op, delay_ns, .. } => {
                self.due_ns
                    .extend(delay_ns.map(|delay_ns| at_ns + delay_ns));
                let what = match delay_ns {
                    Some(_) => Happening::SentBack,
                    None => Happening::DeadLetter,
                };
                self.sent_back.insert((client, *op), what);
            }
            Event::SendBackEnded { op, acknowledged } => {
                let what = self.sent_back.remove(&(client, *op));
                if let Some(what) = what.filter(|_| *acknowledged) {
                    self.happens(what, 1);
                }
            }
            Event::Released { .. } => self.happens(Happening::QueueGivenUp, 1),
            Event::Taken { .. } => self.happens(Happening::LockedQueueTaken, 1),
            Event::Pulled { messages, .. } => {
                for value in messages.iter().filter_map(|(_, value)| *value) {
                    self.was_read(order(value));
                }
            }
            Event::FinalDiscards { values } => {
                let paid = values.iter().filter(|it| self.paid.contains(&order(**it)));
                let paid = paid.count() as u64;
                self.happens(Happening::HalfDiscarded, values.len() as u64);
                self.happens(Happening::PaidDiscarded, paid);
            }
            _ => {}
        }
    }

    fn happens(&mut self, what: Happening, times: u64) {
        *self.happened.entry(what).or_default() += times;
    }

    fn half_ended(&mut self, client: ClientId, op: OpId, outcome: &SendOutcome) {
        let Some(order) = self.halves.remove(&(client, op)) else {
            return;
        };
        if let SendOutcome::Acknowledged { address, .. } = outcome {
            self.undecided.insert(order, *address);
            self.order_of.insert(*address, order);
            let it = self.open.entry(order).or_default();
            (it.half_address, it.paying) = (Some(*address), true);
        }
    }

    /// A database says so again after a restart.
    fn settled(&mut self, order: Order, paid: bool) {
        if paid {
            self.paid.insert(order);
        }
        if let Some(it) = self.open.get_mut(&order).filter(|it| it.paying && paid) {
            (it.paying, it.unended) = (false, true);
        }
    }

    fn answered(&mut self, client: ClientId, value: Value, commit: bool) {
        if client != value.client {
            self.happens(Happening::AnsweredByAnother, 1);
        }
        let Some(it) = self.open.get_mut(&order(value)) else {
            return;
        };
        if commit {
            it.unread = true;
        } else if it.paying && !it.barred {
            it.barred = true;
            self.happens(Happening::PaymentBarred, 1);
        }
    }

    fn was_read(&mut self, order: Order) {
        if let Some(it) = self.open.get_mut(&order) {
            it.unread = false;
            self.forget_closed(order);
        }
    }

    fn forget_closed(&mut self, order: Order) {
        if self.open.get(&order).is_some_and(|it| !it.is_open()) {
            self.open.remove(&order);
        }
    }

    /// A process of an order service died: what it had in memory is gone.
    pub(super) fn died(&mut self, client: ClientId) {
        self.halves.retain(|(of, _), _| *of != client);
        self.ends.retain(|(of, _), _| *of != client);
        for (order, it) in &mut self.open {
            if order.0 == client {
                (it.paying, it.unended, it.ending, it.barred) = (false, false, false, false);
            }
        }
        self.open.retain(|_, it| it.is_open());
    }

    /// Forgets whose transactions are decided for good.
    pub(super) fn forget_decided(&mut self, mut is_decided: impl FnMut(u64) -> bool) {
        self.undecided.retain(|_, half| !is_decided(*half));
    }

    /// The producer group of an order service's process, or of a database.
    pub(super) fn group(&self, client: ClientId) -> Option<usize> {
        self.group_of.get(&client).copied()
    }

    /// All of a producer group, its database among them.
    pub(super) fn processes_of(&self, database: ClientId) -> Vec<ClientId> {
        let group = self.group(database);
        let all = self.group_of.iter();
        let same = all.filter(|(_, of)| Some(**of) == group);
        same.map(|(client, _)| *client).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Follower, Transaction};
    use crate::history::{Event, Happening, History, Queue, Recorded, SendOutcome, Value};

    const VALUE: Value = Value {
        client: 1,
        sequence: 7,
        digest: 0,
    };

    fn follow(events: Vec<(u32, Event)>) -> Follower {
        let entry = |(client, event)| Recorded {
            at_ns: 0,
            client,
            event,
        };
        let mut follower = Follower::default();
        follower.follow(&History {
            entries: events.into_iter().map(entry).collect(),
        });
        follower
    }

    fn paid_for() -> Vec<(u32, Event)> {
        let outcome = SendOutcome::Acknowledged {
            queue: Queue {
                topic: "orders".into(),
                queue_id: 0,
            },
            offset: 0,
            address: 500,
        };
        let (op, value) = (3, VALUE);
        vec![
            (1, Event::HalfBegan { op, value }),
            (1, Event::HalfEnded { op, outcome }),
        ]
    }

    fn seen(follower: &Follower) -> Option<&Transaction> {
        follower.open.get(&(1, 7))
    }

    #[test]
    fn an_answer_during_the_payment_bars_it_and_one_after_it_does_not() {
        let says = |commit| Event::CheckAnswered {
            value: VALUE,
            half_address: 500,
            commit,
        };
        let mut barred = paid_for();
        barred.push((2, says(false)));
        let barred = follow(barred);
        assert!(seen(&barred).is_some_and(|it| it.barred && it.paying));
        assert_eq!(barred.happened[&Happening::PaymentBarred], 1);
        assert_eq!(barred.happened[&Happening::AnsweredByAnother], 1);

        let mut settled = paid_for();
        let (value, paid) = (VALUE, true);
        settled.push((9, Event::Settled { value, paid }));
        settled.push((1, says(true)));
        let settled = follow(settled);
        assert!(seen(&settled).is_some_and(|it| it.unended && it.unread && !it.barred));
        let happened: Vec<_> = settled.happened.into_iter().collect();
        assert_eq!(happened, [(Happening::CheckAnswered, 1)]);
    }

    #[test]
    fn a_service_that_dies_has_nothing_under_way_and_its_paid_orders_stay_undecided() {
        let mut events = paid_for();
        let (value, paid) = (VALUE, true);
        events.push((9, Event::Settled { value, paid }));
        let mut follower = follow(events);
        assert!(seen(&follower).is_some_and(|it| it.unended));
        follower.died(1);
        assert!(seen(&follower).is_none());
        assert!(follower.undecided.contains_key(&(1, 7)) && follower.paid.contains(&(1, 7)));
        follower.forget_decided(|half| half == 500);
        assert!(follower.undecided.is_empty());
    }
}
