//! The reference of all keys of a scenario file, made by reading one: the keys and
//! their meanings are the readers' own lists, the values and defaults are what the
//! readers ask for.

use toml::de::DeTable;

use super::key::{Key, Notes};
use super::of_document;
use crate::history::FaultKind;
use crate::scenario::FaultAction;
use crate::scenario::parameter::Unit;

/// A table of a scenario file, or the keys that one kind of it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTable {
    /// As it is written: `[disk]`, `[[fault]] of kind = "kill"`.
    pub title: String,
    /// A sentence about it; may be empty.
    pub about: String,
    /// Its keys, in the order of their reader.
    pub keys: Vec<KeyRow>,
}

/// A key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// As it is written.
    pub name: String,
    /// Its meaning, in a sentence.
    pub meaning: String,
    /// The values that its reader takes, in words.
    pub values: String,
    /// The value where nothing is said, as a file writes it or in words.
    pub default: Option<String>,
    /// It must be there.
    pub is_required: bool,
}

/// A file that has every table. The faults, one of each kind, are added.
const SPECIMEN: &str = r#"
title = "every table"
why = "the reference is made of it"

[cluster]
brokers = 3
replication = "raft"
flush = "sync"
spares = 1
preferred_leader = 0

[stranger]

[[link]]

[[workload]]
kind = "send"
messages = 1
tags = 1

[[workload]]
kind = "pay"
topic = "paid"

[[workload]]
kind = "consume"
members = 1

[[workload]]
kind = "consume"
consumers = 1
group = "alone"

[[workload]]
kind = "red-packet"
topic = "paid"

[[operator]]
kind = "recover"

[swarm]

[run]
seeds = "0..1"

[expect]
outcome = "loss"

[[fault]]
kind = "kill"
at_event = { event = "write", nth = 1 }
then = { kind = "power-loss", after_ms = 1 }
"#;

/// The tables of the reference, in its order: the name that their reader gives them, and
/// what is said of them.
const TABLES: &[(&str, &str)] = &[
    (
        "a scenario",
        "The tables of a file, and the keys above the first of them.",
    ),
    ("[cluster]", ""),
    ("[disk]", ""),
    ("[network]", ""),
    ("[[link]]", "What is left out is as in [network]."),
    ("[client]", ""),
    ("[stranger]", ""),
    ("a workload of kind \"send\"", ""),
    ("a workload of kind \"pay\"", ""),
    ("a workload of kind \"consume\"", ""),
    ("a workload of kind \"red-packet\"", ""),
    (
        "[[fault]]",
        "The keys of faults of every kind; `clock-skew` has the first two only.",
    ),
    ("`at_event`", "In a [[fault]]."),
    ("`then`", "In a [[fault]]."),
    ("[[operator]]", ""),
    (
        "[swarm]",
        "A key without a default here leaves what the other tables say.",
    ),
    ("[run]", ""),
    ("[expect]", ""),
];

/// The tables of a scenario file, with all their keys.
#[must_use]
pub fn reference() -> Vec<KeyTable> {
    let notes = Notes::default();
    read_specimen(&notes);
    let mut tables = Vec::new();
    for (table, about) in TABLES {
        let keys = keys_of(&notes, table);
        let title = table.replace("a workload of kind ", "[[workload]] of kind = ");
        // The first look at a table with kinds knows all kinds; that at a second action
        // knows too many.
        let places: &[&str] = match *table {
            "[[fault]]" => &["[[fault]]", "a fault of kind \"kill\""],
            "`then`" => &["`then` of kind \"power-loss\"", "`then`"],
            table => &[table],
        };
        tables.push(key_table(&notes, (title, about), &keys, places));
        if *table == "[[fault]]" {
            tables.extend(kinds().map(|kind| table_of(&notes, kind, &keys)));
        }
    }
    tables
}

/// The keys that a kind of fault has beside the `common` ones. Those of clients have
/// targets of their own.
fn table_of(notes: &Notes, kind: FaultKind, common: &[Key]) -> KeyTable {
    let mut own = FaultAction::keys(kind, Unit::Ms);
    if kind.is_client_s() {
        own.extend(common.iter().filter(|key| key.name == "target"));
    }
    let title = format!("[[fault]] of kind = \"{kind}\"");
    let place = format!("a fault of kind \"{kind}\"");
    let about = FaultAction::meaning(kind).trim();
    key_table(notes, (title, about), &own, &[&place])
}

/// `places`: the tables in which the readers' notes about the keys are looked for, one
/// after the other.
fn key_table(
    notes: &Notes,
    (title, about): (String, &str),
    keys: &[Key],
    places: &[&str],
) -> KeyTable {
    let notes = notes.notes.borrow();
    let note_of = |key: &Key| {
        let mut found = places.iter().filter_map(|place| {
            let mut notes = notes.iter();
            notes.find(|note| note.table == *place && note.key == key.name)
        });
        found.next().expect("its reader says what it takes")
    };
    let row = |key: &Key| {
        let note = note_of(key);
        KeyRow {
            name: key.name.to_owned(),
            meaning: key.meaning.trim().to_owned(),
            values: note.values.clone(),
            default: note.default.clone(),
            is_required: note.is_required,
        }
    };
    KeyTable {
        title,
        about: about.to_owned(),
        keys: keys.iter().map(row).collect(),
    }
}

fn kinds() -> impl Iterator<Item = FaultKind> {
    let kinds = FaultKind::ALL.into_iter();
    kinds.filter(|kind| !kind.is_a_setting())
}

fn read_specimen(notes: &Notes) {
    let faults = kinds().map(|kind| format!("[[fault]]\nkind = \"{kind}\"\n"));
    let text: String = std::iter::once(SPECIMEN.to_owned()).chain(faults).collect();
    let document = DeTable::parse(&text).expect("the specimen is TOML");
    // The notes live as long as the readers' tables, and longer.
    let read = of_document(
        "specimen",
        "specimen",
        &text,
        document.get_ref(),
        Some(notes),
    );
    read.map_err(|problem| problem.render("specimen", &text))
        .expect("the specimen is a scenario");
}

/// The keys that a table's reader knows; of a table with kinds, those that all have.
fn keys_of(notes: &Notes, table: &str) -> Vec<Key> {
    let shapes = notes.shapes.borrow();
    let found = shapes.iter().find(|shape| shape.table == table);
    let keys = found.map(|shape| shape.keys.clone()).unwrap_or_default();
    let own: Vec<Key> = kinds()
        .flat_map(|kind| FaultAction::keys(kind, Unit::Ms))
        .collect();
    let is_common = |key: &Key| !matches!(table, "[[fault]]" | "`then`") || !own.contains(key);
    keys.into_iter().filter(is_common).collect()
}

#[cfg(test)]
mod tests {
    use super::super::key::Note;
    use super::{FaultAction, Notes, TABLES, Unit, kinds, read_specimen, reference};

    /// Looks at a table before its kind is known: its keys are read again, kind by kind.
    const FIRST_LOOKS: [&str; 3] = ["[[fault]]", "[[workload]]", "`then`"];

    /// A key without a note would be one whose values nobody knows.
    #[test]
    fn every_key_of_every_table_is_there_with_its_values() {
        let notes = Notes::default();
        read_specimen(&notes);
        let (shapes, noted) = (notes.shapes.borrow(), notes.notes.borrow());
        let mut missing = Vec::new();
        for shape in shapes.iter() {
            let is_of_a_kind = shape.table.contains(" of kind ");
            let is_listed = TABLES.iter().any(|(table, _)| *table == shape.table);
            let is_first_look = FIRST_LOOKS.contains(&&*shape.table);
            if !is_listed && !is_of_a_kind && !is_first_look {
                missing.push(format!("table {}", shape.table));
            }
            for key in shape.keys.iter().filter(|_| !is_first_look) {
                let is_it = |note: &Note| note.table == shape.table && note.key == key.name;
                if !noted.iter().any(is_it) {
                    missing.push(format!("{} of {}", key.name, shape.table));
                }
                assert!(key.meaning.trim().ends_with('.'), "{}", key.name);
            }
        }
        missing.dedup();
        assert!(
            missing.is_empty(),
            "nothing is known of:\n{}",
            missing.join("\n")
        );
        let tables = reference();
        for kind in kinds() {
            let title = format!("[[fault]] of kind = \"{kind}\"");
            let table = tables.iter().find(|table| table.title == title);
            let least = FaultAction::keys(kind, Unit::Ms).len();
            assert!(
                table.is_some_and(|table| table.keys.len() >= least),
                "{kind}"
            );
        }
    }
}
