//! Timers whose deadlines are kept lazily: moving one later costs nothing.
//!
//! A deadline is on the clock of the timer's machine, which may go faster or
//! slower than the run's time; the agenda is in the run's.

use std::collections::BTreeMap;
use std::task::Waker;

use super::{Core, Due};
use crate::sim::net::NodeId;

/// A deadline that comes so much earlier or later than on a true clock has moved.
const MOVED_NS: u64 = 1_000_000;

/// A timer's number in the run.
pub(crate) type TimerId = usize;

/// All timers of a run.
///
/// Invariant: a timer with a deadline has an agenda entry at or before it,
/// whose time is `planned_ns`, the run's.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    timers: Vec<TimerState>,
    moved: BTreeMap<NodeId, u64>,
}

#[derive(Debug, Default)]
struct TimerState {
    node: NodeId,
    deadline_ns: Option<u64>,
    /// When it was set: the run's time, its machine's.
    set_ns: (u64, u64),
    planned_ns: Option<u64>,
    waker: Option<Waker>,
}

impl Timers {
    /// A new timer of a machine, not set.
    pub(crate) fn add(&mut self, node: NodeId) -> TimerId {
        self.timers.push(TimerState {
            node,
            ..TimerState::default()
        });
        self.timers.len() - 1
    }

    /// Replaces the deadline.
    pub(crate) fn reset(&mut self, core: &mut Core, timer: TimerId, deadline_ns: Option<u64>) {
        let state = &mut self.timers[timer];
        state.deadline_ns = deadline_ns;
        let clock = core.clock(state.node);
        state.set_ns = (core.now_ns, clock.own_ns(core.now_ns));
        let Some(deadline_ns) = deadline_ns else {
            return;
        };
        let at_ns = clock.reached_ns(deadline_ns);
        if state.planned_ns.is_none_or(|planned_ns| planned_ns > at_ns) {
            state.planned_ns = Some(at_ns);
            core.agenda.add(at_ns, Due::Timer(timer));
        }
    }

    /// A machine's clock goes at another rate: what it waits for comes earlier or
    /// later.
    pub(crate) fn clock_changed(&mut self, core: &mut Core, node: NodeId) {
        for timer in 0..self.timers.len() {
            let state = &mut self.timers[timer];
            if let Some(deadline_ns) = state.deadline_ns.filter(|_| state.node == node) {
                let at_ns = core.clock(node).reached_ns(deadline_ns).max(core.now_ns);
                state.planned_ns = Some(at_ns);
                core.agenda.add(at_ns, Due::Timer(timer));
            }
        }
    }

    /// How many deadlines of a machine came at another time than on a true clock,
    /// so far.
    pub(crate) fn moved(&self, node: NodeId) -> u64 {
        self.moved.get(&node).copied().unwrap_or(0)
    }

    /// Whether the deadline has passed; if so it is unset, else `waker` waits.
    pub(crate) fn poll(&mut self, core: &Core, timer: TimerId, waker: &Waker) -> bool {
        let state = &mut self.timers[timer];
        let clock = core.clock(state.node);
        let own_ns = clock.own_ns(core.now_ns);
        if let Some(deadline_ns) = state.deadline_ns.filter(|it| *it <= own_ns) {
            state.deadline_ns = None;
            let (set_ns, set_own_ns) = state.set_ns;
            let wanted_ns = deadline_ns.saturating_sub(set_own_ns);
            let waited_ns = clock.reached_ns(deadline_ns).saturating_sub(set_ns);
            if !clock.is_true() && wanted_ns.abs_diff(waited_ns) >= MOVED_NS {
                *self.moved.entry(state.node).or_default() += 1;
            }
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
        let state = &mut self.timers[timer];
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
        let clock = core.clock(state.node);
        if deadline_ns > clock.own_ns(core.now_ns) {
            let at_ns = clock.reached_ns(deadline_ns);
            state.planned_ns = Some(at_ns);
            core.agenda.add(at_ns, Due::Timer(timer));
        } else if let Some(waker) = &state.waker {
            waker.wake_by_ref();
        }
    }

    /// The owner is gone.
    pub(crate) fn forget(&mut self, timer: TimerId) {
        self.timers[timer] = TimerState::default();
    }
}
