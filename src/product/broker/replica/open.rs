//! From a replica's disk to a replica that may take part.
//!
//! ```text
//!   identity ─▶ hard state ─▶ base ─▶ log ─▶ snapshot, or base ─▶ replay ─▶ core
//!                  │           │       └ uncertain: uncertain tail first, then cut (D12)
//!                  │           └ none: blank, waits to be let in (D14)
//!                  └ none: forgotten, must not take part (D1), but in a preset
//! ```

use bytes::Bytes;

use super::Replica;
use super::behind::Behind;
use super::cursors::Cursors;
use super::fetch::Fetching;
use super::pieces::Outgoing;
use super::quarantined::Quarantined;
use super::recent::RecentFrames;
use super::saving::{load, load_or_begin_anew, renew, save};
use super::scrub::ROUND_BYTES;
use super::waits::Waits;
use crate::broker::ages::Ages;
use crate::broker::base::Base;
use crate::broker::change::Change;
use crate::broker::closed::store_disk;
use crate::broker::config::{BrokerConfig, FlushDiskType, RaftConfig};
use crate::broker::error::StoreError;
use crate::broker::founding::{FOUNDING_FILE, Record};
use crate::broker::kind::require;
use crate::broker::server::StoreDisk;
use crate::broker::store::Store;
use crate::env::{Disk, Env, Notice};
use crate::log::{
    CommitLog, DiskKind, FormatError, Hole, Identity, OpenError, Position, Recovery, format_with,
};
use crate::raft::{
    Configuration, EntryId, Epoch, HARD_STATE_FILE, HardState, LogView, Raft, ReplicaId, Settings,
    Start, Unreadable,
};

const NS_PER_MS: u64 = 1_000_000;

/// The nodes that a cluster begins with.
pub type FirstMembers = [u64];

/// Makes a blank disk a replica's. With `first` the cluster is to begin with these
/// nodes, this one among them: it is founded once all of them are there, and where
/// there is a cluster already the disk is a replacement all the same. Without, it
/// replaces another disk or is a new node's, and waits to be let in (D14).
///
/// # Errors
/// See [`FormatError`].
pub async fn format_replica<D: Disk>(
    disk: &D,
    identity: Identity,
    first: Option<&FirstMembers>,
) -> Result<(), FormatError> {
    let hard = HardState::default().encode();
    let mut members = first.unwrap_or_default().to_vec();
    members.sort_unstable();
    let record = Record {
        members,
        epoch: Epoch::default(),
    };
    let record = record.encode();
    let files: [(&str, &[u8]); 2] = [(HARD_STATE_FILE, &hard), (FOUNDING_FILE, &record)];
    let kind = Some(DiskKind::Replica);
    format_with(disk, Identity { kind, ..identity }, &files).await
}

/// A replica that may take part, and what opening it found, for the operator.
pub(in crate::broker) async fn open<E: Env>(
    env: &E,
    config: &BrokerConfig,
    raft: &RaftConfig,
    rebuild: bool,
) -> Result<(Store<StoreDisk<E>>, Replica, Vec<Notice>), StoreError> {
    let disk = store_disk(env, config);
    let identity = require(&disk, DiskKind::Replica).await?;
    if identity.node_id != raft.node_id {
        return Err(StoreError::WrongNode {
            found: identity.node_id,
            wanted: raft.node_id,
        });
    }
    Quarantined::heed(&disk).await?;
    let hard = match raft.hard_state_sync {
        true => load(&disk).await?,
        false => load_or_begin_anew(&disk).await?,
    };
    let record = Record::read(&disk, identity).await?;
    let base = Base::read(&disk).await?;
    let encoded_base = base.as_ref().map(|base| Bytes::from(base.encode()));
    if raft.hard_state_sync {
        renew(&disk, hard, &record, encoded_base.clone()).await?;
    }
    let at = base.as_ref().map_or(Position::START, |base| base.position);
    let (log, recovery, hard) = match &base {
        Some(_) => open_log(env, config, at, hard).await?,
        None => open_blank_log(env, config, hard).await?,
    };
    let is_blank = base.is_none();
    let holes = log.holes().to_vec();
    let (mut store, mut notices) =
        Store::of_replica(disk.clone(), config, log, &recovery, base, rebuild).await?;
    store.ages = Ages::read(&disk, env.now_ns(), store.state.applied_address).await?;
    if let Some(hole) = holes.first()
        && raft.peers.keys().all(|node| *node == identity.node_id)
    {
        return Err(StoreError::NobodyToAsk {
            from_index: hole.from.next_index,
            upto_index: hole.upto.next_index,
            address: hole.from.address,
        });
    }
    // Entries behind a hole are applied once the hole is filled; until then the core
    // only answers for it.
    let end = holes.first().map_or(store.log.flushed(), |hole| hole.from);
    let configurations = store.replay_replica(end, holes.is_empty()).await?;
    let start = Start {
        me: ReplicaId {
            node: identity.node_id,
            disk: identity.disk_id,
        },
        settings: settings(config, raft),
        hard,
        log: view_of(&store.log),
        configurations,
        commit_index: store.state.applied_index,
        durable_index: end.next_index - 1,
        holes: holes.iter().map(unreadable).collect(),
        peers: raft.peers.keys().copied().collect(),
        now_ns: env.now_ns(),
        entropy: env.random_u64(),
    };
    if let Some(hole) = holes.first() {
        notices.push(Notice::EntriesDamaged {
            from_index: hole.from.next_index,
            upto_index: hole.upto.next_index,
        });
    }
    let me = start.me;
    let core = Raft::new(start);
    let replica = Replica {
        me,
        votes: core.configuration().is_voter(me),
        raft: core,
        cluster_id: identity.cluster_id,
        members: record.members,
        epoch: match is_blank {
            true => Epoch::default(),
            false => record.epoch,
        },
        peers: raft.peers.clone(),
        recent: RecentFrames::new(config.recent_bytes),
        cursors: Cursors::default(),
        behind: Behind::default(),
        saving: None,
        hard_state_sync: raft.hard_state_sync,
        serves: false,
        fetching: holes.first().map(|hole| Fetching::new(*hole)),
        asked: None,
        scrub_interval_ns: raft.scrub_interval_ms * NS_PER_MS,
        scrub_at_ns: env.now_ns() + raft.scrub_interval_ms * NS_PER_MS,
        scrub_left_bytes: ROUND_BYTES,
        scrubbed_address: at.address,
        base: Outgoing::new(encoded_base.unwrap_or_default()),
        incoming: None,
        waits: Waits::since(env.now_ns()),
    };
    Ok((store, replica, notices))
}

/// Opens the log; where its end is uncertain, the uncertain tail is durable before the
/// log is cut.
pub(super) async fn open_log<E: Env>(
    env: &E,
    config: &BrokerConfig,
    base: Position,
    hard: HardState,
) -> Result<(CommitLog<StoreDisk<E>>, Recovery, HardState), StoreError> {
    let (disk, log_config) = (store_disk(env, config), config.log_config());
    let opened = CommitLog::open_at(disk.clone(), log_config, base, env.random_u64()).await;
    let is_uncertain = match opened {
        Ok((log, recovery)) => return Ok((log, recovery, hard)),
        Err(OpenError::TailUncertain(is_uncertain)) => is_uncertain,
        Err(error) => return Err(error.into()),
    };
    let hard = hard.is_uncertain(is_uncertain.from.next_index, is_uncertain.had_upto_address);
    save(disk.clone(), hard, true).await?;
    let entropy = env.random_u64();
    let (log, recovery) =
        CommitLog::open_cutting_uncertain_tail(disk, log_config, base, entropy).await?;
    Ok((log, recovery, hard))
}

/// Opens the log of a replica without a base: it was never let in, so no entry
/// of it can have been acknowledged, and what does not verify was never one.
/// To call it uncertain would raise its term above that of the leader it waits for.
async fn open_blank_log<E: Env>(
    env: &E,
    config: &BrokerConfig,
    hard: HardState,
) -> Result<(CommitLog<StoreDisk<E>>, Recovery, HardState), StoreError> {
    let disk = store_disk(env, config);
    let (config, entropy) = (config.log_config(), env.random_u64());
    let opened =
        CommitLog::open_cutting_uncertain_tail(disk, config, Position::START, entropy).await;
    let (log, recovery) = opened?;
    Ok((log, recovery, hard))
}

fn settings(config: &BrokerConfig, raft: &RaftConfig) -> Settings {
    Settings {
        heartbeat_ns: raft.heartbeat_ms * NS_PER_MS,
        election_timeout_ns: raft.election_timeout_ms * NS_PER_MS,
        own_sync_timeout_ns: raft.own_sync_timeout_ms * NS_PER_MS,
        preferred: raft.preferred_leader,
        promises_durable: raft.hard_state_sync && config.flush_disk_type == FlushDiskType::Sync,
        ..Settings::default()
    }
}

/// The log up to what is durable. In a hole, and behind one where a base took the
/// place of what was before it, terms are those below where they are not known.
fn view_of<D: Disk>(log: &CommitLog<D>) -> LogView {
    let base = log.base();
    let before = EntryId {
        term: base.term,
        index: base.next_index - 1,
    };
    let mut runs = log.term_runs();
    let end = log.flushed();
    runs.retain(|(first_index, _)| *first_index < end.next_index);
    if log.first_hole().is_some() {
        ascend(&mut runs, before, end.next_index);
    }
    LogView::new(before, runs, end.next_index - 1)
}

/// Makes the runs of a log with holes begin behind `base` and ascend.
fn ascend(runs: &mut Vec<(u64, u64)>, base: EntryId, end_index: u64) {
    let first_index = base.index + 1;
    let told_from = runs.first().map_or(end_index, |(index, _)| *index);
    if first_index < told_from {
        runs.insert(0, (first_index, base.term));
    }
    let mut highest = None;
    runs.retain_mut(|(_, term)| {
        *term = base.term.max(*term);
        let rises = highest.is_none_or(|highest| *term > highest);
        highest = highest.max(Some(*term));
        rises
    });
}

fn unreadable(hole: &Hole) -> Unreadable {
    Unreadable {
        from_index: hole.from.next_index,
        upto_index: hole.upto.next_index,
        hash: hole.upto.hash,
    }
}

impl<D: Disk> Store<D> {
    /// Notes everything above what is applied, without applying it: whether it
    /// is committed, only the cluster knows. Gives the configurations on the
    /// way, that of the applied state first.
    async fn replay_replica(
        &mut self,
        end: Position,
        whole: bool,
    ) -> Result<Vec<(u64, Configuration)>, StoreError> {
        let mut configurations = Vec::new();
        if let Some(applied) = &self.state.configuration {
            configurations.push((self.state.applied_index, applied.clone()));
        }
        self.committed_address = self.state.applied_address;
        self.whole = whole;
        self.note_upto(end.address).await?;
        for entry in &self.unapplied {
            if let Change::Configuration(configuration) = &entry.change {
                configurations.push((entry.index, configuration.clone()));
            }
        }
        Ok(configurations)
    }
}

#[cfg(test)]
mod tests {
    use super::{EntryId, LogView, ascend};

    #[test]
    fn the_runs_of_a_log_with_holes_ascend_from_its_base() {
        for (mut runs, expected) in [
            (vec![(6, 3), (8, 5)], vec![(6, 3), (8, 5)]),
            (vec![(6, 1), (8, 2), (9, 5)], vec![(6, 3), (9, 5)]),
            (vec![(6, 4), (8, 4), (9, 3)], vec![(6, 4)]),
            (vec![(8, 4)], vec![(6, 3), (8, 4)]),
            (vec![(8, 2)], vec![(6, 3)]),
            (vec![], vec![(6, 3)]),
        ] {
            let base = EntryId { term: 3, index: 5 };
            ascend(&mut runs, base, 10);
            assert_eq!(LogView::new(base, runs.clone(), 9).last().index, 9);
            assert_eq!(runs, expected);
        }
    }
}
