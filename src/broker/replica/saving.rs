//! Term, vote and doubt on the disk (D1).

use crate::broker::error::StoreError;
use crate::env::Disk;
use crate::log::{Aside, read_aside, replace_aside, replace_aside_unsynced};
use crate::raft::{HARD_STATE_FILE, HardState};

/// Stores a hard state; durably, but where a preset says otherwise.
pub(super) async fn save<D: Disk>(
    disk: D,
    hard: HardState,
    sync: bool,
) -> Result<HardState, StoreError> {
    let payload = hard.encode();
    let stored = match sync {
        true => replace_aside(&disk, HARD_STATE_FILE, &payload).await,
        false => replace_aside_unsynced(&disk, HARD_STATE_FILE, &payload).await,
    };
    stored.map_err(|source| StoreError::Io {
        doing: "storing term and vote",
        source,
    })?;
    Ok(hard)
}

/// The hard state of a disk of the dledger preset: what was not synced may be
/// missing, and DLedger begins without it, as if it had never voted.
pub(super) async fn load_or_begin_anew<D: Disk>(disk: &D) -> Result<HardState, StoreError> {
    match load(disk).await {
        Err(StoreError::Amnesia { .. }) => Ok(HardState::default()),
        loaded => loaded,
    }
}

/// The hard state of a formatted disk. Missing or unreadable it is forgotten,
/// and never term 0.
pub(super) async fn load<D: Disk>(disk: &D) -> Result<HardState, StoreError> {
    let forgotten = |why: &str| StoreError::Amnesia {
        path: HARD_STATE_FILE,
        why: why.to_owned(),
    };
    let read = read_aside(disk, HARD_STATE_FILE).await;
    let read = read.map_err(|source| StoreError::Io {
        doing: "reading term and vote",
        source,
    })?;
    match read {
        Aside::Missing => Err(forgotten("it is missing")),
        Aside::Corrupt { why } => Err(forgotten(&why)),
        Aside::Whole(payload) => {
            HardState::decode(&payload).ok_or_else(|| forgotten("it does not decode"))
        }
    }
}
