//! Clients that are not ours: each of their requests is served or visibly
//! refused, and what they do not say costs nobody a message.

use serde_json::Value;
use zeroloss::broker::BrokerConfig;
use zeroloss::env::Env;
use zeroloss::remoting::Command;

use crate::raw::{Raw, framed, json};
use crate::support::{Clients, Server, TOPIC, config, formatted};

/// One request of each kind as each client sent it; keys and signatures are
/// replaced, and of long bodies the beginning was kept (`body_cut`).
const REQUESTS: &str = include_str!("requests.jsonl");

const SEND: i32 = 310;
const PULL: i32 = 11;
const END: i32 = 37;
const CHECK_CLIENT: i32 = 46;
const HEARTBEAT: i32 = 34;
const MEMBERS: i32 = 38;
const ROUTE: i32 = 105;

const SUCCESS: i32 = 0;
const SYSTEM_ERROR: i32 = 1;
const NOT_SUPPORTED: i32 = 3;
const ILLEGAL: i32 = 13;
const NO_HALF: i32 = 202;

/// Requests that are served, or refused for what they say.
const SERVED: [i32; 17] = [
    10, 11, 14, 15, 29, 30, 31, 32, 34, 35, 36, 37, 38, 41, 42, 46, 105,
];

/// A body in the file: a character for each byte.
fn bytes_of(text: &str) -> Vec<u8> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(|it| u8::try_from(u32::from(it))).collect();
    bytes.unwrap_or_else(|_| text.as_bytes().to_vec())
}

fn frame_of(request: &Value) -> Vec<u8> {
    let mut fields = request["extFields"].clone();
    for wait in ["suspendTimeoutMillis", "pollTime"] {
        if let Some(value) = fields.get_mut(wait) {
            *value = "1".into();
        }
    }
    let is_oneway = request["oneway"] == true;
    let header = serde_json::json!({
        "code": request["code"], "language": request["language"],
        "version": request["version"], "opaque": 77, "flag": if is_oneway { 2 } else { 0 },
        "extFields": fields, "serializeTypeCurrentRPC": "JSON",
    });
    let body = bytes_of(request["body"].as_str().unwrap());
    framed(0, header.to_string().as_bytes(), &body)
}

#[tokio::test]
async fn every_clients_requests_are_served_or_visibly_refused() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let mut raw = Raw::connect(&clients.env, broker.address);
    let mut asked = 0;
    for line in REQUESTS.lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        let code = request["code"].as_i64().unwrap() as i32;
        let who = format!("{} of {}", code, request["client"]);
        raw.write(frame_of(&request));
        if request["oneway"] == true {
            continue;
        }
        let answer = raw.reaction().await.answer();
        assert_eq!(answer.opaque, 77, "{who}");
        asked += 1;
        let is_known = SERVED.contains(&code) || matches!(code, 310 | 361);
        let words = answer.remark();
        assert_eq!(answer.code != NOT_SUPPORTED, is_known, "{who}: {words}");
        if is_known && request["body_cut"] != true {
            for part in ["extFields", "body:", "cannot be"] {
                assert!(!words.contains(part), "{who}: {words}");
            }
        }
    }
    assert!(asked > 100, "{asked}");
    // The operator is told of each kind, once.
    let told = broker.told.lock().unwrap().clone();
    let missing = |code: &str| told.iter().filter(|line| line.contains(code)).count();
    assert_eq!(missing("request code 320"), 1, "{told:?}");
    assert_eq!(missing("by anything but TAG"), 1, "{told:?}");
    broker.stop_cleanly().await;
}

fn send(sys_flag: i32, properties: &str) -> Vec<u8> {
    let sys_flag = sys_flag.to_string();
    let fields = [
        ("a", "pg"),
        ("b", TOPIC),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", "0"),
        ("f", &*sys_flag),
        ("g", "0"),
        ("h", "0"),
        ("i", properties),
    ];
    json(SEND, 0, &fields, b"x")
}

fn text<'a>(answer: &'a Command, field: &str) -> &'a str {
    let bytes = answer.fields.get(field);
    std::str::from_utf8(bytes.unwrap_or_else(|| panic!("no {field}"))).unwrap()
}

/// The end of a half message, as clients name it: the place in the answer to its
/// send, and these ids.
fn end(sent: &Command, decision: &str, transaction_id: Option<&str>, msg_id: &str) -> Vec<u8> {
    let address = u64::from_str_radix(&text(sent, "msgId")[16..], 16).unwrap();
    let address = address.to_string();
    let mut fields = vec![
        ("producerGroup", "pg"),
        ("tranStateTableOffset", text(sent, "queueOffset")),
        ("commitLogOffset", &*address),
        ("commitOrRollback", decision),
        ("fromTransactionCheck", "false"),
        ("msgId", msg_id),
    ];
    fields.extend(transaction_id.map(|id| ("transactionId", id)));
    json(END, 0, &fields, b"")
}

#[tokio::test]
async fn a_transaction_ends_as_java_go_and_cpp_end_it() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let mut raw = Raw::connect(&clients.env, broker.address);
    let half = |id: &str| format!("TRAN_MSG\u{1}true\u{2}PGROUP\u{1}pg\u{2}UNIQ_KEY\u{1}{id}\u{2}");

    let sent = raw.ask(send(4, &half("FD01"))).await.answer();
    assert_eq!(text(&sent, "transactionId"), "FD01");
    for (field, value) in [("MSG_REGION", "DefaultRegion"), ("TRACE_ON", "true")] {
        assert_eq!(text(&sent, field), value);
    }
    // Somebody else's: told apart by any id that is given.
    for (transaction_id, msg_id) in [(Some("FD02"), ""), (Some(""), "FD02"), (None, "FD02")] {
        let refused = raw.ask(end(&sent, "8", transaction_id, msg_id)).await;
        assert_eq!(refused.code(), Some(NO_HALF), "{transaction_id:?} {msg_id}");
    }
    let java = raw.ask(end(&sent, "8", Some("FD01"), "FD01")).await;
    assert_eq!(java.code(), Some(SUCCESS));

    let place_only = text(&sent, "msgId").to_owned();
    for (number, transaction_id, by_place) in [
        (3, Some(""), false),
        (4, None, false),
        (5, None, true),
        (6, Some(""), true),
    ] {
        let id = format!("FD0{number}");
        let sent = raw.ask(send(4, &half(&id))).await.answer();
        assert_ne!(text(&sent, "msgId"), place_only);
        let msg_id = match by_place {
            true => text(&sent, "msgId").to_owned(),
            false => id,
        };
        let ended = raw.ask(end(&sent, "12", transaction_id, &msg_id)).await;
        assert_eq!(ended.code(), Some(SUCCESS), "{number}");
    }

    // A half message without an id of its own is given one.
    let sent = raw.ask(send(4, "")).await.answer();
    let made = text(&sent, "transactionId").to_owned();
    assert_eq!(made.len(), 32);
    let ended = raw.ask(end(&sent, "8", Some(&made), "")).await;
    assert_eq!(ended.code(), Some(SUCCESS));
    // And any other message is called by its place.
    let sent = raw.ask(send(0, "")).await.answer();
    assert_eq!(text(&sent, "transactionId"), text(&sent, "msgId"));
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn a_half_message_that_is_not_committed_yet_has_no_place() {
    let root = formatted().await;
    let clients = Clients::new();
    // A sync takes longer than the broker waits for it.
    let hasty = BrokerConfig {
        sync_flush_timeout_ms: 0,
        ..config()
    };
    let broker = Server::with(root.path(), hasty).await;
    let mut raw = Raw::connect(&clients.env, broker.address);
    let mut unsynced = 0;
    for number in 0..200 {
        let properties = format!("UNIQ_KEY\u{1}FD{number}\u{2}");
        let sent = raw.ask(send(4, &properties)).await.answer();
        if sent.code != SUCCESS {
            assert_eq!(sent.code, 10, "{}", sent.remark());
            assert_eq!(text(&sent, "queueOffset"), "-1");
            let refused = raw.ask(end(&sent, "12", None, "")).await;
            assert_eq!(refused.code(), Some(NO_HALF));
            unsynced += 1;
        }
    }
    assert!(unsynced > 0, "no sync took any time");
    broker.stop_cleanly().await;
}

fn heartbeat(consumer: &str) -> Vec<u8> {
    let body = format!(r#"{{"clientID":"c","consumerDataSet":[{consumer}]}}"#);
    json(HEARTBEAT, 0, &[], body.as_bytes())
}

#[tokio::test]
async fn heartbeats_are_read_as_each_client_spells_them() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let mut raw = Raw::connect(&clients.env, broker.address);
    for (group, consumer) in [
        (
            "cpp",
            r#"{"consumeFromWhere":0,"consumeType":1,"groupName":"cpp","messageModel":1,
              "subscriptionDataSet":[{"codeSet":[],"subString":"*","subVersion":"1795917180518",
              "tagsSet":[],"topic":"CppTopic"}],"unitMode":"0"}"#,
        ),
        (
            "go",
            r#"{"groupName":"go","consumeType":"CONSUME_PASSIVELY","messageModel":"Clustering",
              "consumeFromWhere":"ConsumeFromLastOffset","unitMode":false,
              "subscriptionDataSet":[{"classFilterMode":false,"topic":"GoTopic","subString":"TagA",
              "tagsSet":["TagA"],"codeSet":["2598919"],"subVersion":1795918740149,
              "expressionType":"TAG"}]}"#,
        ),
        (
            "rust",
            r#"{"groupName":"rust","consumeType":null,"subscriptionDataSet":null}"#,
        ),
    ] {
        let answer = raw.ask(heartbeat(consumer)).await.answer();
        // The first answer may be the broker's word that the group has changed.
        let answer = match answer.is_response() {
            true => answer,
            false => raw.reaction().await.answer(),
        };
        assert_eq!(answer.code, SUCCESS, "{group}: {}", answer.remark());
        raw = Raw::connect(&clients.env, broker.address);
        raw.ask(heartbeat(consumer)).await;
        let mut lists = Raw::connect(&clients.env, broker.address);
        let list = lists
            .ask(json(MEMBERS, 0, &[("consumerGroup", group)], b""))
            .await;
        assert_eq!(&list.answer().body[..], br#"{"consumerIdList":["c"]}"#);
    }
    broker.stop_cleanly().await;
}

fn pull(flags: &str, expression: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = vec![
        ("consumerGroup", "sql"),
        ("topic", TOPIC),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("maxMsgNums", "32"),
        ("sysFlag", flags),
        ("commitOffset", "0"),
        ("suspendTimeoutMillis", "15000"),
        ("subVersion", "0"),
    ];
    fields.extend(expression);
    json(PULL, 0, &fields, b"")
}

#[tokio::test]
async fn a_filter_that_is_more_than_tags_is_refused_and_not_at_once() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let mut raw = Raw::connect(&clients.env, broker.address);
    assert_eq!(raw.ask(send(0, "")).await.code(), Some(SUCCESS));
    let check = |kind: &str| {
        let body = format!(
            r#"{{"clientId":"c","group":"g","subscriptionData":{{"topic":"t","subString":"a > 5",
            "expressionType":"{kind}"}}}}"#
        );
        json(CHECK_CLIENT, 0, &[], body.as_bytes())
    };
    assert_eq!(raw.ask(check("TAG")).await.code(), Some(SUCCESS));
    assert_eq!(raw.ask(check("SQL92")).await.code(), Some(SYSTEM_ERROR));

    // The bit that says that the subscription counts is set by some clients only.
    let sql = [("subscription", "a > 5"), ("expressionType", "SQL92")];
    for flags in ["2", "6", "0", "8"] {
        let asked_ns = clients.env.now_ns();
        let refused = raw.ask(pull(flags, &sql)).await.answer();
        assert_eq!(refused.code, SYSTEM_ERROR, "{}", refused.remark());
        let waited_ns = clients.env.now_ns() - asked_ns;
        assert!(waited_ns >= 900_000_000, "asked again at once, it spins");
    }
    // Only the heartbeat says so.
    raw.ask(heartbeat(
        r#"{"groupName":"sql","subscriptionDataSet":[{"topic":"OrderPaySuccessTopic",
        "subString":"a > 5","expressionType":"SQL92"}]}"#,
    ))
    .await;
    let answers = [
        raw.ask(pull("2", &[])).await.answer().code,
        raw.reaction().await.answer().code,
    ];
    assert!(answers.contains(&SYSTEM_ERROR), "{answers:?}");
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn a_message_that_would_be_delivered_as_another_is_refused_at_the_send() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let mut raw = Raw::connect(&clients.env, broker.address);
    for name in ["TIMER_DELIVER_MS", "TIMER_DELAY_MS", "TIMER_DELAY_SEC"] {
        let timed = send(0, &format!("{name}\u{1}5\u{2}"));
        assert_eq!(raw.ask(timed).await.code(), Some(ILLEGAL), "{name}");
    }
    for (sys_flag, code) in [
        (0x1, SUCCESS),
        (0x2, SUCCESS),
        (0x301, SUCCESS),
        (0x30, SUCCESS),
        (0x40, ILLEGAL),
        (0x80, ILLEGAL),
        (0x8, ILLEGAL),
        (0xc, ILLEGAL),
    ] {
        let answer = raw.ask(send(sys_flag, "WAIT\u{1}false\u{2}")).await;
        assert_eq!(answer.code(), Some(code), "{sys_flag:#x}");
    }
    broker.stop_cleanly().await;
}

#[tokio::test]
async fn answers_say_what_clients_insist_on() {
    let root = formatted().await;
    let clients = Clients::new();
    let broker = Server::start(root.path()).await;
    let mut raw = Raw::connect(&clients.env, broker.address);
    let route = raw.ask(json(ROUTE, 0, &[("topic", TOPIC)], b"")).await;
    let route: Value = serde_json::from_slice(&route.answer().body).unwrap();
    assert_eq!(route["brokerDatas"][0]["enableActingMaster"], false);
    broker.stop_cleanly().await;
}
