//! Entries on their way into a new segment: the same log parts, placed anew.

use std::io;

use super::hole::Hole;
use super::segment::{Draft, Group, Segment};
use super::walk::{Walk, WalkStep};
use super::{LogSizes, Position};
use crate::env::{Disk, File};
use crate::record::{Placement, place};

/// A segment that is being filled, end to end; a hole is left as zeros of its
/// length, so that addresses and positions advance alike.
pub(super) struct Copy<D: Disk> {
    pub(super) draft: Draft<D>,
    /// Where `piece` goes.
    position: u64,
    piece: Vec<u8>,
    sizes: LogSizes,
    /// The last thing copied was a hole.
    behind_hole: bool,
    pub(super) entries: u64,
}

impl<D: Disk> Copy<D> {
    pub(super) fn into(draft: Draft<D>, sizes: LogSizes) -> Self {
        let position = draft.segment.header.data_from();
        Self {
            draft,
            position,
            piece: Vec::new(),
            sizes,
            behind_hole: false,
            entries: 0,
        }
    }

    /// Copies what lies between `from` and `upto`.
    pub(super) async fn entries(
        &mut self,
        old: &Segment<D>,
        holes: impl IntoIterator<Item = Hole>,
        from: Position,
        upto: Position,
    ) -> io::Result<()> {
        let mut walk = Walk::of(old, holes, self.sizes.window_bytes);
        while walk.at.address < upto.address {
            let before = walk.at;
            match walk.next().await? {
                _ if walk.at.address <= from.address => {}
                WalkStep::Entry(frame) => self.push(before, &frame).await?,
                WalkStep::Hole(hole) => self.leave(hole).await?,
            }
        }
        Ok(())
    }

    /// Copies an entry, before which the log is `at`.
    pub(super) async fn push(&mut self, at: Position, frame: &[u8]) -> io::Result<()> {
        let header = self.draft.segment.header;
        let position = self.position + self.piece.len() as u64;
        let placement = Placement {
            incarnation: header.incarnation,
            position,
            durable_address: header.base.address,
        };
        let from = self.piece.len();
        self.piece.extend_from_slice(frame);
        place(&mut self.piece[from..], placement);
        self.map(at, position);
        self.entries += 1;
        match self.piece.len() < self.sizes.piece_bytes {
            true => Ok(()),
            false => self.write_whole_sectors().await,
        }
    }

    /// Leaves room for what is missing.
    pub(super) async fn leave(&mut self, hole: Hole) -> io::Result<()> {
        let mut missing = (hole.upto.address - hole.from.address) as usize;
        while missing > 0 {
            let zeros = missing.min(self.sizes.piece_bytes);
            self.piece.resize(self.piece.len() + zeros, 0);
            self.write_whole_sectors().await?;
            missing -= zeros;
        }
        self.behind_hole = true;
        Ok(())
    }

    /// Takes an entry into the segment's map where the one before does not lead
    /// to it, or is far away.
    fn map(&mut self, at: Position, position: u64) {
        let group_bytes = self.sizes.group_bytes;
        let groups = &mut self.draft.segment.groups;
        let near = |last: &Group| position - last.position < group_bytes;
        if self.behind_hole || !groups.last().is_some_and(near) {
            groups.push(Group {
                index: at.next_index,
                address: at.address,
                position,
            });
        }
        self.behind_hole = false;
    }

    async fn write_whole_sectors(&mut self) -> io::Result<()> {
        let sector_bytes = self.draft.segment.header.sector_bytes as usize;
        let rest = self
            .piece
            .split_off(self.piece.len() / sector_bytes * sector_bytes);
        let sectors = std::mem::replace(&mut self.piece, rest);
        if sectors.is_empty() {
            return Ok(());
        }
        let position = self.position;
        self.position += sectors.len() as u64;
        self.draft
            .segment
            .file
            .write_at(position, sectors.into())
            .await
    }

    /// Writes the rest, padded, and names the segment; with where its next
    /// group goes.
    pub(super) async fn publish(mut self) -> io::Result<(Segment<D>, u64)> {
        let sector_bytes = self.draft.segment.header.sector_bytes as usize;
        self.piece
            .resize(self.piece.len().next_multiple_of(sector_bytes), 0);
        self.write_whole_sectors().await?;
        Ok((self.draft.publish().await?, self.position))
    }
}
