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
//!
//! A bare diff is a mutant, too: its id is the file's name, and no scenario is aimed at it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::mutant::{Aim, BadMutant, Expect, Mutant};

/// The first words of a file that has no header.
const BARE: [&str; 2] = ["--- a/", "diff --git "];

/// Every mutant of a folder, by id.
///
/// # Errors
/// The first file that is none.
pub fn load_all(folder: &Path) -> Result<Vec<Mutant>, BadMutant> {
    let unreadable = |path: &Path, why| BadMutant::Unreadable {
        path: path.to_owned(),
        why,
    };
    let of_folder = |why| unreadable(folder, why);
    let mut mutants = Vec::new();
    for entry in fs::read_dir(folder).map_err(of_folder)? {
        let path = entry.map_err(of_folder)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            let text = fs::read_to_string(&path).map_err(|why| unreadable(&path, why))?;
            mutants.push(parse(&path, &text)?);
        }
    }
    mutants.sort_by(|a, b| a.id.cmp(&b.id));
    match mutants.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(BadMutant::Twice {
            folder: folder.to_owned(),
            id: pair[0].id.clone(),
        }),
        None => Ok(mutants),
    }
}

/// Reads a patch file's text.
///
/// # Errors
/// The part of the header that is missing or makes no sense.
pub fn parse(path: &Path, text: &str) -> Result<Mutant, BadMutant> {
    if BARE.iter().any(|first| text.starts_with(first)) {
        let id = path.file_stem().unwrap_or_default().to_string_lossy();
        let breaks = "not said: the file has no header".to_owned();
        let (id, diff) = (id.into_owned(), text.to_owned());
        return Ok(Mutant::of_diff(id, breaks, Expect::Killed, diff));
    }
    let bad = |why: String| BadMutant::Header {
        path: path.to_owned(),
        why,
    };
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
    let expect = match field("expect")? {
        "killed" => Expect::Killed,
        "survived" => Expect::Survived,
        other => return Err(bad(format!("`expect`: {other:?}, not killed or survived"))),
    };
    let seeds = field("seeds")?;
    let (first, end) = seeds
        .split_once("..")
        .ok_or_else(|| bad(format!("`seeds`: {seeds:?} is not \"0..200\"")))?;
    let scenarios = field("scenarios")?.split_whitespace();
    let aim = Aim {
        exposed_by: field("exposed-by")?.to_owned(),
        level: field("level")?.to_owned(),
        scenarios: scenarios.map(str::to_owned).collect(),
        seeds: number("seeds", first)?..number("seeds", end)?,
        cap_cpu_s: number("cap-cpu-s", field("cap-cpu-s")?)?,
    };
    let (id, breaks) = (field("id")?.to_owned(), field("breaks")?.to_owned());
    let mut mutant = Mutant::of_diff(id, breaks, expect, diff.to_owned());
    mutant.aim = Some(aim);
    Ok(mutant)
}
