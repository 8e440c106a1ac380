//! Messages that are to come later (RocketMQ's delay levels).
//!
//! ```text
//!   send with DELAY ──▶ schedule topic ──▶ pending ── due ──▶ the real topic
//!   sent back       ──▶ (queue: level − 1)              (by the leader)
//! ```
//!
//! Promise (D29): what is pending is a function of the log. A delivered message
//! names the scheduled one by its log address; the entry that delivers *is* what
//! removes it from the pending ones, so each is delivered once by the log, and by
//! no change of the leader, restart or truncation never or twice. RocketMQ keeps
//! an offset for each level beside the log, written now and then, and delivers
//! again what lies between.
//!
//! When a message is due is nobody's promise but this: not before its delay by
//! the clocks of the brokers that had it, and soon after it. See [`clock`].
//!
//! A half message has no delay, as in RocketMQ, whose client takes the property
//! off: when a transaction is committed, its message is there.

mod book;
mod clock;
mod delivering;
mod keeping;

pub(super) use book::DelayEffect;
pub use book::{Delayed, Delays};
pub(super) use clock::DelayClock;
pub(super) use keeping::{Scheduled, at_most, level_of};

/// Levels, at most: the queues of the schedule topic.
pub const LEVELS_MAX: u32 = 18;
/// RocketMQ's levels (`messageDelayLevel`), milliseconds.
pub const DEFAULT_LEVELS_MS: [u64; LEVELS_MAX as usize] = [
    1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000,
    480_000, 540_000, 600_000, 1_200_000, 1_800_000, 3_600_000, 7_200_000,
];
