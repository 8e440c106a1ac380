//! The trace: a rolling hash over every event with its time and payload, and,
//! when asked for, the events in words.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The kind of an event. The number goes into the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TraceKind {
    /// Bytes or a peer message arrived.
    Deliver = 1,
    /// A stream was opened, refused, or ended.
    Stream = 2,
    /// Something was lost, held, repeated on the network.
    NetworkFate = 3,
    /// A disk operation.
    Disk = 4,
    /// A node started, stopped, died.
    Node = 5,
    /// A fault.
    Fault = 6,
    /// A broker acknowledged or refused.
    Answer = 7,
}

/// One event in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLine {
    /// The event's number in the run.
    pub event: u64,
    /// Nanoseconds since the start.
    pub at_ns: u64,
    /// The node it happened on.
    pub node: u32,
    /// The kind of event.
    pub(crate) kind: TraceKind,
    /// The event in words.
    pub text: String,
}

/// The rolling hash and the optional lines.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    lines: Option<Vec<TraceLine>>,
}

impl Trace {
    /// An empty trace; with `lines`, events are kept in words too.
    pub(crate) fn new(lines: bool) -> Self {
        Self {
            hash: 0,
            events: 0,
            lines: lines.then(Vec::new),
        }
    }

    /// Adds one event. `text` is called only when lines are kept.
    pub(crate) fn add(
        &mut self,
        at_ns: u64,
        kind: TraceKind,
        node: u32,
        detail: u64,
        payload: &[u8],
        text: impl FnOnce() -> String,
    ) {
        let mut head = [0u8; 32];
        head[..8].copy_from_slice(&at_ns.to_le_bytes());
        head[8..16].copy_from_slice(&(u64::from(node) << 8 | kind as u64).to_le_bytes());
        head[16..24].copy_from_slice(&detail.to_le_bytes());
        head[24..].copy_from_slice(&xxh3_64(payload).to_le_bytes());
        self.hash = xxh3_64_with_seed(&head, self.hash);
        self.events += 1;
        if let Some(lines) = &mut self.lines {
            lines.push(TraceLine {
                event: self.events,
                at_ns,
                node,
                kind,
                text: text(),
            });
        }
    }

    /// The hash over everything so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events there were.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The lines kept.
    pub(crate) fn take_lines(&mut self) -> Vec<TraceLine> {
        self.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
