//! Messages that cannot be processed at first, or never.

use std::ops::RangeInclusive;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::history::Value;

/// The messages that fail, and how often: the same for every member of the group.
#[derive(Debug, Clone)]
pub struct Failing {
    /// One message in so many fails.
    pub one_in: u64,
    /// So many attempts at it fail.
    pub times: RangeInclusive<u64>,
    /// When a message comes again that is sent back for the first time, the
    /// second, and so on, nanoseconds. One that was sent back so often already is
    /// given up.
    pub delays_ns: Vec<u64>,
    /// Decides both.
    pub seed: u64,
}

impl Failing {
    /// So many attempts at the message of that value fail.
    pub(super) fn attempts_in_vain(&self, value: Value) -> u32 {
        let dice = xxh3_64_with_seed(&value.sequence.to_be_bytes(), self.seed ^ value.digest);
        if !dice.is_multiple_of(self.one_in) {
            return 0;
        }
        let spread = self.times.end() - self.times.start() + 1;
        let times = self.times.start() + dice / self.one_in % spread;
        u32::try_from(times).unwrap_or(u32::MAX)
    }

    /// How long it then takes; `None`: it is given up.
    pub(super) fn delay_ns(&self, times: u32) -> Option<u64> {
        self.delays_ns.get(times as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Failing;
    use crate::history::Value;

    #[test]
    fn one_in_some_fails_so_often_as_is_said() {
        let failing = Failing {
            one_in: 4,
            times: 1..=3,
            delays_ns: vec![10, 20],
            seed: 7,
        };
        let vain = (0..1_000).map(|sequence| {
            failing.attempts_in_vain(Value {
                sequence,
                ..Value::MIN
            })
        });
        let mut counts = [0; 4];
        vain.for_each(|times| counts[times as usize] += 1);
        assert!((700..800).contains(&counts[0]), "{counts:?}");
        assert!(counts[1..].iter().all(|count| *count > 50), "{counts:?}");
        assert_eq!(
            [0, 1, 2].map(|it| failing.delay_ns(it)),
            [Some(10), Some(20), None]
        );
    }
}
