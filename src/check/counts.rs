//! How much a run did: what stands beside a verdict, so that nobody takes an
//! idle run for a good one.

use crate::history::SendOutcome;

use super::{Blame, Facts, Lost, LostThing};

/// Counts of one history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sends, and ends of transactions, acknowledged.
    pub acknowledged: u64,
    /// Sends rejected.
    pub rejected: u64,
    /// Sends of unknown outcome, those that never ended included.
    pub unknown: u64,
    /// Transactions whose message stands in more than one place: allowed, where a
    /// consumer bears repeats, and nothing that this broker does.
    pub published_again: u64,
    /// Messages processed by consumers, repeats included.
    pub processed: u64,
    /// Of these, the repeats: the same message at the same offset by the same
    /// group.
    pub repeated: u64,
    /// Of the messages that were lost, those that some group had processed
    /// before: lost to the broker, not to the business.
    pub lost_processed: u64,
    /// Orders paid, where red packets were counted.
    pub paid: u64,
    /// Of these, those that have no red packet in the end.
    pub without_packet: u64,
}

impl Counts {
    /// Counts what `facts` hold.
    pub fn of(facts: &Facts<'_>) -> Self {
        let mut counts = Self::default();
        for sent in facts.sends.values() {
            match sent.outcome {
                Some((_, SendOutcome::Acknowledged { .. })) => counts.acknowledged += 1,
                Some((_, SendOutcome::Rejected { .. })) => counts.rejected += 1,
                Some((_, SendOutcome::Unknown)) | None => counts.unknown += 1,
            }
        }
        counts.acknowledged += facts.transactions.decided();
        counts.published_again = facts.transactions.published_again(facts);
        if let Some((paid, missing)) = facts.business.paid_and_missing() {
            (counts.paid, counts.without_packet) = (paid, missing);
        }
        for group in facts.groups.values() {
            counts.processed += group.processed_events;
            counts.repeated += group.processed_events - group.processed.len() as u64;
        }
        counts
    }

    /// Counts which of what was `lost` had been processed.
    pub(super) fn with_lost(mut self, facts: &Facts<'_>, lost: &[(Lost, Blame)]) -> Self {
        let processed = lost.iter().filter(|(lost, _)| match &lost.thing {
            LostThing::Acknowledged {
                queue,
                offset,
                value,
                ..
            }
            | LostThing::Read {
                queue,
                offset,
                value,
            } => facts.is_processed(queue, *offset, *value),
            LostThing::GroupOffset { .. } | LostThing::Transaction { .. } => false,
        });
        self.lost_processed = processed.count() as u64;
        self
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.published_again += other.published_again;
        self.rejected += other.rejected;
        self.unknown += other.unknown;
        self.processed += other.processed;
        self.repeated += other.repeated;
        self.lost_processed += other.lost_processed;
        self.paid += other.paid;
        self.without_packet += other.without_packet;
    }
}
