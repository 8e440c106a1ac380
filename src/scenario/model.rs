//! A scenario as data, after reading and validation.

use std::ops::Range;
use std::sync::Arc;

use crate::broker::{self, FlushDiskType};
use crate::check::{Configuration, ExpectedOutcome, Flush};
use crate::history::{Happening, TransactionStep, VictimRole};

use super::random::Stream;
use super::{Cluster, FaultPlan, FaultRule, Membership, OperationRule, Swarm};

/// An inclusive range, `low <= high`. The field that holds one names the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between {
    /// The smallest value.
    pub low: u64,
    /// The largest value.
    pub high: u64,
}

impl Between {
    /// A value of the range, uniformly.
    pub fn draw(self, stream: &mut Stream) -> u64 {
        stream.between(self.low, self.high)
    }
}

/// One scenario file, valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The path under `scenarios/` without `.toml`: names the scenario in every
    /// output.
    pub id: String,
    /// The file as a user of the checkout would name it; elsewhere, as it was given.
    pub file: String,
    /// The subject of the scenario, in a few words.
    pub title: String,
    /// Why it exists: the claim that it tests.
    pub why: String,
    /// The brokers.
    pub cluster: Cluster,
    /// The disk of every broker.
    pub disk: DiskSettings,
    /// Every link.
    pub network: NetworkSettings,
    /// The links that differ; where several say something of one link, the last
    /// one holds.
    pub links: Vec<LinkRule>,
    /// The settings that all clients have in common.
    pub client: ClientSettings,
    /// The workloads of the clients. Clients are numbered from 0 in this order.
    pub workloads: Vec<Workload>,
    /// A client that keeps to no rule, if there is one.
    pub stranger: Option<Stranger>,
    /// The faults of a run; empty where the file says `faults = "none"`.
    pub faults: Vec<FaultRule>,
    /// The operations that the operator begins by itself.
    pub operations: Vec<OperationRule>,
    /// The things that each seed leaves out and draws; `None`: nothing.
    pub swarm: Option<Swarm>,
    /// How long, and over which seeds.
    pub run: RunSettings,
    /// The expected result.
    pub expect: Expectation,
    /// Of everything in the file that a run depends on: a plan is for this and no
    /// other.
    pub digest: u64,
    /// The faults that fire instead of those that the rules draw, whatever the seed.
    pub planned: Option<Arc<FaultPlan>>,
}

impl Scenario {
    /// The settings that decide what the brokers promise (guarantee.md, section 6).
    pub fn configuration(&self) -> Configuration {
        let broker = &self.cluster.broker;
        let flush = match broker.flush_disk_type {
            FlushDiskType::Sync => Flush::Sync,
            FlushDiskType::Async => Flush::Async,
        };
        let configuration = match &broker.replication {
            broker::Replication::None => Configuration::single(flush),
            broker::Replication::Raft(raft) => Configuration {
                hard_state_synced: raft.hard_state_sync,
                ..Configuration::raft(self.cluster.brokers, flush)
            },
        };
        Configuration {
            retention_ms: broker.retention_ms,
            stores_once: broker.producer_dedup,
            decides_once: broker.op_batch_interval_ms.is_none(),
            ..configuration
        }
    }

    /// Whether the scenario means to have no faults, and so is never void.
    pub fn is_faultless(&self) -> bool {
        match &self.planned {
            Some(planned) => planned.faults.is_empty(),
            None => self.faults.is_empty(),
        }
    }

    /// The numbers of the clients that send, in order of the workloads.
    pub fn producers(&self) -> Vec<u32> {
        self.clients_that(|workload| matches!(workload, Workload::Send(_) | Workload::Pay(_)))
    }

    /// The numbers of the clients that consume, in order of the workloads.
    pub fn consumers(&self) -> Vec<u32> {
        self.clients_that(|workload| {
            matches!(workload, Workload::Consume(_) | Workload::RedPacket(_))
        })
    }

    /// The order services' groups, in order of the workloads: of each the numbers
    /// of its instances.
    pub fn producer_groups(&self) -> Vec<Vec<u32>> {
        let mut groups = Vec::new();
        let mut first = 0;
        for workload in &self.workloads {
            if let Workload::Pay(pay) = workload {
                let instances = |group| first + group * pay.instances;
                let group = |group| (instances(group)..instances(group + 1)).collect();
                groups.extend((0..pay.services).map(group));
            }
            first += workload.client_count();
        }
        groups
    }

    /// The numbers of the order databases, one for each producer group: they
    /// come after all other clients.
    pub fn databases(&self) -> Vec<u32> {
        let first: u32 = self.workloads.iter().map(Workload::client_count).sum();
        (first..).take(self.producer_groups().len()).collect()
    }

    fn clients_that(&self, wanted: impl Fn(&Workload) -> bool) -> Vec<u32> {
        let mut first = 0;
        let mut found = Vec::new();
        for workload in &self.workloads {
            let next = first + workload.client_count();
            if wanted(workload) {
                found.extend(first..next);
            }
            first = next;
        }
        found
    }
}

/// `[disk]`: sizes and latencies of a broker's disk. An operation that needs no sync
/// is answered by the page cache, at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiskSettings {
    /// 512 or 4096.
    pub sector_bytes: u32,
    /// The disk's size, bytes.
    pub capacity_bytes: u64,
    /// A sync of a file or of a directory.
    pub sync_us: Between,
    /// Share of syncs that take longer: a sync outlasts several others.
    pub sync_tail: f64,
    /// How long those take at most; at least `sync_us.high`.
    pub sync_tail_max_us: u64,
    /// An operator's commands meet the disk's errors, as brokers do.
    pub refuses_commands: bool,
}

/// `[network]`: every link, both ways; and `[[link]]`: some of them, one way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NetworkSettings {
    /// One way.
    pub latency_us: Between,
    /// Share of what is sent that is lost: on a stream it comes late, by
    /// `retransmit_ms`; a peer message never comes.
    pub loss: f64,
    /// The delay that a loss costs on a stream, and twice that after each further loss.
    pub retransmit_ms: u64,
    /// How long an operating system waits for the answer to a connect.
    pub connect_ms: u64,
    /// Share of peer messages that come twice.
    pub duplicate: f64,
    /// Share of peer messages held back long enough to be overtaken.
    pub reorder: f64,
    /// How long those are held back, at most; `None`: ten times the longest latency.
    pub reorder_ms: Option<u64>,
    /// Share of peer messages beside which something garbled comes: bytes, or a
    /// message with numbers that no replica has.
    pub garbage: f64,
    /// Share of writes to a stream that come in two pieces.
    pub split: f64,
}

/// `[[link]]`: what links from some machines to others are like instead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkRule {
    /// The sender.
    pub from: LinkEnd,
    /// The receiver.
    pub to: LinkEnd,
    /// The settings in this direction.
    pub network: NetworkSettings,
}

/// The machines at one end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEnd {
    /// This broker, counted from 0.
    Broker(u32),
    /// Every broker.
    Brokers,
    /// Every client, the run's own included.
    Clients,
    /// Every machine.
    Any,
}

/// `[client]`: what all producers and consumers have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSettings {
    /// One attempt of a send (RocketMQ's `sendMsgTimeout`).
    pub send_timeout_ms: u64,
    /// Further attempts after the first (`retryTimesWhenSendFailed`).
    pub send_retries: u32,
    /// How long the broker may hold a pull that finds nothing
    /// (`brokerSuspendMaxTimeMillis`).
    pub pull_suspend_ms: u64,
    /// Pause between heartbeats.
    pub heartbeat_ms: u64,
    /// Names of clients, of producer groups and in numbered sends are padded to so many
    /// bytes; 0: as they are.
    pub name_bytes: u64,
}

/// `[[workload]]`: what a number of clients do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Workload {
    /// `kind = "send"`.
    Send(Producers),
    /// `kind = "pay"`.
    Pay(OrderServices),
    /// `kind = "consume"`.
    Consume(Consumers),
    /// `kind = "red-packet"`: a consumer of its own kind, alone in its group.
    RedPacket(Consumers),
}

impl Workload {
    /// How many clients it has.
    pub fn client_count(&self) -> u32 {
        match self {
            Self::Send(send) => send.producers,
            Self::Pay(pay) => pay.services * pay.instances,
            Self::Consume(consume) | Self::RedPacket(consume) => consume.consumers,
        }
    }

    /// The topic that it sends to or consumes.
    pub fn topic(&self) -> &str {
        match self {
            Self::Send(send) => &send.topic,
            Self::Pay(pay) => &pay.topic,
            Self::Consume(consume) | Self::RedPacket(consume) => &consume.topic,
        }
    }

    /// The consumers of a group, where it has them.
    pub fn consumers(&self) -> Option<&Consumers> {
        match self {
            Self::Consume(consume) | Self::RedPacket(consume) => Some(consume),
            Self::Send(_) | Self::Pay(_) => None,
        }
    }
}

/// Producers that send until the run's faults end, or `messages` are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producers {
    /// The topic.
    pub topic: String,
    /// The topic's queues, used in turn.
    pub queues: u32,
    /// How many producers.
    pub producers: u32,
    /// Sends that one producer has begun and not ended, at most.
    pub in_flight: u32,
    /// All producers together send so many; `None`: no bound but time.
    pub messages: Option<u64>,
    /// All producers together begin so many sends a second; `None`: as fast as
    /// `in_flight` lets them.
    pub rate_per_s: Option<u64>,
    /// Length of a body.
    pub body_bytes: Between,
    /// Some bodies are longer; `None`: none is.
    pub long: Option<LongBodies>,
    /// Messages carry so many tags, in turn; 0: none.
    pub tags: u32,
    /// Each message waits at one of these delay levels; `None`: none waits.
    pub delay_level: Option<Between>,
    /// One message in so many is sent one-way; 0: none.
    pub oneway_one_in: u32,
    /// One message in so many is at a limit of its length, or beside it; 0: none.
    pub limit_one_in: u32,
}

/// Bodies that are longer than the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongBodies {
    /// One body in so many, by chance.
    pub one_in: u64,
    /// Length of one; each power of two in the range about as likely as the next.
    pub bytes: Between,
}

/// Order services, each of a producer group of its own and with a database of
/// its own on a machine of its own: half message, payment, receipt, end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderServices {
    /// The topic.
    pub topic: String,
    /// The topic's queues, used in turn.
    pub queues: u32,
    /// How many services.
    pub services: u32,
    /// How many processes of each, on one database.
    pub instances: u32,
    /// Orders that one process has begun and not ended, at most.
    pub in_flight: u32,
    /// All of them together begin so many orders a second.
    pub rate_per_s: u64,
    /// The time that a payment takes, between the half message and its being settled.
    pub payment_us: Between,
    /// The time between its being settled and the end of its transaction.
    pub receipt_us: Between,
    /// Of so many orders one is rolled back, and committed after all.
    pub changes_mind_one_in: Option<u64>,
    /// By what their ends name half messages.
    pub ends_by: EndsBy,
    /// Their ends are sent one-way.
    pub ends_oneway: bool,
}

/// `ends_by`: what the end of a transaction says beside the half message's place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndsBy {
    /// `"transaction"`: its id, as the send was answered.
    #[default]
    Transaction,
    /// `"message"`: the message's id, and an empty one.
    Message,
    /// `"place"`: nothing.
    Place,
}

/// Consumers of one group, which share the topic's queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumers {
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// How many consumers.
    pub consumers: u32,
    /// How they agree on their queues; `None`: each has its share, whatever
    /// happens to the others.
    pub membership: Option<Membership>,
    /// Messages asked for in one pull, at most (`pullBatchSize`).
    pub batch_max: u32,
    /// The time that processing one message takes.
    pub processing_us: Between,
    /// Pause between commits of the group's offsets
    /// (`persistConsumerOffsetInterval`).
    pub commit_interval_ms: u64,
    /// When each of them begins, from the run's start on.
    pub begins_ms: Between,
    /// No offset is committed before the faults are over.
    pub commits_late: bool,
    /// Where the group begins.
    pub from: Begin,
    /// The client library whose heartbeats theirs look like.
    pub spelling: Spelling,
}

/// `from`: where a group begins that has no offset recorded (`ConsumeFromWhere`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Begin {
    /// `"first"`.
    #[default]
    First,
    /// `"last"`: RocketMQ's default.
    Last,
    /// `"timestamp"`: when the client began, and a little before.
    Timestamp,
}

/// `spelling`: how heartbeats are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spelling {
    /// `"java"`.
    #[default]
    Java,
    /// `"cpp"`.
    Cpp,
    /// `"go"`.
    Go,
}

/// `[stranger]`: a client that keeps to no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranger {
    /// The number of its acts in a second: it opens a stream, begins a frame, or sends a
    /// request with extremes in its fields.
    pub rate_per_s: u64,
    /// Streams that it holds open, at most.
    pub streams_max: u64,
    /// How much of a frame that it begins comes, bytes.
    pub partial_bytes: Between,
}

/// `[run]`: how long, over which seeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSettings {
    /// Seeds that `run` takes by itself; the end is excluded.
    pub seeds: Range<u64>,
    /// Workloads and faults last so long; then everything heals.
    pub duration_ms: u64,
    /// More events than this in one simulated second are a storm: the run ends
    /// and reports it.
    pub events_per_s_max: u64,
}

/// `[expect]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The outcome that must come out.
    pub outcome: ExpectedOutcome,
    /// After healing, a probe is acknowledged and every lag is zero within
    /// this.
    pub converge_within_ms: u64,
    /// The share of runs that may be void.
    pub void_max: f64,
    /// The brokers that come back when everything heals.
    pub core: Core,
    /// The state of the others.
    pub rest: Rest,
    /// The happenings that a run needs: a run without all of it is void.
    pub needs: Vec<Need>,
    /// The happenings that some run over the scenario's seeds needs.
    pub sometimes: Vec<Happening>,
}

impl Expectation {
    /// The happenings among what every run needs.
    pub fn happenings_needed(&self) -> Vec<Happening> {
        let needs = self.needs.iter().filter_map(|need| match need {
            Need::Happening(what) => Some(*what),
            Need::BaseInstalled | Need::DeathAt(..) => None,
        });
        needs.collect()
    }
}

/// Something that a scenario is there for, and that faults alone do not bring
/// about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A replica began anew behind a base that another one gave it.
    BaseInstalled,
    /// Such a one died where a transaction of his was at that transaction step.
    DeathAt(VictimRole, TransactionStep),
    /// That.
    Happening(Happening),
}

/// The machines that heal for good at the end of the safety phase (guarantee.md,
/// section 3, "Two phases").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// Every broker.
    All,
    /// A majority of whole brokers, drawn; where there is none, every broker.
    Majority,
}

/// The state of brokers that do not heal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// They are switched off.
    Down,
    /// They stay as they are then: down, cut off, hung, stopped, slow; or well.
    AsItIs,
}

/// How a run is observed. Never changes what happens in it: equal seeds give
/// equal trace hashes under all options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOptions {
    /// Ask the white-box oracles too, and keep the product's own assertions.
    pub oracle: bool,
    /// Keep the full timeline.
    pub timeline: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            oracle: true,
            timeline: false,
        }
    }
}
