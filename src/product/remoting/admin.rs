//! The members of a replicated cluster, and its leader: an operator's requests.
//!
//! RocketMQ's brokers have no such requests (DLedger has a protocol of its own
//! for them); the codes lie beyond RocketMQ's.

use super::codes::RequestCode;
use super::encode::Request;
use super::schema::header;

header! {
    /// Asks the leader for a change of the cluster's members. Answered without
    /// fields once the change is committed.
    pub struct ChangeMembers<'a> {
        /// `add-learner`, `remove-learner`, `promote`, `remove` or `replace`.
        change: &'a str = b"change";
        /// The node's broker id.
        node: i64 = b"node";
        /// The disk id that `format` gave, as a signed number; 0 where the
        /// change needs none.
        disk: i64 = b"disk";
    }
}

impl Request for ChangeMembers<'_> {
    const CODE: RequestCode = RequestCode::CHANGE_MEMBERS;
}

header! {
    /// Asks the leader to hand leadership over. Answered without fields at
    /// once; whether it comes to that is seen in routes.
    pub struct TransferLeadership {
        /// The node that is to lead.
        node: i64 = b"node";
    }
}

impl Request for TransferLeadership {
    const CODE: RequestCode = RequestCode::TRANSFER_LEADERSHIP;
}
