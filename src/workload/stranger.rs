//! A client that keeps to no rule: it takes what it can get, and says numbers that
//! nobody thought of.
//!
//! It opens streams and leaves them idle, begins frames and does not end them,
//! writes bytes that are none, and asks whatever a broker serves with the ends of
//! every range in its fields. It has groups and a topic of its own: what others
//! send and consume is theirs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::env::{ConnId, Either, Env, Net, NetEvent, Timer, either};
use crate::remoting::FrameDecoder;

/// The topic that strangers send to.
pub const STRANGERS_TOPIC: &str = "strangers";

/// The actions of one stranger.
#[derive(Debug, Clone)]
pub struct StrangerPlan {
    /// Where brokers listen.
    pub brokers: Vec<SocketAddr>,
    /// Topics that others send to: it reads there.
    pub topics: Vec<String>,
    /// Pause between two acts, nanoseconds.
    pub pause_ns: u64,
    /// Streams that it holds open, at most.
    pub streams_max: usize,
    /// How much of a frame comes before it stops.
    pub partial_bytes: RangeInclusive<u64>,
    /// It ends then, on the environment's clock.
    pub stop_at_ns: u64,
    /// Decides everything.
    pub seed: u64,
}

/// The outcome.
#[derive(Debug, Clone, Default)]
pub struct Turned(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    refused: AtomicU64,
    closed: AtomicU64,
}

impl Turned {
    /// Answers with another code than success.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Streams that somebody else ended.
    pub fn closed(&self) -> u64 {
        self.0.closed.load(Ordering::Relaxed)
    }
}

/// Names and values.
type Plain = &'static [(&'static str, &'static str)];

/// Requests of every kind, and what makes sense to them. `T` is a topic of others.
const REQUESTS: &[(i32, Plain, &str)] = &[
    (310, SEND, "body"),
    (310, SEND, "body"),
    (10, SEND_IN_FULL, "body"),
    (11, PULL, ""),
    (11, PULL, ""),
    (361, PULL, ""),
    (14, OFFSET, ""),
    (15, OFFSET, ""),
    (15, OFFSET, ""),
    (29, SEARCH, ""),
    (30, OFFSET, ""),
    (31, OFFSET, ""),
    (32, OFFSET, ""),
    (34, &[], HEARTBEAT),
    (35, &[("clientID", "m"), ("consumerGroup", GROUP)], ""),
    (36, BACK, ""),
    (37, END, ""),
    (38, &[("consumerGroup", GROUP)], ""),
    (41, &[], LOCKS),
    (42, &[], LOCKS),
    (46, &[], CLIENT),
    (105, &[("topic", STRANGERS_TOPIC)], ""),
    (
        9_001,
        &[("change", "add-learner"), ("node", "-1"), ("disk", "-1")],
        "",
    ),
    (9_002, &[("node", "-1")], ""),
    // Nobody serves it.
    (8_999, OFFSET, ""),
];
const GROUP: &str = "strangers";

/// The codes of the requests that strangers send.
pub fn strangers_requests() -> impl Iterator<Item = i32> {
    REQUESTS.iter().map(|(code, ..)| *code)
}

const SEND: Plain = &[
    ("a", GROUP),
    ("b", STRANGERS_TOPIC),
    ("c", "TBW102"),
    ("d", "4"),
    ("e", "0"),
    ("f", "0"),
    ("g", "0"),
    ("h", "0"),
    ("i", ""),
    ("j", "0"),
];
const SEND_IN_FULL: Plain = &[
    ("producerGroup", GROUP),
    ("topic", STRANGERS_TOPIC),
    ("defaultTopic", "TBW102"),
    ("defaultTopicQueueNums", "4"),
    ("queueId", "0"),
    ("sysFlag", "0"),
    ("bornTimestamp", "0"),
    ("flag", "0"),
    ("properties", ""),
    ("reconsumeTimes", "0"),
];
const SEARCH: Plain = &[("topic", "T"), ("queueId", "0"), ("timestamp", "0")];
const PULL: Plain = &[
    ("consumerGroup", GROUP),
    ("topic", "T"),
    ("queueId", "0"),
    ("queueOffset", "0"),
    ("maxMsgNums", "32"),
    ("sysFlag", "2"),
    ("commitOffset", "0"),
    ("suspendTimeoutMillis", "10"),
    ("subVersion", "0"),
];
const OFFSET: Plain = &[
    ("consumerGroup", GROUP),
    ("topic", "T"),
    ("queueId", "0"),
    ("commitOffset", "0"),
];
const BACK: Plain = &[
    ("offset", "9223372036854775807"),
    ("group", GROUP),
    ("delayLevel", "1"),
    ("originTopic", ""),
];
const END: Plain = &[
    ("producerGroup", GROUP),
    ("tranStateTableOffset", "9223372036854775807"),
    ("commitLogOffset", "9223372036854775807"),
    ("commitOrRollback", "8"),
];
const HEARTBEAT: &str = r#"{"clientID":"m","producerDataSet":[{"groupName":"strangers"}],
    "consumerDataSet":[{"groupName":"strangers","subscriptionDataSet":[]}]}"#;
const LOCKS: &str = r#"{"consumerGroup":"strangers","clientId":"m",
    "mqSet":[{"topic":"T","brokerName":"broker-a","queueId":-1},
             {"topic":"T","brokerName":"broker-a","queueId":2147483647}]}"#;

const CLIENT: &str = r#"{"clientId":"m","group":"strangers",
    "subscriptionData":{"topic":"T","subString":"*","expressionType":"TAG"}}"#;

/// The ends of ranges, and what is no number.
const EXTREMES: [&str; 10] = [
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "4611686018427387905",
    "2147483647",
    "-2147483648",
    "-1",
    "",
    "x",
];

/// Properties with numbers at the ends of their ranges.
const PROPERTIES: [&str; 4] = [
    "PRODUCER_ID\u{1}stranger\u{2}PRODUCER_SEQ\u{1}18446744073709551615\u{2}",
    "PRODUCER_ID\u{1}stranger\u{2}PRODUCER_SEQ\u{1}18446744073709551614\u{2}",
    "PRODUCER_ID\u{1}stranger\u{2}PRODUCER_SEQ\u{1}0\u{2}",
    "DELAY\u{1}x\u{2}",
];

/// Fields in which an extreme could be taken for something that makes sense, and
/// would concern others.
const LEFT_ALONE: [(i32, &str); 6] = [
    (9_001, "change"),
    (37, "commitOrRollback"),
    (310, "b"),
    (310, "f"),
    (10, "topic"),
    (10, "sysFlag"),
];

/// Does what `plan` says until its time is up.
pub async fn stranger<E: Env>(env: E, plan: StrangerPlan, turned: Turned) {
    let mut stranger: Stranger<E> = Stranger {
        net: env.net(),
        streams: BTreeMap::new(),
        dice: Dice {
            seed: plan.seed,
            thrown: 0,
        },
        opaque: 0,
        plan,
        turned,
    };
    let mut pause = env.timer();
    while env.now_ns() < stranger.plan.stop_at_ns {
        stranger.act();
        pause.reset(Some(env.now_ns().saturating_add(stranger.plan.pause_ns)));
        while let Either::First(event) = either(stranger.net.next(), pause.fired()).await {
            stranger.learn(event);
        }
    }
}

#[derive(Debug)]
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.thrown += 1;
        xxh3_64_with_seed(&self.thrown.to_be_bytes(), self.seed) % bound.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len() as u64) as usize)
    }
}

struct Stranger<E: Env> {
    net: E::Net,
    streams: BTreeMap<ConnId, FrameDecoder>,
    dice: Dice,
    /// Of the last request.
    opaque: i32,
    plan: StrangerPlan,
    turned: Turned,
}

impl<E: Env> Stranger<E> {
    fn act(&mut self) {
        let conn = self.stream();
        match self.dice.below(8) {
            0 => {}
            1 => self.begin_frame(conn),
            2 => self.write_garbage(conn),
            _ => {
                let request = self.request();
                self.net.write(conn, request.into());
            }
        }
    }

    /// A new stream, or one that is there.
    fn stream(&mut self) -> ConnId {
        let may_open = self.streams.len() < self.plan.streams_max;
        let wants = may_open && self.dice.below(2) == 0;
        if let (false, Some((conn, _))) = (wants, self.any_stream()) {
            return conn;
        }
        let broker = self.dice.of(&self.plan.brokers).copied();
        let conn = self.net.connect(broker.expect("a plan has brokers"));
        self.streams.insert(conn, FrameDecoder::new());
        conn
    }

    fn any_stream(&mut self) -> Option<(ConnId, &FrameDecoder)> {
        let count = self.streams.len() as u64;
        let at = self.dice.below(count) as usize;
        self.streams.iter().nth(at).map(|(conn, it)| (*conn, it))
    }

    /// A frame of almost the greatest length, as far as it goes.
    fn begin_frame(&mut self, conn: ConnId) {
        let (least, most) = (
            self.plan.partial_bytes.start(),
            self.plan.partial_bytes.end(),
        );
        let length = least + self.dice.below(most - least + 1);
        let mut bytes = (15u32 << 20).to_be_bytes().to_vec();
        bytes.resize(length as usize, 0);
        self.net.write(conn, bytes.into());
    }

    fn write_garbage(&mut self, conn: ConnId) {
        let length = self.dice.below(64);
        let bytes: Vec<u8> = (0..length).map(|_| self.dice.below(256) as u8).collect();
        self.net.write(conn, bytes.into());
    }

    /// A request with extremes in some of its fields.
    fn request(&mut self) -> Vec<u8> {
        let Some((code, plain, body)) = self.dice.of(REQUESTS).copied() else {
            return Vec::new();
        };
        let topic = match self.dice.of(&self.plan.topics) {
            Some(topic) => topic.clone(),
            None => STRANGERS_TOPIC.to_owned(),
        };
        let mut fields = serde_json::Map::new();
        for (name, value) in plain {
            let is_extreme = !LEFT_ALONE.contains(&(code, *name)) && self.dice.below(4) == 0;
            let value = match (*name, is_extreme) {
                ("i" | "properties", _) => self.dice.of(&PROPERTIES).copied().unwrap_or(value),
                (_, true) => self.dice.of(&EXTREMES).copied().unwrap_or(value),
                (_, false) if *value == "T" => &topic,
                (_, false) => value,
            };
            fields.insert((*name).to_owned(), value.into());
        }
        self.opaque = self.opaque.wrapping_add(1);
        let header = serde_json::json!({
            "code": code, "language": "JAVA", "version": 0, "opaque": self.opaque, "flag": 0,
            "extFields": fields,
        });
        framed(header.to_string().as_bytes(), body.as_bytes())
    }

    fn learn(&mut self, event: NetEvent) {
        match event {
            NetEvent::Data { conn, bytes } => {
                let Some(decoder) = self.streams.get_mut(&conn) else {
                    return;
                };
                decoder.feed(bytes);
                while let Ok(Some(answer)) = decoder.next_command() {
                    let refused = answer.is_response() && answer.code != 0;
                    self.turned
                        .0
                        .refused
                        .fetch_add(u64::from(refused), Ordering::Relaxed);
                }
            }
            NetEvent::Closed { conn, .. } => {
                if self.streams.remove(&conn).is_some() {
                    self.turned.0.closed.fetch_add(1, Ordering::Relaxed);
                }
            }
            NetEvent::Accepted { .. } | NetEvent::Connected { .. } | NetEvent::Peer { .. } => {}
        }
    }
}

/// A frame around a JSON header.
fn framed(header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&((4 + header.len() + body.len()) as u32).to_be_bytes());
    frame.extend_from_slice(&(header.len() as u32).to_be_bytes());
    frame.extend_from_slice(header);
    frame.extend_from_slice(body);
    frame
}
