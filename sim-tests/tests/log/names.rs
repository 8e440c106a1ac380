//! A name that is read is not durable: a directory's sync may have failed before,
//! or a kill come before it (D23, D24).

use zeroloss::env::Disk;
use zeroloss::log::{
    AtomicFile, COMMIT_LOG_DIR, CommitLog, FormatError, IDENTITY_FILE, Position, format,
    read_atomic_file, read_identity, remove_atomic_file, renew_atomic_files, replace_atomic_file,
};
use zeroloss::sim::disk::{
    ArmedFault, DiskConfig, DiskFault, DiskModel, DiskSurvival, RotKind, StepDisk, block_on,
};

use crate::chain::{Chain, assert_is, open_at, try_open_at};
use crate::support::*;

/// The sync of a directory fails, but for so many before it.
fn fail_directory(disk: &StepDisk, skip: u64, seed: u64) {
    disk.model().arm(ArmedFault {
        skip,
        ..ArmedFault::next(DiskFault::DirSyncError, "", seed)
    });
}

fn without_power(disk: &StepDisk) -> StepDisk {
    let mut after = powerless(&disk.model(), DiskSurvival::None, 0);
    after.disarm();
    boot(&after)
}

/// Opened again after a failure, as its owner does: by this process, or by another
/// one after a kill.
fn opened(disk: &StepDisk, kill: bool) -> (StepDisk, CommitLog<StepDisk>) {
    let mut disk = disk.clone();
    for _ in 0..4 {
        if kill {
            let killed = reborn(&disk.model());
            disk = boot(&killed);
        }
        match block_on(open_at(&disk, Position::START)) {
            Ok((log, ..)) => return (disk, log),
            Err(error) => assert!(error.to_string().contains("failed"), "{error}"),
        }
    }
    panic!("it does not open though nothing fails any more");
}

/// Entries that were cached only are claimed durable once the log is open: then
/// they are, whichever sync of a directory failed on the way.
#[test]
fn the_findings_of_an_opening_stay_whichever_directory_failed() {
    let chain = Chain::of(9, |_| 300);
    let mut failed = 0;
    for (skip, seed, kill) in cases() {
        let disk = boot(&formatted());
        block_on(async {
            let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
            for (number, frame) in chain.frames.iter().enumerate() {
                log.stage_frame(frame).unwrap();
                log.write().await.unwrap();
                // The last ones are never synced.
                if number < 4 {
                    flush(&mut log).await.unwrap();
                }
            }
        });
        let disk = boot(&reborn(&disk.model()));
        fail_directory(&disk, skip, seed);
        let (disk, log) = opened(&disk, kill);
        failed += disk.model().take_fired().len();
        let claimed = log.flushed().address;
        drop(log);
        let after = without_power(&disk);
        let (log, recovery, _) = block_on(open_at(&after, Position::START)).unwrap();
        let context = format!("directory sync {skip}, seed {seed}, kill {kill}");
        assert_eq!(log.flushed().address, claimed, "{context}");
        assert_eq!(recovery.holes, [], "{context}");
    }
    assert!(failed > 20, "{failed}");
}

/// The same of a hole in the middle of the log that was filled from another
/// replica.
#[test]
fn a_repair_stays_whichever_directory_failed() {
    let chain = Chain::of(30, |_| 300);
    let mut failed = 0;
    for (skip, seed, kill) in cases() {
        let disk = boot(&formatted());
        block_on(async {
            let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
            for frame in &chain.frames {
                log.stage_frame(frame).unwrap();
                flush(&mut log).await.unwrap();
            }
        });
        let names = block_on(disk.list(COMMIT_LOG_DIR)).unwrap();
        let path = format!("{COMMIT_LOG_DIR}/{}", names[1]);
        disk.model()
            .rot(&path, 1024, RotKind::Garbage, seed)
            .unwrap();
        let (disk, mut log) = opened(&disk, true);
        let hole = log.first_hole().expect("it has rotted");
        let frames = chain.range(hole.from.next_index, hole.upto.next_index);
        fail_directory(&disk, skip, seed);
        let repaired = block_on(log.repair(hole, frames));
        drop(log);
        let (disk, log) = opened(&disk, kill);
        failed += disk.model().take_fired().len();
        let is_whole = log.holes().is_empty();
        assert!(is_whole || repaired.is_err());
        drop(log);
        let after = without_power(&disk);
        let (log, recovery, _) = block_on(open_at(&after, Position::START)).unwrap();
        let context = format!("directory sync {skip}, seed {seed}, kill {kill}");
        assert_eq!(recovery.holes.is_empty(), is_whole, "{context}");
        if is_whole {
            block_on(assert_is(&log, &chain, &context));
        }
    }
    assert!(failed > 20, "{failed}");
}

/// Wherever a crash comes while repaired segments get their names once more, all
/// of them are there afterwards.
#[test]
fn naming_once_more_may_be_cut_short_anywhere() {
    let chain = Chain::of(18, |_| 300);
    let disk = boot(&formatted());
    block_on(async {
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        for frame in &chain.frames {
            log.stage_frame(frame).unwrap();
            flush(&mut log).await.unwrap();
        }
        let names = disk.list(COMMIT_LOG_DIR).await.unwrap();
        for name in &names[1..3] {
            let path = format!("{COMMIT_LOG_DIR}/{name}");
            disk.model().rot(&path, 1024, RotKind::Zeros, 1).unwrap();
        }
        drop(log);
        let mut log = open_at(&disk, Position::START).await.unwrap().0;
        while let Some(hole) = log.first_hole() {
            let frames = chain.range(hole.from.next_index, hole.upto.next_index);
            log.repair(hole, frames).await.unwrap();
        }
    });
    let before = reborn(&disk.model());
    for operation in operations() {
        let disk = boot(&before);
        disk.crash_at(operation);
        let ended = block_on(open_at(&disk, Position::START)).is_ok();
        let crashed = disk.model().clone();
        for after in [
            boot(&reborn(&crashed)),
            boot(&powerless(&crashed, DiskSurvival::EntrySubset, operation)),
            boot(&powerless(&crashed, DiskSurvival::Prefix, operation)),
        ] {
            let context = format!("crash at {operation}");
            let (log, recovery, _) = block_on(open_at(&after, Position::START)).unwrap();
            assert_eq!(recovery.holes, [], "{context}");
            block_on(assert_is(&log, &chain, &context));
        }
        if ended {
            return;
        }
    }
}

/// Each directory sync of a few, with what a seed leaves of the names; by the same
/// process, and after a kill.
fn cases() -> impl Iterator<Item = (u64, u64, bool)> {
    let skips = (0..5).flat_map(|skip| (0..4).map(move |seed| (skip, seed)));
    skips.flat_map(|(skip, seed)| [(skip, seed, false), (skip, seed, true)])
}

/// Formatting is repeated until it says that it is done: then the disk is
/// formatted, and has its directories, whatever the power takes.
#[test]
fn a_formatted_disk_stays_so_whichever_directory_failed() {
    let mut failed = 0;
    for (skip, seed, kill) in cases() {
        let mut disk = boot(&DiskModel::new(DiskConfig::default()));
        fail_directory(&disk, skip, seed);
        for _ in 0..3 {
            if kill {
                let killed = reborn(&disk.model());
                disk = boot(&killed);
            }
            match block_on(format(&disk, IDENTITY)) {
                Ok(()) | Err(FormatError::AlreadyFormatted { .. }) => break,
                Err(error) => assert!(error.to_string().contains("again"), "{error}"),
            }
        }
        failed += disk.model().take_fired().len();
        // Only a start rests on it.
        let context = format!("directory sync {skip}, seed {seed}, kill {kill}");
        while block_on(try_open(&disk)).is_err() {}
        let after = without_power(&disk);
        assert_eq!(
            block_on(read_identity(&after)).unwrap(),
            IDENTITY,
            "{context}"
        );
        block_on(open(&after));
    }
    assert!(failed > 10, "{failed}");
}

/// Files that were read back are durable once they were written again.
#[test]
fn a_file_that_is_written_again_stays() {
    let (mut stood, mut fell) = (0, 0);
    for seed in 0..20 {
        let disk = boot(&DiskModel::new(DiskConfig::default()));
        block_on(replace_atomic_file(&disk, "vote", b"old")).unwrap();
        fail_directory(&disk, 0, seed);
        block_on(replace_atomic_file(&disk, "vote", b"new")).unwrap_err();
        let read = block_on(read_atomic_file(&disk, "vote")).unwrap();
        let old = AtomicFile::Whole(b"old"[..].into());
        let lost = block_on(read_atomic_file(&without_power(&disk), "vote")).unwrap() == old;
        fell += u32::from(lost);
        // Another sync of the directory proves nothing.
        block_on(disk.sync_dir("")).unwrap();
        let after = block_on(read_atomic_file(&without_power(&disk), "vote")).unwrap();
        assert_eq!(after == old, lost);
        let AtomicFile::Whole(payload) = &read else {
            panic!("{read:?}")
        };
        block_on(renew_atomic_files(&disk, &[("vote", payload)])).unwrap();
        let after = block_on(read_atomic_file(&without_power(&disk), "vote")).unwrap();
        assert_eq!(after, read);
        stood += 1;
    }
    assert!(fell > 3 && stood == 20, "{fell}");
}

/// A file that an earlier call removed, in the page cache alone, does not come back.
#[test]
fn a_file_that_is_removed_again_stays_away() {
    for seed in 0..20 {
        let disk = boot(&DiskModel::new(DiskConfig::default()));
        block_on(replace_atomic_file(&disk, "condemned", b"why")).unwrap();
        fail_directory(&disk, 0, seed);
        block_on(remove_atomic_file(&disk, "condemned")).unwrap_err();
        block_on(remove_atomic_file(&disk, "condemned")).unwrap();
        let after = block_on(read_atomic_file(&without_power(&disk), "condemned")).unwrap();
        assert_eq!(after, AtomicFile::Missing, "seed {seed}");
    }
}

/// An identity in the page cache alone is durable once a log was opened on it.
#[test]
fn an_identity_is_durable_before_anything_rests_on_it() {
    for seed in 0..20 {
        let disk = boot(&formatted());
        let identity = block_on(read_atomic_file(&disk, IDENTITY_FILE)).unwrap();
        let AtomicFile::Whole(payload) = identity else {
            panic!("formatted")
        };
        let blank = boot(&DiskModel::new(DiskConfig::default()));
        block_on(blank.create_dir(COMMIT_LOG_DIR)).unwrap();
        block_on(blank.sync_dir("")).unwrap();
        fail_directory(&blank, 0, seed);
        block_on(replace_atomic_file(&blank, IDENTITY_FILE, &payload)).unwrap_err();
        block_on(open(&blank));
        let after = without_power(&blank);
        assert_eq!(block_on(read_identity(&after)).unwrap(), IDENTITY);
    }
}
