//! The chain, followed through the live segments.

use std::io;

use super::survey::{Damage, EndVerdict, Named, Survey};
use super::tail::{Tail, search_tail};
use crate::env::Disk;
use crate::log::Position;
use crate::log::error::{Corruption, Proof};
use crate::log::frames::{Flaw, Frame, Frames, follow};
use crate::log::hole::Hole;
use crate::log::segment::{Group, HeaderFlaw, Segment, SegmentHeader, segment_path};
use crate::record::{ENVELOPE_BYTES, EntryKind, Envelope, LogPart, Mark, Message};

/// Where a segment's chain ends.
pub(super) struct Stop {
    pub(super) position: u64,
    /// The flaw behind them; `None` where the segment's part of the log is whole: up to
    /// its successor, or to the end of the file.
    pub(super) flaw: Option<Flaw>,
    /// The tail behind them, where that was looked at already.
    pub(super) tail: Option<Tail>,
}

impl<D: Disk> Survey<D> {
    /// Follows the chain through the live segments and judges its end.
    pub(super) async fn walk(
        &mut self,
        live: Vec<Named<D>>,
        checkpoint_address: u64,
    ) -> io::Result<()> {
        let mut live = live.into_iter().peekable();
        if live.peek().is_none() {
            self.verdict = self.judge_no_segments();
        }
        if let Some((address, Ok(first))) = live.peek()
            && *address < self.base.address
        {
            self.end = first.header.base;
        }
        while let Some((address, opened)) = live.next() {
            let successor = live.peek().map(|(address, _)| *address);
            let segment = match self.admit(address, opened) {
                Ok(segment) => segment,
                Err(corruption) => {
                    self.beyond.push(address);
                    self.verdict = EndVerdict::Corrupt(corruption);
                    break;
                }
            };
            let stop = self.follow(segment, successor).await?;
            self.verdict = match successor {
                Some(successor) => self.judge_sealed(stop, successor),
                None => self.judge_last(stop, checkpoint_address).await?,
            };
            if self.verdict != EndVerdict::Clean {
                break;
            }
        }
        self.beyond.extend(live.map(|(address, _)| address));
        self.beyond.sort_unstable();
        Ok(())
    }

    /// Checks that a segment continues the log.
    fn admit(
        &self,
        address: u64,
        opened: Result<Segment<D>, HeaderFlaw>,
    ) -> Result<Segment<D>, Corruption> {
        let path = segment_path(address);
        let birth = Proof::Birth {
            path: path.clone(),
            durable_address: address,
        };
        let corrupt = |path, flaw, proof| Corruption {
            path,
            position: 0,
            address: self.end.address,
            flaw,
            proof,
        };
        match opened {
            Err(flaw) => Err(corrupt(path, flaw.into(), birth)),
            Ok(segment) if segment.header.base == self.end => Ok(segment),
            Ok(_) if self.segments.is_empty() => {
                let first = segment_path(Position::START.address);
                Err(corrupt(first, Flaw::Missing, Proof::Successor { path }))
            }
            Ok(_) => Err(corrupt(path, Flaw::Unchained, birth)),
        }
    }

    /// Follows the chain through one segment, up to its successor or as far as
    /// it verifies, and makes the segment's map on the way. The chain is taken up again
    /// behind what does not verify.
    pub(super) async fn follow(
        &mut self,
        segment: Segment<D>,
        successor: Option<u64>,
    ) -> io::Result<Stop> {
        let header = segment.header;
        let (file, end) = (segment.file.clone(), header.segment_bytes);
        let mut frames = Frames::new(file, &header, end, self.config.sizes.window_bytes);
        self.segments.push(segment);
        self.proved_address = self.proved_address.max(born_with(&header, successor));
        self.holds_base |= self.end.is_same_place(&self.base);
        self.marked = true;
        let mut tail = None;
        let mut position = header.data_from();
        let flaw = loop {
            if position >= end || successor.is_some_and(|address| self.end.address >= address) {
                break None;
            }
            match self.take(frames.at(position).await?, position, &header) {
                Ok(bytes) => position += bytes,
                Err(flaw) => {
                    let damage = (position, &flaw);
                    match self.pass(&mut frames, damage, successor, &mut tail).await? {
                        Some(resumed) => position = resumed,
                        None => break Some(flaw),
                    }
                }
            }
        };
        self.stop_position = position;
        self.write_position = header.sector_up(position);
        Ok(Stop {
            position,
            flaw,
            tail,
        })
    }

    /// Goes on behind what does not verify: gives the position of the next whole entry,
    /// if there is one. A single broker goes on only where none above its base is missing
    /// in between.
    /// The part of the last segment that it looked at is left in `tail`.
    async fn pass(
        &mut self,
        frames: &mut Frames<D::File>,
        (position, flaw): (u64, &Flaw),
        successor: Option<u64>,
        tail: &mut Option<Tail>,
    ) -> io::Result<Option<u64>> {
        if successor.is_none() {
            let tail = tail.insert(search_tail(frames, position).await?);
            if tail.dirty.is_none() && *flaw == Flaw::Blank {
                return Ok(None);
            }
        }
        let found = self.find_behind(frames, position, successor).await?;
        let Some((resumed, upto)) = found else {
            return Ok(None);
        };
        // Otherwise it was padding or a mark that has rotted.
        if upto.next_index > self.end.next_index {
            if self.config.replicated {
                let path = self.segments.last().expect("just entered").path();
                self.leave_hole(upto, path, position, flaw.clone());
            } else if upto.address <= self.base.address {
                // Nobody misses what is below the base.
                self.end = upto;
                self.holds_base |= upto.is_same_place(&self.base);
            } else {
                return Ok(None);
            }
        }
        self.add_group(resumed);
        Ok(Some(resumed))
    }

    /// The next whole entry behind `position`, and the log before it. In this
    /// file nothing was ever written twice, so whatever is whole in it is of one
    /// chain.
    async fn find_behind(
        &self,
        frames: &mut Frames<D::File>,
        position: u64,
        successor: Option<u64>,
    ) -> io::Result<Option<(u64, Position)>> {
        let from = self.end;
        let continues = |log: &LogPart| {
            let skipped = log.index.checked_sub(from.next_index);
            let skipped_bytes = log.address.checked_sub(from.address);
            let plausible = match skipped {
                Some(0) => follow(from, log).is_ok(),
                skipped => skipped_bytes >= skipped.map(|count| count * ENVELOPE_BYTES as u64),
            };
            skipped.is_some()
                && plausible
                && log.term >= from.term
                && successor.is_none_or(|address| log.address < address)
        };
        let found = frames.find_entry(position + 1, continues).await?;
        Ok(found.map(|(position, entry)| (position, before(&entry))))
    }

    /// Goes on at `upto` though what lies before it does not verify.
    pub(super) fn leave_hole(&mut self, upto: Position, path: String, position: u64, flaw: Flaw) {
        let from = self.end;
        let hole = Hole { from, upto };
        self.holes.push(Damage {
            hole,
            path,
            position,
            flaw,
        });
        self.end = upto;
        self.holds_base |= upto.is_same_place(&self.base);
    }

    /// The next entry stands at `position`, which those before it do not tell.
    fn add_group(&mut self, position: u64) {
        let group = Group {
            index: self.end.next_index,
            address: self.end.address,
            position,
        };
        let groups = &mut self.segments.last_mut().expect("just entered").groups;
        if groups.last() != Some(&group) {
            groups.push(group);
        }
    }

    /// Takes one frame into the log; gives the bytes to the next one.
    fn take(&mut self, frame: Frame, position: u64, header: &SegmentHeader) -> Result<u64, Flaw> {
        let to_next_sector = header.sector_up(position + 1) - position;
        match frame {
            Frame::Padding => Ok(to_next_sector),
            Frame::Entry { envelope, frame } => {
                let end = self.check_entry(&envelope, &frame)?;
                if header.sector_up(position) == position || self.end.address == self.base.address {
                    self.add_group(position);
                }
                let durable_address = envelope.placement.durable_address;
                self.proved_address = self.proved_address.max(durable_address);
                self.terms.push(self.end.next_index, end.term);
                self.end = end;
                self.holds_base |= end.is_same_place(&self.base);
                self.marked = false;
                Ok(envelope.log.framed_bytes())
            }
            Frame::Mark(mark) if self.is_end(&mark) => {
                self.proved_address = self.proved_address.max(self.end.address);
                self.marked = true;
                Ok(to_next_sector)
            }
            Frame::Mark(_) => Err(Flaw::MarkMismatch),
            Frame::Blank => Err(Flaw::Blank),
            Frame::OtherIncarnation { .. } => Err(Flaw::OtherIncarnation),
            Frame::Bad { flaw, .. } => Err(flaw),
        }
    }

    fn check_entry(&self, envelope: &Envelope, frame: &[u8]) -> Result<Position, Flaw> {
        let end = follow(self.end, &envelope.log)?;
        if envelope.log.kind == EntryKind::Message {
            // The envelope verifies, so this fails only for what was malformed
            // when it was written; for a message it must not pass (S11).
            Message::decode(&frame[ENVELOPE_BYTES..])?;
        }
        Ok(end)
    }

    fn is_end(&self, mark: &Mark) -> bool {
        let Mark {
            placement,
            next_index,
            term,
            hash,
        } = *mark;
        let address = placement.durable_address;
        Position {
            next_index,
            term,
            address,
            hash,
        } == self.end
    }
}

/// The address up to which a segment's birth proves entries durable: not what its
/// successor, which took over from its own first address on, has cut off.
fn born_with(header: &SegmentHeader, successor: Option<u64>) -> u64 {
    let durable_address = header.durable_address;
    successor.map_or(durable_address, |address| durable_address.min(address))
}

/// The log before an entry, as the entry alone tells it: its `term` is the
/// entry's own.
pub(in crate::log) fn before(entry: &LogPart) -> Position {
    Position {
        next_index: entry.index,
        term: entry.term,
        address: entry.address,
        hash: entry.previous_hash,
    }
}
