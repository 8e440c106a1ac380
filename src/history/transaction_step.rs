//! The steps of a transaction: where a crash is worth aiming at.
//!
//! ```text
//!   half ──▶ stored ──▶ acknowledged ──▶ payment ──▶ settled ──▶ end ──▶ decision ──▶ durable ──▶ told
//!      └ half-unacknowledged ┘             │           └ paid-not-ended ┘ │    └ end-not- ┘└ decided- ┘
//!                                          └ asked: check-open,           │      durable    not-applied
//!                                            rollback-while-running       └ issued ─▶ processed-not-committed
//! ```

use std::fmt;

/// Between two steps of a transaction, as far as a victim has to do with it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum TransactionStep {
    /// The half message was appended (or sent, where a service dies), and its
    /// acknowledgement has not arrived.
    HalfUnacknowledged,
    /// The order is paid in its database; no entry decides its transaction (or
    /// the service has not begun to end it).
    PaidNotEnded,
    /// The deciding entry was appended (or the end sent, where a service dies),
    /// and is not yet durable, or with replicas committed.
    EndNotDurable,
    /// The deciding entry is durable, with replicas committed, and who ended the
    /// transaction has not heard of it, or nobody has read what an answered
    /// question published. RocketMQ writes the final message and then an
    /// operation record; here the final message is the decision itself, and this
    /// is what lies behind it.
    DecidedNotApplied,
    /// The broker has noted that it asks the group, and no answer is decided.
    CheckOpen,
    /// The red packet is issued, and the group's offset has not passed its order.
    ProcessedNotCommitted,
    /// A question was answered "rolled back" while the payment was under way, and
    /// the service has not learnt that its order is barred.
    RollbackWhileRunning,
}

impl TransactionStep {
    /// All of them, in the order of a transaction's life.
    pub const ALL: [Self; 7] = [
        Self::HalfUnacknowledged,
        Self::PaidNotEnded,
        Self::EndNotDurable,
        Self::DecidedNotApplied,
        Self::CheckOpen,
        Self::ProcessedNotCommitted,
        Self::RollbackWhileRunning,
    ];

    /// The name in scenario files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::HalfUnacknowledged => "half-unacknowledged",
            Self::PaidNotEnded => "paid-not-ended",
            Self::EndNotDurable => "end-not-durable",
            Self::DecidedNotApplied => "decided-not-applied",
            Self::CheckOpen => "check-open",
            Self::ProcessedNotCommitted => "processed-not-committed",
            Self::RollbackWhileRunning => "rollback-while-running",
        }
    }
}

impl fmt::Display for TransactionStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The process that dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VictimRole {
    /// A broker.
    Broker,
    /// An instance of an order service.
    OrderService,
    /// An order database.
    Database,
    /// A red-packet service, or another consumer.
    RedPacket,
}

impl VictimRole {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 4] = [
        Self::Broker,
        Self::OrderService,
        Self::Database,
        Self::RedPacket,
    ];

    /// The name in scenario files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::OrderService => "order-service",
            Self::Database => "database",
            Self::RedPacket => "red-packet",
        }
    }

    /// Whether he can die there: red packets are nobody else's.
    pub fn can_be_at(self, transaction_step: TransactionStep) -> bool {
        (self == Self::RedPacket) == (transaction_step == TransactionStep::ProcessedNotCommitted)
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::OrderService => "order service",
            Self::Database => "database",
            Self::RedPacket => "red-packet service",
        }
    }
}

/// A death: whose, and at which steps of transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The process that died.
    pub who: VictimRole,
    /// Each once, in their order.
    pub at: Vec<TransactionStep>,
}
