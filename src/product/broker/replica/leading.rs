//! Leading, and no longer leading.

use crate::broker::groups::Locks;
use crate::broker::server::{Broker, Serving};
use crate::env::{ConnId, Env, Notice};
use crate::remoting::{Command, ResponseCode};

impl<E: Env> Broker<E> {
    /// Whether this broker serves clients. Where it does not, the command is
    /// refused, before anything is appended.
    pub(in crate::broker) fn serves(
        &mut self,
        serving: &Serving<E>,
        conn: ConnId,
        command: &Command,
    ) -> bool {
        let Some(replica) = &serving.replica else {
            return true;
        };
        if replica.leads() {
            return true;
        }
        let remark = match replica.leader() {
            Some(leader) if leader.client != self.config.listen => {
                format!("not the leader; it is at {}", leader.client)
            }
            _ => "there is no leader yet".to_owned(),
        };
        let code = ResponseCode::SYSTEM_BUSY;
        self.outbox.refuse(conn, command.reply_to(), code, &remark);
        false
    }

    /// Clients that wait for an entry are told that its outcome is unknown (D25): a new
    /// leader may have it, or not.
    pub(super) fn stepped_down(&mut self, serving: &mut Serving<E>, term: u64, unheard: bool) {
        self.env.report(Notice::LeaderSteppedDown { term, unheard });
        if let Some(replica) = &mut serving.replica {
            replica.serves = false;
        }
        self.dismiss(serving, "the leader changed");
    }

    /// After everything committed is applied: whether clients may be served.
    pub(in crate::broker) fn judge_serving(&mut self, serving: &mut Serving<E>) {
        let caught_up = serving.store.is_applied();
        let Some(replica) = &mut serving.replica else {
            return;
        };
        let served = replica.serves;
        replica.serves = replica.raft.is_serving() && (served || caught_up);
        if replica.serves && !served {
            serving.locks = Locks::begin(self.env.now_ns(), self.config.queue_lock_ns());
        }
        let votes = replica.raft.configuration().is_voter(replica.me);
        if votes != replica.votes {
            replica.votes = votes;
            self.env.report(match votes {
                true => Notice::Promoted,
                false => Notice::Demoted,
            });
        }
    }
}
