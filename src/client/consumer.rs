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

mod answer;
mod event;
mod issue;
mod queue;

use std::collections::VecDeque;
use std::sync::Arc;

pub use event::{ConsumerEvent, PullEnd};
use queue::QueueState;

use super::config::ConsumerConfig;
use super::progress::Progress;
use super::session::{Profile, Session, SessionEvent, TopicId};
use super::wire::ms;
use crate::env::Env;
use crate::history::{OpId, Queue};
use crate::remoting::heartbeat::{ConsumerData, HeartbeatData, SubscriptionData};

/// What a request was for. `at` is the queue's place among the consumer's.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Recorded { at: usize },
    Min { at: usize },
    Pull { at: usize, op: OpId },
    Commit { at: usize, op: OpId },
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
                // No broker has a question for a consumer.
                SessionEvent::Asked { .. } | SessionEvent::NoSuchTopic(_) | SessionEvent::Due => {}
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
            self.queues.push(QueueState::new(Queue {
                topic: Arc::clone(&self.name),
                queue_id,
            }));
        }
        self.queues_seen = self.queues_seen.max(route.queues);
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

#[cfg(test)]
mod tests;
