//! Three machines, and the hand that drives logs and hard states on them.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::BASE_FILE;
use crate::check::Promise;
use crate::check::replicas::Media;
use crate::env::{ConnId, Disk as _, Env};
use crate::log::{
    CommitLog, FormatError, IDENTITY_FILE, Identity, LogConfig, LogSizes, Position, Staged, format,
    replace_atomic_file,
};
use crate::raft;
use crate::record::EntryKind;
use crate::sim::disk::{DiskModel, DiskSurvival};
use crate::sim::disk_io::SimDisk;
use crate::sim::env::SimEnv;
use crate::sim::net::LinkConfig;
use crate::sim::random::{Purpose, Stream};
use crate::sim::tap::testing::{acknowledgement, machine, message, wait};
use crate::sim::tap::{Medium, Taken, Tap};
use crate::sim::world::{Inner, World};

const CONFIG: LogConfig = LogConfig {
    sizes: LogSizes::DEFAULT,
    segment_bytes: 8192,
    reserve_bytes: 0,
    replicated: false,
};
pub(super) const SYNCED: Media = Media {
    log: Medium::Durable,
    hard_state: Medium::Durable,
};

/// Three brokers' machines.
pub(super) struct Bench {
    pub(super) world: Arc<World>,
    envs: Vec<SimEnv>,
    /// The name of each node's disk.
    disk_ids: Vec<u64>,
    pub(super) logs: Vec<Option<CommitLog<SimDisk>>>,
    entropy: u64,
}

impl Bench {
    pub(super) fn new(media: Media) -> Self {
        let tap = Tap::of_replicas(3, 3, media);
        let world = Arc::new(World::new(1, LinkConfig::default(), false, tap));
        for node in 0..3 {
            world.add_node(machine(node));
        }
        let process = |node| {
            let incarnation = world.process_starts(node);
            SimEnv::new(Arc::clone(&world), node, incarnation)
        };
        let envs = (0..3).map(process).collect();
        let mut bench = Self {
            world,
            envs,
            disk_ids: (0..3).map(first_disk).collect(),
            logs: vec![None, None, None],
            entropy: 0,
        };
        for node in 0..3 {
            bench.format(node, first_disk(node));
            bench.hard(node, 1, None);
            bench.open(node);
        }
        bench
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        wait(&self.world, future)
    }

    pub(super) fn format(&mut self, node: usize, disk_id: u64) {
        self.begin_to_format(node, disk_id).expect("a blank disk");
    }

    pub(super) fn begin_to_format(&mut self, node: usize, disk_id: u64) -> Result<(), FormatError> {
        self.disk_ids[node] = disk_id;
        let identity = Identity {
            cluster_id: 1,
            node_id: node as u64,
            disk_id,
            kind: None,
        };
        let disk = self.envs[node].disk();
        self.wait(format(&disk, identity))
    }

    pub(super) fn hard(&self, node: usize, term: u64, vote: Option<usize>) {
        self.store(node, term, vote, None);
    }

    /// A node stores that it may have had an entry of term 1 at index 2.
    pub(super) fn uncertain_tails(&self, node: usize) {
        let uncertain_tail = raft::UncertainTail {
            from_index: 2,
            term_before: 1,
            had_upto_address: 0,
        };
        self.store(node, 2, None, Some(uncertain_tail));
    }

    fn store(
        &self,
        node: usize,
        term: u64,
        vote: Option<usize>,
        uncertain_tail: Option<raft::UncertainTail>,
    ) {
        let state = raft::HardState {
            term,
            vote: vote.map(|node| self.replica(node)),
            uncertain_tail,
        };
        let disk = self.envs[node].disk();
        let path = raft::HARD_STATE_FILE;
        self.wait(replace_atomic_file(&disk, path, &state.encode()))
            .expect("writes");
    }

    /// Stores a base that stands for all up to there.
    pub(super) fn base(&self, node: usize, upto: Position) {
        let payload = serde_json::json!({
            "next_index": upto.next_index,
            "term": upto.term,
            "address": upto.address,
            "hash": upto.hash,
        });
        let state = serde_json::json!({ "head": { "configuration": "" } });
        let payload = format!("{payload}\n{state}\n");
        let disk = self.envs[node].disk();
        self.wait(replace_atomic_file(&disk, BASE_FILE, payload.as_bytes()))
            .expect("writes");
    }

    pub(super) fn open(&mut self, node: usize) {
        self.entropy += 1;
        let disk = self.envs[node].disk();
        let opened = self.wait(CommitLog::open(disk, CONFIG, self.entropy));
        self.logs[node] = Some(opened.expect("it opens").0);
    }

    /// Stages and writes an entry on each of these nodes.
    pub(super) fn write(&mut self, nodes: &[usize], term: u64, body: &[u8]) -> Staged {
        let mut staged = None;
        for node in nodes {
            let mut log = self.logs[*node].take().expect("it is open");
            let one = log.stage(EntryKind::Message, term, |at, out| {
                message(at, body).encode(out)
            });
            staged = Some(one.expect("it fits"));
            self.wait(log.write()).expect("writes");
            self.logs[*node] = Some(log);
        }
        staged.expect("a node")
    }

    pub(super) fn sync(&mut self, nodes: &[usize]) {
        for node in nodes {
            let mut log = self.logs[*node].take().expect("it is open");
            while let Some(job) = log.next_job() {
                log.job_done(self.wait(job)).expect("syncs");
            }
            self.logs[*node] = Some(log);
        }
    }

    pub(super) fn cut(&mut self, node: usize, address: u64) {
        let mut log = self.logs[node].take().expect("it is open");
        self.wait(log.truncate(address)).expect("it cuts");
        self.logs[node] = Some(log);
    }

    /// A node reads the entry at an address, and knows what of it is bad.
    pub(super) fn meets(&mut self, node: usize, address: u64) {
        let mut log = self.logs[node].take().expect("it is open");
        self.wait(log.mark_damaged(address)).expect("it reads");
        self.logs[node] = Some(log);
    }

    /// The identity gets its name once more, which is not durable yet.
    pub(super) fn renames_identity(&self, node: usize) {
        let disk = self.envs[node].disk();
        for (from, to) in [(IDENTITY_FILE, "again"), ("again", IDENTITY_FILE)] {
            self.wait(disk.rename(from, to)).expect("it is there");
        }
    }

    pub(super) fn syncs_names(&self, node: usize) {
        let disk = self.envs[node].disk();
        self.wait(disk.sync_dir("")).expect("it syncs");
    }

    fn replica(&self, node: usize) -> raft::ReplicaId {
        raft::ReplicaId {
            node: node as u64,
            disk: self.disk_ids[node],
        }
    }

    pub(super) fn says(&self, from: usize, to: usize, term: u64, message: raft::Message) {
        let packet = raft::PeerMessage {
            epoch: raft::Epoch::OLD,
            cluster_id: 1,
            from: self.replica(from),
            to: self.replica(to),
            term,
            message,
            frames: Bytes::new(),
        };
        let mut inner = self.world.lock();
        let Inner {
            core, tap, disks, ..
        } = &mut *inner;
        tap.peer_message(core, &disks[from], from as u32, &packet.encode());
    }

    pub(super) fn leads(&self, node: usize, term: u64) {
        let append = raft::Append {
            request: 1,
            prev: raft::EntryId::ZERO,
            commit_index: 0,
            heads: Vec::new(),
        };
        let to = (node + 1) % 3;
        self.says(node, to, term, raft::Message::Append(append));
    }

    pub(super) fn answers(&self, node: usize, to: usize, term: u64, matched_index: u64) {
        let answer = raft::AppendAnswer {
            request: 1,
            accepted: true,
            matched_index,
            last_index: matched_index,
            hint: raft::EntryId::ZERO,
            is_uncertain: false,
        };
        self.says(node, to, term, raft::Message::AppendAnswer(answer));
    }

    pub(super) fn acknowledges(&self, node: usize, staged: Staged) {
        let frame = acknowledgement(node as u32, staged);
        let mut inner = self.world.lock();
        let Inner {
            core, tap, disks, ..
        } = &mut *inner;
        tap.stream_write(core, disks, node as u32, ConnId(1), &frame.freeze());
    }

    /// The machine goes down; its disk is changed by `damage`; it is up again.
    pub(super) fn damage(
        &mut self,
        node: usize,
        taken: Taken,
        damage: impl FnOnce(&mut DiskModel),
    ) {
        self.logs[node] = None;
        self.world.process_dies(node as u32, true);
        {
            let mut inner = self.world.lock();
            let Inner {
                core, tap, disks, ..
            } = &mut *inner;
            damage(&mut disks[node].model);
            disks[node].machine_died();
            tap.lost_cache(core, &disks[node], node as u32, taken);
        }
        let incarnation = self.world.process_starts(node as u32);
        self.envs[node] = SimEnv::new(Arc::clone(&self.world), node as u32, incarnation);
    }

    pub(super) fn power_loss(&mut self, node: usize, survival: DiskSurvival) {
        self.damage(node, Taken::Cache, |disk| {
            disk.power_loss(survival, &mut Stream::new(7, Purpose::Survival));
        });
    }

    /// The sector in the middle of the record with that body goes bad, or that of
    /// the segment's header.
    pub(super) fn spoil(&mut self, node: usize, body: Option<u8>) {
        let path = "commitlog/00000000000000000000";
        let bytes = {
            let inner = self.world.lock();
            inner.disks[node]
                .model
                .cached_file(path)
                .expect("there")
                .to_vec()
        };
        let position = body.map_or(0, |byte| {
            let whole = [byte; 600];
            let mut records = bytes.windows(600).enumerate();
            let found = records.find(|(_, window)| *window == whole);
            found.expect("written").0 + 300
        });
        self.spoil_file(node, path, position as u64);
    }

    /// The sector there goes bad.
    pub(super) fn spoil_file(&mut self, node: usize, path: &str, position: u64) {
        let mut inner = self.world.lock();
        let Inner {
            core, tap, disks, ..
        } = &mut *inner;
        let spoilt = disks[node].model.make_unreadable(path, position);
        spoilt.expect("there");
        tap.damaged(core, &disks[node], node as u32);
    }

    pub(super) fn findings(&self) -> Vec<Promise> {
        let mut inner = self.world.lock();
        let findings = inner.tap.take_findings().into_iter();
        findings.map(|finding| finding.promise).collect()
    }

    pub(super) fn committed_end(&self) -> u64 {
        self.world.lock().tap.committed_end()
    }

    pub(super) fn durable_end(&self, node: usize) -> u64 {
        let mut inner = self.world.lock();
        let Inner { tap, disks, .. } = &mut *inner;
        tap.durable_end(&disks[node], node as u32)
    }

    pub(super) fn is_ambiguous(&self, node: usize) -> bool {
        let inner = self.world.lock();
        inner.tap.is_ambiguous(&inner.disks[node])
    }

    pub(super) fn outstanding(&self) -> Vec<u32> {
        self.world.lock().tap.outstanding().into_iter().collect()
    }
}

/// The name of a node's first disk.
fn first_disk(node: usize) -> u64 {
    100 + node as u64
}
