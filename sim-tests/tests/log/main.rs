//! The commit log, through its public API: on the simulated disk, where
//! anything may happen at any operation, and on a real one.

mod append;
mod base;
mod chain;
mod crash;
mod damage;
mod files;
mod holes;
mod names;
mod poison;
mod queues;
mod read;
mod replicated;
mod rereading;
mod restart;
mod salvage;
mod scrub;
mod single_base;
mod stalling;
mod support;
