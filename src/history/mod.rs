//! The view of the clients, and the faults that the cluster met: the only input of
//! judgement.
//!
//! Promise: typed, in the order in which it happened, and free of anything that
//! only a simulator could produce; a history taken on real sockets is judged by
//! the same checkers.
//!
//! Times are nanoseconds since the start of the run.
//!
//! A client writes down what it does. Of a message, its body says whose it is:
//!
//! ```
//! use zeroloss::history::{Event, Queue, Recorder, SendOutcome, Value};
//!
//! let recorder = Recorder::default();
//! let client = recorder.clone(); // writes into the same history
//! let (value, body) = Value::make(7, 1, 64, 0);
//! client.record(1_000, 7, Event::SendBegan { op: 1, value });
//! let queue = Queue { topic: "orders".into(), queue_id: 3 };
//! let outcome = SendOutcome::Acknowledged { queue, offset: 5, address: 4_096 };
//! client.record(2_000, 7, Event::SendEnded { op: 1, outcome });
//!
//! let history = recorder.take();
//! assert_eq!(history.entries.len(), 2);
//! assert_eq!(history.entries[0].event, Event::SendBegan { op: 1, value });
//! // Another one reads the message, and knows whose it is, to the last byte.
//! assert_eq!(Value::read(&body), Some(value));
//! assert_eq!(value.to_string(), "client 7 #1");
//! ```

mod fault_kind;
mod happening;
mod ledger;
mod transaction_step;
mod words;

/// Queues, operations and their ends, as clients name them.
pub use crate::client::{EndOutcome, OpId, Queue, SendOutcome};
pub use fault_kind::{FaultKind, Hits, Takes};
pub use happening::Happening;
pub use ledger::{ClockChange, FaultEvent, Ledger, SettingCount};
pub use transaction_step::{Death, TransactionStep, VictimRole};

use std::fmt;
use std::sync::{Arc, Mutex};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A client of the run, unique within it.
pub type ClientId = u32;

/// The content of a message, as far as judgement cares: who sent it, its number
/// there, and a digest of the whole body. Two sends never share a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// The sender.
    pub client: ClientId,
    /// The sender's count.
    pub sequence: u64,
    /// xxh3-64 of the body.
    pub digest: u64,
}

impl Value {
    /// Bytes of a body that say whose it is; the rest is filler.
    pub const HEAD_BYTES: usize = 12;

    /// A body of `length` bytes (at least [`Value::HEAD_BYTES`]) and what it
    /// says. The filler follows from `seed` and the head.
    pub fn make(client: ClientId, sequence: u64, length: usize, seed: u64) -> (Self, Vec<u8>) {
        let length = length.max(Self::HEAD_BYTES);
        let mut body = vec![0; length];
        let (head, rest) = body.split_at_mut(Self::HEAD_BYTES);
        head[..4].copy_from_slice(&client.to_be_bytes());
        head[4..].copy_from_slice(&sequence.to_be_bytes());
        let mut filler = xxh3_64_with_seed(head, seed);
        let (words, last) = rest.as_chunks_mut::<8>();
        for word in words {
            *word = filler.to_be_bytes();
            filler = filler.rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        last.copy_from_slice(&filler.to_be_bytes()[..last.len()]);
        (
            Self {
                client,
                sequence,
                digest: xxh3_64(&body),
            },
            body,
        )
    }

    /// The value in a body; `None` where it is too short to say anything.
    pub fn read(body: &[u8]) -> Option<Self> {
        let (client, rest) = body.split_first_chunk::<4>()?;
        let (sequence, _) = rest.split_first_chunk::<8>()?;
        Some(Self {
            client: u32::from_be_bytes(*client),
            sequence: u64::from_be_bytes(*sequence),
            digest: xxh3_64(body),
        })
    }

    /// Not above any other value.
    pub const MIN: Self = Self {
        client: 0,
        sequence: 0,
        digest: 0,
    };
}

/// The sender and its count; not the digest, which says nothing to a reader.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} #{}", self.client, self.sequence)
    }
}

/// One thing that a client did or saw.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The message that is sent next is to come after so long, and no earlier.
    /// Its offset, when acknowledged, is that in the schedule topic.
    Delayed {
        /// The value that is sent.
        value: Value,
        /// Nanoseconds.
        delay_ns: u64,
    },
    /// A producer began to send; ended by `SendEnded` with the same client, op.
    SendBegan {
        /// The operation.
        op: OpId,
        /// The value that is sent.
        value: Value,
    },
    /// The send's outcome, after all retries.
    SendEnded {
        /// The operation.
        op: OpId,
        /// How.
        outcome: SendOutcome,
    },
    /// An order service began to send a half message; ended by `HalfEnded`.
    HalfBegan {
        /// The operation.
        op: OpId,
        /// The value that is sent.
        value: Value,
    },
    /// The half message's outcome. Acknowledged: its offset is that in the half
    /// topic.
    HalfEnded {
        /// The operation.
        op: OpId,
        /// How.
        outcome: SendOutcome,
    },
    /// An order database says durably whether an order is paid; after a restart
    /// it says so again of all that it finds.
    Settled {
        /// The order.
        value: Value,
        /// Paid; otherwise it never will be.
        paid: bool,
    },
    /// The order service began to end a transaction; ended by `EndEnded`.
    EndBegan {
        /// The operation.
        op: OpId,
        /// The order.
        value: Value,
        /// Its half message's log address.
        half_address: u64,
        /// Commit; otherwise roll back.
        commit: bool,
    },
    /// The end's outcome, after all retries.
    EndEnded {
        /// The operation.
        op: OpId,
        /// How.
        outcome: EndOutcome,
    },
    /// A broker asked, and the answer left; there is none to that.
    CheckAnswered {
        /// The order.
        value: Value,
        /// Its half message's log address.
        half_address: u64,
        /// Committed; otherwise rolled back.
        commit: bool,
    },
    /// A red-packet service has durably issued the packet of an order; after a
    /// restart it says so again of all that it finds.
    Issued {
        /// The order.
        value: Value,
    },
    /// A pull was issued; ended by `Pulled`, or never.
    PullBegan {
        /// The operation.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// From which offset.
        offset: u64,
    },
    /// A pull was answered: found, not found, or moved.
    Pulled {
        /// The operation.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// The offset that was asked for.
        offset: u64,
        /// `nextBeginOffset` of the answer.
        next_begin_offset: u64,
        /// Offset and value of each message, in the order served. A body that
        /// no value can be read from has `None`.
        messages: Vec<(u64, Option<Value>)>,
        /// Whether the answer was "found", to a pull that wanted every message.
        found: bool,
    },
    /// The group wants some of a topic's messages only: those whose sequence
    /// number leaves one of these remainders.
    Subscribed {
        /// The group.
        group: Arc<str>,
        /// The topic.
        topic: Arc<str>,
        /// The divisor.
        of: u64,
        /// The remainders.
        wanted: Arc<[u64]>,
    },
    /// A member of a group was told of its place among the members.
    Ranked {
        /// The group.
        group: Arc<str>,
        /// From 0; `None`: it is not among them.
        place: Option<u32>,
        /// How many there are.
        members: u32,
    },
    /// A member gave a queue up that it had resumed.
    Released {
        /// The group.
        group: Arc<str>,
        /// The queue.
        queue: Queue,
    },
    /// A member began to process a message of a queue that it had locked.
    Taken {
        /// The group.
        group: Arc<str>,
        /// The queue.
        queue: Queue,
        /// The message's offset.
        offset: u64,
    },
    /// A message was served from the group's retry topic.
    Redelivered {
        /// The group.
        group: Arc<str>,
        /// The value in it.
        value: Value,
        /// How often it was sent back, as its record says.
        times: u32,
    },
    /// A member began to send a message back that it could not process; ended
    /// by `SendBackEnded`, or never.
    SendBackBegan {
        /// The operation.
        op: OpId,
        /// The group.
        group: Arc<str>,
        /// The queue that it was served from.
        queue: Queue,
        /// Its offset there.
        offset: u64,
        /// The value in it.
        value: Value,
        /// How often it had been sent back before.
        times: u32,
        /// It is to come again after so long, nanoseconds; `None`: it is given
        /// up, and stands among the dead letters.
        delay_ns: Option<u64>,
    },
    /// The sending back was answered.
    SendBackEnded {
        /// The operation.
        op: OpId,
        /// Whether it was acknowledged; otherwise unknown.
        acknowledged: bool,
    },
    /// A consumer finished processing a message.
    Processed {
        /// The group.
        group: Arc<str>,
        /// The queue.
        queue: Queue,
        /// The message's offset.
        offset: u64,
        /// The value in it.
        value: Value,
    },
    /// A consumer asked to commit a group offset: everything below is done.
    CommitBegan {
        /// The operation.
        op: OpId,
        /// The group.
        group: Arc<str>,
        /// The queue.
        queue: Queue,
        /// The next offset to consume.
        offset: u64,
    },
    /// The offset commit was answered.
    CommitEnded {
        /// The operation.
        op: OpId,
        /// Whether it was acknowledged; otherwise unknown.
        acknowledged: bool,
    },
    /// A consumer asked where its group stands; ended by the next `Resumed`, or
    /// `FinalGroupOffset`, of the same client, group and queue. Where it is left
    /// out, that counts as begun when it ended: right unless a queue changes its consumer
    /// while the old one still commits.
    ResumeBegan {
        /// The group.
        group: Arc<str>,
        /// The queue.
        queue: Queue,
    },
    /// A consumer (re)started from the offset that the broker recorded;
    /// `None` where the group had none: then it starts at the queue's smallest
    /// offset.
    Resumed {
        /// The group.
        group: Arc<str>,
        /// The queue.
        queue: Queue,
        /// The recorded offset.
        offset: Option<u64>,
    },
    /// The final reader's complete, fresh read of one queue, after heal.
    FinalRead {
        /// The queue.
        queue: Queue,
        /// The smallest offset that the broker offers.
        min_offset: u64,
        /// One past the largest.
        max_offset: u64,
        /// Everything read, in order.
        messages: Vec<(u64, Option<Value>)>,
    },
    /// The content of the discard topic, read after heal.
    FinalDiscards {
        /// In the order of their offsets.
        values: Vec<Value>,
    },
    /// The durable content of an order database at the end of the run: every order that
    /// is settled, and whether it is paid.
    FinalOrders {
        /// In the order of its rows.
        orders: Vec<(Value, bool)>,
    },
    /// The durable content of a red-packet service's database at the end of the run: the
    /// order of every packet.
    FinalPackets {
        /// In the order of its rows.
        packets: Vec<Value>,
    },
    /// A client did something that is worth seeing, and says nothing else.
    Noticed(Happening),
    /// The offset that the broker recorded for a group, read after heal.
    FinalGroupOffset {
        /// The group.
        group: Arc<str>,
        /// The queue.
        queue: Queue,
        /// The recorded offset, if any.
        offset: Option<u64>,
    },
    /// The message that is sent next is longer than a documented limit lets it: it is to
    /// be refused.
    BeyondLimit {
        /// The value that is sent.
        value: Value,
    },
}

/// An event, whose, and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// Nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The client that saw it.
    pub client: ClientId,
    /// The event.
    pub event: Event,
}

/// Every entry of a run, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// In the order recorded; times never fall.
    pub entries: Vec<Recorded>,
}

/// Entries that a history has room for from the start. Pages of it that are not
/// used cost nothing; growing to it would touch and copy twice as many.
const ENTRIES: usize = 1 << 14;

/// The clock of a run, nanoseconds since its start.
type RunClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A shared, append-only history.
#[derive(Clone)]
pub struct Recorder {
    history: Arc<Mutex<History>>,
    clock: Option<RunClock>,
}

impl Default for Recorder {
    fn default() -> Self {
        let entries = Vec::with_capacity(ENTRIES);
        Self {
            history: Arc::new(Mutex::new(History { entries })),
            clock: None,
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// One that goes by the run's clock, whatever the clients' own say: those
    /// may be wrong.
    pub fn on_clock(clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            clock: Some(Arc::new(clock)),
            ..Self::default()
        }
    }

    /// Appends one entry; `at_ns` as the client's own clock has it.
    pub fn record(&self, at_ns: u64, client: ClientId, event: Event) {
        self.record_begun(at_ns, client, || (), |()| event);
    }

    /// Begins something, and appends the entry that says so. Over real sockets others
    /// may see at once that it has begun: they record nothing in between.
    pub fn record_begun<T>(
        &self,
        at_ns: u64,
        client: ClientId,
        begin: impl FnOnce() -> T,
        event: impl FnOnce(&T) -> Event,
    ) -> T {
        let at_ns = self.clock.as_ref().map_or(at_ns, |clock| clock());
        let mut history = self.lock();
        let begun = begin();
        let event = event(&begun);
        history.entries.push(Recorded {
            at_ns,
            client,
            event,
        });
        begun
    }

    /// Shows what was recorded so far.
    pub fn look<R>(&self, look: impl FnOnce(&History) -> R) -> R {
        look(&self.lock())
    }

    /// Takes what was recorded so far.
    pub fn take(&self) -> History {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, History> {
        self.history
            .lock()
            .expect("a recorder's holder never panics while it holds it")
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn a_body_says_whose_it_is_and_every_byte_of_it_counts() {
        let (value, mut body) = Value::make(3, 77, 100, 9);
        assert_eq!((body.len(), Value::read(&body)), (100, Some(value)));
        body[99] ^= 1;
        assert_ne!(Value::read(&body), Some(value));
        assert_eq!(Value::read(&body[..11]), None);
    }
}
