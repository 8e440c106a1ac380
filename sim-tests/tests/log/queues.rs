//! Consume queues: derived, never trusted beyond what a snapshot vouches for.

use crate::files::scribble;
use crate::support::*;
use zeroloss::env::Disk;
use zeroloss::log::{ConsumeQueue, QueueEntry, QueueError, QueueTail};
use zeroloss::sim::disk::{ArmedFault, CacheAfterError, DiskFault, DiskSurvival, block_on};

const PER_FILE: u64 = 100;

fn open_queue<D: Disk>(disk: &D, trusted: &QueueTail) -> Result<ConsumeQueue<D>, QueueError> {
    ConsumeQueue::open(disk.clone(), "%RETRY%group", 3, PER_FILE, trusted)
}

fn numbered(range: std::ops::Range<u64>) -> Vec<QueueEntry> {
    let entry = |number: u64| QueueEntry {
        address: number * 1000,
        record_bytes: number as u32 + 1,
        tag_hash: -(number as i64),
    };
    range.map(entry).collect()
}

async fn all<D: Disk>(queue: &ConsumeQueue<D>) -> Vec<QueueEntry> {
    let mut all = Vec::new();
    while (all.len() as u64) < queue.next_offset() {
        all.extend(queue.read(all.len() as u64, 70).await.unwrap());
    }
    all
}

mod entries_are_read_back_across_files {
    use super::*;

    #[test]
    fn simulated() {
        on_simulated(entries_are_read_back_across_files);
    }

    #[test]
    fn real() {
        on_real(entries_are_read_back_across_files);
    }
}

async fn entries_are_read_back_across_files<D: Disk>(disk: D) {
    let mut queue = open_queue(&disk, &QueueTail::default()).unwrap();
    assert!(queue.read(0, 5).await.unwrap().is_empty());
    for step in 0..25 {
        queue.append(&numbered(step * 13..(step + 1) * 13));
    }
    assert_eq!(queue.next_offset(), 325);
    assert_eq!(all(&queue).await, numbered(0..325));
    assert_eq!(
        queue.read(90, 50).await.unwrap(),
        numbered(90..100),
        "to the end of a file"
    );
    assert_eq!(queue.read(320, 50).await.unwrap(), numbered(320..325));
    assert!(queue.read(325, 1).await.unwrap().is_empty());
    let trusted = queue.sync().await.unwrap();
    let files = disk.list("consumequeue/%RETRY%group/3").await.unwrap();
    assert_eq!((files.len(), &*files[1]), (4, "00000000000000002000"));
    drop(queue);
    let queue = open_queue(&disk, &trusted).unwrap();
    assert_eq!(all(&queue).await, numbered(0..325));
}

/// Entries that a snapshot vouches for are there after any power loss, even where the
/// last sector was written again and garbled.
#[test]
fn trusted_entries_survive_any_power_loss() {
    for trusted_entries in [0, 1, 24, 25, 26, 99, 100, 101, 230] {
        for (seed, survival) in DiskSurvival::ALL.into_iter().enumerate() {
            let disk = boot(&formatted());
            let mut queue = open_queue(&disk, &QueueTail::default()).unwrap();
            queue.append(&numbered(0..trusted_entries));
            let trusted = block_on(queue.sync()).unwrap();
            queue.append(&numbered(trusted_entries..trusted_entries + 40));
            // Written, and not synced.
            disk.crash_at(disk.operations() + 1);
            assert!(block_on(queue.sync()).is_err());
            let dark = boot(&powerless(&disk.model(), survival, seed as u64));
            let mut queue = open_queue(&dark, &trusted).unwrap();
            assert_eq!(block_on(all(&queue)), numbered(0..trusted_entries));
            // Rewritten behind, as a dispatch after the start would.
            let other = numbered(1000..1040);
            queue.append(&other);
            let mut expected = numbered(0..trusted_entries);
            expected.extend(other);
            assert_eq!(
                block_on(all(&queue)),
                expected,
                "{trusted_entries} {survival:?}"
            );
            let trusted = block_on(queue.sync()).unwrap();
            assert_eq!(block_on(all(&queue)), expected, "synced");
            let queue = open_queue(&boot(&dark.model()), &trusted).unwrap();
            assert_eq!(block_on(all(&queue)), expected, "opened again");
        }
    }
}

#[test]
fn expired_entries_are_removed_file_by_file() {
    block_on(async {
        let disk = boot(&formatted());
        let mut queue = open_queue(&disk, &QueueTail::default()).unwrap();
        queue.append(&numbered(0..325));
        let before = queue.sync().await.unwrap();
        queue.drop_below(199);
        queue.sync().await.unwrap();
        assert_eq!(files(&disk).await, ["100", "200", "300"]);
        queue.drop_below(200);
        queue.sync().await.unwrap();
        assert_eq!(files(&disk).await, ["200", "300"]);
        assert_eq!(queue.read(200, 2).await.unwrap(), numbered(200..202));
        queue.append(&numbered(325..330));
        let after = queue.sync().await.unwrap();
        assert_eq!((after.first_offset, after.entries), (200, 330));
        drop(queue);
        let lacking = open_queue(&disk, &before).unwrap().read(0, 1).await;
        assert!(matches!(
            lacking,
            Err(QueueError::Lacking { offset: 0, .. })
        ));
        // As after a crash before the removal: the first sync removes.
        let raised = QueueTail {
            first_offset: 310,
            ..after
        };
        let mut queue = open_queue(&disk, &raised).unwrap();
        queue.sync().await.unwrap();
        assert_eq!(files(&disk).await, ["300"]);
        assert_eq!(queue.read(310, 50).await.unwrap(), numbered(310..330));
    });
}

/// The first entry of each of the queue's files.
async fn files<D: Disk>(disk: &D) -> Vec<String> {
    let names = disk.list("consumequeue/%RETRY%group/3").await.unwrap();
    let begins = names.iter().map(|name| name.parse::<u64>().unwrap() / 20);
    begins.map(|first| first.to_string()).collect()
}

#[test]
fn a_queue_that_lacks_what_is_trusted_says_so() {
    on_simulated(async |disk| {
        let mut queue = open_queue(&disk, &QueueTail::default()).unwrap();
        queue.append(&numbered(0..250));
        let trusted = queue.sync().await.unwrap();
        disk.remove("consumequeue/%RETRY%group/3/00000000000000002000")
            .await
            .unwrap();
        let lacking = open_queue(&disk, &trusted).unwrap().read(100, 9).await;
        assert!(matches!(
            lacking,
            Err(QueueError::Lacking { offset: 100, .. })
        ));
        // From nothing it can be rebuilt.
        let mut queue = open_queue(&disk, &QueueTail::default()).unwrap();
        queue.append(&numbered(0..250));
        assert_eq!(all(&queue).await, numbered(0..250));
    });
}

/// The snapshot's own bytes replace what has happened to the last sector.
#[test]
fn the_last_sector_is_restored_from_the_snapshot() {
    on_simulated(async |disk| {
        let mut queue = open_queue(&disk, &QueueTail::default()).unwrap();
        queue.append(&numbered(0..60));
        let trusted = queue.sync().await.unwrap();
        assert_eq!(trusted.last_sector.len(), 1200 % 512);
        let path = "consumequeue/%RETRY%group/3/00000000000000000000";
        scribble(&disk, path, 1024, &[0xff; 176]).await;
        let queue = open_queue(&disk, &trusted).unwrap();
        assert_eq!(all(&queue).await, numbered(0..60));
    });
}

#[test]
fn a_failed_or_abandoned_sync_poisons() {
    let disk = boot(&formatted());
    let mut queue = open_queue(&disk, &QueueTail::default()).unwrap();
    queue.append(&numbered(0..10));
    let fault = DiskFault::SyncError {
        cache: CacheAfterError::KeepsNew,
    };
    disk.model()
        .arm(ArmedFault::next(fault, "consumequeue/", 1));
    assert!(matches!(
        block_on(queue.sync()),
        Err(QueueError::Unsynced { .. })
    ));
    assert!(matches!(
        block_on(queue.sync()),
        Err(QueueError::Poisoned { .. })
    ));
    // One that was begun: its process dies in the middle of its syncs. Before them, in
    // its writes, it may be tried again.
    let is_poisoned = |operation: u64| {
        let disk = boot(&formatted());
        let mut queue = open_queue(&disk, &QueueTail::default()).unwrap();
        queue.append(&numbered(0..10));
        disk.crash_at(disk.operations() + operation);
        let failed = block_on(queue.sync()).is_err();
        failed && matches!(block_on(queue.sync()), Err(QueueError::Poisoned { .. }))
    };
    assert!((1..20).any(is_poisoned));
}

/// For want of a descriptor or of room nothing is lost: what is to be written waits
/// in memory.
#[test]
fn a_sync_that_could_not_begin_is_tried_again() {
    let disk = boot(&formatted());
    let mut queue = open_queue(&disk, &QueueTail::default()).unwrap();
    queue.append(&numbered(0..10));
    let trusted = block_on(queue.sync()).unwrap();
    queue.append(&numbered(10..130));
    disk.model()
        .arm(ArmedFault::next(DiskFault::NoSpace, "consumequeue/", 1));
    assert!(matches!(block_on(queue.sync()), Err(QueueError::Io { .. })));
    assert_eq!(block_on(all(&queue)), numbered(0..130));
    let later = block_on(queue.sync()).unwrap();
    assert_eq!((trusted.entries, later.entries), (10, 130));
    let dark = boot(&powerless(&disk.model(), DiskSurvival::None, 0));
    let queue = open_queue(&dark, &later).unwrap();
    assert_eq!(block_on(all(&queue)), numbered(0..130));
}

#[test]
fn a_topic_cannot_lead_out_of_the_directory() {
    on_simulated(async |disk| {
        for topic in ["", "..", ".", "a/b", "a\0b"] {
            let refused =
                ConsumeQueue::open(disk.clone(), topic, 0, PER_FILE, &QueueTail::default());
            assert!(
                matches!(refused, Err(QueueError::TopicName { .. })),
                "{topic:?}"
            );
        }
    });
}
