//! Looking for rot before anybody needs what has rotted (D28): found early, it
//! is repaired while other replicas still have a copy, and while this one still
//! knows by heart what its own files have to say.

use super::Replica;
use super::saving::{Own, damaged, write_again};
use super::view::ReplicaView;
use crate::broker::error::StoreError;
use crate::broker::founding::Record;
use crate::broker::interruption::{Interruption, Renewal};
use crate::env::{Env, Notice};

/// Bytes of the log that are looked at in one interval, in parts.
pub(super) const ROUND_BYTES: u64 = 4 << 20;
/// Least pause between two parts, nanoseconds.
const PAUSE_NS: u64 = 5_000_000;
/// Least pause, by the time that the part before it took: on a slow machine with long
/// messages, nothing else would have its turn.
const PAUSE_FACTOR: u64 = 4;

impl<E: Env> ReplicaView<'_, E> {
    /// Looks at the next stretch, when it is time. Damage that is found is repaired as it
    /// is at a start: the store is opened again.
    pub(super) async fn scrub(&mut self) -> Result<(), Interruption> {
        let now_ns = self.broker.env.now_ns();
        if !self.replica.takes_part() || self.replica.scrub_at_ns > now_ns {
            return Ok(());
        }
        let round_begins = self.replica.scrub_left_bytes == ROUND_BYTES;
        // Before anything can fail: a part that does is not tried again at once, nor
        // before anybody else has had a turn.
        self.replica.scrub_at_ns = now_ns + self.replica.scrub_interval_ns;
        let slice_bytes = self.broker.config.slice_bytes;
        let part_bytes = slice_bytes.min(self.replica.scrub_left_bytes);
        self.replica.scrub_left_bytes -= part_bytes;
        if round_begins {
            self.scrub_own_files().await?;
        }
        let mut at = self.replica.scrubbed_address;
        let mut left = part_bytes;
        let mut round_ends = self.replica.scrub_left_bytes == 0;
        while left > 0 {
            let log = &mut self.store.log;
            let scrubbed = log.scrub_step(at, left).await?;
            if let Some(address) = scrubbed.corrupt_header {
                return Err(Renewal::CorruptHeader { address }.into());
            }
            let has_ended = scrubbed.next_address <= at;
            at = scrubbed.next_address;
            if let Some(address) = scrubbed.damaged {
                if log.mark_damaged(address).await?.is_some() {
                    return Err(Renewal::Damaged { address }.into());
                }
                // It is whole after all: the next part begins there. A second look costs
                // more than a part, and no part has two.
                break;
            }
            // Round once at most: the end of the log leads back to its beginning.
            if has_ended {
                round_ends = true;
                break;
            }
            left = left.saturating_sub(scrubbed.read_bytes);
        }
        // From its end on: a part with a long entry may take longer than the pause, and a
        // time that is past already would leave nobody else a turn.
        let took_ns = self.broker.env.now_ns() - now_ns;
        let now_ns = now_ns + took_ns;
        self.replica.scrubbed_address = at;
        self.replica.scrub_at_ns = now_ns
            + match round_ends {
                true => self.replica.scrub_interval_ns,
                false => PAUSE_NS.max(PAUSE_FACTOR * took_ns),
            };
        if round_ends {
            self.replica.scrub_left_bytes = ROUND_BYTES;
        }
        Ok(())
    }

    /// Looks at the small files that a start needs, and writes those again that do
    /// not say any more what this replica knows. The base, which may be large, is
    /// looked at once in a round through the log.
    async fn scrub_own_files(&mut self) -> Result<(), StoreError> {
        let identity = self.store.log.identity();
        let base_address = self.store.log.base().address;
        let own = Own {
            identity: Some(identity),
            // One that is on its way replaces what stands there.
            hard: self.replica.stored_hard_state(),
            founding: self.replica.stored_record(self.store.base.is_none()),
            // While a newer base is being stored, the file says more than this replica
            // knows, and has a writer.
            base: match self.replica.scrubbed_address <= base_address && self.expiring.is_none() {
                true => self.replica.base.whole(),
                false => None,
            },
        };
        let disk = self.broker.env.disk();
        let damaged = damaged(&disk, own).await;
        if damaged.is_empty() {
            return Ok(());
        }
        write_again(&disk, &damaged).await?;
        for (path, _) in damaged {
            self.broker.env.report(Notice::OwnFileRewritten { path });
        }
        Ok(())
    }
}

impl Replica {
    /// Term, vote and uncertain tail as they are stored; `None` while others are on their
    /// way, and where nothing is promised of them.
    fn stored_hard_state(&self) -> Option<crate::raft::HardState> {
        let is_stored = self.saving.is_none() && self.hard_state_sync;
        is_stored.then(|| self.raft.hard_state())
    }

    /// The founding record as it is stored; `None` on a blank disk, which goes by
    /// what it has heard of.
    fn stored_record(&self, is_blank: bool) -> Option<Record> {
        (!is_blank).then(|| Record {
            members: self.members.clone(),
            epoch: self.epoch,
        })
    }
}
