//! The account against the truth: after every step the watermark is what a
//! recovery of the durable image finds; and what is not held is reported.

mod ends;

use std::future::Future;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};

use super::holdings::Holdings;
use super::testing::{REPLY, acknowledgement, machine, message, wait};
use super::{Medium, Taken, Tap};
use crate::broker::OffsetCommit;
use crate::check::Promise;
use crate::env::{ConnId, Disk, Env, File};
use crate::log::{CommitLog, Identity, LogConfig, LogSizes, Staged, format};
use crate::record::EntryKind;
use crate::remoting::offset::UpdateOffset;
use crate::remoting::pull::PullResponse;
use crate::remoting::{NO_BODY, ResponseCode, SerializeType, encode_request, encode_response};
use crate::sim::disk::{
    ArmedFault, DiskConfig, DiskFault, DiskModel, DiskSurvival, StepDisk, block_on,
};
use crate::sim::disk_io::{SimDisk, Synced};
use crate::sim::env::SimEnv;
use crate::sim::net::LinkConfig;
use crate::sim::random::{Purpose, Stream};
use crate::sim::world::{Inner, World};

const CONFIG: LogConfig = LogConfig {
    sizes: LogSizes::DEFAULT,
    segment_bytes: 4096,
    reserve_bytes: 0,
    replicated: false,
};
/// A stream between the broker and a client: its server's side.
const SERVER_SIDE: ConnId = ConnId(1);

/// A broker's machine, and the hand that drives a log on it.
struct Bench {
    world: Arc<World>,
    env: SimEnv,
}

impl Bench {
    fn new(medium: Medium) -> Self {
        let world = World::new(1, LinkConfig::default(), false, Tap::new(1, medium));
        let world = Arc::new(world);
        let node = world.add_node(machine(0));
        let env = Self::process(&world);
        assert_eq!(node, env.node);
        let bench = Self { world, env };
        let identity = Identity {
            cluster_id: 1,
            node_id: 1,
            disk_id: 1,
            kind: None,
        };
        bench
            .wait(format(&bench.env.disk(), identity))
            .expect("a blank disk");
        bench
    }

    fn process(world: &Arc<World>) -> SimEnv {
        let incarnation = world.process_starts(0);
        SimEnv::new(Arc::clone(world), 0, incarnation)
    }

    /// Runs a future to its end, the world with it.
    fn wait<F: Future>(&self, future: F) -> F::Output {
        wait(&self.world, future)
    }

    fn open(&self, entropy: u64) -> CommitLog<SimDisk> {
        let opened = self.wait(CommitLog::open(self.env.disk(), CONFIG, entropy));
        opened.expect("it opens").0
    }

    fn durable_end(&self) -> u64 {
        let mut inner = self.world.lock();
        let Inner { tap, disks, .. } = &mut *inner;
        tap.durable_end(&disks[0], 0)
    }

    /// The watermark, which must be the truth.
    fn exact(&self) -> u64 {
        let held = {
            let inner = self.world.lock();
            let disk = &inner.disks[0];
            let held = inner.tap.held_now(disk);
            let recovered = recovered_address(&disk.model);
            assert_eq!(
                held, recovered,
                "the image against what recovery makes of it"
            );
            held
        };
        assert_eq!(self.durable_end(), held, "the account against the disk");
        held
    }

    fn kill(&mut self) {
        self.world.process_dies(0, false);
        self.world.lock().disks[0].process_died();
        self.env = Self::process(&self.world);
    }

    fn power_loss(&mut self, survival: DiskSurvival) {
        self.world.process_dies(0, true);
        {
            let mut inner = self.world.lock();
            let Inner {
                core, tap, disks, ..
            } = &mut *inner;
            let mut dice = Stream::new(7, Purpose::Survival);
            disks[0].model.power_loss(survival, &mut dice);
            disks[0].machine_died();
            tap.lost_cache(core, &disks[0], 0, Taken::Cache);
        }
        self.env = Self::process(&self.world);
    }

    fn answers(&self, frame: BytesMut) {
        let mut inner = self.world.lock();
        let Inner {
            core, tap, disks, ..
        } = &mut *inner;
        tap.stream_write(core, disks, 0, SERVER_SIDE, &frame.freeze());
    }

    fn acknowledges(&self, staged: Staged) {
        self.answers(acknowledgement(0, staged));
    }

    fn serves(&self, record: &[u8]) {
        let fields = PullResponse {
            suggest_which_broker_id: 0,
            next_begin_offset: 1,
            min_offset: 0,
            max_offset: 1,
        };
        let mut frame = BytesMut::new();
        let code = ResponseCode::SUCCESS;
        encode_response(&mut frame, REPLY, code, "", &fields, [record]);
        self.answers(frame);
    }

    fn findings(&self) -> usize {
        let inner = self.world.lock();
        let acknowledgement =
            |finding: &&crate::check::Finding| finding.promise == Promise::Acknowledgement;
        inner.tap.findings.iter().filter(acknowledgement).count()
    }

    fn served_early(&self) -> usize {
        self.world.lock().tap.served_early.len()
    }
}

/// How far the product's recovery finds the log in a disk's durable bytes.
fn recovered_address(disk: &DiskModel) -> u64 {
    let fork = StepDisk::new(Arc::new(Mutex::new(disk.fork_durable())));
    let (log, _) = block_on(CommitLog::open(fork, CONFIG, 1)).expect("it opens");
    log.flushed().address
}

fn stage(log: &mut CommitLog<SimDisk>, body: &[u8]) -> Staged {
    let staged = log.stage(EntryKind::Message, 0, |at, out| {
        message(at, body).encode(out)
    });
    staged.expect("it fits")
}

/// Writes, syncs and rolls until all is durable; looks at every step.
fn flush(bench: &Bench, log: &mut CommitLog<SimDisk>) {
    bench.wait(log.write()).expect("writes");
    while let Some(job) = log.next_job() {
        bench.exact();
        log.job_done(bench.wait(job)).expect("syncs");
        assert_eq!(bench.exact(), log.flushed().address);
        bench.wait(log.write()).expect("writes");
    }
}

#[test]
fn a_written_entry_is_pending_until_its_sync_completes() {
    let bench = Bench::new(Medium::Durable);
    let mut log = bench.open(1);
    let staged = stage(&mut log, b"one");
    bench.wait(log.write()).expect("writes");
    assert_eq!(bench.exact(), 0);
    let job = log.next_job().expect("a sync");
    assert_eq!(bench.exact(), 0);
    log.job_done(bench.wait(job)).expect("syncs");
    assert_eq!(bench.exact(), staged.end_address);
}

#[test]
fn the_watermark_is_exact_over_rolls_kills_power_losses_and_recoveries() {
    let mut bench = Bench::new(Medium::Durable);
    for life in 0..12 {
        let mut log = bench.open(life + 1);
        assert_eq!(
            bench.exact(),
            log.flushed().address,
            "recovered, life {life}"
        );
        for number in 0..8 {
            for _ in 0..=number % 3 {
                stage(&mut log, &[7; 600][..100 + 60 * number]);
            }
            flush(&bench, &mut log);
        }
        stage(&mut log, b"written and not synced");
        bench.wait(log.write()).expect("writes");
        bench.exact();
        drop(log);
        match life % 3 {
            0 => bench.kill(),
            1 => bench.power_loss(DiskSurvival::None),
            _ => bench.power_loss(DiskSurvival::All),
        }
        bench.exact();
    }
    assert!(bench.durable_end() > 3 * CONFIG.segment_bytes, "it rolled");
}

/// A later segment is none without those before it: recovery refuses there, and the
/// operator's salvage begins anew.
#[test]
fn nothing_is_held_behind_the_first_segment_once_its_header_is_gone() {
    let mut bench = Bench::new(Medium::Durable);
    let mut log = bench.open(1);
    while log.flushed().address < 3 * CONFIG.segment_bytes {
        stage(&mut log, &[7; 600]);
        flush(&bench, &mut log);
    }
    drop(log);
    assert!(bench.exact() > 2 * CONFIG.segment_bytes, "it rolled");
    {
        let disk = &mut bench.world.lock().disks[0].model;
        let path = "commitlog/00000000000000000000";
        let handle = disk.open(path).expect("the first segment");
        disk.write(handle, 0, Bytes::from(vec![7; 512]))
            .expect("written");
        let sync = disk
            .begin_sync(handle, crate::sim::disk::SyncKind::Data)
            .expect("a sync");
        disk.finish_sync(sync).expect("it ends");
    }
    bench.power_loss(DiskSurvival::None);
    assert_eq!(bench.durable_end(), 0);
    let inner = bench.world.lock();
    assert_eq!(inner.tap.held_now(&inner.disks[0]), 0);
}

/// Segment bytes of a real log, written by hand step by step.
#[test]
fn a_segment_whose_name_is_not_durable_holds_nothing() {
    let source = Bench::new(Medium::Durable);
    let mut log = source.open(1);
    let staged = stage(&mut log, b"one");
    flush(&source, &mut log);
    let segment = {
        let inner = source.world.lock();
        let file = inner.disks[0]
            .model
            .cached_file("commitlog/00000000000000000000");
        Bytes::from(file.expect("a segment").to_vec())
    };
    let mut disk = DiskModel::new(DiskConfig::default());
    disk.create_dir("commitlog").expect("a directory");
    let root = disk.begin_sync_dir("").expect("a sync");
    disk.finish_sync_dir(root).expect("it ends");
    let mut holdings = Holdings::default();
    let handle = disk.create("commitlog/0.tmp").expect("a file");
    disk.rename("commitlog/0.tmp", "commitlog/0")
        .expect("a name");
    holdings.renamed(handle.ino, disk.last_seq(), "commitlog/0");
    let entries = segment.slice(512..1024);
    let seq = disk.write(handle, 512, entries.clone()).expect("written");
    holdings.written(
        0,
        (handle.ino, seq),
        "commitlog/0",
        512,
        &entries,
        |_, _| {},
    );
    let sync = disk
        .begin_sync(handle, crate::sim::disk::SyncKind::Data)
        .expect("a sync");
    disk.finish_sync(sync).expect("it ends");
    holdings.settle(&disk);
    assert_eq!(holdings.durable_end(&disk), 0, "no name, no entry");
    let sync = disk.begin_sync_dir("commitlog").expect("a sync");
    let done = disk.finish_sync_dir(sync).expect("it ends");
    holdings.synced(Synced::Directory {
        upto: done.upto_seq,
    });
    assert_eq!(holdings.durable_end(&disk), staged.end_address);
}

#[test]
fn an_entry_cut_off_and_written_anew_is_not_held() {
    let mut bench = Bench::new(Medium::Durable);
    let mut log = bench.open(1);
    for _ in 0..3 {
        stage(&mut log, b"x");
    }
    flush(&bench, &mut log);
    drop(log);
    let all = bench.exact();
    // The disk is blank again, and the account does not know.
    bench.kill();
    bench.world.lock().disks[0].model.replace();
    bench.env = Bench::process(&bench.world);
    let identity = Identity {
        cluster_id: 1,
        node_id: 1,
        disk_id: 2,
        kind: None,
    };
    bench
        .wait(format(&bench.env.disk(), identity))
        .expect("a blank disk");
    let mut log = bench.open(2);
    let staged = stage(&mut log, b"y");
    bench.wait(log.write()).expect("writes");
    assert!(bench.durable_end() <= staged.address, "not {all}");
    bench.acknowledges(staged);
    assert_eq!(bench.findings(), 1);
}

#[test]
fn an_acknowledgement_is_early_until_the_medium_holds_it() {
    for (medium, when_written, when_synced) in [(Medium::Durable, 1, 0), (Medium::Cached, 0, 0)] {
        let bench = Bench::new(medium);
        let mut log = bench.open(1);
        let staged = stage(&mut log, b"one");
        bench.acknowledges(staged);
        assert_eq!(bench.findings(), 1, "{medium:?}: in memory");
        bench.wait(log.write()).expect("writes");
        bench.acknowledges(staged);
        assert_eq!(bench.findings(), 1 + when_written, "{medium:?}: cached");
        flush(&bench, &mut log);
        bench.acknowledges(staged);
        let all = 1 + when_written + when_synced;
        assert_eq!(bench.findings(), all, "{medium:?}: durable");
    }
}

#[test]
fn a_record_is_served_early_until_the_medium_holds_it() {
    let bench = Bench::new(Medium::Durable);
    let mut log = bench.open(1);
    let staged = stage(&mut log, b"one");
    let mut record = Vec::new();
    message(staged.address, b"one")
        .encode(&mut record)
        .expect("a message");
    bench.wait(log.write()).expect("writes");
    bench.serves(&record);
    assert_eq!(bench.served_early(), 2, "the limit, and what was served");
    flush(&bench, &mut log);
    bench.serves(&record);
    assert_eq!(bench.served_early(), 2);
}

#[test]
fn an_offset_commit_is_early_until_its_entry_is_held() {
    let bench = Bench::new(Medium::Durable);
    let mut log = bench.open(1);
    let asks = || {
        let asked = UpdateOffset {
            consumer_group: "red-packet",
            topic: "orders",
            queue_id: 2,
            commit_offset: 9,
        };
        let mut frame = BytesMut::new();
        encode_request(
            &mut frame,
            SerializeType::Binary,
            REPLY.opaque,
            &asked,
            NO_BODY,
        );
        let mut inner = bench.world.lock();
        let Inner {
            core, tap, disks, ..
        } = &mut *inner;
        tap.stream_write(core, disks, 1, ConnId(0), &frame.freeze());
    };
    let answered = || {
        let mut frame = BytesMut::new();
        let code = ResponseCode::SUCCESS;
        encode_response(&mut frame, REPLY, code, "", &(), NO_BODY);
        bench.answers(frame);
        bench.findings()
    };
    let commit = OffsetCommit {
        group: "red-packet".to_owned(),
        topic: "orders".to_owned(),
        queue_id: 2,
        offset: 9,
    };
    let mut writes = || {
        let staged = log.stage(EntryKind::OffsetCommit, 0, |_, out| {
            commit.encode(out);
            Ok(())
        });
        staged.expect("it fits");
        bench.wait(log.write()).expect("writes");
    };
    asks();
    assert_eq!(answered(), 1, "no such entry");
    asks();
    writes();
    assert_eq!(answered(), 2, "cached");
    asks();
    writes();
    flush(&bench, &mut log);
    assert_eq!(answered(), 2, "durable");
    asks();
    assert_eq!(answered(), 3, "only the entries of what was asked before");
}

#[test]
fn an_entry_that_a_disk_lied_about_counts_as_held_and_is_counted() {
    let bench = Bench::new(Medium::Durable);
    let mut log = bench.open(1);
    let honest = stage(&mut log, b"honest");
    flush(&bench, &mut log);
    let lie = ArmedFault {
        times: u64::MAX,
        ..ArmedFault::next(DiskFault::LyingSync, "", 1)
    };
    bench.world.lock().disks[0].model.arm(lie);
    let staged = stage(&mut log, b"lied about");
    bench.wait(log.write()).expect("writes");
    bench.acknowledges(staged);
    assert_eq!(bench.findings(), 1, "before the sync there was no lie");
    let job = log.next_job().expect("a sync");
    log.job_done(bench.wait(job)).expect("it says OK");
    assert_eq!(bench.exact(), honest.end_address);
    bench.acknowledges(staged);
    assert_eq!(bench.findings(), 1);
    let inner = bench.world.lock();
    assert_eq!(inner.tap.acknowledged_on_lies(0), 2);
}

#[test]
fn a_write_to_another_file_changes_nothing() {
    let bench = Bench::new(Medium::Durable);
    let mut log = bench.open(1);
    stage(&mut log, b"x");
    flush(&bench, &mut log);
    let before = bench.exact();
    let file = bench.wait(bench.env.disk().create("other")).expect("new");
    bench
        .wait(file.write_at(0, Bytes::from_static(&[9; 600])))
        .expect("writes");
    assert_eq!(bench.exact(), before);
}
