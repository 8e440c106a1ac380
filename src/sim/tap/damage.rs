//! The knowledge about a log whose disk has bad sectors: what stood in them.
//!
//! A bad sector leaves a hole: entries before it, and entries behind it that chain to
//! what was there. Only where a fault of the ledger made one is the log taken up
//! again behind it; anywhere else it ends where it does not verify. The entries in a
//! hole are known from when they were written.

use std::collections::BTreeMap;

use super::image::{Segment, follows};
use crate::check::replicas::{Head, Log, LogEntry};
use crate::record::LogPart;

/// Log addresses of entries that do not verify, at each of which a hole may begin, and
/// whether a segment was named since that begins there or before: so the replica cut
/// its log there, unless something stands behind.
pub(super) type Holes = BTreeMap<u64, bool>;

/// Where holes may be, and what stood there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Damage<'a> {
    /// No bad sector is known.
    None,
    /// Holes begin at these log addresses.
    At(&'a Holes, Remembered<'a>),
    /// A sector has just gone bad: a hole may be anywhere in what was synced.
    Anywhere(Remembered<'a>),
}

/// A log as it was written, up to which index it had been synced, and the base that
/// stood for its beginning when the base's file was last read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remembered<'a> {
    pub(super) log: &'a Log,
    pub(super) upto: u64,
    pub(super) base: Option<Head>,
}

impl<'a> Damage<'a> {
    /// The entries that are remembered, where a hole may begin at that log address.
    fn known_at(self, address: u64) -> Option<Remembered<'a>> {
        match self {
            Self::None => None,
            Self::At(holes, remembered) => holes.contains_key(&address).then_some(remembered),
            Self::Anywhere(remembered) => Some(remembered),
        }
    }

    /// The same, wherever holes are.
    pub(super) fn anywhere(self) -> Self {
        match self {
            Self::At(_, remembered) => Self::Anywhere(remembered),
            known => known,
        }
    }

    fn remembered(self) -> Option<Remembered<'a>> {
        match self {
            Self::None => None,
            Self::At(_, remembered) | Self::Anywhere(remembered) => Some(remembered),
        }
    }

    /// The base that is remembered.
    pub(super) fn base(self) -> Option<Head> {
        self.remembered()?.base
    }

    /// The last entry that had been synced, where nothing verifies from that log
    /// address on and the replica did not cut it off.
    pub(super) fn uncut_end(self, address: u64) -> Option<Head> {
        let is_cut = match self {
            Self::At(holes, _) => holes.get(&address) == Some(&true),
            Self::None | Self::Anywhere(_) => false,
        };
        let known = self.remembered().filter(|_| !is_cut)?;
        known.log.get(known.upto)
    }

    /// The entry that ends at that log address.
    pub(super) fn ends_at(self, address: u64) -> Option<Head> {
        let known = self.remembered()?;
        let last = known.log.get(known.log.index_at_end(address));
        let found = last.unwrap_or(known.log.base());
        (found.end_address == address && found.index <= known.upto).then_some(found)
    }

    /// The entry that a whole one continues, behind a hole.
    pub(super) fn before(self, part: &LogPart) -> Option<Head> {
        let known = self.remembered()?;
        let before = known.log.get(part.index.checked_sub(1)?)?;
        (before.index <= known.upto && follows(&before, part)).then_some(before)
    }

    /// The entries that a hole behind `last` took, up to `entry`. All of them, or it is
    /// not known what stood there: a log knows nothing of what lies below its base.
    pub(super) fn between(self, last: Head, entry: &Head) -> Option<Vec<LogEntry>> {
        let Remembered { log, upto, .. } = self.known_at(last.end_address)?;
        let there = log.get(entry.index)?;
        let chained = log.has(&last) && there.hash == entry.hash;
        let taken = last.index < entry.index && entry.index <= upto;
        let missing = last.index + 1..=entry.index;
        let all = || missing.map(|index| log.entry(index)).collect();
        (chained && taken).then(all)?
    }

    /// Where in a segment the log goes on behind the entries that follow `last` and
    /// do not verify at `position`, without a gap.
    pub(super) fn resumes(self, last: Head, segment: &Segment, position: usize) -> Option<usize> {
        let Remembered { log, upto, .. } = self.known_at(last.end_address)?;
        let missing = (last.index + 1..=upto).map_while(|index| log.get(index));
        let mut behind = missing.map(|entry| {
            let bytes = entry.end_address - last.end_address;
            (entry, position + bytes as usize)
        });
        let goes_on = |(entry, at): &(Head, usize)| {
            let part = segment.part_at(*at);
            part.is_some_and(|part| follows(entry, &part))
        };
        behind.find(goes_on).map(|(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::{Damage, Holes, Remembered};
    use crate::check::replicas::{Head, Log, LogEntry};

    fn head(index: u64) -> Head {
        Head {
            index,
            term: 1,
            hash: index,
            end_address: 100 * index,
        }
    }

    /// Entries 6 to 8 behind a base at 5.
    fn log() -> Log {
        let mut log = Log::default();
        log.rebase(head(5), None, 0);
        for index in 6..=8 {
            let entry = LogEntry {
                head: head(index),
                seats: None,
                expired_address: None,
            };
            log.push(&entry, 0);
        }
        log
    }

    #[test]
    fn two_ends_are_joined_only_by_entries_that_are_known() {
        let log = log();
        let remembered = Remembered {
            log: &log,
            upto: 8,
            base: Some(head(5)),
        };
        let damage = Damage::Anywhere(remembered);
        let between = |from, upto| damage.between(head(from), &head(upto));
        let joined = between(5, 7).expect("both are known");
        assert_eq!(joined.len(), 2);
        assert_eq!(between(3, 7), None, "entries 4 and 5 are below the base");
        assert_eq!(between(5, 9), None, "it was never synced");
        let holes = Holes::from([(500, false)]);
        let at = Damage::At(&holes, remembered);
        assert!(at.between(head(5), &head(7)).is_some());
        assert_eq!(at.between(head(6), &head(7)), None, "no hole begins there");
        assert_eq!(at.base(), Some(head(5)));
        assert_eq!(Damage::None.base(), None);
    }
}
