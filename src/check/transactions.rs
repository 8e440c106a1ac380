//! Transactions: never visible unless a commit was sent; committed, visible; rolled
//! back, never; decided once. Orders that the service's database holds as paid are
//! visible in the end, unless they were discarded.
//!
//! A transaction is rolled back, and the broker says that it is. Then it is read:
//!
//! ```
//! use zeroloss::check::transactions::{self, What};
//! use zeroloss::check::Facts;
//! use zeroloss::history::{EndOutcome, Event, Queue, Recorder, Value};
//!
//! let (value, _body) = Value::make(1, 1, 64, 0);
//! let found = |read: &[Value]| {
//!     let seen = Recorder::default();
//!     seen.record(1, 1, Event::HalfBegan { op: 1, value });
//!     seen.record(2, 1, Event::EndBegan { op: 2, value, half_address: 0, commit: false });
//!     seen.record(3, 1, Event::EndEnded { op: 2, outcome: EndOutcome::Acknowledged });
//!     let queue = Queue { topic: "paid".into(), queue_id: 0 };
//!     let messages: Vec<_> = (0..).zip(read.iter().copied().map(Some)).collect();
//!     let max_offset = messages.len() as u64;
//!     seen.record(4, 2, Event::FinalRead { queue, min_offset: 0, max_offset, messages });
//!     let found = transactions::check(&Facts::new(&seen.take()));
//!     found.iter().map(|violation| violation.what).collect::<Vec<_>>()
//! };
//! assert!(found(&[]).is_empty());
//! assert_eq!(found(&[value]), [What::RolledBackRead]);
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::history::{ClientId, EndOutcome, Event, OpId, SendOutcome, Value};

use super::lost::{Instead, Missed};
use super::{At, Facts, Finding, Lost, LostThing, Promise};

/// The facts about one transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transaction {
    pub(super) value: Value,
    /// Its half message began to be sent.
    began: usize,
    /// It was acknowledged, and its log address.
    half: Option<(usize, u64)>,
    /// A commit began to be sent, to end it or in answer to a question.
    commit_sent: Option<usize>,
    committed: Option<usize>,
    rolled_back: Option<usize>,
    /// Since when its order is paid.
    paid: Option<usize>,
    /// A question about it was answered "committed".
    answered: bool,
    /// Its end was first refused as that of none that is known.
    turned_away: Option<usize>,
    /// A question about it was last answered.
    asked: Option<usize>,
}

/// Every transaction, by client and count.
#[derive(Default)]
pub(super) struct TransactionFacts(BTreeMap<(ClientId, u64), Transaction>);

/// Operations that began and have not ended, while indexing.
#[derive(Default)]
pub(super) struct TransactionPairs {
    halves: BTreeMap<(ClientId, OpId), Value>,
    ends: BTreeMap<(ClientId, OpId), (Value, bool)>,
}

/// `TRANSACTION_SHOULD_COMMIT`, and `…_ROLLBACK`: decided otherwise before.
const SHOULD_COMMIT: i32 = 200;
const SHOULD_ROLLBACK: i32 = 201;
/// `TRANSACTION_STATE_UNKNOWN`, and `…_GROUP_WRONG`: no such half message is known.
const UNKNOWN: i32 = 202;
const GROUP_WRONG: i32 = 203;

impl TransactionFacts {
    /// The transaction of that value, whatever its body said.
    pub(super) fn get(&self, value: Value) -> Option<&Transaction> {
        self.0.get(&(value.client, value.sequence))
    }

    /// How many ends were acknowledged.
    pub(super) fn decided(&self) -> u64 {
        let decided = |it: &&Transaction| it.committed.is_some() || it.rolled_back.is_some();
        self.0.values().filter(decided).count() as u64
    }

    /// How many were published at more than one place.
    pub(super) fn published_again(&self, facts: &Facts<'_>) -> u64 {
        if self.0.is_empty() {
            return 0;
        }
        let mut places = BTreeMap::<_, BTreeSet<_>>::new();
        for (queue, of_queue) in &facts.queues {
            let of_transactions = of_queue.read_places().all().iter();
            let of_transactions =
                of_transactions.filter(|place| self.0.contains_key(&key(place.value)));
            for place in of_transactions {
                let at = (queue, place.offset);
                places.entry(key(place.value)).or_default().insert(at);
            }
        }
        let again = |places: &&BTreeSet<_>| places.len() > 1;
        places.values().filter(again).count() as u64
    }

    /// Adds one event; others than a transaction's are ignored.
    pub(super) fn add(
        &mut self,
        index: usize,
        client: ClientId,
        event: &Event,
        pairs: &mut TransactionPairs,
    ) {
        match event {
            Event::HalfBegan { op, value } => {
                pairs.halves.insert((client, *op), *value);
                self.0.insert(key(*value), Transaction::new(*value, index));
            }
            Event::HalfEnded { op, outcome } => {
                let value = pairs.halves.remove(&(client, *op));
                let value = value.expect("a half message ends once, after it began");
                if let SendOutcome::Acknowledged { address, .. } = outcome {
                    self.of(value).half = Some((index, *address));
                }
            }
            Event::Settled { value, paid: true } => {
                self.of(*value).paid.get_or_insert(index);
            }
            Event::EndBegan {
                op, value, commit, ..
            } => {
                pairs.ends.insert((client, *op), (*value, *commit));
                self.sends(*value, *commit, index);
            }
            Event::CheckAnswered { value, commit, .. } => {
                self.sends(*value, *commit, index);
                let transaction = self.of(*value);
                transaction.answered |= commit;
                transaction.asked = Some(index);
            }
            Event::EndEnded { op, outcome } => {
                let end = pairs.ends.remove(&(client, *op));
                let (value, commit) = end.expect("an end ends once, after it began");
                self.ended(value, commit, *outcome, index);
            }
            _ => {}
        }
    }

    fn of(&mut self, value: Value) -> &mut Transaction {
        let transaction = self.0.get_mut(&key(value));
        transaction.expect("a transaction begins with its half message")
    }

    fn sends(&mut self, value: Value, commit: bool, index: usize) {
        if commit {
            self.of(value).commit_sent.get_or_insert(index);
        }
    }

    fn ended(&mut self, value: Value, commit: bool, outcome: EndOutcome, index: usize) {
        let transaction = self.of(value);
        let decided = match (outcome, commit) {
            (EndOutcome::Acknowledged, true)
            | (
                EndOutcome::Refused {
                    code: SHOULD_COMMIT,
                },
                _,
            ) => &mut transaction.committed,
            (EndOutcome::Acknowledged, false)
            | (
                EndOutcome::Refused {
                    code: SHOULD_ROLLBACK,
                },
                _,
            ) => &mut transaction.rolled_back,
            (
                EndOutcome::Refused {
                    code: UNKNOWN | GROUP_WRONG,
                },
                _,
            ) => &mut transaction.turned_away,
            _ => return,
        };
        decided.get_or_insert(index);
    }
}

impl Transaction {
    fn new(value: Value, began: usize) -> Self {
        Self {
            value,
            began,
            half: None,
            commit_sent: None,
            committed: None,
            rolled_back: None,
            paid: None,
            answered: false,
            turned_away: None,
            asked: None,
        }
    }

    /// Whether nobody was told that it is committed, and no question about it was
    /// answered so.
    pub(super) fn is_unanswered(&self) -> bool {
        self.committed.is_none() && !self.answered
    }

    /// When a read may show it, at the earliest; `None`: never yet.
    pub(super) fn visible_from(&self) -> Option<usize> {
        self.commit_sent
    }
}

fn key(value: Value) -> (ClientId, u64) {
    (value.client, value.sequence)
}

/// A transaction that is not what it was decided to be.
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

/// A problem with a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was read, and decided as rolled back.
    RolledBackRead,
    /// It was decided both ways.
    DecidedTwice,
    /// Its end was refused as that of none that is known, and it was asked about
    /// later.
    TurnedAway,
}

/// Every violation, in the order of orders. A message that is visible before a commit
/// was sent is a phantom, and reported as one.
pub fn check(facts: &Facts<'_>) -> Vec<Violation> {
    if facts.transactions.0.is_empty() {
        return Vec::new();
    }
    let mut read = BTreeMap::new();
    for queue in facts.queues.values() {
        for place in queue.read_places().all() {
            let first = read.entry(key(place.value)).or_insert(place.known);
            *first = place.known.min(*first);
        }
    }
    let mut violations = Vec::new();
    for (key, transaction) in &facts.transactions.0 {
        let Some(rolled_back) = transaction.rolled_back else {
            continue;
        };
        let mut add = |index: usize, what| {
            violations.push(Violation {
                value: transaction.value,
                at_ns: facts.at_ns(index),
                event: index as u64,
                what,
            });
        };
        if let Some(read) = read.get(key) {
            add(rolled_back.max(*read), What::RolledBackRead);
        }
        if let Some(committed) = transaction.committed {
            add(rolled_back.max(committed), What::DecidedTwice);
        }
    }
    violations
}

/// Every acknowledged half message whose end was refused as that of none that is
/// known, while it waited to be decided: brokers asked about it later.
pub fn turned_away(facts: &Facts<'_>) -> Vec<Violation> {
    let of = |transaction: &Transaction| {
        let (acknowledged, _) = transaction.half?;
        let (refused, asked) = (transaction.turned_away?, transaction.asked?);
        (acknowledged < refused && refused < asked).then(|| Violation {
            value: transaction.value,
            at_ns: facts.at_ns(refused),
            event: refused as u64,
            what: What::TurnedAway,
        })
    };
    facts.transactions.0.values().filter_map(of).collect()
}

/// Every transaction that was committed, or whose order is paid, and that the
/// complete read after heal lacks.
pub fn lost(facts: &Facts<'_>) -> Vec<Lost> {
    if facts.transactions.0.is_empty() {
        return Vec::new();
    }
    let finals = facts.queues.values().filter_map(|queue| queue.final_read);
    let mut last = None;
    let mut visible = BTreeSet::new();
    for read in finals {
        last = last.max(Some(read.index));
        let values = read.messages.iter().filter_map(|(_, value)| *value);
        visible.extend(values.map(key));
    }
    // A reader that never read everything has seen nothing missing.
    let Some(last) = last else {
        return Vec::new();
    };
    let missing = |transaction: &&Transaction| {
        let due = transaction.committed.or(transaction.paid).is_some();
        let aged_out = || facts.has_aged_out(transaction.value);
        due && !visible.contains(&key(transaction.value)) && !aged_out()
    };
    let transactions = facts.transactions.0.values();
    let lost = transactions.filter(missing).map(|transaction| {
        let (acknowledged, half_address) = transaction.half.unwrap_or((transaction.began, 0));
        let known = transaction.committed.unwrap_or(acknowledged);
        Lost {
            thing: LostThing::Transaction {
                value: transaction.value,
                half_address,
                committed: transaction.committed.is_some(),
            },
            known_ns: facts.at_ns(known),
            missed_ns: facts.at_ns(last),
            event: last as u64,
            missed: Missed::FinalRead {
                instead: Instead::Nothing,
            },
        }
    });
    lost.collect()
}

impl Violation {
    /// As a broken promise.
    pub fn finding(&self) -> Finding {
        Finding {
            promise: Promise::Transactions,
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
            What::RolledBackRead => write!(
                f,
                "the transaction of {value} is visible and was decided as rolled back, at {}",
                At(*at_ns)
            ),
            What::TurnedAway => write!(
                f,
                "the end of the transaction of {value} was refused as that of none that is known, \
                 at {}, and a broker asked about it later",
                At(*at_ns)
            ),
            What::DecidedTwice => write!(
                f,
                "the transaction of {value} was decided as committed and as rolled back, at {}",
                At(*at_ns)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::story::story;
    use crate::check::{Facts, no_phantom};

    fn findings(text: &str) -> Vec<String> {
        let history = story(text);
        let facts = Facts::new(&history);
        let phantoms = no_phantom::check(&facts);
        let violations = super::check(&facts);
        let lost = super::lost(&facts);
        phantoms
            .iter()
            .map(ToString::to_string)
            .chain(violations.iter().map(ToString::to_string))
            .chain(lost.iter().map(ToString::to_string))
            .collect()
    }

    #[test]
    fn a_transaction_seen_as_it_was_decided_is_right() {
        for text in [
            "half 1; stored 1; pay 1; commits 1; pull 0..1: 1@0; ended 1; final 0..1: 1@0",
            "half 1; stored 1; rolls 1; ended 1; final 0..0:",
            "half 1; lost-half 1; final 0..0:",
            "half 1; lost-half 1; says-rollback 1; final 0..0:",
            "half 1; stored 1; pay 1; says-commit 1; final 0..1: 1@0",
            // The end is not known, and the commit was sent.
            "half 1; stored 1; pay 1; commits 1; end-unknown 1; final 0..2: 1@0 1@1",
        ] {
            let findings = findings(text);
            assert!(findings.is_empty(), "{text}: {findings:?}");
        }
    }

    #[test]
    fn an_end_of_what_is_pending_is_not_refused_as_unknown() {
        let wrong = |text: &str| super::turned_away(&Facts::new(&story(text))).len();
        let asked = "half 1; stored 1; commits 1; refused 1 202; says-commit 1";
        assert_eq!(wrong(asked), 1);
        assert_eq!(wrong(&asked.replace("202", "203")), 1);
        assert_eq!(wrong(&asked.replace("202", "200")), 0);
        // Nobody knows it any more, or it never was acknowledged.
        assert_eq!(wrong("half 1; stored 1; commits 1; refused 1 202"), 0);
        assert_eq!(wrong("half 1; commits 1; refused 1 202; says-commit 1"), 0);
        assert_eq!(
            wrong("half 1; stored 1; says-commit 1; commits 1; refused 1 202"),
            0
        );
    }

    #[test]
    fn a_transaction_seen_otherwise_is_found() {
        let cases = [
            "half 1; stored 1; pull 0..1: 1@0; commits 1; ended 1; final 0..1: 1@0",
            "half 1; stored 1; rolls 1; ended 1; final 0..1: 1@0",
            "half 1; stored 1; pay 1; commits 1; refused 1 201; final 0..1: 1@0",
            "half 1; stored 1; pay 1; commits 1; ended 1; rolls 1; ended 1; final 0..1: 1@0",
            "half 1; stored 1; pay 1; commits 1; ended 1; final 0..0:",
            "half 1; stored 1; pay 1; final 0..0:",
        ];
        let shown = cases.map(|text| format!("# {text}\n{}\n", findings(text).join("\n")));
        insta::assert_snapshot!(shown.join("\n"));
    }
}
