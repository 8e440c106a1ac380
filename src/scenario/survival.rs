//! The ways in which a power loss takes what was not synced.

use serde::{Deserialize, Serialize};

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
