//! A client may write anything, in any order and cut anywhere: after each portion a
//! client that keeps to the rules is answered, and every message that was
//! acknowledged to it can be read where it was said to be.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use zeroloss::broker::served_requests;
use zeroloss::record::Message;
use zeroloss::remoting::{Command, RequestCode};

use crate::raw::{Raw, framed, json};
use crate::support::{Clients, Server, TOPIC, config, formatted};

const QUEUES: usize = 4;
const SEND: i32 = 310;
const PULL: i32 = 11;

/// Names and values.
type Plain = &'static [(&'static str, &'static str)];
/// A request's code, fields and body.
type Known = (i32, Plain, &'static str);
/// As [`Known`], its fields put together.
type Sent = (i32, Vec<(&'static str, &'static str)>, &'static str);

/// Requests that a broker serves, and two that only a broker sends (39, 40); and what
/// makes sense to it. See [`requests`].
const REQUESTS: &[Known] = &[
    (SEND, SEND_FIELDS, "body"),
    (10, SEND_FIELDS, "body"),
    (PULL, PULL_FIELDS, ""),
    (361, PULL_FIELDS, ""),
    (14, OFFSET_FIELDS, ""),
    (15, OFFSET_FIELDS, ""),
    (29, TIME_FIELDS, ""),
    (30, OFFSET_FIELDS, ""),
    (31, OFFSET_FIELDS, ""),
    (32, OFFSET_FIELDS, ""),
    (34, &[], HEARTBEAT),
    (35, &[("clientID", "m"), ("consumerGroup", "g")], ""),
    (36, BACK_FIELDS, ""),
    (37, END_FIELDS, ""),
    (38, &[("consumerGroup", "g")], ""),
    (39, END_FIELDS, ""),
    (40, &[("consumerGroup", "g")], ""),
    (41, &[], LOCKS),
    (42, &[], LOCKS),
    (46, &[], CHECK),
    (105, &[("topic", TOPIC)], ""),
    (
        9_001,
        &[("change", "add-learner"), ("node", "3"), ("disk", "1")],
        "",
    ),
    (9_002, &[("node", "1")], ""),
];
const SEND_FIELDS: Plain = &[
    ("a", "mallory"),
    ("b", TOPIC),
    ("c", "TBW102"),
    ("d", "4"),
    ("e", "0"),
    ("f", "0"),
    ("g", "0"),
    ("h", "0"),
    ("i", "TAGS\u{1}a\u{2}"),
    ("j", "0"),
];
const PULL_FIELDS: Plain = &[
    ("consumerGroup", "g"),
    ("topic", TOPIC),
    ("queueId", "0"),
    ("queueOffset", "0"),
    ("maxMsgNums", "32"),
    ("sysFlag", "6"),
    ("commitOffset", "0"),
    ("suspendTimeoutMillis", "10"),
    ("subscription", "a || b"),
    ("subVersion", "0"),
];
const OFFSET_FIELDS: Plain = &[
    ("consumerGroup", "g"),
    ("topic", TOPIC),
    ("queueId", "0"),
    ("commitOffset", "1"),
];
const TIME_FIELDS: Plain = &[
    ("topic", TOPIC),
    ("queueId", "0"),
    ("timestamp", "1700000000000"),
];
const BACK_FIELDS: Plain = &[
    ("offset", "80"),
    ("group", "g"),
    ("delayLevel", "1"),
    ("originTopic", ""),
];
const END_FIELDS: Plain = &[
    ("producerGroup", "mallory"),
    ("tranStateTableOffset", "0"),
    ("commitLogOffset", "80"),
    ("commitOrRollback", "8"),
];
const HEARTBEAT: &str = r#"{"clientID":"m","producerDataSet":[{"groupName":"p"}],
    "consumerDataSet":[{"groupName":"g","subscriptionDataSet":[{"topic":"t","subString":"*"}]}]}"#;
const CHECK: &str = r#"{"clientId":"m","group":"g","namespace":"",
    "subscriptionData":{"topic":"t","subString":"a = 1","expressionType":"SQL92"}}"#;
const LOCKS: &str = r#"{"consumerGroup":"g","clientId":"m",
    "mqSet":[{"topic":"t","brokerName":"broker-a","queueId":0}]}"#;

/// Those of [`REQUESTS`], and of all others that are served, with every field that any of
/// them has.
fn requests() -> Vec<Sent> {
    let known = REQUESTS
        .iter()
        .map(|(code, fields, body)| (*code, fields.to_vec(), *body));
    let mut all: Vec<_> = known.collect();
    let fields: BTreeMap<&str, &str> = all.iter().flat_map(|(_, of, _)| of.clone()).collect();
    for RequestCode(code) in served_requests() {
        if !all.iter().any(|(known, ..)| *known == code) {
            all.push((code, fields.clone().into_iter().collect(), ""));
        }
    }
    all
}

/// Values that somebody once forgot to think of.
const ODD: &[&str] = &[
    "",
    "-1",
    "0",
    "1",
    "80",
    "4",
    "2147483647",
    "2147483648",
    "-2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e9",
    "NaN",
    "true",
    "..",
    "../../../etc/passwd",
    "a/b",
    "\u{0}",
    "\u{1}",
    "\u{2}",
    "DELAY\u{1}18\u{2}",
    "DELAY\u{1}1\u{2}REAL_TOPIC\u{1}Forged\u{2}REAL_QID\u{1}99\u{2}",
    "TRAN_MSG\u{1}true\u{2}UNIQ_KEY\u{1}u\u{2}",
    "%RETRY%g",
    "%DLQ%g",
    "%RETRY%",
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "||",
    "\u{1f600}",
    TOPIC,
];

/// A request with some of its fields missing, replaced or made up.
fn fuzz() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        4 => prop::sample::select(ODD).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => "\\PC{0,40}",
        1 => (0..100_000usize).prop_map(|length| "x".repeat(length)),
    ];
    let change = (
        any::<prop::sample::Index>(),
        prop::option::weighted(0.8, value),
    );
    let code = prop::option::weighted(0.1, any::<i32>());
    let body = prop::option::weighted(0.2, prop::collection::vec(any::<u8>(), 0..64));
    let changes = prop::collection::vec(change, 0..4);
    let request = prop::sample::select(requests());
    (request, 0..4i32, code, changes, body).prop_map(
        |((known, plain, text), flag, code, changes, body)| {
            let mut fields: Vec<(String, Option<String>)> = plain
                .into_iter()
                .map(|(key, value)| (key.to_owned(), Some(value.to_owned())))
                .collect();
            for (at, value) in changes {
                match fields.is_empty() {
                    true => fields.push(("topic".to_owned(), value)),
                    false => {
                        let at = at.index(fields.len());
                        fields[at].1 = value;
                    }
                }
            }
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?)))
                .collect();
            let body = body.unwrap_or_else(|| text.as_bytes().to_vec());
            json(code.unwrap_or(known), flag, &fields, &body)
        },
    )
}

/// Frames as they are, with lengths that lie, with bytes changed; and bytes.
fn portion() -> impl Strategy<Value = Vec<u8>> {
    let lying = (fuzz(), 0..8usize, any::<u8>()).prop_map(|(mut frame, at, byte)| {
        frame[at] = byte;
        frame
    });
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let changed = (fuzz(), changes).prop_map(|(mut frame, changes)| {
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        frame
    });
    let cut = (fuzz(), any::<prop::sample::Index>()).prop_map(|(mut frame, at)| {
        frame.truncate(at.index(frame.len()));
        frame
    });
    let header = prop::collection::vec(any::<u8>(), 0..80);
    let binary = header.prop_map(|header| framed(1, &header, b""));
    prop_oneof![
        6 => fuzz(),
        2 => lying,
        2 => changed,
        1 => cut,
        1 => binary,
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// A client that keeps to the rules, and what was acknowledged to it.
struct Honest {
    raw: Raw,
    acknowledged: BTreeMap<(usize, usize), String>,
}

impl Honest {
    fn new(clients: &Clients, broker: &Server) -> Self {
        Self {
            raw: Raw::connect(&clients.env, broker.address),
            acknowledged: BTreeMap::new(),
        }
    }

    async fn send(&mut self) {
        let number = self.acknowledged.len();
        let queue = (number % QUEUES).to_string();
        let body = format!("message {number}");
        let fields = SEND_FIELDS.iter().map(|(key, value)| match *key {
            "e" => (*key, queue.as_str()),
            _ => (*key, *value),
        });
        let fields: Vec<_> = fields.collect();
        let frame = json(SEND, 0, &fields, body.as_bytes());
        let answer = self.raw.ask(frame).await.answer();
        assert_eq!(answer.code, 0, "{}", answer.remark());
        let offset = field(&answer, "queueOffset");
        self.acknowledged.insert((number % QUEUES, offset), body);
    }

    /// The messages that were acknowledged and are not where the answer said.
    async fn missing(&mut self) -> Vec<((usize, usize), String)> {
        let mut stored = BTreeMap::new();
        for queue in 0..QUEUES {
            for (offset, body) in self.read(queue).await {
                stored.insert((queue, offset), body);
            }
        }
        let is_missing = |(place, body): &(&(usize, usize), &String)| {
            stored.get(place).map(Vec::as_slice) != Some(body.as_bytes())
        };
        let missing = self.acknowledged.iter().filter(is_missing);
        missing
            .map(|(place, body)| (*place, body.clone()))
            .collect()
    }

    async fn read(&mut self, queue: usize) -> Vec<(usize, Vec<u8>)> {
        let mut read = Vec::new();
        let (queue, mut next) = (queue.to_string(), 0);
        loop {
            let from = next.to_string();
            let fields = [
                ("consumerGroup", "honest"),
                ("topic", TOPIC),
                ("queueId", &*queue),
                ("queueOffset", &*from),
                ("maxMsgNums", "32"),
                ("sysFlag", "0"),
                ("commitOffset", "0"),
                ("suspendTimeoutMillis", "0"),
                ("subVersion", "0"),
            ];
            let answer = self.raw.ask(json(PULL, 0, &fields, b"")).await.answer();
            if answer.code != 0 {
                return read;
            }
            let mut records = &answer.body[..];
            while !records.is_empty() {
                let (message, rest) = Message::decode_first(records).unwrap();
                read.push((message.queue_offset as usize, message.body.to_vec()));
                records = rest;
            }
            next = field(&answer, "nextBeginOffset");
        }
    }
}

fn field(answer: &Command, name: &str) -> usize {
    let value = answer.fields.get(name).unwrap();
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

/// Levels so short that what is made to wait comes while the test runs; locks at
/// once.
async fn started(root: &std::path::Path) -> Server {
    let config = zeroloss::broker::BrokerConfig {
        delay_levels_ms: vec![1, 5],
        queue_lock_ms: 1,
        client_expired_ms: 20,
        transaction_timeout_ms: 1,
        transaction_check_interval_ms: 5,
        ..config()
    };
    Server::with(root, config).await
}

#[test]
fn no_fuzz_costs_anybody_a_message() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let root = runtime.block_on(formatted());
    let clients = Clients::new();
    let broker = runtime.block_on(started(root.path()));
    let config = Config {
        cases: 200,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x50_0b),
        max_shrink_iters: 0,
        ..Config::default()
    };
    let mut honest = Honest::new(&clients, &broker);
    let honest = std::cell::RefCell::new(&mut honest);
    proptest!(config, |(portions in prop::collection::vec(portion(), 1..12))| {
        let honest = &mut *honest.borrow_mut();
        runtime.block_on(async {
            let mut hostile = Raw::connect(&clients.env, broker.address);
            for portion in portions {
                hostile.write(portion);
            }
            honest.send().await;
            let missing = honest.missing().await;
            hostile.close();
            assert_eq!(missing, []);
            assert!(broker.is_running());
        });
    });
    let told = broker.told.lock().unwrap().clone();
    let opened = told.iter().filter(|line| line.starts_with("log opened"));
    assert_eq!(opened.count(), 1, "the store was opened once: {told:?}");
    let reopened = told.iter().filter(|line| line.contains("opened again"));
    assert_eq!(reopened.count(), 0, "{told:?}");
    // A life later nothing is different: what the fuzz left in the log can be
    // read by the next start.
    runtime.block_on(async {
        broker.drop_dead().await;
        let broker = started(root.path()).await;
        let acknowledged = honest.borrow().acknowledged.clone();
        assert!(acknowledged.len() >= 200);
        let mut honest = Honest::new(&clients, &broker);
        honest.acknowledged = acknowledged;
        assert_eq!(honest.missing().await, []);
        honest.send().await;
        broker.stop_cleanly().await;
    });
}

#[tokio::test]
async fn a_missing_message_and_a_wrong_one_are_noticed() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = started(root.path()).await;
    let mut honest = Honest::new(&clients, &broker);
    for _ in 0..50 {
        honest.send().await;
    }
    assert_eq!(honest.missing().await, []);
    let changed = honest.acknowledged.get_mut(&(1, 3)).unwrap();
    changed.push('!');
    honest
        .acknowledged
        .insert((2, 40), "never stored".to_owned());
    let missing = honest.missing().await;
    let places: Vec<_> = missing.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [(1, 3), (2, 40)]);
    broker.stop_cleanly().await;
}
