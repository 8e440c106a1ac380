//! The experience of a disk's process: which rows of the contract, which faults,
//! which ways of losing power. A model without anybody who meets it proves nothing; a
//! test asks of each row, fault and way for a scenario in which it is met.

use super::fault::{CacheAfterError, DiskFault, RotKind};
use super::row::Row;
use super::survival::DiskSurvival;

/// See the module. Counted by bits: it is noted in every operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Met {
    rows: u64,
    faults: u64,
}

impl DiskFault {
    /// Every fault in each of its forms.
    pub const ALL: [Self; 13] = [
        Self::SyncError {
            cache: CacheAfterError::KeepsNew,
        },
        Self::SyncError {
            cache: CacheAfterError::Reverts,
        },
        Self::WritebackError {
            cache: CacheAfterError::KeepsNew,
        },
        Self::WritebackError {
            cache: CacheAfterError::Reverts,
        },
        Self::DirSyncError,
        Self::ReadError,
        Self::Rot(RotKind::Bit),
        Self::Rot(RotKind::Zeros),
        Self::Rot(RotKind::Garbage),
        Self::MisdirectedWrite,
        Self::LostWrite,
        Self::LyingSync,
        Self::NoSpace,
    ];

    /// Its place among all. The match says that none is missing there.
    fn place(self) -> u32 {
        let cache_place = |cache| match cache {
            CacheAfterError::KeepsNew => 0,
            CacheAfterError::Reverts => 1,
        };
        match self {
            Self::SyncError { cache } => cache_place(cache),
            Self::WritebackError { cache } => 2 + cache_place(cache),
            Self::DirSyncError => 4,
            Self::ReadError => 5,
            Self::Rot(RotKind::Bit) => 6,
            Self::Rot(RotKind::Zeros) => 7,
            Self::Rot(RotKind::Garbage) => 8,
            Self::MisdirectedWrite => 9,
            Self::LostWrite => 10,
            Self::LyingSync => 11,
            Self::NoSpace => 12,
        }
    }

    /// The rows of the contract that it stands for.
    fn rows(self) -> &'static [Row] {
        match self {
            Self::SyncError { cache } => match cache {
                CacheAfterError::KeepsNew => &[Row::SyncFailure, Row::SyncFailureKeeps],
                CacheAfterError::Reverts => &[Row::SyncFailure, Row::SyncFailureReverts],
            },
            Self::WritebackError { cache } => match cache {
                CacheAfterError::KeepsNew => &[Row::SyncFailureDeferred, Row::SyncFailureKeeps],
                CacheAfterError::Reverts => &[Row::SyncFailureDeferred, Row::SyncFailureReverts],
            },
            Self::DirSyncError => &[Row::SyncFailureDir],
            Self::ReadError => &[Row::ReadError],
            Self::Rot(_) => &[Row::Rot],
            Self::MisdirectedWrite => &[Row::MisdirectedWrite],
            Self::LostWrite => &[Row::LostWrite],
            Self::LyingSync => &[Row::Lying],
            Self::NoSpace => &[Row::NoSpaceMiddle],
        }
    }
}

impl DiskSurvival {
    /// The row that a power loss of that kind shows.
    pub(super) fn row(self) -> Row {
        match self {
            Self::None => Row::PowerNone,
            Self::All => Row::PowerAll,
            Self::Prefix | Self::PrefixOf(_) => Row::PowerPrefix,
            Self::SectorSubset => Row::PowerSectorSubset,
            Self::Torn => Row::PowerTorn,
            Self::Garbage => Row::PowerGarbage,
            Self::SizeWithoutData => Row::PowerSizeWithoutData,
            Self::DataWithoutSize => Row::PowerDataWithoutSize,
            Self::EntrySubset => Row::PowerEntrySubset,
        }
    }
}

impl Met {
    /// Notes a row.
    pub(super) fn row(&mut self, row: Row) {
        self.rows |= 1 << row as u32;
    }

    /// Notes a fault that fired, and its rows.
    pub(super) fn fault(&mut self, fault: DiskFault) {
        self.faults |= 1 << fault.place();
        fault.rows().iter().for_each(|row| self.row(*row));
    }

    /// Whether a row was met.
    pub fn has_row(&self, row: Row) -> bool {
        self.rows & 1 << row as u32 != 0
    }

    /// Whether a fault fired.
    pub fn has_fault(&self, fault: DiskFault) -> bool {
        self.faults & 1 << fault.place() != 0
    }

    /// Takes in what another disk, or another run, met.
    pub fn add(&mut self, other: &Self) {
        self.rows |= other.rows;
        self.faults |= other.faults;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_a_place_of_its_own() {
        for (place, fault) in DiskFault::ALL.into_iter().enumerate() {
            assert_eq!(fault.place() as usize, place);
        }
        assert!(Row::ALL.len() <= 64);
    }
}
