//! The consequences that a consumer draws from answers.

use super::queue::{Claim, Phase, Pull};
use super::{Asked, Consumer, ConsumerEvent, PullEnd};
use crate::client::OpId;
use crate::client::convert::{bounds_of, offset_of};
use crate::client::progress::Progress;
use crate::client::records::{Received, decode};
use crate::client::wire::ms;
use crate::env::Env;
use crate::remoting::{Command, ResponseCode};

impl<E: Env> Consumer<E> {
    pub(super) fn on_answer(&mut self, tag: Asked, command: &Command) {
        let acknowledged = command.code == ResponseCode::SUCCESS.0;
        match tag {
            Asked::Members => self.on_members(Some(command)),
            Asked::Lock { claim, asked_ns } => self.on_lock(claim, asked_ns, Some(command)),
            Asked::Recorded { claim } => self.on_recorded(claim, command),
            Asked::Start { claim } => self.on_start(claim, command),
            Asked::Pull { claim, op } => self.on_pull(claim, op, command),
            Asked::Commit { claim, op } => self.on_commit_ended(claim, op, acknowledged),
            Asked::SendBack { op } => self.on_send_back(op, acknowledged),
            Asked::Farewell => {}
        }
    }

    pub(super) fn on_unanswered(&mut self, tag: Asked) {
        match tag {
            Asked::Members => self.on_members(None),
            Asked::Lock { claim, asked_ns } => self.on_lock(claim, asked_ns, None),
            Asked::Recorded { claim } => self.ask_anew(claim, Phase::Recorded),
            Asked::Start { claim } => self.ask_anew(claim, Phase::Start),
            Asked::Pull { claim, op } => self.on_pull_failed(claim, op, None),
            Asked::Commit { claim, op } => self.on_commit_ended(claim, op, false),
            Asked::SendBack { op } => self.on_send_back(op, false),
            Asked::Farewell => {}
        }
    }

    /// The place of a queue that is to be resumed, and is still wanted.
    fn to_resume(&self, claim: Claim) -> Option<usize> {
        let at = self.place(claim)?;
        let state = &self.queues[at];
        (state.progress.is_none() && !state.is_leaving()).then_some(at)
    }

    fn ask_anew(&mut self, claim: Claim, phase: Phase) {
        if let Some(at) = self.to_resume(claim) {
            self.queues[at].phase = phase;
        }
    }

    fn on_recorded(&mut self, claim: Claim, command: &Command) {
        let Some(at) = self.to_resume(claim) else {
            return;
        };
        match ResponseCode(command.code) {
            ResponseCode::SUCCESS => match offset_of(command) {
                Some(recorded) => self.resume(at, Some(recorded), recorded),
                None => self.ask_later(at, Phase::Recorded),
            },
            ResponseCode::QUERY_NOT_FOUND => self.queues[at].phase = Phase::Start,
            _ => self.ask_later(at, Phase::Recorded),
        }
    }

    fn on_start(&mut self, claim: Claim, command: &Command) {
        let Some(at) = self.to_resume(claim) else {
            return;
        };
        match offset_of(command) {
            Some(start) => self.resume(at, None, start),
            None => self.ask_later(at, Phase::Start),
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
    pub(super) fn ask_later(&mut self, at: usize, phase: Phase) {
        let now_ns = self.session.env().now_ns();
        let pause_ns = ms(self.config.retry_delay_ms);
        let state = &mut self.queues[at];
        state.phase = phase;
        state.not_before_ns = now_ns.saturating_add(pause_ns);
        let topic = state.topic;
        self.session.uncertain_tail(self.topics[topic].id);
    }

    fn on_pull(&mut self, claim: Claim, op: OpId, command: &Command) {
        let code = ResponseCode(command.code);
        let end = match code {
            ResponseCode::SUCCESS => PullEnd::Found,
            ResponseCode::PULL_NOT_FOUND => PullEnd::NotFound,
            ResponseCode::PULL_RETRY_IMMEDIATELY => PullEnd::NoMatch,
            ResponseCode::PULL_OFFSET_MOVED => PullEnd::Moved,
            _ => return self.on_pull_failed(claim, op, Some(code)),
        };
        let Some((next_begin_offset, min_offset, max_offset)) = bounds_of(command) else {
            return self.on_pull_failed(claim, op, Some(code));
        };
        // An answer to a pull that was given up, or of a queue that was let go.
        let Some((at, pull)) = self.take_pull(claim, op) else {
            return;
        };
        let queue = self.queues[at].queue.clone();
        let (mut messages, bad) = match end {
            PullEnd::Found => decode(&command.body, &queue.topic, queue.queue_id),
            _ => (Vec::new(), None),
        };
        let next = match &bad {
            Some(_) => messages
                .last()
                .map_or(pull.offset, |last| last.offset.saturating_add(1)),
            None => next_offset(end, pull.offset, next_begin_offset),
        };
        // The broker compares hashes; tags are compared here.
        let tags = &self.topics[self.queues[at].topic].tags;
        messages.retain(|message| message.has_tag_of(tags));
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
        let claim = state.claim;
        let Some(progress) = &mut state.progress else {
            return;
        };
        if end == PullEnd::Moved && next < pull.offset {
            progress.moved_back(next);
            self.returned
                .retain(|it| it.claim != claim || it.offset < next);
        } else {
            progress.served(messages.iter().map(|message| message.offset), next);
        }
    }

    /// The pull of that number, if its queue is held and it is outstanding.
    fn take_pull(&mut self, claim: Claim, op: OpId) -> Option<(usize, Pull)> {
        let at = self.place(claim)?;
        let pull = self.queues[at].take_pull(op)?;
        Some((at, pull))
    }

    fn on_pull_failed(&mut self, claim: Claim, op: OpId, code: Option<ResponseCode>) {
        let Some((at, _)) = self.take_pull(claim, op) else {
            return;
        };
        match code {
            Some(_) => self.ask_later(at, Phase::Pull),
            None => self.queues[at].phase = Phase::Pull,
        }
        let queue = self.queues[at].queue.clone();
        self.events
            .push_back(ConsumerEvent::PullFailed { op, queue, code });
    }

    fn on_commit_ended(&mut self, claim: Claim, op: OpId, acknowledged: bool) {
        let Some(at) = self.place(claim) else {
            return;
        };
        let now_ns = self.session.env().now_ns();
        let state = &mut self.queues[at];
        let Some(commit) = state.commit.take_if(|commit| commit.op == op) else {
            return;
        };
        // After one that is unknown nothing is known of what is recorded.
        state.committed = acknowledged.then_some(commit.offset);
        state.committed_ns = now_ns;
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
