//! Numbers that files set and a swarm may draw: one row each.
//!
//! ```text
//!   [cluster]  name = 64           one value, or the row's default
//!   [swarm]    name = [1, 4_096]   each seed draws one
//! ```

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::read::{BYTES, Key, MS, NAME_BYTES_MAX, US};
use super::{Between, Failing, Membership, Scenario, Tags, Workload};
use crate::broker::{BrokerConfig, RaftConfig, Replication};

/// A row.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: Key,
    pub(super) bounds: Range<u64>,
    pub(super) of: Of,
}

/// The thing that a row sets.
#[derive(Debug)]
pub(super) enum Of {
    /// Every broker's configuration: `[cluster]` has the key, too.
    Broker {
        get: fn(&BrokerConfig) -> u64,
        set: fn(&mut BrokerConfig, u64),
    },
    /// Something that another table says under a name of its own.
    Scenario(fn(&mut Scenario, u64)),
    /// Each workload that has such a thing.
    Workload(fn(&mut Workload, u64)),
}

impl Setting {
    /// The lane of its draws: its own for ever, however many rows there are before it.
    pub(super) fn lane(&self) -> u32 {
        xxh3_64(self.key.name.as_bytes()) as u32
    }
}

/// The rows whose draws stand in a fixed order, as they did before each setting had a
/// lane of its own: the seeds that are kept would draw others.
pub(super) const DRAWN_IN_ORDER: &[&str] = &[
    "segment_bytes",
    "checkpoint_interval_ms",
    "open_files_max",
    "peer_message_bytes",
    "connections_max",
    "partial_bytes_max",
    "recent_bytes",
];

const COUNT: Range<u64> = 1..10_001;
const SOME_MS: Range<u64> = 1..MS.end;

/// The rows: `broker` and a field of its configuration, `scenario` or `workload` and a
/// function that sets it.
macro_rules! settings {
    ($($of:ident $name:literal, $bounds:expr, $set:tt: $meaning:literal;)*) => {
        &[$(Setting {
            key: Key { name: $name, meaning: $meaning },
            bounds: $bounds,
            of: settings!(@$of $set),
        },)*]
    };
    (@broker ($($field:ident).+)) => {
        Of::Broker {
            get: |config| config.$($field).+ as u64,
            set: |config, value| config.$($field).+ = value as _,
        }
    };
    (@scenario $set:tt) => { Of::Scenario($set) };
    (@workload $set:tt) => { Of::Workload($set) };
}

/// All rows; those of `[cluster]` in the order of its reference.
pub(super) const SETTINGS: &[Setting] = settings! {
    broker "segment_bytes", 8_192..BYTES.end, (segment_bytes): "Size of a file of the commit log (`mapedFileSizeCommitLog`).";
    broker "sync_flush_timeout_ms", SOME_MS, (sync_flush_timeout_ms): "A send that is not flushed within this is answered `FLUSH_DISK_TIMEOUT` (`syncFlushTimeout`).";
    broker "flush_interval_ms", SOME_MS, (flush_interval_ms): "Asynchronous flush: pause between flushes (`flushIntervalCommitLog`).";
    broker "checkpoint_interval_ms", SOME_MS, (checkpoint_interval_ms): "Pause between checkpoints of the derived state (`flushConsumerOffsetInterval`).";
    broker "idle_mark_ms", SOME_MS, (idle_mark_ms): "After this much idleness a durable mark is written behind the last record (D12).";
    broker "transaction_timeout_ms", SOME_MS, (transaction_timeout_ms): "A half message is not asked about before it is this old (`transactionTimeOut`).";
    broker "transaction_check_interval_ms", SOME_MS, (transaction_check_interval_ms): "Pause between two looks at the half messages (`transactionCheckInterval`).";
    broker "transaction_check_max", COUNT, (transaction_check_max): "After so many questions a half message is discarded (`transactionCheckMax`).";
    broker "half_age_max_ms", 1..72 * 3_600_000 + 1, (half_age_max_ms): "A half message that is pending for longer is discarded.";
    broker "client_expired_ms", SOME_MS, (client_expired_ms): "A client that sent no heartbeat for this long is not asked anything (`channelExpiredTimeout`).";
    broker "queue_lock_ms", SOME_MS, (queue_lock_ms): "A consumer that locked a queue holds it for so long, unless it asks again (`rebalanceLockMaxLiveTime`).";
    broker "max_message_bytes", BYTES, (max_message_bytes): "Longest message body that is accepted (`maxMessageSize`).";
    broker "pending_max", COUNT, (pending_max): "Requests that may wait for a flush before sends are refused (`sendThreadPoolQueueCapacity`).";
    broker "reserve_bytes", BYTES, (reserve_bytes): "Sends are refused once less than this is free (D31).";
    broker "open_files_max", COUNT, (open_files_max): "Descriptors that the store keeps of files that it may close and open again.";
    broker "recent_bytes", BYTES, (recent_bytes): "Frames that a replica keeps in memory for followers that keep up.";
    broker "slice_bytes", BYTES, (slice_bytes): "Long work is done in parts of so many bytes, and requests are served between two of them.";
    broker "connections_max", COUNT, (bounds.connections): "Streams that a broker bears.";
    broker "partial_bytes_max", BYTES, (bounds.partial_bytes): "Bytes of frames that have begun and not ended that a broker bears.";
    broker "idle_ms", SOME_MS, (bounds.idle_ms): "A stream that nobody uses for so long is closed.";
    broker "peer_message_bytes", BYTES, (bounds.peer_message_bytes): "Size of one message between brokers, at most.";
    broker "window_bytes", 512..BYTES.end, (sizes.log.window_bytes): "Bytes of a segment that a recovery, a repair and a look for rot read at a time.";
    broker "piece_bytes", BYTES, (sizes.log.piece_bytes): "Bytes on their way into a new segment that are written at a time, about.";
    broker "group_bytes", BYTES, (sizes.log.group_bytes): "Bytes between two entries in the map of a copied segment, about.";
    broker "queue_file_entries", COUNT.start..1_000_001, (sizes.queue_file_entries): "Entries of a consume queue's file (`mappedFileSizeConsumeQueue`).";
    broker "unwritten_entries_max", 1..1 << 30, (sizes.unwritten_entries_max): "Entries that queues keep in memory before a checkpoint is due ahead of its time.";
    broker "applied_per_step", COUNT, (sizes.applied_per_step): "Entries that are applied in one step, at most.";
    broker "delivered_per_step", COUNT, (sizes.delivered_per_step): "Messages that are delivered in one step when their time has come, at most.";
    broker "peer_events_per_step", COUNT, (sizes.peer_events_per_step): "Messages of peers that are handled in one step, at most.";
    broker "appends_at_once", COUNT, (sizes.appends_at_once): "Messages that one append to a follower is sent in, at most.";
    broker "staged_bytes_max", BYTES, (sizes.staged_bytes_max): "Bytes that are staged and not written before sends are refused.";
    broker "answer_bytes", BYTES, (sizes.answer_bytes): "Bytes of records in one answer to a pull (`maxTransferBytesOnMessageInMemory`), behind the first.";
    broker "looked_at_bytes", BYTES, (sizes.looked_at_bytes): "Bytes of records that one pull looks at where its subscription leaves some out.";
    broker "waiting_answer_bytes", BYTES, (sizes.waiting_answer_bytes): "Bytes of answers that wait for the end of a step before they are written.";
    scenario "heartbeat_ms", SOME_MS, heartbeat: "Pause between a leader's heartbeats; at most half an election timeout.";
    scenario "election_timeout_ms", SOME_MS, election_timeout: "The shortest election timeout of a broker; the longest is twice that.";
    scenario "own_sync_timeout_ms", SOME_MS, own_sync_timeout: "A leader whose own sync takes longer steps down.";
    scenario "scrub_interval_ms", SOME_MS, scrub_interval: "Pause between two looks at the log for rot.";
    scenario "send_timeout_ms", SOME_MS, (|scenario, ms| scenario.client.send_timeout_ms = ms): "The time of one attempt of a send.";
    scenario "send_retries", 0..101, (|scenario, retries| scenario.client.send_retries = retries as u32): "Further attempts after the first.";
    scenario "pull_suspend_ms", MS, (|scenario, ms| scenario.client.pull_suspend_ms = ms): "How long the broker may hold a pull that finds nothing.";
    scenario "client_heartbeat_ms", SOME_MS, (|scenario, ms| scenario.client.heartbeat_ms = ms): "Pause between heartbeats of order services and of members of a group.";
    scenario "retransmit_ms", SOME_MS, (|scenario, ms| scenario.network.retransmit_ms = ms): "The delay that a loss costs on a stream.";
    scenario "connect_ms", SOME_MS, (|scenario, ms| scenario.network.connect_ms = ms): "How long an operating system waits for the answer to a connect.";
    scenario "reorder_ms", SOME_MS, (|scenario, ms| scenario.network.reorder_ms = Some(ms)): "How long peer messages that others overtake are held back, at most.";
    scenario "sector_bytes", 512..4_097, sector: "Size of a sector of every disk: 4096 from 2048 on, else 512.";
    scenario "name_bytes", 0..1_001, names: "Names of topics, groups and clients are padded to so many bytes, as far as each may be; 0: as they are.";
    scenario "queues", COUNT, queues: "Queues of every topic.";
    scenario "tags", 0..1_024, tags: "Tags that messages carry; members want about half of them. 0: none.";
    workload "limit_one_in", 0..1 << 20, limits: "One message in so many is as long as a limit lets it, or a byte shorter or longer, for each workload that sends; 0: none.";
    workload "receipt_us", US, receipt: "The longest time from a settled payment to the end of its transaction, for each workload that pays.";
    workload "changes_mind_one_in", 1..1_000_001, changes_mind: "Of so many orders one is rolled back and committed after all, for each workload that pays.";
    workload "commit_interval_ms", SOME_MS, commit_interval: "Pause between commits of a group's offsets, for each workload that consumes.";
    workload "rebalance_interval_ms", SOME_MS, rebalance_interval: "Pause between looks at who is in the group, for each workload with members.";
    workload "in_hand_max", COUNT, in_hand: "Messages of one queue that a member has in hand, for each workload with members.";
    workload "retries_max", COUNT, retries: "Attempts at a message that fails, for each workload in which some do.";
    workload "retry_delay_level", 0..19, retry_level: "Delay level of every retry, for each workload in which some messages fail.";
};

/// The keys of the rows that `[cluster]` has.
pub(super) fn broker_keys() -> Vec<Key> {
    let of_brokers = SETTINGS
        .iter()
        .filter(|row| matches!(row.of, Of::Broker { .. }));
    of_brokers.map(|row| row.key).collect()
}

/// The settings of replicas, where there are some.
fn raft(scenario: &mut Scenario) -> Option<&mut RaftConfig> {
    match &mut scenario.cluster.broker.replication {
        Replication::Raft(raft) => Some(raft),
        Replication::None => None,
    }
}

fn heartbeat(scenario: &mut Scenario, ms: u64) {
    let most = (scenario.cluster.election_timeout_ms.low / 2).max(1);
    if let Some(raft) = raft(scenario) {
        raft.heartbeat_ms = ms.min(most);
    }
}

fn election_timeout(scenario: &mut Scenario, ms: u64) {
    let Some(raft) = raft(scenario) else {
        return;
    };
    raft.election_timeout_ms = ms;
    raft.heartbeat_ms = raft.heartbeat_ms.min((ms / 2).max(1));
    let high = ms.saturating_mul(2);
    scenario.cluster.election_timeout_ms = Between { low: ms, high };
}

fn own_sync_timeout(scenario: &mut Scenario, ms: u64) {
    if let Some(raft) = raft(scenario) {
        raft.own_sync_timeout_ms = ms;
    }
}

fn scrub_interval(scenario: &mut Scenario, ms: u64) {
    if let Some(raft) = raft(scenario) {
        raft.scrub_interval_ms = ms;
    }
}

fn sector(scenario: &mut Scenario, bytes: u64) {
    scenario.disk.sector_bytes = match bytes {
        2_048.. => 4_096,
        _ => 512,
    };
}

/// Longest topic, bytes. Said once more: names do not follow a limit that the product gets
/// wrong.
const TOPIC_BYTES_MAX: u64 = 127;

/// Longest group whose members send back, bytes: `%RETRY%` and its name are a topic.
const GROUP_BYTES_MAX: u64 = 120;

fn names(scenario: &mut Scenario, bytes: u64) {
    scenario.client.name_bytes = bytes.min(NAME_BYTES_MAX);
    let topic = |name: &mut String| *name = padded(name, bytes.min(TOPIC_BYTES_MAX));
    for workload in &mut scenario.workloads {
        match workload {
            Workload::Send(send) => topic(&mut send.topic),
            Workload::Pay(pay) => topic(&mut pay.topic),
            Workload::Consume(consume) | Workload::RedPacket(consume) => {
                topic(&mut consume.topic);
                consume.group = padded(&consume.group, bytes.min(GROUP_BYTES_MAX));
            }
        }
    }
}

/// A name with hyphens behind it, until it has so many bytes.
pub(crate) fn padded(name: &str, bytes: u64) -> String {
    let width = bytes as usize;
    format!("{name:-<width$}")
}

fn limits(workload: &mut Workload, one_in: u64) {
    if let Workload::Send(send) = workload {
        send.limit_one_in = one_in as u32;
    }
}

fn receipt(workload: &mut Workload, high: u64) {
    if let Workload::Pay(pay) = workload {
        pay.receipt_us = Between { low: 0, high };
    }
}

fn changes_mind(workload: &mut Workload, one_in: u64) {
    if let Workload::Pay(pay) = workload {
        pay.changes_mind_one_in = Some(one_in);
    }
}

fn queues(scenario: &mut Scenario, queues: u64) {
    for workload in &mut scenario.workloads {
        match workload {
            Workload::Send(send) => send.queues = queues as u32,
            Workload::Pay(pay) => pay.queues = queues as u32,
            Workload::Consume(_) | Workload::RedPacket(_) => {}
        }
    }
}

/// All members of one topic want the same, as a group has to.
fn tags(scenario: &mut Scenario, tags: u64) {
    let of = tags as u32;
    let wanted = Between {
        low: 0,
        high: tags / 2,
    };
    for workload in &mut scenario.workloads {
        match workload {
            Workload::Send(send) => send.tags = of,
            Workload::Consume(consume) => {
                if let Some(membership) = &mut consume.membership {
                    membership.tags = (of > 1).then_some(Tags { wanted, of });
                }
            }
            Workload::Pay(_) | Workload::RedPacket(_) => {}
        }
    }
}

fn commit_interval(workload: &mut Workload, ms: u64) {
    if let Workload::Consume(consume) | Workload::RedPacket(consume) = workload {
        consume.commit_interval_ms = ms;
    }
}

/// How a workload's members agree, where it has some.
fn membership(workload: &mut Workload) -> Option<&mut Membership> {
    match workload {
        Workload::Consume(consume) => consume.membership.as_mut(),
        Workload::Send(_) | Workload::Pay(_) | Workload::RedPacket(_) => None,
    }
}

/// The messages that fail, where some do.
fn failing(workload: &mut Workload) -> Option<&mut Failing> {
    membership(workload)?.failing.as_mut()
}

fn rebalance_interval(workload: &mut Workload, ms: u64) {
    if let Some(membership) = membership(workload) {
        membership.rebalance_interval_ms = ms;
    }
}

fn in_hand(workload: &mut Workload, most: u64) {
    if let Some(membership) = membership(workload) {
        membership.in_hand_max = most as u32;
    }
}

fn retries(workload: &mut Workload, most: u64) {
    if let Some(failing) = failing(workload) {
        failing.retries_max = most as u32;
    }
}

fn retry_level(workload: &mut Workload, level: u64) {
    if let Some(failing) = failing(workload) {
        failing.delay_level = level as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{DRAWN_IN_ORDER, SETTINGS};

    #[test]
    fn every_row_has_a_name_and_a_lane_of_its_own() {
        let names: BTreeSet<_> = SETTINGS.iter().map(|row| row.key.name).collect();
        let lanes: BTreeSet<_> = SETTINGS.iter().map(super::Setting::lane).collect();
        assert_eq!((names.len(), lanes.len()), (SETTINGS.len(), SETTINGS.len()));
    }
    /// A name that no row has would be drawn by nobody, and nobody would see it.
    #[test]
    fn names_that_are_drawn_in_order_have_rows() {
        let is_row = |name: &&&str| SETTINGS.iter().any(|row| row.key.name == **name);
        assert_eq!(DRAWN_IN_ORDER.iter().find(|name| !is_row(name)), None);
    }
}
