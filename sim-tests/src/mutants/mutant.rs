//! A mutant: one change of the sources, by hand or generated.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::judged::Key;

/// The result that is expected of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Some run notices.
    Killed,
    /// Nothing is wrong with it, so nothing may notice.
    Survived,
    /// Nobody knows: it was generated.
    Unknown,
}

/// A mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// The number of a patch, behind the letter of a group of mutants (H is for harmless);
    /// the place and the operator of a generated one.
    pub id: String,
    /// The promise that it breaks, and how; the old and the new text of a generated one.
    pub breaks: String,
    /// The result that is expected of it.
    pub expect: Expect,
    /// The scenarios that are aimed at it, if any are.
    pub aim: Option<Aim>,
    change: Change,
}

/// The part of a patch's header that says what may kill it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aim {
    /// The faults that expose it.
    pub exposed_by: String,
    /// The effort to find it.
    pub level: String,
    /// Scenario files, from the workspace's root.
    pub scenarios: Vec<String>,
    /// Seeds of each scenario, the end excluded.
    pub seeds: Range<u64>,
    /// CPU seconds that a hunt may take.
    pub cap_cpu_s: u64,
}

/// The change of the sources.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// A unified diff against the workspace's root.
    Diff(String),
    /// Other text in the body of one function.
    Replacement(Replacement),
}

/// A range of a file's text, and the text that stands there instead.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Replacement {
    /// From the workspace's root.
    pub file: String,
    /// The line of the range's begin, from 1 on.
    pub line: usize,
    /// The function, behind its type if it has one: `Raft::stand`.
    pub function: String,
    /// The operator's name.
    pub operator: String,
    /// Bytes of the file's text.
    pub range: Range<usize>,
    /// The text in the range.
    pub old: String,
    /// The text in its place.
    pub new: String,
}

/// The reason that something is no mutant.
#[derive(Debug, thiserror::Error)]
pub enum BadMutant {
    /// A file cannot be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// The file, or a folder of them.
        path: PathBuf,
        /// The words of the operating system.
        why: io::Error,
    },
    /// A line of the header is missing or makes no sense.
    #[error("{}: {why}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The line.
        why: String,
    },
    /// The change is none, or does not apply to the file any more.
    #[error("mutant {id}: {why}")]
    Change {
        /// The mutant.
        id: String,
        /// The reason.
        why: String,
    },
    /// A source of the product cannot be parsed.
    #[error("{file}: {why}")]
    Source {
        /// From the workspace's root.
        file: String,
        /// The words of the parser.
        why: String,
    },
    /// Two files of a folder have one id.
    #[error("{}: two files have the id {id}: give one of them another", folder.display())]
    Twice {
        /// The folder.
        folder: PathBuf,
        /// The id.
        id: String,
    },
}

impl Mutant {
    /// A mutant that was written by hand.
    #[must_use]
    pub fn of_diff(id: String, breaks: String, expect: Expect, diff: String) -> Self {
        Self {
            id,
            breaks,
            expect,
            aim: None,
            change: Change::Diff(diff),
        }
    }

    /// A mutant that was generated.
    #[must_use]
    pub fn generated(id: String, breaks: String, replacement: Replacement) -> Self {
        Self {
            id,
            breaks,
            expect: Expect::Unknown,
            aim: None,
            change: Change::Replacement(replacement),
        }
    }

    /// The change, as it was read or generated.
    #[must_use]
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// The diff of a mutant that was written by hand.
    #[must_use]
    pub fn diff(&self) -> Option<&str> {
        match &self.change {
            Change::Diff(diff) => Some(diff),
            Change::Replacement(_) => None,
        }
    }

    /// The replacement of a mutant that was generated.
    #[must_use]
    pub fn replacement(&self) -> Option<&Replacement> {
        match &self.change {
            Change::Diff(_) => None,
            Change::Replacement(replacement) => Some(replacement),
        }
    }

    /// Whether it is no mistake: nothing may report it, and no score counts it.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        self.expect == Expect::Survived
    }

    /// The name by which people judge it, which outlives its line.
    #[must_use]
    pub fn key(&self) -> Key {
        match &self.change {
            Change::Diff(_) => Key::new("patch", &self.id, &self.breaks),
            Change::Replacement(it) => {
                let module = it.file.strip_prefix("src/product/").unwrap_or(&it.file);
                let module = module.strip_suffix(".rs").unwrap_or(module);
                let function = format!("{}: ", it.function);
                let text = self.breaks.strip_prefix(&function);
                Key::new(module, &it.function, text.unwrap_or(&self.breaks))
            }
        }
    }

    /// The files that it changes, from the workspace's root, with their new
    /// contents; `read` gives the present ones.
    ///
    /// # Errors
    /// The change does not apply.
    pub fn apply(
        &self,
        read: impl Fn(&str) -> io::Result<String>,
    ) -> Result<Vec<(String, String)>, BadMutant> {
        let changed = match &self.change {
            Change::Diff(diff) => apply_diff(diff, read),
            Change::Replacement(replacement) => replacement.apply(read).map(|it| vec![it]),
        };
        changed.map_err(|why| BadMutant::Change {
            id: self.id.clone(),
            why,
        })
    }
}

impl Replacement {
    fn apply(&self, read: impl Fn(&str) -> io::Result<String>) -> Result<(String, String), String> {
        let file = &self.file;
        let mut text = read(file).map_err(|why| format!("{file}: {why}"))?;
        if text.get(self.range.clone()) != Some(&self.old) {
            return Err(format!("{file}: other text stands in line {}", self.line));
        }
        text.replace_range(self.range.clone(), &self.new);
        Ok((file.clone(), text))
    }
}

fn apply_diff(
    diff: &str,
    read: impl Fn(&str) -> io::Result<String>,
) -> Result<Vec<(String, String)>, String> {
    let mut changed = Vec::new();
    for part in parts(diff) {
        let patch = diffy::Patch::from_str(&part).map_err(|why| why.to_string())?;
        let file = patch
            .original()
            .and_then(|name| name.strip_prefix("a/"))
            .ok_or("a part without `--- a/FILE`")?;
        let before = read(file).map_err(|why| format!("{file}: {why}"))?;
        let after = diffy::apply(&before, &patch).map_err(|why| format!("{file}: {why}"))?;
        changed.push((file.to_owned(), after));
    }
    match changed.is_empty() {
        true => Err("it changes nothing".to_owned()),
        false => Ok(changed),
    }
}

/// The diff, file by file. Lines that Git puts between files are passed over.
fn parts(diff: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in diff.split_inclusive('\n') {
        if line.starts_with("--- a/") {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(line);
        }
    }
    parts
}
