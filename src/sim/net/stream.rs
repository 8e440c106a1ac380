//! Byte streams: ordered, never repeated; loss and cuts show as delay.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;

use super::{Arrival, EndpointId, GIVE_UP_NS, Network, NodeId, RETRY_NS, Segment};
use crate::env::{CloseReason, ConnId, NetEvent};
use crate::sim::world::{Core, TraceKind, node_of};

/// The one of a stream's two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that connected.
    Client,
    /// The one that accepted.
    Server,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A segment under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    conn: usize,
    to: Side,
    number: u64,
    sent_ns: u64,
    /// Sent again by the sender's operating system: if that is gone, nobody did.
    again: bool,
}

/// A stream.
///
/// Invariants: 1. an end that is up receives segments in the order of their
/// numbers, without gaps; what overtook waits, also for the end to be up; 2.
/// what a cut swallowed is sent again when the link heals, unless it was a
/// reset, or the sender's machine has lost power, or its sender gave up; 3. an
/// end that is not open receives nothing more.
#[derive(Debug)]
pub(crate) struct Conn {
    client: End,
    server: End,
}

#[derive(Debug)]
struct End {
    endpoint: EndpointId,
    node: NodeId,
    open: bool,
    /// The server's end: it was accepted; the client's: it knows.
    up: bool,
    /// Its machine lost power: whatever it still owed, it never sends.
    silent: bool,
    /// Number of the next segment that this end sends.
    sends_next: u64,
    /// Number of the next segment that this end receives.
    expects: u64,
    /// Arrived too early.
    waiting: BTreeMap<u64, Segment>,
    /// Meant for this end, swallowed by a cut.
    swallowed: Vec<(Flight, Segment)>,
}

impl End {
    fn new(endpoint: EndpointId, node: NodeId) -> Self {
        Self {
            endpoint,
            node,
            open: true,
            up: false,
            silent: false,
            sends_next: 0,
            expects: 0,
            waiting: BTreeMap::new(),
            swallowed: Vec::new(),
        }
    }

    fn shut(&mut self) -> bool {
        self.waiting.clear();
        self.swallowed.clear();
        std::mem::take(&mut self.open)
    }
}

impl Conn {
    fn end(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

/// The id under which an end's owner knows the stream.
fn conn_id(conn: usize, side: Side) -> ConnId {
    ConnId((conn as u64) << 1 | u64::from(side == Side::Server))
}

fn reason_name(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Eof => "closed by the other side",
        CloseReason::Reset => "reset",
        CloseReason::Timeout => "timed out",
        CloseReason::Overflow => "too slow a reader",
    }
}

/// The number of a stream, the same for both sides.
pub(crate) fn stream_of(id: ConnId) -> u64 {
    id.0 >> 1
}

/// The stream and the end behind an id.
pub(crate) fn locate(id: ConnId) -> (usize, Side) {
    let side = if id.0 & 1 == 1 {
        Side::Server
    } else {
        Side::Client
    };
    (stream_of(id) as usize, side)
}

impl Network {
    /// Begins a stream.
    pub(crate) fn connect(
        &mut self,
        core: &mut Core,
        endpoint: EndpointId,
        to: SocketAddr,
    ) -> ConnId {
        let from_node = self.endpoints[endpoint].node;
        let to_node = node_of(to);
        let conn = self.conns.len();
        self.conns.push(Conn {
            client: End::new(endpoint, from_node),
            server: End::new(usize::MAX, to_node),
        });
        let at_ns = core.here_ns(from_node) + self.latency_ns(from_node, to_node);
        Self::plan(core, at_ns, Arrival::Connect { conn, to });
        let connect_ns = self.links.config(from_node, to_node).connect_ns;
        let at_ns = core.now_ns + connect_ns;
        Self::plan(core, at_ns, Arrival::ConnectTimeout { conn });
        conn_id(conn, Side::Client)
    }

    pub(super) fn arrive_connect(&mut self, core: &mut Core, conn: usize, to: SocketAddr) {
        let (from_node, to_node) = (self.conns[conn].client.node, self.conns[conn].server.node);
        if !self.conns[conn].client.open && self.conns[conn].client.silent {
            return; // nobody asks any more
        }
        if self.cut_holds(from_node, to_node) || !core.os_up(to_node) {
            // Silence: asked again, until the connect times out.
            if self.conns[conn].client.open {
                Self::plan(core, core.now_ns + RETRY_NS, Arrival::Connect { conn, to });
            }
            return;
        }
        let caller = core.name_of(from_node);
        core.trace(TraceKind::Stream, to_node, conn as u64, &[], || {
            format!("stream {conn}: {caller} connects")
        });
        let Some(&endpoint) = self.listeners.get(&to) else {
            self.conns[conn].server.open = false;
            self.send_segment(core, conn, Side::Server, Segment::Reset);
            return;
        };
        self.conns[conn].server.endpoint = endpoint;
        self.conns[conn].server.up = true;
        let from = core.address_of(from_node);
        self.deliver(
            endpoint,
            NetEvent::Accepted {
                conn: conn_id(conn, Side::Server),
                from,
            },
        );
        let at_ns = core.now_ns + self.latency_ns(to_node, from_node);
        Self::plan(core, at_ns, Arrival::Accept { conn });
        self.hand_over_waiting(core, conn, Side::Server);
    }

    pub(super) fn arrive_accept(&mut self, core: &mut Core, conn: usize) {
        let (from_node, to_node) = (self.conns[conn].server.node, self.conns[conn].client.node);
        if !self.conns[conn].client.open {
            return;
        }
        if self.cut_holds(from_node, to_node) {
            // The answer is retransmitted like any segment.
            if !self.conns[conn].server.silent {
                Self::plan(core, core.now_ns + RETRY_NS, Arrival::Accept { conn });
            }
            return;
        }
        self.conns[conn].client.up = true;
        let endpoint = self.conns[conn].client.endpoint;
        self.deliver(
            endpoint,
            NetEvent::Connected {
                conn: conn_id(conn, Side::Client),
            },
        );
        self.hand_over_waiting(core, conn, Side::Client);
    }

    pub(super) fn connect_timed_out(&mut self, core: &mut Core, conn: usize) {
        if !self.conns[conn].client.up {
            self.end_side(core, conn, Side::Client, CloseReason::Timeout);
        }
    }

    /// Queues bytes for the other side.
    pub(crate) fn write(&mut self, core: &mut Core, id: ConnId, mut bytes: Bytes) {
        let (conn, side) = locate(id);
        if !self.conns[conn].end(side).open || bytes.is_empty() {
            return;
        }
        let (from, to) = self.nodes(conn, side);
        let split = self.links.config(from, to).split;
        if bytes.len() > 1 && split > 0.0 && self.random.chance(split) {
            let at = 1 + self.random.below(bytes.len() as u64 - 1) as usize;
            self.fates.split += 1;
            let head = bytes.split_to(at);
            self.send_segment(core, conn, side, Segment::Piece(head));
        }
        self.send_segment(core, conn, side, Segment::Bytes(bytes));
    }

    /// Closes one side, after what it has written.
    pub(crate) fn close(&mut self, core: &mut Core, id: ConnId) {
        let (conn, side) = locate(id);
        let endpoint = self.conns[conn].end(side).endpoint;
        self.held.closed(endpoint, id);
        if std::mem::take(&mut self.conns[conn].end_mut(side).open) {
            self.send_segment(core, conn, side, Segment::Fin);
        }
    }

    fn nodes(&self, conn: usize, from: Side) -> (NodeId, NodeId) {
        (
            self.conns[conn].end(from).node,
            self.conns[conn].end(from.other()).node,
        )
    }

    fn send_segment(&mut self, core: &mut Core, conn: usize, from: Side, segment: Segment) {
        let (from_node, to_node) = self.nodes(conn, from);
        let (late_ns, is_reset) = (
            self.losses_ns(from_node, to_node),
            matches!(segment, Segment::Reset),
        );
        if late_ns > 0 && is_reset {
            return;
        }
        let at_ns = core.here_ns(from_node) + self.latency_ns(from_node, to_node) + late_ns;
        let end = self.conns[conn].end_mut(from);
        let flight = Flight {
            conn,
            to: from.other(),
            number: end.sends_next,
            sent_ns: core.now_ns,
            again: late_ns > 0,
        };
        end.sends_next += u64::from(!is_reset);
        Self::plan(core, at_ns, Arrival::Segment { flight, segment });
    }

    /// The delay that losses cost a segment, nanoseconds; 0 where nothing is lost.
    fn losses_ns(&mut self, from: NodeId, to: NodeId) -> u64 {
        let mut again_after_ns = self.links.config(from, to).retransmit_ns.max(1);
        let mut late_ns = 0;
        while late_ns < GIVE_UP_NS && self.lost(from, to) {
            self.fates.lost += 1;
            late_ns += again_after_ns;
            again_after_ns *= 2;
        }
        late_ns
    }

    pub(super) fn arrive_segment(&mut self, core: &mut Core, flight: Flight, segment: Segment) {
        let Flight { conn, to, .. } = flight;
        if flight.again && self.conns[conn].end(to.other()).silent {
            return; // there was nobody left to send it again
        }
        let (from_node, to_node) = self.nodes(conn, to.other());
        if self.cut_holds(from_node, to_node) {
            self.swallow(core, flight, segment);
            return;
        }
        if !core.os_up(to_node) {
            self.retry_at_dead_machine(core, flight, segment);
            return;
        }
        if !self.conns[conn].end(to).open {
            self.answer_reset(core, conn, to, &segment);
            return;
        }
        if self.is_refusal(conn, &segment) {
            self.end_side(core, conn, Side::Client, CloseReason::Reset);
            return;
        }
        let end = self.conns[conn].end_mut(to);
        end.waiting.insert(flight.number, segment);
        self.hand_over_waiting(core, conn, to);
    }

    /// A reset by a machine that never accepted.
    fn is_refusal(&self, conn: usize, segment: &Segment) -> bool {
        let server = &self.conns[conn].server;
        matches!(segment, Segment::Reset) && !server.up && !server.open
    }

    /// Hands over what has come in order, once the end is up.
    fn hand_over_waiting(&mut self, core: &mut Core, conn: usize, to: Side) {
        loop {
            let end = self.conns[conn].end_mut(to);
            if !end.up || !end.open {
                return;
            }
            let Some(segment) = end.waiting.remove(&end.expects) else {
                return;
            };
            end.expects += 1;
            if matches!(segment, Segment::Piece(_)) {
                let is_alone = !end.waiting.contains_key(&end.expects);
                self.fates.pieces_delivered += 1;
                self.fates.pieces_alone += u64::from(is_alone);
            }
            self.hand_over(core, conn, to, segment);
        }
    }

    /// A cut keeps a segment from arriving: kept until the link heals, or until
    /// its sender gives up.
    fn swallow(&mut self, core: &mut Core, flight: Flight, segment: Segment) {
        if matches!(segment, Segment::Reset) {
            return;
        }
        let Flight { conn, to, .. } = flight;
        let give_up_ns = (flight.sent_ns + GIVE_UP_NS).max(core.now_ns);
        Self::plan(core, give_up_ns, Arrival::GiveUp { conn, to });
        let end = self.conns[conn].end_mut(to);
        end.swallowed.push((flight, segment));
    }

    /// Ends the sender's side where a cut still holds what it sent so long ago.
    pub(super) fn give_up(&mut self, core: &mut Core, conn: usize, to: Side) {
        let too_old = |(flight, _): &(Flight, Segment)| flight.sent_ns + GIVE_UP_NS <= core.now_ns;
        let end = self.conns[conn].end_mut(to);
        if end.swallowed.iter().any(too_old) {
            end.swallowed.clear();
            self.end_side(core, conn, to.other(), CloseReason::Timeout);
        }
    }

    /// Nobody answers: the sender's operating system tries again, and gives up
    /// in the end.
    fn retry_at_dead_machine(&mut self, core: &mut Core, flight: Flight, segment: Segment) {
        if matches!(segment, Segment::Reset) {
            return;
        }
        if core.now_ns - flight.sent_ns >= GIVE_UP_NS {
            self.end_side(core, flight.conn, flight.to.other(), CloseReason::Timeout);
            return;
        }
        let flight = Flight {
            again: true,
            ..flight
        };
        let next_ns = (core.now_ns + RETRY_NS).min(flight.sent_ns + GIVE_UP_NS);
        Self::plan(core, next_ns, Arrival::Segment { flight, segment });
    }

    /// The machine is up, but nobody there knows the stream.
    fn answer_reset(&mut self, core: &mut Core, conn: usize, side: Side, segment: &Segment) {
        if matches!(segment, Segment::Bytes(_) | Segment::Piece(_))
            && self.conns[conn].end(side.other()).open
        {
            self.send_segment(core, conn, side, Segment::Reset);
        }
    }

    /// Adds bytes, by that chance, to those of the stream that its owner has not taken
    /// yet: a read gives whatever has come.
    fn joins(&mut self, endpoint: EndpointId, id: ConnId, more: &Bytes, chance: f64) -> bool {
        let inbox = self.endpoints[endpoint].inbox.iter_mut().rev();
        let mut untaken = inbox.filter_map(|event| match event {
            NetEvent::Data { conn, bytes } if *conn == id => Some(bytes),
            _ => None,
        });
        let Some(before) = untaken.next() else {
            return false;
        };
        if !self.random.chance(chance) {
            return false;
        }
        *before = [&before[..], &more[..]].concat().into();
        self.fates.joined += 1;
        true
    }

    fn hand_over(&mut self, core: &mut Core, conn: usize, side: Side, segment: Segment) {
        match segment {
            Segment::Bytes(bytes) | Segment::Piece(bytes) => {
                self.fates.delivered += 1;
                self.fates.delivered_bytes += bytes.len() as u64;
                let end = self.conns[conn].end(side);
                let (node, endpoint) = (end.node, end.endpoint);
                core.trace(TraceKind::Deliver, node, conn as u64, &bytes, || {
                    format!("stream {conn}: {} bytes", bytes.len())
                });
                let (from, to) = self.nodes(conn, side.other());
                let split = self.links.config(from, to).split;
                let id = conn_id(conn, side);
                if split > 0.0 && self.joins(endpoint, id, &bytes, split) {
                    return;
                }
                self.deliver(endpoint, NetEvent::Data { conn: id, bytes });
            }
            Segment::Fin => self.end_side(core, conn, side, CloseReason::Eof),
            Segment::Reset => self.end_side(core, conn, side, CloseReason::Reset),
        }
    }

    fn end_side(&mut self, core: &mut Core, conn: usize, side: Side, reason: CloseReason) {
        let end = self.conns[conn].end_mut(side);
        if !end.shut() {
            return;
        }
        let (node, endpoint) = (end.node, end.endpoint);
        core.trace(
            TraceKind::Stream,
            node,
            conn as u64,
            &[reason as u8],
            || format!("stream {conn} ended: {}", reason_name(reason)),
        );
        self.deliver(
            endpoint,
            NetEvent::Closed {
                conn: conn_id(conn, side),
                reason,
            },
        );
    }

    /// Ends every stream of an endpoint that is gone.
    pub(super) fn end_streams_of(
        &mut self,
        core: &mut Core,
        endpoint: EndpointId,
        tell_peers: bool,
    ) {
        for conn in 0..self.conns.len() {
            for side in [Side::Client, Side::Server] {
                let end = self.conns[conn].end_mut(side);
                if end.endpoint != endpoint {
                    continue;
                }
                // A stream closed before may still owe its end.
                end.silent |= !tell_peers;
                if end.shut() && tell_peers {
                    let abrupt = self.random.chance(0.5);
                    let segment = if abrupt { Segment::Reset } else { Segment::Fin };
                    self.send_segment(core, conn, side, segment);
                }
            }
        }
    }

    /// A direction is whole again: what the cut swallowed is sent again.
    pub(super) fn retransmit(&mut self, core: &mut Core, from: NodeId, to: NodeId) {
        for conn in 0..self.conns.len() {
            for side in [Side::Client, Side::Server] {
                if self.nodes(conn, side.other()) != (from, to) {
                    continue;
                }
                let swallowed = std::mem::take(&mut self.conns[conn].end_mut(side).swallowed);
                let again_ns = self.links.config(from, to).retransmit_ns;
                for (flight, segment) in swallowed {
                    let flight = Flight {
                        again: true,
                        ..flight
                    };
                    let at_ns = core.now_ns + again_ns;
                    Self::plan(core, at_ns, Arrival::Segment { flight, segment });
                }
            }
        }
    }
}
