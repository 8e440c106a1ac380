//! Reads that are answered only by a leader that is known to lead (D18).

use std::collections::BTreeMap;

use crate::broker::server::{Broker, Serving};
use crate::env::{ConnId, Env};
use crate::raft::Input;
use crate::remoting::{Command, ResponseCode};

/// What a client wants to read.
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
    ready: Vec<u64>,
}

impl Reads {
    /// The core says that the read may be served once everything committed is
    /// applied.
    pub(super) fn ready(&mut self, id: u64) {
        self.ready.push(id);
    }

    fn add(&mut self, wanted: Wanted) -> u64 {
        self.next_id += 1;
        self.waiting.insert(self.next_id, wanted);
        self.next_id
    }

    /// Takes what may be served now: what is committed is applied.
    pub(in crate::broker) fn take_ready(&mut self) -> Vec<Wanted> {
        let ready = std::mem::take(&mut self.ready);
        ready
            .into_iter()
            .filter_map(|id| self.waiting.remove(&id))
            .collect()
    }

    /// Takes all, to refuse them.
    pub(in crate::broker) fn take_all(&mut self) -> Vec<Wanted> {
        self.ready.clear();
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// The stream is gone.
    pub(in crate::broker) fn forget(&mut self, conn: ConnId) {
        self.waiting.retain(|_, wanted| wanted.conn != conn);
    }
}

impl<E: Env> Broker<E> {
    /// Asks the core whether this replica still leads; the command is looked at
    /// again when it does.
    pub(in crate::broker) fn read_later(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: Command,
    ) {
        let now_ns = self.env.now_ns();
        let id = serving.reads.add(Wanted { conn, command });
        let replica = serving
            .replica
            .as_mut()
            .expect("a single broker reads at once");
        replica.raft.step(now_ns, Input::Read { id });
    }

    pub(super) fn refuse_read(&mut self, serving: &mut Serving<E>, id: u64) {
        if let Some(Wanted { conn, command }) = serving.reads.waiting.remove(&id) {
            let code = ResponseCode::SYSTEM_BUSY;
            self.outbox
                .refuse(conn, command.reply_to(), code, "the leader changed");
        }
    }
}
