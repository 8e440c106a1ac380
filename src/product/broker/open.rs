//! Opening a store: the log first, then what is derived from it.
//!
//! ```text
//!   log recovery ──▶ snapshot of the state ──▶ queues up to the snapshot
//!                                                     │
//!                    entries above the snapshot ──────┘ applied again
//! ```
//!
//! The derived parts are never trusted beyond the snapshot, and the snapshot
//! never beyond the log: whatever is uncertain is made again from the log.

use super::base::Base;
use super::change::{Change, Unapplied};
use super::config::{BrokerConfig, Replication};
use super::error::StoreError;
use super::kind::{disk_kind, require};
use super::snapshot::decode_in_parts;
use super::state::{AppliedState, QueueTails};
use super::store::Store;
use super::topics::{Topics, open_queues};
use crate::env::{Disk, FoundEnd, FoundTail, MadeFrom, Notice, Stop, yield_once};
use crate::log::{
    AtomicFile, CommitLog, DiskKind, Entry, LogConfig, OpenError, QueueTail, SalvageError,
    SalvageReport, read_atomic_file, remove_atomic_file,
};
use crate::log::{CopiedTail, LogEnd, Recovery};

/// The file that holds the snapshot of the applied state.
pub const STATE_FILE: &str = "state";

impl BrokerConfig {
    /// The part of it that is for the log.
    pub fn log_config(&self) -> LogConfig {
        LogConfig {
            segment_bytes: self.segment_bytes,
            reserve_bytes: self.reserve_bytes,
            replicated: matches!(self.replication, Replication::Raft(_)),
            sizes: self.sizes.log,
        }
    }
}

impl<D: Disk> Store<D> {
    /// Opens the store on a formatted disk. With `rebuild`, everything derived
    /// is made anew. The notices say what was found, for the operator.
    ///
    /// # Errors
    /// The log is corrupt or not this disk's; or the disk failed.
    pub(crate) async fn open(
        disk: D,
        config: &BrokerConfig,
        entropy: u64,
        rebuild: bool,
    ) -> Result<(Self, Vec<Notice>), StoreError> {
        require(&disk, DiskKind::Single).await?;
        let base = Base::renewed_single(&disk).await?;
        let (position, log_config) = (base.position, config.log_config());
        let (log, recovery) =
            CommitLog::open_at(disk.clone(), log_config, position, entropy).await?;
        if log.tail().term > 0 {
            // Alone, a broker writes in term 0; in one that falls nothing is written.
            let identity = log.identity();
            return Err(StoreError::WrongKind {
                kind: DiskKind::Replica,
                cluster_id: identity.cluster_id,
                node_id: identity.node_id,
            });
        }
        let mut notices = log_opened(&recovery);
        let snapshot = match rebuild {
            true => None,
            false => read_snapshot(&disk, &mut notices).await?,
        };
        let log_end = log.flushed().address;
        if let Some((state, _)) = &snapshot
            && state.applied_address > log_end
        {
            return Err(StoreError::LogBehindState {
                log_end,
                applied: state.applied_address,
                path: STATE_FILE,
            });
        }
        let from = match base.position.address {
            0 => MadeFrom::Log,
            _ => MadeFrom::Base,
        };
        let found = (snapshot, Some(base));
        let mut store = Self::on_base(disk, config, log, found, (from, &mut notices)).await?;
        store.replay().await?;
        Ok((store, notices))
    }

    /// A replica's store: its applied state is the snapshot, or, where that is
    /// of no use, the base.
    pub(super) async fn of_replica(
        disk: D,
        config: &BrokerConfig,
        log: CommitLog<D>,
        recovery: &Recovery,
        base: Option<Base>,
        rebuild: bool,
    ) -> Result<(Self, Vec<Notice>), StoreError> {
        let mut notices = log_opened(recovery);
        let snapshot = match rebuild {
            true => None,
            false => read_snapshot(&disk, &mut notices).await?,
        };
        let found = (snapshot, base);
        let store = Self::on_base(disk, config, log, found, (MadeFrom::Base, &mut notices)).await?;
        Ok((store, notices))
    }

    /// A store whose applied state is the snapshot, or, where that is of no use, the
    /// base.
    async fn on_base(
        disk: D,
        config: &BrokerConfig,
        log: CommitLog<D>,
        (snapshot, base): (Option<(AppliedState, QueueTails)>, Option<Base>),
        (from, notices): (MadeFrom, &mut Vec<Notice>),
    ) -> Result<Self, StoreError> {
        // One from before an installed base, or of entries that rotted since,
        // describes another log. One that ends where the base does says no more
        // than the base; that of a disk that was blank says less.
        let (base_address, log_end) = (log.base().address, log.flushed().address);
        let is_of_log =
            |state: &AppliedState| (base_address + 1..=log_end).contains(&state.applied_address);
        let mut snapshot = snapshot.filter(|(state, _)| is_of_log(state));
        if let (Some((_, tails)), Some(base)) = (&mut snapshot, &base) {
            raise_to(base, tails);
        }
        let from_base = || {
            let state = base
                .as_ref()
                .map_or_else(AppliedState::default, |base| base.state.clone());
            let tails = state.queue_beginnings();
            (state, tails)
        };
        let (state, tails) = snapshot.unwrap_or_else(from_base);
        let (state, topics) = match open_topics(&disk, &tails, config.sizes.queue_file_entries)
            .await
        {
            Ok(topics) => (state, topics),
            Err(why) => {
                notices.push(Notice::DerivedUnreadable {
                    why: why.to_string(),
                    from,
                });
                let (state, tails) = from_base();
                let topics = open_topics(&disk, &tails, config.sizes.queue_file_entries).await?;
                (state, topics)
            }
        };
        let mut store = Self::new(disk, config.clone(), log, state, topics);
        store.base = base;
        Ok(store)
    }

    /// Applies what the log has above the snapshot.
    async fn replay(&mut self) -> Result<(), StoreError> {
        let end = self.log.flushed().address;
        while self.state.applied_address < end {
            self.note_batch(end).await?;
            self.apply()?;
            self.write_if_much().await?;
        }
        Ok(())
    }

    /// Notes what the entries above the applied ones will do, up to an address.
    pub(super) async fn note_upto(&mut self, end: u64) -> Result<(), StoreError> {
        while self.noted_address() < end {
            self.note_batch(end).await?;
        }
        Ok(())
    }

    fn noted_address(&self) -> u64 {
        let last = self.unapplied.back();
        last.map_or(self.state.applied_address, |last| last.end_address)
    }

    async fn note_batch(&mut self, end: u64) -> Result<(), StoreError> {
        let from = self.noted_address();
        let batch = self
            .log
            .read_batch(from, end, self.config.slice_bytes)
            .await?;
        for entry in batch.entries {
            let change = self.change_of(&entry).await?;
            self.awaits_commit(Unapplied {
                index: entry.index,
                end_address: entry.end_address,
                change,
            });
        }
        Ok(())
    }

    /// The change that an entry will make; queues are as if it had been done.
    pub(super) async fn change_of(&mut self, entry: &Entry) -> Result<Change, StoreError> {
        let change = Change::of(entry, |topic| self.topics.shared_name(topic))?;
        match &change {
            Change::Topic(config) => {
                let empty = vec![QueueTail::default(); config.queues as usize];
                let file_entries = self.config.sizes.queue_file_entries;
                let queues = open_queues(&self.disk, &config.topic, &empty, file_entries)?;
                self.topics.add(&config.topic, queues);
            }
            Change::Message(message) => {
                let (topic, queue_id) = (&message.topic, message.queue_id);
                let queue = self.topics.queue_mut(topic, queue_id);
                let queue = queue.ok_or_else(|| StoreError::Inconsistent {
                    address: entry.address,
                    what: format!("there is no queue {queue_id} of topic {topic}"),
                })?;
                queue.next_offset = message.queue_offset + 1;
            }
            _ => {}
        }
        Ok(change)
    }
}

/// Notices of how the log was opened.
fn log_opened(recovery: &Recovery) -> Vec<Notice> {
    let stop = match recovery.clean {
        true => Stop::Clean,
        false => Stop::Crash,
    };
    let end = match &recovery.end {
        LogEnd::Clean => FoundEnd::Clean,
        LogEnd::Ambiguous {
            address,
            path,
            position,
            flaw,
        } => FoundEnd::Cut {
            address: *address,
            path: path.clone(),
            position: *position,
            flaw: flaw.to_string(),
        },
    };
    let copied = match recovery.copied {
        None => FoundTail::Durable,
        Some(CopiedTail {
            from_address,
            upto_address,
            entries,
        }) => FoundTail::Copied {
            from_address,
            upto_address,
            entries,
        },
    };
    let opened = Notice::LogOpened { stop, end, copied };
    let strays = recovery.strays.iter().map(|stray| Notice::StrayFile {
        what: stray.to_string(),
    });
    [opened].into_iter().chain(strays).collect()
}

async fn read_snapshot<D: Disk>(
    disk: &D,
    notices: &mut Vec<Notice>,
) -> Result<Option<(AppliedState, QueueTails)>, StoreError> {
    let read = read_atomic_file(disk, STATE_FILE).await;
    let read = read.map_err(|source| StoreError::Io {
        doing: "reading the state",
        source,
    })?;
    let decoded = match read {
        AtomicFile::Missing => return Ok(None),
        AtomicFile::Corrupt { why } => Err(why),
        AtomicFile::Whole(payload) => decode_in_parts(&payload).await,
    };
    Ok(decoded
        .map_err(|why| {
            notices.push(Notice::StateUnreadable {
                path: STATE_FILE,
                why,
            });
        })
        .ok())
}

/// Files of what has expired since a snapshot may be gone.
fn raise_to(base: &Base, tails: &mut QueueTails) {
    for (topic, tails) in tails {
        let starts = base.state.topic(topic).unwrap_or_default();
        for (tail, start) in tails.iter_mut().zip(starts) {
            tail.first_offset = tail.first_offset.max(*start);
        }
    }
}

async fn open_topics<D: Disk>(
    disk: &D,
    tails: &QueueTails,
    file_entries: u64,
) -> Result<Topics<D>, StoreError> {
    let mut topics = Topics::default();
    for (topic, tails) in tails {
        topics.add(topic, open_queues(disk, topic, tails, file_entries)?);
        yield_once().await;
    }
    Ok(topics)
}

/// The operator's explicit way past a log that is corrupt below what had been
/// synced: keeps what is below the first corrupt record, gives up the rest, and
/// makes everything derived anew. `None` where the log itself was sound.
///
/// # Errors
/// The disk's, or a log that nothing can be salvaged from.
pub async fn salvage<D: Disk>(
    disk: &D,
    config: &BrokerConfig,
    entropy: u64,
) -> Result<Option<SalvageReport>, SalvageError> {
    let kind = disk_kind(disk).await.map_err(|why| match why {
        StoreError::Open(why) => why,
        why => OpenError::Io {
            doing: "looking what the disk was formatted as",
            source: std::io::Error::other(why),
        },
    })?;
    if kind.1 == DiskKind::Replica {
        return Err(SalvageError::OfReplica);
    }
    let base = Base::renewed_single(disk)
        .await
        .map_err(|why| OpenError::Io {
            doing: "reading the base, and storing it once more",
            source: std::io::Error::other(why),
        })?;
    let (position, log_config) = (base.position, config.log_config());
    let report = match crate::log::salvage(disk.clone(), log_config, position, entropy).await {
        Ok(report) => Some(report),
        Err(SalvageError::NotCorrupt) => None,
        Err(error) => return Err(error),
    };
    let removed = remove_atomic_file(disk, STATE_FILE).await;
    let doing = "removing the state, which is made again";
    removed.map_err(|source| OpenError::Io { doing, source })?;
    Ok(report)
}
