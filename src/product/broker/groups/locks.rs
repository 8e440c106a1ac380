//! Queues that are held for one consumer of a group: what ordered consumption
//! rests on.
//!
//! Promise: of a group's consumers, no two believe at once that they hold a
//! queue, if each believes it for nine elevenths of a lease at most from when it
//! *asked*: its clock may be a tenth slow, and this one a tenth fast. (A client
//! that counts from the answer, as RocketMQ's do, has to count less: they count
//! half.)
//!
//! Holders are not in the log: each renews its lock several times in a lease, and a
//! log entry for every one would cost more than the lock is worth. So a broker that
//! begins to serve knows of none, though one that served before, maybe itself, may
//! have granted some a moment ago. It grants none for a whole lease: by then nobody
//! believes in an older one. RocketMQ grants at once, so that after a change of the
//! leader two may process one queue side by side, and the order among their commits
//! is nobody's. The cost here is a pause of one lease for ordered consumption.
//!
//! Nor may a leader grant that was replaced without knowing it: a lock is
//! answered as the reads are that tell where something ends (D18), once a
//! majority said after the request came in that it still follows.
//!
//! A holder whose stream ends keeps its lock: it may be cut off, and process on.
//! So a holder is a client *on a stream*: two processes may have been given one
//! client id, and nothing in a request tells them apart but its stream. A client
//! that reconnects waits for its own lease to run out, as any other would.

use std::collections::BTreeMap;

use crate::env::ConnId;

/// Locks at once, at most.
pub(in crate::broker) const LOCKS_MAX: usize = 65_536;

/// A group's queue: group, topic, number.
type Place = (String, String, u32);

/// The holder of a lock: a client's id, and its stream.
pub(super) type Holder<'a> = (&'a str, ConnId);

#[derive(Debug)]
struct Lock {
    client_id: String,
    conn: ConnId,
    until_ns: u64,
}

impl Lock {
    fn is_of(&self, (client_id, conn): Holder<'_>) -> bool {
        self.client_id == client_id && self.conn == conn
    }
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
    pub(super) fn lock(&mut self, place: Place, holder: Holder<'_>, now_ns: u64) -> bool {
        if now_ns < self.from_ns {
            return false;
        }
        if self.held.len() >= LOCKS_MAX {
            self.held.retain(|_, lock| lock.until_ns > now_ns);
        }
        let until_ns = now_ns + self.lease_ns;
        match self.held.get(&place) {
            Some(lock) if !lock.is_of(holder) && lock.until_ns > now_ns => return false,
            None if self.held.len() >= LOCKS_MAX => return false,
            _ => {}
        }
        let (client_id, conn) = (holder.0.to_owned(), holder.1);
        self.held.insert(
            place,
            Lock {
                client_id,
                conn,
                until_ns,
            },
        );
        true
    }

    /// The client does not hold the queue any more; another's stays.
    pub(super) fn unlock(&mut self, place: &Place, holder: Holder<'_>) {
        if self.held.get(place).is_some_and(|lock| lock.is_of(holder)) {
            self.held.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Holder, LOCKS_MAX, Locks, Place};
    use crate::env::ConnId;

    const LEASE_NS: u64 = 100;
    const A: Holder<'_> = ("a", ConnId(1));
    const B: Holder<'_> = ("b", ConnId(2));

    fn place(queue_id: u32) -> Place {
        ("g".to_owned(), "t".to_owned(), queue_id)
    }

    #[test]
    fn one_client_holds_a_queue_for_as_long_as_it_asks() {
        let mut locks = Locks::begin(0, LEASE_NS);
        assert!(locks.lock(place(0), A, 100));
        assert!(!locks.lock(place(0), B, 199));
        assert!(locks.lock(place(1), B, 199), "another queue");
        assert!(locks.lock(place(0), A, 199), "its own, again");
        assert!(!locks.lock(place(0), B, 298));
        assert!(locks.lock(place(0), B, 299));
        assert!(!locks.lock(place(0), A, 300));
    }

    #[test]
    fn a_new_leader_grants_nothing_for_a_lease() {
        let mut locks = Locks::begin(1_000, LEASE_NS);
        assert!(!locks.lock(place(0), A, 1_000));
        assert!(!locks.lock(place(0), A, 1_099));
        assert!(locks.lock(place(0), A, 1_100));
    }

    #[test]
    fn a_client_is_another_on_another_stream() {
        let mut locks = Locks::begin(0, LEASE_NS);
        let twin = ("a", ConnId(2));
        assert!(locks.lock(place(0), A, 100));
        assert!(!locks.lock(place(0), twin, 199));
        locks.unlock(&place(0), twin);
        assert!(locks.lock(place(0), A, 199), "only its own is let go");
        assert!(!locks.lock(place(0), twin, 298));
        assert!(locks.lock(place(0), twin, 299), "it has reconnected");
    }

    #[test]
    fn only_the_holder_lets_go() {
        let mut locks = Locks::begin(0, LEASE_NS);
        locks.lock(place(0), A, 100);
        locks.unlock(&place(0), B);
        assert!(!locks.lock(place(0), B, 100));
        locks.unlock(&place(0), A);
        assert!(locks.lock(place(0), B, 100));
    }

    #[test]
    fn locks_that_have_run_out_make_room() {
        let mut locks = Locks::begin(0, LEASE_NS);
        for queue_id in 0..LOCKS_MAX as u32 {
            assert!(locks.lock(place(queue_id), A, 100));
        }
        let next = LOCKS_MAX as u32;
        assert!(!locks.lock(place(next), A, 199));
        assert!(locks.lock(place(0), A, 199), "one that it has");
        assert!(locks.lock(place(next), A, 200));
        assert_eq!(locks.held.len(), 2);
    }
}
