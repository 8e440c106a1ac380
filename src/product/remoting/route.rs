//! Where a topic's queues are: request 105.
//!
//! From a broker's answer to the address to send to:
//!
//! ```
//! use zeroloss_broker::remoting::route::{PERM_READ_WRITE, PRIMARY_ID, TopicRouteData};
//!
//! let body = r#"{
//!     "brokerDatas": [{"cluster": "c", "brokerName": "broker-a",
//!                      "brokerAddrs": {"0": "10.0.0.1:10911"}}],
//!     "queueDatas": [{"brokerName": "broker-a", "readQueueNums": 8, "writeQueueNums": 8,
//!                     "perm": 6, "topicSysFlag": 0}]
//! }"#;
//! let route: TopicRouteData = serde_json::from_str(body)?;
//! assert_eq!(route.broker_datas[0].broker_addrs[PRIMARY_ID], "10.0.0.1:10911");
//! let queues = &route.queue_datas[0];
//! assert_eq!((queues.write_queue_nums, queues.perm), (8, PERM_READ_WRITE));
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codes::RequestCode;
use super::encode::Request;
use super::schema::header;

/// Permission bits of [`QueueData::perm`].
pub const PERM_READ_WRITE: i32 = 6;

/// The broker id of a primary in [`BrokerData::broker_addrs`].
pub const PRIMARY_ID: &str = "0";

header! {
    /// Asks for a topic's route (`GetRouteInfoRequestHeader`). Answered by a
    /// [`TopicRouteData`] in the body, or `TOPIC_NOT_EXIST`.
    pub struct RouteRequest<'a> {
        /// The topic.
        topic: &'a str = b"topic";
    }
}

impl Request for RouteRequest<'_> {
    const CODE: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;
}

/// A topic's route, as JSON in the answer's body. Strict JSON: RocketMQ's own
/// servers may leave the keys of `brokerAddrs` unquoted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicRouteData {
    /// The brokers.
    pub broker_datas: Vec<BrokerData>,
    /// Per broker, its queues.
    pub queue_datas: Vec<QueueData>,
    /// Always empty here; clients want it to be there.
    #[serde(default)]
    pub filter_server_table: BTreeMap<String, Vec<String>>,
}

/// A broker, and where its replicas are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerData {
    /// The cluster's name.
    #[serde(default)]
    pub cluster: String,
    /// The broker's name.
    pub broker_name: String,
    /// Broker id, in decimal, to `ip:port`.
    pub broker_addrs: BTreeMap<String, String>,
    /// Whether a backup may answer for a primary; never here, and clients of
    /// RocketMQ 5 insist on being told.
    #[serde(default)]
    pub enable_acting_master: bool,
}

/// The queues that a topic has on one broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueData {
    /// The broker's name.
    pub broker_name: String,
    /// Queues to read.
    pub read_queue_nums: u32,
    /// Queues to write.
    pub write_queue_nums: u32,
    /// Bits: 4 read, 2 write.
    pub perm: i32,
    /// RocketMQ's flags of a topic.
    #[serde(default)]
    pub topic_sys_flag: i32,
}
