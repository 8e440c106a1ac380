//! Partitions: who is cut off from whom.
//!
//! ```text
//!   isolate 0        split 0 1         bridge 0
//!    0 | 1-2-3-4      0-1 | 2-3-4       1-2-0-3-4,  1-2 | 3-4
//! ```

use serde::{Deserialize, Serialize};

/// Who is cut off from whom.
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

/// Which links of those that a shape names are cut.
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

/// What a cut takes from the links between its victims and the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutDirection {
    /// Both ways.
    Both,
    /// What is sent to the victims.
    Inbound,
    /// What the victims send.
    Outbound,
}
