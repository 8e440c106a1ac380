//! RocketMQ's own way to end a transaction, for presets that show what it does;
//! never for a promise.
//!
//! ```text
//!   commit ───▶ the message is published, whatever was said before
//!   rollback ─▶ answered at once                     │
//!                    └──▶ operations in memory ◀─────┘
//!                              └─ some seconds later ──▶ operation topic
//! ```
//!
//! A half message is found by its place alone, so a commit publishes after a
//! rollback, and again after a commit. The state in memory dies with the process: a
//! rollback that was answered is forgotten, and asked about again
//! (`TransactionalMessageServiceImpl`, `transactionOpBatchInterval`).

use std::collections::BTreeMap;

use super::super::error::{AppendError, StoreError};
use super::super::server::{Broker, Serving};
use super::super::store::{NewMessage, Store};
use super::super::waiters::{Answered, SendAnswer};
use super::checking::note;
use super::ending::DecideError;
use super::halves::{Destination, deciding};
use super::{Decision, HALF_TOPIC};
use crate::env::{ConnId, Disk, Env};
use crate::log::Staged;
use crate::record::Message;
use crate::remoting::transaction::{EndTransaction, sys_flag};
use crate::remoting::{ReplyTo, ResponseCode};

/// Operations that were answered and are not written yet, by the log address of
/// their half messages.
#[derive(Debug, Default)]
pub(in crate::broker) struct Operations {
    waiting: BTreeMap<u64, Decision>,
    due_ns: u64,
}

impl Operations {
    /// When they are to be written; `None`: there are none.
    pub(in crate::broker) fn deadline_ns(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(self.due_ns)
    }

    /// The first operation on a half message stays.
    fn note(&mut self, half_address: u64, outcome: Decision, due_ns: u64) {
        if self.waiting.is_empty() {
            self.due_ns = due_ns;
        }
        self.waiting.entry(half_address).or_insert(outcome);
    }
}

/// Where a half message stands.
struct Place {
    address: u64,
    record_bytes: u32,
}

impl<E: Env> Broker<E> {
    /// Ends a transaction as RocketMQ does.
    pub(super) async fn end_buffered(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        reply_to: ReplyTo,
        request: &EndTransaction<'_>,
        outcome: Decision,
    ) -> Result<(), StoreError> {
        let Some(place) = serving.store.half_place(request).await? else {
            let code = ResponseCode::SYSTEM_ERROR;
            let remark = "Find prepared transaction message failed";
            self.outbox.refuse(conn, reply_to, code, remark);
            return Ok(());
        };
        if outcome == Decision::Committed {
            if let Err((code, remark)) =
                self.admit_what_goes_on(serving, self.config.max_message_bytes)
            {
                self.outbox.refuse(conn, reply_to, code, &remark);
                return Ok(());
            }
            let now_ms = self.env.wall_ms();
            let staged = match serving.store.publish(&place, now_ms).await {
                Ok(staged) => staged,
                Err(DecideError::Append(error)) => {
                    return self.refuse_append(conn, reply_to, error);
                }
                Err(DecideError::Store(error)) => return Err(error),
            };
            let asked = outcome;
            let what = Answered::Ended { asked, outcome };
            self.wait_for(serving, conn, staged, SendAnswer { reply_to, what });
        } else {
            self.outbox
                .answer(conn, reply_to, ResponseCode::SUCCESS, &());
        }
        let interval_ms = self.config.op_batch_interval_ms.unwrap_or(0);
        let due_ns = self.env.now_ns() + interval_ms * 1_000_000;
        serving.operations.note(place.address, outcome, due_ns);
        Ok(())
    }

    /// Writes the operations that have waited for long enough.
    pub(in crate::broker) async fn write_operations(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), StoreError> {
        let operations = std::mem::take(&mut serving.operations);
        let now_ms = self.env.wall_ms();
        for (half_address, outcome) in operations.waiting {
            if !self.accepts_own(serving) {
                return Ok(());
            }
            let noted = serving
                .store
                .append_operation(half_address, outcome, now_ms);
            if let Err(error) = noted.await {
                error.into_fatal().map_or(Ok(()), Err)?;
            }
        }
        Ok(())
    }
}

impl<D: Disk> Store<D> {
    /// The half message that a request names by its place in the half topic.
    async fn half_place(&self, request: &EndTransaction<'_>) -> Result<Option<Place>, StoreError> {
        let queue = self.topics.queue(HALF_TOPIC, 0);
        let offset = u64::try_from(request.tran_state_table_offset).ok();
        let (Some(queue), Some(offset)) = (queue, offset) else {
            return Ok(None);
        };
        let entries = queue.entries.read(offset, 1).await?;
        let named = |address| i64::try_from(address) == Ok(request.commit_log_offset);
        Ok(entries
            .first()
            .filter(|entry| named(entry.address))
            .map(|entry| Place {
                address: entry.address,
                record_bytes: entry.record_bytes,
            }))
    }

    /// Appends the message that a half message stands for. It decides nothing:
    /// nobody looks whether there is one already.
    async fn publish(&mut self, place: &Place, now_ms: u64) -> Result<Staged, DecideError> {
        let read = self.log.read(place.address, place.record_bytes).await;
        let entry = read.map_err(|error| DecideError::Store(error.into()))?;
        let half = Message::decode(entry.record())
            .map_err(|why| DecideError::Store(StoreError::undecodable(place.address, why)))?;
        let to = Destination::of(&half).ok_or_else(|| {
            DecideError::Store(StoreError::Inconsistent {
                address: place.address,
                what: "a half message that does not say where it is to go".to_owned(),
            })
        })?;
        let message = deciding(&half, place.address, &to, Decision::Committed, now_ms);
        let message = NewMessage {
            sys_flag: half.sys_flag,
            prepared_transaction_offset: 0,
            ..message
        };
        let appended = self.append_message(message).await;
        Ok(appended.map_err(DecideError::Append)?.staged)
    }

    async fn append_operation(
        &mut self,
        half_address: u64,
        outcome: Decision,
        now_ms: u64,
    ) -> Result<(), AppendError> {
        if self.open_half(half_address).is_none() {
            return Ok(());
        }
        let flag = match outcome {
            Decision::Committed => sys_flag::COMMIT,
            Decision::RolledBack | Decision::Discarded => sys_flag::ROLLBACK,
        };
        let note = note(half_address, flag as u32, self.config.listen, now_ms);
        self.append_message(note).await.map(|_| ())
    }
}
