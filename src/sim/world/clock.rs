//! A machine's two clocks, which may be wrong.
//!
//! ```text
//!   run's time ──(rate)──▶ monotonic clock ──(+ what the wall clock is off by)──▶ wall clock
//! ```
//!
//! The monotonic clock begins with the run's, and never falls: its rate changes,
//! it does not jump. The wall clock goes at the same rate, and is set at will.

/// Milliseconds since 1970 at the start of every run.
const EPOCH_MS: u64 = 1_700_000_000_000;
const PPM: i64 = 1_000_000;
const NS_PER_MS: i128 = 1_000_000;

const DRIFT_PPM_MAX: i64 = crate::scenario::DRIFT_PPM_MAX as i64;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    /// When the rate last changed, in the run's time and in its own.
    since_ns: u64,
    own_ns: u64,
    /// The sum of all drifts in force; see [`Clock::rate_ppm`].
    drift_ppm: i64,
    /// The highest rate so far.
    fastest_ppm: i64,
    /// The lead of the wall clock over the monotonic one.
    ahead_ns: i64,
    /// How often the wall clock was read while it was set wrong.
    read_wrong: u64,
}

impl Clock {
    /// The monotonic clock at a moment of the run, nanoseconds.
    pub(crate) fn own_ns(&self, now_ns: u64) -> u64 {
        if self.drift_ppm == 0 {
            return self.own_ns + (now_ns - self.since_ns);
        }
        let passed = i128::from(now_ns - self.since_ns) * i128::from(PPM + self.rate_ppm());
        self.own_ns + (passed / i128::from(PPM)) as u64
    }

    /// The first moment of the run at which the monotonic clock has come to
    /// `own_ns`; one that is past is when the rate last changed.
    pub(crate) fn reached_ns(&self, own_ns: u64) -> u64 {
        let left = i128::from(own_ns.saturating_sub(self.own_ns)) * i128::from(PPM);
        let rate = i128::from(PPM + self.rate_ppm());
        let left_ns = (left + rate - 1) / rate;
        self.since_ns
            .saturating_add(u64::try_from(left_ns).unwrap_or(u64::MAX))
    }

    /// The wall clock, milliseconds since 1970.
    pub(crate) fn wall_ms(&self, now_ns: u64) -> u64 {
        let since_start = i128::from(self.own_ns(now_ns)) + i128::from(self.ahead_ns);
        let wall_ms = i128::from(EPOCH_MS) + since_start.div_euclid(NS_PER_MS);
        wall_ms.max(0) as u64
    }

    /// As [`Clock::wall_ms`], counted.
    pub(crate) fn read_wall_ms(&mut self, now_ns: u64) -> u64 {
        self.read_wrong += u64::from(self.ahead_ns != 0);
        self.wall_ms(now_ns)
    }

    /// How often somebody was told a wrong time.
    pub(crate) fn read_wrong(&self) -> u64 {
        self.read_wrong
    }

    /// Goes so much faster from now on than before.
    pub(crate) fn drift(&mut self, now_ns: u64, by_ppm: i64) {
        self.own_ns = self.own_ns(now_ns);
        self.since_ns = now_ns;
        self.drift_ppm += by_ppm;
        self.fastest_ppm = self.fastest_ppm.max(self.rate_ppm());
    }

    /// The most that the monotonic clock has counted while so much time passed.
    pub(crate) fn counted_at_most_ns(&self, passed_ns: u64) -> u64 {
        let gained = u128::from(passed_ns) * self.fastest_ppm.unsigned_abs() as u128;
        passed_ns + gained.div_ceil(PPM as u128) as u64
    }

    /// The wall clock is set forward, or back.
    pub(crate) fn jump(&mut self, by_ns: i64) {
        self.ahead_ns += by_ns;
    }

    /// The gain of the monotonic clock in a million.
    pub(crate) fn rate_ppm(&self) -> i64 {
        self.drift_ppm.clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX)
    }

    /// The lead of the wall clock over the monotonic one, nanoseconds.
    pub(crate) fn ahead_ns(&self) -> i64 {
        self.ahead_ns
    }

    /// Whether both are as they should be, and always were.
    pub(crate) fn is_true(&self) -> bool {
        self.since_ns == 0 && self.ahead_ns == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, DRIFT_PPM_MAX, EPOCH_MS};

    const MS: u64 = 1_000_000;

    #[test]
    fn a_clock_that_drifts_never_falls_and_a_deadline_is_reached_on_it() {
        let mut clock = Clock::default();
        assert_eq!((clock.own_ns(7), clock.reached_ns(7)), (7, 7));
        clock.drift(1_000 * MS, 100_000);
        assert_eq!(clock.own_ns(2_000 * MS), 2_100 * MS);
        clock.drift(2_000 * MS, -200_000);
        assert_eq!(clock.own_ns(3_000 * MS), 3_000 * MS);
        clock.drift(3_000 * MS, 100_000);
        assert_eq!(clock.own_ns(4_000 * MS), 4_000 * MS);
        for ppm in [-100_000, -33_333, 1, 99_999] {
            let mut clock = Clock::default();
            clock.drift(5, ppm);
            for own_ns in [5, 6, 7, 1_000_003, 77_777_777] {
                let at_ns = clock.reached_ns(own_ns);
                assert!(clock.own_ns(at_ns) >= own_ns, "{ppm} {own_ns}");
                assert!(
                    at_ns == 5 || clock.own_ns(at_ns - 1) < own_ns,
                    "{ppm} {own_ns}"
                );
            }
        }
    }

    #[test]
    fn drifts_add_up_and_are_bounded() {
        let mut clock = Clock::default();
        clock.drift(0, DRIFT_PPM_MAX);
        clock.drift(0, DRIFT_PPM_MAX);
        assert_eq!(clock.own_ns(10), 11);
        clock.drift(10, -DRIFT_PPM_MAX);
        assert_eq!(clock.own_ns(20), 22, "one of two is left");
        assert_eq!(clock.counted_at_most_ns(20), 22);
        clock.drift(20, -2 * DRIFT_PPM_MAX);
        assert_eq!(clock.counted_at_most_ns(20), 22, "it was as fast");
        assert_eq!(Clock::default().counted_at_most_ns(20), 20);
    }

    #[test]
    fn only_the_wall_clock_jumps() {
        let mut clock = Clock::default();
        clock.jump(-(5_000 * MS as i64) - 1);
        assert_eq!(clock.wall_ms(5_000 * MS), EPOCH_MS - 1);
        assert_eq!(clock.own_ns(5_000 * MS), 5_000 * MS);
        assert_eq!(clock.read_wall_ms(0), EPOCH_MS - 5_001);
        clock.jump(5_000 * MS as i64 + 1);
        assert_eq!(clock.read_wall_ms(3 * MS), EPOCH_MS + 3);
        assert_eq!(clock.read_wrong(), 1);
    }
}
