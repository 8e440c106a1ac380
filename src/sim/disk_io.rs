//! The disk model under the world's clock: latencies, and futures that end when
//! the agenda says so.
//!
//! Promise: a sync is durable when its future resolves, not before; one whose
//! process was killed still completes in its kernel; one whose machine lost
//! power never does.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::disk::{DiskModel, DiskSpeed, Handle, Ino, Row, Seq, SyncId, SyncKind};
use super::env::SimEnv;
use super::latency::Latency;
use super::net::NodeId;
use super::random::Stream;
use super::skeleton::Call;
use super::world::{Core, Due, Inner, TraceKind, Work};
use crate::env::{Disk, File};
use crate::scenario::{DiskVerb, Event, Refusal};

/// An operation in flight, by its number on this disk.
pub(crate) type DiskOpId = u64;

/// A disk's latencies, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiskLatency {
    /// A sync of a file or a directory. Everything else the page cache answers
    /// at once.
    pub sync: Latency,
}

/// A node's disk, and what is in flight on it.
#[derive(Debug)]
pub(crate) struct DiskIo {
    pub(crate) model: DiskModel,
    node: NodeId,
    latency: DiskLatency,
    random: Stream,
    /// The time by which every latency is longer, nanoseconds (a slow disk).
    pub(crate) extra_ns: u64,
    /// How many times as long every latency is (a limping disk).
    pub(crate) factor: u32,
    ops: BTreeMap<DiskOpId, Op>,
    next_op: DiskOpId,
    /// Completions held back while the disk is stalled.
    stalled: Vec<DiskOpId>,
    /// The process waits for a sync that a hung disk never ends.
    is_awaited_in_vain: bool,
    /// The operations that are refused now, and with which error.
    refusing: Vec<(Refusal, DiskVerb)>,
    /// A broker works on the disk, and not its operator.
    may_refuse: bool,
    pub(crate) counts: DiskCounts,
    /// Syncs that took longer than a healthy disk ever takes.
    late: u64,
}

/// How often each verb was asked for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DiskCounts {
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Syncs of files and directories.
    pub syncs: u64,
    /// Reads.
    pub reads: u64,
    /// Bytes asked for.
    pub read_bytes: u64,
    /// Files created, names changed, lengths set.
    pub changes: u64,
    /// Operations refused or cut short for want of space.
    pub full: u64,
    /// Operations refused for another reason that loses nothing.
    pub refused: u64,
}

impl DiskCounts {
    /// Adds another disk's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.writes += other.writes;
        self.written_bytes += other.written_bytes;
        self.syncs += other.syncs;
        self.reads += other.reads;
        self.read_bytes += other.read_bytes;
        self.changes += other.changes;
        self.full += other.full;
        self.refused += other.refused;
    }
}

#[derive(Debug)]
struct Op {
    sync: SyncId,
    of: OpOf,
    begun_ns: u64,
    result: Option<io::Result<()>>,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy)]
enum OpOf {
    File(Ino),
    Directory,
}

/// A sync that completed, for whoever keeps account of what is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synced {
    /// A file: the caller may believe in every change of it up to there.
    File { ino: Ino, upto: Seq },
    /// A directory, likewise.
    Directory { upto: Seq },
}

impl DiskIo {
    pub(crate) fn new(
        node: NodeId,
        model: DiskModel,
        latency: DiskLatency,
        random: Stream,
    ) -> Self {
        Self {
            model,
            node,
            latency,
            random,
            extra_ns: 0,
            factor: 1,
            ops: BTreeMap::new(),
            next_op: 0,
            stalled: Vec::new(),
            is_awaited_in_vain: false,
            refusing: Vec::new(),
            may_refuse: false,
            counts: DiskCounts::default(),
            late: 0,
        }
    }

    /// Refuses operations from now on.
    pub(crate) fn refuse(&mut self, error: Refusal, operation: DiskVerb) {
        self.refusing.push((error, operation));
    }

    /// Refuses these operations, and no others.
    pub(crate) fn refuse_only(&mut self, refused: Vec<(Refusal, DiskVerb)>) {
        self.refusing = refused;
    }

    /// Whether a broker works on the disk: an operator tries until he succeeds.
    pub(crate) fn may_refuse(&mut self, may: bool) {
        self.may_refuse = may;
    }

    /// Whether any operation is refused now.
    pub(crate) fn is_refusing(&self) -> bool {
        !self.refusing.is_empty()
    }

    /// The error that an operation is refused with: of several the first.
    fn refuses(&mut self, verb: DiskVerb) -> io::Result<()> {
        let mut refusing = self.refusing.iter();
        let refused = refusing.find(|(_, refused)| [DiskVerb::Any, verb].contains(refused));
        match refused {
            Some((error, _)) if self.may_refuse => {
                self.counts.refused += 1;
                Err(error.errno().into())
            }
            _ => Ok(()),
        }
    }

    /// The process died: its futures are gone, its syncs go on.
    pub(crate) fn process_died(&mut self) {
        self.may_refuse = false;
        self.is_awaited_in_vain = false;
        self.model.kill();
        for op in self.ops.values_mut() {
            op.waker = None;
        }
    }

    /// The machine lost power: nothing in flight ends.
    pub(crate) fn machine_died(&mut self) {
        self.may_refuse = false;
        self.is_awaited_in_vain = false;
        self.ops.clear();
        self.stalled.clear();
    }

    /// Whether the process waits for what never comes back, however healthy the
    /// disk is by now.
    pub(crate) fn is_awaited_in_vain(&self) -> bool {
        self.is_awaited_in_vain
    }

    /// Sets the speed; what was stalled ends when it is over.
    pub(crate) fn set_speed(&mut self, core: &mut Core, speed: DiskSpeed) {
        self.model.set_speed(speed);
        if matches!(speed, DiskSpeed::Normal | DiskSpeed::Slow { .. }) {
            for op in std::mem::take(&mut self.stalled) {
                core.agenda.add(
                    core.now_ns + self.latency.sync.min_ns,
                    Due::Disk(self.node, op),
                );
            }
        }
    }

    fn begin(&mut self, core: &mut Core, sync: SyncId, of: OpOf) -> DiskOpId {
        self.counts.syncs += 1;
        self.next_op += 1;
        let op = self.next_op;
        self.ops.insert(
            op,
            Op {
                sync,
                of,
                begun_ns: core.here_ns(self.node),
                result: None,
                waker: None,
            },
        );
        match self.model.speed() {
            DiskSpeed::Stalled => {
                self.model.note(Row::Stalled);
                self.stalled.push(op);
            }
            DiskSpeed::Hung => {
                self.model.note(Row::Hung);
                self.is_awaited_in_vain = true;
            }
            DiskSpeed::Normal => self.plan(core, op, 1),
            DiskSpeed::Slow { latency_factor } => self.plan(core, op, latency_factor),
        }
        op
    }

    /// Syncs so far that were not back, or are not, when a healthy disk would
    /// have been.
    pub(crate) fn late_syncs(&self, now_ns: u64) -> u64 {
        let open = self.ops.values().filter(|op| op.result.is_none());
        let late = open.filter(|op| self.is_late(op.begun_ns, now_ns));
        self.late + late.count() as u64
    }

    fn is_late(&self, begun_ns: u64, now_ns: u64) -> bool {
        now_ns.saturating_sub(begun_ns) > self.latency.sync.tail_max_ns
    }

    fn plan(&mut self, core: &mut Core, op: DiskOpId, factor: u32) {
        if factor * self.factor > 1 || self.extra_ns > 0 {
            self.model.note(Row::Slow);
        }
        let latency_ns = self.latency.sync.draw_ns(&mut self.random)
            * u64::from(factor * self.factor)
            + self.extra_ns;
        core.agenda.add(
            core.here_ns(self.node) + latency_ns,
            Due::Disk(self.node, op),
        );
    }

    /// An operation's time has come: returns what became durable.
    pub(crate) fn complete(&mut self, core: &mut Core, op: DiskOpId) -> Option<Synced> {
        let state = self.ops.get_mut(&op)?;
        if self.model.speed() == DiskSpeed::Stalled {
            self.stalled.push(op);
            return None;
        }
        self.late +=
            u64::from(core.now_ns.saturating_sub(state.begun_ns) > self.latency.sync.tail_max_ns);
        let (result, synced) = match state.of {
            OpOf::File(_) => match self.model.finish_sync(state.sync) {
                Ok(done) => (
                    Ok(()),
                    Some(Synced::File {
                        ino: done.ino,
                        upto: done.upto_seq,
                    }),
                ),
                Err(error) => (Err(error), None),
            },
            OpOf::Directory => match self.model.finish_sync_dir(state.sync) {
                Ok(done) => {
                    let upto = done.upto_seq;
                    (Ok(()), Some(Synced::Directory { upto }))
                }
                Err(error) => (Err(error), None),
            },
        };
        core.trace(
            TraceKind::Disk,
            self.node,
            op,
            &[u8::from(result.is_ok())],
            || match &result {
                Ok(()) => match state.of {
                    OpOf::File(ino) => {
                        let path = self.model.path_of(ino);
                        format!("synced {}", path.as_deref().unwrap_or("a removed file"))
                    }
                    OpOf::Directory => "synced a directory".to_owned(),
                },
                Err(error) => format!("sync failed: {error}"),
            },
        );
        state.result = Some(result);
        match state.waker.take() {
            Some(waker) => waker.wake(),
            // Nobody waits any more: its process is dead.
            None => drop(self.ops.remove(&op)),
        }
        synced
    }

    fn poll(&mut self, op: DiskOpId, waker: &Waker) -> Poll<io::Result<()>> {
        let Some(state) = self.ops.get_mut(&op) else {
            return Poll::Pending;
        };
        match state.result.take() {
            Some(result) => {
                self.ops.remove(&op);
                Poll::Ready(result)
            }
            None => {
                state.waker = Some(waker.clone());
                Poll::Pending
            }
        }
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

/// A process' view of its machine's disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    env: SimEnv,
    sector_bytes: usize,
}

impl SimDisk {
    pub(super) fn new(env: SimEnv) -> Self {
        let sector_bytes = {
            let inner = env.world.lock();
            inner.disks[env.node as usize].model.sector_bytes() as usize
        };
        Self { env, sector_bytes }
    }

    /// One call on the disk. Never returns for a dead process. What needs no
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
        act: impl FnOnce(&mut DiskModel) -> io::Result<R>,
    ) -> io::Result<R> {
        self.change(|inner, node| {
            inner.asked(node, asked);
            inner.core.works(node, Work::Calls);
            inner.disks[node as usize].refuses(kind)?;
            inner.disks[node as usize].counts.changes += 1;
            inner
                .core
                .trace(TraceKind::Disk, node, 0, path.as_bytes(), || {
                    format!("{verb} {path}")
                });
            act(&mut inner.disks[node as usize].model)
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
                disk.refuses(verb)?;
                let sync = begin(&mut disk.model)?;
                let op = disk.begin(&mut inner.core, sync, of);
                inner.touched(node, Event::Sync, path);
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
            disk.refuses(DiskVerb::Ask)?;
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
                let allowed = disk.refuses(DiskVerb::Create);
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
                let allowed = disk.refuses(DiskVerb::Open);
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
            inner.disks[node as usize].refuses(DiskVerb::Rename)?;
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
        self.named((DiskVerb::Remove, "remove"), path, asked, |disk| {
            disk.remove(path)
        })
        .await
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.call(|inner, node| {
            inner.asked(node, || Call::List(directory.to_owned()));
            inner.disks[node as usize].refuses(DiskVerb::List)?;
            inner.disks[node as usize].model.list(directory)
        })
        .await
    }

    async fn create_dir(&self, directory: &str) -> io::Result<()> {
        let asked = || Call::CreateDir(directory.to_owned());
        let verb = (DiskVerb::CreateDir, "create directory");
        self.named(verb, directory, asked, |disk| disk.create_dir(directory))
            .await
    }

    async fn sync_dir(&self, directory: &str) -> io::Result<()> {
        self.sync_op(
            || Call::SyncDir(directory.to_owned()),
            |disk| disk.begin_sync_dir(directory),
            (OpOf::Directory, None),
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
            inner.disks[node as usize].refuses(DiskVerb::Write)?;
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
            disk.refuses(DiskVerb::Read)?;
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
        disk.named(verb, path, asked, |disk| disk.set_len(*handle, length))
            .await
            .map(drop)
    }

    async fn size_bytes(&self) -> io::Result<u64> {
        let OpenFile { disk, handle, .. } = &*self.open;
        disk.call(|inner, node| {
            inner.asked(node, || Call::Size(handle.number()));
            let disk = &mut inner.disks[node as usize];
            disk.refuses(DiskVerb::Ask)?;
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
