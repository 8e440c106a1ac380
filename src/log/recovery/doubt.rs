//! A replica's log whose end may have had more (D11, D12).

use super::Recovery;
use crate::env::Disk;
use crate::log::commit_log::CommitLog;
use crate::log::error::{OpenError, Proof};
use crate::log::frames::Flaw;
use crate::log::{LogConfig, Position};

/// Behind `from` stands something that does not verify: maybe torn and never
/// acknowledged, maybe acknowledged and rotten. The disk is as it was.
///
/// The owner stores its doubt durably, then opens with
/// [`CommitLog::open_cutting_doubt`] or [`CommitLog::open_keeping_doubt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InDoubt {
    /// The log as far as nothing is in doubt: `from.next_index` is the first
    /// index in doubt.
    pub from: Position,
    /// Something durable says that the log reached at least this address;
    /// `from.address` where nothing does.
    pub had_upto_address: u64,
    /// What says so.
    pub proof: Option<Proof>,
    /// The file.
    pub path: String,
    /// Where in it the first such bytes stand.
    pub position: u64,
    /// What is wrong with them.
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
    /// See [`OpenError`]; with `config.replicated` also [`OpenError::InDoubt`].
    pub async fn open_at(
        disk: D,
        config: LogConfig,
        base: Position,
        entropy: u64,
    ) -> Result<(Self, Recovery), OpenError> {
        let _ = (disk, config, base, entropy);
        todo!()
    }

    /// As [`CommitLog::open_at`], once the owner has durably stored its doubt:
    /// the log is cut, durably, where it begins.
    ///
    /// # Errors
    /// See [`OpenError`]; not [`OpenError::InDoubt`].
    pub async fn open_cutting_doubt(
        disk: D,
        config: LogConfig,
        base: Position,
        entropy: u64,
    ) -> Result<(Self, Recovery), OpenError> {
        let _ = (disk, config, base, entropy);
        todo!()
    }

    /// As [`CommitLog::open_cutting_doubt`], but whole entries behind the
    /// doubtful ones stay, and those are a [`super::super::Hole`]: to be filled
    /// from another replica, or cut by [`CommitLog::truncate`] once no replica
    /// can have them.
    ///
    /// # Errors
    /// See [`OpenError`]; not [`OpenError::InDoubt`].
    pub async fn open_keeping_doubt(
        disk: D,
        config: LogConfig,
        base: Position,
        entropy: u64,
    ) -> Result<(Self, Recovery), OpenError> {
        let _ = (disk, config, base, entropy);
        todo!()
    }
}
