//! Equal digests where no process can tell two media apart, and nowhere else.

use super::*;

#[test]
fn bytes_that_are_not_durable_do_not_count() {
    let (mut disk, file) = with_data(2);
    let before = disk.durable_digest();
    disk.write(file, 0, sector(b'x')).unwrap();
    disk.create("g").unwrap();
    assert_eq!(disk.durable_digest(), before);
    sync(&mut disk, file);
    assert_ne!(disk.durable_digest(), before, "other bytes");
}

#[test]
fn how_it_came_about_does_not_matter() {
    let (mut at_once, _) = with_data(2);
    let (mut by_and_by, file) = with_data(1);
    by_and_by.write(file, 512, sector(b'b')).unwrap();
    sync(&mut by_and_by, file);
    by_and_by.write(file, 512, sector(b'a')).unwrap();
    sync(&mut by_and_by, file);
    assert_eq!(at_once.durable_digest(), by_and_by.durable_digest());
    for disk in [&mut at_once, &mut by_and_by] {
        disk.power_loss(DiskSurvival::None, &mut Stream::new(1, Purpose::Survival));
    }
    assert_eq!(at_once.durable_digest(), by_and_by.durable_digest());
}

#[test]
fn every_name_size_and_byte_counts() {
    let (disk, file) = with_data(2);
    let changed = |change: &dyn Fn(&mut DiskModel)| {
        let mut disk = disk.clone();
        change(&mut disk);
        sync(&mut disk, file);
        sync_dir(&mut disk, "");
        disk.durable_digest()
    };
    let mut digests = vec![
        changed(&|_| ()),
        changed(&|disk| assert!(disk.set_len(file, 2_048).is_ok())),
        changed(&|disk| assert!(disk.set_len(file, 512).is_ok())),
        changed(&|disk| assert!(disk.write(file, 512, sector(b'b')).is_ok())),
        changed(&|disk| disk.rename("f", "g").unwrap()),
        changed(&|disk| assert!(disk.create("g").is_ok())),
        changed(&|disk| disk.create_dir("g").unwrap()),
        changed(&|disk| disk.create_dir("g/f").unwrap()),
    ];
    digests.sort_unstable();
    let all = digests.len();
    digests.dedup();
    // The last one's second level is not durable: its root alone was synced.
    assert_eq!(digests.len(), all - 1);
}
