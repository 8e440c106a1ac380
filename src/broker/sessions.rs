//! One decoder for each stream.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::env::ConnId;
use crate::remoting::{Command, DecodeError, FrameDecoder};

#[derive(Debug)]
struct Session {
    from: SocketAddr,
    decoder: FrameDecoder,
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
}
