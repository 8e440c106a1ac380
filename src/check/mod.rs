//! Judgement: what a run's history says about what was promised.
//!
//! Promise: pure. Nothing here knows of a simulator; a history taken on real
//! sockets is judged by the same code. One file per promise of guarantee.md,
//! section 2; what is allowed in which configuration stands in [`promises`];
//! [`judge`](judge()) puts the two together.

mod finding;
mod judge;
pub mod promises;

pub use finding::{Blame, Finding, Lost, LostThing, Promise};
pub use judge::{Ending, Evidence, Judgement, Liveness, Verdict};
pub use promises::{Configuration, Flush, Replication};
