//! Reads that are answered only by a leader that is known to lead (D18).

use std::collections::BTreeMap;

use super::view::ReplicaView;
use crate::env::{ConnId, Env};
use crate::raft::Input;
use crate::remoting::{Command, ResponseCode};

/// Bytes of requests that wait, at most.
pub(in crate::broker) const READ_BYTES_MAX: usize = 64 << 20;

/// The request of a client that reads.
#[derive(Debug)]
pub(in crate::broker) struct Wanted {
    pub(in crate::broker) conn: ConnId,
    pub(in crate::broker) command: Command,
}

/// Reads that wait for the core's word.
#[derive(Debug, Default)]
pub(in crate::broker) struct Reads {
    next_id: u64,
    waiting: BTreeMap<u64, Wanted>,
    /// Of what waits.
    bytes: usize,
    ready: Vec<u64>,
}

impl Reads {
    /// The core says that the read may be served once everything committed is
    /// applied.
    pub(super) fn ready(&mut self, id: u64) {
        self.ready.push(id);
    }

    /// Whether a request may wait, where so many are allowed to.
    fn has_room(&self, command: &Command, reads_max: usize) -> bool {
        let bytes = self.bytes.saturating_add(command.held_bytes());
        self.waiting.len() < reads_max && bytes <= READ_BYTES_MAX
    }

    fn add(&mut self, wanted: Wanted) -> u64 {
        self.next_id += 1;
        self.bytes += wanted.command.held_bytes();
        self.waiting.insert(self.next_id, wanted);
        self.next_id
    }

    fn take(&mut self, id: u64) -> Option<Wanted> {
        let wanted = self.waiting.remove(&id)?;
        self.bytes -= wanted.command.held_bytes();
        Some(wanted)
    }

    /// Takes what may be served now: what is committed is applied.
    pub(in crate::broker) fn take_ready(&mut self) -> Vec<Wanted> {
        let ready = std::mem::take(&mut self.ready);
        ready.into_iter().filter_map(|id| self.take(id)).collect()
    }

    /// Takes all, to refuse them.
    pub(in crate::broker) fn take_all(&mut self) -> Vec<Wanted> {
        self.ready.clear();
        self.bytes = 0;
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// The stream is gone.
    pub(in crate::broker) fn forget(&mut self, conn: ConnId) {
        let gone = self.waiting.extract_if(.., |_, wanted| wanted.conn == conn);
        let bytes: usize = gone.map(|(_, wanted)| wanted.command.held_bytes()).sum();
        self.bytes -= bytes;
    }
}

impl<E: Env> ReplicaView<'_, E> {
    /// Asks the core whether this replica still leads; the command is looked at
    /// again when it does.
    pub(in crate::broker) fn read_later(&mut self, conn: ConnId, command: Command) {
        let now_ns = self.broker.env.now_ns();
        if !self
            .reads
            .has_room(&command, self.broker.config.bounds.reads)
        {
            let code = ResponseCode::SYSTEM_BUSY;
            let remark = "too many requests wait for the other replicas";
            let reply_to = command.reply_to();
            return self.broker.outbox.refuse(conn, reply_to, code, remark);
        }
        let id = self.reads.add(Wanted { conn, command });
        self.replica.raft.step(now_ns, Input::Read { id });
    }

    pub(super) fn refuse_read(&mut self, id: u64) {
        if let Some(Wanted { conn, command }) = self.reads.take(id) {
            let (reply_to, code) = (command.reply_to(), ResponseCode::SYSTEM_BUSY);
            let remark = "the leader changed";
            self.broker.outbox.refuse(conn, reply_to, code, remark);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{READ_BYTES_MAX, Reads, Wanted};
    use crate::env::ConnId;
    use crate::remoting::{Command, Fields, Language, SerializeType};

    fn command(body_bytes: usize) -> Command {
        Command {
            serialize_type: SerializeType::Binary,
            code: 41,
            language: Language::OTHER,
            version: 0,
            opaque: 1,
            flag: 0,
            remark: Bytes::new(),
            fields: Fields::default(),
            body: vec![0; body_bytes].into(),
        }
    }

    fn wanted(conn: u64, body_bytes: usize) -> Wanted {
        Wanted {
            conn: ConnId(conn),
            command: command(body_bytes),
        }
    }

    #[test]
    fn so_many_requests_wait_and_no_more() {
        let mut reads = Reads::default();
        reads.add(wanted(1, 0));
        assert!(reads.has_room(&command(0), 2));
        let second = reads.add(wanted(2, 0));
        assert!(!reads.has_room(&command(0), 2));
        reads.ready(second);
        assert_eq!(reads.take_ready().len(), 1);
        assert!(reads.has_room(&command(0), 2));
    }

    #[test]
    fn so_many_bytes_of_requests_wait_and_no_more() {
        let mut reads = Reads::default();
        let head = command(0).held_bytes();
        let half = READ_BYTES_MAX / 2 - head;
        reads.add(wanted(1, half));
        assert!(reads.has_room(&command(half), 10));
        assert!(!reads.has_room(&command(half + 1), 10));
        reads.add(wanted(2, half));
        reads.forget(ConnId(1));
        assert_eq!(reads.bytes, head + half);
        reads.take_all();
        assert_eq!(reads.bytes, 0);
    }
}
