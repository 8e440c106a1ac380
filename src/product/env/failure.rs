//! The meaning of an operating system's error: one table for every place that
//! has to decide what an `io::Error` says of stored data.
//!
//! Promise: an error passes for damage only where the table says so. One that
//! is not in the table never does: the cost of trying once more is a pause, the
//! cost of calling whole data rotten is the data.
//!
//! | class | meaning | then |
//! |---|---|---|
//! | lost data | the medium does not give back what it took | cut, repaired, refused (D11, D12) |
//! | try again | this attempt failed, the next may not | refused for now, tried again |
//! | full | no room | sends are refused; reads and decisions go on (D31) |
//! | operator | permissions, mounts, names | reported with the cure, tried again |
//! | unknown | none of these | as for the operator |
//!
//! A write or a sync that fails poisons whatever the class (D23): the table is
//! for reads, opens, and everything that can be done again.
//!
//! A bad sector is lost data. A process without descriptors, or an error that nobody knows, is
//! not:
//!
//! ```
//! use std::io::{Error, ErrorKind};
//!
//! use zeroloss_broker::env::failure::{Failure, cure, medium_lost_data};
//!
//! let bad_sector = Error::from_raw_os_error(5); // EIO
//! assert!(medium_lost_data(&bad_sector));
//!
//! let too_many_files = Error::from_raw_os_error(24); // EMFILE
//! assert_eq!(Failure::of(&too_many_files), Failure::TryAgain);
//! assert!(cure(&too_many_files).unwrap().contains("ulimit -n"));
//!
//! let strange = Error::from(ErrorKind::Other);
//! assert_eq!(Failure::of(&strange), Failure::Unknown);
//! assert!(!medium_lost_data(&strange));
//! ```

use std::error::Error;
use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// The meaning of an error for stored data, and the party that can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The medium lost what it had taken.
    LostData,
    /// Another attempt may succeed.
    TryAgain,
    /// There is no room left.
    Full,
    /// It stays so until an operator acts.
    Operator,
    /// The table does not know it. Never taken for lost data.
    Unknown,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The errors.
    pub errnos: &'static [Errno],
    /// Their class.
    pub failure: Failure,
    /// The operator's remedy for them.
    pub cure: &'static str,
}

const LOOK_AT_THE_DISK: &str = "look into the kernel's log for what the disk reports";
const FILES_OF_PROCESS: &str =
    "the process has no file descriptor left: raise its limit (`ulimit -n`, LimitNOFILE)";
const FREE_SPACE: &str = "free space on the disk, or shorten the retention";
const NO_CURE: &str = "if it stays, look into the kernel's log";

/// The table. Each errno stands in one row at most.
pub const TABLE: &[Row] = &[
    // The answers of Linux's block layer and file systems for a bad sector, a checksum of
    // their own that fails, an integrity field that does not match.
    Row {
        errnos: &[
            Errno::IO,
            Errno::UCLEAN,
            Errno::BADMSG,
            Errno::NODATA,
            Errno::ILSEQ,
        ],
        failure: Failure::LostData,
        cure: LOOK_AT_THE_DISK,
    },
    Row {
        errnos: &[Errno::MFILE],
        failure: Failure::TryAgain,
        cure: FILES_OF_PROCESS,
    },
    Row {
        errnos: &[Errno::NFILE],
        failure: Failure::TryAgain,
        cure: "the machine has no file descriptor left: raise fs.file-max, or end what holds them",
    },
    Row {
        errnos: &[Errno::NOMEM, Errno::NOBUFS],
        failure: Failure::TryAgain,
        cure: "the machine, or the process's group, has no memory left: free some, or raise the limit",
    },
    Row {
        errnos: &[Errno::AGAIN],
        failure: Failure::TryAgain,
        cure: "the limit of threads or of locks is reached: raise it (`ulimit -u`, TasksMax)",
    },
    Row {
        errnos: &[
            Errno::INTR,
            Errno::BUSY,
            Errno::TIMEDOUT,
            Errno::NOLCK,
            Errno::STALE,
            Errno::TXTBSY,
            Errno::DEADLK,
            Errno::INPROGRESS,
            Errno::ALREADY,
            Errno::CANCELED,
            Errno::RESTART,
            Errno::NOLINK,
            Errno::COMM,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::NETRESET,
            Errno::CONNABORTED,
            Errno::CONNREFUSED,
            Errno::CONNRESET,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::NOTCONN,
            Errno::SHUTDOWN,
            Errno::PIPE,
        ],
        failure: Failure::TryAgain,
        cure: NO_CURE,
    },
    Row {
        errnos: &[Errno::NOSPC],
        failure: Failure::Full,
        cure: FREE_SPACE,
    },
    Row {
        errnos: &[Errno::DQUOT],
        failure: Failure::Full,
        cure: "the quota is used up: raise it, or free space",
    },
    Row {
        errnos: &[
            Errno::ACCESS,
            Errno::PERM,
            Errno::NOKEY,
            Errno::KEYEXPIRED,
            Errno::KEYREVOKED,
            Errno::KEYREJECTED,
        ],
        failure: Failure::Operator,
        cure: "give the broker's user the right to read and write everything in its directory",
    },
    Row {
        errnos: &[Errno::ROFS],
        failure: Failure::Operator,
        cure: "the file system is mounted read-only: find out why in the kernel's log, and mount \
               it for writing",
    },
    Row {
        errnos: &[
            Errno::NODEV,
            Errno::NXIO,
            Errno::NOMEDIUM,
            Errno::MEDIUMTYPE,
            Errno::REMOTEIO,
            Errno::BADE,
        ],
        failure: Failure::Operator,
        cure: "the device is gone or refuses: attach it again, and mount the file system",
    },
    Row {
        errnos: &[Errno::HWPOISON],
        failure: Failure::Operator,
        cure: "the machine's memory fails: move the disk to another machine",
    },
    Row {
        errnos: &[
            Errno::NOTDIR,
            Errno::ISDIR,
            Errno::NOTEMPTY,
            Errno::LOOP,
            Errno::MLINK,
            Errno::NAMETOOLONG,
            Errno::NOENT,
            Errno::EXIST,
            Errno::XDEV,
        ],
        failure: Failure::Operator,
        cure: "something else stands in the broker's directory: move away what is not its own",
    },
    Row {
        errnos: &[Errno::FBIG],
        failure: Failure::Operator,
        cure: "files may not grow so long: raise the limit (`ulimit -f`, LimitFSIZE)",
    },
    Row {
        errnos: &[
            Errno::INVAL,
            Errno::NOSYS,
            Errno::OPNOTSUPP,
            Errno::BADF,
            Errno::FAULT,
            Errno::OVERFLOW,
            Errno::SPIPE,
            Errno::NOTTY,
        ],
        failure: Failure::Operator,
        cure: "the file system does not do what a broker needs: use ext4 or XFS",
    },
];

/// Kinds of errors that carry no errno: those of the standard library and of
/// disks that are no kernel's.
const KINDS: &[(ErrorKind, Errno)] = &[
    (ErrorKind::NotFound, Errno::NOENT),
    (ErrorKind::AlreadyExists, Errno::EXIST),
    (ErrorKind::PermissionDenied, Errno::ACCESS),
    (ErrorKind::ReadOnlyFilesystem, Errno::ROFS),
    (ErrorKind::Interrupted, Errno::INTR),
    (ErrorKind::WouldBlock, Errno::AGAIN),
    (ErrorKind::TimedOut, Errno::TIMEDOUT),
    (ErrorKind::OutOfMemory, Errno::NOMEM),
    (ErrorKind::ResourceBusy, Errno::BUSY),
    (ErrorKind::StorageFull, Errno::NOSPC),
    (ErrorKind::QuotaExceeded, Errno::DQUOT),
    (ErrorKind::NotADirectory, Errno::NOTDIR),
    (ErrorKind::IsADirectory, Errno::ISDIR),
    (ErrorKind::DirectoryNotEmpty, Errno::NOTEMPTY),
    (ErrorKind::FileTooLarge, Errno::FBIG),
    (ErrorKind::InvalidInput, Errno::INVAL),
    (ErrorKind::StaleNetworkFileHandle, Errno::STALE),
];

/// The row of an error, where the table has one.
#[must_use]
pub fn row(error: &io::Error) -> Option<&'static Row> {
    let errno = match error.raw_os_error() {
        Some(code) => Errno::from_raw_os_error(code),
        None => KINDS.iter().find(|(kind, _)| *kind == error.kind())?.1,
    };
    TABLE.iter().find(|row| row.errnos.contains(&errno))
}

impl Failure {
    /// The class of an error.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        row(error).map_or(Self::Unknown, |row| row.failure)
    }
}

/// Whether an error of a read says that the *medium* does not give the bytes
/// back.
#[must_use]
pub fn medium_lost_data(error: &io::Error) -> bool {
    Failure::of(error) == Failure::LostData
}

/// The operating system's error that another error comes from.
#[must_use]
pub fn io_behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error's cure, where the operating system is behind it.
#[must_use]
pub fn cure(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let row = row(io_behind(error)?);
    Some(row.map_or(NO_CURE, |row| row.cure))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Every number that Linux gives an error, and a few behind the last.
    const ERRNOS: std::ops::Range<i32> = 1..140;

    fn class(code: i32) -> Failure {
        Failure::of(&io::Error::from_raw_os_error(code))
    }

    #[test]
    fn no_error_stands_in_two_rows() {
        let mut seen = BTreeMap::new();
        for row in TABLE {
            assert!(!row.cure.is_empty());
            for errno in row.errnos {
                let before = seen.insert(errno.raw_os_error(), row.failure);
                assert_eq!(before, None, "{errno:?}");
            }
        }
    }

    /// The whole table, walked: a number that is added or moved shows here.
    #[test]
    fn five_errors_are_lost_data_and_no_unknown_one_is() {
        let of = |wanted: Failure| -> Vec<i32> {
            ERRNOS.filter(|code| class(*code) == wanted).collect()
        };
        // EIO, ENODATA, EBADMSG, EILSEQ, EUCLEAN.
        assert_eq!(of(Failure::LostData), [5, 61, 74, 84, 117]);
        // ENOSPC, EDQUOT.
        assert_eq!(of(Failure::Full), [28, 122]);
        for code in [4, 11, 12, 16, 23, 24] {
            assert_eq!(class(code), Failure::TryAgain, "{code}");
        }
        for code in [1, 2, 6, 13, 19, 20, 22, 27, 30] {
            assert_eq!(class(code), Failure::Operator, "{code}");
        }
        for code in [134, 139, 4_000] {
            assert_eq!(class(code), Failure::Unknown, "{code}");
        }
        let known: usize = TABLE.iter().map(|row| row.errnos.len()).sum();
        let unknown = of(Failure::Unknown).len();
        assert_eq!(known + unknown, ERRNOS.len(), "every number has one class");
    }

    #[test]
    fn a_kind_without_a_number_is_what_the_number_is() {
        for (kind, errno) in KINDS {
            let by_kind = Failure::of(&io::Error::from(*kind));
            let by_number = class(errno.raw_os_error());
            assert_eq!(by_kind, by_number, "{kind:?}");
            assert_ne!(by_kind, Failure::LostData, "{kind:?}");
        }
        for kind in [
            ErrorKind::Other,
            ErrorKind::InvalidData,
            ErrorKind::UnexpectedEof,
        ] {
            assert_eq!(Failure::of(&io::Error::from(kind)), Failure::Unknown);
        }
    }

    #[test]
    fn the_systems_error_is_found_behind_the_ones_that_wrap_it() {
        #[derive(Debug, thiserror::Error)]
        #[error("reading failed: {source}")]
        struct Reading {
            source: io::Error,
        }
        let error = Reading {
            source: io::Error::from_raw_os_error(24),
        };
        assert_eq!(cure(&error), Some(FILES_OF_PROCESS));
        assert_eq!(cure(&std::fmt::Error), None, "no system behind it");
    }
}
