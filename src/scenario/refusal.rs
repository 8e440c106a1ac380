//! Errors that a disk answers an operation with, though nothing of what it holds
//! is lost.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// Gives the words of scenarios for the values of an enumeration.
macro_rules! words {
    ($(#[$doc:meta])* $what:ident { $($(#[$value_doc:meta])* $value:ident $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $what {
            $($(#[$value_doc])* #[serde(rename = $word)] $value,)*
        }

        impl $what {
            /// Every one, with its word in scenario files; a draw over all of them
            /// takes from here.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$value),)*];

            /// The word in scenario files.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }
        }
    };
}

words! {
    /// An error, by the system's name for it.
    Refusal {
        /// The process has no descriptor left.
        TooManyFiles "emfile",
        /// The machine has none left.
        TooManyFilesOfAll "enfile",
        /// No memory.
        Memory "enomem",
        /// No thread, or no lock.
        Again "eagain",
        /// A signal came.
        Interrupted "eintr",
        /// Somebody else works on it.
        Busy "ebusy",
        /// It took too long.
        TimedOut "etimedout",
        /// A file of a file server that it does not know any more.
        Stale "estale",
        /// No space.
        NoSpace "enospc",
        /// No quota.
        NoQuota "edquot",
        /// No permission.
        NoAccess "eacces",
        /// Not allowed.
        NotPermitted "eperm",
        /// Mounted for reading.
        ReadOnly "erofs",
        /// The device is gone.
        NoDevice "enodev",
        /// The machine's memory is bad.
        BadMemory "ehwpoison",
        /// Files may not be so long.
        TooLong "efbig",
        /// The file system cannot do it.
        Invalid "einval",
        /// One that stands in no table.
        Unheard "echrng",
    }
}

words! {
    /// An operation of a disk.
    DiskVerb {
        /// Every one of them.
        Any "any",
        /// Opens of files.
        Open "open",
        /// Files made.
        Create "create",
        /// Directories made.
        CreateDir "create-dir",
        /// Reads.
        Read "read",
        /// Writes.
        Write "write",
        /// Syncs of files.
        Sync "sync",
        /// Syncs of directories.
        SyncDir "sync-dir",
        /// Lists of directories.
        List "list",
        /// Names changed.
        Rename "rename",
        /// Names removed.
        Remove "remove",
        /// Lengths set.
        SetLen "set-len",
        /// Questions: how long a file is, how much room there is.
        Ask "ask",
    }
}

impl Refusal {
    /// The system's number for it.
    pub fn errno(self) -> Errno {
        match self {
            Self::TooManyFiles => Errno::MFILE,
            Self::TooManyFilesOfAll => Errno::NFILE,
            Self::Memory => Errno::NOMEM,
            Self::Again => Errno::AGAIN,
            Self::Interrupted => Errno::INTR,
            Self::Busy => Errno::BUSY,
            Self::TimedOut => Errno::TIMEDOUT,
            Self::Stale => Errno::STALE,
            Self::NoSpace => Errno::NOSPC,
            Self::NoQuota => Errno::DQUOT,
            Self::NoAccess => Errno::ACCESS,
            Self::NotPermitted => Errno::PERM,
            Self::ReadOnly => Errno::ROFS,
            Self::NoDevice => Errno::NODEV,
            Self::BadMemory => Errno::HWPOISON,
            Self::TooLong => Errno::FBIG,
            Self::Invalid => Errno::INVAL,
            Self::Unheard => Errno::CHRNG,
        }
    }
}
