//! `[[fault]]`: a rule from which each seed draws concrete faults.

use serde::{Deserialize, Serialize};

use super::{Between, EventRule, FaultAction};
use crate::history::TransactionStep;

/// One `[[fault]]` of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRule {
    /// The target that it may hit.
    pub target: Target,
    /// When it may fire, milliseconds since the start of the run.
    pub at_ms: Between,
    /// The condition at that moment.
    pub when: Condition,
    /// The event that it comes with, counted from the window's begin on; `None`:
    /// the time decides.
    pub at_event: Option<EventRule>,
    /// `Some`: they follow each other, the first at the window's begin, each so
    /// long after the one before. `None`: each comes at a moment of its own.
    pub every_ms: Option<Between>,
    /// `Some`: its victims are hit one after another, in a drawn order, each so long
    /// after the one before, and what lasts ends for each on its own. `None`: all
    /// at the same instant.
    pub spread_ms: Option<Between>,
    /// How many such faults are planned; with `every_ms`, at most: `u32::MAX` is
    /// as many as there is time for.
    pub count: u32,
    /// Held back while it would exceed the fault budget (guarantee.md,
    /// section 3).
    pub within_budget: bool,
    /// The action, with the ranges that it is drawn from.
    pub action: FaultAction,
    /// The action that hits the same victim soon after.
    pub then: Option<ThenRule>,
}

/// `then` of a rule: a second action. It comes whether or not the victims are up
/// again.
#[derive(Debug, Clone, PartialEq)]
pub struct ThenRule {
    /// After the first.
    pub after_ms: Between,
    /// The brokers that it hits.
    pub on: ThenOn,
    /// The condition of one of them, which it waits for until the rule's window ends.
    pub when: Condition,
    /// The action.
    pub action: FaultAction,
}

/// The brokers that a second action hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThenOn {
    /// The victim of the first.
    Same,
    /// Every broker, at the same instant.
    All,
}

impl ThenOn {
    /// Each.
    pub const ALL: [Self; 2] = [Self::Same, Self::All];

    /// The name in scenario and plan files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::All => "all",
        }
    }
}

/// The targets that a rule may hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Any broker, drawn for each fault.
    AnyBroker,
    /// This broker, counted from 0.
    Broker(u32),
    /// The broker that leads when the fault fires.
    Leader,
    /// Any broker that does not lead when the fault fires.
    Follower,
    /// As many brokers as may fail, drawn for each fault, at the same instant.
    Minority,
    /// The smallest majority, drawn for each fault, at the same instant.
    Quorum,
    /// Every broker, at the same instant.
    All,
    /// Any client.
    AnyClient,
    /// Any client that sends.
    AnyProducer,
    /// Any process of an order service that is not the last of its group when the
    /// fault fires.
    LivingProducer,
    /// All instances of any order service, at the same instant.
    AnyProducerGroup,
    /// Any order database.
    AnyDatabase,
    /// Any client that consumes.
    AnyConsumer,
}

/// The condition for a fault to fire. The fault waits for it within its window, and
/// never fires where the condition is not met. Of several victims, it is enough that one meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Nothing: the time alone decides.
    Always,
    /// The victim's commit log has bytes written and not yet durable.
    Dirty,
    /// A request to the victim (or by it, where it is a client) is unanswered.
    InFlight,
    /// The victim begins a segment of its commit log.
    Rolling,
    /// There is a leader.
    HasLeader,
    /// The victim's process has started and does not serve yet.
    Recovering,
    /// A transaction that the victim has to do with is at that transaction step.
    At(TransactionStep),
}
