//! A second reading of a segment that was found whole once, but for its holes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use bytes::Bytes;

use super::Position;
use super::frames::{Frame, Frames, follow};
use super::hole::Hole;
use super::recovery::before;
use super::segment::{Group, Segment, begins_behind};
use crate::env::Disk;
use crate::record::LogPart;

/// Goes through the entries of a segment.
pub(super) struct Walk<D: Disk> {
    frames: Frames<D::File>,
    position: u64,
    /// The holes ahead, and where in this file the entry behind each stands.
    holes: VecDeque<(Hole, Option<u64>)>,
    /// The segment's map.
    groups: Vec<Group>,
    /// The log behind the last entry.
    pub(super) at: Position,
}

/// The result of a step of a walk.
pub(super) enum WalkStep {
    /// Envelope and record.
    Entry(Bytes),
    /// Nothing that can be read.
    Hole(Hole),
}

impl<D: Disk> Walk<D> {
    /// From the segment's beginning on, `window_bytes` at a time.
    pub(super) fn of(
        segment: &Segment<D>,
        holes: impl IntoIterator<Item = Hole>,
        window_bytes: u64,
    ) -> Self {
        let header = &segment.header;
        let file = segment.file.clone();
        let ahead = |hole: &Hole| hole.from.address >= header.base.address;
        let resumed = |hole: Hole| {
            let group = segment.group_of(hole.upto.address);
            let behind = group.filter(|group| group.address == hole.upto.address);
            (hole, behind.map(|group| group.position))
        };
        Self {
            frames: Frames::new(file, header, header.segment_bytes, window_bytes),
            position: header.data_from(),
            holes: holes.into_iter().filter(ahead).map(resumed).collect(),
            groups: segment.groups.clone(),
            at: header.base,
        }
    }

    /// As [`Walk::of`], from the beginning of the group on that holds the entry at
    /// `address`, where that beginning is whole and `term_of` tells the term of the
    /// entry before it.
    ///
    /// # Errors
    /// The disk's.
    pub(super) async fn near(
        segment: &Segment<D>,
        holes: impl IntoIterator<Item = Hole>,
        address: u64,
        term_of: impl Fn(u64) -> Option<u64>,
        window_bytes: u64,
    ) -> io::Result<Self> {
        let mut walk = Self::of(segment, holes, window_bytes);
        let Some(group) = segment.group_of(address) else {
            return Ok(walk);
        };
        let Some(term) = term_of(group.index.saturating_sub(1)) else {
            return Ok(walk);
        };
        let over = |(hole, _): &(Hole, _)| {
            hole.from.address <= group.address && group.address < hole.upto.address
        };
        if walk.holes.iter().any(over) {
            return Ok(walk);
        }
        if let Frame::Entry { envelope, .. } = walk.frames.at(group.position).await?
            && (envelope.log.index, envelope.log.address) == (group.index, group.address)
        {
            walk.holes
                .retain(|(hole, _)| hole.from.address > group.address);
            walk.position = group.position;
            walk.at = Position {
                term,
                ..before(&envelope.log)
            };
        }
        Ok(walk)
    }

    /// The first whole entry behind the damage that the walk has come to, and
    /// its file position.
    pub(super) async fn find_behind(
        &mut self,
        is_wanted: impl Fn(&LogPart) -> bool,
    ) -> io::Result<Option<(u64, LogPart)>> {
        self.frames.find_entry(self.position + 1, is_wanted).await
    }

    /// Goes to the other side of the hole that begins here.
    fn skip(&mut self) -> Option<Hole> {
        let here = |(hole, _): &&(Hole, _)| hole.from.address == self.at.address;
        let (hole, behind) = *self.holes.front().filter(here)?;
        self.holes.pop_front();
        self.at = hole.upto;
        self.position = behind.unwrap_or(self.frames.end());
        Some(hole)
    }

    /// The next entry or hole.
    ///
    /// # Errors
    /// The disk's, or [`ErrorKind::InvalidData`]: the entry at `at`, which was
    /// whole, does not verify any more.
    pub(super) async fn next(&mut self) -> io::Result<WalkStep> {
        if let Some(hole) = self.skip() {
            return Ok(WalkStep::Hole(hole));
        }
        loop {
            match self.frames.at(self.position).await? {
                Frame::Padding | Frame::Mark(_) => {
                    self.position = self.frames.next_sector(self.position);
                }
                Frame::Entry { envelope, frame } if follow(self.at, &envelope.log).is_ok() => {
                    self.at = follow(self.at, &envelope.log).expect("it follows");
                    self.position += envelope.log.framed_bytes();
                    return Ok(WalkStep::Entry(frame));
                }
                _ => {
                    let next = begins_behind(&self.groups, self.at.address, self.position);
                    self.position = next.ok_or_else(not_whole)?;
                }
            }
        }
    }
}

fn not_whole() -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        "a record that was whole is not any more",
    )
}
