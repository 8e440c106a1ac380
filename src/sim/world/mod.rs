//! The world of one run: one clock, one agenda, one driver.
//!
//! ```text
//!            ┌───────────── agenda (time, insertion) ─────────────┐
//!   node ──▶ │ timers · network arrivals · disk completions · control │
//!    ▲       └──────────────────────┬─────────────────────────────┘
//!    └───────── wakes ────────── driver ── sleeps on madsim's clock
//! ```
//!
//! Nothing but the driver sleeps on madsim's timers: a node waits for its
//! inbox, its disk, or its timer, all of which the driver wakes.

mod agenda;
mod busy;
mod clock;
mod driver;
#[cfg(test)]
mod tests;
mod timer;
mod trace;
mod traps;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use agenda::Agenda;
use busy::Busy;
pub(crate) use busy::{Longest, Loops, Work};
pub(crate) use clock::Clock;
#[cfg(test)]
pub(crate) use driver::fire_due;
pub(crate) use driver::{DriveEnd, drive};
pub(crate) use timer::{TimerId, Timers};
pub use trace::TraceLine;
pub(crate) use trace::{Trace, TraceKind};
pub(crate) use traps::{Room, Trap, Traps, follower};

use super::boundary::Boundaries;
use super::disk_io::{DiskIo, DiskOpId};
use super::net::{Arrival, LinkConfig, Network, NodeId};
use super::random::{Purpose, Stream};
use super::skeleton::{Call, Script};
use super::tap::Tap;
use crate::scenario::CpuSpeed;

/// The entries of the agenda.
#[derive(Debug)]
pub(crate) enum Due {
    /// A timer may be due.
    Timer(TimerId),
    /// Something arrives on the network.
    Net(Arrival),
    /// A disk operation completes.
    Disk(NodeId, DiskOpId),
    /// A process has done what it did, and looks at its world again.
    Free(NodeId),
    /// The run's own step: a fault, a start, a check. The number is the run's.
    Control(u64),
}

/// The name of a machine in timelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeName {
    /// `b0`: brokers are the first machines.
    Broker(NodeId),
    /// `c0`: clients come after them, in the order of their numbers.
    Client(u32),
}

impl NodeName {
    /// Of a machine in a run with so many brokers.
    pub(crate) fn of(node: NodeId, brokers: u32) -> Self {
        match node.checked_sub(brokers) {
            None => Self::Broker(node),
            Some(client) => Self::Client(client),
        }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(broker) => write!(f, "b{broker}"),
            Self::Client(client) => write!(f, "c{client}"),
        }
    }
}

/// A machine and the process on it.
#[derive(Debug)]
struct Node {
    /// Counts the process' lives; handles of an earlier one are dead.
    incarnation: u32,
    process_up: bool,
    /// The process has opened its log.
    serves: bool,
    os_up: bool,
    random: Stream,
    clock: Clock,
    busy: Busy,
}

/// The state that every part of the world shares.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) now_ns: u64,
    pub(crate) agenda: Agenda<Due>,
    pub(crate) agenda_events: u64,
    trace: Trace,
    nodes: Vec<Node>,
    brokers: u32,
    /// How fast brokers work; `None`: what they do takes no time.
    cpu: Option<CpuSpeed>,
    loops: Loops,
}

impl Core {
    /// Adds to the trace; `text` is called only when lines are kept.
    pub(crate) fn trace(
        &mut self,
        kind: TraceKind,
        node: NodeId,
        detail: u64,
        payload: &[u8],
        text: impl FnOnce() -> String,
    ) {
        self.trace
            .add(self.now_ns, kind, node, detail, payload, text);
    }

    /// A line of the trace, as a machine says it.
    pub(crate) fn says(&mut self, node: NodeId, line: &str) {
        self.trace(TraceKind::Node, node, 0, line.as_bytes(), || {
            line.to_owned()
        });
    }

    /// How many events the trace has.
    pub(crate) fn trace_events(&self) -> u64 {
        self.trace.events()
    }

    /// How many machines there are.
    pub(crate) fn node_count(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Whether a machine has power.
    pub(crate) fn os_up(&self, node: NodeId) -> bool {
        self.nodes[node as usize].os_up
    }

    /// A process does nothing any more, nor does its machine where that dies too.
    pub(super) fn falls_silent(&mut self, node: NodeId, machine_too: bool) {
        let node = &mut self.nodes[node as usize];
        node.process_up = false;
        node.os_up &= !machine_too;
    }

    /// Whether a process of that incarnation lives.
    pub(crate) fn alive(&self, node: NodeId, incarnation: u32) -> bool {
        let node = &self.nodes[node as usize];
        node.process_up && node.incarnation == incarnation
    }

    /// Whether a process runs there.
    pub(crate) fn is_process_up(&self, node: NodeId) -> bool {
        self.nodes[node as usize].process_up
    }

    /// Whether the process there has opened its log since it started.
    pub(crate) fn serves(&self, node: NodeId) -> bool {
        self.nodes[node as usize].serves
    }

    /// A process has opened its log, or is about to open it again.
    pub(crate) fn set_serving(&mut self, node: NodeId, serves: bool) {
        let node = &mut self.nodes[node as usize];
        node.serves = serves;
        node.busy.forget_step();
    }

    /// The process there does nothing any more: it is about to die.
    pub(crate) fn halt(&mut self, node: NodeId) {
        self.nodes[node as usize].process_up = false;
    }

    /// The name of a machine.
    pub(crate) fn name_of(&self, node: NodeId) -> NodeName {
        NodeName::of(node, self.brokers)
    }

    /// Whether a peer message of a machine is on its way.
    pub(crate) fn has_peer_message_of(&self, node: NodeId) -> bool {
        let of_node = |due: &Due| matches!(due, Due::Net(Arrival::Peer { from_node, .. }) if *from_node == node);
        self.agenda.any(of_node)
    }

    /// A machine's clocks.
    pub(crate) fn clock(&self, node: NodeId) -> &Clock {
        &self.nodes[node as usize].clock
    }

    /// A machine's own address, with no port of meaning.
    pub(crate) fn address_of(&self, node: NodeId) -> SocketAddr {
        address(node, 0)
    }
}

#[cfg(test)]
impl Core {
    /// A clock at 0 and so many machines, each with a process.
    pub(crate) fn of_machines(machines: u32) -> Self {
        let machine = |node| Node {
            incarnation: 1,
            process_up: true,
            serves: true,
            os_up: true,
            random: Stream::lane(1, Purpose::Product, node),
            clock: Clock::default(),
            busy: Busy::default(),
        };
        Self {
            now_ns: 0,
            agenda: Agenda::default(),
            agenda_events: 0,
            trace: Trace::new(false),
            nodes: (0..machines).map(machine).collect(),
            brokers: machines,
            cpu: None,
            loops: Loops::default(),
        }
    }

    /// A process dies, with its machine or without.
    pub(crate) fn machine_dies(&mut self, node: NodeId, machine_too: bool) {
        let node = &mut self.nodes[node as usize];
        (node.process_up, node.os_up) = (false, !machine_too);
    }

    /// A machine is up again, with a new process.
    pub(crate) fn machine_starts(&mut self, node: NodeId) {
        let node = &mut self.nodes[node as usize];
        node.incarnation += 1;
        (node.process_up, node.os_up) = (true, true);
    }
}

/// A machine's address.
pub fn address(node: NodeId, port: u16) -> SocketAddr {
    let [_, high, middle, low] = (node + 1).to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, high, middle, low)), port)
}

/// The machine behind an address.
pub(crate) fn node_of(address: SocketAddr) -> NodeId {
    let IpAddr::V4(ip) = address.ip() else {
        panic!("machines have IPv4 addresses: {address}")
    };
    let [_, high, middle, low] = ip.octets();
    u32::from_be_bytes([0, high, middle, low]) - 1
}

/// Everything in the world, behind its lock.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) core: Core,
    pub(crate) net: Network,
    pub(crate) timers: Timers,
    pub(crate) disks: Vec<DiskIo>,
    pub(crate) tap: Tap,
    pub(crate) traps: Traps,
    /// The requests of processes, where somebody wants to know them.
    script: Option<Script>,
    /// Control steps that are due, for the driver to hand out.
    pub(super) due_control: Vec<u64>,
    /// Where crashes at boundaries are wanted, or the boundaries themselves.
    pub(super) boundaries: Option<Boundaries>,
}

impl Inner {
    /// A process asks something of its world; `call` is called only when calls
    /// are kept.
    pub(crate) fn asked(&mut self, node: NodeId, call: impl FnOnce() -> Call) {
        if let Some(script) = &mut self.script {
            script.calls(node, self.core.now_ns, call());
        }
    }
}

/// The world of one run.
#[derive(Debug)]
pub struct World {
    inner: Mutex<Inner>,
    /// As `Core::now_ns`, for callers that ask for nothing else: the driver alone moves
    /// both.
    clock_ns: AtomicU64,
    /// Whether any process' clock may say anything but the run's time: else nobody
    /// looks at them.
    any_wrong: AtomicBool,
    seed: u64,
}

impl World {
    /// An empty world.
    pub(crate) fn new(seed: u64, link: LinkConfig, keep_lines: bool, tap: Tap) -> Self {
        let core = Core {
            now_ns: 0,
            agenda: Agenda::default(),
            agenda_events: 0,
            trace: Trace::new(keep_lines),
            nodes: Vec::new(),
            brokers: tap.brokers(),
            cpu: None,
            loops: Loops::default(),
        };
        let inner = Inner {
            core,
            net: Network::new(link, Stream::new(seed, Purpose::Network)),
            timers: Timers::default(),
            disks: Vec::new(),
            tap,
            traps: Traps::default(),
            script: None,
            due_control: Vec::new(),
            boundaries: None,
        };
        Self {
            inner: Mutex::new(inner),
            clock_ns: AtomicU64::new(0),
            any_wrong: AtomicBool::new(false),
            seed,
        }
    }

    /// Keeps every call of every process from now on.
    pub(crate) fn keep_calls(&self) {
        self.lock().script = Some(Script::default());
    }

    /// The calls, if they were kept.
    pub(crate) fn take_script(&self) -> Script {
        let mut inner = self.lock();
        let mut script = inner.script.take().unwrap_or_default();
        script.ends(inner.core.now_ns, inner.tap.leader());
        script
    }

    /// The number that the next node gets.
    pub(crate) fn next_node(&self) -> NodeId {
        self.lock().core.nodes.len() as NodeId
    }

    /// Adds a machine, powered and with no process, and gives its number.
    pub(crate) fn add_node(&self, disk: DiskIo) -> NodeId {
        let mut inner = self.lock();
        let node = inner.core.nodes.len() as NodeId;
        let random = Stream::lane(self.seed, Purpose::Product, node);
        inner.core.nodes.push(Node {
            incarnation: 0,
            process_up: false,
            serves: false,
            os_up: true,
            random,
            clock: Clock::default(),
            busy: Busy::default(),
        });
        inner.disks.push(disk);
        node
    }

    /// Everything, locked. A panic of a node leaves the lock poisoned; what the
    /// unwinding drops still has to get through.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nanoseconds since the start of the run.
    pub(crate) fn now_ns(&self) -> u64 {
        self.clock_ns.load(Ordering::Relaxed)
    }

    fn set_now(&self, inner: &mut Inner, now_ns: u64) {
        inner.core.now_ns = now_ns;
        self.clock_ns.store(now_ns, Ordering::Relaxed);
    }

    /// A machine's monotonic clock, nanoseconds.
    pub(crate) fn own_ns(&self, node: NodeId) -> u64 {
        let now_ns = self.now_ns();
        match self.any_wrong.load(Ordering::Relaxed) {
            true => self.lock().read_own_ns(node),
            false => now_ns,
        }
    }

    /// A machine's wall clock, milliseconds since 1970.
    pub(crate) fn wall_ms(&self, node: NodeId) -> u64 {
        let now_ns = self.now_ns();
        match self.any_wrong.load(Ordering::Relaxed) {
            true => {
                let core = &mut self.lock().core;
                let here_ns = core.here_ns(node);
                core.nodes[node as usize].clock.read_wall_ms(here_ns)
            }
            false => Clock::default().wall_ms(now_ns),
        }
    }

    /// Brokers' work takes CPU time.
    pub(crate) fn charge_cpu(&self, speed: CpuSpeed) {
        self.any_wrong.store(true, Ordering::Relaxed);
        self.lock().core.set_cpu(speed);
    }

    /// Whether any process may be ahead of the run's time.
    pub(crate) fn any_ahead(&self) -> bool {
        self.any_wrong.load(Ordering::Relaxed)
    }

    /// A process is not to stop any more; one that has goes on at its time.
    pub(crate) fn stop_no_more(&self, node: NodeId) {
        self.lock().stop_no_more(node);
    }

    /// See [`Inner::stop_in_a_step`].
    pub(crate) fn stop_in_a_step(&self, node: NodeId, reading: u32, lasts_ns: u64) {
        self.any_wrong.store(true, Ordering::Relaxed);
        self.lock().stop_in_a_step(node, reading, lasts_ns);
    }

    /// Changes a machine's clocks, now; timers follow.
    pub(crate) fn change_clock(&self, node: NodeId, change: impl FnOnce(&mut Clock, u64)) {
        self.any_wrong.store(true, Ordering::Relaxed);
        let mut inner = self.lock();
        let Inner { core, timers, .. } = &mut *inner;
        change(&mut core.nodes[node as usize].clock, core.now_ns);
        timers.clock_changed(core, node);
    }

    /// 64 bits out of a machine's own stream.
    pub(crate) fn random_u64(&self, node: NodeId) -> u64 {
        self.lock().core.nodes[node as usize].random.next_u64()
    }

    /// Plans a step of the run.
    pub(crate) fn plan_control(&self, at_ns: u64, step: u64) {
        self.lock().core.agenda.add(at_ns, Due::Control(step));
    }

    /// A process starts; returns its incarnation.
    pub(crate) fn process_starts(&self, node: NodeId) -> u32 {
        let mut inner = self.lock();
        let state = &mut inner.core.nodes[node as usize];
        state.incarnation += 1;
        state.process_up = true;
        state.serves = false;
        state.os_up = true;
        let incarnation = state.incarnation;
        let inner = &mut *inner;
        inner.core.is_done(node);
        if let Some(script) = &mut inner.script {
            script.begins(node, inner.core.now_ns);
        }
        inner
            .core
            .trace(TraceKind::Node, node, u64::from(incarnation), &[], || {
                "starts".into()
            });
        incarnation
    }

    /// A process dies, with its machine or without.
    pub(crate) fn process_dies(&self, node: NodeId, machine_too: bool) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let state = &mut inner.core.nodes[node as usize];
        state.process_up = false;
        state.os_up = !machine_too;
        inner.core.is_done(node);
        if let Some(script) = &mut inner.script {
            script.dies(node, inner.core.now_ns, machine_too);
        }
        inner
            .core
            .trace(TraceKind::Node, node, u64::from(machine_too), &[], || {
                if machine_too {
                    "machine goes down".into()
                } else {
                    "process dies".into()
                }
            });
        inner.tap.dies(node);
        inner.net.process_died(&mut inner.core, node);
    }

    /// Hash and number of events so far.
    pub(crate) fn trace_state(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.core.trace.hash(), inner.core.trace.events())
    }

    /// The events in words, if they were kept.
    pub(crate) fn take_lines(&self) -> Vec<TraceLine> {
        self.lock().core.trace.take_lines()
    }

    /// How many events the agenda has handled.
    pub(crate) fn agenda_events(&self) -> u64 {
        self.lock().core.agenda_events
    }

    /// Adds an event of the run itself to the trace.
    pub(crate) fn note(
        &self,
        kind: TraceKind,
        node: NodeId,
        detail: u64,
        payload: &[u8],
        text: impl FnOnce() -> String,
    ) {
        self.lock().core.trace(kind, node, detail, payload, text);
    }
}
