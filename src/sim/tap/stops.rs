//! The stop that a broker says it found when it opened its log, beside the one that there
//! was.
//!
//! Promise: a clean stop is found again, and none is found where the log was written to
//! since. What a start does about the end of its log rests on that (Q03).

use std::collections::BTreeMap;

use super::Tap;
use crate::env::Stop;
use crate::sim::net::NodeId;

/// A disk, and the process that uses it or last did.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    /// The process opens its log.
    opens: bool,
    /// It has it open.
    is_open: bool,
    /// It wrote to it since.
    wrote: bool,
    /// It was asked to stop: it may have recorded that before it died.
    stops: bool,
    /// Something on the disk was damaged, and may still be.
    is_damaged: bool,
    /// It closed it, as a clean stop does.
    is_closed: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Stops(BTreeMap<NodeId, Used>);

impl Stops {
    /// A process begins to open its log.
    pub(super) fn opens(&mut self, node: NodeId) {
        self.0.entry(node).or_default().opens = true;
    }

    /// A process wrote to its log.
    pub(super) fn wrote(&mut self, node: NodeId) {
        self.0.entry(node).or_default().wrote = true;
    }

    /// A process has its log open no more: it is gone, opens it anew, or cannot record its
    /// stop.
    pub(super) fn left(&mut self, node: NodeId) {
        let used = self.0.entry(node).or_default();
        used.is_open = false;
        // One that did not come to an end of its opening has begun to change things.
        used.is_closed &= !std::mem::take(&mut used.opens);
    }

    /// A process is asked to stop.
    pub(super) fn is_asked(&mut self, node: NodeId) {
        self.0.entry(node).or_default().stops = true;
    }

    /// A process ends after a clean stop.
    pub(super) fn stopped(&mut self, node: NodeId) {
        let used = self.0.entry(node).or_default();
        if used.is_open {
            *used = Used {
                is_closed: !used.is_damaged,
                is_damaged: used.is_damaged,
                ..Used::default()
            };
        }
    }

    /// Something on the disk is damaged.
    pub(super) fn damaged(&mut self, node: NodeId) {
        self.forget(node);
        self.0.entry(node).or_default().is_damaged = true;
    }

    /// A fault struck the disk, or its operator did something to it.
    pub(super) fn forget(&mut self, node: NodeId) {
        if let Some(used) = self.0.get_mut(&node) {
            (used.wrote, used.is_closed) = (false, false);
        }
    }

    /// A process opened the log, and says how the last one stopped; gives the line of a
    /// finding where that is not so.
    pub(super) fn opened(&mut self, node: NodeId, stop: &Stop) -> Option<String> {
        let last = self.0.remove(&node).unwrap_or_default();
        let opened = Used {
            is_open: true,
            // One that finds a clean stop has read all that it rests on.
            is_damaged: last.is_damaged && *stop == Stop::Crash,
            ..Used::default()
        };
        self.0.insert(node, opened);
        match stop {
            Stop::Crash if last.is_closed => Some(format!(
                "b{node} was stopped cleanly, and its next start found no trace of that"
            )),
            Stop::Clean if last.wrote && !last.stops => Some(format!(
                "b{node} says that it was stopped cleanly; it wrote to its log, and was not"
            )),
            _ => None,
        }
    }
}

impl Tap {
    /// A broker's process is asked to stop.
    pub(crate) fn is_asked_to_stop(&mut self, node: NodeId) {
        self.stops.is_asked(node);
    }

    /// A broker's process ended after a clean stop.
    pub(crate) fn stopped(&mut self, node: NodeId) {
        self.stops.stopped(node);
    }

    /// A broker's process begins to open its log, after its operator did something to the
    /// disk where so.
    pub(crate) fn opens(&mut self, node: NodeId, is_handled: bool) {
        if is_handled {
            self.stops.forget(node);
        }
        self.stops.opens(node);
    }

    /// A process is no more.
    pub(crate) fn dies(&mut self, node: NodeId) {
        self.stops.left(node);
        self.listens_no_more(node);
    }
}

#[cfg(test)]
mod tests {
    use super::{Stop, Stops};

    #[test]
    fn a_clean_stop_is_found_again_and_no_other() {
        let mut stops = Stops::default();
        assert_eq!(stops.opened(0, &Stop::Crash), None);
        stops.stopped(0);
        assert!(stops.opened(0, &Stop::Crash).is_some());
        stops.stopped(0);
        assert_eq!(stops.opened(0, &Stop::Clean), None);
        // It was opened, and died before it wrote: either will do.
        assert_eq!(stops.opened(0, &Stop::Clean), None);
        stops.wrote(0);
        assert_eq!(stops.opened(0, &Stop::Crash), None);
        stops.wrote(0);
        assert!(stops.opened(0, &Stop::Clean).is_some());
        stops.wrote(0);
        stops.is_asked(0);
        assert_eq!(stops.opened(0, &Stop::Clean), None);
        stops.wrote(0);
        stops.forget(0);
        assert_eq!(stops.opened(0, &Stop::Clean), None);
        stops.stopped(0);
        stops.opens(0);
        stops.left(0);
        assert_eq!(stops.opened(0, &Stop::Crash), None);
        // What rots while a log is opened is still there when it is opened next.
        stops.damaged(0);
        assert_eq!(stops.opened(0, &Stop::Crash), None);
        stops.stopped(0);
        assert_eq!(stops.opened(0, &Stop::Crash), None);
        // It was asked to stop before it had opened its log again.
        stops.left(0);
        stops.stopped(0);
        assert_eq!(stops.opened(0, &Stop::Crash), None);
    }
}
