//! Reading by address.

use crate::support::*;
use zeroloss::log::{Flaw, ReadError};
use zeroloss::record::EntryKind;
use zeroloss::sim::disk::{RotKind, StepDisk, block_on};

/// Groups of various sizes over several segments, with a mark.
async fn filled(disk: &StepDisk) -> (Log, Vec<(u64, Vec<u8>)>) {
    let mut log = open(disk).await.0;
    let mut all = Vec::new();
    for number in 0..30 {
        let length = 8 + number * 37 % 700;
        all.push((
            stage(&mut log, number, length).address,
            record(number, length),
        ));
        if number % 3 == 2 {
            flush(&mut log).await.unwrap();
        }
        if number == 11 {
            log.write_mark().await.unwrap();
        }
    }
    flush(&mut log).await.unwrap();
    (log, all)
}

#[test]
fn every_entry_is_read_by_its_address_whatever_length_is_expected() {
    on_simulated(async |disk| {
        let (log, all) = filled(&disk).await;
        for (number, (address, bytes)) in all.iter().enumerate() {
            for expected in [0, bytes.len() as u32, 5000] {
                let entry = log.read(*address, expected).await.unwrap();
                assert_eq!(
                    (entry.index, entry.record()),
                    (number as u64 + 1, &bytes[..])
                );
                assert_eq!((entry.kind, entry.address), (EntryKind::NoOp, *address));
            }
        }
    });
}

#[test]
fn a_wrong_address_is_told_from_a_damaged_entry() {
    on_simulated(async |disk| {
        let (log, all) = filled(&disk).await;
        let end = log.appended().address;
        let mut wrong = 0;
        for address in (0..end).filter(|a| all.iter().all(|(entry, _)| entry != a)) {
            let read = log.read(address, 0).await;
            assert!(
                matches!(read, Err(ReadError::NotAnEntry { .. })),
                "{address}: {read:?}"
            );
            wrong += 1;
        }
        assert!(wrong > 1000);
        for address in [end, end + 1, u64::MAX] {
            assert!(matches!(
                log.read(address, 0).await,
                Err(ReadError::BeyondEnd { .. })
            ));
        }
    });
}

/// D28: verified at every use, not only at the start.
#[test]
fn an_entry_that_rots_while_the_log_is_open_is_not_served() {
    on_simulated(async |disk| {
        let (log, all) = filled(&disk).await;
        disk.model()
            .rot("commitlog/00000000000000000000", 512, RotKind::Garbage, 3)
            .unwrap();
        let read = log.read(all[0].0, 0).await;
        assert!(
            matches!(read, Err(ReadError::Corrupt { address: 0, .. })),
            "{read:?}"
        );
        let batch = log.read_batch(0, u64::MAX, 10_000).await;
        assert!(matches!(batch, Err(ReadError::Corrupt { .. })), "{batch:?}");
        disk.model()
            .make_unreadable("commitlog/00000000000000000000", 1024)
            .unwrap();
        let unreadable = all
            .iter()
            .map(|(address, _)| block_on(log.read(*address, 0)));
        let flaws = unreadable.filter_map(|read| match read {
            Err(ReadError::Corrupt { flaw, .. }) => Some(flaw),
            _ => None,
        });
        let flaws: Vec<_> = flaws.collect();
        assert!(
            flaws.iter().any(|flaw| matches!(flaw, Flaw::Unreadable(_))),
            "{flaws:?}"
        );
        assert!(
            flaws.iter().any(|flaw| matches!(flaw, Flaw::Envelope(_))),
            "{flaws:?}"
        );
    });
}

#[test]
fn batches_join_without_gap_or_repetition_and_keep_to_their_bounds() {
    on_simulated(async |disk| {
        let (log, all) = filled(&disk).await;
        for bytes_max in [1, 500, 4000, 100_000] {
            let (mut from, mut read) = (0, Vec::new());
            while from < log.appended().address {
                let batch = log.read_batch(from, u64::MAX, bytes_max).await.unwrap();
                assert!(!batch.entries.is_empty());
                let last = batch.entries.last().unwrap();
                assert!(last.address - from < bytes_max, "begun beyond the bound");
                from = batch.next_address;
                read.extend(
                    batch
                        .entries
                        .into_iter()
                        .map(|e| (e.address, e.record().to_vec())),
                );
            }
            assert_eq!(read, all, "{bytes_max}");
        }
        let (second, third) = (all[1].0, all[2].0);
        let batch = log.read_batch(second, third, 10_000).await.unwrap();
        assert_eq!((batch.entries.len(), batch.next_address), (1, third));
        let none = log.read_batch(third, third, 10_000).await.unwrap();
        assert_eq!((none.entries.len(), none.next_address), (0, third));
    });
}

#[test]
fn an_entry_that_is_only_staged_is_not_read() {
    on_simulated(async |disk| {
        let mut log = open(&disk).await.0;
        let staged = stage(&mut log, 1, 20);
        assert!(matches!(
            log.read(staged.address, 0).await,
            Err(ReadError::BeyondEnd { .. })
        ));
        log.write().await.unwrap();
        assert_eq!(
            log.read(staged.address, 0).await.unwrap().into_record(),
            record(1, 20)
        );
    });
}
