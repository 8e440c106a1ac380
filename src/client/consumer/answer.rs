//! What a consumer makes of answers.

use super::queue::{Phase, Pull};
use super::{Asked, Consumer, ConsumerEvent, PullEnd};
use crate::client::convert::{bounds_of, offset_of};
use crate::client::progress::Progress;
use crate::client::records::{Received, decode};
use crate::client::wire::ms;
use crate::env::Env;
use crate::history::OpId;
use crate::remoting::{Command, ResponseCode};

impl<E: Env> Consumer<E> {
    pub(super) fn on_answer(&mut self, tag: Asked, command: &Command) {
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

    pub(super) fn on_unanswered(&mut self, tag: Asked) {
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
        match offset_of(command) {
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
        let Some(pull) = self.queues[at].take_pull(op) else {
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
        if self.queues[at].take_pull(op).is_none() {
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
