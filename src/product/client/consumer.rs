//! A consumer of one topic, alone or as a member of its group.
//!
//! Each queue goes its own way:
//!
//! ```text
//!   (lock?) ─▶ recorded offset? ──22──▶ by policy: min, max, by time? ──┐
//!      ▲             └────────────────── Resumed ───────────────────────┴─▶ pull ⟲  commit ⟲
//!      │ taken                                             │ another's now
//!   members? ⟲ ── allocation ◀─────────────────────── Released, last commit
//! ```
//!
//! A pull, a commit and a sending back are issued inside `next()`, which returns
//! `PullBegan`, `CommitBegan` or `SendBackBegan` at once: who writes a history
//! sees them begin when they did.

mod answer;
mod event;
mod issue;
mod lock;
mod members;
mod queue;
mod retry;

use std::collections::VecDeque;
use std::sync::Arc;

pub use event::{ConsumerEvent, PullEnd};
use members::Members;
use queue::{Claim, Phase, QueueState};
use retry::Returned;

use super::config::{ConsumerConfig, GroupConfig, Share};
use super::progress::Progress;
use super::session::{Profile, Session, SessionEvent, TopicId};
use super::wire::ms;
use crate::client::{OpId, Queue};
use crate::env::Env;
use crate::record::tag_hash;
use crate::remoting::heartbeat::{ConsumerData, HeartbeatData, SubscriptionData};
use crate::remoting::retry::retry_topic;

/// The purpose of a request.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Members,
    Lock { claim: Claim, asked_ns: u64 },
    Recorded { claim: Claim },
    Start { claim: Claim },
    Pull { claim: Claim, op: OpId },
    Commit { claim: Claim, op: OpId },
    SendBack { op: OpId },
    Farewell,
}

/// A topic that is consumed.
struct Topic {
    id: TopicId,
    name: Arc<str>,
    /// The subscription.
    expression: String,
    /// Messages with one of these are wanted; empty: every message.
    tags: Vec<String>,
}

/// Consumes queues of one topic for a group, from where the group stands.
pub struct Consumer<E: Env> {
    session: Session<E, Asked>,
    config: ConsumerConfig,
    /// The topic; for a member of a group its retry topic too.
    topics: Vec<Topic>,
    /// The queues that it holds, and those that it is letting go.
    queues: Vec<QueueState>,
    members: Members,
    /// Messages on their way back to the broker.
    returned: Vec<Returned>,
    leaving: bool,
    next_claim: u64,
    next_op: OpId,
    next_commit_ns: u64,
    events: VecDeque<ConsumerEvent>,
}

impl<E: Env> Consumer<E> {
    /// A consumer that begins to connect.
    pub fn new(env: E, config: ConsumerConfig) -> Self {
        let next_commit_ns = env.now_ns().saturating_add(ms(config.commit_interval_ms));
        let profile = Profile {
            heartbeat: heartbeat(&config).spelled(config.spelling).into(),
            new_topic_queues: None,
        };
        let mut session = Session::new(env, config.client.clone(), profile);
        let topics = subscriptions(&config)
            .into_iter()
            .map(|(name, tags)| {
                let id = session.topic(&name);
                Topic {
                    id,
                    name: Arc::clone(session.name(id)),
                    expression: expression(&tags),
                    tags,
                }
            })
            .collect();
        Self {
            session,
            config,
            topics,
            queues: Vec::new(),
            members: Members::default(),
            returned: Vec::new(),
            leaving: false,
            next_claim: 0,
            next_op: 0,
            next_commit_ns,
            events: VecDeque::new(),
        }
    }

    /// The next thing that happens. Cancel-safe.
    pub async fn next(&mut self) -> ConsumerEvent {
        loop {
            let now_ns = self.session.env().now_ns();
            // First of all: who was stopped for longer than its lease finds
            // answers to what it asked before, and another holds the queue now.
            self.lose_expired(now_ns);
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.let_go(now_ns);
            if let Some(event) = self.issue(now_ns) {
                return event;
            }
            // Letting go may have had something to say.
            if !self.events.is_empty() {
                continue;
            }
            self.set_wake(now_ns);
            match self.session.next().await {
                SessionEvent::Answer { tag, command } => self.on_answer(tag, &command),
                SessionEvent::Unanswered { tag } => self.on_unanswered(tag),
                SessionEvent::Ready(_) => self.on_ready(),
                SessionEvent::Asked { command, .. } => self.on_notice(&command),
                SessionEvent::NoSuchTopic(_) | SessionEvent::Due => {}
            }
        }
    }

    /// A served message was processed. Nothing changes where the queue was let
    /// go meanwhile.
    pub fn processed(&mut self, queue: &Queue, offset: u64) {
        let mut queues = self.queues.iter_mut();
        if let Some(state) = queues.find(|state| state.queue == *queue && !state.is_leaving())
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

    /// Lets every queue go, and then leaves the group: [`ConsumerEvent::Left`]
    /// follows, and nothing after that.
    pub fn leave(&mut self) {
        self.leaving = true;
        let now_ns = self.session.env().now_ns();
        self.release(now_ns, |_| true);
    }

    /// Whether a queue is this consumer's to process now: it was resumed and is
    /// held, and its lock, where there is one, has not run out. One that was lost
    /// and waits to be locked anew is not. To be asked before a message is begun
    /// or done that was handed out a while ago: a process that was stopped may
    /// come to that before it comes to [`Consumer::next`], which says so, and
    /// before it was told of every queue that it has lost meanwhile.
    pub fn holds(&self, queue: &Queue) -> bool {
        let now_ns = self.session.env().now_ns();
        let mut queues = self.queues.iter();
        let runs = |state: &QueueState| state.lease.is_none_or(|it| it.until_ns > now_ns);
        let held = |state: &QueueState| state.progress.is_some() && !state.is_leaving();
        queues.any(|state| state.queue == *queue && held(state) && runs(state))
    }

    /// Messages served and not yet processed.
    pub fn unprocessed(&self) -> usize {
        let in_hand = |state: &QueueState| state.progress.as_ref().map(Progress::unprocessed);
        self.queues.iter().filter_map(in_hand).sum()
    }

    fn group(&self) -> Option<&GroupConfig> {
        match &self.config.share {
            Share::Group(group) => Some(group),
            Share::All | Share::These(_) => None,
        }
    }

    fn on_ready(&mut self) {
        if self.group().is_some() {
            self.members.look_now();
            self.rebalance();
        } else {
            self.take_fixed();
        }
    }

    /// Takes on the queues that the route has and that were not there before.
    fn take_fixed(&mut self) {
        let queues = self.session.route(self.topics[0].id);
        for queue_id in 0..queues.map_or(0, |route| route.queues) {
            let wanted = match &self.config.share {
                Share::These(ids) => ids.contains(&queue_id),
                Share::All | Share::Group(_) => true,
            };
            if wanted {
                self.take(0, queue_id);
            }
        }
    }

    /// Takes a queue on, unless it is held; one that is being let go is taken again
    /// once its last commit is recorded, or given up.
    fn take(&mut self, topic: usize, queue_id: u32) {
        let queue = Queue {
            topic: Arc::clone(&self.topics[topic].name),
            queue_id,
        };
        if self.queues.iter().any(|state| state.queue == queue) {
            return;
        }
        let ordered = self.group().is_some_and(|group| group.lock.is_some());
        let phase = if ordered {
            Phase::Lock
        } else {
            Phase::Recorded
        };
        let claim = Claim(self.next_claim);
        self.next_claim += 1;
        self.queues
            .push(QueueState::new(claim, topic, queue, phase));
    }

    /// The place of a queue that is still held, or being let go.
    fn place(&self, claim: Claim) -> Option<usize> {
        self.queues.iter().position(|state| state.claim == claim)
    }

    fn set_wake(&mut self, now_ns: u64) {
        let mut wake_ns = self.next_commit_ns;
        let queues = self.queues.iter();
        let times = queues.flat_map(|state| {
            let lease = state.lease.iter().flat_map(|it| [it.until_ns, it.renew_ns]);
            let own = [Some(state.not_before_ns), state.leaves_by_ns];
            own.into_iter().flatten().chain(lease)
        });
        let returned = self.returned.iter().map(|it| it.not_before_ns);
        let members = self.group().map(|_| self.members.look_ns());
        for at_ns in times.chain(returned).chain(members) {
            if at_ns > now_ns {
                wake_ns = wake_ns.min(at_ns);
            }
        }
        self.session.wake_at(wake_ns);
    }
}

/// Every topic to consume, with the tags that are wanted of it.
fn subscriptions(config: &ConsumerConfig) -> Vec<(String, Vec<String>)> {
    let own = (config.topic.clone(), config.tags.clone());
    match &config.share {
        Share::Group(_) => vec![own, (retry_topic(&config.group), Vec::new())],
        Share::All | Share::These(_) => vec![own],
    }
}

fn expression(tags: &[String]) -> String {
    match tags.is_empty() {
        true => "*".to_owned(),
        false => tags.join(" || "),
    }
}

fn heartbeat(config: &ConsumerConfig) -> HeartbeatData {
    let subscription = |(topic, tags): (String, Vec<String>)| SubscriptionData {
        topic,
        sub_string: expression(&tags),
        code_set: tags.iter().map(|tag| tag_hash(tag) as i32).collect(),
        tags_set: tags,
        sub_version: 0,
        expression_type: Some("TAG".to_owned()),
        class_filter_mode: false,
    };
    let consume_type = match config.share {
        Share::Group(_) => "CONSUME_PASSIVELY",
        Share::All | Share::These(_) => "CONSUME_ACTIVELY",
    };
    let consumer = ConsumerData {
        group_name: config.group.clone(),
        consume_type: consume_type.to_owned(),
        message_model: "CLUSTERING".to_owned(),
        consume_from_where: config.consume_from.name().to_owned(),
        subscription_data_set: subscriptions(config)
            .into_iter()
            .map(subscription)
            .collect(),
        unit_mode: false,
    };
    HeartbeatData {
        client_id: config.client.client_id.clone(),
        producers: Vec::new(),
        consumers: vec![consumer],
    }
}

#[cfg(test)]
mod tests;
