//! The rows of power loss: on, with the survival that they name; off, with one
//! that must not show it. Each looks at many seeds.

use super::*;

const SEEDS: u64 = 64;

/// Four sectors of `a` overwritten by `b` to `e`, and three more appended as
/// `f`, each by a write of its own.
fn dirty() -> DiskModel {
    let (mut disk, file) = with_data(4);
    for (index, byte) in (b'b'..b'f').enumerate() {
        disk.write(file, 512 * index as u64, sector(byte)).unwrap();
    }
    for index in 4..7 {
        disk.write(file, 512 * index, sector(b'f')).unwrap();
    }
    disk
}

/// The rest of [`dirty`].
fn left(survival: DiskSurvival, seed: u64) -> Vec<u8> {
    let mut disk = dirty();
    lose_power(&mut disk, survival, seed);
    let bytes = durable(&disk, "f").unwrap();
    assert_eq!(cached(&mut disk, "f"), bytes, "the cache is cold");
    bytes
}

fn any(survival: DiskSurvival, shows: impl Fn(&[u8]) -> bool) -> bool {
    (0..SEEDS).any(|seed| shows(&left(survival, seed)))
}

/// For each of the first four sectors, whether its new version is there.
fn arrived(bytes: &[u8]) -> Vec<bool> {
    (0..4).map(|index| bytes[512 * index] != b'a').collect()
}

/// A later sector is there, an earlier one is not.
fn has_gap(bytes: &[u8]) -> bool {
    arrived(bytes).windows(2).any(|pair| pair == [false, true])
}

fn has_torn_sector(bytes: &[u8]) -> bool {
    bytes
        .chunks(512)
        .any(|chunk| chunk.iter().any(|byte| *byte != chunk[0]))
}

pub(super) fn any_order(on: bool) -> bool {
    any(
        if on {
            DiskSurvival::SectorSubset
        } else {
            DiskSurvival::Prefix
        },
        has_gap,
    )
}

pub(super) fn none(on: bool) -> bool {
    any(
        if on {
            DiskSurvival::None
        } else {
            DiskSurvival::All
        },
        |bytes| bytes == vec![b'a'; 2048],
    )
}

pub(super) fn all(on: bool) -> bool {
    let mut whole: Vec<u8> = (b'b'..b'f').flat_map(sector).collect();
    whole.extend([b'f'; 3 * 512]);
    any(
        if on {
            DiskSurvival::All
        } else {
            DiskSurvival::None
        },
        |bytes| bytes == whole,
    )
}

/// Some of it, never with a gap.
pub(super) fn prefix(on: bool) -> bool {
    let survival = if on {
        DiskSurvival::Prefix
    } else {
        DiskSurvival::None
    };
    let some = |bytes: &[u8]| arrived(bytes)[0] && !arrived(bytes)[3];
    any(survival, some) && !any(survival, has_gap)
}

pub(super) fn sector_subset(on: bool) -> bool {
    let survival = if on {
        DiskSurvival::SectorSubset
    } else {
        DiskSurvival::Prefix
    };
    assert!(!any(survival, has_torn_sector), "whole sectors");
    any(survival, has_gap)
}

/// A sector with bytes of both versions, and of nothing else.
pub(super) fn torn(on: bool) -> bool {
    let survival = if on {
        DiskSurvival::Torn
    } else {
        DiskSurvival::SectorSubset
    };
    assert!(!any(survival, |bytes| bytes
        .iter()
        .any(|byte| !b"\0abcdef".contains(byte))));
    any(survival, has_torn_sector)
}

pub(super) fn garbage(on: bool) -> bool {
    let survival = if on {
        DiskSurvival::Garbage
    } else {
        DiskSurvival::Torn
    };
    any(survival, |bytes| {
        bytes.iter().any(|byte| !b"\0abcdef".contains(byte))
    })
}

pub(super) fn size_without_data(on: bool) -> bool {
    let survival = if on {
        DiskSurvival::SizeWithoutData
    } else {
        DiskSurvival::All
    };
    let mut expected = vec![b'a'; 4 * 512];
    expected.resize(7 * 512, 0);
    any(survival, |bytes| bytes == expected)
}

pub(super) fn data_without_size(on: bool) -> bool {
    let survival = if on {
        DiskSurvival::DataWithoutSize
    } else {
        DiskSurvival::All
    };
    any(survival, |bytes| {
        bytes == (b'b'..b'f').flat_map(sector).collect::<Vec<u8>>()
    })
}

/// Names in every combination, data in none.
pub(super) fn entry_subset(on: bool) -> bool {
    let survival = if on {
        DiskSurvival::EntrySubset
    } else {
        DiskSurvival::Prefix
    };
    (0..SEEDS).any(|seed| {
        let mut disk = blank();
        for name in ["first", "second"] {
            let file = disk.create(name).unwrap();
            disk.write(file, 0, sector(b'a')).unwrap();
        }
        lose_power(&mut disk, survival, seed);
        disk.list("").unwrap() == ["second"] && durable(&disk, "second").unwrap().is_empty()
    })
}

#[test]
fn a_caller_can_try_every_prefix() {
    let pieces = dirty().pending_pieces();
    assert_eq!(pieces, 7 + 3, "sectors, and the sizes of what was appended");
    let states: Vec<Vec<u8>> = (0..=pieces)
        .map(|n| left(DiskSurvival::PrefixOf(n), 0))
        .collect();
    assert_eq!(states[0], left(DiskSurvival::None, 0));
    assert_eq!(states[pieces], left(DiskSurvival::All, 0));
    assert!(states[..5].windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn the_report_adds_up() {
    for survival in DiskSurvival::ALL {
        for seed in 0..8 {
            let mut disk = dirty();
            disk.create("new").unwrap();
            let (pieces, bytes) = (disk.pending_pieces(), disk.pending_bytes("f"));
            let report = lose_power(&mut disk, survival, seed);
            assert_eq!(
                (report.pieces(), report.pending_bytes("f")),
                (pieces, bytes)
            );
            let file = &report.files["f"];
            assert_eq!(file.survived + file.torn + file.lost, file.pending);
            assert_eq!(report.entries_survived, disk.list("").unwrap().len() - 1);
            assert_eq!(disk.pending_pieces(), 0);
        }
    }
}

#[test]
fn equal_seeds_leave_equal_bytes() {
    for survival in DiskSurvival::ALL {
        assert_eq!(left(survival, 5), left(survival, 5));
    }
    assert_ne!(
        left(DiskSurvival::Garbage, 5),
        left(DiskSurvival::Garbage, 6)
    );
}

/// The old name given away again before anything was synced: if the new owner
/// arrived without the rename before it, the file would be left with no name.
#[test]
fn a_file_renamed_away_from_a_reused_name_keeps_one_of_its_names() {
    let mut renamed = 0;
    for seed in 0..SEEDS {
        let (mut disk, file) = with_data(1);
        disk.rename("f", "g").unwrap();
        disk.create("f").unwrap();
        lose_power(&mut disk, DiskSurvival::EntrySubset, seed);
        renamed += u32::from(disk.path_of(file.ino).expect("a name") == "g");
    }
    assert!(0 < renamed && renamed < SEEDS as u32, "both were seen");
}

#[test]
fn data_without_its_size_is_not_found_again_by_growth() {
    let (mut disk, file) = with_file();
    disk.write(file, 0, sector(b'a')).unwrap();
    lose_power(&mut disk, DiskSurvival::DataWithoutSize, 0);
    let file = disk.open("f").unwrap();
    disk.set_len(file, 512).unwrap();
    assert_eq!(cached(&mut disk, "f"), sector(0));
}

#[test]
fn a_file_below_an_unsynced_directory_is_gone() {
    let mut disk = blank();
    disk.create_dir("d").unwrap();
    let file = disk.create("d/f").unwrap();
    disk.write(file, 0, sector(b'a')).unwrap();
    sync(&mut disk, file);
    sync_dir(&mut disk, "d");
    assert!(!disk.is_linked_durably(file.ino));
    assert!(!disk.durable_matches(file.ino, 0, b"a"));
    lose_power(&mut disk, DiskSurvival::None, 0);
    assert!(disk.list("").unwrap().is_empty());
    assert_eq!(disk.last_seq_of(file.ino), None);
}
