//! The victims that faults and operations are drawn to hit.

use super::Victim;
use crate::scenario::random::Stream;
use crate::scenario::{Cluster, Scenario, Subject, Target};

/// The victims of one fault.
pub(super) fn victims(scenario: &Scenario, target: Target, stream: &mut Stream) -> Vec<Victim> {
    let cluster = &scenario.cluster;
    let one = match target {
        Target::Broker(broker) => Victim::Broker(broker),
        Target::AnyBroker => any_broker(cluster, stream),
        Target::Leader => Victim::Leader,
        Target::Follower => follower(cluster, stream),
        Target::Minority => return some_brokers(cluster, cluster.minority(), stream),
        Target::Quorum => return some_brokers(cluster, cluster.quorum(), stream),
        Target::All => return (0..cluster.brokers).map(Victim::Broker).collect(),
        Target::AnyProducer => among(scenario.producers(), stream),
        Target::LivingProducer => Victim::LivingProducer(stream.next_u64() as u32),
        Target::AnyConsumer => among(scenario.consumers(), stream),
        Target::AnyDatabase => among(scenario.databases(), stream),
        Target::AnyProducerGroup => {
            let groups = scenario.producer_groups();
            let group = &groups[stream.below(groups.len() as u64) as usize];
            return group.iter().copied().map(Victim::Client).collect();
        }
        Target::AnyClient => {
            let mut all = scenario.producers();
            all.extend(scenario.consumers());
            among(all, stream)
        }
    };
    vec![one]
}

/// The victim that one operation is about; of a spare, the rule itself knows which.
pub(super) fn subject(cluster: &Cluster, subject: Subject, stream: &mut Stream) -> Victim {
    match subject {
        Subject::Node(node) => Victim::Broker(node),
        Subject::AnyBroker => any_broker(cluster, stream),
        Subject::Leader => Victim::Leader,
        Subject::Follower => follower(cluster, stream),
        Subject::Spare => Victim::Broker(cluster.brokers),
    }
}

fn any_broker(cluster: &Cluster, stream: &mut Stream) -> Victim {
    Victim::Broker(stream.below(u64::from(cluster.brokers)) as u32)
}

/// All members follow while a spare leads, and all but one else: a place below
/// the product stands for the same one as any number that leaves that rest.
fn follower(cluster: &Cluster, stream: &mut Stream) -> Victim {
    let places = u64::from(cluster.brokers * (cluster.brokers - 1).max(1));
    Victim::Follower((u64::from(stream.next_u64() as u32) % places) as u32)
}

/// So many different ones, in the order of their numbers.
fn some_brokers(cluster: &Cluster, count: u32, stream: &mut Stream) -> Vec<Victim> {
    let mut left: Vec<u32> = (0..cluster.brokers).collect();
    let mut drawn: Vec<u32> = (0..count)
        .map(|_| left.remove(stream.below(left.len() as u64) as usize))
        .collect();
    drawn.sort_unstable();
    drawn.into_iter().map(Victim::Broker).collect()
}

fn among(clients: Vec<u32>, stream: &mut Stream) -> Victim {
    Victim::Client(clients[stream.below(clients.len() as u64) as usize])
}
