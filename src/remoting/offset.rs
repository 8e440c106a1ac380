//! Offsets: what a group has recorded (14, 15), where a queue begins and ends
//! (31, 30).

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
    /// An offset, in answer to any of the questions above.
    pub struct OffsetResponse {
        /// It.
        offset: i64 = b"offset";
    }
}
