//! Answers of one step of the loop, one write for each stream.

use bytes::BytesMut;

use crate::env::{ConnId, Net};
use crate::remoting::{NO_BODY, ReplyTo, ResponseCode, WriteFields, encode_response};

/// Answers that were given and have not left.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Vec<(ConnId, BytesMut)>);

impl Outbox {
    /// Answers with fields and no body.
    pub(crate) fn answer(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        code: ResponseCode,
        fields: &impl WriteFields,
    ) {
        encode_response(self.buffer(conn), reply_to, code, "", fields, NO_BODY);
    }

    /// Answers with fields and a body, given in parts.
    pub(crate) fn answer_with_body(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        fields: &impl WriteFields,
        body: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) {
        encode_response(
            self.buffer(conn),
            reply_to,
            ResponseCode::SUCCESS,
            "",
            fields,
            body,
        );
    }

    /// Answers with an error and words for people.
    pub(crate) fn refuse(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        code: ResponseCode,
        remark: &str,
    ) {
        encode_response(self.buffer(conn), reply_to, code, remark, &(), NO_BODY);
    }

    /// Hands everything to the network.
    pub(crate) fn flush(&mut self, net: &mut impl Net) {
        for (conn, bytes) in self.0.drain(..) {
            net.write(conn, bytes.freeze());
        }
    }

    fn buffer(&mut self, conn: ConnId) -> &mut BytesMut {
        let known = self.0.iter().position(|(other, _)| *other == conn);
        let index = known.unwrap_or_else(|| {
            self.0.push((conn, BytesMut::new()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }
}
