//! Streams to brokers, and requests on them.
//!
//! Promise: every request that was written ends exactly once, as `Answer` or as
//! `Unanswered`, but for a one-way one, of which nothing is heard; after an
//! `Unanswered` whose time was up one late `Answer` may follow while the stream
//! lives. Answers are matched per stream: what an earlier stream was asked, a later
//! one cannot answer.
//!
//! Deadlines are kept lazily: an answered request leaves its deadline in the
//! heap, the timer is never set to a later time than it has, and a timer that
//! fires early costs one look.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};

use super::config::ClientConfig;
use crate::env::{ConnId, Either, Env, Net, NetEvent, Timer, either};
use crate::remoting::{Command, FrameDecoder, Request, encode_request};

/// Events taken from the network before the clock is looked at again. Answers
/// go first, so that one that is there beats its deadline; but no flood of them
/// may starve the clock.
const STREAK_MAX: u32 = 64;

/// Requests share memory that is allocated so much at a time, bytes; …
const REQUESTS_BYTES: usize = 16 << 10;
/// … and anew where less than a usual request's is left of it.
const REQUEST_BYTES: usize = 1 << 10;

/// Milliseconds in nanoseconds.
pub(super) fn ms(milliseconds: u64) -> u64 {
    milliseconds.saturating_mul(1_000_000)
}

/// A report of [`Wire::next`].
#[derive(Debug)]
pub(super) enum WireEvent<T> {
    /// Requests can be written to this peer.
    Up(SocketAddr),
    /// The stream to this peer ended; its requests were reported before.
    Down(SocketAddr),
    /// A request was answered, maybe late.
    Answer { tag: T, command: Command },
    /// A request was written, and is not answered: the time is up or the stream
    /// ended. Whether it was carried out is not known.
    Unanswered { tag: T },
    /// A broker asks something of its own.
    Asked { peer: SocketAddr, command: Command },
    /// The time given to [`Wire::set_wake`] has come.
    Due,
}

/// The purpose of a deadline. Derived order breaks ties between equal times.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    Answer { peer: SocketAddr, opaque: i32 },
    Connect { peer: SocketAddr, conn: ConnId },
    Reconnect { peer: SocketAddr },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    Connecting(ConnId),
    Up(ConnId),
}

struct Pending<T> {
    opaque: i32,
    tag: T,
    /// `Unanswered` was reported.
    given_up: bool,
}

struct Peer<T> {
    link: Link,
    decoder: FrameDecoder,
    /// Of this stream only, in the order of the requests: answers come in about
    /// that order, too.
    pending: Vec<Pending<T>>,
    /// Since when answers are owed and nothing was heard.
    silent_since_ns: Option<u64>,
    /// Streams that ended since something was last heard.
    failures: u32,
}

/// The streams of one client.
pub(super) struct Wire<E: Env, T> {
    env: E,
    net: E::Net,
    timer: E::Timer,
    timer_set_ns: Option<u64>,
    config: ClientConfig,
    peers: BTreeMap<SocketAddr, Peer<T>>,
    by_conn: BTreeMap<ConnId, SocketAddr>,
    deadlines: BinaryHeap<Reverse<(u64, Deadline)>>,
    wake_ns: Option<u64>,
    happened: VecDeque<WireEvent<T>>,
    out: BytesMut,
    next_opaque: i32,
    streak: u32,
}

impl<E: Env, T: Copy> Wire<E, T> {
    pub(super) fn new(env: E, config: ClientConfig) -> Self {
        Self {
            net: env.net(),
            timer: env.timer(),
            env,
            timer_set_ns: None,
            config,
            peers: BTreeMap::new(),
            by_conn: BTreeMap::new(),
            deadlines: BinaryHeap::new(),
            wake_ns: None,
            happened: VecDeque::new(),
            out: BytesMut::new(),
            next_opaque: 0,
            streak: 0,
        }
    }

    pub(super) fn env(&self) -> &E {
        &self.env
    }

    /// Keeps a stream to `peer` from now on.
    pub(super) fn keep(&mut self, peer: SocketAddr) {
        if let Entry::Vacant(vacant) = self.peers.entry(peer) {
            vacant.insert(Peer {
                link: Link::Down,
                decoder: FrameDecoder::new(),
                pending: Vec::new(),
                silent_since_ns: None,
                failures: 0,
            });
            self.connect(peer);
        }
    }

    /// Whether requests to `peer` can be written now.
    pub(super) fn is_up(&self, peer: SocketAddr) -> bool {
        let peer = self.peers.get(&peer);
        peer.is_some_and(|peer| matches!(peer.link, Link::Up(_)))
    }

    /// Every peer that requests can be written to now.
    pub(super) fn up(&self) -> Vec<SocketAddr> {
        let up = |address: &&SocketAddr| self.is_up(**address);
        self.peers.keys().filter(up).copied().collect()
    }

    /// Writes a request, or returns false: the peer is not up, and nothing has
    /// left.
    pub(super) fn request<R: Request>(
        &mut self,
        to: SocketAddr,
        request: &R,
        body: &[u8],
        timeout_ms: u64,
        tag: T,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&to) else {
            return false;
        };
        let Link::Up(conn) = peer.link else {
            return false;
        };
        let opaque = self.next_opaque;
        self.next_opaque = opaque.wrapping_add(1);
        let serialize_type = self.config.serialize_type;
        if self.out.capacity() < REQUEST_BYTES {
            self.out.reserve(REQUESTS_BYTES);
        }
        encode_request(&mut self.out, serialize_type, opaque, request, [body]);
        self.net.write(conn, self.out.split().freeze());

        if R::IS_ONEWAY {
            return true;
        }
        let now_ns = self.env.now_ns();
        peer.pending.push(Pending {
            opaque,
            tag,
            given_up: false,
        });
        peer.silent_since_ns.get_or_insert(now_ns);
        let deadline = Deadline::Answer { peer: to, opaque };
        self.at(now_ns.saturating_add(ms(timeout_ms)), deadline);
        true
    }

    /// Asks for a `Due` at that time, in place of any asked for before.
    pub(super) fn set_wake(&mut self, at_ns: Option<u64>) {
        self.wake_ns = at_ns;
    }

    /// The next thing that happens. Cancel-safe.
    pub(super) async fn next(&mut self) -> WireEvent<T> {
        loop {
            if let Some(happening) = self.happened.pop_front() {
                return happening;
            }
            if self.streak < STREAK_MAX
                && let Some(event) = self.net.try_next()
            {
                self.streak += 1;
                self.on_event(event);
                continue;
            }
            self.streak = 0;
            self.on_time(self.env.now_ns());
            if self.happened.is_empty() {
                self.set_timer();
                self.wait().await;
            }
        }
    }

    /// Until the network or the timer has something.
    async fn wait(&mut self) {
        match either(self.net.next(), self.timer.fired()).await {
            Either::First(event) => self.on_event(event),
            Either::Second(()) => self.timer_set_ns = None,
        }
    }

    fn set_timer(&mut self) {
        while let Some(Reverse((_, deadline))) = self.deadlines.peek()
            && !self.is_live(deadline)
        {
            self.deadlines.pop();
        }
        let first_ns = self.deadlines.peek().map(|Reverse((at_ns, _))| *at_ns);
        let Some(at_ns) = first_ns.into_iter().chain(self.wake_ns).min() else {
            return;
        };
        if self.timer_set_ns.is_none_or(|set_ns| at_ns < set_ns) {
            self.timer.reset(Some(at_ns));
            self.timer_set_ns = Some(at_ns);
        }
    }

    fn is_live(&self, deadline: &Deadline) -> bool {
        let link = |peer| self.peers.get(peer).map(|peer| peer.link);
        match deadline {
            Deadline::Answer { peer, opaque } => self
                .peers
                .get(peer)
                .and_then(|peer| peer.pending.iter().find(|it| it.opaque == *opaque))
                .is_some_and(|pending| !pending.given_up),
            Deadline::Connect { peer, conn } => link(peer) == Some(Link::Connecting(*conn)),
            Deadline::Reconnect { peer } => link(peer) == Some(Link::Down),
        }
    }

    fn at(&mut self, at_ns: u64, deadline: Deadline) {
        self.deadlines.push(Reverse((at_ns, deadline)));
    }

    fn on_time(&mut self, now_ns: u64) {
        while let Some(Reverse((at_ns, _))) = self.deadlines.peek()
            && *at_ns <= now_ns
        {
            let Some(Reverse((_, deadline))) = self.deadlines.pop() else {
                break;
            };
            if !self.is_live(&deadline) {
                continue;
            }
            match deadline {
                Deadline::Answer { peer, opaque } => self.give_up(peer, opaque, now_ns),
                Deadline::Connect { peer, conn } => self.hang_up(peer, conn),
                Deadline::Reconnect { peer } => self.connect(peer),
            }
        }
        if self.wake_ns.is_some_and(|at_ns| at_ns <= now_ns) {
            self.wake_ns = None;
            self.happened.push_back(WireEvent::Due);
        }
    }

    fn give_up(&mut self, address: SocketAddr, opaque: i32, now_ns: u64) {
        let Some(peer) = self.peers.get_mut(&address) else {
            return;
        };
        let mut pending = peer.pending.iter_mut();
        if let Some(pending) = pending.find(|it| it.opaque == opaque) {
            pending.given_up = true;
            let tag = pending.tag;
            self.happened.push_back(WireEvent::Unanswered { tag });
        }
        let silence_ns_max = ms(self.config.silence_ms_max);
        let dead = peer
            .silent_since_ns
            .is_some_and(|since_ns| now_ns.saturating_sub(since_ns) >= silence_ns_max);
        if let Link::Up(conn) = peer.link
            && dead
        {
            self.hang_up(address, conn);
        }
    }

    fn on_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Connected { conn } => self.on_connected(conn),
            NetEvent::Data { conn, bytes } => self.on_data(conn, bytes),
            NetEvent::Closed { conn, .. } => {
                if let Some(address) = self.by_conn.get(&conn).copied() {
                    self.ended(address, conn);
                }
            }
            // Neither is asked for by a client.
            NetEvent::Accepted { .. } | NetEvent::Peer { .. } => {}
        }
    }

    fn on_connected(&mut self, conn: ConnId) {
        let Some(address) = self.by_conn.get(&conn).copied() else {
            return;
        };
        if let Some(peer) = self.peers.get_mut(&address) {
            peer.link = Link::Up(conn);
            self.happened.push_back(WireEvent::Up(address));
        }
    }

    fn on_data(&mut self, conn: ConnId, bytes: Bytes) {
        let Some(address) = self.by_conn.get(&conn).copied() else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&address) else {
            return;
        };
        peer.failures = 0;
        peer.decoder.feed(bytes);
        let sound = loop {
            match peer.decoder.next_command() {
                Ok(None) => break true,
                Err(_) => break false,
                Ok(Some(command)) if !command.is_response() => {
                    let peer = address;
                    self.happened.push_back(WireEvent::Asked { peer, command });
                }
                Ok(Some(command)) => {
                    let mut pending = peer.pending.iter();
                    let asked = pending.position(|it| it.opaque == command.opaque);
                    if let Some(asked) = asked {
                        let Pending { tag, .. } = peer.pending.remove(asked);
                        self.happened.push_back(WireEvent::Answer { tag, command });
                    }
                }
            }
        };
        let owed = peer.pending.iter().any(|pending| !pending.given_up);
        peer.silent_since_ns = owed.then(|| self.env.now_ns());
        if !sound {
            self.hang_up(address, conn);
        }
    }

    fn connect(&mut self, address: SocketAddr) {
        let conn = self.net.connect(address);
        if let Some(peer) = self.peers.get_mut(&address) {
            peer.link = Link::Connecting(conn);
            peer.decoder = FrameDecoder::new();
        }
        self.by_conn.insert(conn, address);
        let timeout_ns = ms(self.config.connect_timeout_ms);
        let peer = address;
        let at_ns = self.env.now_ns().saturating_add(timeout_ns);
        self.at(at_ns, Deadline::Connect { peer, conn });
    }

    /// Closes a stream from this side.
    fn hang_up(&mut self, address: SocketAddr, conn: ConnId) {
        self.net.close(conn);
        self.ended(address, conn);
    }

    /// A stream ended: what it was asked stays unanswered.
    fn ended(&mut self, address: SocketAddr, conn: ConnId) {
        self.by_conn.remove(&conn);
        let Some(peer) = self.peers.get_mut(&address) else {
            return;
        };
        peer.link = Link::Down;
        peer.silent_since_ns = None;
        for pending in std::mem::take(&mut peer.pending) {
            let tag = pending.tag;
            if !pending.given_up {
                self.happened.push_back(WireEvent::Unanswered { tag });
            }
        }
        self.happened.push_back(WireEvent::Down(address));
        let failures = peer.failures;
        peer.failures = failures.saturating_add(1);
        let at_ns = self.env.now_ns().saturating_add(self.pause_ns(failures));
        self.at(at_ns, Deadline::Reconnect { peer: address });
    }

    /// Doubles with each failure, and is spread over its upper half so that the
    /// clients of a broker that returns do not all return at once.
    fn pause_ns(&self, failures: u32) -> u64 {
        let doubled = ms(self.config.reconnect_ms_min).saturating_mul(1 << failures.min(20));
        let pause_ns = doubled.min(ms(self.config.reconnect_ms_max));
        let half = pause_ns / 2;
        half + self.env.random_u64() % (half + 1)
    }
}
