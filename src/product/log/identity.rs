//! The identity of a disk: written once by `format`, checked at every start (D27).
//!
//! Promise: a node never starts on a disk that was not formatted, and a disk is
//! never formatted twice. A blank disk is a forgotten one; only an operator may
//! call it new.

use std::io;

use bytes::{Buf, BufMut};

use super::atomic_file::{self, AtomicFile};
use super::{COMMIT_LOG_DIR, CONSUME_QUEUE_DIR};
use crate::env::Disk;

/// The file under the root that holds the identity.
pub const IDENTITY_FILE: &str = "identity";

/// A disk's name in the world: (node id, disk id) stands for one incarnation of
/// a replica (D13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster; carried by every message between its nodes.
    pub cluster_id: u64,
    /// The node within the cluster.
    pub node_id: u64,
    /// Random, of every disk: one that is formatted again is another (D13).
    pub disk_id: u64,
    /// `None`: it was formatted when that was not written down yet, and what else
    /// is on the disk tells.
    pub kind: Option<DiskKind>,
}

/// The kind that a disk was formatted as; flags never decide it (D27).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskKind {
    /// Of a broker that stands alone.
    Single,
    /// Of one replica of a cluster.
    Replica,
}

/// Why a disk could not be formatted.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It has an identity, whole or not.
    #[error(
        "the disk is formatted already ({found}); formatting it again would forget what it holds"
    )]
    AlreadyFormatted {
        /// The content of that place.
        found: String,
    },
    /// It has no identity but holds data.
    #[error(
        "the disk has no identity, but {path} is not empty. If it was a broker's, restore \
         {IDENTITY_FILE} from a copy; to begin anew, move the files away and keep them until you \
         know that nobody needs them"
    )]
    NotBlank {
        /// The directory that holds data.
        path: &'static str,
    },
    /// The disk failed.
    #[error("formatting failed; it may be tried again: {0}")]
    Io(#[from] io::Error),
}

/// Why a node must not start on a disk.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Blank, or not ours.
    #[error("the disk is not formatted: a new or replaced disk has to be formatted by an operator")]
    NotFormatted,
    /// The identity does not verify.
    #[error(
        "the disk's identity is unreadable ({why}). The messages beside it may be whole: restore \
         {IDENTITY_FILE} from a copy. Only of a replica, and only while the others serve, move the \
         directory away and format a new one with --replacement"
    )]
    Corrupt {
        /// The check that failed.
        why: String,
    },
    /// The disk failed.
    #[error("reading the disk's identity failed: {0}")]
    Io(#[from] io::Error),
}

/// As [`format()`], for a disk that begins with more than its name: a replica's
/// hard state, its base. `files` are paths and payloads, written as
/// [`super::replace_atomic_file`] does, before the identity: on a formatted disk each
/// of them is there, so that a missing one means amnesia (D1).
///
/// # Errors
/// As [`format()`].
pub async fn format_with<D: Disk>(
    disk: &D,
    identity: Identity,
    files: &[(&str, &[u8])],
) -> Result<(), FormatError> {
    match atomic_file::read(disk, IDENTITY_FILE).await? {
        AtomicFile::Missing => {}
        AtomicFile::Whole(_) => {
            return Err(FormatError::AlreadyFormatted {
                found: "whole".to_owned(),
            });
        }
        AtomicFile::Corrupt { why } => return Err(FormatError::AlreadyFormatted { found: why }),
    }
    let stood = disk.list("").await?;
    for directory in [COMMIT_LOG_DIR, CONSUME_QUEUE_DIR] {
        disk.create_dir(directory).await?;
        if !disk.list(directory).await?.is_empty() {
            return Err(FormatError::NotBlank { path: directory });
        }
        // One that an earlier attempt made may have its name in the page cache alone
        // (D24); another sync would not tell.
        if stood.iter().any(|name| name == directory) {
            let again = format!("{directory}.again");
            disk.rename(directory, &again).await?;
            disk.rename(&again, directory).await?;
        }
    }
    disk.sync_dir("").await?;
    for (path, payload) in files {
        atomic_file::replace(disk, path, payload).await?;
    }
    atomic_file::replace(disk, IDENTITY_FILE, &identity.encode()).await?;
    Ok(())
}

/// Makes a blank disk a node's own. The identity comes last: a crash before it
/// leaves a disk that is not formatted, and formatting may be repeated.
///
/// # Errors
/// The disk is formatted, or holds data, or fails.
pub async fn format<D: Disk>(disk: &D, identity: Identity) -> Result<(), FormatError> {
    format_with(disk, identity, &[]).await
}

/// The disk's identity.
///
/// # Errors
/// The node must not start: see [`IdentityError`].
pub async fn read_identity<D: Disk>(disk: &D) -> Result<Identity, IdentityError> {
    match atomic_file::read(disk, IDENTITY_FILE).await? {
        AtomicFile::Whole(payload) => decode(&payload).ok_or_else(|| IdentityError::Corrupt {
            why: "of another version".to_owned(),
        }),
        AtomicFile::Missing => Err(IdentityError::NotFormatted),
        AtomicFile::Corrupt { why } => Err(IdentityError::Corrupt { why }),
    }
}

/// Writes the identity that was read once more: it may have been read from the page
/// cache, and everything else on the disk rests on it (D24).
pub(super) async fn renew<D: Disk>(disk: &D, identity: Identity) -> io::Result<()> {
    atomic_file::renew(disk, &[(IDENTITY_FILE, &identity.encode())]).await
}

impl Identity {
    /// The file's payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        payload.put_u64(self.cluster_id);
        payload.put_u64(self.node_id);
        payload.put_u64(self.disk_id);
        match self.kind {
            None => {}
            Some(DiskKind::Single) => payload.put_u8(1),
            Some(DiskKind::Replica) => payload.put_u8(2),
        }
        payload
    }
}

fn decode(mut payload: &[u8]) -> Option<Identity> {
    let mut identity = Identity {
        cluster_id: payload.try_get_u64().ok()?,
        node_id: payload.try_get_u64().ok()?,
        disk_id: payload.try_get_u64().ok()?,
        kind: None,
    };
    identity.kind = match *payload {
        [] => None,
        [1] => Some(DiskKind::Single),
        [2] => Some(DiskKind::Replica),
        _ => return None,
    };
    Some(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_come_back_those_of_before_kinds_among_them() {
        for kind in [None, Some(DiskKind::Single), Some(DiskKind::Replica)] {
            let identity = Identity {
                cluster_id: 1,
                node_id: 2,
                disk_id: 3,
                kind,
            };
            let payload = identity.encode();
            assert_eq!(payload.len(), 24 + usize::from(kind.is_some()));
            assert_eq!(decode(&payload), Some(identity));
            assert_eq!(decode(&payload[..23]), None);
            assert_eq!(decode(&[&payload[..], &[9]].concat()), None);
        }
    }
}
