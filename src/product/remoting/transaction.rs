//! Transactions: ending one (37), and asking a producer about one (39).
//!
//! A producer that was asked about its half message says that it is committed:
//!
//! ```
//! use bytes::BytesMut;
//! use zeroloss_broker::remoting::transaction::{EndTransaction, sys_flag};
//! use zeroloss_broker::remoting::{FrameDecoder, NO_BODY, OneWay, SerializeType, encode_request};
//!
//! let end = EndTransaction {
//!     producer_group: "orders",
//!     tran_state_table_offset: 5, // of the half message, in its queue
//!     commit_log_offset: 4_096,
//!     commit_or_rollback: sys_flag::COMMIT,
//!     from_transaction_check: true,
//!     msg_id: "",
//!     transaction_id: "AC11000100002A9F",
//! };
//! let mut sent = BytesMut::new();
//! encode_request(&mut sent, SerializeType::Binary, 1, &OneWay(&end), NO_BODY);
//! let mut decoder = FrameDecoder::new();
//! decoder.feed(sent.freeze());
//! let command = decoder.next_command()?.expect("it came whole");
//! assert!(command.is_oneway() && command.header() == Ok(end));
//! # Ok::<(), zeroloss_broker::remoting::DecodeError>(())
//! ```

use super::codes::RequestCode;
use super::encode::Request;
use super::schema::header;

/// Bits of a message's `sysFlag` (`MessageSysFlag`).
///
/// A rollback has both bits of the mask, so the mask is what to compare under:
///
/// ```
/// use zeroloss_broker::remoting::transaction::sys_flag::{COMMIT, PREPARED, ROLLBACK, TRANSACTION};
///
/// let compressed = 1;
/// let half = compressed | PREPARED;
/// assert_eq!(half & TRANSACTION, PREPARED);
/// assert!(ROLLBACK & PREPARED != 0 && ROLLBACK & COMMIT != 0);
/// assert_ne!(ROLLBACK & TRANSACTION, COMMIT);
/// ```
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
