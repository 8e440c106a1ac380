//! Peer messages over TCP: one link for each peer and direction.
//!
//! ```text
//!   sender                                             receiver
//!   "zeroloss peer 1 <own address>" in a frame  ─────▶  who it is
//!   length 4 (big-endian), message              ─────▶  Peer { from, message }
//! ```
//!
//! A message is written once: what was in a connection that broke may have
//! arrived or not, so it is not sent again, and what waited for a peer that
//! cannot be reached is dropped. Whoever needs an answer asks again.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::streams::{Out, Queue, connected};
use crate::env::NetEvent;

/// The longest message, bytes; a longer one is not sent, and a peer that
/// announces one is no peer.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

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
        if message.len() <= MESSAGE_BYTES_MAX {
            // Lost messages are part of the contract.
            let _ = self.out.push(message, bytes_max);
        }
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
                queue.done(message.len());
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
    first: Bytes,
    queue: &mut Queue,
) -> io::Result<()> {
    let (mut read_half, mut write_half) = stream.split();
    let mut next = Some(first);
    let mut silence = [0; 1];
    let mut greeting = Some(Bytes::from(format!("{GREETING}{own}")));
    while let Some(message) = next.take() {
        let sent = send_frames(&mut write_half, greeting.take(), &message).await;
        queue.done(message.len());
        sent?;
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

/// Reports the messages of an accepted link until it ends.
pub(super) async fn receive(
    mut stream: TcpStream,
    connected_from: SocketAddr,
    events: mpsc::Sender<NetEvent>,
) {
    // A link that ends says nothing that its owner could use.
    let _ = receive_all(&mut stream, connected_from, &events).await;
}

async fn receive_all(
    stream: &mut TcpStream,
    connected_from: SocketAddr,
    events: &mpsc::Sender<NetEvent>,
) -> io::Result<()> {
    let greeting = read_frame(stream, GREETING.len() + 64).await?;
    let from = sender(&greeting, connected_from).ok_or(io::ErrorKind::InvalidData)?;
    loop {
        let bytes = read_frame(stream, MESSAGE_BYTES_MAX).await?;
        if events.send(NetEvent::Peer { from, bytes }).await.is_err() {
            return Ok(());
        }
    }
}

async fn read_frame(stream: &mut TcpStream, bytes_max: usize) -> io::Result<Bytes> {
    let length = stream.read_u32().await? as usize;
    if length > bytes_max {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Room for what has come, not for what is announced.
    let mut frame = BytesMut::with_capacity(length.min(64 << 10));
    let mut rest = stream.take(length as u64);
    while frame.len() < length {
        if rest.read_buf(&mut frame).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(frame.freeze())
}

/// Whom a greeting names; an unspecified address stands for the one that the
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
        let (_out, mut queue) = super::super::streams::queue();
        let stream = TcpStream::connect(to).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        let sending = transmit(to, stream, Bytes::from_static(b"x"), &mut queue);
        let receiving = async {
            read_frame(&mut accepted, 100).await.unwrap();
            read_frame(&mut accepted, 100).await.unwrap();
            drop(accepted);
        };
        let (sent, ()) = tokio::join!(sending, receiving);
        sent.unwrap();
    }
}
