//! `[[workload]]`.

use std::ops::Range;

use toml::de::DeTable;

use super::members::membership;
use super::problem::Problem;
use super::sections::{MS, US};
use super::table::{Table, union};
use crate::scenario::{
    Begin, Between, Cluster, Consumers, EndsBy, LongBodies, OrderServices, Producers, Spelling,
    Workload,
};

const SEND: &[&str] = &[
    "kind",
    "topic",
    "queues",
    "producers",
    "in_flight",
    "messages",
    "rate_per_s",
    "body_bytes",
    "long_body_one_in",
    "long_body_bytes",
    "tags",
    "delay_level",
    "oneway_one_in",
];
const PAY: &[&str] = &[
    "kind",
    "topic",
    "queues",
    "services",
    "instances",
    "in_flight",
    "rate_per_s",
    "payment_us",
    "receipt_us",
    "changes_mind_one_in",
    "ends_by",
    "ends_oneway",
];
const CONSUME: &[&str] = &[
    "kind",
    "topic",
    "group",
    "consumers",
    "batch_max",
    "processing_us",
    "commit_interval_ms",
    "members",
    "begins_ms",
    "commits_late",
    "from",
    "spelling",
    "rebalance_interval_ms",
    "in_hand_max",
    "ordered",
    "equal_ids",
    "tags",
    "fail_one_in",
    "fail_times",
    "retries_max",
    "retry_delay_level",
    "stay_ms",
    "away_ms",
];
const RED_PACKET: &[&str] = &[
    "kind",
    "topic",
    "group",
    "batch_max",
    "processing_us",
    "commit_interval_ms",
];

#[derive(Clone, Copy)]
enum Kind {
    Send,
    Pay,
    Consume,
    RedPacket,
}

/// Reads one workload; `before` are those above it in the file.
pub(super) fn read(
    span: Range<usize>,
    entries: &DeTable<'_>,
    cluster: &Cluster,
    before: &[Workload],
) -> Result<Workload, Problem> {
    let any = union([SEND, PAY, CONSUME, RED_PACKET]);
    let table = Table::new("[[workload]]", span.clone(), entries, &any)?;
    let kind = table.require("kind")?.word(&[
        ("send", Kind::Send),
        ("pay", Kind::Pay),
        ("consume", Kind::Consume),
        ("red-packet", Kind::RedPacket),
    ])?;
    match kind {
        Kind::Send => {
            let table = Table::new("a workload of kind \"send\"", span, entries, SEND)?;
            Ok(Workload::Send(send(&table, cluster, before)?))
        }
        Kind::Pay => {
            let table = Table::new("a workload of kind \"pay\"", span, entries, PAY)?;
            Ok(Workload::Pay(pay(&table, before)?))
        }
        Kind::Consume => {
            let table = Table::new("a workload of kind \"consume\"", span, entries, CONSUME)?;
            Ok(Workload::Consume(consume(&table, before)?))
        }
        Kind::RedPacket => {
            let name = "a workload of kind \"red-packet\"";
            let table = Table::new(name, span, entries, RED_PACKET)?;
            Ok(Workload::RedPacket(consume(&table, before)?))
        }
    }
}

fn send(table: &Table<'_>, cluster: &Cluster, before: &[Workload]) -> Result<Producers, Problem> {
    let bound = |key| {
        let field = table.get(key);
        field.map(|field| field.integer(1..1 << 40)).transpose()
    };
    let send = Producers {
        topic: table.string("topic", "orders")?,
        queues: table.count("queues", 4)?,
        producers: table.count("producers", 1)?,
        in_flight: table.count("in_flight", 1)?,
        messages: bound("messages")?,
        rate_per_s: bound("rate_per_s")?,
        body_bytes: table.between("body_bytes", 32..1 << 30, (64, 512))?,
        long: long_bodies(table)?,
        tags: table.integer("tags", 0..1 << 10, 0)? as u32,
        delay_level: delay_level(table, cluster)?,
        oneway_one_in: table.integer("oneway_one_in", 0..1 << 20, 0)? as u32,
    };
    if send.messages.is_none() && send.rate_per_s.is_none() {
        let message = "nothing bounds these sends";
        return Err(Problem::new(table.span.clone(), message, "this workload")
            .help("give `messages`, or `rate_per_s`, or both"));
    }
    let fits = cluster.broker.max_message_bytes as u64;
    let long = send.long.map_or(0, |long| long.bytes.high);
    if send.body_bytes.high.max(long) > fits {
        let span = table
            .get("body_bytes")
            .map_or(table.span.clone(), |field| field.span);
        let message = "the longest body does not fit the broker";
        let label = format!("max_message_bytes is {fits}");
        return Err(Problem::new(span, message, label));
    }
    same_queues(table, &send.topic, send.queues, before)?;
    Ok(send)
}

fn long_bodies(table: &Table<'_>) -> Result<Option<LongBodies>, Problem> {
    let Some(field) = table.get("long_body_one_in") else {
        return Ok(None);
    };
    Ok(Some(LongBodies {
        one_in: field.integer(1..1 << 20)?,
        bytes: table.between("long_body_bytes", 32..1 << 30, (4_096, 1_400_000))?,
    }))
}

fn delay_level(table: &Table<'_>, cluster: &Cluster) -> Result<Option<Between>, Problem> {
    let levels = cluster.broker.delay_levels_ms.len() as u64;
    let field = table.get("delay_level");
    let level = field.map(|field| field.between(1..levels + 1));
    level.transpose()
}

fn pay(table: &Table<'_>, before: &[Workload]) -> Result<OrderServices, Problem> {
    let pay = OrderServices {
        topic: table.string("topic", "orders")?,
        queues: table.count("queues", 4)?,
        services: table.count("services", 1)?,
        instances: table.count("instances", 1)?,
        in_flight: table.count("in_flight", 4)?,
        rate_per_s: table.integer("rate_per_s", 1..1 << 40, 100)?,
        payment_us: table.between("payment_us", US, (100, 5_000))?,
        receipt_us: table.between("receipt_us", US, (0, 0))?,
        changes_mind_one_in: match table.get("changes_mind_one_in") {
            Some(field) => Some(field.integer(1..1_000_001)?),
            None => None,
        },
        ends_by: match table.get("ends_by") {
            Some(field) => field.word(&[
                ("transaction", EndsBy::Transaction),
                ("message", EndsBy::Message),
                ("place", EndsBy::Place),
            ])?,
            None => EndsBy::default(),
        },
        ends_oneway: is_set(table, "ends_oneway")?,
    };
    same_queues(table, &pay.topic, pay.queues, before)?;
    Ok(pay)
}

fn is_set(table: &Table<'_>, key: &str) -> Result<bool, Problem> {
    table.get(key).map_or(Ok(false), |field| field.boolean())
}

fn same_queues(
    table: &Table<'_>,
    topic: &str,
    queues_here: u32,
    before: &[Workload],
) -> Result<(), Problem> {
    let other = before.iter().find_map(|workload| match workload {
        Workload::Send(other) if other.topic == topic => Some(other.queues),
        Workload::Pay(other) if other.topic == topic => Some(other.queues),
        _ => None,
    });
    match other {
        Some(queues) if queues != queues_here => {
            let span = table
                .get("queues")
                .map_or(table.span.clone(), |field| field.span);
            let message = format!("topic \"{topic}\" has two numbers of queues");
            Err(Problem::new(
                span,
                message,
                format!("{queues} above, {queues_here} here"),
            ))
        }
        _ => Ok(()),
    }
}

fn consume(table: &Table<'_>, before: &[Workload]) -> Result<Consumers, Problem> {
    let topic = table.string("topic", "orders")?;
    let sender = before
        .iter()
        .find(|workload| workload.consumers().is_none() && workload.topic() == topic);
    let Some(sender) = sender else {
        let span = table
            .get("topic")
            .map_or(table.span.clone(), |field| field.span);
        let message = format!("nobody sends to topic \"{topic}\"");
        return Err(Problem::new(span, message, "nothing to consume")
            .help("put the workload that sends to it above this one"));
    };
    let tags = match sender {
        Workload::Send(send) => send.tags,
        Workload::Pay(_) | Workload::Consume(_) | Workload::RedPacket(_) => 0,
    };
    let membership = membership(table, tags)?;
    Ok(Consumers {
        topic,
        group: table.string("group", "red-packet")?,
        consumers: match membership {
            Some(_) => table.count("members", 1)?,
            None => table.count("consumers", 1)?,
        },
        membership,
        batch_max: table.count("batch_max", 32)?,
        processing_us: table.between("processing_us", US, (0, 100))?,
        commit_interval_ms: table.integer("commit_interval_ms", 1..MS.end, 500)?,
        begins_ms: table.between("begins_ms", 0..MS.end, (0, 0))?,
        commits_late: is_set(table, "commits_late")?,
        from: match table.get("from") {
            Some(field) => field.word(&[
                ("first", Begin::First),
                ("last", Begin::Last),
                ("timestamp", Begin::Timestamp),
            ])?,
            None => Begin::default(),
        },
        spelling: match table.get("spelling") {
            Some(field) => field.word(&[
                ("java", Spelling::Java),
                ("cpp", Spelling::Cpp),
                ("go", Spelling::Go),
            ])?,
            None => Spelling::default(),
        },
    })
}
