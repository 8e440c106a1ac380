//! Consumer groups on a real broker: who is in one, who is told, and who holds a
//! queue.

use zeroloss::broker::BrokerConfig;
use zeroloss::remoting::group::ConsumerList;
use zeroloss::remoting::lock::LockedQueues;

use crate::raw::{Raw, Reaction, json};
use crate::support::{Clients, Server, TOPIC, config, formatted};

const HEARTBEAT: i32 = 34;
const UNREGISTER: i32 = 35;
const LIST: i32 = 38;
const CHANGED: i32 = 40;
const LOCK: i32 = 41;
const UNLOCK: i32 = 42;

const SUCCESS: Option<i32> = Some(0);
const SYSTEM_ERROR: Option<i32> = Some(1);
/// Long against what a test does in between, on any machine.
const LEASE_MS: u64 = 4_000;

fn heartbeat(client: &str, groups: &[&str]) -> Vec<u8> {
    let groups: Vec<_> = groups
        .iter()
        .map(|group| serde_json::json!({ "groupName": group }))
        .collect();
    let body = serde_json::json!({ "clientID": client, "consumerDataSet": groups });
    json(HEARTBEAT, 0, &[], body.to_string().as_bytes())
}

fn list(group: &str) -> Vec<u8> {
    json(LIST, 0, &[("consumerGroup", group)], b"")
}

fn queues(code: i32, client: &str, queues: &[(&str, &str, i32)]) -> Vec<u8> {
    let queues: Vec<_> = queues
        .iter()
        .map(|(topic, broker, id)| {
            serde_json::json!({ "topic": topic, "brokerName": broker, "queueId": id })
        })
        .collect();
    let body = serde_json::json!({
        "consumerGroup": "g", "clientId": client, "mqSet": queues,
    });
    json(code, 0, &[], body.to_string().as_bytes())
}

/// A consumer's stream to a broker.
struct Member(Raw);

impl Member {
    fn new(clients: &Clients, broker: &Server) -> Self {
        Self(Raw::connect(&clients.env, broker.address))
    }

    /// The answer; what the broker tells meanwhile is passed over.
    async fn ask(&mut self, frame: Vec<u8>) -> zeroloss::remoting::Command {
        let mut reaction = self.0.ask(frame).await;
        loop {
            let command = reaction.answer();
            if command.is_response() {
                return command;
            }
            reaction = self.0.reaction().await;
        }
    }

    /// Waits to be told that the group has changed.
    async fn told(&mut self, group: &str) {
        let Reaction::Answer(notice) = self.0.reaction().await else {
            panic!("closed");
        };
        assert_eq!((notice.code, notice.is_oneway()), (CHANGED, true));
        assert_eq!(notice.fields.get("consumerGroup"), Some(group.as_bytes()));
    }

    async fn list(&mut self, group: &str) -> Vec<String> {
        let answer = self.ask(list(group)).await;
        assert_eq!(Some(answer.code), SUCCESS);
        let list: ConsumerList = serde_json::from_slice(&answer.body).unwrap();
        list.consumer_id_list
    }

    /// The queues of [`TOPIC`] that it holds of those it asks for.
    async fn lock(&mut self, client: &str, ids: &[i32]) -> Vec<i32> {
        let asked: Vec<_> = ids.iter().map(|id| (TOPIC, "broker-a", *id)).collect();
        let answer = self.ask(queues(LOCK, client, &asked)).await;
        assert_eq!(Some(answer.code), SUCCESS);
        let locked: LockedQueues = serde_json::from_slice(&answer.body).unwrap();
        locked.held.iter().map(|queue| queue.queue_id).collect()
    }
}

#[tokio::test]
async fn members_are_listed_and_told_of_each_other() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let mut first = Member::new(&clients, &broker);
    assert!(first.list("g").await.is_empty(), "nobody is there yet");
    first.ask(heartbeat("a", &["g", "h"])).await;
    first.told("g").await;
    first.told("h").await;

    let mut second = Member::new(&clients, &broker);
    second.ask(heartbeat("b", &["g"])).await;
    second.told("g").await;
    first.told("g").await;
    assert_eq!(first.list("g").await, ["a", "b"]);
    assert_eq!(second.list("h").await, ["a"]);
    // The same again is no news.
    second.ask(heartbeat("b", &["g"])).await;

    second.0.close();
    first.told("g").await;
    assert_eq!(first.list("g").await, ["a"]);

    let leave = json(
        UNREGISTER,
        0,
        &[("clientID", "a"), ("consumerGroup", "g")],
        b"",
    );
    assert_eq!(Some(first.ask(leave).await.code), SUCCESS);
    assert!(first.list("g").await.is_empty());
    assert_eq!(first.list("h").await, ["a"]);
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn a_client_silent_for_a_lease_is_no_member() {
    let root = formatted().await;
    let clients = Clients::new();
    let impatient = BrokerConfig {
        client_expired_ms: 50,
        ..config()
    };
    let broker = Server::with(root.path(), impatient).await;
    let mut silent = Member::new(&clients, &broker);
    silent.ask(heartbeat("silent", &["g"])).await;
    let mut other = Member::new(&clients, &broker);
    while !other.list("g").await.is_empty() {}
    // Its stream is there, and so it is again once it says so.
    silent.ask(heartbeat("silent", &["g"])).await;
    silent.told("g").await;
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn a_queue_has_one_holder_also_when_the_broker_starts_again() {
    let root = formatted().await;
    let clients = Clients::new();
    let patient = || BrokerConfig {
        queue_lock_ms: LEASE_MS,
        ..config()
    };
    let broker = Server::with(root.path(), patient()).await;
    let mut first = Member::new(&clients, &broker);
    let mut second = Member::new(&clients, &broker);
    // Nobody knows who held it before this broker began.
    assert!(first.lock("a", &[0, 1]).await.is_empty());
    while first.lock("a", &[0, 1]).await != [0, 1] {}
    assert_eq!(second.lock("b", &[0, 2]).await, [2]);
    assert_eq!(first.lock("a", &[0, 1, 2]).await, [0, 1]);
    // Only its own.
    second
        .ask(queues(UNLOCK, "b", &[(TOPIC, "broker-a", 0)]))
        .await;
    assert!(second.lock("b", &[0]).await.is_empty());
    first
        .ask(queues(UNLOCK, "a", &[(TOPIC, "broker-a", 0)]))
        .await;
    assert_eq!(second.lock("b", &[0]).await, [0]);
    // Another process that was given the same id is not the holder, and cannot
    // let go what it does not hold.
    let mut twin = Member::new(&clients, &broker);
    assert!(twin.lock("a", &[1]).await.is_empty());
    twin.ask(queues(UNLOCK, "a", &[(TOPIC, "broker-a", 1)]))
        .await;
    assert!(twin.lock("a", &[1]).await.is_empty());
    assert_eq!(first.lock("a", &[1]).await, [1]);
    // A stream that ends says nothing of what its owner believes.
    drop(second);
    assert!(first.lock("a", &[0]).await.is_empty());

    broker.drop_dead().await;
    let broker = Server::with(root.path(), patient()).await;
    let mut first = Member::new(&clients, &broker);
    assert!(first.lock("a", &[0]).await.is_empty());
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn requests_of_groups_that_make_no_sense_are_answered() {
    let root = formatted().await;
    let clients = Clients::new();
    let at_once = BrokerConfig {
        queue_lock_ms: 0,
        ..config()
    };
    let broker = Server::with(root.path(), at_once).await;
    let mut member = Member::new(&clients, &broker);
    let long = "x".repeat(256);
    let body = |code, text: &str| json(code, 0, &[], text.as_bytes());
    let crowd: Vec<_> = (0..5_000).map(|id| (TOPIC, "broker-a", id)).collect();
    let many = (0..2_000).map(|number| format!("g{number}"));
    let many: Vec<String> = many.collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let huge = format!("{{\"clientID\":\"{}\"}}", "x".repeat(9 << 20));
    let no_group = r#"{"consumerGroup":"","clientId":"a","mqSet":[]}"#;
    let no_client = r#"{"consumerGroup":"g","clientId":"","mqSet":[]}"#;
    let negative = r#"{"consumerGroup":"g","clientId":"a","mqSet":[{"topic":"","brokerName":"","queueId":99999999999}]}"#;
    for (what, frame, code) in [
        ("a list of no group", json(LIST, 0, &[], b""), SYSTEM_ERROR),
        ("a list of a group too long", list(&long), SUCCESS),
        ("no heartbeat", body(HEARTBEAT, "[]"), SYSTEM_ERROR),
        ("a client too long", heartbeat(&long, &["g"]), SYSTEM_ERROR),
        (
            "a client without a name",
            heartbeat("", &["g"]),
            SYSTEM_ERROR,
        ),
        ("a group too long", heartbeat("a", &[&long]), SYSTEM_ERROR),
        (
            "a group without a name",
            heartbeat("a", &[""]),
            SYSTEM_ERROR,
        ),
        ("too many groups", heartbeat("a", &many), SYSTEM_ERROR),
        ("a producer of 9 MiB", body(HEARTBEAT, &huge), SYSTEM_ERROR),
        (
            "separators in names",
            heartbeat("a\u{1}\u{2}\"\n", &["\u{1}/../\0"]),
            SUCCESS,
        ),
        ("a lock without a body", body(LOCK, ""), SYSTEM_ERROR),
        ("a lock of no group", body(LOCK, no_group), SYSTEM_ERROR),
        ("a lock of nobody", body(LOCK, no_client), SYSTEM_ERROR),
        ("a lock of no number", body(LOCK, negative), SYSTEM_ERROR),
        ("a crowd of locks", queues(LOCK, "a", &crowd), SYSTEM_ERROR),
        (
            "an unlock of no group",
            body(UNLOCK, no_group),
            SYSTEM_ERROR,
        ),
        (
            "an unlock of what is not there",
            queues(UNLOCK, "a", &[("../x", "", -1), (TOPIC, "", i32::MAX)]),
            SUCCESS,
        ),
        (
            "to leave what one is not in",
            json(UNREGISTER, 0, &[("consumerGroup", "no")], b""),
            SUCCESS,
        ),
    ] {
        let answer = member.ask(frame).await;
        assert_eq!(Some(answer.code), code, "{what}: {}", answer.remark());
    }
    let odd = [
        (TOPIC, "broker-a", -1),
        (TOPIC, "broker-a", 4),
        (TOPIC, "another", 0),
        ("../x", "broker-a", 0),
        (TOPIC, "broker-a", 3),
        (TOPIC, "broker-a", 3),
    ];
    let answer = member.ask(queues(LOCK, "a", &odd)).await;
    let locked: LockedQueues = serde_json::from_slice(&answer.body).unwrap();
    let held: Vec<i32> = locked.held.iter().map(|queue| queue.queue_id).collect();
    assert_eq!(held, [3], "the only one that is there, once");
    broker.stop_cleanly().await;
}
