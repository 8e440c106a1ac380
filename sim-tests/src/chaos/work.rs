//! The clients of a chaos run: the simulation's own workloads over real sockets.
//!
//! Two producers that number their sends, a group of two members that consumes
//! them, a producer of delayed messages, an order service with its database, and a
//! red-packet service.

use std::io;
use std::net::SocketAddr;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use zeroloss::client::{ClientConfig, ConsumerConfig, GroupConfig, ProducerConfig, Share};
use zeroloss::env::real::RealEnv;
use zeroloss::env::{Env, Timer};
use zeroloss::history::{ClientId, History, Recorder};
use zeroloss::workload::{
    ConsumePlan, FinalPlan, Finished, Limits, PacketPlan, PayPlan, Progress, SendPlan, consume,
    issue_packets, keep_orders, pay, read_everything, send,
};

use super::{MS_NS, Settings};
use crate::ports::free_addresses;

const PARCELS: &str = "parcels";
const PARCEL_DESK: &str = "parcel-desk";
const ORDERS: &str = "OrderPaySuccessTopic";
const RED_PACKET: &str = "red-packet";
const QUEUES: u32 = 4;
const PRODUCERS: ClientId = 2;
const HEARTBEAT_MS: u64 = 500;
/// How long producers may take to end what is in flight, and groups to catch up.
const PATIENCE_MS: u64 = 120_000;
/// A half message whose end was lost is asked about after six seconds, each
/// thirty: nothing more comes once nothing came for so long, milliseconds.
const SETTLE_MS: u64 = 40_000;

/// Names in the history.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
enum Name {
    Member = 10,
    OrderService = 20,
    Database = 30,
    RedPacket = 40,
    LastReader = 99,
}

/// See the module.
pub(super) struct Work {
    brokers: Vec<SocketAddr>,
    root: RealEnv,
    recorder: Recorder,
    sending: Vec<(JoinHandle<()>, Progress)>,
    others: Vec<JoinHandle<()>>,
}

impl Work {
    pub(super) fn start(
        settings: &Settings,
        env: &RealEnv,
        brokers: &[SocketAddr],
        stop_at_ns: u64,
    ) -> io::Result<Self> {
        let mut work = Self {
            brokers: brokers.to_vec(),
            root: env.clone(),
            recorder: Recorder::default(),
            sending: Vec::new(),
            others: Vec::new(),
        };
        for producer in 0..PRODUCERS {
            work.send(settings, producer, stop_at_ns);
        }
        for member in 0..2 {
            work.consume(Name::Member as u32 + member);
        }
        work.pay(settings, stop_at_ns)?;
        Ok(work)
    }

    fn client(&self, client: ClientId) -> ClientConfig {
        let mut config = ClientConfig::new(format!("client-{client}"), self.brokers.clone());
        config.heartbeat_interval_ms = HEARTBEAT_MS;
        config
    }

    fn send(&mut self, settings: &Settings, client: ClientId, stop_at_ns: u64) {
        let plan = SendPlan {
            client,
            life: 0,
            topic: PARCELS.to_owned(),
            in_flight_max: 8,
            messages: None,
            pause_ns: 1_000 * MS_NS / settings.rate_per_s.max(1),
            stop_at_ns,
            body_bytes: 32..=2_000,
            long: None,
            tags: 0,
            delays: Vec::new(),
            oneway_one_in: 0,
            limits: Limits::default(),
            seed: settings.seed ^ u64::from(client),
        };
        let mut config = ProducerConfig::new(self.client(client), "producers");
        config.default_topic_queue_nums = QUEUES;
        config.producer_id = Some(format!("producer-{client}"));
        let progress = Progress::default();
        let (env, recorder) = (self.root.clone(), self.recorder.clone());
        let work = send(env, plan, config, recorder, progress.clone());
        self.sending.push((Handle::current().spawn(work), progress));
    }

    fn consume(&mut self, client: ClientId) {
        let plan = ConsumePlan {
            client,
            begins_at_ns: 0..=0,
            processing_ns: 10_000..=500_000,
            wanted: None,
            failing: None,
            equal_ids: false,
            stays: None,
            seed: u64::from(client),
        };
        let mut config = ConsumerConfig::new(self.client(client), PARCEL_DESK, PARCELS);
        config.commit_interval_ms = 200;
        config.recommit_interval_ms = 1_000;
        config.share = Share::Group(GroupConfig {
            rebalance_interval_ms: 1_000,
            ..GroupConfig::default()
        });
        let (env, recorder) = (self.root.clone(), self.recorder.clone());
        let work = consume(env, plan, config, recorder, Progress::default());
        self.others.push(Handle::current().spawn(work));
    }

    fn pay(&mut self, settings: &Settings, stop_at_ns: u64) -> io::Result<()> {
        let database = free_addresses(1)[0];
        let env = self.root.with_disk(settings.root.join("database"))?;
        let name = Name::Database as ClientId;
        let keeping = keep_orders(env, database, name, self.recorder.clone());
        self.others.push(Handle::current().spawn(keeping));
        let client = Name::OrderService as ClientId;
        let plan = PayPlan {
            client,
            life: 0,
            topic: ORDERS.to_owned(),
            in_flight_max: 3,
            pause_ns: 1_000 * MS_NS / (settings.rate_per_s / 4).max(1),
            stop_at_ns,
            payment_ns: MS_NS..=20 * MS_NS,
            receipt_ns: 0..=MS_NS,
            changes_mind_one_in: None,
            database,
            seed: settings.seed,
        };
        let mut config = ProducerConfig::new(self.client(client), "order-service");
        config.default_topic_queue_nums = QUEUES;
        config.producer_id = Some("order-service".to_owned());
        let progress = Progress::default();
        let (env, recorder) = (self.root.clone(), self.recorder.clone());
        let paying = pay(env, plan, config, recorder, progress.clone());
        self.sending
            .push((Handle::current().spawn(paying), progress));

        let client = Name::RedPacket as ClientId;
        let plan = PacketPlan {
            client,
            processing_ns: 0..=MS_NS,
            seed: settings.seed,
        };
        let mut config = ConsumerConfig::new(self.client(client), RED_PACKET, ORDERS);
        config.commit_interval_ms = 200;
        config.recommit_interval_ms = 1_000;
        let env = self.root.with_disk(settings.root.join("red-packets"))?;
        let recorder = self.recorder.clone();
        let issuing = issue_packets(env, plan, config, recorder, Progress::default());
        self.others.push(Handle::current().spawn(issuing));
        Ok(())
    }

    /// Sends that are not answered.
    pub(super) fn in_flight(&self) -> u64 {
        self.sending.iter().map(|(_, of)| of.in_flight()).sum()
    }

    /// Whether something is acknowledged in time.
    pub(super) async fn acknowledges_within(&self, env: &RealEnv, patience_ms: u64) -> bool {
        let acknowledged = || self.sending.iter().any(|(_, of)| of.acknowledged() > 0);
        until(env, patience_ms, acknowledged).await
    }

    /// Waits until every send has ended and the groups have caught up, then reads
    /// everything as somebody who was never there before.
    pub(super) async fn finish(&self, env: &RealEnv) -> Option<Finished> {
        // An order service goes on answering questions: it ends with its work.
        let ended = || self.sending.iter().all(|(_, of)| of.in_flight() == 0);
        if !until(env, PATIENCE_MS, ended).await {
            return None;
        }
        let topics = [(PARCELS, PARCEL_DESK), (ORDERS, RED_PACKET)];
        let plan = FinalPlan {
            client: Name::LastReader as ClientId,
            topics: topics
                .map(|(topic, group)| (topic.to_owned(), vec![group.to_owned()]))
                .into(),
            discards: None,
            catch_up_ms: PATIENCE_MS,
            settle_ms: SETTLE_MS,
            read_ms: PATIENCE_MS,
        };
        let config = self.client(Name::LastReader as ClientId);
        let recorder = self.recorder.clone();
        Some(read_everything(self.root.clone(), plan, config, recorder).await)
    }

    /// The history that clients saw.
    pub(super) fn take_history(&self) -> History {
        self.recorder.take()
    }

    /// Ends every client.
    pub(super) fn end(self) {
        let sending = self.sending.into_iter().map(|(task, _)| task);
        sending.chain(self.others).for_each(|task| task.abort());
    }
}

async fn until(env: &RealEnv, patience_ms: u64, done: impl Fn() -> bool) -> bool {
    let deadline_ns = env.now_ns() + patience_ms * MS_NS;
    let mut pause = env.timer();
    while !done() {
        if env.now_ns() >= deadline_ns {
            return false;
        }
        pause.reset(Some(env.now_ns() + 20 * MS_NS));
        pause.fired().await;
    }
    true
}
