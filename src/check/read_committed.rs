//! Read committed, for a single node: nothing is served beyond the read limit
//! (guarantee.md, section 1).
//!
//! The limit is not the product's own variable. A white-box tracker gives it:
//! with synchronous flush the end of the log's durable prefix, with
//! asynchronous flush the end of what was appended.
//!
//! The log is durable up to address 200, and a record behind that is served:
//!
//! ```
//! use zeroloss::check::read_committed::{self, CommitFact};
//! use zeroloss::history::Queue;
//!
//! let limit = |end_address| CommitFact::Limit { node: 0, end_address };
//! let served = |offset, end_address| CommitFact::Served {
//!     at_ns: 2_500_000_000,
//!     event: 9,
//!     node: 0,
//!     queue: Queue { topic: "orders".into(), queue_id: 3 },
//!     offset,
//!     end_address,
//! };
//! assert!(read_committed::check(&[limit(200), served(1, 200)]).is_empty());
//! // Once it is durable it may be served. It was served before.
//! let early = read_committed::check(&[limit(200), served(2, 300), limit(300), served(2, 300)]);
//! assert_eq!(early.len(), 1);
//! assert_eq!((early[0].offset, early[0].end_address, early[0].limit), (2, 300, 200));
//! ```

use std::fmt;

use crate::history::Queue;

use super::{At, Finding, Promise};

/// The entries that a tracker saw, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitFact {
    /// A node's read limit is now one past this log address. It falls where a
    /// fault took what was durable.
    Limit {
        /// The node.
        node: u32,
        /// One past the last log address that may be served.
        end_address: u64,
    },
    /// A node served a record.
    Served {
        /// When, nanoseconds since the start of the run.
        at_ns: u64,
        /// The event of the simulator.
        event: u64,
        /// The node.
        node: u32,
        /// From which queue.
        queue: Queue,
        /// At which offset.
        offset: u64,
        /// One past the record's last log address.
        end_address: u64,
    },
}

/// A record that was served too early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncommitted {
    /// When, nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The event of the simulator.
    pub event: u64,
    /// The node that served it.
    pub node: u32,
    /// From which queue.
    pub queue: Queue,
    /// At which offset.
    pub offset: u64,
    /// One past the record's last log address.
    pub end_address: u64,
    /// The read limit at that moment.
    pub limit: u64,
}

/// Every record that was served beyond its node's limit at that moment; a node
/// without a limit may serve nothing.
pub fn check<'a>(facts: impl IntoIterator<Item = &'a CommitFact>) -> Vec<Uncommitted> {
    let mut limits = std::collections::BTreeMap::new();
    let mut violations = Vec::new();
    for fact in facts {
        match fact {
            CommitFact::Limit { node, end_address } => {
                limits.insert(*node, *end_address);
            }
            CommitFact::Served {
                at_ns,
                event,
                node,
                queue,
                offset,
                end_address,
            } => {
                let limit = limits.get(node).copied().unwrap_or(0);
                if *end_address > limit {
                    violations.push(Uncommitted {
                        at_ns: *at_ns,
                        event: *event,
                        node: *node,
                        queue: queue.clone(),
                        offset: *offset,
                        end_address: *end_address,
                        limit,
                    });
                }
            }
        }
    }
    violations
}

impl Uncommitted {
    /// As a broken promise.
    pub fn finding(&self) -> Finding {
        Finding {
            promise: Promise::ReadCommitted,
            lines: vec![self.to_string()],
            at_ns: self.at_ns,
            event: self.event,
            moments_ns: Vec::new(),
        }
    }
}

impl fmt::Display for Uncommitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} offset {} served by broker {} at {}: its record ends at {}, the read limit was {}",
            self.queue,
            self.offset,
            self.node,
            At(self.at_ns),
            self.end_address,
            self.limit
        )
    }
}

#[cfg(test)]
mod tests {
    use super::CommitFact;
    use crate::check::story::queue;

    fn limit(node: u32, end_address: u64) -> CommitFact {
        CommitFact::Limit { node, end_address }
    }

    fn served(node: u32, offset: u64, end_address: u64) -> CommitFact {
        CommitFact::Served {
            at_ns: 2_500_000_000,
            event: 9,
            node,
            queue: queue(),
            offset,
            end_address,
        }
    }

    #[test]
    fn up_to_the_limit_all_may_be_served() {
        let facts = [limit(0, 200), served(0, 0, 100), served(0, 1, 200)];
        assert!(super::check(&facts).is_empty());
    }

    #[test]
    fn beyond_it_nothing() {
        let facts = [
            limit(0, 200),
            served(0, 2, 201),
            limit(0, 300),
            served(0, 2, 201),
        ];
        let found = super::check(&facts);
        assert_eq!(found.len(), 1);
        insta::assert_snapshot!(
            found[0],
            @"orders/3 offset 2 served by broker 0 at 2.500s: its record ends at 201, the read limit was 200"
        );
    }

    #[test]
    fn limits_are_a_node_s_own_and_may_fall() {
        let facts = [
            limit(0, 200),
            served(1, 0, 100),
            limit(0, 50),
            served(0, 0, 100),
        ];
        assert_eq!(super::check(&facts).len(), 2);
    }
}
