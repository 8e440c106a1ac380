//! What a client says of itself: request 34.

use serde::{Deserialize, Serialize};

use super::codes::RequestCode;
use super::encode::Request;
use super::fields::{FieldWriter, WriteFields};

/// A heartbeat (`HEART_BEAT`): no fields, the body is [`HeartbeatData`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat;

impl WriteFields for Heartbeat {
    fn write_fields(&self, _out: &mut FieldWriter<'_>) {}
}

impl Request for Heartbeat {
    const CODE: RequestCode = RequestCode::HEART_BEAT;
}

/// The groups that a client is in, as JSON. What a client leaves out has
/// RocketMQ's default; what is not known here is ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatData {
    /// Unique among the clients.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Groups that it produces for.
    #[serde(rename = "producerDataSet", default)]
    pub producers: Vec<ProducerData>,
    /// Groups that it consumes for.
    #[serde(rename = "consumerDataSet", default)]
    pub consumers: Vec<ConsumerData>,
}

/// A group that the client produces for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerData {
    /// The group.
    pub group_name: String,
}

/// A group that the client consumes for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerData {
    /// The group.
    pub group_name: String,
    /// `CONSUME_PASSIVELY` (push) or `CONSUME_ACTIVELY` (pull).
    #[serde(default)]
    pub consume_type: String,
    /// `CLUSTERING` or `BROADCASTING`.
    #[serde(default)]
    pub message_model: String,
    /// Where a group without a recorded offset begins.
    #[serde(default)]
    pub consume_from_where: String,
    /// What it subscribes to.
    #[serde(default)]
    pub subscription_data_set: Vec<SubscriptionData>,
    /// RocketMQ's unitisation; not used here.
    #[serde(default)]
    pub unit_mode: bool,
}

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionData {
    /// The topic.
    pub topic: String,
    /// `*`, or tags joined by `||`.
    pub sub_string: String,
    /// The tags.
    #[serde(default)]
    pub tags_set: Vec<String>,
    /// Their hashes.
    #[serde(default)]
    pub code_set: Vec<i32>,
    /// When it was made, milliseconds since 1970.
    #[serde(default)]
    pub sub_version: i64,
    /// `TAG`, or `SQL92`.
    #[serde(default)]
    pub expression_type: Option<String>,
    /// RocketMQ's class filter; not used here.
    #[serde(default)]
    pub class_filter_mode: bool,
}
