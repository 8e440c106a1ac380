//! Looking for rot before anybody needs what has rotted (D28): found early, it
//! is repaired while other replicas still have a copy.

use crate::broker::error::StoreError;
use crate::broker::server::{Broker, Serving};
use crate::env::Env;

/// Bytes of the log that are looked at in one interval, in parts.
pub(super) const ROUND_BYTES: u64 = 4 << 20;
/// Pause between two parts, nanoseconds.
const PAUSE_NS: u64 = 5_000_000;

impl<E: Env> Broker<E> {
    /// Looks at the next stretch, when it is time. What is found damaged is
    /// repaired as what is found at the start is: the store is opened again.
    pub(in crate::broker) async fn scrub(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), StoreError> {
        let now_ns = self.env.now_ns();
        let Some(replica) = &mut serving.replica else {
            return Ok(());
        };
        if !replica.takes_part() || replica.scrub_at_ns > now_ns {
            return Ok(());
        }
        let part_bytes = self.config.slice_bytes.min(replica.scrub_left_bytes);
        replica.scrub_left_bytes -= part_bytes;
        let mut at = replica.scrubbed_address;
        let mut left = part_bytes;
        let mut round_ends = replica.scrub_left_bytes == 0;
        while left > 0 {
            let log = &mut serving.store.log;
            let scrubbed = log.scrub_step(at, left).await?;
            // Rot of mere padding costs nothing.
            if let Some(address) = scrubbed.damaged
                && log.mark_damaged(address).await?.is_some()
            {
                return Err(StoreError::Damaged { address });
            }
            // Round once at most: the end of the log leads back to its beginning.
            left = match scrubbed.next_address > at {
                true => left.saturating_sub(scrubbed.next_address - at),
                false => {
                    round_ends = true;
                    0
                }
            };
            at = scrubbed.next_address;
        }
        if let Some(replica) = &mut serving.replica {
            replica.scrubbed_address = at;
            replica.scrub_at_ns = now_ns
                + match round_ends {
                    true => replica.scrub_interval_ns,
                    false => PAUSE_NS,
                };
            if round_ends {
                replica.scrub_left_bytes = ROUND_BYTES;
            }
        }
        Ok(())
    }
}
