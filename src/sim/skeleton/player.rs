//! A process without a broker or a client in it: it makes the calls that one
//! made, and takes what its world has for it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::script::{Call, FileId, Timed};
use crate::env::{ConnId, Disk, Env, File, Net, Timer};
use crate::sim::disk_io::{SimDisk, SimFile};
use crate::sim::env::{SimEnv, SimNet, SimTimer};
use crate::sim::net::EndpointId;
use crate::sim::world::TimerId;

/// A call is made so much earlier, nanoseconds; a step of the driver. The clock
/// moves a little with each task that runs, and a player that is woken a moment
/// before its call was made would wait for whatever wakes it next.
const EARLY_NS: u64 = 20_000;
/// Bytes that stand for what was said: a network write shares them.
const FILLER: &[u8] = &[1; 64 << 10];

/// The state that all players of a skeleton share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The streams that the players opened, by the streams that the run opened:
    /// their numbers differ where two players connect in another order.
    streams: Mutex<Vec<(ConnId, ConnId)>>,
}

impl Shared {
    fn opened(&self, recorded: ConnId, played: ConnId) {
        self.lock().push((recorded, played));
    }

    /// The stream, and its end: the last bit of its number.
    fn played(&self, recorded: ConnId) -> Option<ConnId> {
        let (stream, end) = (ConnId(recorded.0 & !1), recorded.0 & 1);
        let streams = self.lock();
        let found = streams.iter().rev().find(|(known, _)| *known == stream);
        found.map(|(_, played)| ConnId(played.0 | end))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(ConnId, ConnId)>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a player has come, for the task that wakes the late ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<(Option<u64>, Option<Waker>)>>);

impl Progress {
    fn set(&self, next_ns: Option<u64>, waker: &Waker) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = next_ns;
        if !state.1.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.1 = Some(waker.clone());
        }
    }

    /// Wakes a player whose next call should have been made by now: what woke
    /// the run's process came to this one in another order.
    pub(super) fn wake_if_late(&self, now_ns: u64) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(next_ns), Some(waker)) = &*state
            && *next_ns <= now_ns
        {
            waker.wake_by_ref();
        }
    }
}

/// Few things, by the numbers that they had in the run.
struct Held<T>(Vec<(u64, T)>);

impl<T> Held<T> {
    fn add(&mut self, number: u64, held: T) {
        self.0.push((number, held));
    }

    fn get(&mut self, number: u64) -> Option<&mut T> {
        let mut newest_first = self.0.iter_mut().rev();
        let found = newest_first.find(|(known, _)| *known == number);
        found.map(|(_, held)| held)
    }

    fn drop(&mut self, number: u64) {
        self.0.retain(|(known, _)| *known != number);
    }

    fn each(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, held)| held)
    }
}

type Syncing = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// See the module.
pub(super) struct Player {
    env: SimEnv,
    disk: SimDisk,
    shared: Arc<Shared>,
    progress: Progress,
    calls: std::iter::Peekable<std::vec::IntoIter<Timed>>,
    timers: Held<SimTimer>,
    nets: Held<SimNet>,
    files: Held<SimFile>,
    syncs: Vec<Syncing>,
}

impl Player {
    pub(super) fn new(
        env: SimEnv,
        calls: Vec<Timed>,
        shared: Arc<Shared>,
        progress: Progress,
    ) -> Self {
        Self {
            disk: env.disk(),
            env,
            shared,
            progress,
            calls: calls.into_iter().peekable(),
            timers: Held(Vec::new()),
            nets: Held(Vec::new()),
            files: Held(Vec::new()),
            syncs: Vec::new(),
        }
    }

    /// Plays until it is killed.
    pub(super) async fn play(mut self) {
        loop {
            while let Some(due) = self.next_due() {
                self.make(due.call).await;
            }
            poll_fn(|context| self.poll_anything(context)).await;
        }
    }

    fn next_due(&mut self) -> Option<Timed> {
        let upto_ns = self.env.now_ns() + EARLY_NS;
        self.calls.next_if(|timed| timed.at_ns <= upto_ns)
    }

    /// Takes all that is there; ready if that was anything, or a call is due.
    fn poll_anything(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut any = false;
        for timer in self.timers.each() {
            any |= pin!(timer.fired()).poll(context).is_ready();
        }
        self.syncs.retain_mut(|sync| {
            let ended = sync.as_mut().poll(context).is_ready();
            any |= ended;
            !ended
        });
        for net in self.nets.each() {
            while pin!(net.next()).poll(context).is_ready() {
                any = true;
            }
        }
        let next_ns = self.calls.peek().map(|timed| timed.at_ns);
        self.progress.set(next_ns, context.waker());
        match any || next_ns.is_some_and(|at_ns| at_ns <= self.env.now_ns() + EARLY_NS) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Makes one call; what the disk refuses here it refused there, or the
    /// fault that was to blame is none of a skeleton's.
    async fn make(&mut self, call: Call) {
        match call {
            Call::NewTimer(timer) => self.timers.add(timer as u64, self.env.timer()),
            Call::Reset(timer, deadline_ns) => self.reset(timer, deadline_ns),
            Call::DropTimer(timer) => self.timers.drop(timer as u64),
            Call::NewNet(net) => self.nets.add(net as u64, self.env.net()),
            Call::DropNet(net) => self.nets.drop(net as u64),
            Call::Listen(..)
            | Call::ListenPeers(..)
            | Call::Connect(..)
            | Call::Write(..)
            | Call::Close(..)
            | Call::Send(..) => self.make_on_net(call).await,
            Call::Create(..)
            | Call::Open(..)
            | Call::Rename(..)
            | Call::Remove(..)
            | Call::List(..)
            | Call::CreateDir(..)
            | Call::SyncDir(..)
            | Call::FreeBytes => drop(self.make_on_disk(call).await),
            Call::DropFile(file) => self.files.drop(file),
            Call::WriteAt(file, ..)
            | Call::ReadAt(file, ..)
            | Call::SetLen(file, ..)
            | Call::Size(file)
            | Call::SyncData(file)
            | Call::SyncAll(file) => drop(self.make_on_file(file, call).await),
        }
    }

    fn reset(&mut self, timer: TimerId, deadline_ns: Option<u64>) {
        if let Some(timer) = self.timers.get(timer as u64) {
            timer.reset(deadline_ns);
        }
    }

    async fn make_on_net(&mut self, call: Call) {
        let (Call::Listen(net, _)
        | Call::ListenPeers(net, _)
        | Call::Connect(net, ..)
        | Call::Write(net, ..)
        | Call::Close(net, _)
        | Call::Send(net, ..)) = call
        else {
            return;
        };
        let Some(net) = net_of(&mut self.nets, net) else {
            return;
        };
        match call {
            Call::Listen(_, address) => drop(net.listen(address).await),
            Call::ListenPeers(_, address) => drop(net.listen_peers(address).await),
            Call::Connect(_, recorded, to) => self.shared.opened(recorded, net.connect(to)),
            Call::Write(_, conn, length) => {
                if let Some(conn) = self.shared.played(conn) {
                    net.write(conn, filler(length));
                }
            }
            Call::Close(_, conn) => {
                if let Some(conn) = self.shared.played(conn) {
                    net.close(conn);
                }
            }
            Call::Send(_, to, length) => net.send(to, filler(length)),
            _ => {}
        }
    }

    async fn make_on_disk(&mut self, call: Call) -> io::Result<()> {
        match call {
            Call::Create(file, path) => {
                let created = match self.disk.create(&path).await {
                    // It survived here, and did not there.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        self.disk.open(&path).await
                    }
                    created => created,
                };
                self.files.add(file, created?);
            }
            Call::Open(file, path) => self.files.add(file, self.disk.open(&path).await?),
            Call::Rename(from, to) => self.disk.rename(&from, &to).await?,
            Call::Remove(path) => self.disk.remove(&path).await?,
            Call::List(directory) => drop(self.disk.list(&directory).await?),
            Call::CreateDir(directory) => self.disk.create_dir(&directory).await?,
            Call::SyncDir(directory) => {
                let disk = self.disk.clone();
                self.begin(async move { disk.sync_dir(&directory).await });
            }
            Call::FreeBytes => drop(self.disk.free_bytes().await?),
            _ => {}
        }
        Ok(())
    }

    async fn make_on_file(&mut self, file: FileId, call: Call) -> io::Result<()> {
        let Some(file) = self.files.get(file) else {
            return Ok(());
        };
        match call {
            Call::WriteAt(_, position, length) => {
                // On a disk bytes stay: each write has its own.
                let bytes = Bytes::from(vec![1; length]);
                file.write_at(position, bytes).await?;
            }
            Call::ReadAt(_, position, length) => drop(file.read_at(position, length).await?),
            Call::SetLen(_, length) => file.set_len(length).await?,
            Call::Size(_) => drop(file.size_bytes().await?),
            Call::SyncData(_) => {
                let file = file.clone();
                self.begin(async move { file.sync_data().await });
            }
            Call::SyncAll(_) => {
                let file = file.clone();
                self.begin(async move { file.sync_all().await });
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, sync: impl Future<Output = io::Result<()>> + Send + 'static) {
        self.syncs.push(Box::pin(sync));
    }
}

fn net_of(nets: &mut Held<SimNet>, net: EndpointId) -> Option<&mut SimNet> {
    nets.get(net as u64)
}

fn filler(length: usize) -> Bytes {
    match FILLER.get(..length) {
        Some(filler) => Bytes::from_static(filler),
        None => Bytes::from(vec![1; length]),
    }
}
