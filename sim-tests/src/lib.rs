//! Tests and mutants of zeroloss, through its public API and its command line
//! only, as a stranger's crate would use them.

pub mod chaos;
pub mod mutants;
pub mod ports;
