//! The rules that hold for any sequence of operations.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::env::Disk;

#[derive(Debug, Clone)]
enum Op {
    Create(u8),
    Write {
        file: u8,
        position: u64,
        length: usize,
        byte: u8,
    },
    SetLen {
        file: u8,
        length: u64,
    },
    Sync {
        file: u8,
        kind: bool,
    },
    SyncDir(u8),
    Rename(u8, u8),
    Remove(u8),
}

const FILES: [&str; 4] = ["a", "b", "d/a", "d/b"];

fn path(file: u8) -> &'static str {
    FILES[usize::from(file) % FILES.len()]
}

fn op() -> impl Strategy<Value = Op> {
    let file = 0..4u8;
    prop_oneof![
        2 => file.clone().prop_map(Op::Create),
        6 => (file.clone(), 0..3000u64, 1..1500usize, 1..255u8).prop_map(
            |(file, position, length, byte)| Op::Write { file, position, length, byte }
        ),
        2 => (file.clone(), 0..4000u64).prop_map(|(file, length)| Op::SetLen { file, length }),
        3 => (file.clone(), any::<bool>()).prop_map(|(file, kind)| Op::Sync { file, kind }),
        2 => (0..2u8).prop_map(Op::SyncDir),
        1 => (file.clone(), file.clone()).prop_map(|(from, to)| Op::Rename(from, to)),
        1 => file.prop_map(Op::Remove),
    ]
}

fn perform(disk: &mut DiskModel, op: &Op) -> std::io::Result<()> {
    match *op {
        Op::Create(file) => disk.create(path(file)).map(|file| disk.close(file)),
        Op::Write {
            file,
            position,
            length,
            byte,
        } => {
            let file = disk.open(path(file))?;
            disk.write(file, position, Bytes::from(vec![byte; length]))?;
            disk.close(file);
            Ok(())
        }
        Op::SetLen { file, length } => {
            let file = disk.open(path(file))?;
            disk.set_len(file, length)?;
            disk.close(file);
            Ok(())
        }
        Op::Sync { file, kind } => {
            let file = disk.open(path(file))?;
            try_sync(
                disk,
                file,
                if kind { SyncKind::All } else { SyncKind::Data },
            )?;
            disk.close(file);
            Ok(())
        }
        Op::SyncDir(which) => try_sync_dir(disk, ["", "d"][usize::from(which)]).map(drop),
        Op::Rename(from, to) => disk.rename(path(from), path(to)),
        Op::Remove(file) => disk.remove(path(file)),
    }
}

fn after(ops: &[Op]) -> DiskModel {
    let mut disk = blank();
    disk.create_dir("d").unwrap();
    sync_dir(&mut disk, "");
    for op in ops {
        // A refusal (no such file, say) is part of the sequence.
        let _ = perform(&mut disk, op);
    }
    disk
}

/// Everything a process sees.
fn seen(disk: &mut DiskModel) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for path in FILES {
        if disk.open(path).is_ok() {
            all.push((path.to_owned(), cached(disk, path)));
        }
    }
    all
}

/// Everything that is durable.
fn safe(disk: &DiskModel) -> Vec<(String, Vec<u8>)> {
    let file = |path: &&str| Some(((*path).to_owned(), durable(disk, path)?));
    FILES.iter().filter_map(file).collect()
}

proptest! {
    // A sequence that once failed becomes a test with a name, below.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The cache is the medium and what is pending, in order.
    #[test]
    fn nothing_changes_when_clean_pages_are_dropped(ops in prop::collection::vec(op(), 0..40)) {
        let mut disk = after(&ops);
        let before = seen(&mut disk);
        disk.evict_clean();
        prop_assert_eq!(seen(&mut disk), before);
    }

    #[test]
    fn if_all_arrives_the_power_loss_is_a_kill(ops in prop::collection::vec(op(), 0..40)) {
        let mut disk = after(&ops);
        let before = seen(&mut disk);
        lose_power(&mut disk, DiskSurvival::All, 0);
        prop_assert_eq!(seen(&mut disk), before);
    }

    #[test]
    fn if_nothing_arrives_the_durable_state_is_left(ops in prop::collection::vec(op(), 0..40)) {
        let mut disk = after(&ops);
        let expected = safe(&disk);
        let mut fork = disk.fork_durable();
        prop_assert_eq!(&seen(&mut fork), &expected);
        lose_power(&mut disk, DiskSurvival::None, 0);
        prop_assert_eq!(seen(&mut disk), expected);
    }

    /// With everything synced, no survival can take anything.
    #[test]
    fn synced_bytes_are_safe(
        ops in prop::collection::vec(op(), 0..40), mode in 0..DiskSurvival::ALL.len(), seed: u64,
    ) {
        let mut disk = after(&ops);
        for file in 0..4 {
            let _ = perform(&mut disk, &Op::Sync { file, kind: true });
        }
        sync_dir(&mut disk, "");
        sync_dir(&mut disk, "d");
        let before = seen(&mut disk);
        prop_assert_eq!(disk.pending(""), Pending::default());
        lose_power(&mut disk, DiskSurvival::ALL[mode], seed);
        prop_assert_eq!(seen(&mut disk), before);
    }

    /// No survival but garbage invents a byte: each is what the medium had
    /// there, what some pending write put there, or zero where nothing was.
    #[test]
    fn each_byte_left_was_once_written_there(
        writes in prop::collection::vec((0..3000usize, 1..1500usize, 1..255u8), 0..12),
        synced in 0..12usize, mode in 0..DiskSurvival::ALL.len(), seed: u64,
    ) {
        let (mut disk, file) = with_file();
        let mut may_be = vec![BTreeSet::from([0]); 4500];
        for (index, (at, length, byte)) in writes.iter().enumerate() {
            disk.write(file, *at as u64, Bytes::from(vec![*byte; *length])).unwrap();
            may_be[*at..at + length].iter_mut().for_each(|values| { values.insert(*byte); });
            if index == synced {
                sync_data(&mut disk, file);
                let now = durable(&disk, "f").unwrap();
                may_be.iter_mut().zip(&now).for_each(|(values, byte)| *values = BTreeSet::from([*byte]));
            }
        }
        let survival = DiskSurvival::ALL[mode];
        lose_power(&mut disk, survival, seed);
        if survival != DiskSurvival::Garbage {
            let left = durable(&disk, "f").unwrap();
            prop_assert!(left.iter().zip(&may_be).all(|(byte, values)| values.contains(byte)));
        }
    }

    /// The operations before the crash point are done, the others are not.
    #[test]
    fn a_crash_point_cuts_the_sequence(files in 1..12u64, at in 0..24u64) {
        let model = Arc::new(Mutex::new(blank()));
        let disk = StepDisk::new(model.clone());
        disk.crash_at(at);
        let ended = block_on(create_and_sync(&disk, files));
        prop_assert_eq!(ended.as_ref().is_err_and(StepDisk::is_crash), at < 2 * files);
        prop_assert_eq!(disk.operations(), (at + 1).min(2 * files));
        lose_power(&mut model.lock().unwrap(), DiskSurvival::None, 0);
        let stale = block_on(disk.free_bytes()).unwrap_err();
        prop_assert_eq!(StepDisk::is_crash(&stale), at < 2 * files);
        let left = block_on(StepDisk::new(model).list("")).unwrap();
        prop_assert_eq!(left.len() as u64, (at / 2).min(files));
    }
}

async fn create_and_sync(disk: &StepDisk, files: u64) -> std::io::Result<()> {
    for index in 0..files {
        disk.create(&format!("n{index}")).await?;
        disk.sync_dir("").await?;
    }
    Ok(())
}

/// Growth, then a truncation that still left the file longer than the medium
/// had it: a data sync dropped the growth whole, so a full sync after it found
/// nothing to do.
#[test]
fn a_truncated_growth_is_still_growth() {
    let (mut disk, file) = with_file();
    disk.set_len(file, 3281).unwrap();
    disk.set_len(file, 1).unwrap();
    sync_data(&mut disk, file);
    sync(&mut disk, file);
    assert_eq!(disk.durable_file("f").unwrap().size_bytes(), 1);
}
