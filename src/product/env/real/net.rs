//! An endpoint: TCP streams and peer messages into one event queue.
//!
//! ```text
//!   listener ──────────── polled by next() ──┐
//!   stream task ──┐                          ▼
//!   stream task ──┼─▶ bounded channel ──▶ endpoint ──▶ NetEvent
//!   peer reader ──┘                          │
//!   stream task ◀── bytes, counted ──────────┤ write
//!   link task   ◀── messages, counted ───────┘ send
//! ```
//!
//! A full channel stops the readers, and TCP stops the senders. The endpoint
//! owns every task and both listening sockets: dropped, it leaves nothing.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Sleep;

use super::limits::{connections_share, descriptors};
use super::peers::{self, PeerLink};
use super::streams::{self, StreamHalf, Unsent};
use crate::env::{
    CloseReason, ConnId, Net, NetEvent, PEER_MESSAGE_BYTES_MAX, Source, UNSENT_BYTES_MAX,
    UNSENT_OF_STREAM_BYTES_MAX,
};

/// The resources that an endpoint may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Events that wait for the endpoint's owner.
    pub(super) events_max: usize,
    /// Streams and links at once, those that bring out their last bytes among them:
    /// further ones wait to be accepted.
    pub(super) streams_max: usize,
    /// Bytes that wait to be written to one stream, or sent to one peer.
    pub(super) outbound_bytes_max: usize,
    /// Bytes that wait to be written, over all streams.
    pub(super) outbound_sum_max: usize,
    /// The limits of peers.
    pub(super) peers: peers::Limits,
    /// How long a connect may take.
    pub(super) connect_timeout: Duration,
    /// How long a closed stream may take to bring out what was queued.
    pub(super) linger: Duration,
}

/// Streams that an endpoint bears at most, whatever the process may open.
const STREAMS_MAX: usize = 16_384;

impl Limits {
    /// The number of descriptors that the process may open, but for the store's share.
    pub(super) fn of_process() -> Self {
        Self {
            streams_max: connections_share(descriptors()).min(STREAMS_MAX),
            events_max: 256,
            outbound_bytes_max: UNSENT_OF_STREAM_BYTES_MAX,
            outbound_sum_max: UNSENT_BYTES_MAX,
            peers: peers::Limits::DEFAULT,
            connect_timeout: Duration::from_secs(3),
            linger: Duration::from_secs(3),
        }
    }
}

/// An endpoint of [`RealEnv`](super::RealEnv).
///
/// Where [`Net::listen_peers`] was called with an unspecified address, the
/// other side sees this one's peer address as the one it connected from, with
/// the port of the listener. Before that call peer messages go nowhere: nothing
/// could name their sender.
#[derive(Debug)]
pub struct RealNet {
    runtime: Handle,
    limits: Limits,
    /// Dropped with the endpoint, and every task with it.
    tasks: JoinSet<()>,
    sender: mpsc::Sender<NetEvent>,
    receiver: mpsc::Receiver<NetEvent>,
    peer_sender: mpsc::Sender<NetEvent>,
    peer_receiver: mpsc::Receiver<NetEvent>,
    /// Events of the endpoint's own making.
    own_events: VecDeque<NetEvent>,
    listener: Option<Acceptor>,
    peer_listener: Option<Acceptor>,
    peer_address: Option<SocketAddr>,
    streams: BTreeMap<ConnId, StreamHalf>,
    links: BTreeMap<SocketAddr, PeerLink>,
    /// Bytes that wait to be written, over all streams.
    unsent: Unsent,
    peer_budget: peers::Budget,
    next_conn: u64,
}

/// A listening socket, and the rest it takes after an error (such as too many
/// open files), which would otherwise be reported again at once.
#[derive(Debug)]
struct Acceptor {
    listener: TcpListener,
    pause: Option<Pin<Box<Sleep>>>,
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Acceptor {
    async fn bind(address: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((
            Self {
                listener,
                pause: None,
            },
            bound,
        ))
    }

    #[expect(clippy::disallowed_methods, reason = "behind the seam")]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(TcpStream, SocketAddr)> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match std::task::ready!(self.listener.poll_accept(cx)) {
                Ok(accepted) => return Poll::Ready(accepted),
                Err(_) => self.pause = Some(Box::pin(tokio::time::sleep(ACCEPT_PAUSE))),
            }
        }
    }
}

/// The event that woke the endpoint.
enum Wake {
    Accepted(TcpStream, SocketAddr),
    AcceptedPeer(TcpStream, SocketAddr),
    Event(NetEvent),
}

impl RealNet {
    pub(super) fn new(runtime: Handle, limits: Limits) -> Self {
        let (sender, receiver) = mpsc::channel(limits.events_max);
        let (peer_sender, peer_receiver) = mpsc::channel(limits.events_max);
        Self {
            runtime,
            limits,
            tasks: JoinSet::new(),
            sender,
            receiver,
            peer_sender,
            peer_receiver,
            own_events: VecDeque::new(),
            listener: None,
            peer_listener: None,
            peer_address: None,
            streams: BTreeMap::new(),
            links: BTreeMap::new(),
            unsent: Unsent::default(),
            peer_budget: peers::Budget::new(&limits.peers),
            next_conn: 0,
        }
    }

    fn new_conn(&mut self) -> ConnId {
        self.next_conn += 1;
        ConnId(self.next_conn)
    }

    fn spawn(
        &mut self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::AbortHandle {
        // Those that have ended are kept until somebody looks.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn_on(task, &self.runtime)
    }

    /// Connections first: they are rare, and a busy queue must not starve them.
    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        while self.tasks.try_join_next().is_some() {}
        let has_room = self.tasks.len() < self.limits.streams_max;
        if let Some(acceptor) = self.listener.as_mut().filter(|_| has_room)
            && let Poll::Ready((stream, from)) = acceptor.poll(cx)
        {
            return Poll::Ready(Wake::Accepted(stream, from));
        }
        if let Some(acceptor) = &mut self.peer_listener
            && let Poll::Ready((stream, from)) = acceptor.poll(cx)
        {
            return Poll::Ready(Wake::AcceptedPeer(stream, from));
        }
        if let Some(event) = self.own_events.pop_front() {
            return Poll::Ready(Wake::Event(event));
        }
        for receiver in [&mut self.peer_receiver, &mut self.receiver] {
            match receiver.poll_recv(cx) {
                Poll::Ready(Some(event)) => return Poll::Ready(Wake::Event(event)),
                Poll::Ready(None) => unreachable!("the endpoint holds a sender itself"),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    /// The event that the owner learns of a wake, if any.
    fn on_wake(&mut self, wake: Wake) -> Option<NetEvent> {
        match wake {
            Wake::Accepted(stream, from) => Some(self.accept(stream, from)),
            Wake::AcceptedPeer(stream, from) => {
                // One too many is closed at once: a peer tries again.
                if let Some(place) = self.peer_budget.place() {
                    let (budget, events) = (self.peer_budget.clone(), self.peer_sender.clone());
                    self.spawn(peers::receive(stream, from, events, (budget, place)));
                }
                None
            }
            Wake::Event(event) => self.admit(event),
        }
    }

    fn accept(&mut self, stream: TcpStream, from: SocketAddr) -> NetEvent {
        let conn = self.new_conn();
        let (out, queue) = streams::queue(&self.unsent);
        let pump = streams::pump(conn, stream, queue, self.sender.clone(), self.limits.linger);
        let task = self.spawn(pump);
        self.streams.insert(conn, StreamHalf::new(out, task));
        NetEvent::Accepted { conn, from }
    }

    /// Ends a stream whose other end does not read.
    fn cut(&mut self, conn: ConnId) {
        if let Some(stream) = self.streams.remove(&conn) {
            stream.cut();
            self.own_events.push_back(NetEvent::Closed {
                conn,
                reason: CloseReason::Overflow,
            });
        }
    }

    /// Keeps back what concerns a stream that this side gave up.
    fn admit(&mut self, event: NetEvent) -> Option<NetEvent> {
        let known = match &event {
            NetEvent::Accepted { conn, .. }
            | NetEvent::Connected { conn }
            | NetEvent::Data { conn, .. } => self.streams.contains_key(conn),
            NetEvent::Closed {
                conn,
                reason: CloseReason::Overflow,
            } => {
                debug_assert!(!self.streams.contains_key(conn), "it was cut before this");
                true
            }
            NetEvent::Closed { conn, .. } => self.streams.remove(conn).is_some(),
            NetEvent::Peer { .. } => true,
        };
        known.then_some(event)
    }
}

impl Net for RealNet {
    async fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let (acceptor, bound) = Acceptor::bind(address).await?;
        self.listener = Some(acceptor);
        Ok(bound)
    }

    async fn listen_peers(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let (acceptor, bound) = Acceptor::bind(address).await?;
        self.peer_listener = Some(acceptor);
        self.peer_address = Some(bound);
        // Links that announced another address begin anew.
        self.links.clear();
        Ok(bound)
    }

    fn connect(&mut self, to: SocketAddr) -> ConnId {
        let conn = self.new_conn();
        let (out, queue) = streams::queue(&self.unsent);
        let task = self.spawn(streams::connect(
            conn,
            to,
            queue,
            self.sender.clone(),
            self.limits,
        ));
        self.streams.insert(conn, StreamHalf::new(out, task));
        conn
    }

    fn write(&mut self, conn: ConnId, bytes: Bytes) {
        let Some(stream) = self.streams.get(&conn) else {
            return;
        };
        if stream.write(bytes, self.limits.outbound_bytes_max).is_err() {
            self.cut(conn);
        }
        while self.unsent.bytes() > self.limits.outbound_sum_max {
            let waiting = |half: &StreamHalf| half.unsent_bytes();
            // Bytes that were cut count until their task has heard of it.
            let left: usize = self.streams.values().map(waiting).sum();
            if left <= self.limits.outbound_sum_max {
                return;
            }
            let slowest = self.streams.iter().max_by_key(|(_, half)| waiting(half));
            match slowest {
                Some((conn, _)) => self.cut(*conn),
                None => return,
            }
        }
    }

    fn close(&mut self, conn: ConnId) {
        // Without its queue's sender the stream drains, and ends.
        self.streams.remove(&conn);
    }

    fn send(&mut self, to: SocketAddr, bytes: Bytes) {
        assert!(
            bytes.len() <= PEER_MESSAGE_BYTES_MAX,
            "a peer message of {} bytes never comes: it is sent in pieces",
            bytes.len()
        );
        let Some(own) = self.peer_address else { return };
        if !self.links.contains_key(&to) {
            let (out, queue) = streams::queue(&Unsent::default());
            self.spawn(peers::link(own, to, queue, self.limits.connect_timeout));
            self.links.insert(to, PeerLink::new(out));
        }
        self.links[&to].send(bytes, self.limits.outbound_bytes_max);
    }

    /// Peers and the streams that bring out their last bytes get a quarter.
    fn streams_max(&self) -> usize {
        self.limits.streams_max - self.limits.streams_max / 4
    }

    fn waiting(&self, from: Source) -> usize {
        match from {
            Source::Peers => self.peer_receiver.len(),
            Source::Streams => self.own_events.len() + self.receiver.len(),
        }
    }

    fn try_next_of(&mut self, from: Source) -> Option<NetEvent> {
        if from == Source::Peers {
            return self.peer_receiver.try_recv().ok();
        }
        loop {
            let event = match self.own_events.pop_front() {
                Some(event) => event,
                None => self.receiver.try_recv().ok()?,
            };
            if let Some(event) = self.admit(event) {
                return Some(event);
            }
        }
    }

    async fn next(&mut self) -> NetEvent {
        loop {
            let wake = poll_fn(|cx| self.poll_wake(cx)).await;
            if let Some(event) = self.on_wake(wake) {
                return event;
            }
        }
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
