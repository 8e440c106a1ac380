//! All interleavings of a few replicas: the real Raft core, with every order of messages,
//! syncs, crashes and lost disks within stated bounds.
//!
//! ```text
//!   bounds ─▶ begin ─▶ world ──▶ moves: every step that is possible ──▶ worlds
//!                        ▲         messages, disks, power, operators       │
//!                        │                                                 ├─▶ past: is a
//!                        │                                                 │   promise broken?
//!                        │                                                 ├─▶ healing: does it
//!                        │                                                 │   work again?
//!                        └────────── search: the new ones, by their digest ┘
//! ```
//!
//! A world drives the core as `broker::replica::drive` does. What it takes for granted:
//!
//! - Time has no values. All times of the settings are 0, so that every deadline may come at
//!   any moment, and loyalty to a leader, which time alone ends, is none. That is more
//!   than clocks can do, and safety must not rest on them.
//! - A pre-vote is always given: it changes no state.
//! - A message that is never delivered is lost. A newer one of the same kind, term, sender and
//!   receiver takes the place of the older, but where the older stays as a late one.
//! - Messages that can have no effect any more are taken away; so are bare refusals, which only
//!   tell of a later term ([`Bounds::refusals`]).
//! - A leader's heartbeat comes where a follower lacks something and nothing is under way
//!   between the two. Where something is, it counts as lost ([`Bounds::losses`]).
//! - A crash and the restart are one step: a replica that is off is one that nobody
//!   hears.
//! - A hole is filled in one step; a base is installed in one step.
//!
//! Nodes that lost what was durable are, over a whole path, no more than the smallest minority.
//! Everybody is in the budget then, whatever healed in between.
//!
//! A small search, from a leader of term 1, to the depth that its bounds give:
//!
//! ```
//! use zeroloss::interleavings::{Bounds, search};
//!
//! let bounds = Bounds { entries: 0, crashes: 0, tears: 0, rots: 0, ..Bounds::named("gate").unwrap() };
//! let searched = search(&bounds, || 0);
//! assert!(searched.found.is_none());
//! assert!(searched.states > 100);
//! ```

mod action;
mod bounds;
mod digest;
mod disk;
mod faults;
mod healing;
mod moves;
mod past;
mod search;
mod seen;
mod transcript;
mod world;

pub use bounds::{Begin, Bounds};
pub use past::{Broken, Promise};
pub use search::{Counterexample, Searched, search};
