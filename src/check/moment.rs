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

#[cfg(test)]
mod tests {
    use super::At;

    #[test]
    fn cut_to_milliseconds_and_padded() {
        assert_eq!(At(11_020_999_999).to_string(), "11.020s");
        assert_eq!(format!("{:>9}", At(5)), "   0.000s");
    }
}
