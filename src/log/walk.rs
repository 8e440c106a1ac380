//! A second reading of a segment that was found whole once, but for its holes.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use super::Position;
use super::frames::{Frame, Frames, follow};
use super::hole::Hole;
use super::recovery::WINDOW_BYTES;
use super::segment::Segment;
use crate::env::Disk;

/// Goes through the entries of a segment.
pub(super) struct Walk<D: Disk> {
    frames: Frames<D::File>,
    position: u64,
    /// The holes ahead, and where in this file the entry behind each stands.
    holes: VecDeque<(Hole, Option<u64>)>,
    /// The log behind the last entry.
    pub(super) at: Position,
}

/// What a walk came by.
pub(super) enum Step {
    /// Envelope and record.
    Entry(Bytes),
    /// Nothing that can be read.
    Hole(Hole),
}

impl<D: Disk> Walk<D> {
    pub(super) fn of(segment: &Segment<D>, holes: impl IntoIterator<Item = Hole>) -> Self {
        let header = &segment.header;
        let file = segment.file.clone();
        let ahead = |hole: &Hole| hole.from.address >= header.base.address;
        let resumed = |hole: Hole| {
            let group = segment.group_of(hole.upto.address);
            let behind = group.filter(|group| group.address == hole.upto.address);
            (hole, behind.map(|group| group.position))
        };
        Self {
            frames: Frames::new(file, header, header.segment_bytes, WINDOW_BYTES),
            position: header.data_from(),
            holes: holes.into_iter().filter(ahead).map(resumed).collect(),
            at: header.base,
        }
    }

    /// The next entry or hole.
    ///
    /// # Errors
    /// The disk's, or what was whole does not verify any more.
    pub(super) async fn next(&mut self) -> io::Result<Step> {
        let here = self.at.address;
        if let Some((hole, behind)) = self
            .holes
            .pop_front_if(|(hole, _)| hole.from.address == here)
        {
            self.at = hole.upto;
            self.position = behind.unwrap_or(self.frames.end());
            return Ok(Step::Hole(hole));
        }
        loop {
            match self.frames.at(self.position).await? {
                Frame::Padding | Frame::Mark(_) => {
                    self.position = self.frames.next_sector(self.position);
                }
                Frame::Entry { envelope, frame } if follow(self.at, &envelope.log).is_ok() => {
                    self.at = follow(self.at, &envelope.log).expect("it follows");
                    self.position += envelope.log.framed_bytes();
                    return Ok(Step::Entry(frame));
                }
                _ => return Err(io::Error::other("a record that was whole is not any more")),
            }
        }
    }
}
