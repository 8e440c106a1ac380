//! Steps of a broker's loop: none is longer than a bounded one.
//!
//! Between two looks at its input a broker answers whoever asked, and does a part of
//! its long work. What it reads or writes for others it sends to them; what is left
//! is long work, and that comes in parts.

use crate::check::{At, Finding, Promise};
use crate::scenario::Scenario;
use crate::sim::world::LongestStep;

/// Parts of long work that may come together, and what else a step may look up: the
/// places in the log where followers go on, what is due for delivery.
const PARTS_MAX: u64 = 4;
const LOOKED_UP_BYTES_MAX: u64 = 512 << 10;

/// The finding, where the longest step was too long.
pub(super) fn too_long(longest: LongestStep, scenario: &Scenario) -> Option<Finding> {
    let broker = &scenario.cluster.broker;
    let most = PARTS_MAX * broker.slice_bytes + LOOKED_UP_BYTES_MAX;
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
