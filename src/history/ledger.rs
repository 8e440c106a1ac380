//! The ledger of faults: what was armed, what could have mattered, what fired.

use std::collections::BTreeMap;
use std::fmt;

use super::Death;

/// A kind of fault, as counted in reports (guarantee.md, sections 3 and 4).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The process dies; the page cache survives.
    Kill,
    /// The process is asked to stop, and starts again.
    Restart,
    /// The machine dies; only durable bytes survive.
    PowerLoss,
    /// The disk is gone; a blank one takes its place.
    DiskDestroyed,
    /// The disk is set back to an older image of itself.
    DiskRolledBack,
    /// A sync fails.
    SyncError,
    /// A read fails, and goes on failing until the sector is rewritten.
    ReadError,
    /// A durable sector changes.
    Rot,
    /// Writes fail for want of space.
    DiskFull,
    /// Operations take long.
    DiskSlow,
    /// Operations never return.
    DiskHung,
    /// Syncs return OK and do nothing.
    DiskLying,
    /// A write lands elsewhere.
    MisdirectedWrite,
    /// A write is reported and never done.
    LostWrite,
    /// Links are cut, both ways or one way.
    Partition,
    /// A client dies.
    ClientKill,
    /// A client's machine dies; only durable bytes of its disk survive.
    ClientPower,
}

impl FaultKind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 17] = [
        Self::Kill,
        Self::Restart,
        Self::PowerLoss,
        Self::DiskDestroyed,
        Self::DiskRolledBack,
        Self::SyncError,
        Self::ReadError,
        Self::Rot,
        Self::DiskFull,
        Self::DiskSlow,
        Self::DiskHung,
        Self::DiskLying,
        Self::MisdirectedWrite,
        Self::LostWrite,
        Self::Partition,
        Self::ClientKill,
        Self::ClientPower,
    ];

    /// Whether it befalls clients, and no broker.
    pub fn is_client_s(self) -> bool {
        matches!(self, Self::ClientKill | Self::ClientPower)
    }

    /// Whether it takes or changes bytes that a sync had made durable.
    pub fn harms_what_was_synced(self) -> bool {
        match self {
            Self::DiskDestroyed
            | Self::DiskRolledBack
            | Self::ReadError
            | Self::Rot
            | Self::DiskLying
            | Self::MisdirectedWrite
            | Self::LostWrite => true,
            Self::Kill
            | Self::Restart
            | Self::PowerLoss
            | Self::SyncError
            | Self::DiskFull
            | Self::DiskSlow
            | Self::DiskHung
            | Self::Partition
            | Self::ClientKill
            | Self::ClientPower => false,
        }
    }

    /// Whether the victim "cannot know" that it forgot (guarantee.md, section 1,
    /// "Silent amnesia").
    pub fn is_silent_amnesia(self) -> bool {
        matches!(
            self,
            Self::DiskRolledBack | Self::DiskLying | Self::MisdirectedWrite | Self::LostWrite
        )
    }

    /// The name in scenario files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::PowerLoss => "power-loss",
            Self::DiskDestroyed => "disk-destroyed",
            Self::DiskRolledBack => "disk-rolled-back",
            Self::SyncError => "sync-error",
            Self::ReadError => "read-error",
            Self::Rot => "rot",
            Self::DiskFull => "disk-full",
            Self::DiskSlow => "disk-slow",
            Self::DiskHung => "disk-hung",
            Self::DiskLying => "disk-lying",
            Self::MisdirectedWrite => "misdirected-write",
            Self::LostWrite => "lost-write",
            Self::Partition => "partition",
            Self::ClientKill => "client-kill",
            Self::ClientPower => "client-power",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One fault that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultEvent {
    /// When, nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The simulator's event: finer than time, the order of all there is.
    pub event: u64,
    /// What.
    pub kind: FaultKind,
    /// The node it hit.
    pub node: u32,
    /// Whether it could have mattered (guarantee.md, section 3, "Eligible").
    pub eligible: bool,
    /// Bytes of the commit log that were pending on that disk.
    pub dirty_log_bytes: u64,
    /// Bytes of all other files that were pending there.
    pub dirty_other_bytes: u64,
    /// Sends begun and not ended at that moment.
    pub sends_in_flight: u64,
    /// One past the last log address that the node held durably after it.
    pub held_after: u64,
    /// Brokers whose amnesia was outstanding after it (guarantee.md, section 1).
    pub hit: u32,
    /// Brokers that after it still held all that was committed.
    pub held_by: u32,
    /// Whose process died, if one did, and where transactions stood.
    pub death: Option<Death>,
    /// What it did, in words, for timelines.
    pub note: String,
}

/// All faults of a run, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What was planned, by kind.
    pub armed: BTreeMap<FaultKind, u64>,
    /// What fired.
    pub fired: Vec<FaultEvent>,
    /// When an operator gave up what a node's disk had lost: node, nanoseconds
    /// since the start of the run.
    pub salvaged: Vec<(u32, u64)>,
}
