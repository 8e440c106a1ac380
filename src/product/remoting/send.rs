//! Sending one message: requests 10 and 310.

use super::codes::RequestCode;
use super::encode::Request;
use super::schema::header;

/// The topic whose settings a topic gets that is made by its first send
/// (`TBW102`).
pub const DEFAULT_TOPIC: &str = "TBW102";
/// The topic in which messages wait for their time, a queue for each level
/// (`RMQ_SYS_SCHEDULE_TOPIC`).
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";

/// Where a broker is that was not told otherwise (`DEFAULT_REGION_ID`).
pub const REGION: &str = "DefaultRegion";

header! {
    /// One message (`SendMessageRequestHeader`); the body is the frame's.
    ///
    /// Written with the one-letter names of request 310, read with either.
    pub struct SendRequest<'a> {
        /// The producer's group.
        producer_group: &'a str = b"a" | b"producerGroup";
        /// The topic.
        topic: &'a str = b"b" | b"topic";
        /// The topic after which a missing one is modelled.
        default_topic: &'a str = b"c" | b"defaultTopic";
        /// Queues of a topic so made.
        default_topic_queue_nums: i32 = b"d" | b"defaultTopicQueueNums";
        /// The queue; negative leaves the choice to the broker.
        queue_id: i32 = b"e" | b"queueId";
        /// Bits: 1 compressed, 4 half, 8 commit, 12 rollback, …
        sys_flag: i32 = b"f" | b"sysFlag";
        /// The producer's wall clock, milliseconds since 1970.
        born_timestamp: i64 = b"g" | b"bornTimestamp";
        /// The application's own bits.
        flag: i32 = b"h" | b"flag";
        /// `key\x01value\x02…`.
        properties: &'a str = b"i" | b"properties", or "";
        /// How often it was consumed without success.
        reconsume_times: i32 = b"j" | b"reconsumeTimes", or 0;
        /// RocketMQ's unitisation; not used here.
        unit_mode: bool = b"k" | b"unitMode", or false;
        /// After so many vain attempts it is a dead letter.
        max_reconsume_times: Option<i32> = b"l" | b"maxReconsumeTimes", or None;
        /// The body is several messages.
        batch: bool = b"m" | b"batch", or false;
    }
}

impl Request for SendRequest<'_> {
    const CODE: RequestCode = RequestCode::SEND_MESSAGE_V2;
}

header! {
    /// Where the message is (`SendMessageResponseHeader`).
    pub struct SendResponse<'a> {
        /// A [`MessageId`](super::MessageId), in hex.
        msg_id: &'a str = b"msgId";
        /// The queue.
        queue_id: i32 = b"queueId";
        /// The offset in the queue.
        queue_offset: i64 = b"queueOffset";
        /// The message's own id (`UNIQ_KEY`): clients end its transaction by it.
        transaction_id: Option<&'a str> = b"transactionId", or None;
        /// Always [`REGION`].
        region: Option<&'a str> = b"MSG_REGION", or None;
        /// `true`: the client may trace the message.
        trace_on: Option<&'a str> = b"TRACE_ON", or None;
    }
}
