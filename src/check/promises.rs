//! What each configuration promises: guarantee.md, section 6, as code.
//!
//! The table is a claim that the testbed tests. A cell that comes out otherwise
//! is a finding, and is corrected here and there together.

use serde::Serialize;

use crate::history::FaultKind;

/// How brokers replicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replication {
    /// A single broker.
    None,
    /// Raft, an odd number of brokers from 3 on.
    Raft,
}

/// When a broker acknowledges (RocketMQ's `flushDiskType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flush {
    /// Once synced.
    Sync,
    /// Once cached.
    Async,
}

/// What decides about promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// How brokers replicate.
    pub replication: Replication,
    /// When a broker acknowledges.
    pub flush: Flush,
}

/// What is promised under one kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promised {
    /// Zero loss (OK).
    ZeroLoss,
    /// Zero loss, but unavailable while it lasts (U).
    Unavailable,
    /// Nothing: loss is possible (L).
    Nothing,
}

/// What `configuration` promises under `kind`, alone.
///
/// Bad sectors: "L, U once detected"; since a single node has no other copy,
/// what is detected is gone all the same.
pub fn promised(configuration: Configuration, kind: FaultKind) -> Promised {
    match (configuration.replication, configuration.flush) {
        (Replication::None, Flush::Async) => single_async(kind),
        (Replication::None, Flush::Sync) => single_sync(kind),
        (Replication::Raft, flush) => raft(flush, kind),
    }
}

/// Within the fault budget (guarantee.md, section 3).
fn raft(flush: Flush, kind: FaultKind) -> Promised {
    match kind {
        FaultKind::PowerLoss | FaultKind::SyncError if flush == Flush::Async => Promised::Nothing,
        FaultKind::DiskRolledBack
        | FaultKind::DiskLying
        | FaultKind::MisdirectedWrite
        | FaultKind::LostWrite => Promised::Nothing,
        FaultKind::DiskHung | FaultKind::DiskFull => Promised::Unavailable,
        _ => Promised::ZeroLoss,
    }
}

fn single_async(kind: FaultKind) -> Promised {
    match kind {
        FaultKind::PowerLoss | FaultKind::SyncError => Promised::Nothing,
        FaultKind::DiskSlow => Promised::ZeroLoss,
        _ => single_any_flush(kind),
    }
}

fn single_sync(kind: FaultKind) -> Promised {
    match kind {
        FaultKind::PowerLoss => Promised::ZeroLoss,
        FaultKind::SyncError | FaultKind::DiskSlow => Promised::Unavailable,
        _ => single_any_flush(kind),
    }
}

/// What the flush does not change: there is one copy.
fn single_any_flush(kind: FaultKind) -> Promised {
    match kind {
        FaultKind::Kill | FaultKind::Restart | FaultKind::ClientKill => Promised::ZeroLoss,
        FaultKind::Partition | FaultKind::DiskFull | FaultKind::DiskHung => Promised::Unavailable,
        FaultKind::DiskDestroyed
        | FaultKind::DiskRolledBack
        | FaultKind::ReadError
        | FaultKind::Rot
        | FaultKind::DiskLying
        | FaultKind::MisdirectedWrite
        | FaultKind::LostWrite => Promised::Nothing,
        FaultKind::PowerLoss | FaultKind::SyncError | FaultKind::DiskSlow => {
            unreachable!("the rows of the flush decide these")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Configuration, Flush, Promised, Replication, promised};
    use crate::history::FaultKind;

    /// The rows as they stand in guarantee.md, section 6.
    #[test]
    fn the_table_of_a_single_broker() {
        let letter = |flush, kind| {
            let replication = Replication::None;
            match promised(Configuration { replication, flush }, kind) {
                Promised::ZeroLoss => "OK",
                Promised::Unavailable => "U",
                Promised::Nothing => "L",
            }
        };
        let rows = FaultKind::ALL.map(|kind| {
            let asynchronous = letter(Flush::Async, kind);
            let synchronous = letter(Flush::Sync, kind);
            format!("{kind:<18}{asynchronous:<4}{synchronous}")
        });
        insta::assert_snapshot!(rows.join("\n"), @r"
        kill              OK  OK
        restart           OK  OK
        power-loss        L   OK
        disk-destroyed    L   L
        disk-rolled-back  L   L
        sync-error        L   U
        read-error        L   L
        rot               L   L
        disk-full         U   U
        disk-slow         OK  U
        disk-hung         U   U
        disk-lying        L   L
        misdirected-write L   L
        lost-write        L   L
        partition         U   U
        client-kill       OK  OK
        ");
    }
}
