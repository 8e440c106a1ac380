//! The disk and its everyday operations. Syncs: [`super::sync`]; power loss:
//! [`super::power`]; what an oracle may ask: [`super::observe`].

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;

use super::error::{DiskError, full, not_found, refused};
use super::fault::{ArmedFault, DiskFault, DiskSpeed, Faults, FiredFault, RotKind, Trigger};
use super::file::{Fate, FileNode};
use super::names::{EntryChange, Name, Names};
use super::sync::Syncs;
use super::{Ino, Seq};
use crate::env::path;
use crate::sim::random::Stream;

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
    speed: DiskSpeed,
    pub(super) next_ino: u64,
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
            next_ino: 1,
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
        if unused && !self.names.mentioned().contains(&ino) {
            self.files.remove(&ino);
        }
    }

    /// Renames a file or a directory; `to` is replaced where both are files.
    /// Atomic as a name, unordered with data. `NotFound`, `AlreadyExists`.
    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (source, target) = (self.name(from)?, self.name(to)?);
        let ino = self.lookup(&source).ok_or_else(|| not_found(from))?;
        if source == target {
            return Ok(());
        }
        let replaced = self.lookup(&target);
        if self.names.is_directory(ino) && to.starts_with(&format!("{from}/")) {
            return Err(refused(io::ErrorKind::InvalidInput, to));
        }
        if replaced
            .is_some_and(|other| self.names.is_directory(ino) || self.names.is_directory(other))
        {
            return Err(refused(io::ErrorKind::AlreadyExists, to));
        }
        let seq = self.next_seq();
        self.names
            .change(EntryChange::rename(seq, source, target, ino));
        Ok(())
    }

    /// Removes a file's name. `NotFound`; `IsADirectory`.
    pub fn remove(&mut self, path: &str) -> io::Result<()> {
        let name = self.name(path)?;
        let ino = self.lookup(&name).ok_or_else(|| not_found(path))?;
        if self.names.is_directory(ino) {
            return Err(refused(io::ErrorKind::IsADirectory, path));
        }
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

    /// Writes to the cache; the answer is the change's sequence number.
    /// `StorageFull` where only a part found room: that part stays.
    pub fn write(&mut self, handle: Handle, position: u64, bytes: Bytes) -> io::Result<Seq> {
        let ino = self.live(handle)?;
        if bytes.is_empty() {
            return Ok(self.file(ino).last_seq());
        }
        let mut fault = self.trip_file(Trigger::Write, ino);
        let mut room = self.room(ino, position, bytes.len() as u64);
        let mut fate = Fate::Done;
        match &mut fault {
            Some((DiskFault::NoSpace, dice)) => {
                room = room.min(dice.below(bytes.len() as u64));
                room -= room.min((position + room) % self.config.sector_bytes);
            }
            Some((DiskFault::LostWrite, _)) => fate = Fate::Lost,
            Some((DiskFault::MisdirectedWrite, dice)) => {
                fate = self.misdirect(ino, position..position + room, dice)
            }
            _ => {}
        }
        let part = bytes.slice(..room as usize);
        let seq = self.write_cached(ino, position, &part, fate)?;
        if let Some((fault, dice)) = fault {
            self.record_fired(fault, ino);
            if let DiskFault::WritebackError { cache } = fault {
                self.fail_writeback(ino, seq, cache, dice);
            }
        }
        match part.len() == bytes.len() {
            true => Ok(seq),
            false => Err(full()),
        }
    }

    fn write_cached(&mut self, ino: Ino, at: u64, part: &Bytes, fate: Fate) -> io::Result<Seq> {
        if part.is_empty() {
            return Ok(self.file(ino).last_seq());
        }
        self.refuse_partial_rewrite(ino, at, part.len() as u64)?;
        let (seq, sector_bytes) = (self.next_seq(), self.config.sector_bytes);
        self.file_mut(ino).write(seq, at, part, sector_bytes, fate);
        Ok(seq)
    }

    /// To write a part of a sector the rest of it is read first.
    fn refuse_partial_rewrite(&self, ino: Ino, position: u64, length: u64) -> io::Result<()> {
        let end = position + length;
        for edge in [position, end] {
            if !edge.is_multiple_of(self.config.sector_bytes) {
                self.readable(ino, edge, 1)?;
            }
        }
        Ok(())
    }

    /// Reads up to `length` bytes from the cache, fewer at the end of the file.
    /// An unreadable sector that is not pending is an error.
    pub fn read(&mut self, handle: Handle, position: u64, length: usize) -> io::Result<Bytes> {
        let ino = self.live(handle)?;
        let size = self.file(ino).cached.size_bytes();
        let covered = size.saturating_sub(position).min(length as u64);
        if covered == 0 {
            return Ok(Bytes::new());
        }
        if let Some((fault, mut dice)) = self.trip_file(Trigger::Read, ino) {
            self.record_fired(fault, ino);
            self.decay(ino, position..position + covered, fault, &mut dice);
        }
        self.readable(ino, position, covered)?;
        Ok(self.file(ino).cached.read(position, length))
    }

    fn readable(&self, ino: Ino, position: u64, length: u64) -> io::Result<()> {
        let sector_bytes = self.config.sector_bytes;
        match self.file(ino).unreadable_in(position, length, sector_bytes) {
            None => Ok(()),
            Some(sector) => Err(DiskError::Unreadable {
                path: self.path_or_ino(ino),
                position: sector * sector_bytes,
            }
            .into()),
        }
    }

    /// Sets the cached size; the answer is the change's sequence number. What
    /// is gained reads zero and reserves nothing.
    pub fn set_len(&mut self, handle: Handle, size_bytes: u64) -> io::Result<Seq> {
        let ino = self.live(handle)?;
        let seq = self.seq + 1;
        if self.file_mut(ino).set_len(seq, size_bytes) {
            self.seq = seq;
        }
        Ok(self.file(ino).last_seq())
    }

    /// The cached size, bytes.
    pub fn size(&self, handle: Handle) -> io::Result<u64> {
        Ok(self.file(self.live(handle)?).cached.size_bytes())
    }

    /// Bytes that may still be written. No reservation.
    pub fn free_bytes(&self) -> u64 {
        if self.config.capacity_bytes == u64::MAX {
            return u64::MAX;
        }
        let used = self
            .files
            .values()
            .map(|file| file.allocated_bytes(self.config.sector_bytes));
        self.config.capacity_bytes.saturating_sub(used.sum())
    }

    /// Changes the room of the disk; what is written stays.
    pub fn set_capacity(&mut self, capacity_bytes: u64) {
        self.config.capacity_bytes = capacity_bytes;
    }

    /// How many of `length` bytes at `position` find room.
    fn room(&self, ino: Ino, position: u64, length: u64) -> u64 {
        let free = self.free_bytes();
        if free == u64::MAX {
            return length;
        }
        let allocated = self.file(ino).allocated_bytes(self.config.sector_bytes);
        let free = free - free % self.config.sector_bytes;
        (allocated + free).saturating_sub(position).min(length)
    }

    /// The process is gone: its handles are dead, what it wrote stays cached,
    /// and syncs in flight may still finish.
    pub fn kill(&mut self) {
        self.generation += 1;
        self.descriptors.clear();
        for file in self.files.values_mut() {
            file.opened = 0;
        }
        self.reap_all();
    }

    pub(super) fn reap_all(&mut self) {
        let mentioned = self.names.mentioned();
        self.files
            .retain(|ino, file| file.opened > 0 || mentioned.contains(ino));
    }

    /// Drops all clean pages from the cache, as memory pressure may at any
    /// time. On a disk without faults nobody can tell.
    pub fn evict_clean(&mut self) {
        for file in self.files.values_mut() {
            file.evict_clean();
        }
    }

    /// Arms a fault. Several may wait; an operation sets off at most one.
    pub fn arm(&mut self, fault: ArmedFault) {
        self.faults.arm(fault);
    }

    /// Forgets every armed fault (the phase in which the cluster heals).
    pub fn disarm(&mut self) {
        self.faults.disarm();
    }

    /// What fired since the last call.
    pub fn take_fired(&mut self) -> Vec<FiredFault> {
        self.faults.take_fired()
    }

    /// How fast it answers; the caller's business.
    pub fn speed(&self) -> DiskSpeed {
        self.speed
    }

    /// Sets what [`DiskModel::speed`] says.
    pub fn set_speed(&mut self, speed: DiskSpeed) {
        self.speed = speed;
    }

    /// The sector at `position` decays on the medium, now; clean cached pages
    /// of it are dropped. `NotFound`.
    pub fn rot(&mut self, path: &str, position: u64, kind: RotKind, seed: u64) -> io::Result<()> {
        let ino = self.file_at(path)?;
        let mut dice = Stream::new(seed, crate::sim::random::Purpose::Faults);
        self.rot_sector(ino, position / self.config.sector_bytes, kind, &mut dice);
        Ok(())
    }

    /// The sector at `position` cannot be read from now on, until it is
    /// rewritten. `NotFound`.
    pub fn make_unreadable(&mut self, path: &str, position: u64) -> io::Result<()> {
        let (ino, sector) = (self.file_at(path)?, position / self.config.sector_bytes);
        self.file_mut(ino).unreadable.insert(sector);
        Ok(())
    }

    fn file_at(&self, path: &str) -> io::Result<Ino> {
        let ino = self
            .lookup(&self.name(path)?)
            .ok_or_else(|| not_found(path))?;
        match self.files.contains_key(&ino) {
            true => Ok(ino),
            false => Err(refused(io::ErrorKind::IsADirectory, path)),
        }
    }

    pub(super) fn record_fired(&mut self, fault: DiskFault, ino: Ino) {
        let pending_bytes = self.file(ino).pending_bytes();
        self.faults
            .record(fault, self.path_or_ino(ino), pending_bytes);
    }

    /// The fault that this operation on a file sets off.
    pub(super) fn trip_file(&mut self, trigger: Trigger, ino: Ino) -> Option<(DiskFault, Stream)> {
        if self.faults.is_quiet() {
            return None;
        }
        self.faults.trip(trigger, &self.path_or_ino(ino))
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

    fn name(&self, path: &str) -> io::Result<Name> {
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

    fn lookup(&self, (directory, name): &Name) -> Option<Ino> {
        self.names.directories[directory].cached.get(name).copied()
    }

    pub(super) fn next_seq(&mut self) -> Seq {
        self.seq += 1;
        self.seq
    }

    fn new_ino(&mut self) -> Ino {
        let ino = Ino(self.next_ino);
        self.next_ino += 1;
        ino
    }
}
