//! Scenarios: what is run, under which faults, and what is expected of it.
//!
//! Promise: a [`Scenario`] in hand is valid (every key known, every number in
//! its bounds, no two settings that contradict each other), and with a seed it
//! fixes the faults completely: [`plan`] is a pure function of the two.
//!
//! ```text
//!   file.toml ──read──> Scenario ──plan(seed)──> FaultPlan ──> one run
//! ```

mod fault;
mod model;
mod plan;
pub mod random;
mod read;

pub use fault::{
    Condition, CutDirection, FaultRule, FileClass, Harm, Survival, SyncErrorCache, Target,
};
pub use model::{
    Between, ClientSettings, Cluster, Consumers, DiskSettings, Expectation, LinkEnd, LinkRule,
    NetworkSettings, Producers, RunOptions, RunSettings, Scenario, Workload,
};
pub use plan::{Effect, FaultPlan, PlannedFault, Trigger, Victim, plan};
pub(crate) use read::seeds;
pub use read::{ScenarioError, find, load, parse};
