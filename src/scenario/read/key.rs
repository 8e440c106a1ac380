//! The keys of files, each with its meaning, and what readers take for values: of the
//! two, the reference is made.

use std::cell::RefCell;
use std::ops::Range;

/// A key of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenario) struct Key {
    pub(in crate::scenario) name: &'static str,
    /// A sentence, or the part of one behind "the key is".
    pub(in crate::scenario) meaning: &'static str,
}

/// A list of keys: `keys! { "name": "Meaning."; … }`.
macro_rules! keys {
    ($($name:literal: $meaning:expr;)*) => {
        &[$($crate::scenario::read::Key { name: $name, meaning: $meaning },)*]
    };
}
pub(in crate::scenario) use keys;

/// The keys of several shapes of one table, each once.
pub(in crate::scenario) fn union<'k>(shapes: impl IntoIterator<Item = &'k [Key]>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for key in shapes.into_iter().flatten() {
        if keys.iter().all(|other| other.name != key.name) {
            keys.push(*key);
        }
    }
    keys
}

/// The names of keys.
pub(in crate::scenario) fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

/// The values of a key that a reader takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) table: String,
    pub(super) key: String,
    pub(super) values: String,
    /// The value where nothing is said; `None`: it may be left out all the same, or
    /// [`Note::is_required`].
    pub(super) default: Option<String>,
    pub(super) is_required: bool,
}

/// A table that a reader has met, and the keys that it knows there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) table: String,
    pub(super) keys: Vec<Key>,
}

/// All that readers ask while they read one file.
#[derive(Debug, Default)]
pub(in crate::scenario) struct Notes {
    pub(super) shapes: RefCell<Vec<Shape>>,
    pub(super) notes: RefCell<Vec<Note>>,
}

impl Notes {
    pub(super) fn meet(&self, table: &str, keys: &[Key]) {
        self.shapes.borrow_mut().push(Shape {
            table: table.to_owned(),
            keys: keys.to_owned(),
        });
    }

    pub(super) fn add(&self, note: Note) {
        let mut notes = self.notes.borrow_mut();
        let is_known = |known: &Note| known.table == note.table && known.key == note.key;
        if !notes.iter().any(is_known) {
            notes.push(note);
        }
    }
}

/// `0 to 9`; what has no end for a user has none here.
pub(in crate::scenario) fn shown(bounds: &Range<u64>) -> String {
    match (bounds.start, bounds.end - 1) {
        (0, most) if most >= 1 << 30 => "0 or more".to_owned(),
        (least, most) if most >= 1 << 30 => format!("{least} or more"),
        (least, most) => format!("{least} to {most}"),
    }
}

/// `"a", "b"`.
pub(super) fn quoted(words: impl Iterator<Item = impl AsRef<str>>) -> String {
    let quoted: Vec<_> = words.map(|word| format!("\"{}\"", word.as_ref())).collect();
    quoted.join(", ")
}
