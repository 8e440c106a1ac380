//! Writing a queue: its recent entries, its directories and its expired files.

use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{ENTRY_BYTES, QueueError, QueueTail, Shared, Stored, file_path};
use crate::env::{Disk, File};
use crate::log::CONSUME_QUEUE_DIR;
use crate::log::atomic_file::create_afresh;

/// The work of a sync, alone.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) tail: QueueTail,
    pub(super) directory: String,
    /// The topic's directory, where it and the queue's are to be made.
    pub(super) parent: Option<String>,
    pub(super) pieces: Vec<Piece>,
    /// Files that begin below that byte of the queue have expired.
    pub(super) remove_below: Option<u64>,
    pub(super) stored: Stored,
}

/// Consecutive bytes of one file.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) path: String,
    /// A file that is begun is a new file, whatever a crash left under its name.
    pub(super) begins: bool,
    pub(super) position: u64,
    pub(super) bytes: Bytes,
}

impl Writing {
    pub(super) fn is_needed(&self) -> bool {
        !self.pieces.is_empty() || self.remove_below.is_some()
    }

    /// Writes first, which may fail as often as it likes; then syncs, which may
    /// fail once (D23).
    pub(super) async fn carry_out<D: Disk>(
        &self,
        disk: &D,
        shared: &Shared,
    ) -> Result<(), QueueError> {
        let failed = |path: &str| {
            let path = path.to_owned();
            |source| QueueError::Io { path, source }
        };
        if self.parent.is_some() {
            let made = disk.create_dir(&self.directory).await;
            made.map_err(failed(&self.directory))?;
        }
        let mut files = Vec::new();
        for piece in &self.pieces {
            let file = piece.open(disk).await?;
            let written = file.write_at(piece.position, piece.bytes.clone()).await;
            written.map_err(failed(&piece.path))?;
            files.push(file);
        }
        if let Some(below) = self.remove_below {
            let removed = remove_expired(disk, &self.directory, below).await;
            removed.map_err(failed(&self.directory))?;
        }
        let outcome = WriteOutcome {
            shared,
            succeeded: false,
        };
        let synced = self.sync(disk, files).await;
        outcome
            .of(synced, &self.stored)
            .map_err(|source| QueueError::Unsynced {
                directory: self.directory.clone(),
                source,
            })
    }

    async fn sync<D: Disk>(&self, disk: &D, files: Vec<D::File>) -> io::Result<()> {
        for file in files {
            file.sync_data().await?;
        }
        if let Some(parent) = &self.parent {
            disk.sync_dir(CONSUME_QUEUE_DIR).await?;
            disk.sync_dir(parent).await?;
        }
        if self.parent.is_some() || self.pieces.iter().any(|piece| piece.begins) {
            disk.sync_dir(&self.directory).await?;
        }
        Ok(())
    }
}

impl Piece {
    async fn open<D: Disk>(&self, disk: &D) -> Result<D::File, QueueError> {
        let path = self.path.clone();
        let opened = match self.begins {
            true => create_afresh(disk, &path).await,
            false => disk.open(&path).await,
        };
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let offset = self.position / ENTRY_BYTES;
                Err(QueueError::Lacking { path, offset })
            }
            opened => opened.map_err(|source| QueueError::Io { path, source }),
        }
    }
}

/// Removes the files that end below the first entry. Those that a crash brings
/// back are removed by the first sync after it. A name that no file of a queue has, and a
/// directory, are somebody else's.
async fn remove_expired<D: Disk>(disk: &D, directory: &str, below: u64) -> io::Result<()> {
    let names = match disk.list(directory).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    for name in names {
        let path = format!("{directory}/{name}");
        let begins: Option<u64> = name.parse().ok();
        let begins = begins.filter(|begins| path == file_path(directory, *begins));
        if begins.is_some_and(|begins| begins < below) {
            match disk.remove(&path).await {
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

/// Poisons the queue unless the sync is known to have succeeded: one that was
/// given up halfway leaves as little to rest on as one that failed.
struct WriteOutcome<'a> {
    shared: &'a Shared,
    succeeded: bool,
}

impl WriteOutcome<'_> {
    fn of(mut self, synced: io::Result<()>, stored: &Stored) -> io::Result<()> {
        self.succeeded = synced.is_ok();
        if self.succeeded {
            self.shared.put(stored.clone());
        }
        synced
    }
}

impl Drop for WriteOutcome<'_> {
    fn drop(&mut self) {
        if !self.succeeded {
            self.shared.failed.store(true, Ordering::Relaxed);
        }
    }
}
