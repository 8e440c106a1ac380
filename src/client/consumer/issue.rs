//! What a consumer asks, and when.

use super::queue::{Commit, Phase, Pull};
use super::{Asked, Consumer, ConsumerEvent};
use crate::client::convert::{as_i32, as_i64};
use crate::client::wire::ms;
use crate::env::Env;
use crate::remoting::offset::{MinOffset, QueryOffset, UpdateOffset};
use crate::remoting::pull::{FLAG_SUBSCRIPTION, FLAG_SUSPEND, PullRequest};

impl<E: Env> Consumer<E> {
    /// Issues what is due, up to the first thing that is to be reported.
    pub(super) fn issue(&mut self, now_ns: u64) -> Option<ConsumerEvent> {
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
}
