//! Events of the network, as the loop takes them: peers first, then requests, and each
//! for so long.

use std::net::SocketAddr;

use super::interruption::Interruption;
use super::server::{Broker, Serving};
use crate::env::{ConnId, Env, Net, NetEvent, Source};
use crate::remoting::Command;

/// For how long peers are heard in a step, and then requests, nanoseconds.
const EVENTS_NS: u64 = 5_000_000;

impl<E: Env> Broker<E> {
    pub(super) async fn handle_events(
        &mut self,
        serving: &mut Serving<E>,
        first: NetEvent,
    ) -> Result<(), Interruption> {
        if serving.room_bytes < 2 * self.config.segment_bytes {
            self.look_for_room(serving).await;
        }
        let mut of_streams = usize::from(!matches!(first, NetEvent::Peer { .. }));
        self.handle_event(serving, first).await?;
        let until_ns = self.env.now_ns() + EVENTS_NS;
        self.hear_peers(serving, until_ns).await?;
        let until_ns = self.env.now_ns() + EVENTS_NS;
        while of_streams < self.config.events_per_step {
            let Some(event) = self.net.try_next_of(Source::Streams) else {
                break;
            };
            self.handle_event(serving, event).await?;
            of_streams += 1;
            // On a slow machine so many events take longer than a heartbeat may wait.
            if self.env.now_ns() >= until_ns {
                break;
            }
        }
        serving.checks.heard(of_streams);
        Ok(())
    }

    /// Handles what peers have said by now; with a time after which it stops. What is
    /// here has come in time, however late it is handled: a leader that looked at its
    /// deadlines first would miss answers that it has (D17). What comes meanwhile waits for
    /// its turn, or nothing else would have one: followers that are behind answer as fast
    /// as they are sent to.
    pub(super) async fn hear_peers(
        &mut self,
        serving: &mut Serving<E>,
        until_ns: u64,
    ) -> Result<(), Interruption> {
        for _ in 0..self
            .net
            .waiting(Source::Peers)
            .min(self.config.sizes.peer_events_per_step)
        {
            let Some(event) = self.net.try_next_of(Source::Peers) else {
                break;
            };
            self.handle_event(serving, event).await?;
            if self.env.now_ns() >= until_ns {
                break;
            }
        }
        Ok(())
    }

    async fn handle_event(
        &mut self,
        serving: &mut Serving<E>,
        event: NetEvent,
    ) -> Result<(), Interruption> {
        match event {
            NetEvent::Data { conn, bytes } => {
                self.sessions.feed(conn, bytes);
                let mut handled = Ok(());
                while let Some(command) = self.next_command(conn) {
                    if handled.is_ok() {
                        handled = self.handle_command(serving, conn, command).await;
                    } else {
                        // Nothing else of this stream may come that would lead here again.
                        self.refuse_closed(conn, &command, "the log failed");
                    }
                    if self.outbox.holds(self.config.sizes.waiting_answer_bytes) {
                        self.outbox.flush(&mut self.net);
                    }
                }
                if !self.sessions.knows(conn) {
                    // Closed by this side, which is not reported.
                    serving.forget(conn);
                }
                while let Some(slow) = self.sessions.too_slow(&self.config.bounds) {
                    self.give_up_stream(serving, slow);
                }
                handled?;
            }
            NetEvent::Accepted { conn, from } => {
                if let Some(unused) = self.accepted(conn, from) {
                    self.give_up_stream(serving, unused);
                }
            }
            NetEvent::Closed { conn, .. } => {
                self.stream_gone(conn);
                serving.forget(conn);
            }
            NetEvent::Peer { bytes, .. } => self.peer_message(serving, bytes).await?,
            NetEvent::Connected { .. } => {}
        }
        Ok(())
    }

    /// The next whole command; a stream that does not speak the protocol is
    /// closed.
    pub(super) fn next_command(&mut self, conn: ConnId) -> Option<Command> {
        let now_ns = self.env.now_ns();
        match self.sessions.next_command(conn, now_ns) {
            Ok(command) => command,
            Err(_) => {
                self.close_stream(conn);
                None
            }
        }
    }

    /// Takes a stream in; gives the one that is to be closed for it, if any.
    pub(super) fn accepted(&mut self, conn: ConnId, from: SocketAddr) -> Option<ConnId> {
        let now_ns = self.env.now_ns();
        self.sessions.add(conn, from, now_ns, &self.config.bounds)
    }

    pub(super) fn close_stream(&mut self, conn: ConnId) {
        self.stream_gone(conn);
        self.net.close(conn);
    }

    fn give_up_stream(&mut self, serving: &mut Serving<E>, conn: ConnId) {
        self.close_stream(conn);
        serving.forget(conn);
    }

    /// Closes the streams that nobody uses.
    pub(super) fn expire_streams(&mut self, serving: &mut Serving<E>) {
        let now_ns = self.env.now_ns();
        for conn in self.sessions.idle(now_ns, &self.config.bounds) {
            self.give_up_stream(serving, conn);
        }
    }
}
