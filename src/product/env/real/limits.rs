//! How many descriptors the process may hold, and who gets how many of them.
//!
//! Promise: the store keeps its share whatever clients do: without it a broker
//! could read nothing of its own.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer than this, and a broker with a few clients runs short.
pub const DESCRIPTORS_MIN: u64 = 256;
/// Descriptors beside the store's pool and the connections: what is being written
/// and replaced, listeners, the runtime's own.
pub const DESCRIPTORS_BESIDE: u64 = 48;
/// As many as a store makes use of.
const STORE_MAX: u64 = 1_024;

/// Raises the limit of descriptors as far as the process may, and gives it.
///
/// # Errors
/// The system's: the limit stays as it was.
pub fn raise_descriptors() -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(descriptors())
}

/// How many descriptors the process may hold.
#[must_use]
pub fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Of so many descriptors those that the store keeps: a quarter, and at least one.
#[must_use]
pub fn store_share(descriptors: u64) -> usize {
    (descriptors / 4).clamp(1, STORE_MAX) as usize
}

/// Of so many descriptors those that are left for connections.
#[must_use]
pub fn connections_share(descriptors: u64) -> usize {
    let kept = store_share(descriptors) as u64 + DESCRIPTORS_BESIDE;
    usize::try_from(descriptors.saturating_sub(kept).max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_fit_together() {
        for limit in [64, 256, 1_024, 4_096, 65_536, 1 << 30] {
            let both = store_share(limit) as u64 + connections_share(limit) as u64;
            assert!(both + DESCRIPTORS_BESIDE <= limit + 1, "{limit}");
        }
        assert_eq!(store_share(1_024), 256);
        assert_eq!(connections_share(1_024), 1_024 - 256 - 48);
        assert_eq!(connections_share(u64::MAX), usize::MAX - 1_024 - 48);
    }
}
