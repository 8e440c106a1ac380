//! Answers that brokers owe: each request that a process took, and that wants an
//! answer, gets one, or its stream ends. A client whose request is dropped waits for its
//! own time-out and asks again, so that no history shows it.

use std::collections::BTreeMap;

use crate::broker::suspended_ms;
use crate::env::{ConnId, NetEvent};
use crate::remoting::pull::PullRequest;
use crate::remoting::{Command, FrameDecoder, RequestCode};
use crate::sim::net::{NodeId, stream_of};

/// How long an answer takes at most, beyond the time for which a pull asked, nanoseconds:
/// RocketMQ's `syncFlushTimeout`, after which every send is answered, and a second.
const ANSWERED_WITHIN_NS: u64 = 6_000_000_000;

/// A request without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owing {
    /// Its code.
    pub(crate) code: i32,
    /// When the process took it, nanoseconds.
    pub(crate) taken_ns: u64,
    /// When it should have been answered, nanoseconds.
    pub(crate) due_ns: u64,
    /// Bytes that came with it.
    pub(crate) body_bytes: u64,
}

/// The requests of one stream, by their `opaque`.
#[derive(Debug, Default)]
struct OfStream {
    decoder: FrameDecoder,
    owing: BTreeMap<i32, Owing>,
}

impl OfStream {
    /// Requests in bytes that came. False where the bytes are no protocol's: the broker
    /// is about to close the stream.
    fn takes(&mut self, now_ns: u64, bytes: &bytes::Bytes) -> bool {
        self.decoder.feed(bytes.clone());
        loop {
            match self.decoder.next_command() {
                Ok(Some(command)) if command.is_oneway() || command.is_response() => {}
                Ok(Some(command)) => {
                    let due_ns = now_ns + ANSWERED_WITHIN_NS + suspended_ns(&command);
                    let owing = Owing {
                        code: command.code,
                        taken_ns: now_ns,
                        due_ns,
                        body_bytes: command.body.len() as u64,
                    };
                    self.owing.insert(command.opaque, owing);
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// For how long a pull asks to be kept, nanoseconds.
fn suspended_ns(command: &Command) -> u64 {
    if command.code != RequestCode::PULL_MESSAGE.0
        && command.code != RequestCode::LITE_PULL_MESSAGE.0
    {
        return 0;
    }
    let pull = command.header::<PullRequest<'_>>();
    pull.map_or(0, |pull| {
        suspended_ms(pull.suspend_timeout_millis) * 1_000_000
    })
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Owed {
    streams: BTreeMap<(NodeId, u64), OfStream>,
}

impl Owed {
    /// A process takes an event.
    pub(super) fn takes(&mut self, now_ns: u64, node: NodeId, event: &NetEvent) {
        match event {
            NetEvent::Accepted { conn, .. } => {
                self.streams
                    .insert((node, stream_of(*conn)), OfStream::default());
            }
            NetEvent::Data { conn, bytes } => {
                let key = (node, stream_of(*conn));
                let stream = self.streams.get_mut(&key);
                if stream.is_some_and(|stream| !stream.takes(now_ns, bytes)) {
                    self.streams.remove(&key);
                }
            }
            NetEvent::Closed { conn, .. } => self.ended(node, *conn),
            NetEvent::Connected { .. } | NetEvent::Peer { .. } => {}
        }
    }

    /// A process answers.
    pub(super) fn answered(&mut self, node: NodeId, stream: u64, opaque: i32) {
        if let Some(stream) = self.streams.get_mut(&(node, stream)) {
            stream.owing.remove(&opaque);
        }
    }

    /// Bytes that came with the requests that a process has not answered: so much of its
    /// room is spoken for, whether or not it is written yet.
    pub(super) fn body_bytes(&self, node: NodeId) -> u64 {
        let of_node = self.streams.range((node, 0)..=(node, u64::MAX));
        let owing = of_node.flat_map(|(_, stream)| stream.owing.values());
        owing.map(|owing| owing.body_bytes).sum()
    }

    /// A stream is its process's no more.
    pub(super) fn ended(&mut self, node: NodeId, conn: ConnId) {
        self.streams.remove(&(node, stream_of(conn)));
    }

    /// A process is no more.
    pub(super) fn died(&mut self, node: NodeId) {
        self.streams.retain(|(of, _), _| *of != node);
    }

    /// Of these nodes, the request that should have been answered first, and was not by
    /// then.
    pub(super) fn overdue(
        &self,
        now_ns: u64,
        nodes: impl Fn(NodeId) -> bool,
    ) -> Option<(NodeId, Owing)> {
        let streams = self.streams.iter().filter(|((node, _), _)| nodes(*node));
        let all = streams.flat_map(|((node, _), stream)| {
            let owing = stream.owing.values();
            owing.map(|owing| (*node, *owing))
        });
        all.filter(|(_, owing)| owing.due_ns < now_ns)
            .min_by_key(|(_, owing)| owing.due_ns)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::{ANSWERED_WITHIN_NS, Owed, Owing};
    use crate::env::{ConnId, NetEvent};
    use crate::remoting::offset::MaxOffset;
    use crate::remoting::{RequestCode, SerializeType, encode_request};

    const CONN: ConnId = ConnId(7);
    const STREAM: u64 = 3;

    fn request(opaque: i32) -> Bytes {
        let mut out = BytesMut::new();
        let asks = MaxOffset {
            topic: "orders",
            queue_id: 0,
        };
        encode_request(&mut out, SerializeType::Json, opaque, &asks, [b""]);
        out.freeze()
    }

    fn taken(pieces: &[Bytes]) -> Owed {
        let mut owed = Owed::default();
        let from = ([10, 0, 0, 9], 1).into();
        owed.takes(0, 1, &NetEvent::Accepted { conn: CONN, from });
        for bytes in pieces.iter().cloned() {
            owed.takes(5, 1, &NetEvent::Data { conn: CONN, bytes });
        }
        owed
    }

    fn overdue(owed: &Owed, now_ns: u64) -> Option<(u32, Owing)> {
        owed.overdue(now_ns, |_| true)
    }

    #[test]
    fn a_request_is_owed_for_until_it_is_answered() {
        let mut owed = taken(&[request(4).slice(..9), request(4).slice(9..)]);
        let owing = Owing {
            code: RequestCode::GET_MAX_OFFSET.0,
            taken_ns: 5,
            due_ns: 5 + ANSWERED_WITHIN_NS,
            body_bytes: 0,
        };
        assert_eq!(overdue(&owed, owing.due_ns), None);
        assert_eq!(overdue(&owed, owing.due_ns + 1), Some((1, owing)));
        assert_eq!(owed.overdue(u64::MAX, |node| node != 1), None);
        owed.answered(1, STREAM, 5);
        assert_eq!(overdue(&owed, u64::MAX), Some((1, owing)));
        owed.answered(1, STREAM, 4);
        assert_eq!(overdue(&owed, u64::MAX), None);
    }

    #[test]
    fn nothing_is_owed_once_the_stream_or_the_process_ends() {
        let mut owed = taken(&[request(4)]);
        owed.died(0);
        assert!(overdue(&owed, u64::MAX).is_some());
        owed.ended(1, CONN);
        assert_eq!(overdue(&owed, u64::MAX), None);
        let mut owed = taken(&[request(4)]);
        owed.died(1);
        assert_eq!(overdue(&owed, u64::MAX), None);
        let owed = taken(&[request(4), Bytes::from_static(&[0; 12])]);
        assert_eq!(
            overdue(&owed, u64::MAX),
            None,
            "no frame: the broker closes it"
        );
    }
}
