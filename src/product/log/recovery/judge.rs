//! The judgement of the bytes behind the chain: clean, ambiguous or corrupt (D11).

use std::io;

use super::LogEnd;
use super::chain::Stop;
use super::survey::{EndVerdict, Survey};
use super::tail::{Claim, Tail, search_tail};
use crate::env::Disk;
use crate::log::Position;
use crate::log::checkpoint::CheckpointState;
use crate::log::error::{Corruption, OpenError, Proof};
use crate::log::frames::{Flaw, Frames};
use crate::log::segment::segment_path;

impl<D: Disk> Survey<D> {
    /// No segments: right for a disk that never had a log, and a log has a
    /// checkpoint before it has an entry.
    pub(super) fn judge_no_segments(&self) -> EndVerdict {
        let proof = match &self.checkpoint {
            CheckpointState::Missing => return EndVerdict::Clean,
            CheckpointState::Corrupt { why } => Proof::CheckpointUnreadable { why: why.clone() },
            CheckpointState::Whole(checkpoint) => Proof::Checkpoint {
                durable_address: checkpoint.durable.address,
            },
        };
        let path = segment_path(Position::START.address);
        EndVerdict::Corrupt(Corruption {
            path,
            position: 0,
            address: 0,
            flaw: Flaw::Missing,
            proof,
        })
    }

    /// A segment with a successor: all of it had been synced when that was made.
    pub(super) fn judge_sealed(&self, stop: Stop, successor: u64) -> EndVerdict {
        if self.end.address == successor {
            return EndVerdict::Clean;
        }
        let proof = Proof::Successor {
            path: segment_path(successor),
        };
        self.corrupt(stop.position, stop.flaw.unwrap_or(Flaw::Unchained), proof)
    }

    /// The last segment: what stands behind its chain decides.
    pub(super) async fn judge_last(
        &self,
        stop: Stop,
        checkpoint_address: u64,
    ) -> io::Result<EndVerdict> {
        let segment = self.segments.last().expect("just followed");
        let (file, header) = (segment.file.clone(), &segment.header);
        let window_bytes = self.config.sizes.window_bytes;
        let mut frames = Frames::new(file, header, header.segment_bytes, window_bytes);
        let mut tail = match stop.tail {
            Some(tail) => tail,
            None => search_tail(&mut frames, stop.position).await?,
        };
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
            (None, _) => EndVerdict::Clean,
            (Some((position, flaw)), CheckpointState::Whole(_)) => EndVerdict::Ambiguous {
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

    /// How the log of a single broker ends: what is ambiguous is cut and
    /// reported.
    pub(super) fn log_end(&self) -> Result<LogEnd, OpenError> {
        match self.verdict.clone() {
            EndVerdict::Corrupt(corruption) | EndVerdict::Inconsistent(corruption) => {
                Err(OpenError::Corrupt(Box::new(corruption)))
            }
            EndVerdict::Clean => Ok(LogEnd::Clean),
            EndVerdict::Ambiguous {
                path,
                position,
                flaw,
            } => Ok(LogEnd::Ambiguous {
                address: self.end.address,
                path,
                position,
                flaw,
            }),
        }
    }

    /// The proof that more than the log's valid part had been synced (D11).
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

    fn corrupt(&self, position: u64, flaw: Flaw, proof: Proof) -> EndVerdict {
        let path = self.segments.last().expect("it has records").path();
        EndVerdict::Corrupt(Corruption {
            path,
            position,
            address: self.end.address,
            flaw,
            proof,
        })
    }
}

/// Whether these are the bytes behind a log that had no fault.
fn is_clean_end(flaw: &Flaw) -> bool {
    matches!(flaw, Flaw::Blank | Flaw::OtherIncarnation)
}
