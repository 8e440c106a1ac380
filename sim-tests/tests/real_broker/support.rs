//! A broker that runs beside its clients, and a history of what they saw.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zeroloss::broker::{Broker, BrokerConfig, BrokerError, FlushDiskType};
use zeroloss::check::{
    Blame, Configuration, Ending, Evidence, Flush, Judgement, Liveness, Lost, judge,
};
use zeroloss::client::{ClientConfig, ConsumerConfig, ProducerConfig};
use zeroloss::env::real::RealEnv;
use zeroloss::env::{Env, Timer};
use zeroloss::history::{ClientId, History, Ledger, Recorder};
use zeroloss::log::{Identity, format};
use zeroloss::workload::{
    ConsumePlan, FinalPlan, Finished, Limits, Progress, SendPlan, consume, read_everything, send,
};

pub(crate) const TOPIC: &str = "OrderPaySuccessTopic";
pub(crate) const GROUP: &str = "red-packet";
/// Long enough for any machine; nothing waits for it where all goes well.
const PATIENCE_MS: u64 = 60_000;

/// A broker's directory, formatted.
pub(crate) async fn formatted() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let disk = RealEnv::new(root.path().to_owned()).unwrap().disk();
    let identity = Identity {
        cluster_id: 1,
        node_id: 0,
        disk_id: 7,
        kind: None,
    };
    format(&disk, identity).await.unwrap();
    root
}

/// Small segments, so that a few messages roll over.
pub(crate) fn config() -> BrokerConfig {
    BrokerConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        flush_disk_type: FlushDiskType::Sync,
        segment_bytes: 64 << 10,
        default_topic_queue_nums: 4,
        checkpoint_interval_ms: 20,
        reserve_bytes: 0,
        ..BrokerConfig::default()
    }
}

/// A running broker.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) told: Arc<Mutex<Vec<String>>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), BrokerError>>,
}

impl Server {
    pub(crate) async fn start(root: &Path) -> Self {
        Self::with(root, config()).await
    }

    pub(crate) async fn with(root: &Path, config: BrokerConfig) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let env = RealEnv::new(root.to_owned()).unwrap();
        let env = env.reporting_to(move |notice| tell.lock().unwrap().push(notice.to_string()));
        let broker = Broker::bind(env, config).await.unwrap();
        let address = broker.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = Handle::current().spawn(broker.run(async move {
            // A sender that is gone stops nothing: only the word does.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
        Self {
            address,
            told,
            stop,
            task,
        }
    }

    /// Ends it as a crash of its process would: nothing more is done.
    pub(crate) async fn drop_dead(self) {
        self.task.abort();
        let ended = self.task.await;
        assert!(ended.is_err_and(|ended| ended.is_cancelled()));
    }

    pub(crate) async fn stop_cleanly(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<(), BrokerError> {
        self.task.await.unwrap()
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    /// The findings of the opening of the store.
    pub(crate) fn first_report(&self) -> String {
        self.told.lock().unwrap()[0].clone()
    }
}

/// The clients' side of a test: one clock, one history.
pub(crate) struct Clients {
    pub(crate) env: RealEnv,
    pub(crate) recorder: Recorder,
    _root: tempfile::TempDir,
}

impl Clients {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self {
            env: RealEnv::new(root.path().to_owned()).unwrap(),
            recorder: Recorder::default(),
            _root: root,
        }
    }

    pub(crate) fn config(&self, client: ClientId, brokers: &[SocketAddr]) -> ClientConfig {
        ClientConfig::new(format!("client-{client}"), brokers.to_vec())
    }

    /// Sends in the background; `None` goes on until the task is aborted.
    pub(crate) fn sending(
        &self,
        client: ClientId,
        broker: SocketAddr,
        messages: Option<u64>,
    ) -> (JoinHandle<()>, Progress) {
        self.sending_to(client, &[broker], messages)
    }

    /// As [`Clients::sending`], to whichever broker leads.
    pub(crate) fn sending_to(
        &self,
        client: ClientId,
        brokers: &[SocketAddr],
        messages: Option<u64>,
    ) -> (JoinHandle<()>, Progress) {
        let plan = SendPlan {
            client,
            life: 0,
            topic: TOPIC.to_owned(),
            in_flight_max: 8,
            messages,
            pause_ns: 0,
            stop_at_ns: u64::MAX,
            body_bytes: 64..=1024,
            long: None,
            tags: 0,
            delays: Vec::new(),
            oneway_one_in: 0,
            limits: Limits::default(),
            seed: u64::from(client),
        };
        let config = ProducerConfig::new(self.config(client, brokers), "orders");
        let progress = Progress::default();
        let work = send(
            self.env.clone(),
            plan,
            config,
            self.recorder.clone(),
            progress.clone(),
        );
        (Handle::current().spawn(work), progress)
    }

    /// Sends `messages` and waits until each has ended.
    pub(crate) async fn send(&self, client: ClientId, broker: SocketAddr, messages: u64) {
        self.send_to(client, &[broker], messages).await;
    }

    /// As [`Clients::send`], to whichever broker leads.
    pub(crate) async fn send_to(&self, client: ClientId, brokers: &[SocketAddr], messages: u64) {
        let (task, _) = self.sending_to(client, brokers, Some(messages));
        task.await.unwrap();
    }

    pub(crate) fn consuming(
        &self,
        client: ClientId,
        broker: SocketAddr,
    ) -> (JoinHandle<()>, Progress) {
        self.consuming_from(client, &[broker])
    }

    /// As [`Clients::consuming`], from whichever broker leads.
    pub(crate) fn consuming_from(
        &self,
        client: ClientId,
        brokers: &[SocketAddr],
    ) -> (JoinHandle<()>, Progress) {
        let plan = ConsumePlan {
            client,
            begins_at_ns: 0..=0,
            processing_ns: 0..=100_000,
            wanted: None,
            failing: None,
            equal_ids: false,
            stays: None,
            seed: 5,
        };
        let mut config = ConsumerConfig::new(self.config(client, brokers), GROUP, TOPIC);
        config.commit_interval_ms = 50;
        let progress = Progress::default();
        let work = consume(
            self.env.clone(),
            plan,
            config,
            self.recorder.clone(),
            progress.clone(),
        );
        (Handle::current().spawn(work), progress)
    }

    /// Reads everything as somebody who was never there before, and judges all
    /// that was recorded. `restarted_ns` is when the broker was there again.
    pub(crate) async fn read_and_judge(
        &self,
        broker: SocketAddr,
        restarted_ns: u64,
    ) -> (History, Judgement) {
        self.read_all_and_judge(&[broker], restarted_ns).await
    }

    /// As [`Clients::read_and_judge`], from whichever broker leads.
    pub(crate) async fn read_all_and_judge(
        &self,
        brokers: &[SocketAddr],
        restarted_ns: u64,
    ) -> (History, Judgement) {
        let plan = FinalPlan {
            discards: None,
            client: 99,
            topics: vec![(TOPIC.to_owned(), vec![GROUP.to_owned()])],
            catch_up_ms: PATIENCE_MS,
            settle_ms: 0,
            read_ms: PATIENCE_MS,
        };
        let config = self.config(99, brokers);
        let recorder = self.recorder.clone();
        let finished = read_everything(self.env.clone(), plan, config, recorder).await;
        assert!(finished.read, "everything can be read");
        let history = self.recorder.take();
        let judgement = judged(&history, finished, restarted_ns);
        (history, judgement)
    }

    /// Looks again and again until `done`.
    pub(crate) async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline_ns = self.env.now_ns() + PATIENCE_MS * 1_000_000;
        let mut pause = self.env.timer();
        while !done() {
            assert!(self.env.now_ns() < deadline_ns, "no end of waiting: {what}");
            pause.reset(Some(self.env.now_ns() + 1_000_000));
            pause.fired().await;
        }
    }
}

/// The verdict of the checkers of simulations about a history without faults.
pub(crate) fn judged(history: &History, finished: Finished, restarted_ns: u64) -> Judgement {
    judge(Evidence {
        configuration: Configuration::single(Flush::Sync),
        faultless: true,
        lacks: false,
        history,
        ledger: &Ledger::default(),
        blame: &|_: &Lost| Blame::StillHeld,
        commit_facts: &[],
        oracle: Vec::new(),
        waived: Vec::new(),
        has_lapsed: false,
        liveness: Liveness {
            core: true,
            healed_ns: restarted_ns,
            bound_ns: PATIENCE_MS * 1_000_000,
            // The last message of all serves as the probe.
            probed_ns: finished.caught_up_ns,
            caught_up_ns: finished.caught_up_ns,
            level_ns: finished.caught_up_ns,
            held_in_the_end: Vec::new(),
            leaderships_ns: Vec::new(),
            operations_ns: Vec::new(),
        },
        ending: Ending::Completed,
    })
}
