//! The clock's users: lazy timers, disks, dead handles.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;

use super::{Core, Due, Inner, Timers, World, address, node_of};
use crate::env::{Disk, Env, File, Net, Timer};
use crate::scenario::{BoundaryCrash, Fate, Kept};
use crate::sim::boundary::Boundaries;
use crate::sim::disk::{DiskConfig, DiskModel, DiskSpeed, DiskSurvival};
use crate::sim::disk_io::{DiskIo, DiskLatency};
use crate::sim::env::SimEnv;
use crate::sim::latency::Latency;
use crate::sim::net::LinkConfig;
use crate::sim::random::{Purpose, Stream};
use crate::sim::tap::{Medium, Tap};

const MS: u64 = 1_000_000;

#[derive(Default)]
struct Wakes(AtomicU64);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// When, and to which deadline.
type Reset = (u64, Option<u64>);

/// When a timer was woken, and how many agenda entries it took.
fn wakings(resets: &[Reset], upto_ns: u64) -> (Vec<u64>, u64) {
    let mut core = Core::of_machines(1);
    let mut timers = Timers::default();
    let timer = timers.add(0);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let (mut fired, mut entries) = (Vec::new(), 0);
    for now_ns in 0..=upto_ns {
        core.now_ns = now_ns;
        for (_, deadline_ns) in resets.iter().filter(|(at_ns, _)| *at_ns == now_ns) {
            timers.reset(&mut core, timer, *deadline_ns);
            assert!(!timers.poll(&core, timer, &waker));
        }
        while let Some(Due::Timer(due)) = core.agenda.pop_due(now_ns) {
            entries += 1;
            let before = wakes.0.load(Ordering::Relaxed);
            timers.due(&mut core, due);
            if wakes.0.load(Ordering::Relaxed) > before && timers.poll(&core, timer, &waker) {
                fired.push(now_ns);
            }
        }
    }
    (fired, entries)
}

#[test]
fn a_timer_fires_at_the_deadline_that_was_set_last() {
    let cases: &[(&[Reset], &[u64])] = &[
        (&[(0, Some(10))], &[10]),
        (&[(0, Some(10)), (5, Some(20))], &[20]),
        (&[(0, Some(20)), (5, Some(10))], &[10]),
        (&[(0, Some(20)), (5, Some(10)), (6, Some(30))], &[30]),
        (&[(0, Some(10)), (5, None)], &[]),
        (&[(0, Some(10)), (5, None), (7, Some(12))], &[12]),
        (&[(0, Some(10)), (15, Some(25))], &[10, 25]),
        (&[], &[]),
    ];
    for (resets, wanted) in cases {
        assert_eq!(wakings(resets, 50).0, *wanted, "{resets:?}");
    }
}

#[test]
fn moving_a_deadline_later_costs_no_agenda_entry() {
    let resets: Vec<_> = (0..1_000).map(|at| (at, Some(at + 10_000))).collect();
    let (fired, entries) = wakings(&resets, 12_000);
    assert_eq!(fired, [10_999]);
    assert_eq!(entries, 2, "the first deadline, and the last");
}

fn disk() -> DiskIo {
    let latency = DiskLatency {
        sync: Latency::uniform(MS, MS),
    };
    let model = DiskModel::new(DiskConfig::default());
    DiskIo::new(0, model, latency, Stream::lane(1, Purpose::Disk, 0))
}

/// A world of one broker's machine, with a process.
fn world() -> (Arc<World>, SimEnv) {
    let tap = Tap::new(1, Medium::Durable);
    let world = Arc::new(World::new(1, LinkConfig::default(), true, tap));
    let node = world.add_node(disk());
    let incarnation = world.process_starts(node);
    let env = SimEnv::new(Arc::clone(&world), node, incarnation);
    (world, env)
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The output of what needs no waiting.
fn at_once<F: Future>(future: F) -> F::Output {
    match poll(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// Fires every event that is due by `at_ns`.
fn run_to(world: &World, at_ns: u64) {
    let mut inner = world.lock();
    let Inner {
        core,
        disks,
        timers,
        ..
    } = &mut *inner;
    while let Some(next_ns) = core.agenda.next_at_ns().filter(|next| *next <= at_ns) {
        core.now_ns = next_ns;
        match core.agenda.pop_due(next_ns) {
            Some(Due::Disk(node, op)) => {
                disks[node as usize].complete(core, op);
            }
            Some(Due::Timer(timer)) => timers.due(core, timer),
            other => panic!("nothing else acts here: {other:?}"),
        }
    }
    core.now_ns = at_ns;
}

/// Whether a file synced under way was durable after the disk met `damage`, which
/// came before the sync's completion; and whether the sync returned.
fn sync_meets(damage: impl FnOnce(&World), upto_ns: u64) -> (bool, bool) {
    let (world, env) = world();
    let file = at_once(env.disk().create("f")).unwrap();
    at_once(file.write_at(0, Bytes::from_static(b"x"))).unwrap();
    let mut sync = pin!(file.sync_data());
    assert!(poll(sync.as_mut()).is_pending());
    damage(&world);
    run_to(&world, upto_ns);
    let returned = poll(sync).is_ready();
    let inner = world.lock();
    let model = &inner.disks[0].model;
    let durable = model.pending_bytes("") == 0 && model.cached_file("f").is_some();
    (durable, returned)
}

#[test]
fn a_sync_survives_its_process_and_not_its_machine() {
    assert_eq!(sync_meets(|_| (), MS / 2), (false, false), "under way");
    assert_eq!(sync_meets(|_| (), 2 * MS), (true, true));
    let kill = |world: &World| {
        world.process_dies(0, false);
        world.lock().disks[0].process_died();
    };
    assert_eq!(sync_meets(kill, 2 * MS), (true, false));
    let power_loss = |world: &World| {
        world.process_dies(0, true);
        let mut inner = world.lock();
        let mut dice = Stream::new(1, Purpose::Survival);
        inner.disks[0]
            .model
            .power_loss(DiskSurvival::None, &mut dice);
        inner.disks[0].machine_died();
    };
    assert_eq!(sync_meets(power_loss, 2 * MS), (false, false));
}

fn set_speed(world: &World, speed: DiskSpeed) {
    let mut inner = world.lock();
    let Inner { core, disks, .. } = &mut *inner;
    disks[0].set_speed(core, speed);
}

#[test]
fn a_stalled_disk_holds_what_was_begun_until_it_is_over() {
    let stall = |world: &World| set_speed(world, DiskSpeed::Stalled);
    assert_eq!(sync_meets(stall, 500 * MS), (false, false));
    let over = |world: &World| {
        stall(world);
        run_to(world, 100 * MS);
        assert_eq!(world.lock().disks[0].late_syncs(100 * MS), 1);
        set_speed(world, DiskSpeed::Normal);
    };
    assert_eq!(sync_meets(over, 102 * MS), (true, true));
}

#[test]
fn a_slow_disk_is_late_and_a_healthy_one_is_not() {
    for (extra_ns, late) in [(0, 0), (50 * MS, 1)] {
        let (world, env) = world();
        world.lock().disks[0].extra_ns = extra_ns;
        let file = at_once(env.disk().create("f")).unwrap();
        at_once(file.write_at(0, Bytes::from_static(b"x"))).unwrap();
        let mut sync = pin!(file.sync_data());
        assert!(poll(sync.as_mut()).is_pending());
        run_to(&world, 100 * MS);
        assert!(poll(sync).is_ready());
        assert_eq!(world.lock().disks[0].late_syncs(100 * MS), late);
    }
}

#[test]
fn handles_of_a_dead_process_do_nothing() {
    let (world, env) = world();
    let (mut net, mut timer, disk) = (env.net(), env.timer(), env.disk());
    at_once(net.listen(address(0, 1))).unwrap();
    let file = at_once(disk.create("f")).unwrap();
    timer.reset(Some(MS));
    world.process_dies(0, false);
    world.lock().disks[0].process_died();
    world.process_starts(0);
    let state = world.trace_state();
    net.connect(address(0, 1));
    net.send(address(0, 2), Bytes::from_static(b"x"));
    timer.reset(Some(2 * MS));
    assert!(poll(pin!(timer.fired())).is_pending());
    assert!(poll(pin!(disk.create("g"))).is_pending());
    assert!(poll(pin!(file.write_at(0, Bytes::from_static(b"x")))).is_pending());
    assert!(net.try_next().is_none());
    drop((net, timer, file));
    run_to(&world, 10 * MS);
    assert_eq!(world.trace_state(), state);
    let inner = world.lock();
    assert!(inner.disks[0].model.cached_file("g").is_none());
}

/// The content of the disk of a process that creates a file and writes to it, when
/// the power fails at that boundary: bytes of the file; and which of its calls
/// returned.
fn crashed_at(boundary: u64) -> (Option<u64>, [bool; 2]) {
    let (world, env) = world();
    let crash = BoundaryCrash {
        boundary,
        victims: vec![(0, Fate::Power(Kept::None))],
    };
    let boundaries = Boundaries::new(1, u64::MAX, &[crash], 0, false);
    world.lock().boundaries = Some(boundaries);
    let disk = env.disk();
    let mut returned = [false; 2];
    if let Poll::Ready(file) = poll(pin!(disk.create("f"))) {
        let file = file.unwrap();
        returned[0] = true;
        returned[1] = poll(pin!(file.write_at(0, Bytes::from_static(b"x")))).is_ready();
    }
    let inner = world.lock();
    assert_eq!(inner.has_fallen(), boundary < 4);
    let file = inner.disks[0].model.cached_file("f");
    (file.map(|file| file.size_bytes()), returned)
}

#[test]
fn a_process_crashed_at_a_boundary_has_done_all_before_it_and_nothing_after() {
    assert_eq!(crashed_at(1), (None, [false, false]), "before the first");
    assert_eq!(crashed_at(2), (Some(0), [false, false]), "created");
    assert_eq!(crashed_at(3), (Some(1), [true, false]), "written");
    assert_eq!(crashed_at(4), (Some(1), [true, true]), "there is no fourth");
}

#[test]
fn addresses_name_their_machine() {
    for node in [0, 1, 255, 256, 70_000] {
        assert_eq!(node_of(address(node, 10911)), node);
    }
}
