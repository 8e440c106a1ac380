//! Pulls: records out of the log, by way of a queue, never past the read limit.

use super::change::Change;
use super::entries::OffsetCommit;
use super::error::StoreError;
use super::groups::is_name;
use super::held_pulls::Pull;
use super::interruption::Interruption;
use super::names::is_topic;
use super::refusals::Missing;
use super::server::{Broker, Serving};
use super::store::Store;
use super::tags::TagFilter;
use super::waiters::{Answered, SendAnswer};
use crate::env::{ConnId, Disk, Env};
use crate::log::{Entry, QueueEntry, ReadError};
use crate::record::{EntryKind, Message, Properties, key, tag_hash};
use crate::remoting::pull::{FLAG_SUBSCRIPTION, FLAG_SUSPEND, PullRequest, PullResponse};
use crate::remoting::{Command, ReplyTo, ResponseCode};
use bytes::Bytes;

/// Messages in one answer, at most (`maxTransferCountOnMessageInMemory`).
pub(super) const ANSWER_MESSAGES_MAX: usize = 32;
/// A pull waits at most so long, whatever it asks for, milliseconds: four times
/// what RocketMQ's clients ask for. An answer that comes unasked costs a client
/// one more pull; a wait without end costs the broker memory.
pub(super) const SUSPEND_MS_MAX: u64 = 60_000;

/// The entries that a queue has for a pull.
pub(super) struct Found {
    records: Vec<Bytes>,
    next_begin_offset: u64,
}

impl<E: Env> Broker<E> {
    /// Answers a pull, or lets it wait. `known`: this replica was found to lead
    /// after it came.
    pub(super) async fn pull(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
        known: bool,
    ) -> Result<(), StoreError> {
        let request = match command.header::<PullRequest<'_>>() {
            Ok(request) => request,
            Err(error) => {
                let code = ResponseCode::SYSTEM_ERROR;
                self.outbox
                    .refuse(conn, command.reply_to(), code, &error.to_string());
                return Ok(());
            }
        };
        let reply_to = command.reply_to();
        let Some(queue_id) = serving
            .store
            .readable_queue(request.topic, request.queue_id)
        else {
            let remark = format!("no queue {} of topic {:?}", request.queue_id, request.topic);
            let code = ResponseCode::SYSTEM_ERROR;
            self.outbox.refuse(conn, reply_to, code, &remark);
            return Ok(());
        };
        let Ok(offset) = u64::try_from(request.queue_offset) else {
            self.moved_to_start(serving, conn, reply_to, (request.topic, queue_id));
            return Ok(());
        };
        let (group, topic) = (request.consumer_group, request.topic);
        let said = self.sessions.has_filter(conn, group, topic);
        let missing = Missing::of_pull(&request).or(said.then_some(Missing::Filter));
        if let Some(missing) = missing {
            self.refuse_missing_later(conn, reply_to, missing);
            return Ok(());
        }
        let filter = match filter_of(&request) {
            Ok(filter) => filter,
            Err(remark) => {
                let code = ResponseCode::SUBSCRIPTION_PARSE_FAILED;
                self.refuse_later(conn, reply_to, code, remark);
                return Ok(());
            }
        };
        let wants_to_wait = request.sys_flag & FLAG_SUSPEND != 0 && !reply_to.is_oneway;
        let pull = Pull {
            conn,
            reply_to,
            group: request.consumer_group.to_owned(),
            topic: request.topic.to_owned(),
            queue_id,
            offset,
            max_messages: (request.max_msg_nums.max(1) as usize).min(ANSWER_MESSAGES_MAX),
            filter,
            suspend_ns: wants_to_wait
                .then(|| suspended_ms(request.suspend_timeout_millis) * 1_000_000),
        };
        let end = serving.store.queue_end(&pull.topic, pull.queue_id);
        if pull.offset > end
            && !known
            && let Some(mut view) = self.as_replica(serving)
        {
            // A leader that was replaced without knowing it would send the
            // client back to where the queue ended then (D18).
            view.read_later(conn, command.clone());
            return Ok(());
        }
        if self.group_begins(serving, &pull)? {
            return Ok(());
        }
        self.park_or_answer(serving, pull).await
    }

    /// Lets a pull wait where it may and there is nothing yet.
    async fn park_or_answer(
        &mut self,
        serving: &mut Serving<E>,
        pull: Pull,
    ) -> Result<(), StoreError> {
        let end = serving.store.queue_end(&pull.topic, pull.queue_id);
        match pull.suspend_ns {
            Some(suspend_ns)
                if pull.offset == end && serving.held_pulls.len() < self.config.pending_max =>
            {
                let deadline_ns = self.env.now_ns() + suspend_ns;
                serving.held_pulls.add(pull, deadline_ns);
                Ok(())
            }
            _ => self.answer_pull(serving, &pull).await,
        }
    }

    /// Serves the pulls whose groups begin with them, and are recorded now.
    pub(super) async fn serve_begun(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), Interruption> {
        let mut served = Ok(());
        for pull in std::mem::take(&mut self.begun) {
            let (conn, reply_to) = (pull.conn, pull.reply_to);
            if served.is_err() {
                self.refuse_behind_failure(conn, reply_to);
            } else if let Err(failed) = self.park_or_answer(serving, pull).await {
                served = self.refuse_unread(conn, reply_to, failed);
            }
        }
        served
    }

    /// Records where a group begins: at the first offset that it pulls of a queue,
    /// durably before it is answered. Without that, a member that takes the queue over
    /// before the group's first commit would be told that there is none, and RocketMQ's
    /// clients then begin at the end. False where there is nothing to record; else the
    /// pull is served when it is done.
    fn group_begins(&mut self, serving: &mut Serving<E>, pull: &Pull) -> Result<bool, StoreError> {
        let (store, group) = (&serving.store, &*pull.group);
        let (topic, queue_id, offset) = (&*pull.topic, pull.queue_id, pull.offset);
        let served = store.queue_start(topic, queue_id)..=store.queue_end(topic, queue_id);
        let known = store.state.topic(topic).is_some() && served.contains(&offset);
        if !known || !is_name(group) || pull.reply_to.is_oneway {
            return Ok(false);
        }
        if store.state.group_offset(group, topic, queue_id).is_some() {
            return Ok(false);
        }
        let answer = SendAnswer {
            reply_to: pull.reply_to,
            what: Answered::Pull(Box::new(pull.clone())),
        };
        if store.commits_offset(group, topic, queue_id) {
            self.wait_for_all(serving, pull.conn, answer);
            return Ok(true);
        }
        if !self.accepts_own(serving) {
            // Answered unrecorded, its next pull would pass for the first one.
            let why = "where the group begins cannot be recorded now";
            let code = ResponseCode::SYSTEM_BUSY;
            self.outbox.refuse(pull.conn, pull.reply_to, code, why);
            return Ok(true);
        }
        let begin = OffsetCommit {
            group: group.to_owned(),
            topic: topic.to_owned(),
            queue_id,
            offset,
        };
        match serving.store.append_offset(begin) {
            Ok(staged) => self.wait_for(serving, pull.conn, staged, answer),
            Err(error) => self.refuse_append(pull.conn, pull.reply_to, error)?,
        }
        Ok(true)
    }

    /// Answers a pull from below the queue's first offset.
    fn moved_to_start(
        &mut self,
        serving: &Serving<E>,
        conn: ConnId,
        reply_to: ReplyTo,
        (topic, queue_id): (&str, u32),
    ) {
        let first = serving.store.queue_start(topic, queue_id) as i64;
        let fields = PullResponse {
            suggest_which_broker_id: 0,
            next_begin_offset: first,
            min_offset: first,
            max_offset: serving.store.queue_end(topic, queue_id) as i64,
        };
        let code = ResponseCode::PULL_OFFSET_MOVED;
        self.outbox.answer(conn, reply_to, code, &fields);
    }

    /// Answers the held pulls whose queues have grown.
    pub(super) async fn serve_held_pulls(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), Interruption> {
        let store = &serving.store;
        let grown = |topic: &str, queue_id, offset| store.queue_end(topic, queue_id) > offset;
        let pulls = serving.held_pulls.take_served(grown);
        self.answer_held_pulls(serving, pulls).await
    }

    /// Answers the held pulls that have waited long enough.
    pub(super) async fn expire_held_pulls(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), Interruption> {
        let pulls = serving.held_pulls.take_expired(self.env.now_ns());
        self.answer_held_pulls(serving, pulls).await
    }

    async fn answer_held_pulls(
        &mut self,
        serving: &mut Serving<E>,
        pulls: Vec<Pull>,
    ) -> Result<(), Interruption> {
        let mut served = Ok(());
        for pull in pulls {
            if served.is_err() {
                self.refuse_behind_failure(pull.conn, pull.reply_to);
            } else if let Err(failed) = self.begin_or_answer(serving, &pull).await {
                served = self.refuse_unread(pull.conn, pull.reply_to, failed);
            }
        }
        served
    }

    /// The topic may be there only since the pull waits.
    async fn begin_or_answer(
        &mut self,
        serving: &mut Serving<E>,
        pull: &Pull,
    ) -> Result<(), StoreError> {
        match self.group_begins(serving, pull)? {
            true => Ok(()),
            false => self.answer_pull(serving, pull).await,
        }
    }

    async fn answer_pull(
        &mut self,
        serving: &mut Serving<E>,
        pull: &Pull,
    ) -> Result<(), StoreError> {
        let end = serving.store.queue_end(&pull.topic, pull.queue_id);
        let first = serving.store.queue_start(&pull.topic, pull.queue_id);
        if pull.offset < first {
            let place = (&*pull.topic, pull.queue_id);
            self.moved_to_start(serving, pull.conn, pull.reply_to, place);
            return Ok(());
        }
        let mut fields = PullResponse {
            suggest_which_broker_id: 0,
            next_begin_offset: pull.offset as i64,
            min_offset: first as i64,
            max_offset: end as i64,
        };
        if pull.offset > end {
            // The queue is shorter than the client remembers.
            fields.next_begin_offset = end as i64;
            let code = ResponseCode::PULL_OFFSET_MOVED;
            self.outbox.answer(pull.conn, pull.reply_to, code, &fields);
            return Ok(());
        }
        let found = serving.store.read_queue(pull, end).await?;
        fields.next_begin_offset = found.next_begin_offset as i64;
        if found.records.is_empty() {
            let code = match found.next_begin_offset > pull.offset {
                true => ResponseCode::PULL_RETRY_IMMEDIATELY,
                false => ResponseCode::PULL_NOT_FOUND,
            };
            self.outbox.answer(pull.conn, pull.reply_to, code, &fields);
            return Ok(());
        }
        self.outbox
            .answer_with_body(pull.conn, pull.reply_to, &fields, &found.records);
        Ok(())
    }
}

impl<D: Disk> Store<D> {
    /// Whether an entry that is not applied yet commits that offset.
    fn commits_offset(&self, group: &str, topic: &str, queue_id: u32) -> bool {
        self.unapplied.iter().any(|entry| match &entry.change {
            Change::Offset(commit) => {
                commit.group == group && commit.topic == topic && commit.queue_id == queue_id
            }
            _ => false,
        })
    }

    /// The first offset that has not expired; 0 for an unknown queue.
    pub(super) fn queue_start(&self, topic: &str, queue_id: u32) -> u64 {
        let base = self.base.as_ref();
        let queues = base.and_then(|base| base.state.topic(topic));
        let first = queues.and_then(|queues| queues.get(queue_id as usize));
        first.copied().unwrap_or(0)
    }

    /// One past the last offset that may be served; 0 for an unknown queue.
    pub(super) fn queue_end(&self, topic: &str, queue_id: u32) -> u64 {
        let next = self
            .state
            .topic(topic)
            .and_then(|queues| queues.get(queue_id as usize));
        next.copied().unwrap_or(0)
    }

    /// The queue of that number, where it is one or, for a topic that is not
    /// there yet, may become one: a consumer may wait for a topic's first message.
    pub(super) fn readable_queue(&self, topic: &str, queue_id: i32) -> Option<u32> {
        let queue_id = u32::try_from(queue_id).ok()?;
        let queues = match self.queue_count(topic) {
            Some(queues) => queues,
            None if is_topic(topic) => self.queues_of_new(topic),
            None => 0,
        };
        (queue_id < queues).then_some(queue_id)
    }

    /// Reads from a queue, every record verified (D28): also those that are left
    /// out. By the hash in the queue alone, which no checksum covers, a message
    /// could be left out for ever that its subscriber wants.
    async fn read_queue(&self, pull: &Pull, end: u64) -> Result<Found, StoreError> {
        let mut found = Found {
            records: Vec::new(),
            next_begin_offset: pull.offset,
        };
        let queue = self.topics.queue(&pull.topic, pull.queue_id);
        let sizes = self.config.sizes;
        let mut looked_at = 0;
        let mut bytes = 0;
        loop {
            let wanted = pull.max_messages - found.records.len();
            let count = wanted.min((end - found.next_begin_offset) as usize);
            if count == 0 || looked_at >= sizes.looked_at_bytes {
                return Ok(found);
            }
            found.records.reserve_exact(count);
            let entries = &queue.expect("a queue with an end is known").entries;
            let entries = entries.read(found.next_begin_offset, count as u64).await?;
            if entries.is_empty() {
                return Ok(found);
            }
            for entry in entries {
                let is_wanted = pull.filter.passes(entry.tag_hash);
                let fits = |bytes: usize| bytes <= sizes.answer_bytes || found.records.is_empty();
                // One that does not fit any more is not read to be left out. Should its
                // queue lie about its length, it comes first in the next answer.
                if is_wanted && !fits(bytes + entry.record_bytes as usize) {
                    return Ok(found);
                }
                let place = (pull.topic.as_str(), pull.queue_id, found.next_begin_offset);
                let record = self.led_to(place, entry).await?.into_record();
                looked_at += record.len();
                if is_wanted {
                    bytes += record.len();
                    if !fits(bytes) {
                        return Ok(found);
                    }
                    found.records.push(record);
                }
                found.next_begin_offset += 1;
            }
        }
    }

    /// The message that an entry of a queue leads to. The entry is derived and carries no
    /// checksum: the message has to say the same, or the entry has rotted.
    pub(super) async fn led_to(
        &self,
        (topic, queue_id, offset): (&str, u32, u64),
        entry: QueueEntry,
    ) -> Result<Entry, StoreError> {
        let address = entry.address;
        let is_same = |message: Message<'_>| {
            let tag = Properties::new(message.properties).get(key::TAGS);
            message.topic == topic
                && message.queue_id == queue_id
                && message.queue_offset == offset
                && tag.map_or(0, tag_hash) == entry.tag_hash
        };
        let disagrees = || StoreError::QueueDisagrees {
            topic: topic.to_owned(),
            queue_id,
            offset,
            address,
        };
        let read = match self.log.read(address, entry.record_bytes).await {
            Ok(read) if read.kind == EntryKind::Message => read,
            Ok(_) | Err(ReadError::BeyondEnd { .. } | ReadError::NotAnEntry { .. }) => {
                return Err(disagrees());
            }
            Err(failed) => return Err(failed.into()),
        };
        let message = Message::decode_enveloped(read.record())
            .map_err(|why| StoreError::undecodable(address, why))?;
        match is_same(message) {
            true => Ok(read),
            false => Err(disagrees()),
        }
    }
}

/// How long a pull waits that asks for so long, milliseconds.
pub fn suspended_ms(asked_ms: i64) -> u64 {
    u64::try_from(asked_ms).unwrap_or(0).min(SUSPEND_MS_MAX)
}

/// The filter that a pull asks for. A pull that names none gets everything: its
/// client looks at the messages in any case.
fn filter_of(request: &PullRequest<'_>) -> Result<TagFilter, String> {
    match request.sys_flag & FLAG_SUBSCRIPTION {
        0 => Ok(TagFilter::All),
        _ => TagFilter::parse(request.subscription),
    }
}

#[cfg(test)]
mod tests {
    use super::{SUSPEND_MS_MAX, suspended_ms};

    #[test]
    fn a_pull_waits_for_so_long_and_no_longer() {
        let most = SUSPEND_MS_MAX as i64;
        assert_eq!(suspended_ms(most), SUSPEND_MS_MAX);
        for asked_ms in [most + 1, i64::MAX] {
            assert_eq!(suspended_ms(asked_ms), SUSPEND_MS_MAX);
        }
        for asked_ms in [0, -1, i64::MIN] {
            assert_eq!(suspended_ms(asked_ms), 0);
        }
    }
}
