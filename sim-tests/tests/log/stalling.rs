//! A disk whose writes, once it stalls, are done by half and never return.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use zeroloss::env::{Disk, File};
use zeroloss::sim::disk::{StepDisk, StepFile};

#[derive(Clone)]
pub(crate) struct Stalling {
    disk: StepDisk,
    stalled: Arc<AtomicBool>,
}

#[derive(Clone)]
pub(crate) struct StallingFile {
    file: StepFile,
    stalled: Arc<AtomicBool>,
}

impl Stalling {
    pub(crate) fn on(disk: StepDisk) -> Self {
        Self {
            disk,
            stalled: Arc::default(),
        }
    }

    pub(crate) fn stall(&self) {
        self.stalled.store(true, Ordering::Relaxed);
    }

    fn file(&self, file: StepFile) -> StallingFile {
        StallingFile {
            file,
            stalled: self.stalled.clone(),
        }
    }
}

impl Disk for Stalling {
    type File = StallingFile;

    fn sector_bytes(&self) -> usize {
        self.disk.sector_bytes()
    }

    async fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes().await
    }

    async fn create(&self, path: &str) -> io::Result<StallingFile> {
        Ok(self.file(self.disk.create(path).await?))
    }

    async fn open(&self, path: &str) -> io::Result<StallingFile> {
        Ok(self.file(self.disk.open(path).await?))
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

impl File for StallingFile {
    async fn write_at(&self, position: u64, bytes: Bytes) -> io::Result<()> {
        if self.stalled.load(Ordering::Relaxed) {
            let half = bytes.slice(..bytes.len() / 2);
            self.file.write_at(position, half).await?;
            return std::future::pending().await;
        }
        self.file.write_at(position, bytes).await
    }

    async fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes> {
        self.file.read_at(position, length).await
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
