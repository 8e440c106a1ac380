//! A majority of disks is lost: what the one survivor says, and what going on
//! with it alone costs (D16).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;
use zeroloss::client::{ClientConfig, FullReader, Producer, ProducerConfig};
use zeroloss::env::real::RealEnv;
use zeroloss::env::{Env, Timer};
use zeroloss::history::SendOutcome;
use zeroloss::log::replace_atomic_file;

use sim_tests::ports::free_addresses;

use crate::support::{SEGMENTS, Served, complaint, ran};

pub(crate) const TOPIC: &str = "OrderPaySuccessTopic";
/// Long enough for any machine; nothing waits for it where all goes well.
const PATIENCE_MS: u64 = 60_000;

/// Three replicas' directories and addresses.
pub(crate) struct Replicas {
    pub(crate) root: TempDir,
    peers: [String; 3],
    pub(crate) clients: Vec<SocketAddr>,
}

impl Replicas {
    pub(crate) fn formatted() -> Self {
        let free = free_addresses(6);
        let replicas = Self {
            root: tempfile::tempdir().unwrap(),
            peers: [0, 1, 2].map(|node| format!("{node}={}/{}", free[node], free[node + 3])),
            clients: free[3..].to_vec(),
        };
        (0..3).for_each(|node| replicas.format(node, &["--members", "0,1,2"]));
        replicas
    }

    pub(crate) fn dir(&self, node: usize) -> PathBuf {
        self.root.path().join(node.to_string())
    }

    pub(crate) fn format(&self, node: usize, as_what: &[&str]) {
        let node_id = node.to_string();
        let arguments = [&["format", "--broker-id", &node_id], as_what].concat();
        assert!(ran(&arguments, &self.dir(node)).status.success());
    }

    pub(crate) fn peer_arguments(&self) -> Vec<&str> {
        let peers = self.peers.iter();
        peers.flat_map(|peer| ["--peer", peer]).collect()
    }

    pub(crate) fn serve(&self, node: usize) -> Served {
        Served::with(&self.peer_arguments(), &self.dir(node))
    }

    pub(crate) fn recover(&self, node: usize, word: &[&str]) -> (Option<i32>, String, String) {
        let output = ran(
            &[&["recover"], word, &SEGMENTS[..]].concat(),
            &self.dir(node),
        );
        let text = |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(self.dir(node).to_str().unwrap(), "DIR")
        };
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

/// A sender of numbered messages, and where they were acknowledged.
pub(crate) struct Sender {
    env: RealEnv,
    producer: Producer<RealEnv>,
    next: u64,
}

impl Sender {
    pub(crate) fn to(env: &RealEnv, brokers: &[SocketAddr]) -> Self {
        let config = ClientConfig::new("producer", brokers.to_vec());
        let config = ProducerConfig::new(config, "orders");
        Self {
            env: env.clone(),
            producer: Producer::new(env.clone(), config),
            next: 0,
        }
    }

    pub(crate) async fn try_send(&mut self) -> (u64, SendOutcome) {
        let number = self.next;
        self.next += 1;
        let body = number.to_string().into_bytes().into();
        self.producer.submit(TOPIC, None, body, "");
        let (_, outcome) = self.producer.next().await;
        (number, outcome)
    }

    /// So many acknowledged messages: number and log address.
    pub(crate) async fn send(&mut self, count: usize) -> Vec<(u64, u64)> {
        let mut acknowledged = Vec::new();
        let deadline_ns = self.env.now_ns() + PATIENCE_MS * 1_000_000;
        while acknowledged.len() < count {
            assert!(self.env.now_ns() < deadline_ns, "nobody acknowledges");
            if let (number, SendOutcome::Acknowledged { address, .. }) = self.try_send().await {
                acknowledged.push((number, address));
            }
        }
        acknowledged
    }
}

pub(crate) async fn read(env: &RealEnv, brokers: &[SocketAddr]) -> BTreeSet<u64> {
    let config = ClientConfig::new("reader", brokers.to_vec());
    let mut reader = FullReader::new(env.clone(), config, PATIENCE_MS);
    let queues = reader.read_all(TOPIC).await.expect("it can be read");
    let messages = queues.into_iter().flat_map(|queue| queue.messages);
    let number = |body: &[u8]| std::str::from_utf8(body).unwrap().parse().unwrap();
    messages.map(|message| number(&message.body)).collect()
}

pub(crate) async fn until(env: &RealEnv, what: &str, done: impl Fn() -> bool) {
    let deadline_ns = env.now_ns() + PATIENCE_MS * 1_000_000;
    let mut pause = env.timer();
    while !done() {
        assert!(env.now_ns() < deadline_ns, "no end of waiting: {what}");
        pause.reset(Some(env.now_ns() + 5_000_000));
        pause.fired().await;
    }
}

/// One past the last log address that a survivor says it has.
fn end_address(said: &str) -> u64 {
    let (_, after) = said.split_once("log address ").expect("it says so");
    let digits = after.split(|c: char| !c.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse().ok())
        .expect("a number")
}

#[tokio::test]
async fn a_survivor_goes_on_alone_by_the_operator_s_word_and_loses_what_it_said() {
    let replicas = Replicas::formatted();
    let env = RealEnv::new(replicas.root.path().join("client")).unwrap();
    let mut sender = Sender::to(&env, &replicas.clients);
    let mut served: Vec<_> = (0..3).map(|node| replicas.serve(node)).collect();
    let before = sender.send(40).await;

    // The survivor is off while the others acknowledge more, and are lost.
    served.remove(0).signal("-KILL");
    let without = sender.send(40).await;
    for lost in served {
        lost.signal("-KILL");
    }
    for node in [1, 2] {
        std::fs::remove_dir_all(replicas.dir(node)).unwrap();
        replicas.format(node, &["--replacement"]);
    }
    let survivor = replicas.serve(0);
    let blank = [replicas.serve(1), replicas.serve(2)];
    until(&env, "the survivor halts", || survivor.has_told("halted")).await;
    let (_, outcome) = sender.try_send().await;
    assert!(!matches!(outcome, SendOutcome::Acknowledged { .. }));
    survivor.signal("-KILL");

    let (exit, said, why) = replicas.recover(0, &[]);
    assert_eq!(exit, Some(2));
    assert!(said.contains("lost: every message that was acknowledged beyond that"));
    assert!(why.starts_with("error: nothing was changed."), "{why}");
    assert!(why.ends_with("zeroloss recover DIR --unsafe\n"), "{why}");
    assert_eq!(
        replicas.recover(0, &[]),
        (exit, said.clone(), why),
        "nothing was changed"
    );

    let (exit, said_again, _) = replicas.recover(0, &["--unsafe"]);
    assert_eq!(exit, Some(0));
    assert!(said_again.starts_with(&said), "{said_again}");
    let survivor = replicas.serve(0);
    let after = sender.send(40).await;
    for new in &blank {
        until(&env, "the new disks are let in", || {
            new.has_told("promoted")
        })
        .await;
    }

    let kept = read(&env, &replicas.clients).await;
    let end = end_address(&said);
    let has = |(number, _): &(u64, u64)| kept.contains(number);
    assert!(before.iter().chain(&after).all(has));
    let lost: Vec<_> = without.iter().filter(|sent| !has(sent)).collect();
    assert_eq!(lost.len(), without.len(), "the survivor was off");
    assert!(lost.iter().all(|(_, address)| *address >= end), "{end}");
    drop(survivor);
}

/// The finding that a replica must not take part stands on its disk, and only the
/// operator's word lifts it.
#[tokio::test]
async fn a_replica_that_knows_better_refuses_at_every_start() {
    let replicas = Replicas::formatted();
    let env = RealEnv::new(replicas.dir(0)).unwrap();
    let served: Vec<_> = (0..3).map(|node| replicas.serve(node)).collect();
    Sender::to(&env, &replicas.clients).send(1).await;
    served.into_iter().for_each(|served| {
        served.signal("-TERM");
    });
    let disk = env.disk();
    let found = r#"{"diverged":{"leader":{"node":1,"disk":9},"term":3,
        "theirs":{"term":3,"index":7},"ours":{"term":2,"index":7},"commit_index":9}}"#;
    let stored = replace_atomic_file(&disk, "condemned", found.as_bytes()).await;
    stored.expect("it is stored");
    let arguments = [vec!["serve"], replicas.peer_arguments()].concat();
    for _ in 0..2 {
        let (exit, why) = complaint(&arguments, &replicas.dir(0));
        assert_eq!(exit, Some(15));
        let found = "node 1 leads, or led, with entry 7/3 where entry 7/2 was committed here, as \
                     was all up to 9";
        assert!(why.contains(found), "{why}");
        assert!(why.contains("run `recover` on it"), "{why}");
    }
    assert_eq!(replicas.recover(0, &["--unsafe"]).0, Some(0));
    let alone = replicas.serve(0);
    until(&env, "it leads", || alone.has_told("leads since term")).await;
}
