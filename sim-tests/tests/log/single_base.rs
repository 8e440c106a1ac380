//! Where the log of a broker that stands alone begins, once something has expired.

use zeroloss::log::{COMMIT_LOG_DIR, CommitLog, OpenError, Position, ReadError, salvage};
use zeroloss::sim::disk::{DiskModel, DiskSurvival, StepDisk, block_on};

use crate::files::scribble;
use crate::support::*;

/// Record length: two sectors each, three to a segment.
const LENGTH: u64 = 900;
const RECORDS: u64 = 14;

/// A log of 14 records, and where it stood before each of them and at its end.
fn filled() -> (DiskModel, Vec<Position>) {
    let disk = boot(&formatted());
    let mut places = vec![Position::START];
    block_on(async {
        let mut log = open(&disk).await.0;
        for number in 0..RECORDS {
            stage(&mut log, number, LENGTH);
            places.push(flush(&mut log).await.unwrap());
        }
    });
    let model = disk.model().clone();
    (reborn(&model), places)
}

async fn open_at(disk: &StepDisk, base: Position) -> Result<Log, OpenError> {
    let opened = CommitLog::open_at(disk.clone(), SMALL, base, ENTROPY).await;
    opened.map(|(log, _)| log)
}

/// The log holds the records from that number on, and nothing below.
async fn assert_holds(log: &Log, base: Position, first: u64, context: &str) {
    assert_eq!(log.base(), base, "{context}");
    let (mut from, mut number) = (base.address, first);
    while from < log.flushed().address {
        let batch = log.read_batch(from, u64::MAX, 1).await.unwrap();
        for entry in &batch.entries {
            assert_eq!(entry.record(), record(number, LENGTH), "{context}");
            number += 1;
        }
        from = batch.next_address;
    }
    assert_eq!(number, RECORDS, "{context}");
    if let Some(below) = base.address.checked_sub(1) {
        let below = log.read(below, 0).await;
        assert!(
            matches!(below, Err(ReadError::NotAnEntry { .. })),
            "{context}"
        );
    }
}

#[test]
fn what_is_below_the_base_goes_wherever_it_crashes() {
    let (model, places) = filled();
    for first in [1, 3, 4, 7, 13, 14] {
        let base = places[first as usize];
        for crash in operations() {
            let disk = boot(&model);
            let mut log = block_on(open_at(&disk, Position::START)).unwrap();
            disk.crash_at(disk.operations() + crash);
            let done = block_on(log.drop_below(base)).is_ok();
            if done {
                block_on(assert_holds(&log, base, first, "at once"));
            }
            let died = disk.model().clone();
            let mut deaths = vec![reborn(&died)];
            deaths.extend(DiskSurvival::ALL.map(|survival| powerless(&died, survival, crash)));
            for (number, dead) in deaths.iter().enumerate() {
                let context = format!("first {first}, crash {crash}, death {number}");
                let log = block_on(open_at(&boot(dead), base)).unwrap();
                block_on(assert_holds(&log, base, first, &context));
            }
            if done {
                break;
            }
        }
    }
}

#[test]
fn rot_below_the_base_is_nobody_s_loss() {
    let (model, places) = filled();
    // The base is within the second segment; the record before it rots.
    let (rotten, base) = (places[3], places[5]);
    let path = format!("{COMMIT_LOG_DIR}/{:020}", rotten.address);
    let disk = boot(&model);
    block_on(scribble(&disk, &path, 512 + 90, b"rot"));
    let refused = block_on(open_at(&boot(&disk.model()), Position::START));
    assert!(
        matches!(refused, Err(OpenError::Corrupt(_))),
        "a loss without the base"
    );
    let nothing = block_on(salvage(boot(&disk.model()), SMALL, base, ENTROPY));
    assert!(nothing.is_err(), "the log is not corrupt");
    let log = block_on(open_at(&boot(&disk.model()), base)).unwrap();
    block_on(assert_holds(&log, base, 5, "from the base on"));
}

#[test]
fn a_log_that_does_not_reach_its_base_is_not_opened() {
    let (model, places) = filled();
    let mut base = places[14];
    base.address += 4096;
    base.next_index += 3;
    let opened = block_on(open_at(&boot(&model), base));
    assert!(matches!(opened, Err(OpenError::BelowBase { .. })));
}
