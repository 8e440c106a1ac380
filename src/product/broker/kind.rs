//! A directory is what it was formatted as (D27): a broker that stands alone, or one
//! replica of a cluster. Flags never decide it.
//!
//! A replica's log that is served alone acknowledges what no other replica has, and
//! cuts it when it follows its leader again; a broker that stands alone has no
//! others that could give it back what a recovery or a replacement takes. So the
//! wrong one is refused before anything is written.

use super::error::StoreError;
use super::founding::FOUNDING_FILE;
use crate::env::Disk;
use crate::log::{AtomicFile, DiskKind, Identity, OpenError, read_atomic_file, read_identity};
use crate::raft::HARD_STATE_FILE;

/// The identity of the disk, and the kind that it was formatted as.
///
/// # Errors
/// It is not formatted, or cannot be read.
pub async fn disk_kind<D: Disk>(disk: &D) -> Result<(Identity, DiskKind), StoreError> {
    let identity = read_identity(disk).await.map_err(OpenError::from)?;
    let kind = match identity.kind {
        Some(kind) => kind,
        None => kind_by_files(disk).await?,
    };
    Ok((identity, kind))
}

/// Of a disk that was formatted before kinds were written down: a replica's has a
/// hard state from the beginning.
async fn kind_by_files<D: Disk>(disk: &D) -> Result<DiskKind, StoreError> {
    for path in [HARD_STATE_FILE, FOUNDING_FILE] {
        let read = read_atomic_file(disk, path).await;
        let read = read.map_err(|source| StoreError::Io {
            doing: "looking what the disk was formatted as",
            source,
        })?;
        if read != AtomicFile::Missing {
            return Ok(DiskKind::Replica);
        }
    }
    Ok(DiskKind::Single)
}

/// The identity of a disk of that kind.
///
/// # Errors
/// It is of the other kind, or as [`disk_kind`].
pub(super) async fn require<D: Disk>(disk: &D, wanted: DiskKind) -> Result<Identity, StoreError> {
    let (identity, kind) = disk_kind(disk).await?;
    let Identity {
        cluster_id,
        node_id,
        ..
    } = identity;
    match kind == wanted {
        true => Ok(identity),
        false => Err(StoreError::WrongKind {
            kind,
            cluster_id,
            node_id,
        }),
    }
}
