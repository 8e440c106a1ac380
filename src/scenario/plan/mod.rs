//! The faults of one run, as data: a pure function of scenario and seed.
//!
//! Nothing here knows what happens in the run. A fault that is aimed ("dirty")
//! waits in its window for its condition; whether that came is the ledger's to
//! say.

mod draw;
mod file;
#[cfg(test)]
mod tests;
mod victims;

use serde::{Deserialize, Serialize};

use super::random::{Purpose, Stream};
use super::{AtEvent, Condition, FaultAction, Scenario, ThenOn};

pub use file::{VERSION, written};

/// All faults of one run, ordered by the earliest moment at which they may
/// fire, and what the operator does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// The faults.
    pub faults: Vec<PlannedFault>,
    /// The operations, in the order of time.
    pub operations: Vec<PlannedOperation>,
}

/// One fault, with nothing left to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// When it fires.
    pub trigger: Trigger,
    /// The victims that it hits, all at the same instant. At least one.
    pub hits: Vec<Hit>,
}

/// A fault's part that hits one victim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The victim.
    pub victim: Victim,
    /// The action.
    pub action: FaultAction,
    /// The number that decides everything that the action leaves to chance: which sectors
    /// survive, which one rots. 0 where it leaves nothing.
    pub draw: u32,
    /// The action that comes soon after.
    pub then: Option<Then>,
}

/// The action that comes after another, whether its victims are up or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Then {
    /// So long after the hit, nanoseconds.
    pub after_ns: u64,
    /// The brokers that it hits.
    pub on: ThenOn,
    /// The condition of one of them, which it waits for as long as the fault might.
    pub when: Condition,
    /// The action.
    pub action: FaultAction,
    /// As of a [`Hit`]; each further victim has the next number.
    pub draw: u32,
}

/// The victim of a fault. Roles stay roles: who has them is known when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victim {
    /// A broker, counted from 0.
    Broker(u32),
    /// The broker that leads.
    Leader,
    /// A broker that does not lead: the one whose place among them, in order of
    /// their numbers, is this number modulo theirs.
    Follower(u32),
    /// A process of an order service that is not the last of its group: the one
    /// whose place among those, in order of their numbers, is this number modulo
    /// theirs.
    LivingProducer(u32),
    /// A client, by its number in the scenario.
    Client(u32),
}

/// When a fault fires: at the first moment in `from_ns..=until_ns` at which its
/// victims are known and up, `when` holds of one of them, and the budget has
/// room; otherwise never. With `at_event`: in the step of the first event from
/// that number on at which all this is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Not before, nanoseconds since the start of the run.
    pub from_ns: u64,
    /// Not after.
    pub until_ns: u64,
    /// The condition.
    pub when: Condition,
    /// The event that it comes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_event: Option<AtEvent>,
    /// Whether the fault budget holds it back (guarantee.md, section 3).
    pub within_budget: bool,
}

/// One operation, with nothing left to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOperation {
    /// When, nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The operation.
    pub operation: Operation,
}

/// The operations of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Operation {
    /// The machine `spare` takes the place of a member.
    ReplaceNode {
        /// The node that goes.
        victim: Victim,
        /// The node that comes.
        spare: u32,
    },
    /// A machine becomes a member.
    AddNode {
        /// The node.
        node: u32,
    },
    /// A member is one no more.
    RemoveNode {
        /// The victim.
        victim: Victim,
    },
    /// Another member leads.
    TransferLeadership {
        /// The new leader.
        to: Victim,
    },
    /// One member goes on alone, by an unsafe recovery; the others come back once it
    /// serves.
    Recover {
        /// Which.
        survivor: Victim,
        /// How long it then has been serving alone, nanoseconds.
        alone_ns: u64,
        /// Each of the others comes back once those before it were replaced.
        one_by_one: bool,
    },
}

/// The faults of the run of `scenario` with `seed`: those of its own plan, where
/// it was given one.
///
/// Each rule draws from a lane of its own, so that an edit to one leaves the
/// faults of the others where they were.
pub fn plan(scenario: &Scenario, seed: u64) -> FaultPlan {
    if let Some(planned) = &scenario.planned {
        return FaultPlan::clone(planned);
    }
    let mut faults = Vec::new();
    for (lane, rule) in (0..).zip(&scenario.faults) {
        let mut stream = Stream::lane(seed, Purpose::Faults, lane);
        let mut chances = Stream::lane(seed, Purpose::Survival, lane);
        faults.extend(draw::faults(scenario, rule, &mut stream, &mut chances));
    }
    // Stable: faults of one moment stay in the order of the file.
    faults.sort_by_key(|fault| fault.trigger.from_ns);
    let mut operations = Vec::new();
    for (lane, rule) in (0..).zip(&scenario.operations) {
        let mut stream = Stream::lane(seed, Purpose::Operator, lane);
        operations.extend(draw::operations(&scenario.cluster, rule, &mut stream));
    }
    operations.sort_by_key(|planned| planned.at_ns);
    FaultPlan { faults, operations }
}
