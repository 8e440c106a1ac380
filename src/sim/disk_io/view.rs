//! A process' view of its machine's disk: every call passes through the world.

use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::{DiskIo, OpOf};
use crate::env::{Disk, File};
use crate::scenario::{DiskVerb, Event};
use crate::sim::disk::{DiskModel, Handle, SyncId, SyncKind};
use crate::sim::env::SimEnv;
use crate::sim::net::NodeId;
use crate::sim::skeleton::Call;
use crate::sim::world::{Inner, TraceKind, Work};

/// The disk of a process' machine.
#[derive(Debug, Clone)]
pub struct SimDisk {
    env: SimEnv,
    sector_bytes: usize,
}

impl SimDisk {
    pub(in crate::sim) fn new(env: SimEnv) -> Self {
        let sector_bytes = {
            let inner = env.world.lock();
            inner.disks[env.node as usize].model.sector_bytes() as usize
        };
        Self { env, sector_bytes }
    }

    /// One call on the disk. Never returns for a dead process. A call that needs no
    /// sync is served from the page cache, however slow the disk.
    async fn call<R>(&self, act: impl FnOnce(&mut Inner, NodeId) -> R) -> R {
        let node = self.env.node;
        self.env.caught_up().await;
        let done = self.env.with(|inner| {
            let result = act(inner, node);
            inner.called_disk(node);
            result
        });
        match done {
            Some(result) => result,
            None => pending().await,
        }
    }

    /// As `call`, for what changes the disk: its machine may crash just before
    /// it, and just after.
    async fn change<R>(&self, act: impl FnOnce(&mut Inner, NodeId) -> R) -> R {
        let (node, incarnation) = (self.env.node, self.env.incarnation);
        self.env.caught_up().await;
        let changed = self.env.with(|inner| {
            inner.begins_operation(node);
            if !inner.core.alive(node, incarnation) {
                return None;
            }
            let result = act(inner, node);
            inner.passes_operation(node);
            inner.core.alive(node, incarnation).then_some(result)
        });
        match changed.flatten() {
            Some(result) => result,
            None => pending().await,
        }
    }

    /// A metadata operation: traced by its name and path.
    async fn named<R>(
        &self,
        (kind, verb): (DiskVerb, &'static str),
        path: &str,
        asked: impl FnOnce() -> Call,
        act: impl FnOnce(&mut Inner, NodeId) -> io::Result<R>,
    ) -> io::Result<R> {
        self.change(|inner, node| {
            inner.asked(node, asked);
            inner.core.works(node, Work::Calls);
            inner.disks[node as usize].refuses(kind, path)?;
            inner.disks[node as usize].counts.changes += 1;
            inner
                .core
                .trace(TraceKind::Disk, node, 0, path.as_bytes(), || {
                    format!("{verb} {path}")
                });
            act(inner, node)
        })
        .await
    }

    async fn sync_op(
        &self,
        asked: impl FnOnce() -> Call,
        begin: impl FnOnce(&mut DiskModel) -> io::Result<SyncId>,
        (of, path): (OpOf, Option<&str>),
    ) -> io::Result<()> {
        let verb = match of {
            OpOf::File(_) => DiskVerb::Sync,
            OpOf::Directory => DiskVerb::SyncDir,
        };
        let op = self
            .call(|inner, node| {
                inner.asked(node, asked);
                let disk = &mut inner.disks[node as usize];
                disk.refuses(verb, path.unwrap_or_default())?;
                let sync = begin(&mut disk.model)?;
                let op = disk.begin(&mut inner.core, sync, of);
                let file = path.filter(|_| matches!(of, OpOf::File(_)));
                inner.touched(node, Event::Sync, file);
                Ok::<_, io::Error>(op)
            })
            .await?;
        poll_fn(|context| {
            let node = self.env.node as usize;
            let polled = self.env.with(|inner| {
                match inner.core.holds_back(self.env.node, context.waker()) {
                    true => Poll::Pending,
                    false => inner.disks[node].poll(op, context.waker()),
                }
            });
            polled.unwrap_or(Poll::Pending)
        })
        .await
    }

    fn file(&self, handle: Handle, path: &str) -> SimFile {
        let open = OpenFile {
            disk: self.clone(),
            handle,
            path: path.to_owned(),
        };
        SimFile {
            open: Arc::new(open),
        }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn sector_bytes(&self) -> usize {
        self.sector_bytes
    }

    async fn free_bytes(&self) -> io::Result<u64> {
        let free_bytes = self.call(|inner, node| {
            inner.asked(node, || Call::FreeBytes);
            let disk = &mut inner.disks[node as usize];
            disk.refuses(DiskVerb::Ask, "")?;
            Ok(disk.model.free_bytes())
        });
        free_bytes.await
    }

    async fn create(&self, path: &str) -> io::Result<SimFile> {
        let created = self
            .change(|inner, node| {
                inner
                    .core
                    .trace(TraceKind::Disk, node, 0, path.as_bytes(), || {
                        format!("create {path}")
                    });
                let disk = &mut inner.disks[node as usize];
                disk.counts.changes += 1;
                let allowed = disk.refuses(DiskVerb::Create, path);
                let created = allowed.and_then(|()| disk.model.create(path));
                disk_full(disk, &created);
                inner.asked(node, || Call::Create(number_of(&created), path.to_owned()));
                created
            })
            .await;
        let handle = created?;
        Ok(self.file(handle, path))
    }

    async fn open(&self, path: &str) -> io::Result<SimFile> {
        let handle = self
            .call(|inner, node| {
                let disk = &mut inner.disks[node as usize];
                let allowed = disk.refuses(DiskVerb::Open, path);
                let opened = allowed.and_then(|()| disk.model.open(path));
                inner.asked(node, || Call::Open(number_of(&opened), path.to_owned()));
                opened
            })
            .await?;
        Ok(self.file(handle, path))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|inner, node| {
            inner.asked(node, || Call::Rename(from.to_owned(), to.to_owned()));
            inner.disks[node as usize].refuses(DiskVerb::Rename, from)?;
            inner.disks[node as usize].counts.changes += 1;
            inner
                .core
                .trace(TraceKind::Disk, node, 1, to.as_bytes(), || {
                    format!("rename {from} to {to}")
                });
            let disk = &mut inner.disks[node as usize].model;
            disk.rename(from, to)?;
            let renamed = match disk.open(to) {
                Ok(renamed) => renamed,
                // Directories hold no entries of a log themselves.
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => return Ok(()),
                Err(error) => return Err(error),
            };
            disk.close(renamed);
            let seq = disk.last_seq();
            let (disk, file) = (&inner.disks[node as usize], (renamed.ino, seq));
            inner.tap.renamed(&inner.core, disk, node, file, to);
            inner.named(node, to);
            Ok(())
        })
        .await
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        let asked = || Call::Remove(path.to_owned());
        self.named((DiskVerb::Remove, "remove"), path, asked, |inner, node| {
            inner.disks[node as usize].model.remove(path)?;
            let disk = &inner.disks[node as usize];
            inner.tap.removed(&inner.core, disk, node, path);
            Ok(())
        })
        .await
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.call(|inner, node| {
            inner.asked(node, || Call::List(directory.to_owned()));
            inner.disks[node as usize].refuses(DiskVerb::List, directory)?;
            inner.disks[node as usize].model.list(directory)
        })
        .await
    }

    async fn create_dir(&self, directory: &str) -> io::Result<()> {
        let asked = || Call::CreateDir(directory.to_owned());
        let verb = (DiskVerb::CreateDir, "create directory");
        self.named(verb, directory, asked, |inner, node| {
            inner.disks[node as usize].model.create_dir(directory)
        })
        .await
    }

    async fn sync_dir(&self, directory: &str) -> io::Result<()> {
        self.sync_op(
            || Call::SyncDir(directory.to_owned()),
            |disk| disk.begin_sync_dir(directory),
            (OpOf::Directory, Some(directory)),
        )
        .await
    }
}

/// An open file of a process.
#[derive(Debug, Clone)]
pub struct SimFile {
    open: Arc<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    disk: SimDisk,
    handle: Handle,
    /// The path it was opened by.
    path: String,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let node = self.disk.env.node as usize;
        self.disk.env.with(|inner| {
            inner.asked(node as NodeId, || Call::DropFile(self.handle.number()));
            inner.disks[node].model.close(self.handle);
        });
    }
}

impl File for SimFile {
    async fn write_at(&self, position: u64, bytes: Bytes) -> io::Result<()> {
        let OpenFile { disk, handle, path } = &*self.open;
        disk.change(|inner, node| {
            inner.asked(node, || {
                Call::WriteAt(handle.number(), position, bytes.len())
            });
            inner.disks[node as usize].refuses(DiskVerb::Write, path)?;
            inner
                .core
                .trace(TraceKind::Disk, node, position, &bytes, || {
                    format!("write {path} at {position}, {} bytes", bytes.len())
                });
            inner.core.works(node, Work::write_of(path, bytes.len()));
            let disk = &mut inner.disks[node as usize];
            disk.counts.writes += 1;
            disk.counts.written_bytes += bytes.len() as u64;
            let written = disk.model.write(*handle, position, bytes.clone());
            if let Ok(seq) = &written {
                let file = (handle.ino, *seq);
                let before = inner.tap.sightings.appends;
                inner
                    .tap
                    .written(&inner.core, node, file, path, position, &bytes);
                let appends = inner.tap.sightings.appends - before;
                inner.touched(node, Event::Write, Some(path));
                inner.happened(node, Event::Append, appends);
                inner.may_be_committed(node);
            } else {
                inner
                    .tap
                    .write_failed(&inner.core, node, path, position, &bytes);
            }
            disk_full(&mut inner.disks[node as usize], &written);
            written.map(drop)
        })
        .await
    }

    async fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes> {
        let OpenFile { disk, handle, path } = &*self.open;
        disk.call(|inner, node| {
            inner.core.works(node, Work::read_of(path, length));
            inner.asked(node, || Call::ReadAt(handle.number(), position, length));
            let disk = &mut inner.disks[node as usize];
            disk.refuses(DiskVerb::Read, path)?;
            disk.counts.reads += 1;
            disk.counts.read_bytes += length as u64;
            disk.model.read(*handle, position, length)
        })
        .await
    }

    async fn data_from(&self, position: u64) -> io::Result<Option<u64>> {
        let OpenFile { disk, handle, .. } = &*self.open;
        disk.call(|inner, node| {
            inner.core.works(node, Work::Calls);
            inner.disks[node as usize]
                .model
                .data_from(*handle, position)
        })
        .await
    }

    async fn set_len(&self, length: u64) -> io::Result<()> {
        let OpenFile { disk, handle, path } = &*self.open;
        let asked = || Call::SetLen(handle.number(), length);
        let verb = (DiskVerb::SetLen, "set length of");
        disk.named(verb, path, asked, |inner, node| {
            let disk = &mut inner.disks[node as usize];
            disk.model.set_len(*handle, length)
        })
        .await
        .map(drop)
    }

    async fn size_bytes(&self) -> io::Result<u64> {
        let OpenFile { disk, handle, path } = &*self.open;
        disk.call(|inner, node| {
            inner.asked(node, || Call::Size(handle.number()));
            let disk = &mut inner.disks[node as usize];
            disk.refuses(DiskVerb::Ask, path)?;
            disk.model.size(*handle)
        })
        .await
    }

    async fn sync_data(&self) -> io::Result<()> {
        let OpenFile { disk, handle, path } = &*self.open;
        disk.sync_op(
            || Call::SyncData(handle.number()),
            |disk| disk.begin_sync(*handle, SyncKind::Data),
            (OpOf::File(handle.ino), Some(path)),
        )
        .await
    }

    async fn sync_all(&self) -> io::Result<()> {
        let OpenFile { disk, handle, path } = &*self.open;
        disk.sync_op(
            || Call::SyncAll(handle.number()),
            |disk| disk.begin_sync(*handle, SyncKind::All),
            (OpOf::File(handle.ino), Some(path)),
        )
        .await
    }
}

fn disk_full<T>(disk: &mut DiskIo, outcome: &io::Result<T>) {
    let full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
    disk.counts.full += u64::from(outcome.as_ref().is_err_and(full));
}

/// The number of a file that was opened; of one that was not, none that any has.
fn number_of(opened: &io::Result<Handle>) -> u64 {
    opened.as_ref().map_or(u64::MAX, |handle| handle.number())
}
