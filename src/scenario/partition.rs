//! Partitions: who is cut off from whom.
//!
//! ```text
//!   isolate 0        split 0 1         bridge 0
//!    0 | 1-2-3-4      0-1 | 2-3-4       1-2-0-3-4,  1-2 | 3-4
//! ```

use serde::{Deserialize, Serialize};

/// The sides that are cut off from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionShape {
    /// Each victim from everybody else.
    Isolate,
    /// The victims, who stay together, from everybody else. Clients are with
    /// everybody else.
    Split,
    /// The others from each other, in two halves that both reach the victim.
    Bridge,
}

/// The links that are cut, of those that a shape names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutLinks {
    /// All of them.
    All,
    /// Those between brokers: clients reach everyone.
    Brokers,
    /// Those between brokers and clients: brokers reach each other.
    Clients,
}

/// The direction that a cut takes from the links between its victims and the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutDirection {
    /// Both ways.
    Both,
    /// The messages to the victims.
    Inbound,
    /// The messages from the victims.
    Outbound,
}
