//! The disk model under the world's clock: latencies, and futures that end when
//! the agenda says so.
//!
//! Promise: a sync is durable when its future resolves, not before; one whose
//! process was killed still completes in its kernel; one whose machine lost
//! power never does.

mod view;

use std::collections::BTreeMap;
use std::io;
use std::task::{Poll, Waker};

use super::disk::{DiskModel, DiskSpeed, Ino, Row, Seq, SyncId};
use super::files::paths_of;
use super::latency::Latency;
use super::net::NodeId;
use super::random::Stream;
use super::world::{Core, Due, TraceKind};
use crate::env::failure::Failure;
use crate::scenario::{DiskVerb, FileClass, Refusal};

pub use view::{SimDisk, SimFile};

/// An operation in flight, by its number on this disk.
pub(crate) type DiskOpId = u64;

/// A disk's latencies, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiskLatency {
    /// A sync of a file or a directory. Everything else the page cache answers
    /// at once.
    pub sync: Latency,
}

/// Operations that are refused, and with which error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) error: Refusal,
    pub(crate) operation: DiskVerb,
    /// Of these files and their directories only.
    pub(crate) file: FileClass,
}

impl Refused {
    fn strikes(&self, verb: DiskVerb, path: &str) -> bool {
        let is_verb = [DiskVerb::Any, verb].contains(&self.operation);
        is_verb && path.starts_with(paths_of(self.file).trim_end_matches('/'))
    }
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
    refusing: Vec<Refused>,
    /// Its errors strike: a broker works on it, or a command that meets them.
    may_refuse: bool,
    /// An operator's command works on it.
    is_commanded: bool,
    /// It refused something with an error that means lost data.
    has_told_of_loss: bool,
    /// A sync failed: what is derived may lack what it brought.
    has_failed_sync: bool,
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

/// A sync that completed, for the accounts of what is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synced {
    /// A file: the caller may believe in every change of it up to there.
    File { ino: Ino, upto: Seq },
    /// The same for a directory.
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
            is_commanded: false,
            has_told_of_loss: false,
            has_failed_sync: false,
            counts: DiskCounts::default(),
            late: 0,
        }
    }

    /// Refuses operations from now on.
    pub(crate) fn refuse(&mut self, refused: Refused) {
        self.refusing.push(refused);
    }

    /// Refuses these operations, and no others.
    pub(crate) fn refuse_only(&mut self, refused: Vec<Refused>) {
        self.refusing = refused;
    }

    /// An operator's command begins, or is done; whether it meets errors is the
    /// scenario's.
    pub(crate) fn command(&mut self, is_commanded: bool, may_refuse: bool) {
        self.is_commanded = is_commanded;
        self.may_refuse = may_refuse;
    }

    /// Whether an operator's command works on it.
    pub(crate) fn is_commanded(&self) -> bool {
        self.is_commanded
    }

    /// Whether a broker has a reason to take something on it for lost: it may be, or the
    /// disk said so.
    pub(crate) fn may_be_damaged(&self) -> bool {
        self.has_told_of_loss || self.model.may_be_damaged()
    }

    /// Whether what is derived from the log may lack something.
    pub(crate) fn may_lack_derived(&self) -> bool {
        self.has_failed_sync || self.may_be_damaged()
    }

    /// Whether a broker has a reason to find that something on it failed.
    pub(crate) fn may_have_failed(&self) -> bool {
        self.counts.refused + self.counts.full > 0 || self.may_lack_derived()
    }

    /// Whether any operation is refused now.
    pub(crate) fn is_refusing(&self) -> bool {
        !self.refusing.is_empty()
    }

    /// The error that an operation on a file or directory is refused with: of several the
    /// first.
    fn refuses(&mut self, verb: DiskVerb, path: &str) -> io::Result<()> {
        let mut refusing = self.refusing.iter();
        match refusing.find(|refused| refused.strikes(verb, path)) {
            Some(refused) if self.may_refuse => {
                self.counts.refused += 1;
                let error = refused.error.errno().into();
                self.has_told_of_loss |= Failure::of(&error) == Failure::LostData;
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// The process died: its futures are gone, its syncs go on.
    pub(crate) fn process_died(&mut self) {
        self.command(false, false);
        self.is_awaited_in_vain = false;
        self.model.kill();
        for op in self.ops.values_mut() {
            op.waker = None;
        }
    }

    /// The machine lost power: nothing in flight ends.
    pub(crate) fn machine_died(&mut self) {
        self.command(false, false);
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
        self.has_failed_sync |= result.is_err();
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
