//! Steps of a broker's loop: none is longer than a bounded one.
//!
//! Between two looks at its input a broker answers requests, and does a part of its
//! long work. The bytes that it reads or writes for others it sends to them; the rest
//! is long work, and that comes in parts.

use crate::check::{At, Finding, Promise};
use crate::record::PROPERTIES_BYTES_MAX;
use crate::scenario::Scenario;
use crate::sim::world::{LongestRow, LongestSpin, LongestStep};

/// Parts of long work that may come together, and what else a step may look up: the
/// places in the log where followers go on, what is due for delivery, and a look for
/// rot that reads on behind what it finds.
const PARTS_MAX: u64 = 4;
const LOOKED_UP_BYTES_MAX: u64 = 512 << 10;

/// Looks at an entry that is longer than a part: nothing of it verifies before all of
/// it is there, so it is no work that could come in parts. A broker that sends one
/// looks it up, meets its beginning with a window, and reads the whole; once of that
/// answers somebody. A look for rot may meet one in the same step.
const LOOKS_AT_LONG: u64 = 3;

/// Messages of peers that may be taken one after the other while a request waits: those
/// that are there when a deadline is due, and those that are there when the next step
/// begins, a thousand each.
const PEERS_IN_A_ROW_MAX: u64 = 2_100;

/// The finding, where requests waited for too many messages of peers.
pub(super) fn kept_waiting(longest: LongestRow) -> Option<Finding> {
    let LongestRow {
        messages,
        at_ns,
        node,
        event,
    } = longest;
    (messages > PEERS_IN_A_ROW_MAX).then(|| Finding {
        promise: Promise::BoundedStep,
        lines: vec![format!(
            "broker {node} heard {messages} messages of peers up to {}, and no request that had \
             come: {PEERS_IN_A_ROW_MAX} are the most",
            At(at_ns)
        )],
        at_ns,
        event,
        moments_ns: Vec::new(),
    })
}

/// Waits in a row that may be over when they begin, each followed by hardly any work:
/// a deadline whose work fails is due again later, not at once.
const SPIN_WAITS_MAX: u64 = 100;

/// The finding, where a broker was busy with its own deadlines.
pub(super) fn spun(longest: LongestSpin) -> Option<Finding> {
    let LongestSpin {
        waits,
        at_ns,
        node,
        event,
    } = longest;
    (waits > SPIN_WAITS_MAX).then(|| Finding {
        promise: Promise::BoundedStep,
        lines: vec![format!(
            "broker {node} had something due at once {waits} times in a row up to {}, and did \
             hardly anything: {SPIN_WAITS_MAX} are the most",
            At(at_ns)
        )],
        at_ns,
        event,
        moments_ns: Vec::new(),
    })
}

/// The finding, where the longest step was too long.
pub(super) fn too_long(longest: LongestStep, scenario: &Scenario) -> Option<Finding> {
    let broker = &scenario.cluster.broker;
    let longest_entry = (broker.max_message_bytes + PROPERTIES_BYTES_MAX) as u64;
    let long_bytes = match longest_entry > broker.slice_bytes {
        true => LOOKS_AT_LONG * longest_entry,
        false => 0,
    };
    let most = PARTS_MAX * broker.slice_bytes + LOOKED_UP_BYTES_MAX + long_bytes;
    let LongestStep {
        bytes,
        at_ns,
        node,
        event,
    } = longest;
    (bytes > most).then(|| Finding {
        promise: Promise::BoundedStep,
        lines: vec![format!(
            "broker {node} went through {bytes} bytes in one step that ended at {}, and answered \
             nobody meanwhile: {most} are the most",
            At(at_ns)
        )],
        at_ns,
        event,
        moments_ns: Vec::new(),
    })
}
