//! Simulated time in words.

use std::fmt;

/// Nanoseconds since the start of the run, or a span of them, shown as seconds
/// with three decimals: `11.020s`. Cut, not rounded: two moments keep their
/// order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(pub u64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 / 1_000_000;
        f.pad(&format!("{}.{:03}s", ms / 1_000, ms % 1_000))
    }
}
