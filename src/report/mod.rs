//! Reports: what runs came to, as data, as text and as JSON.
//!
//! Promise: equal seeds give equal bytes. Times are simulated; no output holds
//! a wall clock's reading, a path of the machine, or an address of its memory.
//!
//! ```text
//!   RunReport × seeds ──> ScenarioReport ──┬── text: one line, FAIL blocks; the ledger of faults
//!                                          └── json: one object
//! ```

mod excerpt;
mod json;
mod ledger;
mod numbers;
mod run;
mod scenario;
mod sweep;
mod sweep_text;
pub mod text;

pub use json::json;
pub use ledger::ledger;
pub use run::{FaultCount, RunReport, TimelineLine, Trace};
pub use scenario::{About, ScenarioReport};
pub use sweep::{Crash, Ends, Survives, SweepReport, SweepRow, Victims};
pub use sweep_text::{sweep as sweep_text, sweep_point};
