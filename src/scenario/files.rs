//! Files by class: what a fault of single sectors, syncs or names aims at, and
//! in which form it comes.

use serde::{Deserialize, Serialize};

/// The files that a fault of single sectors or syncs aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileClass {
    /// Segments of the commit log.
    CommitLog,
    /// The headers of these segments; only rot and read errors are that fine.
    SegmentHeader,
    /// A replica's term and vote.
    HardState,
    /// Where a replica's log begins, and what is before it.
    Base,
    /// How far the log was durable.
    Checkpoint,
    /// The snapshot of the applied state.
    State,
    /// Consume queues.
    Queues,
    /// How long entries have stood in a replica's log.
    Ages,
    /// The identity of the disk.
    Identity,
    /// With whom a replica's cluster began, and of which epoch the replica is.
    Founding,
    /// Why a replica must not take part.
    Quarantined,
    /// Any file of the broker.
    #[default]
    Any,
}

impl FileClass {
    /// Every class, in the order of a table.
    pub const ALL: [Self; 12] = [
        Self::CommitLog,
        Self::SegmentHeader,
        Self::HardState,
        Self::Base,
        Self::Checkpoint,
        Self::State,
        Self::Queues,
        Self::Ages,
        Self::Identity,
        Self::Founding,
        Self::Quarantined,
        Self::Any,
    ];

    /// The name in scenario files.
    pub fn name(self) -> &'static str {
        match self {
            Self::CommitLog => "commit-log",
            Self::SegmentHeader => "segment-header",
            Self::HardState => "hard-state",
            Self::Base => "base",
            Self::Checkpoint => "checkpoint",
            Self::State => "state",
            Self::Queues => "queues",
            Self::Ages => "ages",
            Self::Identity => "identity",
            Self::Founding => "founding",
            Self::Quarantined => "quarantined",
            Self::Any => "any",
        }
    }

    /// Whether only replicas have such a file.
    pub fn is_of_replicas(self) -> bool {
        matches!(
            self,
            Self::HardState | Self::Base | Self::Ages | Self::Founding | Self::Quarantined
        )
    }
}

/// How a sector decays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RotForm {
    /// One bit flips.
    #[default]
    Bit,
    /// All of it reads zero.
    Zeros,
    /// All of it reads random bytes.
    Garbage,
}

impl RotForm {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Bit, Self::Zeros, Self::Garbage];

    /// The name in scenario files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bit => "bit",
            Self::Zeros => "zeros",
            Self::Garbage => "garbage",
        }
    }
}

/// The step of making something durable that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncForm {
    /// The sync of a file.
    #[default]
    File,
    /// The writeback in the background, before any sync: the next one tells.
    Writeback,
    /// The sync of a directory in which a file got or lost its name.
    Directory,
}

impl SyncForm {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::File, Self::Writeback, Self::Directory];

    /// The name in scenario files.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Writeback => "writeback",
            Self::Directory => "directory",
        }
    }
}

/// The content of the page cache after a failed sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncErrorCache {
    /// The new bytes, marked clean.
    Keeps,
    /// The content of the disk.
    Reverts,
}
