//! Reports: what a run came to, as data and as text.
//!
//! Promise: equal seeds give equal bytes. Times are simulated; no output holds
//! a wall clock's reading, a path of this machine, or an address of its memory.

mod run;

pub use run::{FaultCount, RunReport, TimelineLine, Trace};
