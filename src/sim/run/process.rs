//! What runs on a node: a broker with its operator, or a client.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use crate::broker::{Broker, BrokerConfig, salvage};
use crate::env::Env;
use crate::log::{Identity, format};
use crate::sim::env::SimEnv;

/// What an operator does before a broker starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// Nothing.
    None,
    /// Formats a new or replaced disk.
    Format,
    /// Salvages a log that is corrupt.
    Salvage,
}

/// How a broker's process ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    /// A clean stop.
    Clean,
    /// It refused to serve: why.
    Refused(String),
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

/// Where a process leaves how it ended.
pub(super) type ExitSlot = Arc<Mutex<Option<Exit>>>;

/// A broker's process, from the operator's hand to its end.
pub(super) async fn broker(
    env: SimEnv,
    config: BrokerConfig,
    operator: Operator,
    stop: StopSignal,
    exit: ExitSlot,
) {
    let ended = match serve(env, config, operator, stop).await {
        Ok(()) => Exit::Clean,
        Err(why) => Exit::Refused(why),
    };
    *exit.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
}

async fn serve(
    env: SimEnv,
    config: BrokerConfig,
    operator: Operator,
    stop: StopSignal,
) -> Result<(), String> {
    match operator {
        Operator::None => {}
        Operator::Format => {
            let identity = Identity {
                cluster_id: 1,
                node_id: u64::from(env.node),
                disk_id: env.random_u64(),
            };
            format(&env.disk(), identity)
                .await
                .map_err(|why| why.to_string())?;
        }
        Operator::Salvage => {
            let salvaged = salvage(&env.disk(), &config, env.random_u64()).await;
            salvaged.map_err(|why| why.to_string())?;
        }
    }
    let broker = Broker::bind(env, config)
        .await
        .map_err(|why| why.to_string())?;
    broker
        .run(stop.raised())
        .await
        .map_err(|why| why.to_string())
}
