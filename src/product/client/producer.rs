//! A producer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::config::ProducerConfig;
use super::convert::as_i32;
use super::send_op::{AttemptEnd, Phase, SendOp};
use super::session::{Profile, Session, SessionEvent, TopicId};
use super::transactions::{EndOp, ProducerEvent};
use super::wire::ms;
use crate::client::{OpId, Queue, SendOutcome};
use crate::env::Env;
use crate::record::{PROPERTIES_BYTES_MAX, PropertyBuf, TOPIC_BYTES_MAX, key};
use crate::remoting::heartbeat::{HeartbeatData, ProducerData, Spelling};
use crate::remoting::send::{DEFAULT_TOPIC, SendRequest, SendResponse};
use crate::remoting::{Command, MessageId, OneWay, ResponseCode};

/// An attempt of a send: the send, and which attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) op: OpId,
    pub(super) number: u32,
}

/// Sends messages.
///
/// Several sends are in flight at once; sends to one queue that are not waited
/// for one after the other may be stored in another order, and a retried one
/// more than once.
pub struct Producer<E: Env> {
    pub(super) session: Session<E, Attempt>,
    pub(super) config: ProducerConfig,
    /// Tells the transactions of this producer from those of its earlier lives.
    /// Drawn with the first one.
    pub(super) life: Option<u64>,
    /// In the order of their numbers; they end nearly in that order, too.
    ops: VecDeque<(OpId, SendOp)>,
    pub(super) next_op: OpId,
    /// Sends that wait for their topic, in the order submitted.
    waiting: VecDeque<OpId>,
    /// When to look at a waiting or paused send.
    pub(super) alarms: BinaryHeap<Reverse<(u64, OpId)>>,
    /// Transactions that are being ended.
    pub(super) ends: BTreeMap<OpId, EndOp>,
    pub(super) happened: VecDeque<ProducerEvent>,
    /// Turns over a topic's queues.
    turn: u32,
}

impl<E: Env> Producer<E> {
    /// A producer that begins to connect.
    pub fn new(env: E, config: ProducerConfig) -> Self {
        let heartbeat = HeartbeatData {
            client_id: config.client.client_id.clone(),
            producers: vec![ProducerData {
                group_name: config.group.clone(),
            }],
            consumers: Vec::new(),
        };
        let profile = Profile {
            heartbeat: heartbeat.spelled(Spelling::Java).into(),
            new_topic_queues: Some(config.default_topic_queue_nums.max(1)),
        };
        Self {
            life: None,
            session: Session::new(env, config.client.clone(), profile),
            config,
            ops: VecDeque::new(),
            next_op: 0,
            waiting: VecDeque::new(),
            alarms: BinaryHeap::new(),
            ends: BTreeMap::new(),
            happened: VecDeque::new(),
            turn: 0,
        }
    }

    /// Begins to send a message, and never waits: it leaves as soon as the
    /// topic's broker is known and up. Without a queue the queues take turns.
    /// `properties` are RocketMQ's `key\x01value\x02…`.
    ///
    /// [`Producer::next`] reports its end, exactly once. One that breaks a limit
    /// of the record is rejected without being sent (`MESSAGE_ILLEGAL`).
    ///
    /// # Panics
    /// The producer's id holds a separator of properties.
    pub fn submit(
        &mut self,
        topic: &str,
        queue: Option<u32>,
        body: Bytes,
        properties: &str,
    ) -> OpId {
        let id = self.next_op;
        self.next_op += 1;
        let properties = self.numbered(id, properties);
        if self.breaks_a_limit(topic, &body, &properties) {
            let code = ResponseCode::MESSAGE_ILLEGAL.0;
            let outcome = SendOutcome::Rejected { code };
            self.happened.push_back(ProducerEvent::Sent(id, outcome));
            return id;
        }
        let topic = self.session.topic(topic);
        let env = self.session.env();
        let patience_ms = self
            .config
            .send_timeout_ms
            .saturating_mul(u64::from(self.config.retries) + 1);
        let deadline_ns = env.now_ns().saturating_add(ms(patience_ms));
        let born_ms = env.wall_ms();
        let op = SendOp::new(topic, queue, body, properties, born_ms, deadline_ns);
        self.ops.push_back((id, op));
        self.attempt(id);
        id
    }

    /// Sends a message once, and hears nothing of it: its end is reported at
    /// once, as unknown. It is lost where the topic's broker is not known or not
    /// up.
    ///
    /// # Panics
    /// As [`Producer::submit`].
    pub fn submit_oneway(&mut self, topic: &str, body: Bytes, properties: &str) -> OpId {
        let id = self.next_op;
        self.next_op += 1;
        let properties = self.numbered(id, properties);
        if !self.breaks_a_limit(topic, &body, &properties) {
            let topic = self.session.topic(topic);
            let born_ms = self.session.env().wall_ms();
            let op = SendOp::new(topic, None, body, properties, born_ms, 0);
            if let Some(route) = self.session.route(topic) {
                let queue = self.turn % route.queues;
                self.turn = self.turn.wrapping_add(1);
                Self::write(&mut self.session, &self.config, id, &op, (queue, true));
            }
        }
        let event = ProducerEvent::Sent(id, SendOutcome::Unknown);
        self.happened.push_back(event);
        id
    }

    /// Bytes that the next send's properties take beside those that it is given.
    pub fn added_properties_bytes(&self) -> usize {
        self.numbered(self.next_op, "").len()
    }

    /// How many sends have begun and not ended.
    pub fn in_flight(&self) -> usize {
        self.ops.len()
    }

    /// How many queues the topic has, once its route is known; asks for it.
    pub fn queue_count(&mut self, topic: &str) -> Option<u32> {
        let topic = self.session.topic(topic);
        self.session.route(topic).map(|route| route.queues)
    }

    /// Drives the producer until a send ends, and says how. Pending for ever
    /// while none is in flight, though heartbeats go on. Cancel-safe. For one
    /// that does not use transactions: it answers no questions.
    pub async fn next(&mut self) -> (OpId, SendOutcome) {
        loop {
            if let ProducerEvent::Sent(id, outcome) = self.next_event().await {
                return (id, outcome);
            }
        }
    }

    /// As [`Producer::next`], for one that uses transactions. Cancel-safe.
    pub async fn next_event(&mut self) -> ProducerEvent {
        loop {
            if let Some(event) = self.happened.pop_front() {
                return event;
            }
            self.set_wake();
            match self.session.next().await {
                SessionEvent::Ready(topic) => self.on_ready(topic),
                // It is made by the first send.
                SessionEvent::NoSuchTopic(_) => {}
                SessionEvent::Answer { tag, command } => self.on_answer(tag, &command),
                SessionEvent::Unanswered { tag } => {
                    self.on_attempt_ended(tag, AttemptEnd::Unanswered);
                }
                SessionEvent::Asked { peer, command } => self.on_asked(peer, &command),
                SessionEvent::Due => self.on_due(),
            }
        }
    }

    /// The properties as they are sent: every attempt with the same number.
    fn numbered(&self, id: OpId, properties: &str) -> String {
        let Some(producer) = &self.config.producer_id else {
            return properties.to_owned();
        };
        let mut numbered = PropertyBuf::from_text(properties);
        let named = numbered.set(key::PRODUCER_ID, producer);
        let numbered_too =
            named.and_then(|()| numbered.set(key::PRODUCER_SEQUENCE, &id.to_string()));
        numbered_too.expect("a producer's id has no separator");
        numbered.as_str().to_owned()
    }

    fn breaks_a_limit(&self, topic: &str, body: &[u8], properties: &str) -> bool {
        topic.is_empty()
            || topic.len() > TOPIC_BYTES_MAX
            || properties.len() > PROPERTIES_BYTES_MAX
            || body.len() > self.config.message_bytes_max
    }

    /// Writes the next attempt, or lets the send wait for its topic.
    fn attempt(&mut self, id: OpId) {
        let Some(op) = found_mut(&mut self.ops, id) else {
            return;
        };
        if op.queue.is_none()
            && let Some(route) = self.session.route(op.topic)
        {
            op.queue = Some(self.turn % route.queues);
            self.turn = self.turn.wrapping_add(1);
        }
        if let Some(queue) = op.queue
            && Self::write(&mut self.session, &self.config, id, op, (queue, false))
        {
            op.left();
            return;
        }
        op.phase = Phase::Waiting;
        self.waiting.push_back(id);
        self.alarms.push(Reverse((op.deadline_ns, id)));
    }

    fn write(
        session: &mut Session<E, Attempt>,
        config: &ProducerConfig,
        id: OpId,
        op: &SendOp,
        (queue, oneway): (u32, bool),
    ) -> bool {
        let topic = Arc::clone(session.name(op.topic));
        let request = SendRequest {
            producer_group: &config.group,
            topic: &topic,
            default_topic: DEFAULT_TOPIC,
            default_topic_queue_nums: as_i32(config.default_topic_queue_nums),
            queue_id: as_i32(queue),
            sys_flag: 0,
            born_timestamp: i64::try_from(op.born_ms).unwrap_or(i64::MAX),
            flag: 0,
            properties: &op.properties,
            reconsume_times: 0,
            unit_mode: false,
            max_reconsume_times: None,
            batch: false,
        };
        let tag = Attempt {
            op: id,
            number: op.next_attempt(),
        };
        let timeout_ms = config.send_timeout_ms;
        match oneway {
            true => session.request(op.topic, &OneWay(&request), &op.body, timeout_ms, tag),
            false => session.request(op.topic, &request, &op.body, timeout_ms, tag),
        }
    }

    fn on_ready(&mut self, topic: TopicId) {
        for id in std::mem::take(&mut self.waiting) {
            match found(&self.ops, id) {
                Some(op) if op.topic == topic => self.attempt(id),
                Some(_) => self.waiting.push_back(id),
                None => {}
            }
        }
    }

    fn on_answer(&mut self, attempt: Attempt, command: &Command) {
        let code = ResponseCode(command.code);
        if self.ends.contains_key(&attempt.op) {
            return self.on_end_answer(attempt, code);
        }
        if code != ResponseCode::SUCCESS {
            return self.on_attempt_ended(attempt, AttemptEnd::Error(code));
        }
        // Of any attempt, however late: it is in the log. An answer that comes
        // after the send's end changes nothing; its outcome was reported.
        if let Some(op) = found(&self.ops, attempt.op) {
            let name = Arc::clone(self.session.name(op.topic));
            let outcome = acknowledged(name, command).unwrap_or(SendOutcome::Unknown);
            self.end(attempt.op, outcome);
        }
    }

    fn on_attempt_ended(&mut self, attempt: Attempt, end: AttemptEnd) {
        let now_ns = self.session.env().now_ns();
        let Some(op) = found_mut(&mut self.ops, attempt.op) else {
            return self.on_end_unanswered(attempt);
        };
        op.attempt_ended(end);
        let current = Phase::InFlight {
            attempt: attempt.number,
        };
        if op.phase != current {
            return;
        }
        if let AttemptEnd::Error(_) = end {
            self.session.uncertain_tail(op.topic);
        }
        if op.may_retry(end, self.config.retries) {
            let pause_ns =
                ms(self.config.retry_delay_ms).saturating_mul(1 << attempt.number.min(20));
            let until_ns = now_ns.saturating_add(pause_ns);
            op.phase = Phase::Paused { until_ns };
            self.alarms.push(Reverse((until_ns, attempt.op)));
        } else {
            let outcome = op.outcome();
            self.end(attempt.op, outcome);
        }
    }

    fn on_due(&mut self) {
        let now_ns = self.session.env().now_ns();
        while let Some(Reverse((at_ns, id))) = self.alarms.peek().copied()
            && at_ns <= now_ns
        {
            self.alarms.pop();
            let Some(op) = found(&self.ops, id) else {
                self.try_to_end(id);
                continue;
            };
            match op.phase {
                Phase::Paused { until_ns } if until_ns <= now_ns => self.attempt(id),
                Phase::Waiting if op.deadline_ns <= now_ns => {
                    let outcome = op.outcome();
                    self.end(id, outcome);
                }
                _ => {}
            }
        }
    }

    fn set_wake(&mut self) {
        if let Some(Reverse((at_ns, _))) = self.alarms.peek() {
            self.session.wake_at(*at_ns);
        }
    }

    fn end(&mut self, id: OpId, outcome: SendOutcome) {
        if let Ok(place) = self.ops.binary_search_by_key(&id, |(id, _)| *id) {
            self.ops.remove(place);
        }
        self.happened.push_back(ProducerEvent::Sent(id, outcome));
    }
}

fn found(ops: &VecDeque<(OpId, SendOp)>, id: OpId) -> Option<&SendOp> {
    let place = ops.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    Some(&ops[place].1)
}

fn found_mut(ops: &mut VecDeque<(OpId, SendOp)>, id: OpId) -> Option<&mut SendOp> {
    let place = ops.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    Some(&mut ops[place].1)
}

/// The content of a `SEND_OK`; `None` where it cannot be read, so that where the
/// message is, is not known.
fn acknowledged(topic: Arc<str>, command: &Command) -> Option<SendOutcome> {
    let response: SendResponse<'_> = command.header().ok()?;
    let id: MessageId = response.msg_id.parse().ok()?;
    Some(SendOutcome::Acknowledged {
        queue: Queue {
            topic,
            queue_id: u32::try_from(response.queue_id).ok()?,
        },
        offset: u64::try_from(response.queue_offset).ok()?,
        address: id.address,
    })
}

#[cfg(test)]
mod tests;
