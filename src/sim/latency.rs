//! How long something takes: uniform, with a rare long tail.

use super::random::Stream;

/// A latency distribution, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// At least this.
    pub min_ns: u64,
    /// In general at most this.
    pub max_ns: u64,
    /// Share of draws that fall into the tail instead.
    pub tail_share: f64,
    /// The tail's maximum; its minimum is `max_ns`.
    pub tail_max_ns: u64,
}

impl Latency {
    /// Uniform between two bounds, no tail.
    pub fn uniform(min_ns: u64, max_ns: u64) -> Self {
        Self {
            min_ns,
            max_ns,
            tail_share: 0.0,
            tail_max_ns: max_ns,
        }
    }

    /// One draw, nanoseconds.
    pub fn draw_ns(&self, random: &mut Stream) -> u64 {
        if self.tail_share > 0.0 && random.chance(self.tail_share) {
            return random.between(self.max_ns, self.tail_max_ns);
        }
        random.between(self.min_ns, self.max_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::Latency;
    use crate::sim::random::{Purpose, Stream};

    #[test]
    fn draws_stay_within_their_bounds_and_the_tail_is_reached() {
        let latency = Latency {
            min_ns: 10,
            max_ns: 20,
            tail_share: 0.1,
            tail_max_ns: 500,
        };
        let mut random = Stream::new(1, Purpose::Network);
        let draws: Vec<u64> = (0..1_000).map(|_| latency.draw_ns(&mut random)).collect();
        assert!(draws.iter().all(|&ns| (10..=500).contains(&ns)));
        let tail = draws.iter().filter(|&&ns| ns > 20).count();
        assert!((50..200).contains(&tail), "{tail} of 1000 in the tail");
    }
}
