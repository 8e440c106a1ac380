//! What runs on a node: a broker with its operator, or a client.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use crate::broker::{Broker, BrokerConfig, BrokerError, Replication, StoreError, salvage};
use crate::env::Env;
use crate::log::{FormatError, Identity, format, read_identity};
use crate::sim::env::SimEnv;

/// What an operator does before a broker starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// Nothing.
    None,
    /// Formats a blank disk.
    Format(NewDisk),
    /// Salvages a log that is corrupt.
    Salvage,
}

/// What a blank disk is formatted as.
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
        /// Whether it says that its disk is not to be served from as it is:
        /// starting it again changes nothing.
        blames_disk: bool,
    },
}

/// Whether only an operator's hand on the disk can help.
fn blames_disk(error: &BrokerError) -> bool {
    match error {
        BrokerError::Store(store) => matches!(
            store,
            StoreError::Open(_)
                | StoreError::LogBehindState { .. }
                | StoreError::Inconsistent { .. }
        ),
        BrokerError::Listen { .. } => false,
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
            state.1 = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

/// What a process tells the run.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// When the operator's work on the disk was done, nanoseconds since the start
    /// of the run.
    pub(super) operator_done_ns: Option<u64>,
    /// How it ended.
    pub(super) exit: Option<Exit>,
}

/// Where it says so.
#[derive(Debug, Clone, Default)]
pub(super) struct Ear(Arc<Mutex<Said>>);

impl Ear {
    /// What was said.
    pub(super) fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One life of a broker.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) config: BrokerConfig,
    pub(super) operator: Operator,
    /// How many members the cluster has at the start: nodes 0 and up.
    pub(super) members: u32,
}

/// A broker's process, from the operator's hand to its end.
pub(super) async fn broker(env: SimEnv, life: Life, stop: StopSignal, ear: Ear) {
    let ended = serve(env, life, stop, &ear).await;
    ear.said().exit = Some(ended);
}

async fn serve(env: SimEnv, life: Life, stop: StopSignal, ear: &Ear) -> Exit {
    let by_hand = match life.operator {
        Operator::None => Ok(()),
        Operator::Format(as_what) => format_disk(&env, &life, as_what).await,
        Operator::Salvage => {
            let salvaged = salvage(&env.disk(), &life.config, env.random_u64()).await;
            salvaged.map(drop).map_err(|why| why.to_string())
        }
    };
    if let Err(why) = by_hand {
        let blames_disk = life.operator == Operator::Salvage;
        return Exit::Refused { why, blames_disk };
    }
    ear.said().operator_done_ns = Some(env.now_ns());
    match run(env, life.config, stop).await {
        Ok(()) => Exit::Clean,
        Err(error) => Exit::Refused {
            why: error.to_string(),
            blames_disk: blames_disk(&error),
        },
    }
}

async fn run(env: SimEnv, config: BrokerConfig, stop: StopSignal) -> Result<(), BrokerError> {
    Broker::bind(env, config).await?.run(stop.raised()).await
}

/// Formats a blank disk. One that a power loss left formatted stays as it is: the
/// operator looks before he acts.
async fn format_disk(env: &SimEnv, life: &Life, as_what: NewDisk) -> Result<(), String> {
    let disk = env.disk();
    let identity = Identity {
        cluster_id: CLUSTER_ID,
        node_id: u64::from(env.node),
        disk_id: disk_id(env, &life.config, as_what),
    };
    match format(&disk, identity).await {
        Err(FormatError::AlreadyFormatted { .. }) if read_identity(&disk).await.is_ok() => Ok(()),
        formatted => formatted.map_err(|why| why.to_string()),
    }
}

const CLUSTER_ID: u64 = 1;

/// Replicas know each other's first disks by name; every other name is new.
fn disk_id(env: &SimEnv, config: &BrokerConfig, as_what: NewDisk) -> u64 {
    match (&config.replication, as_what) {
        (Replication::Raft(_), NewDisk::First) => u64::from(env.node) + 1,
        _ => env.random_u64(),
    }
}
