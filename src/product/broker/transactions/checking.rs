//! Check-backs: a producer of the group is asked how its transaction ended;
//! after enough questions, or enough time, the half message is discarded.
//!
//! A question counts when its note is in the log, and only then it is asked: so
//! it counts after a change of the leader too. There is one at a time, and before
//! the next one, or the discard, the broker hears what had come from clients by then:
//! the answer may be there. Ages are counted from when this broker first saw the half
//! message, on the clock that no one sets (D30): a jump of the wall clock discards
//! nothing, and a new leader counts anew.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;

use super::super::config::BrokerConfig;
use super::super::error::StoreError;
use super::super::replica::Replica;
use super::super::server::{Broker, Serving};
use super::super::store::{NewMessage, Store};
use super::ending::DecideError;
use super::{Decision, Half, OP_TOPIC};
use crate::env::{ConnId, Disk, Env, Net, Source};
use crate::remoting::MessageId;
use crate::remoting::transaction::CheckTransactionState;

const NS_PER_MS: u64 = 1_000_000;
/// After so long it is looked again whether all has been heard, nanoseconds.
const HEARS_NS: u64 = 10 * NS_PER_MS;

/// A question that is asked once its note is durable enough.
#[derive(Debug)]
pub(in crate::broker) struct CheckBack {
    half_address: u64,
    queue_offset: u64,
    transaction_id: String,
    /// Where its note ends in the log.
    end_address: u64,
    conn: ConnId,
    record: Bytes,
}

/// The knowledge of a broker that serves about its half messages, beside the log.
#[derive(Debug, Default)]
pub(in crate::broker) struct Checks {
    /// When each was first seen, on the broker's clock. Those that were decided
    /// since stay until the next look.
    seen_ns: BTreeMap<u64, u64>,
    /// All below this log address have been seen.
    seen_address: u64,
    due_ns: u64,
    /// Events of streams that had come when half messages were to be looked at, and that
    /// are heard before; `None`: they are not due.
    unheard: Option<usize>,
    /// In the order of their notes.
    noted: VecDeque<CheckBack>,
    asked: u64,
}

/// The action that is due for a half message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    Question,
    Discard,
}

impl Checks {
    /// When half messages are to be looked at; `None`: there are none.
    pub(in crate::broker) fn deadline_ns(&self) -> Option<u64> {
        (!self.seen_ns.is_empty()).then_some(self.due_ns)
    }

    /// So many events of streams were handled.
    pub(in crate::broker) fn heard(&mut self, events: usize) {
        if let Some(unheard) = &mut self.unheard {
            *unheard = unheard.saturating_sub(events);
        }
    }

    /// Another broker asks from now on.
    pub(in crate::broker) fn forget(&mut self) {
        *self = Self::default();
    }
}

fn due(half: &Half, age_ms: u64, config: &BrokerConfig) -> Due {
    let immune_ms = half.immunity_ms.unwrap_or(config.transaction_timeout_ms);
    if age_ms >= config.half_age_max_ms {
        Due::Discard
    } else if age_ms < immune_ms {
        Due::Nothing
    } else if half.checks >= config.transaction_check_max {
        Due::Discard
    } else {
        Due::Question
    }
}

impl<E: Env> Broker<E> {
    /// Follows what is pending: newly applied half messages begin to age.
    pub(in crate::broker) fn watch_halves(&self, serving: &mut Serving<E>) {
        let serves = serving.replica.as_ref().is_none_or(|it| it.serves);
        let checks = &mut serving.checks;
        if !serves {
            return checks.forget();
        }
        let now_ns = self.env.now_ns();
        let fresh = serving
            .store
            .state
            .transactions
            .pending_from(checks.seen_address);
        for address in fresh {
            if checks.seen_ns.is_empty() {
                checks.due_ns = now_ns + self.config.transaction_check_interval_ms * NS_PER_MS;
            }
            checks.seen_ns.insert(address, now_ns);
            checks.seen_address = address + 1;
        }
    }

    /// Notes the questions that are due, and discards what was asked about, or
    /// has waited, long enough.
    pub(in crate::broker) async fn check_halves(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), StoreError> {
        let now_ns = self.env.now_ns();
        let waiting = self.net.waiting(Source::Streams);
        let unheard = serving.checks.unheard.map_or(waiting, |it| it.min(waiting));
        if unheard > 0 {
            serving.checks.unheard = Some(unheard);
            serving.checks.due_ns = now_ns + HEARS_NS;
            return Ok(());
        }
        serving.checks.unheard = None;
        serving.checks.due_ns = now_ns + self.config.transaction_check_interval_ms * NS_PER_MS;
        let Serving { checks, store, .. } = serving;
        let book = &store.state.transactions;
        checks
            .seen_ns
            .retain(|address, _| book.half(*address).is_some());
        let seen: Vec<(u64, u64)> = checks
            .seen_ns
            .iter()
            .map(|(address, seen_ns)| (*address, (now_ns - seen_ns) / NS_PER_MS))
            .collect();
        let under_way: BTreeSet<u64> = checks.noted.iter().map(|it| it.half_address).collect();
        let ages = seen.into_iter().filter(|(it, _)| !under_way.contains(it));
        for (half_address, age_ms) in ages {
            if !self.accepts_own(serving) {
                return Ok(());
            }
            let open = serving.store.open_half(half_address).cloned();
            let Some(half) = open else { continue };
            // A question whose answer would be refused would only bring the half
            // nearer to being discarded.
            if self
                .admit_in_time(serving, half.record_bytes as usize)
                .is_err()
            {
                continue;
            }
            match due(&half, age_ms, &self.config) {
                Due::Nothing => {}
                Due::Question => self.note_check(serving, half_address, &half).await?,
                Due::Discard => self.discard(serving, half_address).await?,
            }
        }
        Ok(())
    }

    /// Whether this broker may append on its own account.
    pub(in crate::broker) fn accepts_own(&self, serving: &Serving<E>) -> bool {
        serving.replica.as_ref().is_none_or(Replica::leads)
            && self.admit_in_time(serving, 0).is_ok()
    }

    async fn note_check(
        &mut self,
        serving: &mut Serving<E>,
        half_address: u64,
        half: &Half,
    ) -> Result<(), StoreError> {
        let now_ns = self.env.now_ns();
        let expired_ns = self.config.client_expired_ms * NS_PER_MS;
        let since_ns = now_ns.saturating_sub(expired_ns);
        serving.checks.asked += 1;
        let turn = serving.checks.asked;
        let Some(conn) = self.sessions.producer_of(&half.group, since_ns, turn) else {
            return Ok(());
        };
        let read = serving.store.log.read(half_address, half.record_bytes);
        let record = read.await?.into_record();
        let now_ms = self.env.wall_ms();
        let noted = serving.store.append_check(half_address, now_ms);
        let end_address = match noted.await {
            Ok(end_address) => end_address,
            Err(error) => return self.own_append_failed(error),
        };
        serving.checks.noted.push_back(CheckBack {
            half_address,
            queue_offset: half.queue_offset,
            transaction_id: half.transaction_id.clone(),
            end_address,
            conn,
            record,
        });
        Ok(())
    }

    async fn discard(
        &mut self,
        serving: &mut Serving<E>,
        half_address: u64,
    ) -> Result<(), StoreError> {
        let now_ms = self.env.wall_ms();
        let decided = serving
            .store
            .decide(half_address, Decision::Discarded, now_ms);
        match decided.await {
            Ok(_) => Ok(()),
            Err(error) => self.own_append_failed(error),
        }
    }

    /// Nobody waits for it: only a log that failed matters.
    fn own_append_failed(&mut self, error: DecideError) -> Result<(), StoreError> {
        match error {
            DecideError::Store(error) => Err(error),
            DecideError::Append(error) => error.into_fatal().map_or(Ok(()), Err),
        }
    }

    /// Asks what is noted durably enough, and was not decided meanwhile.
    pub(in crate::broker) fn ask_noted(&mut self, serving: &mut Serving<E>) {
        let limit = serving.store.read_limit();
        let noted = &mut serving.checks.noted;
        let ready = noted.partition_point(|check| check.end_address <= limit);
        for check in noted.drain(..ready) {
            if serving.store.open_half(check.half_address).is_some() {
                self.ask(&check);
            }
        }
    }

    fn ask(&mut self, check: &CheckBack) {
        let offset_id = MessageId {
            host: self.config.listen,
            address: check.half_address,
        };
        let question = CheckTransactionState {
            tran_state_table_offset: check.queue_offset as i64,
            commit_log_offset: check.half_address as i64,
            msg_id: &check.transaction_id,
            transaction_id: &check.transaction_id,
            offset_msg_id: &offset_id.to_string(),
        };
        self.outbox.ask(check.conn, &question, &check.record);
    }
}

impl<D: Disk> Store<D> {
    /// A half message that no entry decides, applied or not.
    pub(super) fn open_half(&self, half_address: u64) -> Option<&Half> {
        let open = !self.deciding.contains_key(&half_address);
        self.state.transactions.half(half_address).filter(|_| open)
    }

    /// Notes that a group is asked about its half message; gives where the note
    /// ends.
    async fn append_check(&mut self, half_address: u64, now_ms: u64) -> Result<u64, DecideError> {
        let note = note(half_address, 0, self.config.listen, now_ms);
        let appended = self.append_message(note).await;
        Ok(appended.map_err(DecideError::Append)?.staged.end_address)
    }
}

/// A note in the operation topic about the half message at an address.
pub(super) fn note(
    half_address: u64,
    sys_flag: u32,
    by: SocketAddr,
    now_ms: u64,
) -> NewMessage<'static> {
    NewMessage {
        topic: OP_TOPIC,
        queue_id: 0,
        flag: 0,
        sys_flag,
        born_timestamp_ms: now_ms,
        born_host: by,
        store_timestamp_ms: now_ms,
        reconsume_times: 0,
        prepared_transaction_offset: half_address,
        properties: "",
        body: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_message_is_let_be_then_asked_about_then_discarded() {
        let config = BrokerConfig {
            transaction_timeout_ms: 6_000,
            transaction_check_max: 2,
            half_age_max_ms: 100_000,
            ..BrokerConfig::default()
        };
        let half = |checks, immunity_ms| Half {
            queue_offset: 0,
            record_bytes: 0,
            group: String::new(),
            transaction_id: String::new(),
            checks,
            immunity_ms,
        };
        for (checks, immunity_ms, age_ms, what) in [
            (0, None, 5_999, Due::Nothing),
            (0, None, 6_000, Due::Question),
            (1, None, 60_000, Due::Question),
            (2, None, 6_000, Due::Discard),
            (0, Some(50_000), 49_999, Due::Nothing),
            (2, Some(50_000), 49_999, Due::Nothing),
            (0, None, 100_000, Due::Discard),
            (0, Some(200_000), 100_000, Due::Discard),
        ] {
            assert_eq!(due(&half(checks, immunity_ms), age_ms, &config), what);
        }
    }
}
