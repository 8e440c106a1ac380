//! Byte streams: a task for each, between a TCP connection and an endpoint.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::net::Limits;
use crate::env::{CloseReason, ConnId, NetEvent};

/// The most that one event carries, and what a small read may leave unused
/// before a new buffer is taken.
const READ_BYTES_MAX: usize = 64 << 10;
const READ_BYTES_MIN: usize = 4 << 10;

/// The bytes on their way out were too many.
#[derive(Debug)]
pub(super) struct Overflow;

/// Bytes that wait in several queues together.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsent(Arc<AtomicUsize>);

impl Unsent {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes that count as waiting until this is dropped, wherever that happens.
#[derive(Debug)]
struct Held {
    length: usize,
    queued_bytes: Arc<AtomicUsize>,
    of_all: Unsent,
}

impl Held {
    fn new(length: usize, out: &Out) -> Self {
        out.queued_bytes.fetch_add(length, Ordering::Relaxed);
        out.of_all.0.fetch_add(length, Ordering::Relaxed);
        Self {
            length,
            queued_bytes: out.queued_bytes.clone(),
            of_all: out.of_all.clone(),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.queued_bytes.fetch_sub(self.length, Ordering::Relaxed);
        self.of_all.0.fetch_sub(self.length, Ordering::Relaxed);
    }
}

/// A batch of bytes that was queued at once; it counts as waiting until it is dropped.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    _held: Held,
}

/// The endpoint's end of a queue of bytes whose sum is bounded.
#[derive(Debug)]
pub(super) struct Out {
    sender: mpsc::UnboundedSender<Piece>,
    queued_bytes: Arc<AtomicUsize>,
    of_all: Unsent,
}

/// The task's end.
#[derive(Debug)]
pub(super) struct Queue {
    receiver: mpsc::UnboundedReceiver<Piece>,
}

/// A queue; what waits in it counts in `of_all`, too.
pub(super) fn queue(of_all: &Unsent) -> (Out, Queue) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let out = Out {
        sender,
        queued_bytes: Arc::new(AtomicUsize::new(0)),
        of_all: of_all.clone(),
    };
    (out, Queue { receiver })
}

impl Out {
    /// Queues `bytes`, unless more than `bytes_max` would then wait.
    pub(super) fn push(&self, bytes: Bytes, bytes_max: usize) -> Result<(), Overflow> {
        if self.queued_bytes().saturating_add(bytes.len()) > bytes_max {
            return Err(Overflow);
        }
        let held = Held::new(bytes.len(), self);
        // A task that is gone has said so, or is about to.
        let _ = self.sender.send(Piece { bytes, _held: held });
        Ok(())
    }

    fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Relaxed)
    }
}

impl Queue {
    /// The next piece. `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        self.receiver.recv().await
    }

    /// Forgets everything that waits.
    pub(super) fn clear(&mut self) {
        while self.receiver.try_recv().is_ok() {}
    }
}

/// The part of a stream that an endpoint holds. Dropped, the stream brings out what
/// is queued and closes.
#[derive(Debug)]
pub(super) struct StreamHalf {
    out: Out,
    task: AbortHandle,
}

impl StreamHalf {
    pub(super) fn new(out: Out, task: AbortHandle) -> Self {
        Self { out, task }
    }

    pub(super) fn write(&self, bytes: Bytes, bytes_max: usize) -> Result<(), Overflow> {
        self.out.push(bytes, bytes_max)
    }

    /// The bytes that wait to be written.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.out.queued_bytes()
    }

    /// Ends the stream without ceremony.
    pub(super) fn cut(&self) {
        self.task.abort();
    }
}

/// Connects, and then pumps.
pub(super) async fn connect(
    conn: ConnId,
    to: SocketAddr,
    queue: Queue,
    events: mpsc::Sender<NetEvent>,
    limits: Limits,
) {
    let event = match connected(to, limits.connect_timeout).await {
        Ok(stream) => {
            if events.send(NetEvent::Connected { conn }).await.is_ok() {
                pump(conn, stream, queue, events, limits.linger).await;
            }
            return;
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => CloseReason::Timeout,
        Err(_) => CloseReason::Reset,
    };
    // Nobody listens where the endpoint is gone.
    let _ = events
        .send(NetEvent::Closed {
            conn,
            reason: event,
        })
        .await;
}

/// A TCP connection that sends small writes at once.
#[expect(clippy::disallowed_methods, reason = "behind the seam")]
pub(super) async fn connected(to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(timeout, TcpStream::connect(to)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Carries bytes both ways until one side ends it, and says how. The owner ends
/// it by dropping its end of the queue: what waits is written, then the peer
/// gets `linger` to read it.
#[expect(clippy::disallowed_methods, reason = "behind the seam")]
pub(super) async fn pump(
    conn: ConnId,
    stream: TcpStream,
    queue: Queue,
    events: mpsc::Sender<NetEvent>,
    linger: Duration,
) {
    // Accepted streams come without it; on a dead one the read will tell.
    let _ = stream.set_nodelay(true);
    let (read_half, write_half) = stream.into_split();
    let reading = read(conn, read_half, &events);
    let writing = write(write_half, queue);
    tokio::pin!(reading, writing);
    let reason = tokio::select! {
        biased;
        reason = &mut reading => reason,
        written = writing => match written {
            Err(_) => CloseReason::Reset,
            // Nothing that could be taken back.
            Ok((_, 0)) => return,
            Ok(_open) => {
                // Closed with bytes unread, a socket resets the connection and
                // takes back what was sent: read on until the peer is done.
                let _ = tokio::time::timeout(linger, reading).await;
                return;
            }
        },
    };
    let _ = events.send(NetEvent::Closed { conn, reason }).await;
}

async fn read(
    conn: ConnId,
    mut half: OwnedReadHalf,
    events: &mpsc::Sender<NetEvent>,
) -> CloseReason {
    let mut buffer = BytesMut::new();
    loop {
        if buffer.capacity() < READ_BYTES_MIN {
            buffer.reserve(READ_BYTES_MAX);
        }
        match half.read_buf(&mut buffer).await {
            Ok(0) => return CloseReason::Eof,
            Ok(_) => {
                let bytes = buffer.split().freeze();
                if events.send(NetEvent::Data { conn, bytes }).await.is_err() {
                    return CloseReason::Reset;
                }
            }
            Err(_) => return CloseReason::Reset,
        }
    }
}

/// Writes what is queued until the owner drops its end; then says EOF and hands
/// back the half, whose drop would say more, and how many bytes that were.
async fn write(mut half: OwnedWriteHalf, mut queue: Queue) -> io::Result<(OwnedWriteHalf, u64)> {
    let mut written = 0;
    while let Some(piece) = queue.next().await {
        half.write_all(&piece.bytes).await?;
        written += piece.bytes.len() as u64;
    }
    half.shutdown().await?;
    Ok((half, written))
}
