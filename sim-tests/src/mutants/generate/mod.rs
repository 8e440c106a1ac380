//! Mutants that nobody wrote: each operator at each place of the syntax tree where it
//! fits, in the parts of the product that keep messages.
//!
//! ```text
//!  src/product/lib.rs ──▶ sources: files that are no tests
//!                             │
//!                          places: functions, and the nodes of their bodies
//!                             │
//!                         operators: other text for a node ──▶ all mutants ──▶ draw
//! ```
//!
//! Left out is what no run can tell from the product: text for people, notices to the
//! operator, capacities. Assertions stand in macros, where no operator looks.
//!
//! ```
//! use sim_tests::mutants::generate::in_file;
//!
//! let text = "fn f(a: u8) -> bool {\n    a < 3\n}\n";
//! let mutants = in_file("src/product/log/a.rs", text)?;
//! let swapped = mutants.iter().find(|mutant| mutant.id == "log/a.rs:2 swapped-comparison-1");
//! assert_eq!(swapped.unwrap().breaks, "f: `a < 3` → `a <= 3`");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod operators;
mod places;
mod sources;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;

use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use operators::{OPERATORS, Operator};

use super::mutant::{BadMutant, Mutant, Replacement};

/// The folder of the product, from the workspace's root.
const PRODUCT: &str = "src/product/";
/// The parts of the product that are mutated.
pub const MODULES: [&str; 5] = ["record", "log", "raft", "broker", "client"];
/// A text with more letters is long.
const SHOWN_LETTERS: usize = 100;
/// Letters of a long text that are shown on both sides of what differs.
const SHOWN_LETTERS_AROUND: usize = 40;

/// All mutants of the product, in the order of the sources; `read` gives a file's text by
/// its name from the workspace's root.
///
/// # Errors
/// A source cannot be read or parsed.
pub fn all(read: impl Fn(&str) -> io::Result<String>) -> Result<Vec<Mutant>, BadMutant> {
    let mut mutants = Vec::new();
    for (file, text) in sources::product(read)? {
        if module(&file).is_some_and(|module| MODULES.contains(&module)) {
            mutants.extend(in_file(&file, &text)?);
        }
    }
    Ok(mutants)
}

/// The mutants of one file.
///
/// # Errors
/// It cannot be parsed.
pub fn in_file(file: &str, text: &str) -> Result<Vec<Mutant>, BadMutant> {
    let parsed = syn::parse_file(text).map_err(|why| BadMutant::Source {
        file: file.to_owned(),
        why: why.to_string(),
    })?;
    let mut replacements = places::replacements(file, text, &parsed);
    replacements.sort_by_key(|it| it.range.start);
    let (mut ids, mut descriptions) = (BTreeMap::new(), BTreeMap::new());
    let mut seen = BTreeSet::new();
    let mut mutants = Vec::new();
    for replacement in replacements {
        let Replacement { range, new, .. } = &replacement;
        if !seen.insert((range.start, range.end, new.clone())) {
            continue;
        }
        let short = file.strip_prefix(PRODUCT).unwrap_or(file);
        let id = format!("{short}:{} {}", replacement.line, replacement.operator);
        let (old, new) = shown(&replacement.old, &replacement.new);
        let new = match new.is_empty() {
            true => "nothing".to_owned(),
            false => format!("`{new}`"),
        };
        let breaks = format!("{}: `{old}` → {new}", replacement.function);
        let breaks = match count(&mut descriptions, &breaks) {
            1 => breaks,
            times => format!("{breaks} ({times})"),
        };
        let id = format!("{id}-{}", count(&mut ids, &id));
        mutants.push(Mutant::generated(id, breaks, replacement));
    }
    Ok(mutants)
}

/// The part of the product that a file is of.
#[must_use]
pub fn module(file: &str) -> Option<&str> {
    let inside = file.strip_prefix(PRODUCT)?;
    Some(inside.split(['/', '.']).next().unwrap_or(inside))
}

/// All mutants in an order that follows from the seed. A mutant's place among others does
/// not depend on further ones.
#[must_use]
pub fn draw(mut mutants: Vec<Mutant>, seed: u64) -> Vec<Mutant> {
    mutants.sort_by_key(|mutant| {
        (
            xxh3_64_with_seed(mutant.id.as_bytes(), seed),
            mutant.id.clone(),
        )
    });
    mutants
}

/// Two texts, each in one line; of long ones the part in which they differ.
///
/// ```
/// use sim_tests::mutants::generate::shown;
///
/// assert_eq!(shown("a\n    .b(1)", "a"), ("a .b(1)".to_owned(), "a".to_owned()));
/// let long = "x".repeat(500);
/// let (old, new) = shown(&format!("{long}1{long}"), &format!("{long}2{long}"));
/// assert!(old.starts_with("…xxx") && old.ends_with("xxx…") && new.contains("xxx2xxx"));
/// ```
#[must_use]
pub fn shown(old: &str, new: &str) -> (String, String) {
    let in_one_line = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").chars().collect()
    };
    let [old, new]: [Vec<char>; 2] = [old, new].map(in_one_line);
    let before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let behind = old.iter().rev().zip(new.iter().rev());
    let behind = behind.take_while(|(a, b)| a == b).count();
    let behind = behind.min(old.len().min(new.len()) - before);
    let is_long = old.len().max(new.len()) > SHOWN_LETTERS;
    let left_out = |equal: usize| match is_long {
        true => equal.saturating_sub(SHOWN_LETTERS_AROUND),
        false => 0,
    };
    let cut = |text: Vec<char>| {
        let part = left_out(before)..text.len() - left_out(behind);
        let dots = |is_cut: bool| if is_cut { "…" } else { "" };
        let upto = part.end.min(part.start + 2 * SHOWN_LETTERS);
        let (first, last) = (dots(part.start > 0), dots(upto < text.len()));
        let part: String = text[part.start..upto].iter().collect();
        format!("{first}{part}{last}")
    };
    (cut(old), cut(new))
}

fn count(times: &mut BTreeMap<String, usize>, name: &str) -> usize {
    let times = times.entry(name.to_owned()).or_default();
    *times += 1;
    *times
}

#[cfg(test)]
mod tests;
