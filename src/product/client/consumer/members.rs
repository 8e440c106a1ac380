//! The members of the group, and the member that each queue belongs to.
//!
//! Every member computes the same from the same list
//! (`AllocateMessageQueueAveragely`); while lists differ, a queue may have two
//! owners, or none. Two owners repeat, and neither skips: each commits only what
//! it processed itself.

use super::queue::QueueState;
use super::{Asked, Consumer, ConsumerEvent};
use crate::client::wire::ms;
use crate::env::Env;
use crate::remoting::group::{ConsumerList, GroupChanged, ListConsumers, Unregister};
use crate::remoting::{Command, Request, ResponseCode};

/// The knowledge about the group.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// This member's place and how many there are, once told.
    rank: Option<Rank>,
    asking: bool,
    look_ns: u64,
}

/// A member's place among the members, in the order of their ids; `None`: it is
/// not (yet) among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rank {
    place: Option<u32>,
    members: u32,
}

impl Members {
    /// The list is out of date.
    pub(super) fn look_now(&mut self) {
        self.look_ns = 0;
    }

    /// When the list is to be asked for.
    pub(super) fn look_ns(&self) -> u64 {
        self.look_ns
    }
}

/// The queues of a topic that the member at `place` consumes: as many for each
/// as can be, the first ones one more.
fn allocation(queues: u32, members: u32, place: u32) -> std::ops::Range<u32> {
    let (each, left) = (queues / members, queues % members);
    let first = place * each + place.min(left);
    first..first + each + u32::from(place < left)
}

impl<E: Env> Consumer<E> {
    /// Asks who is in the group, where that is due.
    pub(super) fn issue_look(&mut self, now_ns: u64) {
        if self.group().is_none() || self.members.asking || self.members.look_ns > now_ns {
            return;
        }
        let request = ListConsumers {
            consumer_group: &self.config.group,
        };
        let timeout_ms = self.config.client.request_timeout_ms;
        let topic = self.topics[0].id;
        self.members.asking =
            self.session
                .request(topic, &request, &[], timeout_ms, Asked::Members);
    }

    /// The answer to that; `None`: none came.
    pub(super) fn on_members(&mut self, command: Option<&Command>) {
        self.members.asking = false;
        let list = command
            .filter(|command| ResponseCode(command.code) == ResponseCode::SUCCESS)
            .and_then(|command| serde_json::from_slice::<ConsumerList>(&command.body).ok());
        let interval_ms = self.group().map_or(0, |group| group.rebalance_interval_ms);
        let pause_ms = match list {
            Some(_) => interval_ms,
            None => self.config.retry_delay_ms.min(interval_ms),
        };
        let now_ns = self.session.env().now_ns();
        self.members.look_ns = now_ns.saturating_add(ms(pause_ms));
        let Some(ConsumerList {
            consumer_id_list: mut ids,
        }) = list
        else {
            self.session.uncertain_tail(self.topics[0].id);
            return;
        };
        ids.sort();
        ids.dedup();
        let own = ids.binary_search(&self.config.client.client_id).ok();
        let rank = Rank {
            place: own.map(|place| place as u32),
            members: ids.len() as u32,
        };
        if self.members.rank != Some(rank) {
            self.members.rank = Some(rank);
            let Rank { place, members } = rank;
            self.events
                .push_back(ConsumerEvent::Ranked { place, members });
        }
        self.rebalance();
    }

    /// A broker says something without being asked.
    pub(super) fn on_notice(&mut self, command: &Command) {
        if command.code == GroupChanged::CODE.0 {
            self.members.look_now();
        }
    }

    /// Lets go what is another's, and takes what is this member's.
    pub(super) fn rebalance(&mut self) {
        let Some(rank) = self.members.rank.filter(|_| !self.leaving) else {
            return;
        };
        let now_ns = self.session.env().now_ns();
        for topic in 0..self.topics.len() {
            let Some(route) = self.session.route(self.topics[topic].id) else {
                continue;
            };
            let own = match rank.place {
                Some(place) => allocation(route.queues, rank.members, place),
                None => 0..0,
            };
            self.release(now_ns, |state| {
                state.topic == topic && !own.contains(&state.queue.queue_id)
            });
            for queue_id in own {
                self.take(topic, queue_id);
            }
        }
    }

    /// Lets queues go: from now on nothing but one last commit, of what is
    /// processed by now.
    pub(super) fn release(&mut self, now_ns: u64, which: impl Fn(&QueueState) -> bool) {
        let leaves_by_ns = now_ns.saturating_add(ms(self.config.client.request_timeout_ms));
        for state in &mut self.queues {
            if state.is_leaving() || !which(state) {
                continue;
            }
            state.leaves_by_ns = Some(leaves_by_ns);
            state.commit_due = state.progress.is_some();
            // Answers that come now are nobody's.
            state.pull = None;
            if state.progress.is_some() {
                let queue = state.queue.clone();
                self.events.push_back(ConsumerEvent::Released { queue });
            }
        }
        let queues = &self.queues;
        let held = |claim| {
            let mut held = queues.iter().filter(|state| !state.is_leaving());
            held.any(|state| state.claim == claim)
        };
        self.returned.retain(|it| held(it.claim));
    }

    /// Forgets the queues that are let go and have no commit to wait for; a
    /// member that leaves says so when it has none left.
    pub(super) fn let_go(&mut self, now_ns: u64) {
        let done = |state: &QueueState| match state.leaves_by_ns {
            Some(by_ns) => by_ns <= now_ns || (!state.commit_due && state.commit.is_none()),
            None => false,
        };
        let count = self.queues.len();
        while let Some(at) = self.queues.iter().position(done) {
            let state = self.queues.remove(at);
            self.unlock(&state);
        }
        if self.queues.len() < count {
            // It may be this member's again by now.
            self.rebalance();
        }
        if self.leaving && self.queues.is_empty() && self.group().is_some() {
            self.leaving = false;
            self.members.rank = None;
            self.members.look_ns = u64::MAX;
            let farewell = Unregister {
                client_id: &self.config.client.client_id,
                producer_group: None,
                consumer_group: Some(&self.config.group),
            };
            self.session.tell_all(&farewell, Asked::Farewell);
            self.events.push_back(ConsumerEvent::Left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::allocation;

    #[test]
    fn queues_are_dealt_averagely_and_each_once() {
        let dealt = |queues, members| -> Vec<_> {
            let places = 0..members;
            places
                .map(|place| allocation(queues, members, place))
                .collect()
        };
        assert_eq!(dealt(8, 3), [0..3, 3..6, 6..8]);
        assert_eq!(dealt(4, 2), [0..2, 2..4]);
        assert_eq!(dealt(2, 3), [0..1, 1..2, 2..2]);
        assert_eq!(dealt(1, 2), [0..1, 1..1]);
    }
}
