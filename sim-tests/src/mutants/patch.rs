//! A mutant as a file: a header of `key: value` lines, an empty line, and a
//! unified diff against the workspace's root.
//!
//! ```text
//!  id: S01
//!  breaks: …            the promise, and the mistake
//!  exposed-by: …        the faults that it takes
//!  level: easy          easy, medium or hard; "-" for a harmless one
//!  expect: killed       or survived: a refactoring that must not be reported
//!  scenarios: …         files that may kill it
//!  seeds: 0..200        of each, at most
//!  cap-cpu-s: 120       and no longer than this, for each way of judging
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The result that is expected of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Some run notices.
    Killed,
    /// Nothing is wrong with it, so nothing may notice.
    Survived,
}

/// A mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// Its number, behind the letter of a group of mutants; H is for harmless.
    pub id: String,
    /// The promise that it breaks, and how.
    pub breaks: String,
    /// The faults that expose it.
    pub exposed_by: String,
    /// How hard it is to find.
    pub level: String,
    /// The result that is expected of it.
    pub expect: Expect,
    /// Scenario files, from the workspace's root.
    pub scenarios: Vec<String>,
    /// Seeds of each scenario, the end excluded.
    pub seeds: Range<u64>,
    /// CPU seconds that a hunt may take.
    pub cap_cpu_s: u64,
    /// The diff.
    diff: String,
}

/// Why a patch file is no mutant.
#[derive(Debug)]
pub enum BadMutant {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A line of the header is missing or makes no sense.
    Header(PathBuf, String),
    /// The diff is none, or does not apply to the file any more.
    Diff(String, String),
    /// Two files of a folder have one id.
    Twice(PathBuf, String),
}

impl std::fmt::Display for BadMutant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Header(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Diff(id, why) => write!(f, "mutant {id}: {why}"),
            Self::Twice(folder, id) => {
                let folder = folder.display();
                write!(
                    f,
                    "{folder}: two files have the id {id}: give one of them another"
                )
            }
        }
    }
}

impl std::error::Error for BadMutant {}

/// Every mutant of a folder, by id.
///
/// # Errors
/// The first file that is none.
pub fn load_all(folder: &Path) -> Result<Vec<Mutant>, BadMutant> {
    let unreadable = |why| BadMutant::Unreadable(folder.to_owned(), why);
    let mut mutants = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            let text = fs::read_to_string(&path)
                .map_err(|why| BadMutant::Unreadable(path.clone(), why))?;
            mutants.push(Mutant::parse(&path, &text)?);
        }
    }
    mutants.sort_by(|a, b| a.id.cmp(&b.id));
    match mutants.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(BadMutant::Twice(folder.to_owned(), pair[0].id.clone())),
        None => Ok(mutants),
    }
}

impl Mutant {
    /// Reads a patch file's text.
    ///
    /// # Errors
    /// The part of the header that is missing or makes no sense.
    pub fn parse(path: &Path, text: &str) -> Result<Self, BadMutant> {
        let bad = |why: String| BadMutant::Header(path.to_owned(), why);
        let (header, diff) = text
            .split_once("\n\n")
            .ok_or_else(|| bad("no empty line between header and diff".to_owned()))?;
        let fields: BTreeMap<&str, &str> = header
            .lines()
            .filter_map(|line| line.split_once(": "))
            .collect();
        let field = |key: &str| {
            let value = fields.get(key).map(|value| value.trim());
            let value = value.filter(|value| !value.is_empty());
            value.ok_or_else(|| bad(format!("the header has no `{key}`")))
        };
        let number = |key: &str, text: &str| {
            text.parse::<u64>()
                .map_err(|_| bad(format!("`{key}`: {text:?} is no number")))
        };
        let seeds = field("seeds")?;
        let (first, end) = seeds
            .split_once("..")
            .ok_or_else(|| bad(format!("`seeds`: {seeds:?} is not \"0..200\"")))?;
        Ok(Self {
            id: field("id")?.to_owned(),
            breaks: field("breaks")?.to_owned(),
            exposed_by: field("exposed-by")?.to_owned(),
            level: field("level")?.to_owned(),
            expect: match field("expect")? {
                "killed" => Expect::Killed,
                "survived" => Expect::Survived,
                other => return Err(bad(format!("`expect`: {other:?}, not killed or survived"))),
            },
            scenarios: field("scenarios")?
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            seeds: number("seeds", first)?..number("seeds", end)?,
            cap_cpu_s: number("cap-cpu-s", field("cap-cpu-s")?)?,
            diff: diff.to_owned(),
        })
    }

    /// The diff, as it stands in the file.
    #[must_use]
    pub fn diff(&self) -> &str {
        &self.diff
    }

    /// The files that it changes, from the workspace's root, with their new
    /// contents; `read` gives the present ones.
    ///
    /// # Errors
    /// The diff does not apply.
    pub fn apply(
        &self,
        read: impl Fn(&str) -> io::Result<String>,
    ) -> Result<Vec<(String, String)>, BadMutant> {
        let bad = |why: String| BadMutant::Diff(self.id.clone(), why);
        let mut changed = Vec::new();
        for part in self.parts() {
            let patch = diffy::Patch::from_str(&part).map_err(|why| bad(why.to_string()))?;
            let file = patch
                .original()
                .and_then(|name| name.strip_prefix("a/"))
                .ok_or_else(|| bad("a part without `--- a/FILE`".to_owned()))?;
            let before = read(file).map_err(|why| bad(format!("{file}: {why}")))?;
            let after =
                diffy::apply(&before, &patch).map_err(|why| bad(format!("{file}: {why}")))?;
            changed.push((file.to_owned(), after));
        }
        match changed.is_empty() {
            true => Err(bad("it changes nothing".to_owned())),
            false => Ok(changed),
        }
    }

    /// The diff, file by file.
    fn parts(&self) -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for line in self.diff.split_inclusive('\n') {
            if line.starts_with("--- a/") {
                parts.push(String::new());
            }
            if let Some(part) = parts.last_mut() {
                part.push_str(line);
            }
        }
        parts
    }
}
