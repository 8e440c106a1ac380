//! Peer messages over TCP: one link for each peer and direction.
//!
//! ```text
//!   sender                                             receiver
//!   "zeroloss peer 1 <own address>" in a frame  ─────▶  who it is
//!   length 4 (big-endian), message              ─────▶  Peer { from, message }
//! ```
//!
//! The resources that strangers can take are bounded: streams, the bytes of messages
//! whose end has not come, and the time for which either is held ([`Limits`]).
//!
//! A message is written once: what was in a connection that broke may have arrived or
//! not, so it is not sent again, and what waited for a peer that cannot be reached is
//! dropped. A sender that needs an answer asks again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::streams::{Out, Piece, Queue, connected};
use crate::env::{NetEvent, PEER_LINKS_MAX, PEER_MESSAGE_BYTES_MAX, PEER_PARTIAL_BYTES_MAX};

/// The part of an endpoint's resources that peers may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Streams at once.
    pub(super) links_max: usize,
    /// Bytes of messages that have begun, beyond [`SMALL_BYTES`] of each.
    pub(super) partial_bytes_max: usize,
    /// A stream that says nothing for so long is closed: its sender begins another.
    pub(super) idle: Duration,
    /// A message that has begun ends within this, once there is room for it; and
    /// so does the greeting.
    pub(super) message: Duration,
}

impl Limits {
    pub(super) const DEFAULT: Self = Self {
        links_max: PEER_LINKS_MAX,
        partial_bytes_max: PEER_PARTIAL_BYTES_MAX,
        idle: Duration::from_secs(120),
        message: Duration::from_secs(10),
    };
}

/// Bytes of a message that need no room.
const SMALL_BYTES: usize = 64 << 10;

/// The rest of the limits. Tasks that wait for room get it in the order of asking.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    links: Arc<Semaphore>,
    /// Permits of [`SMALL_BYTES`] each.
    room: Arc<Semaphore>,
    limits: Limits,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        let longest = PEER_MESSAGE_BYTES_MAX.div_ceil(SMALL_BYTES);
        let room = limits.partial_bytes_max.div_ceil(SMALL_BYTES).max(longest);
        Self {
            links: Arc::new(Semaphore::new(limits.links_max)),
            room: Arc::new(Semaphore::new(room)),
            limits: *limits,
        }
    }

    /// A place for one more stream, given back when it is dropped.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.links.clone().try_acquire_owned().ok()
    }
}

/// A link's first frame, up to the sender's address.
const GREETING: &str = "zeroloss peer 1 ";

/// Rest after a failed connect: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The endpoint's end of a link. Dropped, the link ends.
#[derive(Debug)]
pub(super) struct PeerLink {
    out: Out,
}

impl PeerLink {
    pub(super) fn new(out: Out) -> Self {
        Self { out }
    }

    /// Queues a message; one that finds no room is lost.
    pub(super) fn send(&self, message: Bytes, bytes_max: usize) {
        // Lost messages are part of the contract.
        let _ = self.out.push(message, bytes_max);
    }
}

/// Keeps a connection to `to` while there is something to send.
#[expect(clippy::disallowed_methods, reason = "behind the seam")]
pub(super) async fn link(own: SocketAddr, to: SocketAddr, mut queue: Queue, timeout: Duration) {
    let mut backoff = BACKOFF.0;
    // A message is waited for before the connection is made.
    let mut first = queue.next().await;
    while let Some(message) = first.take() {
        match connected(to, timeout).await {
            Ok(stream) => {
                backoff = BACKOFF.0;
                // However it ended, the next message tries again.
                let _ = transmit(own, stream, message, &mut queue).await;
            }
            Err(_) => {
                queue.clear();
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF.1);
            }
        }
        first = queue.next().await;
    }
}

/// Sends messages until the connection or the queue ends.
async fn transmit(
    own: SocketAddr,
    mut stream: TcpStream,
    first: Piece,
    queue: &mut Queue,
) -> io::Result<()> {
    let (mut read_half, mut write_half) = stream.split();
    let mut next = Some(first);
    let mut silence = [0; 1];
    let mut greeting = Some(Bytes::from(format!("{GREETING}{own}")));
    while let Some(message) = next.take() {
        send_frames(&mut write_half, greeting.take(), &message.bytes).await?;
        drop(message);
        next = tokio::select! {
            biased;
            // The receiver never writes: this is its end.
            _ = read_half.read(&mut silence) => return Ok(()),
            message = queue.next() => message,
        };
    }
    Ok(())
}

/// Writes the frames of `greeting`, if any, and of `message`, small ones in one
/// piece.
async fn send_frames(
    out: &mut (impl AsyncWriteExt + Unpin),
    greeting: Option<Bytes>,
    message: &Bytes,
) -> io::Result<()> {
    for frame in greeting.iter().chain([message]) {
        let mut head = BytesMut::with_capacity(4 + frame.len().min(4096));
        head.extend_from_slice(&(frame.len() as u32).to_be_bytes());
        if frame.len() <= 4096 {
            head.extend_from_slice(frame);
            out.write_all(&head).await?;
        } else {
            out.write_all(&head).await?;
            out.write_all(frame).await?;
        }
    }
    Ok(())
}

/// Reports the messages of an accepted link until it ends, or holds for too long
/// what others need.
pub(super) async fn receive(
    mut stream: TcpStream,
    connected_from: SocketAddr,
    events: mpsc::Sender<NetEvent>,
    (budget, _place): (Budget, OwnedSemaphorePermit),
) {
    // A link that ends says nothing that its owner could use.
    let _ = receive_all(&mut stream, connected_from, &events, &budget).await;
}

async fn receive_all(
    stream: &mut TcpStream,
    connected_from: SocketAddr,
    events: &mpsc::Sender<NetEvent>,
    budget: &Budget,
) -> io::Result<()> {
    let longest = GREETING.len() + 64;
    let greeting = within(budget.limits.message, read_frame(stream, longest, budget)).await?;
    let from = sender(&greeting, connected_from).ok_or(io::ErrorKind::InvalidData)?;
    loop {
        let bytes = read_frame(stream, PEER_MESSAGE_BYTES_MAX, budget).await?;
        if events.send(NetEvent::Peer { from, bytes }).await.is_err() {
            return Ok(());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "behind the seam")]
async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work).await?
}

async fn read_frame(
    stream: &mut TcpStream,
    bytes_max: usize,
    budget: &Budget,
) -> io::Result<Bytes> {
    let length = within(budget.limits.idle, stream.read_u32()).await? as usize;
    if length > bytes_max {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // A long one is not begun before there is room for all of it.
    let needed = length.saturating_sub(SMALL_BYTES).div_ceil(SMALL_BYTES);
    let needed = u32::try_from(needed).map_err(io::Error::other)?;
    let room = budget.room.acquire_many(needed).await;
    let _room = room.map_err(io::Error::other)?;
    within(budget.limits.message, read_announced(stream, length)).await
}

/// Room for what has come, not for what is announced.
async fn read_announced(stream: &mut TcpStream, length: usize) -> io::Result<Bytes> {
    let mut frame = BytesMut::with_capacity(length.min(SMALL_BYTES));
    let mut rest = stream.take(length as u64);
    while frame.len() < length {
        if rest.read_buf(&mut frame).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(frame.freeze())
}

/// The peer that a greeting names; an unspecified address stands for the one that the
/// connection came from.
fn sender(greeting: &[u8], connected_from: SocketAddr) -> Option<SocketAddr> {
    let text = std::str::from_utf8(greeting).ok()?;
    let mut named: SocketAddr = text.strip_prefix(GREETING)?.parse().ok()?;
    if named.ip().is_unspecified() {
        named.set_ip(connected_from.ip());
    }
    Some(named)
}

#[cfg(test)]
mod tests {
    use super::super::streams::Unsent;
    use super::*;

    #[test]
    fn a_greeting_names_the_sender() {
        let from: SocketAddr = "10.0.0.9:55555".parse().unwrap();
        let named = |text: &str| sender(text.as_bytes(), from).map(|address| address.to_string());
        assert_eq!(
            named("zeroloss peer 1 10.0.0.1:9").as_deref(),
            Some("10.0.0.1:9")
        );
        assert_eq!(
            named("zeroloss peer 1 0.0.0.0:9").as_deref(),
            Some("10.0.0.9:9")
        );
        assert_eq!(named("zeroloss peer 2 10.0.0.1:9"), None);
        assert_eq!(named("GET / HTTP/1.1"), None);
    }

    /// Else the first message after the peer's restart would go nowhere.
    #[tokio::test]
    async fn an_idle_link_notices_that_its_peer_is_gone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (out, mut queue) = super::super::streams::queue(&Unsent::default());
        out.push(Bytes::from_static(b"x"), 1).unwrap();
        let first = queue.next().await.unwrap();
        let stream = TcpStream::connect(to).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        let sending = transmit(to, stream, first, &mut queue);
        let budget = Budget::new(&Limits::DEFAULT);
        let receiving = async {
            read_frame(&mut accepted, 100, &budget).await.unwrap();
            read_frame(&mut accepted, 100, &budget).await.unwrap();
            drop(accepted);
        };
        let (sent, ()) = tokio::join!(sending, receiving);
        sent.unwrap();
    }
    /// A connection to a receiver with these limits, and what it reports.
    #[expect(clippy::disallowed_methods, reason = "behind the seam")]
    async fn received(limits: Limits) -> (TcpStream, mpsc::Receiver<NetEvent>, Budget) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let stream = TcpStream::connect(to).await.unwrap();
        let (accepted, from) = listener.accept().await.unwrap();
        let (sender, events) = mpsc::channel(8);
        let budget = Budget::new(&limits);
        let held = (budget.clone(), budget.place().unwrap());
        tokio::spawn(receive(accepted, from, sender, held));
        (stream, events, budget)
    }

    async fn greet(stream: &mut TcpStream) {
        let greeting = format!("{GREETING}127.0.0.1:9");
        let none = Bytes::from(greeting);
        send_frames(stream, None, &none).await.unwrap();
    }

    #[tokio::test]
    async fn the_longest_message_comes_and_one_byte_more_ends_the_stream() {
        let (mut stream, mut events, _budget) = received(Limits::DEFAULT).await;
        greet(&mut stream).await;
        let longest = Bytes::from(vec![7; PEER_MESSAGE_BYTES_MAX]);
        send_frames(&mut stream, None, &longest).await.unwrap();
        let Some(NetEvent::Peer { bytes, .. }) = events.recv().await else {
            panic!("no message");
        };
        assert_eq!(bytes.len(), PEER_MESSAGE_BYTES_MAX);
        let announced = (PEER_MESSAGE_BYTES_MAX as u32 + 1).to_be_bytes();
        stream.write_all(&announced).await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "its end");
        assert!(events.recv().await.is_none());
    }

    /// Else strangers that begin long messages would keep the room for ever.
    #[tokio::test]
    async fn a_message_that_does_not_end_gives_its_room_back() {
        let limits = Limits {
            message: Duration::from_millis(50),
            ..Limits::DEFAULT
        };
        let (mut stream, mut events, budget) = received(limits).await;
        greet(&mut stream).await;
        stream.write_all(&(1u32 << 20).to_be_bytes()).await.unwrap();
        stream.write_all(&[0; 1000]).await.unwrap();
        assert!(events.recv().await.is_none(), "it is closed");
        let all = Budget::new(&limits).room.available_permits();
        assert_eq!(budget.room.available_permits(), all);
        assert_eq!(budget.links.available_permits(), limits.links_max);
    }

    #[tokio::test]
    async fn a_stream_that_does_not_greet_is_closed() {
        let limits = Limits {
            message: Duration::from_millis(20),
            ..Limits::DEFAULT
        };
        let (mut stream, mut events, _budget) = received(limits).await;
        stream.write_all(&[0, 0]).await.unwrap();
        assert!(events.recv().await.is_none());
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[test]
    fn so_many_streams_have_a_place_and_no_more() {
        let budget = Budget::new(&Limits::DEFAULT);
        let places: Vec<_> = (0..PEER_LINKS_MAX).map(|_| budget.place()).collect();
        assert!(places.iter().all(Option::is_some) && budget.place().is_none());
        drop(places);
        assert!(budget.place().is_some());
    }
}
