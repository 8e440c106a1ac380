//! Reading messages of one queue: requests 11 and 361.
//!
//! A consumer asks for up to 32 messages from offset 40 on, and waits for one if there is none:
//!
//! ```
//! use bytes::BytesMut;
//! use zeroloss_broker::remoting::pull::{FLAG_SUBSCRIPTION, FLAG_SUSPEND, PullRequest};
//! use zeroloss_broker::remoting::{FrameDecoder, NO_BODY, SerializeType, encode_request};
//!
//! let pull = PullRequest {
//!     consumer_group: "red-packet", topic: "orders", queue_id: 3,
//!     queue_offset: 40, max_msg_nums: 32,
//!     sys_flag: FLAG_SUSPEND | FLAG_SUBSCRIPTION,
//!     suspend_timeout_millis: 15_000, commit_offset: 0,
//!     subscription: "paid || shipped", sub_version: 1, expression_type: Some("TAG"),
//! };
//! let mut sent = BytesMut::new();
//! encode_request(&mut sent, SerializeType::Binary, 1, &pull, NO_BODY);
//! let mut decoder = FrameDecoder::new();
//! decoder.feed(sent.freeze());
//! let command = decoder.next_command()?.expect("it came whole");
//! let read: PullRequest<'_> = command.header()?;
//! assert!(read == pull && read.sys_flag & FLAG_SUSPEND != 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::codes::RequestCode;
use super::encode::Request;
use super::schema::header;

/// Bit of `sys_flag`: record `commit_offset` as the group's.
pub const FLAG_COMMIT_OFFSET: i32 = 1;
/// Bit of `sys_flag`: wait for a message, up to `suspend_timeout_millis`.
pub const FLAG_SUSPEND: i32 = 2;
/// Bit of `sys_flag`: `subscription` says what is wanted.
pub const FLAG_SUBSCRIPTION: i32 = 4;
/// Bit of `sys_flag`: a class of the client's says what is wanted.
pub const FLAG_CLASS_FILTER: i32 = 8;

header! {
    /// A read (`PullMessageRequestHeader`).
    pub struct PullRequest<'a> {
        /// The consumer's group.
        consumer_group: &'a str = b"consumerGroup";
        /// The topic.
        topic: &'a str = b"topic";
        /// The queue.
        queue_id: i32 = b"queueId";
        /// The first offset wanted.
        queue_offset: i64 = b"queueOffset";
        /// At most so many messages.
        max_msg_nums: i32 = b"maxMsgNums";
        /// `FLAG_…` bits.
        sys_flag: i32 = b"sysFlag";
        /// The group's offset; counts with [`FLAG_COMMIT_OFFSET`].
        commit_offset: i64 = b"commitOffset";
        /// How long to wait for a message, with [`FLAG_SUSPEND`].
        suspend_timeout_millis: i64 = b"suspendTimeoutMillis";
        /// `*`, or tags joined by `||`.
        subscription: &'a str = b"subscription", or "*";
        /// When the subscription was made, milliseconds since 1970.
        sub_version: i64 = b"subVersion";
        /// `TAG`, or `SQL92`.
        expression_type: Option<&'a str> = b"expressionType", or None;
    }
}

impl Request for PullRequest<'_> {
    const CODE: RequestCode = RequestCode::PULL_MESSAGE;
}

header! {
    /// How far the read went (`PullMessageResponseHeader`); the records are the
    /// frame's body, one after the other.
    pub struct PullResponse {
        /// The broker to ask next; 0 is the primary.
        suggest_which_broker_id: i64 = b"suggestWhichBrokerId", or 0;
        /// Everything that matches below this, from the offset asked for, is in
        /// the body of a "found".
        next_begin_offset: i64 = b"nextBeginOffset";
        /// The first offset that the queue still has.
        min_offset: i64 = b"minOffset";
        /// One past its last.
        max_offset: i64 = b"maxOffset";
    }
}
