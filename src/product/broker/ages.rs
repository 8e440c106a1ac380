//! How long entries have stood in a broker's log: what expiry is decided by
//! (D30: "against bounded time; a clock jump expires nothing").
//!
//! The wall clock is not asked, since it jumps. Time counts while the broker
//! runs; while it does not, and since the last snapshot before a crash, none
//! passes. So what a leader, or the only broker, lets expire is older than the
//! retention, never younger.
//!
//! ```text
//!   ran     1 h        2 h        3 h  now
//!   log  ────┴──────────┴──────────┴────▶   a mark: all below was applied then
//! ```

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::entries::Expire;
use super::error::StoreError;
use crate::env::Disk;
use crate::log::{AtomicFile, read_atomic_file, replace_atomic_file};

/// The ages' file, at the root of a broker's disk, alone or a replica.
pub const AGES_FILE: &str = "ages";
const NS_PER_MS: u64 = 1_000_000;

/// All below that place was applied when the broker had run for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    address: u64,
    next_index: u64,
    ran_ms: u64,
}

/// The stored form: JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    ran_ms: u64,
    marks: VecDeque<Mark>,
}

/// See the module. The marks ascend in address and in time.
#[derive(Debug, Default)]
pub(super) struct Ages {
    stored: Stored,
    looked_ns: u64,
}

impl Ages {
    /// Goes on where the disk says that the last life ended. An age that is not there, or
    /// does not verify, makes everything young.
    pub(super) async fn read<D: Disk>(
        disk: &D,
        now_ns: u64,
        applied_address: u64,
    ) -> Result<Self, StoreError> {
        let read = read_atomic_file(disk, AGES_FILE).await;
        let read = read.map_err(|source| StoreError::Io {
            doing: "reading the ages",
            source,
        })?;
        let mut stored: Stored = match read {
            AtomicFile::Whole(payload) => serde_json::from_slice(&payload).unwrap_or_default(),
            AtomicFile::Missing | AtomicFile::Corrupt { .. } => Stored::default(),
        };
        // A log that was lost from there on may have other entries by now.
        stored.marks.retain(|mark| mark.address <= applied_address);
        Ok(Self {
            stored,
            looked_ns: now_ns,
        })
    }

    /// All below `applied` is here by now. Marks are `apart_bytes` of the log
    /// apart; those below `base_address` are not needed any more.
    pub(super) fn look(
        &mut self,
        now_ns: u64,
        applied: Expire,
        apart_bytes: u64,
        base_address: u64,
    ) {
        let Stored { ran_ms, marks } = &mut self.stored;
        let passed_ms = now_ns.saturating_sub(self.looked_ns) / NS_PER_MS;
        *ran_ms += passed_ms;
        self.looked_ns += passed_ms * NS_PER_MS;
        marks.retain(|mark| mark.address > base_address);
        let last = marks.back().map_or(base_address, |mark| mark.address);
        if applied.address >= last + apart_bytes {
            marks.push_back(Mark {
                address: applied.address,
                next_index: applied.next_index,
                ran_ms: *ran_ms,
            });
        }
    }

    /// The last mark that is at least so old, as of the last look, and not above
    /// `needed_address`.
    pub(super) fn older_than(&self, retention_ms: u64, needed_address: u64) -> Option<Expire> {
        let Stored { ran_ms, marks } = &self.stored;
        let old = marks.partition_point(|mark| {
            mark.ran_ms + retention_ms <= *ran_ms && mark.address <= needed_address
        });
        let mark = marks.get(old.checked_sub(1)?)?;
        Some(Expire {
            address: mark.address,
            next_index: mark.next_index,
        })
    }

    /// Stores the ages as they are now; nothing where there are none. Stands
    /// alone.
    pub(super) fn store<D: Disk>(
        &self,
        disk: D,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<D> {
        let payload = (!self.stored.marks.is_empty())
            .then(|| serde_json::to_vec(&self.stored).expect("ages are plain data"));
        async move {
            let Some(payload) = payload else {
                return Ok(());
            };
            let written = replace_atomic_file(&disk, AGES_FILE, &payload).await;
            written.map_err(|source| StoreError::Io {
                doing: "storing the ages",
                source,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ages, Expire};

    const MS: u64 = 1_000_000;

    fn at(address: u64) -> Expire {
        Expire {
            address,
            next_index: address / 10,
        }
    }

    #[test]
    fn an_entry_is_as_old_as_its_time_here() {
        let mut ages = Ages::default();
        ages.look(0, at(100), 100, 0);
        ages.look(400 * MS, at(250), 100, 0);
        ages.look(999 * MS, at(260), 100, 0);
        assert_eq!(ages.older_than(1_000, u64::MAX), None);
        ages.look(1_000 * MS, at(270), 100, 0);
        assert_eq!(ages.older_than(1_000, u64::MAX), Some(at(100)));
        assert_eq!(ages.older_than(600, u64::MAX), Some(at(250)));
        assert_eq!(
            ages.older_than(600, 249),
            Some(at(100)),
            "needed from 249 on"
        );
        assert_eq!(ages.older_than(600, 99), None);
        ages.look(1_500 * MS, at(270), 100, 100);
        assert_eq!(
            ages.older_than(1_000, u64::MAX),
            Some(at(250)),
            "below the base"
        );
    }

    #[test]
    fn marks_are_apart() {
        let mut ages = Ages::default();
        for step in 0..100 {
            ages.look(step * MS, at(10 * step), 100, 0);
        }
        assert_eq!(ages.stored.marks.len(), 9);
    }

    #[test]
    fn no_time_passes_while_the_broker_does_not_run() {
        let mut ages = Ages::default();
        ages.look(600 * MS, at(100), 100, 0);
        // Its clock begins anew: at a later time, or at an earlier one.
        for opened_ns in [10_000 * MS, 0] {
            let mut next = Ages {
                stored: ages.stored.clone(),
                looked_ns: opened_ns,
            };
            next.look(opened_ns + 300 * MS, at(200), 100, 0);
            assert_eq!(next.older_than(301, u64::MAX), None);
            assert_eq!(next.older_than(300, u64::MAX), Some(at(100)));
        }
    }
}
