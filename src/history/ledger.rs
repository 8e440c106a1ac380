//! The ledger of faults: what was armed, what could have mattered, what fired.

use std::collections::BTreeMap;
use std::fmt;

use super::Death;

/// A kind of fault, as counted in reports (guarantee.md, sections 3 and 4).
/// Append only: a swarm draws by a kind's place, and another place is another
/// run for every recorded seed.
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
    /// Writes fail because the disk is full.
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
    /// The process stops for a while, and goes on as if nothing had been.
    Pause,
    /// A client's process stops for a while, and goes on as if nothing had been.
    ClientPause,
    /// The wall clock was never right.
    ClockSkew,
    /// The wall clock is set forward or back.
    ClockJump,
    /// Clocks go faster or slower.
    ClockDrift,
    /// A client's clocks go faster or slower.
    ClientClockDrift,
    /// Operations take many times as long.
    DiskLimping,
    /// Messages on the links take many times as long.
    LinkLimping,
    /// Messages are lost, as `[network]` says.
    NetworkLoss,
    /// Peer messages come twice, as `[network]` says.
    NetworkDuplicate,
    /// Peer messages are overtaken, as `[network]` says.
    NetworkReorder,
    /// Bytes that are written to a stream come in pieces, as `[network]` says. That could
    /// never have mattered: streams come in pieces everywhere.
    NetworkSplit,
    /// Operations of the disk are refused, and nothing of what it holds is lost.
    DiskError,
}

impl FaultKind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 30] = [
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
        Self::Pause,
        Self::ClientPause,
        Self::ClockSkew,
        Self::ClockJump,
        Self::ClockDrift,
        Self::ClientClockDrift,
        Self::DiskLimping,
        Self::LinkLimping,
        Self::NetworkLoss,
        Self::NetworkDuplicate,
        Self::NetworkReorder,
        Self::NetworkSplit,
        Self::DiskError,
    ];

    /// Whether it hits clients, and no broker.
    pub fn is_client_s(self) -> bool {
        matches!(
            self,
            Self::ClientKill | Self::ClientPower | Self::ClientPause | Self::ClientClockDrift
        )
    }

    /// Whether it is a setting of `[network]`, and no `[[fault]]`: it hits messages all
    /// the time, each by chance.
    pub fn is_a_setting(self) -> bool {
        matches!(
            self,
            Self::NetworkLoss | Self::NetworkDuplicate | Self::NetworkReorder | Self::NetworkSplit
        )
    }

    /// Whether it makes a machine's clocks wrong.
    pub fn is_of_clocks(self) -> bool {
        matches!(
            self,
            Self::ClockSkew | Self::ClockJump | Self::ClockDrift | Self::ClientClockDrift
        )
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
            | Self::DiskError
            | Self::DiskSlow
            | Self::DiskLimping
            | Self::DiskHung
            | Self::Partition
            | Self::LinkLimping
            | Self::NetworkLoss
            | Self::NetworkDuplicate
            | Self::NetworkReorder
            | Self::NetworkSplit
            | Self::ClockSkew
            | Self::ClockJump
            | Self::ClockDrift
            | Self::Pause
            | Self::ClientKill
            | Self::ClientPower
            | Self::ClientPause
            | Self::ClientClockDrift => false,
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
            Self::DiskError => "disk-error",
            Self::DiskSlow => "disk-slow",
            Self::DiskLimping => "disk-limping",
            Self::DiskHung => "disk-hung",
            Self::DiskLying => "disk-lying",
            Self::MisdirectedWrite => "misdirected-write",
            Self::LostWrite => "lost-write",
            Self::Partition => "partition",
            Self::LinkLimping => "link-limping",
            Self::NetworkLoss => "network-loss",
            Self::NetworkDuplicate => "network-duplicate",
            Self::NetworkReorder => "network-reorder",
            Self::NetworkSplit => "network-split",
            Self::ClockSkew => "clock-skew",
            Self::ClockJump => "clock-jump",
            Self::ClockDrift => "clock-drift",
            Self::Pause => "pause",
            Self::ClientKill => "client-kill",
            Self::ClientPower => "client-power",
            Self::ClientPause => "client-pause",
            Self::ClientClockDrift => "client-clock-drift",
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
    /// The kind of fault.
    pub kind: FaultKind,
    /// The node it hit.
    pub node: u32,
    /// Whether it could have mattered (guarantee.md, section 3, "Eligible").
    pub eligible: bool,
    /// Whether it changed something (guarantee.md, section 3, "Observed").
    pub observed: bool,
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
    /// The process that died, if one did, and how transactions stood.
    pub death: Option<Death>,
    /// The effect, in words, for timelines.
    pub note: String,
}

/// All faults of a run, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The planned faults, by kind.
    pub armed: BTreeMap<FaultKind, u64>,
    /// The faults that had to wait, for room in the fault budget or for something to
    /// take, by kind; whether it fired later or never.
    pub postponed: BTreeMap<FaultKind, u64>,
    /// The faults that fired.
    pub fired: Vec<FaultEvent>,
    /// The effects of the network's settings, by kind.
    pub settings: BTreeMap<FaultKind, SettingCount>,
    /// How brokers' clocks went, where they were wrong, in the order of time.
    pub clocks: Vec<ClockChange>,
    /// When a broker first opened its store again by itself: because an entry was
    /// bad, or a base came. Nanoseconds since the start of the run.
    pub reopened_ns: Option<u64>,
    /// When an operator gave up what a node's disk had lost: node, nanoseconds
    /// since the start of the run.
    pub salvaged: Vec<(u32, u64)>,
}

/// How a broker's clocks go from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockChange {
    /// From when, nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The node of the clock.
    pub node: u32,
    /// The time on its monotonic clock then, nanoseconds.
    pub own_ns: u64,
    /// How much faster both go than time, parts per million.
    pub rate_ppm: i64,
    /// The lead of its wall clock over the monotonic one, nanoseconds.
    pub ahead_ns: i64,
}

/// How often a setting of the network hit a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettingCount {
    /// In all.
    pub fired: u64,
    /// Where it could have mattered.
    pub eligible: u64,
    /// Where somebody got something else, or at another time.
    pub observed: u64,
}

impl Ledger {
    /// Whether anything that fired could have mattered.
    pub fn any_eligible(&self) -> bool {
        let mut settings = self.settings.values();
        self.fired.iter().any(|fault| fault.eligible) || settings.any(|it| it.eligible > 0)
    }
}
