//! Identity, checkpoint, and small files replaced as a whole.

use crate::support::*;
use zeroloss::env::{Disk, File};
use zeroloss::log::{
    ABORT_FILE, AtomicFile, CHECKPOINT_FILE, COMMIT_LOG_DIR, CheckpointState, FormatError,
    IDENTITY_FILE, Identity, IdentityError, OpenError, format, read_atomic_file, read_identity,
    replace_atomic_file,
};
use zeroloss::sim::disk::{DiskConfig, DiskModel, DiskSurvival, StepDisk, block_on};

/// Overwrites bytes of a file, as another program might.
pub(crate) async fn scribble<D: Disk>(disk: &D, path: &str, position: u64, bytes: &[u8]) {
    let file = disk.open(path).await.unwrap();
    file.write_at(position, bytes.to_vec().into())
        .await
        .unwrap();
    file.sync_all().await.unwrap();
}

/// After a crash at any operation of a replacement, and any power loss, the
/// file holds the old payload or the new one (S23 would leave neither).
#[test]
fn a_replaced_file_is_old_or_new_whatever_happens() {
    let disk = boot(&DiskModel::new(DiskConfig::default()));
    block_on(replace_atomic_file(&disk, "state", b"old")).unwrap();
    let before = reborn(&disk.model());
    let operations = {
        let disk = boot(&before);
        block_on(replace_atomic_file(&disk, "state", b"new, and longer")).unwrap();
        disk.operations()
    };
    let (mut old, mut new) = (0, 0);
    for crash in 0..=operations {
        for (number, survival) in DiskSurvival::ALL.into_iter().enumerate() {
            let disk = boot(&before);
            disk.crash_at(crash);
            let done = block_on(replace_atomic_file(&disk, "state", b"new, and longer")).is_ok();
            let after = boot(&powerless(
                &disk.model(),
                survival,
                crash + 100 * number as u64,
            ));
            match block_on(read_atomic_file(&after, "state")).unwrap() {
                AtomicFile::Whole(payload) if payload == "old" && !done => old += 1,
                AtomicFile::Whole(payload) if payload == "new, and longer" => new += 1,
                other => panic!("crash {crash}, {survival:?}: {other:?}"),
            }
            // A file that a crash left aside does not hinder the next replacement.
            block_on(replace_atomic_file(&after, "state", b"next")).unwrap();
        }
    }
    assert!(old > 10 && new > 10, "{old} {new}");
}

#[test]
fn every_changed_byte_of_a_file_is_noticed_and_so_is_another_name() {
    on_simulated(async |disk| {
        replace_atomic_file(&disk, "state", b"payload")
            .await
            .unwrap();
        let whole = disk
            .open("state")
            .await
            .unwrap()
            .read_at(0, 100)
            .await
            .unwrap();
        for at in 0..whole.len() {
            scribble(&disk, "state", at as u64, &[whole[at] ^ 1]).await;
            let read = read_atomic_file(&disk, "state").await.unwrap();
            assert!(matches!(read, AtomicFile::Corrupt { .. }), "byte {at}");
            scribble(&disk, "state", at as u64, &[whole[at]]).await;
        }
        assert!(matches!(
            read_atomic_file(&disk, "state").await.unwrap(),
            AtomicFile::Whole(_)
        ));
        disk.rename("state", "other").await.unwrap();
        assert!(matches!(
            read_atomic_file(&disk, "other").await.unwrap(),
            AtomicFile::Corrupt { .. }
        ));
        assert_eq!(
            read_atomic_file(&disk, "state").await.unwrap(),
            AtomicFile::Missing
        );
    });
}

#[test]
fn a_disk_is_formatted_once() {
    on_simulated(async |disk| {
        assert_eq!(read_identity(&disk).await.unwrap(), IDENTITY);
        let other = Identity {
            disk_id: 9,
            ..IDENTITY
        };
        let again = format(&disk, other).await;
        assert!(matches!(again, Err(FormatError::AlreadyFormatted { .. })));
        assert_eq!(read_identity(&disk).await.unwrap(), IDENTITY);
        // Nor is a disk whose identity has rotted, or went missing beside data.
        scribble(&disk, IDENTITY_FILE, 30, b"rot").await;
        let again = format(&disk, other).await;
        assert!(matches!(again, Err(FormatError::AlreadyFormatted { .. })));
        disk.create(&format!("{COMMIT_LOG_DIR}/x")).await.unwrap();
        disk.remove(IDENTITY_FILE).await.unwrap();
        let again = format(&disk, other).await;
        assert!(matches!(
            again,
            Err(FormatError::NotBlank {
                path: COMMIT_LOG_DIR
            })
        ));
    });
}

/// D27, and S25: nothing starts on defaults.
#[test]
fn nothing_starts_on_a_disk_that_is_not_formatted() {
    let blank = boot(&DiskModel::new(DiskConfig::default()));
    let refused = block_on(try_open(&blank));
    assert!(matches!(
        refused,
        Err(OpenError::Identity(IdentityError::NotFormatted))
    ));
    on_simulated(async |disk| {
        scribble(&disk, IDENTITY_FILE, 30, b"rot").await;
        let refused = try_open(&disk).await;
        assert!(matches!(
            refused,
            Err(OpenError::Identity(IdentityError::Corrupt { .. }))
        ));
    });
}

/// Formatting, with a crash at each operation: then the disk is formatted or it
/// can be.
#[test]
fn formatting_may_crash_anywhere() {
    for survival in DiskSurvival::ALL {
        for crash in operations() {
            let disk = boot(&DiskModel::new(DiskConfig::default()));
            disk.crash_at(crash);
            let done = block_on(format(&disk, IDENTITY)).is_ok();
            let after = boot(&powerless(&disk.model(), survival, crash));
            match block_on(read_identity(&after)) {
                Ok(identity) => assert_eq!(identity, IDENTITY),
                Err(IdentityError::NotFormatted) if !done => {
                    block_on(format(&after, IDENTITY)).unwrap();
                }
                Err(error) => panic!("crash {crash}, {survival:?}: {error}"),
            }
            block_on(open(&after));
            if done {
                break;
            }
        }
    }
}

#[test]
fn a_segment_of_another_disk_is_not_read() {
    on_simulated(async |disk| {
        drop(open(&disk).await);
        disk.remove(IDENTITY_FILE).await.unwrap();
        disk.rename(COMMIT_LOG_DIR, "elsewhere").await.unwrap();
        format(
            &disk,
            Identity {
                disk_id: 9,
                ..IDENTITY
            },
        )
        .await
        .unwrap();
        disk.rename(
            "elsewhere/00000000000000000000",
            "commitlog/00000000000000000000",
        )
        .await
        .unwrap();
        let refused = try_open(&disk).await;
        assert!(matches!(
            refused,
            Err(OpenError::ForeignSegment { disk_id: 3, .. })
        ));
    });
}

#[test]
fn a_clean_stop_is_trusted_only_while_no_abort_stands() {
    on_simulated(async |disk| {
        let mut log = open(&disk).await.0;
        assert!(has_abort(&disk).await);
        stage(&mut log, 1, 20);
        log.close().await.unwrap();
        assert!(!has_abort(&disk).await);
        disk.create(ABORT_FILE).await.unwrap();
        let (log, recovery) = open(&disk).await;
        assert!(!recovery.clean);
        assert_eq!(records(&log).await.len(), 1);
    });
}

async fn has_abort(disk: &StepDisk) -> bool {
    disk.list("")
        .await
        .unwrap()
        .iter()
        .any(|name| name == ABORT_FILE)
}

/// S21, and what a checkpoint is for: it is never ahead of what is durable.
#[test]
fn a_checkpoint_says_what_is_flushed() {
    on_simulated(async |disk| {
        let mut log = open(&disk).await.0;
        stage(&mut log, 1, 20);
        let flushed = flush(&mut log).await.unwrap();
        stage(&mut log, 2, 20);
        log.write().await.unwrap();
        log.checkpoint().await.unwrap();
        drop(log);
        let (_, recovery) = open(&disk).await;
        let CheckpointState::Whole(checkpoint) = recovery.checkpoint else {
            panic!("whole")
        };
        assert_eq!((checkpoint.durable, checkpoint.clean), (flushed, false));
    });
}

#[test]
fn an_unreadable_checkpoint_beside_a_whole_log_is_reported_and_replaced() {
    on_simulated(async |disk| {
        let mut log = open(&disk).await.0;
        stage(&mut log, 1, 20);
        log.close().await.unwrap();
        scribble(&disk, CHECKPOINT_FILE, 30, b"rot").await;
        let (log, recovery) = open(&disk).await;
        assert!(!recovery.clean);
        assert!(matches!(
            recovery.checkpoint,
            CheckpointState::Corrupt { .. }
        ));
        assert_eq!(records(&log).await.len(), 1);
        drop(log);
        let (_, recovery) = open(&disk).await;
        assert!(matches!(recovery.checkpoint, CheckpointState::Whole(_)));
    });
}
