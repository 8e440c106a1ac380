//! The process on a node: a broker with its operator, or a client.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use crate::broker::{
    Broker, BrokerConfig, BrokerError, Replication, StoreError, format_replica, recover_unsafe,
    salvage,
};
use crate::env::Env;
use crate::log::{
    DiskKind, FormatError, Identity, IdentityError, OpenError, format, read_identity,
};
use crate::sim::env::SimEnv;

/// The operator's work before a broker starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// Nothing.
    None,
    /// Formats a blank disk.
    Format(NewDisk),
    /// Salvages a log that is corrupt.
    Salvage,
    /// Makes it the only member of its cluster.
    Recover,
}

/// The kind that a blank disk is formatted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewDisk {
    /// The first disk of a member of the start: it knows the first
    /// configuration.
    First,
    /// One that takes the place of a lost one, or a spare's: it knows nothing,
    /// and the cluster has to take it in (D14).
    Replacement,
}

/// How a broker's process ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    /// A clean stop.
    Clean,
    /// It refused to serve.
    Refused {
        /// Why.
        why: String,
        /// The party that it blames for that.
        blames: Blames,
    },
}

/// The party that a broker accuses when it refuses to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blames {
    /// Nobody: starting it again may help.
    Nobody,
    /// Its own disk, which is not to be served from as it is.
    Disk,
    /// Nobody: there is nothing on the disk that says what it is.
    Blank,
    /// Other replicas, which have forgotten what this one knows.
    Others,
    /// Its operator: the cluster was recovered without it.
    Recovery,
    /// Nobody, for what passes and harms nothing: no process may end for that (D32).
    Passing,
}

fn blames(error: &BrokerError) -> Blames {
    match error {
        _ if error.says_nothing_of_stored_data() => Blames::Passing,
        BrokerError::Store(StoreError::Diverged(_)) => Blames::Others,
        BrokerError::Store(StoreError::NewerEpoch { .. }) => Blames::Recovery,
        BrokerError::Store(StoreError::Open(OpenError::Identity(IdentityError::NotFormatted))) => {
            Blames::Blank
        }
        BrokerError::Store(
            StoreError::Open(_)
            | StoreError::LogBehindState { .. }
            | StoreError::Inconsistent { .. }
            | StoreError::Amnesia { .. }
            | StoreError::RolledBack { .. },
        ) => Blames::Disk,
        BrokerError::Store(_) | BrokerError::Listen { .. } => Blames::Nobody,
    }
}

/// Asks a process to stop cleanly.
#[derive(Debug, Clone, Default)]
pub(super) struct StopSignal(Arc<Mutex<(bool, Option<Waker>)>>);

impl StopSignal {
    /// Asks.
    pub(super) fn raise(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }

    fn raised(self) -> impl Future<Output = ()> + Send {
        poll_fn(move |context| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.0 {
                return Poll::Ready(());
            }
            match &state.1 {
                Some(known) if known.will_wake(context.waker()) => {}
                _ => state.1 = Some(context.waker().clone()),
            }
            Poll::Pending
        })
    }
}

/// The messages of a process to the run.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// When the operator's work on the disk was done, nanoseconds since the start
    /// of the run.
    pub(super) operator_done_ns: Option<u64>,
    /// The name that the disk was formatted with.
    pub(super) disk_id: Option<u64>,
    /// How it ended.
    pub(super) exit: Option<Exit>,
}

/// Where it says so.
#[derive(Debug, Clone, Default)]
pub(super) struct Ear(Arc<Mutex<Said>>);

impl Ear {
    /// The messages so far.
    pub(super) fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One life of a broker.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) config: BrokerConfig,
    pub(super) operator: Operator,
    /// Whether the operator's command meets the disk's errors.
    pub(super) refuses_commands: bool,
    /// How many members the cluster has at the start: nodes 0 and up.
    pub(super) members: u32,
}

/// A broker's process, from the operator's hand to its end.
pub(super) async fn broker(env: SimEnv, life: Life, stop: StopSignal, ear: Ear) {
    let ended = serve(env, life, stop, &ear).await;
    ear.said().exit = Some(ended);
}

async fn serve(env: SimEnv, life: Life, stop: StopSignal, ear: &Ear) -> Exit {
    let disk = env.node as usize;
    let has_command = life.operator != Operator::None;
    env.world.lock().disks[disk].command(has_command, life.refuses_commands);
    let by_hand = match life.operator {
        Operator::None => Ok(()),
        Operator::Format(as_what) => format_disk(&env, &life, as_what)
            .await
            .map(|disk_id| ear.said().disk_id = Some(disk_id)),
        Operator::Salvage => {
            let salvaged = salvage(&env.disk(), &life.config, env.random_u64()).await;
            salvaged.map(drop).map_err(|why| why.to_string())
        }
        Operator::Recover => {
            let recovered = recover_unsafe(&env, &life.config).await;
            recovered.map(drop).map_err(|why| why.to_string())
        }
    };
    if let Err(why) = by_hand {
        let blames = match life.operator {
            Operator::Salvage => Blames::Disk,
            Operator::None | Operator::Format(_) | Operator::Recover => Blames::Nobody,
        };
        return Exit::Refused { why, blames };
    }
    // The run's time: the machine's own clock may be wrong.
    ear.said().operator_done_ns = Some(env.world.now_ns());
    {
        let mut inner = env.world.lock();
        inner.disks[disk].command(false, true);
        inner.tap.opens(env.node, has_command);
    }
    match run(env, life.config, stop).await {
        Ok(()) => Exit::Clean,
        Err(error) => Exit::Refused {
            why: error.to_string(),
            blames: blames(&error),
        },
    }
}

/// A process that is ahead of the run's time is not polled: others would miss what it
/// did to them meanwhile, and it what they did.
async fn run(env: SimEnv, config: BrokerConfig, stop: StopSignal) -> Result<(), BrokerError> {
    let (world, node) = (env.world.clone(), env.node);
    let mut runs = pin!(async { Broker::bind(env, config).await?.run(stop.raised()).await });
    poll_fn(|context| {
        let is_ahead = world.lock().core.is_ahead(node, context.waker());
        match is_ahead {
            true => Poll::Pending,
            false => runs.as_mut().poll(context),
        }
    })
    .await
}

/// Formats a blank disk. One that a power loss left formatted stays as it is: the
/// operator looks before he acts.
async fn format_disk(env: &SimEnv, life: &Life, as_what: NewDisk) -> Result<u64, String> {
    let disk = env.disk();
    let node_id = u64::from(env.node);
    let replicated = life.config.replication != Replication::None;
    let identity = Identity {
        cluster_id: CLUSTER_ID,
        node_id,
        disk_id: env.random_u64(),
        kind: Some(DiskKind::Single),
    };
    let members: Vec<u64> = (0..u64::from(life.members)).collect();
    let first = (as_what == NewDisk::First).then_some(&*members);
    let formatted = match replicated {
        true => format_replica(&disk, identity, first).await,
        false => format(&disk, identity).await,
    };
    match formatted {
        Ok(()) => Ok(identity.disk_id),
        Err(error @ FormatError::AlreadyFormatted { .. }) => {
            let known = read_identity(&disk).await;
            known
                .map(|known| known.disk_id)
                .map_err(|_| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}

const CLUSTER_ID: u64 = 1;
