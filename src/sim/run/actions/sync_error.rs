//! The next sync fails. Whether it could matter is known when it does: see
//! `entries.rs`.

use crate::scenario::{SyncErrorCache, SyncForm};
use crate::sim::disk::{CacheAfterError, DiskFault};

/// The fault of the disk.
pub(super) fn fault(cache: SyncErrorCache, form: SyncForm) -> DiskFault {
    let cache = match cache {
        SyncErrorCache::Keeps => CacheAfterError::KeepsNew,
        SyncErrorCache::Reverts => CacheAfterError::Reverts,
    };
    match form {
        SyncForm::File => DiskFault::SyncError { cache },
        SyncForm::Writeback => DiskFault::WritebackError { cache },
        SyncForm::Directory => DiskFault::DirSyncError,
    }
}
