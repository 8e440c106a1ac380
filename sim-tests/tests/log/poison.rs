//! A failed write or sync: nothing is known of what was pending (D23).

use std::task::{Context, Waker};

use crate::chain::try_open_at;
use crate::stalling::Stalling;
use crate::support::*;
use zeroloss::log::{LogEnd, LogError, Position};
use zeroloss::record::EntryKind;
use zeroloss::sim::disk::{
    ArmedFault, CacheAfterError, DiskFault, DiskModel, DiskSurvival, StepDisk, block_on,
};

/// A disk on which the next matching operation fails.
fn failing(fault: DiskFault, seed: u64) -> StepDisk {
    let disk = boot(&formatted());
    let mut log = block_on(open(&disk)).0;
    stage(&mut log, 1, 300);
    block_on(flush(&mut log)).unwrap();
    drop(log);
    disk.model().arm(ArmedFault {
        skip: 3,
        ..ArmedFault::next(fault, "commitlog/", seed)
    });
    disk
}

/// Stages and flushes until the fault fires; the records known durable.
async fn until_it_fails(disk: &StepDisk) -> (Log, Vec<Vec<u8>>) {
    let mut log = open(disk).await.0;
    let mut synced = records(&log).await;
    for number in 10..30 {
        let length = 1000;
        stage(&mut log, number, length);
        match flush(&mut log).await {
            Ok(_) => synced.push(record(number, length)),
            Err(_) => return (log, synced),
        }
    }
    panic!("it never failed")
}

fn assert_poisoned(log: &mut Log) {
    let flushed = log.flushed();
    let staged = log.stage(EntryKind::NoOp, 0, |_, _| Ok(()));
    assert!(matches!(staged, Err(LogError::Poisoned { .. })));
    assert!(matches!(
        block_on(log.write()),
        Err(LogError::Poisoned { .. })
    ));
    assert!(matches!(
        block_on(log.write_mark()),
        Err(LogError::Poisoned { .. })
    ));
    assert!(
        log.next_job().is_none(),
        "no retry: it would succeed and prove nothing"
    );
    assert_eq!(log.flushed(), flushed);
}

/// The log that is reopened gives back entries that are safe from a power loss,
/// whatever the failed writeback left in the cache and on the medium.
fn survives_reopening(disk: &StepDisk, synced: &[Vec<u8>], context: &str) -> LogEnd {
    let (log, recovery) = block_on(open(disk));
    let recovered = block_on(records(&log));
    assert!(recovered.starts_with(synced), "{context}");
    let model: DiskModel = disk.model().clone();
    for survival in [DiskSurvival::None, DiskSurvival::SectorSubset] {
        let dark = boot(&powerless(&model, survival, 1));
        assert_eq!(
            block_on(records(&block_on(open(&dark)).0)),
            recovered,
            "{context}"
        );
    }
    recovery.end
}

#[test]
fn a_failed_sync_poisons_until_the_log_is_reopened() {
    for cache in [CacheAfterError::KeepsNew, CacheAfterError::Reverts] {
        for fault in [
            DiskFault::SyncError { cache },
            DiskFault::WritebackError { cache },
        ] {
            for seed in 0..20 {
                let disk = failing(fault, seed);
                let (mut log, synced) = block_on(until_it_fails(&disk));
                assert_poisoned(&mut log);
                survives_reopening(&disk, &synced, &format!("{fault:?} {seed}"));
            }
        }
    }
}

/// A segment that recovery made was born with its copies durable. Where some of
/// them are cut off later, its birth says nothing of what stands there since.
#[test]
fn entries_behind_a_cut_of_copies_are_not_proved_by_their_birth() {
    for cache in [CacheAfterError::KeepsNew, CacheAfterError::Reverts] {
        let fault = DiskFault::SyncError { cache };
        for seed in 0..20 {
            let context = format!("{fault:?} {seed}");
            let disk = boot(&formatted());
            let reopen = |disk: &StepDisk| block_on(try_open_at(disk, Position::START));
            let mut log = reopen(&disk).unwrap().0;
            let kept = stage(&mut log, 1, 300);
            stage(&mut log, 2, 800);
            block_on(log.write()).unwrap();
            drop(log);
            let (mut log, recovery) = reopen(&disk).unwrap();
            assert_eq!(recovery.copied.unwrap().entries, 2, "{context}");
            block_on(log.truncate(kept.end_address)).unwrap();
            stage(&mut log, 3, 100);
            block_on(log.write()).unwrap();
            disk.model()
                .arm(ArmedFault::next(fault, "commitlog/", seed));
            block_on(flush(&mut log)).unwrap_err();
            drop(log);
            let log = reopen(&disk).expect("nothing is uncertain").0;
            let recovered = block_on(records(&log));
            assert_eq!(recovered[0], record(1, 300), "{context}");
            drop(log);
            let model = disk.model().clone();
            let dark = boot(&powerless(&model, DiskSurvival::None, 1));
            let log = reopen(&dark).unwrap().0;
            assert_eq!(block_on(records(&log)), recovered, "{context}");
        }
    }
}

/// S28: half a record at the end of a full disk is cut, and the log goes on.
#[test]
fn a_write_cut_short_by_a_full_disk_is_cut_away() {
    let mut torn = 0;
    for seed in 0..20 {
        let disk = failing(DiskFault::NoSpace, seed);
        let (mut log, synced) = block_on(until_it_fails(&disk));
        assert_poisoned(&mut log);
        let end = survives_reopening(&disk, &synced, &format!("seed {seed}"));
        torn += u64::from(matches!(end, LogEnd::Ambiguous { .. }));
        let mut log = block_on(open(&disk)).0;
        stage(&mut log, 99, 400);
        block_on(flush(&mut log)).unwrap();
        drop(log);
        let log = block_on(open(&disk)).0;
        assert_eq!(block_on(records(&log)).last(), Some(&record(99, 400)));
    }
    assert!(torn > 5, "{torn}");
}

#[test]
fn a_failed_directory_sync_at_a_roll_poisons() {
    let disk = boot(&formatted());
    let mut log = block_on(open(&disk)).0;
    disk.model()
        .arm(ArmedFault::next(DiskFault::DirSyncError, "commitlog", 1));
    stage(&mut log, 1, 3000);
    stage(&mut log, 2, 3000);
    let failed = block_on(flush(&mut log));
    assert!(matches!(failed, Err(LogError::Io { .. })), "{failed:?}");
    assert_poisoned(&mut log);
    assert_eq!(
        log.flushed().address,
        0,
        "not even the old segment's sync counts"
    );
}

/// A write that is given up halfway may have been done in part.
#[test]
fn a_write_given_up_halfway_poisons() {
    let disk = Stalling::on(boot(&formatted()));
    let mut log = block_on(open(&disk)).0;
    stage(&mut log, 1, 1000);
    drop(log.write());
    assert_eq!(
        block_on(log.write()).unwrap().appended,
        log.tail(),
        "it had not begun"
    );
    stage(&mut log, 2, 100);
    disk.stall();
    let mut write = Box::pin(log.write());
    let polled = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    drop(write);
    assert!(matches!(
        block_on(log.write()),
        Err(LogError::Poisoned { .. })
    ));
    assert!(log.next_job().is_none());
}
