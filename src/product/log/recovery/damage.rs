//! A replica's log, read past its damage: what does not verify and is followed
//! by what does is a hole (D12), and only what nothing follows is the end.
//!
//! ```text
//!   ── entries ──▶ ✗ ✗ ──▶ entries ──▶ ✗ zeros
//!                  hole                └ ambiguous or corrupt: uncertain
//! ```

use std::io;

use super::corrupt_header;
use super::survey::{EndVerdict, Named, Survey};
use crate::env::Disk;
use crate::log::error::{Corruption, Proof};
use crate::log::frames::Flaw;
use crate::log::hole::Hole;
use crate::log::identity::Identity;
use crate::log::index::TermRuns;
use crate::log::segment::{HeaderFlaw, Segment, segment_path};

impl<D: Disk> Survey<D> {
    /// Follows the chain through the live segments of a replica.
    pub(super) async fn walk_past_damage(
        &mut self,
        (disk, identity): (&D, Identity),
        live: Vec<Named<D>>,
        checkpoint_address: u64,
    ) -> io::Result<()> {
        let mut generations = corrupt_header::generations(&live).into_iter();
        let mut live = live.into_iter().peekable();
        if live.peek().is_none() {
            self.verdict = self.judge_no_segments();
        }
        while let Some((address, opened)) = live.next() {
            let successor = live.peek().map(|(address, _)| *address);
            let place = (address, generations.next().unwrap_or_default());
            let (segment, flaw) = match opened {
                Ok(segment) => (Some(segment), None),
                Err(flaw) => (self.behead(disk, identity, place).await?, Some(flaw)),
            };
            let Some(segment) = segment else {
                self.lose(address, flaw.expect("it does not verify"));
                continue;
            };
            if let Err(flaw) = self.arrive(&segment) {
                self.verdict = EndVerdict::Inconsistent(self.corruption_of_birth(address, flaw));
                return Ok(());
            }
            let stop = self.follow(segment, successor).await?;
            self.verdict = match successor {
                Some(successor) => self.judge_sealed(stop, successor),
                None => self.judge_last(stop, checkpoint_address).await?,
            };
        }
        Ok(())
    }

    /// Passes a segment whose header does not verify. Its entries are lost unless
    /// something behind says what they were.
    fn lose(&mut self, address: u64, flaw: HeaderFlaw) {
        self.lost.push(address);
        self.proved_address = self.proved_address.max(address);
        if self.verdict == EndVerdict::Clean {
            self.verdict = EndVerdict::Corrupt(self.corruption_of_birth(address, flaw.into()));
        }
    }

    /// Goes on in a segment, which says itself where the log stood: if not
    /// here, then what lies between is a hole.
    fn arrive(&mut self, segment: &Segment<D>) -> Result<(), Flaw> {
        let base = segment.header.base;
        let first = self.segments.is_empty() && self.lost.is_empty();
        if first && base.address <= self.base.address {
            self.end = base;
        }
        if base.is_same_place(&self.end) {
            return Ok(());
        }
        let ahead = base.address > self.end.address && base.next_index > self.end.next_index;
        if !ahead || base.term < self.end.term {
            return Err(Flaw::Unchained);
        }
        // The verdict so far says what is wrong with what lies between.
        let (path, position, flaw) = match self.verdict.clone() {
            EndVerdict::Corrupt(c) => (c.path, c.position, c.flaw),
            _ => (segment_path(self.end.address), 0, Flaw::Missing),
        };
        self.leave_hole(base, path, position, flaw);
        if !segment.corrupt_header {
            // The header tells the last one's term, at least.
            self.terms.push(base.next_index - 1, base.term);
        }
        Ok(())
    }

    fn corruption_of_birth(&self, address: u64, flaw: Flaw) -> Corruption {
        let path = segment_path(address);
        Corruption {
            path: path.clone(),
            position: 0,
            address: self.end.address,
            flaw,
            proof: Proof::Birth {
                path,
                durable_address: address,
            },
        }
    }

    /// Sees to it that the log begins at the base or goes through it. One that
    /// does neither is what a reset left that a crash cut short: it begins anew.
    pub(super) fn settle_base(&mut self) {
        let base = self.base;
        if !self.config.replicated {
            // Where it does not reach the base, its owner is told.
            if self.holds_base {
                self.terms.raise(base.next_index, self.end.next_index);
            }
            return;
        }
        let over =
            |hole: &Hole| hole.from.address <= base.address && base.address < hole.upto.address;
        let holds_base = self.holds_base || self.known_holes().any(|hole| over(&hole));
        match holds_base {
            true => self.terms.raise(base.next_index, self.end.next_index),
            false => self.begin_anew(),
        }
    }

    fn begin_anew(&mut self) {
        let bases = self
            .segments
            .iter()
            .map(|segment| segment.header.base.address);
        self.dead.extend(bases.chain(self.lost.drain(..)));
        self.segments.clear();
        self.holes.clear();
        self.terms = TermRuns::default();
        self.end = self.base;
    }
}
