//! A second reading of a segment that was found whole once.

use std::io;

use bytes::Bytes;

use super::Position;
use super::frames::{Frame, Frames, follow};
use super::recovery::WINDOW_BYTES;
use super::segment::Segment;
use crate::env::Disk;

/// Goes through the entries of a segment.
pub(super) struct Walk<D: Disk> {
    frames: Frames<D::File>,
    position: u64,
    /// The log behind the last entry.
    pub(super) at: Position,
}

impl<D: Disk> Walk<D> {
    pub(super) fn of(segment: &Segment<D>) -> Self {
        let header = &segment.header;
        let file = segment.file.clone();
        Self {
            frames: Frames::new(file, header, header.segment_bytes, WINDOW_BYTES),
            position: header.data_from(),
            at: header.base,
        }
    }

    /// The next entry, envelope and record.
    ///
    /// # Errors
    /// The disk's, or what was whole does not verify any more.
    pub(super) async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            match self.frames.at(self.position).await? {
                Frame::Padding | Frame::Mark(_) => {
                    self.position = self.frames.next_sector(self.position);
                }
                Frame::Entry { envelope, frame } if follow(self.at, &envelope.log).is_ok() => {
                    self.at = follow(self.at, &envelope.log).expect("it follows");
                    self.position += envelope.log.framed_bytes();
                    return Ok(frame);
                }
                _ => return Err(io::Error::other("a record that was whole is not any more")),
            }
        }
    }
}
