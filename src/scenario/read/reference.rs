//! The reference of all keys of a scenario file, made by reading one: the keys and
//! their meanings are the readers' own lists, the values and defaults are what the
//! readers ask for.

use std::fmt::Write;

use toml::de::DeTable;

use super::key::{Key, Note, Notes};
use super::of_document;
use crate::history::FaultKind;
use crate::scenario::FaultAction;

/// Columns of a line.
const WIDTH: usize = 100;

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

/// The keys of all tables whose name or keys contain `wanted`, as text of 100 columns.
#[must_use]
pub fn reference(wanted: &str) -> String {
    let notes = Notes::default();
    read_specimen(&notes);
    let mut text = String::new();
    for (table, about) in TABLES {
        let keys = keys_of(&notes, table);
        let title = table.replace("a workload of kind ", "[[workload]] of kind = ");
        let noted = match *table {
            // Each kind has a reader's table of its own; all know the common keys.
            "[[fault]]" => "a fault of kind \"kill\"",
            "`then`" => "`then` of kind \"power-loss\"",
            table => table,
        };
        section(&mut text, &notes, (&title, noted, about), &keys, wanted);
        if *table == "[[fault]]" {
            for kind in kinds() {
                let (title, noted) = (
                    format!("[[fault]] of kind = \"{kind}\""),
                    format!("a fault of kind \"{kind}\""),
                );
                let mut own = FaultAction::keys(kind, crate::scenario::parameter::Unit::Ms);
                if kind.is_client_s() {
                    own.extend(keys.iter().filter(|key| key.name == "target"));
                }
                let about = FaultAction::meaning(kind).trim();
                section(&mut text, &notes, (&title, &noted, about), &own, wanted);
            }
        }
    }
    text
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
        .flat_map(|kind| FaultAction::keys(kind, crate::scenario::parameter::Unit::Ms))
        .collect();
    let is_common = |key: &Key| !matches!(table, "[[fault]]" | "`then`") || !own.contains(key);
    keys.into_iter().filter(is_common).collect()
}

fn section(
    text: &mut String,
    notes: &Notes,
    (title, noted, about): (&str, &str, &str),
    keys: &[Key],
    wanted: &str,
) {
    let shown: Vec<&Key> = keys
        .iter()
        .filter(|key| title.contains(wanted) || key.name.contains(wanted))
        .collect();
    if shown.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{title}");
    paragraph(text, about, "    ");
    let notes = notes.notes.borrow();
    for key in shown {
        let note_in = |table: &str| {
            let mut notes = notes.iter();
            notes.find(|note| note.table == table && note.key == key.name)
        };
        // The first look at a table with kinds knows all kinds; that at a second action
        // knows too many.
        let note = match title {
            "`then`" => note_in(noted).or_else(|| note_in(title)),
            _ => note_in(title).or_else(|| note_in(noted)),
        };
        entry(text, key, note);
    }
}

fn entry(text: &mut String, key: &Key, note: Option<&Note>) {
    let name = key.name;
    let _ = match note {
        Some(Note {
            default: Some(default),
            ..
        }) if is_toml(default) => writeln!(text, "  {name} = {default}"),
        Some(Note {
            default: Some(default),
            ..
        }) => writeln!(text, "  {name} (by default {default})"),
        Some(note) if note.is_required => writeln!(text, "  {name} (required)"),
        _ => writeln!(text, "  {name} (may be left out)"),
    };
    paragraph(text, key.meaning.trim(), "      ");
    if let Some(note) = note {
        paragraph(text, &format!("Values: {}.", note.values), "      ");
    }
}

fn is_toml(value: &str) -> bool {
    format!("key = {value}").parse::<toml::Table>().is_ok()
}

fn paragraph(text: &mut String, words: &str, indent: &str) {
    if !words.is_empty() {
        let options = textwrap::Options::new(WIDTH)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .initial_indent(indent)
            .subsequent_indent(indent);
        for line in textwrap::wrap(words, options) {
            let _ = writeln!(text, "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FaultAction, Notes, TABLES, kinds, read_specimen, reference};
    use crate::scenario::parameter::Unit;

    /// A key without a note would be one whose values nobody knows.
    #[test]
    fn every_key_of_every_table_is_there_with_its_values() {
        let notes = Notes::default();
        read_specimen(&notes);
        let text = reference("");
        let mut missing = Vec::new();
        for shape in notes.shapes.borrow().iter() {
            let is_of_a_kind = shape.table.contains(" of kind ");
            let is_listed = TABLES.iter().any(|(table, _)| *table == shape.table);
            let is_any_workload = shape.table == "[[workload]]";
            if !is_listed && !is_of_a_kind && !is_any_workload {
                missing.push(format!("table {}", shape.table));
            }
            let noted = notes.notes.borrow();
            // These two are read again, kind by kind.
            let is_first_look = ["[[fault]]", "[[workload]]", "`then`"];
            for key in shape
                .keys
                .iter()
                .filter(|_| !is_first_look.contains(&&*shape.table))
            {
                let is_noted = |table: &str| {
                    let is_it = |note: &&super::Note| note.table == table && note.key == key.name;
                    noted.iter().any(|note| is_it(&note))
                };
                if !is_noted(&shape.table) {
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
        for kind in kinds() {
            let title = format!("[[fault]] of kind = \"{kind}\"\n");
            let has_keys = !FaultAction::keys(kind, Unit::Ms).is_empty();
            assert_eq!(text.contains(&title), has_keys, "{kind}");
        }
        assert!(
            text.lines()
                .all(|line| line.chars().count() <= super::WIDTH)
        );
    }

    #[test]
    fn a_table_or_a_key_is_shown_alone() {
        insta::assert_snapshot!(reference("sector_bytes"), @r"
        [disk]
          sector_bytes = 512
              Size of a sector: a power loss may leave one whole and the next not.
              Values: 512 or 4096.
        ");
        insta::assert_snapshot!(reference("kind = \"lost-write"), @r#"
        [[fault]] of kind = "lost-write"
            The next write is reported and never done.
          file = "commit-log"
              Of these files.
              Values: "random", "commit-log", "hard-state", "base", "checkpoint", "state", "queues", "ages",
              "identity", "founding", "quarantined", "any".
          skip (may be left out)
              Matching operations that pass before the one that it strikes.
              Values: a number or [low, high], 0 to 10000.
        "#);
        assert_eq!(reference("no such key"), "");
    }
}
