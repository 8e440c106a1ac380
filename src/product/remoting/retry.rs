//! Sending a message back that could not be processed (36), and the topics in
//! which it comes again, or is given up.
//!
//! A consumer that fails sends the message back. It comes again in a topic of its group's:
//!
//! ```
//! use bytes::BytesMut;
//! use zeroloss_broker::remoting::retry::{SendBack, dead_letter_topic, retry_topic};
//! use zeroloss_broker::remoting::{FrameDecoder, NO_BODY, SerializeType, encode_request};
//!
//! assert_eq!(retry_topic("red-packet"), "%RETRY%red-packet");
//! assert_eq!(dead_letter_topic("red-packet"), "%DLQ%red-packet");
//!
//! let back = SendBack {
//!     offset: 4_096, group: "red-packet", origin_topic: "orders", origin_msg_id: "",
//!     delay_level: 0, max_reconsume_times: Some(16), unit_mode: false,
//! };
//! let mut sent = BytesMut::new();
//! encode_request(&mut sent, SerializeType::Binary, 1, &back, NO_BODY);
//! let mut decoder = FrameDecoder::new();
//! decoder.feed(sent.freeze());
//! let command = decoder.next_command()?.expect("it came whole");
//! assert_eq!((command.code, command.header()), (36, Ok(back)));
//! # Ok::<(), zeroloss_broker::remoting::DecodeError>(())
//! ```

use super::codes::RequestCode;
use super::encode::Request;
use super::schema::header;

/// The prefix of a group's retry topic (`RETRY_GROUP_TOPIC_PREFIX`).
pub const RETRY_PREFIX: &str = "%RETRY%";
/// The prefix of a group's dead-letter topic (`DLQ_GROUP_TOPIC_PREFIX`).
pub const DEAD_LETTER_PREFIX: &str = "%DLQ%";
/// So many vain attempts are made where a consumer does not say
/// (`retryMaxTimes`).
pub const RECONSUME_TIMES_MAX: i32 = 16;

/// Where a group's messages come again: every consumer of the group subscribes
/// to it.
#[must_use]
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// Where a group's messages stand that were given up.
#[must_use]
pub fn dead_letter_topic(group: &str) -> String {
    format!("{DEAD_LETTER_PREFIX}{group}")
}

header! {
    /// A message that could not be processed
    /// (`ConsumerSendMsgBackRequestHeader`). Answered without fields once its
    /// copy is as durable as a message that was sent.
    pub struct SendBack<'a> {
        /// The message's log address, as its record says
        /// (`physical_offset`).
        offset: i64 = b"offset";
        /// The consumer's group.
        group: &'a str = b"group";
        /// When it is to come again: 0 leaves that to the broker (3 and one more
        /// each time), negative gives it up at once.
        delay_level: i32 = b"delayLevel";
        /// The message's id, as its first send was answered.
        origin_msg_id: &'a str = b"originMsgId", or "";
        /// The topic that it was read from.
        origin_topic: &'a str = b"originTopic", or "";
        /// RocketMQ's unitisation; not used here.
        unit_mode: bool = b"unitMode", or false;
        /// After so many vain attempts it is given up.
        max_reconsume_times: Option<i32> = b"maxReconsumeTimes", or None;
    }
}

impl Request for SendBack<'_> {
    const CODE: RequestCode = RequestCode::CONSUMER_SEND_MSG_BACK;
}
