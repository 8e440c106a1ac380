//! `[cluster]`: the brokers and how they are set up.

use crate::broker::BrokerConfig;
use crate::check::Replication;

use super::Between;

/// `[cluster]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Members from the start, numbered from 0: 1 without replication, an odd
    /// number from 3 on with Raft.
    pub brokers: u32,
    /// Further machines, numbered on from there: formatted and running, members
    /// of nothing until the operator adds them.
    pub spares: u32,
    /// How they replicate.
    pub replication: Replication,
    /// Every broker's configuration. The simulator replaces name, addresses and
    /// election timeout: see [`Cluster::election_timeout_ms`].
    pub broker: BrokerConfig,
    /// Each member starts for the first time at a moment drawn from here,
    /// milliseconds: the cluster is founded once the last one is there.
    pub first_start_ms: Between,
    /// With Raft: each broker's own election timeout is drawn from here, once
    /// for a run.
    pub election_timeout_ms: Between,
    /// With a preferred leader: each broker prefers another one, the next after the
    /// one that the broker before it prefers.
    pub preferences_differ: bool,
    /// How fast brokers' machines are; `None`: what brokers do takes no time.
    pub cpu: Option<CpuSpeed>,
    /// Settings that a broker may be given anew whenever it is started again.
    pub restart_with: RestartWith,
}

/// Other settings for a broker that starts again; `None`: those of `[cluster]`.
/// Brokers change at different times, so that they differ from each other, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestartWith {
    /// Bytes of a segment.
    pub segment_bytes: Option<Between>,
    /// Queues of topics that are made later.
    pub queues: Option<Between>,
    /// How long messages are kept.
    pub retention_ms: Option<Between>,
    /// Events of the network that are handled in one step.
    pub events_per_step: Option<Between>,
}

/// The speed of a machine, against the one of the cost model: a call of its
/// operating system takes 2 us, a byte of a request or a record 2 ns, a byte of
/// derived state 10 ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuSpeed {
    /// Everything takes so many times as long.
    pub slowdown: u64,
}

impl CpuSpeed {
    /// A byte that is copied and summed up, at full speed, nanoseconds.
    pub const COPIED_BYTE_NS: u64 = 2;
}

impl Cluster {
    /// Members and spares: the first machines of a run.
    pub fn machines(&self) -> u32 {
        self.brokers + self.spares
    }

    /// Whether brokers replicate at all.
    pub fn is_replicated(&self) -> bool {
        self.replication != Replication::None
    }

    /// The largest number of brokers without which the others are still a
    /// majority: f of guarantee.md, section 1, as long as the members are those
    /// of the start.
    pub fn minority(&self) -> u32 {
        (self.brokers - 1) / 2
    }

    /// The smallest majority.
    pub fn quorum(&self) -> u32 {
        self.brokers / 2 + 1
    }
}
