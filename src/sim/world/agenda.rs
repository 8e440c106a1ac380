//! The coming events, in order of time and then of insertion.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A heap of future events. Equal times come out in the order they went in.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    heap: BinaryHeap<Reverse<Planned<T>>>,
    inserted: u64,
}

#[derive(Debug)]
struct Planned<T> {
    at_ns: u64,
    sequence: u64,
    item: T,
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at_ns, self.sequence) == (other.at_ns, other.sequence)
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ns, self.sequence).cmp(&(other.at_ns, other.sequence))
    }
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            inserted: 0,
        }
    }
}

impl<T> Agenda<T> {
    /// Plans `item`.
    pub(crate) fn add(&mut self, at_ns: u64, item: T) {
        self.inserted += 1;
        self.heap.push(Reverse(Planned {
            at_ns,
            sequence: self.inserted,
            item,
        }));
    }

    /// How many were ever planned.
    pub(crate) fn inserted(&self) -> u64 {
        self.inserted
    }

    /// When the next one is due.
    pub(crate) fn next_at_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(planned)| planned.at_ns)
    }

    /// Whether anything planned is `wanted`.
    pub(crate) fn any(&self, wanted: impl Fn(&T) -> bool) -> bool {
        self.heap
            .iter()
            .any(|Reverse(planned)| wanted(&planned.item))
    }

    /// The next one, if it is due by `now_ns`.
    pub(crate) fn pop_due(&mut self, now_ns: u64) -> Option<T> {
        if self.next_at_ns()? > now_ns {
            return None;
        }
        self.heap.pop().map(|Reverse(planned)| planned.item)
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;

    #[test]
    fn orders_by_time_then_insertion() {
        let mut agenda = Agenda::default();
        for (at_ns, name) in [(5, "late"), (1, "first"), (1, "second")] {
            agenda.add(at_ns, name);
        }
        assert_eq!(agenda.pop_due(1), Some("first"));
        assert_eq!(agenda.pop_due(1), Some("second"));
        assert_eq!(agenda.pop_due(4), None);
        assert_eq!(agenda.pop_due(5), Some("late"));
        assert_eq!(agenda.next_at_ns(), None);
    }
}
