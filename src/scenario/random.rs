//! One random stream per purpose, so that a draw more in one never shifts
//! another.
//!
//! The network may draw as often as it likes: the faults of a seed stay the same.
//!
//! ```
//! use zeroloss::scenario::random::{Purpose, Stream};
//!
//! let mut network = Stream::new(7, Purpose::Network);
//! let before: Vec<u64> = (0..1_000).map(|_| network.below(100)).collect();
//! assert!(before.iter().all(|drawn| *drawn < 100));
//!
//! let mut faults = Stream::new(7, Purpose::Faults);
//! let mut alone = Stream::new(7, Purpose::Faults);
//! assert_eq!(faults.next_u64(), alone.next_u64());
//!
//! // Each broker's disk has a stream of its own.
//! let mut disks = [0, 1].map(|broker| Stream::lane(7, Purpose::Disk, broker));
//! assert_ne!(disks[0].next_u64(), disks[1].next_u64());
//! ```

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The purpose that a stream is drawn for. The number is the ChaCha stream: append
/// only, or every recorded seed changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The messages of clients, and their times.
    Workload = 1,
    /// The faults that fire, their times, and their victims.
    Faults = 2,
    /// Latencies of disks.
    Disk = 3,
    /// Latencies and fates on the network.
    Network = 4,
    /// The numbers that the product gets from `Env::random_u64`.
    Product = 5,
    /// The pending bytes that survive a power loss.
    Survival = 6,
    /// The operations of the operator, and their times.
    Operator = 7,
    /// The differences from broker to broker: election timeouts.
    Cluster = 8,
    /// The things that a seed leaves out of a swarm, and the sizes and rates of the rest.
    Swarm = 9,
    /// The machines that heal for good.
    Core = 10,
    /// Settings that brokers are started with anew, and whether a swarm's seed does
    /// such things.
    Settings = 11,
    /// Habits of clients that are not ours.
    Habits = 31,
    /// A setting of a swarm.
    Setting = 32,
}

/// A seeded stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of one purpose under a run's seed.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self::numbered(seed, purpose as u64)
    }

    /// A further stream: `lane` tells apart several users of one purpose.
    pub fn lane(seed: u64, purpose: Purpose, lane: u32) -> Self {
        Self::numbered(seed, (u64::from(lane) + 1) << 8 | purpose as u64)
    }

    fn numbered(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply-shift: the bias is below 2^-32 for every bound used here.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high - low).saturating_add(1))
    }

    /// True with probability `share`.
    pub fn chance(&mut self, share: f64) -> bool {
        ((self.next_u64() >> 11) as f64) < share * (1u64 << 53) as f64
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}
