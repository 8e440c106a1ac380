//! Scenarios: what is run, under which faults, and what is expected of it.
//!
//! Promise: a [`Scenario`] in hand is valid (every key known, every number in
//! its bounds, no two settings that contradict each other), and with a seed it
//! fixes the faults completely: [`plan`] is a pure function of the two.
//!
//! ```text
//!   file.toml ──read──> Scenario ──drawn(seed)──> Scenario ──plan(seed)──> FaultPlan
//!                                  of a swarm                               one run
//!                                                              written ──┘     ▲
//!                                                                 └─ plan.toml ┘ edited, read again
//! ```
//!
//! A scenario is text. With a seed it says which faults come, and when:
//!
//! ```
//! use zeroloss::scenario::{parse, plan};
//!
//! let text = r#"
//! title = "the power fails"
//! why = "Nothing acknowledged is lost by it."
//! cluster = { brokers = 1, flush = "sync" }
//! workload = [{ kind = "send", messages = 100 }]
//! fault = [{ kind = "power-loss", target = 0, at_ms = [500, 1_500] }]
//! run = { seeds = "0..8", duration_ms = 2_000 }
//! expect = { outcome = "zero-loss" }
//! "#;
//! let scenario = parse("example", "example.toml", text)?;
//! let faults = plan(&scenario, 3).faults;
//! let ms = faults[0].trigger.from_ns / 1_000_000;
//! assert!(faults.len() == 1 && (500..=1_500).contains(&ms));
//! assert_eq!(plan(&scenario, 3).faults, faults);
//!
//! let wrong = parse("example", "example.toml", &text.replace("target", "targt")).unwrap_err();
//! assert!(wrong.to_string().contains("did you mean `target`?"));
//! # Ok::<(), zeroloss::scenario::ScenarioError>(())
//! ```
//!
//! # The keys of a scenario file
//!
//! As `zeroloss keys` shows them.
//!
//! ```text
#![doc = include_str!("keys.txt")]
//! ```

mod action;
mod cluster;
mod crash;
mod event;
mod fault;
mod files;
mod members;
mod model;
mod operation;
mod parameter;
mod partition;
mod plan;
pub mod random;
mod read;
mod refusal;
mod setting;
mod strays;
mod survival;
mod swarm;

pub use action::{DRIFT_PPM_MAX, FaultAction};
pub use cluster::{Cluster, CpuSpeed, RestartWith};
pub use crash::{BoundaryCrash, CrashPoint, Fate, Kept, NoCrashPoint};
pub use event::{AtEvent, Event, EventRule};
pub use fault::{Condition, FaultRule, Target, ThenOn, ThenRule};
pub use files::{FileClass, RotForm, SyncErrorCache, SyncForm};
pub use members::{Failing, Membership, Stays, Tags};
pub use model::{
    Begin, Between, ClientSettings, Consumers, Core, DiskSettings, EndsBy, Expectation, LinkEnd,
    LinkRule, LongBodies, Need, NetworkSettings, OrderServices, Producers, Rest, RunOptions,
    RunSettings, Scenario, Spelling, Stranger, Workload,
};
pub use operation::{OperationKind, OperationRule, Subject};
pub use parameter::{Choice, Files, Maybe, Span, Survivors, Until, Way};
pub use partition::{CutDirection, CutLinks, PartitionShape};
pub use plan::{
    FaultPlan, Hit, Operation, PlannedFault, PlannedOperation, Then, Trigger, VERSION, Victim,
    plan, written,
};
pub(crate) use read::seeds;
pub use read::{
    KeyRow, KeyTable, ScenarioError, find, load, load_plan, parse, parse_plan, reference,
};
pub use refusal::{DiskVerb, Refusal};
pub(crate) use setting::padded;
pub use strays::{StrayContent, StrayName};
pub use survival::Survival;
pub use swarm::Swarm;
