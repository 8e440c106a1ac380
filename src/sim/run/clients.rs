//! The clients' machines, each with one workload.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use madsim::runtime::Handle;

use super::cluster::{client_disk, end, queues};
use super::consumers;
use crate::client::{ClientConfig, EndNaming, ProducerConfig};
use crate::env::Env;
use crate::history::{ClientId, Recorder};
use crate::remoting::SerializeType;
use crate::scenario::{Consumers, EndsBy, OrderServices, Producers, Scenario, Workload, padded};
use crate::sim::env::SimEnv;
use crate::sim::net::NodeId;
use crate::sim::world::{World, address};
use crate::workload::{
    FinalPlan, Finished, Limits, PacketPlan, PayPlan, Progress, SendPlan, consume, issue_packets,
    keep_orders, pay, read_everything, send, share_of_queues,
};

/// One seed in so many speaks JSON headers, as real clients do; the others the
/// binary header, which costs a fraction.
const JSON_ONE_IN: u64 = 16;

/// Where order databases listen.
const DATABASE_PORT: u16 = 5432;

/// A client of the scenario.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) node: NodeId,
    number: ClientId,
    role: Role,
    life: Option<madsim::task::NodeId>,
    lives: u32,
    pub(super) progress: Progress,
}

#[derive(Debug, Clone)]
enum Role {
    Producer(Producers),
    OrderService {
        pay: OrderServices,
        group: String,
        database: SocketAddr,
    },
    /// It listens there.
    Database(SocketAddr),
    RedPacket {
        consume: Consumers,
        queues: Vec<u32>,
    },
    Consumer {
        consume: Consumers,
        queues: Vec<u32>,
    },
}

/// The settings that all clients of a run share.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) world: Arc<World>,
    pub(super) handle: Handle,
    pub(super) recorder: Recorder,
    pub(super) brokers: Vec<std::net::SocketAddr>,
    pub(super) seed: u64,
    pub(super) stop_at_ns: u64,
}

impl Setting {
    fn client_config(&self, name: String) -> ClientConfig {
        let mut config = ClientConfig::new(name, self.brokers.clone());
        if self.seed % JSON_ONE_IN == JSON_ONE_IN - 1 {
            config.serialize_type = SerializeType::Json;
        }
        config
    }

    /// Starts a process on a node of its own.
    fn spawn<F: Future<Output = ()> + Send + 'static>(
        &self,
        node: NodeId,
        process: impl FnOnce(SimEnv) -> F,
    ) -> madsim::task::NodeId {
        let incarnation = self.world.process_starts(node);
        let env = SimEnv::new(Arc::clone(&self.world), node, incarnation);
        let madsim = self.handle.create_node().build();
        drop(madsim.spawn(process(env)));
        madsim.id()
    }
}

/// The clients of a scenario, in the order of its workloads.
pub(super) fn all(scenario: &Scenario, setting: &Setting) -> Vec<Client> {
    let mut clients = Vec::new();
    let groups = scenario.producer_groups();
    let machines = scenario.cluster.machines();
    let database = |number: u32| address(machines + number, DATABASE_PORT);
    for workload in &scenario.workloads {
        for index in 0..workload.client_count() {
            let number = clients.len() as ClientId;
            let role = match workload {
                Workload::Send(send) => Role::Producer(send.clone()),
                Workload::Pay(pay) => {
                    let group = groups.iter().position(|group| group.contains(&number));
                    let group = group.expect("each is of a group");
                    Role::OrderService {
                        pay: pay.clone(),
                        group: format!("order-service-{}", groups[group][0]),
                        database: database(scenario.databases()[group]),
                    }
                }
                Workload::RedPacket(consume) => Role::RedPacket {
                    consume: consume.clone(),
                    queues: share_of_queues(queues(scenario), consume.consumers, index),
                },
                Workload::Consume(consume) => Role::Consumer {
                    consume: consume.clone(),
                    queues: share_of_queues(queues(scenario), consume.consumers, index),
                },
            };
            clients.push(Client::new(setting, number, role));
        }
    }
    for number in scenario.databases() {
        clients.push(Client::new(
            setting,
            number,
            Role::Database(database(number)),
        ));
    }
    clients
}

impl Client {
    fn new(setting: &Setting, number: ClientId, role: Role) -> Self {
        let node = add_node(setting);
        Self {
            node,
            number,
            role,
            life: None,
            lives: 0,
            progress: Progress::default(),
        }
    }

    /// Whether a process runs on it.
    pub(super) fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Whether something that it asked is unanswered, or processed and not
    /// committed.
    pub(super) fn is_at_work(&self) -> bool {
        self.progress.in_flight() + self.progress.uncommitted() > 0
    }

    /// Whether it is an order service's database.
    pub(super) fn is_database(&self) -> bool {
        matches!(self.role, Role::Database(_))
    }

    /// Whether its topic is there, or may be: it does not send, or something that it
    /// sent in this life was acknowledged.
    pub(super) fn has_topic(&self) -> bool {
        let sends = matches!(self.role, Role::Producer(_) | Role::OrderService { .. });
        !sends || self.progress.acknowledged() > 0
    }

    /// Whether it sends and has not come to its end.
    pub(super) fn is_sending(&self) -> bool {
        matches!(self.role, Role::Producer(_) | Role::OrderService { .. })
            && self.is_up()
            && !self.progress.is_finished()
    }

    /// Starts its workload, for the first time or again.
    pub(super) fn start(&mut self, scenario: &Scenario, setting: &Setting) {
        assert!(self.life.is_none(), "a client has one process");
        self.progress = Progress::default();
        let (recorder, progress) = (setting.recorder.clone(), self.progress.clone());
        let shared = match &self.role {
            Role::Consumer { consume, .. } => consumers::shared_id(consume),
            _ => None,
        };
        let long = |name: &str| padded(name, scenario.client.name_bytes);
        let own = || long(&format!("client-{}-{}", self.number, self.lives));
        let client = setting.client_config(shared.unwrap_or_else(own));
        let seed = setting.seed ^ u64::from(self.number) << 32;
        let life = match &self.role {
            Role::Producer(what) => {
                let plan = SendPlan {
                    client: self.number,
                    life: self.lives,
                    topic: what.topic.clone(),
                    in_flight_max: u64::from(what.in_flight),
                    messages: what
                        .messages
                        .map(|all| all.div_ceil(u64::from(what.producers))),
                    pause_ns: pause_ns(what),
                    stop_at_ns: setting.stop_at_ns,
                    body_bytes: what.body_bytes.low..=what.body_bytes.high,
                    long: what
                        .long
                        .map(|long| (long.one_in, long.bytes.low..=long.bytes.high)),
                    tags: u64::from(what.tags),
                    delays: consumers::delays(what, scenario),
                    oneway_one_in: u64::from(what.oneway_one_in),
                    limits: Limits {
                        one_in: u64::from(what.limit_one_in),
                        body_bytes_max: scenario.cluster.broker.max_message_bytes,
                    },
                    seed,
                };
                let mut config = ProducerConfig::new(client, long("producers"));
                config.send_timeout_ms = scenario.client.send_timeout_ms;
                config.retries = scenario.client.send_retries;
                config.producer_id = self.producer_id(scenario);
                setting.spawn(self.node, |env| send(env, plan, config, recorder, progress))
            }
            Role::OrderService {
                pay: what,
                group,
                database,
            } => {
                let (payment, receipt) = (what.payment_us, what.receipt_us);
                let processes = u64::from(what.services * what.instances);
                let plan = PayPlan {
                    client: self.number,
                    life: self.lives,
                    topic: what.topic.clone(),
                    in_flight_max: u64::from(what.in_flight),
                    pause_ns: 1_000_000_000 * processes / what.rate_per_s,
                    stop_at_ns: setting.stop_at_ns,
                    payment_ns: payment.low * 1_000..=payment.high * 1_000,
                    receipt_ns: receipt.low * 1_000..=receipt.high * 1_000,
                    changes_mind_one_in: what.changes_mind_one_in,
                    database: *database,
                    seed,
                };
                let mut config = ProducerConfig::new(client, long(group));
                config.send_timeout_ms = scenario.client.send_timeout_ms;
                config.retries = scenario.client.send_retries;
                config.client.heartbeat_interval_ms = scenario.client.heartbeat_ms;
                config.producer_id = self.producer_id(scenario);
                config.end_naming = match what.ends_by {
                    EndsBy::Transaction => EndNaming::Transaction,
                    EndsBy::Message => EndNaming::Message,
                    EndsBy::Place => EndNaming::Place,
                };
                config.ends_oneway = what.ends_oneway;
                setting.spawn(self.node, |env| pay(env, plan, config, recorder, progress))
            }
            Role::Database(listen) => {
                let (listen, number) = (*listen, self.number);
                setting.spawn(self.node, |env| keep_orders(env, listen, number, recorder))
            }
            Role::RedPacket {
                consume: what,
                queues,
            } => {
                let processing = what.processing_us;
                let plan = PacketPlan {
                    client: self.number,
                    processing_ns: processing.low * 1_000..=processing.high * 1_000,
                    seed,
                };
                let late_ns = setting.stop_at_ns;
                setting.spawn(self.node, |env| {
                    let begins = (env.wall_ms(), late_ns);
                    let config = consumers::config(what, scenario, client, queues, begins);
                    issue_packets(env, plan, config, recorder, progress)
                })
            }
            Role::Consumer {
                consume: what,
                queues,
            } => {
                let plan = consumers::plan(what, scenario, setting, self.number, seed);
                let late_ns = setting.stop_at_ns;
                setting.spawn(self.node, |env| {
                    let begins = (env.wall_ms(), late_ns);
                    let config = consumers::config(what, scenario, client, queues, begins);
                    consume(env, plan, config, recorder, progress)
                })
            }
        };
        self.life = Some(life);
        self.lives += 1;
    }

    /// The id by which brokers that store a retried send once know this life.
    fn producer_id(&self, scenario: &Scenario) -> Option<String> {
        let numbered = scenario.cluster.broker.producer_dedup;
        let name = || format!("producer-{}-{}", self.number, self.lives);
        numbered.then(|| padded(&name(), scenario.client.name_bytes))
    }

    /// Its process, for madsim.
    pub(super) fn life(&self) -> Option<madsim::task::NodeId> {
        self.life
    }

    /// Ends its process without a word.
    pub(super) fn kill(&mut self, handle: &Handle) {
        if let Some(life) = self.life.take() {
            end(handle, life);
            self.progress.died();
        }
    }
}

fn pause_ns(what: &Producers) -> u64 {
    what.rate_per_s.map_or(0, |rate| {
        1_000_000_000 * u64::from(what.producers) / rate.max(1)
    })
}

fn add_node(setting: &Setting) -> NodeId {
    add_client(&setting.world, setting.seed)
}

/// Adds the machine of a client.
pub(super) fn add_client(world: &World, seed: u64) -> NodeId {
    world.add_node(client_disk(world.next_node(), seed))
}

/// A producer that shows that the cluster serves: one message for each queue.
#[derive(Debug)]
pub(super) struct Probe {
    node: NodeId,
    number: ClientId,
    lives: u32,
    wanted: u64,
    /// The brokers store a retried send once: it numbers its sends, as all do.
    numbered: bool,
    progress: Progress,
    life: Option<madsim::task::NodeId>,
}

impl Probe {
    pub(super) fn new(
        setting: &Setting,
        scenario: &Scenario,
        number: ClientId,
        wanted: u64,
    ) -> Self {
        let node = add_node(setting);
        Self {
            node,
            number,
            lives: 0,
            wanted,
            numbered: scenario.cluster.broker.producer_dedup,
            progress: Progress::default(),
            life: None,
        }
    }

    /// Starts it anew.
    pub(super) fn start(&mut self, setting: &Setting, (topic, tags): (&str, u32)) {
        if let Some(life) = self.life.take() {
            setting.handle.kill(life);
        }
        self.progress = Progress::default();
        let plan = SendPlan {
            client: self.number,
            life: self.lives,
            topic: topic.to_owned(),
            in_flight_max: 1,
            messages: Some(self.wanted),
            pause_ns: 0,
            stop_at_ns: u64::MAX,
            body_bytes: 32..=32,
            long: None,
            tags: u64::from(tags),
            delays: Vec::new(),
            oneway_one_in: 0,
            limits: Limits::default(),
            seed: setting.seed,
        };
        let name = format!("probe-{}", self.lives);
        let mut config = ProducerConfig::new(setting.client_config(name.clone()), "probes");
        config.producer_id = self.numbered.then_some(name);
        let (recorder, progress) = (setting.recorder.clone(), self.progress.clone());
        let life = setting.spawn(self.node, |env| send(env, plan, config, recorder, progress));
        self.life = Some(life);
        self.lives += 1;
    }

    /// Ends it.
    pub(super) fn kill(&mut self, handle: &Handle) {
        if let Some(life) = self.life.take() {
            handle.kill(life);
        }
    }

    /// `None` while it is sending; then whether all was acknowledged.
    pub(super) fn outcome(&self) -> Option<bool> {
        self.progress
            .is_finished()
            .then(|| self.progress.acknowledged() == self.wanted)
    }
}

/// The last reader.
#[derive(Debug)]
pub(super) struct LastReader {
    node: NodeId,
    number: ClientId,
    life: Option<madsim::task::NodeId>,
    finished: Arc<Mutex<Option<Finished>>>,
}

impl LastReader {
    pub(super) fn new(setting: &Setting, number: ClientId) -> Self {
        Self {
            node: add_node(setting),
            number,
            life: None,
            finished: Arc::default(),
        }
    }

    /// Starts it.
    pub(super) fn start(
        &mut self,
        setting: &Setting,
        topics: Vec<(String, Vec<String>)>,
        discards: Option<String>,
        (bound_ms, settle_ms): (u64, u64),
    ) {
        let plan = FinalPlan {
            client: self.number,
            topics,
            discards,
            catch_up_ms: bound_ms,
            settle_ms,
            read_ms: bound_ms,
        };
        let config = setting.client_config("last-reader".to_owned());
        let (recorder, finished) = (setting.recorder.clone(), Arc::clone(&self.finished));
        let life = setting.spawn(self.node, |env| async move {
            let came = read_everything(env, plan, config, recorder).await;
            *finished.lock().unwrap_or_else(PoisonError::into_inner) = Some(came);
        });
        self.life = Some(life);
    }

    /// Ends it.
    pub(super) fn kill(&mut self, handle: &Handle) {
        if let Some(life) = self.life.take() {
            handle.kill(life);
        }
    }

    /// The outcome, once there is one.
    pub(super) fn finished(&self) -> Option<Finished> {
        *self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
