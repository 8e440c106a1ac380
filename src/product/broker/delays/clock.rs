//! When what waits is due.
//!
//! Every replica counts, on the clock that no one sets, from when it applied the
//! scheduled entry: so a new leader has counted all along, and a jump of the wall
//! clock delays nothing and hastens nothing while brokers run (D30). A message that a
//! broker finds waiting when it starts is as old as the wall clock says, by the time
//! in its record, never less than nothing and never more than its delay. A clock that
//! jumped while no broker counted makes it early, which is bad manners, or late by
//! one delay at most, counted from the start: a later start does not count anew.
//!
//! Cost: a look costs what is due, not what waits; nothing where nothing does.

use std::collections::BTreeSet;

use super::Delays;

const NS_PER_MS: u64 = 1_000_000;
/// Pause before what was found due is looked at again, nanoseconds: it is
/// delivered by then, or the delivery was cut, or could not be appended.
const AGAIN_NS: u64 = 200 * NS_PER_MS;
/// Pause between two looks, nanoseconds, so that a crowd of due messages leaves
/// time for everything else.
const PAUSE_NS: u64 = NS_PER_MS;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::broker) struct DelayClock {
    /// When each is due, and its log address.
    due: BTreeSet<(u64, u64)>,
    /// Those below this log address are in `due`, or were delivered.
    seen_address: u64,
    /// Those below this log address were there when the store was opened.
    old_below_address: u64,
    look_at_ns: u64,
}

impl DelayClock {
    /// Of a store that is opened with a log that ends there.
    pub(in crate::broker) fn of_log(end_address: u64) -> Self {
        Self {
            old_below_address: end_address,
            ..Self::default()
        }
    }

    /// Takes in what was applied since: everything below an address, `now_ns` and
    /// `wall_ms` by the broker's clock and by the one that may jump.
    pub(in crate::broker) fn follow(
        &mut self,
        delays: &Delays,
        levels_ms: &[u64],
        applied_address: u64,
        (now_ns, wall_ms): (u64, u64),
    ) {
        for (address, delayed) in delays.from(self.seen_address) {
            let delay_ms = delay_ms(levels_ms, delayed.queue_id);
            let passed_ms = match address < self.old_below_address {
                // Both are rounded down: up to one more has not passed.
                true => wall_ms.saturating_sub(delayed.stored_ms.saturating_add(1)),
                false => 0,
            };
            let left_ms = delay_ms.saturating_sub(passed_ms);
            self.due.insert((now_ns + left_ms * NS_PER_MS, address));
        }
        self.seen_address = applied_address;
    }

    /// When the next look is due; `None`: nothing waits.
    pub(in crate::broker) fn deadline_ns(&self) -> Option<u64> {
        let (first_ns, _) = self.due.first()?;
        Some(self.look_at_ns.max(*first_ns))
    }

    /// A message that waits at this address is not due again as long as the store is
    /// open.
    pub(super) fn gives_up(&mut self, address: u64) {
        self.due.retain(|(_, waiting)| *waiting != address);
    }

    /// Log addresses of what is due, those due first first: as many as have so many
    /// bytes, and one at least. Each is given again after a pause while it waits.
    pub(super) fn take_due(
        &mut self,
        delays: &Delays,
        now_ns: u64,
        (messages_max, bytes_max): (usize, u64),
    ) -> Vec<u64> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        if self.deadline_ns().is_none_or(|due_ns| due_ns > now_ns) {
            return taken;
        }
        self.look_at_ns = now_ns + PAUSE_NS;
        while taken.len() < messages_max
            && bytes < bytes_max
            && let Some((due_ns, address)) = self.due.first().copied()
            && due_ns <= now_ns
        {
            self.due.remove(&(due_ns, address));
            if let Some(delayed) = delays.get(address) {
                bytes += u64::from(delayed.record_bytes);
                self.due.insert((now_ns + AGAIN_NS, address));
                taken.push(address);
            }
        }
        taken
    }
}

/// The delay of a queue of the schedule topic. Levels that the configuration no
/// longer has are the last one.
fn delay_ms(levels_ms: &[u64], queue_id: u32) -> u64 {
    let level = levels_ms.get(queue_id as usize).or(levels_ms.last());
    level.copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::{DelayEffect, Delayed, Delays};
    use super::{AGAIN_NS, DelayClock, NS_PER_MS, PAUSE_NS, delay_ms};

    const LOOK_MAX: usize = 64;
    const MOST: (usize, u64) = (LOOK_MAX, u64::MAX);

    const LEVELS_MS: [u64; 2] = [100, 500];

    fn with(delays: &mut Delays, address: u64, queue_id: u32, stored_ms: u64) {
        let delayed = Delayed {
            queue_id,
            record_bytes: 1,
            stored_ms,
        };
        delays.apply(DelayEffect::Scheduled { address, delayed });
    }

    #[test]
    fn an_applied_message_is_due_a_delay_later_whatever_the_wall_clock_says() {
        let (mut delays, mut clock) = (Delays::default(), DelayClock::of_log(10));
        assert_eq!(clock.deadline_ns(), None);
        with(&mut delays, 10, 1, 0);
        clock.follow(&delays, &LEVELS_MS, 20, (NS_PER_MS, 1_000));
        with(&mut delays, 20, 0, u64::MAX);
        clock.follow(&delays, &LEVELS_MS, 30, (2 * NS_PER_MS, 9_000));
        assert_eq!(clock.deadline_ns(), Some(102 * NS_PER_MS));
        assert!(
            clock
                .take_due(&delays, 102 * NS_PER_MS - 1, MOST)
                .is_empty()
        );
        assert_eq!(clock.take_due(&delays, 102 * NS_PER_MS, MOST), [20]);
        delays.apply(DelayEffect::Delivered {
            scheduled_address: 20,
        });
        assert_eq!(clock.take_due(&delays, 501 * NS_PER_MS, MOST), [10]);
    }

    #[test]
    fn a_stored_message_is_as_old_as_the_wall_clock_says_within_its_delay() {
        for (stored_ms, left_ms) in [(1_000, 100), (1_060, 100), (940, 41), (0, 0)] {
            let (mut delays, mut clock) = (Delays::default(), DelayClock::of_log(20));
            with(&mut delays, 10, 0, stored_ms);
            clock.follow(&delays, &LEVELS_MS, 20, (0, 1_000));
            assert_eq!(
                clock.deadline_ns(),
                Some(left_ms * NS_PER_MS),
                "{stored_ms}"
            );
        }
    }

    #[test]
    fn an_undelivered_message_is_due_again_and_a_crowd_takes_turns() {
        let (mut delays, mut clock) = (Delays::default(), DelayClock::of_log(1_000));
        for address in 0..LOOK_MAX as u64 + 1 {
            with(&mut delays, address, 0, 0);
        }
        clock.follow(&delays, &LEVELS_MS, 1_000, (0, 1_000));
        assert_eq!(clock.take_due(&delays, 0, MOST).len(), LOOK_MAX);
        assert_eq!(clock.deadline_ns(), Some(PAUSE_NS));
        assert!(clock.take_due(&delays, PAUSE_NS - 1, MOST).is_empty());
        assert_eq!(clock.take_due(&delays, PAUSE_NS, MOST), [LOOK_MAX as u64]);
        assert_eq!(clock.deadline_ns(), Some(AGAIN_NS));
        for scheduled_address in 1..LOOK_MAX as u64 + 1 {
            delays.apply(DelayEffect::Delivered { scheduled_address });
        }
        assert_eq!(clock.take_due(&delays, AGAIN_NS, MOST), [0]);
        let last_ns = PAUSE_NS + AGAIN_NS;
        assert_eq!(clock.deadline_ns(), Some(last_ns));
        assert!(
            clock.take_due(&delays, last_ns, MOST).is_empty(),
            "delivered"
        );
        assert_eq!(clock.deadline_ns(), Some(2 * AGAIN_NS));
    }

    #[test]
    fn levels_that_are_gone_are_the_last_one() {
        assert_eq!(delay_ms(&LEVELS_MS, 0), 100);
        assert_eq!(delay_ms(&LEVELS_MS, 17), 500);
        assert_eq!(delay_ms(&[], 0), 0);
    }
}
