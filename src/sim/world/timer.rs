//! Timers whose deadlines are kept lazily: moving one later costs nothing.

use std::task::Waker;

use super::{Core, Due};

/// A timer's number in the run.
pub(crate) type TimerId = usize;

/// All timers of a run.
///
/// Invariant: a timer with a deadline has an agenda entry at or before it,
/// whose time is `planned_ns`.
#[derive(Debug, Default)]
pub(crate) struct Timers(Vec<TimerState>);

#[derive(Debug, Default)]
struct TimerState {
    deadline_ns: Option<u64>,
    planned_ns: Option<u64>,
    waker: Option<Waker>,
}

impl Timers {
    /// A new timer, not set.
    pub(crate) fn add(&mut self) -> TimerId {
        self.0.push(TimerState::default());
        self.0.len() - 1
    }

    /// Replaces the deadline.
    pub(crate) fn reset(&mut self, core: &mut Core, timer: TimerId, deadline_ns: Option<u64>) {
        let state = &mut self.0[timer];
        state.deadline_ns = deadline_ns;
        let Some(deadline_ns) = deadline_ns else {
            return;
        };
        if state
            .planned_ns
            .is_none_or(|planned_ns| planned_ns > deadline_ns)
        {
            state.planned_ns = Some(deadline_ns);
            core.agenda.add(deadline_ns, Due::Timer(timer));
        }
    }

    /// Whether the deadline has passed; if so it is unset, else `waker` waits.
    pub(crate) fn poll(&mut self, now_ns: u64, timer: TimerId, waker: &Waker) -> bool {
        let state = &mut self.0[timer];
        if state
            .deadline_ns
            .is_some_and(|deadline_ns| deadline_ns <= now_ns)
        {
            state.deadline_ns = None;
            return true;
        }
        match &state.waker {
            Some(known) if known.will_wake(waker) => {}
            _ => state.waker = Some(waker.clone()),
        }
        false
    }

    /// An agenda entry came up: wakes, plans again, or forgets.
    pub(crate) fn due(&mut self, core: &mut Core, timer: TimerId) {
        let state = &mut self.0[timer];
        if state
            .planned_ns
            .is_some_and(|planned_ns| planned_ns > core.now_ns)
        {
            return; // an earlier entry, long replaced
        }
        state.planned_ns = None;
        let Some(deadline_ns) = state.deadline_ns else {
            return;
        };
        if deadline_ns > core.now_ns {
            state.planned_ns = Some(deadline_ns);
            core.agenda.add(deadline_ns, Due::Timer(timer));
        } else if let Some(waker) = &state.waker {
            waker.wake_by_ref();
        }
    }

    /// The owner is gone.
    pub(crate) fn forget(&mut self, timer: TimerId) {
        self.0[timer] = TimerState::default();
    }
}
