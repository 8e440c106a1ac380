//! The broker that has a topic, and the sign that this client is alive.
//!
//! Promise: a request goes to the broker that the topic's route names, or it is
//! not written. Routes are asked for at every broker in turn, looked at again at
//! intervals, when a stream to the named broker ends, and when it is uncertain.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::config::ClientConfig;
use super::wire::{Wire, WireEvent, ms};
use crate::env::Env;
use crate::remoting::heartbeat::Heartbeat;
use crate::remoting::route::{PRIMARY_ID, QueueData, RouteRequest, TopicRouteData};
use crate::remoting::send::DEFAULT_TOPIC;
use crate::remoting::{Command, Request, ResponseCode};

/// Looks at a route that did not come, or is uncertain, are so far apart.
const ASK_AGAIN_MS: u64 = 500;

/// A topic of a session, by its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TopicId(usize);

#[cfg(test)]
impl TopicId {
    pub(super) const FIRST: Self = Self(0);
}

/// Where a topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    /// Its queues are `0..queues`.
    pub(super) queues: u32,
    /// The broker that has them.
    pub(super) broker: SocketAddr,
}

/// A report of [`Session::next`].
#[derive(Debug)]
pub(super) enum SessionEvent<T> {
    /// The topic's route is known and its broker is up.
    Ready(TopicId),
    /// No broker that was asked knows the topic.
    NoSuchTopic(TopicId),
    /// As [`WireEvent::Answer`].
    Answer { tag: T, command: Command },
    /// As [`WireEvent::Unanswered`].
    Unanswered { tag: T },
    /// A broker asks something of its own.
    Asked { peer: SocketAddr, command: Command },
    /// The time given to [`Session::wake_at`] has come.
    Due,
}

#[derive(Debug, Clone, Copy)]
enum Tag<T> {
    Route { topic: TopicId },
    Heartbeat,
    User(T),
}

struct Topic {
    name: Arc<str>,
    route: Option<Route>,
    /// The broker's name, as the route says it.
    broker_name: String,
    asking: bool,
    /// Brokers that have said, one after the other, that there is no such topic. A
    /// replica may lag behind the leader.
    denials: usize,
    /// All of them did: the route of a topic to be made is that of `TBW102`.
    is_to_be_made: bool,
    asked_ns: Option<u64>,
    ask_at_ns: u64,
}

/// The client as its session describes it, and the session's duties.
pub(super) struct Profile {
    /// The groups it is in.
    pub(super) heartbeat: Bytes,
    /// Most queues that a topic is taken to have that no broker knows: its first send
    /// makes it, as the default topic's route says. `None`: there is no such topic.
    pub(super) new_topic_queues: Option<u32>,
}

/// A client's view of the cluster.
pub(super) struct Session<E: Env, T> {
    wire: Wire<E, Tag<T>>,
    config: ClientConfig,
    heartbeat: Bytes,
    new_topic_queues: Option<u32>,
    next_heartbeat_ns: u64,
    topics: Vec<Topic>,
    /// The configured broker that is asked next.
    turn: usize,
    wake_ns: Option<u64>,
    events: VecDeque<SessionEvent<T>>,
}

impl<E: Env, T: Copy> Session<E, T> {
    pub(super) fn new(env: E, config: ClientConfig, profile: Profile) -> Self {
        let mut wire = Wire::new(env, config.clone());
        for broker in &config.brokers {
            wire.keep(*broker);
        }
        Self {
            next_heartbeat_ns: wire
                .env()
                .now_ns()
                .saturating_add(ms(config.heartbeat_interval_ms)),
            wire,
            config,
            heartbeat: profile.heartbeat,
            new_topic_queues: profile.new_topic_queues,
            topics: Vec::new(),
            turn: 0,
            wake_ns: None,
            events: VecDeque::new(),
        }
    }

    pub(super) fn env(&self) -> &E {
        self.wire.env()
    }

    /// The topic's id; its route is asked for from now on.
    pub(super) fn topic(&mut self, name: &str) -> TopicId {
        if let Some(known) = self.topics.iter().position(|topic| *topic.name == *name) {
            return TopicId(known);
        }
        self.topics.push(Topic {
            name: name.into(),
            route: None,
            broker_name: String::new(),
            asking: false,
            denials: 0,
            is_to_be_made: false,
            asked_ns: None,
            ask_at_ns: 0,
        });
        TopicId(self.topics.len() - 1)
    }

    pub(super) fn name(&self, topic: TopicId) -> &Arc<str> {
        &self.topics[topic.0].name
    }

    /// Where the topic is, as far as known.
    pub(super) fn route(&self, topic: TopicId) -> Option<Route> {
        self.topics[topic.0].route
    }

    /// The name of the topic's broker; empty while that is not known.
    pub(super) fn broker_name(&self, topic: TopicId) -> &str {
        &self.topics[topic.0].broker_name
    }

    /// Writes a request to every broker that is up.
    pub(super) fn tell_all<R: Request>(&mut self, request: &R, tag: T) {
        let timeout_ms = self.config.request_timeout_ms;
        for peer in self.wire.up() {
            self.wire
                .request(peer, request, &[], timeout_ms, Tag::User(tag));
        }
    }

    /// The broker did not behave as the route's: look at the route soon.
    pub(super) fn uncertain_tail(&mut self, topic: TopicId) {
        let now_ns = self.env().now_ns();
        let topic = &mut self.topics[topic.0];
        let soonest_ns = topic
            .asked_ns
            .map_or(now_ns, |asked_ns| asked_ns.saturating_add(ms(ASK_AGAIN_MS)));
        topic.ask_at_ns = topic.ask_at_ns.min(soonest_ns);
    }

    /// Writes a request to the topic's broker, or returns false: it is not
    /// known or not up, and nothing has left. `Ready` follows.
    pub(super) fn request<R: Request>(
        &mut self,
        topic: TopicId,
        request: &R,
        body: &[u8],
        timeout_ms: u64,
        tag: T,
    ) -> bool {
        self.topics[topic.0].route.is_some_and(|route| {
            self.wire
                .request(route.broker, request, body, timeout_ms, Tag::User(tag))
        })
    }

    /// Writes a request to the broker that asked something; lost where it is not
    /// up any more.
    pub(super) fn reply<R: Request>(&mut self, to: SocketAddr, request: &R, tag: T) -> bool {
        let timeout_ms = self.config.request_timeout_ms;
        self.wire
            .request(to, request, &[], timeout_ms, Tag::User(tag))
    }

    /// Asks for a `Due` no later than at that time.
    pub(super) fn wake_at(&mut self, at_ns: u64) {
        self.wake_ns = Some(self.wake_ns.map_or(at_ns, |set_ns| set_ns.min(at_ns)));
    }

    /// The next thing that happens. Cancel-safe.
    pub(super) async fn next(&mut self) -> SessionEvent<T> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.ask_routes();
            let wake_ns = self.first_wake_ns();
            self.wire.set_wake(Some(wake_ns));
            match self.wire.next().await {
                WireEvent::Up(peer) => self.on_up(peer),
                WireEvent::Down(peer) => self.on_down(peer),
                WireEvent::Due => self.on_due(),
                WireEvent::Answer { tag, command } => self.on_answer(tag, command),
                WireEvent::Unanswered { tag } => self.on_unanswered(tag),
                WireEvent::Asked { peer, command } => {
                    return SessionEvent::Asked { peer, command };
                }
            }
        }
    }

    fn first_wake_ns(&self) -> u64 {
        let now_ns = self.env().now_ns();
        self.topics
            .iter()
            // One that is overdue waits for a broker to come up.
            .filter(|topic| !topic.asking && topic.ask_at_ns > now_ns)
            .map(|topic| topic.ask_at_ns)
            .chain(self.wake_ns)
            .fold(self.next_heartbeat_ns, u64::min)
    }

    fn on_up(&mut self, peer: SocketAddr) {
        self.beat(peer);
        for (at, topic) in self.topics.iter().enumerate() {
            if topic.route.is_some_and(|route| route.broker == peer) {
                self.events.push_back(SessionEvent::Ready(TopicId(at)));
            }
        }
    }

    fn on_down(&mut self, peer: SocketAddr) {
        for topic in &mut self.topics {
            if topic.route.is_some_and(|route| route.broker == peer) {
                topic.ask_at_ns = 0;
            }
        }
    }

    fn on_due(&mut self) {
        let now_ns = self.env().now_ns();
        if self.next_heartbeat_ns <= now_ns {
            self.next_heartbeat_ns = now_ns.saturating_add(ms(self.config.heartbeat_interval_ms));
            for peer in self.wire.up() {
                self.beat(peer);
            }
        }
        if self.wake_ns.is_some_and(|at_ns| at_ns <= now_ns) {
            self.wake_ns = None;
            self.events.push_back(SessionEvent::Due);
        }
    }

    fn on_answer(&mut self, tag: Tag<T>, command: Command) {
        match tag {
            Tag::Heartbeat => {}
            Tag::Route { topic } => self.on_route(topic, &command),
            Tag::User(tag) => self.events.push_back(SessionEvent::Answer { tag, command }),
        }
    }

    fn on_unanswered(&mut self, tag: Tag<T>) {
        match tag {
            Tag::Heartbeat => {}
            Tag::Route { topic, .. } => {
                self.topics[topic.0].asking = false;
            }
            Tag::User(tag) => self.events.push_back(SessionEvent::Unanswered { tag }),
        }
    }

    /// A heartbeat, where the peer is up; whether it is answered says nothing.
    fn beat(&mut self, peer: SocketAddr) {
        let timeout_ms = self.config.request_timeout_ms;
        let body = self.heartbeat.clone();
        self.wire
            .request(peer, &Heartbeat, &body, timeout_ms, Tag::Heartbeat);
    }

    /// Asks for every route that is due, where a broker is up to be asked.
    fn ask_routes(&mut self) {
        let now_ns = self.env().now_ns();
        for at in 0..self.topics.len() {
            let topic = &self.topics[at];
            if topic.asking || topic.ask_at_ns > now_ns {
                continue;
            }
            let name: Arc<str> = match topic.is_to_be_made {
                true => DEFAULT_TOPIC.into(),
                false => Arc::clone(&topic.name),
            };
            let Some(asked) = self.next_broker() else {
                return;
            };
            let tag = Tag::Route { topic: TopicId(at) };
            let request = RouteRequest { topic: &name };
            let timeout_ms = self.config.request_timeout_ms;
            if self.wire.request(asked, &request, &[], timeout_ms, tag) {
                self.topics[at].asking = true;
                self.topics[at].asked_ns = Some(now_ns);
            }
        }
    }

    /// The next configured broker that is up, in turn.
    fn next_broker(&mut self) -> Option<SocketAddr> {
        let brokers = &self.config.brokers;
        let (before, from) = brokers.split_at(self.turn.min(brokers.len()));
        let broker = from
            .iter()
            .chain(before)
            .find(|broker| self.wire.is_up(**broker))
            .copied()?;
        let at = brokers.iter().position(|known| *known == broker)?;
        self.turn = (at + 1) % brokers.len();
        Some(broker)
    }

    fn on_route(&mut self, id: TopicId, command: &Command) {
        let now_ns = self.env().now_ns();
        let new_queues = self.new_topic_queues;
        let topic = &mut self.topics[id.0];
        let is_denied = command.code == ResponseCode::TOPIC_NOT_EXIST.0;
        let was_to_be_made = std::mem::take(&mut topic.is_to_be_made);
        topic.denials = match is_denied && !was_to_be_made {
            true => topic.denials + 1,
            false => 0,
        };
        let by_all = topic.denials >= self.config.brokers.len();
        if by_all {
            self.events.push_back(SessionEvent::NoSuchTopic(id));
        }
        if topic.denials > 0 && (!by_all || new_queues.is_some()) {
            topic.is_to_be_made = by_all;
            topic.asking = false;
            topic.ask_at_ns = now_ns;
            return;
        }
        topic.denials = 0;
        let found = match ResponseCode(command.code) {
            ResponseCode::SUCCESS => read_route(&command.body),
            _ => None,
        };
        // The broker that makes the topic gives it no more queues than it says now.
        let found = found.map(
            |(route, name)| match new_queues.filter(|_| was_to_be_made) {
                Some(queues) => {
                    let queues = queues.min(route.queues);
                    (Route { queues, ..route }, name)
                }
                None => (route, name),
            },
        );
        // A route that is only assumed is looked at again as one that is not
        // known: the first send makes the topic.
        let known = found.is_some() && !was_to_be_made;
        let pause_ms = if known {
            self.config.route_interval_ms
        } else {
            ASK_AGAIN_MS
        };
        let topic = &mut self.topics[id.0];
        topic.asking = false;
        topic.ask_at_ns = now_ns.saturating_add(ms(pause_ms));
        // An assumption never replaces knowledge: a broker that has not heard
        // of the topic yet may be asked.
        if let Some((route, broker_name)) = found
            && (known || topic.route.is_none())
        {
            topic.route = Some(route);
            topic.broker_name = broker_name;
            self.wire.keep(route.broker);
            if self.wire.is_up(route.broker) {
                self.events.push_back(SessionEvent::Ready(id));
            }
        }
    }
}

/// The first broker that has queues of the topic and a primary, and its name;
/// `None` where there is none, or the answer cannot be read.
///
/// A topic has one broker here (replicas of it apart): a queue's number alone
/// names the queue.
fn read_route(body: &[u8]) -> Option<(Route, String)> {
    let data: TopicRouteData = serde_json::from_slice(body).ok()?;
    let with_queues = |queues: &&QueueData| queues.write_queue_nums > 0;
    data.queue_datas
        .iter()
        .filter(with_queues)
        .find_map(|queues| {
            let broker = data
                .broker_datas
                .iter()
                .find(|broker| broker.broker_name == queues.broker_name)?;
            let route = Route {
                queues: queues.write_queue_nums,
                broker: broker.broker_addrs.get(PRIMARY_ID)?.parse().ok()?,
            };
            Some((route, queues.broker_name.clone()))
        })
}
