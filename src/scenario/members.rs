//! The tasks of members of a consumer group beside consuming.

use super::Between;

/// `members` of a workload of kind "consume": they agree on their queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Pause between looks at who is in the group (`rebalanceInterval`).
    pub rebalance_interval_ms: u64,
    /// The messages of one queue that a member may have in hand
    /// (`pullThresholdForQueue`).
    pub in_hand_max: u32,
    /// Queues are locked, and each consumed in its order.
    pub ordered: bool,
    /// All have one client id, as two processes have that were told so.
    pub equal_ids: bool,
    /// The messages that are wanted; `None`: all.
    pub tags: Option<Tags>,
    /// The messages that cannot be processed at first; `None`: none.
    pub failing: Option<Failing>,
    /// When members leave their group and come back; `None`: never.
    pub stays: Option<Stays>,
}

/// `tags`: some of those that are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// Those wanted, by their numbers.
    pub wanted: Between,
    /// How many there are.
    pub of: u32,
}

/// `fail_one_in` and what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// One message in so many fails.
    pub one_in: u32,
    /// So many attempts at it fail.
    pub times: Between,
    /// After so many further attempts it is given up (`maxReconsumeTimes`).
    pub retries_max: u32,
    /// The delay level of every retry; 0: the broker's choice.
    pub delay_level: u32,
}

/// `stay_ms` and `away_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stays {
    /// A member stays so long.
    pub stay_ms: Between,
    /// It is away so long.
    pub away_ms: Between,
}
