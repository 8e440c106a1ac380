//! A replica's segments whose header has rotted, though not what follows it.
//!
//! No entry stands in a header's sector, so no entry may be lost by its rot: the
//! placement of every entry tells the file's incarnation, the name and the chain
//! tell where it begins, and its neighbours of which generation it was. It is
//! read so, and written anew aside (D24) before the log opens.

use std::io;

use super::Opening;
use super::chain::before;
use super::survey::{Named, Survey};
use crate::env::{Disk, File};
use crate::log::Position;
use crate::log::copy::Copy;
use crate::log::error::{Doing, OpenError};
use crate::log::frames::find_incarnation;
use crate::log::identity::Identity;
use crate::log::segment::{Draft, Segment, SegmentHeader, segment_path};

/// The generation of each live segment; of those that do not tell it, one that
/// it may have been: each was made before the next one and after the one before.
pub(super) fn generations<D: Disk>(live: &[Named<D>]) -> Vec<u64> {
    let told = |(_, opened): &Named<D>| Some(opened.as_ref().ok()?.header.generation);
    between(live.iter().map(told).collect())
}

fn between(mut generations: Vec<Option<u64>>) -> Vec<u64> {
    let mut next = None;
    for generation in generations.iter_mut().rev() {
        *generation = generation.or(next.map(|next: u64| next.saturating_sub(1)));
        next = *generation;
    }
    // Behind the last one that tells it, each is newer than the one before:
    // otherwise the first of two would be dead once it has a header again.
    let mut before = 0;
    let all = generations.into_iter().map(|generation| {
        before = generation.unwrap_or(before + 1);
        before
    });
    all.collect()
}

impl<D: Disk> Survey<D> {
    /// The segment at `address` as its entries tell it; `None` where they do
    /// not.
    pub(super) async fn behead(
        &self,
        disk: &D,
        identity: Identity,
        (address, generation): (u64, u64),
    ) -> io::Result<Option<Segment<D>>> {
        let file = disk.open(&segment_path(address)).await?;
        let sector_bytes = disk.sector_bytes() as u64;
        let size_bytes = file.size_bytes().await?;
        let mut header = SegmentHeader {
            cluster_id: identity.cluster_id,
            disk_id: identity.disk_id,
            incarnation: 0,
            generation,
            segment_bytes: size_bytes / sector_bytes * sector_bytes,
            sector_bytes: sector_bytes as u32,
            base: self.end,
            durable_address: address,
        };
        let window_bytes = self.config.sizes.window_bytes;
        let found = find_incarnation(file.clone(), &header, address, window_bytes).await?;
        let Some((incarnation, first)) = found else {
            return Ok(None);
        };
        header.incarnation = incarnation;
        let base: Position = match self.end.address == address {
            true => self.end,
            false => before(&first),
        };
        header.base = base;
        Ok((base.address == address).then_some(Segment {
            header,
            file,
            groups: Vec::new(),
            corrupt_header: true,
        }))
    }
}

impl<D: Disk> Opening<D> {
    /// Gives the segments without a header one, but for the last, which is
    /// copied as a whole anyway.
    pub(super) async fn remake_headers(&self, survey: &mut Survey<D>) -> Result<(), OpenError> {
        for number in 1..survey.segments.len() {
            let (old, next) = (&survey.segments[number - 1], &survey.segments[number]);
            if !old.corrupt_header {
                continue;
            }
            let (base, end) = (old.header.base, next.header.base);
            let header = self.header(old.header.generation, base, end.address);
            let draft = Draft::create(&self.disk, header)
                .await
                .doing("making a segment anew")?;
            let mut copy = Copy::into(draft, self.config.sizes);
            copy.entries(old, survey.known_holes(), base, end)
                .await
                .doing("copying a segment without a header")?;
            let (segment, _) = copy.publish().await.doing("naming a segment made anew")?;
            survey.segments[number - 1] = segment;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn a_segment_without_a_generation_stands_between_its_neighbours() {
        assert_eq!(between(vec![Some(2), None, None, Some(9)]), [2, 7, 8, 9]);
        assert_eq!(between(vec![None, Some(9)]), [8, 9]);
        assert_eq!(
            between(vec![Some(5), None, None]),
            [5, 6, 7],
            "the last two"
        );
        assert_eq!(between(vec![None, None]), [1, 2]);
    }
}
