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

use super::peers::{self, PeerLink};
use super::streams::{self, StreamHalf};
use crate::env::{CloseReason, ConnId, Net, NetEvent};

/// What an endpoint may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Events that wait for the endpoint's owner.
    pub(super) events_max: usize,
    /// Bytes that wait to be written to one stream, or sent to one peer.
    pub(super) outbound_bytes_max: usize,
    /// How long a connect may take.
    pub(super) connect_timeout: Duration,
    /// How long a closed stream may take to bring out what was queued.
    pub(super) linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events_max: 256,
            outbound_bytes_max: 64 << 20,
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
    /// Events of the endpoint's own making.
    own_events: VecDeque<NetEvent>,
    listener: Option<Acceptor>,
    peer_listener: Option<Acceptor>,
    peer_address: Option<SocketAddr>,
    streams: BTreeMap<ConnId, StreamHalf>,
    links: BTreeMap<SocketAddr, PeerLink>,
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

/// What woke the endpoint.
enum Wake {
    Accepted(TcpStream, SocketAddr),
    AcceptedPeer(TcpStream, SocketAddr),
    Event(NetEvent),
}

impl RealNet {
    pub(super) fn new(runtime: Handle, limits: Limits) -> Self {
        let (sender, receiver) = mpsc::channel(limits.events_max);
        Self {
            runtime,
            limits,
            tasks: JoinSet::new(),
            sender,
            receiver,
            own_events: VecDeque::new(),
            listener: None,
            peer_listener: None,
            peer_address: None,
            streams: BTreeMap::new(),
            links: BTreeMap::new(),
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
        if let Some(acceptor) = &mut self.listener
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
        match self.receiver.poll_recv(cx) {
            Poll::Ready(Some(event)) => Poll::Ready(Wake::Event(event)),
            Poll::Ready(None) => unreachable!("the endpoint holds a sender itself"),
            Poll::Pending => Poll::Pending,
        }
    }

    /// What the owner learns of a wake, if anything.
    fn on_wake(&mut self, wake: Wake) -> Option<NetEvent> {
        match wake {
            Wake::Accepted(stream, from) => Some(self.accept(stream, from)),
            Wake::AcceptedPeer(stream, from) => {
                self.spawn(peers::receive(stream, from, self.sender.clone()));
                None
            }
            Wake::Event(event) => self.admit(event),
        }
    }

    fn accept(&mut self, stream: TcpStream, from: SocketAddr) -> NetEvent {
        let conn = self.new_conn();
        let (out, queue) = streams::queue();
        let pump = streams::pump(conn, stream, queue, self.sender.clone(), self.limits.linger);
        let task = self.spawn(pump);
        self.streams.insert(conn, StreamHalf::new(out, task));
        NetEvent::Accepted { conn, from }
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
        let (out, queue) = streams::queue();
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
            stream.cut();
            self.streams.remove(&conn);
            self.own_events.push_back(NetEvent::Closed {
                conn,
                reason: CloseReason::Overflow,
            });
        }
    }

    fn close(&mut self, conn: ConnId) {
        // Without its queue's sender the stream drains, and ends.
        self.streams.remove(&conn);
    }

    fn send(&mut self, to: SocketAddr, bytes: Bytes) {
        let Some(own) = self.peer_address else { return };
        if !self.links.contains_key(&to) {
            let (out, queue) = streams::queue();
            self.spawn(peers::link(own, to, queue, self.limits.connect_timeout));
            self.links.insert(to, PeerLink::new(out));
        }
        self.links[&to].send(bytes, self.limits.outbound_bytes_max);
    }

    fn try_next(&mut self) -> Option<NetEvent> {
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
