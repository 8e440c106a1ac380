//! Cutting the log at an entry: what a new leader's entries replace (D6).
//!
//! The cut is durable before this returns, so before any replacing byte is
//! written. No job may be under way: that is where D25 is enforced, as a
//! completion that began before a cut could otherwise cover entries that were
//! written after it (mutant K02).

use std::io;

use super::Position;
use super::commit_log::CommitLog;
use super::error::LogError;
use super::job::roll;
use super::segment::{Segment, SegmentHeader, remove_dead};
use super::walk::Walk;
use crate::env::Disk;

impl<D: Disk> CommitLog<D> {
    /// Cuts the log before the entry that begins at `address`, which may be
    /// staged, cached or durable: when this returns, that entry and all behind
    /// it are gone for good, everything before it is durable, and the next entry
    /// staged takes the place. A crash in between leaves the log cut or whole.
    ///
    /// # Errors
    /// The disk failed: the log is poisoned.
    ///
    /// # Panics
    /// A job is under way, or no entry begins or ends at `address`.
    pub async fn truncate(&mut self, address: u64) -> Result<Position, LogError> {
        self.healthy()?;
        assert!(
            self.job.is_none(),
            "the owner waits for the job under way before it cuts"
        );
        assert!(
            address <= self.tail.address,
            "there is nothing to cut at {address}"
        );
        self.tail = self.staging.truncate(address).unwrap_or(self.appended);
        if address < self.appended.address {
            self.poison = Some("cutting the log was given up halfway".to_owned());
            let cut = self.cut(address).await;
            self.poison = None;
            cut.map_err(|source| self.poisoned("cutting", source))?;
        }
        self.terms.truncate(self.tail.next_index);
        self.holes.retain(|hole| hole.from.address < address);
        assert_eq!(
            self.tail.address, address,
            "an entry begins or ends at a cut"
        );
        Ok(self.tail)
    }

    /// A roll to a segment that begins lower than the log ends: its one rename
    /// is the cut, see [`super::segment`] on generations.
    async fn cut(&mut self, address: u64) -> io::Result<()> {
        let base = self.position_at(address).await?;
        let header = SegmentHeader {
            base,
            durable_address: base.address,
            ..self.next_header()
        };
        let segment = roll(&self.disk, &self.active().file, header).await?;
        let dead = self.take_over(segment);
        remove_dead(&self.disk, &dead).await
    }

    /// The log as it stood before the entry at `address`. Where a hole begins, the
    /// hole tells it: no segment that can be read may begin at or below it.
    async fn position_at(&self, address: u64) -> io::Result<Position> {
        if let Some(hole) = self.holes.iter().find(|hole| hole.from.address == address) {
            return Ok(hole.from);
        }
        let after = self
            .segments
            .partition_point(|segment| segment.header.base.address <= address);
        let segment = &self.segments[after.checked_sub(1).expect("not below the first segment")];
        let holes = self.holes.iter().copied();
        let term_of = |index| self.term_at(index);
        let window_bytes = self.config.sizes.window_bytes;
        let mut walk = Walk::near(segment, holes, address, term_of, window_bytes).await?;
        while walk.at.address < address {
            walk.next().await?;
        }
        Ok(walk.at)
    }

    /// Goes on in the new segment; gives the first addresses of those that it
    /// reaches over and whose names it has not taken.
    fn take_over(&mut self, segment: Segment<D>) -> Vec<u64> {
        let base = segment.header.base;
        let addresses = self.segments.iter().map(|old| old.header.base.address);
        let dead = addresses
            .chain(self.lost.iter().copied())
            .filter(|address| *address > base.address)
            .collect();
        self.segments
            .retain(|old| old.header.base.address < base.address);
        self.lost.retain(|address| *address < base.address);
        if let Some(old) = self.segments.last_mut() {
            old.groups.retain(|group| group.address < base.address);
        }
        (self.tail, self.appended, self.flushed) = (base, base, base);
        self.go_on_in(segment);
        dead
    }
}
