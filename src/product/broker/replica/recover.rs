//! The operator's way past a lost majority (D16): one survivor goes on alone.
//!
//! Promise: nothing is done without the operator's word, and what it may cost
//! is said before and after. Offline: no broker runs on the disk.

use super::open::open_log;
use super::quarantined::Quarantined;
use super::saving::{load, renew, save};
use crate::broker::base::Base;
use crate::broker::config::BrokerConfig;
use crate::broker::error::StoreError;
use crate::broker::founding::Record;
use crate::broker::kind::require;
use crate::broker::server::StoreDisk;
use crate::env::Env;
use crate::log::{CommitLog, DiskKind, Position};
use crate::raft::{Configuration, EntryId, Epoch, HardState, ReplicaId};
use crate::record::EntryKind;

/// Bytes of the log that are looked at in one step.
const STEP_BYTES: u64 = 1 << 20;

/// The entries that a survivor has, and what going on with it alone costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// Its last entry. Of several survivors the one with the highest goes on:
    /// the later term first, then the longer log.
    pub last: EntryId,
    /// One past its last log address: what was acknowledged beyond is lost.
    pub end_address: u64,
    /// The index up to which entries were known to be committed when its state was stored
    /// last. Entries between this and the end may have been refused to their senders;
    /// they count as committed from now on.
    pub applied_index: u64,
    /// The nodes that had seats, this one included.
    pub nodes: Vec<u64>,
    /// Its log may once have had more (D12).
    pub is_uncertain: bool,
}

/// Looks at a survivor's disk. Damage at the end of its log is cut, as a start
/// of the broker would.
///
/// # Errors
/// Not a replica's disk, or one that cannot be read.
pub async fn survivor<E: Env>(env: &E, config: &BrokerConfig) -> Result<Survivor, StoreError> {
    Ok(look(env, config).await?.survivor)
}

/// Makes a survivor the only member of its cluster, durably. Nodes whose disks
/// were replaced are let in again by it.
///
/// # Errors
/// As [`survivor`].
pub async fn recover_unsafe<E: Env>(
    env: &E,
    config: &BrokerConfig,
) -> Result<Survivor, StoreError> {
    let Looked {
        mut log,
        hard,
        me,
        configuration,
        epoch,
        survivor,
    } = look(env, config).await?;
    let disk = env.disk();
    // Cut short, it is served as neither what it was nor what it shall be.
    let met = Quarantined::read(&disk)
        .await?
        .map_or(0, Quarantined::epoch_number);
    if let failed @ StoreError::Io { .. } = Quarantined::Recovering.store(&disk).await {
        return Err(failed);
    }
    let epoch = Epoch {
        founding: epoch.founding,
        number: epoch.number.max(met) + 1,
        id: env.random_u64(),
    };
    let record = Record {
        members: Vec::new(),
        epoch,
    };
    record.store(&disk).await?;
    let alone = configuration.recovered_by(me);
    let hard = HardState {
        term: hard.term.max(survivor.last.term) + 1,
        vote: Some(me),
        uncertain_tail: None,
    };
    // The term first: no entry is of a later one than the hard state (D1).
    save(env.disk(), hard, true).await?;
    log.stage(EntryKind::Configuration, hard.term, |_, out| {
        out.extend_from_slice(&alone.encode());
        Ok(())
    })?;
    log.close().await?;
    Quarantined::lift(&env.disk()).await?;
    Ok(survivor)
}

struct Looked<E: Env> {
    log: CommitLog<StoreDisk<E>>,
    hard: HardState,
    me: ReplicaId,
    configuration: Configuration,
    epoch: Epoch,
    survivor: Survivor,
}

async fn look<E: Env>(env: &E, config: &BrokerConfig) -> Result<Looked<E>, StoreError> {
    let identity = require(&env.disk(), DiskKind::Replica).await?;
    let record = Record::read(&env.disk(), identity).await?;
    let hard = load(&env.disk()).await?;
    let base = Base::read(&env.disk()).await?.ok_or(StoreError::Blank)?;
    renew(&env.disk(), hard, &record, Some(base.encode().into())).await?;
    let (log, _, hard) = open_log(env, config, base.position, hard).await?;
    let configuration = last_configuration(&log, &base).await?;
    let end = log.tail();
    let survivor = Survivor {
        last: EntryId {
            term: end.term,
            index: end.next_index - 1,
        },
        end_address: end.address,
        applied_index: base.state.applied_index,
        nodes: configuration.seats.keys().copied().collect(),
        is_uncertain: hard.uncertain_tail.is_some(),
    };
    Ok(Looked {
        log,
        hard,
        me: ReplicaId {
            node: identity.node_id,
            disk: identity.disk_id,
        },
        configuration,
        epoch: record.epoch,
        survivor,
    })
}

async fn last_configuration<D: crate::env::Disk>(
    log: &CommitLog<D>,
    base: &Base,
) -> Result<Configuration, StoreError> {
    let Position { mut address, .. } = base.position;
    let mut last = base.state.configuration.clone().unwrap_or_default();
    while address < log.tail().address {
        let batch = log
            .read_batch(address, log.tail().address, STEP_BYTES)
            .await?;
        for entry in &batch.entries {
            if entry.kind == EntryKind::Configuration
                && let Some(configuration) = Configuration::decode(entry.record())
            {
                last = configuration;
            }
        }
        address = batch.next_address;
    }
    Ok(last)
}
