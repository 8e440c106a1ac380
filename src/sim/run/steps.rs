//! Steps of a broker's loop: none is longer than a bounded one.
//!
//! Between two looks at its input a broker answers requests, and does a part of its
//! long work. The bytes that it reads or writes for others it sends to them; the rest
//! is long work, and that comes in parts.

use crate::check::{At, Finding, Promise};
use crate::record::PROPERTIES_BYTES_MAX;
use crate::scenario::Scenario;
use crate::sim::world::{Longest, Loops};

/// Parts of long work that may come together, and what else a step may look up: the
/// places in the log where followers go on, what is due for delivery, and a look for
/// rot that reads on behind what it finds. What is looked up is counted in sectors: an
/// entry that was written alone fills one, and is read with it.
const PARTS_MAX: u64 = 4;
const LOOKED_UP_SECTORS_MAX: u64 = 1_024;

/// Looks at an entry that is longer than a part: nothing of it verifies before all of
/// it is there, so it is no work that could come in parts. A broker that sends one
/// looks it up, meets its beginning with a window, and reads the whole; once of that
/// answers somebody.
const LOOKS_AT_LONG: u64 = 2;
/// A look for rot may meet one in the same step, and so much of it counts.
const ROT_BYTES_MAX: u64 = 2_560 << 10;

/// Messages of peers that may be taken one after the other while a request waits: those
/// that are there when a deadline is due, and those that are there when the next step
/// begins, a thousand each.
const PEERS_IN_A_ROW_MAX: u64 = 2_100;

/// Waits in a row that may be over when they begin, each followed by hardly any work:
/// a deadline whose work fails is due again later, not at once.
const SPIN_WAITS_MAX: u64 = 100;

/// Bytes that may be sent to a peer that says nothing: what was under way when it fell
/// silent, and after that heartbeats and the beginnings of a base.
const UNHEARD_BYTES_MAX: u64 = 16 << 20;

/// The findings, one for each measure that is above its bound.
pub(super) fn check(loops: Loops, scenario: &Scenario) -> impl Iterator<Item = Finding> {
    let Loops {
        step_bytes,
        row_messages,
        spin_waits,
        unheard_bytes,
    } = loops;
    let step = exceeds(step_bytes, step_bytes_max(scenario), |bytes, at| {
        format!(
            "went through {bytes} bytes in one step that ended at {at}, and answered nobody meanwhile"
        )
    });
    let row = exceeds(row_messages, PEERS_IN_A_ROW_MAX, |messages, at| {
        format!("heard {messages} messages of peers up to {at}, and no request that had come")
    });
    let spin = exceeds(spin_waits, SPIN_WAITS_MAX, |waits, at| {
        format!(
            "had something due at once {waits} times in a row up to {at}, and did hardly anything"
        )
    });
    let unheard = exceeds(unheard_bytes, UNHEARD_BYTES_MAX, |bytes, at| {
        format!("sent {bytes} bytes up to {at} to a peer that it has not heard meanwhile")
    });
    [step, row, spin, unheard].into_iter().flatten()
}

fn step_bytes_max(scenario: &Scenario) -> u64 {
    let broker = &scenario.cluster.broker;
    let longest_entry = (broker.max_message_bytes + PROPERTIES_BYTES_MAX) as u64;
    let long_bytes = match longest_entry > broker.slice_bytes {
        true => LOOKS_AT_LONG * longest_entry + longest_entry.min(ROT_BYTES_MAX),
        false => 0,
    };
    let looked_up_bytes = LOOKED_UP_SECTORS_MAX * u64::from(scenario.disk.sector_bytes);
    PARTS_MAX * broker.slice_bytes + looked_up_bytes + long_bytes
}

fn exceeds(longest: Longest, most: u64, did: impl FnOnce(u64, At) -> String) -> Option<Finding> {
    let Longest {
        length,
        at_ns,
        node,
        event,
    } = longest;
    (length > most).then(|| Finding {
        promise: Promise::BoundedStep,
        lines: vec![format!(
            "broker {node} {}: {most} are the most",
            did(length, At(at_ns))
        )],
        at_ns,
        event,
        moments_ns: Vec::new(),
    })
}
