//! The table: each row, on and off. A row without its line does not compile.

use super::{faults, operations, power};
use crate::sim::disk::Row;

/// Whether the row's effect is seen, with its cause (`on`) or without.
fn is_seen(row: Row, on: bool) -> bool {
    match row {
        Row::Write => operations::write(on),
        Row::WriteAnyOrder => power::any_order(on),
        Row::SyncDataSince => operations::sync_data_since(on),
        Row::SyncDataCompletes => operations::sync_data_completes(on),
        Row::SyncDataSize => operations::sync_data_size(on),
        Row::SyncDataName => operations::sync_data_name(on),
        Row::SyncAllSize => operations::sync_all_size(on),
        Row::SyncAllName => operations::sync_all_name(on),
        Row::SyncDir => operations::sync_dir_names(on),
        Row::SyncDirBoth => operations::sync_dir_both(on),
        Row::RenameAtomic => operations::rename_atomic(on),
        Row::RenameUnordered => operations::rename_unordered(on),
        Row::SetLen => operations::set_len(on),
        Row::SetLenZero => operations::set_len_zero(on),
        Row::SetLenRecycled => operations::set_len_recycled(on),
        Row::Kill => operations::kill(on),
        Row::KillInFlight => operations::kill_in_flight(on),
        Row::PowerNone => power::none(on),
        Row::PowerAll => power::all(on),
        Row::PowerPrefix => power::prefix(on),
        Row::PowerSectorSubset => power::sector_subset(on),
        Row::PowerTorn => power::torn(on),
        Row::PowerGarbage => power::garbage(on),
        Row::PowerSizeWithoutData => power::size_without_data(on),
        Row::PowerDataWithoutSize => power::data_without_size(on),
        Row::PowerEntrySubset => power::entry_subset(on),
        Row::SyncFailure => faults::sync_failure(on),
        Row::SyncFailureDeferred => faults::deferred(on),
        Row::SyncFailureKeeps => faults::cache_keeps(on),
        Row::SyncFailureReverts => faults::cache_reverts(on),
        Row::SyncFailureRetry => faults::retry(on),
        Row::SyncFailureOnce => faults::once_each(on),
        Row::SyncFailureDir => faults::dir_sync(on),
        Row::ReadError => faults::read_error(on),
        Row::Rot => faults::rot(on),
        Row::MisdirectedWrite => faults::misdirected(on),
        Row::LostWrite => faults::lost(on),
        Row::NoSpace => faults::no_space(on),
        Row::NoSpaceMiddle => faults::no_space_middle(on),
        Row::NoSpacePreallocated => faults::no_space_preallocated(on),
        Row::Slow => faults::slow(on),
        Row::Stalled => faults::stalled(on),
        Row::Hung => faults::hung(on),
        Row::Destroyed => faults::destroyed(on),
        Row::RolledBack => faults::rolled_back(on),
        Row::Lying => faults::lying(on),
    }
}

#[test]
fn every_row_is_seen_when_it_is_on() {
    let missing: Vec<_> = Row::ALL
        .iter()
        .filter(|row| !is_seen(**row, true))
        .collect();
    assert!(missing.is_empty(), "no effect of {missing:?}");
}

#[test]
fn no_row_is_seen_when_it_is_off() {
    let stray: Vec<_> = Row::ALL
        .iter()
        .filter(|row| is_seen(**row, false))
        .collect();
    assert!(stray.is_empty(), "effect without cause: {stray:?}");
}

#[test]
fn rows_say_what_they_mean() {
    assert_eq!(Row::Write.text(), "A write changes the cache only.");
    let texts: std::collections::BTreeSet<_> = Row::ALL.iter().map(|row| row.text()).collect();
    assert_eq!(texts.len(), Row::ALL.len());
}
