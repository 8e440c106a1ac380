//! A disk that keeps few descriptors, however many files are open.
//!
//! Promise: a file of a [`Pooled`] disk means what a file of any disk means, and
//! outlives its name like one. Its descriptor may be closed between two uses, the one
//! that was used longest ago first, and is opened again by name. Some files must not
//! be closed and are kept: a file with something written and not synced (the error of
//! a writeback is told to the holder of the descriptor, D23), and one whose name is
//! gone.
//!
//! ```text
//!   open ──▶ held ──── another needs room ───▶ closed
//!             ▲ └ written: kept until synced     │
//!             └────────────── used ◀─────────────┘
//! ```
//!
//! Without a bound a broker holds a descriptor for every segment of its log, and
//! a process that has none left cannot even read its own identity.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::{Disk, File};

/// A file's number in its pool.
type Number = u64;

/// See the module. Clones are the same disk.
pub struct Pooled<D: Disk> {
    disk: D,
    pool: Arc<Mutex<Pool<D>>>,
}

/// An open file of a [`Pooled`] disk.
pub struct PooledFile<D: Disk> {
    open: Arc<Open<D>>,
}

struct Open<D: Disk> {
    number: Number,
    disk: Pooled<D>,
}

struct Pool<D: Disk> {
    held_max: usize,
    files: BTreeMap<Number, Slot<D>>,
    /// The files that hold a descriptor, by when it was used last.
    held: BTreeMap<u64, Number>,
    next_number: Number,
    uses: u64,
}

struct Slot<D: Disk> {
    path: String,
    file: Option<D::File>,
    used: u64,
    /// How often it was written to, and up to which of these it is synced.
    writes: u64,
    synced: u64,
    /// By its path another file would be opened, or none.
    is_nameless: bool,
}

impl<D: Disk> Slot<D> {
    fn may_be_closed(&self) -> bool {
        self.writes == self.synced && !self.is_nameless
    }
}

impl<D: Disk> Pool<D> {
    fn insert(&mut self, path: &str, file: D::File) -> Number {
        self.next_number += 1;
        let slot = Slot {
            path: path.to_owned(),
            file: None,
            used: 0,
            writes: 0,
            synced: 0,
            is_nameless: false,
        };
        self.files.insert(self.next_number, slot);
        self.hold(self.next_number, file);
        self.next_number
    }

    fn slot(&mut self, number: Number) -> &mut Slot<D> {
        let slot = self.files.get_mut(&number);
        slot.expect("a file that is open has its slot")
    }

    fn hold(&mut self, number: Number, file: D::File) {
        self.slot(number).file = Some(file);
        self.touch(number);
    }

    fn touch(&mut self, number: Number) {
        self.uses += 1;
        let uses = self.uses;
        let slot = self.slot(number);
        let before = std::mem::replace(&mut slot.used, uses);
        self.held.remove(&before);
        self.held.insert(uses, number);
    }

    /// Takes the descriptors that are too many, those used longest ago first.
    fn surplus(&mut self) -> Vec<D::File> {
        let mut surplus = Vec::new();
        let Self { files, held, .. } = self;
        let mut too_many = held.len().saturating_sub(self.held_max);
        if too_many == 0 {
            return surplus;
        }
        held.retain(|_, number| {
            let slot = files.get_mut(number).expect("what is held has its slot");
            let closes = too_many > 0 && slot.may_be_closed();
            if closes {
                too_many -= 1;
                surplus.extend(slot.file.take());
            }
            !closes
        });
        surplus
    }

    fn named(&self, path: &str) -> Vec<Number> {
        let files = self.files.iter();
        let named = files.filter(|(_, slot)| slot.path == path && !slot.is_nameless);
        named.map(|(number, _)| *number).collect()
    }
}

impl<D: Disk> Pooled<D> {
    /// The disk, with at most `held_max` descriptors of files that may be closed.
    pub fn new(disk: D, held_max: usize) -> Self {
        let pool = Pool {
            held_max,
            files: BTreeMap::new(),
            held: BTreeMap::new(),
            next_number: 0,
            uses: 0,
        };
        Self {
            disk,
            pool: Arc::new(Mutex::new(pool)),
        }
    }

    /// How many descriptors are held now.
    pub fn held(&self) -> usize {
        self.lock().held.len()
    }

    fn lock(&self) -> MutexGuard<'_, Pool<D>> {
        self.pool.lock().expect("no holder of the pool panics")
    }

    /// Closes what is too many. Outside the lock: a file may have work to do
    /// when it is closed.
    fn close_surplus(&self) {
        let surplus = self.lock().surplus();
        drop(surplus);
    }

    fn opened(&self, path: &str, file: D::File) -> PooledFile<D> {
        let number = self.lock().insert(path, file);
        let opened = PooledFile {
            open: Arc::new(Open {
                number,
                disk: self.clone(),
            }),
        };
        self.close_surplus();
        opened
    }

    /// The descriptor of an open file, opened again where it was closed.
    async fn descriptor(&self, number: Number) -> io::Result<D::File> {
        loop {
            let path = {
                let mut pool = self.lock();
                if let Some(file) = pool.slot(number).file.clone() {
                    pool.touch(number);
                    return Ok(file);
                }
                pool.slot(number).path.clone()
            };
            let file = self.disk.open(&path).await?;
            let mut pool = self.lock();
            let slot = pool.slot(number);
            // Renamed meanwhile: this may be another file.
            if slot.path == path && slot.file.is_none() {
                pool.hold(number, file.clone());
                drop(pool);
                self.close_surplus();
                return Ok(file);
            }
        }
    }

    /// The name is about to be gone: a process that has the file open keeps it.
    async fn outlive(&self, path: &str) -> io::Result<Vec<Number>> {
        let named = self.lock().named(path);
        for number in &named {
            let writes = {
                let mut pool = self.lock();
                let slot = pool.slot(*number);
                slot.writes += 1;
                slot.writes
            };
            // Not closed between here and there, for it counts as written to.
            let kept = self.descriptor(*number).await;
            let mut pool = self.lock();
            let slot = pool.slot(*number);
            slot.is_nameless = kept.is_ok();
            if slot.writes == writes && slot.synced + 1 == writes {
                slot.synced = writes;
            }
            kept?;
        }
        Ok(named)
    }

    /// The name stays: the operation on it failed.
    fn keep_names(&self, numbers: &[Number]) {
        let mut pool = self.lock();
        for number in numbers {
            if let Some(slot) = pool.files.get_mut(number) {
                slot.is_nameless = false;
            }
        }
    }
}

impl<D: Disk> Clone for Pooled<D> {
    fn clone(&self) -> Self {
        Self {
            disk: self.disk.clone(),
            pool: self.pool.clone(),
        }
    }
}

impl<D: Disk> Disk for Pooled<D> {
    type File = PooledFile<D>;

    fn sector_bytes(&self) -> usize {
        self.disk.sector_bytes()
    }

    async fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes().await
    }

    async fn create(&self, path: &str) -> io::Result<PooledFile<D>> {
        let file = self.disk.create(path).await?;
        Ok(self.opened(path, file))
    }

    async fn open(&self, path: &str) -> io::Result<PooledFile<D>> {
        let file = self.disk.open(path).await?;
        Ok(self.opened(path, file))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let replaced = match from == to {
            true => Vec::new(),
            false => self.outlive(to).await?,
        };
        if let Err(error) = self.disk.rename(from, to).await {
            self.keep_names(&replaced);
            return Err(error);
        }
        let mut pool = self.lock();
        for number in pool.named(from) {
            pool.slot(number).path = to.to_owned();
        }
        Ok(())
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        let removed = self.outlive(path).await?;
        let done = self.disk.remove(path).await;
        if done.is_err() {
            self.keep_names(&removed);
        }
        done
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(directory).await
    }

    async fn create_dir(&self, directory: &str) -> io::Result<()> {
        self.disk.create_dir(directory).await
    }

    async fn sync_dir(&self, directory: &str) -> io::Result<()> {
        self.disk.sync_dir(directory).await
    }
}

impl<D: Disk> Drop for Open<D> {
    fn drop(&mut self) {
        let slot = {
            let mut pool = self.disk.lock();
            let slot = pool.files.remove(&self.number);
            if let Some(slot) = &slot {
                pool.held.remove(&slot.used);
            }
            slot
        };
        drop(slot);
    }
}

impl<D: Disk> Clone for PooledFile<D> {
    fn clone(&self) -> Self {
        Self {
            open: self.open.clone(),
        }
    }
}

impl<D: Disk> PooledFile<D> {
    async fn descriptor(&self) -> io::Result<D::File> {
        self.open.disk.descriptor(self.open.number).await
    }

    /// The descriptor, kept from here on until a sync.
    async fn to_write(&self) -> io::Result<D::File> {
        self.open.disk.lock().slot(self.open.number).writes += 1;
        self.descriptor().await
    }

    fn written(&self) -> u64 {
        self.open.disk.lock().slot(self.open.number).writes
    }

    /// A sync that began when so much was written ended well.
    fn is_synced(&self, writes: u64) {
        let mut pool = self.open.disk.lock();
        let slot = pool.slot(self.open.number);
        slot.synced = slot.synced.max(writes);
        drop(pool);
        self.open.disk.close_surplus();
    }
}

impl<D: Disk> File for PooledFile<D> {
    async fn write_at(&self, position: u64, bytes: Bytes) -> io::Result<()> {
        self.to_write().await?.write_at(position, bytes).await
    }

    async fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes> {
        self.descriptor().await?.read_at(position, length).await
    }

    async fn data_from(&self, position: u64) -> io::Result<Option<u64>> {
        self.descriptor().await?.data_from(position).await
    }

    async fn set_len(&self, length: u64) -> io::Result<()> {
        self.to_write().await?.set_len(length).await
    }

    async fn size_bytes(&self) -> io::Result<u64> {
        self.descriptor().await?.size_bytes().await
    }

    async fn sync_data(&self) -> io::Result<()> {
        let writes = self.written();
        self.descriptor().await?.sync_data().await?;
        self.is_synced(writes);
        Ok(())
    }

    async fn sync_all(&self) -> io::Result<()> {
        let writes = self.written();
        self.descriptor().await?.sync_all().await?;
        self.is_synced(writes);
        Ok(())
    }
}
