//! The store of a broker: the commit log, and everything derived from it.
//!
//! ```text
//!   append ──▶ commit log ──▶ read limit ──▶ apply ──▶ state, consume queues
//!              (tentative           │                    (what clients see)
//!               queue offsets)      └ flushed (sync), appended (async),
//!                                     or committed (Raft)
//! ```
//!
//! Promise: nothing is applied beyond the read limit, so nothing is served that
//! could still vanish by what the configuration allows; queue offsets are a
//! function of the log (D20).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use super::ages::Ages;
use super::base::Base;
use super::change::{Change, MessageChange, Unapplied};
use super::config::{BrokerConfig, FlushDiskType, Replication};
use super::effect::Effect;
use super::entries::{Expire, OffsetCommit, TopicConfig};
use super::error::{AppendError, StoreError};
use super::names::{is_brokers_own, queues_of_new};
use super::producers::{Origin, Sent, Stored};
use super::state::AppliedState;
use super::topics::{Topics, open_queues};
use super::transactions::Decision;
use super::{delays, transactions};
use crate::env::Disk;
use crate::log::{CommitLog, LogError, QueueTail, Staged};
use crate::raft::Configuration;
use crate::record::{EntryKind, Message};
use crate::remoting::retry::RETRY_PREFIX;

/// A message as a producer handed it over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewMessage<'a> {
    pub(crate) topic: &'a str,
    /// Negative leaves the choice to the broker.
    pub(crate) queue_id: i32,
    pub(crate) flag: u32,
    pub(crate) sys_flag: u32,
    pub(crate) born_timestamp_ms: u64,
    pub(crate) born_host: SocketAddr,
    pub(crate) store_timestamp_ms: u64,
    pub(crate) reconsume_times: u32,
    /// Log address of the half message that this one decides, or is about, or of
    /// the scheduled one that it delivers; 0 for any other.
    pub(crate) prepared_transaction_offset: u64,
    pub(crate) properties: &'a str,
    pub(crate) body: &'a [u8],
}

/// Where a message was appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appended {
    pub(crate) staged: Staged,
    pub(crate) queue_id: u32,
    pub(crate) queue_offset: u64,
}

/// An entry that the core of a leading replica was not told of yet.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) staged: Staged,
    pub(super) configuration: Option<Configuration>,
}

/// See the module.
pub(crate) struct Store<D: Disk> {
    pub(super) disk: D,
    pub(super) config: BrokerConfig,
    pub(crate) log: CommitLog<D>,
    pub(crate) state: AppliedState,
    pub(super) topics: Topics<D>,
    pub(super) unapplied: VecDeque<Unapplied>,
    /// The term of what is appended: of a replica that leads. A single broker's
    /// entries are all of term 0.
    pub(super) term: u64,
    /// Of a replica: one past the last address that is committed.
    pub(super) committed_address: u64,
    /// Of a replica: what was staged and not proposed yet.
    pub(super) fresh: Vec<Fresh>,
    /// The messages of producers in the unapplied entries (D19).
    pub(super) tentative: BTreeMap<Origin, Stored>,
    /// Of a replica: where its log begins.
    pub(super) base: Option<Base>,
    /// Since when it has what.
    pub(super) ages: Ages,
    /// One past the applied entry that says what has expired.
    pub(super) expire_end_address: u64,
    /// Whether all entries that are to be applied are known, up to the log's end. A hole
    /// in the log hides them (D12).
    pub(super) whole: bool,
    /// Transactions that an entry above the applied ones decides, by the log
    /// address of their half messages (D21).
    pub(super) deciding: BTreeMap<u64, Decision>,
    /// Scheduled messages that an entry above the applied ones delivers, by log
    /// address (D29).
    pub(super) delivering: BTreeSet<u64>,
    /// Queues that got entries which are not written yet.
    touched: Vec<(Arc<str>, u32)>,
    /// Entries that the queues got since the last snapshot.
    pub(super) unwritten: usize,
    round_robin: u64,
}

impl<D: Disk> Store<D> {
    /// A store whose derived parts are at `state`, with nothing unapplied.
    pub(super) fn new(
        disk: D,
        config: BrokerConfig,
        log: CommitLog<D>,
        state: AppliedState,
        topics: Topics<D>,
    ) -> Self {
        Self {
            disk,
            config,
            log,
            state,
            topics,
            unapplied: VecDeque::new(),
            term: 0,
            committed_address: 0,
            fresh: Vec::new(),
            tentative: BTreeMap::new(),
            base: None,
            ages: Ages::default(),
            expire_end_address: 0,
            whole: true,
            deciding: BTreeMap::new(),
            delivering: BTreeSet::new(),
            touched: Vec::new(),
            unwritten: 0,
            round_robin: 0,
        }
    }

    /// One past the last log address that may be served. Entries that a majority holds
    /// while this replica begins a segment are committed, and cannot be read here before
    /// they are written.
    pub(crate) fn read_limit(&self) -> u64 {
        match (&self.config.replication, self.config.flush_disk_type) {
            (Replication::Raft(_), _) => self.committed_address.min(self.log.appended().address),
            (Replication::None, FlushDiskType::Sync) => self.log.flushed().address,
            (Replication::None, FlushDiskType::Async) => self.log.appended().address,
        }
    }

    /// How many queues a topic has, as the next append sees it.
    pub(crate) fn queue_count(&self, topic: &str) -> Option<u32> {
        self.topics
            .get(topic)
            .map(|topic| topic.queues.len() as u32)
    }

    /// Stages a message; its topic is made with the default number of queues
    /// where there is none.
    pub(crate) async fn append_message(
        &mut self,
        message: NewMessage<'_>,
    ) -> Result<Appended, AppendError> {
        let queue_id = self.make_queue(message.topic, message.queue_id).await?;
        let store_host = self.config.listen;
        let topic = self
            .topics
            .get_mut(message.topic)
            .expect("made above where it was missing");
        let queue = &mut topic.queues[queue_id as usize];
        let queue_offset = queue.next_offset;
        let record = |address| Message {
            queue_id,
            flag: message.flag,
            queue_offset,
            physical_offset: address,
            sys_flag: message.sys_flag,
            born_timestamp_ms: message.born_timestamp_ms,
            born_host: message.born_host,
            store_timestamp_ms: message.store_timestamp_ms,
            store_host,
            reconsume_times: message.reconsume_times,
            prepared_transaction_offset: message.prepared_transaction_offset,
            body: message.body,
            topic: message.topic,
            properties: message.properties,
        };
        let mut record_bytes = 0;
        let staged = self
            .log
            .stage(EntryKind::Message, self.term, |address, out| {
                let before = out.len();
                record(address).encode(out)?;
                record_bytes = (out.len() - before) as u32;
                Ok(())
            })?;
        let written = record(staged.address);
        let name = topic.name.clone();
        let change = MessageChange::of(&written, name, staged.address, record_bytes);
        queue.next_offset += 1;
        let change = Change::Message(change);
        self.staged(staged, change);
        Ok(Appended {
            staged,
            queue_id,
            queue_offset,
        })
    }

    /// The queue that a message is to go to; its topic is made where there is
    /// none.
    pub(super) async fn make_queue(
        &mut self,
        topic: &str,
        wanted: i32,
    ) -> Result<u32, AppendError> {
        // The queue first: a send to a queue that cannot be makes no topic.
        let queue_id = self.choose_queue(topic, wanted)?;
        self.have_topic(topic).await?;
        Ok(queue_id)
    }

    /// Whether a message of that origin was stored before.
    pub(super) fn sent_before(&self, origin: &Origin) -> Sent {
        let appended = self.tentative.get(origin);
        match self.state.producers.look(origin) {
            Sent::Never => appended.map_or(Sent::Never, |stored| Sent::Appended(*stored)),
            known => known,
        }
    }

    /// An entry was appended, or read from the log above what is applied.
    fn note_tentative(&mut self, change: &Change) {
        if let Some((origin, stored)) = change.sent() {
            self.tentative.entry(origin.clone()).or_insert(stored);
        }
        match change.effect() {
            Some(Effect::Transaction(transactions::TransactionEffect::Decided {
                half_address,
                outcome,
            })) => {
                self.deciding.insert(*half_address, *outcome);
            }
            Some(Effect::Delay(delays::DelayEffect::Delivered { scheduled_address })) => {
                self.delivering.insert(*scheduled_address);
            }
            _ => {}
        }
    }

    /// An entry is applied, or taken back.
    pub(super) fn forget_tentative(&mut self, change: &Change) {
        if let Some((origin, stored)) = change.sent()
            && self.tentative.get(origin) == Some(&stored)
        {
            self.tentative.remove(origin);
        }
        match change.effect() {
            Some(Effect::Transaction(transactions::TransactionEffect::Decided {
                half_address,
                ..
            })) => {
                self.deciding.remove(half_address);
            }
            Some(Effect::Delay(delays::DelayEffect::Delivered { scheduled_address })) => {
                self.delivering.remove(scheduled_address);
            }
            _ => {}
        }
    }

    /// Stages a group's offset.
    pub(crate) fn append_offset(&mut self, commit: OffsetCommit) -> Result<Staged, AppendError> {
        let staged = self
            .log
            .stage(EntryKind::OffsetCommit, self.term, |_, out| {
                commit.encode(out);
                Ok(())
            })?;
        self.staged(staged, Change::Offset(commit));
        Ok(staged)
    }

    /// Stages a topic, where there is none of that name.
    pub(super) async fn have_topic(&mut self, topic: &str) -> Result<(), AppendError> {
        if self.topics.get(topic).is_some() {
            return Ok(());
        }
        self.has_room_for_topic(topic)?;
        let queues = self.queues_of_new(topic);
        let config = TopicConfig {
            topic: topic.to_owned(),
            queues,
        };
        let empty = vec![QueueTail::default(); queues as usize];
        let opened = open_queues(
            &self.disk,
            topic,
            &empty,
            self.config.sizes.queue_file_entries,
        )?;
        let staged = self
            .log
            .stage(EntryKind::TopicConfig, self.term, |_, out| {
                config.encode(out);
                Ok(())
            })?;
        self.topics.add(topic, opened);
        self.staged(staged, Change::Topic(config));
        Ok(())
    }

    /// Clients make so many topics; retries and dead letters of what is in them
    /// still find room.
    fn has_room_for_topic(&self, topic: &str) -> Result<(), AppendError> {
        let topics = self.config.bounds.topics;
        let most = match is_brokers_own(topic) || topic.starts_with(RETRY_PREFIX) {
            true => topics.saturating_mul(2),
            false => topics,
        };
        match self.topics.count() < most {
            true => Ok(()),
            false => Err(AppendError::Full {
                what: "topics",
                most,
            }),
        }
    }

    /// Stages an entry that no client asked for.
    pub(super) fn append_own(
        &mut self,
        kind: EntryKind,
        configuration: Option<Configuration>,
    ) -> Result<Staged, LogError> {
        let payload = configuration.as_ref().map(Configuration::encode);
        let staged = self.log.stage(kind, self.term, |_, out| {
            out.extend_from_slice(payload.as_deref().unwrap_or_default());
            Ok(())
        })?;
        let change = configuration.map_or(Change::Nothing, Change::Configuration);
        self.staged(staged, change);
        Ok(staged)
    }

    /// Stages the leader's decision that what is below an address has expired.
    pub(super) fn append_expire(&mut self, expire: Expire) -> Result<(), LogError> {
        let staged = self.log.stage(EntryKind::Expire, self.term, |_, out| {
            expire.encode(out);
            Ok(())
        })?;
        self.staged(staged, Change::Expire(expire));
        Ok(())
    }

    /// Notes what an entry will do, and that the core is to hear of it.
    fn staged(&mut self, staged: Staged, change: Change) {
        if matches!(self.config.replication, Replication::Raft(_)) {
            let configuration = match &change {
                Change::Configuration(configuration) => Some(configuration.clone()),
                _ => None,
            };
            self.fresh.push(Fresh {
                staged,
                configuration,
            });
        }
        self.awaits_commit(Unapplied::new(staged, change));
    }

    /// An entry of the log that is applied once the read limit covers it.
    pub(super) fn awaits_commit(&mut self, entry: Unapplied) {
        self.note_tentative(&entry.change);
        self.unapplied.push_back(entry);
    }

    /// Everything up to `index` is committed: it may be applied and served.
    pub(super) fn commit(&mut self, index: u64) {
        let Some(first) = self.unapplied.front() else {
            return;
        };
        // Entries that a hole hides are applied once it is filled.
        let last = self.unapplied.len() as u64 + first.index - 1;
        if let Some(ahead) = index.min(last).checked_sub(first.index) {
            let entry = &self.unapplied[ahead as usize];
            assert_eq!(
                entry.index,
                first.index + ahead,
                "entries wait without a gap"
            );
            self.committed_address = self.committed_address.max(entry.end_address);
        }
    }

    /// Where the log begins.
    ///
    /// # Panics
    /// This is no replica, or a blank one.
    pub(super) fn base(&self) -> &Base {
        self.base
            .as_ref()
            .expect("only a replica that has a base is asked")
    }

    /// Whether everything committed is applied.
    pub(super) fn is_applied(&self) -> bool {
        self.whole && self.state.applied_address >= self.committed_address
    }

    /// How many queues a topic would begin with.
    pub(super) fn queues_of_new(&self, topic: &str) -> u32 {
        queues_of_new(topic, self.config.default_topic_queue_nums)
    }

    pub(super) fn choose_queue(&mut self, topic: &str, wanted: i32) -> Result<u32, AppendError> {
        let queues = self.queue_count(topic).unwrap_or(self.queues_of_new(topic));
        let Ok(wanted) = u32::try_from(wanted) else {
            self.round_robin += 1;
            return Ok((self.round_robin % u64::from(queues.max(1))) as u32);
        };
        if wanted >= queues {
            return Err(AppendError::NoSuchQueue {
                queue_id: wanted,
                queues,
            });
        }
        Ok(wanted)
    }

    /// Whether an entry may be applied and is not.
    pub(super) fn has_more(&self) -> bool {
        let next = self.unapplied.front();
        next.is_some_and(|next| next.end_address <= self.read_limit())
    }

    /// Applies entries up to the read limit, as many as one step may take: state
    /// first, then queues. Returns whether any queue grew.
    pub(crate) fn apply(&mut self) -> Result<bool, StoreError> {
        let limit = self.read_limit();
        for _ in 0..self.config.sizes.applied_per_step {
            let Some(next) = self.unapplied.front() else {
                break;
            };
            if next.end_address > limit {
                break;
            }
            let next = self.unapplied.pop_front().expect("it was at the front");
            self.apply_one(next)?;
        }
        let grew = !self.touched.is_empty();
        self.extend_queues();
        Ok(grew)
    }

    fn apply_one(&mut self, next: Unapplied) -> Result<(), StoreError> {
        self.forget_tentative(&next.change);
        if let Change::Expire(_) = next.change {
            self.expire_end_address = next.end_address;
        }
        let Some(stored) = self.state.apply(next)? else {
            return Ok(());
        };
        let MessageChange {
            topic,
            queue_id,
            entry,
            ..
        } = stored;
        let queue = self.topics.queue_mut(&topic, queue_id);
        queue
            .expect("its topic was applied before")
            .pending
            .push(entry);
        let last = self.touched.last();
        if last.is_none_or(|last| last.0 != topic || last.1 != queue_id) {
            self.touched.push((topic, queue_id));
        }
        Ok(())
    }

    /// Gives the queues what they got; a queue named twice has nothing left the
    /// second time.
    fn extend_queues(&mut self) {
        for (topic, queue_id) in self.touched.drain(..) {
            let queue = self
                .topics
                .queue_mut(&topic, queue_id)
                .expect("it was just applied to");
            queue.entries.append(&queue.pending);
            self.unwritten += queue.pending.len();
            queue.pending.clear();
        }
    }

    /// Whether the queues hold so much in memory that a snapshot is due.
    pub(super) fn holds_much(&self) -> bool {
        self.unwritten >= self.config.sizes.unwritten_entries_max
    }

    /// Writes what the queues hold where it is much, while nobody is served.
    pub(super) async fn write_if_much(&mut self) -> Result<(), StoreError> {
        if self.holds_much() {
            self.unwritten = 0;
            for topic in self.topics.iter_mut() {
                for queue in &mut topic.queues {
                    queue.entries.sync().await?;
                }
            }
        }
        Ok(())
    }
}
