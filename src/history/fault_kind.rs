//! The kinds of faults: one row each.

use std::fmt;

/// The part of a system that a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hits {
    /// A broker's process, its machine, its disk, its links.
    Broker,
    /// A client's process or machine.
    Client,
    /// A broker's clocks: a machine without a process has them, too.
    Clocks,
    /// A client's clocks.
    ClientClocks,
    /// Messages, all the time and each by chance: a setting of `[network]`, and no
    /// `[[fault]]`.
    Messages,
}

/// The most that a fault takes by itself; promises follow from it (guarantee.md,
/// section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing that a broker has or does.
    Nothing,
    /// A broker's process, and no bytes.
    Process,
    /// A broker's service, while it lasts.
    Service,
    /// A broker's service, until a leader gives up by itself what it cannot do.
    ServiceWithoutEnd,
    /// Its speed: requests wait longer for the disk.
    Speed,
    /// Bytes that were not synced.
    Unsynced,
    /// Bytes that were not synced, and the service: the log takes no more.
    UnsyncedAndService,
    /// Bytes that were synced; the victim can know ("detected amnesia", guarantee.md,
    /// section 1).
    Synced,
    /// Bytes that were synced; the victim cannot know ("silent amnesia").
    SyncedUnseen,
}

/// Makes the enum of all kinds, and what is said of each, of one row for each.
macro_rules! fault_kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $hits:ident, $takes:ident;)+) => {
        /// A kind of fault, as counted in reports (guarantee.md, sections 3 and 4).
        /// Append only: a swarm draws by a kind's place, and another place is another
        /// run for every recorded seed.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        pub enum FaultKind {
            $(
                $(#[doc = $doc])+
                #[serde(rename = $name)]
                $kind,
            )+
        }

        impl FaultKind {
            /// Every kind, in the order of reports.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$kind),+];

            /// The name in scenario files and reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// The part that it hits.
            pub fn hits(self) -> Hits {
                match self {
                    $(Self::$kind => Hits::$hits,)+
                }
            }

            /// The most that it takes by itself.
            pub fn takes(self) -> Takes {
                match self {
                    $(Self::$kind => Takes::$takes,)+
                }
            }
        }
    };
}

fault_kinds! {
    /// The process dies; the page cache survives.
    Kill = "kill", Broker, Process;
    /// The process is asked to stop, and starts again.
    Restart = "restart", Broker, Process;
    /// The machine dies; only durable bytes survive.
    PowerLoss = "power-loss", Broker, Unsynced;
    /// The disk is gone; a blank one takes its place.
    DiskDestroyed = "disk-destroyed", Broker, Synced;
    /// The disk is set back to an older image of itself.
    DiskRolledBack = "disk-rolled-back", Broker, SyncedUnseen;
    /// A sync fails.
    SyncError = "sync-error", Broker, UnsyncedAndService;
    /// A read fails, and goes on failing until the sector is rewritten.
    ReadError = "read-error", Broker, Synced;
    /// A durable sector changes.
    Rot = "rot", Broker, Synced;
    /// Writes fail because the disk is full.
    DiskFull = "disk-full", Broker, Service;
    /// Syncs take long. Reads and writes are the page cache's and take no time.
    DiskSlow = "disk-slow", Broker, Speed;
    /// Syncs never return.
    DiskHung = "disk-hung", Broker, ServiceWithoutEnd;
    /// Syncs return OK and do nothing.
    DiskLying = "disk-lying", Broker, SyncedUnseen;
    /// A write lands elsewhere.
    MisdirectedWrite = "misdirected-write", Broker, SyncedUnseen;
    /// A write is reported and never done.
    LostWrite = "lost-write", Broker, SyncedUnseen;
    /// Links are cut, both ways or one way.
    Partition = "partition", Broker, Service;
    /// A client dies.
    ClientKill = "client-kill", Client, Nothing;
    /// A client's machine dies; only durable bytes of its disk survive.
    ClientPower = "client-power", Client, Nothing;
    /// The process stops for a while, and goes on as if nothing had been.
    Pause = "pause", Broker, Service;
    /// A client's process stops for a while, and goes on as if nothing had been.
    ClientPause = "client-pause", Client, Nothing;
    /// The wall clock was never right.
    ClockSkew = "clock-skew", Clocks, Nothing;
    /// The wall clock is set forward or back.
    ClockJump = "clock-jump", Clocks, Nothing;
    /// Clocks go faster or slower.
    ClockDrift = "clock-drift", Clocks, Nothing;
    /// A client's clocks go faster or slower.
    ClientClockDrift = "client-clock-drift", ClientClocks, Nothing;
    /// Syncs take many times as long.
    DiskLimping = "disk-limping", Broker, Speed;
    /// Messages on the links take many times as long.
    LinkLimping = "link-limping", Broker, Service;
    /// Messages are lost, as `[network]` says.
    NetworkLoss = "network-loss", Messages, Nothing;
    /// Peer messages come twice, as `[network]` says.
    NetworkDuplicate = "network-duplicate", Messages, Nothing;
    /// Peer messages are overtaken, as `[network]` says.
    NetworkReorder = "network-reorder", Messages, Nothing;
    /// Bytes that are written to a stream come in pieces, as `[network]` says. That could
    /// never have mattered: streams come in pieces everywhere.
    NetworkSplit = "network-split", Messages, Nothing;
    /// Operations of the disk are refused, and nothing of what it holds is lost.
    DiskError = "disk-error", Broker, Service;
    /// The process dies, and while it is down somebody else leaves a file on its disk.
    StrayFile = "stray-file", Broker, Process;
}

impl FaultKind {
    /// Whether it hits clients, and no broker.
    pub fn is_client_s(self) -> bool {
        matches!(self.hits(), Hits::Client | Hits::ClientClocks)
    }

    /// Whether it is a setting of `[network]`, and no `[[fault]]`.
    pub fn is_a_setting(self) -> bool {
        self.hits() == Hits::Messages
    }

    /// Whether it makes a machine's clocks wrong.
    pub fn is_of_clocks(self) -> bool {
        matches!(self.hits(), Hits::Clocks | Hits::ClientClocks)
    }

    /// Whether it takes or changes bytes that a sync had made durable.
    pub fn takes_what_was_synced(self) -> bool {
        matches!(self.takes(), Takes::Synced | Takes::SyncedUnseen)
    }

    /// Whether the victim "cannot know" that it forgot (guarantee.md, section 1,
    /// "Silent amnesia").
    pub fn is_silent_amnesia(self) -> bool {
        self.takes() == Takes::SyncedUnseen
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
