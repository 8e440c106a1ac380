//! RocketMQ's wire protocol: frames, headers, and the requests of a producer
//! and a consumer.
//!
//! Promise: bytes of a stream, cut anywhere, become the commands they say, or
//! a typed error; never a panic, and never memory by a length that the peer
//! merely claims. Client and broker use the same types, each way.
//!
//! ```text
//!   0        4                 8
//!   ┌────────┬──────┬──────────┬──────────┬────────┐
//!   │ length │ type │ header   │ header   │ body   │   type 0: JSON
//!   │        │      │ length   │          │        │   type 1: RocketMQ's binary
//!   └────────┴──────┴──────────┴──────────┴────────┘
//!      u32     u8       u24
//! ```
//!
//! Decoding borrows: a [`Command`] shares the frame's memory, its [`Fields`]
//! are read in one pass by the typed requests, and only a JSON header costs an
//! allocation. Encoding writes straight into the frame.
//!
//! A question and its answer, each in a stream that is cut in the middle of a frame:
//!
//! ```
//! use bytes::BytesMut;
//! use zeroloss_broker::remoting::offset::{MaxOffset, OffsetResponse};
//! use zeroloss_broker::remoting::{Command, DecodeError, FrameDecoder, NO_BODY, ResponseCode};
//! use zeroloss_broker::remoting::{SerializeType, encode_request, encode_response};
//!
//! fn received(mut stream: BytesMut) -> Result<Command, DecodeError> {
//!     let mut decoder = FrameDecoder::new();
//!     decoder.feed(stream.split_to(11).freeze());
//!     assert_eq!(decoder.next_command(), Ok(None));
//!     decoder.feed(stream.freeze());
//!     Ok(decoder.next_command()?.expect("the rest has come"))
//! }
//!
//! let (mut there, mut back) = (BytesMut::new(), BytesMut::new());
//! let question = MaxOffset { topic: "orders", queue_id: 3 };
//! encode_request(&mut there, SerializeType::Json, 7, &question, NO_BODY);
//! let request = received(there)?;
//! assert_eq!(request.header(), Ok(question));
//!
//! let (to, answer) = (request.reply_to(), OffsetResponse { offset: 42 });
//! encode_response(&mut back, to, ResponseCode::SUCCESS, "", &answer, NO_BODY);
//! let response = received(back)?;
//! assert_eq!((response.opaque, response.header()), (7, Ok(answer)));
//! # Ok::<(), DecodeError>(())
//! ```

mod codes;
mod command;
mod decoder;
mod encode;
mod error;
mod fields;
mod glance;
mod json;
mod message_id;
mod schema;

#[cfg(test)]
mod tests;

pub mod admin;
pub mod group;
pub mod heartbeat;
pub mod lock;
pub mod offset;
pub mod pull;
pub mod retry;
pub mod route;
pub mod send;
pub mod transaction;

pub use codes::{RequestCode, ResponseCode};
pub use command::{Command, Language, ReplyTo, SerializeType};
pub use decoder::{FRAME_BYTES_MAX, FrameDecoder};
pub use encode::{NO_BODY, OneWay, Request, encode_request, encode_response};
pub use error::{DecodeError, FieldError};
pub use fields::{FieldWriter, Fields, ReadFields, WriteFields};
pub use glance::Glance;
pub use message_id::{MessageId, MessageIdError};
