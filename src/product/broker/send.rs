//! Sends: refused before the append, or answered once they are durable enough.

use std::borrow::Cow;

use super::delays::level_of;
use super::error::{AppendError, StoreError};
use super::groups::NAME_BYTES_MAX;
use super::names::{is_brokers_own, is_topic};
use super::producers::{Origin, Sent, Stored};
use super::refusals::{Missing, is_half};
use super::retry::dead_letter_of;
use super::server::{Broker, Serving};
use super::store::{Appended, NewMessage};
use super::waiters::{Answered, SendAnswer, Waiter};
use crate::env::{ConnId, Env, Notice};
use crate::log::Staged;
use crate::record::{PROPERTIES_BYTES_MAX, Properties, PropertyBuf, TOPIC_BYTES_MAX, key};
use crate::remoting::send::{REGION, SendRequest, SendResponse};
use crate::remoting::transaction::sys_flag;
use crate::remoting::{Command, MessageId, ReplyTo, ResponseCode};

/// The room that an entry takes on the disk beside its own bytes, at most: envelope,
/// padding.
const ENTRY_ROOM_BYTES: u64 = 8_192;
/// The room that the broker's own properties may take in a record, where a message is
/// kept for later or comes again, bytes: what was taken in can be sent back.
const OWN_PROPERTIES_BYTES: usize = 512;
/// Longest properties of a send, and of a transaction once it is committed, bytes.
pub(super) const SENT_PROPERTIES_BYTES_MAX: usize = PROPERTIES_BYTES_MAX - OWN_PROPERTIES_BYTES;

impl<E: Env> Broker<E> {
    pub(super) async fn send(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
    ) -> Result<(), StoreError> {
        let reply_to = command.reply_to();
        let request = match command.header::<SendRequest<'_>>() {
            Ok(request) => request,
            Err(error) => {
                let code = ResponseCode::MESSAGE_ILLEGAL;
                self.outbox.refuse(conn, reply_to, code, &error.to_string());
                return Ok(());
            }
        };
        if let Some(missing) = Missing::of_send(&request) {
            self.refuse_missing(conn, reply_to, missing);
            return Ok(());
        }
        if let Err((code, remark)) = self.admit(serving, &request, command.body.len()) {
            self.outbox.refuse(conn, reply_to, code, &remark);
            return Ok(());
        }
        if self.config.producer_dedup
            && let Some(origin) = Origin::of(request.properties)
            && self.answer_again(serving, conn, (reply_to, &request), &origin)
        {
            return Ok(());
        }
        let is_half = is_half(&request);
        let named = match is_half {
            true => self.named(request.properties),
            false => Cow::Borrowed(request.properties),
        };
        let dead_letter = dead_letter_of(&request);
        let queue_id = dead_letter.as_ref().map_or(request.queue_id, |_| 0);
        let message = NewMessage {
            topic: dead_letter.as_deref().unwrap_or(request.topic),
            queue_id,
            flag: request.flag as u32,
            sys_flag: request.sys_flag as u32,
            born_timestamp_ms: request.born_timestamp as u64,
            born_host: self.sessions.from(conn).unwrap_or(self.config.listen),
            store_timestamp_ms: self.env.wall_ms(),
            reconsume_times: request.reconsume_times as u32,
            prepared_transaction_offset: 0,
            properties: &named,
            body: &command.body,
        };
        let levels = self.config.delay_levels_ms.len();
        let level = match level_of(request.properties, levels) {
            Ok(level) => level.filter(|_| dead_letter.is_none()),
            Err(text) => {
                let remark = format!("{text:?} is no delay level");
                let code = ResponseCode::MESSAGE_ILLEGAL;
                self.outbox.refuse(conn, reply_to, code, &remark);
                return Ok(());
            }
        };
        let store = &mut serving.store;
        let appended = match level {
            _ if is_half => store.append_half(message, request.producer_group).await,
            Some(level) => store.append_delayed(message, level).await,
            None => store.append_message(message).await,
        };
        match appended {
            Ok(Appended {
                staged,
                queue_id,
                queue_offset,
            }) => {
                let what = Answered::Message {
                    queue_id,
                    queue_offset,
                    address: staged.address,
                    unique_key: unique_key(&named),
                    is_half,
                };
                self.wait_for(serving, conn, staged, SendAnswer { reply_to, what });
                Ok(())
            }
            Err(error) => self.refuse_append(conn, reply_to, error),
        }
    }

    /// A half message's properties, with an id where its producer gave it none:
    /// its transaction is ended by that.
    fn named<'a>(&self, properties: &'a str) -> Cow<'a, str> {
        if unique_key(properties).is_some() {
            return Cow::Borrowed(properties);
        }
        let mut named = PropertyBuf::from_text(properties);
        let set = named.set(key::UNIQ_KEY, &self.unique_key());
        set.expect("hex digits are no separators");
        Cow::Owned(named.as_str().to_owned())
    }

    /// Answers a send that was stored before with the first one's place: at once
    /// where that is committed, else when it is. False where it is new.
    fn answer_again(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        (reply_to, request): (ReplyTo, &SendRequest<'_>),
        origin: &Origin,
    ) -> bool {
        let answer = |stored: Stored| SendAnswer {
            reply_to,
            what: Answered::Message {
                queue_id: stored.queue_id,
                queue_offset: stored.queue_offset,
                address: stored.address,
                unique_key: unique_key(request.properties),
                is_half: is_half(request),
            },
        };
        match serving.store.sent_before(origin) {
            Sent::Never => return false,
            Sent::Committed(stored) => self.answer(conn, answer(stored), ResponseCode::SUCCESS),
            Sent::Appended(stored) => self.wait_for_all(serving, conn, answer(stored)),
            Sent::Forgotten => {
                let Origin { producer, sequence } = origin;
                let remark = format!("{sequence} lies below the window of producer {producer}");
                let code = ResponseCode::MESSAGE_ILLEGAL;
                self.outbox.refuse(conn, reply_to, code, &remark);
            }
        }
        true
    }

    /// Whether a message may be appended; otherwise the answer, which is one
    /// that is given only before an append.
    fn admit(
        &self,
        serving: &Serving<E>,
        request: &SendRequest<'_>,
        body_bytes: usize,
    ) -> Result<(), (ResponseCode, String)> {
        let illegal = |remark: String| Err((ResponseCode::MESSAGE_ILLEGAL, remark));
        if !is_topic(request.topic) {
            return illegal(format!(
                "topic {:?}: 1 to {TOPIC_BYTES_MAX} of a-z A-Z 0-9 % | - _",
                request.topic
            ));
        }
        if body_bytes > self.config.max_message_bytes {
            let max = self.config.max_message_bytes;
            return illegal(format!("a body of {body_bytes} bytes; at most {max}"));
        }
        if request.properties.len() > SENT_PROPERTIES_BYTES_MAX {
            let length = request.properties.len();
            return illegal(format!(
                "properties of {length} bytes; at most {SENT_PROPERTIES_BYTES_MAX}"
            ));
        }
        let producer_id = Properties::new(request.properties).get(key::PRODUCER_ID);
        if let Some(id) = producer_id.filter(|id| id.len() > NAME_BYTES_MAX) {
            let length = id.len();
            return illegal(format!(
                "a producer's id of {length} bytes; at most {NAME_BYTES_MAX}"
            ));
        }
        if is_brokers_own(request.topic) {
            let remark = format!("only the broker itself writes to {}", request.topic);
            return Err((ResponseCode::NO_PERMISSION, remark));
        }
        if request.sys_flag & sys_flag::COMMIT != 0 {
            // It would pass for what a transaction has decided.
            let remark = "transactions are ended by request 37".to_owned();
            return Err((ResponseCode::MESSAGE_ILLEGAL, remark));
        }
        self.admit_append(serving, body_bytes)
    }

    /// Whether a message may be appended now (D31).
    pub(super) fn admit_append(
        &self,
        serving: &Serving<E>,
        body_bytes: usize,
    ) -> Result<(), (ResponseCode, String)> {
        let wanted_bytes = self.config.segment_bytes.max(body_bytes as u64);
        match serving.room_bytes < wanted_bytes {
            true => Err(full()),
            false => self.admit_in_time(serving, body_bytes),
        }
    }

    /// Whether a message, or an entry of the broker's own, may be appended as far as
    /// the backlog goes: what was appended is to be applied soon enough.
    pub(super) fn admit_in_time(
        &self,
        serving: &Serving<E>,
        body_bytes: usize,
    ) -> Result<(), (ResponseCode, String)> {
        self.admit_within(serving, self.config.busy_timeout_ms)?;
        self.admit_what_goes_on(serving, body_bytes)
    }

    fn admit_within(
        &self,
        serving: &Serving<E>,
        timeout_ms: u64,
    ) -> Result<(), (ResponseCode, String)> {
        let waits_ns = serving.waits_ns(self.env.now_ns());
        if Load::bears_wait(waits_ns, timeout_ms) {
            return Ok(());
        }
        let waits_ms = waits_ns / 1_000_000;
        let remark = format!("what was sent before has been waiting for {waits_ms} ms");
        Err((ResponseCode::SYSTEM_BUSY, remark))
    }

    /// Whether what goes on while sends are refused may be appended: offsets,
    /// decisions, what comes back.
    pub(super) fn admit_what_goes_on(
        &self,
        serving: &Serving<E>,
        body_bytes: usize,
    ) -> Result<(), (ResponseCode, String)> {
        self.admit_within(serving, GOES_ON_FACTOR * self.config.busy_timeout_ms)?;
        let store = &serving.store;
        let load = Load {
            entries: store.unapplied.len(),
            staged_bytes: store.log.staged_bytes(),
            waiters: serving.waiters.len(),
        };
        if !load.bears_more(self.config.pending_max, self.config.sizes.staged_bytes_max) {
            let remark = "too many requests wait for the disk".to_owned();
            return Err((ResponseCode::SYSTEM_BUSY, remark));
        }
        match serving.own_room_bytes < body_bytes as u64 + ENTRY_ROOM_BYTES {
            true => Err(full()),
            false => Ok(()),
        }
    }

    /// The operator hears once that what goes on takes from the reserve.
    pub(super) fn note_what_goes_on(&mut self, serving: &Serving<E>) {
        if serving.room_bytes < self.config.segment_bytes && !self.reserve.goes_on {
            self.reserve.goes_on = true;
            let left_bytes = serving.own_room_bytes;
            self.env.report(Notice::GoesOnWhileFull { left_bytes });
        }
    }

    /// Whether one more answer may wait for an entry: several can for one.
    pub(super) fn may_wait(&self, serving: &Serving<E>) -> bool {
        may_wait(serving.waiters.len(), self.config.pending_max)
    }

    /// Answers an append that was not made; a log that failed ends the serving.
    pub(super) fn refuse_append(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        error: AppendError,
    ) -> Result<(), StoreError> {
        let remark = error.to_string();
        if let Some(failed) = error.into_fatal() {
            return Err(failed);
        }
        let code = ResponseCode::MESSAGE_ILLEGAL;
        self.outbox.refuse(conn, reply_to, code, &remark);
        Ok(())
    }

    /// Queues an answer behind its entry, and counts what the entry takes.
    pub(super) fn wait_for(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        staged: Staged,
        answer: SendAnswer,
    ) {
        self.note_what_goes_on(serving);
        serving.takes_room(staged, self.env.now_ns());
        let Staged {
            index,
            term,
            end_address,
            ..
        } = staged;
        self.wait(serving, conn, (index, term, end_address), answer);
    }

    /// Queues an answer behind every entry there is: waiters are in the order of
    /// their entries.
    pub(super) fn wait_for_all(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        answer: SendAnswer,
    ) {
        let last = serving.store.unapplied.back();
        let last = last.expect("what is appended and not applied waits");
        let entry = (last.index, serving.store.term, last.end_address);
        self.wait(serving, conn, entry, answer);
    }

    fn wait(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        (index, term, end_address): (u64, u64, u64),
        answer: SendAnswer,
    ) {
        if answer.reply_to.is_oneway {
            return;
        }
        let timeout_ns = self.config.sync_flush_timeout_ms * 1_000_000;
        serving.waiters.push(Waiter {
            index,
            term,
            end_address,
            deadline_ns: self.env.now_ns() + timeout_ns,
            conn,
            answer,
        });
    }

    /// Answers whatever is durable enough. The only path to `SEND_OK`, but for
    /// what was committed before it was sent again.
    pub(super) fn release_waiters(&mut self, serving: &mut Serving<E>) {
        // An acknowledged entry is there for every client that asks next.
        let store = &serving.store;
        let limit = store.read_limit().min(store.state.applied_address);
        while let Some(waiter) = serving.waiters.pop_released(limit) {
            self.answer(waiter.conn, waiter.answer, ResponseCode::SUCCESS);
        }
    }

    /// Answers what has waited too long: it is in the log, and nobody knows
    /// for how long (RocketMQ's `FLUSH_DISK_TIMEOUT`).
    pub(super) fn expire_waiters(&mut self, serving: &mut Serving<E>) {
        let now_ns = self.env.now_ns();
        while let Some(waiter) = serving.waiters.pop_expired(now_ns) {
            self.answer(waiter.conn, waiter.answer, ResponseCode::FLUSH_DISK_TIMEOUT);
        }
    }

    fn answer(&mut self, conn: ConnId, answer: SendAnswer, code: ResponseCode) {
        let SendAnswer { reply_to, what } = answer;
        if reply_to.is_oneway {
            return;
        }
        match what {
            Answered::Done => self.outbox.answer(conn, reply_to, code, &()),
            Answered::Ended { asked, outcome } if code == ResponseCode::SUCCESS => {
                self.ended(conn, reply_to, asked, outcome);
            }
            Answered::Pull(pull) if code == ResponseCode::SUCCESS => self.begun.push(*pull),
            Answered::Pull(_) => {
                let code = ResponseCode::SYSTEM_BUSY;
                let remark = "where the group begins is not durable yet";
                self.outbox.refuse(conn, reply_to, code, remark);
            }
            Answered::Ended { .. } => self.outbox.answer(conn, reply_to, code, &()),
            Answered::Message {
                queue_id,
                queue_offset,
                address,
                unique_key,
                is_half,
            } => {
                // A half message's place is told only once it is committed: by
                // it alone a client may end the transaction, and what is not
                // committed yet may give its place to another (D21).
                let is_told = !is_half || code == ResponseCode::SUCCESS;
                let (address, queue_offset) = match is_told {
                    true => (address, queue_offset as i64),
                    false => (i64::MAX as u64, -1),
                };
                let host = self.config.listen;
                let id = MessageId { host, address };
                let mut text = [0; MessageId::TEXT_BYTES_MAX];
                let msg_id = id.write_to(&mut text);
                let fields = SendResponse {
                    msg_id,
                    queue_id: queue_id as i32,
                    queue_offset,
                    transaction_id: Some(unique_key.as_deref().unwrap_or(msg_id)),
                    region: Some(REGION),
                    trace_on: Some("true"),
                };
                self.outbox.answer(conn, reply_to, code, &fields);
            }
        }
    }
}

/// Offsets, decisions and what comes back go on while sends are refused, until the
/// oldest entry has been waiting for so many times as long. Clients have given up by
/// then, and ask again.
const GOES_ON_FACTOR: u64 = 3;

/// The answer of a full disk.
fn full() -> (ResponseCode, String) {
    let remark = "the disk is full".to_owned();
    (ResponseCode::SERVICE_NOT_AVAILABLE, remark)
}

/// Answers that may wait: as many again as entries, for several can wait for one.
fn may_wait(waiters: usize, pending_max: usize) -> bool {
    waiters < pending_max.saturating_mul(2)
}

/// The entries that wait for the disk.
struct Load {
    /// Counted by entry, not by waiter: an answer that was given up, or that nobody
    /// wants, leaves its entry behind.
    entries: usize,
    staged_bytes: u64,
    waiters: usize,
}

impl Load {
    fn bears_wait(waits_ns: u64, timeout_ms: u64) -> bool {
        waits_ns <= timeout_ms * 1_000_000
    }

    // During a roll nothing is written, and what arrives waits in memory.
    fn bears_more(&self, pending_max: usize, staged_bytes_max: u64) -> bool {
        self.entries < pending_max
            && self.staged_bytes < staged_bytes_max
            && may_wait(self.waiters, pending_max)
    }
}

/// A message's own id.
fn unique_key(properties: &str) -> Option<Box<str>> {
    let id = Properties::new(properties).get(key::UNIQ_KEY)?;
    (!id.is_empty()).then(|| id.into())
}

impl<E: Env> Serving<E> {
    /// The index of the oldest entry that is not applied.
    fn first_waiting(&self) -> Option<u64> {
        self.store.unapplied.front().map(|entry| entry.index)
    }

    /// For how long it has been waiting, nanoseconds.
    fn waits_ns(&self, now_ns: u64) -> u64 {
        self.backlog.waits_ns(self.first_waiting(), now_ns)
    }

    /// Counts what an entry may take of the disk: its bytes, its envelope, its
    /// padding; and since when it waits.
    pub(super) fn takes_room(&mut self, staged: Staged, now_ns: u64) {
        let first_waiting = self.first_waiting();
        self.backlog.appended(&staged, first_waiting, now_ns);
        let bytes = staged.end_address - staged.address + ENTRY_ROOM_BYTES;
        self.room_bytes = self.room_bytes.saturating_sub(bytes);
        self.own_room_bytes = self.own_room_bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Load;

    #[test]
    fn so_much_waits_for_the_disk_and_no_more() {
        let bears = |entries, staged_bytes, waiters| {
            let load = Load {
                entries,
                staged_bytes,
                waiters,
            };
            load.bears_more(10, 1_000)
        };
        assert!(bears(9, 999, 19));
        assert!(!bears(10, 0, 0));
        assert!(!bears(0, 1_000, 0));
        assert!(!bears(0, 0, 20));
        assert!(Load::bears_wait(1_000_000_000, 1_000));
        assert!(!Load::bears_wait(1_000_000_001, 1_000));
    }
}
