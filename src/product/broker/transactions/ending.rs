//! Request 37: a producer says how its transaction ended.

use super::super::error::{AppendError, StoreError};
use super::super::server::{Broker, Serving};
use super::super::store::Store;
use super::super::waiters::{Answered, SendAnswer};
use super::Decision;
use super::book::Found;
use super::halves::{Destination, deciding};
use crate::env::{ConnId, Disk, Env};
use crate::log::Staged;
use crate::record::Message;
use crate::remoting::transaction::{EndTransaction, sys_flag};
use crate::remoting::{Command, MessageId, ReplyTo, ResponseCode};

/// The state, as the log says, of the transaction that is to be ended.
enum Standing {
    /// It is open; this half message.
    Open {
        half_address: u64,
    },
    /// It was decided, and everyone may know.
    Decided(Decision),
    /// It was decided by an entry that may yet vanish.
    Deciding(Decision),
    Refused(ResponseCode, &'static str),
}

impl<E: Env> Broker<E> {
    /// Decides a transaction, or answers how it was decided: never before the
    /// deciding entry is as durable as a message (D21). That there is no such half
    /// message says only who is known to lead.
    pub(in crate::broker) async fn end_transaction(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
        known: bool,
    ) -> Result<(), StoreError> {
        let reply_to = command.reply_to();
        let Some(request) = self.parse::<EndTransaction<'_>>(conn, command) else {
            return Ok(());
        };
        let asked = match request.commit_or_rollback {
            sys_flag::COMMIT => Decision::Committed,
            sys_flag::ROLLBACK => Decision::RolledBack,
            0 => {
                self.outbox
                    .answer(conn, reply_to, ResponseCode::SUCCESS, &());
                return Ok(());
            }
            other => {
                let remark = format!("commitOrRollback {other}: 0, 8 or 12");
                let code = ResponseCode::SYSTEM_ERROR;
                self.outbox.refuse(conn, reply_to, code, &remark);
                return Ok(());
            }
        };
        if self.config.op_batch_interval_ms.is_some() {
            let ended = self.end_buffered(serving, conn, reply_to, &request, asked);
            return ended.await;
        }
        match serving.store.standing(&request) {
            Standing::Refused(code, remark) => {
                match self.as_replica(serving) {
                    // A leader that was replaced without knowing it may not have it.
                    Some(mut view) if !known => view.read_later(conn, command.clone()),
                    _ => self.outbox.refuse(conn, reply_to, code, remark),
                }
                Ok(())
            }
            Standing::Decided(outcome) => {
                self.ended(conn, reply_to, asked, outcome);
                Ok(())
            }
            Standing::Deciding(_) if !self.may_wait(serving) => {
                let code = ResponseCode::SYSTEM_BUSY;
                let remark = "too many requests wait for the disk";
                self.outbox.refuse(conn, reply_to, code, remark);
                Ok(())
            }
            Standing::Deciding(outcome) => {
                let what = Answered::Ended { asked, outcome };
                self.wait_for_all(serving, conn, SendAnswer { reply_to, what });
                Ok(())
            }
            Standing::Open { half_address } => {
                let half = serving.store.open_half(half_address);
                let bytes = match asked {
                    Decision::Committed => half.map_or(0, |half| half.record_bytes as usize),
                    Decision::RolledBack | Decision::Discarded => 0,
                };
                if let Err((code, remark)) = self.admit_what_goes_on(serving, bytes) {
                    self.outbox.refuse(conn, reply_to, code, &remark);
                    return Ok(());
                }
                let now_ms = self.env.wall_ms();
                match serving.store.decide(half_address, asked, now_ms).await {
                    Ok(staged) => {
                        let outcome = asked;
                        let what = Answered::Ended { asked, outcome };
                        self.wait_for(serving, conn, staged, SendAnswer { reply_to, what });
                        Ok(())
                    }
                    Err(DecideError::Append(error)) => self.refuse_append(conn, reply_to, error),
                    Err(DecideError::Store(error)) => Err(error),
                }
            }
        }
    }

    /// Answers the end of a transaction that is decided.
    pub(in crate::broker) fn ended(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        asked: Decision,
        outcome: Decision,
    ) {
        let (code, remark) = match outcome {
            _ if asked == outcome => {
                self.outbox
                    .answer(conn, reply_to, ResponseCode::SUCCESS, &());
                return;
            }
            Decision::Committed => (
                ResponseCode::TRANSACTION_SHOULD_COMMIT,
                "the transaction was committed before",
            ),
            Decision::RolledBack => (
                ResponseCode::TRANSACTION_SHOULD_ROLLBACK,
                "the transaction was rolled back before",
            ),
            Decision::Discarded => (
                ResponseCode::TRANSACTION_SHOULD_ROLLBACK,
                "the transaction was discarded: nobody decided it in time",
            ),
        };
        self.outbox.refuse(conn, reply_to, code, remark);
    }
}

/// The ids by which a client names the half message beside its place. Clients
/// send what the send was answered with, their own id, or nothing. An id that
/// says the place once more says nothing else.
fn ids_of<'a>(request: &EndTransaction<'a>) -> Vec<&'a str> {
    let address = u64::try_from(request.commit_log_offset).ok();
    let is_place = |id: &str| id.parse::<MessageId>().ok().map(|id| id.address) == address;
    let ids = [request.transaction_id, request.msg_id];
    ids.into_iter()
        .filter(|id| !id.is_empty() && !is_place(id))
        .collect()
}

/// Why a decision was not appended.
pub(super) enum DecideError {
    Append(AppendError),
    Store(StoreError),
}

impl<D: Disk> Store<D> {
    fn standing(&self, request: &EndTransaction<'_>) -> Standing {
        let unknown = Standing::Refused(
            ResponseCode::TRANSACTION_STATE_UNKNOWN,
            "no such half message is undecided here",
        );
        let (Ok(half_address), Ok(queue_offset)) = (
            u64::try_from(request.commit_log_offset),
            u64::try_from(request.tran_state_table_offset),
        ) else {
            return unknown;
        };
        let (group, ids) = (request.producer_group, ids_of(request));
        let book = &self.state.transactions;
        match book.find(half_address, queue_offset, group, &ids) {
            Found::Nothing => unknown,
            Found::OtherGroup => Standing::Refused(
                ResponseCode::TRANSACTION_STATE_GROUP_WRONG,
                "the half message is of another producer group",
            ),
            Found::Decided(outcome) => Standing::Decided(outcome),
            Found::Pending => match self.deciding.get(&half_address) {
                Some(outcome) => Standing::Deciding(*outcome),
                None => Standing::Open { half_address },
            },
        }
    }

    /// Appends the entry that decides a pending transaction.
    pub(super) async fn decide(
        &mut self,
        half_address: u64,
        outcome: Decision,
        now_ms: u64,
    ) -> Result<Staged, DecideError> {
        let half = self.state.transactions.half(half_address);
        let record_bytes = half.expect("only a pending one is decided").record_bytes;
        let read = self.log.read(half_address, record_bytes).await;
        let entry = read.map_err(|error| DecideError::Store(error.into()))?;
        let message = Message::decode(entry.record())
            .map_err(|why| DecideError::Store(StoreError::undecodable(half_address, why)))?;
        let to = Destination::of(&message).ok_or_else(|| {
            DecideError::Store(StoreError::Inconsistent {
                address: half_address,
                what: "a half message that does not say where it is to go".to_owned(),
            })
        })?;
        let message = deciding(&message, half_address, &to, outcome, now_ms);
        let appended = self.append_message(message).await;
        Ok(appended.map_err(DecideError::Append)?.staged)
    }
}
