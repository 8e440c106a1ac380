//! The harm of faults.

use serde::{Deserialize, Serialize};

use super::{Between, CutDirection, CutLinks, DiskVerb, FileClass, PartitionShape};
use super::{Refusal, RotForm, SyncErrorCache, SyncForm};

/// How much faster or slower than time a clock may go, parts per million: a
/// tenth (guarantee.md, section 3).
pub const DRIFT_PPM_MAX: u64 = 100_000;

/// The part that a power loss leaves of writes that were not synced (guarantee.md,
/// section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Survival {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// A prefix, in the order of the writes.
    Prefix,
    /// An arbitrary subset of the sectors.
    SectorSubset,
    /// Sectors in which each byte is old or new.
    Torn,
    /// Torn sectors that hold garbage.
    Garbage,
    /// Sizes, and none of the data.
    SizeWithoutData,
    /// Data, and none of the sizes.
    DataWithoutSize,
    /// A subset of the changes to directories.
    EntrySubset,
}

impl Survival {
    /// Every way, in the order of the table; a draw over all of them takes from
    /// here.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::All,
        Self::Prefix,
        Self::SectorSubset,
        Self::Torn,
        Self::Garbage,
        Self::SizeWithoutData,
        Self::DataWithoutSize,
        Self::EntrySubset,
    ];

    /// The name in scenario files.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::All => "all",
            Self::Prefix => "prefix",
            Self::SectorSubset => "sector-subset",
            Self::Torn => "torn",
            Self::Garbage => "garbage",
            Self::SizeWithoutData => "size-without-data",
            Self::DataWithoutSize => "data-without-size",
            Self::EntrySubset => "entry-subset",
        }
    }
}

/// The harm that a rule does, with the ranges it draws from. `down_ms` is the time
/// until the victim is started again; `lasts_ms` that until the fault is taken back.
#[derive(Debug, Clone, PartialEq)]
pub enum Harm {
    /// The process dies.
    Kill {
        /// Until it is started again.
        down_ms: Between,
    },
    /// The process is asked to stop cleanly.
    Restart {
        /// Until it is started again, once it has stopped.
        down_ms: Between,
    },
    /// The machine loses power.
    PowerLoss {
        /// The part that survives; `None`: drawn for each fault.
        survival: Option<Survival>,
        /// Until it is started again.
        down_ms: Between,
    },
    /// The disk is gone; the operator puts in a formatted blank one.
    DiskDestroyed {
        /// Until it is started again.
        down_ms: Between,
    },
    /// The disk is replaced by an image that was taken of it earlier.
    DiskRolledBack {
        /// The age of the image.
        age_ms: Between,
        /// Until it is started again.
        down_ms: Between,
    },
    /// The next sync fails.
    SyncError {
        /// Of which files; `None`: drawn for each fault.
        file: Option<FileClass>,
        /// The content of the cache afterwards; `None`: drawn.
        cache: Option<SyncErrorCache>,
        /// The step that fails; `None`: drawn.
        form: Option<SyncForm>,
    },
    /// A sector that holds data cannot be read until it is rewritten.
    ReadError {
        /// As of [`Harm::SyncError`].
        file: Option<FileClass>,
    },
    /// A durable sector that holds data changes.
    Rot {
        /// As of [`Harm::SyncError`].
        file: Option<FileClass>,
        /// How it changes; `None`: drawn.
        form: Option<RotForm>,
    },
    /// No space left.
    DiskFull {
        /// Until space is free again.
        lasts_ms: Between,
    },
    /// Operations are refused: nothing of what the disk holds is lost.
    DiskError {
        /// With which error; `None`: drawn.
        error: Option<Refusal>,
        /// The operations; `None`: drawn.
        operation: Option<DiskVerb>,
        /// On these files only; `None`: drawn.
        file: Option<FileClass>,
        /// Until they succeed again.
        lasts_ms: Between,
    },
    /// Every operation takes longer.
    DiskSlow {
        /// The time that an operation takes in addition.
        extra_ms: Between,
        /// Until it is fast again.
        lasts_ms: Between,
    },
    /// Every operation takes so many times as long.
    DiskLimping {
        /// How many.
        factor: Between,
        /// Until it is fast again.
        lasts_ms: Between,
    },
    /// Operations do not return until the disk comes back; or those that were begun
    /// never do, and the operator starts the broker again once it is back. Which of
    /// the two is drawn.
    DiskHung {
        /// Until operations return.
        lasts_ms: Between,
    },
    /// Syncs return OK and do nothing.
    DiskLying {
        /// Until syncs mean something again.
        lasts_ms: Between,
    },
    /// The next write lands elsewhere.
    MisdirectedWrite {
        /// As of [`Harm::SyncError`].
        file: Option<FileClass>,
    },
    /// The next write is reported and never done.
    LostWrite {
        /// As of [`Harm::SyncError`].
        file: Option<FileClass>,
    },
    /// Links are cut.
    Partition {
        /// The sides that are cut off from each other.
        shape: PartitionShape,
        /// The links.
        links: CutLinks,
        /// The direction that is cut; `None`: drawn.
        cut: Option<CutDirection>,
        /// Until they are whole again.
        lasts_ms: Between,
    },
    /// Messages on links of the victim take so many times as long.
    LinkLimping {
        /// The links.
        links: CutLinks,
        /// The direction; `None`: drawn.
        way: Option<CutDirection>,
        /// How many.
        factor: Between,
        /// Until they are fast again.
        lasts_ms: Between,
    },
    /// The wall clock is wrong by so much from the start.
    ClockSkew {
        /// By how much.
        by_ms: Between,
        /// Ahead; `None`: drawn.
        ahead: Option<bool>,
    },
    /// The wall clock is set.
    ClockJump {
        /// By how much.
        by_ms: Between,
        /// Forward; `None`: drawn.
        ahead: Option<bool>,
        /// Until it is set back; `None`: for good.
        lasts_ms: Option<Between>,
    },
    /// Both clocks go faster or slower than time does.
    ClockDrift {
        /// By how much, parts per million.
        by_ppm: Between,
        /// Faster; `None`: drawn.
        ahead: Option<bool>,
        /// Until they go right again; `None`: until everything heals.
        lasts_ms: Option<Between>,
    },
    /// The process stops: nothing of it runs, what comes for it waits. Then it
    /// goes on.
    Pause {
        /// Until it goes on.
        lasts_ms: Between,
        /// It strikes at that reading of the process' clock from then on, so in the
        /// middle of a step; 0 is between two steps, and so is `None`.
        reading: Option<Between>,
    },
    /// A client dies.
    ClientKill {
        /// Until a client of the same kind is started in its place; `None`:
        /// never.
        down_ms: Option<Between>,
    },
    /// A client's machine loses power.
    ClientPower {
        /// The part that survives on its disk; `None`: drawn for each fault.
        survival: Option<Survival>,
        /// As of a kill.
        down_ms: Option<Between>,
    },
    /// A client's process stops, and goes on.
    ClientPause {
        /// Until it goes on.
        lasts_ms: Between,
    },
    /// A client's clocks go faster or slower than time does.
    ClientClockDrift {
        /// By how much, parts per million.
        by_ppm: Between,
        /// Faster; `None`: drawn.
        ahead: Option<bool>,
        /// As of a broker's.
        lasts_ms: Option<Between>,
    },
}

/// Gives a type whose variants are the kinds of faults its `kind`: one list for
/// what a rule says ([`Harm`]) and for what a plan has drawn ([`super::Effect`]).
macro_rules! counted_by_its_kind {
    ($what:ident) => {
        $crate::scenario::harm::counted_by_its_kind! { $what:
            Kill Restart PowerLoss DiskDestroyed DiskRolledBack SyncError ReadError
            Rot DiskFull DiskError DiskSlow DiskLimping DiskHung DiskLying MisdirectedWrite LostWrite
            Partition LinkLimping ClockSkew ClockJump ClockDrift Pause
            ClientKill ClientPower ClientPause ClientClockDrift
        }
    };
    ($what:ident: $($kind:ident)*) => {
        impl $what {
            /// The kind under which it is counted.
            pub fn kind(&self) -> $crate::history::FaultKind {
                match self {
                    $(Self::$kind { .. } => $crate::history::FaultKind::$kind,)*
                }
            }
        }
    };
}
pub(super) use counted_by_its_kind;

counted_by_its_kind!(Harm);
