//! The promises of each configuration that is built: guarantee.md, section 6, as code.
//!
//! The table is a claim that the testbed tests. A cell that comes out otherwise
//! is a finding, and is corrected here and there together.
//!
//! The same power loss, under three configurations:
//!
//! ```
//! use zeroloss::check::promises::{Configuration, Flush, Hit, Promised, promised};
//! use zeroloss::history::FaultKind::{DiskDestroyed, PowerLoss};
//!
//! let [single, cached] = [Flush::Sync, Flush::Async].map(Configuration::single);
//! assert_eq!(promised(single, PowerLoss, Hit::Majority), Promised::ZeroLoss);
//! assert_eq!(promised(cached, PowerLoss, Hit::Majority), Promised::Nothing);
//!
//! // Two of three replicas without power cannot serve, and lose nothing.
//! let raft = Configuration::raft(3, Flush::Sync);
//! assert_eq!((raft.hit(1), raft.hit(2)), (Hit::Minority, Hit::Majority));
//! assert_eq!(promised(raft, PowerLoss, raft.hit(2)), Promised::Unavailable);
//! assert_eq!(promised(raft, DiskDestroyed, raft.hit(2)), Promised::Halt);
//! ```

use serde::Serialize;

use crate::history::{FaultEvent, FaultKind, Takes};

/// How brokers replicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replication {
    /// A single broker.
    None,
    /// Raft over an odd number of brokers.
    Raft,
}

/// When a broker acknowledges (RocketMQ's `flushDiskType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flush {
    /// Once synced. With Raft: once synced by a majority.
    Sync,
    /// Once cached. With Raft: once cached by a majority.
    Async,
}

/// The settings that decide about promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// How brokers replicate.
    pub replication: Replication,
    /// How many there are at the start: n.
    pub brokers: u32,
    /// When a broker acknowledges.
    pub flush: Flush,
    /// Term and vote are synced before they are acted on (D1). False in the
    /// dledger preset; without Raft there are none.
    pub hard_state_synced: bool,
    /// Messages older than this may have expired, milliseconds; `None`: nothing
    /// expires.
    pub retention_ms: Option<u64>,
    /// A retried send is stored once.
    pub stores_once: bool,
    /// A transaction has one outcome (D21). RocketMQ keeps its operations in
    /// memory, and so do presets: what is promised of transactions, and the
    /// business promise that rests on it, are waived there.
    pub decides_once: bool,
}

impl Configuration {
    /// A single broker.
    pub fn single(flush: Flush) -> Self {
        Self {
            replication: Replication::None,
            brokers: 1,
            flush,
            hard_state_synced: true,
            retention_ms: None,
            stores_once: false,
            decides_once: true,
        }
    }

    /// Raft: acknowledged as `flush` says, term and vote synced.
    pub fn raft(brokers: u32, flush: Flush) -> Self {
        Self {
            replication: Replication::Raft,
            brokers,
            ..Self::single(flush)
        }
    }

    /// RocketMQ's DLedger as it is: log, term and vote acknowledged from the page
    /// cache.
    pub fn dledger(brokers: u32) -> Self {
        Self {
            hard_state_synced: false,
            decides_once: false,
            ..Self::raft(brokers, Flush::Async)
        }
    }

    /// f: "the minority size" (guarantee.md, section 1).
    pub fn minority(&self) -> u32 {
        self.brokers.saturating_sub(1) / 2
    }

    /// ⌊n/2⌋+1.
    pub fn quorum(&self) -> u32 {
        self.brokers / 2 + 1
    }

    /// Whether so many are a minority.
    pub fn hit(&self, brokers: u32) -> Hit {
        match brokers <= self.minority() {
            true => Hit::Minority,
            false => Hit::Majority,
        }
    }

    /// Whether nothing is promised under a fault, alone.
    pub fn may_lose(self, fault: &FaultEvent) -> bool {
        promised(self, fault.kind, self.hit(fault.hit)) == Promised::Nothing
    }
}

/// How many were hit, those that have not yet recovered included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hit {
    /// At most f.
    Minority,
    /// More.
    Majority,
}

/// The promise under one kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promised {
    /// Zero loss (OK).
    ZeroLoss,
    /// Zero loss, but unavailable while it lasts (U).
    Unavailable,
    /// The cluster refuses to serve: what it may not have, it does not deny (H).
    Halt,
    /// Nothing: loss is possible (L).
    Nothing,
}

/// The promises of `configuration` under `kind`, alone.
///
/// Bad sectors of a single broker: "L, U once detected"; since it has no other
/// copy, what is detected is gone all the same.
pub fn promised(configuration: Configuration, kind: FaultKind, hit: Hit) -> Promised {
    let takes = kind.takes();
    match (configuration.replication, configuration.flush) {
        (Replication::None, Flush::Async) => single_async(takes),
        (Replication::None, Flush::Sync) => single_sync(takes),
        (Replication::Raft, Flush::Async) => raft_async(takes, hit),
        (Replication::Raft, Flush::Sync) if configuration.hard_state_synced => {
            raft_sync(takes, hit)
        }
        (Replication::Raft, Flush::Sync) => raft_async(takes, hit),
    }
}

fn single_async(takes: Takes) -> Promised {
    match takes {
        Takes::Unsynced | Takes::UnsyncedAndService => Promised::Nothing,
        Takes::Speed => Promised::ZeroLoss,
        _ => single_any_flush(takes),
    }
}

fn single_sync(takes: Takes) -> Promised {
    match takes {
        Takes::Unsynced => Promised::ZeroLoss,
        Takes::UnsyncedAndService | Takes::Speed => Promised::Unavailable,
        _ => single_any_flush(takes),
    }
}

/// The promises that the flush does not change: there is one copy.
fn single_any_flush(takes: Takes) -> Promised {
    match takes {
        Takes::Nothing | Takes::Process => Promised::ZeroLoss,
        Takes::Service | Takes::ServiceWithoutEnd => Promised::Unavailable,
        Takes::Synced | Takes::SyncedUnseen => Promised::Nothing,
        Takes::Unsynced | Takes::UnsyncedAndService | Takes::Speed => {
            unreachable!("the rows of the flush decide these")
        }
    }
}

/// The dledger preset promises the same; what a fault takes of term and vote
/// besides waives more (guarantee.md, section 3, "Where loss is allowed").
fn raft_async(takes: Takes, hit: Hit) -> Promised {
    match takes {
        Takes::Unsynced | Takes::UnsyncedAndService => Promised::Nothing,
        _ => raft_any_flush(takes, hit),
    }
}

fn raft_sync(takes: Takes, hit: Hit) -> Promised {
    match (takes, hit) {
        (Takes::Unsynced | Takes::UnsyncedAndService, Hit::Minority) => Promised::ZeroLoss,
        (Takes::Unsynced | Takes::UnsyncedAndService, Hit::Majority) => Promised::Unavailable,
        _ => raft_any_flush(takes, hit),
    }
}

/// The promises that the flush does not change: there are other copies, as long as a
/// majority has them.
fn raft_any_flush(takes: Takes, hit: Hit) -> Promised {
    match (takes, hit) {
        (Takes::Nothing, _) => Promised::ZeroLoss,
        // The replica cannot know that it forgot.
        (Takes::SyncedUnseen, _) => Promised::Nothing,
        // D13, D14; D10 to D12; D16.
        (Takes::Synced, Hit::Majority) => Promised::Halt,
        // "U until a hung leader steps down".
        (Takes::ServiceWithoutEnd, _) | (_, Hit::Majority) => Promised::Unavailable,
        (_, Hit::Minority) => Promised::ZeroLoss,
    }
}

#[cfg(test)]
mod tests {
    use super::{Configuration, Flush, Hit, Promised, promised};
    use crate::history::FaultKind;

    fn letter(configuration: Configuration, kind: FaultKind, hit: Hit) -> &'static str {
        match promised(configuration, kind, hit) {
            Promised::ZeroLoss => "OK",
            Promised::Unavailable => "U",
            Promised::Halt => "H",
            Promised::Nothing => "L",
        }
    }

    /// A row for each kind of fault: asynchronous flush, synchronous flush. More kinds than
    /// guarantee.md, section 6, has columns for.
    #[test]
    fn the_table_of_a_single_broker() {
        let rows = FaultKind::ALL.map(|kind| {
            let letter = |flush| letter(Configuration::single(flush), kind, Hit::Majority);
            let (asynchronous, synchronous) = (letter(Flush::Async), letter(Flush::Sync));
            format!("{kind:<20}{asynchronous:<4}{synchronous}")
        });
        insta::assert_snapshot!(rows.join("\n"), @r"
        kill                OK  OK
        restart             OK  OK
        power-loss          L   OK
        disk-destroyed      L   L
        disk-rolled-back    L   L
        sync-error          L   U
        read-error          L   L
        rot                 L   L
        disk-full           U   U
        disk-slow           OK  U
        disk-hung           U   U
        disk-lying          L   L
        misdirected-write   L   L
        lost-write          L   L
        partition           U   U
        client-kill         OK  OK
        client-power        OK  OK
        pause               U   U
        client-pause        OK  OK
        clock-skew          OK  OK
        clock-jump          OK  OK
        clock-drift         OK  OK
        client-clock-drift  OK  OK
        disk-limping        OK  U
        link-limping        U   U
        network-loss        OK  OK
        network-duplicate   OK  OK
        network-reorder     OK  OK
        network-split       OK  OK
        disk-error          U   U
        stray-file          OK  OK
        ");
    }

    /// Minority and majority hit, for each of: Raft sync, Raft async, the dledger
    /// preset.
    #[test]
    fn the_table_of_raft() {
        let columns = [
            Configuration::raft(3, Flush::Sync),
            Configuration::raft(5, Flush::Async),
            Configuration::dledger(3),
        ];
        let rows = FaultKind::ALL.map(|kind| {
            let cells = columns.map(|column| {
                let minority = letter(column, kind, Hit::Minority);
                let majority = letter(column, kind, Hit::Majority);
                format!("{:<8}", format!("{minority}/{majority}"))
            });
            format!("{kind:<20}{}", cells.concat())
                .trim_end()
                .to_owned()
        });
        insta::assert_snapshot!(rows.join("\n"), @r"
        kill                OK/U    OK/U    OK/U
        restart             OK/U    OK/U    OK/U
        power-loss          OK/U    L/L     L/L
        disk-destroyed      OK/H    OK/H    OK/H
        disk-rolled-back    L/L     L/L     L/L
        sync-error          OK/U    L/L     L/L
        read-error          OK/H    OK/H    OK/H
        rot                 OK/H    OK/H    OK/H
        disk-full           OK/U    OK/U    OK/U
        disk-slow           OK/U    OK/U    OK/U
        disk-hung           U/U     U/U     U/U
        disk-lying          L/L     L/L     L/L
        misdirected-write   L/L     L/L     L/L
        lost-write          L/L     L/L     L/L
        partition           OK/U    OK/U    OK/U
        client-kill         OK/OK   OK/OK   OK/OK
        client-power        OK/OK   OK/OK   OK/OK
        pause               OK/U    OK/U    OK/U
        client-pause        OK/OK   OK/OK   OK/OK
        clock-skew          OK/OK   OK/OK   OK/OK
        clock-jump          OK/OK   OK/OK   OK/OK
        clock-drift         OK/OK   OK/OK   OK/OK
        client-clock-drift  OK/OK   OK/OK   OK/OK
        disk-limping        OK/U    OK/U    OK/U
        link-limping        OK/U    OK/U    OK/U
        network-loss        OK/OK   OK/OK   OK/OK
        network-duplicate   OK/OK   OK/OK   OK/OK
        network-reorder     OK/OK   OK/OK   OK/OK
        network-split       OK/OK   OK/OK   OK/OK
        disk-error          OK/U    OK/U    OK/U
        stray-file          OK/U    OK/U    OK/U
        ");
    }

    #[test]
    fn a_minority_is_less_than_half() {
        let sizes = [1, 2, 3, 4, 5, 7].map(|brokers| {
            let raft = Configuration::raft(brokers, Flush::Sync);
            (raft.minority(), raft.quorum())
        });
        assert_eq!(sizes, [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (3, 4)]);
    }
}
