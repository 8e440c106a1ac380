//! The rows of failures: on, with the fault; off, without it.

use super::*;

fn arm(disk: &mut DiskModel, on: bool, fault: DiskFault) {
    if on {
        disk.arm(ArmedFault::next(fault, "f", 1));
    }
}

const KEEPS: DiskFault = DiskFault::SyncError {
    cache: CacheAfterError::KeepsNew,
};
const REVERTS: DiskFault = DiskFault::SyncError {
    cache: CacheAfterError::Reverts,
};

/// Forty sectors of `a`, overwritten by `b`; a sync fails if `on`.
fn failed(fault: DiskFault, on: bool) -> (DiskModel, Handle, bool) {
    let (mut disk, file) = with_data(40);
    disk.write(file, 0, Bytes::from(vec![b'b'; 40 * 512]))
        .unwrap();
    arm(&mut disk, on, fault);
    let failed = try_sync(&mut disk, file, SyncKind::Data).is_err();
    (disk, file, failed)
}

fn is_mixed(bytes: &[u8]) -> bool {
    bytes.contains(&b'a') && bytes.contains(&b'b')
}

/// An error, and a part of the sectors on the medium.
pub(super) fn sync_failure(on: bool) -> bool {
    let (mut disk, _, failed) = failed(KEEPS, on);
    assert_eq!(disk.take_fired().len(), usize::from(on));
    failed && is_mixed(&durable(&disk, "f").unwrap())
}

/// The write succeeds, the next sync tells.
pub(super) fn deferred(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    arm(
        &mut disk,
        on,
        DiskFault::WritebackError {
            cache: CacheAfterError::KeepsNew,
        },
    );
    disk.write(file, 0, sector(b'b')).unwrap();
    let told = try_sync(&mut disk, file, SyncKind::Data).is_err();
    told && try_sync(&mut disk, file, SyncKind::Data).is_ok()
}

/// Reads show what the medium does not have.
pub(super) fn cache_keeps(on: bool) -> bool {
    let (mut disk, ..) = failed(KEEPS, on);
    cached(&mut disk, "f") == [b'b'; 40 * 512] && is_mixed(&durable(&disk, "f").unwrap())
}

pub(super) fn cache_reverts(on: bool) -> bool {
    let (mut disk, ..) = failed(REVERTS, on);
    let seen = cached(&mut disk, "f");
    seen == durable(&disk, "f").unwrap() && is_mixed(&seen)
}

/// OK, and the medium is as it was; the durable mark stays where it was too.
pub(super) fn retry(on: bool) -> bool {
    let (mut disk, file, _) = failed(KEEPS, on);
    let before = durable(&disk, "f").unwrap();
    let done = try_sync(&mut disk, file, SyncKind::All).unwrap();
    assert_eq!(disk.durable_seq(file.ino).unwrap() < done.upto_seq, on);
    lose_power(&mut disk, DiskSurvival::All, 0);
    durable(&disk, "f").unwrap() == before && is_mixed(&before)
}

/// Two descriptors are told once each; one opened after that is not.
pub(super) fn once_each(on: bool) -> bool {
    let (mut disk, first) = with_data(1);
    let second = disk.open("f").unwrap();
    disk.write(first, 0, sector(b'b')).unwrap();
    arm(&mut disk, on, KEEPS);
    let told: Vec<bool> = [first, first, second, second]
        .map(|file| try_sync(&mut disk, file, SyncKind::Data).is_err())
        .to_vec();
    let later = disk.open("f").unwrap();
    assert!(try_sync(&mut disk, later, SyncKind::Data).is_ok());
    told == [true, false, true, false]
}

/// Some names arrived, the others never will, and the retry says OK.
pub(super) fn dir_sync(on: bool) -> bool {
    let mut disk = blank();
    let names: Vec<String> = (0..20).map(|index| format!("f{index:02}")).collect();
    for name in &names {
        disk.create(name).unwrap();
    }
    if on {
        disk.arm(ArmedFault::next(DiskFault::DirSyncError, "", 1));
    }
    let failed = try_sync_dir(&mut disk, "").is_err();
    sync_dir(&mut disk, "");
    assert_eq!(disk.list("").unwrap(), names, "the cache keeps them");
    let durable = disk.durable_list("").unwrap().len();
    failed && durable > 0 && durable < 20
}

/// Sticky, across a kill too; gone once the whole sector is rewritten and
/// synced; a write of a part of it fails as the read does.
pub(super) fn read_error(on: bool) -> bool {
    let (mut disk, file) = with_data(2);
    arm(&mut disk, on, DiskFault::ReadError);
    let failed = disk.read(file, 0, 512).is_err() && disk.read(file, 100, 1).is_err();
    disk.kill();
    let file = disk.open("f").unwrap();
    let again = disk.read(file, 0, 512).is_err();
    let part = disk.write(file, 3, Bytes::from_static(b"x")).is_err();
    assert!(disk.read(file, 512, 512).is_ok(), "its neighbour");
    assert_eq!(disk.durable_matches(file.ino, 0, b"a"), !on);
    disk.write(file, 0, sector(b'b')).unwrap();
    sync_data(&mut disk, file);
    disk.evict_clean();
    assert_eq!(disk.read(file, 0, 512).unwrap(), sector(b'b'));
    failed && again && part
}

/// Wrong bytes, the same ones each time, until rewritten.
pub(super) fn rot(on: bool) -> bool {
    let mut wrong = 0;
    for kind in [RotKind::Bit, RotKind::Zeros, RotKind::Garbage] {
        let (mut disk, file) = with_data(1);
        arm(&mut disk, on, DiskFault::Rot(kind));
        let seen = disk.read(file, 0, 512).unwrap();
        assert_eq!(disk.read(file, 0, 512).unwrap(), seen);
        assert_eq!(durable(&disk, "f").unwrap(), seen);
        wrong += usize::from(seen != sector(b'a'));
        disk.write(file, 0, sector(b'b')).unwrap();
        assert_eq!(disk.read(file, 0, 512).unwrap(), sector(b'b'));
    }
    wrong == 3
}

/// Synced without an error; the place keeps the old bytes, another file's
/// sector has the new ones.
pub(super) fn misdirected(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    let other = disk.create("other").unwrap();
    disk.write(other, 0, Bytes::from(vec![b'o'; 64 * 512]))
        .unwrap();
    sync(&mut disk, other);
    sync_dir(&mut disk, "");
    arm(&mut disk, on, DiskFault::MisdirectedWrite);
    disk.write(file, 0, sector(b'b')).unwrap();
    sync_data(&mut disk, file);
    disk.evict_clean();
    let astray = cached(&mut disk, "other")
        .chunks(512)
        .filter(|chunk| *chunk == sector(b'b'))
        .count();
    cached(&mut disk, "f") == sector(b'a') && astray == 1
}

/// Synced without an error, and never there.
pub(super) fn lost(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    arm(&mut disk, on, DiskFault::LostWrite);
    let seq = disk.write(file, 0, sector(b'b')).unwrap();
    sync_data(&mut disk, file);
    assert_eq!(disk.durable_seq(file.ino).unwrap() < seq, on);
    lose_power(&mut disk, DiskSurvival::All, 0);
    durable(&disk, "f").unwrap() == sector(b'a')
}

fn is_full(result: std::io::Result<u64>) -> bool {
    result.is_err_and(|error| error.kind() == std::io::ErrorKind::StorageFull)
}

/// Neither data nor names; rewriting in place still works.
pub(super) fn no_space(on: bool) -> bool {
    let (mut disk, file) = with_data(2);
    disk.set_capacity(if on { 2 * 512 } else { 8 * 512 });
    disk.write(file, 0, sector(b'b')).unwrap();
    let refused = disk.create("g").is_err();
    refused && is_full(disk.write(file, 1024, sector(b'c')))
}

/// The first sectors of the write are there, by capacity and by fault.
pub(super) fn no_space_middle(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    disk.set_capacity(if on { 3 * 512 } else { 9 * 512 });
    let refused = is_full(disk.write(file, 512, Bytes::from(vec![b'b'; 4 * 512])));
    let (mut other, file) = with_file();
    arm(&mut other, on, DiskFault::NoSpace);
    let refused_too = is_full(other.write(file, 0, Bytes::from(vec![b'b'; 64 * 512])));
    let part = cached(&mut other, "f").len();
    refused
        && refused_too
        && cached(&mut disk, "f").len() == 3 * 512
        && (1..64).contains(&(part / 512))
}

pub(super) fn no_space_preallocated(on: bool) -> bool {
    let (mut disk, file) = with_file();
    disk.set_capacity(4 * 512);
    if on {
        disk.set_len(file, 4 * 512).unwrap();
        sync(&mut disk, file);
    }
    let other = disk.create("other").unwrap();
    let free = disk.free_bytes();
    disk.write(other, 0, Bytes::from(vec![b'o'; 4 * 512]))
        .unwrap();
    let size = disk.size(file).unwrap();
    is_full(disk.write(file, 0, sector(b'a'))) && free == size
}

fn speed(on: bool, speed: DiskSpeed) -> bool {
    let mut disk = blank();
    if on {
        disk.set_speed(speed);
    }
    disk.speed() == speed
}

pub(super) fn slow(on: bool) -> bool {
    speed(
        on,
        DiskSpeed::Slow {
            latency_factor: 100,
        },
    )
}

pub(super) fn stalled(on: bool) -> bool {
    speed(on, DiskSpeed::Stalled)
}

pub(super) fn hung(on: bool) -> bool {
    speed(on, DiskSpeed::Hung)
}

pub(super) fn destroyed(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    if on {
        disk.replace();
    }
    disk.list("").unwrap().is_empty() && disk.size(file).is_err()
}

/// Older bytes and names, synced ones included; numbers are not used twice.
pub(super) fn rolled_back(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    let image = disk.image();
    disk.write(file, 0, sector(b'b')).unwrap();
    sync(&mut disk, file);
    let newer = disk.create("newer").unwrap();
    sync_dir(&mut disk, "");
    if on {
        disk.roll_back(&image);
    }
    assert_ne!(disk.create("more").unwrap().ino, newer.ino);
    cached(&mut disk, "f") == sector(b'a') && disk.open("newer").is_err()
}

/// OK, the bytes readable, and nothing durable: file and directory.
pub(super) fn lying(on: bool) -> bool {
    let (mut disk, file) = with_data(1);
    if on {
        let fault = ArmedFault::next(DiskFault::LyingSync, "", 1);
        disk.arm(ArmedFault {
            times: u64::MAX,
            ..fault
        });
    }
    disk.write(file, 0, sector(b'b')).unwrap();
    disk.create("g").unwrap();
    let honest = try_sync(&mut disk, file, SyncKind::All).unwrap().honest;
    assert_eq!(try_sync_dir(&mut disk, "").unwrap().honest, honest);
    assert_eq!(cached(&mut disk, "f"), sector(b'b'));
    lose_power(&mut disk, DiskSurvival::None, 0);
    !honest && durable(&disk, "f").unwrap() == sector(b'a') && disk.open("g").is_err()
}

/// The process that should have been told dies first.
#[test]
fn an_error_that_nobody_saw_is_told_to_the_next_one_who_opens() {
    let (mut disk, file) = with_data(1);
    disk.arm(ArmedFault::next(
        DiskFault::WritebackError {
            cache: CacheAfterError::KeepsNew,
        },
        "",
        1,
    ));
    disk.write(file, 0, sector(b'b')).unwrap();
    disk.kill();
    let told: Vec<bool> = (0..2)
        .map(|_| {
            let file = disk.open("f").unwrap();
            try_sync(&mut disk, file, SyncKind::Data).is_err()
        })
        .collect();
    assert_eq!(told, [true, false]);
}

#[test]
fn a_fork_and_its_disk_do_not_touch_each_other() {
    let (mut disk, file) = with_data(1);
    disk.write(file, 0, sector(b'b')).unwrap();
    let mut fork = disk.fork_durable();
    assert_eq!(cached(&mut fork, "f"), sector(b'a'));
    let forked = fork.open("f").unwrap();
    let seq = fork.write(forked, 0, sector(b'c')).unwrap();
    assert!(fork.durable_seq(forked.ino).unwrap() < seq);
    fork.create("more").unwrap();
    assert_eq!(
        cached(&mut fork, "f"),
        sector(b'c'),
        "a new file is another one"
    );
    sync(&mut fork, forked);
    assert_eq!(fork.durable_seq(forked.ino).unwrap(), seq);
    assert_eq!(cached(&mut disk, "f"), sector(b'b'));
}

#[test]
fn a_failed_write_is_made_good_by_writing_it_again() {
    let (mut disk, file, _) = failed(KEEPS, true);
    disk.write(file, 0, Bytes::from(vec![b'b'; 40 * 512]))
        .unwrap();
    sync_data(&mut disk, file);
    assert!(disk.durable_matches(file.ino, 0, &[b'b'; 40 * 512]));
}

/// In the cache at once; on the medium by a sync, a power loss that kept the
/// rewrite, or a truncation.
#[test]
fn an_unreadable_sector_comes_back_in_every_way_a_sector_is_replaced() {
    let unreadable = || {
        let (mut disk, file) = with_data(2);
        disk.make_unreadable("f", 512).unwrap();
        assert!(disk.read(file, 0, 1024).is_err());
        (disk, file)
    };
    let (mut disk, file) = unreadable();
    disk.write(file, 512, sector(b'b')).unwrap();
    assert_eq!(disk.read(file, 512, 512).unwrap(), sector(b'b'));
    let mut lost = disk.clone();
    lose_power(&mut disk, DiskSurvival::All, 0);
    assert_eq!(cached(&mut disk, "f")[512..], sector(b'b'));
    lose_power(&mut lost, DiskSurvival::None, 0);
    let again = lost.open("f").unwrap();
    assert!(
        lost.read(again, 512, 1).is_err(),
        "the rewrite never arrived"
    );

    let (mut disk, file) = unreadable();
    disk.set_len(file, 512).unwrap();
    disk.set_len(file, 1024).unwrap();
    sync(&mut disk, file);
    assert_eq!(cached(&mut disk, "f")[512..], sector(0));
}

/// A latent fault strikes where data lies, clean and on the medium, and nowhere
/// else.
#[test]
fn a_sector_goes_bad_where_data_lies() {
    let (mut disk, file) = with_data(3);
    disk.write(file, 0, sector(b'x')).unwrap();
    for seed in 0..50 {
        let mut disk = disk.clone();
        let (path, position) = disk
            .damage_some_sector(("f", false), Some(RotKind::Bit), seed, 0)
            .unwrap();
        assert_eq!(path, "f");
        assert!([512, 1024].contains(&position), "the first is pending");
        let bytes = durable(&disk, "f").unwrap();
        let changed = bytes.iter().filter(|byte| **byte != b'a').count();
        assert_eq!(changed, 1, "one bit of one byte");
    }
    assert_eq!(disk.damage_some_sector(("other", false), None, 1, 0), None);
    disk.rename("f", "f.tmp").unwrap();
    assert_eq!(
        disk.damage_some_sector(("f", false), None, 1, 0),
        None,
        "being made"
    );
}
