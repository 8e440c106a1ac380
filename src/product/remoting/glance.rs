//! Commands read where they stand, for who only looks on.

use std::borrow::Cow;

use super::command::{BinaryHeader, FLAG_RESPONSE};
use super::decoder::LENGTH_BYTES;
use super::fields::pairs;

/// A command, borrowed. Of whole frames, as their sender wrote them: its fields
/// are not checked beforehand, and end where they are none.
#[derive(Debug, Clone, Copy)]
pub struct Glance<'a> {
    /// As of a [`Command`](super::Command).
    pub code: i32,
    /// Pairs an answer with its request, per connection.
    pub opaque: i32,
    /// The content that the header does not describe.
    pub body: &'a [u8],
    pub(super) flag: i32,
    pub(super) remark: &'a [u8],
    pub(super) fields: &'a [u8],
}

impl<'a> Glance<'a> {
    /// The command that `bytes` begin with, and what is behind it; `None` where
    /// there is no whole one, or one whose header is not binary.
    pub fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
        let (frame, behind) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let (word, frame) = frame.split_first_chunk::<4>()?;
        let [1, length @ ..] = *word else {
            return None;
        };
        let [high, middle, low] = length;
        let header_bytes = u32::from_be_bytes([0, high, middle, low]) as usize;
        let (header, body) = frame.split_at_checked(header_bytes)?;
        let header = BinaryHeader::read(header).ok()?;
        let glance = Self {
            code: header.code,
            opaque: header.opaque,
            body,
            flag: header.flag,
            remark: header.remark,
            fields: header.fields,
        };
        Some((glance, behind))
    }

    /// The value of a field; the last one where it is repeated.
    pub fn get(&self, key: &str) -> Option<&'a [u8]> {
        let named = pairs(self.fields).filter(|(name, _)| *name == key.as_bytes());
        named.last().map(|(_, value)| value)
    }

    /// Whether this is an answer.
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// The remark as text; what is no UTF-8 is replaced.
    pub fn remark(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.remark)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::Glance;
    use crate::remoting::send::SendResponse;
    use crate::remoting::{FrameDecoder, ReplyTo, ResponseCode, SerializeType, encode_response};

    fn frame(serialize_type: SerializeType) -> BytesMut {
        let reply_to = ReplyTo {
            serialize_type,
            opaque: 7,
            is_oneway: false,
        };
        let fields = SendResponse {
            msg_id: "id",
            queue_id: 3,
            queue_offset: 9,
            transaction_id: None,
            region: None,
            trace_on: None,
        };
        let mut out = BytesMut::new();
        let code = ResponseCode::FLUSH_DISK_TIMEOUT;
        encode_response(&mut out, reply_to, code, "slow", &fields, [b"body"]);
        out
    }

    #[test]
    fn a_glance_sees_what_the_decoder_does() {
        let mut bytes = frame(SerializeType::Binary);
        let first_bytes = bytes.len();
        bytes.extend_from_slice(&frame(SerializeType::Binary));
        let bytes = bytes.freeze();
        let mut decoder = FrameDecoder::new();
        decoder.feed(bytes.clone());
        let command = decoder.next_command().unwrap().unwrap();

        let (glance, behind) = Glance::first(&bytes).expect("a whole frame");
        assert_eq!(behind, &bytes[first_bytes..]);
        for seen in [glance, command.glance()] {
            assert_eq!((seen.code, seen.opaque), (command.code, 7));
            assert!(seen.is_response());
            assert_eq!(seen.body, b"body");
            assert_eq!(seen.remark(), "slow");
            for (name, value) in command.fields.iter() {
                assert_eq!(seen.get(std::str::from_utf8(name).unwrap()), Some(value));
            }
            assert_eq!(seen.get("none"), None);
        }
    }

    #[test]
    fn a_cut_frame_and_json_are_not_seen() {
        let whole = frame(SerializeType::Binary);
        for length in 0..whole.len() {
            assert!(Glance::first(&whole[..length]).is_none(), "{length}");
        }
        assert!(Glance::first(&frame(SerializeType::Json)).is_none());
    }
}
