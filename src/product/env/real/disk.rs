//! A directory of this machine as a disk.
//!
//! Reads and writes go through the page cache and are done on the spot; syncs
//! wait for the device, on tokio's blocking threads.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use tokio::runtime::Handle;

use crate::env::{Disk, File, path};

/// The disk of [`RealEnv`](super::RealEnv): the tree below its root.
#[derive(Debug, Clone)]
pub struct RealDisk {
    root: Arc<PathBuf>,
    runtime: Handle,
}

/// An open file of a [`RealDisk`].
#[derive(Debug, Clone)]
pub struct RealFile {
    file: Arc<std::fs::File>,
    runtime: Handle,
}

impl RealDisk {
    pub(super) fn new(root: Arc<PathBuf>, runtime: Handle) -> Self {
        Self { root, runtime }
    }

    fn locate(&self, path: &str) -> io::Result<PathBuf> {
        let mut located = self.root.to_path_buf();
        located.extend(path::components(path)?);
        Ok(located)
    }

    /// The place of a file or directory that must have a name.
    fn locate_named(&self, path: &str) -> io::Result<PathBuf> {
        path::split(path)?;
        self.locate(path)
    }

    fn open_with(&self, path: &str, options: &OpenOptions) -> io::Result<RealFile> {
        let file = Arc::new(options.open(self.locate_named(path)?)?);
        Ok(RealFile {
            file,
            runtime: self.runtime.clone(),
        })
    }
}

/// Runs what waits for the device beside the runtime's own threads.
async fn blocking(
    runtime: &Handle,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    match runtime.spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) => Err(io::Error::other(ended)),
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    /// The page: no file system in use tears less than 512 bytes or more than
    /// this.
    fn sector_bytes(&self) -> usize {
        4096
    }

    async fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(self.root.as_path())?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    async fn create(&self, path: &str) -> io::Result<RealFile> {
        self.open_with(
            path,
            OpenOptions::new().read(true).write(true).create_new(true),
        )
    }

    async fn open(&self, path: &str) -> io::Result<RealFile> {
        self.open_with(path, OpenOptions::new().read(true).write(true))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.locate_named(from)?, self.locate_named(to)?)
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.locate_named(path)?)
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.locate(directory)?)? {
            let name = entry?.file_name().into_string().map_err(|name| {
                let text = format!("{directory:?} holds {name:?}, which is no UTF-8: remove it");
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            names.push(name);
        }
        names.sort_unstable();
        Ok(names)
    }

    async fn create_dir(&self, directory: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.locate(directory)?)
    }

    async fn sync_dir(&self, directory: &str) -> io::Result<()> {
        let located = self.locate(directory)?;
        blocking(&self.runtime, move || {
            let directory = OpenOptions::new().read(true).open(located)?;
            match directory.metadata()?.is_dir() {
                true => directory.sync_all(),
                false => Err(io::ErrorKind::NotADirectory.into()),
            }
        })
        .await
    }
}

impl File for RealFile {
    async fn write_at(&self, position: u64, bytes: Bytes) -> io::Result<()> {
        self.file.write_all_at(&bytes, position)
    }

    async fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self
                .file
                .read_at(&mut bytes[filled..], position + filled as u64)
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(Bytes::from(bytes))
    }

    /// A file system that keeps no account of holes says that there are none.
    async fn data_from(&self, position: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&*self.file, SeekFrom::Data(position)) {
            Ok(data) => Ok(Some(data)),
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(position)),
            Err(error) => Err(error.into()),
        }
    }

    async fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    async fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    async fn sync_data(&self) -> io::Result<()> {
        let file = self.file.clone();
        blocking(&self.runtime, move || file.sync_data()).await
    }

    async fn sync_all(&self) -> io::Result<()> {
        let file = self.file.clone();
        blocking(&self.runtime, move || file.sync_all()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::conformance;

    #[tokio::test]
    async fn means_what_every_disk_means() {
        let root = tempfile::tempdir().unwrap();
        let runtime = Handle::current();
        conformance::all(|name| {
            let root = root.path().join(name);
            std::fs::create_dir(&root).unwrap();
            RealDisk::new(Arc::new(root), runtime.clone())
        })
        .await;
    }

    #[tokio::test]
    async fn nothing_is_made_outside_the_root() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let disk = RealDisk::new(Arc::new(inner), Handle::current());
        assert!(disk.create("../outside").await.is_err());
        assert!(disk.create_dir("../outside").await.is_err());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
