//! A broker that is started again with other settings.

use zeroloss::client::{ClientConfig, Producer, ProducerConfig};
use zeroloss::env::real::RealEnv;
use zeroloss::env::{Env, Timer};
use zeroloss::history::SendOutcome;

use crate::support::{Served, ran, until};
use crate::{TOPIC, read};

/// The message is in no segment of the size that its second broker makes.
#[tokio::test]
async fn a_long_message_that_waits_comes_under_smaller_segments() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(ran(&["format"], &dir).status.success());
    let env = RealEnv::new(root.path().join("client")).unwrap();
    let with = |bytes| ["--listen", "127.0.0.1:0", "--segment-bytes", bytes];

    let first = Served::with_settings(&with("8388608"), &dir);
    let client = ClientConfig::new("producer", vec![first.address]);
    let mut producer = Producer::new(env.clone(), ProducerConfig::new(client, "orders"));
    let body = vec![b'x'; 3_000_000];
    // Five seconds: it waits when the process is killed.
    producer.submit(TOPIC, None, body.clone().into(), "DELAY\u{1}2\u{2}");
    let (_, outcome) = producer.next().await;
    assert!(matches!(outcome, SendOutcome::Acknowledged { .. }));
    assert_eq!(first.signal("-KILL"), None, "killed");

    let second = Served::with_settings(&with("1048576"), &dir);
    let mut delivered = Vec::new();
    for _ in 0..300 {
        delivered = read(&env, second.address).await;
        if !delivered.is_empty() {
            break;
        }
        let mut pause = env.timer();
        pause.reset(Some(env.now_ns() + 100_000_000));
        pause.fired().await;
    }
    assert!(delivered == [body], "{} messages", delivered.len());
    assert_eq!(second.signal("-INT"), Some(0), "a clean stop");
}

/// Seen before: `--retention-ms` was refused without `--peer`, so a single broker's
/// disk only ever filled.
#[tokio::test]
async fn a_single_broker_frees_the_segments_of_old_messages() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(ran(&["format"], &dir).status.success());
    let env = RealEnv::new(root.path().join("client")).unwrap();
    let settings = [
        "--listen",
        "127.0.0.1:0",
        "--segment-bytes",
        "1048576",
        "--retention-ms",
        "500",
    ];
    let first = Served::with_settings(&settings, &dir);
    let client = ClientConfig::new("producer", vec![first.address]);
    let mut producer = Producer::new(env.clone(), ProducerConfig::new(client, "orders"));
    let mut body = vec![b'x'; 16 << 10];
    for number in 0..200_u32 {
        body[..4].copy_from_slice(&number.to_be_bytes());
        producer.submit(TOPIC, Some(0), body.clone().into(), "");
        let (_, outcome) = producer.next().await;
        assert!(matches!(outcome, SendOutcome::Acknowledged { .. }));
    }
    let begins = dir.join("commitlog").join("00000000000000000000");
    until(&env, || !begins.exists()).await;
    body.fill(b'z');
    producer.submit(TOPIC, Some(0), body.clone().into(), "");
    let (_, outcome) = producer.next().await;
    assert!(matches!(outcome, SendOutcome::Acknowledged { .. }));
    assert_eq!(first.signal("-KILL"), None, "killed");

    let second = Served::with_settings(&settings, &dir);
    let kept = read(&env, second.address).await;
    assert!(kept.len() <= 200, "all {} are kept", kept.len());
    assert_eq!(kept.last(), Some(&body), "the newest is");
    assert_eq!(second.signal("-INT"), Some(0), "a clean stop");
}
