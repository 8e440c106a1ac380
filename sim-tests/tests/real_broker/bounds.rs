//! Every bound of what clients and peers can take: at it all is well, and one more
//! is refused as the list says. A bound in the list without a test fails here.

use zeroloss::broker::{BOUNDS, Beyond, Bound, Bounds, BrokerConfig};
use zeroloss::record::Message;
use zeroloss::remoting::{Command, RequestCode};

use crate::raw::{Raw, json};
use crate::support::{Clients, Server, config, formatted};

const SEND: i32 = 310;
const PULL: i32 = 11;
const UPDATE_OFFSET: i32 = 15;
const HEARTBEAT: i32 = 34;
const LOCK: i32 = 41;
const OTHER: &str = "Mallory";

/// A broker, and streams to it.
struct Bench {
    root: tempfile::TempDir,
    clients: Clients,
    broker: Server,
}

impl Bench {
    async fn with(change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let mut config = config();
        change(&mut config);
        let root = formatted().await;
        Self {
            clients: Clients::new(),
            broker: Server::with(root.path(), config).await,
            root,
        }
    }

    async fn bounded(bounds: Bounds) -> Self {
        Self::with(|config| config.bounds = bounds).await
    }

    fn stream(&self) -> Raw {
        Raw::connect(&self.clients.env, self.broker.address)
    }

    async fn end(self) {
        assert!(self.broker.is_running());
        assert_eq!(self.broker.told.lock().unwrap().len(), 1, "opened once");
        self.broker.stop_cleanly().await;
        drop(self.root);
    }
}

fn with(plain: &[(&str, &str)], replaced: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for (key, value) in plain.iter().chain(replaced) {
        fields.retain(|(known, _)| known != key);
        fields.push(((*key).to_owned(), (*value).to_owned()));
    }
    fields
}

fn request(code: i32, plain: &[(&str, &str)], replaced: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let fields = with(plain, replaced);
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    json(code, 0, &fields, body)
}

fn send(replaced: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
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
    request(SEND, &plain, replaced, body)
}

fn pull(replaced: &[(&str, &str)]) -> Vec<u8> {
    let plain = [
        ("consumerGroup", "mallory"),
        ("topic", OTHER),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("maxMsgNums", "32"),
        ("sysFlag", "0"),
        ("commitOffset", "0"),
        ("suspendTimeoutMillis", "0"),
        ("subVersion", "0"),
    ];
    request(PULL, &plain, replaced, b"")
}

fn commit(group: &str) -> Vec<u8> {
    let fields = [
        ("consumerGroup", group),
        ("topic", OTHER),
        ("queueId", "0"),
        ("commitOffset", "0"),
    ];
    request(UPDATE_OFFSET, &fields, &[], b"")
}

fn heartbeat(body: &str) -> Vec<u8> {
    json(HEARTBEAT, 0, &[], body.as_bytes())
}

/// A heartbeat's body with so many groups of a kind.
fn groups(kind: &str, count: usize) -> String {
    let groups: Vec<String> = (0..count)
        .map(|number| format!(r#"{{"groupName":"g{number}","subscriptionDataSet":[]}}"#))
        .collect();
    format!(r#"{{"clientID":"m","{kind}":[{}]}}"#, groups.join(","))
}

/// The codes of what is asked one after the other, on one stream.
async fn codes(bench: &Bench, requests: Vec<Vec<u8>>) -> Vec<i32> {
    let mut raw = bench.stream();
    let mut codes = Vec::new();
    for request in requests {
        let mut code = raw.ask(request).await.code();
        // A member is also told that its group has changed, which is no answer.
        while code == Some(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0) {
            code = raw.reaction().await.code();
        }
        codes.push(code.unwrap_or(-1));
    }
    codes
}

/// All but the last are done; the last is refused as the list says.
async fn last_is_refused(bound: &Bound, bench: Bench, requests: Vec<Vec<u8>>) {
    let Beyond::Refused(refusal) = bound.beyond else {
        panic!("{} is not refused", bound.name);
    };
    let codes = codes(&bench, requests).await;
    let (last, before) = codes.split_last().unwrap();
    assert!(
        before.iter().all(|code| *code == 0),
        "{}: {codes:?}",
        bound.name
    );
    assert_eq!(*last, refusal, "{}", bound.name);
    bench.end().await;
}

/// So long a text.
fn text(length: u64) -> String {
    "x".repeat(length as usize)
}

fn records(answer: &Command) -> usize {
    let (mut count, mut records) = (0, &answer.body[..]);
    while !records.is_empty() {
        records = Message::decode_first(records).unwrap().1;
        count += 1;
    }
    count
}

/// Where a bound has its test that cannot be met here: a file, and a test in it.
fn tested_elsewhere(name: &str) -> Option<(&'static str, &'static str)> {
    macro_rules! test_of {
        ($file:literal, $name:literal) => {
            Some((include_str!(concat!("../../../src/product/", $file)), $name))
        };
    }
    match name {
        "unsent-of-stream" => Some((
            include_str!("hostile.rs"),
            "a_client_that_asks_and_does_not_read_is_cut_off",
        )),
        "unsent" => test_of!(
            "env/real/net_tests.rs",
            "the_client_that_reads_least_goes_when_all_together_leave_too_much"
        ),
        "reads" => test_of!(
            "broker/replica/reads.rs",
            "so_many_requests_wait_and_no_more"
        ),
        "read-bytes" => test_of!(
            "broker/replica/reads.rs",
            "so_many_bytes_of_requests_wait_and_no_more"
        ),
        "pending" | "backlog" | "staged" | "waiters" => {
            test_of!("broker/send.rs", "so_much_waits_for_the_disk_and_no_more")
        }
        "suspend" => test_of!("broker/pull.rs", "a_pull_waits_for_so_long_and_no_longer"),
        "producers" => test_of!(
            "broker/producers.rs",
            "the_producer_that_sent_last_is_forgotten_last"
        ),
        "window" => test_of!(
            "broker/producers.rs",
            "the_first_of_an_origin_counts_while_it_is_in_the_window"
        ),
        "members" => test_of!(
            "broker/groups/members.rs",
            "a_group_has_so_many_members_and_no_more"
        ),
        "seats" => test_of!(
            "broker/groups/members.rs",
            "all_groups_have_so_many_members_and_no_more"
        ),
        "locks" => test_of!(
            "broker/groups/locks.rs",
            "locks_that_have_run_out_make_room"
        ),
        "peer-message" => test_of!(
            "env/real/peers.rs",
            "the_longest_message_comes_and_one_byte_more_ends_the_stream"
        ),
        "peer-links" => test_of!(
            "env/real/peers.rs",
            "so_many_streams_have_a_place_and_no_more"
        ),
        "peer-partial" => test_of!(
            "env/real/peers.rs",
            "a_message_that_does_not_end_gives_its_room_back"
        ),
        "number" => test_of!(
            "raft/testing/extremes.rs",
            "a_number_above_the_greatest_is_refused_in_every_field"
        ),
        "terms-ahead" => test_of!(
            "raft/testing/extremes.rs",
            "a_stranger_raises_the_term_a_step_at_a_time"
        ),
        "base" => test_of!(
            "broker/replica/pieces.rs",
            "pieces_come_back_and_what_lies_outside_its_base_is_none"
        ),
        _ => None,
    }
}

/// Meets a bound over the wire; false where it is not met here.
async fn met_on_the_wire(bound: &Bound) -> bool {
    match bound.name {
        "connections" | "connections-of-host" => streams(bound).await,
        "idle" => idle(bound).await,
        "frame" => frame(bound).await,
        "partial-frames" => partial_frames(bound).await,
        "held-pulls" => held_pulls(bound).await,
        "pull-messages" | "pull-bytes" => answers(bound).await,
        "offset" => offsets(bound).await,
        "sequence" => sequence(bound).await,
        _ => return met_by_requests(bound).await,
    }
    true
}

/// Bounds that one request too many, or too long, meets.
async fn met_by_requests(bound: &Bound) -> bool {
    let most = bound.most;
    let small = |change: fn(&mut Bounds)| {
        let mut bounds = Bounds::default();
        change(&mut bounds);
        Bench::bounded(bounds)
    };
    let (bench, requests) = match bound.name {
        "subscription" => {
            let of = |length| {
                let tags = format!("paid||{}", text(length - 6));
                pull(&[("sysFlag", "4"), ("subscription", &tags)])
            };
            let paid = send(&[("i", "TAGS\u{1}paid\u{2}")], b"x");
            (
                Bench::with(|_| {}).await,
                vec![paid, of(most), of(most + 1)],
            )
        }
        "tags" => {
            let of = |count: u64| {
                let tags: Vec<String> = (0..count).map(|tag| format!("tag-{tag}")).collect();
                let tags = format!("{}||paid", tags.join("||"));
                pull(&[("sysFlag", "4"), ("subscription", &tags)])
            };
            let paid = send(&[("i", "TAGS\u{1}paid\u{2}")], b"x");
            let bench = Bench::with(|_| {}).await;
            (bench, vec![paid, of(most - 1), of(most)])
        }
        "topic-name" => {
            let of = |length| send(&[("b", &text(length))], b"x");
            (Bench::with(|_| {}).await, vec![of(most), of(most + 1)])
        }
        "topics" => {
            let of = |topic: &str| send(&[("b", topic)], b"x");
            let bench = small(|bounds| bounds.topics = 2).await;
            (bench, vec![of("a"), of("b"), of("a"), of("c")])
        }
        "properties" => {
            let of = |length: u64| {
                let properties = format!("k\u{1}{}\u{2}", text(length - 3));
                send(&[("i", &properties)], b"x")
            };
            (Bench::with(|_| {}).await, vec![of(most), of(most + 1)])
        }
        "body" => {
            let of = |length| send(&[], text(length).as_bytes());
            let large = |config: &mut BrokerConfig| config.segment_bytes = 16 << 20;
            (Bench::with(large).await, vec![of(most), of(most + 1)])
        }
        "producer-id" => {
            let of = |length| {
                let id = text(length);
                let properties = format!("PRODUCER_ID\u{1}{id}\u{2}PRODUCER_SEQ\u{1}1\u{2}");
                send(&[("i", &properties)], b"x")
            };
            (Bench::with(|_| {}).await, vec![of(most), of(most + 1)])
        }
        "halves" => {
            let half = send(&[("f", "4")], b"x");
            let bench = small(|bounds| bounds.halves = 2).await;
            (bench, vec![half.clone(), half.clone(), half])
        }
        "half-names" => {
            let of = |length| send(&[("f", "4"), ("a", &text(length))], b"x");
            (Bench::with(|_| {}).await, vec![of(most), of(most + 1)])
        }
        "delayed" => {
            let late = send(&[("i", "DELAY\u{1}18\u{2}")], b"x");
            let bench = small(|bounds| bounds.delayed = 2).await;
            (bench, vec![late.clone(), late.clone(), late])
        }
        "group-name" => {
            let requests = vec![
                send(&[], b"x"),
                commit(&text(most)),
                commit(&text(most + 1)),
            ];
            (Bench::with(|_| {}).await, requests)
        }
        "group-offsets" => {
            let bench = small(|bounds| bounds.group_offsets = 2).await;
            let of = ["a", "b", "a", "c"].map(commit);
            (bench, [vec![send(&[], b"x")], of.to_vec()].concat())
        }
        "heartbeat" => {
            let of = |length: u64| {
                let body = groups("consumerDataSet", 1);
                let spaces = " ".repeat(length as usize - body.len());
                heartbeat(&(body + &spaces))
            };
            (Bench::with(|_| {}).await, vec![of(most), of(most + 1)])
        }
        "groups" => {
            let most = most as usize;
            let of = |kind, count| heartbeat(&groups(kind, count));
            let (consumers, producers) = ("consumerDataSet", "producerDataSet");
            let other = Bench::with(|_| {}).await;
            let requests = vec![of(producers, most), of(producers, most + 1)];
            assert_eq!(codes(&other, requests).await, [0, 1]);
            other.end().await;
            (
                Bench::with(|_| {}).await,
                vec![of(consumers, most), of(consumers, most + 1)],
            )
        }
        "locks-asked" => {
            let of = |count: u64| {
                let queue = r#"{"topic":"t","brokerName":"b","queueId":0}"#;
                let queues = vec![queue; count as usize].join(",");
                let body = format!(r#"{{"consumerGroup":"g","clientId":"m","mqSet":[{queues}]}}"#);
                json(LOCK, 0, &[], body.as_bytes())
            };
            (Bench::with(|_| {}).await, vec![of(most), of(most + 1)])
        }
        _ => return false,
    };
    last_is_refused(bound, bench, requests).await;
    true
}

/// Three clients that speak, and a fourth.
async fn streams(bound: &Bound) {
    assert_eq!(bound.beyond, Beyond::Closed);
    let mut bounds = Bounds::default();
    match bound.name {
        "connections" => bounds.connections = 3,
        _ => bounds.connections_of_host = 3,
    }
    let bench = Bench::bounded(bounds).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut raw = bench.stream();
        assert_eq!(
            raw.ask(heartbeat(r#"{"clientID":"m"}"#)).await.code(),
            Some(0)
        );
        streams.push(raw);
    }
    let mut one_more = bench.stream();
    assert_eq!(
        one_more.reaction().await.code(),
        None,
        "all others are clients"
    );
    streams.pop().unwrap().close();
    // Its place is free once the broker has heard of it.
    loop {
        let mut next = bench.stream();
        if next.ask(heartbeat(r#"{"clientID":"m"}"#)).await.code() == Some(0) {
            break;
        }
    }
    assert_eq!(streams[0].ask(pull(&[])).await.code(), Some(19));
    bench.end().await;
}

async fn idle(bound: &Bound) {
    assert_eq!((bound.most, bound.beyond), (120_000, Beyond::Closed));
    let idle_ms = 300;
    let bench = Bench::bounded(Bounds {
        idle_ms,
        ..Bounds::default()
    })
    .await;
    let mut silent = bench.stream();
    let mut half = bench.stream();
    half.write(vec![0, 0, 1, 0, 0]);
    assert_eq!(silent.reaction().await.code(), None);
    assert_eq!(
        half.reaction().await.code(),
        None,
        "a part of a request is none"
    );
    bench.end().await;
}

async fn frame(bound: &Bound) {
    assert_eq!(bound.beyond, Beyond::Closed);
    let bench = Bench::with(|_| {}).await;
    let head = send(&[], b"").len();
    let body = vec![b'x'; bound.most as usize - head];
    let longest = send(&[], &body);
    assert_eq!(longest.len() as u64, bound.most);
    let mut raw = bench.stream();
    assert_eq!(raw.ask(longest).await.code(), Some(13), "a body too long");
    let announced = (bound.most as u32 - 3).to_be_bytes();
    assert_eq!(raw.ask(announced.to_vec()).await.code(), None);
    bench.end().await;
}

/// Frames that begin and do not end: the oldest goes, and who sends whole ones is
/// served.
async fn partial_frames(bound: &Bound) {
    assert_eq!(bound.beyond, Beyond::Closed);
    let bench = Bench::bounded(Bounds {
        partial_bytes: 4 << 20,
        ..Bounds::default()
    })
    .await;
    let mut first = bench.stream();
    let mut others = Vec::new();
    let mut half = (15u32 << 20).to_be_bytes().to_vec();
    half.resize(1 << 20, b'{');
    first.write(half.clone());
    // The broker has it before the others begin.
    assert_eq!(codes(&bench, vec![send(&[], b"x")]).await, [0]);
    for _ in 0..4 {
        let mut raw = bench.stream();
        raw.write(half.clone());
        others.push(raw);
    }
    assert_eq!(first.reaction().await.code(), None);
    assert_eq!(codes(&bench, vec![send(&[], &[b'x'; 30_000])]).await, [0]);
    bench.end().await;
}

async fn held_pulls(bound: &Bound) {
    assert_eq!((bound.most, bound.beyond), (10_000, Beyond::Cut));
    let bench = Bench::with(|config| config.pending_max = 2).await;
    let wait = pull(&[("sysFlag", "2"), ("suspendTimeoutMillis", "60000")]);
    let (mut one, mut other) = (bench.stream(), bench.stream());
    one.write(wait.clone());
    other.write(wait.clone());
    loop {
        // The others wait by now, or this one does until it is served.
        let mut third = bench.stream();
        third.write(pull(&[("sysFlag", "2"), ("suspendTimeoutMillis", "50")]));
        if third.reaction().await.code() == Some(19) {
            break;
        }
    }
    assert_eq!(codes(&bench, vec![send(&[], b"x")]).await, [0]);
    assert_eq!(one.reaction().await.code(), Some(0));
    assert_eq!(other.reaction().await.code(), Some(0));
    bench.end().await;
}

async fn answers(bound: &Bound) {
    assert_eq!(bound.beyond, Beyond::Cut);
    let (length, fit) = match bound.name {
        "pull-messages" => (1, bound.most as usize),
        _ => (50_000, bound.most as usize / 50_200),
    };
    let bench = Bench::with(|_| {}).await;
    let one = send(&[], text(length).as_bytes());
    let sent = codes(&bench, vec![one; fit + 1]).await;
    assert!(sent.iter().all(|code| *code == 0));
    let mut raw = bench.stream();
    let answer = raw
        .ask(pull(&[("maxMsgNums", "2147483647")]))
        .await
        .answer();
    assert_eq!(records(&answer), fit);
    bench.end().await;
}

async fn offsets(bound: &Bound) {
    let most = bound.most.to_string();
    let bench = Bench::with(|_| {}).await;
    let requests = vec![
        send(&[], b"x"),
        pull(&[("queueOffset", &most)]),
        pull(&[("queueOffset", "-9223372036854775808")]),
        pull(&[("queueOffset", "9223372036854775808")]),
    ];
    assert_eq!(codes(&bench, requests).await, [0, 21, 21, 1]);
    bench.end().await;
}

/// The last number of all, twice, and a life later: one message.
async fn sequence(bound: &Bound) {
    let properties = |number: u64| {
        let properties = format!("PRODUCER_ID\u{1}p\u{2}PRODUCER_SEQ\u{1}{number}\u{2}");
        send(&[("i", &properties)], b"x")
    };
    let dedup = |config: &mut BrokerConfig| config.producer_dedup = true;
    let bench = Bench::with(dedup).await;
    let last = properties(bound.most);
    assert_eq!(
        codes(&bench, vec![last.clone(), last.clone()]).await,
        [0, 0]
    );
    let Bench {
        root,
        clients,
        broker,
    } = bench;
    broker.drop_dead().await;
    let mut config = config();
    dedup(&mut config);
    let broker = Server::with(root.path(), config).await;
    let bench = Bench {
        root,
        clients,
        broker,
    };
    assert_eq!(codes(&bench, vec![last, properties(0)]).await, [0, 13]);
    let mut raw = bench.stream();
    assert_eq!(records(&raw.ask(pull(&[])).await.answer()), 1);
    bench.end().await;
}

#[tokio::test]
async fn every_bound_is_met_at_it_and_one_past_it() {
    let mut names = std::collections::BTreeSet::new();
    for bound in BOUNDS {
        assert!(
            names.insert(bound.name),
            "{} stands there twice",
            bound.name
        );
        match tested_elsewhere(bound.name) {
            Some((file, test)) => {
                let test = format!("fn {test}()");
                assert!(file.contains(&test), "{}: no {test}", bound.name);
            }
            None => assert!(met_on_the_wire(bound).await, "{}: no test", bound.name),
        }
    }
}
