//! A queue's entries by number: RocketMQ's ConsumeQueue, 20 bytes each.
//!
//! ```text
//! log address 8 │ record length 4 │ tag hash 8            (big-endian)
//! consumequeue/<topic>/<queue>/<byte offset of the first entry, 20 digits>
//! ```
//!
//! Promise: derived from the log and never trusted beyond what the owner's own
//! snapshot vouches for; whatever stands behind that is written anew. An entry
//! carries no checksum: what it leads to is verified by the log at every use.
//!
//! A sector at the end is written more than once, so a power loss may garble
//! what it held before. That is why a [`QueueTail`] carries those bytes itself.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, BufMut, Bytes};

use super::CONSUME_QUEUE_DIR;
use super::aside::create_afresh;
use crate::env::failure::medium_lost_data;
use crate::env::{Disk, File};

/// Bytes of an entry.
const ENTRY_BYTES: u64 = 20;

/// One message of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueEntry {
    /// The message's log address.
    pub address: u64,
    /// Its record's length, bytes.
    pub record_bytes: u32,
    /// Hash of its tag ([`crate::record::tag_hash`]); 0 without one.
    pub tag_hash: i64,
}

/// How much of a queue is durable: what an owner's snapshot keeps, and what
/// [`ConsumeQueue::open`] trusts. The default is an empty queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueTail {
    /// The number of the first entry that is there: those below have expired,
    /// or were never on this disk.
    pub first_offset: u64,
    /// The number that the next entry gets.
    pub entries: u64,
    /// The bytes of the queue's last sector, as far as it is filled.
    pub last_sector: Bytes,
}

/// Why a queue did not do what it was asked to. The owner opens it again, from
/// an earlier [`QueueTail`] or from nothing, and dispatches anew.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The topic cannot be a directory's name.
    #[error("topic {topic:?} cannot name a directory")]
    TopicName {
        /// The topic.
        topic: String,
    },
    /// A file lacks entries that were trusted.
    #[error("{path} lacks entries from {offset} on; rebuild the queue from the log")]
    Lacking {
        /// The file.
        path: String,
        /// The first of them.
        offset: u64,
    },
    /// An earlier sync of this queue failed (D23).
    #[error("an earlier sync of {directory} failed: reopen it")]
    Poisoned {
        /// The queue's directory.
        directory: String,
    },
    /// The disk failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: String,
        /// The disk's error.
        source: io::Error,
    },
}

impl QueueError {
    /// Whether what the queue holds is not to be had any more, so that it has to
    /// be made again. Any other failure leaves it as it was.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Lacking { .. } => true,
            Self::Io { source, .. } => medium_lost_data(source),
            Self::TopicName { .. } | Self::Poisoned { .. } => false,
        }
    }
}

/// An open queue.
pub struct ConsumeQueue<D: Disk> {
    disk: D,
    directory: Arc<str>,
    entries_per_file: u64,
    /// Entries below this have expired, or were never here.
    first_offset: u64,
    entries: u64,
    last_sector: Vec<u8>,
    /// Open files by number, all below the queue's end.
    files: BTreeMap<u64, D::File>,
    /// Files written since the last sync.
    dirty: BTreeSet<u64>,
    /// Directories with entries since the last sync, parents first.
    dirty_directories: Vec<String>,
    failed: Arc<AtomicBool>,
}

impl QueueTail {
    /// Of a queue without entries whose next one gets that number.
    #[must_use]
    pub fn beginning_at(first_offset: u64) -> Self {
        Self {
            first_offset,
            entries: first_offset,
            last_sector: Bytes::new(),
        }
    }
}

impl<D: Disk> ConsumeQueue<D> {
    /// Opens a queue, as far as `trusted` goes; everything behind it is as if it
    /// were not there.
    ///
    /// # Errors
    /// The files have less than is trusted, or the disk fails.
    pub async fn open(
        disk: D,
        topic: &str,
        queue_id: u32,
        entries_per_file: u64,
        trusted: &QueueTail,
    ) -> Result<Self, QueueError> {
        let parent = topic_directory(topic)?;
        let directory = format!("{parent}/{queue_id}");
        let failed = |source| QueueError::Io {
            path: directory.clone(),
            source,
        };
        disk.create_dir(&directory).await.map_err(failed)?;
        let mut queue = Self {
            disk,
            entries_per_file,
            first_offset: trusted.first_offset,
            entries: trusted.entries,
            last_sector: trusted.last_sector.to_vec(),
            files: BTreeMap::new(),
            dirty: BTreeSet::new(),
            dirty_directories: vec![CONSUME_QUEUE_DIR.to_owned(), parent, directory.clone()],
            failed: Arc::default(),
            directory: directory.into(),
        };
        queue.remove_expired().await?;
        if trusted.entries == trusted.first_offset {
            queue.begin().await?;
        } else {
            queue.open_files().await?;
            queue.restore_last_sector().await?;
        }
        Ok(queue)
    }

    /// The number that the next entry gets.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.entries
    }

    /// Appends entries, in one write for each file that they reach.
    ///
    /// # Errors
    /// The disk failed, maybe halfway: open the queue again.
    pub async fn append(&mut self, entries: &[QueueEntry]) -> Result<(), QueueError> {
        self.healthy()?;
        let mut rest = entries;
        while !rest.is_empty() {
            let (number, position) = self.place_of(self.entries);
            let room = self.entries_per_file - position / ENTRY_BYTES;
            let (now, later) = rest.split_at(rest.len().min(room as usize));
            let file = self.file_for(number, position).await?;
            let bytes: Bytes = encode(now).into();
            let failed = |source| QueueError::Io {
                path: self.path(number),
                source,
            };
            file.write_at(position, bytes.clone())
                .await
                .map_err(failed)?;
            self.dirty.insert(number);
            self.entries += now.len() as u64;
            self.extend_last_sector(position, &bytes);
            rest = later;
        }
        Ok(())
    }

    /// Reads up to `count` entries from `offset` on: fewer at the end of the
    /// queue or of a file. Stands alone.
    ///
    /// # Errors
    /// The disk failed, or the file has less than it should.
    pub fn read(
        &self,
        offset: u64,
        count: u64,
    ) -> impl Future<Output = Result<Vec<QueueEntry>, QueueError>> + Send + use<D> {
        let (number, position) = self.place_of(offset);
        let in_file = self.entries_per_file - position / ENTRY_BYTES;
        let count = count.min(in_file).min(self.entries.saturating_sub(offset));
        let file = self.files.get(&number).cloned();
        let (directory, file_bytes) = (self.directory.clone(), self.file_bytes());
        let path = move || file_path(&directory, number * file_bytes);
        async move {
            let Some(file) = file.filter(|_| count > 0) else {
                return Ok(Vec::new());
            };
            let length = (count * ENTRY_BYTES) as usize;
            match file.read_at(position, length).await {
                Ok(bytes) if bytes.len() == length => Ok(decode(&bytes)),
                Ok(_) => Err(QueueError::Lacking {
                    path: path(),
                    offset,
                }),
                Err(source) => Err(QueueError::Io {
                    path: path(),
                    source,
                }),
            }
        }
    }

    /// Makes durable what was appended before the call, and gives what to put
    /// into a snapshot for it. Stands alone.
    ///
    /// # Errors
    /// The disk failed: the queue is poisoned, open it again.
    pub fn sync(&mut self) -> impl Future<Output = Result<QueueTail, QueueError>> + Send + use<D> {
        let healthy = self.healthy();
        let covered = QueueTail {
            first_offset: self.first_offset,
            entries: self.entries,
            last_sector: self.last_sector.clone().into(),
        };
        let dirty = std::mem::take(&mut self.dirty);
        let files: Vec<_> = dirty
            .iter()
            .map(|number| self.files[number].clone())
            .collect();
        let directories = std::mem::take(&mut self.dirty_directories);
        let (disk, path) = (self.disk.clone(), self.directory.to_string());
        let outcome = Outcome {
            failed: self.failed.clone(),
            succeeded: false,
        };
        async move {
            healthy?;
            let failed = |source| QueueError::Io { path, source };
            outcome
                .of(sync_all(disk, files, directories).await)
                .map_err(failed)?;
            Ok(covered)
        }
    }

    /// Forgets the entries from `offset` on; their numbers are given again.
    ///
    /// # Errors
    /// The disk failed: open the queue again.
    pub async fn truncate_to(&mut self, offset: u64) -> Result<(), QueueError> {
        self.healthy()?;
        if offset >= self.entries {
            return Ok(());
        }
        self.entries = offset;
        let (number, position) = self.place_of(offset);
        let keep = |file: &u64| *file < number || (*file == number && position > 0);
        self.files.retain(|file, _| keep(file));
        self.dirty.retain(keep);
        self.last_sector.clear();
        self.restore_last_sector().await
    }

    /// Forgets the entries below `offset`: they have expired. Whoever opens the
    /// queue again must not ask for them: what holds nothing else is removed.
    ///
    /// # Errors
    /// The disk failed: open the queue again.
    pub async fn drop_below(&mut self, offset: u64) -> Result<(), QueueError> {
        self.healthy()?;
        let (before, _) = self.place_of(self.first_offset);
        self.first_offset = self.first_offset.max(offset.min(self.entries));
        let (first, _) = self.place_of(self.first_offset);
        if first > before {
            self.files.retain(|number, _| *number >= first);
            self.dirty.retain(|number| *number >= first);
            self.remove_expired().await?;
        }
        Ok(())
    }

    /// Removes the files that end below the first entry. Those that a crash
    /// brings back are removed when the queue is opened.
    async fn remove_expired(&mut self) -> Result<(), QueueError> {
        let failed = |source| QueueError::Io {
            path: self.directory.to_string(),
            source,
        };
        let (first, _) = self.place_of(self.first_offset);
        if first == 0 {
            return Ok(());
        }
        for name in self.disk.list(&self.directory).await.map_err(failed)? {
            let begins: Option<u64> = name.parse().ok();
            if begins.is_some_and(|begins| begins < first * self.file_bytes()) {
                let path = format!("{}/{name}", self.directory);
                self.disk.remove(&path).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The file of an entry and its position there.
    fn place_of(&self, offset: u64) -> (u64, u64) {
        (
            offset / self.entries_per_file,
            offset % self.entries_per_file * ENTRY_BYTES,
        )
    }

    fn path(&self, number: u64) -> String {
        file_path(&self.directory, number * self.file_bytes())
    }

    fn file_bytes(&self) -> u64 {
        self.entries_per_file * ENTRY_BYTES
    }

    /// The file to append to. A file that is begun anew is a new file, whatever
    /// a truncation or a crash left under its name.
    async fn file_for(&mut self, number: u64, position: u64) -> Result<D::File, QueueError> {
        if let Some(file) = self.files.get(&number) {
            return Ok(file.clone());
        }
        assert_eq!(position, 0, "a file that is begun is open");
        self.create_file(number).await
    }

    async fn create_file(&mut self, number: u64) -> Result<D::File, QueueError> {
        let path = self.path(number);
        let created = create_afresh(&self.disk, &path).await;
        let file = created.map_err(|source| QueueError::Io { path, source })?;
        let is_dirty = |known: &String| **known == *self.directory;
        if !self.dirty_directories.iter().any(is_dirty) {
            self.dirty_directories.push(self.directory.to_string());
        }
        self.files.insert(number, file.clone());
        Ok(file)
    }

    /// Begins where the log does: what stands before it in its file is nobody's.
    async fn begin(&mut self) -> Result<(), QueueError> {
        let (number, position) = self.place_of(self.first_offset);
        self.last_sector = vec![0; (position - self.sector_down(position)) as usize];
        if position > 0 {
            self.create_file(number).await?;
        }
        Ok(())
    }

    async fn open_files(&mut self) -> Result<(), QueueError> {
        let first = self.first_offset / self.entries_per_file;
        for number in first..self.entries.div_ceil(self.entries_per_file) {
            let path = self.path(number);
            let file = match self.disk.open(&path).await {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let offset = number * self.entries_per_file;
                    return Err(QueueError::Lacking { path, offset });
                }
                Err(source) => return Err(QueueError::Io { path, source }),
            };
            self.files.insert(number, file);
        }
        Ok(())
    }

    /// Puts the last sector in order, in the file and in memory: what the tail
    /// vouches for is rewritten, what it lacks is read.
    async fn restore_last_sector(&mut self) -> Result<(), QueueError> {
        let (number, end) = self.place_of(self.entries);
        let Some(file) = self.files.get(&number).filter(|_| end > 0).cloned() else {
            self.last_sector.clear();
            return Ok(());
        };
        let path = self.path(number);
        let failed = |source| QueueError::Io {
            path: path.clone(),
            source,
        };
        let from = self.sector_down(end);
        let given_from = end - (self.last_sector.len() as u64).min(end - from);
        let read = file
            .read_at(from, (given_from - from) as usize)
            .await
            .map_err(failed)?;
        if read.len() as u64 != given_from - from {
            return Err(QueueError::Lacking {
                path,
                offset: self.entries,
            });
        }
        let given = self
            .last_sector
            .split_off(self.last_sector.len() - (end - given_from) as usize);
        if !given.is_empty() {
            file.write_at(given_from, given.clone().into())
                .await
                .map_err(failed)?;
            self.dirty.insert(number);
        }
        self.last_sector = [&read, &given[..]].concat();
        Ok(())
    }

    /// Keeps in memory what the file's last sector holds.
    fn extend_last_sector(&mut self, position: u64, written: &[u8]) {
        if position == 0 {
            self.last_sector.clear();
        }
        self.last_sector.extend_from_slice(written);
        let end = position + written.len() as u64;
        let keep = (end - self.sector_down(end)) as usize;
        self.last_sector.drain(..self.last_sector.len() - keep);
    }

    fn sector_down(&self, position: u64) -> u64 {
        let sector_bytes = self.disk.sector_bytes() as u64;
        position / sector_bytes * sector_bytes
    }

    fn healthy(&self) -> Result<(), QueueError> {
        match self.failed.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(QueueError::Poisoned {
                directory: self.directory.to_string(),
            }),
        }
    }
}

/// Poisons the queue unless the sync is known to have succeeded: one that was
/// given up halfway leaves as little to rest on as one that failed.
struct Outcome {
    failed: Arc<AtomicBool>,
    succeeded: bool,
}

impl Outcome {
    fn of(mut self, synced: io::Result<()>) -> io::Result<()> {
        self.succeeded = synced.is_ok();
        synced
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if !self.succeeded {
            self.failed.store(true, Ordering::Relaxed);
        }
    }
}

async fn sync_all<D: Disk>(
    disk: D,
    files: Vec<D::File>,
    directories: Vec<String>,
) -> io::Result<()> {
    for file in files {
        file.sync_data().await?;
    }
    for directory in directories {
        disk.sync_dir(&directory).await?;
    }
    Ok(())
}

fn topic_directory(topic: &str) -> Result<String, QueueError> {
    let plain = !topic.is_empty() && !topic.starts_with('.') && !topic.contains(['/', '\0']);
    match plain {
        true => Ok(format!("{CONSUME_QUEUE_DIR}/{topic}")),
        false => Err(QueueError::TopicName {
            topic: topic.to_owned(),
        }),
    }
}

fn encode(entries: &[QueueEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES as usize);
    for entry in entries {
        bytes.put_u64(entry.address);
        bytes.put_u32(entry.record_bytes);
        bytes.put_i64(entry.tag_hash);
    }
    bytes
}

/// The file whose first byte is that one of the queue.
fn file_path(directory: &str, byte_offset: u64) -> String {
    format!("{directory}/{byte_offset:020}")
}

fn decode(bytes: &[u8]) -> Vec<QueueEntry> {
    let entry = |mut fields: &[u8]| QueueEntry {
        address: fields.get_u64(),
        record_bytes: fields.get_u32(),
        tag_hash: fields.get_i64(),
    };
    bytes
        .chunks_exact(ENTRY_BYTES as usize)
        .map(entry)
        .collect()
}
