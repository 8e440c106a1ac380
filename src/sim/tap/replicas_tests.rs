//! Three machines, their logs and hard states written by hand: every violation is
//! planted once, in bytes, and reported.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::{Medium, Taken, Tap};
use crate::check::Promise;
use crate::check::replicas::Media;
use crate::env::{ConnId, Env};
use crate::log::{CommitLog, Identity, LogConfig, Staged, first_disk_id, format, replace_aside};
use crate::raft;
use crate::record::{EntryKind, Message};
use crate::remoting::send::SendResponse;
use crate::remoting::{MessageId, NO_BODY, ReplyTo, ResponseCode, SerializeType, encode_response};
use crate::sim::disk::{ArmedFault, DiskConfig, DiskFault, DiskModel, Survival};
use crate::sim::disk_io::{DiskIo, DiskLatency, SimDisk};
use crate::sim::env::SimEnv;
use crate::sim::latency::Latency;
use crate::sim::net::LinkConfig;
use crate::sim::random::{Purpose, Stream};
use crate::sim::world::{Inner, World, address, fire_due};

const CONFIG: LogConfig = LogConfig {
    segment_bytes: 8192,
    reserve_bytes: 0,
    replicated: false,
};
const SYNCED: Media = Media {
    log: Medium::Durable,
    hard_state: Medium::Durable,
};
const REPLY: ReplyTo = ReplyTo {
    serialize_type: SerializeType::Binary,
    opaque: 5,
    is_oneway: false,
};

/// Three brokers' machines.
struct Bench {
    world: Arc<World>,
    envs: Vec<SimEnv>,
    logs: Vec<Option<CommitLog<SimDisk>>>,
    entropy: u64,
}

impl Bench {
    fn new(media: Media) -> Self {
        let tap = Tap::of_replicas(3, 3, media, CONFIG);
        let world = Arc::new(World::new(1, LinkConfig::default(), false, tap));
        for node in 0..3 {
            let latency = DiskLatency {
                sync: Latency::uniform(1_000, 1_000),
            };
            let dice = Stream::lane(1, Purpose::Disk, node);
            let model = DiskModel::new(DiskConfig::default());
            world.add_node(DiskIo::new(node, model, latency, dice));
        }
        let process = |node| {
            let incarnation = world.process_starts(node);
            SimEnv::new(Arc::clone(&world), node, incarnation)
        };
        let envs = (0..3).map(process).collect();
        let mut bench = Self {
            world,
            envs,
            logs: vec![None, None, None],
            entropy: 0,
        };
        for node in 0..3 {
            bench.format(node, first_disk_id(1, node as u64));
            bench.hard(node, 1, None);
            bench.open(node);
        }
        bench
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            assert!(fire_due(&self.world), "it waits for nothing");
        }
    }

    fn format(&self, node: usize, disk_id: u64) {
        let identity = Identity {
            cluster_id: 1,
            node_id: node as u64,
            disk_id,
        };
        let disk = self.envs[node].disk();
        self.wait(format(&disk, identity)).expect("a blank disk");
    }

    fn hard(&self, node: usize, term: u64, vote: Option<usize>) {
        let state = raft::HardState {
            term,
            vote: vote.map(replica),
            doubt: None,
        };
        let disk = self.envs[node].disk();
        let path = raft::HARD_STATE_FILE;
        self.wait(replace_aside(&disk, path, &state.encode()))
            .expect("writes");
    }

    fn open(&mut self, node: usize) {
        self.entropy += 1;
        let disk = self.envs[node].disk();
        let opened = self.wait(CommitLog::open(disk, CONFIG, self.entropy));
        self.logs[node] = Some(opened.expect("it opens").0);
    }

    /// Stages and writes an entry on each of these nodes.
    fn write(&mut self, nodes: &[usize], term: u64, body: &[u8]) -> Staged {
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

    fn sync(&mut self, nodes: &[usize]) {
        for node in nodes {
            let mut log = self.logs[*node].take().expect("it is open");
            while let Some(job) = log.next_job() {
                log.job_done(self.wait(job)).expect("syncs");
            }
            self.logs[*node] = Some(log);
        }
    }

    fn cut(&mut self, node: usize, address: u64) {
        let mut log = self.logs[node].take().expect("it is open");
        self.wait(log.truncate(address)).expect("it cuts");
        self.logs[node] = Some(log);
    }

    fn says(&self, from: usize, to: usize, term: u64, message: raft::Message) {
        let packet = raft::Packet {
            cluster_id: 1,
            from: replica(from),
            to: replica(to),
            term,
            message,
            frames: Bytes::new(),
        };
        let mut inner = self.world.lock();
        let Inner { core, tap, .. } = &mut *inner;
        tap.peer_message(core, from as u32, &packet.encode());
    }

    fn leads(&self, node: usize, term: u64) {
        let append = raft::Append {
            request: 1,
            prev: raft::EntryId::ZERO,
            commit_index: 0,
            heads: Vec::new(),
        };
        let to = (node + 1) % 3;
        self.says(node, to, term, raft::Message::Append(append));
    }

    fn answers(&self, node: usize, to: usize, term: u64, matched_index: u64) {
        let answer = raft::AppendAnswer {
            request: 1,
            accepted: true,
            matched_index,
            last_index: matched_index,
            hint: raft::EntryId::ZERO,
            in_doubt: false,
        };
        self.says(node, to, term, raft::Message::AppendAnswer(answer));
    }

    fn acknowledges(&self, node: usize, staged: Staged) {
        let id = MessageId {
            host: address(node as u32, 1),
            address: staged.address,
        };
        let fields = SendResponse {
            msg_id: &id.to_string(),
            queue_id: 0,
            queue_offset: 0,
            transaction_id: None,
        };
        let mut frame = BytesMut::new();
        let code = ResponseCode::SUCCESS;
        encode_response(&mut frame, REPLY, code, "", &fields, NO_BODY);
        let mut inner = self.world.lock();
        let Inner {
            core, tap, disks, ..
        } = &mut *inner;
        tap.stream_write(core, disks, node as u32, ConnId(1), &frame.freeze());
    }

    /// The machine goes down; its disk is changed by `harm`; it is up again.
    fn harm(&mut self, node: usize, taken: Taken, harm: impl FnOnce(&mut DiskModel)) {
        self.logs[node] = None;
        self.world.process_dies(node as u32, true);
        {
            let mut inner = self.world.lock();
            let Inner {
                core, tap, disks, ..
            } = &mut *inner;
            harm(&mut disks[node].model);
            disks[node].machine_died();
            tap.lost_cache(core, &disks[node], node as u32, taken);
        }
        let incarnation = self.world.process_starts(node as u32);
        self.envs[node] = SimEnv::new(Arc::clone(&self.world), node as u32, incarnation);
    }

    fn power_loss(&mut self, node: usize, survival: Survival) {
        self.harm(node, Taken::Cache, |disk| {
            disk.power_loss(survival, &mut Stream::new(7, Purpose::Survival));
        });
    }

    fn findings(&self) -> Vec<Promise> {
        let mut inner = self.world.lock();
        let findings = inner.tap.take_findings().into_iter();
        findings.map(|finding| finding.promise).collect()
    }

    fn committed_end(&self) -> u64 {
        self.world.lock().tap.committed_end()
    }

    fn durable_end(&self, node: usize) -> u64 {
        let mut inner = self.world.lock();
        let Inner { tap, disks, .. } = &mut *inner;
        tap.durable_end(&disks[node], node as u32)
    }

    fn outstanding(&self) -> Vec<u32> {
        self.world.lock().tap.outstanding().into_iter().collect()
    }
}

fn replica(node: usize) -> raft::ReplicaId {
    raft::ReplicaId {
        node: node as u64,
        disk: first_disk_id(1, node as u64),
    }
}

fn message(address_: u64, body: &[u8]) -> Message<'_> {
    Message {
        queue_id: 0,
        flag: 0,
        queue_offset: 0,
        physical_offset: address_,
        sys_flag: 0,
        born_timestamp_ms: 1,
        born_host: address(1, 1),
        store_timestamp_ms: 2,
        store_host: address(0, 1),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        topic: "orders",
        properties: "",
    }
}

#[test]
fn a_majority_s_syncs_commit() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    let staged = bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0]);
    assert_eq!(bench.committed_end(), 0, "one of three");
    bench.sync(&[1]);
    assert_eq!(bench.committed_end(), staged.end_address);
    bench.answers(1, 0, 1, 1);
    bench.acknowledges(0, staged);
    assert_eq!(bench.findings(), []);
    let leader = bench.world.lock().tap.leader();
    assert_eq!(leader, Some(0));
}

#[test]
fn an_acknowledgement_before_a_majority_has_it_is_reported() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    let staged = bench.write(&[0, 1, 2], 1, b"one");
    bench.sync(&[0]);
    bench.acknowledges(0, staged);
    assert_eq!(bench.findings(), [Promise::Acknowledgement]);
    bench.answers(1, 0, 1, 1);
    assert_eq!(bench.findings(), [Promise::Acknowledgement], "a follower's");
}

#[test]
fn with_cached_acknowledgements_power_takes_and_waives() {
    let media = Media {
        log: Medium::Cached,
        hard_state: Medium::Cached,
    };
    let mut bench = Bench::new(media);
    bench.leads(0, 1);
    let staged = bench.write(&[0, 2], 1, b"one");
    bench.acknowledges(0, staged);
    assert_eq!(bench.findings(), []);
    bench.power_loss(0, Survival::None);
    assert_eq!(bench.committed_end(), staged.end_address, "it was");
    bench.open(0);
    bench.hard(0, 2, Some(1));
    bench.hard(1, 2, Some(1));
    bench.leads(1, 2);
    assert_eq!(bench.findings(), [], "nobody promised otherwise");
}

#[test]
fn a_leader_without_what_is_committed_is_reported() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0, 1]);
    bench.leads(2, 2);
    bench.leads(1, 2);
    let all = [Promise::LeaderCompleteness, Promise::ElectionSafety];
    assert_eq!(bench.findings(), all);
}

#[test]
fn a_cut_is_seen_and_what_it_breaks() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0, 1]);
    let second = bench.write(&[0], 1, b"two");
    bench.sync(&[0]);
    bench.hard(0, 2, None);
    bench.cut(0, second.address);
    assert_eq!(bench.findings(), [], "under a higher term");
    assert_eq!(bench.durable_end(0), second.address);
    let other = bench.write(&[0], 2, b"another");
    bench.sync(&[0]);
    assert_eq!(bench.durable_end(0), other.end_address);
    bench.answers(1, 0, 1, 1);
    bench.cut(1, 0);
    let all = [Promise::PromisesKept, Promise::LeaderCompleteness];
    assert_eq!(bench.findings(), all);
    bench.leads(1, 1);
}

#[test]
fn one_index_and_term_with_two_entries_is_reported() {
    let mut bench = Bench::new(SYNCED);
    bench.write(&[0], 1, b"one");
    bench.write(&[1], 1, b"other");
    bench.sync(&[0, 1]);
    assert_eq!(
        bench.findings(),
        [Promise::LogMatching, Promise::StateMachineSafety]
    );
}

#[test]
fn terms_and_votes_that_change_are_reported() {
    let mut bench = Bench::new(SYNCED);
    bench.hard(0, 3, Some(1));
    bench.says(0, 1, 3, raft::Message::VoteAnswer { granted: true });
    assert_eq!(bench.findings(), []);
    bench.says(0, 2, 3, raft::Message::VoteAnswer { granted: true });
    let both = [Promise::Acknowledgement, Promise::PromisesKept];
    assert_eq!(bench.findings(), both, "not stored, and given to another");
    bench.hard(0, 3, Some(2));
    bench.hard(0, 2, None);
    assert_eq!(
        bench.findings(),
        [Promise::PromisesKept, Promise::PromisesKept]
    );
    // A vote that is only cached is no vote yet.
    bench.harm(1, Taken::Cache, |disk| {
        disk.power_loss(Survival::None, &mut Stream::new(7, Purpose::Survival));
    });
    assert_eq!(bench.findings(), []);
}

#[test]
fn the_account_is_the_truth_over_rolls_cuts_kills_and_power_losses() {
    let mut bench = Bench::new(SYNCED);
    for life in 0..9_u64 {
        let mut cut_at = 0;
        for number in 0..12 {
            let staged = bench.write(&[0], life + 1, &[7; 900][..100 + 60 * number]);
            if number == 9 {
                cut_at = staged.address;
            }
            if number % 3 == 2 {
                bench.sync(&[0]);
            }
            let held = {
                let inner = bench.world.lock();
                inner.tap.held_now(&inner.disks[0])
            };
            assert_eq!(bench.durable_end(0), held, "life {life}, entry {number}");
        }
        bench.cut(0, cut_at);
        bench.write(&[0], life + 1, b"written and not synced");
        let survival = [Survival::None, Survival::All, Survival::Prefix][life as usize % 3];
        bench.power_loss(0, survival);
        bench.open(0);
        assert_eq!(
            bench.durable_end(0),
            bench.logs[0].as_ref().expect("open").flushed().address
        );
    }
    // The same bytes again, in the same term, after a cut: R16 of the mutants.
    assert!(
        bench
            .findings()
            .iter()
            .all(|found| *found == Promise::LogMatching)
    );
}

#[test]
fn a_blank_disk_is_outstanding_and_not_a_broken_promise() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0, 1]);
    bench.harm(1, Taken::Disk, DiskModel::replace);
    assert_eq!(bench.outstanding(), [1]);
    assert_eq!(bench.durable_end(1), 0);
    bench.format(1, 99);
    bench.hard(1, 1, None);
    bench.open(1);
    assert_eq!(bench.outstanding(), [1], "until it is promoted");
    assert!(bench.committed_end() > 0, "what was committed stays");
    assert_eq!(bench.findings(), []);
}

#[test]
fn rot_is_outstanding_and_what_was_said_is_the_ledger_s() {
    let mut bench = Bench::new(SYNCED);
    let staged = bench.write(&[1], 1, &[7; 600]);
    bench.sync(&[1]);
    bench.answers(1, 0, 1, 1);
    {
        let mut inner = bench.world.lock();
        let Inner {
            core, tap, disks, ..
        } = &mut *inner;
        let harmed = disks[1].model.harm_some_sector("commitlog/0", true, 3);
        harmed.expect("a sector with data");
        tap.harmed(core, &disks[1], 1);
    }
    assert_eq!(bench.findings(), []);
    assert!(bench.durable_end(1) < staged.end_address);
    assert_eq!(bench.outstanding(), [1]);
}

#[test]
fn a_lie_counts_as_held_until_the_power_goes() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    let lie = ArmedFault {
        times: u64::MAX,
        ..ArmedFault::next(DiskFault::LyingSync, "", 1)
    };
    bench.world.lock().disks[1].model.arm(lie);
    let staged = bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0, 1]);
    bench.acknowledges(0, staged);
    assert_eq!(bench.findings(), []);
    assert_eq!(bench.durable_end(1), 0);
    bench.world.lock().disks[1].model.disarm();
    bench.power_loss(1, Survival::None);
    assert_eq!(bench.outstanding(), [1]);
    bench.leads(2, 2);
    assert_eq!(bench.findings(), [], "waived from here on");
}
