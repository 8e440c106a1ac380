//! A place in the log, as far as the log alone determines it.

/// The boundary between two entries: what a log that ends here is.
///
/// 1. `address` is a function of the entries below it (D20).
/// 2. Two logs with the same `hash` at the same `next_index` are equal up to
///    there (the chain, D10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Index of the entry to come next; the first entry's is 1.
    pub next_index: u64,
    /// Term of the last entry below; 0 before the first.
    pub term: u64,
    /// Log address of the entry to come next, so one past the last one's end.
    pub address: u64,
    /// Chain hash of the last entry below; 0 before the first.
    pub hash: u64,
}

impl Position {
    /// Before the first entry.
    pub const START: Self = Self {
        next_index: 1,
        term: 0,
        address: 0,
        hash: 0,
    };

    /// Whether this is the same place of the same log. The hash covers the term:
    /// behind a hole only a bound of it may be known, so it is not compared.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        let place = |at: &Self| (at.next_index, at.address, at.hash);
        place(self) == place(other)
    }
}
