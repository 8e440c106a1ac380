//! The simulated network: byte streams with TCP's meaning and peer messages
//! that may be late, lost, repeated, overtaken.
//!
//! ```text
//!   endpoint ──write──▶ link: latency, loss, cut ──▶ agenda ──▶ inbox ──▶ endpoint
//! ```
//!
//! A process that is killed leaves its streams to its operating system, which
//! ends them (EOF or reset); a machine that loses power says nothing: its
//! peers learn of it from silence, or from a reset once it is up again.

mod garbage;
mod held;
mod link;
mod peer;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::task::Waker;

use bytes::Bytes;

pub(crate) use held::HeldMax;
pub use link::{LinkConfig, NodeId};
pub(crate) use stream::{Conn, Flight, Side, stream_of};

use super::random::Stream;
use super::world::{Core, Due};
use crate::env::{NetEvent, PEER_MESSAGE_BYTES_MAX, Source};
use link::Links;

/// An endpoint's number in the run.
pub(crate) type EndpointId = usize;

/// How long an operating system tries before it gives a stream up, nanoseconds.
const GIVE_UP_NS: u64 = 60_000_000_000;
/// Pause between two attempts to reach a machine that does not answer,
/// nanoseconds (Linux' initial RTO).
const RETRY_NS: u64 = 1_000_000_000;

/// Something on its way.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A connection request.
    Connect { conn: usize, to: SocketAddr },
    /// A connection request was accepted.
    Accept { conn: usize },
    /// The connect's time is up.
    ConnectTimeout { conn: usize },
    /// A cut has held something for one side of a stream for so long that its
    /// sender may give up.
    GiveUp { conn: usize, to: Side },
    /// A piece of a stream, or its end, for one side of it.
    Segment { flight: Flight, segment: Segment },
    /// A peer message.
    Peer {
        from_node: NodeId,
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
        /// Counts the peer messages of a run, in the order in which they were
        /// sent.
        number: u64,
        /// Whether it is the second of two.
        again: bool,
        /// It was held back to be overtaken.
        held: bool,
    },
    /// Something that looks like a peer message.
    Garbage {
        from_node: NodeId,
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
    },
}

/// The things that travel on a stream.
#[derive(Debug)]
pub(crate) enum Segment {
    Bytes(Bytes),
    /// The first piece of a write that goes in two.
    Piece(Bytes),
    /// The orderly end: nothing follows.
    Fin,
    /// The abrupt end: overtakes nothing, and is never retransmitted; it takes
    /// no number, so that the next one is as good where this one is lost.
    Reset,
}

/// Counts of what the network did to traffic.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct NetworkFates {
    /// Peer messages lost, and stream segments that needed a retransmission.
    pub lost: u64,
    /// Peer messages sent twice.
    pub repeated: u64,
    /// Of these, second copies that came to somebody.
    pub repeats_delivered: u64,
    /// Peer messages held back to be overtaken.
    pub overtaken: u64,
    /// Of these, such as came to somebody after one that was sent later.
    pub overtaken_delivered: u64,
    /// Peer messages beside which something garbled was sent.
    pub garbled: u64,
    /// Of these, garbled ones that came to somebody.
    pub garbled_delivered: u64,
    /// Stream writes that went in two pieces.
    pub split: u64,
    /// Of these, first pieces that came to somebody.
    pub pieces_delivered: u64,
    /// Of these, such as came alone: the rest was still on its way.
    pub pieces_alone: u64,
    /// Arrivals on streams that were read together with what had come before.
    pub joined: u64,
    /// Arrivals that a cut link swallowed or held.
    pub cut: u64,
    /// Arrivals delivered.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
}

#[derive(Debug)]
struct Endpoint {
    node: NodeId,
    open: bool,
    inbox: VecDeque<NetEvent>,
    peer_inbox: VecDeque<NetEvent>,
    /// How many of each waited when a timer of the node fired last, and still wait:
    /// events, and things that peers said.
    due: (usize, usize),
    waker: Option<Waker>,
    peer_address: Option<SocketAddr>,
}

/// All streams, endpoints and links of a run.
#[derive(Debug)]
pub(crate) struct Network {
    endpoints: Vec<Endpoint>,
    conns: Vec<Conn>,
    listeners: BTreeMap<SocketAddr, EndpointId>,
    peer_listeners: BTreeMap<SocketAddr, EndpointId>,
    links: Links,
    random: Stream,
    /// Peer messages sent.
    peer_messages: u64,
    /// The longest peer message, bytes.
    peer_bytes_max: usize,
    held: held::Held,
    /// The newest that came, by sender and address.
    newest: BTreeMap<(NodeId, SocketAddr), u64>,
    pub(crate) fates: NetworkFates,
}

impl Network {
    pub(crate) fn new(default: LinkConfig, random: Stream) -> Self {
        Self {
            endpoints: Vec::new(),
            conns: Vec::new(),
            listeners: BTreeMap::new(),
            peer_listeners: BTreeMap::new(),
            links: Links::new(default),
            random,
            peer_messages: 0,
            peer_bytes_max: PEER_MESSAGE_BYTES_MAX,
            held: held::Held::default(),
            newest: BTreeMap::new(),
            fates: NetworkFates::default(),
        }
    }

    /// No peer message is longer than this: less than what real ones may have.
    pub(crate) fn bound_peer_messages(&mut self, bytes_max: usize) {
        self.peer_bytes_max = bytes_max.min(PEER_MESSAGE_BYTES_MAX);
    }

    /// A new endpoint of a node's present incarnation.
    pub(crate) fn open(&mut self, node: NodeId) -> EndpointId {
        self.endpoints.push(Endpoint {
            node,
            open: true,
            inbox: VecDeque::new(),
            peer_inbox: VecDeque::new(),
            due: (0, 0),
            waker: None,
            peer_address: None,
        });
        self.endpoints.len() - 1
    }

    /// Registers a listener of streams; false where the address is taken.
    pub(crate) fn listen(&mut self, endpoint: EndpointId, address: SocketAddr) -> bool {
        if self.listeners.contains_key(&address) {
            return false;
        }
        self.listeners.insert(address, endpoint);
        true
    }

    /// Registers a listener of peer messages; false where the address is taken.
    pub(crate) fn listen_peers(&mut self, endpoint: EndpointId, address: SocketAddr) -> bool {
        if self.peer_listeners.contains_key(&address) {
            return false;
        }
        self.peer_listeners.insert(address, endpoint);
        self.endpoints[endpoint].peer_address = Some(address);
        true
    }

    /// Brokers hold so much of what clients send.
    pub(crate) fn bound_held(&mut self, max: HeldMax) {
        self.held.bound(max);
    }

    /// The first time that a broker held more: on which node, and of what.
    pub(crate) fn held_too_much(&self) -> Option<(NodeId, &str)> {
        let (endpoint, what) = self.held.exceeded.as_ref()?;
        Some((self.endpoints[*endpoint].node, what))
    }

    /// The next event of one source, at an endpoint.
    pub(crate) fn take_event(&mut self, endpoint: EndpointId, from: Source) -> Option<NetEvent> {
        self.held.settled(endpoint);
        let inbox = &mut self.endpoints[endpoint];
        let (events, due) = match from {
            Source::Peers => (&mut inbox.peer_inbox, &mut inbox.due.1),
            Source::Streams => (&mut inbox.inbox, &mut inbox.due.0),
        };
        let event = events.pop_front()?;
        *due = due.saturating_sub(1);
        self.held.handed(endpoint, &event);
        Some(event)
    }

    /// How many events of one source wait.
    pub(crate) fn waiting(&self, endpoint: EndpointId, from: Source) -> usize {
        let endpoint = &self.endpoints[endpoint];
        match from {
            Source::Peers => endpoint.peer_inbox.len(),
            Source::Streams => endpoint.inbox.len(),
        }
    }

    /// A timer of the node fired: what waits by now has come in time.
    pub(crate) fn timer_fired(&mut self, node: NodeId) {
        // Only brokers listen to peers, and timers fire often.
        for endpoint in self.peer_listeners.values() {
            let endpoint = &mut self.endpoints[*endpoint];
            if endpoint.node == node {
                endpoint.due = (endpoint.inbox.len(), endpoint.peer_inbox.len());
            }
        }
    }

    /// The things that peers said to the node before its timer fired, and that it has not
    /// taken since.
    pub(crate) fn unheard(&self, node: NodeId) -> impl Iterator<Item = &Bytes> {
        let endpoints = self.peer_listeners.values().map(|it| &self.endpoints[*it]);
        let endpoints = endpoints.filter(move |it| it.node == node);
        let waiting = endpoints.flat_map(|it| {
            let (events, said) = it.due;
            it.inbox
                .iter()
                .take(events)
                .chain(it.peer_inbox.iter().take(said))
        });
        waiting.filter_map(|event| match event {
            NetEvent::Peer { bytes, .. } => Some(bytes),
            _ => None,
        })
    }

    /// The task to wake when an event comes.
    pub(crate) fn wait(&mut self, endpoint: EndpointId, waker: &Waker) {
        let slot = &mut self.endpoints[endpoint].waker;
        match slot {
            Some(known) if known.will_wake(waker) => {}
            _ => *slot = Some(waker.clone()),
        }
    }

    /// Something arrives.
    pub(crate) fn arrive(&mut self, core: &mut Core, arrival: Arrival) {
        match arrival {
            Arrival::Connect { conn, to } => self.arrive_connect(core, conn, to),
            Arrival::Accept { conn } => self.arrive_accept(core, conn),
            Arrival::ConnectTimeout { conn } => self.connect_timed_out(core, conn),
            Arrival::GiveUp { conn, to } => self.give_up(core, conn, to),
            Arrival::Segment { flight, segment } => self.arrive_segment(core, flight, segment),
            Arrival::Peer {
                from_node,
                from,
                to,
                bytes,
                number,
                again,
                held,
            } => {
                if self.arrive_peer(core, from_node, from, to, bytes) {
                    self.count_order(from_node, to, number, (again, held));
                }
            }
            Arrival::Garbage {
                from_node,
                from,
                to,
                bytes,
            } => {
                let came = self.arrive_peer(core, from_node, from, to, bytes);
                self.fates.garbled_delivered += u64::from(came);
            }
        }
    }

    /// The process of a node died. Its operating system, if it lives, ends the
    /// streams; otherwise nobody says anything.
    pub(crate) fn process_died(&mut self, core: &mut Core, node: NodeId) {
        for endpoint in 0..self.endpoints.len() {
            if self.endpoints[endpoint].node == node && self.endpoints[endpoint].open {
                self.forget_endpoint(core, endpoint, core.os_up(node));
            }
        }
    }

    /// An endpoint was dropped by a living process.
    pub(crate) fn close_endpoint(&mut self, core: &mut Core, endpoint: EndpointId) {
        if self.endpoints[endpoint].open {
            self.forget_endpoint(core, endpoint, true);
        }
    }

    fn forget_endpoint(&mut self, core: &mut Core, endpoint: EndpointId, tell_peers: bool) {
        self.held.forget(endpoint);
        let closed = &mut self.endpoints[endpoint];
        closed.open = false;
        closed.inbox = VecDeque::new();
        closed.peer_inbox = VecDeque::new();
        closed.due = (0, 0);
        closed.waker = None;
        self.listeners.retain(|_, owner| *owner != endpoint);
        self.peer_listeners.retain(|_, owner| *owner != endpoint);
        self.end_streams_of(core, endpoint, tell_peers);
    }

    /// Cuts one direction, in-flight traffic included.
    pub(crate) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.links.cut(from, to);
    }

    /// Heals one direction; streams go on after a retransmission.
    pub(crate) fn heal(&mut self, core: &mut Core, from: NodeId, to: NodeId) {
        self.links.heal(from, to);
        self.retransmit(core, from, to);
    }

    /// Gives one direction a character of its own.
    pub(crate) fn set_link(&mut self, from: NodeId, to: NodeId, config: LinkConfig) {
        self.links.set(from, to, config);
    }

    /// Arrivals that cuts swallowed or held in some directions, so far.
    pub(crate) fn cut_hits_on<'l>(
        &self,
        links: impl IntoIterator<Item = &'l (NodeId, NodeId)>,
    ) -> u64 {
        self.links.hits_on(links)
    }

    /// These directions take so many times as long, and no others.
    pub(crate) fn limp(&mut self, limping: BTreeMap<(NodeId, NodeId), u32>) {
        self.links.limp(limping);
    }

    /// The count of messages that were late in some directions because they limp, so far.
    pub(crate) fn limped_on<'l>(
        &self,
        links: impl IntoIterator<Item = &'l (NodeId, NodeId)>,
    ) -> u64 {
        self.links.limped_on(links)
    }

    /// Whether a cut keeps something from arriving, now; counted where so.
    fn cut_holds(&mut self, from: NodeId, to: NodeId) -> bool {
        let holds = self.links.is_cut(from, to);
        if holds {
            self.fates.cut += 1;
            self.links.count_hit(from, to);
        }
        holds
    }

    fn latency_ns(&mut self, from: NodeId, to: NodeId) -> u64 {
        if from == to {
            return 20_000;
        }
        let latency_ns = self
            .links
            .config(from, to)
            .latency
            .draw_ns(&mut self.random);
        latency_ns * self.links.take_factor(from, to)
    }

    fn lost(&mut self, from: NodeId, to: NodeId) -> bool {
        let loss = self.links.config(from, to).loss;
        loss > 0.0 && self.random.chance(loss)
    }

    fn deliver(&mut self, endpoint: EndpointId, event: NetEvent) {
        let endpoint = &mut self.endpoints[endpoint];
        match event {
            NetEvent::Peer { .. } => endpoint.peer_inbox.push_back(event),
            _ => endpoint.inbox.push_back(event),
        }
        if let Some(waker) = &endpoint.waker {
            waker.wake_by_ref();
        }
    }

    fn plan(core: &mut Core, at_ns: u64, arrival: Arrival) {
        core.agenda.add(at_ns, Due::Net(arrival));
    }
}
