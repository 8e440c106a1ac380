//! RocketMQ's numbers for requests and answers, under its names.

/// The code of a request (`RequestCode`). Any number may arrive; those served have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestCode(pub i32);

impl RequestCode {
    /// Send one message, fields under their full names.
    pub const SEND_MESSAGE: Self = Self(10);
    /// Read messages of a queue, perhaps waiting for one.
    pub const PULL_MESSAGE: Self = Self(11);
    /// A group's recorded offset in a queue.
    pub const QUERY_CONSUMER_OFFSET: Self = Self(14);
    /// Record a group's offset in a queue.
    pub const UPDATE_CONSUMER_OFFSET: Self = Self(15);
    /// The first offset stored at or after a time.
    pub const SEARCH_OFFSET_BY_TIMESTAMP: Self = Self(29);
    /// One past the last offset of a queue.
    pub const GET_MAX_OFFSET: Self = Self(30);
    /// The first offset that a queue still has.
    pub const GET_MIN_OFFSET: Self = Self(31);
    /// When the oldest message of a queue was stored.
    pub const GET_EARLIEST_MSG_STORETIME: Self = Self(32);
    /// A client says which groups it is in.
    pub const HEART_BEAT: Self = Self(34);
    /// A client leaves.
    pub const UNREGISTER_CLIENT: Self = Self(35);
    /// A consumer could not process a message: it is to come again, later.
    pub const CONSUMER_SEND_MSG_BACK: Self = Self(36);
    /// How a transaction ended.
    pub const END_TRANSACTION: Self = Self(37);
    /// The members of a consumer group.
    pub const GET_CONSUMER_LIST_BY_GROUP: Self = Self(38);
    /// From a broker to a producer: how did a transaction end?
    pub const CHECK_TRANSACTION_STATE: Self = Self(39);
    /// From a broker to a consumer: its group has other members now.
    pub const NOTIFY_CONSUMER_IDS_CHANGED: Self = Self(40);
    /// Hold queues for one consumer of a group.
    pub const LOCK_BATCH_MQ: Self = Self(41);
    /// Let queues go.
    pub const UNLOCK_BATCH_MQ: Self = Self(42);
    /// Whether a subscription can be served.
    pub const CHECK_CLIENT_CONFIG: Self = Self(46);
    /// Where a topic's queues are.
    pub const GET_ROUTEINFO_BY_TOPIC: Self = Self(105);
    /// Send one message, fields under one-letter names.
    pub const SEND_MESSAGE_V2: Self = Self(310);
    /// As `PULL_MESSAGE`, from a client that assigns its queues itself.
    pub const LITE_PULL_MESSAGE: Self = Self(361);
    /// Change the members of a replicated cluster. Not RocketMQ's.
    pub const CHANGE_MEMBERS: Self = Self(9_001);
    /// Let another replica lead. Not RocketMQ's.
    pub const TRANSFER_LEADERSHIP: Self = Self(9_002);
}

/// How a request ended (`ResponseCode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResponseCode(pub i32);

impl ResponseCode {
    /// Done; for a send `SEND_OK`, for a pull `FOUND`.
    pub const SUCCESS: Self = Self(0);
    /// Something failed, at any point.
    pub const SYSTEM_ERROR: Self = Self(1);
    /// Not now: too many pending, or not the leader.
    pub const SYSTEM_BUSY: Self = Self(2);
    /// No such request here.
    pub const REQUEST_CODE_NOT_SUPPORTED: Self = Self(3);
    /// In the log, not known to be durable.
    pub const FLUSH_DISK_TIMEOUT: Self = Self(10);
    /// In the log, no backup to copy it to.
    pub const SLAVE_NOT_AVAILABLE: Self = Self(11);
    /// In the log, not known to be on the backup.
    pub const FLUSH_SLAVE_TIMEOUT: Self = Self(12);
    /// The message breaks a limit.
    pub const MESSAGE_ILLEGAL: Self = Self(13);
    /// The broker takes no writes: starting, stopping, full, or its log failed.
    pub const SERVICE_NOT_AVAILABLE: Self = Self(14);
    /// The topic may not be written, or not be read.
    pub const NO_PERMISSION: Self = Self(16);
    /// No such topic, and none is made.
    pub const TOPIC_NOT_EXIST: Self = Self(17);
    /// Pull: nothing at that offset yet.
    pub const PULL_NOT_FOUND: Self = Self(19);
    /// Pull: nothing that matches there; go on from `nextBeginOffset`.
    pub const PULL_RETRY_IMMEDIATELY: Self = Self(20);
    /// Pull: the queue does not have that offset; go on from `nextBeginOffset`.
    pub const PULL_OFFSET_MOVED: Self = Self(21);
    /// The group has no offset recorded there.
    pub const QUERY_NOT_FOUND: Self = Self(22);
    /// Pull: the subscription cannot be parsed.
    pub const SUBSCRIPTION_PARSE_FAILED: Self = Self(23);
    /// The transaction was committed; it cannot be rolled back any more.
    pub const TRANSACTION_SHOULD_COMMIT: Self = Self(200);
    /// The transaction was rolled back, or discarded; it cannot be committed any
    /// more.
    pub const TRANSACTION_SHOULD_ROLLBACK: Self = Self(201);
    /// No such half message is undecided here.
    pub const TRANSACTION_STATE_UNKNOWN: Self = Self(202);
    /// The half message is of another producer group.
    pub const TRANSACTION_STATE_GROUP_WRONG: Self = Self(203);

    /// Whether a send that got this answer is known *not* to be in the log: the
    /// error is one that brokers give only before they append. `SYSTEM_ERROR`
    /// is not: it may follow the append (a quorum timeout, a failed sync).
    pub fn given_before_append(self) -> bool {
        matches!(
            self,
            Self::SYSTEM_BUSY
                | Self::REQUEST_CODE_NOT_SUPPORTED
                | Self::MESSAGE_ILLEGAL
                | Self::SERVICE_NOT_AVAILABLE
                | Self::NO_PERMISSION
                | Self::TOPIC_NOT_EXIST
        )
    }
}

#[cfg(test)]
mod tests {
    use super::ResponseCode;

    #[test]
    fn only_errors_from_before_the_append_reject() {
        let rejecting: Vec<i32> = (-2000..2000)
            .filter(|code| ResponseCode(*code).given_before_append())
            .collect();
        assert_eq!(rejecting, [2, 3, 13, 14, 16, 17]);
    }
}
