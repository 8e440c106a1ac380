//! Sizes of what a broker does at a time. No operator sets them; the defaults are for
//! real disks and networks. A promise that holds with one size holds with every other.

use crate::log::LogSizes;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of the commit log.
    pub log: LogSizes,
    /// Entries of a consume queue's file (`mappedFileSizeConsumeQueue`: 300,000). A disk
    /// keeps the size that it began with.
    pub queue_file_entries: u64,
    /// Entries that queues keep in memory before a snapshot is due ahead of its time; the
    /// default are 24 MB.
    pub unwritten_entries_max: usize,
    /// Entries that are applied in one step, at most.
    pub applied_per_step: usize,
    /// Messages that are delivered in one step when their time has come, at most.
    pub delivered_per_step: usize,
    /// Events of peers that are handled in one step, at most.
    pub peer_events_per_step: usize,
    /// Messages that one append to a follower is sent in, at most: so much longer a step may
    /// be.
    pub appends_at_once: usize,
    /// Bytes that are staged and not written before sends are refused.
    pub staged_bytes_max: u64,
    /// Bytes of records in one answer to a pull (`maxTransferBytesOnMessageInMemory`); a
    /// first record is served however long it is.
    pub answer_bytes: usize,
    /// Bytes of records that one pull looks at where its subscription leaves some out; the
    /// answer says how far that was.
    pub looked_at_bytes: usize,
    /// Bytes of answers that wait for the end of a step before they are written. A request
    /// of a hundred bytes can ask for a quarter of a mebibyte: without a bound one read
    /// from a stream could ask for gigabytes.
    pub waiting_answer_bytes: usize,
}

impl Sizes {
    /// See [`Sizes`].
    pub const DEFAULT: Self = Self {
        log: LogSizes::DEFAULT,
        queue_file_entries: 300_000,
        unwritten_entries_max: 1 << 20,
        applied_per_step: 4_096,
        delivered_per_step: 64,
        peer_events_per_step: 1_024,
        appends_at_once: 16,
        staged_bytes_max: 64 << 20,
        answer_bytes: 256 << 10,
        looked_at_bytes: 1 << 20,
        waiting_answer_bytes: 4 << 20,
    };
}

impl Default for Sizes {
    fn default() -> Self {
        Self::DEFAULT
    }
}
