//! The errors of a simulated disk beside the kinds of `std::io`.

use std::io;

use rustix::io::Errno;

/// Inside the `io::Error`s of kind `Other` that a simulated disk gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// The handle, or the sync, belongs to a process or a disk that is gone.
    #[error("the handle belongs to a dead process: open the file again")]
    Stale,
    /// The crash point of a [`StepDisk`](super::StepDisk) was reached.
    #[error("the process crashed at this operation")]
    Crashed,
}

impl DiskError {
    /// The simulated disk's own reason in `error`, if it gave one.
    pub fn of(error: &io::Error) -> Option<&DiskError> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        io::Error::other(error)
    }
}

/// EIO: a sector that cannot be read until it is rewritten, or what was pending
/// and could not be written back (D23).
pub(super) fn medium() -> io::Error {
    Errno::IO.into()
}

/// ENOSPC.
pub(super) fn full() -> io::Error {
    io::Error::new(
        io::ErrorKind::StorageFull,
        "no space left on the simulated disk",
    )
}

/// ENOENT.
pub(super) fn not_found(path: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{path:?}: no such file or directory"),
    )
}

/// An error of `kind` about `path`.
pub(super) fn refused(kind: io::ErrorKind, path: &str) -> io::Error {
    io::Error::new(kind, format!("{path:?}: {kind}"))
}
