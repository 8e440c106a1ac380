//! Bounds of what clients and peers can take of a broker.
//!
//! Promise: whatever others send, the memory that they take is bounded, and so is
//! every number that something is added to. One more than a bound is refused with
//! one of RocketMQ's codes, or its stream is closed; it costs nobody else an
//! acknowledged message. [`BOUNDS`] is the list, and a test walks it, at each bound
//! and one past it.
//!
//! Things that the disk bounds (the log, and with it the messages) are not in the
//! list: a full disk refuses by itself (D31).

use super::config::Bounds;
use super::groups::{BODY_BYTES_MAX, GROUPS_MAX, LOCKS_MAX, MEMBERS_MAX, NAME_BYTES_MAX};
use super::groups::{QUEUES_MAX, SEATS_MAX};
use super::producers::{PRODUCERS_MAX, WINDOW};
use super::pull::{ANSWER_MESSAGES_MAX, SUSPEND_MS_MAX};
use super::replica::{BASE_BYTES_MAX, READ_BYTES_MAX};
use super::send::SENT_PROPERTIES_BYTES_MAX;
use super::sizes::Sizes;
use super::tags::{SUBSCRIPTION_BYTES_MAX, TAGS_MAX};
use crate::env::{
    PEER_LINKS_MAX, PEER_MESSAGE_BYTES_MAX, PEER_PARTIAL_BYTES_MAX, UNSENT_BYTES_MAX,
    UNSENT_OF_STREAM_BYTES_MAX,
};
use crate::raft::{NUMBER_MAX, TERMS_AHEAD_MAX};
use crate::record::TOPIC_BYTES_MAX;
use crate::remoting::FRAME_BYTES_MAX;

/// The party that uses it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenBy {
    /// Anybody who can connect to the clients' address.
    Client,
    /// Anybody who can connect to the peers' address.
    Peer,
}

/// The treatment of one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// It is refused with this code.
    Refused(i32),
    /// It is answered, with as much as the bound allows.
    Cut,
    /// Its stream is closed, or one that was made no use of.
    Closed,
    /// The oldest goes.
    Forgotten,
    /// It is dropped without an answer, as if it had been lost.
    Dropped,
}

/// One row of [`BOUNDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// A word for it.
    pub name: &'static str,
    /// The party that uses it up.
    pub taken_by: TakenBy,
    /// So much, at most; of a [`Bounds`] field its default.
    pub most: u64,
    /// Of what.
    pub unit: &'static str,
    /// The treatment of one more.
    pub beyond: Beyond,
}

const fn client(name: &'static str, most: u64, unit: &'static str, beyond: Beyond) -> Bound {
    Bound {
        name,
        taken_by: TakenBy::Client,
        most,
        unit,
        beyond,
    }
}

const fn peer(name: &'static str, most: u64, unit: &'static str, beyond: Beyond) -> Bound {
    Bound {
        name,
        taken_by: TakenBy::Peer,
        most,
        unit,
        beyond,
    }
}

const ERROR: Beyond = Beyond::Refused(1);
const BUSY: Beyond = Beyond::Refused(2);
const ILLEGAL: Beyond = Beyond::Refused(13);
const NO_SUBSCRIPTION: Beyond = Beyond::Refused(23);
const DEFAULT: Bounds = Bounds::DEFAULT;

/// Everything that clients and peers can take.
pub const BOUNDS: &[Bound] = &[
    client(
        "connections",
        DEFAULT.connections as u64,
        "streams",
        Beyond::Closed,
    ),
    client(
        "connections-of-host",
        DEFAULT.connections_of_host as u64,
        "streams of one host",
        Beyond::Closed,
    ),
    client(
        "idle",
        DEFAULT.idle_ms,
        "ms without a whole request",
        Beyond::Closed,
    ),
    client(
        "frame",
        FRAME_BYTES_MAX as u64,
        "bytes of a frame",
        Beyond::Closed,
    ),
    client(
        "partial-frames",
        DEFAULT.partial_bytes as u64,
        "bytes of frames that have begun, over all streams",
        Beyond::Closed,
    ),
    client(
        "unsent-of-stream",
        UNSENT_OF_STREAM_BYTES_MAX as u64,
        "bytes of answers that one client does not read",
        Beyond::Closed,
    ),
    client(
        "unsent",
        UNSENT_BYTES_MAX as u64,
        "bytes of answers that clients do not read",
        Beyond::Closed,
    ),
    client(
        "reads",
        DEFAULT.reads as u64,
        "requests that wait for a read index",
        BUSY,
    ),
    client("read-bytes", READ_BYTES_MAX as u64, "bytes of them", BUSY),
    client("pending", 10_000, "entries that are not applied", BUSY),
    client(
        "backlog",
        1_000,
        "ms that the oldest of them waits before sends are refused",
        BUSY,
    ),
    client("waiters", 20_000, "answers that wait for an entry", BUSY),
    client(
        "staged",
        Sizes::DEFAULT.staged_bytes_max,
        "bytes that are not written",
        BUSY,
    ),
    client("held-pulls", 10_000, "pulls that wait", Beyond::Cut),
    client(
        "suspend",
        SUSPEND_MS_MAX,
        "ms that a pull waits",
        Beyond::Cut,
    ),
    client(
        "pull-messages",
        ANSWER_MESSAGES_MAX as u64,
        "messages in one answer",
        Beyond::Cut,
    ),
    client(
        "pull-bytes",
        Sizes::DEFAULT.answer_bytes as u64,
        "bytes of records in one answer, behind the first",
        Beyond::Cut,
    ),
    client(
        "subscription",
        SUBSCRIPTION_BYTES_MAX as u64,
        "bytes of a subscription",
        NO_SUBSCRIPTION,
    ),
    client(
        "tags",
        TAGS_MAX as u64,
        "tags of a subscription",
        NO_SUBSCRIPTION,
    ),
    client(
        "topic-name",
        TOPIC_BYTES_MAX as u64,
        "bytes of a topic's name",
        ILLEGAL,
    ),
    client(
        "topics",
        DEFAULT.topics as u64,
        "topics that clients make",
        ILLEGAL,
    ),
    client(
        "properties",
        SENT_PROPERTIES_BYTES_MAX as u64,
        "bytes of a message's properties",
        ILLEGAL,
    ),
    client("body", 4 << 20, "bytes of a message's body", ILLEGAL),
    client(
        "producer-id",
        NAME_BYTES_MAX as u64,
        "bytes of a producer's id",
        ILLEGAL,
    ),
    client(
        "producers",
        PRODUCERS_MAX as u64,
        "producers that are remembered",
        Beyond::Forgotten,
    ),
    client(
        "sequence",
        u64::MAX,
        "as a producer's number of a send",
        Beyond::Cut,
    ),
    client(
        "window",
        WINDOW,
        "numbers of a producer that are remembered",
        Beyond::Forgotten,
    ),
    client(
        "halves",
        DEFAULT.halves as u64,
        "half messages that are not decided",
        ILLEGAL,
    ),
    client(
        "half-names",
        NAME_BYTES_MAX as u64,
        "bytes of a half message's group or id",
        ILLEGAL,
    ),
    client(
        "delayed",
        DEFAULT.delayed as u64,
        "messages that wait for their time",
        ILLEGAL,
    ),
    client(
        "group-name",
        NAME_BYTES_MAX as u64,
        "bytes of a group's or a client's name",
        ERROR,
    ),
    client(
        "group-offsets",
        DEFAULT.group_offsets as u64,
        "offsets that groups recorded",
        ERROR,
    ),
    client(
        "offset",
        i64::MAX as u64,
        "as an offset, in any request",
        Beyond::Cut,
    ),
    client(
        "heartbeat",
        BODY_BYTES_MAX as u64,
        "bytes of a heartbeat",
        ERROR,
    ),
    client(
        "groups",
        GROUPS_MAX as u64,
        "groups of one client, of each kind",
        ERROR,
    ),
    client("members", MEMBERS_MAX as u64, "members of one group", BUSY),
    client("seats", SEATS_MAX as u64, "members of all groups", BUSY),
    client(
        "locks-asked",
        QUEUES_MAX as u64,
        "queues in one request to lock",
        ERROR,
    ),
    client(
        "locks",
        LOCKS_MAX as u64,
        "queues that are locked",
        Beyond::Cut,
    ),
    peer(
        "peer-message",
        PEER_MESSAGE_BYTES_MAX as u64,
        "bytes of a message",
        Beyond::Closed,
    ),
    peer(
        "peer-links",
        PEER_LINKS_MAX as u64,
        "streams at once",
        Beyond::Closed,
    ),
    peer(
        "peer-partial",
        PEER_PARTIAL_BYTES_MAX as u64,
        "bytes of messages that have begun, over all streams",
        Beyond::Closed,
    ),
    peer(
        "number",
        NUMBER_MAX,
        "as a term or an index",
        Beyond::Dropped,
    ),
    peer(
        "terms-ahead",
        TERMS_AHEAD_MAX,
        "terms by which a stranger's message raises this replica's",
        Beyond::Dropped,
    ),
    peer("base", BASE_BYTES_MAX, "bytes of a base", Beyond::Dropped),
];
