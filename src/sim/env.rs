//! [`Env`] over the simulated world.
//!
//! Promise: a handle of a process that died does nothing and reports nothing,
//! whatever still holds it: user `Drop` code runs after the kill.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::disk_io::SimDisk;
use super::net::{EndpointId, NodeId};
use super::skeleton::Call;
use super::world::{Inner, TimerId, Work, World};
use crate::env::{ConnId, Env, Net, NetEvent, Notice, Reopening, Source, Timer};
use crate::scenario::Event;

/// One process' view of the world.
#[derive(Debug, Clone)]
pub struct SimEnv {
    pub(super) world: Arc<World>,
    pub(super) node: NodeId,
    pub(super) incarnation: u32,
}

impl SimEnv {
    /// The world as the present process of a node sees it.
    pub(crate) fn new(world: Arc<World>, node: NodeId, incarnation: u32) -> Self {
        Self {
            world,
            node,
            incarnation,
        }
    }

    /// Waits until the run's time has come to this process'.
    pub(super) async fn caught_up(&self) {
        if self.world.any_ahead() {
            let node = self.node;
            poll_fn(|context| {
                let ahead = self.with(|inner| inner.core.holds_back(node, context.waker()));
                match ahead {
                    Some(false) => Poll::Ready(()),
                    Some(true) | None => Poll::Pending,
                }
            })
            .await;
        }
    }

    /// Calls `act` on the world, unless this process is dead.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> Option<R> {
        let mut inner = self.world.lock();
        inner
            .core
            .alive(self.node, self.incarnation)
            .then(|| act(&mut inner))
    }

    /// A line of the run's trace, by a task that acts on that machine beside its broker.
    pub(super) fn says(&self, line: &str) {
        self.with(|inner| inner.core.says(self.node, line));
    }
}

impl Inner {
    /// A process takes an event from its endpoint.
    fn takes_event(&mut self, node: NodeId, endpoint: EndpointId) -> Option<NetEvent> {
        self.takes_event_of(node, endpoint, Source::Peers)
            .or_else(|| self.takes_event_of(node, endpoint, Source::Streams))
    }

    fn takes_event_of(
        &mut self,
        node: NodeId,
        endpoint: EndpointId,
        from: Source,
    ) -> Option<NetEvent> {
        let event = self.net.take_event(endpoint, from)?;
        self.tap.takes(self.core.now_ns, node, &event);
        let bytes = match &event {
            NetEvent::Data { bytes, .. } | NetEvent::Peer { bytes, .. } => bytes.len(),
            _ => 0,
        };
        self.core.works(node, Work::Hears(bytes));
        let keeps_waiting =
            from == Source::Peers && self.net.waiting(endpoint, Source::Streams) > 0;
        self.core.took(node, keeps_waiting);
        if let NetEvent::Peer { from, .. } = &event {
            self.core.hears(node, *from);
        }
        Some(event)
    }
}

impl Env for SimEnv {
    type Disk = SimDisk;
    type Net = SimNet;
    type Timer = SimTimer;

    fn now_ns(&self) -> u64 {
        self.world.own_ns(self.node)
    }

    fn wall_ms(&self) -> u64 {
        self.world.wall_ms(self.node)
    }

    fn random_u64(&self) -> u64 {
        self.world.random_u64(self.node)
    }

    fn timer(&self) -> SimTimer {
        let timer = {
            let mut inner = self.world.lock();
            let timer = inner.timers.add(self.node);
            inner.asked(self.node, || Call::NewTimer(timer));
            timer
        };
        SimTimer {
            env: self.clone(),
            timer,
        }
    }

    fn disk(&self) -> SimDisk {
        SimDisk::new(self.clone())
    }

    fn net(&self) -> SimNet {
        let endpoint = {
            let mut inner = self.world.lock();
            let endpoint = inner.net.open(self.node);
            inner.asked(self.node, || Call::NewNet(endpoint));
            endpoint
        };
        SimNet {
            env: self.clone(),
            endpoint,
        }
    }

    fn report(&self, notice: Notice) {
        let line = notice.to_string();
        self.with(|inner| {
            let Inner {
                core,
                tap,
                disks,
                net,
                ..
            } = &mut *inner;
            tap.reported(core, self.node, &notice);
            let full = Reopening::Full;
            if matches!(&notice, Notice::StoreReopened { reason, .. } if *reason == full) {
                tap.opens_without_room(core, &disks[self.node as usize], self.node);
            }
            if let Notice::LeaderSteppedDown {
                term,
                unheard: true,
            } = notice
            {
                tap.stepped_down_unheard(core, self.node, term, net.unheard(self.node));
            }
            if !disks[self.node as usize].may_have_failed() {
                tap.told_of_failure(core, self.node, &notice);
            }
            if !disks[self.node as usize].may_be_damaged() {
                tap.told_of_damage(core, self.node, &notice);
            }
            if !disks[self.node as usize].may_lack_derived() {
                tap.told_of_lack(core, self.node, &notice);
            }
            match notice {
                Notice::LogOpened { .. } => core.set_serving(self.node, true),
                // A replica that repairs its log does not take part meanwhile.
                Notice::StoreReopened { .. } | Notice::EntriesDamaged { .. } => {
                    core.set_serving(self.node, false);
                }
                _ => {}
            }
            inner.core.says(self.node, &line);
        });
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(madsim::task::spawn(task));
    }
}

/// A timer in the world's agenda.
#[derive(Debug)]
pub struct SimTimer {
    env: SimEnv,
    timer: TimerId,
}

impl Timer for SimTimer {
    fn reset(&mut self, deadline_ns: Option<u64>) {
        let (node, timer) = (self.env.node, self.timer);
        self.env.with(|inner| {
            inner.asked(node, || Call::Reset(timer, deadline_ns));
            inner.timers.reset(&mut inner.core, timer, deadline_ns);
            inner.core.waits_until(node, deadline_ns);
        });
    }

    async fn fired(&mut self) {
        let timer = self.timer;
        poll_fn(|context| {
            let node = self.env.node;
            let fired = self.env.with(|inner| {
                let fired = !inner.core.holds_back(node, context.waker())
                    && inner.timers.poll(&inner.core, timer, context.waker());
                if fired {
                    inner.net.timer_fired(node);
                }
                fired
            });
            if fired == Some(true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for SimTimer {
    fn drop(&mut self) {
        let (node, timer) = (self.env.node, self.timer);
        self.env
            .with(|inner| inner.asked(node, || Call::DropTimer(timer)));
        self.env.world.lock().timers.forget(timer);
    }
}

/// An endpoint on the simulated network.
#[derive(Debug)]
pub struct SimNet {
    env: SimEnv,
    endpoint: EndpointId,
}

impl SimNet {
    fn taken(address: SocketAddr) -> io::Error {
        io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{address} has a listener already"),
        )
    }
}

impl Net for SimNet {
    async fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let (node, endpoint) = (self.env.node, self.endpoint);
        match self.env.with(|inner| {
            inner.asked(node, || Call::Listen(endpoint, address));
            inner.net.listen(endpoint, address)
        }) {
            Some(true) => Ok(address),
            Some(false) => Err(Self::taken(address)),
            None => pending().await,
        }
    }

    async fn listen_peers(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let (node, endpoint) = (self.env.node, self.endpoint);
        match self.env.with(|inner| {
            inner.asked(node, || Call::ListenPeers(endpoint, address));
            inner.net.listen_peers(endpoint, address)
        }) {
            Some(true) => Ok(address),
            Some(false) => Err(Self::taken(address)),
            None => pending().await,
        }
    }

    fn connect(&mut self, to: SocketAddr) -> ConnId {
        let (node, endpoint) = (self.env.node, self.endpoint);
        self.env
            .with(|inner| {
                let conn = inner.net.connect(&mut inner.core, endpoint, to);
                inner.asked(node, || Call::Connect(endpoint, conn, to));
                conn
            })
            .unwrap_or(ConnId(u64::MAX))
    }

    fn write(&mut self, conn: ConnId, bytes: Bytes) {
        let (node, endpoint) = (self.env.node, self.endpoint);
        self.env.with(|inner| {
            inner.asked(node, || Call::Write(endpoint, conn, bytes.len()));
            inner.core.works(node, Work::Says(bytes.len()));
            let before = inner.tap.sightings.acknowledgements;
            inner
                .tap
                .stream_write(&mut inner.core, &inner.disks, node, conn, &bytes);
            inner.net.write(&mut inner.core, conn, bytes);
            let acknowledged = inner.tap.sightings.acknowledgements - before;
            inner.happened(node, Event::Acknowledgement, acknowledged);
        });
    }

    fn close(&mut self, conn: ConnId) {
        let (node, endpoint) = (self.env.node, self.endpoint);
        self.env.with(|inner| {
            inner.asked(node, || Call::Close(endpoint, conn));
            inner.tap.closes(node, conn);
            inner.net.close(&mut inner.core, conn);
        });
    }

    fn send(&mut self, to: SocketAddr, bytes: Bytes) {
        let (node, endpoint) = (self.env.node, self.endpoint);
        self.env.with(|inner| {
            inner.asked(node, || Call::Send(endpoint, to, bytes.len()));
            inner.core.works(node, Work::Says(bytes.len()));
            inner.core.sends(node, to, bytes.len());
            let before = inner.tap.sightings.votes;
            let disk = &inner.disks[node as usize];
            inner.tap.peer_message(&inner.core, disk, node, &bytes);
            inner.net.send_peer(&mut inner.core, endpoint, to, bytes);
            let votes = inner.tap.sightings.votes - before;
            inner.happened(node, Event::Vote, votes);
            inner.may_be_committed(node);
        });
    }

    fn waiting(&self, from: Source) -> usize {
        let endpoint = self.endpoint;
        let waiting = self.env.with(|inner| inner.net.waiting(endpoint, from));
        waiting.unwrap_or(0)
    }

    fn try_next_of(&mut self, from: Source) -> Option<NetEvent> {
        let (node, endpoint) = (self.env.node, self.endpoint);
        self.env
            .with(|inner| {
                inner.core.looks_on(node);
                inner.takes_event_of(node, endpoint, from)
            })
            .flatten()
    }

    async fn next(&mut self) -> NetEvent {
        let (node, endpoint) = (self.env.node, self.endpoint);
        poll_fn(|context| {
            let event = self.env.with(|inner| {
                inner.core.looks(node);
                if inner.core.holds_back(node, context.waker()) {
                    return None;
                }
                let event = inner.takes_event(node, endpoint);
                if event.is_none() {
                    inner.net.wait(endpoint, context.waker());
                }
                event
            });
            match event.flatten() {
                Some(event) => Poll::Ready(event),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Drop for SimNet {
    fn drop(&mut self) {
        let (node, endpoint) = (self.env.node, self.endpoint);
        self.env.with(|inner| {
            inner.asked(node, || Call::DropNet(endpoint));
            inner.tap.listens_no_more(node);
            inner.net.close_endpoint(&mut inner.core, endpoint);
        });
    }
}
