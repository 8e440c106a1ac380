//! A broken promise, before anybody says when.

use super::fact::Moment;
use crate::check::{Finding, Promise};

/// The result of a check of one promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The promise.
    pub promise: Promise,
    /// The events, in words; further lines where one is not enough.
    pub lines: Vec<String>,
}

impl Broken {
    /// In one line.
    pub fn new(promise: Promise, line: String) -> Self {
        Self {
            promise,
            lines: vec![line],
        }
    }

    /// As it happened at that moment.
    pub fn at(self, moment: Moment) -> Finding {
        Finding {
            promise: self.promise,
            lines: self.lines,
            at_ns: moment.at_ns,
            event: moment.event,
            moments_ns: Vec::new(),
        }
    }
}
