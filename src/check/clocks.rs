//! How much time has passed by brokers' clocks, which may be wrong.
//!
//! A promise about time binds a broker by its own clocks: it has no others
//! (guarantee.md, section 2, "redelivery"). Waiting times are counted on a monotonic
//! clock. A broker that was opened meanwhile takes what had passed before from its
//! wall clock, against the stamp of another's.

use crate::history::{ClockChange, FaultKind, Ledger};

const PPM: i128 = 1_000_000;

/// The clocks of a run's brokers.
///
/// Invariant: a machine of which nothing is said has true clocks, and there is
/// always such a one.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// By machine, in the order of time.
    machines: Vec<Vec<ClockChange>>,
    /// When a broker was first to be opened again, nanoseconds.
    opened_ns: Option<u64>,
}

impl Clocks {
    /// The clocks that a ledger knows.
    pub(super) fn of(ledger: &Ledger) -> Self {
        let mut machines: Vec<Vec<ClockChange>> = Vec::new();
        for change in &ledger.clocks {
            match machines.iter_mut().find(|it| it[0].node == change.node) {
                Some(machine) => machine.push(*change),
                None => machines.push(vec![*change]),
            }
        }
        let mut fired = ledger.fired.iter();
        let opened = fired.find(|fault| opens_again(fault.kind));
        let opened = opened.map(|fault| fault.at_ns);
        Self {
            machines,
            opened_ns: opened.into_iter().chain(ledger.reopened_ns).min(),
        }
    }

    /// Whether, between two moments of the run, so much may have passed by some
    /// broker's clocks.
    pub(super) fn may_have_passed(&self, from_ns: u64, to_ns: u64, wanted_ns: u64) -> bool {
        let wanted_ns = i128::from(wanted_ns);
        if i128::from(to_ns) - i128::from(from_ns) >= wanted_ns {
            return true;
        }
        let mut elapsed = self
            .machines
            .iter()
            .map(|it| own_ns(it, to_ns) - own_ns(it, from_ns));
        if elapsed.any(|elapsed_ns| elapsed_ns >= wanted_ns) {
            return true;
        }
        self.opened_ns.is_some_and(|opened_ns| opened_ns <= to_ns)
            && self.latest_ns(from_ns, to_ns) - self.earliest_ns(from_ns, to_ns) >= wanted_ns
    }

    /// The latest that a broker can take the end for, which looked at its wall
    /// clock at any time before.
    fn latest_ns(&self, from_ns: u64, to_ns: u64) -> i128 {
        let each = self.machines.iter().map(|machine| {
            let changes = within(machine, from_ns, to_ns).map(|it| it.ahead_ns);
            let ahead = changes.chain([ahead_ns(machine, from_ns)]).max();
            own_ns(machine, to_ns) + i128::from(ahead.unwrap_or(0))
        });
        each.fold(i128::from(to_ns), i128::max)
    }

    /// The earliest that a broker can have stamped.
    fn earliest_ns(&self, from_ns: u64, to_ns: u64) -> i128 {
        let each = self.machines.iter().map(|machine| {
            let changes = within(machine, from_ns, to_ns);
            let changes = changes.map(|it| i128::from(it.own_ns) + i128::from(it.ahead_ns));
            let first = own_ns(machine, from_ns) + i128::from(ahead_ns(machine, from_ns));
            changes.fold(first, i128::min)
        });
        each.fold(i128::from(from_ns), i128::min)
    }
}

/// Whether a broker is opened again after such a fault, as the same process or
/// as another.
fn opens_again(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Kill
            | FaultKind::Restart
            | FaultKind::PowerLoss
            | FaultKind::DiskDestroyed
            | FaultKind::DiskRolledBack
            | FaultKind::SyncError
            | FaultKind::DiskFull
            | FaultKind::DiskError
            | FaultKind::StrayFile
    )
}

fn last(machine: &[ClockChange], at_ns: u64) -> Option<&ClockChange> {
    machine[..machine.partition_point(|it| it.at_ns <= at_ns)].last()
}

fn within(machine: &[ClockChange], from_ns: u64, to_ns: u64) -> impl Iterator<Item = &ClockChange> {
    let range = from_ns..=to_ns;
    machine.iter().filter(move |it| range.contains(&it.at_ns))
}

fn own_ns(machine: &[ClockChange], at_ns: u64) -> i128 {
    match last(machine, at_ns) {
        None => i128::from(at_ns),
        Some(change) => {
            let passed = i128::from(at_ns - change.at_ns) * (PPM + i128::from(change.rate_ppm));
            i128::from(change.own_ns) + passed / PPM
        }
    }
}

fn ahead_ns(machine: &[ClockChange], at_ns: u64) -> i64 {
    last(machine, at_ns).map_or(0, |change| change.ahead_ns)
}

#[cfg(test)]
mod tests {
    use super::{ClockChange, Clocks, Ledger};

    fn change(at_ns: u64, rate_ppm: i64, ahead_ns: i64) -> ClockChange {
        ClockChange {
            at_ns,
            node: 0,
            own_ns: at_ns,
            rate_ppm,
            ahead_ns,
        }
    }

    /// The most that may have passed between 1,000 and 2,000.
    fn most(changes: &[ClockChange], opened_ns: Option<u64>) -> u64 {
        let clocks = Clocks {
            machines: vec![changes.to_vec()],
            opened_ns,
        };
        let passes = |wanted_ns: &u64| clocks.may_have_passed(1_000, 2_000, *wanted_ns);
        (0..10_000).take_while(passes).last().unwrap()
    }

    #[test]
    fn a_broker_may_open_its_store_again_by_itself() {
        let ledger = Ledger {
            clocks: vec![change(0, 0, -700)],
            reopened_ns: Some(1_200),
            ..Ledger::default()
        };
        let clocks = Clocks::of(&ledger);
        assert!(clocks.may_have_passed(1_000, 1_300, 1_000));
        assert!(
            !clocks.may_have_passed(100, 1_100, 1_100),
            "only afterwards"
        );
    }

    #[test]
    fn true_clocks_say_what_has_passed() {
        let clocks = Clocks::default();
        assert!(clocks.may_have_passed(5, 15, 10));
        assert!(!clocks.may_have_passed(5, 15, 11));
    }

    #[test]
    fn a_fast_clock_has_counted_more_and_a_slow_one_excuses_nothing() {
        assert_eq!(most(&[change(0, 100_000, 0)], None), 1_100);
        assert_eq!(most(&[change(1_500, 100_000, 0)], None), 1_050);
        assert_eq!(most(&[change(0, -100_000, 0)], None), 1_000);
    }

    #[test]
    fn a_wall_clock_counts_for_who_was_opened_and_for_nobody_else() {
        let jumps = [change(1_500, 0, 3_000), change(1_600, 0, 0)];
        assert_eq!(most(&jumps, None), 1_000);
        assert_eq!(most(&jumps, Some(2_001)), 1_000, "only afterwards");
        assert_eq!(most(&jumps, Some(1_550)), 4_000);
        let back = [change(0, 0, 0), change(1_100, 0, -500)];
        assert_eq!(most(&back, Some(1_550)), 1_400, "stamped too early");
        let skewed = [change(0, 0, -700)];
        assert_eq!(most(&skewed, Some(0)), 1_700, "two clocks disagree");
    }
}
