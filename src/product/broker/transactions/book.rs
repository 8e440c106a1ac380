//! The transactions that are pending and those that were decided: a fold over the log.

use serde::{Deserialize, Serialize};

use super::{DISCARD_TOPIC, HALF_TOPIC, OP_TOPIC};
use crate::broker::chunked::{Chunked, Run};
use crate::record::{Message, Properties, key};
use crate::remoting::transaction::sys_flag;

/// Decisions remembered, so that a repeated end is answered as what it is. An
/// end of an older one is refused: its half message is not pending any more.
const DECIDED_MAX: usize = 2_000;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Its message is in the real topic.
    Committed,
    /// It never will be.
    RolledBack,
    /// Nobody decided it in time; it stands in the discard topic.
    Discarded,
}

/// A half message that is not decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Half {
    /// Its offset in the half topic.
    pub queue_offset: u64,
    /// Length of its record, bytes.
    pub record_bytes: u32,
    /// The producer group, which is asked about it.
    pub group: String,
    /// The producer's own id of the message (`UNIQ_KEY`); empty where it gave
    /// none.
    pub transaction_id: String,
    /// How often its producer group was asked.
    pub checks: u32,
    /// It is not asked about before it is this old, milliseconds; `None`: the
    /// broker's default.
    pub immunity_ms: Option<u64>,
}

/// A transaction that was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Decided {
    outcome: Decision,
    queue_offset: u64,
    group: String,
    transaction_id: String,
}

/// The effect of a message in the log on the transactions. Half messages are named by
/// their log address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) enum TransactionEffect {
    /// A half message is there.
    Half { address: u64, half: Half },
    /// Its group was asked once more.
    Checked { half_address: u64 },
    /// It is decided.
    Decided {
        half_address: u64,
        outcome: Decision,
    },
}

impl TransactionEffect {
    /// The half message that it is about.
    pub(in crate::broker) fn half_address(&self) -> u64 {
        match self {
            Self::Half { address, .. } => *address,
            Self::Checked { half_address } | Self::Decided { half_address, .. } => *half_address,
        }
    }

    /// Of the message at `address`, if it has to do with transactions.
    pub(in crate::broker) fn of(
        message: &Message<'_>,
        address: u64,
        record_bytes: u32,
    ) -> Option<Self> {
        let half_address = message.prepared_transaction_offset;
        let decided = |outcome| Self::Decided {
            half_address,
            outcome,
        };
        let kind = message.sys_flag as i32 & sys_flag::TRANSACTION;
        match (message.topic, kind) {
            (HALF_TOPIC, _) => Some(Self::Half {
                address,
                half: Half::of(message, record_bytes),
            }),
            // Written in buffered operations only: else the message says it.
            (OP_TOPIC, sys_flag::COMMIT) => Some(decided(Decision::Committed)),
            (OP_TOPIC, sys_flag::ROLLBACK) => Some(decided(Decision::RolledBack)),
            (OP_TOPIC, _) => Some(Self::Checked { half_address }),
            (DISCARD_TOPIC, _) => Some(decided(Decision::Discarded)),
            (_, sys_flag::COMMIT) => Some(decided(Decision::Committed)),
            _ => None,
        }
    }
}

impl Half {
    fn of(message: &Message<'_>, record_bytes: u32) -> Self {
        let properties = Properties::new(message.properties);
        let text = |name| properties.get(name).unwrap_or_default().to_owned();
        let immunity_s: Option<u64> = properties
            .get(key::CHECK_IMMUNITY_TIME_S)
            .and_then(|seconds| seconds.parse().ok());
        Self {
            queue_offset: message.queue_offset,
            record_bytes,
            group: text(key::PRODUCER_GROUP),
            transaction_id: text(key::UNIQ_KEY),
            checks: 0,
            immunity_ms: immunity_s.map(|seconds| seconds.saturating_mul(1_000)),
        }
    }
}

/// The half message or decision that a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Pending,
    Decided(Decision),
    /// Another group's.
    OtherGroup,
    Nothing,
}

/// All transactions, as of an address of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transactions {
    pending: Chunked<u64, Half>,
    decided: Chunked<u64, Decided>,
}

impl Transactions {
    /// The half messages that are not decided, each with its log address, oldest
    /// first.
    pub fn pending(&self) -> impl Iterator<Item = (u64, &Half)> {
        self.pending.iter().map(|(address, half)| (*address, half))
    }

    /// How many half messages are not decided.
    pub(in crate::broker) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// As [`Self::pending`], from a log address on.
    pub(super) fn pending_from(&self, address: u64) -> impl Iterator<Item = u64> {
        self.pending.from(&address).map(|(address, _)| *address)
    }

    /// The half message at a log address, if it is pending.
    pub fn half(&self, address: u64) -> Option<&Half> {
        self.pending.get(&address)
    }

    /// Pending transactions, in runs of so many.
    pub(in crate::broker) fn pending_runs(&self, entries: usize) -> Vec<Run<u64, Half>> {
        self.pending.runs(entries)
    }

    /// Decided transactions, in runs of so many.
    pub(in crate::broker) fn decided_runs(&self, entries: usize) -> Vec<Run<u64, Decided>> {
        self.decided.runs(entries)
    }

    /// Some of what is pending, out of a snapshot.
    pub(in crate::broker) fn read_pending(&mut self, halves: Vec<(u64, Half)>) {
        for (address, half) in halves {
            self.pending.insert(address, half);
        }
    }

    /// Some of what was decided, out of a snapshot.
    pub(in crate::broker) fn read_decided(&mut self, decided: Vec<(u64, Decided)>) {
        for (address, decided) in decided {
            self.decided.insert(address, decided);
        }
    }

    /// Applies an entry. False where its half message is not pending: the log
    /// decides nothing twice.
    pub(in crate::broker) fn apply(&mut self, effect: TransactionEffect) -> bool {
        match effect {
            TransactionEffect::Half { address, half } => {
                self.pending.insert(address, half).is_none()
            }
            TransactionEffect::Checked { half_address } => {
                match self.pending.get_mut(&half_address) {
                    Some(half) => {
                        half.checks += 1;
                        true
                    }
                    None => false,
                }
            }
            TransactionEffect::Decided {
                half_address,
                outcome,
            } => self.decide(half_address, outcome),
        }
    }

    fn decide(&mut self, half_address: u64, outcome: Decision) -> bool {
        let Some(half) = self.pending.remove(&half_address) else {
            return false;
        };
        self.decided.insert(
            half_address,
            Decided {
                outcome,
                queue_offset: half.queue_offset,
                group: half.group,
                transaction_id: half.transaction_id,
            },
        );
        if self.decided.len() > DECIDED_MAX {
            self.decided.pop_first();
        }
        true
    }

    /// The transaction of that name: address, offset in the half topic and, where
    /// the client gave ids, one of them have to agree. Clients are told the place
    /// of a committed half message only, so that it names no other; one that was
    /// not committed may give its place to another where a log was truncated.
    pub(super) fn find(
        &self,
        half_address: u64,
        queue_offset: u64,
        group: &str,
        ids: &[&str],
    ) -> Found {
        let pending = self.pending.get(&half_address);
        let decided = self.decided.get(&half_address);
        let named = pending
            .map(|half| (half.queue_offset, &half.group, &*half.transaction_id))
            .or(decided.map(|it| (it.queue_offset, &it.group, &*it.transaction_id)));
        match named {
            Some((offset, _, _)) if offset != queue_offset => Found::Nothing,
            Some((_, _, own)) if !ids.is_empty() && !ids.contains(&own) => Found::Nothing,
            Some((_, its_group, _)) if its_group != group => Found::OtherGroup,
            _ => match (pending, decided) {
                (Some(_), _) => Found::Pending,
                (None, Some(decided)) => Found::Decided(decided.outcome),
                (None, None) => Found::Nothing,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(queue_offset: u64) -> Half {
        Half {
            queue_offset,
            record_bytes: 100,
            group: "pay".into(),
            transaction_id: format!("t{queue_offset}"),
            checks: 0,
            immunity_ms: None,
        }
    }

    fn decided(half_address: u64, outcome: Decision) -> TransactionEffect {
        TransactionEffect::Decided {
            half_address,
            outcome,
        }
    }

    #[test]
    fn the_first_decision_is_the_only_one() {
        let mut book = Transactions::default();
        let effect = TransactionEffect::Half {
            address: 500,
            half: half(0),
        };
        assert!(book.apply(effect));
        assert!(book.apply(TransactionEffect::Checked { half_address: 500 }));
        assert_eq!(book.pending().next().map(|(_, half)| half.checks), Some(1));
        assert!(book.apply(decided(500, Decision::RolledBack)));
        assert!(!book.apply(decided(500, Decision::Committed)));
        assert!(!book.apply(TransactionEffect::Checked { half_address: 500 }));
        let found = book.find(500, 0, "pay", &["t0"]);
        assert_eq!(found, Found::Decided(Decision::RolledBack));
        assert_eq!(book.pending().count(), 0);
    }

    #[test]
    fn a_name_is_all_of_its_parts() {
        let mut book = Transactions::default();
        let effect = TransactionEffect::Half {
            address: 500,
            half: half(3),
        };
        book.apply(effect);
        assert_eq!(book.find(500, 3, "other", &["t3"]), Found::OtherGroup);
        for ids in [&["t3"][..], &["another", "t3"], &[]] {
            assert_eq!(book.find(500, 3, "pay", ids), Found::Pending, "{ids:?}");
        }
        for (address, offset, ids) in [
            (501, 3, &["t3"][..]),
            (501, 3, &[]),
            (500, 2, &["t3"]),
            (500, 2, &[]),
            (500, 3, &["t4"]),
        ] {
            assert_eq!(book.find(address, offset, "pay", ids), Found::Nothing);
        }
    }

    #[test]
    fn old_decisions_are_forgotten_and_not_made_again() {
        let mut book = Transactions::default();
        for address in 0..DECIDED_MAX as u64 + 1 {
            let half = half(address);
            book.apply(TransactionEffect::Half { address, half });
            book.apply(decided(address, Decision::Committed));
        }
        assert_eq!(book.find(0, 0, "pay", &["t0"]), Found::Nothing);
        assert!(!book.apply(decided(0, Decision::Committed)));
        assert_eq!(
            book.find(1, 1, "pay", &["t1"]),
            Found::Decided(Decision::Committed)
        );
    }
}
