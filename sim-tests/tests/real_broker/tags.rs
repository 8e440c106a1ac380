//! Subscriptions to tags on a real broker: what is left out is passed by, and
//! nothing else.

use zeroloss::record::Message;

use crate::raw::{Raw, json};
use crate::support::{Clients, Server, TOPIC, formatted};

const SEND: i32 = 310;
const PULL: i32 = 11;
const FOUND: i32 = 0;
const NOT_FOUND: i32 = 19;
const NO_MATCH: i32 = 20;
const NO_SUBSCRIPTION: i32 = 23;

struct Client(Raw);

/// The outcome of a pull: the code, the bodies, and where to go on.
type Pulled = (i32, Vec<String>, i64);

impl Client {
    async fn send(&mut self, tag: &str, body: &str) {
        let properties = match tag {
            "" => String::new(),
            tag => format!("TAGS\u{1}{tag}\u{2}"),
        };
        let fields = [
            ("a", "orders"),
            ("b", TOPIC),
            ("c", "TBW102"),
            ("d", "4"),
            ("e", "0"),
            ("f", "0"),
            ("g", "0"),
            ("h", "0"),
            ("i", &*properties),
        ];
        let frame = json(SEND, 0, &fields, body.as_bytes());
        assert_eq!(self.0.ask(frame).await.code(), Some(0));
    }

    fn pull(from: i64, flags: i32, subscription: &str, kind: &str) -> Vec<u8> {
        let (from, flags) = (from.to_string(), flags.to_string());
        let fields = [
            ("consumerGroup", "g"),
            ("topic", TOPIC),
            ("queueId", "0"),
            ("queueOffset", &*from),
            ("maxMsgNums", "2"),
            ("sysFlag", &*flags),
            ("commitOffset", "0"),
            ("suspendTimeoutMillis", "60000"),
            ("subscription", subscription),
            ("subVersion", "0"),
            ("expressionType", kind),
        ];
        json(PULL, 0, &fields, b"")
    }

    async fn pulled(&mut self, frame: Vec<u8>) -> Pulled {
        self.0.write(frame);
        self.served().await
    }

    async fn served(&mut self) -> Pulled {
        let answer = self.0.reaction().await.answer();
        let mut bodies = Vec::new();
        let mut records = &answer.body[..];
        while !records.is_empty() {
            let (message, rest) = Message::decode_first(records).unwrap();
            bodies.push(String::from_utf8(message.body.to_vec()).unwrap());
            records = rest;
        }
        let next = answer.fields.get("nextBeginOffset");
        let next = next.map_or(-1, |next| {
            std::str::from_utf8(next).unwrap().parse().unwrap()
        });
        (answer.code, bodies, next)
    }
}

#[tokio::test]
async fn a_subscription_to_tags_gets_those_and_passes_the_others_by() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let mut client = Client(Raw::connect(&clients.env, broker.address));
    // "Aa" and "BB" have one hash: the client tells them apart.
    let sent = [
        ("paid", "0"),
        ("late", "1"),
        ("", "2"),
        ("Aa", "3"),
        ("BB", "4"),
        ("late", "5"),
        ("paid", "6"),
        ("late", "7"),
        ("late", "8"),
    ];
    for (tag, body) in sent {
        client.send(tag, body).await;
    }
    let pull = |from, subscription: &str| Client::pull(from, 4, subscription, "TAG");
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|it| (*it).into()).collect() };
    for (from, subscription, expected) in [
        (0, "paid", (FOUND, words(&["0", "6"]), 7)),
        (1, "paid", (FOUND, words(&["6"]), 9)),
        (7, "paid", (NO_MATCH, vec![], 9)),
        (9, "paid", (NOT_FOUND, vec![], 9)),
        (0, "nobody", (NO_MATCH, vec![], 9)),
        (0, " BB || nobody ", (FOUND, words(&["3", "4"]), 5)),
        (0, "paid||late", (FOUND, words(&["0", "1"]), 2)),
        (2, "*", (FOUND, words(&["2", "3"]), 4)),
    ] {
        let pulled = client.pulled(pull(from, subscription)).await;
        assert_eq!(pulled, expected, "{subscription} from {from}");
    }
    let all = Client::pull(0, 0, "paid", "TAG");
    let everything = (FOUND, words(&["0", "1"]), 2);
    assert_eq!(client.pulled(all).await, everything, "not said to count");
    let refused = client.pulled(Client::pull(0, 4, "||", "TAG")).await;
    assert_eq!(refused.0, NO_SUBSCRIPTION);

    // A client that waits for a tag is told how far there is none, and waits on.
    let mut waiting = Client(Raw::connect(&clients.env, broker.address));
    waiting.0.write(Client::pull(9, 6, "paid", "TAG"));
    client.send("late", "9").await;
    assert_eq!(waiting.served().await, (NO_MATCH, vec![], 10));
    waiting.0.write(Client::pull(10, 6, "paid", "TAG"));
    client.send("paid", "10").await;
    assert_eq!(waiting.served().await, (FOUND, words(&["10"]), 11));
    broker.stop_cleanly().await;
}
