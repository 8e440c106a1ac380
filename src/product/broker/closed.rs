//! A broker whose store is not open: it opens the store, waits between two attempts,
//! and refuses requests meanwhile.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use super::ages::Ages;
use super::config::{BrokerConfig, Replication};
use super::error::StoreError;
use super::groups::Locks;
use super::replica;
use super::server::{Broker, Serving, StoreDisk};
use super::store::Store;
use crate::env::{ConnId, Env, Net, NetEvent, Pooled, Timer};
use crate::remoting::{Command, ResponseCode};

/// Pause before a store that failed is opened again, nanoseconds.
const REOPEN_PAUSE_NS: u64 = 500_000_000;
/// How long requests wait for a store that is being opened, nanoseconds.
const OPENING_PATIENCE_NS: u64 = 1_000_000_000;

/// The disk for a store that is to be opened.
pub(super) fn store_disk<E: Env>(env: &E, config: &BrokerConfig) -> StoreDisk<E> {
    Pooled::new(env.disk(), config.open_files_max)
}

/// The reason why the loop woke between two attempts to open the store.
pub(super) enum PauseEnd {
    Stop,
    Over,
    Net(NetEvent),
}

impl<E: Env> Broker<E> {
    /// Opens the store. Requests wait meanwhile, but not for long: then each is
    /// refused at once, and its client may ask another broker.
    pub(super) async fn open_and_refuse(
        &mut self,
        rebuild: bool,
    ) -> Result<Serving<E>, StoreError> {
        let (env, config) = (self.env.clone(), self.config.clone());
        let mut opening = pin!(Self::open(env, config, rebuild));
        let mut patient = true;
        self.timer
            .reset(Some(self.env.now_ns() + OPENING_PATIENCE_NS));
        loop {
            let event = poll_fn(|context| match opening.as_mut().poll(context) {
                Poll::Ready(opened) => Poll::Ready(Err(opened)),
                Poll::Pending if patient => pin!(self.timer.fired())
                    .poll(context)
                    .map(|()| None)
                    .map(Ok),
                Poll::Pending => pin!(self.net.next()).poll(context).map(Some).map(Ok),
            });
            match event.await {
                Ok(None) => patient = false,
                Ok(Some(event)) => self.refuse_event(event, "the log is being opened"),
                Err(opened) => return opened,
            }
        }
    }

    async fn open(env: E, config: BrokerConfig, rebuild: bool) -> Result<Serving<E>, StoreError> {
        let (store, replica, notices) = match &config.replication {
            Replication::None => {
                let entropy = env.random_u64();
                let disk = store_disk(&env, &config);
                let opened = Store::open(disk.clone(), &config, entropy, rebuild).await;
                let (mut store, notices) = opened?;
                let applied_address = store.state.applied_address;
                store.ages = Ages::read(&disk, env.now_ns(), applied_address).await?;
                (store, None, notices)
            }
            Replication::Raft(raft) => {
                let opened = replica::open(&env, &config, raft, rebuild).await;
                let (store, replica, notices) = opened?;
                (store, Some(replica), notices)
            }
        };
        notices.into_iter().for_each(|it| env.report(it));
        let locks = Locks::begin(env.now_ns(), config.queue_lock_ns());
        Ok(Serving::new(store, replica, locks, &env))
    }

    /// Waits before the next attempt to open the store, and refuses what is
    /// asked meanwhile. True where the broker is to stop.
    pub(super) async fn pause<S: Future<Output = ()>>(&mut self, mut stop: Pin<&mut S>) -> bool {
        self.timer.reset(Some(self.env.now_ns() + REOPEN_PAUSE_NS));
        loop {
            match self.next_while_closed(stop.as_mut()).await {
                PauseEnd::Stop => return true,
                PauseEnd::Over => return false,
                PauseEnd::Net(event) => self.refuse_event(event, "the log is being opened"),
            }
        }
    }

    pub(super) fn refuse_closed(&mut self, conn: ConnId, command: &Command, why: &str) {
        let code = ResponseCode::SERVICE_NOT_AVAILABLE;
        self.outbox.refuse(conn, command.reply_to(), code, why);
    }

    pub(super) fn refuse_event(&mut self, event: NetEvent, why: &str) {
        match event {
            NetEvent::Data { conn, bytes } => {
                self.sessions.feed(conn, bytes);
                while let Some(command) = self.next_command(conn) {
                    self.refuse_closed(conn, &command, why);
                }
                while let Some(slow) = self.sessions.too_slow(&self.config.bounds) {
                    self.close_stream(slow);
                }
            }
            NetEvent::Accepted { conn, from } => {
                if let Some(unused) = self.accepted(conn, from) {
                    self.close_stream(unused);
                }
            }
            NetEvent::Closed { conn, .. } => self.stream_gone(conn),
            NetEvent::Connected { .. } | NetEvent::Peer { .. } => {}
        }
        self.outbox.flush(&mut self.net);
    }
}
