//! CPU time, and stops in the middle of a step.
//!
//! ```text
//!   run's time   ──┬──────────────────────────┬──▶
//!                  │ the process takes input  │ the process looks at its world again:
//!   its own time   └── work ── stop ── work ──┘ timers, input, finished syncs, all at once
//! ```
//!
//! A process runs from one wait to the next without the run's time moving. Its work
//! there costs what the model says, and a pause may strike in the middle of it;
//! either puts the process ahead of the run's time. Promise: it reads its clocks as
//! far ahead, what it sends leaves then, and nothing that it waits for is ready
//! before the run has come as far.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::task::Waker;

use super::{Core, Due, Inner, TraceKind};
use crate::broker::RESERVE_FILE;
use crate::history::Happening;
use crate::scenario::CpuSpeed;
use crate::sim::net::NodeId;

/// A process that is ahead by less is not held back: the driver's step stands for
/// as much, and holding back costs an event.
const GRACE_NS: u64 = 200_000;
/// A loop that takes less for each wait is not busy with work, but with itself.
const SPIN_NS: u64 = 500_000;
/// A call of the operating system, and what a loop does around it.
const CALL_NS: u64 = 2_000;
/// A byte that is copied and summed up: of a request, of a record.
const COPIED_BYTE_PS: u64 = 1_000 * CpuSpeed::COPIED_BYTE_NS;
/// A byte of derived state, which is written and read as text.
const ENCODED_BYTE_PS: u64 = 10_000;

/// Work of a process that takes CPU time, with so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Names, sizes.
    Calls,
    /// It takes what a stream or a peer sent.
    Hears(usize),
    /// It hands something over to a stream or a peer.
    Says(usize),
    /// It reads records, or queues of them.
    Reads(usize),
    /// It writes records, or queues of them.
    Stores(usize),
    /// It reads or writes derived state.
    Encodes(usize),
}

impl Work {
    /// It reads bytes of a file.
    pub(crate) fn read_of(path: &str, bytes: usize) -> Self {
        match is_derived(path) {
            true => Self::Encodes(bytes),
            false => Self::Reads(bytes),
        }
    }

    /// It writes bytes of a file.
    pub(crate) fn write_of(path: &str, bytes: usize) -> Self {
        match is_derived(path) {
            true => Self::Encodes(bytes),
            false => Self::Stores(bytes),
        }
    }

    fn cost_ns(self) -> u64 {
        let (bytes, byte_ps) = match self {
            Self::Calls => (0, 0),
            Self::Hears(bytes) | Self::Says(bytes) | Self::Reads(bytes) | Self::Stores(bytes) => {
                (bytes, COPIED_BYTE_PS)
            }
            Self::Encodes(bytes) => (bytes, ENCODED_BYTE_PS),
        };
        CALL_NS + bytes as u64 * byte_ps / 1_000
    }

    /// Bytes that are gone through and answer nobody; negative, who was answered.
    fn silent_bytes(self) -> i64 {
        match self {
            Self::Reads(bytes) | Self::Encodes(bytes) => bytes as i64,
            Self::Says(bytes) => -(bytes as i64),
            Self::Calls | Self::Hears(_) | Self::Stores(_) => 0,
        }
    }
}

/// Files that stand for older entries lie beside the directories; the reserve stands
/// for nothing.
fn is_derived(path: &str) -> bool {
    !path.contains('/') && path != RESERVE_FILE
}

/// How far a process is ahead of the run's time.
#[derive(Debug, Default)]
pub(super) struct Busy {
    /// It has done what it did by then, in the run's time.
    until_ns: u64,
    /// The last reading of its own clock, which never falls.
    told_ns: u64,
    waiting: Vec<Waker>,
    planned_ns: Option<u64>,
    /// It stops at that reading of its clock, counted down, for so long.
    stops: Option<(u32, u64)>,
    /// It stopped in the middle of a step, and has not looked at its world since.
    stopped: bool,
    /// Bytes that it went through since it last looked at its input, and that
    /// answered nobody.
    silent_bytes: i64,
    /// Messages of peers that it took one after the other while requests waited.
    kept_waiting: u64,
    /// How often in a row it set its timer to a time that was past, and since when.
    overdue: (u64, u64),
    /// Bytes that it sent to each peer since it heard of it.
    unheard_bytes: BTreeMap<SocketAddr, u64>,
}

/// The longest of something that any broker did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Longest {
    /// So many: bytes, messages or waits.
    pub(crate) length: u64,
    /// When it ended, nanoseconds.
    pub(crate) at_ns: u64,
    /// The broker.
    pub(crate) node: NodeId,
    /// The event of the trace.
    pub(crate) event: u64,
}

/// The measures of a broker's loop, over all brokers that serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Loops {
    /// Bytes gone through between two looks at its input, that answered nobody.
    pub(crate) step_bytes: Longest,
    /// Messages of peers that it took one after the other, while at least one event of a
    /// stream waited.
    pub(crate) row_messages: Longest,
    /// Waits in a row that were over when they began, faster than any work.
    pub(crate) spin_waits: Longest,
    /// Bytes sent to a peer since it was heard.
    pub(crate) unheard_bytes: Longest,
}

impl Longest {
    fn or_longer(&mut self, other: Option<Self>) {
        if let Some(other) = other.filter(|other| other.length > self.length) {
            *self = other;
        }
    }
}

impl Busy {
    /// Work up to now is no step of serving.
    pub(super) fn forget_step(&mut self) {
        self.silent_bytes = 0;
        self.kept_waiting = 0;
        self.overdue = (0, 0);
    }
}

impl Core {
    /// The time at which a process does what it does now, in the run's time.
    pub(crate) fn here_ns(&self, node: NodeId) -> u64 {
        self.now_ns.max(self.nodes[node as usize].busy.until_ns)
    }

    /// Brokers' work takes time from now on.
    pub(super) fn set_cpu(&mut self, speed: CpuSpeed) {
        self.cpu = Some(speed);
    }

    /// The measures of the brokers' loops so far.
    pub(crate) fn loops(&self) -> Loops {
        self.loops
    }

    /// A broker's loop did so much of something; `None` while it does not serve.
    fn lasted(&self, node: NodeId, length: u64) -> Option<Longest> {
        self.nodes[node as usize].serves.then(|| Longest {
            length,
            at_ns: self.here_ns(node),
            node,
            event: self.trace.events(),
        })
    }

    /// A process works.
    pub(crate) fn works(&mut self, node: NodeId, work: Work) {
        if node >= self.brokers {
            return;
        }
        let here_ns = self.here_ns(node);
        let busy = &mut self.nodes[node as usize].busy;
        busy.silent_bytes += work.silent_bytes();
        if let Some(CpuSpeed { slowdown }) = self.cpu {
            busy.until_ns = here_ns + work.cost_ns() * slowdown;
        }
    }

    /// A process looks at what came for it. While it opens its store it serves
    /// nobody, and says so.
    pub(crate) fn looks(&mut self, node: NodeId) {
        let busy = &mut self.nodes[node as usize].busy;
        let bytes = std::mem::take(&mut busy.silent_bytes).max(0) as u64;
        let step = self.lasted(node, bytes);
        self.loops.step_bytes.or_longer(step);
    }

    /// As [`Core::looks`], for one more of what has come. A broker takes these for a time;
    /// where no work takes time, that ends nothing, and each is a step of its own.
    pub(crate) fn looks_on(&mut self, node: NodeId) {
        if self.cpu.is_none() {
            self.looks(node);
        }
    }

    /// A process took an event; of a peer, while events of streams wait, where so.
    pub(crate) fn took(&mut self, node: NodeId, keeps_waiting: bool) {
        if node >= self.brokers {
            return;
        }
        let busy = &mut self.nodes[node as usize].busy;
        busy.kept_waiting = match keeps_waiting {
            true => busy.kept_waiting + 1,
            false => 0,
        };
        let messages = busy.kept_waiting;
        let row = self.lasted(node, messages);
        self.loops.row_messages.or_longer(row);
    }

    /// A process waits until its clock says so, or for something else.
    pub(crate) fn waits_until(&mut self, node: NodeId, deadline_ns: Option<u64>) {
        if node >= self.brokers {
            return;
        }
        let at_ns = self.here_ns(node);
        let state = &mut self.nodes[node as usize];
        let is_over = deadline_ns.is_some_and(|due_ns| due_ns <= state.clock.own_ns(at_ns));
        let (waits, since_ns) = match state.busy.overdue {
            _ if !is_over => (0, at_ns),
            (0, _) => (1, at_ns),
            (waits, since_ns) => (waits + 1, since_ns),
        };
        state.busy.overdue = (waits, since_ns);
        if at_ns - since_ns < waits * SPIN_NS {
            let spin = self.lasted(node, waits);
            self.loops.spin_waits.or_longer(spin);
        }
    }

    /// A process sends something to a peer.
    pub(crate) fn sends(&mut self, node: NodeId, to: SocketAddr, bytes: usize) {
        if node >= self.brokers {
            return;
        }
        let unheard = &mut self.nodes[node as usize].busy.unheard_bytes;
        let sum = unheard.entry(to).or_default();
        *sum += bytes as u64;
        let sum = *sum;
        let unheard = self.lasted(node, sum);
        self.loops.unheard_bytes.or_longer(unheard);
    }

    /// A process hears a peer.
    pub(crate) fn hears(&mut self, node: NodeId, from: SocketAddr) {
        if node < self.brokers {
            let unheard = &mut self.nodes[node as usize].busy.unheard_bytes;
            unheard.remove(&from);
        }
    }

    fn own_ns(&mut self, node: NodeId) -> u64 {
        let here_ns = self.here_ns(node);
        let state = &mut self.nodes[node as usize];
        let own_ns = state.clock.own_ns(here_ns).max(state.busy.told_ns);
        state.busy.told_ns = own_ns;
        own_ns
    }

    /// Counts a reading of a clock; true where the process stops at it.
    fn counts_reading(&mut self, node: NodeId) -> bool {
        let here_ns = self.here_ns(node);
        let state = &mut self.nodes[node as usize];
        let Some((readings, lasts_ns)) = &mut state.busy.stops else {
            return false;
        };
        *readings = readings.saturating_sub(1);
        if *readings > 0 || !state.process_up {
            return false;
        }
        let lasts_ns = *lasts_ns;
        state.busy.until_ns = here_ns + lasts_ns;
        state.busy.stops = None;
        state.busy.stopped = true;
        self.trace(TraceKind::Fault, node, lasts_ns, &[], || {
            let lasts_ms = lasts_ns / 1_000_000;
            format!("stops in the middle of a step, for {lasts_ms} ms")
        });
        true
    }

    /// Whether a process has to wait until the run's time has come to its own;
    /// then `waker` waits.
    pub(crate) fn holds_back(&mut self, node: NodeId, waker: &Waker) -> bool {
        let is_ahead = self.is_ahead(node, waker);
        if !is_ahead {
            self.nodes[node as usize].busy.stopped = false;
        }
        is_ahead
    }

    /// As [`Core::holds_back`], for a process that does not look at what came for it.
    pub(crate) fn is_ahead(&mut self, node: NodeId, waker: &Waker) -> bool {
        let busy = &mut self.nodes[node as usize].busy;
        if busy.until_ns <= self.now_ns + GRACE_NS {
            return false;
        }
        if !busy.waiting.iter().any(|known| known.will_wake(waker)) {
            busy.waiting.push(waker.clone());
        }
        let at_ns = busy.until_ns;
        if busy.planned_ns.is_none_or(|planned_ns| planned_ns > at_ns) {
            busy.planned_ns = Some(at_ns);
            self.agenda.add(at_ns, Due::Free(node));
        }
        true
    }

    /// The run's time may have come to a process' own.
    pub(super) fn comes_free(&mut self, node: NodeId) {
        let busy = &mut self.nodes[node as usize].busy;
        busy.planned_ns = None;
        if busy.until_ns > self.now_ns {
            let at_ns = busy.until_ns;
            busy.planned_ns = Some(at_ns);
            return self.agenda.add(at_ns, Due::Free(node));
        }
        for waker in busy.waiting.drain(..) {
            waker.wake();
        }
    }

    /// Another process runs there, or none: nothing of what the last one did takes
    /// any more time.
    pub(super) fn is_done(&mut self, node: NodeId) {
        let busy = &mut self.nodes[node as usize].busy;
        let planned_ns = busy.planned_ns;
        *busy = Busy {
            planned_ns,
            ..Busy::default()
        };
    }

    /// Whether a process stopped in the middle of the step that it is in.
    pub(crate) fn stopped_in_a_step(&self, node: NodeId) -> bool {
        self.nodes[node as usize].busy.stopped
    }
}

impl Inner {
    /// A process reads its monotonic clock, nanoseconds.
    pub(super) fn read_own_ns(&mut self, node: NodeId) -> u64 {
        if self.core.counts_reading(node) {
            self.tap.happens(Happening::PausedInAStep);
        }
        self.core.own_ns(node)
    }

    /// A process stops at that reading of its clock from now on, for so long: it
    /// has done one part of a step, and not the next.
    pub(crate) fn stop_in_a_step(&mut self, node: NodeId, reading: u32, lasts_ns: u64) {
        self.core.nodes[node as usize].busy.stops = Some((reading, lasts_ns));
    }

    /// A process is not to stop any more; one that has goes on at its time.
    pub(crate) fn stop_no_more(&mut self, node: NodeId) {
        self.core.nodes[node as usize].busy.stops = None;
    }
}
