//! One decoder for each stream.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bytes::Bytes;

use crate::env::ConnId;
use crate::remoting::{Command, DecodeError, FrameDecoder};

#[derive(Debug)]
struct Session {
    from: SocketAddr,
    decoder: FrameDecoder,
    /// Groups that the client produces for.
    produces: Vec<String>,
    /// When it last said so, on the broker's clock.
    heard_ns: u64,
    /// Groups and topics of which its heartbeat wants something that is no tag.
    filters: BTreeSet<(String, String)>,
}

/// The streams of all clients.
#[derive(Debug, Default)]
pub(crate) struct Sessions(BTreeMap<ConnId, Session>);

impl Sessions {
    pub(crate) fn add(&mut self, conn: ConnId, from: SocketAddr) {
        self.0.insert(
            conn,
            Session {
                from,
                decoder: FrameDecoder::new(),
                produces: Vec::new(),
                heard_ns: 0,
                filters: BTreeSet::new(),
            },
        );
    }

    pub(crate) fn remove(&mut self, conn: ConnId) {
        self.0.remove(&conn);
    }

    /// Whether the stream is there and was not given up.
    pub(crate) fn knows(&self, conn: ConnId) -> bool {
        self.0.contains_key(&conn)
    }

    /// Adds bytes; those of a stream that was given up are dropped.
    pub(crate) fn feed(&mut self, conn: ConnId, bytes: Bytes) {
        if let Some(session) = self.0.get_mut(&conn) {
            session.decoder.feed(bytes);
        }
    }

    /// The next whole command of a stream.
    pub(crate) fn next_command(&mut self, conn: ConnId) -> Result<Option<Command>, DecodeError> {
        match self.0.get_mut(&conn) {
            Some(session) => session.decoder.next_command(),
            None => Ok(None),
        }
    }

    /// The client's address: the born host of what it sends.
    pub(crate) fn from(&self, conn: ConnId) -> Option<SocketAddr> {
        self.0.get(&conn).map(|session| session.from)
    }

    /// The client produces for these groups.
    pub(crate) fn produces(&mut self, conn: ConnId, groups: Vec<String>, now_ns: u64) {
        if let Some(session) = self.0.get_mut(&conn) {
            session.produces = groups;
            session.heard_ns = now_ns;
        }
    }

    /// The client wants something else than tags of these groups and topics.
    pub(crate) fn filters(&mut self, conn: ConnId, filters: BTreeSet<(String, String)>) {
        if let Some(session) = self.0.get_mut(&conn) {
            session.filters = filters;
        }
    }

    /// Whether the client's heartbeat wants something else than tags there.
    pub(crate) fn has_filter(&self, conn: ConnId, group: &str, topic: &str) -> bool {
        let filters = self.0.get(&conn).map(|session| &session.filters);
        filters.is_some_and(|filters| {
            filters
                .iter()
                .any(|(of_group, of)| of_group == group && of == topic)
        })
    }

    /// The client no longer produces for the groups that are named.
    pub(crate) fn leaves(&mut self, conn: ConnId, named: impl Fn(&str) -> bool) {
        if let Some(session) = self.0.get_mut(&conn) {
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
            .0
            .iter()
            .filter(|(_, session)| produces(session))
            .map(|(conn, _)| *conn)
            .collect();
        let count = live.len().max(1) as u64;
        live.get((turn % count) as usize).copied()
    }
}
