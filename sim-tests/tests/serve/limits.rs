//! Descriptors and permissions that run out: nothing of it is damage.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use zeroloss::client::{ClientConfig, FullReader, Producer, ProducerConfig};
use zeroloss::env::real::RealEnv;
use zeroloss::env::{Env, Timer};
use zeroloss::history::SendOutcome;

use crate::support::{Served, ran, until};

/// More queues than the process may have files.
const TOPICS: u32 = 20;
const QUEUES: u32 = 8;
const DESCRIPTORS: &str = "128";

fn topic(number: u32) -> String {
    format!("topic-{number}")
}

/// A message to every queue of every topic, each acknowledged.
async fn fill(env: &RealEnv, broker: SocketAddr) {
    let client = ClientConfig::new("producer", vec![broker]);
    let mut producer = Producer::new(env.clone(), ProducerConfig::new(client, "orders"));
    for number in 0..TOPICS {
        for queue in 0..QUEUES {
            let body = format!("{number}/{queue}").into_bytes();
            producer.submit(&topic(number), Some(queue), body.into(), "");
            let (_, outcome) = producer.next().await;
            assert!(
                matches!(outcome, SendOutcome::Acknowledged { .. }),
                "{number}/{queue}: {outcome:?}"
            );
        }
    }
}

/// How many messages of all topics there are, once they can be read.
async fn count(env: &RealEnv, broker: SocketAddr) -> usize {
    let mut found = 0;
    for number in 0..TOPICS {
        let client = ClientConfig::new(format!("reader-{number}"), vec![broker]);
        let mut reader = FullReader::new(env.clone(), client, 60_000);
        let queues = reader
            .read_all(&topic(number))
            .await
            .expect("it can be read");
        found += queues
            .iter()
            .map(|queue| queue.messages.len())
            .sum::<usize>();
    }
    found
}

/// Seen before: the store was closed at the 115th queue, and no start served
/// anything any more, for each opened every queue's file.
#[tokio::test]
async fn more_queues_than_descriptors_are_served_and_found_again() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(ran(&["format"], &dir).status.success());
    let env = RealEnv::new(root.path().join("client")).unwrap();
    let few = Served::limited(DESCRIPTORS, &dir);
    assert!(few.has_told("the process may hold only 128 file descriptors"));
    fill(&env, few.address).await;
    assert_eq!(count(&env, few.address).await, (TOPICS * QUEUES) as usize);
    assert_eq!(few.signal("-KILL"), None, "killed");

    let few = Served::limited(DESCRIPTORS, &dir);
    assert_eq!(count(&env, few.address).await, (TOPICS * QUEUES) as usize);
    fill(&env, few.address).await;
    assert!(!few.has_told("opened again"));
    assert_eq!(few.signal("-TERM"), Some(0), "a clean stop");
}

/// Idle connections as many as they like: the process lives, and what was
/// acknowledged is there once they are gone.
#[tokio::test]
async fn idle_connections_do_not_end_a_broker() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(ran(&["format"], &dir).status.success());
    let env = RealEnv::new(root.path().join("client")).unwrap();
    let few = Served::limited(DESCRIPTORS, &dir);
    fill(&env, few.address).await;
    let idle: Vec<TcpStream> = (0..200)
        .filter_map(|_| TcpStream::connect(few.address).ok())
        .collect();
    let mut pause = env.timer();
    pause.reset(Some(env.now_ns() + 2_000_000_000));
    pause.fired().await;
    drop(idle);
    assert_eq!(count(&env, few.address).await, (TOPICS * QUEUES) as usize);
    assert_eq!(few.signal("-TERM"), Some(0), "a clean stop");
}

/// A directory that the broker may not read is no rotten one. Root may read
/// everything, so that only another user sees this.
#[tokio::test]
async fn a_file_that_may_not_be_read_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(ran(&["format"], &dir).status.success());
    let env = RealEnv::new(root.path().join("client")).unwrap();
    // Its name leads round in a circle: no file of it can be opened, by anybody.
    let log = dir.join("commitlog");
    let first = Served::start(&dir);
    fill(&env, first.address).await;
    assert_eq!(first.signal("-TERM"), Some(0));
    let aside = dir.join("aside");
    std::fs::rename(&log, &aside).unwrap();
    std::os::unix::fs::symlink(&log, &log).unwrap();
    let waiting = Served::start(&dir);
    until(&env, || {
        waiting.has_told("something else stands in the broker's directory")
    })
    .await;
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(&aside, &log).unwrap();
    assert_eq!(
        count(&env, waiting.address).await,
        (TOPICS * QUEUES) as usize
    );
    assert_eq!(waiting.signal("-TERM"), Some(0));
    assert!(is_whole(&dir));
}

fn is_whole(dir: &Path) -> bool {
    dir.join("identity").is_file()
}
