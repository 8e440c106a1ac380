//! Judgement: what a run's history says about what was promised.
//!
//! Promise: pure. Nothing here knows of a simulator; a history taken on real
//! sockets is judged by the same code. One file per promise of guarantee.md,
//! section 2; what is allowed in which configuration stands in [`promises`];
//! [`judge()`] puts the two together. Every check is near-linear in the history:
//! offsets give the order of the versions.
//!
//! ```text
//!   History ──> Facts ──┬─ durability, known_stored, group_offsets ─> Lost ─ blame ─┬─> Waived
//!                       │                                                           │
//!                       └─ no_phantom, offset_uniqueness, queue_order, <────────────┘
//!                          at_least_once, passed, transactions, business,
//!                          redelivery, delays, consume_order, rebalancing,
//!                          limits, liveness ────────────────────> Finding ─────> Verdict
//! ```
//!
//! A run without faults, in which an acknowledged message is gone in the end:
//!
//! ```
//! use zeroloss::check::{Blame, Configuration, Ending, Evidence, Flush, Promise, Verdict, judge};
//! # use zeroloss::check::Liveness;
//! use zeroloss::history::{Event, Ledger, Queue, Recorder, SendOutcome, Value};
//!
//! let queue = Queue { topic: "orders".into(), queue_id: 3 };
//! let (value, _body) = Value::make(1, 1, 64, 0);
//! let seen = Recorder::default();
//! seen.record(1, 1, Event::SendBegan { op: 1, value });
//! let outcome = SendOutcome::Acknowledged { queue: queue.clone(), offset: 0, address: 0 };
//! seen.record(2, 1, Event::SendEnded { op: 1, outcome });
//! let messages = Vec::new();
//! seen.record(3, 2, Event::FinalRead { queue, min_offset: 0, max_offset: 0, messages });
//!
//! # let core = false;
//! # let (healed_ns, bound_ns) = (0, 0);
//! # let (probed_ns, caught_up_ns, level_ns) = (None, None, None);
//! # let (held_in_the_end, leaderships_ns, operations_ns) = (Vec::new(), Vec::new(), Vec::new());
//! # let liveness = Liveness {
//! #     core, healed_ns, bound_ns, probed_ns, caught_up_ns, level_ns, held_in_the_end,
//! #     leaderships_ns, operations_ns,
//! # };
//! let judged = judge(Evidence {
//!     configuration: Configuration::single(Flush::Sync),
//!     history: &seen.take(),
//!     ledger: &Ledger::default(),
//!     blame: &|_lost| Blame::StillHeld,
//!     ending: Ending::Completed,
//! #   liveness, faultless: true, lacks: false, has_lapsed: false,
//! #   commit_facts: &[], oracle: Vec::new(), waived: Vec::new(),
//!     // … and what oracles saw: here there were none.
//! });
//! assert_eq!((judged.verdict, judged.findings[0].promise), (Verdict::Fail, Promise::Durability));
//! ```

pub mod at_least_once;
pub mod business;
mod case;
mod clocks;
mod consume_order;
mod counts;
mod delays;
pub mod durability;
mod expectation;
mod facts;
mod finding;
pub mod group_offsets;
mod groups;
mod halted;
mod judge;
pub mod known_stored;
mod limits;
pub mod liveness;
mod lost;
#[cfg(test)]
mod model_tests;
mod moment;
pub mod no_phantom;
pub mod offset_uniqueness;
mod passed;
mod places;
mod presence;
pub mod promises;
pub mod queue_order;
pub mod read_committed;
mod rebalancing;
mod redelivery;
pub mod replicas;
mod silent;
mod stored_once;
#[cfg(test)]
mod story;
pub mod transactions;

pub use counts::Counts;
pub use expectation::{Assessment, Exit, ExpectedOutcome, Tally, Together, assess};
pub use facts::Facts;
pub use finding::{Finding, Promise};
pub use judge::{Ending, Evidence, Judgement, Verdict, judge};
pub use liveness::Liveness;
pub use lost::{Blame, Instead, Lost, LostThing, Missed, Waived};
pub use moment::At;
pub use promises::{Configuration, Flush, Hit, Promised, Replication};

use self::case::Case;

/// The checks that look at facts once it is known what may be lost, in the order of
/// their findings. Durability, known-stored and group offsets come before: they say what
/// is lost.
const CHECKS: &[fn(&Case<'_>) -> Vec<Finding>] = &[
    |it| in_words(no_phantom::check(it.facts), |found| found.finding()),
    |it| in_words(transactions::check(it.facts), |found| found.finding()),
    |it| in_words(judge::reused(it), |found| found.finding()),
    |it| {
        in_words(queue_order::check(it.facts, it.waived), |found| {
            found.finding()
        })
    },
    |it| {
        in_words(at_least_once::check(it.facts, it.waived), |found| {
            found.finding()
        })
    },
    |it| {
        let excused = it.excused.iter().map(|(lost, _)| lost);
        in_words(business::check(it.facts, excused, it.waived), |owed| {
            owed.finding()
        })
    },
    |it| passed::check(it.facts, it.waived),
    |it| consume_order::check(it.facts, it.waived),
    |it| rebalancing::check(it.facts, it.waived),
    |it| redelivery::check(it.facts, it.is_kept),
    |it| delays::check(it.facts, it.is_kept),
    |it| match it.is_kept {
        true => in_words(transactions::turned_away(it.facts), |found| found.finding()),
        false => Vec::new(),
    },
    |it| limits::check(it.facts),
    |it| match it.evidence.configuration.stores_once {
        true => stored_once::check(it.facts),
        false => Vec::new(),
    },
];

fn in_words<T>(found: Vec<T>, words: impl Fn(&T) -> Finding) -> Vec<Finding> {
    found.iter().map(words).collect()
}
