//! Transactions: ending one (37), and asking a producer about one (39).

use super::codes::RequestCode;
use super::encode::Request;
use super::schema::header;

/// Bits of a message's `sysFlag` (`MessageSysFlag`).
pub mod sys_flag {
    /// All bits that say what a message is to a transaction.
    pub const TRANSACTION: i32 = 12;
    /// A half message, on its way from the producer.
    pub const PREPARED: i32 = 4;
    /// The flag of a message that a commit published.
    pub const COMMIT: i32 = 8;
    /// The flag of a message that a rollback left.
    pub const ROLLBACK: i32 = 12;
}

header! {
    /// How a transaction ended (`EndTransactionRequestHeader`), or that the
    /// producer does not know yet. Answered without fields.
    pub struct EndTransaction<'a> {
        /// The producer's group: the half message's own.
        producer_group: &'a str = b"producerGroup";
        /// The half message's offset in its queue.
        tran_state_table_offset: i64 = b"tranStateTableOffset";
        /// The half message's log address.
        commit_log_offset: i64 = b"commitLogOffset";
        /// 8 commit, 12 rollback, 0 not known.
        commit_or_rollback: i32 = b"commitOrRollback";
        /// In answer to a check.
        from_transaction_check: bool = b"fromTransactionCheck", or false;
        /// The half message's id, as its send was answered.
        msg_id: &'a str = b"msgId", or "";
        /// The producer's own id of the message.
        transaction_id: &'a str = b"transactionId", or "";
    }
}

impl Request for EndTransaction<'_> {
    const CODE: RequestCode = RequestCode::END_TRANSACTION;
}

header! {
    /// Asks a producer of the group how a transaction ended
    /// (`CheckTransactionStateRequestHeader`); the body is the half message's
    /// record. Not answered as such: the producer sends an [`EndTransaction`].
    pub struct CheckTransactionState<'a> {
        /// The half message's offset in its queue.
        tran_state_table_offset: i64 = b"tranStateTableOffset";
        /// The half message's log address.
        commit_log_offset: i64 = b"commitLogOffset";
        /// The producer's own id of the message.
        msg_id: &'a str = b"msgId", or "";
        /// The same.
        transaction_id: &'a str = b"transactionId", or "";
        /// The half message's id, as its send was answered.
        offset_msg_id: &'a str = b"offsetMsgId", or "";
    }
}

impl Request for CheckTransactionState<'_> {
    const CODE: RequestCode = RequestCode::CHECK_TRANSACTION_STATE;
}
