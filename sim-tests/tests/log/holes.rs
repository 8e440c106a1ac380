//! Rot that whole entries follow: exactly what rotted is missing, and comes back
//! from another replica (D12, D24).

use bytes::Bytes;
use zeroloss::env::{Disk, File};
use zeroloss::log::{COMMIT_LOG_DIR, CommitLog, Hole, OpenError, Position, Recovery, RepairError};
use zeroloss::record::{Parsed, parse};
use zeroloss::sim::disk::{DiskModel, DiskSurvival, RotKind, StepDisk, block_on};
use zeroloss::sim::random::{Purpose, Stream};

use crate::chain::{Chain, assert_is, holdings, log_part, open_at, try_open_at};
use crate::damage::read_file;
use crate::support::*;

/// Entries on a replica's disk, in groups of various sizes over several
/// segments, with marks and starts in between.
fn replica_of(chain: &Chain, seed: u64) -> DiskModel {
    let disk = boot(&formatted());
    let mut dice = Stream::new(seed, Purpose::Workload);
    block_on(async {
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        for frame in &chain.frames {
            log.stage_frame(frame).unwrap();
            match dice.below(12) {
                0 => drop(log.write().await.unwrap()),
                1..6 => drop(flush(&mut log).await.unwrap()),
                6 => {
                    flush(&mut log).await.unwrap();
                    log.write_mark().await.unwrap();
                }
                7 => {
                    flush(&mut log).await.unwrap();
                    log = try_open_at(&disk, Position::START).await.unwrap().0;
                }
                8 => {
                    log.close().await.unwrap();
                    log = try_open_at(&disk, Position::START).await.unwrap().0;
                }
                _ => {}
            }
        }
        flush(&mut log).await.unwrap();
    });
    let model = disk.model().clone();
    reborn(&model)
}

fn chain(seed: u64) -> Chain {
    let mut dice = Stream::new(seed, Purpose::Workload);
    let lengths: Vec<_> = (0..30)
        .map(|_| match dice.below(8) {
            0 => 1000 + dice.below(1500),
            _ => 8 + dice.below(400),
        })
        .collect();
    Chain::of(30, |number| lengths[number as usize])
}

/// Where an entry stands.
#[derive(Debug, Clone)]
struct Standing {
    path: String,
    bytes: std::ops::Range<usize>,
    index: u64,
}

/// All entries, read off the undamaged disk byte by byte.
fn standings(disk: &StepDisk) -> Vec<Standing> {
    let mut found = Vec::new();
    let names = block_on(disk.list(COMMIT_LOG_DIR)).unwrap();
    for (number, name) in names.iter().enumerate() {
        // Entries that a newer segment took over still stand in the older one.
        let next = names.get(number + 1).map(|next| next.parse().unwrap());
        let path = format!("{COMMIT_LOG_DIR}/{name}");
        let file = block_on(read_file(disk, &path));
        let incarnation = u64::from_be_bytes(file[24..32].try_into().unwrap());
        for at in 512..file.len() {
            if let Parsed::Entry(entry) = parse(&file[at..], incarnation, at as u64)
                && next.is_none_or(|next: u64| entry.log.address < next)
            {
                found.push(Standing {
                    path: path.clone(),
                    bytes: at..at + entry.log.framed_bytes() as usize,
                    index: entry.log.index,
                });
            }
        }
    }
    found
}

/// Sectors that rot: of which file, and which.
#[derive(Debug, Clone)]
struct Rot {
    path: String,
    sectors: Vec<usize>,
    kind: RotKind,
    unreadable: bool,
}

fn rot(disk: &StepDisk, dice: &mut Stream) -> Rot {
    let names = block_on(disk.list(COMMIT_LOG_DIR)).unwrap();
    let name = &names[dice.below(names.len() as u64) as usize];
    let path = format!("{COMMIT_LOG_DIR}/{name}");
    let count = block_on(read_file(disk, &path)).len() / 512;
    let sectors = match dice.below(8) {
        // The whole file; its header alone; a stretch; single ones.
        0 => (0..count).collect(),
        1 => vec![0],
        2 | 3 => {
            let from = 1 + dice.below(count as u64 - 1) as usize;
            (from..count.min(from + 1 + dice.below(4) as usize)).collect()
        }
        _ => {
            let mut sector = || 1 + dice.below(count as u64 - 1) as usize;
            vec![sector(), sector()]
        }
    };
    let kinds = [RotKind::Bit, RotKind::Zeros, RotKind::Garbage];
    Rot {
        path,
        sectors,
        kind: kinds[dice.below(3) as usize],
        unreadable: dice.below(4) == 0,
    }
}

impl Rot {
    fn befall(&self, model: &mut DiskModel, seed: u64) {
        for sector in &self.sectors {
            let position = (sector * 512) as u64;
            match self.unreadable {
                true => model.make_unreadable(&self.path, position).unwrap(),
                false => model.rot(&self.path, position, self.kind, seed).unwrap(),
            }
        }
    }
}

/// The indices of which not a bit has changed. Where a header has rotted, the
/// rest of the file can be placed only by its first entry or by the end of the
/// one before.
fn untouched(before: &StepDisk, after: &DiskModel, rots: &[Rot]) -> Vec<u64> {
    let readable = boot(after);
    let standings = standings(before);
    let same = |standing: &Standing| {
        block_on(async {
            let (path, from) = (&standing.path, standing.bytes.start as u64);
            let length = standing.bytes.len();
            let old = before.open(path).await.unwrap();
            let new = readable.open(path).await.unwrap();
            let old = old.read_at(from, length).await.unwrap();
            new.read_at(from, length).await.is_ok_and(|new| new == old)
        })
    };
    let mut indices: Vec<u64> = Vec::new();
    let mut placed = true;
    for (number, standing) in standings.iter().enumerate() {
        let before = number.checked_sub(1).map(|before| &standings[before]);
        if before.is_none_or(|before| before.path != standing.path) {
            let corrupt_header = |rot: &Rot| rot.path == standing.path && rot.sectors.contains(&0);
            let reached = before.is_none_or(|before| indices.contains(&before.index));
            placed = !rots.iter().any(corrupt_header) || reached || same(standing);
        }
        if placed && same(standing) {
            indices.push(standing.index);
        }
    }
    indices
}

/// Opens as an owner does that keeps all it can.
async fn open_keeping(disk: &StepDisk, context: &str) -> (Log, Recovery, bool) {
    match try_open_at(disk, Position::START).await {
        Ok((log, recovery)) => (log, recovery, false),
        Err(OpenError::TailUncertain(_)) => {
            let config = replica(disk);
            let kept = CommitLog::open_keeping_uncertain_tail(
                disk.clone(),
                config,
                Position::START,
                ENTROPY + 1,
            );
            let (log, recovery) = kept.await.unwrap();
            (log, recovery, true)
        }
        Err(error) => panic!("{context}: {error}"),
    }
}

/// Fills the holes, in any order, and the end.
async fn heal(log: &mut Log, chain: &Chain, dice: &mut Stream) {
    while !log.holes().is_empty() {
        let number = dice.below(log.holes().len() as u64) as usize;
        let hole = log.holes()[number];
        log.repair(hole, frames_of(chain, hole)).await.unwrap();
    }
    for frame in &chain.frames[log.tail().next_index as usize - 1..] {
        log.stage_frame(frame).unwrap();
    }
    flush(log).await.unwrap();
}

fn frames_of(chain: &Chain, hole: Hole) -> &[Bytes] {
    chain.range(hole.from.next_index, hole.upto.next_index)
}

#[derive(Debug, Default)]
struct Seen {
    holes: u64,
    uncertain_tails: u64,
    both: u64,
    segments: u64,
}

/// Every entry without a changed bit is held, whatever else rotted; and the rest
/// comes back, byte for byte, for good.
#[test]
fn a_hole_is_as_small_as_the_damage_and_is_filled_for_good() {
    let mut seen = Seen::default();
    for seed in 0..10 {
        let chain = chain(seed);
        let model = replica_of(&chain, seed);
        let mut dice = Stream::new(seed, Purpose::Faults);
        for number in 0..60 {
            let before = boot(&model);
            let rots: Vec<_> = (0..1 + dice.below(3))
                .map(|_| rot(&before, &mut dice))
                .collect();
            let mut rotten = model.clone();
            for rot in &rots {
                rot.befall(&mut rotten, dice.next_u64());
            }
            let context = format!("seed {seed}, number {number}, {rots:?}");
            let disk = boot(&rotten);
            let (mut log, recovery, uncertain) = block_on(open_keeping(&disk, &context));
            assert_eq!(recovery.holes, log.holes(), "{context}");
            block_on(assert_is(&log, &chain, &context));
            let held = block_on(holdings(&log));
            for index in untouched(&before, &rotten, &rots) {
                let held = held.get(index as usize - 1);
                assert!(held.is_some_and(Option::is_some), "{context}: lost {index}");
            }
            let holes = !log.holes().is_empty();
            seen.holes += u64::from(holes);
            seen.uncertain_tails += u64::from(uncertain);
            seen.both += u64::from(holes && uncertain);
            let entries = |hole: &Hole| hole.upto.next_index - hole.from.next_index;
            seen.segments += u64::from(log.holes().iter().any(|hole| entries(hole) > 3));
            block_on(heal(&mut log, &chain, &mut dice));
            block_on(is_whole(&log, &chain, &context));
            let dark = boot(&powerless(&disk.model(), DiskSurvival::None, 0));
            let (log, _, uncertain_tail) = block_on(open_at(&dark, Position::START)).unwrap();
            assert!(uncertain_tail.is_none(), "{context}: {uncertain_tail:?}");
            block_on(is_whole(&log, &chain, &format!("{context}, dark")));
        }
    }
    assert!(seen.holes > 100 && seen.uncertain_tails > 30, "{seen:?}");
    assert!(seen.both > 10 && seen.segments > 30, "{seen:?}");
}

/// A log with holes is cut where any of its entries or holes begins: the place is
/// left by what comes later, for good, and all below stays as it was. A hole may
/// stand at the log's very beginning, with no segment at or below it.
#[test]
fn a_log_with_holes_is_cut_at_any_of_its_places() {
    let (mut at_holes, mut at_the_beginning) = (0, 0);
    for seed in 0..10 {
        let chain = chain(seed);
        let model = replica_of(&chain, seed);
        let mut dice = Stream::new(seed, Purpose::Faults);
        for number in 0..60 {
            let mut rotten = model.clone();
            let rots: Vec<_> = (0..1 + dice.below(3))
                .map(|_| rot(&boot(&model), &mut dice))
                .collect();
            for rot in &rots {
                rot.befall(&mut rotten, dice.next_u64());
            }
            let context = format!("seed {seed}, number {number}, {rots:?}");
            let disk = boot(&rotten);
            let (mut log, _, _) = block_on(open_keeping(&disk, &context));
            let places = places_to_cut(&log, &chain);
            let place = places[dice.below(places.len() as u64) as usize];
            let below: Vec<Hole> = log.holes().to_vec();
            at_holes += u64::from(below.iter().any(|hole| hole.from == place));
            at_the_beginning += u64::from(place == Position::START);
            block_on(log.truncate(place.address)).unwrap();
            assert_eq!(log.tail(), place, "{context}");
            assert!(
                log.holes().iter().all(|hole| below.contains(hole)),
                "{context}"
            );
            block_on(assert_is(&log, &chain, &context));
            block_on(heal(&mut log, &chain, &mut dice));
            block_on(is_whole(&log, &chain, &context));
            let dark = boot(&powerless(&disk.model(), DiskSurvival::None, 0));
            let (log, _, uncertain_tail) = block_on(open_at(&dark, Position::START)).unwrap();
            assert!(uncertain_tail.is_none(), "{context}: {uncertain_tail:?}");
            block_on(is_whole(&log, &chain, &format!("{context}, dark")));
        }
    }
    assert!(
        at_holes > 30 && at_the_beginning > 10,
        "{at_holes} {at_the_beginning}"
    );
}

/// Where each hole begins, and the places between entries that are not inside one,
/// nor right behind it: the last term is unknown there, and its owner fills a hole
/// before it cuts anything above.
fn places_to_cut(log: &Log, chain: &Chain) -> Vec<Position> {
    let holes = log.holes();
    let inside = |index: u64| {
        let mut within = holes.iter();
        within.any(|hole| hole.from.next_index < index && index <= hole.upto.next_index)
    };
    let ends = 1..log.appended().next_index;
    let mut places: Vec<Position> = ends
        .filter(|index| !inside(*index))
        .map(|index| chain.at(index))
        .collect();
    // A hole is rarer than an entry, and is to be cut as often.
    let entries = places.len();
    while places.len() < 2 * entries && !holes.is_empty() {
        places.extend(holes.iter().map(|hole| hole.from));
    }
    places
}

async fn is_whole(log: &Log, chain: &Chain, context: &str) {
    assert_eq!(log.holes(), [], "{context}");
    let whole: Vec<_> = chain.frames.iter().map(|f| Some(log_part(f))).collect();
    assert_eq!(holdings(log).await, whole, "{context}");
    assert_is(log, chain, context).await;
}

/// Rot of every single sector of a log whose end is marked: nothing is uncertain
/// but the last one's own, and a repair may crash anywhere.
#[test]
fn a_repair_may_crash_anywhere() {
    let chain = chain(3);
    let model = replica_of(&chain, 3);
    let names = block_on(boot(&model).list(COMMIT_LOG_DIR)).unwrap();
    let mut repaired = 0;
    for name in &names {
        for sector in 0..8 {
            let mut rotten = model.clone();
            let path = format!("{COMMIT_LOG_DIR}/{name}");
            rotten
                .rot(&path, sector * 512, RotKind::Garbage, sector)
                .unwrap();
            for crash in operations() {
                let disk = boot(&rotten);
                let (mut log, _, _) = block_on(open_keeping(&disk, "before the crash"));
                let Some(hole) = log.first_hole() else { break };
                disk.crash_at(disk.operations() + crash);
                let done = block_on(log.repair(hole, frames_of(&chain, hole))).is_ok();
                let crashed = disk.model().clone();
                for survival in DiskSurvival::ALL {
                    let context = format!("{path}, sector {sector}, crash {crash}, {survival:?}");
                    let dead = powerless(&crashed, survival, crash);
                    after_a_repair(&dead, &chain, hole, done, &context);
                }
                after_a_repair(&reborn(&crashed), &chain, hole, done, "killed");
                if done {
                    repaired += 1;
                    break;
                }
            }
        }
    }
    assert!(repaired > 10, "{repaired}");
}

/// The hole or the whole log, nothing between, and never less than before.
fn after_a_repair(dead: &DiskModel, chain: &Chain, hole: Hole, done: bool, context: &str) {
    let disk = boot(dead);
    let (mut log, _, _) = block_on(open_keeping(&disk, context));
    block_on(assert_is(&log, chain, context));
    let same = |left: &Hole| left.from.next_index == hole.from.next_index;
    match log.holes() {
        [] => {}
        [left] if same(left) && !done => {}
        holes => panic!("{context}: {holes:?}"),
    }
    let held = block_on(holdings(&log));
    for index in (1..log.appended().next_index)
        .filter(|index| !(hole.from.next_index..hole.upto.next_index).contains(index))
    {
        assert!(held[index as usize - 1].is_some(), "{context}: {index}");
    }
    block_on(heal(&mut log, chain, &mut Stream::new(0, Purpose::Faults)));
    block_on(is_whole(&log, chain, context));
}

/// No entry stands in a header's sector: whatever its rot, each segment is
/// written anew from its own entries, wherever that crashes.
#[test]
fn a_header_that_rots_takes_no_entry_with_it() {
    let chain = chain(4);
    let model = replica_of(&chain, 4);
    let names = block_on(boot(&model).list(COMMIT_LOG_DIR)).unwrap();
    // The last one is new and empty: what it may have held is uncertain.
    for name in &names {
        let mut rotten = model.clone();
        let path = format!("{COMMIT_LOG_DIR}/{name}");
        rotten.rot(&path, 0, RotKind::Garbage, 7).unwrap();
        for crash in operations() {
            let disk = boot(&rotten);
            disk.crash_at(crash);
            let done = block_on(open_at(&disk, Position::START)).is_ok();
            for survival in DiskSurvival::ALL {
                let context = format!("{path}, crash {crash}, {survival:?}");
                let dead = boot(&powerless(&disk.model(), survival, crash));
                let (log, _, _) = block_on(open_keeping(&dead, &context));
                block_on(is_whole(&log, &chain, &context));
            }
            if done {
                break;
            }
        }
    }
}

/// A whole segment that is gone from the directory.
#[test]
fn a_missing_segment_is_a_hole_and_comes_back() {
    let chain = chain(5);
    let model = replica_of(&chain, 5);
    let names = block_on(boot(&model).list(COMMIT_LOG_DIR)).unwrap();
    for gone in 0..names.len() - 1 {
        for neighbours in 1..3 {
            let disk = boot(&model);
            let missing = &names[gone..(gone + neighbours).min(names.len() - 1)];
            for name in missing {
                block_on(disk.remove(&format!("{COMMIT_LOG_DIR}/{name}"))).unwrap();
            }
            let context = format!("{missing:?}");
            let (mut log, recovery, uncertain) = block_on(open_keeping(&disk, &context));
            assert!(!uncertain, "{context}");
            assert_eq!(recovery.holes.len(), 1, "{context}");
            block_on(assert_is(&log, &chain, &context));
            block_on(heal(&mut log, &chain, &mut Stream::new(1, Purpose::Faults)));
            block_on(is_whole(&log, &chain, &context));
            let dark = boot(&powerless(&disk.model(), DiskSurvival::None, 0));
            let log = block_on(try_open_at(&dark, Position::START)).unwrap().0;
            block_on(is_whole(&log, &chain, &context));
        }
    }
}

/// Only what stood there fills a hole.
#[test]
fn a_hole_is_filled_with_what_stood_there_and_with_nothing_else() {
    let chain = chain(3);
    let mut model = replica_of(&chain, 3);
    let names = block_on(boot(&model).list(COMMIT_LOG_DIR)).unwrap();
    let path = format!("{COMMIT_LOG_DIR}/{}", names[1]);
    model.rot(&path, 1024, RotKind::Garbage, 1).unwrap();
    let disk = boot(&model);
    let (mut log, _, _) = block_on(open_keeping(&disk, ""));
    let hole = log.first_hole().unwrap();
    let right = frames_of(&chain, hole).to_vec();
    let mut other = chain.clone();
    other.truncate(hole.from.next_index as usize - 1);
    let length = right.last().unwrap().len() as u64 - ENVELOPE_BYTES;
    for frame in &right {
        let number = frame.len() as u64;
        other.push(
            chain.at(hole.upto.next_index).term,
            &record(number ^ 1, length),
        );
    }
    let operations = disk.operations();
    let mut refused = |frames: &[Bytes]| block_on(log.repair(hole, frames)).unwrap_err();
    assert!(matches!(refused(&[]), RepairError::NotTheSame));
    let others = other.range(hole.from.next_index, hole.upto.next_index);
    assert!(matches!(refused(others), RepairError::NotTheSame));
    let mut rotten = right[0].to_vec();
    rotten[90] ^= 1;
    let rotten = [&[rotten.into()], &right[1..]].concat();
    assert!(matches!(refused(&rotten), RepairError::Frame(_)));
    let beyond = chain.range(hole.from.next_index, hole.upto.next_index + 1);
    assert!(matches!(refused(beyond), RepairError::NotTheSame));
    assert_eq!(disk.operations(), operations, "nothing was written");
    block_on(log.repair(hole, &right)).unwrap();
    let again = block_on(log.repair(hole, &right));
    assert!(matches!(again, Err(RepairError::NoSuchHole)));
}

/// The segment that is appended to: writes go on in the repaired file, what was
/// only cached is durable with it, what is staged comes behind.
#[test]
fn the_last_segment_is_repaired_while_the_log_goes_on() {
    let chain = Chain::of(12, |_| 200);
    let disk = boot(&formatted());
    block_on(async {
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        for frame in &chain.frames[..6] {
            log.stage_frame(frame).unwrap();
            flush(&mut log).await.unwrap();
        }
        log.stage_frame(&chain.frames[6]).unwrap();
        log.write().await.unwrap();
        log.stage_frame(&chain.frames[7]).unwrap();
        let path = "commitlog/00000000000000000000";
        disk.model().rot(path, 1024, RotKind::Bit, 3).unwrap();
        let address = chain.at(2).address;
        let hole = log.mark_damaged(address).await.unwrap().unwrap();
        assert_eq!((hole.from, hole.upto), (chain.at(2), chain.at(3)));
        assert_eq!(log.mark_damaged(address).await.unwrap(), None);
        assert_eq!(log.mark_damaged(0).await.unwrap(), None, "it is whole");
        log.repair(hole, chain.range(2, 3)).await.unwrap();
        assert_eq!(log.flushed(), chain.at(8), "what was cached is durable");
        for frame in &chain.frames[8..] {
            log.stage_frame(frame).unwrap();
        }
        flush(&mut log).await.unwrap();
        is_whole(&log, &chain, "at once").await;
        let dark = boot(&powerless(&disk.model(), DiskSurvival::None, 0));
        let log = try_open_at(&dark, Position::START).await.unwrap().0;
        is_whole(&log, &chain, "dark").await;
    });
}

#[test]
fn holes_are_found_and_filled_on_a_real_disk() {
    on_real(async |disk| {
        let chain = Chain::of(60, |number| 300 + 40 * number);
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        for frame in &chain.frames {
            log.stage_frame(frame).unwrap();
            flush(&mut log).await.unwrap();
        }
        drop(log);
        let names = disk.list(COMMIT_LOG_DIR).await.unwrap();
        let sector = disk.sector_bytes() as u64;
        for (name, position) in [(0, sector + 100), (1, 2 * sector + 7), (2, 40)] {
            let path = format!("{COMMIT_LOG_DIR}/{}", names[name]);
            crate::files::scribble(&disk, &path, position, b"rotten").await;
        }
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        assert_eq!(log.holes().len(), 2, "a header is no entry");
        assert_is(&log, &chain, "with holes").await;
        while let Some(hole) = log.first_hole() {
            log.repair(hole, frames_of(&chain, hole)).await.unwrap();
        }
        drop(log);
        let log = try_open_at(&disk, Position::START).await.unwrap().0;
        assert_eq!(log.holes(), []);
        let whole: Vec<_> = chain.frames.iter().map(|f| Some(log_part(f))).collect();
        assert_eq!(holdings(&log).await, whole);
    });
}
