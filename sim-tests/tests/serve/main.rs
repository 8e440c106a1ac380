//! `zeroloss serve` as its users meet it: a process, killed and started again.

mod flags;
mod founding;
mod full;
mod kinds;
mod limits;
mod names;
mod recover;
mod settings;
mod strangers;
mod support;

use std::net::SocketAddr;

use zeroloss::client::{ClientConfig, FullReader, Producer, ProducerConfig};
use zeroloss::env::real::RealEnv;
use zeroloss::history::SendOutcome;

use support::{Served, complaint, ran};

pub(crate) const MESSAGES: usize = 50;
pub(crate) const TOPIC: &str = "OrderPaySuccessTopic";

/// Sends, and gives the bodies that were acknowledged.
pub(crate) async fn send(env: &RealEnv, broker: SocketAddr, from: usize) -> Vec<Vec<u8>> {
    let client = ClientConfig::new(format!("producer-{from}"), vec![broker]);
    let mut producer = Producer::new(env.clone(), ProducerConfig::new(client, "orders"));
    let bodies: Vec<Vec<u8>> = (from..from + MESSAGES)
        .map(|number| format!("order {number}").into_bytes())
        .collect();
    for body in &bodies {
        producer.submit(TOPIC, None, body.clone().into(), "");
    }
    for _ in &bodies {
        let (_, outcome) = producer.next().await;
        assert!(matches!(outcome, SendOutcome::Acknowledged { .. }));
    }
    bodies
}

pub(crate) async fn read(env: &RealEnv, broker: SocketAddr) -> Vec<Vec<u8>> {
    let client = ClientConfig::new("reader", vec![broker]);
    let mut reader = FullReader::new(env.clone(), client, 60_000);
    let queues = reader.read_all(TOPIC).await.expect("it can be read");
    let messages = queues.into_iter().flat_map(|queue| queue.messages);
    let mut bodies: Vec<_> = messages.map(|message| message.body.to_vec()).collect();
    bodies.sort();
    bodies
}

#[tokio::test]
async fn every_acknowledged_message_survives_sigkill_and_a_clean_stop() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(ran(&["format"], &dir).status.success());
    let env = RealEnv::new(root.path().join("client")).unwrap();

    let first = Served::start(&dir);
    let mut sent = send(&env, first.address, 0).await;
    assert_eq!(first.signal("-KILL"), None, "killed");

    let second = Served::start(&dir);
    sent.extend(send(&env, second.address, MESSAGES).await);
    let (busy, why) = complaint(&["serve", "--listen", "127.0.0.1:0"], &dir);
    assert_eq!(busy, Some(2));
    assert_eq!(why, "error: another process works on DIR; end it first\n");
    assert_eq!(second.signal("-INT"), Some(0), "a clean stop");

    let third = Served::start(&dir);
    sent.sort();
    assert_eq!(read(&env, third.address).await, sent);
    assert_eq!(third.signal("-TERM"), Some(0), "a clean stop");
}

#[test]
fn a_directory_that_is_not_a_broker_s_is_refused_and_stays_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("missing");
    let (exit, why) = complaint(&["serve"], &missing);
    assert_eq!(exit, Some(2));
    assert_eq!(
        why,
        "error: there is no directory DIR\n  make one: zeroloss format DIR\n"
    );
    assert!(!missing.exists());
    let (exit, why) = complaint(&["serve"], root.path());
    assert_eq!(exit, Some(2));
    assert_eq!(
        why,
        "error: DIR is not formatted\n  make it a broker's: zeroloss format DIR\n"
    );
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn formatting_happens_once() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ran(&["format"], dir.path()).status.success());
    let (exit, why) = complaint(&["format"], dir.path());
    assert_eq!(exit, Some(2));
    assert_eq!(
        why,
        "error: DIR: the disk is formatted already (whole); formatting it again would forget \
         what it holds\n"
    );
}

#[test]
fn salvage_wants_the_word_and_leaves_a_sound_log_alone() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ran(&["format"], dir.path()).status.success());
    let (exit, why) = complaint(&["salvage"], dir.path());
    assert_eq!(exit, Some(2));
    assert!(
        why.ends_with("say so: zeroloss salvage DIR --unsafe\n"),
        "{why}"
    );
    let salvaged = ran(&["salvage", "--unsafe"], dir.path());
    assert!(salvaged.status.success());
    assert!(
        String::from_utf8(salvaged.stdout)
            .unwrap()
            .starts_with("the log is sound")
    );
}

#[test]
fn an_address_that_clients_cannot_reach_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (exit, why) = complaint(&["serve", "--listen", "0.0.0.0:0"], dir.path());
    assert_eq!(exit, Some(2));
    assert!(
        why.starts_with("error: 0.0.0.0:0: clients are told"),
        "{why}"
    );
    let (exit, _) = complaint(&["serve", "--flush", "maybe"], dir.path());
    assert_eq!(exit, Some(2));
}
