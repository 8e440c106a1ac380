//! Reports: what runs came to, as data, as text and as JSON.
//!
//! Promise: equal seeds give equal bytes. Times are simulated; no output holds
//! a wall clock's reading, a path of the machine, or an address of its memory.
//!
//! ```text
//!   RunReport × seeds ──> ScenarioReport ──┬── text: one line, FAIL blocks; the ledger of faults
//!                                          └── json: one object
//! ```
//!
//! A scenario's report is the sum of its runs. Machines and people read the same:
//!
//! ```
//! use zeroloss::check::Exit;
//! use zeroloss::report::{About, RunReport, ScenarioReport, json, text};
//! use zeroloss::scenario::load;
//!
//! let scenario = load("scenarios/single/power-any.toml".as_ref())?;
//! let mut report = ScenarioReport::new(About::of(&scenario));
//! for seed in 0..2 {
//!     report.add(RunReport::crashed(&scenario.id, seed, "index out of bounds"));
//! }
//! assert_eq!(report.assessment().exit, Exit::Crashed);
//! let for_machines: serde_json::Value = serde_json::from_str(&json(&report))?;
//! assert_eq!(for_machines["verdicts"]["crashed"], 2);
//! let for_people = text::scenario(&report, 20);
//! assert!(for_people.starts_with("FAIL  single/power-any"));
//! assert!(for_people.contains("2 crashed"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod excerpt;
mod json;
mod keys;
mod ledger;
mod notes;
mod numbers;
mod paragraph;
mod run;
mod scenario;
mod sweep;
mod sweep_text;
pub mod text;

pub use json::json;
pub use keys::keys;
pub use ledger::ledger;
pub use paragraph::paragraph;
pub use run::{FaultCount, RunReport, TimelineLine, Trace};
pub use scenario::{About, ScenarioReport};
pub use sweep::{Crash, Ends, Survives, SweepReport, SweepRow, Victims};
pub use sweep_text::{sweep as sweep_text, sweep_point};
