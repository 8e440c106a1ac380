//! `at_event` of a `[[fault]]`.

use super::fault::Frame;
use super::key::{Key, keys};
use super::problem::Problem;
use super::table::{Field, Table};
use crate::history::FaultKind;
use crate::scenario::{Event, EventRule, FileClass};

const KEYS: &[Key] = keys! {
    "event": "The event that is counted, from the window's begin on.";
    "file": "Of a write, a sync asked for, a sync done: of which files; left out, the commit log.";
    "nth": "The fault comes with the event of that number, from 1.";
    "every_nth": "Further faults of the rule come each so many events after the one before; needs `count`.";
};
/// Bounds of the number of an event.
const NTH: std::ops::Range<u64> = 1..1_000_001;

/// Reads `at_event`, where it is there, and refuses what cannot be meant beside it.
pub(super) fn at_event(
    table: &Table<'_>,
    kind: FaultKind,
    frame: &Frame<'_>,
) -> Result<Option<EventRule>, Problem> {
    table.note("at_event", "a table { event = …, nth = …, … }", None);
    let Some(field) = table.get("at_event") else {
        return Ok(None);
    };
    for (key, message) in [
        ("when", "a fault waits for a condition or for an event"),
        ("every_ms", "a fault comes with an event or every so often"),
    ] {
        if let Some(other) = table.get(key) {
            return Err(other.problem(message, "`at_event` is there too"));
        }
    }
    fits(&field, kind)?;
    let rule = field.table("`at_event`", KEYS)?;
    let event = event(&rule, frame)?;
    let every_nth = rule.get("every_nth");
    if let (Some(every), None) = (&every_nth, table.get("count")) {
        let message = "`every_nth` needs to know how many";
        return Err(every
            .problem(message, "without end")
            .help("add `count` to the fault"));
    }
    Ok(Some(EventRule {
        event,
        file: file(&rule, event)?,
        nth: rule.required_between("nth", NTH)?,
        every_nth: rule.maybe_between("every_nth", NTH)?,
    }))
}

/// Refuses kinds of faults that cannot come with an event.
fn fits(field: &Field<'_>, kind: FaultKind) -> Result<(), Problem> {
    if kind.is_client_s() {
        let message = "only brokers' events are counted";
        return Err(field.problem(message, format!("{kind} hits clients")));
    }
    if kind == FaultKind::DiskRolledBack {
        let message = "a rollback cannot come with an event";
        return Err(field
            .problem(message, "its image is taken ahead, at a time")
            .help("at_ms = [low, high]"));
    }
    Ok(())
}

fn event(rule: &Table<'_>, frame: &Frame<'_>) -> Result<Event, Problem> {
    let events = Event::ALL.map(|event| (event.name(), event));
    let event = rule.required_word("event", &events)?;
    let field = rule.require("event")?;
    if event.is_of_replicas() && !frame.cluster.is_replicated() {
        let message = format!("a single broker has no {}", event.name());
        return Err(field.problem(message, "replication is \"none\""));
    }
    Ok(event)
}

fn file(rule: &Table<'_>, event: Event) -> Result<Option<FileClass>, Problem> {
    let classes = FileClass::ALL.into_iter();
    // A header is written with its segment.
    let classes = classes.filter(|class| *class != FileClass::SegmentHeader);
    let words: Vec<_> = classes.map(|class| (class.name(), class)).collect();
    let file = rule.maybe_word("file", &words)?;
    match rule.get("file") {
        Some(field) if !event.has_file() => {
            let message = format!("an event of kind \"{}\" has no `file`", event.name());
            Err(field.problem(message, "only write, sync and synced have"))
        }
        Some(_) => Ok(file),
        None => Ok(event.has_file().then_some(FileClass::CommitLog)),
    }
}
