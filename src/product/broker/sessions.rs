//! One decoder for each stream, and how many streams there may be.
//!
//! Promise: streams are bounded, in all and for each host, and so are the bytes of
//! frames whose end has not come, over all streams together. A client that makes no
//! use of a stream loses it: first where another needs the room, and after a while in
//! any case. A use is a whole request; a part of one is none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::config::Bounds;
use crate::env::ConnId;
use crate::remoting::{Command, DecodeError, FrameDecoder};

/// Bytes of a frame's beginning that every stream may hold: only what goes beyond
/// them counts against the bound of all.
pub(super) const SMALL_BYTES: usize = 64 << 10;

#[derive(Debug)]
struct Session {
    from: SocketAddr,
    decoder: FrameDecoder,
    /// Groups that the client produces for.
    produces: Vec<String>,
    /// When it last said so, on the broker's clock.
    heard_ns: u64,
    /// When its last whole request came; before the first, when it was accepted.
    used_ns: u64,
    /// Nothing whole has come yet.
    is_stranger: bool,
    /// Bytes of a frame's beginning beyond [`SMALL_BYTES`], and since when.
    partial: (usize, u64),
    /// Groups and topics of which its heartbeat wants something that is no tag.
    filters: BTreeSet<(String, String)>,
}

/// The streams of all clients.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    streams: BTreeMap<ConnId, Session>,
    /// Streams of each host that has some.
    hosts: BTreeMap<IpAddr, usize>,
    /// The sum over all streams.
    partial_bytes: usize,
    /// No stream has been unused for too long before.
    due_ns: Option<u64>,
}

impl Sessions {
    /// Adds a stream. Gives the one that has to be closed for it, if any: the one
    /// that has been there longest without a whole request; where all have sent
    /// some, the new one itself.
    pub(crate) fn add(
        &mut self,
        conn: ConnId,
        from: SocketAddr,
        now_ns: u64,
        bounds: &Bounds,
    ) -> Option<ConnId> {
        let session = Session {
            from,
            decoder: FrameDecoder::new(),
            produces: Vec::new(),
            heard_ns: 0,
            used_ns: now_ns,
            is_stranger: true,
            partial: (0, 0),
            filters: BTreeSet::new(),
        };
        self.streams.insert(conn, session);
        let of_host = self.hosts.entry(from.ip()).or_default();
        *of_host += 1;
        let host_is_full = *of_host > bounds.connections_of_host;
        let idle_ns = bounds.idle_ms.saturating_mul(1_000_000);
        self.due_ns.get_or_insert(now_ns.saturating_add(idle_ns));
        if !host_is_full && self.streams.len() <= bounds.connections {
            return None;
        }
        let may_go = |(other, session): &(&ConnId, &Session)| {
            let in_the_way = !host_is_full || session.from.ip() == from.ip();
            session.is_stranger && in_the_way && **other != conn
        };
        let strangers = self.streams.iter().filter(may_go);
        let oldest = strangers.min_by_key(|(other, session)| (session.used_ns, **other));
        Some(oldest.map_or(conn, |(other, _)| *other))
    }

    pub(crate) fn remove(&mut self, conn: ConnId) {
        let Some(session) = self.streams.remove(&conn) else {
            return;
        };
        self.partial_bytes -= session.partial.0;
        let host = session.from.ip();
        if let Some(of_host) = self.hosts.get_mut(&host) {
            *of_host -= 1;
            if *of_host == 0 {
                self.hosts.remove(&host);
            }
        }
    }

    /// Whether the stream is there and was not given up.
    pub(crate) fn knows(&self, conn: ConnId) -> bool {
        self.streams.contains_key(&conn)
    }

    /// Adds bytes; those of a stream that was given up are dropped.
    pub(crate) fn feed(&mut self, conn: ConnId, bytes: Bytes) {
        if let Some(session) = self.streams.get_mut(&conn) {
            session.decoder.feed(bytes);
        }
    }

    /// The next whole command of a stream.
    pub(crate) fn next_command(
        &mut self,
        conn: ConnId,
        now_ns: u64,
    ) -> Result<Option<Command>, DecodeError> {
        let Some(session) = self.streams.get_mut(&conn) else {
            return Ok(None);
        };
        let command = session.decoder.next_command()?;
        if command.is_some() {
            session.used_ns = now_ns;
            session.is_stranger = false;
        }
        let held = session.decoder.held_bytes().saturating_sub(SMALL_BYTES);
        let (before, since_ns) = session.partial;
        let is_another = before == 0 || command.is_some();
        session.partial = (held, if is_another { now_ns } else { since_ns });
        self.partial_bytes = self.partial_bytes - before + held;
        Ok(command)
    }

    /// The stream that has to be closed, where the beginnings of frames are too many
    /// bytes together: the one whose frame has been coming for longest.
    pub(crate) fn too_slow(&self, bounds: &Bounds) -> Option<ConnId> {
        if self.partial_bytes <= bounds.partial_bytes {
            return None;
        }
        let partial = self.streams.iter().filter(|(_, it)| it.partial.0 > 0);
        let slowest = partial.min_by_key(|(conn, session)| (session.partial.1, **conn));
        slowest.map(|(conn, _)| *conn)
    }

    /// When to look for streams that nobody uses.
    pub(crate) fn deadline_ns(&self) -> Option<u64> {
        self.due_ns
    }

    /// The streams that were not used for too long.
    pub(crate) fn idle(&mut self, now_ns: u64, bounds: &Bounds) -> Vec<ConnId> {
        if self.due_ns.is_none_or(|due_ns| due_ns > now_ns) {
            return Vec::new();
        }
        let idle_ns = bounds.idle_ms.saturating_mul(1_000_000);
        let ends_ns = |session: &Session| session.used_ns.saturating_add(idle_ns);
        let (idle, used): (Vec<_>, Vec<_>) = self
            .streams
            .iter()
            .partition(|(_, session)| ends_ns(session) <= now_ns);
        self.due_ns = used.iter().map(|(_, session)| ends_ns(session)).min();
        idle.into_iter().map(|(conn, _)| *conn).collect()
    }

    /// The client's address: the born host of what it sends.
    pub(crate) fn from(&self, conn: ConnId) -> Option<SocketAddr> {
        self.streams.get(&conn).map(|session| session.from)
    }

    /// The client produces for these groups.
    pub(crate) fn produces(&mut self, conn: ConnId, groups: Vec<String>, now_ns: u64) {
        if let Some(session) = self.streams.get_mut(&conn) {
            session.produces = groups;
            session.heard_ns = now_ns;
        }
    }

    /// The client wants something else than tags of these groups and topics.
    pub(crate) fn filters(&mut self, conn: ConnId, filters: BTreeSet<(String, String)>) {
        if let Some(session) = self.streams.get_mut(&conn) {
            session.filters = filters;
        }
    }

    /// Whether the client's heartbeat wants something else than tags there.
    pub(crate) fn has_filter(&self, conn: ConnId, group: &str, topic: &str) -> bool {
        let filters = self.streams.get(&conn).map(|session| &session.filters);
        filters.is_some_and(|filters| {
            filters
                .iter()
                .any(|(of_group, of)| of_group == group && of == topic)
        })
    }

    /// The client no longer produces for the groups that are named.
    pub(crate) fn leaves(&mut self, conn: ConnId, named: impl Fn(&str) -> bool) {
        if let Some(session) = self.streams.get_mut(&conn) {
            session.produces.retain(|group| !named(group));
        }
    }

    /// A stream to a producer of `group` that was heard of since `since_ns`;
    /// which one of several, is `turn`'s to say.
    pub(crate) fn producer_of(&self, group: &str, since_ns: u64, turn: u64) -> Option<ConnId> {
        let produces = |session: &Session| {
            session.heard_ns >= since_ns && session.produces.iter().any(|it| it == group)
        };
        let live: Vec<ConnId> = self
            .streams
            .iter()
            .filter(|(_, session)| produces(session))
            .map(|(conn, _)| *conn)
            .collect();
        let count = live.len().max(1) as u64;
        live.get((turn % count) as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, SMALL_BYTES, Sessions};
    use crate::env::ConnId;
    use bytes::Bytes;

    const BOUNDS: Bounds = Bounds {
        connections: 4,
        connections_of_host: 3,
        idle_ms: 1,
        partial_bytes: 3 << 20,
        ..Bounds::DEFAULT
    };
    const MS: u64 = 1_000_000;

    fn add(sessions: &mut Sessions, conn: u64, host: u8, now_ns: u64) -> Option<u64> {
        let from = ([10, 0, 0, host], 5000).into();
        let closed = sessions.add(ConnId(conn), from, now_ns, &BOUNDS)?;
        sessions.remove(closed);
        Some(closed.0)
    }

    /// A frame that is announced to be so long, as far as it has come.
    fn feed(sessions: &mut Sessions, conn: u64, announced: u32, came: usize, now_ns: u64) -> bool {
        let mut bytes = announced.to_be_bytes().to_vec();
        bytes.resize(came, b'{');
        sessions.feed(ConnId(conn), Bytes::from(bytes));
        sessions
            .next_command(ConnId(conn), now_ns)
            .unwrap()
            .is_some()
    }

    /// A whole request comes.
    fn speaks(sessions: &mut Sessions, conn: u64, now_ns: u64) {
        let header = br#"{"code":34,"opaque":1,"flag":0}"#;
        let mut bytes = (header.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend((header.len() as u32).to_be_bytes());
        bytes.extend(header);
        sessions.feed(ConnId(conn), Bytes::from(bytes));
        assert!(
            sessions
                .next_command(ConnId(conn), now_ns)
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn one_stream_too_many_costs_the_oldest_that_never_spoke() {
        let mut sessions = Sessions::default();
        for conn in 1..=4 {
            assert_eq!(add(&mut sessions, conn, conn as u8, conn), None);
        }
        speaks(&mut sessions, 1, 5);
        assert_eq!(add(&mut sessions, 5, 5, 6), Some(2));
        (3..=5).for_each(|conn| speaks(&mut sessions, conn, 7));
        assert_eq!(
            add(&mut sessions, 6, 6, 8),
            Some(6),
            "all others are clients"
        );
        assert!(sessions.knows(ConnId(1)) && !sessions.knows(ConnId(6)));
        sessions.remove(ConnId(1));
        assert_eq!(add(&mut sessions, 7, 7, 9), None);
    }

    #[test]
    fn one_stream_too_many_of_a_host_costs_that_host() {
        let mut sessions = Sessions::default();
        assert_eq!(add(&mut sessions, 1, 1, 1), None);
        for conn in 2..=4 {
            assert_eq!(add(&mut sessions, conn, 2, conn), None);
        }
        sessions.remove(ConnId(2));
        assert_eq!(add(&mut sessions, 5, 2, 5), None);
        sessions.remove(ConnId(1));
        assert_eq!(add(&mut sessions, 6, 2, 6), Some(3), "its own oldest");
    }

    #[test]
    fn beginnings_of_frames_are_bounded_together() {
        let mut sessions = Sessions::default();
        for conn in 1..=3 {
            add(&mut sessions, conn, conn as u8, 0);
            assert!(!feed(&mut sessions, conn, 15 << 20, 900 << 10, conn));
        }
        assert_eq!(sessions.too_slow(&BOUNDS), None);
        // More of the same frame makes it no younger.
        sessions.feed(ConnId(1), Bytes::from(vec![b'{'; 1 << 20]));
        assert!(sessions.next_command(ConnId(1), 9).unwrap().is_none());
        assert_eq!(sessions.too_slow(&BOUNDS), Some(ConnId(1)));
        sessions.remove(ConnId(1));
        assert_eq!(sessions.too_slow(&BOUNDS), None);
        (2..=3).for_each(|conn| sessions.remove(ConnId(conn)));
        assert_eq!(sessions.partial_bytes, 0);
    }

    #[test]
    fn a_small_beginning_counts_for_nothing() {
        let mut sessions = Sessions::default();
        add(&mut sessions, 1, 1, 0);
        assert!(!feed(&mut sessions, 1, 1 << 20, SMALL_BYTES / 4, 0));
        assert_eq!(sessions.partial_bytes, 0);
    }

    #[test]
    fn a_client_that_sends_no_whole_frame_for_too_long_is_idle() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.deadline_ns(), None);
        add(&mut sessions, 1, 1, 0);
        add(&mut sessions, 2, 2, 0);
        assert_eq!(sessions.deadline_ns(), Some(MS));
        assert!(!feed(&mut sessions, 2, 1 << 20, 100, MS / 2));
        speaks(&mut sessions, 1, MS / 2);
        assert!(sessions.idle(MS - 1, &BOUNDS).is_empty());
        assert_eq!(sessions.idle(MS, &BOUNDS), [ConnId(2)]);
        sessions.remove(ConnId(2));
        assert_eq!(sessions.deadline_ns(), Some(MS * 3 / 2));
        assert_eq!(sessions.idle(MS * 3 / 2, &BOUNDS), [ConnId(1)]);
        sessions.remove(ConnId(1));
        assert_eq!(sessions.deadline_ns(), None);
    }
}
