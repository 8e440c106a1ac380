//! Recovered is not durable (D24): the part of a log that nothing proves synced
//! is copied into a new segment, which takes over from there on.
//!
//! After a kill the cache gives back what was never synced, and a sync of the
//! old file may skip pages that an earlier, failed sync marked clean. So the
//! entries go to sectors that nobody has written before, in a file of its own
//! that is synced before it is named. The same rename cuts whatever stood
//! behind the log's end: see [`crate::log::segment`] on generations.
//!
//! What proves an entry synced need not be durable itself: a header, a mark, a
//! checkpoint is written only after the sync that it speaks of has completed, so
//! that it is true even where the page cache alone still has it.
//!
//! A crash before the name is durable leaves the old segments as they were, and
//! recovery is repeated on them: nothing has been promised in between.

use std::io;

use super::{CopiedTail, Opening, Survey};
use crate::env::{Disk, File};
use crate::log::Position;
use crate::log::checkpoint::{self, Checkpoint};
use crate::log::error::{Doing, OpenError};
use crate::log::segment::{Draft, Group, Segment};
use crate::log::walk::Walk;
use crate::record::{Placement, place};

/// Copied bytes are written in pieces of about this size.
const PIECE_BYTES: usize = 1 << 20;

impl<D: Disk> Opening<D> {
    /// Makes all of the surveyed log durable and ready to append to.
    pub(in crate::log) async fn renew(
        &self,
        survey: &mut Survey<D>,
    ) -> Result<Option<CopiedTail>, OpenError> {
        let generation = survey.generation + 1;
        let base = self
            .unproved_from(survey)
            .await
            .doing("rereading the last segment")?;
        let header = self.header(generation, base, survey.end.address);
        let draft = Draft::create(&self.disk, header)
            .await
            .doing("making a new segment")?;
        let mut copy = Copy::into(draft);
        if let Some(old) = survey.segments.last() {
            copy.entries(old, base, survey.end)
                .await
                .doing("copying the unsynced tail")?;
        }
        let copied = copy.entries;
        self.take_over(survey, copy).await?;
        let checkpoint = Checkpoint {
            durable: survey.end,
            generation,
            clean: false,
        };
        checkpoint::write(&self.disk, checkpoint)
            .await
            .doing("writing the checkpoint")?;
        let (from_address, upto_address) = (base.address, survey.end.address);
        Ok((copied > 0).then_some(CopiedTail {
            from_address,
            upto_address,
            entries: copied,
        }))
    }

    /// Where the first entry begins that is not proved durable to its end.
    async fn unproved_from(&self, survey: &Survey<D>) -> io::Result<Position> {
        let Some(old) = survey.segments.last() else {
            return Ok(survey.end);
        };
        let mut walk = Walk::of(old);
        while walk.at.address < survey.end.address {
            let before = walk.at;
            walk.next().await?;
            if walk.at.address > survey.proved_address {
                return Ok(before);
            }
        }
        Ok(survey.end)
    }

    /// The copy becomes the log's last segment.
    async fn take_over(&self, survey: &mut Survey<D>, copy: Copy<D>) -> Result<(), OpenError> {
        let (segment, write_position) = copy.publish().await.doing("naming a new segment")?;
        let base_address = segment.header.base.address;
        // The same name was taken over with the rename.
        survey
            .segments
            .retain(|old| old.header.base.address != base_address);
        survey.dead.retain(|address| *address != base_address);
        if let Some(old) = survey.segments.last_mut() {
            old.groups.retain(|group| group.address < base_address);
        }
        survey.segments.push(segment);
        survey.write_position = write_position;
        survey.marked = true;
        Ok(())
    }
}

/// Entries on their way into a new segment, end to end as one group.
struct Copy<D: Disk> {
    draft: Draft<D>,
    /// Where `piece` goes.
    position: u64,
    piece: Vec<u8>,
    entries: u64,
}

impl<D: Disk> Copy<D> {
    fn into(draft: Draft<D>) -> Self {
        let position = draft.segment.header.data_from();
        Self {
            draft,
            position,
            piece: Vec::new(),
            entries: 0,
        }
    }

    /// Copies what lies between `from` and `upto`.
    async fn entries(
        &mut self,
        old: &Segment<D>,
        from: Position,
        upto: Position,
    ) -> io::Result<()> {
        let mut walk = Walk::of(old);
        while walk.at.address < upto.address {
            let frame = walk.next().await?;
            if walk.at.address > from.address {
                self.push(&frame).await?;
            }
        }
        Ok(())
    }

    async fn push(&mut self, frame: &[u8]) -> io::Result<()> {
        let header = self.draft.segment.header;
        let from = self.piece.len();
        self.piece.extend_from_slice(frame);
        let placement = Placement {
            incarnation: header.incarnation,
            position: self.position + from as u64,
            durable_address: header.base.address,
        };
        place(&mut self.piece[from..], placement);
        self.entries += 1;
        match self.piece.len() < PIECE_BYTES {
            true => Ok(()),
            false => self.write_whole_sectors().await,
        }
    }

    async fn write_whole_sectors(&mut self) -> io::Result<()> {
        let sector_bytes = self.draft.segment.header.sector_bytes as usize;
        let rest = self
            .piece
            .split_off(self.piece.len() / sector_bytes * sector_bytes);
        let sectors = std::mem::replace(&mut self.piece, rest);
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
    async fn publish(mut self) -> io::Result<(Segment<D>, u64)> {
        let sector_bytes = self.draft.segment.header.sector_bytes as usize;
        self.piece
            .resize(self.piece.len().next_multiple_of(sector_bytes), 0);
        if !self.piece.is_empty() {
            self.write_whole_sectors().await?;
        }
        let header = self.draft.segment.header;
        if self.entries > 0 {
            let group = Group {
                index: header.base.next_index,
                address: header.base.address,
                position: header.data_from(),
            };
            self.draft.segment.groups.push(group);
        }
        Ok((self.draft.publish().await?, self.position))
    }
}
