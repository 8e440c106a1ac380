//! Messages that could not be processed go back to the broker, and are done
//! here only once it has acknowledged that: until then a crash repeats them.

use super::queue::Claim;
use super::{Asked, Consumer, ConsumerEvent};
use crate::client::convert::{as_i32, as_i64};
use crate::client::records::Received;
use crate::client::wire::ms;
use crate::client::{OpId, Queue};
use crate::env::Env;
use crate::remoting::retry::SendBack;

/// Messages of one consumer that are sent back at the same time. A message that a
/// slow broker answers too late is stored there, and is asked for once more: more at
/// once would keep the broker busy with repeats for ever.
const IN_FLIGHT_MAX: usize = 8;
/// How often the pause between two attempts doubles, at most.
const DOUBLINGS_MAX: u32 = 4;

/// A message on its way back.
pub(super) struct Returned {
    pub(super) claim: Claim,
    queue: Queue,
    pub(super) offset: u64,
    address: u64,
    /// The attempt under way.
    op: Option<OpId>,
    /// The pause after the next attempt that is not acknowledged, milliseconds.
    pause_ms: u64,
    /// The next attempt is not made before.
    pub(super) not_before_ns: u64,
}

impl<E: Env> Consumer<E> {
    /// A served message could not be processed: sends it back until that is
    /// acknowledged, and counts it as processed then. Nothing happens where the
    /// queue was let go meanwhile.
    pub fn failed(&mut self, queue: &Queue, message: &Received) {
        let mut held = self.queues.iter();
        let Some(state) = held.find(|state| state.queue == *queue && !state.is_leaving()) else {
            return;
        };
        self.returned.push(Returned {
            claim: state.claim,
            queue: queue.clone(),
            offset: message.offset,
            address: message.address,
            op: None,
            pause_ms: self.config.retry_delay_ms,
            not_before_ns: 0,
        });
    }

    pub(super) fn issue_send_back(&mut self, now_ns: u64) -> Option<ConsumerEvent> {
        let group = self.group()?;
        let (level, times_max) = (group.retry_delay_level, group.reconsume_times_max);
        let in_flight = self.returned.iter().filter(|it| it.op.is_some());
        if in_flight.count() >= IN_FLIGHT_MAX {
            return None;
        }
        let due = |it: &Returned| it.op.is_none() && it.not_before_ns <= now_ns;
        let at = self.returned.iter().position(due)?;
        let returned = &mut self.returned[at];
        let request = SendBack {
            offset: as_i64(returned.address),
            group: &self.config.group,
            delay_level: as_i32(level),
            origin_msg_id: "",
            origin_topic: &returned.queue.topic,
            unit_mode: false,
            max_reconsume_times: Some(as_i32(times_max)),
        };
        let op = self.next_op;
        let timeout_ms = self.config.client.request_timeout_ms;
        let topic = self.topics[0].id;
        let tag = Asked::SendBack { op };
        if !self.session.request(topic, &request, &[], timeout_ms, tag) {
            return None;
        }
        self.next_op += 1;
        returned.op = Some(op);
        let (queue, offset) = (returned.queue.clone(), returned.offset);
        Some(ConsumerEvent::SendBackBegan { op, queue, offset })
    }

    pub(super) fn on_send_back(&mut self, op: OpId, acknowledged: bool) {
        let Some(at) = self.returned.iter().position(|it| it.op == Some(op)) else {
            // Of a queue that was let go: another member has it in hand.
            return;
        };
        if acknowledged {
            let Returned { queue, offset, .. } = self.returned.remove(at);
            self.processed(&queue, offset);
        } else {
            let pause_ms_max = self.config.retry_delay_ms << DOUBLINGS_MAX;
            let now_ns = self.session.env().now_ns();
            let returned = &mut self.returned[at];
            returned.op = None;
            returned.not_before_ns = now_ns.saturating_add(ms(returned.pause_ms));
            returned.pause_ms = pause_ms_max.min(returned.pause_ms * 2);
            self.session.uncertain_tail(self.topics[0].id);
        }
        self.events
            .push_back(ConsumerEvent::SendBackEnded { op, acknowledged });
    }
}
