//! Every row of the contract, shown when it is on and absent when it is off;
//! and what holds for any sequence of operations.

mod digest;
mod faults;
mod operations;
mod power;
mod properties;
mod rows;

use bytes::Bytes;

use super::*;
use crate::sim::random::{Purpose, Stream};

/// A sector's worth of one byte.
fn sector(byte: u8) -> Bytes {
    Bytes::from(vec![byte; 512])
}

fn blank() -> DiskModel {
    DiskModel::new(DiskConfig::default())
}

/// A disk with the file `f` open on it, its name durable and nothing else.
fn with_file() -> (DiskModel, Handle) {
    let mut disk = blank();
    let file = disk.create("f").unwrap();
    sync_dir(&mut disk, "");
    (disk, file)
}

/// As [`with_file`], and `sectors` sectors of `a`, durable.
fn with_data(sectors: usize) -> (DiskModel, Handle) {
    let (mut disk, file) = with_file();
    disk.write(file, 0, Bytes::from(vec![b'a'; 512 * sectors]))
        .unwrap();
    sync(&mut disk, file);
    (disk, file)
}

fn sync(disk: &mut DiskModel, file: Handle) {
    try_sync(disk, file, SyncKind::All).unwrap();
}

fn sync_data(disk: &mut DiskModel, file: Handle) {
    try_sync(disk, file, SyncKind::Data).unwrap();
}

fn try_sync(disk: &mut DiskModel, file: Handle, kind: SyncKind) -> std::io::Result<SyncDone> {
    let sync = disk.begin_sync(file, kind)?;
    disk.finish_sync(sync)
}

fn sync_dir(disk: &mut DiskModel, directory: &str) {
    try_sync_dir(disk, directory).unwrap();
}

fn try_sync_dir(disk: &mut DiskModel, directory: &str) -> std::io::Result<DirSyncDone> {
    let sync = disk.begin_sync_dir(directory)?;
    disk.finish_sync_dir(sync)
}

fn lose_power(disk: &mut DiskModel, survival: DiskSurvival, seed: u64) -> PowerLossReport {
    disk.power_loss(survival, &mut Stream::new(seed, Purpose::Survival))
}

/// The durable bytes of `path`.
fn durable(disk: &DiskModel, path: &str) -> Option<Vec<u8>> {
    disk.durable_file(path).map(Content::to_vec)
}

/// The bytes of `path` as a process reads them.
fn cached(disk: &mut DiskModel, path: &str) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let length = disk.size(file).unwrap() as usize;
    disk.read(file, 0, length).unwrap().to_vec()
}

/// The suite that the product runs on its real disk.
#[path = "../../../product/env/conformance.rs"]
mod conformance;

#[test]
fn a_step_disk_means_what_every_disk_means() {
    let fresh = |_: &str| StepDisk::new(std::sync::Arc::new(std::sync::Mutex::new(blank())));
    block_on(conformance::all(fresh));
}
