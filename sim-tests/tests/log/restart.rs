//! A restart reads what was written, and not what was preallocated.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use zeroloss::env::real::RealEnv;
use zeroloss::env::{Disk, Env, File};
use zeroloss::log::{CommitLog, LogConfig, LogEnd, format};

use crate::support::{ENTROPY, IDENTITY, SMALL, stage};

/// RocketMQ's segments.
const LARGE: LogConfig = LogConfig {
    segment_bytes: 1 << 30,
    ..SMALL
};
/// Bytes that a restart may read of them: a few windows around what was written.
const READ_BYTES_MAX: u64 = 4 << 20;

/// A disk that counts what is asked of it, also in vain.
#[derive(Debug, Clone)]
pub(crate) struct Counting<D> {
    disk: D,
    read_bytes: Arc<AtomicU64>,
}

impl<D: Disk> Counting<D> {
    pub(crate) fn new(disk: D) -> Self {
        let read_bytes = Arc::default();
        Self { disk, read_bytes }
    }

    pub(crate) fn taken(&self) -> u64 {
        self.read_bytes.swap(0, Ordering::Relaxed)
    }

    fn of<F: File>(&self, file: F) -> Counted<F> {
        let read_bytes = Arc::clone(&self.read_bytes);
        Counted { file, read_bytes }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Counted<F> {
    file: F,
    read_bytes: Arc<AtomicU64>,
}

impl<D: Disk> Disk for Counting<D> {
    type File = Counted<D::File>;

    fn sector_bytes(&self) -> usize {
        self.disk.sector_bytes()
    }
    async fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes().await
    }
    async fn create(&self, path: &str) -> io::Result<Self::File> {
        Ok(self.of(self.disk.create(path).await?))
    }
    async fn open(&self, path: &str) -> io::Result<Self::File> {
        Ok(self.of(self.disk.open(path).await?))
    }
    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to).await
    }
    async fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path).await
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

impl<F: File> File for Counted<F> {
    async fn write_at(&self, position: u64, bytes: Bytes) -> io::Result<()> {
        self.file.write_at(position, bytes).await
    }
    async fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes> {
        self.read_bytes.fetch_add(length as u64, Ordering::Relaxed);
        self.file.read_at(position, length).await
    }
    async fn data_from(&self, position: u64) -> io::Result<Option<u64>> {
        self.file.data_from(position).await
    }
    async fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length).await
    }
    async fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes().await
    }
    async fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().await
    }
    async fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all().await
    }
}

/// Ten lives, each killed with two records synced and one that is only in the cache:
/// what is there comes back, the rest of a gibibyte is not looked at, and no life
/// leaves another gibibyte behind.
#[tokio::test]
async fn a_preallocated_gibibyte_is_not_read() {
    for replicated in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let env = RealEnv::new(root.path().to_owned()).unwrap();
        let disk = Counting::new(env.disk());
        let config = LogConfig {
            replicated,
            ..LARGE
        };
        format(&disk, IDENTITY).await.unwrap();
        for life in 0..10 {
            let opened = CommitLog::open(disk.clone(), config, ENTROPY + life).await;
            let (mut log, recovery) = opened.unwrap();
            let read_bytes = disk.taken();
            assert!(read_bytes < READ_BYTES_MAX, "life {life} read {read_bytes}");
            assert_eq!(recovery.end, LogEnd::Clean);
            let before = 3 * life;
            assert_eq!(log.tail().next_index, before + 1, "the cached one, too");
            stage(&mut log, before + 1, 100);
            stage(&mut log, before + 2, 100);
            log.write().await.unwrap();
            let job = log.next_job().expect("there is something to sync");
            log.job_done(job.await).unwrap();
            stage(&mut log, before + 3, 100);
            log.write().await.unwrap();
            let segments = disk.list("commitlog").await.unwrap();
            assert_eq!(segments.len(), 1, "a kill leaves no other: {segments:?}");
        }
    }
}
