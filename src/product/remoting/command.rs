//! One request or answer, as it came over the wire (`RemotingCommand`).

use std::borrow::Cow;

use bytes::{Buf, Bytes};

use super::error::{DecodeError, FieldError};
use super::fields::{Fields, ReadFields};
use super::glance::Glance;
use super::json;

/// Bit of `flag`: this is an answer.
pub(super) const FLAG_RESPONSE: i32 = 1;
/// Bit of `flag`: no answer is wanted.
pub(super) const FLAG_ONEWAY: i32 = 2;

/// How a header is written (`SerializeType`). An answer uses its request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SerializeType {
    /// Type 0, what real clients send unless told otherwise.
    Json,
    /// Type 1, RocketMQ's compact one: several times cheaper.
    Binary,
}

/// The language of a client (`LanguageCode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language(pub u8);

impl Language {
    /// The language that this implementation claims: the one that every client's decoder
    /// knows.
    pub const JAVA: Self = Self(0);
    /// None that is known here.
    pub const OTHER: Self = Self(7);

    const NAMES: [&'static str; 12] = [
        "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO",
        "PHP", "OMS",
    ];

    pub(super) fn named(name: &str) -> Self {
        let number = Self::NAMES.iter().position(|known| *known == name);
        number
            .and_then(|number| u8::try_from(number).ok())
            .map_or(Self::OTHER, Self)
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.get(usize::from(self.0)).unwrap_or(&"OTHER")
    }
}

impl Default for Language {
    fn default() -> Self {
        Self::OTHER
    }
}

/// One request or answer. Shares its frame's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// How its header was written.
    pub serialize_type: SerializeType,
    /// A [`RequestCode`](super::RequestCode), or in an answer a
    /// [`ResponseCode`](super::ResponseCode).
    pub code: i32,
    /// The sender's language.
    pub language: Language,
    /// The sender's version, an ordinal of RocketMQ's `MQVersion`.
    pub version: i32,
    /// Pairs an answer with its request, per connection.
    pub opaque: i32,
    /// Bit 0: an answer. Bit 1: wants none.
    pub flag: i32,
    /// Words for people, UTF-8 if the peer keeps to it; empty for none.
    pub remark: Bytes,
    /// `extFields`.
    pub fields: Fields,
    /// The content that the header does not describe: a message, records, JSON.
    pub body: Bytes,
}

/// The part of a request that its answer needs: kept while the answer waits, where
/// the whole request would hold its body in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// How the request's header was written.
    pub serialize_type: SerializeType,
    /// The request's.
    pub opaque: i32,
    /// No answer is wanted: whatever is given as one is dropped.
    pub is_oneway: bool,
}

impl Command {
    /// The part of this request that its answer needs.
    pub fn reply_to(&self) -> ReplyTo {
        ReplyTo {
            serialize_type: self.serialize_type,
            opaque: self.opaque,
            is_oneway: self.is_oneway(),
        }
    }

    /// Reads a frame without its length field.
    pub(super) fn decode(mut frame: Bytes) -> Result<Self, DecodeError> {
        let word = frame.try_get_u32().map_err(|short| {
            let length = u32::try_from(short.available).unwrap_or_default();
            DecodeError::FrameTooShort { length }
        })?;
        let header_bytes = (word & 0x00ff_ffff) as usize;
        if header_bytes > frame.len() {
            return Err(DecodeError::HeaderTooLong {
                header_bytes,
                frame_bytes: frame.len(),
            });
        }
        match (word >> 24) as u8 {
            0 => Self::decode_json(&frame.split_to(header_bytes), frame),
            1 => Self::decode_binary(frame, header_bytes),
            other => Err(DecodeError::UnknownSerializeType(other)),
        }
    }

    fn decode_json(header: &[u8], body: Bytes) -> Result<Self, DecodeError> {
        let header = json::read(header).map_err(|error| DecodeError::Json(error.to_string()))?;
        Ok(Self {
            serialize_type: SerializeType::Json,
            code: header.code,
            language: header.language,
            version: header.version,
            opaque: header.opaque,
            flag: header.flag,
            remark: header.remark.map(Bytes::from).unwrap_or_default(),
            fields: Fields::from_binary(header.fields.freeze())?,
            body,
        })
    }

    fn decode_binary(mut frame: Bytes, header_bytes: usize) -> Result<Self, DecodeError> {
        let header = BinaryHeader::read(&frame[..header_bytes])?;
        let mut command = Self {
            serialize_type: SerializeType::Binary,
            code: header.code,
            language: header.language,
            version: header.version,
            opaque: header.opaque,
            flag: header.flag,
            remark: frame.slice_ref(header.remark),
            fields: Fields::from_binary(frame.slice_ref(header.fields))?,
            body: Bytes::new(),
        };
        frame.advance(header_bytes);
        command.body = frame;
        Ok(command)
    }

    /// Memory that it takes, about, bytes.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.remark.len() + self.fields.raw().len() + self.body.len()
    }

    /// Its parts that matter to who only looks on.
    pub fn glance(&self) -> Glance<'_> {
        Glance {
            code: self.code,
            opaque: self.opaque,
            flag: self.flag,
            remark: &self.remark,
            fields: self.fields.raw(),
            body: &self.body,
        }
    }

    /// Whether this is an answer.
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether no answer is wanted.
    pub fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }

    /// The remark as text; what is no UTF-8 is replaced.
    pub fn remark(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.remark)
    }

    /// The fields as a typed header.
    pub fn header<'a, H: ReadFields<'a>>(&'a self) -> Result<H, FieldError> {
        H::read_fields(&self.fields)
    }
}

/// A binary header, where it stands.
pub(super) struct BinaryHeader<'a> {
    pub(super) code: i32,
    language: Language,
    version: i32,
    pub(super) opaque: i32,
    pub(super) flag: i32,
    pub(super) remark: &'a [u8],
    /// Not checked to be a map.
    pub(super) fields: &'a [u8],
}

impl<'a> BinaryHeader<'a> {
    pub(super) fn read(mut header: &'a [u8]) -> Result<Self, DecodeError> {
        const FIXED_BYTES: usize = 2 + 1 + 2 + 4 + 4;
        if header.len() < FIXED_BYTES {
            return Err(DecodeError::Truncated { part: "fixed part" });
        }
        Ok(Self {
            code: i32::from(header.get_i16()),
            language: Language(header.get_u8()),
            version: i32::from(header.get_i16()),
            opaque: header.get_i32(),
            flag: header.get_i32(),
            remark: take_counted(&mut header, "remark")?,
            fields: take_counted(&mut header, "extFields")?,
        })
    }
}

/// An i32 length and that many bytes.
fn take_counted<'a>(header: &mut &'a [u8], part: &'static str) -> Result<&'a [u8], DecodeError> {
    let truncated = DecodeError::Truncated { part };
    let Ok(length) = header.try_get_i32() else {
        return Err(truncated);
    };
    match usize::try_from(length) {
        Ok(length) if length <= header.len() => {
            let (counted, rest) = header.split_at(length);
            *header = rest;
            Ok(counted)
        }
        _ => Err(truncated),
    }
}
