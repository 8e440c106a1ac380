//! Looking for rot before somebody needs the bytes (D28).

use std::future::Future;

use super::commit_log::CommitLog;
use super::error::ReadError;
use super::frames::Frame;
use super::read::Place;
use super::segment::{Group, begins_behind, header_stands, segment_path};
use crate::env::Disk;
use crate::record::LogPart;

/// The result of verifying a stretch of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrubbed {
    /// Where the next step begins: the log's base once the end was reached.
    pub next_address: u64,
    /// Bytes of the file that were gone through, padding included.
    pub read_bytes: u64,
    /// The entry at this address does not verify: for [`CommitLog::mark_damaged`].
    pub damaged: Option<u64>,
    /// The segment that begins at this address has lost its header, which the next
    /// opening needs: it makes it anew.
    pub corrupt_header: Option<u64>,
}

impl Scrubbed {
    fn whole_up_to(next_address: u64, read_bytes: u64) -> Self {
        Self {
            next_address,
            read_bytes,
            damaged: None,
            corrupt_header: None,
        }
    }
}

impl<D: Disk> CommitLog<D> {
    /// Verifies about `bytes` of the file that holds the durable log from `from_address`
    /// on (short entries may be little of it, and padding the rest), at most to the end of
    /// a segment, and that segment's header: `next_address` of the
    /// step before, or 0. Known holes are passed over, and padding that has rotted,
    /// which nobody needs. Stands alone.
    ///
    /// # Errors
    /// A read failed for a reason other than the medium.
    pub fn scrub_step(
        &self,
        from_address: u64,
        bytes: u64,
    ) -> impl Future<Output = Result<Scrubbed, ReadError>> + Send + use<D> {
        let stretch = self.stretch(from_address, bytes);
        let base_address = self.base.address;
        let number = stretch.as_ref().map(|stretch| stretch.place.number);
        let segment = &self.segments[number.unwrap_or(self.segments.len() - 1)];
        let (file, header) = (segment.file.clone(), segment.header);
        let window_bytes = self.config.sizes.window_bytes.min(bytes);
        async move {
            let scrubbed = match stretch {
                None => Scrubbed::whole_up_to(base_address, 0),
                Some(stretch) => stretch.verify(window_bytes, bytes).await?,
            };
            let stands = header_stands(&file, &header).await;
            let stands = stands.map_err(|source| ReadError::Io {
                path: segment_path(header.base.address),
                source,
            })?;
            Ok(Scrubbed {
                corrupt_header: (!stands).then_some(header.base.address),
                ..scrubbed
            })
        }
    }

    /// The stretch of about `bytes` to verify from `from_address` on; `None` behind the
    /// last durable entry.
    fn stretch(&self, from_address: u64, bytes: u64) -> Option<Stretch<D>> {
        let mut from_address = from_address.max(self.base.address);
        while let Some(hole) = self.hole_at(from_address) {
            from_address = hole.upto.address;
        }
        if from_address >= self.flushed.address {
            return None;
        }
        let place = self.place(from_address).ok()?;
        let end_address = self.end_of(place.number).address;
        let upto_address = self
            .readable_upto(from_address, end_address)
            .min(self.flushed.address)
            .min(from_address.saturating_add(bytes.max(1)));
        let segment = &self.segments[place.number];
        Some(Stretch {
            groups: segment.groups_in(place.group.address..upto_address),
            place,
            from_address,
            upto_address,
        })
    }
}

/// Whole entries, as far as anybody knows.
struct Stretch<D: Disk> {
    /// Its first entry, or one in the same group.
    place: Place<D>,
    /// The segment's map of it: an entry that begins a group is looked for there alone.
    groups: Vec<Group>,
    from_address: u64,
    /// The last entry begins below.
    upto_address: u64,
}

impl<D: Disk> Stretch<D> {
    /// From the entry on that the step before came to; where none begins there (the
    /// address may since have been cut off, and another entry may have taken it),
    /// from the beginning of the group. Stops behind the entry that ends `bytes` further
    /// on in the file, and not before the one that was asked for.
    async fn verify(&self, window_bytes: u64, bytes: u64) -> Result<Scrubbed, ReadError> {
        let mut frames = self.place.frames(window_bytes);
        let from = self.place.frame_at(&mut frames, self.place.position);
        let (mut at, mut position) = (self.from_address, self.place.position);
        let begins = |frame: &Frame| matches!(frame, Frame::Entry { envelope, .. } if envelope.log.address == at);
        // A long entry is not read once more.
        let mut first = Some(from.await?).filter(begins);
        if first.is_none() {
            (at, position) = (self.place.group.address, self.place.group.position);
        }
        let from_position = position;
        let mut behind = None;
        let goes_on = |at, position| at <= self.from_address || position - from_position < bytes;
        while at < self.upto_address && goes_on(at, position) {
            let frame = match first.take() {
                Some(frame) => frame,
                None => self.place.frame_at(&mut frames, position).await?,
            };
            match frame {
                Frame::Padding | Frame::Mark(_) => position = frames.next_sector(position),
                Frame::Entry { envelope, .. } if continues(behind, at, &envelope.log) => {
                    at = envelope.log.end_address();
                    position += envelope.log.framed_bytes();
                    behind = Some(envelope.log);
                }
                _ => match begins_behind(&self.groups, at, position) {
                    Some(group) => position = group,
                    None => {
                        return Ok(Scrubbed {
                            damaged: Some(at),
                            ..Scrubbed::whole_up_to(at, position - from_position)
                        });
                    }
                },
            }
        }
        Ok(Scrubbed::whole_up_to(at, position - from_position))
    }
}

/// Whether an entry belongs at `at`, behind another.
fn continues(behind: Option<LogPart>, at: u64, entry: &LogPart) -> bool {
    entry.address == at
        && behind.is_none_or(|behind| {
            (entry.index, entry.previous_hash) == (behind.index + 1, behind.hash)
        })
}
