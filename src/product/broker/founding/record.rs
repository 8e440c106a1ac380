//! The knowledge of a replica's disk about the founding of its cluster, and about the
//! epoch.

use serde::{Deserialize, Serialize};

use crate::broker::error::StoreError;
use crate::env::Disk;
use crate::log::{AtomicFile, DiskKind, Identity, read_atomic_file, replace_atomic_file};
use crate::raft::Epoch;

/// At the root of a replica's disk, from `format` on.
pub const FOUNDING_FILE: &str = "founding";

/// See the module. Written before the base is: which epoch it is of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::broker) struct Record {
    /// With whom the cluster is to begin; empty where this disk is no first one.
    pub(in crate::broker) members: Vec<u64>,
    /// In which epoch of the cluster the base was taken; of a disk without a base
    /// it says nothing.
    pub(in crate::broker) epoch: Epoch,
}

impl Record {
    pub(in crate::broker) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }

    /// The record of a replica's disk. Of one that was formatted before there
    /// were any, see [`Epoch::OLD`].
    ///
    /// # Errors
    /// It is gone, or the disk's.
    pub(in crate::broker) async fn read<D: Disk>(
        disk: &D,
        identity: Identity,
    ) -> Result<Self, StoreError> {
        let forgotten = |why: String| StoreError::Amnesia {
            path: FOUNDING_FILE,
            why,
        };
        let read = read_atomic_file(disk, FOUNDING_FILE).await;
        match read.map_err(|source| StoreError::Io {
            doing: "reading how the cluster was founded",
            source,
        })? {
            AtomicFile::Missing if identity.kind == Some(DiskKind::Replica) => {
                Err(forgotten("it is missing".to_owned()))
            }
            AtomicFile::Missing => Ok(Self {
                members: Vec::new(),
                epoch: Epoch::OLD,
            }),
            AtomicFile::Corrupt { why } => Err(forgotten(why)),
            AtomicFile::Whole(payload) => {
                serde_json::from_slice(&payload).map_err(|why| forgotten(why.to_string()))
            }
        }
    }

    /// Durably.
    pub(in crate::broker) async fn store<D: Disk>(&self, disk: &D) -> Result<(), StoreError> {
        let stored = replace_atomic_file(disk, FOUNDING_FILE, &self.encode()).await;
        stored.map_err(|source| StoreError::Io {
            doing: "storing how the cluster was founded",
            source,
        })
    }
}
