//! The broker on the real seam: tokio, loopback sockets and a directory.
//!
//! The records of clients here are judged by the checkers that judge simulations.

mod bounds;
mod fuzz;
mod groups;
mod hostile;
mod lives;
mod other_clients;
mod raw;
mod replicas;
mod retry;
mod support;
mod tags;
mod transactions;
