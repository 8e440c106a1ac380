//! Recovered is not durable (D24): the part of a log that nothing proves synced
//! is copied into a new segment, which takes over from there on.
//!
//! After a kill the cache gives back what was never synced, and a sync of the
//! old file may skip pages that an earlier, failed sync marked clean. So the
//! entries go to sectors that nobody has written before, in a file of its own
//! that is synced before it is named. The same rename cuts whatever stood
//! behind the log's end: see [`crate::log::segment`] on generations.
//!
//! The proof that an entry was synced need not be durable itself: a header, a mark, a
//! checkpoint is written only after the sync that it speaks of has completed, so that
//! it is true even where the page cache alone still has it.
//!
//! A crash before the name is durable leaves the old segments as they were, and
//! recovery is repeated on them: nothing has been promised in between.
//!
//! A name that is read may be in the cache alone, too, where a sync of the directory
//! failed. So a copy says nothing of its own entries: the next start that finds it
//! copies them once more, under the same name, until something that was written later
//! speaks for them. A segment that was made anew in the middle of the log, by a
//! repair, is whole and synced: it gets its name once more.

use std::io;

use super::{CopiedTail, Opening, Survey};
use crate::env::Disk;
use crate::log::COMMIT_LOG_DIR;
use crate::log::Position;
use crate::log::checkpoint::{self, Checkpoint};
use crate::log::copy::Copy;
use crate::log::error::{Doing, OpenError};
use crate::log::segment::{AGAIN_SUFFIX, Draft, Segment, SegmentHeader};
use crate::log::walk::Walk;

/// Of a segment that is hardly begun no more than this part is written: 4 MiB of a
/// gibibyte.
const HARDLY_BEGUN: u64 = 256;

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
        let header = SegmentHeader {
            durable_address: base.address,
            ..self.header(generation, base, survey.end.address)
        };
        let draft = Draft::create(&self.disk, header)
            .await
            .doing("making a new segment")?;
        let mut copy = Copy::into(draft, self.config.sizes);
        if let Some(old) = survey.segments.last() {
            copy.entries(old, survey.known_holes(), base, survey.end)
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
        // A segment that is hardly begun is copied as a whole: the copy takes its name,
        // and no kill leaves another preallocated file behind.
        let begun = survey.write_position.saturating_mul(HARDLY_BEGUN);
        if old.corrupt_header || begun <= old.header.segment_bytes {
            return Ok(old.header.base);
        }
        let mut walk = Walk::of(old, survey.known_holes(), self.config.sizes.window_bytes);
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
        let copied = copy.entries;
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
        survey.marked = copied == 0;
        Ok(())
    }

    /// Names the segments once more that were made anew in the middle of the log, and the
    /// last one: their entries are durable, their names perhaps not. A last one that was
    /// repaired is like any other, and a checkpoint may speak for all of its entries, so
    /// that none of them is copied.
    pub(super) async fn name_again(&self, survey: &Survey<D>) -> Result<(), OpenError> {
        let last = survey.segments.len().saturating_sub(1);
        let made_anew = |(number, segment): &(usize, &Segment<D>)| {
            let header = &segment.header;
            let is_repaired = header.durable_address > header.base.address;
            (is_repaired || *number == last) && !segment.corrupt_header
        };
        let mut any = false;
        for (_, segment) in survey.segments.iter().enumerate().filter(made_anew) {
            let path = segment.path();
            let again = path.clone() + AGAIN_SUFFIX;
            let doing = "naming a repaired segment once more";
            self.disk.rename(&path, &again).await.doing(doing)?;
            self.disk.rename(&again, &path).await.doing(doing)?;
            any = true;
        }
        match any {
            true => self.disk.sync_dir(COMMIT_LOG_DIR).await,
            false => Ok(()),
        }
        .doing("syncing the names of repaired segments")
    }
}
