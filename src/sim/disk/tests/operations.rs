//! The rows of operations and of the process kill. Each function does the deed
//! (`on`) or leaves out what causes the effect, and says whether it was seen.

use super::*;

/// The cache has it, the medium does not.
pub(super) fn write(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    if on {
        disk.write(file, 0, sector(b'b')).unwrap();
    }
    cached(&mut disk, "f") == sector(b'b') && durable(&disk, "f").unwrap() == sector(b'a')
}

/// A write after the beginning of a sync is not covered by it.
pub(super) fn sync_data_since(on: bool) -> bool {
    let (mut disk, file) = with_data(2);
    disk.write(file, 0, sector(b'b')).unwrap();
    let early = on.then(|| disk.begin_sync(file, SyncKind::Data).unwrap());
    disk.write(file, 512, sector(b'c')).unwrap();
    let sync = early.unwrap_or_else(|| disk.begin_sync(file, SyncKind::Data).unwrap());
    disk.finish_sync(sync).unwrap();
    durable(&disk, "f").unwrap() == [sector(b'b'), sector(b'a')].concat()
}

/// Begun and not completed, it has done nothing.
pub(super) fn sync_data_completes(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    disk.write(file, 0, sector(b'b')).unwrap();
    let sync = disk.begin_sync(file, SyncKind::Data).unwrap();
    if !on {
        disk.finish_sync(sync).unwrap();
    }
    durable(&disk, "f").unwrap() == sector(b'a')
}

/// The written byte can be read back; preallocated space behind it cannot.
pub(super) fn sync_data_size(on: bool) -> bool {
    let (mut disk, file) = with_file();
    disk.set_len(file, 4096).unwrap();
    disk.write(file, 0, Bytes::from_static(b"abc")).unwrap();
    try_sync(
        &mut disk,
        file,
        if on { SyncKind::Data } else { SyncKind::All },
    )
    .unwrap();
    let short = durable(&disk, "f").unwrap() == b"abc";
    sync(&mut disk, file);
    assert_eq!(disk.durable_file("f").unwrap().size_bytes(), 4096);
    short
}

pub(super) fn sync_data_name(on: bool) -> bool {
    sync_leaves_out_name(SyncKind::Data, on)
}

pub(super) fn sync_all_name(on: bool) -> bool {
    sync_leaves_out_name(SyncKind::All, on)
}

fn sync_leaves_out_name(kind: SyncKind, on: bool) -> bool {
    let mut disk = blank();
    let file = disk.create("f").unwrap();
    disk.write(file, 0, sector(b'a')).unwrap();
    try_sync(&mut disk, file, kind).unwrap();
    if !on {
        sync_dir(&mut disk, "");
    }
    assert_eq!(disk.is_linked_durably(file.ino), !on);
    durable(&disk, "f").is_none()
}

pub(super) fn sync_all_size(on: bool) -> bool {
    let (mut disk, file) = with_file();
    disk.set_len(file, 4096).unwrap();
    try_sync(
        &mut disk,
        file,
        if on { SyncKind::All } else { SyncKind::Data },
    )
    .unwrap();
    disk.durable_file("f").unwrap().size_bytes() == 4096
}

/// Create, rename, remove and a new directory; of that directory only.
pub(super) fn sync_dir_names(on: bool) -> bool {
    let mut disk = blank();
    disk.create("gone").unwrap();
    disk.create("old").unwrap();
    disk.create_dir("d").unwrap();
    sync_dir(&mut disk, "");
    disk.create("d/inner").unwrap();
    disk.create("made").unwrap();
    disk.rename("old", "new").unwrap();
    disk.remove("gone").unwrap();
    if on {
        sync_dir(&mut disk, "");
    }
    let root = disk.durable_list("").unwrap();
    assert!(
        disk.durable_list("d").unwrap().is_empty(),
        "another directory's entry"
    );
    root == ["d", "made", "new"]
}

/// With one of the two syncs the old name stands.
pub(super) fn sync_dir_both(on: bool) -> bool {
    let mut disk = blank();
    disk.create_dir("a").unwrap();
    disk.create_dir("b").unwrap();
    disk.create("a/x").unwrap();
    for directory in ["", "a", "b"] {
        sync_dir(&mut disk, directory);
    }
    disk.rename("a/x", "b/y").unwrap();
    sync_dir(&mut disk, "b");
    if !on {
        sync_dir(&mut disk, "a");
    }
    let names = (
        disk.durable_list("a").unwrap(),
        disk.durable_list("b").unwrap(),
    );
    assert_eq!(
        names.0.len() + names.1.len(),
        1,
        "never both, never neither"
    );
    names.0 == ["x"]
}

/// Over many power losses one of the names is always there, and each is seen.
pub(super) fn rename_atomic(on: bool) -> bool {
    let (mut old, mut new) = (0, 0);
    for seed in 0..64 {
        let (mut disk, _) = with_data(1);
        disk.create("other").unwrap();
        if on {
            disk.rename("f", "g").unwrap();
        }
        lose_power(&mut disk, DiskSurvival::EntrySubset, seed);
        let names = disk.list("").unwrap();
        let count = |name: &str| names.iter().filter(|other| *other == name).count();
        assert_eq!(count("f") + count("g"), 1);
        old += count("f");
        new += count("g");
    }
    old > 0 && new > 0
}

/// The name arrived, the bytes did not.
pub(super) fn rename_unordered(on: bool) -> bool {
    let mut disk = blank();
    let file = disk.create("tmp").unwrap();
    disk.write(file, 0, sector(b'a')).unwrap();
    if !on {
        sync(&mut disk, file);
    }
    disk.rename("tmp", "final").unwrap();
    sync_dir(&mut disk, "");
    lose_power(&mut disk, DiskSurvival::None, 0);
    durable(&disk, "final").unwrap().is_empty()
}

/// Growth and truncation, both forgotten.
pub(super) fn set_len(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    let (mut other, shrunk) = with_data(1);
    disk.set_len(file, 4096).unwrap();
    other.set_len(shrunk, 100).unwrap();
    if !on {
        sync(&mut disk, file);
        sync(&mut other, shrunk);
    }
    lose_power(&mut disk, DiskSurvival::None, 0);
    lose_power(&mut other, DiskSurvival::None, 0);
    let sizes = [disk, other].map(|disk| disk.durable_file("f").unwrap().size_bytes());
    assert!(sizes == [512, 512] || sizes == [4096, 100]);
    sizes == [512, 512]
}

pub(super) fn set_len_zero(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    disk.set_len(file, 10).unwrap();
    if on {
        disk.set_len(file, 20).unwrap();
    }
    cached(&mut disk, "f").get(10..) == Some(&[0; 10][..])
}

/// An old segment under a new name, written anew only in part.
pub(super) fn set_len_recycled(on: bool) -> bool {
    let (mut disk, file) = with_data(2);
    disk.rename("f", "next").unwrap();
    sync_dir(&mut disk, "");
    if !on {
        disk.set_len(file, 0).unwrap();
    }
    disk.write(file, 0, sector(b'b')).unwrap();
    sync(&mut disk, file);
    lose_power(&mut disk, DiskSurvival::None, 0);
    durable(&disk, "next").unwrap() == [sector(b'b'), sector(b'a')].concat()
}

/// Unsynced bytes and names are still there after a kill.
pub(super) fn kill(on: bool) -> bool {
    let mut disk = blank();
    let file = disk.create("f").unwrap();
    disk.write(file, 0, sector(b'a')).unwrap();
    if on {
        disk.kill();
    } else {
        lose_power(&mut disk, DiskSurvival::None, 0);
    }
    disk.open("f").is_ok() && cached(&mut disk, "f") == sector(b'a')
}

pub(super) fn kill_in_flight(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    disk.write(file, 0, sector(b'b')).unwrap();
    let sync = disk.begin_sync(file, SyncKind::Data).unwrap();
    let before = disk.generation();
    if on {
        disk.kill();
        assert_eq!(disk.generation(), before + 1);
    }
    let dead = disk
        .read(file, 0, 1)
        .is_err_and(|e| DiskError::of(&e) == Some(&DiskError::Stale));
    disk.finish_sync(sync).unwrap();
    assert_eq!(durable(&disk, "f").unwrap(), sector(b'b'));
    assert!(disk.finish_sync(sync).is_err(), "it ends once");
    dead
}

#[test]
fn a_sync_does_not_outlive_the_power() {
    let (mut disk, file) = with_data(1);
    disk.write(file, 0, sector(b'b')).unwrap();
    let sync = disk.begin_sync(file, SyncKind::Data).unwrap();
    lose_power(&mut disk, DiskSurvival::None, 0);
    assert!(disk.finish_sync(sync).is_err());
    assert_eq!(durable(&disk, "f").unwrap(), sector(b'a'));
}

#[test]
fn a_sync_begun_before_a_truncation_brings_the_old_bytes() {
    let (mut disk, file) = with_file();
    disk.write(file, 0, sector(b'b')).unwrap();
    let sync = disk.begin_sync(file, SyncKind::Data).unwrap();
    disk.set_len(file, 0).unwrap();
    let rewritten = disk.write(file, 0, sector(b'c')).unwrap();
    let done = disk.finish_sync(sync).unwrap();
    assert!(
        done.upto_seq < rewritten,
        "D25: it does not name the new bytes"
    );
    assert_eq!(durable(&disk, "f").unwrap(), sector(b'b'));
}

#[test]
fn a_small_write_carries_its_whole_sector() {
    let (mut disk, file) = with_data(1);
    disk.write(file, 100, Bytes::from_static(b"xy")).unwrap();
    assert_eq!(disk.pending_bytes(""), 512);
    sync_data(&mut disk, file);
    let bytes = durable(&disk, "f").unwrap();
    assert_eq!((&bytes[99..103], bytes.len()), (&b"axya"[..], 512));
}

#[test]
fn a_removed_file_stays_readable_while_it_is_open() {
    let (mut disk, file) = with_data(1);
    disk.remove("f").unwrap();
    sync_dir(&mut disk, "");
    assert_eq!(disk.read(file, 0, 1).unwrap(), &b"a"[..]);
    disk.close(file);
    assert_eq!(disk.last_seq_of(file.ino), None, "and is freed after that");
}

#[test]
fn a_later_change_of_a_name_takes_the_earlier_ones_along() {
    let mut disk = blank();
    for directory in ["a", "b"] {
        disk.create_dir(directory).unwrap();
    }
    disk.create("a/x").unwrap();
    for directory in ["", "a", "b"] {
        sync_dir(&mut disk, directory);
    }
    disk.rename("a/x", "b/y").unwrap();
    sync_dir(&mut disk, "b");
    disk.remove("b/y").unwrap();
    sync_dir(&mut disk, "b");
    sync_dir(&mut disk, "a");
    assert!(
        disk.durable_list("a").unwrap().is_empty() && disk.durable_list("b").unwrap().is_empty()
    );
}

#[test]
fn errors_have_the_kinds_of_std() {
    use std::io::ErrorKind::*;
    let mut disk = blank();
    disk.create_dir("d/e").unwrap();
    disk.create("f").unwrap();
    let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(disk.create("f").map(drop)), AlreadyExists);
    assert_eq!(kind(disk.create("x/f").map(drop)), NotFound);
    assert_eq!(kind(disk.create("f/f").map(drop)), NotADirectory);
    assert_eq!(kind(disk.open("g").map(drop)), NotFound);
    assert_eq!(kind(disk.open("d").map(drop)), IsADirectory);
    assert_eq!(kind(disk.remove("d")), IsADirectory);
    assert_eq!(kind(disk.rename("g", "h")), NotFound);
    assert_eq!(kind(disk.rename("f", "d")), IsADirectory);
    assert_eq!(kind(disk.rename("d", "f")), NotADirectory);
    disk.create_dir("full/inner").unwrap();
    assert_eq!(kind(disk.rename("d", "full")), DirectoryNotEmpty);
    assert_eq!(kind(disk.rename("d", "d/e/d")), InvalidInput);
    assert_eq!(kind(disk.list("f").map(drop)), NotADirectory);
    assert_eq!(kind(disk.create_dir("f/g")), NotADirectory);
    assert_eq!(kind(disk.open("../f").map(drop)), InvalidInput);
}
