//! A broker that dies, stops, and comes back on its directory: nothing that was
//! acknowledged is missing.

use zeroloss::broker::{Broker, BrokerError};
use zeroloss::check::{
    Facts, Promise, Verdict, Waived, at_least_once, durability, group_offsets, known_stored,
    no_phantom, offset_uniqueness, queue_order,
};
use zeroloss::env::Env;
use zeroloss::env::real::RealEnv;
use zeroloss::history::{Event, History};
use zeroloss::workload::Finished;

use crate::support::{Clients, Server, config, formatted, judged};

const MESSAGES: u64 = 100;

/// No check of a promise finds anything in a history without faults.
fn assert_spotless(history: &History) {
    let facts = Facts::new(history);
    let nothing = Waived::default();
    assert_eq!(durability::check(&facts), []);
    assert_eq!(known_stored::check(&facts), []);
    assert_eq!(no_phantom::check(&facts), []);
    assert_eq!(group_offsets::check(&facts), []);
    assert_eq!(offset_uniqueness::check(&facts, &nothing), []);
    assert_eq!(queue_order::check(&facts, &nothing), []);
    assert_eq!(at_least_once::check(&facts, &nothing), []);
}

/// One life of sending and consuming, an end, another life, and a judgement.
async fn two_lives(clean: bool) -> History {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let (consumer, progress) = clients.consuming(2, broker.address);
    clients.send(1, broker.address, MESSAGES).await;
    clients
        .until("half is processed", || progress.processed() >= MESSAGES / 2)
        .await;
    match clean {
        true => broker.stop_cleanly().await,
        false => broker.drop_dead().await,
    }
    consumer.abort();

    let broker = Server::start(root.path()).await;
    let restarted_ns = clients.env.now_ns();
    let (consumer, _) = clients.consuming(3, broker.address);
    let (history, judgement) = clients.read_and_judge(broker.address, restarted_ns).await;
    consumer.abort();
    let found = match clean {
        true => "log opened after a clean stop",
        false => "log opened after a crash",
    };
    let report = broker.first_report();
    assert!(report.starts_with(found), "{report}");
    assert_eq!(judgement.findings, []);
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert_eq!(judgement.counts.acknowledged, MESSAGES);
    assert!(judgement.counts.processed >= MESSAGES);
    assert_spotless(&history);
    history
}

#[tokio::test]
async fn a_hundred_messages_survive_the_broker_that_is_dropped() {
    let mut history = two_lives(false).await;
    // The same checkers see it where one message is missing.
    let last = history
        .entries
        .iter_mut()
        .rev()
        .find_map(|entry| match &mut entry.event {
            Event::FinalRead { messages, .. } => messages.pop(),
            _ => None,
        });
    assert!(last.is_some());
    let caught_up_ns = Some(0);
    let finished = Finished {
        caught_up_ns,
        read: true,
    };
    let judgement = judged(&history, finished, 0);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(judgement.findings[0].promise, Promise::Durability);
}

#[tokio::test]
async fn a_hundred_messages_survive_a_clean_stop() {
    two_lives(true).await;
}

/// Those in flight are unknown; every one that was acknowledged is there.
#[tokio::test]
async fn a_broker_dropped_under_load_has_every_acknowledged_message() {
    let root = formatted().await;
    let clients = Clients::new();
    for round in 0..5 {
        let broker = Server::start(root.path()).await;
        let client = 10 + round;
        let (producer, progress) = clients.sending(client, broker.address, None);
        clients
            .until("it sends", || {
                progress.acknowledged() >= 20 && progress.in_flight() > 0
            })
            .await;
        broker.drop_dead().await;
        producer.abort();
    }
    let broker = Server::start(root.path()).await;
    let restarted_ns = clients.env.now_ns();
    let (consumer, _) = clients.consuming(2, broker.address);
    let (history, judgement) = clients.read_and_judge(broker.address, restarted_ns).await;
    consumer.abort();
    assert_eq!(judgement.findings, []);
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert!(judgement.counts.acknowledged >= 100);
    assert!(judgement.counts.unknown >= 5, "some were in flight");
    assert_spotless(&history);
    broker.stop_cleanly().await;
}

/// Messages that were acknowledged before the stop was asked for, and while it went
/// on, are there; the stop comes to its end though producers never pause.
#[tokio::test]
async fn a_clean_stop_under_load_ends_and_loses_nothing() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let (producer, progress) = clients.sending(1, broker.address, None);
    clients
        .until("it sends", || progress.acknowledged() >= 100)
        .await;
    broker.stop_cleanly().await;
    producer.abort();
    let broker = Server::start(root.path()).await;
    let restarted_ns = clients.env.now_ns();
    let (consumer, _) = clients.consuming(2, broker.address);
    let (history, judgement) = clients.read_and_judge(broker.address, restarted_ns).await;
    consumer.abort();
    assert_eq!(judgement.findings, []);
    assert!(judgement.counts.acknowledged >= 100);
    assert_spotless(&history);
    let report = broker.first_report();
    assert!(
        report.starts_with("log opened after a clean stop"),
        "{report}"
    );
}

/// D27: a blank disk is a forgotten one; only an operator may call it new.
#[tokio::test]
async fn a_directory_that_was_not_formatted_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let broker = Server::start(root.path()).await;
    let refused = broker.ended().await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "the disk is not formatted: a new or replaced disk has to be formatted by an operator"
    );
    let left = std::fs::read_dir(root.path()).unwrap().count();
    assert_eq!(left, 0, "nothing was written to it");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let root = formatted().await;
    let broker = Server::start(root.path()).await;
    let mut taken = config();
    taken.listen = broker.address;
    let env = RealEnv::new(root.path().to_owned()).unwrap();
    match Broker::bind(env, taken).await.err() {
        Some(error @ BrokerError::Listen { .. }) => {
            assert!(error.to_string().contains(&broker.address.to_string()));
        }
        other => panic!("not a complaint about the address: {other:?}"),
    }
}
