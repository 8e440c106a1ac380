//! A producer's transactions: half messages, their ends, and the broker's
//! questions about them.
//!
//! ```text
//!   submit_half ──▶ Sent(SEND_OK) ──▶ the local transaction ──▶ end ──▶ Ended
//!                                          Asked ──▶ answer
//! ```
//!
//! Promise: only a half message that was acknowledged has a name to be ended by;
//! an end that is not answered is `Unknown`, and the broker's question decides.

use std::cmp::Reverse;
use std::net::SocketAddr;

use bytes::Bytes;

use super::config::{EndNaming, ProducerConfig};
use super::producer::{Attempt, Producer};
use super::session::TopicId;
use super::wire::ms;
use crate::client::{EndOutcome, OpId, SendOutcome};
use crate::env::Env;
use crate::record::{Message, PropertyBuf, PropertyError, key};
use crate::remoting::transaction::{CheckTransactionState, EndTransaction, sys_flag};
use crate::remoting::{Command, OneWay, RequestCode, ResponseCode};

/// The names that the broker has for a half message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HalfName {
    /// Its log address.
    pub address: u64,
    /// Its offset in the half topic.
    pub queue_offset: u64,
    /// The producer's own id of it.
    pub transaction_id: String,
}

/// A broker asks how a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The half message.
    pub half: HalfName,
    /// The half message's body.
    pub body: Bytes,
    from: SocketAddr,
}

/// A report of [`Producer::next_event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProducerEvent {
    /// A send, or the send of a half message, ended.
    Sent(OpId, SendOutcome),
    /// The end of a transaction ended.
    Ended(OpId, EndOutcome),
    /// A broker asks. To be answered by [`Producer::answer`], or not: it asks
    /// again.
    Asked(Question),
}

/// A transaction that is being ended.
#[derive(Debug)]
pub(super) struct EndOp {
    topic: TopicId,
    half: HalfName,
    commit: bool,
    attempts: u32,
}

impl<E: Env> Producer<E> {
    /// Begins to send a half message, as [`Producer::submit`] does a plain one.
    ///
    /// # Errors
    /// The group's name cannot be a property's value.
    pub fn submit_half(
        &mut self,
        topic: &str,
        queue: Option<u32>,
        body: Bytes,
        properties: &str,
    ) -> Result<OpId, PropertyError> {
        let mut all = PropertyBuf::from_text(properties);
        all.set(key::TRANSACTION_PREPARED, "true")?;
        all.set(key::PRODUCER_GROUP, &self.config.group)?;
        let id = self.transaction_id(self.next_op);
        all.set(key::UNIQ_KEY, &id)?;
        Ok(self.submit(topic, queue, body, all.as_str()))
    }

    /// The name of the half message that was acknowledged at that place.
    pub fn half_name(&mut self, op: OpId, queue_offset: u64, address: u64) -> HalfName {
        HalfName {
            address,
            queue_offset,
            transaction_id: self.transaction_id(op),
        }
    }

    fn transaction_id(&mut self, op: OpId) -> String {
        let env = self.session.env();
        let life = *self.life.get_or_insert_with(|| env.random_u64());
        format!("{life:016x}{op:08x}")
    }

    /// Begins to end a transaction on a topic; reported by
    /// [`ProducerEvent::Ended`], exactly once.
    pub fn end_transaction(&mut self, topic: &str, half: HalfName, commit: bool) -> OpId {
        let id = self.next_op;
        self.next_op += 1;
        let op = EndOp {
            topic: self.session.topic(topic),
            half,
            commit,
            attempts: 0,
        };
        self.ends.insert(id, op);
        self.try_to_end(id);
        id
    }

    /// Answers a question: committed, rolled back, or `None`, not known yet.
    /// Nothing is reported: the broker asks again where the answer is lost.
    pub fn answer(&mut self, question: &Question, commit: Option<bool>) {
        let request = request(&self.config, &question.half, commit, true);
        // Nobody waits for an answer to this one.
        let tag = Attempt {
            op: OpId::MAX,
            number: 0,
        };
        self.session.reply(question.from, &request, tag);
    }

    /// An attempt to end a transaction, if it is still to be ended; without a
    /// broker that is up it is tried again later.
    pub(super) fn try_to_end(&mut self, id: OpId) {
        let Some(op) = self.ends.get_mut(&id) else {
            return;
        };
        if op.attempts > self.config.retries {
            self.ends.remove(&id);
            let event = ProducerEvent::Ended(id, EndOutcome::Unknown);
            self.happened.push_back(event);
            return;
        }
        let tag = Attempt {
            op: id,
            number: op.attempts,
        };
        op.attempts += 1;
        let request = request(&self.config, &op.half, Some(op.commit), false);
        let timeout_ms = self.config.send_timeout_ms;
        let (topic, oneway) = (op.topic, self.config.ends_oneway);
        let session = &mut self.session;
        let left = match oneway {
            true => session.request(topic, &OneWay(&request), &[], timeout_ms, tag),
            false => session.request(topic, &request, &[], timeout_ms, tag),
        };
        if !left {
            self.end_again_later(id);
        } else if oneway {
            self.ends.remove(&id);
            let event = ProducerEvent::Ended(id, EndOutcome::Unknown);
            self.happened.push_back(event);
        }
    }

    pub(super) fn on_end_answer(&mut self, attempt: Attempt, code: ResponseCode) {
        let outcome = match code {
            ResponseCode::SUCCESS => EndOutcome::Acknowledged,
            ResponseCode::TRANSACTION_SHOULD_COMMIT
            | ResponseCode::TRANSACTION_SHOULD_ROLLBACK
            | ResponseCode::TRANSACTION_STATE_UNKNOWN
            | ResponseCode::TRANSACTION_STATE_GROUP_WRONG => EndOutcome::Refused { code: code.0 },
            _ => {
                if let Some(op) = self.ends.get(&attempt.op) {
                    self.session.uncertain_tail(op.topic);
                }
                return self.end_again_later(attempt.op);
            }
        };
        self.ends.remove(&attempt.op);
        let event = ProducerEvent::Ended(attempt.op, outcome);
        self.happened.push_back(event);
    }

    pub(super) fn on_end_unanswered(&mut self, attempt: Attempt) {
        let current = self.ends.get(&attempt.op).map(|op| op.attempts);
        if current == Some(attempt.number + 1) {
            self.end_again_later(attempt.op);
        }
    }

    fn end_again_later(&mut self, id: OpId) {
        let attempts = self.ends.get(&id).map_or(0, |op| op.attempts);
        let pause_ns = ms(self.config.retry_delay_ms).saturating_mul(1 << attempts.min(20));
        let at_ns = self.session.env().now_ns().saturating_add(pause_ns);
        self.alarms.push(Reverse((at_ns, id)));
    }

    pub(super) fn on_asked(&mut self, from: SocketAddr, command: &Command) {
        if let Some(question) = read_question(from, command) {
            self.happened.push_back(ProducerEvent::Asked(question));
        }
    }
}

/// `None` where it is no such question, or cannot be read.
fn read_question(from: SocketAddr, command: &Command) -> Option<Question> {
    if command.code != RequestCode::CHECK_TRANSACTION_STATE.0 {
        return None;
    }
    let asked: CheckTransactionState<'_> = command.header().ok()?;
    let message = Message::decode(&command.body).ok()?;
    Some(Question {
        half: HalfName {
            address: u64::try_from(asked.commit_log_offset).ok()?,
            queue_offset: u64::try_from(asked.tran_state_table_offset).ok()?,
            transaction_id: asked.transaction_id.to_owned(),
        },
        body: Bytes::copy_from_slice(message.body),
        from,
    })
}

fn request<'a>(
    config: &'a ProducerConfig,
    half: &'a HalfName,
    commit: Option<bool>,
    from_transaction_check: bool,
) -> EndTransaction<'a> {
    let id = &*half.transaction_id;
    let (msg_id, transaction_id) = match config.end_naming {
        EndNaming::Transaction => (id, id),
        EndNaming::Message => (id, ""),
        EndNaming::Place => ("", ""),
    };
    EndTransaction {
        producer_group: &config.group,
        tran_state_table_offset: half.queue_offset as i64,
        commit_log_offset: half.address as i64,
        commit_or_rollback: match commit {
            Some(true) => sys_flag::COMMIT,
            Some(false) => sys_flag::ROLLBACK,
            None => 0,
        },
        from_transaction_check,
        msg_id,
        transaction_id,
    }
}
