//! Rot is found before somebody needs the bytes (D28).

use zeroloss::env::Disk;
use zeroloss::log::{COMMIT_LOG_DIR, CommitLog, Hole, Position, Scrubbed};
use zeroloss::sim::disk::{RotKind, block_on};
use zeroloss::sim::random::{Purpose, Stream};

use crate::chain::{Chain, assert_is, open_at, try_open_at};
use crate::support::*;

/// Goes once through the log, marks what is damaged and gives it.
async fn scrub<D: Disk>(log: &mut CommitLog<D>, bytes: u64) -> Vec<Hole> {
    let (mut at, mut damaged, mut steps) = (0, Vec::new(), 0);
    loop {
        steps += 1;
        assert!(steps < 10_000, "it does not come to an end");
        let found = log.scrub_step(at, bytes).await.unwrap();
        if let Some(address) = found.damaged {
            damaged.extend(log.mark_damaged(address).await.unwrap());
        }
        if found.next_address <= at && found.damaged.is_none() {
            assert_eq!(found.next_address, log.base().address);
            return damaged;
        }
        at = found.next_address;
    }
}

#[test]
fn all_rot_of_entries_is_found_marked_and_repaired() {
    let mut found = 0;
    for seed in 0..40 {
        let mut dice = Stream::new(seed, Purpose::Faults);
        let chain = Chain::of(30, |number| 20 + number * 31 % 600);
        let disk = boot(&formatted());
        block_on(async {
            let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
            for (number, frame) in chain.frames.iter().enumerate() {
                log.stage_frame(frame).unwrap();
                if number % 3 == 2 {
                    flush(&mut log).await.unwrap();
                }
            }
            flush(&mut log).await.unwrap();
            let bytes = 1 + dice.below(5000);
            assert_eq!(scrub(&mut log, bytes).await, [], "nothing has rotted");
            let names = disk.list(COMMIT_LOG_DIR).await.unwrap();
            for _ in 0..1 + dice.below(4) {
                let name = &names[dice.below(names.len() as u64) as usize];
                let path = format!("{COMMIT_LOG_DIR}/{name}");
                let sector = 1 + dice.below(7);
                let kind = [RotKind::Bit, RotKind::Zeros, RotKind::Garbage][seed as usize % 3];
                disk.model().rot(&path, 512 * sector, kind, seed).unwrap();
            }
            let damaged = scrub(&mut log, bytes).await;
            found += damaged.len();
            assert_eq!(scrub(&mut log, bytes).await, [], "once is enough");
            let context = format!("seed {seed}");
            assert_is(&log, &chain, &context).await;
            assert_eq!(log.holes().is_empty(), damaged.is_empty(), "{context}");
            while let Some(hole) = log.first_hole() {
                let frames = chain.range(hole.from.next_index, hole.upto.next_index);
                log.repair(hole, frames).await.unwrap();
            }
            assert_is(&log, &chain, &context).await;
            drop(log);
            // The end may be uncertain: what comes behind has rotted, too.
            let (log, recovery, _) = open_at(&disk, Position::START).await.unwrap();
            assert_eq!(recovery.holes, [], "{context}");
            assert_is(&log, &chain, &context).await;
            assert_eq!(log.flushed(), chain.end(), "{context}");
        });
    }
    assert!(found > 40, "{found}");
}

/// A part of the scrub has no bound that looks at each damaged padding twice.
#[test]
fn rot_of_padding_is_passed_by_at_the_first_look() {
    on_simulated(async |disk| {
        let chain = Chain::of(60, |_| 20);
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        for frame in &chain.frames {
            log.stage_frame(frame).unwrap();
            flush(&mut log).await.unwrap();
        }
        let mut rotten = 0;
        for name in disk.list(COMMIT_LOG_DIR).await.unwrap() {
            let path = format!("{COMMIT_LOG_DIR}/{name}");
            for sector in 1..8 {
                let damage = disk
                    .model()
                    .rot(&path, 512 * sector, RotKind::Bit, 100 + sector);
                rotten += usize::from(damage.is_ok());
            }
        }
        let (mut at, mut holes) = (0, 0);
        loop {
            let step = log.scrub_step(at, 700).await.unwrap();
            if let Some(address) = step.damaged {
                let hole = log.mark_damaged(address).await.unwrap();
                assert!(hole.is_some(), "{address} is whole");
                holes += 1;
            } else if step.next_address <= at {
                break;
            }
            at = step.next_address;
        }
        assert!(holes > 0 && rotten > 2 * holes, "{holes} of {rotten}");
        assert_is(&log, &chain, "padding has rotted").await;
    });
}

/// Entries that are written alone fill a sector each: a part is so much of the file, and
/// not so much of what the entries say.
#[test]
fn a_part_is_so_many_bytes_of_the_file() {
    on_simulated(async |disk| {
        let chain = Chain::of(40, |_| 20);
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        for frame in &chain.frames {
            log.stage_frame(frame).unwrap();
            flush(&mut log).await.unwrap();
        }
        let sector = disk.sector_bytes() as u64;
        let step = log.scrub_step(0, 4 * sector).await.unwrap();
        assert_eq!(step.damaged, None);
        assert!(
            (4 * sector..=6 * sector).contains(&step.read_bytes),
            "{step:?}"
        );
        assert!(step.next_address < chain.end().address / 4, "{step:?}");
    });
}

/// Its addresses may be anybody's: of entries that were cut off since, of the
/// inside of an entry, behind the end.
#[test]
fn a_step_may_begin_anywhere() {
    on_simulated(async |disk| {
        let chain = Chain::of(12, |_| 300);
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        for frame in &chain.frames {
            log.stage_frame(frame).unwrap();
            flush(&mut log).await.unwrap();
        }
        for address in (0..chain.end().address + 500).step_by(13) {
            let step = log.scrub_step(address, 100).await.unwrap();
            assert_eq!(step.damaged, None);
            let forward = step.next_address > address;
            assert!(forward || address >= chain.end().address && step.next_address == 0);
        }
        let none = Scrubbed {
            read_bytes: 0,
            next_address: 0,
            damaged: None,
            corrupt_header: None,
        };
        assert_eq!(log.scrub_step(u64::MAX, 100).await.unwrap(), none);
    });
}

/// It borrows nothing from the log, which goes on beside it.
#[test]
fn a_step_stands_alone() {
    on_real(async |disk| {
        let chain = Chain::of(8, |_| 300);
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        for frame in &chain.frames[..6] {
            log.stage_frame(frame).unwrap();
        }
        flush(&mut log).await.unwrap();
        let step = log.scrub_step(0, u64::MAX);
        log.stage_frame(&chain.frames[6]).unwrap();
        flush(&mut log).await.unwrap();
        let step = step.await.unwrap();
        assert_eq!(
            (step.next_address, step.damaged),
            (chain.at(7).address, None)
        );
    });
}

/// A header is needed by the next start alone, which may find the other replicas
/// gone: it is missed while the log is open, whatever became of it, and the next
/// opening makes it anew.
#[test]
fn a_header_that_has_rotted_is_missed_while_the_log_is_open() {
    let chain = Chain::of(30, |_| 300);
    for number in 0..8 {
        let kind = [RotKind::Zeros, RotKind::Garbage][number % 2];
        let disk = boot(&formatted());
        block_on(async {
            let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
            for frame in &chain.frames {
                log.stage_frame(frame).unwrap();
                flush(&mut log).await.unwrap();
            }
            let names = disk.list(COMMIT_LOG_DIR).await.unwrap();
            let name = &names[number % names.len()];
            let path = format!("{COMMIT_LOG_DIR}/{name}");
            match number < 6 {
                true => disk.model().rot(&path, 40, kind, number as u64),
                false => disk.model().make_unreadable(&path, 0),
            }
            .unwrap();
            assert_eq!(corrupt_header(&log).await, Some(name.parse().unwrap()));
            drop(log);
            let (log, recovery, _) = open_at(&disk, Position::START).await.unwrap();
            assert_eq!(recovery.holes, []);
            assert_is(&log, &chain, name).await;
            assert_eq!(corrupt_header(&log).await, None, "made anew");
        });
    }
}

/// The first segment without a header, in one round.
async fn corrupt_header<D: Disk>(log: &CommitLog<D>) -> Option<u64> {
    let mut at = 0;
    loop {
        let found = log.scrub_step(at, 1 << 20).await.unwrap();
        if found.corrupt_header.is_some() || found.next_address <= at {
            return found.corrupt_header;
        }
        at = found.next_address;
    }
}
