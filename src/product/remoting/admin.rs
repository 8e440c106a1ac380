//! The members of a replicated cluster, and its leader: an operator's requests.
//!
//! RocketMQ's brokers have no such requests (DLedger has a protocol of its own
//! for them); the codes lie beyond RocketMQ's.
//!
//! An operator's program lets the new disk of a node take the place of its old one:
//!
//! ```
//! use bytes::BytesMut;
//! use zeroloss_broker::remoting::admin::ChangeMembers;
//! use zeroloss_broker::remoting::{FrameDecoder, NO_BODY, RequestCode, SerializeType};
//! use zeroloss_broker::remoting::encode_request;
//!
//! let disk_id = 0xfeed_0000_0000_0001_u64; // as `format` printed it
//! let change = ChangeMembers { change: "replace", node: 2, disk: disk_id.cast_signed() };
//! let mut sent = BytesMut::new();
//! encode_request(&mut sent, SerializeType::Binary, 1, &change, NO_BODY);
//!
//! let mut decoder = FrameDecoder::new();
//! decoder.feed(sent.freeze());
//! let command = decoder.next_command()?.expect("it came whole");
//! assert_eq!(RequestCode(command.code), RequestCode::CHANGE_MEMBERS);
//! let change: ChangeMembers<'_> = command.header()?;
//! assert_eq!(change.disk.cast_unsigned(), disk_id);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
