//! The settings of a client, with RocketMQ's names and defaults where it has them.

use std::net::SocketAddr;

use crate::remoting::SerializeType;
use crate::remoting::heartbeat::Spelling;

/// The settings of every client. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Unique among the clients (`clientID`).
    pub client_id: String,
    /// Brokers to ask for routes; a stream to each is kept.
    pub brokers: Vec<SocketAddr>,
    /// How headers are written.
    pub serialize_type: SerializeType,
    /// A connect that takes longer has failed (`connectTimeoutMillis`).
    pub connect_timeout_ms: u64,
    /// An answer to anything but a send or a waiting pull that takes longer is
    /// given up.
    pub request_timeout_ms: u64,
    /// A stream on which nothing was heard for so long, though something was
    /// asked and given up, is taken for dead and closed.
    pub silence_ms_max: u64,
    /// Pause before the first reconnect; doubles up to the next.
    pub reconnect_ms_min: u64,
    /// Longest pause before a reconnect.
    pub reconnect_ms_max: u64,
    /// Pause between heartbeats (`heartbeatBrokerInterval`).
    pub heartbeat_interval_ms: u64,
    /// Pause between looks at a topic's route (`pollNameServerInterval`).
    pub route_interval_ms: u64,
}

impl ClientConfig {
    /// RocketMQ's defaults, and the compact header.
    pub fn new(client_id: impl Into<String>, brokers: Vec<SocketAddr>) -> Self {
        Self {
            client_id: client_id.into(),
            brokers,
            serialize_type: SerializeType::Binary,
            connect_timeout_ms: 3_000,
            request_timeout_ms: 3_000,
            silence_ms_max: 6_000,
            reconnect_ms_min: 20,
            reconnect_ms_max: 2_000,
            heartbeat_interval_ms: 30_000,
            route_interval_ms: 30_000,
        }
    }
}

/// By what the end of a transaction names its half message, beside its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndNaming {
    /// The transaction's id and the message's, which are the same.
    #[default]
    Transaction,
    /// The message's id, and an empty one of the transaction.
    Message,
    /// By nothing.
    Place,
}

/// The settings of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerConfig {
    /// The settings of every client.
    pub client: ClientConfig,
    /// The producer's group.
    pub group: String,
    /// An attempt that is not answered within this is unresolved
    /// (`sendMsgTimeout`, which in RocketMQ bounds all attempts together).
    pub send_timeout_ms: u64,
    /// Attempts after the first (`retryTimesWhenSendFailed`).
    pub retries: u32,
    /// Pause before the first retry; doubles with each.
    pub retry_delay_ms: u64,
    /// Queues of a topic that the first send creates
    /// (`defaultTopicQueueNums`).
    pub default_topic_queue_nums: u32,
    /// Names this producer to brokers that store a retried send once: no other
    /// one, and no earlier life of this one, has it. `None`: a retried send may
    /// be stored again.
    pub producer_id: Option<String>,
    /// By what the ends of its transactions name their half messages.
    pub end_naming: EndNaming,
    /// Ends of transactions are sent one-way, as RocketMQ's clients send them.
    pub ends_oneway: bool,
    /// Longest message body (`maxMessageSize`), bytes. A longer one is rejected
    /// without being sent.
    pub message_bytes_max: usize,
}

impl ProducerConfig {
    /// RocketMQ's defaults.
    pub fn new(client: ClientConfig, group: impl Into<String>) -> Self {
        Self {
            client,
            group: group.into(),
            send_timeout_ms: 3_000,
            retries: 2,
            retry_delay_ms: 50,
            default_topic_queue_nums: 8,
            producer_id: None,
            end_naming: EndNaming::default(),
            ends_oneway: false,
            message_bytes_max: 4 << 20,
        }
    }
}

/// The queues that a consumer takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share {
    /// All that the route has.
    All,
    /// Some of them, whatever others do.
    These(Vec<u32>),
    /// The settings that the members of its group agree on. It consumes the group's
    /// retry topic, too.
    Group(GroupConfig),
}

/// The settings of a member of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// Pause between looks at who is in the group (`rebalanceInterval`),
    /// milliseconds. A broker that notices a change says so before.
    pub rebalance_interval_ms: u64,
    /// After so many further attempts without success a message is given up
    /// (`maxReconsumeTimes`).
    pub reconsume_times_max: u32,
    /// The delay level at which a message that was sent back comes again; 0:
    /// the broker's choice, which grows with the attempts.
    pub retry_delay_level: u32,
    /// Ordered: a queue is consumed only while it is locked for this member.
    pub lock: Option<LockConfig>,
}

impl Default for GroupConfig {
    /// RocketMQ's defaults, unordered.
    fn default() -> Self {
        Self {
            rebalance_interval_ms: 20_000,
            reconsume_times_max: 16,
            retry_delay_level: 0,
            lock: None,
        }
    }
}

/// How a member keeps its locks. Times are milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockConfig {
    /// Pause between renewals (`rocketmq.client.rebalance.lockInterval`).
    pub renew_interval_ms: u64,
    /// So long after it was asked for, a lock counts as lost
    /// (`rocketmq.client.rebalance.lockMaxLiveTime`): at most
    /// [`LockConfig::longest_lease_ms`].
    pub lease_ms: u64,
}

impl LockConfig {
    /// The longest lease that is over before a broker gives the lock to another
    /// that keeps it for `queue_lock_ms`: the member's clock may be a tenth slow,
    /// and the broker's a tenth fast.
    pub fn longest_lease_ms(queue_lock_ms: u64) -> u64 {
        queue_lock_ms.saturating_mul(9) / 11
    }
}

impl Default for LockConfig {
    fn default() -> Self {
        Self {
            renew_interval_ms: 20_000,
            lease_ms: 30_000,
        }
    }
}

/// Where a group begins that has no offset recorded (`ConsumeFromWhere`). The
/// broker's answer comes first: RocketMQ's, too, sends a group to a queue's
/// first message while that is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConsumeFrom {
    /// At the first message that there is.
    #[default]
    FirstOffset,
    /// At the end. RocketMQ's clients' default.
    LastOffset,
    /// At the first message stored then, or later.
    Timestamp {
        /// Milliseconds since 1970.
        wall_ms: u64,
    },
}

impl ConsumeFrom {
    /// RocketMQ's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FirstOffset => "CONSUME_FROM_FIRST_OFFSET",
            Self::LastOffset => "CONSUME_FROM_LAST_OFFSET",
            Self::Timestamp { .. } => "CONSUME_FROM_TIMESTAMP",
        }
    }
}

/// The settings of a consumer of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// The settings of every client.
    pub client: ClientConfig,
    /// The consumer's group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Messages with one of these tags are wanted; empty: every message.
    pub tags: Vec<String>,
    /// The part of the topic's queues that it consumes.
    pub share: Share,
    /// Messages asked for in one pull (`pullBatchSize`).
    pub pull_batch_size: u32,
    /// How long a pull may wait at the broker for a message
    /// (`brokerSuspendMaxTimeMillis`), milliseconds.
    pub suspend_timeout_ms: u64,
    /// Pulls of one queue that find nothing start at least so far apart, for
    /// brokers that do not wait, milliseconds.
    pub empty_pull_ms_min: u64,
    /// Pause after an error (`pullTimeDelayMillsWhenException`), milliseconds.
    pub retry_delay_ms: u64,
    /// A queue with so many unprocessed messages is not pulled
    /// (`pullThresholdForQueue`).
    pub unprocessed_max: usize,
    /// Pause between commits of offsets (`persistConsumerOffsetInterval`),
    /// milliseconds.
    pub commit_interval_ms: u64,
    /// An offset that does not change is committed again after so long,
    /// milliseconds: a commit of the queue's last owner may have come late, and
    /// have set it back; and a broker that flushes asynchronously may have lost it.
    pub recommit_interval_ms: u64,
    /// No offset is committed before, on the environment's clock.
    pub commit_from_ns: u64,
    /// Where the group begins.
    pub consume_from: ConsumeFrom,
    /// How its heartbeats are written.
    pub spelling: Spelling,
}

impl ConsumerConfig {
    /// RocketMQ's defaults, and all queues.
    pub fn new(client: ClientConfig, group: impl Into<String>, topic: impl Into<String>) -> Self {
        Self {
            client,
            group: group.into(),
            topic: topic.into(),
            tags: Vec::new(),
            share: Share::All,
            pull_batch_size: 32,
            suspend_timeout_ms: 15_000,
            empty_pull_ms_min: 50,
            retry_delay_ms: 1_000,
            unprocessed_max: 1_000,
            commit_interval_ms: 5_000,
            recommit_interval_ms: 5_000,
            commit_from_ns: 0,
            consume_from: ConsumeFrom::default(),
            spelling: Spelling::default(),
        }
    }
}
