//! A bare skeleton: the deliveries and disk operations of a run with no broker,
//! no protocol and no judgement in them. What a run costs beside it is what the
//! product and its checks cost.
//!
//! Clients keep a number of requests in flight; a server writes what arrived
//! while it was syncing, syncs, and answers: a group commit of empty bytes.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use madsim::runtime::{Handle, Runtime};

use super::costs::RunCosts;
use super::disk::{DiskConfig, DiskModel};
use super::disk_io::{DiskIo, DiskLatency};
use super::env::SimEnv;
use super::net::LinkConfig;
use super::random::{Purpose, Stream};
use super::tap::Tap;
use super::world::{World, address, drive};
use crate::env::{ConnId, Disk, Env, File, Net, NetEvent};

/// What a skeleton does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SkeletonPlan {
    /// How many clients.
    pub clients: u32,
    /// Requests that each keeps in flight.
    pub in_flight: u64,
    /// What the run beside it cost: as many deliveries and disk operations are
    /// made, of as many bytes.
    pub like: RunCosts,
    /// Every link.
    pub link: LinkConfig,
    /// The server's disk.
    pub disk: DiskLatency,
}

const PORT: u16 = 10911;
const TICK_NS: u64 = 10_000_000;
const TICK: u64 = 0;

/// Runs the skeleton with `seed`; returns what it did. To be called on a fresh
/// thread, as [`super::run`].
pub fn run_skeleton(plan: &SkeletonPlan, seed: u64) -> RunCosts {
    let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.block_on(run_here(plan, seed))
}

async fn run_here(plan: &SkeletonPlan, seed: u64) -> RunCosts {
    let world = Arc::new(World::new(seed, plan.link, false, Tap::none()));
    let handle = Handle::current();
    let served = Arc::new(AtomicU64::new(0));
    let mut nodes = Vec::new();
    for number in 0..=plan.clients {
        let model = DiskModel::new(DiskConfig::default());
        let random = Stream::lane(seed, Purpose::Disk, number);
        let node = world.add_node(DiskIo::new(number, model, plan.disk, random));
        let env = SimEnv::new(Arc::clone(&world), node, world.process_starts(node));
        let process = handle.create_node().build();
        if number == 0 {
            drop(process.spawn(Server::start(env, *plan, Arc::clone(&served))));
        } else {
            drop(process.spawn(client(env, *plan)));
        }
        nodes.push(process.id());
    }
    let wanted = exchanges(plan);
    world.plan_control(TICK_NS, TICK);
    drive(&world, u64::MAX, |_| {
        world.plan_control(world.now_ns() + TICK_NS, TICK);
        match served.load(Ordering::Relaxed) >= wanted {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })
    .await;
    let costs = RunCosts::of(&world, served.load(Ordering::Relaxed));
    for node in nodes {
        handle.kill(node);
    }
    madsim::time::sleep(Duration::from_millis(5)).await;
    costs
}

/// A request and an answer are two deliveries.
fn exchanges(plan: &SkeletonPlan) -> u64 {
    plan.like.deliveries / 2
}

fn delivery_bytes(plan: &SkeletonPlan) -> usize {
    (plan.like.delivered_bytes / plan.like.deliveries.max(1)).max(1) as usize
}

async fn client(env: SimEnv, plan: SkeletonPlan) {
    let request = Bytes::from(vec![1; delivery_bytes(&plan)]);
    let mut net = env.net();
    let conn = net.connect(address(0, PORT));
    for _ in 0..plan.in_flight {
        net.write(conn, request.clone());
    }
    let mut received = 0;
    loop {
        if let NetEvent::Data { bytes, .. } = net.next().await {
            received += bytes.len();
            // A stream cuts anywhere: an answer may come in pieces.
            while received >= request.len() {
                received -= request.len();
                net.write(conn, request.clone());
            }
        }
    }
}

struct Server<D: Disk> {
    plan: SkeletonPlan,
    file: D::File,
    written_bytes: u64,
    /// Bytes of requests that have not come whole.
    received: BTreeMap<ConnId, usize>,
    /// Came since the last group was written.
    waiting: Vec<ConnId>,
    /// Written, and syncing.
    syncing: Vec<ConnId>,
}

impl Server<<SimEnv as Env>::Disk> {
    async fn start(env: SimEnv, plan: SkeletonPlan, served: Arc<AtomicU64>) {
        let disk = env.disk();
        let file = disk.create("log").await.expect("a blank disk");
        let mut net = env.net();
        net.listen(address(0, PORT))
            .await
            .expect("nobody else listens");
        Self {
            plan,
            file,
            written_bytes: 0,
            received: BTreeMap::new(),
            waiting: Vec::new(),
            syncing: Vec::new(),
        }
        .serve(net, served)
        .await;
    }

    async fn serve(mut self, mut net: impl Net, served: Arc<AtomicU64>) {
        let answer = Bytes::from(vec![2; delivery_bytes(&self.plan)]);
        let mut sync: Option<Pin<Box<dyn Future<Output = _> + Send>>> = None;
        loop {
            let event = poll_fn(|context| {
                if let Some(running) = &mut sync
                    && let Poll::Ready(done) = running.as_mut().poll(context)
                {
                    let done: std::io::Result<()> = done;
                    done.expect("a disk without faults");
                    sync = None;
                    return Poll::Ready(None);
                }
                pin!(net.next()).poll(context).map(Some)
            })
            .await;
            let mut next = event;
            while let Some(event) = next {
                if let NetEvent::Data { conn, bytes } = event {
                    self.receive(conn, bytes.len());
                }
                next = net.try_next();
            }
            if sync.is_none() {
                for conn in self.syncing.drain(..) {
                    served.fetch_add(1, Ordering::Relaxed);
                    net.write(conn, answer.clone());
                }
                if !self.waiting.is_empty() {
                    self.write_group().await;
                    let file = self.file.clone();
                    sync = Some(Box::pin(async move { file.sync_data().await }));
                }
            }
        }
    }

    fn receive(&mut self, conn: ConnId, length: usize) {
        let received = self.received.entry(conn).or_default();
        *received += length;
        let whole = delivery_bytes(&self.plan);
        while *received >= whole {
            *received -= whole;
            self.waiting.push(conn);
        }
    }

    /// As many writes for each sync, and as many bytes for each write, as in
    /// the run beside it.
    async fn write_group(&mut self) {
        let disk = self.plan.like.disk;
        let bytes = (disk.written_bytes / disk.writes.max(1)).next_multiple_of(512) as usize;
        for _ in 0..disk.writes.div_ceil(disk.syncs.max(1)) {
            let group = Bytes::from(vec![3; bytes]);
            self.file
                .write_at(self.written_bytes % (1 << 20), group)
                .await
                .expect("no faults");
            self.written_bytes += bytes as u64;
        }
        self.syncing.append(&mut self.waiting);
    }
}
