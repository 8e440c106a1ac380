//! Ordered consumption: a queue is consumed while it is locked.
//!
//! A lock is a lease. It counts from when it was *asked for*, and is taken for
//! lost before the broker gives it to another, be this clock slow and that one
//! fast: so a member that hears nothing stops in time by itself.

use super::queue::{Claim, Lease, Phase, QueueState};
use super::{Asked, Consumer, ConsumerEvent};
use crate::client::convert::as_i32;
use crate::client::wire::ms;
use crate::env::Env;
use crate::remoting::lock::{LockQueues, LockedQueues, QueueLocks, QueueName, UnlockQueues};
use crate::remoting::{Command, ResponseCode};

impl<E: Env> Consumer<E> {
    /// Asks for a queue's lock, for the first time or again.
    pub(super) fn ask_lock(&mut self, at: usize, now_ns: u64) -> bool {
        let state = &self.queues[at];
        let claim = state.claim;
        let body = self.locks(state);
        let topic = self.topics[state.topic].id;
        let timeout_ms = self.config.client.request_timeout_ms;
        let tag = Asked::Lock {
            claim,
            asked_ns: now_ns,
        };
        self.session
            .request(topic, &LockQueues, &body, timeout_ms, tag)
    }

    /// Renews the locks that are due, and gives up what is locked no more.
    pub(super) fn keep_locks(&mut self, now_ns: u64) {
        self.lose_expired(now_ns);
        for at in 0..self.queues.len() {
            let due = self.queues[at]
                .lease
                .is_some_and(|lease| lease.renew_ns <= now_ns);
            if due && !self.queues[at].is_leaving() && self.ask_lock(at, now_ns) {
                let pause_ns = ms(self.config.client.request_timeout_ms);
                if let Some(lease) = &mut self.queues[at].lease {
                    lease.renew_ns = now_ns.saturating_add(pause_ns);
                }
            }
        }
    }

    /// Gives up what is locked no more.
    pub(super) fn lose_expired(&mut self, now_ns: u64) {
        self.lose(|state| state.lease.is_some_and(|it| it.until_ns <= now_ns));
    }

    /// The answer; `None`: none came.
    pub(super) fn on_lock(&mut self, claim: Claim, asked_ns: u64, command: Option<&Command>) {
        let Some(at) = self.place(claim) else {
            return;
        };
        let Some(config) = self.group().and_then(|group| group.lock) else {
            return;
        };
        let answered =
            command.filter(|command| ResponseCode(command.code) == ResponseCode::SUCCESS);
        let held = answered.and_then(|command| {
            let locked = serde_json::from_slice::<LockedQueues>(&command.body).ok()?;
            let queue = &self.queues[at].queue;
            let same =
                |it: &QueueName| it.topic == *queue.topic && it.queue_id == as_i32(queue.queue_id);
            Some(locked.held.iter().any(same))
        });
        let state = &mut self.queues[at];
        match (held, state.phase) {
            (Some(true), phase) => {
                state.lease = Some(Lease {
                    until_ns: asked_ns.saturating_add(ms(config.lease_ms)),
                    renew_ns: asked_ns.saturating_add(ms(config.renew_interval_ms)),
                });
                if phase == Phase::Locking {
                    state.phase = Phase::Recorded;
                }
            }
            // Another's; asked for again after a pause.
            (_, Phase::Locking) => self.ask_later(at, Phase::Lock),
            (Some(false), _) => self.lose(|state| state.claim == claim),
            // The lease runs on, and out if nothing better comes.
            (None, _) => {}
        }
    }

    /// Queues whose locks are gone: nothing of them may be done any more, not
    /// even a commit. They are taken anew as if they had never been held.
    fn lose(&mut self, which: impl Fn(&QueueState) -> bool) {
        while let Some(at) = self.queues.iter().position(&which) {
            let state = self.queues.remove(at);
            self.returned.retain(|it| it.claim != state.claim);
            if state.is_leaving() {
                continue;
            }
            if state.progress.is_some() {
                let queue = state.queue.clone();
                // A message of it that was served, and that nobody was told of, is
                // another's.
                self.events.retain(|event| !event.serves(&queue));
                self.events.push_back(ConsumerEvent::Released { queue });
            }
            self.take(state.topic, state.queue.queue_id);
        }
    }

    /// Lets a lock go that was held.
    pub(super) fn unlock(&mut self, state: &QueueState) {
        if state.lease.is_none() {
            return;
        }
        let body = self.locks(state);
        let topic = self.topics[state.topic].id;
        let timeout_ms = self.config.client.request_timeout_ms;
        let tag = Asked::Farewell;
        self.session
            .request(topic, &UnlockQueues, &body, timeout_ms, tag);
    }

    fn locks(&self, state: &QueueState) -> Vec<u8> {
        let topic = &self.topics[state.topic];
        let locks = QueueLocks {
            consumer_group: self.config.group.clone(),
            client_id: self.config.client.client_id.clone(),
            mq_set: vec![QueueName {
                topic: topic.name.to_string(),
                broker_name: self.session.broker_name(topic.id).to_owned(),
                queue_id: as_i32(state.queue.queue_id),
            }],
        };
        serde_json::to_vec(&locks).expect("strings and numbers have a JSON form")
    }
}
