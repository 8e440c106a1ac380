//! Where a log begins, and what everything before it amounts to (D8). A broker that
//! stands alone has none stored before something expires.
//!
//! Promise: base and log together are the whole broker. The base is derived
//! state, with the place in the log from which on every unexpired record is
//! found: so a snapshot is the base and the live segments, referenced, not
//! copied. It is stored before anything below it goes.

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::snapshot::Lines;
use super::state::AppliedState;
use crate::env::Disk;
use crate::log::{AtomicFile, Position, read_atomic_file, replace_atomic_file};
use crate::raft::{EntryId, NUMBER_MAX};

/// The base's file, at the root of a disk.
pub const BASE_FILE: &str = "base";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    /// Where the log begins.
    pub(super) position: Position,
    /// The state that the entries before it lead to; of a replica with a configuration,
    /// always.
    pub(super) state: AppliedState,
}

/// The form on disk and on the wire: a line of JSON, and then the state's lines. In
/// the form before this one the state was in this line, too.
#[derive(Serialize, Deserialize)]
struct Stored {
    next_index: u64,
    term: u64,
    address: u64,
    hash: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    state: String,
}

impl Base {
    /// The last entry that it stands for.
    pub(super) fn id(&self) -> EntryId {
        EntryId {
            term: self.position.term,
            index: self.position.next_index - 1,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.lines().flatten().collect()
    }

    /// The encoded form, line by line.
    pub(super) fn lines(&self) -> impl Iterator<Item = Vec<u8>> + Send + use<> {
        let Position {
            next_index,
            term,
            address,
            hash,
        } = self.position;
        let stored = Stored {
            next_index,
            term,
            address,
            hash,
            state: String::new(),
        };
        let mut first = serde_json::to_vec(&stored).expect("a base is plain data");
        first.push(b'\n');
        let state = Lines::of(&self.state, self.state.queue_beginnings());
        std::iter::once(first).chain(state)
    }

    /// Where nothing has expired: the log's own beginning.
    pub(super) fn start() -> Self {
        Self {
            position: Position::START,
            state: AppliedState::default(),
        }
    }

    /// Reads a replica's base; the error says why it is none.
    pub(super) fn decode_of_replica(bytes: &[u8]) -> Result<Self, String> {
        let base = Self::decode(bytes)?;
        match base.state.configuration {
            Some(_) => Ok(base),
            None => Err("a base without a configuration".to_owned()),
        }
    }

    /// Reads a base; the error says why it is none.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (first, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        let stored: Stored = serde_json::from_slice(first).map_err(|why| why.to_string())?;
        let (state, _) = match end {
            Some(_) => AppliedState::decode(rest)?,
            None => AppliedState::decode(stored.state.as_bytes())?,
        };
        let numbers = [stored.next_index, stored.term, stored.address];
        if stored.next_index == 0 || numbers.iter().any(|number| *number > NUMBER_MAX) {
            return Err("a base at a place that no log has".to_owned());
        }
        Ok(Self {
            position: Position {
                next_index: stored.next_index,
                term: stored.term,
                address: stored.address,
                hash: stored.hash,
            },
            state,
        })
    }

    /// The base on a replica's disk; `None` on a blank one (D14).
    pub(super) async fn read<D: Disk>(disk: &D) -> Result<Option<Self>, StoreError> {
        Self::read_as(disk, Self::decode_of_replica).await
    }

    /// The base on the disk of a broker that stands alone, stored once more: a file that
    /// is read need not be durable (D23), and below it segments go.
    pub(super) async fn renewed_single<D: Disk>(disk: &D) -> Result<Self, StoreError> {
        let Some(base) = Self::read_as(disk, Self::decode).await? else {
            return Ok(Self::start());
        };
        Self::store(disk, &base.encode()).await?;
        Ok(base)
    }

    async fn read_as<D: Disk>(
        disk: &D,
        decode: fn(&[u8]) -> Result<Self, String>,
    ) -> Result<Option<Self>, StoreError> {
        let failed = |source| StoreError::Io {
            doing: "reading the base",
            source,
        };
        let forgotten = |why| StoreError::Amnesia {
            path: BASE_FILE,
            why,
        };
        match read_atomic_file(disk, BASE_FILE).await.map_err(failed)? {
            AtomicFile::Missing => Ok(None),
            AtomicFile::Corrupt { why } => Err(forgotten(why)),
            AtomicFile::Whole(payload) => decode(&payload).map(Some).map_err(forgotten),
        }
    }

    /// Stores a base durably, from its encoded form.
    pub(super) async fn store<D: Disk>(disk: &D, encoded: &[u8]) -> Result<(), StoreError> {
        let stored = replace_atomic_file(disk, BASE_FILE, encoded).await;
        stored.map_err(|source| StoreError::Io {
            doing: "storing the base",
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Base;
    use crate::broker::state::AppliedState;
    use crate::log::Position;
    use crate::raft::{Configuration, NUMBER_MAX, ReplicaId};

    fn base(next_index: u64, address: u64) -> Base {
        let configuration = Configuration::of_voters([ReplicaId { node: 1, disk: 9 }]);
        let state = AppliedState {
            configuration: Some(configuration),
            applied_address: address,
            ..AppliedState::default()
        };
        Base {
            position: Position {
                next_index,
                address,
                ..Position::START
            },
            state,
        }
    }

    #[test]
    fn a_base_comes_back_and_one_of_a_place_that_no_log_has_is_none() {
        let whole = base(NUMBER_MAX, NUMBER_MAX);
        assert_eq!(Base::decode(&whole.encode()), Ok(whole));
        for (next_index, address) in [(0, 0), (u64::MAX, 0), (1, u64::MAX), (1, NUMBER_MAX + 1)] {
            let none = base(next_index, address).encode();
            assert!(Base::decode(&none).is_err(), "{next_index} {address}");
        }
    }
}
