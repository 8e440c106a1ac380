//! The members of a consumer group: asking for it (38), being told that it has
//! changed (40), leaving it (35). Joining is a [heartbeat](super::heartbeat).
//!
//! A broker says that a group has changed, and hears no answer to that. The member asks who is
//! in it now:
//!
//! ```
//! use bytes::BytesMut;
//! use zeroloss_broker::remoting::group::{ConsumerList, GroupChanged};
//! use zeroloss_broker::remoting::{FrameDecoder, NO_BODY, SerializeType, encode_request};
//!
//! let mut sent = BytesMut::new();
//! let notice = GroupChanged { consumer_group: "red-packet" };
//! encode_request(&mut sent, SerializeType::Json, 1, &notice, NO_BODY);
//! let mut decoder = FrameDecoder::new();
//! decoder.feed(sent.freeze());
//! let command = decoder.next_command()?.expect("it came whole");
//! assert!(command.is_oneway() && command.header() == Ok(notice));
//!
//! // The body of the answer to `ListConsumers`.
//! let body = r#"{"consumerIdList":["10.0.0.1@8","10.0.0.2@9"]}"#;
//! let members: ConsumerList = serde_json::from_str(body)?;
//! assert_eq!(members.consumer_id_list, ["10.0.0.1@8", "10.0.0.2@9"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use serde::{Deserialize, Serialize};

use super::codes::RequestCode;
use super::encode::Request;
use super::schema::header;

header! {
    /// Asks for a group's members (`GetConsumerListByGroupRequestHeader`).
    /// Answered by a [`ConsumerList`] in the body; a group without members has
    /// an empty one.
    pub struct ListConsumers<'a> {
        /// The group.
        consumer_group: &'a str = b"consumerGroup";
    }
}

impl Request for ListConsumers<'_> {
    const CODE: RequestCode = RequestCode::GET_CONSUMER_LIST_BY_GROUP;
}

/// A group's members, as JSON in the answer's body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerList {
    /// Their client ids, ascending, none twice.
    pub consumer_id_list: Vec<String>,
}

header! {
    /// Tells a member that its group has changed
    /// (`NotifyConsumerIdsChangedRequestHeader`): it asks for the list anew. Not
    /// answered.
    pub struct GroupChanged<'a> {
        /// The group.
        consumer_group: &'a str = b"consumerGroup";
    }
}

impl Request for GroupChanged<'_> {
    const CODE: RequestCode = RequestCode::NOTIFY_CONSUMER_IDS_CHANGED;
    const IS_ONEWAY: bool = true;
}

header! {
    /// A client leaves groups (`UnregisterClientRequestHeader`). Answered without
    /// fields.
    pub struct Unregister<'a> {
        /// As in its heartbeats.
        client_id: &'a str = b"clientID", or "";
        /// The group that it no longer produces for.
        producer_group: Option<&'a str> = b"producerGroup", or None;
        /// The group that it no longer consumes for.
        consumer_group: Option<&'a str> = b"consumerGroup", or None;
    }
}

impl Request for Unregister<'_> {
    const CODE: RequestCode = RequestCode::UNREGISTER_CLIENT;
}

#[cfg(test)]
mod tests {
    use super::ConsumerList;

    #[test]
    fn a_list_is_json_in_rocketmqs_shape() {
        let text = r#"{"consumerIdList":["10.0.0.1@8","10.0.0.2@9"]}"#;
        let list: ConsumerList = serde_json::from_str(text).unwrap();
        assert_eq!(list.consumer_id_list, ["10.0.0.1@8", "10.0.0.2@9"]);
        assert_eq!(serde_json::to_string(&list).unwrap(), text);
    }
}
