//! An operator's requests about the cluster itself.

use super::Replica;
use super::view::ReplicaView;
use crate::broker::interruption::Interruption;
use crate::broker::server::{Broker, Serving};
use crate::broker::waiters::{Answered, SendAnswer};
use crate::env::{ConnId, Env};
use crate::log::Staged;
use crate::raft::{ANY_DISK, Change, Input};
use crate::remoting::admin::{ChangeMembers, TransferLeadership};
use crate::remoting::{Command, ResponseCode};

impl<E: Env> Broker<E> {
    /// Answered once the configuration is committed, as a message would be.
    pub(in crate::broker) async fn change_members(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
    ) -> Result<(), Interruption> {
        let request = command.header::<ChangeMembers<'_>>();
        let change = request
            .map_err(|error| error.to_string())
            .and_then(|request| change_of(&request));
        let change = match change {
            Ok(change) => change,
            Err(remark) => {
                let code = ResponseCode::SYSTEM_ERROR;
                self.outbox.refuse(conn, command.reply_to(), code, &remark);
                return Ok(());
            }
        };
        let Some(replica) = &mut serving.replica else {
            self.not_replicated(conn, command);
            return Ok(());
        };
        if let Err(remark) = can_be(change, replica) {
            let code = ResponseCode::SYSTEM_ERROR;
            self.outbox.refuse(conn, command.reply_to(), code, &remark);
            return Ok(());
        }
        if let Some((before, reply_to)) = replica.asked.take() {
            let remark = "another change was asked for";
            let code = ResponseCode::SYSTEM_BUSY;
            self.outbox.refuse(before, reply_to, code, remark);
        }
        replica.asked = Some((conn, command.reply_to()));
        self.happened(serving, Input::Change(change)).await
    }

    /// The entry that the operator asked for is on its way.
    pub(super) fn change_taken_up(&mut self, serving: &mut Serving<E>, staged: Staged) {
        let asked = serving.replica.as_mut().and_then(|it| it.asked.take());
        if let Some((conn, reply_to)) = asked {
            let what = Answered::Done;
            self.wait_for(serving, conn, staged, SendAnswer { reply_to, what });
        }
    }

    pub(in crate::broker) async fn transfer_leadership(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
    ) -> Result<(), Interruption> {
        if serving.replica.is_none() {
            self.not_replicated(conn, command);
            return Ok(());
        }
        match command.header::<TransferLeadership>() {
            Ok(TransferLeadership { node }) => {
                let node = node as u64;
                let code = ResponseCode::SUCCESS;
                self.outbox.answer(conn, command.reply_to(), code, &());
                self.happened(serving, Input::Transfer { node }).await
            }
            Err(error) => {
                let code = ResponseCode::SYSTEM_ERROR;
                self.outbox
                    .refuse(conn, command.reply_to(), code, &error.to_string());
                Ok(())
            }
        }
    }

    fn not_replicated(&mut self, conn: ConnId, command: &Command) {
        let code = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
        let remark = "this broker stands alone";
        self.outbox.refuse(conn, command.reply_to(), code, remark);
    }
}

impl<E: Env> ReplicaView<'_, E> {
    /// The change that the operator asks for was made before, and the answer was lost.
    pub(super) fn already_changed(&mut self) {
        if let Some((conn, reply_to)) = self.replica.asked.take() {
            let code = ResponseCode::SUCCESS;
            self.broker.outbox.answer(conn, reply_to, code, &());
        }
    }

    pub(super) fn change_refused(&mut self, change: Change) {
        if let Some((conn, reply_to)) = self.replica.asked.take() {
            let remark = format!("{change:?} cannot be made, or not now");
            let code = ResponseCode::SYSTEM_BUSY;
            self.broker.outbox.refuse(conn, reply_to, code, &remark);
        }
    }
}

/// Whether a change can ever be made here: a member is fed and counted, so it
/// has to be a node that can be reached, with a disk of its own.
fn can_be(change: Change, replica: &Replica) -> Result<(), String> {
    let (node, disk) = match change {
        Change::AddLearner { node, disk } | Change::Replace { node, disk } => (node, Some(disk)),
        _ => return Ok(()),
    };
    if !replica.peers.contains_key(&node) {
        return Err(format!("node {node} is not among this broker's peers"));
    }
    match disk {
        Some(ANY_DISK) => Err(format!("disk {ANY_DISK} is no disk's name")),
        _ => Ok(()),
    }
}

fn change_of(request: &ChangeMembers<'_>) -> Result<Change, String> {
    let (node, disk) = (request.node as u64, request.disk as u64);
    Ok(match request.change {
        "add-learner" => Change::AddLearner { node, disk },
        "remove-learner" => Change::RemoveLearner { node },
        "promote" => Change::Promote { node },
        "remove" => Change::Remove { node },
        "replace" => Change::Replace { node, disk },
        other => {
            return Err(format!(
                "no change {other:?}: add-learner, remove-learner, promote, remove, replace"
            ));
        }
    })
}
