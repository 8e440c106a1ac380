//! Reading what is there, changing nothing.

use std::io;

use super::WINDOW_BYTES;
use super::tail::{Claim, Tail, search_tail};
use crate::env::Disk;
use crate::log::Position;
use crate::log::checkpoint::{self, CheckpointState};
use crate::log::error::{Corruption, Doing, OpenError, Proof};
use crate::log::frames::{Flaw, Frame, Frames, follow};
use crate::log::hole::Hole;
use crate::log::identity::Identity;
use crate::log::index::TermRuns;
use crate::log::segment::{Group, HeaderFlaw, Segment, SegmentHeader, list, segment_path};
use crate::record::{ENVELOPE_BYTES, EntryKind, Envelope, Mark, Message};

/// What a survey makes of the log's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::log) enum Verdict {
    Clean,
    Ambiguous {
        path: String,
        position: u64,
        flaw: Flaw,
    },
    Corrupt(Corruption),
}

/// What is on the disk.
pub(in crate::log) struct Survey<D: Disk> {
    /// Live segments by address, with their maps, as far as the log goes. None
    /// on a disk that never had a log.
    pub(in crate::log) segments: Vec<Segment<D>>,
    /// First addresses of the segments that newer ones reach over.
    pub(in crate::log) dead: Vec<u64>,
    /// First addresses, ascending, of the segments that the log did not reach:
    /// behind a corrupt record, or behind a header that does not verify.
    pub(in crate::log) beyond: Vec<u64>,
    /// Paths of unfinished segments.
    pub(in crate::log) drafts: Vec<String>,
    /// The end of what verifies.
    pub(in crate::log) end: Position,
    /// Where in the last segment its valid part ends.
    pub(in crate::log) stop_position: u64,
    /// Where in the last segment the next group goes.
    pub(in crate::log) write_position: u64,
    /// The highest log address, not above the end, below which all is proved to
    /// have been synced.
    pub(in crate::log) proved_address: u64,
    /// Whether the last frame says that all before it was durable.
    pub(in crate::log) marked: bool,
    /// The highest generation, dead segments included.
    pub(in crate::log) generation: u64,
    pub(in crate::log) checkpoint: CheckpointState,
    /// The terms of the entries that verify.
    pub(in crate::log) terms: TermRuns,
    /// What does not verify and is followed by what does; a replica's only.
    pub(in crate::log) holes: Vec<Hole>,
    pub(in crate::log) verdict: Verdict,
}

/// A named file: its first address and what its header says.
type Named<D> = (u64, Result<Segment<D>, HeaderFlaw>);

/// Surveys the disk of `identity`.
pub(in crate::log) async fn survey<D: Disk>(
    disk: &D,
    identity: Identity,
) -> Result<Survey<D>, OpenError> {
    let listing = list(disk).await.doing("listing the segments")?;
    let checkpoint = checkpoint::read(disk)
        .await
        .doing("reading the checkpoint")?;
    let mut named = Vec::new();
    for address in listing.segments {
        let opened = Segment::open(disk, address)
            .await
            .doing("opening a segment")?;
        if let Ok(segment) = &opened {
            check_owner(segment, identity)?;
        }
        named.push((address, opened));
    }
    let headers = named.iter().filter_map(|(_, opened)| opened.as_ref().ok());
    let generation = headers
        .clone()
        .map(|segment| segment.header.generation)
        .max()
        .unwrap_or(0);
    let checkpoint_address = checkpoint_claim(&checkpoint, headers);
    let Split { live, dead, beyond } = split(named);
    let mut survey = Survey {
        segments: Vec::new(),
        dead,
        beyond,
        drafts: listing.drafts,
        end: Position::START,
        stop_position: 0,
        write_position: 0,
        proved_address: 0,
        marked: true,
        generation,
        checkpoint,
        terms: TermRuns::default(),
        holes: Vec::new(),
        verdict: Verdict::Clean,
    };
    survey
        .walk(live, checkpoint_address)
        .await
        .doing("reading the segments")?;
    survey.proved_address = survey.proved_address.max(checkpoint_address);
    Ok(survey)
}

fn check_owner<D: Disk>(segment: &Segment<D>, identity: Identity) -> Result<(), OpenError> {
    let header = &segment.header;
    if (header.cluster_id, header.disk_id) == (identity.cluster_id, identity.disk_id) {
        return Ok(());
    }
    Err(OpenError::ForeignSegment {
        path: segment.path(),
        disk_id: header.disk_id,
        cluster_id: header.cluster_id,
    })
}

/// What the checkpoint proves durable: not what a later segment has cut off.
fn checkpoint_claim<'a, D: Disk>(
    state: &CheckpointState,
    segments: impl Iterator<Item = &'a Segment<D>>,
) -> u64 {
    let CheckpointState::Whole(checkpoint) = state else {
        return 0;
    };
    segments
        .filter(|segment| segment.header.generation > checkpoint.generation)
        .map(|segment| segment.header.base.address)
        .fold(checkpoint.durable.address, u64::min)
}

/// The named segments, told apart by generation.
struct Split<D: Disk> {
    /// By address; of those whose header does not verify at most one, the last.
    live: Vec<Named<D>>,
    /// Begin at or above a newer one's beginning.
    dead: Vec<u64>,
    /// Begin at or above one whose header does not verify: live or dead, who
    /// knows.
    beyond: Vec<u64>,
}

/// Tells live from dead. A header that does not verify gives no generation:
/// counted as the newest, it ends what is known.
fn split<D: Disk>(mut named: Vec<Named<D>>) -> Split<D> {
    let age = |(address, opened): &Named<D>| match opened {
        Ok(segment) => (u64::MAX - segment.header.generation, *address),
        Err(_) => (0, *address),
    };
    named.sort_by_key(age);
    let flawed = named
        .iter()
        .find(|(_, opened)| opened.is_err())
        .map(|(address, _)| *address);
    let mut split = Split {
        live: Vec::new(),
        dead: Vec::new(),
        beyond: Vec::new(),
    };
    for (address, opened) in named {
        if split.live.last().is_none_or(|(floor, _)| address < *floor) {
            split.live.push((address, opened));
        } else if flawed.is_some_and(|flawed| flawed <= address) {
            split.beyond.push(address);
        } else {
            split.dead.push(address);
        }
    }
    split.live.reverse();
    split
}

/// Where a segment's chain ends.
struct Stop {
    position: u64,
    /// What stands there; `None` where the segment's part of the log is whole:
    /// up to its successor, or to the end of the file.
    flaw: Option<Flaw>,
}

impl<D: Disk> Survey<D> {
    /// Follows the chain through the live segments and judges its end.
    async fn walk(&mut self, live: Vec<Named<D>>, checkpoint_address: u64) -> io::Result<()> {
        let mut live = live.into_iter().peekable();
        if live.peek().is_none() {
            self.verdict = self.judge_no_segments();
        }
        while let Some((address, opened)) = live.next() {
            let successor = live.peek().map(|(address, _)| *address);
            let segment = match self.admit(address, opened) {
                Ok(segment) => segment,
                Err(corruption) => {
                    self.beyond.push(address);
                    self.verdict = Verdict::Corrupt(corruption);
                    break;
                }
            };
            let stop = self.follow(segment, successor).await?;
            self.verdict = match successor {
                Some(successor) => self.judge_sealed(stop, successor),
                None => self.judge_last(stop, checkpoint_address).await?,
            };
            if self.verdict != Verdict::Clean {
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
    /// it verifies, and makes the segment's map on the way.
    async fn follow(&mut self, segment: Segment<D>, successor: Option<u64>) -> io::Result<Stop> {
        let header = segment.header;
        let (file, end) = (segment.file.clone(), header.segment_bytes);
        let mut frames = Frames::new(file, &header, end, WINDOW_BYTES);
        self.segments.push(segment);
        self.proved_address = self.proved_address.max(header.durable_address);
        self.marked = true;
        let mut position = header.data_from();
        let flaw = loop {
            if position >= end || successor.is_some_and(|address| self.end.address >= address) {
                break None;
            }
            match self.take(frames.at(position).await?, position, &header) {
                Ok(bytes) => position += bytes,
                Err(flaw) => break Some(flaw),
            }
        };
        self.stop_position = position;
        self.write_position = header.sector_up(position);
        Ok(Stop { position, flaw })
    }

    /// Takes one frame into the log; gives the bytes to the next one.
    fn take(&mut self, frame: Frame, position: u64, header: &SegmentHeader) -> Result<u64, Flaw> {
        let to_next_sector = header.sector_up(position + 1) - position;
        match frame {
            Frame::Padding => Ok(to_next_sector),
            Frame::Entry { envelope, frame } => {
                let end = self.check_entry(&envelope, &frame)?;
                if header.sector_up(position) == position {
                    let group = Group {
                        index: self.end.next_index,
                        address: self.end.address,
                        position,
                    };
                    self.segments
                        .last_mut()
                        .expect("just entered")
                        .groups
                        .push(group);
                }
                let durable_address = envelope.placement.durable_address;
                self.proved_address = self.proved_address.max(durable_address);
                self.terms.push(self.end.next_index, end.term);
                self.end = end;
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

    /// No segments: right for a disk that never had a log, and a log has a
    /// checkpoint before it has an entry.
    fn judge_no_segments(&self) -> Verdict {
        let proof = match &self.checkpoint {
            CheckpointState::Missing => return Verdict::Clean,
            CheckpointState::Corrupt { why } => Proof::CheckpointUnreadable { why: why.clone() },
            CheckpointState::Whole(checkpoint) => Proof::Checkpoint {
                durable_address: checkpoint.durable.address,
            },
        };
        let path = segment_path(Position::START.address);
        Verdict::Corrupt(Corruption {
            path,
            position: 0,
            address: 0,
            flaw: Flaw::Missing,
            proof,
        })
    }

    /// A segment with a successor: all of it had been synced when that was made.
    fn judge_sealed(&self, stop: Stop, successor: u64) -> Verdict {
        if self.end.address == successor {
            return Verdict::Clean;
        }
        let proof = Proof::Successor {
            path: segment_path(successor),
        };
        self.corrupt(stop.position, stop.flaw.unwrap_or(Flaw::Unchained), proof)
    }

    /// The last segment: what stands behind its chain decides.
    async fn judge_last(&self, stop: Stop, checkpoint_address: u64) -> io::Result<Verdict> {
        let segment = self.segments.last().expect("just followed");
        let (file, header) = (segment.file.clone(), &segment.header);
        let mut frames = Frames::new(file, header, header.segment_bytes, WINDOW_BYTES);
        let mut tail = search_tail(&mut frames, stop.position).await?;
        if let Some(flaw) = stop.flaw.clone().filter(|flaw| !is_clean_end(flaw)) {
            // The chain's own objection says more than the bytes alone do.
            tail.dirty = Some((stop.position, flaw));
        }
        let path = segment.path();
        if let Some(proof) = self.proof_beyond_end(&path, &tail, checkpoint_address) {
            let flaw = stop.flaw.unwrap_or(Flaw::Blank);
            return Ok(self.corrupt(stop.position, flaw, proof));
        }
        Ok(match (tail.dirty, &self.checkpoint) {
            (None, _) => Verdict::Clean,
            (Some((position, flaw)), CheckpointState::Whole(_)) => Verdict::Ambiguous {
                path,
                position,
                flaw,
            },
            (Some((position, flaw)), CheckpointState::Missing) => {
                let why = "missing".to_owned();
                self.corrupt(position, flaw, Proof::CheckpointUnreadable { why })
            }
            (Some((position, flaw)), CheckpointState::Corrupt { why }) => self.corrupt(
                position,
                flaw,
                Proof::CheckpointUnreadable { why: why.clone() },
            ),
        })
    }

    /// What says that more than the log's valid part had been synced (D11).
    fn proof_beyond_end(&self, path: &str, tail: &Tail, checkpoint_address: u64) -> Option<Proof> {
        let end = self.end.address;
        if let Some(Claim {
            position,
            durable_address,
        }) = tail.claim
            && durable_address > end
        {
            return Some(Proof::Placement {
                path: path.to_owned(),
                position,
                durable_address,
            });
        }
        if self.proved_address > end {
            let durable_address = self.proved_address;
            return Some(Proof::Birth {
                path: path.to_owned(),
                durable_address,
            });
        }
        (checkpoint_address > end).then_some(Proof::Checkpoint {
            durable_address: checkpoint_address,
        })
    }

    fn corrupt(&self, position: u64, flaw: Flaw, proof: Proof) -> Verdict {
        let path = self.segments.last().expect("it has records").path();
        Verdict::Corrupt(Corruption {
            path,
            position,
            address: self.end.address,
            flaw,
            proof,
        })
    }
}

/// Whether this is what stands behind a log that nothing befell.
fn is_clean_end(flaw: &Flaw) -> bool {
    matches!(flaw, Flaw::Blank | Flaw::OtherIncarnation)
}
