//! One log of one replica, as it is and as it was.

use super::fact::{Cause, Head, LogEntry, Seats};

/// A log, and what was ever in it.
///
/// Invariants: 1. `entries[i]` has index `base.index + 1 + i`. 2. `seats` are in
/// the order of their indices, all of which are at most the last index.
#[derive(Debug, Clone, Default)]
pub struct Log {
    base: Head,
    entries: Vec<Present>,
    /// Configurations, by the index from which on they hold.
    seats: Vec<(u64, Seats)>,
    gone: Vec<Gone>,
}

#[derive(Debug, Clone, Copy)]
struct Present {
    head: Head,
    since: u64,
}

/// An entry that was in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// The entry.
    pub head: Head,
    /// The event with which it came.
    pub since: u64,
    /// The event with which it went.
    pub until: u64,
    /// Why it went.
    pub cause: Cause,
}

impl Log {
    /// The last entry; the base where there is none.
    pub fn last(&self) -> Head {
        self.entries.last().map_or(self.base, |last| last.head)
    }

    /// The entry below which the log does not go.
    pub fn base(&self) -> Head {
        self.base
    }

    /// The entry of that index.
    pub fn get(&self, index: u64) -> Option<Head> {
        let place = index.checked_sub(self.base.index + 1)?;
        let present = self.entries.get(usize::try_from(place).ok()?)?;
        Some(present.head)
    }

    /// As [`Log::get`], with the configuration that the entry carries. Its word about
    /// expiry was noted when it was written.
    pub fn entry(&self, index: u64) -> Option<LogEntry> {
        let head = self.get(index)?;
        let carried = self.seats.binary_search_by_key(&index, |(from, _)| *from);
        let seats = carried.ok().map(|place| self.seats[place].1.clone());
        Some(LogEntry {
            head,
            seats,
            expired_address: None,
        })
    }

    /// The entry that covers that log address.
    pub fn at_address(&self, address: u64) -> Option<Head> {
        let before = |present: &Present| present.head.end_address <= address;
        let place = self.entries.partition_point(before);
        let found = self.entries.get(place)?.head;
        let from = match place.checked_sub(1) {
            Some(previous) => self.entries[previous].head.end_address,
            None => self.base.end_address,
        };
        (from <= address).then_some(found)
    }

    /// The last index whose entry ends at or below that log address.
    pub fn index_at_end(&self, end_address: u64) -> u64 {
        let within = |present: &Present| present.head.end_address <= end_address;
        self.base.index + self.entries.partition_point(within) as u64
    }

    /// Whether the log has exactly that entry; below its base it has what was
    /// committed.
    pub fn has(&self, head: &Head) -> bool {
        let here = |found: Head| found.is(head);
        head.index <= self.base.index || self.get(head.index).is_some_and(here)
    }

    /// The last index up to which this log and another one have the same entries.
    pub fn agrees_upto(&self, other: &Self) -> u64 {
        let from = self.base.index.max(other.base.index);
        let upto = self.last().index.min(other.last().index);
        let mut both = from + 1..=upto;
        let parts = both.find(|index| self.get(*index) != other.get(*index));
        parts.map_or(upto, |index| index - 1)
    }

    /// The newest configuration, with its index, and the one before it; 0 and
    /// `None` where the log has none.
    pub fn latest_seats(&self) -> (u64, Option<&Seats>, Option<&Seats>) {
        let mut newest_first = self.seats.iter().rev();
        let newest = newest_first.next();
        let before = newest_first.next().map(|(_, seats)| seats);
        match newest {
            Some((index, seats)) => (*index, Some(seats), before),
            None => (0, None, None),
        }
    }

    /// The configuration that holds at an index.
    pub fn seats_at(&self, index: u64) -> Option<&Seats> {
        let upto = self.seats.partition_point(|(from, _)| *from <= index);
        Some(&self.seats[upto.checked_sub(1)?].1)
    }

    /// All configurations, by the index from which on they hold.
    pub fn all_seats(&self) -> &[(u64, Seats)] {
        &self.seats
    }

    /// Adds an entry at the end.
    ///
    /// # Panics
    /// Its index does not follow.
    pub fn push(&mut self, entry: &LogEntry, event: u64) {
        assert_eq!(entry.head.index, self.last().index + 1, "entries follow");
        self.entries.push(Present {
            head: entry.head,
            since: event,
        });
        if let Some(seats) = &entry.seats {
            self.seats.push((entry.head.index, seats.clone()));
        }
    }

    /// Removes everything from that index on.
    pub fn cut(&mut self, from_index: u64, event: u64, cause: Cause) {
        let keep = from_index.saturating_sub(self.base.index + 1) as usize;
        let keep = keep.min(self.entries.len());
        let gone = self.entries.drain(keep..).map(|present| Gone {
            head: present.head,
            since: present.since,
            until: event,
            cause,
        });
        self.gone.extend(gone);
        self.seats.retain(|(index, _)| *index < from_index);
    }

    /// Begins anew behind `base`.
    pub fn rebase(&mut self, base: Head, seats: Option<Seats>, event: u64) {
        self.cut(0, event, Cause::Replica);
        self.base = base;
        self.seats.extend(seats.map(|seats| (base.index, seats)));
    }

    /// Whether the log had that entry just after that event.
    pub fn had(&self, head: &Head, event: u64) -> bool {
        let present = self
            .get(head.index)
            .filter(|found| found.is(head))
            .and_then(|found| {
                self.entries
                    .get((found.index - self.base.index - 1) as usize)
            });
        present.is_some_and(|present| present.since <= event)
            || self
                .spans(head)
                .any(|gone| gone.since <= event && event < gone.until)
    }

    /// Every time that entry went.
    pub fn spans(&self, head: &Head) -> impl Iterator<Item = &Gone> {
        let head = *head;
        self.gone.iter().filter(move |gone| gone.head.is(&head))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fact::{Cause, Head, LogEntry, Seats};
    use super::Log;

    fn head(index: u64, hash: u64) -> Head {
        Head {
            index,
            term: 1,
            hash,
            end_address: 100 * index,
        }
    }

    fn entry(index: u64, hash: u64) -> LogEntry {
        LogEntry {
            head: head(index, hash),
            seats: None,
            expired_address: None,
        }
    }

    #[test]
    fn it_is_found_by_index_and_by_address() {
        let mut log = Log::default();
        (1..=3).for_each(|index| log.push(&entry(index, index), 0));
        assert_eq!(log.get(2), Some(head(2, 2)));
        assert_eq!((log.get(0), log.get(4)), (None, None));
        assert_eq!(log.at_address(100), Some(head(2, 2)));
        assert_eq!(log.at_address(199), Some(head(2, 2)));
        assert_eq!(log.at_address(300), None);
        assert_eq!(
            [99, 100, 299, 900].map(|end| log.index_at_end(end)),
            [0, 1, 2, 3]
        );
    }

    #[test]
    fn it_remembers_what_it_had_and_when() {
        let mut log = Log::default();
        log.push(&entry(1, 1), 10);
        log.push(&entry(2, 2), 20);
        log.cut(2, 30, Cause::Silent);
        log.push(&entry(2, 7), 40);
        assert_eq!(
            [19, 20, 29, 30, 50].map(|event| log.had(&head(2, 2), event)),
            [false, true, true, false, false]
        );
        assert_eq!(
            [39, 40].map(|event| log.had(&head(2, 7), event)),
            [false, true]
        );
        assert!(log.has(&head(1, 1)) && !log.has(&head(2, 2)));
        assert_eq!(
            log.spans(&head(2, 2)).next().map(|gone| gone.cause),
            Some(Cause::Silent)
        );
    }

    #[test]
    fn two_logs_agree_up_to_where_they_part() {
        let of = |base: u64, hashes: &[u64]| {
            let mut log = Log::default();
            log.rebase(head(base, base), None, 0);
            for (place, hash) in hashes.iter().enumerate() {
                log.push(&entry(base + 1 + place as u64, *hash), 0);
            }
            log
        };
        let log = of(0, &[1, 2, 3, 4]);
        let others = [
            (of(0, &[1, 2, 3, 4, 5]), 4),
            (of(0, &[1, 2]), 2),
            (of(0, &[1, 2, 7, 8, 9]), 2),
            (of(2, &[3, 4]), 4),
            (of(2, &[7]), 2),
            (of(6, &[7]), 4),
            (of(0, &[]), 0),
        ];
        for (other, upto) in others {
            assert_eq!(log.agrees_upto(&other), upto);
            assert_eq!(other.agrees_upto(&log), upto);
        }
    }

    #[test]
    fn configurations_come_and_go_with_their_entries() {
        let seats = |nodes: u32| Seats((0..nodes).map(|node| (node, Some(1))).collect());
        let mut log = Log::default();
        for index in 1..=3 {
            let seats = (index != 2).then(|| seats(index as u32));
            log.push(
                &LogEntry {
                    seats,
                    ..entry(index, index)
                },
                0,
            );
        }
        assert_eq!(log.latest_seats(), (3, Some(&seats(3)), Some(&seats(1))));
        assert_eq!(log.seats_at(2), Some(&seats(1)));
        log.cut(3, 0, Cause::Replica);
        assert_eq!(log.latest_seats(), (1, Some(&seats(1)), None));
        log.rebase(head(8, 8), Some(seats(5)), 0);
        assert_eq!(log.latest_seats(), (8, Some(&seats(5)), None));
        assert_eq!((log.last(), log.get(8)), (head(8, 8), None));
        assert!(log.has(&head(8, 8)));
    }
}
