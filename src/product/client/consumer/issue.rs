//! The requests of a consumer, and their times.

use super::queue::{Claim, Commit, Phase, Pull};
use super::{Asked, Consumer, ConsumerEvent};
use crate::client::Queue;
use crate::client::config::ConsumeFrom;
use crate::client::convert::{as_i32, as_i64};
use crate::client::session::TopicId;
use crate::client::wire::ms;
use crate::env::Env;
use crate::remoting::offset::{MaxOffset, MinOffset, QueryOffset, SearchOffset, UpdateOffset};
use crate::remoting::pull::{FLAG_SUBSCRIPTION, FLAG_SUSPEND, PullRequest};

impl<E: Env> Consumer<E> {
    /// Issues what is due, up to the first thing that is to be reported.
    pub(super) fn issue(&mut self, now_ns: u64) -> Option<ConsumerEvent> {
        if self.next_commit_ns <= now_ns {
            self.next_commit_ns = now_ns.saturating_add(ms(self.config.commit_interval_ms));
            for state in &mut self.queues {
                state.commit_due |= !state.is_leaving();
            }
        }
        self.issue_look(now_ns);
        self.keep_locks(now_ns);
        if let Some(event) = self.issue_send_back(now_ns) {
            return Some(event);
        }
        for at in 0..self.queues.len() {
            let event = self
                .issue_commit(at, now_ns)
                .or_else(|| self.issue_next(at, now_ns));
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn issue_commit(&mut self, at: usize, now_ns: u64) -> Option<ConsumerEvent> {
        let recommit_ns = ms(self.config.recommit_interval_ms);
        let may_commit = self.config.commit_from_ns <= now_ns;
        let state = &mut self.queues[at];
        state.commit_due &= may_commit;
        // One at a time: the broker keeps the last that it applies.
        if !state.commit_due || state.commit.is_some() {
            return None;
        }
        let offset = state.progress.as_ref()?.commit_offset();
        // Nothing recorded stands for the same.
        let is_start = state.committed.is_none() && offset == 0;
        let is_fresh = now_ns < state.committed_ns.saturating_add(recommit_ns);
        let is_recorded = state.committed == Some(offset) && (is_fresh || state.is_leaving());
        if is_start || is_recorded {
            state.commit_due = false;
            return None;
        }
        let request = UpdateOffset {
            consumer_group: &self.config.group,
            topic: &state.queue.topic,
            queue_id: as_i32(state.queue.queue_id),
            commit_offset: as_i64(offset),
        };
        let op = self.next_op;
        let timeout_ms = self.config.client.request_timeout_ms;
        let tag = Asked::Commit {
            claim: state.claim,
            op,
        };
        let topic = self.topics[state.topic].id;
        if !self.session.request(topic, &request, &[], timeout_ms, tag) {
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
        if state.not_before_ns > now_ns || state.is_leaving() {
            return None;
        }
        let (claim, queue) = (state.claim, state.queue.clone());
        let queue_id = as_i32(queue.queue_id);
        let timeout_ms = self.config.client.request_timeout_ms;
        let id = self.topics[state.topic].id;
        match state.phase {
            Phase::Asked | Phase::Locking => None,
            Phase::Pull => self.issue_pull(at, now_ns),
            Phase::Lock => {
                if self.ask_lock(at, now_ns) {
                    self.queues[at].phase = Phase::Locking;
                }
                None
            }
            Phase::Recorded => {
                let request = QueryOffset {
                    consumer_group: &self.config.group,
                    topic: &queue.topic,
                    queue_id,
                    set_zero_if_not_found: None,
                };
                let tag = Asked::Recorded { claim };
                let asked = self.session.request(id, &request, &[], timeout_ms, tag);
                asked.then(|| {
                    self.queues[at].phase = Phase::Asked;
                    ConsumerEvent::ResumeBegan { queue }
                })
            }
            Phase::Start => {
                if self.ask_start(id, claim, &queue) {
                    self.queues[at].phase = Phase::Asked;
                }
                None
            }
        }
    }

    /// Asks where to begin, as the group's policy says; in its retry topic it has
    /// everything before it.
    fn ask_start(&mut self, id: TopicId, claim: Claim, queue: &Queue) -> bool {
        let (topic, queue_id) = (&*queue.topic, as_i32(queue.queue_id));
        let timeout_ms = self.config.client.request_timeout_ms;
        let tag = Asked::Start { claim };
        let session = &mut self.session;
        match self.config.consume_from {
            ConsumeFrom::LastOffset if !queue.is_of_retries() => {
                let request = MaxOffset { topic, queue_id };
                session.request(id, &request, &[], timeout_ms, tag)
            }
            ConsumeFrom::Timestamp { wall_ms } if !queue.is_of_retries() => {
                let request = SearchOffset {
                    topic,
                    queue_id,
                    timestamp: as_i64(wall_ms),
                    boundary_type: None,
                };
                session.request(id, &request, &[], timeout_ms, tag)
            }
            _ => {
                let request = MinOffset { topic, queue_id };
                session.request(id, &request, &[], timeout_ms, tag)
            }
        }
    }

    fn issue_pull(&mut self, at: usize, now_ns: u64) -> Option<ConsumerEvent> {
        let state = &mut self.queues[at];
        let progress = state.progress.as_ref()?;
        if progress.unprocessed() >= self.config.unprocessed_max {
            return None;
        }
        let topic = &self.topics[state.topic];
        let offset = progress.next();
        let suspend_ms = self.config.suspend_timeout_ms;
        let request = PullRequest {
            consumer_group: &self.config.group,
            topic: &topic.name,
            queue_id: as_i32(state.queue.queue_id),
            queue_offset: as_i64(offset),
            max_msg_nums: as_i32(self.config.pull_batch_size),
            sys_flag: FLAG_SUSPEND | FLAG_SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_millis: as_i64(suspend_ms),
            subscription: &topic.expression,
            sub_version: 0,
            expression_type: None,
        };
        let op = self.next_op;
        let timeout_ms = suspend_ms.saturating_add(self.config.client.request_timeout_ms);
        let tag = Asked::Pull {
            claim: state.claim,
            op,
        };
        if !self
            .session
            .request(topic.id, &request, &[], timeout_ms, tag)
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
}
