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
//!
//! The appended entries stay in memory until the owner's next snapshot, which writes
//! and syncs them. So an append cannot fail for a missing descriptor or a full disk,
//! and none of the queues keeps a file open, however many there are.

mod writing;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Buf, BufMut, Bytes};

use super::CONSUME_QUEUE_DIR;
use crate::env::failure::medium_lost_data;
use crate::env::{Disk, File};
use writing::{Piece, Writing};

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
    /// A sync failed: the queue is poisoned.
    #[error("syncing {directory} failed: {source}")]
    Unsynced {
        /// The queue's directory.
        directory: String,
        /// The disk's error.
        source: io::Error,
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
            Self::TopicName { .. } | Self::Poisoned { .. } | Self::Unsynced { .. } => false,
        }
    }
}

/// An open queue. It has no file open but while it reads or syncs.
pub struct ConsumeQueue<D: Disk> {
    disk: D,
    /// That of its topic, and its own.
    parent: String,
    directory: Arc<str>,
    entries_per_file: u64,
    /// Entries below this have expired, or were never here.
    first_offset: u64,
    stored: Stored,
    /// The entries from `stored` on.
    recent: VecDeque<QueueEntry>,
    shared: Arc<Shared>,
}

/// How far the files reach, durably.
#[derive(Debug, Clone, Default)]
struct Stored {
    entries: u64,
    /// The last sector, as far as it is filled.
    last_sector: Vec<u8>,
    /// The file that the next entry goes to is this queue's own; otherwise it is
    /// begun anew, whatever stands under its name.
    has_file: bool,
    /// The directories are there, durably.
    has_directory: bool,
    /// Below this file none is left: by number.
    first_file: u64,
}

/// The result of a sync, for the queue.
#[derive(Debug, Default)]
struct Shared {
    stored: Mutex<Option<Stored>>,
    failed: AtomicBool,
}

impl Shared {
    fn take(&self) -> Option<Stored> {
        self.stored.lock().expect("nobody panics with it").take()
    }

    fn put(&self, stored: Stored) {
        *self.stored.lock().expect("nobody panics with it") = Some(stored);
    }
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
    /// were not there. Whether the files have it all is found when it is read.
    ///
    /// # Errors
    /// The topic names no directory.
    pub fn open(
        disk: D,
        topic: &str,
        queue_id: u32,
        entries_per_file: u64,
        trusted: &QueueTail,
    ) -> Result<Self, QueueError> {
        let parent = topic_directory(topic)?;
        let mut queue = Self {
            disk,
            entries_per_file,
            first_offset: trusted.first_offset,
            stored: Stored {
                entries: trusted.entries,
                last_sector: trusted.last_sector.to_vec(),
                ..Stored::default()
            },
            recent: VecDeque::new(),
            shared: Arc::default(),
            directory: format!("{parent}/{queue_id}").into(),
            parent,
        };
        let (_, position) = queue.place_of(trusted.entries);
        let in_sector = (position - queue.sector_down(position)) as usize;
        queue.stored.has_file = position > 0 && trusted.entries > trusted.first_offset;
        if !queue.stored.has_file {
            // It begins where the log does: what stands before it in its file is
            // nobody's.
            queue.stored.last_sector = vec![0; in_sector];
        }
        // Sectors may have been larger where that was written.
        let surplus = queue.stored.last_sector.len().saturating_sub(in_sector);
        queue.stored.last_sector.drain(..surplus);
        Ok(queue)
    }

    /// The number that the next entry gets.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.stored.entries + self.recent.len() as u64
    }

    /// How many entries are in memory alone.
    #[must_use]
    pub fn recent_entries(&self) -> usize {
        self.recent.len()
    }

    /// Appends entries, in memory: the next sync writes them.
    pub fn append(&mut self, entries: &[QueueEntry]) {
        self.settle();
        self.recent.extend(entries);
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
        let count = count.min(in_file);
        let stored = self.stored.entries.saturating_sub(offset).min(count);
        let recent: Vec<QueueEntry> = match offset.checked_sub(self.stored.entries) {
            Some(skip) => {
                let recent = self.recent.iter().skip(skip as usize);
                recent.take(count as usize).copied().collect()
            }
            None => Vec::new(),
        };
        // An offset from outside may be any number: no file is named after it.
        let (held, path) = match stored {
            0 => Default::default(),
            _ => (
                self.last_sector_over(number, position, stored),
                self.path(number),
            ),
        };
        let disk = self.disk.clone();
        async move {
            if stored == 0 {
                return Ok(recent);
            }
            let length = (stored * ENTRY_BYTES) as usize;
            let mut bytes = read_exactly(&disk, path, position, length, offset).await?;
            let from = length - held.len();
            bytes[from..].copy_from_slice(&held);
            Ok(decode(&bytes))
        }
    }

    /// The bytes of the last sector at the end of what is read: the file's own may
    /// be garbled by a power loss, since they are written more than once.
    fn last_sector_over(&self, number: u64, position: u64, entries: u64) -> Vec<u8> {
        let (last_number, end) = self.place_of(self.stored.entries);
        let upto = position + entries * ENTRY_BYTES;
        let held = &self.stored.last_sector;
        if number != last_number || !self.stored.has_file || end < upto {
            return Vec::new();
        }
        let held_from = end - held.len() as u64;
        let from = position.max(held_from);
        match from < upto {
            true => held[(from - held_from) as usize..(upto - held_from) as usize].to_vec(),
            false => Vec::new(),
        }
    }

    /// Writes what was appended before the call, makes it durable, and gives what
    /// to put into a snapshot for it. Stands alone; one at a time.
    ///
    /// # Errors
    /// The disk failed. After a sync that failed, or was given up halfway, the
    /// queue is poisoned: open it again. After anything else it may be tried
    /// again: it begins anew from what was durable before.
    pub fn sync(&mut self) -> impl Future<Output = Result<QueueTail, QueueError>> + Send + use<D> {
        self.settle();
        let healthy = self.healthy();
        let writing = self.writing();
        let (disk, shared) = (self.disk.clone(), self.shared.clone());
        async move {
            healthy?;
            if writing.is_needed() {
                writing.carry_out(&disk, &shared).await?;
            }
            Ok(writing.tail)
        }
    }

    /// Forgets the entries below `offset`: they have expired. The next owner of the queue
    /// must not ask for them: the next sync removes the files that hold nothing else.
    pub fn drop_below(&mut self, offset: u64) {
        self.settle();
        self.first_offset = self.first_offset.max(offset.min(self.next_offset()));
    }

    /// Takes over what a sync has made durable.
    fn settle(&mut self) {
        let stored = self.shared.take();
        if let Some(stored) = stored {
            let written = stored.entries - self.stored.entries;
            self.recent.drain(..written as usize);
            self.stored = stored;
        }
    }

    /// The work of a sync that begins now.
    fn writing(&self) -> Writing {
        let (first_file, _) = self.place_of(self.first_offset);
        let mut stored = Stored {
            entries: self.next_offset(),
            has_directory: self.stored.has_directory,
            first_file,
            ..self.stored.clone()
        };
        let mut pieces = Vec::new();
        let (mut at, mut rest) = (self.stored.entries, 0..self.recent.len());
        while !rest.is_empty() {
            let (number, position) = self.place_of(at);
            let room = self.entries_per_file - position / ENTRY_BYTES;
            let count = rest.len().min(room as usize);
            let mut bytes = match position {
                0 => Vec::new(),
                _ => std::mem::take(&mut stored.last_sector),
            };
            let from = position - bytes.len() as u64;
            encode(
                self.recent.range(rest.start..rest.start + count),
                &mut bytes,
            );
            let end = position + count as u64 * ENTRY_BYTES;
            let keep = bytes.len().min((end - self.sector_down(end)) as usize);
            stored.last_sector = bytes[bytes.len() - keep..].to_vec();
            pieces.push(Piece {
                path: self.path(number),
                begins: position == 0 || !stored.has_file,
                position: from,
                bytes: bytes.into(),
            });
            stored.has_file = end < self.file_bytes();
            if !stored.has_file {
                stored.last_sector.clear();
            }
            at += count as u64;
            rest.start += count;
        }
        let wants_directory = !pieces.is_empty() && !self.stored.has_directory;
        stored.has_directory |= wants_directory;
        Writing {
            tail: QueueTail {
                first_offset: self.first_offset,
                entries: stored.entries,
                last_sector: stored.last_sector.clone().into(),
            },
            directory: self.directory.to_string(),
            parent: wants_directory.then(|| self.parent.clone()),
            remove_below: (first_file > self.stored.first_file)
                .then(|| first_file * self.file_bytes()),
            pieces,
            stored,
        }
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

    fn sector_down(&self, position: u64) -> u64 {
        let sector_bytes = self.disk.sector_bytes() as u64;
        position / sector_bytes * sector_bytes
    }

    fn healthy(&self) -> Result<(), QueueError> {
        match self.shared.failed.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(QueueError::Poisoned {
                directory: self.directory.to_string(),
            }),
        }
    }
}

/// `length` bytes of a file that has them; `offset` is the first entry's.
async fn read_exactly<D: Disk>(
    disk: &D,
    path: String,
    position: u64,
    length: usize,
    offset: u64,
) -> Result<Vec<u8>, QueueError> {
    let read = async { disk.open(&path).await?.read_at(position, length).await };
    match read.await {
        Ok(bytes) if bytes.len() == length => Ok(bytes.to_vec()),
        Ok(_) => Err(QueueError::Lacking { path, offset }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(QueueError::Lacking { path, offset })
        }
        Err(source) => Err(QueueError::Io { path, source }),
    }
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

fn encode<'a>(entries: impl Iterator<Item = &'a QueueEntry>, bytes: &mut Vec<u8>) {
    for entry in entries {
        bytes.put_u64(entry.address);
        bytes.put_u32(entry.record_bytes);
        bytes.put_i64(entry.tag_hash);
    }
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
