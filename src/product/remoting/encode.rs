//! From typed headers to frames.

use bytes::{BufMut, BytesMut};

use super::codes::{RequestCode, ResponseCode};
use super::command::{FLAG_ONEWAY, FLAG_RESPONSE, Language, ReplyTo, SerializeType};
use super::decoder::{FRAME_BYTES_MAX, LENGTH_BYTES};
use super::fields::{FieldWriter, WriteFields};
use super::json;

/// The version that this implementation claims: the ordinal of `V4_3_0` in RocketMQ's
/// `MQVersion`, the first with transactions.
const VERSION: i16 = 273;

/// A header that is a request's.
pub trait Request: WriteFields {
    /// The code of the request.
    const CODE: RequestCode;
    /// Nobody waits for an answer.
    const IS_ONEWAY: bool = false;
}

/// A request whose answer nobody waits for, though it could have one.
#[derive(Debug, Clone, Copy)]
pub struct OneWay<'a, R>(pub &'a R);

impl<R: WriteFields> WriteFields for OneWay<'_, R> {
    fn write_fields(&self, out: &mut FieldWriter<'_>) {
        self.0.write_fields(out);
    }
}

impl<R: Request> Request for OneWay<'_, R> {
    const CODE: RequestCode = R::CODE;
    const IS_ONEWAY: bool = true;
}

/// A header that is longer makes its frame's memory grow once more.
const HEADER_BYTES: usize = 384;

/// For a command that has no body.
pub const NO_BODY: [&[u8]; 0] = [];

/// Appends a request's frame to `out`. `body` is given in parts.
///
/// # Panics
/// Where the frame has more than [`FRAME_BYTES_MAX`] bytes: limits on messages
/// are checked before.
pub fn encode_request<R: Request>(
    out: &mut BytesMut,
    serialize_type: SerializeType,
    opaque: i32,
    request: &R,
    body: impl IntoIterator<IntoIter: Clone, Item = impl AsRef<[u8]>>,
) {
    let head = Head {
        code: R::CODE.0,
        opaque,
        flag: if R::IS_ONEWAY { FLAG_ONEWAY } else { 0 },
        remark: "",
    };
    encode(out, serialize_type, &head, request, body);
}

/// Appends the frame of an answer to `out`. `remark` is empty for none; `body`
/// is given in parts.
///
/// # Panics
/// Where the frame has more than [`FRAME_BYTES_MAX`] bytes: who reads records
/// for an answer stops well below.
pub fn encode_response(
    out: &mut BytesMut,
    reply_to: ReplyTo,
    code: ResponseCode,
    remark: &str,
    fields: &impl WriteFields,
    body: impl IntoIterator<IntoIter: Clone, Item = impl AsRef<[u8]>>,
) {
    let head = Head {
        code: code.0,
        opaque: reply_to.opaque,
        flag: FLAG_RESPONSE,
        remark,
    };
    encode(out, reply_to.serialize_type, &head, fields, body);
}

/// A header's fixed part.
struct Head<'a> {
    code: i32,
    opaque: i32,
    flag: i32,
    remark: &'a str,
}

fn encode(
    out: &mut BytesMut,
    serialize_type: SerializeType,
    head: &Head<'_>,
    fields: &impl WriteFields,
    body: impl IntoIterator<IntoIter: Clone, Item = impl AsRef<[u8]>>,
) {
    let body = body.into_iter();
    let body_bytes: usize = body.clone().map(|part| part.as_ref().len()).sum();
    out.reserve(HEADER_BYTES + head.remark.len() + body_bytes);
    let start = out.len();
    out.put_u64(0);
    let header_start = out.len();
    match serialize_type {
        SerializeType::Json => put_json(out, head, fields),
        SerializeType::Binary => put_binary(out, head, fields),
    }
    let header_bytes = out.len() - header_start;
    for part in body {
        out.put_slice(part.as_ref());
    }
    let frame_bytes = out.len() - start;
    assert!(
        frame_bytes <= FRAME_BYTES_MAX,
        "a frame of {frame_bytes} bytes; what goes into frames is limited before"
    );
    // Both fit: FRAME_BYTES_MAX is 2^24.
    let serialize_type = u32::from(serialize_type == SerializeType::Binary);
    patch_u32(out, start, (frame_bytes - LENGTH_BYTES) as u32);
    patch_u32(out, start + 4, serialize_type << 24 | header_bytes as u32);
}

fn put_binary(out: &mut BytesMut, head: &Head<'_>, fields: &impl WriteFields) {
    // RocketMQ's binary header has 16 bits for the code, and cuts it to them.
    out.put_i16(head.code as i16);
    out.put_u8(Language::JAVA.0);
    out.put_i16(VERSION);
    out.put_i32(head.opaque);
    out.put_i32(head.flag);
    out.put_u32(head.remark.len() as u32);
    out.put_slice(head.remark.as_bytes());
    let length_at = out.len();
    out.put_u32(0);
    fields.write_fields(&mut FieldWriter::new(out, SerializeType::Binary));
    let length = out.len() - length_at - 4;
    patch_u32(out, length_at, length as u32);
}

fn put_json(out: &mut BytesMut, head: &Head<'_>, fields: &impl WriteFields) {
    let mut number = itoa::Buffer::new();
    let mut put_number = |out: &mut BytesMut, before: &str, value: i32| {
        out.put_slice(before.as_bytes());
        out.put_slice(number.format(value).as_bytes());
    };
    put_number(out, "{\"code\":", head.code);
    out.put_slice(b",\"language\":");
    json::put_string(out, Language::JAVA.name());
    put_number(out, ",\"version\":", VERSION.into());
    put_number(out, ",\"opaque\":", head.opaque);
    put_number(out, ",\"flag\":", head.flag);
    if !head.remark.is_empty() {
        out.put_slice(b",\"remark\":");
        json::put_string(out, head.remark);
    }
    out.put_slice(b",\"extFields\":{");
    fields.write_fields(&mut FieldWriter::new(out, SerializeType::Json));
    // Some clients read no header that leaves this out.
    out.put_slice(b"},\"serializeTypeCurrentRPC\":\"JSON\"}");
}

fn patch_u32(out: &mut BytesMut, at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_be_bytes());
}
