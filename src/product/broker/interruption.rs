//! The ends of serving that nobody asked for: the store is opened again because that
//! is the way on, or something failed.

use std::fmt;

use super::error::StoreError;
use crate::env::Reopening;
use crate::raft::Divergence;

/// The reason for which a store is closed while its broker is wanted.
#[derive(Debug)]
pub(super) enum Interruption {
    /// The store goes on once it is opened again.
    Planned(Renewal),
    /// Something failed.
    Failed(StoreError),
}

/// A reason to open a store again at once: nothing failed.
#[derive(Debug)]
pub(super) enum Renewal {
    /// A base was stored: the log begins anew at it (D8).
    BaseInstalled {
        /// Where it begins.
        address: u64,
    },
    /// A hole in the log was filled from another replica (D12).
    Repaired {
        /// Where it began.
        address: u64,
    },
    /// A hole in the log cannot be filled: the cluster has committed another entry
    /// in it or below, and what stands behind it was never committed.
    Superseded {
        /// Where the hole begins.
        address: u64,
    },
    /// More of the log turned out to be damaged than was known.
    Damaged {
        /// Where.
        address: u64,
    },
    /// A segment's header has rotted while the replica ran: opened again, the log
    /// makes it anew from what stands behind it, before a restart needs it (D28).
    CorruptHeader {
        /// Where the segment begins.
        address: u64,
    },
    /// The founder asks a disk that had stood back: the cluster that it had heard of
    /// may be gone (D13).
    FoundingAgain,
    /// A leader has other entries than were committed here, where acknowledgements,
    /// terms or votes were not durable.
    Overruled(Divergence),
}

impl Interruption {
    /// The interruption, where opening the store again may help.
    ///
    /// # Errors
    /// A failure that nobody but the operator can mend.
    pub(super) fn passing(self) -> Result<Self, StoreError> {
        match self {
            Self::Failed(failed) if !failed.may_pass() => Err(failed),
            passing => Ok(passing),
        }
    }

    /// Whether what is derived has to be made again from the log.
    pub(super) fn wants_rebuild(&self) -> bool {
        match self {
            Self::Planned(renewal) => matches!(renewal, Renewal::Overruled(_)),
            Self::Failed(failed) => failed.wants_rebuild(),
        }
    }

    /// Its kind, as it is reported.
    pub(super) fn reopening(&self) -> Reopening {
        match self {
            Self::Planned(renewal) => renewal.reopening(),
            Self::Failed(failed) => failed.reopening(),
        }
    }

    /// The reason in words, and what to do about it where the operating system is behind
    /// it.
    pub(super) fn for_the_operator(&self) -> String {
        match self {
            Self::Planned(renewal) => renewal.to_string(),
            Self::Failed(failed) => failed.for_the_operator(),
        }
    }
}

impl<E: Into<StoreError>> From<E> for Interruption {
    fn from(failed: E) -> Self {
        Self::Failed(failed.into())
    }
}

impl From<Renewal> for Interruption {
    fn from(renewal: Renewal) -> Self {
        Self::Planned(renewal)
    }
}

impl Renewal {
    fn reopening(&self) -> Reopening {
        match self {
            Self::BaseInstalled { .. } => Reopening::BaseInstalled,
            Self::Repaired { .. } => Reopening::Repaired,
            Self::Superseded { .. } => Reopening::Superseded,
            Self::Damaged { .. } => Reopening::Damaged,
            Self::CorruptHeader { .. } => Reopening::CorruptHeader,
            Self::FoundingAgain => Reopening::FoundingAgain,
            Self::Overruled(_) => Reopening::Overruled,
        }
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned(renewal) => renewal.fmt(to),
            Self::Failed(failed) => failed.fmt(to),
        }
    }
}

impl fmt::Display for Renewal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BaseInstalled { address } => {
                write!(
                    to,
                    "a base was installed; the log begins at address {address}"
                )
            }
            Self::Repaired { address } => write!(
                to,
                "entries from address {address} on were repaired from another replica"
            ),
            Self::Superseded { address } => write!(
                to,
                "entries from address {address} on are damaged, and others were committed instead"
            ),
            Self::Damaged { address } => {
                write!(to, "the entry at log address {address} is damaged, too")
            }
            Self::CorruptHeader { address } => write!(
                to,
                "the header of the segment at log address {address} does not verify"
            ),
            Self::FoundingAgain => to
                .write_str("the founder of the cluster asks this disk, which holds nothing, again"),
            Self::Overruled(found) => write!(
                to,
                "node {} leads with entry {} where entry {} was committed here, as was all up to \
                 {}: what was acknowledged from page caches is lost",
                found.leader.node, found.theirs, found.ours, found.commit_index
            ),
        }
    }
}
