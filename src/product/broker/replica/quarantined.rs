//! A replica that must not take part again before its operator has decided.
//!
//! Promise: the refusal outlasts the process. The committed entries are known only to
//! a running replica; after a start it would follow any leader, and cut what may be
//! the last copy.

use serde::{Deserialize, Serialize};

use crate::broker::error::StoreError;
use crate::env::Disk;
use crate::log::{AtomicFile, read_atomic_file, replace_atomic_file};
use crate::raft::{Divergence, EntryId, Epoch, ReplicaId};

/// At the root of a replica's disk, from its refusal to the operator's decision.
pub const QUARANTINE_FILE: &str = "condemned";
/// In place of a refusal: the operator has decided. A file that was removed may come
/// back with the power; this one is written again by every start that reads it, as
/// all is that a start rests on (D24).
const LIFTED: &[u8] = br#""lifted""#;

/// Why it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Quarantined {
    /// See [`StoreError::Diverged`].
    Diverged(Divergence),
    /// See [`StoreError::RolledBack`].
    RolledBack {
        acknowledged: EntryId,
        last: EntryId,
    },
    /// See [`StoreError::NewerEpoch`].
    Superseded {
        own: Epoch,
        theirs: Epoch,
        by: ReplicaId,
    },
    /// See [`StoreError::RivalEpoch`].
    Rival {
        own: Epoch,
        theirs: Epoch,
        by: ReplicaId,
    },
    /// See [`StoreError::Recovering`].
    Recovering,
}

impl From<Quarantined> for StoreError {
    fn from(quarantined: Quarantined) -> Self {
        match quarantined {
            Quarantined::Diverged(found) => Self::Diverged(found),
            Quarantined::RolledBack { acknowledged, last } => {
                Self::RolledBack { acknowledged, last }
            }
            Quarantined::Superseded { own, theirs, by } => Self::NewerEpoch { own, theirs, by },
            Quarantined::Rival { own, theirs, by } => Self::RivalEpoch { own, theirs, by },
            Quarantined::Recovering => Self::Recovering,
        }
    }
}

impl Quarantined {
    /// The highest epoch that the refusal tells of, by number.
    pub(super) fn epoch_number(self) -> u64 {
        match self {
            Self::Superseded { theirs, .. } | Self::Rival { theirs, .. } => theirs.number,
            Self::Diverged(_) | Self::RolledBack { .. } | Self::Recovering => 0,
        }
    }

    /// Makes the refusal durable, and gives it. Where the disk fails, that is
    /// what is given: the store is opened again, and finds out again.
    pub(super) async fn store<D: Disk>(self, disk: &D) -> StoreError {
        let encoded = serde_json::to_vec(&self).expect("plain data");
        match replace_atomic_file(disk, QUARANTINE_FILE, &encoded).await {
            Ok(()) => self.into(),
            Err(source) => StoreError::Io {
                doing: "storing why this replica must stop",
                source,
            },
        }
    }

    /// Whether the disk says so.
    ///
    /// # Errors
    /// The disk's; a file that cannot be read is a refusal all the same.
    pub(super) async fn read<D: Disk>(disk: &D) -> Result<Option<Self>, StoreError> {
        Ok(match Word::read(disk).await? {
            Word::Refused(quarantined) => Some(quarantined),
            Word::None | Word::Lifted => None,
        })
    }

    /// Refuses where the disk says so, and where a refusal was lifted makes sure of
    /// it: what was read may be in the page cache alone, and is written again.
    pub(super) async fn heed<D: Disk>(disk: &D) -> Result<(), StoreError> {
        match Word::read(disk).await? {
            Word::None => Ok(()),
            Word::Lifted => Self::lift(disk).await,
            Word::Refused(quarantined) => Err(quarantined.store(disk).await),
        }
    }

    /// The operator has decided for what this disk holds.
    pub(super) async fn lift<D: Disk>(disk: &D) -> Result<(), StoreError> {
        let lifted = replace_atomic_file(disk, QUARANTINE_FILE, LIFTED).await;
        lifted.map_err(|source| StoreError::Io {
            doing: "lifting the refusal",
            source,
        })
    }
}

/// The content of the file.
enum Word {
    None,
    Lifted,
    Refused(Quarantined),
}

impl Word {
    async fn read<D: Disk>(disk: &D) -> Result<Self, StoreError> {
        let unreadable = |why| StoreError::Amnesia {
            path: QUARANTINE_FILE,
            why,
        };
        let read = read_atomic_file(disk, QUARANTINE_FILE).await;
        match read.map_err(|source| StoreError::Io {
            doing: "reading whether this replica must stop",
            source,
        })? {
            AtomicFile::Missing => Ok(Self::None),
            AtomicFile::Corrupt { why } => Err(unreadable(why)),
            AtomicFile::Whole(payload) if payload == LIFTED => Ok(Self::Lifted),
            AtomicFile::Whole(payload) => serde_json::from_slice(&payload)
                .map(Self::Refused)
                .map_err(|why| unreadable(why.to_string())),
        }
    }
}
