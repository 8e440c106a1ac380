//! The broker's loop: what syncs before what is answered.
//!
//! ```text
//!   ┌─▶ wait for: a finished sync · finished background work · a request · a deadline · stop
//!   │      │
//!   │   handle requests        stage, park, answer from the applied state
//!   │   consensus              a replica: propose, replicate, store, commit
//!   │   write                  one write for all that was staged
//!   │   next job               sync, or roll: polled beside everything else
//!   │   apply to read limit    state and queues
//!   │   release                answers whose entry is durable enough
//!   └── serve held pulls, flush answers
//! ```
//!
//! The read limit is what makes the difference: without replication the flushed
//! position (or, under asynchronous flush, the appended one), with Raft the
//! commit index. Entries leave for the followers before this broker's own write
//! and sync (D3); the core counts each replica by what is durable there.
//!
//! One task, no task per request: a request is a waiter in a queue. The same
//! loop runs on real sockets and files.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::background::{BackgroundWork, Snapshot};
use super::backlog::Backlog;
use super::config::{BrokerConfig, FlushDiskType, Replication};
use super::delays::DelayClock;
use super::error::{BrokerError, StoreError};
use super::expiry::{Expiring, Part};
use super::founding::Founded;
use super::groups::{Locks, Members};
use super::held_pulls::{HeldPulls, Pull};
use super::interruption::{Interruption, Renewal};
use super::outbox::Outbox;
use super::refusals::Refusals;
use super::replica::{Reads, Replica, Wanted};
use super::reserve::Reserve;
use super::sessions::Sessions;
use super::store::Store;
use super::transactions::{Checks, Operations};
use super::trouble::Troubles;
use super::waiters::{SendAnswer, Waiters};
use crate::env::{ConnId, Env, Net, NetEvent, Notice, Pooled, Timer, yield_once};
use crate::log::{Done, Job, JobKind, Position};
use crate::raft::{EntryId, HardState, Input};
use crate::remoting::ResponseCode;

/// A broker's disk as its store sees it: with few descriptors.
pub(super) type StoreDisk<E> = Pooled<<E as Env>::Disk>;

/// A running broker.
pub struct Broker<E: Env> {
    pub(super) env: E,
    pub(super) config: BrokerConfig,
    pub(super) net: E::Net,
    pub(super) timer: E::Timer,
    pub(super) sessions: Sessions,
    pub(super) members: Members,
    pub(super) outbox: Outbox,
    /// This disk was formatted as a first one and has heard of a cluster that does
    /// not name it: it waits to be let in (D13).
    pub(super) stood_back: bool,
    pub(super) troubles: Troubles,
    pub(super) reserve: Reserve,
    pub(super) refusals: Refusals,
    /// Pulls whose groups begin with them, to be served in this step.
    pub(super) begun: Vec<Pull>,
}

/// The parts that a reopened store begins anew.
pub(super) struct Serving<E: Env> {
    pub(super) store: Store<StoreDisk<E>>,
    /// With replication.
    pub(super) replica: Option<Replica>,
    pub(super) reads: Reads,
    pub(super) waiters: Waiters<SendAnswer>,
    pub(super) held_pulls: HeldPulls,
    pub(super) checks: Checks,
    pub(super) operations: Operations,
    pub(super) locks: Locks,
    pub(super) delay_clock: DelayClock,
    pub(super) job: Option<Job<StoreDisk<E>>>,
    pub(super) background: Option<BackgroundWork>,
    pub(super) expiring: Option<Expiring>,
    /// Long work had its turn, and gives way to whatever else there is to do.
    pub(super) gives_way: bool,
    /// The last wake was a deadline: what came over the network goes before the next.
    was_deadline: bool,
    pub(super) flush_due_ns: u64,
    pub(super) checkpoint_due_ns: u64,
    pub(super) mark_due_ns: Option<u64>,
    pub(super) snapshot: Option<Snapshot>,
    /// The applied address of the newest snapshot that was begun.
    pub(super) snapshot_address: u64,
    /// Bytes that may be appended before sends are refused (D31).
    pub(super) room_bytes: u64,
    /// Bytes that may be appended by what goes on when sends are refused.
    pub(super) own_room_bytes: u64,
    pub(super) backlog: Backlog,
}

/// The reason why the loop woke.
enum Wake<D: crate::env::Disk> {
    Job(Done<D>),
    BackgroundWork(Result<(), StoreError>),
    Expired(Part),
    /// More may be applied.
    More,
    HardState(Result<HardState, StoreError>),
    Net(NetEvent),
    Deadline,
    Stop,
}

impl<E: Env> Broker<E> {
    /// Binds the broker's address. The store is opened by [`Broker::run`].
    pub async fn bind(env: E, mut config: BrokerConfig) -> Result<Self, BrokerError> {
        let mut net = env.net();
        let bounds = &mut config.bounds;
        bounds.connections = bounds.connections.min(net.streams_max());
        bounds.connections_of_host = bounds.connections_of_host.min(bounds.connections);
        let address = config.listen;
        config.listen = net
            .listen(address)
            .await
            .map_err(|source| BrokerError::Listen { address, source })?;
        if let Replication::Raft(raft) = &config.replication
            && let Some(me) = raft.peers.get(&raft.node_id)
        {
            let address = me.peer;
            net.listen_peers(address)
                .await
                .map_err(|source| BrokerError::Listen { address, source })?;
        }
        Ok(Self {
            timer: env.timer(),
            env,
            config,
            net,
            sessions: Sessions::default(),
            members: Members::default(),
            outbox: Outbox::default(),
            stood_back: false,
            troubles: Troubles::default(),
            reserve: Reserve::default(),
            refusals: Refusals::default(),
            begun: Vec::new(),
        })
    }

    /// The address that clients connect to.
    pub fn address(&self) -> std::net::SocketAddr {
        self.config.listen
    }

    /// Serves until `stop` resolves, then stops cleanly; or until the stored
    /// data cannot be served.
    ///
    /// A log that failed is opened again: after a failed write or sync nothing
    /// is acknowledged that recovery has not made durable (D23, D24).
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) -> Result<(), BrokerError> {
        let mut stop = pin!(stop);
        let mut rebuild = false;
        let mut told = String::new();
        loop {
            let opened = match self.found(stop.as_mut()).await {
                Ok(Founded::Stop) => return Ok(()),
                Ok(Founded::Open) => self.open_and_refuse(rebuild).await,
                Err(failure) => Err(failure),
            };
            let interruption = match opened {
                Ok(mut serving) => {
                    if let Some(mut view) = self.as_replica(&mut serving) {
                        view.greet();
                    }
                    match self.serve(&mut serving, stop.as_mut()).await {
                        Ok(()) => return self.stop_cleanly(serving).await,
                        Err(interruption) => {
                            told.clear();
                            self.give_up(&mut serving);
                            interruption
                        }
                    }
                }
                Err(failure) => failure.into(),
            };
            let interruption = interruption.passing()?;
            rebuild = interruption.wants_rebuild();
            let goes_on_at_once = match &interruption {
                Interruption::Planned(renewal) => {
                    self.stood_back &= !matches!(renewal, Renewal::FoundingAgain);
                    true
                }
                Interruption::Failed(failure) => self.give_reserve_back(failure).await,
            };
            // Once, however often it is tried: the operator has read it.
            let why = interruption.for_the_operator();
            if why != told {
                self.env.report(Notice::StoreReopened {
                    reason: interruption.reopening(),
                    why: why.clone(),
                });
                told = why;
            }
            if goes_on_at_once {
                continue;
            }
            if self.pause(stop.as_mut()).await {
                return Ok(());
            }
        }
    }

    async fn serve<S: Future<Output = ()>>(
        &mut self,
        serving: &mut Serving<E>,
        mut stop: Pin<&mut S>,
    ) -> Result<(), Interruption> {
        self.fill_reserve(false).await;
        self.look_for_room(serving).await;
        loop {
            self.step(serving).await?;
            if serving.has_more() {
                // By the time it looks, all is there that has come meanwhile.
                yield_once().await;
            }
            let deadline_ns = self.next_deadline_ns(serving);
            self.timer.reset(Some(deadline_ns));
            let wake = poll_fn(|context| self.poll_wake(serving, stop.as_mut(), context)).await;
            match wake {
                Wake::Stop => return Ok(()),
                Wake::Job(done) => {
                    let flushed = serving.store.log.job_done(done)?;
                    self.became_durable(serving);
                    self.held(serving, flushed).await?;
                    self.drop_expired(serving).await?;
                }
                Wake::More => {}
                Wake::Expired(part) => self.expire_further(serving, part).await?,
                Wake::BackgroundWork(done) => {
                    serving.background = None;
                    self.background_done(serving, done)?;
                }
                Wake::HardState(saved) => {
                    self.hard_state_saved(serving, saved?).await?;
                }
                Wake::Net(event) => self.handle_events(serving, event).await?,
                Wake::Deadline => {
                    self.hear_peers(serving, u64::MAX).await?;
                    self.handle_deadlines(serving).await?;
                }
            }
        }
    }

    /// Polled in this order, so that durability is noticed before new work, and
    /// no flood of requests keeps a deadline or the stop from being noticed.
    fn poll_wake<S: Future<Output = ()>>(
        &mut self,
        serving: &mut Serving<E>,
        stop: Pin<&mut S>,
        context: &mut Context<'_>,
    ) -> Poll<Wake<StoreDisk<E>>> {
        if stop.poll(context).is_ready() {
            return Poll::Ready(Wake::Stop);
        }
        if let Some(job) = &mut serving.job
            && let Poll::Ready(done) = Pin::new(job).poll(context)
        {
            serving.job = None;
            return Poll::Ready(Wake::Job(done));
        }
        if let Some(background) = &mut serving.background
            && let Poll::Ready(done) = background.as_mut().poll(context)
        {
            return Poll::Ready(Wake::BackgroundWork(done));
        }
        if let Some(replica) = &mut serving.replica
            && let Some(saving) = &mut replica.saving
            && let Poll::Ready(saved) = saving.as_mut().poll(context)
        {
            replica.saving = None;
            return Poll::Ready(Wake::HardState(saved));
        }
        // Long work and everything else take turns: neither keeps the other waiting.
        if !serving.gives_way
            && let Poll::Ready(part) = serving.poll_long_work(context)
        {
            return Poll::Ready(part);
        }
        let is_due = pin!(self.timer.fired()).poll(context).is_ready();
        // On a slow machine one deadline's work may last until the next.
        let is_net_s_turn = !is_due || serving.was_deadline;
        let mut others = match is_net_s_turn {
            true => pin!(self.net.next()).poll(context).map(Wake::Net),
            false => Poll::Pending,
        };
        if is_due && others.is_pending() {
            others = Poll::Ready(Wake::Deadline);
        }
        if serving.gives_way && others.is_pending() {
            return serving.poll_long_work(context);
        }
        serving.gives_way = false;
        serving.was_deadline = matches!(others, Poll::Ready(Wake::Deadline));
        others
    }

    /// Acknowledgements may rest on everything up to here: the disk, or, under
    /// asynchronous flush, the page cache.
    pub(super) async fn held(
        &mut self,
        serving: &mut Serving<E>,
        upto: Position,
    ) -> Result<(), Interruption> {
        if serving.replica.is_none() {
            return Ok(());
        }
        let entry = EntryId {
            term: upto.term,
            index: upto.next_index - 1,
        };
        self.happened(serving, Input::Durable(entry)).await
    }

    /// Everything that follows from what was staged or became durable.
    async fn step(&mut self, serving: &mut Serving<E>) -> Result<(), Interruption> {
        self.pursue(serving).await?;
        let rolling = matches!(
            serving.job.as_ref().map(Job::kind),
            Some(JobKind::Roll { .. })
        );
        if !rolling {
            let written = serving.store.log.write().await?;
            if self.config.flush_disk_type == FlushDiskType::Async {
                self.held(serving, written.appended).await?;
            }
        }
        self.start_job(serving);
        if serving.store.apply()? {
            self.serve_held_pulls(serving).await?;
        }
        if serving.store.holds_much() {
            serving.take_snapshot();
        }
        self.judge_serving(serving);
        self.serve_reads(serving).await?;
        self.release_waiters(serving);
        self.serve_begun(serving).await?;
        self.follow_applied(serving);
        self.outbox.flush(&mut self.net);
        Ok(())
    }

    fn start_job(&mut self, serving: &mut Serving<E>) {
        let now_ns = self.env.now_ns();
        let wanted = match self.config.flush_disk_type {
            FlushDiskType::Sync => true,
            FlushDiskType::Async => {
                serving.store.log.roll_needed() || now_ns >= serving.flush_due_ns
            }
        };
        if wanted && serving.job.is_none() {
            serving.job = serving.store.log.next_job();
            serving.flush_due_ns = now_ns + self.config.flush_interval_ms * 1_000_000;
        }
    }

    /// The store failed: the waiting clients are told that the outcome is unknown.
    fn give_up(&mut self, serving: &mut Serving<E>) {
        self.dismiss(serving, "the log failed");
        for Wanted { conn, command } in serving.reads.take_all() {
            let code = ResponseCode::SYSTEM_BUSY;
            self.outbox
                .refuse(conn, command.reply_to(), code, "the log failed");
        }
        self.outbox.flush(&mut self.net);
    }

    /// Answers every request that waits: for an entry, that nobody knows whether it stays
    /// (D25); for anything else, that it is not to be had now.
    pub(super) fn dismiss(&mut self, serving: &mut Serving<E>, why: &str) {
        while let Some(waiter) = serving.waiters.pop() {
            let remark = format!("{why} before this was durable enough");
            let (reply_to, code) = (waiter.answer.reply_to, ResponseCode::SYSTEM_ERROR);
            self.outbox.refuse(waiter.conn, reply_to, code, &remark);
        }
        for pull in std::mem::take(&mut self.begun) {
            let code = ResponseCode::SYSTEM_BUSY;
            self.outbox.refuse(pull.conn, pull.reply_to, code, why);
        }
        let operator = serving.replica.as_mut().and_then(|it| it.asked.take());
        for (conn, reply_to) in serving.held_pulls.take_all().into_iter().chain(operator) {
            self.outbox
                .refuse(conn, reply_to, ResponseCode::SYSTEM_BUSY, why);
        }
    }

    /// Finishes what is under way, answers it, and leaves a store that the next
    /// start trusts. Where the operating system refuses that for now, nothing is lost:
    /// the next start recovers from the log. Where the store was to be opened again,
    /// nothing is lost either: the next start opens it.
    async fn stop_cleanly(&mut self, mut serving: Serving<E>) -> Result<(), BrokerError> {
        let closed = match self.finish(&mut serving).await {
            Ok(()) => {
                self.look_for_room(&mut serving).await;
                serving.close().await
            }
            Err(interruption) => {
                self.give_up(&mut serving);
                match interruption {
                    Interruption::Planned(_) => Ok(()),
                    Interruption::Failed(failed) => Err(failed),
                }
            }
        };
        match closed {
            Err(failed) if failed.says_nothing_of_stored_data() => {
                let why = failed.to_string();
                self.env.report(Notice::StopUnrecorded { why });
                Ok(())
            }
            closed => Ok(closed?),
        }
    }

    /// Makes durable and answers what is under way.
    async fn finish(&mut self, serving: &mut Serving<E>) -> Result<(), Interruption> {
        if let Some(job) = serving.job.take() {
            serving.store.log.job_done(job.await)?;
        }
        if let Some(background) = serving.background.take() {
            let done = background.await;
            self.background_done(serving, done)?;
        }
        if let Some(saving) = serving.replica.as_mut().and_then(|it| it.saving.take()) {
            saving.await?;
        }
        // A request that waited for a read may have staged something since the last step,
        // and the core is told of an entry before it is written.
        self.pursue(serving).await?;
        serving.store.make_durable().await?;
        self.step(serving).await?;
        if let Some(job) = serving.job.take() {
            serving.store.log.job_done(job.await)?;
        }
        Ok(())
    }
}

impl<E: Env> Serving<E> {
    pub(super) fn new(
        store: Store<StoreDisk<E>>,
        replica: Option<Replica>,
        locks: Locks,
        env: &E,
    ) -> Self {
        let end_address = store.log.tail().address;
        Self {
            store,
            replica,
            delay_clock: DelayClock::of_log(end_address),
            reads: Reads::default(),
            waiters: Waiters::default(),
            held_pulls: HeldPulls::default(),
            checks: Checks::default(),
            operations: Operations::default(),
            locks,
            job: None,
            background: None,
            expiring: None,
            gives_way: false,
            was_deadline: false,
            flush_due_ns: env.now_ns(),
            checkpoint_due_ns: env.now_ns(),
            mark_due_ns: None,
            snapshot: None,
            snapshot_address: 0,
            room_bytes: 0,
            own_room_bytes: 0,
            backlog: Backlog::default(),
        }
    }

    /// Work that goes on in the next step, whatever comes.
    fn has_more(&self) -> bool {
        let replica = self.replica.as_ref();
        self.store.has_more() || replica.is_some_and(Replica::has_more)
    }

    /// Polls what is done in parts, each bounded.
    fn poll_long_work(&mut self, context: &mut Context<'_>) -> Poll<Wake<StoreDisk<E>>> {
        if self.has_more() {
            self.gives_way = true;
            return Poll::Ready(Wake::More);
        }
        let Some(expiring) = &mut self.expiring else {
            return Poll::Pending;
        };
        let part = expiring.poll(context);
        self.gives_way = part.is_ready();
        part.map(Wake::Expired)
    }

    /// The stream is gone: nobody waits on it.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.held_pulls.forget(conn);
        self.reads.forget(conn);
    }
}
