//! Scenarios: what is run, under which faults, and what is expected of it.
//!
//! Promise: a [`Scenario`] in hand is valid (every key known, every number in
//! its bounds, no two settings that contradict each other), and with a seed it
//! fixes the faults completely: [`plan`] is a pure function of the two.
//!
//! ```text
//!   file.toml ──read──> Scenario ──plan(seed)──> FaultPlan ──> one run
//! ```

mod cluster;
mod crash;
mod fault;
mod harm;
mod members;
mod model;
mod operation;
mod partition;
mod plan;
pub mod random;
mod read;

pub use cluster::Cluster;
pub use crash::{Blow, CrashPoint, Fate, Kept, NoCrashPoint};
pub use fault::{Condition, FaultRule, Target, ThenRule};
pub use harm::{FileClass, Harm, Survival, SyncErrorCache};
pub use members::{Failing, Membership, Stays, Tags};
pub use model::{
    Between, ClientSettings, Consumers, Core, DiskSettings, Expectation, LinkEnd, LinkRule, Need,
    NetworkSettings, OrderServices, Producers, RunOptions, RunSettings, Scenario, Workload,
};
pub use operation::{OperationKind, OperationRule, Subject};
pub use partition::{CutDirection, CutLinks, PartitionShape};
pub use plan::{
    Effect, FaultPlan, Hit, Operation, PlannedFault, PlannedOperation, SecondBlow, Trigger, Victim,
    plan,
};
pub(crate) use read::seeds;
pub use read::{ScenarioError, find, load, parse};
