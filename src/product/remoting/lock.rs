//! Queues that one consumer of a group holds, for ordered consumption: locking
//! (41) and unlocking (42).
//!
//! A client of RocketMQ's wants two queues, and gets the one that nobody holds:
//!
//! ```
//! use zeroloss_broker::remoting::lock::{LockedQueues, QueueLocks};
//!
//! let body = r#"{"consumerGroup":"red-packet","clientId":"10.0.0.1@8","onlyThisBroker":false,
//!     "mqSet":[{"topic":"orders","brokerName":"broker-a","queueId":2},
//!              {"topic":"orders","brokerName":"broker-a","queueId":3}]}"#;
//! let mut wanted: QueueLocks = serde_json::from_str(body)?;
//!
//! wanted.mq_set.retain(|queue| queue.queue_id != 2); // another client's
//! let answer = serde_json::to_string(&LockedQueues { held: wanted.mq_set })?;
//! let queue = r#"{"topic":"orders","brokerName":"broker-a","queueId":3}"#;
//! assert_eq!(answer, format!(r#"{{"lockOKMQSet":[{queue}]}}"#));
//! # Ok::<(), serde_json::Error>(())
//! ```

use serde::{Deserialize, Serialize};

use super::codes::RequestCode;
use super::encode::Request;
use super::fields::{FieldWriter, WriteFields};

/// Locks queues (`LOCK_BATCH_MQ`): no fields, the body is a [`QueueLocks`].
/// Answered by [`LockedQueues`] in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockQueues;

impl WriteFields for LockQueues {
    fn write_fields(&self, _out: &mut FieldWriter<'_>) {}
}

impl Request for LockQueues {
    const CODE: RequestCode = RequestCode::LOCK_BATCH_MQ;
}

/// Unlocks queues (`UNLOCK_BATCH_MQ`): no fields, the body is a [`QueueLocks`].
/// Answered without fields; a queue that another client holds stays its.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnlockQueues;

impl WriteFields for UnlockQueues {
    fn write_fields(&self, _out: &mut FieldWriter<'_>) {}
}

impl Request for UnlockQueues {
    const CODE: RequestCode = RequestCode::UNLOCK_BATCH_MQ;
}

/// A queue of a broker, by its names (`MessageQueue`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueName {
    /// The topic.
    pub topic: String,
    /// The broker's name, as routes say it.
    pub broker_name: String,
    /// The queue.
    pub queue_id: i32,
}

/// The queues that a client wants, as JSON (`LockBatchRequestBody`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueLocks {
    /// The group.
    pub consumer_group: String,
    /// The client, as in its heartbeats.
    pub client_id: String,
    /// The queues.
    #[serde(default)]
    pub mq_set: Vec<QueueName>,
}

/// The queues, of those asked for, that the client holds now, as JSON
/// (`LockBatchResponseBody`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedQueues {
    /// In the order asked for.
    #[serde(rename = "lockOKMQSet")]
    pub held: Vec<QueueName>,
}

#[cfg(test)]
mod tests {
    use super::{LockedQueues, QueueLocks};

    #[test]
    fn a_real_clients_lock_is_understood() {
        let text = r#"{"clientId":"10.0.0.1@8","consumerGroup":"cg","onlyThisBroker":false,
            "mqSet":[{"brokerName":"broker-a","queueId":3,"topic":"orders"}]}"#;
        let locks: QueueLocks = serde_json::from_str(text).unwrap();
        assert_eq!(
            (&*locks.consumer_group, &*locks.client_id),
            ("cg", "10.0.0.1@8")
        );
        assert_eq!(locks.mq_set[0].queue_id, 3);
        let again = serde_json::to_string(&locks).unwrap();
        assert_eq!(serde_json::from_str::<QueueLocks>(&again).unwrap(), locks);
    }

    #[test]
    fn held_queues_are_json_in_rocketmqs_shape() {
        let text = r#"{"lockOKMQSet":[{"topic":"orders","brokerName":"broker-a","queueId":3}]}"#;
        let held: LockedQueues = serde_json::from_str(text).unwrap();
        assert_eq!(held.held[0].topic, "orders");
        assert_eq!(serde_json::to_string(&held).unwrap(), text);
    }
}
