//! Known mistakes, planted one at a time: does anything notice?
//!
//! Promise: what is reported as killed was killed by simulating, never by a unit
//! test; the tree without a mutant is green over the same scenarios and seeds, or
//! nothing is reported at all.
//!
//! ```text
//!  *.patch ──▶ patch ──▶ mutant ──▶ weave: all in one build, each behind a number
//!  the product ──▶ generate ─┘       │      tree: the copy that is built; a build of its
//!                                    ▼            own for a mutant that cannot be a switch
//!                          program, run: one call of `zeroloss run`
//!                                    │
//!              hunt, gate: a few seeds, then more, or the gate's scenarios,
//!                          until killed, or the cap of CPU time; journal
//!                                    │
//!                     table, report: what came of it; judged: what people say of it
//! ```

pub mod commit;
mod compiler;
pub mod gate;
pub mod generate;
#[cfg(test)]
mod ground_tests;
pub mod hunt;
pub mod journal;
pub mod judged;
pub mod mutant;
pub mod patch;
pub mod program;
pub mod report;
pub mod run;
pub mod table;
pub mod tree;
pub mod weave;
