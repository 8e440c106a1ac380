//! Pulls that found nothing and wait for a message (long polling;
//! RocketMQ's `PullRequestHoldService`).

use super::tags::TagFilter;
use crate::env::ConnId;
use crate::remoting::ReplyTo;

/// The request of a pull that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pull {
    pub(crate) conn: ConnId,
    pub(crate) reply_to: ReplyTo,
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) queue_id: u32,
    pub(crate) offset: u64,
    pub(crate) max_messages: usize,
    pub(crate) filter: TagFilter,
    /// It may wait so long for a message, nanoseconds; `None`: it does not wait.
    pub(crate) suspend_ns: Option<u64>,
}

#[derive(Debug)]
struct Waiting {
    pull: Pull,
    deadline_ns: u64,
}

/// All pulls that wait.
#[derive(Debug, Default)]
pub(crate) struct HeldPulls(Vec<Waiting>);

impl HeldPulls {
    pub(crate) fn add(&mut self, pull: Pull, deadline_ns: u64) {
        self.0.push(Waiting { pull, deadline_ns });
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes those whose time is up.
    pub(crate) fn take_expired(&mut self, now_ns: u64) -> Vec<Pull> {
        self.take(|waiting| waiting.deadline_ns <= now_ns)
    }

    /// Takes those for which `has_grown(topic, queue, offset)`.
    pub(crate) fn take_served(&mut self, has_grown: impl Fn(&str, u32, u64) -> bool) -> Vec<Pull> {
        self.take(|waiting| {
            let pull = &waiting.pull;
            has_grown(&pull.topic, pull.queue_id, pull.offset)
        })
    }

    /// Takes all, to refuse them.
    pub(crate) fn take_all(&mut self) -> Vec<(ConnId, ReplyTo)> {
        let all = self.take(|_| true);
        all.into_iter()
            .map(|pull| (pull.conn, pull.reply_to))
            .collect()
    }

    /// The stream is gone.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        self.0.retain(|waiting| waiting.pull.conn != conn);
    }

    /// When the first of them has waited long enough.
    pub(crate) fn deadline_ns(&self) -> Option<u64> {
        self.0.iter().map(|waiting| waiting.deadline_ns).min()
    }

    fn take(&mut self, wanted: impl Fn(&Waiting) -> bool) -> Vec<Pull> {
        if !self.0.iter().any(&wanted) {
            return Vec::new();
        }
        let (taken, kept) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|w| wanted(w));
        self.0 = kept;
        let taken: Vec<Waiting> = taken;
        taken.into_iter().map(|waiting| waiting.pull).collect()
    }
}
