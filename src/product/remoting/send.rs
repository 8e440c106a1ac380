//! Sending one message: requests 10 and 310.
//!
//! A message on its way, and the place that it got:
//!
//! ```
//! use bytes::BytesMut;
//! use zeroloss_broker::remoting::send::{DEFAULT_TOPIC, SendRequest};
//! use zeroloss_broker::remoting::{FrameDecoder, MessageId, SerializeType, encode_request};
//!
//! let send = SendRequest {
//!     producer_group: "orders", topic: "paid", queue_id: 3, properties: "TAGS\u{1}a\u{2}",
//!     default_topic: DEFAULT_TOPIC, default_topic_queue_nums: 8,
//!     born_timestamp: 1_700_000_000_000, sys_flag: 0, flag: 0, reconsume_times: 0,
//!     max_reconsume_times: None, unit_mode: false, batch: false,
//! };
//! let mut sent = BytesMut::new();
//! encode_request(&mut sent, SerializeType::Json, 1, &send, [b"order 1"]);
//! let mut decoder = FrameDecoder::new();
//! decoder.feed(sent.freeze());
//! let command = decoder.next_command()?.expect("it came whole");
//! assert_eq!((command.header(), &command.body[..]), (Ok(send), &b"order 1"[..]));
//!
//! // The `msg_id` of the answer, a `SendResponse`, says where it stands in the broker's log.
//! let id: MessageId = "0A00000100002A9F0000000000001000".parse()?;
//! assert_eq!((id.host.to_string(), id.address), ("10.0.0.1:10911".to_owned(), 4_096));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
