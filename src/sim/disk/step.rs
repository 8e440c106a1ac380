//! A model as [`crate::env::Disk`], every operation ending at once, with a
//! crash at a chosen one.
//!
//! For "any sequence of operations, and a crash at every point of it":
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use zeroloss::env::{Disk, File};
//! use zeroloss::sim::disk::{DiskConfig, DiskModel, StepDisk, DiskSurvival, block_on};
//! use zeroloss::sim::random::{Purpose, Stream};
//!
//! async fn work(disk: &StepDisk) -> std::io::Result<()> {
//!     let file = disk.create("a").await?;
//!     disk.sync_dir("").await?;
//!     file.write_at(0, b"x".to_vec().into()).await?;
//!     file.sync_data().await
//! }
//!
//! for crash in 0..5 {
//!     let model = Arc::new(Mutex::new(DiskModel::new(DiskConfig::default())));
//!     let disk = StepDisk::new(model.clone());
//!     disk.crash_at(crash);
//!     let ended = block_on(work(&disk));
//!     assert_eq!(ended.is_ok(), crash == 4);
//!     let mut dice = Stream::new(1, Purpose::Survival);
//!     model.lock().unwrap().power_loss(DiskSurvival::None, &mut dice);
//!     let again = StepDisk::new(model);
//!     assert_eq!(block_on(again.list("")).unwrap().len(), usize::from(crash >= 2));
//! }
//! ```

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;

use super::error::DiskError;
use super::model::{DiskModel, Handle};
use super::sync::SyncKind;
use crate::env::{Disk, File};

/// One process's view of a disk. After a kill or a power loss of the model it
/// is dead, and so are its files: make a new one.
#[derive(Debug, Clone)]
pub struct StepDisk {
    process: Arc<Process>,
}

#[derive(Debug)]
struct Process {
    model: Arc<Mutex<DiskModel>>,
    generation: u64,
    operations: AtomicU64,
    crash_at: AtomicU64,
}

impl StepDisk {
    /// A new process on the disk.
    pub fn new(model: Arc<Mutex<DiskModel>>) -> Self {
        let generation = lock(&model).generation();
        let (operations, crash_at) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        Self {
            process: Arc::new(Process {
                model,
                generation,
                operations,
                crash_at,
            }),
        }
    }

    /// The disk itself.
    pub fn model(&self) -> MutexGuard<'_, DiskModel> {
        lock(&self.process.model)
    }

    /// Operations so far that change the disk: every one but opens, reads,
    /// sizes and lists. So many crash points are worth trying.
    pub fn operations(&self) -> u64 {
        self.process.operations.load(Ordering::Relaxed)
    }

    /// The changing operation number `operation`, from 0, does nothing and
    /// fails, and so does everything after it. The model stays as it is: kill
    /// it, or take its power.
    pub fn crash_at(&self, operation: u64) {
        self.process.crash_at.store(operation, Ordering::Relaxed);
    }

    /// True for the error of a crash point.
    pub fn is_crash(error: &io::Error) -> bool {
        DiskError::of(error) == Some(&DiskError::Crashed)
    }
}

impl Process {
    /// The model, for an operation that changes nothing.
    fn look(&self) -> io::Result<MutexGuard<'_, DiskModel>> {
        if self.operations.load(Ordering::Relaxed) > self.crash_at.load(Ordering::Relaxed) {
            return Err(DiskError::Crashed.into());
        }
        let model = lock(&self.model);
        match model.generation() == self.generation {
            true => Ok(model),
            false => Err(DiskError::Stale.into()),
        }
    }

    /// The model, for an operation that changes it.
    fn step(&self) -> io::Result<MutexGuard<'_, DiskModel>> {
        self.operations.fetch_add(1, Ordering::Relaxed);
        self.look()
    }
}

fn lock(model: &Mutex<DiskModel>) -> MutexGuard<'_, DiskModel> {
    model.lock().expect("no holder of the model panics")
}

impl Disk for StepDisk {
    type File = StepFile;

    fn sector_bytes(&self) -> usize {
        self.model().sector_bytes() as usize
    }

    async fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.process.look()?.free_bytes())
    }

    async fn create(&self, path: &str) -> io::Result<StepFile> {
        let handle = self.process.step()?.create(path)?;
        Ok(StepFile::new(&self.process, handle))
    }

    async fn open(&self, path: &str) -> io::Result<StepFile> {
        let handle = self.process.look()?.open(path)?;
        Ok(StepFile::new(&self.process, handle))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.process.step()?.rename(from, to)
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        self.process.step()?.remove(path)
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.process.look()?.list(directory)
    }

    async fn create_dir(&self, directory: &str) -> io::Result<()> {
        self.process.step()?.create_dir(directory)
    }

    async fn sync_dir(&self, directory: &str) -> io::Result<()> {
        let mut model = self.process.step()?;
        let sync = model.begin_sync_dir(directory)?;
        model.finish_sync_dir(sync).map(drop)
    }
}

/// A file of a [`StepDisk`].
#[derive(Debug, Clone)]
pub struct StepFile {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    process: Arc<Process>,
    handle: Handle,
}

impl Drop for Open {
    fn drop(&mut self) {
        // A poisoned model belongs to a test that has failed already.
        if let Ok(mut model) = self.process.model.lock() {
            model.close(self.handle);
        }
    }
}

impl StepFile {
    fn new(process: &Arc<Process>, handle: Handle) -> Self {
        Self {
            open: Arc::new(Open {
                process: process.clone(),
                handle,
            }),
        }
    }

    /// The model's name for the open file.
    pub fn handle(&self) -> Handle {
        self.open.handle
    }

    fn sync(&self, kind: SyncKind) -> io::Result<()> {
        let mut model = self.open.process.step()?;
        let sync = model.begin_sync(self.open.handle, kind)?;
        model.finish_sync(sync).map(drop)
    }
}

impl File for StepFile {
    async fn write_at(&self, position: u64, bytes: Bytes) -> io::Result<()> {
        let mut model = self.open.process.step()?;
        model.write(self.open.handle, position, bytes).map(drop)
    }

    async fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes> {
        self.open
            .process
            .look()?
            .read(self.open.handle, position, length)
    }

    async fn set_len(&self, length: u64) -> io::Result<()> {
        self.open
            .process
            .step()?
            .set_len(self.open.handle, length)
            .map(drop)
    }

    async fn size_bytes(&self) -> io::Result<u64> {
        self.open.process.look()?.size(self.open.handle)
    }

    async fn sync_data(&self) -> io::Result<()> {
        self.sync(SyncKind::Data)
    }

    async fn sync_all(&self) -> io::Result<()> {
        self.sync(SyncKind::All)
    }
}

/// Whether a future that was polled wants to be polled again at once.
#[derive(Debug, Default)]
pub(crate) struct Woken(AtomicBool);

impl Woken {
    /// Whether it does; asked once.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future that waits for nothing but [`StepDisk`]s, to its end.
///
/// Panics where it waits for something else.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            // It gives way to others, and there are none.
            Poll::Pending if woken.take() => {}
            Poll::Pending => panic!("a future on a StepDisk waited for something else"),
        }
    }
}
