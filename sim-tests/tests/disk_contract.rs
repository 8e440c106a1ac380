//! The disk's contract is met by runs: each of its rows, each fault in each form,
//! each way of losing power (guarantee.md, section 4). A variant that no scenario
//! meets is dead: the product was never tried under it, and this test names it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use zeroloss::scenario::{RunOptions, load};
use zeroloss::sim::disk::{CacheAfterError, DiskFault, Met, RotKind, Row};
use zeroloss::sim::run_measured;

/// Seeds of a scenario that are run before something counts as not met in it.
const SEEDS: u64 = 12;

/// Where something is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    /// In this scenario.
    Scenario(&'static str),
    /// In none: the product does not ask a disk for it, for this reason. Where some
    /// run meets it after all, the reason is wrong.
    None(&'static str),
}

const EVERY_FILE: In = In::Scenario("raft/rot-in-every-file");
const WRITEBACK: In = In::Scenario("raft/writeback-errors");
const SYNCS: In = In::Scenario("raft/sync-errors-anywhere");
const POWER: In = In::Scenario("raft/torn-tails");
const SINGLE: In = In::Scenario("single/power-any");

fn fault(fault: DiskFault) -> In {
    match fault {
        DiskFault::SyncError { cache } => match cache {
            CacheAfterError::KeepsNew | CacheAfterError::Reverts => SYNCS,
        },
        DiskFault::WritebackError { cache } => match cache {
            CacheAfterError::KeepsNew | CacheAfterError::Reverts => WRITEBACK,
        },
        DiskFault::DirSyncError => In::Scenario("raft/hard-state-directory"),
        DiskFault::ReadError => EVERY_FILE,
        DiskFault::Rot(form) => match form {
            RotKind::Bit | RotKind::Zeros | RotKind::Garbage => EVERY_FILE,
        },
        DiskFault::MisdirectedWrite => In::Scenario("weak/misdirected-write"),
        DiskFault::LostWrite => In::Scenario("weak/lost-write"),
        DiskFault::LyingSync => In::Scenario("weak/lying-disk"),
        DiskFault::NoSpace => In::Scenario("raft/disk-full"),
    }
}

fn row(row: Row) -> In {
    match row {
        Row::Write
        | Row::SyncDataCompletes
        | Row::SyncDataSince
        | Row::SyncAllSize
        | Row::SyncAllName
        | Row::SyncDir
        | Row::SetLen
        | Row::SetLenZero
        | Row::RenameAtomic
        | Row::WriteAnyOrder => POWER,
        Row::SyncDataSize | Row::SyncDataName => SINGLE,
        Row::SyncDirBoth => In::None("a file never leaves its directory"),
        Row::RenameUnordered => In::Scenario("weak/dledger-power-quorum"),
        Row::SetLenRecycled => In::Scenario("swarm"),
        Row::Kill | Row::KillInFlight => In::Scenario("raft/kill-then-power"),
        Row::PowerNone
        | Row::PowerPrefix
        | Row::PowerSectorSubset
        | Row::PowerTorn
        | Row::PowerGarbage
        | Row::PowerDataWithoutSize
        | Row::PowerEntrySubset => SINGLE,
        Row::PowerAll | Row::PowerSizeWithoutData => In::Scenario("swarm"),
        Row::SyncFailure | Row::SyncFailureKeeps | Row::SyncFailureReverts => SYNCS,
        Row::SyncFailureDeferred => WRITEBACK,
        Row::SyncFailureRetry => WRITEBACK,
        Row::SyncFailureOnce => In::None("no two descriptors of a file are synced"),
        Row::SyncFailureDir => In::Scenario("raft/hard-state-directory"),
        Row::ReadError | Row::Rot => EVERY_FILE,
        Row::MisdirectedWrite => In::Scenario("weak/misdirected-write"),
        Row::LostWrite => In::Scenario("weak/lost-write"),
        Row::NoSpace | Row::NoSpaceMiddle | Row::NoSpacePreallocated => {
            In::Scenario("raft/disk-full")
        }
        Row::Slow => In::Scenario("raft/limping-disk"),
        Row::Stalled | Row::Hung => In::Scenario("raft/hung-disk-leader"),
        Row::Destroyed => In::Scenario("raft/disk-destroyed"),
        Row::RolledBack => In::Scenario("weak/rolled-back"),
        Row::Lying => In::Scenario("weak/lying-disk"),
    }
}

/// The happenings on the disks of a scenario over a few seeds, or fewer where `all`
/// of them have been met.
#[expect(clippy::disallowed_methods, reason = "a run begins on a fresh thread")]
fn met_in(scenario: &str, all: &dyn Fn(&Met) -> bool) -> Met {
    let file = format!(
        "{}/../scenarios/{scenario}.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let scenario = load(Path::new(&file)).expect("a scenario of this repository");
    let mut met = Met::default();
    for seed in 0..SEEDS {
        let scenario = scenario.clone();
        // Repeatability begins on a fresh thread.
        let run =
            std::thread::spawn(move || run_measured(&scenario, seed, &RunOptions::default()).1);
        met.add(&run.join().expect("no panic").met);
        if all(&met) {
            break;
        }
    }
    met
}

#[test]
fn every_row_every_fault_and_every_way_of_losing_power_is_met_by_some_run() {
    let mut wanted: BTreeMap<&str, (Vec<Row>, Vec<DiskFault>)> = BTreeMap::new();
    let mut unused = BTreeSet::new();
    for known in Row::ALL {
        match row(*known) {
            In::Scenario(scenario) => wanted.entry(scenario).or_default().0.push(*known),
            In::None(_) => drop(unused.insert(*known)),
        }
    }
    for known in DiskFault::ALL {
        match fault(known) {
            In::Scenario(scenario) => wanted.entry(scenario).or_default().1.push(known),
            In::None(why) => panic!("{known:?}: {why}"),
        }
    }
    let mut dead = Vec::new();
    for (scenario, (rows, faults)) in &wanted {
        let met = met_in(scenario, &|met| {
            rows.iter().all(|row| met.has_row(*row))
                && faults.iter().all(|fault| met.has_fault(*fault))
        });
        let rows = rows.iter().filter(|row| !met.has_row(**row));
        dead.extend(rows.map(|row| format!("{row:?} in {scenario}")));
        let faults = faults.iter().filter(|fault| !met.has_fault(**fault));
        dead.extend(faults.map(|fault| format!("{fault:?} in {scenario}")));
        let seen = unused.iter().filter(|row| met.has_row(**row));
        dead.extend(seen.map(|row| format!("{row:?} in {scenario}, though {:?}", self::row(*row))));
    }
    assert!(
        dead.is_empty(),
        "not as the table says:\n{}",
        dead.join("\n")
    );
}
