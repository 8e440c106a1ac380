//! Queues that are held for one consumer of a group: what ordered consumption
//! rests on.
//!
//! Promise: of a group's consumers, no two believe at once that they hold a
//! queue, if each believes it for a lease at most from when it *asked* (a client
//! that counts from the answer, as RocketMQ's do, has to count less: they count
//! half).
//!
//! Holders are not in the log: each renews its lock several times in a lease, and
//! a log entry for every one would cost more than the lock is worth. So a broker
//! that begins to serve knows of none, though one that served before, maybe
//! itself, may have granted some a moment ago. It grants none for a whole lease:
//! by then nobody believes in an older one. RocketMQ grants at once, so that after
//! a change of the leader two may process one queue side by side, and the order
//! among their commits is nobody's. What that costs here is a pause of one lease
//! for ordered consumption.
//!
//! Nor may a leader grant that was replaced without knowing it: a lock is
//! answered as the reads are that tell where something ends (D18), once a
//! majority said after the request came in that it still follows.
//!
//! A holder whose stream ends keeps its lock: it may be cut off, and process on.

use std::collections::BTreeMap;

/// Locks at once, at most.
pub(in crate::broker) const LOCKS_MAX: usize = 65_536;

/// A group's queue: group, topic, number.
type Place = (String, String, u32);

#[derive(Debug)]
struct Lock {
    client_id: String,
    until_ns: u64,
}

/// See the module.
#[derive(Debug)]
pub(in crate::broker) struct Locks {
    held: BTreeMap<Place, Lock>,
    lease_ns: u64,
    /// Before this nothing is granted.
    from_ns: u64,
}

impl Locks {
    /// Of a broker that begins to serve now.
    pub(in crate::broker) fn begin(now_ns: u64, lease_ns: u64) -> Self {
        Self {
            held: BTreeMap::new(),
            lease_ns,
            from_ns: now_ns + lease_ns,
        }
    }

    /// Whether the client holds the queue from now on, for a lease.
    pub(super) fn lock(&mut self, place: Place, client_id: &str, now_ns: u64) -> bool {
        if now_ns < self.from_ns {
            return false;
        }
        if self.held.len() >= LOCKS_MAX {
            self.held.retain(|_, lock| lock.until_ns > now_ns);
        }
        let until_ns = now_ns + self.lease_ns;
        match self.held.get(&place) {
            Some(lock) if lock.client_id != client_id && lock.until_ns > now_ns => return false,
            None if self.held.len() >= LOCKS_MAX => return false,
            _ => {}
        }
        let client_id = client_id.to_owned();
        self.held.insert(
            place,
            Lock {
                client_id,
                until_ns,
            },
        );
        true
    }

    /// The client does not hold the queue any more; another's stays.
    pub(super) fn unlock(&mut self, place: &Place, client_id: &str) {
        let holder = self.held.get(place).map(|lock| lock.client_id.as_str());
        if holder == Some(client_id) {
            self.held.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LOCKS_MAX, Locks, Place};

    const LEASE_NS: u64 = 100;

    fn place(queue_id: u32) -> Place {
        ("g".to_owned(), "t".to_owned(), queue_id)
    }

    #[test]
    fn one_client_holds_a_queue_for_as_long_as_it_asks() {
        let mut locks = Locks::begin(0, LEASE_NS);
        assert!(locks.lock(place(0), "a", 100));
        assert!(!locks.lock(place(0), "b", 199));
        assert!(locks.lock(place(1), "b", 199), "another queue");
        assert!(locks.lock(place(0), "a", 199), "its own, again");
        assert!(!locks.lock(place(0), "b", 298));
        assert!(locks.lock(place(0), "b", 299));
        assert!(!locks.lock(place(0), "a", 300));
    }

    #[test]
    fn who_begins_to_serve_grants_nothing_for_a_lease() {
        let mut locks = Locks::begin(1_000, LEASE_NS);
        assert!(!locks.lock(place(0), "a", 1_000));
        assert!(!locks.lock(place(0), "a", 1_099));
        assert!(locks.lock(place(0), "a", 1_100));
    }

    #[test]
    fn only_the_holder_lets_go() {
        let mut locks = Locks::begin(0, LEASE_NS);
        locks.lock(place(0), "a", 100);
        locks.unlock(&place(0), "b");
        assert!(!locks.lock(place(0), "b", 100));
        locks.unlock(&place(0), "a");
        assert!(locks.lock(place(0), "b", 100));
    }

    #[test]
    fn locks_that_have_run_out_make_room() {
        let mut locks = Locks::begin(0, LEASE_NS);
        for queue_id in 0..LOCKS_MAX as u32 {
            assert!(locks.lock(place(queue_id), "a", 100));
        }
        let next = LOCKS_MAX as u32;
        assert!(!locks.lock(place(next), "a", 199));
        assert!(locks.lock(place(0), "a", 199), "one that it has");
        assert!(locks.lock(place(next), "a", 200));
        assert_eq!(locks.held.len(), 2);
    }
}
