//! The disk itself: its files by name, its handles, and the process kill.
//!
//! Its other sides have files of their own: `data` (bytes), `sync`, `power`
//! (what a power loss leaves), `damage` (faults and damage), `image` (forks and
//! older states), `observe` (what an oracle may ask).

use std::collections::BTreeMap;
use std::io;

use super::error::{DiskError, full, not_found, refused};
use super::fault::{DiskSpeed, Faults};
use super::file::FileNode;
use super::met::Met;
use super::names::{EntryChange, Name, Names};
use super::row::Row;
use super::sync::Syncs;
use super::{Ino, Seq};
use crate::env::path;

/// A disk's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskConfig {
    /// The unit that a power loss keeps or loses: 512 or 4096.
    pub sector_bytes: u64,
    /// Room for file data; `u64::MAX` for no bound.
    pub capacity_bytes: u64,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            sector_bytes: 512,
            capacity_bytes: u64::MAX,
        }
    }
}

/// An open file. It dies with its process ([`DiskModel::kill`]) and with the
/// power; a copy is the same descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    pub(super) fd: u64,
    /// The file.
    pub ino: Ino,
}

impl Handle {
    /// Its number among all that the disk ever gave.
    pub(crate) fn number(self) -> u64 {
        self.fd
    }
}

#[derive(Debug, Clone)]
pub(super) struct Descriptor {
    pub(super) ino: Ino,
    /// Failed writebacks that this descriptor was told of, or that were old
    /// when it was opened.
    pub(super) errors_seen: u64,
}

/// One disk. A clone is an independent disk in the same state.
#[derive(Debug, Clone)]
pub struct DiskModel {
    pub(super) config: DiskConfig,
    pub(super) names: Names,
    pub(super) files: BTreeMap<Ino, FileNode>,
    pub(super) descriptors: BTreeMap<u64, Descriptor>,
    pub(super) syncs: Syncs,
    pub(super) faults: Faults,
    pub(super) seq: Seq,
    pub(super) generation: u64,
    pub(super) speed: DiskSpeed,
    pub(super) met: Met,
    pub(super) next_ino: u64,
    pub(super) reverts: u64,
    next_fd: u64,
}

impl DiskModel {
    /// A blank disk.
    pub fn new(config: DiskConfig) -> Self {
        assert!(
            config.sector_bytes.is_power_of_two(),
            "a sector is a power of two"
        );
        Self {
            config,
            names: Names::default(),
            files: BTreeMap::new(),
            descriptors: BTreeMap::new(),
            syncs: Syncs::default(),
            faults: Faults::default(),
            seq: 0,
            generation: 0,
            speed: DiskSpeed::default(),
            met: Met::default(),
            next_ino: 1,
            reverts: 0,
            next_fd: 0,
        }
    }

    /// The unit that a power loss keeps or loses, bytes.
    pub fn sector_bytes(&self) -> u64 {
        self.config.sector_bytes
    }

    /// Counts the deaths: kills, power losses, disks replaced. A handle or a
    /// process is of the generation in which it began.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Creates an empty file and opens it. `AlreadyExists`; `NotFound` where
    /// the parent is missing; `StorageFull` where no sector is free.
    pub fn create(&mut self, path: &str) -> io::Result<Handle> {
        let name = self.name(path)?;
        if self.lookup(&name).is_some() {
            return Err(refused(io::ErrorKind::AlreadyExists, path));
        }
        if self.free_bytes() < self.config.sector_bytes {
            self.met.row(Row::NoSpace);
            return Err(full());
        }
        let ino = self.new_ino();
        self.files.insert(ino, FileNode::default());
        let seq = self.next_seq();
        self.names.change(EntryChange::create(seq, name, ino));
        Ok(self.open_ino(ino))
    }

    /// Opens a file. `NotFound`; `IsADirectory`.
    pub fn open(&mut self, path: &str) -> io::Result<Handle> {
        let name = self.name(path)?;
        let ino = self.lookup(&name).ok_or_else(|| not_found(path))?;
        if self.names.is_directory(ino) {
            return Err(refused(io::ErrorKind::IsADirectory, path));
        }
        self.faults.touches(ino);
        Ok(self.open_ino(ino))
    }

    fn open_ino(&mut self, ino: Ino) -> Handle {
        let file = self.files.get_mut(&ino).expect("a name leads to its file");
        file.opened += 1;
        let descriptor = Descriptor {
            ino,
            errors_seen: file.errors_reported,
        };
        let fd = self.next_fd;
        self.next_fd += 1;
        self.descriptors.insert(fd, descriptor);
        Handle { fd, ino }
    }

    /// Closes a descriptor; of a dead one: nothing. A file without a name goes
    /// with its last descriptor.
    pub fn close(&mut self, handle: Handle) {
        if self.descriptors.remove(&handle.fd).is_none() {
            return;
        }
        if let Some(file) = self.files.get_mut(&handle.ino) {
            file.opened -= 1;
        }
        self.reap(handle.ino);
    }

    /// Frees the file where neither a name nor a descriptor holds it.
    pub(super) fn reap(&mut self, ino: Ino) {
        let unused = self.files.get(&ino).is_some_and(|file| file.opened == 0);
        if unused && !self.names.mention(ino) {
            self.files.remove(&ino);
        }
    }

    /// Renames a file or a directory; what stood at `to` is replaced, as
    /// rename(2) does: a file by a file, an empty directory by a directory.
    /// Atomic as a name, unordered with data. `NotFound`, `IsADirectory`,
    /// `NotADirectory`, `DirectoryNotEmpty`.
    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (source, target) = (self.name(from)?, self.name(to)?);
        let ino = self.lookup(&source).ok_or_else(|| not_found(from))?;
        if source == target {
            return Ok(());
        }
        let replaced = self.lookup(&target);
        if let Some(kind) = self.no_rename(ino, replaced) {
            return Err(refused(kind, to));
        }
        if self.names.is_directory(ino) && to.starts_with(&format!("{from}/")) {
            return Err(refused(io::ErrorKind::InvalidInput, to));
        }
        for touched in replaced.into_iter().chain([ino]) {
            self.faults.touches(touched);
        }
        if self.file_is_dirty(ino) {
            self.met.row(Row::RenameUnordered);
        }
        if source.0 != target.0 {
            self.met.row(Row::SyncDirBoth);
        }
        let seq = self.next_seq();
        self.names
            .change(EntryChange::rename(seq, source, target, ino));
        if let Some(replaced) = replaced {
            self.reap(replaced);
        }
        Ok(())
    }

    /// Why `ino` cannot take the place of `replaced`.
    fn no_rename(&self, ino: Ino, replaced: Option<Ino>) -> Option<io::ErrorKind> {
        let target = self.names.directories.get(&replaced?);
        match (self.names.is_directory(ino), target) {
            (false, None) => None,
            (false, Some(_)) => Some(io::ErrorKind::IsADirectory),
            (true, None) => Some(io::ErrorKind::NotADirectory),
            (true, Some(target)) if target.cached.is_empty() => None,
            (true, Some(_)) => Some(io::ErrorKind::DirectoryNotEmpty),
        }
    }

    /// Removes a file's name. `NotFound`; `IsADirectory`.
    pub fn remove(&mut self, path: &str) -> io::Result<()> {
        let name = self.name(path)?;
        let ino = self.lookup(&name).ok_or_else(|| not_found(path))?;
        if self.names.is_directory(ino) {
            return Err(refused(io::ErrorKind::IsADirectory, path));
        }
        self.faults.touches(ino);
        let seq = self.next_seq();
        self.names.change(EntryChange::remove(seq, name));
        self.reap(ino);
        Ok(())
    }

    /// The names in a directory, sorted. `NotFound`; `NotADirectory`.
    pub fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let ino = self.directory(directory)?;
        Ok(self.names.directories[&ino]
            .cached
            .keys()
            .cloned()
            .collect())
    }

    /// Creates a directory and its missing parents. Each is an entry of its
    /// parent, durable only after that parent's sync.
    pub fn create_dir(&mut self, directory: &str) -> io::Result<()> {
        let components = path::components(directory)?;
        for depth in 1..=components.len() {
            let (parent, name) = (&components[..depth - 1], components[depth - 1]);
            let parent = self
                .names
                .resolve(parent, false)
                .expect("made in the round before");
            let name = (parent, name.to_owned());
            match self.lookup(&name) {
                Some(ino) if self.names.is_directory(ino) => continue,
                Some(_) if depth < components.len() => {
                    return Err(refused(io::ErrorKind::NotADirectory, directory));
                }
                Some(_) => return Err(refused(io::ErrorKind::AlreadyExists, directory)),
                None if self.free_bytes() < self.config.sector_bytes => return Err(full()),
                None => self.new_directory(name),
            }
        }
        Ok(())
    }

    fn new_directory(&mut self, name: Name) {
        let ino = self.new_ino();
        self.names.directories.insert(ino, Default::default());
        let seq = self.next_seq();
        self.names.change(EntryChange::create(seq, name, ino));
    }

    /// The process is gone: its handles are dead, what it wrote stays cached,
    /// and syncs in flight may still finish.
    pub fn kill(&mut self) {
        if self.pending_pieces() > 0 {
            self.met.row(Row::Kill);
        }
        if self.syncs.are_under_way() {
            self.met.row(Row::KillInFlight);
        }
        self.generation += 1;
        self.descriptors.clear();
        for file in self.files.values_mut() {
            file.opened = 0;
        }
        self.reap_all();
    }

    pub(super) fn reap_all(&mut self) {
        let names = &self.names;
        self.files
            .retain(|ino, file| file.opened > 0 || names.mention(*ino));
    }

    /// The happenings that its processes met so far.
    pub fn met(&self) -> Met {
        self.met
    }

    fn file_is_dirty(&self, ino: Ino) -> bool {
        let file = self.files.get(&ino);
        file.is_some_and(|file| file.is_dirty(Seq::MAX))
    }

    /// Drops all clean pages from the cache, as memory pressure may at any
    /// time. On a disk without faults nobody can tell.
    pub fn evict_clean(&mut self) {
        for file in self.files.values_mut() {
            file.evict_clean();
        }
    }

    /// The cached path; a file without a name goes by its number.
    pub(super) fn path_or_ino(&self, ino: Ino) -> String {
        self.names
            .path_of(ino, false)
            .unwrap_or_else(|| format!("(unlinked {})", ino.0))
    }

    /// The living descriptor's file.
    pub(super) fn live(&self, handle: Handle) -> io::Result<Ino> {
        match self.descriptors.get(&handle.fd) {
            Some(descriptor) => Ok(descriptor.ino),
            None => Err(DiskError::Stale.into()),
        }
    }

    pub(super) fn file(&self, ino: Ino) -> &FileNode {
        self.files.get(&ino).expect("a held file exists")
    }

    pub(super) fn file_mut(&mut self, ino: Ino) -> &mut FileNode {
        self.files.get_mut(&ino).expect("a held file exists")
    }

    pub(super) fn directory(&self, directory: &str) -> io::Result<Ino> {
        let components = path::components(directory)?;
        let ino = self
            .names
            .resolve(&components, false)
            .ok_or_else(|| not_found(directory))?;
        match self.names.is_directory(ino) {
            true => Ok(ino),
            false => Err(refused(io::ErrorKind::NotADirectory, directory)),
        }
    }

    pub(super) fn name(&self, path: &str) -> io::Result<Name> {
        let (parent, name) = path::split(path)?;
        let parent = self
            .names
            .resolve(&parent, false)
            .ok_or_else(|| not_found(path))?;
        match self.names.is_directory(parent) {
            true => Ok((parent, name.to_owned())),
            false => Err(refused(io::ErrorKind::NotADirectory, path)),
        }
    }

    pub(super) fn lookup(&self, (directory, name): &Name) -> Option<Ino> {
        self.names.directories[directory].cached.get(name).copied()
    }

    pub(super) fn next_seq(&mut self) -> Seq {
        self.seq += 1;
        self.seq
    }

    pub(super) fn new_ino(&mut self) -> Ino {
        let ino = Ino(self.next_ino);
        self.next_ino += 1;
        ino
    }
}
