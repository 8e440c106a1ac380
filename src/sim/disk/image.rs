//! Whole media: forks for oracles, older images, blank replacements.

use std::collections::BTreeMap;

use super::file::FileNode;
use super::model::{DiskConfig, DiskModel};
use super::names::Names;
use super::row::Row;
use super::{Ino, Seq};

/// The content of a disk's medium at one moment.
#[derive(Debug, Clone)]
pub struct DiskImage {
    config: DiskConfig,
    names: Names,
    files: BTreeMap<Ino, FileNode>,
    seq: Seq,
    next_ino: u64,
}

impl DiskImage {
    /// A disk of its own with this content, as after a power loss in which
    /// nothing unsynced survived. No fault is armed on it.
    pub fn to_disk(&self) -> DiskModel {
        let mut disk = DiskModel::new(self.config);
        disk.roll_back(self);
        disk
    }
}

impl DiskModel {
    /// Everything durable, and nothing else.
    pub fn image(&self) -> DiskImage {
        let mut names = self.names.clone();
        names.reboot();
        let linked = |ino: &Ino| names.is_linked_durably(*ino);
        let files = self.files.iter().filter(|(ino, _)| linked(ino));
        let files = files.map(|(ino, file)| (*ino, file.medium())).collect();
        let (seq, next_ino) = (self.seq, self.next_ino);
        DiskImage {
            config: self.config,
            names,
            files,
            seq,
            next_ino,
        }
    }

    /// An independent disk, as after a power loss in which nothing unsynced
    /// survived.
    pub fn fork_durable(&self) -> DiskModel {
        self.image().to_disk()
    }

    /// The medium is set back to an older image of itself; process, handles
    /// and cache are gone. Armed faults, speed and capacity stay.
    pub fn roll_back(&mut self, image: &DiskImage) {
        self.met.row(Row::RolledBack);
        self.names = image.names.clone();
        self.files = image.files.clone();
        self.seq = self.seq.max(image.seq);
        self.next_ino = self.next_ino.max(image.next_ino);
        self.reboot();
    }

    /// The disk is destroyed and a blank one takes its place.
    pub fn replace(&mut self) {
        self.met.row(Row::Destroyed);
        self.names = Names::default();
        self.files.clear();
        self.reboot();
    }
}
