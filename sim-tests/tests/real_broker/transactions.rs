//! Half messages on a real broker: seen once committed and not before, decided
//! once, asked about, and the same after the broker is killed.

use bytes::Bytes;
use zeroloss::broker::{BrokerConfig, DISCARD_TOPIC};
use zeroloss::client::{FullReader, HalfName, Producer, ProducerConfig, ProducerEvent, Question};
use zeroloss::env::real::RealEnv;
use zeroloss::history::{EndOutcome, SendOutcome};

use crate::support::{Clients, Server, TOPIC, config, formatted};

/// `TRANSACTION_SHOULD_COMMIT` and so on.
const SHOULD_COMMIT: EndOutcome = EndOutcome::Refused { code: 200 };
const SHOULD_ROLLBACK: EndOutcome = EndOutcome::Refused { code: 201 };
const UNKNOWN_HALF: EndOutcome = EndOutcome::Refused { code: 202 };
const WRONG_GROUP: EndOutcome = EndOutcome::Refused { code: 203 };

/// Half messages are asked about at once, twice, and then discarded.
fn impatient() -> BrokerConfig {
    BrokerConfig {
        transaction_timeout_ms: 1,
        transaction_check_interval_ms: 5,
        transaction_check_max: 2,
        ..config()
    }
}

struct Service {
    producer: Producer<RealEnv>,
}

impl Service {
    fn new(clients: &Clients, broker: &Server, group: &str) -> Self {
        let client = clients.config(1, &[broker.address]);
        let config = ProducerConfig::new(client, group);
        let producer = Producer::new(clients.env.clone(), config);
        Self { producer }
    }

    async fn half(&mut self, body: &'static str) -> HalfName {
        self.half_with(body, "").await
    }

    async fn half_with(&mut self, body: &'static str, properties: &str) -> HalfName {
        let body = Bytes::from_static(body.as_bytes());
        let op = self
            .producer
            .submit_half(TOPIC, Some(0), body, properties)
            .unwrap();
        loop {
            if let ProducerEvent::Sent(id, outcome) = self.producer.next_event().await {
                assert_eq!(id, op);
                let SendOutcome::Acknowledged {
                    offset, address, ..
                } = outcome
                else {
                    panic!("{outcome:?}");
                };
                return self.producer.half_name(op, offset, address);
            }
        }
    }

    async fn end(&mut self, half: &HalfName, commit: bool) -> EndOutcome {
        let op = self.producer.end_transaction(TOPIC, half.clone(), commit);
        loop {
            if let ProducerEvent::Ended(id, outcome) = self.producer.next_event().await {
                assert_eq!(id, op);
                return outcome;
            }
        }
    }

    async fn question(&mut self) -> Question {
        loop {
            if let ProducerEvent::Asked(question) = self.producer.next_event().await {
                return question;
            }
        }
    }
}

/// The bodies in a topic's first queue.
async fn bodies(clients: &Clients, broker: &Server, topic: &str) -> Vec<Bytes> {
    let config = clients.config(9, &[broker.address]);
    let mut reader = FullReader::new(clients.env.clone(), config, 60_000);
    let contents = reader.read_all(topic).await.unwrap();
    assert!(contents.iter().all(|queue| queue.bad.is_empty()));
    let messages = contents.into_iter().flat_map(|queue| queue.messages);
    messages.map(|message| message.body).collect()
}

#[tokio::test]
async fn a_half_message_is_seen_once_committed_and_decided_once() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let mut orders = Service::new(&clients, &broker, "orders");
    let paid = orders.half("paid").await;
    let unpaid = orders.half("unpaid").await;
    let mut others = Service::new(&clients, &broker, "others");
    assert_eq!(others.end(&paid, true).await, WRONG_GROUP);
    let misnamed = HalfName {
        queue_offset: unpaid.queue_offset,
        ..paid.clone()
    };
    assert_eq!(orders.end(&misnamed, true).await, UNKNOWN_HALF);
    assert_eq!(orders.end(&unpaid, false).await, EndOutcome::Acknowledged);
    assert_eq!(orders.end(&unpaid, true).await, SHOULD_ROLLBACK);
    assert_eq!(orders.end(&unpaid, false).await, EndOutcome::Acknowledged);
    // Between the decision and the crash nothing but the log remembers.
    assert_eq!(orders.end(&paid, true).await, EndOutcome::Acknowledged);
    assert_eq!(bodies(&clients, &broker, TOPIC).await, ["paid"]);
    broker.drop_dead().await;

    let broker = Server::start(root.path()).await;
    let mut orders = Service::new(&clients, &broker, "orders");
    assert_eq!(orders.end(&paid, true).await, EndOutcome::Acknowledged);
    assert_eq!(orders.end(&paid, false).await, SHOULD_COMMIT);
    assert_eq!(orders.end(&unpaid, true).await, SHOULD_ROLLBACK);
    assert_eq!(bodies(&clients, &broker, TOPIC).await, ["paid"]);
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn open_transactions_are_asked_about_after_the_broker_was_killed() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let mut orders = Service::new(&clients, &broker, "orders");
    let left_open = orders.half("left open").await;
    // The producer's machine is gone; another one of its group comes up later.
    drop(orders);
    broker.drop_dead().await;

    let broker = Server::with(root.path(), impatient()).await;
    let mut orders = Service::new(&clients, &broker, "orders");
    // A producer is heard of once it has something to do with a topic.
    orders.half("another").await;
    let question = loop {
        let question = orders.question().await;
        if question.half == left_open {
            break question;
        }
    };
    assert_eq!(question.body, "left open");
    orders.producer.answer(&question, Some(true));
    while bodies(&clients, &broker, TOPIC).await.is_empty() {
        orders.question().await;
    }
    assert_eq!(bodies(&clients, &broker, TOPIC).await, ["left open"]);
    assert_eq!(
        orders.end(&left_open, true).await,
        EndOutcome::Acknowledged,
        "decided so already"
    );
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn a_half_message_that_nobody_decides_is_discarded_after_the_last_question() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::with(root.path(), impatient()).await;
    let mut orders = Service::new(&clients, &broker, "orders");
    let undecided = orders.half("undecided").await;
    for _ in 0..2 {
        let question = orders.question().await;
        assert_eq!(question.half, undecided);
        orders.producer.answer(&question, None);
    }
    let discarded = || bodies(&clients, &broker, DISCARD_TOPIC);
    while discarded().await.is_empty() {}
    assert_eq!(discarded().await, ["undecided"]);
    assert_eq!(orders.end(&undecided, true).await, SHOULD_ROLLBACK);
    assert_eq!(bodies(&clients, &broker, TOPIC).await, Vec::<Bytes>::new());
    broker.stop_cleanly().await;
}

/// A committed message is a new message, other than the half message that was sent.
#[tokio::test]
async fn a_half_message_that_is_sent_again_has_the_name_it_had() {
    let root = formatted().await;
    let clients = Clients::new();
    let dedup = BrokerConfig {
        producer_dedup: true,
        ..config()
    };
    let broker = Server::with(root.path(), dedup).await;
    let mut orders = Service::new(&clients, &broker, "orders");
    let numbered = "PRODUCER_ID\u{1}p\u{2}PRODUCER_SEQ\u{1}7\u{2}";
    for commit in [true, false] {
        let numbered = numbered.replace('7', &u8::from(commit).to_string());
        let half = orders.half_with("paid", &numbered).await;
        assert_eq!(orders.end(&half, commit).await, EndOutcome::Acknowledged);
        let again = orders.half_with("paid", &numbered).await;
        assert_eq!(
            (again.address, again.queue_offset),
            (half.address, half.queue_offset)
        );
        assert_eq!(bodies(&clients, &broker, TOPIC).await, ["paid"]);
    }
    broker.stop_cleanly().await;
}

/// RocketMQ's own way: see the broker's `op_batch_interval_ms`.
#[tokio::test]
async fn rocketmq_publishes_after_a_rollback_and_forgets_what_it_answered() {
    let root = formatted().await;
    let clients = Clients::new();
    let buffered = |op_batch_interval_ms| BrokerConfig {
        op_batch_interval_ms: Some(op_batch_interval_ms),
        ..impatient()
    };
    let broker = Server::with(root.path(), buffered(60_000)).await;
    let mut orders = Service::new(&clients, &broker, "orders");
    let half = orders.half("rolled back").await;
    assert_eq!(orders.end(&half, false).await, EndOutcome::Acknowledged);
    broker.drop_dead().await;

    let broker = Server::with(root.path(), buffered(1)).await;
    let mut orders = Service::new(&clients, &broker, "orders");
    orders.half("another").await;
    while orders.question().await.half != half {}
    for commit in [true, false, true] {
        assert_eq!(
            orders.end(&half, commit).await,
            EndOutcome::Acknowledged,
            "{commit}"
        );
    }
    let twice = ["rolled back", "rolled back"];
    assert_eq!(bodies(&clients, &broker, TOPIC).await, twice);
    broker.stop_cleanly().await;
}
