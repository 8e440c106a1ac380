//! A consumer of one topic.
//!
//! Each queue goes its own way:
//!
//! ```text
//!   recorded offset? ──22──► min offset? ──┐
//!          └────────────── Resumed ────────┴──► pull ⟲   commit ⟲
//! ```
//!
//! A pull and a commit are issued inside `next()`, which returns `PullBegan` or
//! `CommitBegan` at once: who writes a history sees them begin when they did.

use std::collections::VecDeque;
use std::sync::Arc;

use super::config::ConsumerConfig;
use super::producer::as_i32;
use super::progress::Progress;
use super::records::{BadRecord, Received, decode};
use super::session::{Profile, Session, SessionEvent, TopicId};
use super::wire::ms;
use crate::env::Env;
use crate::history::{OpId, Queue};
use crate::remoting::heartbeat::{ConsumerData, HeartbeatData, SubscriptionData};
use crate::remoting::offset::{MinOffset, OffsetResponse, QueryOffset, UpdateOffset};
use crate::remoting::pull::{FLAG_SUBSCRIPTION, FLAG_SUSPEND, PullRequest, PullResponse};
use crate::remoting::{Command, ResponseCode};

/// What a consumer reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerEvent {
    /// A queue's start is known.
    Resumed {
        /// The queue.
        queue: Queue,
        /// What the broker had recorded for the group.
        recorded: Option<u64>,
        /// The first offset that will be pulled: the recorded one, or the
        /// queue's first.
        start: u64,
    },
    /// A pull was issued.
    PullBegan {
        /// Ended by `Pulled` or `PullFailed` with the same number.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// From which offset.
        offset: u64,
    },
    /// A pull was answered.
    Pulled {
        /// Which.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// The offset that was asked for.
        offset: u64,
        /// Found, not found, or moved.
        end: PullEnd,
        /// `nextBeginOffset`, as the broker gave it.
        next_begin_offset: u64,
        /// `minOffset`, as the broker gave it.
        min_offset: u64,
        /// `maxOffset`, as the broker gave it.
        max_offset: u64,
        /// What was served, up to a bad record; to be processed, each reported
        /// by [`Consumer::processed`].
        messages: Vec<Received>,
        /// A record that cannot be read. The queue stands still before it: it is
        /// pulled again, after a pause, until it can be read.
        bad: Option<BadRecord>,
    },
    /// A pull was not answered, or with an error; it is repeated.
    PullFailed {
        /// Which.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// The error; `None` where none came.
        code: Option<ResponseCode>,
    },
    /// An offset commit was issued.
    CommitBegan {
        /// Ended by `CommitEnded` with the same number.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// Everything below is processed.
        offset: u64,
    },
    /// An offset commit ended.
    CommitEnded {
        /// Which.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// What was to be recorded.
        offset: u64,
        /// Whether it was acknowledged; otherwise unknown.
        acknowledged: bool,
    },
}

/// What an answered pull says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullEnd {
    /// Messages. The only end that says something of the offsets below
    /// `next_begin_offset`.
    Found,
    /// Nothing there yet (`PULL_NOT_FOUND`).
    NotFound,
    /// Nothing there that matches (`PULL_RETRY_IMMEDIATELY`).
    NoMatch,
    /// The queue does not have that offset (`PULL_OFFSET_MOVED`).
    Moved,
}

/// What a request was for. `at` is the queue's place among the consumer's.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Recorded { at: usize },
    Min { at: usize },
    Pull { at: usize, op: OpId },
    Commit { at: usize, op: OpId },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// To ask what the group has recorded.
    Recorded,
    /// To ask where the queue begins.
    Min,
    /// To pull.
    Pull,
    /// For an answer.
    Asked,
}

#[derive(Debug, Clone, Copy)]
struct Pull {
    op: OpId,
    offset: u64,
    issued_ns: u64,
}

#[derive(Debug, Clone, Copy)]
struct Commit {
    op: OpId,
    offset: u64,
}

struct QueueState {
    queue: Queue,
    phase: Phase,
    /// The next request of this queue, a commit apart, is not issued before.
    not_before_ns: u64,
    /// Known once resumed.
    progress: Option<Progress>,
    pull: Option<Pull>,
    commit: Option<Commit>,
    /// A commit is wanted.
    commit_due: bool,
    /// The last offset that the broker is known to have recorded.
    committed: Option<u64>,
}

/// Consumes the queues of one topic for a group, from where the group stands.
///
/// The queues are assigned by the configuration, not by agreement with the
/// group's other members.
pub struct Consumer<E: Env> {
    session: Session<E, Asked>,
    config: ConsumerConfig,
    topic: TopicId,
    name: Arc<str>,
    /// In the order of their numbers, as far as the route has them.
    queues: Vec<QueueState>,
    /// Queues of the route that were looked at.
    queues_seen: u32,
    next_op: OpId,
    next_commit_ns: u64,
    events: VecDeque<ConsumerEvent>,
}

impl<E: Env> Consumer<E> {
    /// A consumer that begins to connect.
    pub fn new(env: E, config: ConsumerConfig) -> Self {
        let next_commit_ns = env.now_ns().saturating_add(ms(config.commit_interval_ms));
        let profile = Profile {
            heartbeat: heartbeat(&config),
            new_topic_queues: None,
        };
        let mut session = Session::new(env, config.client.clone(), profile);
        let topic = session.topic(&config.topic);
        Self {
            name: Arc::clone(session.name(topic)),
            session,
            config,
            topic,
            queues: Vec::new(),
            queues_seen: 0,
            next_op: 0,
            next_commit_ns,
            events: VecDeque::new(),
        }
    }

    /// The next thing that happens. Cancel-safe.
    pub async fn next(&mut self) -> ConsumerEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let now_ns = self.session.env().now_ns();
            if let Some(event) = self.issue(now_ns) {
                return event;
            }
            self.set_wake(now_ns);
            match self.session.next().await {
                SessionEvent::Answer { tag, command } => self.on_answer(tag, &command),
                SessionEvent::Unanswered { tag } => self.on_unanswered(tag),
                SessionEvent::Ready(_) => self.take_queues(),
                SessionEvent::NoSuchTopic(_) | SessionEvent::Due => {}
            }
        }
    }

    /// A served message was processed.
    pub fn processed(&mut self, queue_id: u32, offset: u64) {
        let mut queues = self.queues.iter_mut();
        if let Some(state) = queues.find(|state| state.queue.queue_id == queue_id)
            && let Some(progress) = &mut state.progress
        {
            progress.processed(offset);
        }
    }

    /// Lets [`Consumer::next`] commit every queue's offset now, not only when
    /// the interval is over.
    pub fn commit_now(&mut self) {
        self.next_commit_ns = self.session.env().now_ns();
    }

    /// Messages served and not yet processed.
    pub fn unprocessed(&self) -> usize {
        let in_hand = |state: &QueueState| state.progress.as_ref().map(Progress::unprocessed);
        self.queues.iter().filter_map(in_hand).sum()
    }

    /// Takes on the queues that the route has and that were not there before.
    fn take_queues(&mut self) {
        let Some(route) = self.session.route(self.topic) else {
            return;
        };
        for queue_id in self.queues_seen..route.queues {
            let assigned = &self.config.queues;
            if assigned
                .as_ref()
                .is_some_and(|ids| !ids.contains(&queue_id))
            {
                continue;
            }
            self.queues.push(QueueState {
                queue: Queue {
                    topic: Arc::clone(&self.name),
                    queue_id,
                },
                phase: Phase::Recorded,
                not_before_ns: 0,
                progress: None,
                pull: None,
                commit: None,
                commit_due: false,
                committed: None,
            });
        }
        self.queues_seen = self.queues_seen.max(route.queues);
    }

    /// Issues what is due, up to the first thing that is to be reported.
    fn issue(&mut self, now_ns: u64) -> Option<ConsumerEvent> {
        if self.next_commit_ns <= now_ns {
            self.next_commit_ns = now_ns.saturating_add(ms(self.config.commit_interval_ms));
            for state in &mut self.queues {
                state.commit_due = true;
            }
        }
        for at in 0..self.queues.len() {
            let event = self
                .issue_commit(at)
                .or_else(|| self.issue_next(at, now_ns));
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn issue_commit(&mut self, at: usize) -> Option<ConsumerEvent> {
        let state = &mut self.queues[at];
        // One at a time: the broker keeps the last that it applies.
        if !state.commit_due || state.commit.is_some() {
            return None;
        }
        let offset = state.progress.as_ref()?.commit_offset();
        if state.committed == Some(offset) {
            state.commit_due = false;
            return None;
        }
        let request = UpdateOffset {
            consumer_group: &self.config.group,
            topic: &self.name,
            queue_id: as_i32(state.queue.queue_id),
            commit_offset: as_i64(offset),
        };
        let op = self.next_op;
        let timeout_ms = self.config.client.request_timeout_ms;
        let tag = Asked::Commit { at, op };
        if !self
            .session
            .request(self.topic, &request, &[], timeout_ms, tag)
        {
            return None;
        }
        self.next_op += 1;
        state.commit_due = false;
        state.commit = Some(Commit { op, offset });
        let queue = state.queue.clone();
        Some(ConsumerEvent::CommitBegan { op, queue, offset })
    }

    fn issue_next(&mut self, at: usize, now_ns: u64) -> Option<ConsumerEvent> {
        let state = &self.queues[at];
        if state.not_before_ns > now_ns {
            return None;
        }
        let phase = state.phase;
        let queue_id = as_i32(state.queue.queue_id);
        let timeout_ms = self.config.client.request_timeout_ms;
        let (topic, consumer_group) = (&*self.name, &*self.config.group);
        let asked = match phase {
            Phase::Asked => false,
            Phase::Pull => return self.issue_pull(at, now_ns),
            Phase::Recorded => {
                let request = QueryOffset {
                    consumer_group,
                    topic,
                    queue_id,
                };
                let tag = Asked::Recorded { at };
                self.session
                    .request(self.topic, &request, &[], timeout_ms, tag)
            }
            Phase::Min => {
                let request = MinOffset { topic, queue_id };
                let tag = Asked::Min { at };
                self.session
                    .request(self.topic, &request, &[], timeout_ms, tag)
            }
        };
        if asked {
            self.queues[at].phase = Phase::Asked;
        }
        None
    }

    fn issue_pull(&mut self, at: usize, now_ns: u64) -> Option<ConsumerEvent> {
        let state = &mut self.queues[at];
        let progress = state.progress.as_ref()?;
        if progress.unprocessed() >= self.config.unprocessed_max {
            return None;
        }
        let offset = progress.next();
        let suspend_ms = self.config.suspend_timeout_ms;
        let request = PullRequest {
            consumer_group: &self.config.group,
            topic: &self.name,
            queue_id: as_i32(state.queue.queue_id),
            queue_offset: as_i64(offset),
            max_msg_nums: as_i32(self.config.pull_batch_size),
            sys_flag: FLAG_SUSPEND | FLAG_SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_millis: as_i64(suspend_ms),
            subscription: "*",
            sub_version: 0,
            expression_type: None,
        };
        let op = self.next_op;
        let timeout_ms = suspend_ms.saturating_add(self.config.client.request_timeout_ms);
        let tag = Asked::Pull { at, op };
        if !self
            .session
            .request(self.topic, &request, &[], timeout_ms, tag)
        {
            return None;
        }
        self.next_op += 1;
        state.phase = Phase::Asked;
        state.pull = Some(Pull {
            op,
            offset,
            issued_ns: now_ns,
        });
        let queue = state.queue.clone();
        Some(ConsumerEvent::PullBegan { op, queue, offset })
    }

    fn set_wake(&mut self, now_ns: u64) {
        self.session.wake_at(self.next_commit_ns);
        let later = |state: &&QueueState| state.not_before_ns > now_ns;
        let times = self
            .queues
            .iter()
            .filter(later)
            .map(|state| state.not_before_ns);
        if let Some(at_ns) = times.min() {
            self.session.wake_at(at_ns);
        }
    }

    fn on_answer(&mut self, tag: Asked, command: &Command) {
        match tag {
            Asked::Recorded { at } => self.on_recorded(at, command),
            Asked::Min { at } => self.on_min(at, command),
            Asked::Pull { at, op } => self.on_pull(at, op, command),
            Asked::Commit { at, op } => {
                let acknowledged = command.code == ResponseCode::SUCCESS.0;
                self.on_commit_ended(at, op, acknowledged);
            }
        }
    }

    fn on_unanswered(&mut self, tag: Asked) {
        match tag {
            Asked::Recorded { at } => self.queues[at].phase = Phase::Recorded,
            Asked::Min { at } => self.queues[at].phase = Phase::Min,
            Asked::Pull { at, op } => self.on_pull_failed(at, op, None),
            Asked::Commit { at, op } => self.on_commit_ended(at, op, false),
        }
    }

    fn on_recorded(&mut self, at: usize, command: &Command) {
        if self.queues[at].progress.is_some() {
            return;
        }
        match ResponseCode(command.code) {
            ResponseCode::SUCCESS => match offset_of(command) {
                Some(recorded) => self.resume(at, Some(recorded), recorded),
                None => self.ask_later(at, Phase::Recorded),
            },
            ResponseCode::QUERY_NOT_FOUND => self.queues[at].phase = Phase::Min,
            _ => self.ask_later(at, Phase::Recorded),
        }
    }

    fn on_min(&mut self, at: usize, command: &Command) {
        if self.queues[at].progress.is_some() {
            return;
        }
        let found = command.code == ResponseCode::SUCCESS.0;
        match offset_of(command).filter(|_| found) {
            Some(min) => self.resume(at, None, min),
            None => self.ask_later(at, Phase::Min),
        }
    }

    fn resume(&mut self, at: usize, recorded: Option<u64>, start: u64) {
        let state = &mut self.queues[at];
        state.phase = Phase::Pull;
        state.progress = Some(Progress::from(start));
        state.committed = recorded;
        let queue = state.queue.clone();
        self.events.push_back(ConsumerEvent::Resumed {
            queue,
            recorded,
            start,
        });
    }

    /// The broker refused, or answered what cannot be read.
    fn ask_later(&mut self, at: usize, phase: Phase) {
        let now_ns = self.session.env().now_ns();
        let pause_ns = ms(self.config.retry_delay_ms);
        let state = &mut self.queues[at];
        state.phase = phase;
        state.not_before_ns = now_ns.saturating_add(pause_ns);
        self.session.doubt(self.topic);
    }

    /// The pull that is outstanding, if it is this one; it is not any more.
    fn take_pull(&mut self, at: usize, op: OpId) -> Option<Pull> {
        self.queues[at].pull.take_if(|pull| pull.op == op)
    }

    fn on_pull(&mut self, at: usize, op: OpId, command: &Command) {
        let code = ResponseCode(command.code);
        let end = match code {
            ResponseCode::SUCCESS => PullEnd::Found,
            ResponseCode::PULL_NOT_FOUND => PullEnd::NotFound,
            ResponseCode::PULL_RETRY_IMMEDIATELY => PullEnd::NoMatch,
            ResponseCode::PULL_OFFSET_MOVED => PullEnd::Moved,
            _ => return self.on_pull_failed(at, op, Some(code)),
        };
        let Some((next_begin_offset, min_offset, max_offset)) = bounds_of(command) else {
            return self.on_pull_failed(at, op, Some(code));
        };
        // An answer to a pull that was given up: it was issued anew.
        let Some(pull) = self.take_pull(at, op) else {
            return;
        };
        let queue = self.queues[at].queue.clone();
        let (messages, bad) = match end {
            PullEnd::Found => decode(&command.body, &self.name, queue.queue_id),
            _ => (Vec::new(), None),
        };
        let next = match &bad {
            Some(_) => messages
                .last()
                .map_or(pull.offset, |last| last.offset.saturating_add(1)),
            None => next_offset(end, pull.offset, next_begin_offset),
        };
        self.go_on(at, pull, end, next, &messages, bad.is_some());
        self.events.push_back(ConsumerEvent::Pulled {
            op,
            queue,
            offset: pull.offset,
            end,
            next_begin_offset,
            min_offset,
            max_offset,
            messages,
            bad,
        });
    }

    fn go_on(
        &mut self,
        at: usize,
        pull: Pull,
        end: PullEnd,
        next: u64,
        messages: &[Received],
        bad: bool,
    ) {
        let now_ns = self.session.env().now_ns();
        let state = &mut self.queues[at];
        state.phase = Phase::Pull;
        let error_pause_ns = now_ns.saturating_add(ms(self.config.retry_delay_ms));
        state.not_before_ns = match end {
            _ if bad => error_pause_ns,
            PullEnd::Found if next > pull.offset => 0,
            // It found, and goes nowhere; or it moved, which is no hurry.
            PullEnd::Found | PullEnd::Moved => error_pause_ns,
            PullEnd::NotFound | PullEnd::NoMatch => pull
                .issued_ns
                .saturating_add(ms(self.config.empty_pull_ms_min)),
        };
        if let Some(progress) = &mut state.progress {
            progress.served(messages.iter().map(|message| message.offset), next);
        }
    }

    fn on_pull_failed(&mut self, at: usize, op: OpId, code: Option<ResponseCode>) {
        if self.take_pull(at, op).is_none() {
            return;
        }
        match code {
            Some(_) => self.ask_later(at, Phase::Pull),
            None => self.queues[at].phase = Phase::Pull,
        }
        let queue = self.queues[at].queue.clone();
        self.events
            .push_back(ConsumerEvent::PullFailed { op, queue, code });
    }

    fn on_commit_ended(&mut self, at: usize, op: OpId, acknowledged: bool) {
        let state = &mut self.queues[at];
        let Some(commit) = state.commit.take_if(|commit| commit.op == op) else {
            return;
        };
        // After one that is unknown nothing is known of what is recorded.
        state.committed = acknowledged.then_some(commit.offset);
        self.events.push_back(ConsumerEvent::CommitEnded {
            op,
            queue: state.queue.clone(),
            offset: commit.offset,
            acknowledged,
        });
    }
}

/// Where to go on after a sound answer.
fn next_offset(end: PullEnd, asked: u64, next_begin: u64) -> u64 {
    match end {
        // Never back over what was just served.
        PullEnd::Found | PullEnd::NoMatch => next_begin.max(asked),
        // "Nothing yet" says nothing of what is below `next_begin`.
        PullEnd::NotFound => asked,
        PullEnd::Moved => next_begin,
    }
}

fn offset_of(command: &Command) -> Option<u64> {
    let answer: OffsetResponse = command.header().ok()?;
    u64::try_from(answer.offset).ok()
}

/// (next begin, min, max) of a pull's answer.
pub(super) fn bounds_of(command: &Command) -> Option<(u64, u64, u64)> {
    let answer: PullResponse = command.header().ok()?;
    Some((
        u64::try_from(answer.next_begin_offset).ok()?,
        u64::try_from(answer.min_offset).ok()?,
        u64::try_from(answer.max_offset).ok()?,
    ))
}

/// Java's `Long`.
pub(super) fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn heartbeat(config: &ConsumerConfig) -> HeartbeatData {
    let subscription = SubscriptionData {
        topic: config.topic.clone(),
        sub_string: "*".to_owned(),
        tags_set: Vec::new(),
        code_set: Vec::new(),
        sub_version: 0,
        expression_type: Some("TAG".to_owned()),
        class_filter_mode: false,
    };
    let consumer = ConsumerData {
        group_name: config.group.clone(),
        consume_type: "CONSUME_ACTIVELY".to_owned(),
        message_model: "CLUSTERING".to_owned(),
        consume_from_where: "CONSUME_FROM_FIRST_OFFSET".to_owned(),
        subscription_data_set: vec![subscription],
        unit_mode: false,
    };
    HeartbeatData {
        client_id: config.client.client_id.clone(),
        producers: Vec::new(),
        consumers: vec![consumer],
    }
}
