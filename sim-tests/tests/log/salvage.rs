//! The operator's explicit way past a corrupt record.

use crate::damage::FIRST_SEGMENT;
use crate::files::scribble;
use crate::support::*;
use zeroloss::env::Disk;
use zeroloss::log::{
    CHECKPOINT_FILE, COMMIT_LOG_DIR, Flaw, OpenError, Position, SalvageError, SalvageReport,
    salvage,
};
use zeroloss::sim::disk::{DiskModel, DiskSurvival, StepDisk, block_on};

/// Record length: two sectors each, three to a segment.
const LENGTH: u64 = 900;
/// Their frames.
const FRAME: u64 = LENGTH + ENVELOPE_BYTES;

/// Five segments, and a clean stop.
fn five_segments() -> DiskModel {
    let disk = boot(&formatted());
    block_on(async {
        let mut log = open(&disk).await.0;
        for number in 0..14 {
            stage(&mut log, number, LENGTH);
            flush(&mut log).await.unwrap();
        }
        log.close().await.unwrap();
        assert_eq!(disk.list(COMMIT_LOG_DIR).await.unwrap().len(), 5);
    });
    let model = disk.model().clone();
    reborn(&model)
}

async fn run(disk: &StepDisk) -> Result<SalvageReport, SalvageError> {
    salvage(disk.clone(), SMALL, Position::START, ENTROPY ^ 1).await
}

/// The name of the third segment.
const THIRD: &str = "commitlog/00000000000000005880";

/// Ways to be corrupt, with how many of the 14 records are kept.
const DAMAGES: [(&str, u64, usize); 6] = [
    // A record within a segment, at its beginning, at its end.
    (THIRD, 512 + 1024 + 90, 7),
    (THIRD, 512 + 90, 6),
    (THIRD, 512 + 2 * 1024 + 90, 8),
    // A segment's header: the third one's, the first one's.
    (THIRD, 30, 6),
    (FIRST_SEGMENT, 30, 0),
    // The very first record.
    (FIRST_SEGMENT, 512 + 90, 0),
];

fn damaged(path: &str, position: u64) -> DiskModel {
    let disk = boot(&five_segments());
    block_on(scribble(&disk, path, position, b"rot"));
    let model = disk.model().clone();
    reborn(&model)
}

#[test]
fn a_log_that_opens_is_not_salvaged() {
    let model = five_segments();
    let disk = boot(&model);
    let refused = block_on(run(&disk));
    assert!(
        matches!(refused, Err(SalvageError::NotCorrupt)),
        "{refused:?}"
    );
    assert_eq!(disk.operations(), 0, "nothing was changed");
    let not_formatted = boot(&DiskModel::new(Default::default()));
    assert!(matches!(
        block_on(run(&not_formatted)),
        Err(SalvageError::Open(_))
    ));
}

#[test]
fn records_below_the_first_corrupt_one_are_kept_and_the_rest_is_named() {
    for (path, position, kept) in DAMAGES {
        let disk = boot(&damaged(path, position));
        let report = block_on(run(&disk)).unwrap();
        assert_eq!(
            report.corruption.address,
            FRAME * kept as u64,
            "{path} {position}"
        );
        let seen = if matches!(report.corruption.flaw, Flaw::Header(_)) {
            // Entries in a segment without a header are not seen.
            14 - kept as u64 - 3
        } else {
            13 - kept as u64
        };
        assert_eq!(report.records_lost_min, seen, "{path} {position}");
        assert_eq!(
            report.lost_upto_address_min,
            14 * FRAME,
            "{path} {position}"
        );
        let dark = boot(&powerless(&disk.model(), DiskSurvival::None, 0));
        let mut log = block_on(open(&dark)).0;
        let expected: Vec<_> = (0..kept as u64)
            .map(|number| record(number, LENGTH))
            .collect();
        assert_eq!(block_on(records(&log)), expected);
        // The log goes on, and is a log like any other.
        stage(&mut log, 99, LENGTH);
        block_on(flush(&mut log)).unwrap();
        drop(log);
        assert!(matches!(
            block_on(run(&dark)),
            Err(SalvageError::NotCorrupt)
        ));
        assert_eq!(block_on(records(&block_on(open(&dark)).0)).len(), kept + 1);
        // Nothing was destroyed.
        for kept_aside in &report.moved_aside {
            assert!(block_on(dark.open(kept_aside)).is_ok(), "{kept_aside}");
        }
    }
}

#[test]
fn a_tail_that_only_a_checkpoint_could_judge_is_salvaged() {
    let disk = boot(&five_segments());
    block_on(async {
        let last = "commitlog/00000000000000011760";
        scribble(&disk, last, 512 + 1024 + 90, b"rot").await;
        scribble(&disk, CHECKPOINT_FILE, 30, b"rot").await;
        assert!(matches!(try_open(&disk).await, Err(OpenError::Corrupt(_))));
        run(&disk).await.unwrap();
        assert_eq!(records(&open(&disk).await.0).await.len(), 13);
    });
}

/// A crash in between leaves a log that is still corrupt, or that ends where
/// it would have ended.
#[test]
fn salvage_may_crash_anywhere_and_be_repeated() {
    for (path, position, kept) in DAMAGES {
        let model = damaged(path, position);
        for survival in [
            DiskSurvival::None,
            DiskSurvival::All,
            DiskSurvival::EntrySubset,
        ] {
            for crash in operations() {
                let disk = boot(&model);
                disk.crash_at(crash);
                let done = block_on(run(&disk)).is_ok();
                let again = boot(&powerless(&disk.model(), survival, crash));
                let context = format!("{path} {position}, crash {crash}, {survival:?}");
                let opened = match block_on(try_open(&again)) {
                    Err(OpenError::Corrupt(_)) if !done => {
                        block_on(run(&again)).unwrap();
                        block_on(try_open(&again))
                    }
                    opened => opened,
                };
                let (log, _) = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_eq!(block_on(records(&log)).len(), kept, "{context}");
                if done {
                    break;
                }
            }
        }
    }
}

/// The old checkpoint's claim is cut with the log: once the new segment has its
/// name the log is whole, whether or not a new checkpoint came to be written.
#[test]
fn a_cut_reaches_the_checkpoint_that_claims_more() {
    let model = damaged(THIRD, 512 + 1024 + 90);
    let disk = boot(&model);
    block_on(run(&disk)).unwrap();
    // The checkpoint comes last: file, write, sync, rename, sync of directory.
    for crash in disk.operations() - 5..disk.operations() {
        let disk = boot(&model);
        disk.crash_at(crash);
        assert!(block_on(run(&disk)).is_err());
        let again = boot(&powerless(&disk.model(), DiskSurvival::None, 0));
        assert_eq!(block_on(records(&block_on(open(&again)).0)).len(), 7);
    }
}
