//! Offsets: what a group has recorded (14, 15), where a queue begins and ends
//! (31, 30), and when its messages were stored (29, 32).
//!
//! A group that has no offset here is told so, and is not told 0:
//!
//! ```
//! use bytes::BytesMut;
//! use zeroloss_broker::remoting::offset::{OffsetResponse, QueryOffset};
//! use zeroloss_broker::remoting::{FrameDecoder, NO_BODY, SerializeType, encode_request};
//!
//! let question = QueryOffset {
//!     consumer_group: "red-packet",
//!     topic: "orders",
//!     queue_id: 3,
//!     set_zero_if_not_found: Some(false),
//! };
//! let mut sent = BytesMut::new();
//! encode_request(&mut sent, SerializeType::Json, 1, &question, NO_BODY);
//! let mut decoder = FrameDecoder::new();
//! decoder.feed(sent.freeze());
//! let command = decoder.next_command()?.expect("it came whole");
//! assert_eq!(command.header(), Ok(question));
//!
//! // No answer can be made of the question: the field `offset` is missing.
//! assert!(command.header::<OffsetResponse>().is_err());
//! # Ok::<(), zeroloss_broker::remoting::DecodeError>(())
//! ```

use super::codes::RequestCode;
use super::encode::Request;
use super::schema::header;

header! {
    /// Asks for a group's offset in a queue
    /// (`QueryConsumerOffsetRequestHeader`). Answered by [`OffsetResponse`], or
    /// `QUERY_NOT_FOUND`.
    pub struct QueryOffset<'a> {
        /// The group.
        consumer_group: &'a str = b"consumerGroup";
        /// The topic.
        topic: &'a str = b"topic";
        /// The queue.
        queue_id: i32 = b"queueId";
        /// `false`: where there is none, that is to be said, and nothing else.
        set_zero_if_not_found: Option<bool> = b"setZeroIfNotFound", or None;
    }
}

impl Request for QueryOffset<'_> {
    const CODE: RequestCode = RequestCode::QUERY_CONSUMER_OFFSET;
}

header! {
    /// Records a group's offset in a queue
    /// (`UpdateConsumerOffsetRequestHeader`). Answered without fields.
    pub struct UpdateOffset<'a> {
        /// The group.
        consumer_group: &'a str = b"consumerGroup";
        /// The topic.
        topic: &'a str = b"topic";
        /// The queue.
        queue_id: i32 = b"queueId";
        /// The next offset to consume: everything below is done.
        commit_offset: i64 = b"commitOffset";
    }
}

impl Request for UpdateOffset<'_> {
    const CODE: RequestCode = RequestCode::UPDATE_CONSUMER_OFFSET;
}

header! {
    /// Asks for one past a queue's last offset (`GetMaxOffsetRequestHeader`).
    pub struct MaxOffset<'a> {
        /// The topic.
        topic: &'a str = b"topic";
        /// The queue.
        queue_id: i32 = b"queueId";
    }
}

impl Request for MaxOffset<'_> {
    const CODE: RequestCode = RequestCode::GET_MAX_OFFSET;
}

header! {
    /// Asks for a queue's first offset (`GetMinOffsetRequestHeader`).
    pub struct MinOffset<'a> {
        /// The topic.
        topic: &'a str = b"topic";
        /// The queue.
        queue_id: i32 = b"queueId";
    }
}

impl Request for MinOffset<'_> {
    const CODE: RequestCode = RequestCode::GET_MIN_OFFSET;
}

header! {
    /// Asks for the first offset that was stored at a time or later
    /// (`SearchOffsetRequestHeader`).
    pub struct SearchOffset<'a> {
        /// The topic.
        topic: &'a str = b"topic";
        /// The queue.
        queue_id: i32 = b"queueId";
        /// Milliseconds since 1970, as the brokers' wall clocks had it.
        timestamp: i64 = b"timestamp";
        /// `LOWER`, or `UPPER`: the last one stored at that time or before.
        boundary_type: Option<&'a str> = b"boundaryType", or None;
    }
}

impl Request for SearchOffset<'_> {
    const CODE: RequestCode = RequestCode::SEARCH_OFFSET_BY_TIMESTAMP;
}

header! {
    /// Asks when a queue's first message was stored
    /// (`GetEarliestMsgStoretimeRequestHeader`).
    pub struct EarliestTime<'a> {
        /// The topic.
        topic: &'a str = b"topic";
        /// The queue.
        queue_id: i32 = b"queueId";
    }
}

impl Request for EarliestTime<'_> {
    const CODE: RequestCode = RequestCode::GET_EARLIEST_MSG_STORETIME;
}

header! {
    /// When that was (`GetEarliestMsgStoretimeResponseHeader`).
    pub struct EarliestTimeResponse {
        /// Milliseconds since 1970; -1 where there is no message.
        timestamp: i64 = b"timestamp";
    }
}

header! {
    /// An offset, in answer to any of the questions above.
    pub struct OffsetResponse {
        /// It.
        offset: i64 = b"offset";
    }
}
