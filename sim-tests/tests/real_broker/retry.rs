//! Messages that come later and messages that come again, on a real broker.

use std::net::SocketAddr;

use bytes::Bytes;
use zeroloss::broker::{BrokerConfig, HALF_TOPIC};
use zeroloss::client::{FullReader, Received};
use zeroloss::env::Env;
use zeroloss::remoting::MessageId;
use zeroloss::remoting::send::SCHEDULE_TOPIC;

use crate::raw::{Raw, json};
use crate::support::{Clients, Server, TOPIC, config, formatted};

const SEND: i32 = 310;
const SEND_BACK: i32 = 36;
const END_TRANSACTION: i32 = 37;
const SUCCESS: i32 = 0;
const SYSTEM_ERROR: i32 = 1;
const ILLEGAL: i32 = 13;
const NO_PERMISSION: i32 = 16;
const RETRY: &str = "%RETRY%red-packet";
const DEAD: &str = "%DLQ%red-packet";
/// Long enough for any machine; nothing waits for it where all goes well.
const PATIENCE_NS: u64 = 60_000_000_000;
const AN_HOUR_MS: u64 = 3_600_000;

/// Every level waits for so long.
fn waiting(delay_ms: u64) -> BrokerConfig {
    BrokerConfig {
        delay_levels_ms: vec![delay_ms; 18],
        ..config()
    }
}

pub(crate) struct Sender(Raw);

impl Sender {
    pub(crate) fn new(clients: &Clients, broker: SocketAddr) -> Self {
        Self(Raw::connect(&clients.env, broker))
    }

    async fn code(&mut self, frame: Vec<u8>) -> i32 {
        self.0.ask(frame).await.answer().code
    }

    /// Sends to a topic's first queue; gives the answer's code and the address.
    async fn try_send(
        &mut self,
        topic: &str,
        properties: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> (i32, u64) {
        let plain = [
            ("a", "orders"),
            ("b", topic),
            ("c", "TBW102"),
            ("d", "4"),
            ("e", "0"),
            ("f", "0"),
            ("g", "0"),
            ("h", "0"),
            ("i", properties),
        ];
        let fields = [&plain[..], more].concat();
        let frame = json(SEND, 0, &fields, body.as_bytes());
        let answer = self.0.ask(frame).await.answer();
        let id = answer.fields.get("msgId").unwrap_or_default();
        let id: Result<MessageId, _> = std::str::from_utf8(id).unwrap().parse();
        (answer.code, id.map_or(0, |id| id.address))
    }

    async fn send(&mut self, properties: &str, body: &str) -> u64 {
        let (code, address) = self.try_send(TOPIC, properties, &[], body).await;
        assert_eq!(code, SUCCESS);
        address
    }

    pub(crate) async fn delay(&mut self, level: u32, body: &str) {
        self.send(&format!("DELAY\u{1}{level}\u{2}"), body).await;
    }
}

fn back(address: u64, replaced: &[(&str, &str)]) -> Vec<u8> {
    let address = address.to_string();
    let plain = [
        ("offset", &*address),
        ("group", "red-packet"),
        ("delayLevel", "0"),
        ("originTopic", TOPIC),
    ];
    let kept = plain
        .iter()
        .filter(|(key, _)| replaced.iter().all(|(other, _)| other != key));
    let fields: Vec<_> = kept.chain(replaced).copied().collect();
    json(SEND_BACK, 0, &fields, b"")
}

/// A topic's messages, queue by queue.
async fn read(clients: &Clients, broker: SocketAddr, topic: &str) -> Vec<Received> {
    let config = clients.config(9, &[broker]);
    let mut reader = FullReader::new(clients.env.clone(), config, 60_000);
    let contents = reader.read_all(topic).await.unwrap();
    assert!(contents.iter().all(|queue| queue.bad.is_empty()));
    contents.into_iter().flat_map(|it| it.messages).collect()
}

pub(crate) async fn bodies(clients: &Clients, broker: SocketAddr, topic: &str) -> Vec<Bytes> {
    let messages = read(clients, broker, topic).await;
    messages.into_iter().map(|message| message.body).collect()
}

/// Waits for a topic to have so many messages.
pub(crate) async fn until(
    clients: &Clients,
    broker: SocketAddr,
    topic: &str,
    count: usize,
) -> Vec<Bytes> {
    let deadline_ns = clients.env.now_ns() + PATIENCE_NS;
    loop {
        let bodies = bodies(clients, broker, topic).await;
        if bodies.len() >= count {
            return bodies;
        }
        let is_late = clients.env.now_ns() >= deadline_ns;
        assert!(!is_late, "{} of {count} in {topic}", bodies.len());
    }
}

#[tokio::test]
async fn a_delayed_message_waits_through_a_crash_and_comes_once() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::with(root.path(), waiting(AN_HOUR_MS)).await;
    let mut sender = Sender::new(&clients, broker.address);
    sender.delay(1, "later").await;
    sender.send("", "now").await;
    assert_eq!(bodies(&clients, broker.address, TOPIC).await, ["now"]);
    assert_eq!(
        bodies(&clients, broker.address, SCHEDULE_TOPIC).await,
        ["later"]
    );
    broker.drop_dead().await;

    // An hour, as the operator says now.
    let broker = Server::with(root.path(), waiting(1)).await;
    assert_eq!(
        until(&clients, broker.address, TOPIC, 2).await,
        ["now", "later"]
    );
    broker.drop_dead().await;

    for clean in [false, true] {
        let broker = Server::with(root.path(), waiting(1)).await;
        let mut sender = Sender::new(&clients, broker.address);
        sender.delay(18, if clean { "2" } else { "1" }).await;
        let wanted = if clean { 4 } else { 3 };
        assert_eq!(
            until(&clients, broker.address, TOPIC, wanted).await.len(),
            wanted
        );
        match clean {
            true => broker.stop_cleanly().await,
            false => broker.drop_dead().await,
        }
    }
    let broker = Server::with(root.path(), waiting(1)).await;
    let all = bodies(&clients, broker.address, TOPIC).await;
    assert_eq!(all, ["now", "later", "1", "2"]);
    broker.stop_cleanly().await;
}

/// Many messages at all levels, many lives, ended at any point: each message is
/// delivered, and once.
#[tokio::test]
async fn each_delayed_message_comes_once_whatever_the_broker_goes_through() {
    let root = formatted().await;
    let clients = Clients::new();
    let mut random = Random(0x5eed);
    let mut sent: Vec<String> = Vec::new();
    let lives = BrokerConfig {
        delay_levels_ms: vec![1, 3, 10, 30],
        ..config()
    };
    for life in 0..8 {
        let broker = Server::with(root.path(), lives.clone()).await;
        let mut sender = Sender::new(&clients, broker.address);
        for number in 0..random.below(25) {
            let body = format!("{life}-{number}");
            sender.delay(1 + random.below(4) as u32, &body).await;
            sent.push(body);
        }
        // Ends while some are due, some delivered, some on their way.
        match random.below(4) {
            0 => broker.stop_cleanly().await,
            _ => broker.drop_dead().await,
        }
    }
    let broker = Server::with(root.path(), lives).await;
    let mut delivered: Vec<String> = until(&clients, broker.address, TOPIC, sent.len())
        .await
        .iter()
        .map(|body| String::from_utf8(body.to_vec()).unwrap())
        .collect();
    sent.sort();
    delivered.sort();
    assert!(sent.len() > 50);
    assert_eq!(delivered, sent);
    broker.stop_cleanly().await;
}

/// Knuth's, good enough to choose with.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[tokio::test]
async fn a_message_sent_back_comes_again_until_it_is_given_up() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::with(root.path(), waiting(5)).await;
    assert_eq!(
        bodies(&clients, broker.address, RETRY).await,
        Vec::<Bytes>::new()
    );
    let mut sender = Sender::new(&clients, broker.address);
    sender.send("", "fine").await;
    let address = sender.send("TAGS\u{1}paid\u{2}", "poison").await;
    assert_eq!(sender.code(back(address, &[])).await, SUCCESS);
    assert_eq!(until(&clients, broker.address, RETRY, 1).await, ["poison"]);

    let first = read(&clients, broker.address, RETRY).await.remove(0);
    let twice = [("maxReconsumeTimes", "2")];
    assert_eq!(sender.code(back(first.address, &twice)).await, SUCCESS);
    assert_eq!(until(&clients, broker.address, RETRY, 2).await.len(), 2);
    let second = read(&clients, broker.address, RETRY).await.remove(1);
    assert_eq!(sender.code(back(second.address, &twice)).await, SUCCESS);
    assert_eq!(until(&clients, broker.address, DEAD, 1).await, ["poison"]);
    // Given up at once.
    let at_once = [("delayLevel", "-1")];
    assert_eq!(sender.code(back(address, &at_once)).await, SUCCESS);
    assert_eq!(until(&clients, broker.address, DEAD, 2).await.len(), 2);
    // RocketMQ's clients send there themselves where sending back fails.
    let (code, _) = sender
        .try_send(RETRY, "DELAY\u{1}3\u{2}", &[("j", "16")], "own")
        .await;
    assert_eq!(code, SUCCESS);
    assert_eq!(until(&clients, broker.address, DEAD, 3).await[2], "own");
    broker.drop_dead().await;

    let broker = Server::with(root.path(), waiting(5)).await;
    assert_eq!(
        bodies(&clients, broker.address, TOPIC).await,
        ["fine", "poison"]
    );
    assert_eq!(
        bodies(&clients, broker.address, RETRY).await,
        ["poison", "poison"]
    );
    let dead = bodies(&clients, broker.address, DEAD).await;
    assert_eq!(dead, ["poison", "poison", "own"]);
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn only_messages_that_a_group_could_read_are_taken_back() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::with(root.path(), waiting(1)).await;
    let mut sender = Sender::new(&clients, broker.address);
    // Bytes that look like a record, in a body.
    let address = sender.send("", &"\u{1}".repeat(2_000)).await;
    let (_, half) = sender
        .try_send(TOPIC, "TRAN_MSG\u{1}true\u{2}", &[], "half")
        .await;
    let (_, other) = sender.try_send("%RETRY%other", "", &[], "theirs").await;
    let (_, last) = sender.try_send("Another", "", &[], "last").await;
    let (low, high) = (i64::MIN.to_string(), i64::MAX.to_string());
    let long = "g".repeat(200);
    for (what, frame) in [
        ("no fields", json(SEND_BACK, 0, &[], b"")),
        ("before the log", back(0, &[("offset", &low)])),
        ("the topic's making", back(0, &[])),
        ("beyond the log", back(0, &[("offset", &high)])),
        ("just beyond the log", back(last + 100_000, &[])),
        ("a half message", back(half, &[("originTopic", "")])),
        (
            "a half message by its topic",
            back(half, &[("originTopic", HALF_TOPIC)]),
        ),
        ("another group's retry", back(other, &[("originTopic", "")])),
        ("a message of another topic", back(last, &[])),
        ("no group", back(address, &[("group", "")])),
        ("a path as group", back(address, &[("group", "../../etc")])),
        (
            "separators in a group",
            back(address, &[("group", "a\u{1}b\u{2}c")]),
        ),
        ("a group too long", back(address, &[("group", &long)])),
        ("no number", back(address, &[("delayLevel", "soon")])),
    ] {
        let answer = sender.0.ask(frame).await.answer();
        assert_eq!(answer.code, SYSTEM_ERROR, "{what}: {}", answer.remark());
    }
    for inside in 1..2_000 {
        let code = sender.code(back(address + inside, &[])).await;
        assert_eq!(code, SYSTEM_ERROR, "{inside} bytes into a record");
    }
    assert_eq!(
        bodies(&clients, broker.address, RETRY).await,
        Vec::<Bytes>::new()
    );
    let odd = [("delayLevel", "2147483647"), ("maxReconsumeTimes", "-7")];
    assert_eq!(sender.code(back(address, &odd)).await, SUCCESS);
    assert_eq!(until(&clients, broker.address, RETRY, 1).await.len(), 1);
    assert_eq!(broker.told.lock().unwrap().len(), 1, "opened once");
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn only_the_broker_writes_what_waits_and_what_is_dead() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::with(root.path(), waiting(1)).await;
    let mut sender = Sender::new(&clients, broker.address);
    let real = "REAL_TOPIC\u{1}Forged\u{2}REAL_QID\u{1}0\u{2}DELAY\u{1}1\u{2}";
    for topic in [SCHEDULE_TOPIC, DEAD] {
        let (code, _) = sender.try_send(topic, real, &[], "forged").await;
        assert_eq!(code, NO_PERMISSION);
    }
    let (code, _) = sender
        .try_send(TOPIC, "DELAY\u{1}soon\u{2}", &[], "x")
        .await;
    assert_eq!(code, ILLEGAL);
    let (code, _) = sender
        .try_send(TOPIC, "DELAY\u{1}1\u{2}", &[("e", "4")], "x")
        .await;
    assert_eq!(code, ILLEGAL, "no such queue, which is said at once");
    // Where it says that it goes, a message does not go.
    let (code, _) = sender.try_send(TOPIC, real, &[], "mine").await;
    assert_eq!(code, SUCCESS);
    assert_eq!(until(&clients, broker.address, TOPIC, 1).await, ["mine"]);
    assert_eq!(
        bodies(&clients, broker.address, "Forged").await,
        Vec::<Bytes>::new()
    );
    // A half message has no delay, once it is committed.
    let half = "TRAN_MSG\u{1}true\u{2}UNIQ_KEY\u{1}t\u{2}DELAY\u{1}18\u{2}";
    let (code, address) = sender.try_send(TOPIC, half, &[], "paid").await;
    assert_eq!(code, SUCCESS);
    let address = address.to_string();
    let end = [
        ("producerGroup", "orders"),
        ("tranStateTableOffset", "0"),
        ("commitLogOffset", &*address),
        ("commitOrRollback", "8"),
        ("transactionId", "t"),
    ];
    assert_eq!(sender.code(json(37, 0, &end, b"")).await, SUCCESS);
    assert_eq!(
        bodies(&clients, broker.address, TOPIC).await,
        ["mine", "paid"]
    );
    broker.stop_cleanly().await;
}

/// Properties that the broker adds when it publishes a half message, and when it
/// takes a message back, have room kept for them from the start.
#[tokio::test]
async fn a_transaction_that_is_taken_in_can_be_committed_and_sent_back() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::with(root.path(), waiting(AN_HOUR_MS)).await;
    let mut sender = Sender::new(&clients, broker.address);
    // The id stands twice in what is published.
    for (id_bytes, fits) in [(255, true), (256, false), (16_300, false)] {
        let id = "i".repeat(id_bytes);
        let fields = [
            ("a", "orders"),
            ("b", TOPIC),
            ("c", "TBW102"),
            ("d", "4"),
            ("e", "0"),
            ("f", "4"),
            ("g", "0"),
            ("h", "0"),
            ("i", &*format!("UNIQ_KEY\u{1}{id}\u{2}")),
        ];
        let half = sender.0.ask(json(SEND, 0, &fields, b"half")).await.answer();
        assert_eq!(half.code == SUCCESS, fits, "an id of {id_bytes} bytes");
        if !fits {
            continue;
        }
        let field = |name| std::str::from_utf8(half.fields.get(name).unwrap_or_default()).unwrap();
        let address = field("msgId").parse::<MessageId>().unwrap().address;
        let fields = [
            ("producerGroup", "orders"),
            ("tranStateTableOffset", field("queueOffset")),
            ("commitLogOffset", &*address.to_string()),
            ("commitOrRollback", "8"),
            ("transactionId", &*id),
        ];
        let commit = json(END_TRANSACTION, 0, &fields, b"");
        assert_eq!(sender.code(commit).await, SUCCESS);
        until(&clients, broker.address, TOPIC, 1).await;
        let published = read(&clients, broker.address, TOPIC).await.remove(0);
        assert_eq!(sender.code(back(published.address, &[])).await, SUCCESS);
    }
    broker.stop_cleanly().await;
}
