//! Whether what is known to stand somewhere stays there: the common half of
//! durability and known-stored.
//!
//! Nothing expires within a run, so a raised minimum offset excuses nothing.

use std::collections::BTreeMap;

use crate::history::Value;

use super::facts::{Covered, Facts, FinalRead, QueueFacts, Read};
use super::{Instead, Missed};

/// What must stay: offset and value, with the index since when.
pub(super) type Places = BTreeMap<(u64, Value), usize>;

/// One place that did not stay.
pub(super) struct Absence {
    pub(super) offset: u64,
    pub(super) value: Value,
    /// Since when it had to be there, an index.
    pub(super) known: usize,
    /// The read that lacks it, an index.
    pub(super) index: usize,
    pub(super) missed: Missed,
}

/// The places that a complete read after heal lacks, and those that a
/// successful pull lacks that was begun after they were known and went over
/// their offset. Each once, by the first read that lacks it, in the order of
/// the offsets.
pub(super) fn absences(queue: &QueueFacts<'_>, places: &Places) -> Vec<Absence> {
    let mut found = BTreeMap::new();
    for read in &queue.reads {
        if let Some(covered) = read.covered {
            missed_by_pull(read, covered, places, &mut found);
        }
    }
    if let Some(read) = queue.final_read {
        missed_by_final_read(read, places, &mut found);
    }
    found.into_values().collect()
}

type Found = BTreeMap<(u64, Value), Absence>;

fn missed_by_pull(read: &Read<'_>, covered: Covered, places: &Places, found: &mut Found) {
    let Covered {
        began,
        offset,
        next_begin_offset,
    } = covered;
    if next_begin_offset <= offset {
        return;
    }
    let served = Served::new(read.messages);
    let range = (offset, Value::MIN)..(next_begin_offset, Value::MIN);
    let due = places.range(range).filter(|(_, known)| **known < began);
    for (place, known) in due {
        if let Err(instead) = served.holds(place.0, place.1) {
            let missed = Missed::Pull {
                offset,
                next_begin_offset,
                instead,
            };
            note(found, *place, *known, read.index, missed);
        }
    }
}

fn missed_by_final_read(read: FinalRead<'_>, places: &Places, found: &mut Found) {
    let served = Served::new(read.messages);
    for (place, known) in places.iter().filter(|(_, known)| **known < read.index) {
        if let Err(instead) = served.holds(place.0, place.1) {
            let missed = Missed::FinalRead { instead };
            note(found, *place, *known, read.index, missed);
        }
    }
}

fn note(found: &mut Found, place: (u64, Value), known: usize, index: usize, missed: Missed) {
    found.entry(place).or_insert(Absence {
        offset: place.0,
        value: place.1,
        known,
        index,
        missed,
    });
}

/// The messages of one answer, by offset. A broken broker may serve one offset
/// twice: then either copy counts as there.
struct Served(Vec<(u64, Option<Value>)>);

impl Served {
    fn new(messages: &[(u64, Option<Value>)]) -> Self {
        let mut sorted = messages.to_vec();
        sorted.sort_unstable();
        Self(sorted)
    }

    fn holds(&self, offset: u64, value: Value) -> Result<(), Instead> {
        let first = self.0.partition_point(|(at, _)| *at < offset);
        let here = self.0[first..].iter().take_while(|(at, _)| *at == offset);
        let mut instead = Instead::Nothing;
        for (_, there) in here {
            match there {
                Some(there) if *there == value => return Ok(()),
                Some(there) => instead = Instead::Other(*there),
                None => instead = Instead::Unreadable,
            }
        }
        Err(instead)
    }
}

/// Times of an absence, nanoseconds: since when known, when missed.
pub(super) fn times_ns(facts: &Facts<'_>, absence: &Absence) -> (u64, u64) {
    (facts.at_ns(absence.known), facts.at_ns(absence.index))
}
