//! The effects of a fault plan on a disk: arm faults, set its speed, damage the
//! medium at once.

use std::io;
use std::ops::Range;

use bytes::Bytes;

use super::Ino;
use super::error::{not_found, refused};
use super::fault::{ArmedFault, DiskFault, DiskSpeed, FiredFault, RotKind, Trigger};
use super::file::{Fate, FileNode};
use super::model::DiskModel;
use super::row::Row;
use crate::history::FaultKind;
use crate::sim::random::{Purpose, Stream};

/// How the names of files end that are to replace others.
const IN_THE_MAKING: &str = ".tmp";

impl DiskModel {
    /// Arms a fault. Several may wait; an operation sets off at most one.
    pub fn arm(&mut self, fault: ArmedFault) {
        self.faults.arm(fault);
    }

    /// Forgets every armed fault (the phase in which the cluster heals).
    pub fn disarm(&mut self) {
        self.faults.disarm();
    }

    /// Forgets the armed faults of one kind, and no others.
    pub fn disarm_kind(&mut self, kind: FaultKind) {
        self.faults.disarm_kind(kind);
    }

    /// The faults that fired since the last call.
    pub fn take_fired(&mut self) -> Vec<FiredFault> {
        self.faults.take_fired()
    }

    /// The marks of harmed sectors that somebody read, and of files left by somebody else
    /// that a process touched, since the last call.
    pub fn take_met(&mut self) -> Vec<usize> {
        self.faults.take_met()
    }

    /// How fast it answers; the caller's business.
    pub fn speed(&self) -> DiskSpeed {
        self.speed
    }

    /// Notes that a row of the contract was met that the model leaves to its driver.
    pub fn note(&mut self, row: Row) {
        self.met.row(row);
    }

    /// Sets what [`DiskModel::speed`] says.
    pub fn set_speed(&mut self, speed: DiskSpeed) {
        self.speed = speed;
    }

    /// The sector at `position` decays on the medium, now; clean cached pages
    /// of it are dropped. `NotFound`.
    pub fn rot(&mut self, path: &str, position: u64, kind: RotKind, seed: u64) -> io::Result<()> {
        let ino = self.file_at(path)?;
        let mut dice = Stream::new(seed, Purpose::Faults);
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

    /// Some durable sector that holds data, of the files that `aim` means, rots in
    /// that way or, where there is none, cannot be read from now on, whenever that
    /// will be noticed. `aim` is how their paths begin, and whether only the first
    /// sector of each is meant. Gives the path and the position, or `None` where
    /// there is no such sector. `mark` comes back from [`DiskModel::take_met`] once
    /// somebody reads it.
    pub fn damage_some_sector(
        &mut self,
        aim: (&str, bool),
        rot: Option<RotKind>,
        seed: u64,
        mark: usize,
    ) -> Option<(String, u64)> {
        let sector_bytes = self.config.sector_bytes;
        let mut dice = Stream::new(seed, Purpose::Faults);
        let sectors = self.sectors_with_data(aim);
        if sectors.is_empty() {
            return None;
        }
        let (ino, sector) = sectors[dice.below(sectors.len() as u64) as usize];
        match rot {
            None => {
                self.met.fault(DiskFault::ReadError);
                self.file_mut(ino).unreadable.insert(sector);
            }
            Some(kind) => self.rot_sector(ino, sector, kind, &mut dice),
        }
        self.faults.damaged(ino, sector, mark);
        Some((self.path_or_ino(ino), sector * sector_bytes))
    }

    /// Whether [`DiskModel::damage_some_sector`] finds one.
    pub fn has_sector_with_data(&self, aim: (&str, bool)) -> bool {
        !self.sectors_with_data(aim).is_empty()
    }

    /// Sectors that are not all zeros and have nothing pending, by file. A file that
    /// is being made beside another is left out: until it has its name nobody reads
    /// it, and from then on it is hit like any other.
    fn sectors_with_data(&self, (under, first): (&str, bool)) -> Vec<(Ino, u64)> {
        let sector_bytes = self.config.sector_bytes;
        let mut found = Vec::new();
        for (ino, file) in &self.files {
            // One without a name is only waiting for that to be durable.
            let Some(path) = self.path_of(*ino) else {
                continue;
            };
            if !path.starts_with(under) || path.ends_with(IN_THE_MAKING) {
                continue;
            }
            let written = file.durable.written();
            let sectors = written.chunks(sector_bytes as usize);
            let held = (0..).zip(sectors).filter(|(sector, bytes)| {
                bytes.iter().any(|byte| *byte != 0) && !file.is_sector_dirty(*sector, sector_bytes)
            });
            let held = held.filter(|(sector, _)| !first || *sector == 0);
            found.extend(held.map(|(sector, _)| (*ino, sector)));
        }
        found
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
        self.met.fault(fault);
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

    /// Where a write goes that misses its place: some other sector of the same
    /// disk that holds data, or nowhere where the dice find its own.
    pub(super) fn misdirect(&self, ino: Ino, range: Range<u64>, dice: &mut Stream) -> Fate {
        let sector_bytes = self.config.sector_bytes;
        let own = range.start / sector_bytes..range.end.div_ceil(sector_bytes);
        let sectors = |file: &FileNode| file.durable.written_bytes().div_ceil(sector_bytes);
        let total: u64 = self.files.values().map(sectors).sum();
        let mut pick = dice.below(total);
        for (to, file) in &self.files {
            let here = sectors(file);
            if pick < here {
                return match *to == ino && own.contains(&pick) {
                    true => Fate::Lost,
                    false => Fate::Misdirected {
                        to: *to,
                        position: pick * sector_bytes,
                    },
                };
            }
            pick -= here;
        }
        Fate::Lost
    }

    /// A read finds what the fault did to one of its sectors, a clean one where
    /// there is any.
    pub(super) fn decay(
        &mut self,
        ino: Ino,
        range: Range<u64>,
        fault: DiskFault,
        dice: &mut Stream,
    ) {
        let sector_bytes = self.config.sector_bytes;
        let first = range.start / sector_bytes;
        let count = range.end.div_ceil(sector_bytes) - first;
        let pick = dice.below(count);
        let mut sectors = (0..count).map(|step| first + (pick + step) % count);
        let clean = |sector: &u64| !self.file(ino).is_sector_dirty(*sector, sector_bytes);
        let sector = sectors.find(clean).unwrap_or(first + pick);
        match fault {
            DiskFault::Rot(kind) => self.rot_sector(ino, sector, kind, dice),
            _ => {
                self.file_mut(ino).unreadable.insert(sector);
            }
        }
    }

    /// Changes a sector of the medium, and of the cache where it is clean.
    pub(super) fn rot_sector(&mut self, ino: Ino, sector: u64, kind: RotKind, dice: &mut Stream) {
        self.met.fault(DiskFault::Rot(kind));
        let sector_bytes = self.config.sector_bytes;
        let file = self.file_mut(ino);
        let mut bytes = vec![0; sector_bytes as usize];
        file.durable.copy_to(sector * sector_bytes, &mut bytes);
        let bit = dice.below(8 * sector_bytes) as usize;
        let written = file.durable.written();
        let behind = ((sector + 1) * sector_bytes).min(written.len() as u64) as usize;
        let is_last = written[behind..].iter().all(|byte| *byte == 0);
        match kind {
            RotKind::Bit => bytes[bit / 8] ^= 1 << (bit % 8),
            // Zeros at the end of what was written look as if it never had been:
            // that is silent, and no rot that a log can tell.
            RotKind::Zeros if !is_last => bytes.fill(0),
            RotKind::Zeros | RotKind::Garbage => dice.fill(&mut bytes),
        }
        let bytes = Bytes::from(bytes);
        let size = file.durable.size_bytes();
        file.durable.write(sector * sector_bytes, &bytes, size);
        if !file.is_sector_dirty(sector, sector_bytes) {
            let size = file.cached.size_bytes();
            file.cached.write(sector * sector_bytes, &bytes, size);
        }
    }
}
