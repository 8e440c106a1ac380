//! Known mistakes, planted one at a time: does anything notice?
//!
//! Promise: what is reported as killed was killed by simulating, never by a unit
//! test; the tree without a mutant is green over the same scenarios and seeds, or
//! nothing is reported at all.
//!
//! ```text
//!  *.patch ──▶ patch ──▶ weave: all in one build, each behind a number
//!                          │      tree: the copy that is built; a build of its own
//!                          ▼            for a mutant that cannot be a switch
//!              hunt: `zeroloss run`, a few seeds, then more,
//!                    until killed, or the cap of CPU time
//! ```

pub mod hunt;
pub mod journal;
pub mod patch;
pub mod table;
pub mod tree;
pub mod weave;
