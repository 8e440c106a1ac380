//! The proof of how far the log is durable, and whether the last stop was a clean one.
//!
//! Promise: a checkpoint is never ahead of the data that it describes; its
//! `clean` counts only while no `abort` file stands (RocketMQ's name: made
//! before the first append, removed by a clean stop alone).

use std::io;

use bytes::{Buf, BufMut};

use super::Position;
use super::atomic_file::{self, AtomicFile};
use crate::env::{Disk, File};

/// The file under the root that holds the checkpoint.
pub const CHECKPOINT_FILE: &str = "checkpoint";
/// The file under the root that stands while a log is open.
pub const ABORT_FILE: &str = "abort";

/// The content of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log was durable up to here when this was written.
    pub durable: Position,
    /// Generation of the newest segment then. A segment of a later generation
    /// that begins lower has cut the log there, and this claim with it.
    pub generation: u64,
    /// Written by a clean stop.
    pub clean: bool,
}

/// The checkpoint as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointState {
    /// Verified.
    Whole(Checkpoint),
    /// None stands there.
    Missing,
    /// It does not verify: what it proved durable is not known.
    Corrupt {
        /// The check that failed.
        why: String,
    },
}

/// Replaces the checkpoint, durably.
pub(super) async fn write<D: Disk>(disk: &D, checkpoint: Checkpoint) -> io::Result<()> {
    atomic_file::replace(disk, CHECKPOINT_FILE, &encode(checkpoint)).await
}

/// Reads the checkpoint.
pub(super) async fn read<D: Disk>(disk: &D) -> io::Result<CheckpointState> {
    Ok(match atomic_file::read(disk, CHECKPOINT_FILE).await? {
        AtomicFile::Missing => CheckpointState::Missing,
        AtomicFile::Corrupt { why } => CheckpointState::Corrupt { why },
        AtomicFile::Whole(payload) => decode(&payload).map_or_else(
            || CheckpointState::Corrupt {
                why: "of another version".to_owned(),
            },
            CheckpointState::Whole,
        ),
    })
}

/// Whether `abort` stands.
pub(super) async fn is_aborted<D: Disk>(disk: &D) -> io::Result<bool> {
    Ok(disk.list("").await?.iter().any(|name| name == ABORT_FILE))
}

/// Puts `abort` there, durably.
pub(super) async fn raise_abort<D: Disk>(disk: &D) -> io::Result<()> {
    match disk.create(ABORT_FILE).await {
        Ok(file) => file.sync_all().await?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // Also for one that stood already: maybe in the cache alone, before a kill.
    disk.sync_dir("").await
}

/// Takes `abort` away, durably: the last step of a clean stop.
pub(super) async fn lower_abort<D: Disk>(disk: &D) -> io::Result<()> {
    disk.remove(ABORT_FILE).await?;
    disk.sync_dir("").await
}

fn encode(checkpoint: Checkpoint) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.put_u64(checkpoint.durable.next_index);
    payload.put_u64(checkpoint.durable.term);
    payload.put_u64(checkpoint.durable.address);
    payload.put_u64(checkpoint.durable.hash);
    payload.put_u64(checkpoint.generation);
    payload.put_u8(u8::from(checkpoint.clean));
    payload
}

fn decode(mut payload: &[u8]) -> Option<Checkpoint> {
    let durable = Position {
        next_index: payload.try_get_u64().ok()?,
        term: payload.try_get_u64().ok()?,
        address: payload.try_get_u64().ok()?,
        hash: payload.try_get_u64().ok()?,
    };
    let generation = payload.try_get_u64().ok()?;
    let clean = match payload.try_get_u8().ok()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    payload.is_empty().then_some(Checkpoint {
        durable,
        generation,
        clean,
    })
}
