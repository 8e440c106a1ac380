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
//!                          liveness ────────────────────────> Finding ─────> Verdict
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
pub use expectation::{Assessment, Exit, ExpectedOutcome, Tally, assess};
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
    |it| match it.evidence.configuration.stores_once {
        true => stored_once::check(it.facts),
        false => Vec::new(),
    },
];

fn in_words<T>(found: Vec<T>, words: impl Fn(&T) -> Finding) -> Vec<Finding> {
    found.iter().map(words).collect()
}
