//! Reads that failed though nothing is damaged: the client is refused and may ask
//! again, the operator is told once.
//!
//! Promise: what passes by itself, or waits for an operator, closes no store and
//! deposes no leader.

use std::collections::BTreeMap;

use super::error::StoreError;
use super::interruption::Interruption;
use super::server::Broker;
use crate::env::failure;
use crate::env::{ConnId, Env, Notice};
use crate::remoting::{ReplyTo, ResponseCode};

/// Pause before the operator is told the same again, nanoseconds.
const TELL_AGAIN_NS: u64 = 60_000_000_000;

/// When the operator was told which cure.
#[derive(Debug, Default)]
pub(super) struct Troubles(BTreeMap<&'static str, u64>);

impl Troubles {
    /// Whether the operator is to be told now.
    fn is_news(&mut self, cure: &'static str, now_ns: u64) -> bool {
        let told_ns = self.0.get(cure).copied();
        let news = told_ns.is_none_or(|told_ns| now_ns >= told_ns + TELL_AGAIN_NS);
        if news {
            self.0.insert(cure, now_ns);
        }
        news
    }
}

impl<E: Env> Broker<E> {
    /// The broker's own work is put off where a read failed that may succeed the next
    /// time; any other failure is given back.
    pub(super) fn put_off(
        &mut self,
        done: Result<(), impl Into<Interruption>>,
    ) -> Result<(), Interruption> {
        match done.map_err(Into::into) {
            Err(Interruption::Failed(failed)) if failed.is_of_this_read() => {
                self.tell(&failed);
                Ok(())
            }
            done => done,
        }
    }

    /// The same of what a client asked for, which is refused: in any case, since it waits
    /// nowhere any more.
    pub(super) fn refuse_unread(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        why: impl Into<Interruption>,
    ) -> Result<(), Interruption> {
        match why.into() {
            Interruption::Failed(failed) if failed.is_of_this_read() => {
                let remark = failed.for_the_operator();
                self.outbox
                    .refuse(conn, reply_to, ResponseCode::SYSTEM_BUSY, &remark);
                self.tell(&failed);
                Ok(())
            }
            interruption => {
                let code = ResponseCode::SERVICE_NOT_AVAILABLE;
                let remark = interruption.to_string();
                self.outbox.refuse(conn, reply_to, code, &remark);
                Err(interruption)
            }
        }
    }

    /// Refuses what was taken together with something that met a failure of the store,
    /// and waits nowhere any more.
    pub(super) fn refuse_behind_failure(&mut self, conn: ConnId, reply_to: ReplyTo) {
        let code = ResponseCode::SERVICE_NOT_AVAILABLE;
        self.outbox.refuse(conn, reply_to, code, "the log failed");
    }

    /// Tells the operator what failed and what cures it, now and then.
    pub(super) fn tell(&mut self, failed: &StoreError) {
        let cure = failure::cure(failed).unwrap_or_default();
        if self.troubles.is_news(cure, self.env.now_ns()) {
            let why = failed.for_the_operator();
            self.env.report(Notice::TriedAgain { why });
        }
    }
}
