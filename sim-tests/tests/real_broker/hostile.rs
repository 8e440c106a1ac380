//! Requests that make no sense, and bytes that are none: each is answered with
//! one of RocketMQ's codes or ends its stream; the broker lives on, and what
//! others sent is as it was.

use zeroloss::broker::{BrokerConfig, HALF_TOPIC, OP_TOPIC};
use zeroloss::check::Verdict;
use zeroloss::client::{ClientConfig, FullReader};
use zeroloss::env::Env;

use crate::raw::{Raw, framed, json};
use crate::support::{Clients, Server, TOPIC, config, formatted};

const SEND: i32 = 310;
const PULL: i32 = 11;
const QUERY_OFFSET: i32 = 14;
const UPDATE_OFFSET: i32 = 15;
const MAX_OFFSET: i32 = 30;
const END_TRANSACTION: i32 = 37;
const ONEWAY: i32 = 2;
/// A topic that nobody judges.
const OTHER: &str = "Mallory";

const SUCCESS: Option<i32> = Some(0);
const SYSTEM_ERROR: Option<i32> = Some(1);
const NOT_SUPPORTED: Option<i32> = Some(3);
const ILLEGAL: Option<i32> = Some(13);
const NO_PERMISSION: Option<i32> = Some(16);
const NO_TOPIC: Option<i32> = Some(17);
const MOVED: Option<i32> = Some(21);
const NO_OFFSET: Option<i32> = Some(22);
const UNKNOWN_TRANSACTION: Option<i32> = Some(202);

/// A send to [`OTHER`], some of its fields replaced.
fn send(replaced: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    send_flagged(0, replaced, body)
}

fn send_flagged(flag: i32, replaced: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let plain = [
        ("a", "mallory"),
        ("b", OTHER),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", "0"),
        ("f", "0"),
        ("g", "0"),
        ("h", "0"),
    ];
    json(SEND, flag, &with(&plain, replaced), body)
}

/// The end of a transaction that nobody began.
fn end(replaced: &[(&str, &str)]) -> Vec<u8> {
    let plain = [
        ("producerGroup", "mallory"),
        ("tranStateTableOffset", "0"),
        ("commitLogOffset", "80"),
        ("commitOrRollback", "8"),
    ];
    json(END_TRANSACTION, 0, &with(&plain, replaced), b"")
}

/// A pull of [`TOPIC`], queue 0, from its start.
fn pull(replaced: &[(&str, &str)]) -> Vec<u8> {
    let plain = [
        ("consumerGroup", "mallory"),
        ("topic", TOPIC),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("maxMsgNums", "32"),
        ("sysFlag", "0"),
        ("commitOffset", "0"),
        ("suspendTimeoutMillis", "0"),
        ("subVersion", "0"),
    ];
    json(PULL, 0, &with(&plain, replaced), b"")
}

fn update(replaced: &[(&str, &str)]) -> Vec<u8> {
    let plain = [
        ("consumerGroup", "mallory"),
        ("topic", TOPIC),
        ("queueId", "0"),
        ("commitOffset", "0"),
    ];
    json(UPDATE_OFFSET, 0, &with(&plain, replaced), b"")
}

fn with<'a>(
    plain: &[(&'a str, &'a str)],
    replaced: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let kept = plain
        .iter()
        .filter(|(key, _)| replaced.iter().all(|(other, _)| other != key));
    kept.chain(replaced).copied().collect()
}

/// A broker with messages that somebody else sent, in every queue.
async fn with_messages() -> (tempfile::TempDir, Clients, Server) {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    clients.send(1, broker.address, 100).await;
    (root, clients, broker)
}

/// Everything that was sent before is there, and more can be sent.
async fn assert_intact(clients: &Clients, broker: Server) {
    clients.send(5, broker.address, 20).await;
    let now_ns = clients.env.now_ns();
    let (consumer, _) = clients.consuming(2, broker.address);
    let (_, judgement) = clients.read_and_judge(broker.address, now_ns).await;
    consumer.abort();
    assert_eq!(judgement.findings, []);
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert_eq!(judgement.counts.acknowledged, 120);
    let told = broker.told.lock().unwrap().clone();
    let not_served = |line: &&String| line.starts_with("a client asks for what is not served");
    let others = told.iter().filter(|line| !not_served(line)).count();
    assert_eq!(others, 1, "opened once: {told:?}");
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_answered() {
    let (_root, clients, broker) = with_messages().await;
    let long_topic = "t".repeat(256);
    let longest_topic = "t".repeat(127);
    let long_group = "g".repeat(256);
    let long_properties = "p".repeat(40_000);
    // Twice as long once it is committed.
    let long_id = format!("UNIQ_KEY\u{1}{}\u{2}", "i".repeat(20_000));
    let five_megabytes = "9".repeat(5 << 20);
    let too_long_body = vec![7; (4 << 20) + 1];
    let no_queue = i32::MAX.to_string();
    let (low, high) = (i64::MIN.to_string(), i64::MAX.to_string());
    let cases: Vec<(&str, Vec<u8>, Option<i32>)> = vec![
        ("an unknown code", json(9_999, 0, &[], b""), NOT_SUPPORTED),
        ("a negative code", json(-1, 0, &[], b""), NOT_SUPPORTED),
        ("no fields", json(SEND, 0, &[], b"x"), ILLEGAL),
        (
            "a topic of 256 bytes",
            send(&[("b", &long_topic)], b"x"),
            ILLEGAL,
        ),
        (
            "the longest topic",
            send(&[("b", &longest_topic)], b"x"),
            SUCCESS,
        ),
        ("no topic", send(&[("b", "")], b"x"), ILLEGAL),
        ("the parent as topic", send(&[("b", "..")], b"x"), ILLEGAL),
        (
            "a path as topic",
            send(&[("b", "a/../../b")], b"x"),
            ILLEGAL,
        ),
        ("a zero in a topic", send(&[("b", "a\0b")], b"x"), ILLEGAL),
        (
            "a queue beyond all",
            send(&[("e", &no_queue)], b"x"),
            ILLEGAL,
        ),
        (
            "a queue that is no number",
            send(&[("e", "0x1")], b"x"),
            ILLEGAL,
        ),
        (
            "a number of 5 MiB",
            send(&[("e", &five_megabytes)], b"x"),
            ILLEGAL,
        ),
        (
            "a topic of 5 MiB",
            send(&[("b", &five_megabytes)], b"x"),
            ILLEGAL,
        ),
        (
            "properties too long",
            send(&[("i", &long_properties)], b"x"),
            ILLEGAL,
        ),
        ("a body too long", send(&[], &too_long_body), ILLEGAL),
        (
            "more than a segment holds",
            send(&[], &too_long_body[..1 << 20]),
            SUCCESS,
        ),
        ("a batch", send(&[("m", "true")], b"x"), ILLEGAL),
        ("a half message", send(&[("f", "4")], b"x"), SUCCESS),
        (
            "a half message for a queue beyond all",
            send(&[("f", "4"), ("e", &no_queue)], b"x"),
            ILLEGAL,
        ),
        (
            "a half message that could not be committed",
            send(&[("f", "4"), ("i", &long_id)], b"x"),
            ILLEGAL,
        ),
        ("as if committed", send(&[("f", "8")], b"x"), ILLEGAL),
        ("as if rolled back", send(&[("f", "12")], b"x"), ILLEGAL),
        (
            "a half message of its own making",
            send(&[("b", HALF_TOPIC)], b"x"),
            NO_PERMISSION,
        ),
        (
            "a decision of its own making",
            send(&[("b", OP_TOPIC), ("f", "12")], b"x"),
            NO_PERMISSION,
        ),
        ("the end of no transaction", end(&[]), UNKNOWN_TRANSACTION),
        (
            "the end of a negative one",
            end(&[("commitLogOffset", "-1")]),
            UNKNOWN_TRANSACTION,
        ),
        (
            "an end that is none",
            end(&[("commitOrRollback", "4")]),
            SYSTEM_ERROR,
        ),
        (
            "an end without fields",
            json(END_TRANSACTION, 0, &[], b""),
            SYSTEM_ERROR,
        ),
        (
            "separators",
            send(&[("i", "\u{1}\u{2}\u{2}a\u{1}\u{1}b\u{2}c")], b"x"),
            SUCCESS,
        ),
        (
            "a negative queue is a choice left",
            send(&[("e", "-2147483648")], b"x"),
            SUCCESS,
        ),
        (
            "a pull without fields",
            json(PULL, 0, &[], b""),
            SYSTEM_ERROR,
        ),
        (
            "a pull of a negative queue",
            pull(&[("queueId", "-1")]),
            SYSTEM_ERROR,
        ),
        (
            "a pull of no queue",
            pull(&[("queueId", "4")]),
            SYSTEM_ERROR,
        ),
        ("a pull of a path", pull(&[("topic", "../x")]), SYSTEM_ERROR),
        ("a pull from below", pull(&[("queueOffset", &low)]), MOVED),
        ("a pull from beyond", pull(&[("queueOffset", &high)]), MOVED),
        (
            "a pull of everything",
            pull(&[("maxMsgNums", "2147483647")]),
            SUCCESS,
        ),
        (
            "a pull of less than nothing",
            pull(&[("maxMsgNums", "-5")]),
            SUCCESS,
        ),
        (
            "a commit beyond the end",
            update(&[("commitOffset", &high)]),
            SYSTEM_ERROR,
        ),
        (
            "a negative commit",
            update(&[("commitOffset", "-1")]),
            SYSTEM_ERROR,
        ),
        (
            "a commit of a negative queue",
            update(&[("queueId", "-1")]),
            SYSTEM_ERROR,
        ),
        (
            "a commit of no queue",
            update(&[("queueId", "4")]),
            SYSTEM_ERROR,
        ),
        (
            "a commit of no topic",
            update(&[("topic", "Nothing")]),
            NO_TOPIC,
        ),
        (
            "a commit of no group",
            update(&[("consumerGroup", "")]),
            SYSTEM_ERROR,
        ),
        (
            "a group too long",
            update(&[("consumerGroup", &long_group)]),
            SYSTEM_ERROR,
        ),
        (
            "the offset of a negative queue",
            json(
                QUERY_OFFSET,
                0,
                &[("consumerGroup", "g"), ("topic", TOPIC), ("queueId", "-1")],
                b"",
            ),
            NO_OFFSET,
        ),
        (
            "the end of a negative queue",
            json(MAX_OFFSET, 0, &[("topic", TOPIC), ("queueId", "-1")], b""),
            SUCCESS,
        ),
    ];
    let mut raw = Raw::connect(&clients.env, broker.address);
    for (what, frame, code) in cases {
        let answer = raw.ask(frame).await.answer();
        assert_eq!(Some(answer.code), code, "{what}: {}", answer.remark());
        assert_eq!(answer.opaque, 77, "{what}");
        assert!(answer.remark.len() <= 512, "{what}: words, not the request");
    }
    assert_intact(&clients, broker).await;
}

#[tokio::test]
async fn bytes_that_are_no_request_end_their_stream() {
    let (_root, clients, broker) = with_messages().await;
    let deep = "[".repeat(100_000);
    let nested = format!("{{\"code\":10,\"extFields\":{deep}");
    let cut_short = framed(1, &[0, 10, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], b"");
    let lying_remark = [&[0, 10, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0][..], &[0x7f; 8]].concat();
    let closed = [
        ("a length of nothing", vec![0; 8]),
        ("a length below a header's", vec![0, 0, 0, 3, 0, 0, 0]),
        ("the greatest length", vec![0xff; 8]),
        ("just more than a frame", vec![1, 0, 0, 0, 0, 0, 0, 0]),
        (
            "a header longer than its frame",
            vec![0, 0, 0, 5, 0, 1, 0, 0, 9],
        ),
        ("a serialisation that is none", framed(7, b"{}", b"")),
        ("no JSON", framed(0, b"GET / HTTP/1.1\r\n\r\n", b"")),
        ("JSON of another shape", framed(0, b"[1,2,3]", b"")),
        ("JSON without an end", framed(0, b"{\"code\":10", b"")),
        ("JSON nested deeply", framed(0, nested.as_bytes(), b"")),
        ("no UTF-8", framed(0, &[b'{', b'"', 0xff, 0xfe, b'"'], b"")),
        ("a binary header cut short", cut_short),
        ("a binary header that lies", framed(1, &lying_remark, b"")),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".to_vec()),
    ];
    for (what, bytes) in closed {
        let mut raw = Raw::connect(&clients.env, broker.address);
        assert_eq!(raw.ask(bytes).await.code(), None, "{what}");
    }
    // Announced and never sent: nothing to answer, nothing to keep.
    let mut raw = Raw::connect(&clients.env, broker.address);
    raw.write(vec![0, 0xa0, 0, 0, 0]);
    raw.close();
    assert_intact(&clients, broker).await;
}

/// No answer to what wants none, nor to an answer; the next one is to what came
/// behind.
#[tokio::test]
async fn a_request_that_wants_no_answer_gets_none() {
    let (_root, clients, broker) = with_messages().await;
    let mut raw = Raw::connect(&clients.env, broker.address);
    raw.write(json(9_999, ONEWAY, &[], b""));
    raw.write(json(SEND, ONEWAY, &[], b""));
    raw.write(json(0, 1, &[], b"an answer to nothing"));
    raw.write(send_flagged(ONEWAY, &[], b"sent one way"));
    let end = json(MAX_OFFSET, 0, &[("topic", TOPIC), ("queueId", "0")], b"");
    let first = raw.ask(end).await.answer();
    assert!(first.fields.get("offset").is_some(), "{first:?}");

    // The one that was sent is stored all the same.
    let config = ClientConfig::new("reader", vec![broker.address]);
    let mut reader = FullReader::new(clients.env.clone(), config, 60_000);
    loop {
        let queues = reader.read_all(OTHER).await.unwrap();
        let mut messages = queues.iter().flat_map(|queue| &queue.messages);
        if messages.any(|message| &message.body[..] == b"sent one way") {
            break;
        }
    }
    assert_intact(&clients, broker).await;
}

/// A pull may wait for a topic that is not there yet, and asks to do so for
/// ever: it is served by the topic's first message.
#[tokio::test]
async fn a_pull_that_waits_for_a_topic_is_served_once_it_is_there() {
    let (_root, clients, broker) = with_messages().await;
    let mut waiting = Raw::connect(&clients.env, broker.address);
    let forever = i64::MAX.to_string();
    let wait = [
        ("topic", OTHER),
        ("sysFlag", "2"),
        ("suspendTimeoutMillis", &forever),
    ];
    waiting.write(pull(&wait));
    // One that is closed while it waits leaves nothing that is answered.
    let mut gone = Raw::connect(&clients.env, broker.address);
    gone.write(pull(&wait));
    gone.write(vec![0; 8]);
    assert_eq!(gone.reaction().await.code(), None);
    let mut sender = Raw::connect(&clients.env, broker.address);
    assert_eq!(sender.ask(send(&[], b"first")).await.code(), SUCCESS);
    let served = waiting.reaction().await.answer();
    assert_eq!(Some(served.code), SUCCESS);
    assert!(served.body.windows(5).any(|bytes| bytes == b"first"));
    assert_intact(&clients, broker).await;
}

/// Requests of a hundred bytes for answers of a quarter of a mebibyte: a client that
/// does not read them is cut off before they fill the broker's memory.
#[tokio::test]
async fn a_client_that_asks_and_does_not_read_is_cut_off() {
    let (_root, clients, broker) = with_messages().await;
    let mut sender = Raw::connect(&clients.env, broker.address);
    for _ in 0..10 {
        let sent = sender.ask(send(&[], &[b'x'; 50_000])).await;
        assert_eq!(sent.code(), SUCCESS);
    }
    let greedy = pull(&[("topic", OTHER)]);
    let mut raw = Raw::connect(&clients.env, broker.address);
    raw.write(greedy.repeat(2_000));
    clients.send(6, broker.address, 1).await;
    // Bytes behind the answers are not an answer to every pull.
    let mut answers = 0;
    while raw.reaction().await.code().is_some() {
        answers += 1;
    }
    assert!(answers < 2_000, "cut off after {answers} answers");
    assert!(broker.is_running());
    broker.stop_cleanly().await;
}

/// A broker that is short of space refuses before it appends: messages, and the
/// offsets that would take the same space.
#[tokio::test]
async fn a_full_disk_refuses_before_the_append() {
    let root = formatted().await;
    let clients = Clients::new();
    let full = BrokerConfig {
        reserve_bytes: u64::MAX / 2,
        ..config()
    };
    let broker = Server::with(root.path(), full).await;
    let mut raw = Raw::connect(&clients.env, broker.address);
    assert_eq!(raw.ask(send(&[], b"x")).await.code(), Some(14));
    assert_eq!(raw.ask(update(&[])).await.code(), Some(14));
    broker.stop_cleanly().await;
}
