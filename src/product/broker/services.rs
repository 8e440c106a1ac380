//! The services that have something due in time, a row each. A row without one of its
//! columns does not compile.
//!
//! Not here: silent members, who are dropped before the core's deadline; expiry, which
//! goes with a checkpoint; retries, of which nothing is ever due.

use std::future::Future;
use std::pin::Pin;

use super::error::StoreError;
use super::interruption::Interruption;
use super::server::{Broker, Serving};
use crate::env::Env;

/// One turn of a service.
type Turn<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// See the module.
struct Service<E: Env> {
    /// When it is due; `None`: nothing waits for it.
    deadline_ns: fn(&Serving<E>) -> Option<u64>,
    /// Does what is due, where this broker may append.
    due: for<'a> fn(&'a mut Broker<E>, &'a mut Serving<E>) -> Turn<'a>,
    /// Follows what was applied, on every replica.
    applied: fn(&mut Broker<E>, &mut Serving<E>),
}

impl<E: Env> Service<E> {
    /// In the order of their turns.
    const ALL: [Self; 3] = [
        Self {
            deadline_ns: |serving| serving.checks.deadline_ns(),
            due: |broker, serving| Box::pin(broker.check_halves(serving)),
            applied: |broker, serving| {
                broker.watch_halves(serving);
                broker.ask_noted(serving);
            },
        },
        Self {
            deadline_ns: |serving| serving.operations.deadline_ns(),
            due: |broker, serving| Box::pin(broker.write_operations(serving)),
            applied: |_, _| {},
        },
        Self {
            deadline_ns: |serving| serving.delay_clock.deadline_ns(),
            due: |broker, serving| Box::pin(broker.deliver_due(serving)),
            applied: |broker, serving| broker.watch_delays(serving),
        },
    ];
}

impl<E: Env> Broker<E> {
    /// Does what is due. Where a read failed it is put off until it is due again.
    pub(super) async fn serve_due(&mut self, serving: &mut Serving<E>) -> Result<(), Interruption> {
        for service in Service::ALL {
            let due_ns = (service.deadline_ns)(serving);
            if due_ns.is_some_and(|due_ns| due_ns <= self.env.now_ns()) {
                let done = (service.due)(self, serving).await;
                self.put_off(done)?;
            }
        }
        Ok(())
    }

    /// Lets every service follow what was applied.
    pub(super) fn follow_applied(&mut self, serving: &mut Serving<E>) {
        for service in Service::ALL {
            (service.applied)(self, serving);
        }
    }
}

impl<E: Env> Serving<E> {
    /// When the first service is due.
    pub(super) fn service_due_ns(&self) -> Option<u64> {
        let deadlines = Service::ALL.iter().map(|it| (it.deadline_ns)(self));
        deadlines.flatten().min()
    }
}
