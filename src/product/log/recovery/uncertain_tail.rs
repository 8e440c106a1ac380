//! A replica's log whose end may have had more (D11, D12).

use super::survey::{Damage, EndVerdict, Survey};
use super::{LogEnd, Recovery};
use crate::env::Disk;
use crate::log::commit_log::CommitLog;
use crate::log::error::{OpenError, Proof};
use crate::log::frames::Flaw;
use crate::log::{LogConfig, Position};

/// The treatment of an entry that is uncertain, at an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uncertain {
    /// Nothing: the owner has to store it first.
    Report,
    /// Cuts the log where the uncertain tail begins.
    Cut,
    /// Cuts only what no whole entry follows.
    Keep,
}

/// Behind `from` stands something that does not verify: maybe torn and never
/// acknowledged, maybe acknowledged and rotten. The disk is as it was.
///
/// The owner stores its uncertain tail durably, then opens with
/// [`CommitLog::open_cutting_uncertain_tail`] or [`CommitLog::open_keeping_uncertain_tail`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailUncertain {
    /// The log as far as nothing is uncertain: `from.next_index` is the first
    /// uncertain index.
    pub from: Position,
    /// Something durable says that the log reached at least this address;
    /// `from.address` where nothing does.
    pub had_upto_address: u64,
    /// The proof.
    pub proof: Option<Proof>,
    /// The file.
    pub path: String,
    /// Where in it the first such bytes stand.
    pub position: u64,
    /// The flaw in them.
    pub flaw: Flaw,
    /// Whole entries stand behind; cutting gives them up, keeping does not.
    pub entries_behind: u64,
}

impl<D: Disk> CommitLog<D> {
    /// Opens a replica's log that begins at `base`, as the owner stored it
    /// ([`Position::START`] where it never did). Segments that are wholly below
    /// are removed; a log that does not reach `base` begins anew there (a
    /// [`CommitLog::reset_to`] that a crash cut short).
    ///
    /// # Errors
    /// See [`OpenError`]; with `config.replicated` also [`OpenError::TailUncertain`].
    pub async fn open_at(
        disk: D,
        config: LogConfig,
        base: Position,
        entropy: u64,
    ) -> Result<(Self, Recovery), OpenError> {
        Self::open_with(disk, config, base, entropy, Uncertain::Report).await
    }

    /// As [`CommitLog::open_at`], once the owner has durably stored its uncertain tail:
    /// the log is cut, durably, where it begins.
    ///
    /// # Errors
    /// See [`OpenError`]; not [`OpenError::TailUncertain`].
    pub async fn open_cutting_uncertain_tail(
        disk: D,
        config: LogConfig,
        base: Position,
        entropy: u64,
    ) -> Result<(Self, Recovery), OpenError> {
        Self::open_with(disk, config, base, entropy, Uncertain::Cut).await
    }

    /// As [`CommitLog::open_cutting_uncertain_tail`], but whole entries behind the
    /// uncertain ones stay, and those are a [`crate::log::Hole`]: to be filled
    /// from another replica, or cut by [`CommitLog::truncate`] once no replica
    /// can have them.
    ///
    /// # Errors
    /// See [`OpenError`]; not [`OpenError::TailUncertain`].
    pub async fn open_keeping_uncertain_tail(
        disk: D,
        config: LogConfig,
        base: Position,
        entropy: u64,
    ) -> Result<(Self, Recovery), OpenError> {
        Self::open_with(disk, config, base, entropy, Uncertain::Keep).await
    }
}

impl<D: Disk> Survey<D> {
    /// How a replica's log ends, with what is uncertain dealt with.
    pub(super) fn replica_end(&mut self, uncertain: Uncertain) -> Result<LogEnd, OpenError> {
        if let EndVerdict::Inconsistent(corruption) = self.verdict.clone() {
            return Err(OpenError::Corrupt(Box::new(corruption)));
        }
        let uncertain_tail = match (self.unproved_hole(), uncertain) {
            (Some(uncertain_tail), Uncertain::Report | Uncertain::Cut) => Some(uncertain_tail),
            _ => self.uncertain_end(),
        };
        let Some(uncertain_tail) = uncertain_tail else {
            return Ok(LogEnd::Clean);
        };
        if uncertain == Uncertain::Report {
            return Err(OpenError::TailUncertain(Box::new(uncertain_tail)));
        }
        self.cut(uncertain_tail.from);
        Ok(LogEnd::Ambiguous {
            address: uncertain_tail.from.address,
            path: uncertain_tail.path,
            position: uncertain_tail.position,
            flaw: uncertain_tail.flaw,
        })
    }

    /// The first hole of which nothing says that it had been synced: so much may
    /// have been torn as well. All behind it is as uncertain.
    fn unproved_hole(&self) -> Option<TailUncertain> {
        let proved = self.claimed_address();
        let known = proved.max(self.base.address);
        let unproved = |damage: &Damage| damage.hole.upto.address > known;
        let first = self.holes.iter().position(unproved)?;
        let Damage {
            hole,
            path,
            position,
            flaw,
        } = self.holes[first].clone();
        let later_holes = &self.holes[first + 1..];
        let holes_entries: u64 = later_holes.iter().map(|damage| damage.hole.entries()).sum();
        Some(TailUncertain {
            from: hole.from,
            had_upto_address: proved.max(hole.from.address),
            proof: None,
            path,
            position,
            flaw,
            entries_behind: self.end.next_index - hole.upto.next_index - holes_entries,
        })
    }

    /// The uncertain tail behind the last whole entry, if the bytes there may have been more
    /// entries.
    fn uncertain_end(&self) -> Option<TailUncertain> {
        let (path, position, flaw, proof) = match self.verdict.clone() {
            EndVerdict::Clean => return None,
            EndVerdict::Ambiguous {
                path,
                position,
                flaw,
            } => (path, position, flaw, None),
            EndVerdict::Corrupt(c) | EndVerdict::Inconsistent(c) => {
                (c.path, c.position, c.flaw, Some(c.proof))
            }
        };
        Some(TailUncertain {
            from: self.end,
            had_upto_address: self.claimed_address().max(self.end.address),
            proof,
            path,
            position,
            flaw,
            entries_behind: 0,
        })
    }

    /// The highest log address below which something calls everything durable,
    /// be it above the log's end.
    fn claimed_address(&self) -> u64 {
        let claimed = match &self.verdict {
            EndVerdict::Corrupt(corruption) => corruption.proof.durable_address(),
            _ => 0,
        };
        claimed.max(self.proved_address)
    }

    /// Ends the log at `from`. The part that is given up is removed once a new segment
    /// has taken over from there.
    fn cut(&mut self, from: Position) {
        let bases = self
            .segments
            .iter()
            .map(|segment| segment.header.base.address);
        let given_up = bases.filter(|address| *address > from.address);
        self.dead.extend(given_up);
        // One that begins at the cut goes, too: what takes over may begin below it,
        // and would end where that one begins.
        let lost = self.lost.extract_if(.., |address| *address >= from.address);
        self.dead.extend(lost);
        self.segments
            .retain(|segment| segment.header.base.address <= from.address);
        if let Some(last) = self.segments.last_mut() {
            last.groups.retain(|group| group.address < from.address);
        }
        self.holes
            .retain(|damage| damage.hole.from.address < from.address);
        self.terms.truncate(from.next_index);
        self.end = from;
        self.proved_address = self.proved_address.min(from.address);
    }
}
