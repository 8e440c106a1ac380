//! Whether what is known to stand somewhere stays there: the common half of
//! durability and known-stored.
//!
//! A raised minimum offset excuses what lies below it only where the message was
//! older than the configured retention when it was missed: everything else below
//! it is lost.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::history::Value;

use super::facts::{Covered, Facts, FinalRead, QueueFacts, Read};
use super::places::{Place, Places};
use super::{Instead, Missed};

/// One place that did not stay.
pub(super) struct Absence {
    pub(super) place: Place,
    /// The read that lacks it, an index.
    pub(super) index: usize,
    pub(super) missed: Missed,
}

/// The places that a complete read after heal lacks, and those that a
/// successful pull lacks that was begun after they were known and went over
/// their offset. Each once, by the first read that lacks it, in the order of
/// the offsets.
pub(super) fn absences(facts: &Facts<'_>, queue: &QueueFacts<'_>, places: &Places) -> Vec<Absence> {
    let mut found = BTreeMap::new();
    for read in &queue.reads {
        if let Some(covered) = read.covered {
            missed_by_pull(read, covered, places, &mut found);
        }
    }
    if let Some(read) = queue.final_read {
        missed_by_final_read(facts, read, places, &mut found);
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
    let due = places.within(offset..next_begin_offset).iter();
    let due = due.filter(|place| place.known < began);
    let served = Served::new(read.messages);
    for place in due {
        if let Err(instead) = served.holds(place.offset, place.value) {
            let missed = Missed::Pull {
                offset,
                next_begin_offset,
                instead,
            };
            note(found, *place, read.index, missed);
        }
    }
}

fn missed_by_final_read(
    facts: &Facts<'_>,
    read: FinalRead<'_>,
    places: &Places,
    found: &mut Found,
) {
    let due = places.all().iter().filter(|place| {
        let below = place.offset < read.min_offset;
        let expired = || facts.may_have_expired(place.value, place.known, read.index);
        // Another one that took its offset since shows that it was gone before.
        let was_replaced = || {
            let here = places.within(place.offset..place.offset + 1).iter();
            let mut later = here.filter(|other| other.known > place.known);
            later.any(|other| other.value != place.value)
        };
        place.known < read.index && !(below && expired() && !was_replaced())
    });
    let served = Served::new(read.messages);
    for place in due {
        if let Err(instead) = served.holds(place.offset, place.value) {
            note(found, *place, read.index, Missed::FinalRead { instead });
        }
    }
}

fn note(found: &mut Found, place: Place, index: usize, missed: Missed) {
    found.entry(place.key()).or_insert(Absence {
        place,
        index,
        missed,
    });
}

/// The messages of one answer, by offset. A broken broker may serve one offset
/// twice: then either copy counts as there.
struct Served<'a>(Cow<'a, [(u64, Option<Value>)]>);

impl<'a> Served<'a> {
    fn new(messages: &'a [(u64, Option<Value>)]) -> Self {
        let mut messages = Cow::Borrowed(messages);
        if !messages.is_sorted() {
            messages.to_mut().sort_unstable();
        }
        Self(messages)
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
    (facts.at_ns(absence.place.known), facts.at_ns(absence.index))
}
