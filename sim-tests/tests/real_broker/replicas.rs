//! Three replicas on real sockets and real files: one dies, one loses its disk,
//! and nothing that was acknowledged is missing.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tempfile::TempDir;
use zeroloss::broker::{BrokerConfig, Peer, RaftConfig, Replication, format_replica};
use zeroloss::check::Verdict;
use zeroloss::env::Env;
use zeroloss::env::real::RealEnv;
use zeroloss::log::Identity;

use sim_tests::ports::free_addresses;

use crate::retry::{Sender, bodies, until};
use crate::support::{Clients, Server, TOPIC, config};

const CLUSTER: u64 = 1;
const NODES: [u64; 3] = [0, 1, 2];

/// A blank disk made a replica's: the node's first one, or another.
async fn formatted(node_id: u64, first: bool) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let env = RealEnv::new(root.path().to_owned()).unwrap();
    let identity = Identity {
        cluster_id: CLUSTER,
        node_id,
        disk_id: env.random_u64(),
        kind: None,
    };
    let members = first.then_some(&NODES[..]);
    format_replica(&env.disk(), identity, members)
        .await
        .unwrap();
    root
}

struct Cluster {
    broker: BrokerConfig,
    peers: BTreeMap<u64, Peer>,
    roots: BTreeMap<u64, TempDir>,
    servers: BTreeMap<u64, Server>,
}

impl Cluster {
    async fn start(broker: BrokerConfig) -> Self {
        let free = free_addresses(2 * NODES.len());
        let peer = |node: &u64| Peer {
            peer: free[2 * *node as usize],
            client: free[2 * *node as usize + 1],
        };
        let mut cluster = Self {
            broker,
            peers: NODES.iter().map(|node| (*node, peer(node))).collect(),
            roots: BTreeMap::new(),
            servers: BTreeMap::new(),
        };
        for node in NODES {
            cluster.roots.insert(node, formatted(node, true).await);
            cluster.start_node(node).await;
        }
        cluster
    }

    async fn start_node(&mut self, node_id: u64) {
        let config = BrokerConfig {
            listen: self.peers[&node_id].client,
            replication: Replication::Raft(RaftConfig {
                node_id,
                peers: self.peers.clone(),
                ..RaftConfig::default()
            }),
            ..self.broker.clone()
        };
        let server = Server::with(self.roots[&node_id].path(), config).await;
        self.servers.insert(node_id, server);
    }

    async fn kill(&mut self, node_id: u64) {
        self.servers.remove(&node_id).unwrap().drop_dead().await;
    }

    /// The node that said last that it leads.
    fn leader(&self) -> Option<u64> {
        let says = |server: &Server| {
            let told = server.told.lock().unwrap();
            told.iter()
                .rev()
                .find(|line| line.contains("lead") || line.contains("led in"))
                .is_some_and(|line| line.starts_with("leads"))
        };
        self.servers
            .iter()
            .find(|(_, server)| says(server))
            .map(|(node, _)| *node)
    }

    fn brokers(&self) -> Vec<SocketAddr> {
        self.peers.values().map(|peer| peer.client).collect()
    }
}

#[tokio::test]
async fn the_leader_dies_and_a_disk_is_lost_and_nothing_is_missing() {
    let mut cluster = Cluster::start(config()).await;
    let clients = Clients::new();
    let brokers = cluster.brokers();
    clients.send_to(1, &brokers, 100).await;
    let leader = cluster.leader().expect("somebody led");

    // The leader dies in the middle of sends.
    let (sending, progress) = clients.sending_to(2, &brokers, None);
    clients
        .until("sends are under way", || progress.acknowledged() > 20)
        .await;
    cluster.kill(leader).await;
    let before = progress.acknowledged();
    clients
        .until("another leads", || progress.acknowledged() > before + 50)
        .await;

    // Its disk is gone, too; a blank one takes its place.
    cluster.roots.insert(leader, formatted(leader, false).await);
    cluster.start_node(leader).await;
    let caught_up = |cluster: &Cluster| {
        let told = cluster.servers[&leader].told.lock().unwrap();
        told.iter().any(|line| line.contains("promoted"))
    };
    clients
        .until("the new disk is let in", || caught_up(&cluster))
        .await;

    // So another node may go.
    let other = NODES.into_iter().find(|node| *node != leader).unwrap();
    cluster.kill(other).await;
    let before = progress.acknowledged();
    clients
        .until("the other two serve", || {
            progress.acknowledged() > before + 50
        })
        .await;
    sending.abort();
    let _ = sending.await;

    let served_ns = clients.env.now_ns();
    let (consuming, _) = clients.consuming_from(3, &brokers);
    let (_, judgement) = clients.read_all_and_judge(&brokers, served_ns).await;
    consuming.abort();
    assert_eq!(judgement.findings, []);
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert!(judgement.counts.acknowledged >= 200);
}

/// A delayed message is delivered by the replica that leads when it is due, and by no
/// other afterwards.
#[tokio::test]
async fn a_delay_outlives_its_leader_and_ends_once() {
    const MESSAGES: usize = 20;
    let waiting = BrokerConfig {
        delay_levels_ms: vec![1_000, 1_500, 2_000],
        ..config()
    };
    let mut cluster = Cluster::start(waiting).await;
    let clients = Clients::new();
    let brokers = cluster.brokers();
    clients.send_to(1, &brokers, 1).await;
    let first = cluster.leader().expect("somebody led");
    let mut sender = Sender::new(&clients, cluster.peers[&first].client);
    for number in 0..MESSAGES {
        let level = number as u32 % 3 + 1;
        sender.delay(level, &number.to_string()).await;
    }
    cluster.kill(first).await;
    clients.send_to(2, &brokers, 1).await;
    let second = cluster.leader().expect("another leads");
    let address = cluster.peers[&second].client;
    until(&clients, address, TOPIC, MESSAGES + 2).await;

    // The first one comes back with what it had, and leads alone with the third.
    cluster.start_node(first).await;
    cluster.kill(second).await;
    clients.send_to(3, &brokers, 1).await;
    let third = cluster.leader().expect("one of the others leads");
    let address = cluster.peers[&third].client;
    let mut all = until(&clients, address, TOPIC, MESSAGES + 3).await;
    all.retain(|body| body.len() <= 2);
    all.sort();
    let mut expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(bodies(&clients, address, TOPIC).await.len(), MESSAGES + 3);
}
