//! The tap that a scenario asks for.

use crate::broker::{FlushDiskType, Replication};
use crate::check::replicas::{Media, Medium};
use crate::scenario::Scenario;
use crate::sim::tap::{DiscardLimits, Tap};

/// A tap on every machine of a scenario, with what its configuration promises in
/// mind.
pub(super) fn tap_on(scenario: &Scenario) -> Tap {
    let cluster = &scenario.cluster;
    let medium = match cluster.broker.flush_disk_type {
        FlushDiskType::Sync => Medium::Durable,
        FlushDiskType::Async => Medium::Cached,
    };
    let tap = match &cluster.broker.replication {
        Replication::None => Tap::new(cluster.machines(), medium),
        Replication::Raft(raft) => {
            let media = Media {
                log: medium,
                hard_state: match raft.hard_state_sync {
                    true => Medium::Durable,
                    false => Medium::Cached,
                },
            };
            Tap::of_replicas(cluster.brokers, cluster.machines(), media)
        }
    };
    let tap = tap
        .with_reserve(cluster.broker.log_config().reserve_bytes)
        .with_pieces(cluster.broker.bounds.peer_message_bytes)
        .with_followers(cluster.election_timeout_ms.low * 500_000);
    match scenario.producer_groups().is_empty() {
        true => tap,
        false => {
            let limits = DiscardLimits {
                checks: cluster.broker.transaction_check_max,
                age_ns: cluster.broker.half_age_max_ms.saturating_mul(1_000_000),
            };
            tap.that_follows_transactions(limits, cluster.broker.op_batch_interval_ms.is_some())
        }
    }
}
