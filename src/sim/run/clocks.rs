//! Clocks that are wrong.
//!
//! A scenario's change of a broker's wall clock changes what the clock reads and no
//! timer; a drift changes both of a machine's clocks, and what it waits for comes
//! earlier or later. Nobody of those whose clocks these are can know.

use super::phases::{MS_NS, Run};
use crate::history::ClockChange;
use crate::sim::net::NodeId;
use crate::sim::world::Clock;

impl Run<'_> {
    /// How often somebody on a machine was told a wrong time.
    pub(super) fn told_wrong_times(&self, node: usize) -> u64 {
        self.world.lock().core.clock(node as NodeId).read_wrong()
    }

    pub(super) fn set_ahead(&mut self, node: usize, by_ns: i64) {
        let change = |clock: &mut Clock, _| clock.jump(by_ns);
        self.world.change_clock(node as NodeId, change);
        self.note_clock(node);
    }

    pub(super) fn set_rate(&mut self, node: usize, by_ppm: i64) {
        let change = |clock: &mut Clock, now_ns| clock.drift(now_ns, by_ppm);
        self.world.change_clock(node as NodeId, change);
        self.note_clock(node);
    }

    /// Notes how a broker's clocks go from now on.
    fn note_clock(&mut self, node: usize) {
        if !self.is_broker_s(node) {
            return;
        }
        let inner = self.world.lock();
        let (clock, at_ns) = (inner.core.clock(node as NodeId), inner.core.now_ns);
        self.ledger.clocks.push(ClockChange {
            at_ns,
            node: node as NodeId,
            own_ns: clock.own_ns(at_ns),
            rate_ppm: clock.rate_ppm(),
            ahead_ns: clock.ahead_ns(),
        });
    }

    /// Whether a wall clock that is wrong by so much passes a deadline or an
    /// expiry by it: of a request in flight, of what waits to be delivered, of a
    /// half message nobody has decided, of the oldest message.
    pub(super) fn passes_a_deadline(&self, by_ns: i64) -> bool {
        let by_ns = by_ns.unsigned_abs();
        let now_ns = self.world.now_ns();
        let timeout_ns = self.scenario.client.send_timeout_ms * MS_NS;
        let broker = &self.scenario.cluster.broker;
        let check_ns = broker.transaction_timeout_ms * MS_NS;
        let retention_ns = broker.retention_ms.map(|ms| ms * MS_NS);
        let any_sent = self.clients.iter().any(|it| it.progress.acknowledged() > 0);
        (self.sends_in_flight() > 0 && timeout_ns <= by_ns)
            || self.follower.is_any_due(now_ns..=now_ns + by_ns)
            || (!self.follower.undecided.is_empty() && check_ns <= by_ns)
            || retention_ns.is_some_and(|it| any_sent && it <= now_ns + by_ns)
    }
}
