//! Seeds that were not run before: `zeroloss run --fresh N`.
//!
//! Promise: their start follows from the commit that is checked out, so that each
//! landing meets others and anybody can run the same ones again. Seeds that are
//! always the same find what they found once, and nothing else
//! (reports/findings/051-a-cut-below-the-first-segment.md).

use std::fmt;
use std::ops::Range;
use std::process::Command;

use xxhash_rust::xxh3::xxh3_64;

/// Distance between two starts: ranges shorter than this never overlap in part.
const STRIDE: u64 = 1_000_000;
/// So many different starts, all above [`STRIDE`]: seeds stay short to type.
const STARTS: u64 = 900_000;

/// The thing that decides the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The commit that is checked out, in hexadecimal digits.
    Commit(String),
    /// This version of the program, where there is no checkout.
    Version(&'static str),
}

impl Origin {
    /// That of the folder in which the program runs.
    pub(super) fn here() -> Self {
        let asked = Command::new("git").args(["rev-parse", "HEAD"]).output();
        let commit = asked
            .ok()
            .filter(|asked| asked.status.success())
            .and_then(|asked| String::from_utf8(asked.stdout).ok())
            .map(|text| text.trim().to_owned());
        match commit {
            Some(commit) if !commit.is_empty() => Self::Commit(commit),
            _ => Self::Version(env!("CARGO_PKG_VERSION")),
        }
    }

    /// So many seeds.
    pub(super) fn seeds(&self, count: u64) -> Range<u64> {
        let name = match self {
            Self::Commit(commit) => commit.as_str(),
            Self::Version(version) => version,
        };
        let start = (1 + xxh3_64(name.as_bytes()) % STARTS) * STRIDE;
        start..start + count
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit) => write!(f, "commit {}", &commit[..commit.len().min(10)]),
            Self::Version(version) => {
                write!(f, "version {version}, as there is no git checkout here")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, STRIDE};

    #[test]
    fn each_commit_has_its_own_seeds_and_always_the_same() {
        let of = |commit: &str| Origin::Commit(commit.to_owned()).seeds(150);
        let first = of("3b1ca952db8d3a1c2b3f");
        assert_eq!(first, of("3b1ca952db8d3a1c2b3f"));
        assert_eq!(first.end - first.start, 150);
        assert!(first.start >= STRIDE, "beyond what files name");
        assert_ne!(first, of("95300b52db8d3a1c2b3f"));
        assert_ne!(first, Origin::Version("0.1.0").seeds(150));
    }
}
