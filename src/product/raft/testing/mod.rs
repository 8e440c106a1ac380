//! A cluster of pure cores: every message, every sync and every timeout happens
//! when the test says so.
//!
//! ```text
//!   story  ─▶ one step after another, told line by line  ┐
//!   random ─▶ whatever a seed picks, faults included     ┘─▶ cluster ─▶ check
//!                                                             │   after every step:
//!                                            disks: durable, cached, in flight
//!                                            a bag of messages, in no order
//! ```

mod blanks;
mod check;
mod cluster;
mod disk;
mod extremes;
mod holes;
mod lone;
mod random;
mod rules;
mod script;
mod scripts;
