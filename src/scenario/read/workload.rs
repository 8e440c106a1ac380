//! `[[workload]]`.

use super::key::{Key, keys, union};
use super::members::membership;
use super::problem::Problem;
use super::sections::{MS, US};
use super::table::{Entries, Table};
use crate::scenario::{
    Begin, Between, Cluster, Consumers, EndsBy, LongBodies, OrderServices, Producers, Spelling,
    Workload,
};

const KIND: &[Key] = keys! {
    "kind": "The work of its clients: the keys of each kind are listed apart.";
};
const SEND: &[Key] = keys! {
    "kind": "`\"send\"`: producers that send until the faults end, or `messages` are sent.";
    "topic": "The topic.";
    "queues": "The topic's queues, used in turn.";
    "producers": "How many producers.";
    "in_flight": "Sends that one producer has begun and not ended, at most.";
    "messages": "All producers together send so many; this or `rate_per_s` must be there.";
    "rate_per_s": "All producers together begin so many sends a second; left out, as fast as `in_flight` lets them.";
    "body_bytes": "Length of a body, drawn for each.";
    "long_body_one_in": "One body in so many is longer; left out, none.";
    "long_body_bytes": "Length of a longer one; each power of two about as likely as the next.";
    "tags": "Messages carry so many tags, in turn; 0: none.";
    "delay_level": "Each message waits at one of these delay levels; left out, none waits.";
    "oneway_one_in": "One message in so many is sent one-way; 0: none.";
    "limit_one_in": "One message in so many is as long as a limit lets it, or a byte shorter or longer; 0: none.";
};
const PAY: &[Key] = keys! {
    "kind": "`\"pay\"`: order services with a database each: half message, payment, receipt, end.";
    "topic": "The topic.";
    "queues": "The topic's queues, used in turn.";
    "services": "How many services, each a producer group.";
    "instances": "Processes of each service, on one database.";
    "in_flight": "Orders that one process has begun and not ended, at most.";
    "rate_per_s": "All of them together begin so many orders a second.";
    "payment_us": "The time from the half message to the settled payment, drawn for each.";
    "receipt_us": "The time from there to the end of the transaction.";
    "changes_mind_one_in": "Of so many orders one is rolled back and committed after all; left out, none.";
    "ends_by": "How an end names its half message: by the transaction's id, the message's id, or the place alone.";
    "ends_oneway": "Ends are sent one-way.";
};
const CONSUME: &[Key] = keys! {
    "kind": "`\"consume\"`: consumers of one group, which share the topic's queues.";
    "topic": "The topic; a workload above must send to it.";
    "group": "The consumer group.";
    "consumers": "How many, each with a fixed share of the queues.";
    "batch_max": "Messages that one pull asks for, at most (`pullBatchSize`).";
    "processing_us": "The time that processing one message takes.";
    "commit_interval_ms": "Pause between commits of the group's offsets (`persistConsumerOffsetInterval`).";
    "members": "In place of `consumers`: how many, which agree on their queues as RocketMQ's do.";
    "begins_ms": "When each of them begins, from the start of the run.";
    "commits_late": "No offset is committed before the faults are over.";
    "from": "Where a group without an offset begins (`ConsumeFromWhere`).";
    "spelling": "The client library whose heartbeats theirs look like.";
    "rebalance_interval_ms": "Of members: pause between looks at who is in the group (`rebalanceInterval`).";
    "in_hand_max": "Of members: messages of one queue in hand, at most (`pullThresholdForQueue`).";
    "ordered": "Of members: queues are locked, and each is consumed in its order.";
    "equal_ids": "Of members: all have one client id.";
    "tags": "Of members: the tags that are wanted, by number; left out, all.";
    "fail_one_in": "Of members: one message in so many fails at first; left out, none.";
    "fail_times": "So many attempts at it fail.";
    "retries_max": "After so many further attempts it is given up (`maxReconsumeTimes`).";
    "retry_delay_level": "The delay level of every retry; 0: the broker's choice.";
    "stay_ms": "Of members: each leaves after so long and comes back; left out, they stay.";
    "away_ms": "How long it is away.";
};
const RED_PACKET: &[Key] = keys! {
    "kind": "`\"red-packet\"`: one consumer of paid orders, alone in its group: a packet for each.";
    "topic": "The topic; a workload above must send to it.";
    "group": "The consumer group.";
    "batch_max": "Messages that one pull asks for, at most.";
    "processing_us": "The time that issuing one packet takes.";
    "commit_interval_ms": "Pause between commits of the group's offsets.";
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Send,
    Pay,
    Consume,
    RedPacket,
}

/// Reads one workload; `before` are those above it in the file.
pub(super) fn read(
    entries: Entries<'_>,
    cluster: &Cluster,
    before: &[Workload],
) -> Result<Workload, Problem> {
    let any = union([KIND, SEND, PAY, CONSUME, RED_PACKET]);
    let words = [
        ("send", Kind::Send),
        ("pay", Kind::Pay),
        ("consume", Kind::Consume),
        ("red-packet", Kind::RedPacket),
    ];
    let kind = entries.clone().table("[[workload]]", &any)?;
    let kind = kind.required_word("kind", &words)?;
    let keys = match kind {
        Kind::Send => SEND,
        Kind::Pay => PAY,
        Kind::Consume => CONSUME,
        Kind::RedPacket => RED_PACKET,
    };
    let word = words.iter().find(|(_, it)| *it == kind);
    let (word, _) = word.expect("it was read by its word");
    let table = entries.table(format!("a workload of kind \"{word}\""), keys)?;
    table.note_required("kind", format!("\"{word}\""));
    match kind {
        Kind::Send => Ok(Workload::Send(send(&table, cluster, before)?)),
        Kind::Pay => Ok(Workload::Pay(pay(&table, before)?)),
        Kind::Consume => Ok(Workload::Consume(consume(&table, kind, before)?)),
        Kind::RedPacket => Ok(Workload::RedPacket(consume(&table, kind, before)?)),
    }
}

fn send(table: &Table<'_>, cluster: &Cluster, before: &[Workload]) -> Result<Producers, Problem> {
    let bound = |key| table.maybe_integer(key, 1..1 << 40);
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
        limit_one_in: table.integer("limit_one_in", 0..1 << 20, 0)? as u32,
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
    let bytes = table.between("long_body_bytes", 32..1 << 30, (4_096, 1_400_000))?;
    let one_in = table.maybe_integer("long_body_one_in", 1..1 << 20)?;
    Ok(one_in.map(|one_in| LongBodies { one_in, bytes }))
}

fn delay_level(table: &Table<'_>, cluster: &Cluster) -> Result<Option<Between>, Problem> {
    let levels = cluster.broker.delay_levels_ms.len() as u64;
    table.maybe_between("delay_level", 1..levels + 1)
}

fn pay(table: &Table<'_>, before: &[Workload]) -> Result<OrderServices, Problem> {
    let ends_by = [
        ("transaction", EndsBy::Transaction),
        ("message", EndsBy::Message),
        ("place", EndsBy::Place),
    ];
    let pay = OrderServices {
        topic: table.string("topic", "orders")?,
        queues: table.count("queues", 4)?,
        services: table.count("services", 1)?,
        instances: table.count("instances", 1)?,
        in_flight: table.count("in_flight", 4)?,
        rate_per_s: table.integer("rate_per_s", 1..1 << 40, 100)?,
        payment_us: table.between("payment_us", US, (100, 5_000))?,
        receipt_us: table.between("receipt_us", US, (0, 0))?,
        changes_mind_one_in: table.maybe_integer("changes_mind_one_in", 1..1_000_001)?,
        ends_by: table.word("ends_by", &ends_by, EndsBy::default())?,
        ends_oneway: table.boolean("ends_oneway", false)?,
    };
    same_queues(table, &pay.topic, pay.queues, before)?;
    Ok(pay)
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

fn consume(table: &Table<'_>, kind: Kind, before: &[Workload]) -> Result<Consumers, Problem> {
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
    let from = [
        ("first", Begin::First),
        ("last", Begin::Last),
        ("timestamp", Begin::Timestamp),
    ];
    let spelling = [
        ("java", Spelling::Java),
        ("cpp", Spelling::Cpp),
        ("go", Spelling::Go),
    ];
    let mut consumers = Consumers {
        topic,
        group: table.string("group", "red-packet")?,
        consumers: 1,
        membership: None,
        batch_max: table.count("batch_max", 32)?,
        processing_us: table.between("processing_us", US, (0, 100))?,
        commit_interval_ms: table.integer("commit_interval_ms", 1..MS.end, 500)?,
        begins_ms: Between { low: 0, high: 0 },
        commits_late: false,
        from: Begin::default(),
        spelling: Spelling::default(),
    };
    if kind == Kind::RedPacket {
        return Ok(consumers);
    }
    // Without it there are no members, so it has no default.
    table.note("members", "1 to 10000", None);
    consumers.membership = membership(table, tags)?;
    consumers.consumers = match consumers.membership {
        Some(_) => table.count("members", 1)?,
        None => table.count("consumers", 1)?,
    };
    consumers.begins_ms = table.between("begins_ms", 0..MS.end, (0, 0))?;
    consumers.commits_late = table.boolean("commits_late", false)?;
    consumers.from = table.word("from", &from, Begin::default())?;
    consumers.spelling = table.word("spelling", &spelling, Spelling::default())?;
    Ok(consumers)
}
