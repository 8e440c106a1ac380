//! From a replica's disk to a replica that may take part.
//!
//! ```text
//!   identity ─▶ hard state ─▶ base ─▶ log ─▶ snapshot, or base ─▶ replay ─▶ core
//!                  │           │       └ in doubt: doubt first, then cut (D12)
//!                  │           └ none: blank, waits to be let in (D14)
//!                  └ none: forgotten, must not take part (D1), but in a preset
//! ```

use bytes::Bytes;

use super::Replica;
use super::condemned::Condemned;
use super::fetch::Fetching;
use super::pieces::Outgoing;
use super::recent::RecentFrames;
use super::saving::{load, load_or_begin_anew, save};
use crate::broker::ages::Ages;
use crate::broker::base::{BASE_FILE, Base};
use crate::broker::change::Change;
use crate::broker::config::{BrokerConfig, FlushDiskType, RaftConfig};
use crate::broker::error::StoreError;
use crate::broker::server::{StoreDisk, store_disk};
use crate::broker::state::AppliedState;
use crate::broker::store::Store;
use crate::env::{Disk, Env, Notice};
use crate::log::{
    CommitLog, FormatError, Identity, OpenError, Position, Recovery, first_disk_id, format_with,
    read_identity,
};
use crate::raft::{
    Configuration, EntryId, HARD_STATE_FILE, HardState, LogView, Raft, ReplicaId, Settings, Start,
};

const NS_PER_MS: u64 = 1_000_000;

/// The nodes that a cluster begins with.
pub type FirstMembers = [u64];

/// Makes a blank disk a replica's. With `first` it is the node's first one, and
/// these nodes are the cluster's first members; without, it replaces another
/// disk or is a new node's, and waits to be let in (D14).
///
/// # Errors
/// See [`FormatError`].
pub async fn format_replica<D: Disk>(
    disk: &D,
    identity: Identity,
    first: Option<&FirstMembers>,
) -> Result<(), FormatError> {
    let hard = HardState::default().encode();
    let mut files: Vec<(&str, &[u8])> = vec![(HARD_STATE_FILE, &hard)];
    let base = first.map(|nodes| first_base(identity.cluster_id, nodes).encode());
    if let Some(base) = &base {
        files.push((BASE_FILE, base));
    }
    format_with(disk, identity, &files).await
}

fn first_base(cluster_id: u64, nodes: &FirstMembers) -> Base {
    let replica = |node: &u64| ReplicaId {
        node: *node,
        disk: first_disk_id(cluster_id, *node),
    };
    let mut state = AppliedState::default();
    state.configuration = Some(Configuration::of_voters(nodes.iter().map(replica)));
    Base {
        position: Position::START,
        state,
    }
}

/// A replica that may take part, and what opening it found, for the operator.
pub(in crate::broker) async fn open<E: Env>(
    env: &E,
    config: &BrokerConfig,
    raft: &RaftConfig,
    rebuild: bool,
) -> Result<(Store<StoreDisk<E>>, Replica, Vec<Notice>), StoreError> {
    let disk = store_disk(env, config);
    let identity = read_identity(&disk).await.map_err(OpenError::from)?;
    if identity.node_id != raft.node_id {
        return Err(StoreError::WrongNode {
            found: identity.node_id,
            wanted: raft.node_id,
        });
    }
    if let Some(condemned) = Condemned::read(&disk).await? {
        return Err(condemned.into());
    }
    let hard = match raft.hard_state_sync {
        true => load(&disk).await?,
        false => load_or_begin_anew(&disk).await?,
    };
    let base = Base::read(&disk).await?;
    let at = base.as_ref().map_or(Position::START, |base| base.position);
    let (log, recovery, hard) = match &base {
        Some(_) => open_log(env, config, at, hard).await?,
        None => open_blank_log(env, config, hard).await?,
    };
    let encoded_base = base
        .as_ref()
        .map_or(Bytes::new(), |base| base.encode().into());
    let holes = log.holes().to_vec();
    let (mut store, mut notices) =
        Store::of_replica(disk.clone(), config, log, &recovery, base, rebuild).await?;
    store.ages = Ages::read(&disk, env.now_ns(), store.state.applied_address).await?;
    // What is behind a hole is told to the core once the hole is filled: before
    // that it is not asked, and says nothing.
    let end = holes.first().map_or(store.log.flushed(), |hole| hole.from);
    let configurations = store.replay_replica(end, holes.is_empty()).await?;
    let start = Start {
        me: ReplicaId {
            node: identity.node_id,
            disk: identity.disk_id,
        },
        settings: settings(config, raft),
        hard,
        log: view_of(&store.log, end),
        configurations,
        commit_index: store.state.applied_index,
        durable_index: end.next_index - 1,
        hole_from: None,
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
        peers: raft.peers.clone(),
        recent: RecentFrames::default(),
        saving: None,
        hard_state_sync: raft.hard_state_sync,
        serves: false,
        fetching: holes.first().map(|hole| Fetching::new(*hole)),
        asked: None,
        scrub_interval_ns: raft.scrub_interval_ms * NS_PER_MS,
        scrub_at_ns: env.now_ns() + raft.scrub_interval_ms * NS_PER_MS,
        scrubbed_address: at.address,
        base: Outgoing::new(encoded_base),
        incoming: None,
    };
    Ok((store, replica, notices))
}

/// Opens the log; where its end is in doubt, the doubt is durable before the
/// log is cut.
pub(super) async fn open_log<E: Env>(
    env: &E,
    config: &BrokerConfig,
    base: Position,
    hard: HardState,
) -> Result<(CommitLog<StoreDisk<E>>, Recovery, HardState), StoreError> {
    let (disk, log_config) = (store_disk(env, config), config.log_config());
    let opened = CommitLog::open_at(disk.clone(), log_config, base, env.random_u64()).await;
    let in_doubt = match opened {
        Ok((log, recovery)) => return Ok((log, recovery, hard)),
        Err(OpenError::InDoubt(in_doubt)) => in_doubt,
        Err(error) => return Err(error.into()),
    };
    let hard = hard.doubting(in_doubt.from.next_index, in_doubt.had_upto_address);
    save(disk.clone(), hard, true).await?;
    let entropy = env.random_u64();
    let (log, recovery) = CommitLog::open_cutting_doubt(disk, log_config, base, entropy).await?;
    Ok((log, recovery, hard))
}

/// Opens the log of a replica without a base: it was never let in, so no entry
/// of it can have been acknowledged, and what does not verify was never one.
/// Doubting would raise its term above that of the leader it waits for.
async fn open_blank_log<E: Env>(
    env: &E,
    config: &BrokerConfig,
    hard: HardState,
) -> Result<(CommitLog<StoreDisk<E>>, Recovery, HardState), StoreError> {
    let disk = store_disk(env, config);
    let (config, entropy) = (config.log_config(), env.random_u64());
    let opened = CommitLog::open_cutting_doubt(disk, config, Position::START, entropy).await;
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

/// The log below `end`.
fn view_of<D: Disk>(log: &CommitLog<D>, end: Position) -> LogView {
    let base = log.base();
    let before = EntryId {
        term: base.term,
        index: base.next_index - 1,
    };
    let mut runs = log.term_runs();
    runs.retain(|(first_index, _)| *first_index < end.next_index);
    LogView::new(before, runs, end.next_index - 1)
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
