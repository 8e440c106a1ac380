//! A long log is gone through once: no part of it starts again from the beginning.

use zeroloss::env::Disk;
use zeroloss::log::{COMMIT_LOG_DIR, CommitLog, LogConfig, LogSizes, Position};
use zeroloss::sim::disk::{StepDisk, block_on};

use crate::chain::Chain;
use crate::restart::Counting;
use crate::support::*;

const CONFIG: LogConfig = LogConfig {
    sizes: LogSizes::DEFAULT,
    segment_bytes: 256 << 10,
    reserve_bytes: 0,
    replicated: true,
};
const SECTOR_BYTES: u64 = 512;
const FIRST: &str = "commitlog/00000000000000000000";

/// A log of one segment, synced after each so many entries, on a disk that counts.
async fn filled(
    chain: &Chain,
    synced_each: usize,
) -> (StepDisk, Counting<StepDisk>, CommitLog<Counting<StepDisk>>) {
    filled_as(CONFIG, chain, synced_each).await
}

async fn filled_as(
    config: LogConfig,
    chain: &Chain,
    synced_each: usize,
) -> (StepDisk, Counting<StepDisk>, CommitLog<Counting<StepDisk>>) {
    let disk = boot(&formatted());
    let counting = Counting::new(disk.clone());
    let opened = CommitLog::open(counting.clone(), config, ENTROPY).await;
    let mut log = opened.unwrap().0;
    for (number, frame) in chain.frames.iter().enumerate() {
        log.stage_frame(frame).unwrap();
        if (number + 1) % synced_each == 0 {
            flush(&mut log).await.unwrap();
        }
    }
    flush(&mut log).await.unwrap();
    let names = disk.list(COMMIT_LOG_DIR).await.unwrap();
    assert_eq!(names.len(), 1, "one segment");
    counting.taken();
    (disk, counting, log)
}

fn chain() -> Chain {
    Chain::of(400, |_| 400)
}

#[test]
fn a_bad_sector_ahead_does_not_fail_each_read_before_it() {
    block_on(async {
        let chain = chain();
        let (disk, counting, mut log) = filled(&chain, 400).await;
        let sector = 300;
        let lost = disk.model().make_unreadable(FIRST, sector * SECTOR_BYTES);
        lost.unwrap();
        let cut: Position = chain.ends[250];
        assert_eq!(log.truncate(cut.address).await.unwrap(), cut);
        let read_bytes = counting.taken();
        assert!(read_bytes < 3 * CONFIG.segment_bytes, "{read_bytes}");
    });
}

#[test]
fn a_scrub_in_small_parts_reads_about_each_byte_once() {
    block_on(async {
        let chain = chain();
        let (_, counting, log) = filled(&chain, 400).await;
        let mut at = 0;
        loop {
            let found = log.scrub_step(at, 4096).await.unwrap();
            assert_eq!((found.damaged, found.corrupt_header), (None, None));
            if found.next_address <= at {
                break;
            }
            at = found.next_address;
        }
        let read_bytes = counting.taken();
        assert!(read_bytes < 3 * CONFIG.segment_bytes, "{read_bytes}");
    });
}

#[test]
fn a_cut_looks_at_the_group_that_it_is_in() {
    block_on(async {
        let chain = chain();
        for number in [1, 2, 100, 398, 399] {
            let (_, counting, mut log) = filled(&chain, 10).await;
            let cut: Position = chain.ends[number];
            assert_eq!(log.truncate(cut.address).await.unwrap(), cut);
            let rest_bytes = CONFIG.segment_bytes - chain.ends[number / 10 * 10].address;
            let read_bytes = counting.taken();
            assert!(
                read_bytes <= rest_bytes + 8 * 1024,
                "{read_bytes} of {rest_bytes}"
            );
        }
    });
}

#[test]
fn a_batch_reads_a_long_entry_once() {
    block_on(async {
        let record_bytes = 1_200_000;
        let chain = Chain::of(5, |_| record_bytes);
        let config = LogConfig {
            segment_bytes: 8 << 20,
            ..CONFIG
        };
        let (_, counting, log) = filled_as(config, &chain, 5).await;
        let mut at = chain.ends[0].address;
        for _ in 1..5 {
            let batch = log.read_batch(at, u64::MAX, 1 << 20).await.unwrap();
            assert_eq!(batch.entries.len(), 1, "it does not fit, and comes alone");
            at = batch.next_address;
            let read_bytes = counting.taken();
            assert!(read_bytes < record_bytes + (8 << 10), "{read_bytes}");
        }
    });
}
