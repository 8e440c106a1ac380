//! The resources of a broker that clients hold: streams, and frames that have begun.
//! The oracle for the bounds that it keeps (`broker::BOUNDS`), by what its endpoint
//! handed over, and not by what the broker says.

use std::collections::BTreeMap;

use super::EndpointId;
use crate::env::{ConnId, NetEvent};

/// The bounds of a broker's resources.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldMax {
    pub(crate) streams: usize,
    /// Of frames that have begun, beyond 64 KiB of each.
    pub(crate) partial_bytes: usize,
}

/// Bytes of a frame that do not count.
const SMALL_BYTES: usize = 64 << 10;
/// No frame is longer.
const FRAME_BYTES_MAX: usize = 16 << 20;
const LENGTH_BYTES: usize = 4;

/// A frame that has begun; nothing once its stream has no frames any more.
#[derive(Debug, Default)]
struct Frame {
    length: [u8; LENGTH_BYTES],
    came: usize,
}

impl Frame {
    /// Counts bytes of the stream. False where they are no frame's: the broker is
    /// about to close the stream.
    fn count(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.came < LENGTH_BYTES {
                self.length[self.came] = bytes[0];
                self.came += 1;
                bytes = &bytes[1..];
                continue;
            }
            let whole = u32::from_be_bytes(self.length) as usize + LENGTH_BYTES;
            if !(2 * LENGTH_BYTES..=FRAME_BYTES_MAX).contains(&whole) {
                return false;
            }
            let taken = bytes.len().min(whole - self.came);
            self.came += taken;
            bytes = &bytes[taken..];
            if self.came == whole {
                *self = Self::default();
            }
        }
        true
    }

    fn counted_bytes(&self) -> usize {
        self.came.saturating_sub(SMALL_BYTES)
    }
}

/// The bytes that one endpoint was handed.
#[derive(Debug, Default)]
struct OfEndpoint {
    streams: BTreeMap<ConnId, Option<Frame>>,
    partial_bytes: usize,
}

impl OfEndpoint {
    fn count(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(slot) = self.streams.get_mut(&conn) else {
            return;
        };
        let Some(frame) = slot else { return };
        self.partial_bytes -= frame.counted_bytes();
        match frame.count(bytes) {
            true => self.partial_bytes += frame.counted_bytes(),
            false => *slot = None,
        }
    }

    fn closed(&mut self, conn: ConnId) {
        let frame = self.streams.remove(&conn).flatten();
        self.partial_bytes -= frame.map_or(0, |frame| frame.counted_bytes());
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Held {
    max: Option<HeldMax>,
    endpoints: BTreeMap<EndpointId, OfEndpoint>,
    /// The first time that a broker held too much: its endpoint, and of what.
    pub(super) exceeded: Option<(EndpointId, String)>,
}

impl Held {
    pub(super) fn bound(&mut self, max: HeldMax) {
        self.max = Some(max);
    }

    /// The endpoint's owner asks for its next event: it has done what the ones
    /// before led to.
    pub(super) fn settled(&mut self, endpoint: EndpointId) {
        let (Some(max), Some(held)) = (self.max, self.endpoints.get(&endpoint)) else {
            return;
        };
        let (streams, partial_bytes) = (held.streams.len(), held.partial_bytes);
        let what = if streams > max.streams {
            format!("{streams} streams; it bears {}", max.streams)
        } else if partial_bytes > max.partial_bytes {
            let most = max.partial_bytes;
            format!("{partial_bytes} bytes of frames that have begun; it bears {most}")
        } else {
            return;
        };
        self.exceeded.get_or_insert((endpoint, what));
    }

    /// An event is handed over.
    pub(super) fn handed(&mut self, endpoint: EndpointId, event: &NetEvent) {
        if self.max.is_none() {
            return;
        }
        match event {
            NetEvent::Accepted { conn, .. } => {
                let held = self.endpoints.entry(endpoint).or_default();
                held.streams.insert(*conn, Some(Frame::default()));
            }
            NetEvent::Data { conn, bytes } => {
                if let Some(held) = self.endpoints.get_mut(&endpoint) {
                    held.count(*conn, bytes);
                }
            }
            NetEvent::Closed { conn, .. } => self.closed(endpoint, *conn),
            NetEvent::Connected { .. } | NetEvent::Peer { .. } => {}
        }
    }

    /// The stream is its owner's no more.
    pub(super) fn closed(&mut self, endpoint: EndpointId, conn: ConnId) {
        if let Some(held) = self.endpoints.get_mut(&endpoint) {
            held.closed(conn);
        }
    }

    pub(super) fn forget(&mut self, endpoint: EndpointId) {
        self.endpoints.remove(&endpoint);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn bounded() -> Held {
        let mut held = Held::default();
        held.bound(HeldMax {
            streams: 2,
            partial_bytes: 1_000,
        });
        held
    }

    fn accepted(conn: u64) -> NetEvent {
        let conn = ConnId(conn);
        let from = ([10, 0, 0, 1], 1).into();
        NetEvent::Accepted { conn, from }
    }

    fn data(conn: u64, bytes: Vec<u8>) -> NetEvent {
        NetEvent::Data {
            conn: ConnId(conn),
            bytes: Bytes::from(bytes),
        }
    }

    fn frame(length: u32, came: usize) -> Vec<u8> {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.resize(came, 0);
        bytes
    }

    #[test]
    fn a_stream_too_many_is_noticed_once_it_should_have_been_closed() {
        let mut held = bounded();
        (1..=3).for_each(|conn| held.handed(7, &accepted(conn)));
        held.closed(7, ConnId(1));
        held.settled(7);
        assert_eq!(held.exceeded, None);
        held.handed(7, &accepted(4));
        held.settled(7);
        assert_eq!(held.exceeded, Some((7, "3 streams; it bears 2".to_owned())));
    }

    #[test]
    fn frames_that_have_begun_are_counted_and_whole_ones_are_not() {
        let mut held = bounded();
        held.handed(7, &accepted(1));
        held.handed(7, &data(1, frame(100_000, 100_004)));
        held.handed(7, &data(1, frame(100_000, SMALL_BYTES + 900)));
        held.settled(7);
        assert_eq!(held.exceeded, None);
        held.handed(7, &data(1, vec![0; 200]));
        held.settled(7);
        let what = "1100 bytes of frames that have begun; it bears 1000";
        assert_eq!(held.exceeded, Some((7, what.to_owned())));
    }

    #[test]
    fn bytes_that_are_no_frame_count_for_nothing() {
        let mut held = bounded();
        held.handed(7, &accepted(1));
        held.handed(7, &data(1, vec![0xff; 200_000]));
        held.settled(7);
        assert_eq!(held.exceeded, None);
    }
}
