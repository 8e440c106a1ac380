//! Bytes in and out: write, read, sizes, and the room there is.

use std::io;

use bytes::Bytes;

use super::error::{full, medium};
use super::fault::{DiskFault, Trigger};
use super::file::Fate;
use super::model::{DiskModel, Handle};
use super::row::Row;
use super::{Ino, Seq};

impl DiskModel {
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
        if part.len() == bytes.len() {
            return Ok(seq);
        }
        self.met.row(match part.is_empty() {
            true => Row::NoSpace,
            false => Row::NoSpaceMiddle,
        });
        if position + (bytes.len() as u64) <= self.file(ino).cached.size_bytes() {
            self.met.row(Row::NoSpacePreallocated);
        }
        Err(full())
    }

    fn write_cached(&mut self, ino: Ino, at: u64, part: &Bytes, fate: Fate) -> io::Result<Seq> {
        if part.is_empty() {
            return Ok(self.file(ino).last_seq());
        }
        self.refuse_partial_rewrite(ino, at, part.len() as u64)?;
        self.met.row(Row::Write);
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
        let sector_bytes = self.config.sector_bytes;
        let sectors = position / sector_bytes..(position + covered).div_ceil(sector_bytes);
        self.faults.meets(ino, sectors);
        self.readable(ino, position, covered)?;
        Ok(self.file(ino).cached.read(position, length))
    }

    /// The first position at or behind `position` that is no hole: it was written, or
    /// cannot be read.
    ///
    /// # Errors
    /// The handle's.
    pub fn data_from(&mut self, handle: Handle, position: u64) -> io::Result<Option<u64>> {
        let ino = self.live(handle)?;
        let (file, sector_bytes) = (self.file(ino), self.config.sector_bytes);
        let rest = file.cached.size_bytes().saturating_sub(position);
        let unreadable = file.unreadable_in(position, rest, sector_bytes);
        let unreadable = unreadable.map(|sector| (sector * sector_bytes).max(position));
        let written = file.cached.data_from(position);
        Ok([unreadable, written].into_iter().flatten().min())
    }

    fn readable(&self, ino: Ino, position: u64, length: u64) -> io::Result<()> {
        let sector_bytes = self.config.sector_bytes;
        match self.file(ino).unreadable_in(position, length, sector_bytes) {
            None => Ok(()),
            Some(_) => Err(medium()),
        }
    }

    /// Sets the cached size; the answer is the change's sequence number. The part that is
    /// gained reads zero and reserves nothing.
    pub fn set_len(&mut self, handle: Handle, size_bytes: u64) -> io::Result<Seq> {
        let ino = self.live(handle)?;
        let seq = self.seq + 1;
        self.met.row(Row::SetLen);
        self.met
            .row(match size_bytes < self.file(ino).cached.size_bytes() {
                true => Row::SetLenRecycled,
                false => Row::SetLenZero,
            });
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

    /// Somebody else takes all the room that is left; what is removed makes room
    /// again.
    pub fn fill(&mut self) {
        let free_bytes = self.free_bytes();
        if free_bytes == u64::MAX {
            self.config.capacity_bytes = 0;
        } else {
            self.config.capacity_bytes -= free_bytes;
        }
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
}
