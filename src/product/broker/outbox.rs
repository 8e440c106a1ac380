//! Answers of one step of the loop, one write for each stream.
//!
//! Promise: no request, whatever it says, gets an answer that does not fit a
//! frame; one that wants none gets none; and what waits here is bounded, if its
//! owner asks [`Outbox::holds`] between two requests.

use bytes::BytesMut;

use crate::env::{ConnId, Net};
use crate::remoting::{
    NO_BODY, ReplyTo, Request, ResponseCode, SerializeType, WriteFields, encode_request,
    encode_response,
};

/// Memory for the answers of one stream, to begin with, bytes.
const STREAM_BYTES: usize = 2 << 10;
/// Words of a refusal, bytes. They may quote the request, which may be as long
/// as a frame: quoted in full it would not fit one.
const REMARK_BYTES_MAX: usize = 512;

/// Answers that were given and have not left.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    streams: Vec<(ConnId, BytesMut)>,
    waiting_bytes: usize,
    /// Of the last question that this broker asked.
    opaque: i32,
}

impl Outbox {
    /// Answers with fields and no body.
    pub(crate) fn answer(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        code: ResponseCode,
        fields: &impl WriteFields,
    ) {
        self.put(conn, reply_to, |out| {
            encode_response(out, reply_to, code, "", fields, NO_BODY);
        });
    }

    /// Answers with fields and a body, given in parts.
    pub(crate) fn answer_with_body(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        fields: &impl WriteFields,
        body: impl IntoIterator<IntoIter: Clone, Item = impl AsRef<[u8]>>,
    ) {
        self.put(conn, reply_to, |out| {
            encode_response(out, reply_to, ResponseCode::SUCCESS, "", fields, body);
        });
    }

    /// Answers with an error and words for people, cut where they are too many.
    pub(crate) fn refuse(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        code: ResponseCode,
        remark: &str,
    ) {
        let remark = cut(remark);
        self.put(conn, reply_to, |out| {
            encode_response(out, reply_to, code, remark, &(), NO_BODY);
        });
    }

    /// Asks the client at the other end something.
    pub(crate) fn ask(&mut self, conn: ConnId, question: &impl Request, body: &[u8]) {
        self.opaque = self.opaque.wrapping_add(1);
        let opaque = self.opaque;
        let serialize_type = SerializeType::Json;
        self.append(conn, |out| {
            encode_request(out, serialize_type, opaque, question, [body]);
        });
    }

    /// Whether answers of so many bytes wait: then it is time to [`Outbox::flush`] before
    /// more is answered.
    pub(crate) fn holds(&self, bytes: usize) -> bool {
        self.waiting_bytes >= bytes
    }

    /// Hands everything to the network.
    pub(crate) fn flush(&mut self, net: &mut impl Net) {
        self.waiting_bytes = 0;
        for (conn, bytes) in self.streams.drain(..) {
            net.write(conn, bytes.freeze());
        }
    }

    fn put(&mut self, conn: ConnId, reply_to: ReplyTo, encode: impl FnOnce(&mut BytesMut)) {
        if !reply_to.is_oneway {
            self.append(conn, encode);
        }
    }

    fn append(&mut self, conn: ConnId, encode: impl FnOnce(&mut BytesMut)) {
        let known = self.streams.iter().position(|(other, _)| *other == conn);
        let index = known.unwrap_or_else(|| {
            self.streams
                .push((conn, BytesMut::with_capacity(STREAM_BYTES)));
            self.streams.len() - 1
        });
        let out = &mut self.streams[index].1;
        let before = out.len();
        encode(out);
        self.waiting_bytes += out.len() - before;
    }
}

/// As much of the words as may go into an answer.
fn cut(remark: &str) -> &str {
    let mut ends = (0..=REMARK_BYTES_MAX).rev();
    let end = ends.find(|end| remark.is_char_boundary(*end));
    &remark[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::{REMARK_BYTES_MAX, cut};

    #[test]
    fn words_are_cut_between_characters() {
        assert_eq!(cut(""), "");
        assert_eq!(cut("short"), "short");
        let exact = "x".repeat(REMARK_BYTES_MAX);
        assert_eq!(cut(&exact), exact);
        let wide = format!("x{}", "\u{20ac}".repeat(REMARK_BYTES_MAX));
        assert_eq!(cut(&wide).len(), REMARK_BYTES_MAX - 1);
    }
}
