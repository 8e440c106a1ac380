//! Where a replica's log begins: segments dropped below a base, a log begun anew
//! at an installed one, and a crash at every operation of both.

use zeroloss::env::Disk;
use zeroloss::log::{COMMIT_LOG_DIR, CommitLog, OpenError, Position, ReadError};
use zeroloss::sim::disk::{DiskModel, DiskSurvival, RotKind, StepDisk, block_on};

use crate::chain::{Chain, assert_is, holdings, open_at, try_open_at};
use crate::support::*;

/// A replica that holds a chain, flushed entry by entry.
async fn fill<D: Disk>(disk: &D, base: Position, chain: &Chain) -> CommitLog<D> {
    let mut log = try_open_at(disk, base).await.unwrap().0;
    for frame in chain.range(log.tail().next_index, chain.end().next_index) {
        log.stage_frame(frame).unwrap();
        flush(&mut log).await.unwrap();
    }
    log
}

fn filled(chain: &Chain) -> DiskModel {
    let disk = boot(&formatted());
    drop(block_on(fill(&disk, chain.base, chain)));
    let model = disk.model().clone();
    reborn(&model)
}

/// The part of a chain above a place in it.
fn above(chain: &Chain, index: u64) -> Chain {
    let mut rest = Chain::from(chain.at(index));
    rest.frames = chain.range(index, chain.end().next_index).to_vec();
    rest.ends = chain.ends[(index - chain.base.next_index) as usize..].to_vec();
    rest
}

fn segments(disk: &StepDisk) -> usize {
    block_on(disk.list(COMMIT_LOG_DIR)).unwrap().len()
}

/// The disk after the death of the process, and after every power loss.
fn deaths(model: &DiskModel, seed: u64) -> Vec<DiskModel> {
    let powerless = DiskSurvival::ALL.map(|survival| powerless(model, survival, seed));
    [vec![reborn(model)], powerless.to_vec()].concat()
}

#[test]
fn whole_segments_below_the_base_are_dropped_wherever_it_crashes() {
    let chain = Chain::of(20, |number| 200 + 40 * number);
    let model = filled(&chain);
    for index in [1, 2, 9, 13, 20, 21] {
        let rest = above(&chain, index);
        for crash in operations() {
            let disk = boot(&model);
            let mut log = block_on(try_open_at(&disk, Position::START)).unwrap().0;
            let all = segments(&disk);
            disk.crash_at(disk.operations() + crash);
            let done = block_on(log.drop_below(rest.base)).is_ok();
            if done {
                block_on(assert_is(&log, &rest, "at once"));
                assert!(index < 13 || segments(&disk) < all, "{index}");
                let below = block_on(log.read(chain.at(index).address.wrapping_sub(1), 0));
                assert!(index == 1 || matches!(below, Err(ReadError::NotAnEntry { .. })));
                let below = block_on(log.read_indices(index - 1, index, 1));
                assert!(matches!(below, Err(ReadError::NoSuchIndex { .. })));
            }
            for (number, dead) in deaths(&disk.model(), crash).into_iter().enumerate() {
                let context = format!("base {index}, crash {crash}, death {number}");
                let after = boot(&dead);
                let (log, recovery) = block_on(try_open_at(&after, rest.base)).unwrap();
                assert_eq!(recovery.holes, [], "{context}");
                block_on(assert_is(&log, &rest, &context));
                assert_eq!(log.flushed(), chain.end(), "{context}");
                goes_on(after, log, rest.clone(), &context);
            }
            if done {
                break;
            }
        }
    }
}

/// A log like any other.
fn goes_on(disk: StepDisk, mut log: Log, mut chain: Chain, context: &str) {
    chain.truncate((log.tail().next_index - chain.base.next_index) as usize);
    for number in 0..6 {
        chain.push(90, &record(number, 700));
        log.stage_frame(chain.frames.last().unwrap()).unwrap();
        block_on(flush(&mut log)).unwrap();
    }
    block_on(assert_is(&log, &chain, context));
    drop(log);
    let dark = boot(&powerless(&disk.model(), DiskSurvival::None, 0));
    let (log, _, uncertain_tail) = block_on(open_at(&dark, chain.base)).unwrap();
    assert!(uncertain_tail.is_none(), "{context}: {uncertain_tail:?}");
    block_on(assert_is(&log, &chain, context));
    assert_eq!(log.flushed(), chain.end(), "{context}");
}

/// Bases above the log's end, in the middle of entries that differ, and at
/// other entries' ends: the owner has stored the base, so the log is the old one
/// only until it is opened again.
#[test]
fn a_reset_leaves_a_log_that_begins_at_the_base_wherever_it_crashes() {
    let chain = Chain::of(16, |number| 200 + 40 * number);
    let model = filled(&chain);
    let mut other = Chain::new();
    for number in 0..40 {
        other.push(9, &record(500 + number, 100 + 45 * number));
    }
    for index in [1, 2, 6, 11, 25, 41] {
        let rest = above(&other, index);
        for crash in operations() {
            let disk = boot(&model);
            let mut log = block_on(try_open_at(&disk, Position::START)).unwrap().0;
            let mut longer = chain.clone();
            longer.push(9, b"staged");
            log.stage_frame(&longer.frames[16]).unwrap();
            disk.crash_at(disk.operations() + crash);
            let done = block_on(log.reset_to(rest.base)).is_ok();
            if done {
                assert_eq!(log.tail(), rest.base);
                assert_eq!((log.term_runs(), log.staged_bytes()), (vec![], 0));
                assert_eq!(segments(&disk), 1);
            }
            for (number, dead) in deaths(&disk.model(), crash).into_iter().enumerate() {
                let context = format!("base {index}, crash {crash}, death {number}");
                let after = boot(&dead);
                let (log, recovery) = block_on(try_open_at(&after, rest.base))
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_eq!(recovery.holes, [], "{context}");
                if index > 1 || done {
                    assert_eq!(log.tail(), rest.base, "{context}");
                    assert_eq!(segments(&after), 1, "{context}");
                    goes_on(after, log, rest.clone(), &context);
                }
            }
            if done {
                break;
            }
        }
    }
}

/// N03: a base that the log holds takes nothing above it away.
#[test]
fn a_base_that_the_log_holds_keeps_what_is_above() {
    let chain = Chain::of(20, |number| 200 + 40 * number);
    let model = filled(&chain);
    for index in 1..=chain.end().next_index {
        let disk = boot(&model);
        let rest = above(&chain, index);
        let log = block_on(try_open_at(&disk, rest.base)).unwrap().0;
        block_on(assert_is(&log, &rest, "stored base, dropped by opening"));
        assert_eq!(log.flushed(), chain.end());
    }
}

/// A log that does not reach its base because it is damaged is no reset that
/// crashed: what it had above the base is uncertain.
#[test]
fn damage_below_the_base_is_not_taken_for_a_reset() {
    let chain = Chain::of(20, |number| 200 + 40 * number);
    let model = filled(&chain);
    let names = block_on(boot(&model).list(COMMIT_LOG_DIR)).unwrap();
    let last: u64 = names.last().unwrap().parse().unwrap();
    let mut rotten = model.clone();
    let path = format!("{COMMIT_LOG_DIR}/{last:020}");
    for sector in 0..8 {
        rotten
            .rot(&path, sector * 512, RotKind::Garbage, 1)
            .unwrap();
    }
    // The base is the end of the last segment's first entry.
    let first = chain.ends.iter().find(|end| end.address > last).unwrap();
    let opened = block_on(try_open_at(&boot(&rotten), *first));
    match opened.map(|(_, recovery)| recovery) {
        Err(OpenError::TailUncertain(uncertain_tail)) => assert_eq!(uncertain_tail.from, *first),
        other => panic!("{other:?}"),
    }
}

/// Rot below the base is no loss to anybody, and hinders nothing.
#[test]
fn rot_below_the_base_is_passed_over() {
    let chain = Chain::of(20, |_| 300);
    let model = filled(&chain);
    let names = block_on(boot(&model).list(COMMIT_LOG_DIR)).unwrap();
    let path = format!("{COMMIT_LOG_DIR}/{}", names[1]);
    let begun: u64 = names[1].parse().unwrap();
    // The third entry of the second segment is the first one needed; the first
    // of them has rotted, and then the fifth.
    let base = *chain
        .ends
        .iter()
        .find(|end| end.address > begun + 400)
        .unwrap();
    let rest = above(&chain, base.next_index);
    for (sector, holes) in [(1, 0), (5, 1)] {
        let mut rotten = model.clone();
        rotten
            .rot(&path, 512 * sector, RotKind::Garbage, 2)
            .unwrap();
        let disk = boot(&rotten);
        let (mut log, recovery) = block_on(try_open_at(&disk, base)).unwrap();
        assert_eq!(recovery.holes.len(), holes, "{recovery:?}");
        block_on(assert_is(&log, &rest, "with rot"));
        while let Some(hole) = log.first_hole() {
            let frames = rest.range(hole.from.next_index, hole.upto.next_index);
            block_on(log.repair(hole, frames)).unwrap();
        }
        // A cut in the same segment, and a hole at the base.
        let cut = rest.at(base.next_index + 2);
        block_on(log.truncate(cut.address)).unwrap();
        block_on(assert_is(&log, &rest, "cut"));
        assert_eq!(log.tail(), cut);
        goes_on(disk, log, rest.clone(), "passed over");
    }
}

/// A base within a hole: the rest of the hole is still one.
#[test]
fn a_base_may_be_within_a_hole() {
    let chain = Chain::of(20, |_| 300);
    let mut model = filled(&chain);
    let names = block_on(boot(&model).list(COMMIT_LOG_DIR)).unwrap();
    let path = format!("{COMMIT_LOG_DIR}/{}", names[1]);
    for sector in 1..6 {
        model.rot(&path, 512 * sector, RotKind::Zeros, 2).unwrap();
    }
    let disk = boot(&model);
    let mut log = block_on(try_open_at(&disk, Position::START)).unwrap().0;
    let hole = log.first_hole().unwrap();
    let index = hole.from.next_index + 2;
    let rest = above(&chain, index);
    block_on(log.drop_below(rest.base)).unwrap();
    drop(log);
    let mut log = block_on(try_open_at(&disk, rest.base)).unwrap().0;
    let left = log.first_hole().unwrap();
    assert_eq!((left.from, left.upto), (rest.base, hole.upto));
    assert_eq!(log.holes().len(), 1);
    let frames = rest.range(index, hole.upto.next_index);
    block_on(log.repair(left, frames)).unwrap();
    assert_eq!(log.holes(), []);
    assert_eq!(block_on(holdings(&log)).len(), rest.frames.len());
    block_on(assert_is(&log, &rest, "repaired"));
    goes_on(disk, log, rest, "repaired");
}

#[test]
fn bases_move_on_a_real_disk() {
    on_real(async |disk| {
        let chain = Chain::of(40, |number| 2000 + 40 * number);
        let mut log = fill(&disk, Position::START, &chain).await;
        let before = disk.list(COMMIT_LOG_DIR).await.unwrap().len();
        let rest = above(&chain, 30);
        log.drop_below(rest.base).await.unwrap();
        assert!(disk.list(COMMIT_LOG_DIR).await.unwrap().len() < before);
        drop(log);
        let mut log = try_open_at(&disk, rest.base).await.unwrap().0;
        assert_is(&log, &rest, "dropped").await;
        let mut other = Chain::new();
        other.push(50, &record(1, 100_000));
        let mut anew = Chain::from(other.end());
        log.reset_to(anew.base).await.unwrap();
        anew.push(51, &record(2, 100));
        log.stage_frame(&anew.frames[0]).unwrap();
        flush(&mut log).await.unwrap();
        drop(log);
        let log = try_open_at(&disk, anew.base).await.unwrap().0;
        assert_is(&log, &anew, "begun anew").await;
        assert_eq!(log.flushed(), anew.end());
    });
}
