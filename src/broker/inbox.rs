//! Events that have come and are not handled: what peers said goes first.
//!
//! A broker that cannot keep up with its clients has more and more of their requests
//! before it. Behind them would wait the answers of its followers, and a leader that
//! does not see these for an election timeout takes itself for cut off and steps down
//! (D17). So it looks ahead, and before it looks at a deadline it hears its peers: what
//! is here has come in time, however late it is handled.

use std::collections::VecDeque;
use std::pin::pin;
use std::task::{Context, Poll};

use super::error::StoreError;
use super::server::{Broker, Serving};
use crate::env::{Env, Net, NetEvent};

/// Events of streams that are looked ahead over.
const AHEAD_MAX: usize = 8_192;
/// Their bytes.
const AHEAD_BYTES_MAX: usize = 16 << 20;
/// For how long events are handled before something else has its turn, nanoseconds.
pub(super) const EVENTS_NS: u64 = 5_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    peers: VecDeque<NetEvent>,
    streams: VecDeque<NetEvent>,
    /// Of the streams' events.
    bytes: usize,
}

fn bytes_of(event: &NetEvent) -> usize {
    match event {
        NetEvent::Data { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

impl Inbox {
    fn add(&mut self, event: NetEvent) {
        if matches!(event, NetEvent::Peer { .. }) {
            return self.peers.push_back(event);
        }
        self.bytes += bytes_of(&event);
        self.streams.push_back(event);
    }

    fn has_room(&self) -> bool {
        let count = self.peers.len() + self.streams.len();
        count < AHEAD_MAX && self.bytes < AHEAD_BYTES_MAX
    }

    fn take(&mut self) -> Option<NetEvent> {
        if let Some(event) = self.peers.pop_front() {
            return Some(event);
        }
        let event = self.streams.pop_front()?;
        self.bytes -= bytes_of(&event);
        Some(event)
    }
}

impl<E: Env> Broker<E> {
    fn look_ahead(&mut self) {
        while self.inbox.has_room()
            && let Some(event) = self.net.try_next()
        {
            self.inbox.add(event);
        }
    }

    /// An event that is there: a peer's, where one of the next many is.
    pub(super) fn take_event(&mut self) -> Option<NetEvent> {
        self.look_ahead();
        self.inbox.take()
    }

    /// The next event.
    pub(super) fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<NetEvent> {
        match self.take_event() {
            Some(event) => Poll::Ready(event),
            None => pin!(self.net.next()).poll(context),
        }
    }

    /// Handles what peers have said by now, for a while.
    pub(super) async fn hear_peers(&mut self, serving: &mut Serving<E>) -> Result<(), StoreError> {
        let until_ns = self.env.now_ns() + EVENTS_NS;
        self.look_ahead();
        while let Some(event) = self.inbox.peers.pop_front() {
            self.handle_event(serving, event).await?;
            if self.env.now_ns() >= until_ns {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{AHEAD_BYTES_MAX, Inbox};
    use crate::env::{ConnId, NetEvent};

    fn data(conn: u64, length: usize) -> NetEvent {
        NetEvent::Data {
            conn: ConnId(conn),
            bytes: Bytes::from(vec![0; length]),
        }
    }

    #[test]
    fn peers_go_first_and_each_kind_keeps_its_order() {
        let peer = |said: &'static [u8]| NetEvent::Peer {
            from: ([127, 0, 0, 1], 1).into(),
            bytes: Bytes::from_static(said),
        };
        let mut inbox = Inbox::default();
        let events = [data(1, 1), peer(b"a"), data(2, 2), peer(b"b"), data(1, 3)];
        events.into_iter().for_each(|event| inbox.add(event));
        let taken: Vec<NetEvent> = std::iter::from_fn(|| inbox.take()).collect();
        let expected = [peer(b"a"), peer(b"b"), data(1, 1), data(2, 2), data(1, 3)];
        assert_eq!(taken, expected);
        assert_eq!(inbox.bytes, 0);
    }

    #[test]
    fn it_looks_ahead_over_so_many_bytes_and_no_more() {
        let mut inbox = Inbox::default();
        inbox.add(data(1, AHEAD_BYTES_MAX - 1));
        assert!(inbox.has_room());
        inbox.add(data(1, 1));
        assert!(!inbox.has_room());
        inbox.take();
        assert!(inbox.has_room());
    }
}
