//! A broker's configuration, with RocketMQ's names where it has one.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::delays::DEFAULT_LEVELS_MS;
use super::sizes::Sizes;
use serde::{Deserialize, Serialize};

/// RocketMQ's `flushDiskType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlushDiskType {
    /// Acknowledge once synced (`SYNC_FLUSH`).
    Sync,
    /// Acknowledge once cached, sync in the background (`ASYNC_FLUSH`).
    Async,
}

/// How brokers replicate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Replication {
    /// A single broker.
    #[default]
    None,
    /// Raft: the commit log is the Raft log (RocketMQ's DLedger).
    Raft(RaftConfig),
}

/// Where a node is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// By its peers.
    pub peer: SocketAddr,
    /// By clients.
    pub client: SocketAddr,
}

/// Settings of a replica. `Default` is for a local network. With
/// [`FlushDiskType::Async`] acknowledgements rest on page caches: RocketMQ's DLedger,
/// whatever its `flushDiskType` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftConfig {
    /// This node; its disk must say the same.
    pub node_id: u64,
    /// Every node that is or may become a member, by node id.
    pub peers: BTreeMap<u64, Peer>,
    /// Pause between two heartbeats of a leader, milliseconds.
    pub heartbeat_ms: u64,
    /// A follower that hears nothing for this long, or up to twice as long,
    /// stands for election, milliseconds.
    pub election_timeout_ms: u64,
    /// A leader whose own disk does not finish a sync within this steps down
    /// (D17), milliseconds.
    pub own_sync_timeout_ms: u64,
    /// The replica that shall lead when it can (`preferredLeaderId`).
    pub preferred_leader: Option<u64>,
    /// Term and vote are synced before they are acted on (D1); RocketMQ's
    /// DLedger does not.
    pub hard_state_sync: bool,
    /// Pause between two looks at a stretch of the log for rot (D28),
    /// milliseconds.
    pub scrub_interval_ms: u64,
}

impl Default for RaftConfig {
    fn default() -> Self {
        Self {
            node_id: 0,
            peers: BTreeMap::new(),
            heartbeat_ms: 100,
            election_timeout_ms: 500,
            own_sync_timeout_ms: 2_000,
            preferred_leader: None,
            hard_state_sync: true,
            scrub_interval_ms: 1_000,
        }
    }
}

/// Everything a broker may be told. `Default` is RocketMQ's default where it
/// has one, except that the flush is synchronous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// RocketMQ's `brokerName`.
    pub broker_name: String,
    /// Where clients connect; also the store host of records and message ids.
    pub listen: SocketAddr,
    /// RocketMQ's `flushDiskType`.
    pub flush_disk_type: FlushDiskType,
    /// How brokers replicate.
    pub replication: Replication,
    /// Size of a commit log segment file, bytes (`mapedFileSizeCommitLog`).
    pub segment_bytes: u64,
    /// Queues of a topic that is created by its first send
    /// (`defaultTopicQueueNums`).
    pub default_topic_queue_nums: u32,
    /// A send that is not flushed within this is answered `FLUSH_DISK_TIMEOUT`
    /// (`syncFlushTimeout`), milliseconds.
    pub sync_flush_timeout_ms: u64,
    /// `ASYNC_FLUSH`: pause between flushes (`flushIntervalCommitLog`),
    /// milliseconds.
    pub flush_interval_ms: u64,
    /// Pause between checkpoints of the derived state
    /// (`flushConsumerOffsetInterval`), milliseconds.
    pub checkpoint_interval_ms: u64,
    /// After this much idleness a durable mark is written behind the last
    /// record (D12), milliseconds.
    pub idle_mark_ms: u64,
    /// Longest message body accepted (`maxMessageSize`), bytes.
    pub max_message_bytes: usize,
    /// A send that names its producer and its number there, and was stored
    /// before, is answered with the first one's place and not stored again (D19).
    pub producer_dedup: bool,
    /// Requests that may wait for a flush before sends are refused
    /// (`sendThreadPoolQueueCapacity`).
    pub pending_max: usize,
    /// Sends are refused while an entry has been waiting for longer to be applied
    /// (`osPageCacheBusyTimeOutMills`), milliseconds.
    pub busy_timeout_ms: u64,
    /// Descriptors that the store keeps of files it may close and open again.
    pub open_files_max: usize,
    /// Bytes of the frames appended last that a replica keeps in memory for followers
    /// that keep up; older ones are read from the log.
    pub recent_bytes: usize,
    /// Sends are refused once less than this is free (D31), bytes.
    pub reserve_bytes: u64,
    /// Messages older than this may be dropped, whole segments at a time
    /// (`fileReservedTime`), milliseconds; `None`: nothing expires.
    pub retention_ms: Option<u64>,
    /// The reserve is held as a file, so that nobody else can take it.
    pub holds_reserve: bool,
    /// A half message is not asked about before it is this old
    /// (`transactionTimeOut`), milliseconds.
    pub transaction_timeout_ms: u64,
    /// Pause between two looks at the half messages
    /// (`transactionCheckInterval`), milliseconds.
    pub transaction_check_interval_ms: u64,
    /// After so many questions a half message is discarded
    /// (`transactionCheckMax`).
    pub transaction_check_max: u32,
    /// A half message that is pending for longer is discarded, asked about or
    /// not (RocketMQ: `fileReservedTime`), milliseconds.
    pub half_age_max_ms: u64,
    /// `None`: an end decides its transaction by an entry of the log (D21). Else
    /// as RocketMQ does, for presets: operations are kept in memory for so long
    /// (`transactionOpBatchInterval`), milliseconds, and commits publish whatever
    /// was said before.
    pub op_batch_interval_ms: Option<u64>,
    /// A client that sent no heartbeat for this long is not asked anything
    /// (`channelExpiredTimeout`), milliseconds.
    pub client_expired_ms: u64,
    /// A consumer that locked a queue holds it for so long, unless it asks again
    /// (`rebalanceLockMaxLiveTime`), milliseconds. For so long after a start, and
    /// after a change of the leader, no queue is locked.
    pub queue_lock_ms: u64,
    /// How long a message waits at each delay level, from level 1 on
    /// (`messageDelayLevel`), milliseconds; at most
    /// [`LEVELS_MAX`](super::LEVELS_MAX), and with none nothing waits.
    pub delay_levels_ms: Vec<u64>,
    /// Long work (what has expired, a look for rot, a snapshot read at the start) is done
    /// in parts of so many bytes, and between two of them the waiting requests are
    /// served.
    pub slice_bytes: u64,
    /// Events of streams that are handled before what they staged is written.
    pub events_per_step: usize,
    /// Bounds of the resources that clients and peers may use.
    pub bounds: Bounds,
    /// Sizes of what is done at a time.
    pub sizes: Sizes,
}

impl BrokerConfig {
    /// [`BrokerConfig::queue_lock_ms`] in nanoseconds.
    pub(super) fn queue_lock_ns(&self) -> u64 {
        self.queue_lock_ms * 1_000_000
    }
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            broker_name: "broker-a".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 10911)),
            flush_disk_type: FlushDiskType::Sync,
            replication: Replication::None,
            segment_bytes: 1 << 30,
            default_topic_queue_nums: 8,
            sync_flush_timeout_ms: 5_000,
            flush_interval_ms: 500,
            checkpoint_interval_ms: 5_000,
            idle_mark_ms: 200,
            max_message_bytes: 4 << 20,
            producer_dedup: false,
            pending_max: 10_000,
            busy_timeout_ms: 1_000,
            open_files_max: 256,
            recent_bytes: 4 << 20,
            reserve_bytes: 64 << 20,
            retention_ms: None,
            holds_reserve: true,
            transaction_timeout_ms: 6_000,
            transaction_check_interval_ms: 30_000,
            transaction_check_max: 15,
            half_age_max_ms: 72 * 3_600_000,
            op_batch_interval_ms: None,
            client_expired_ms: 120_000,
            queue_lock_ms: 60_000,
            delay_levels_ms: DEFAULT_LEVELS_MS.to_vec(),
            slice_bytes: 128 << 10,
            events_per_step: 256,
            bounds: Bounds::DEFAULT,
            sizes: Sizes::DEFAULT,
        }
    }
}

/// The bounds that a configuration may set. `Default` is for a machine with a few
/// gibibytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Streams of clients at once; never more than the network endpoint bears.
    pub connections: usize,
    /// Of these, such as come from one host.
    pub connections_of_host: usize,
    /// A stream without a whole request for this long is closed
    /// (`serverChannelMaxIdleTimeSeconds`), milliseconds.
    pub idle_ms: u64,
    /// Bytes of frames whose end has not come, over all streams; the first 64 KiB
    /// of each do not count.
    pub partial_bytes: usize,
    /// Requests that wait for the word that this replica still leads.
    pub reads: usize,
    /// Topics that clients make; as many again are left to the broker for retries
    /// and dead letters.
    pub topics: usize,
    /// Offsets that groups have recorded.
    pub group_offsets: usize,
    /// Half messages that are not decided.
    pub halves: usize,
    /// Messages that wait for their time.
    pub delayed: usize,
    /// Bytes of entries, or of a base, in one message to a peer, about at most; an
    /// entry goes however long it is.
    pub peer_message_bytes: usize,
}

impl Bounds {
    /// See [`Bounds`].
    pub const DEFAULT: Self = Self {
        connections: 4_096,
        connections_of_host: 2_048,
        idle_ms: 120_000,
        partial_bytes: 64 << 20,
        reads: 10_000,
        topics: 16_384,
        group_offsets: 262_144,
        halves: 65_536,
        delayed: 262_144,
        peer_message_bytes: 1 << 20,
    };
}

impl Default for Bounds {
    fn default() -> Self {
        Self::DEFAULT
    }
}
