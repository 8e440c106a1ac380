//! The mutants of a call: patches, or generated ones.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use sim_tests::mutants::generate::{self, MODULES, OPERATORS};
use sim_tests::mutants::journal::Journal;
use sim_tests::mutants::mutant::{BadMutant, Mutant};
use sim_tests::mutants::patch::load_all;
use sim_tests::mutants::tree::Tree;
use sim_tests::mutants::weave::Woven;

use crate::arguments::Arguments;

/// More of a draw than are wanted: one in this many does not compile, or fewer.
const REFUSED_SHARE: usize = 3;

/// The mutants of a call.
pub(crate) struct Subjects {
    pub(crate) mutants: Vec<Mutant>,
    /// The seed of a draw, and the number of mutants that it was drawn of.
    pub(crate) draw: Option<(u64, usize)>,
}

/// The patches that are asked for, or those among all generated mutants.
pub(crate) fn chosen(workspace: &Path, arguments: &Arguments) -> Result<Subjects, Box<dyn Error>> {
    let own = workspace.join("sim-tests").join("mutants");
    let folder = arguments.patches.as_ref().unwrap_or(&own);
    let mut mutants = load_all(folder)?;
    let only = &arguments.only;
    let is_unknown = |mutants: &[Mutant], id: &String| mutants.iter().all(|it| it.id != *id);
    if only.iter().any(|id| is_unknown(&mutants, id)) {
        mutants.extend(all(workspace)?);
    }
    if let Some(unknown) = only.iter().find(|id| is_unknown(&mutants, id)) {
        return Err(format!("there is no mutant {unknown}").into());
    }
    mutants.retain(|mutant| only.is_empty() || only.contains(&mutant.id));
    if mutants.is_empty() {
        return Err(format!("{} holds no patches", folder.display()).into());
    }
    Ok(Subjects {
        mutants,
        draw: None,
    })
}

/// The first `count` of a draw that compile.
pub(crate) fn drawn(
    workspace: &Path,
    tree: &Tree,
    journal: &mut Journal,
    count: usize,
    seed: u64,
) -> Result<Subjects, Box<dyn Error>> {
    let mut order = generate::draw(all(workspace)?, seed);
    let draw = Some((seed, order.len()));
    if let Some(ids) = journal.drawn() {
        order.retain(|mutant| ids.contains(&mutant.id));
        let mutants = order;
        return Ok(Subjects { mutants, draw });
    }
    let mut tried = count + count / REFUSED_SHARE + 1;
    loop {
        tried = tried.min(order.len());
        eprintln!("checking which of {tried} mutants compile");
        let some = &order[..tried];
        let mut woven = Woven::of(some, |file| fs::read_to_string(workspace.join(file)))?;
        tree.check_woven(&mut woven)?;
        let compile = some.iter().filter(|it| woven.number(&it.id).is_some());
        let compile: Vec<Mutant> = compile.take(count).cloned().collect();
        if compile.len() == count || tried == order.len() {
            journal.add_drawn(compile.iter().map(|it| it.id.clone()).collect())?;
            let mutants = compile;
            return Ok(Subjects { mutants, draw });
        }
        tried += count;
    }
}

/// All that can be generated: a table by operator and part of the product, or a line of
/// JSON for each.
pub(crate) fn list(workspace: &Path, is_json: bool) -> Result<String, Box<dyn Error>> {
    let mutants = all(workspace)?;
    let mut text = String::new();
    if is_json {
        for it in &mutants {
            let line = serde_json::json!({"id": it.id, "replacement": it.replacement()});
            writeln!(text, "{line}")?;
        }
        return Ok(text);
    }
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for it in mutants.iter().filter_map(Mutant::replacement) {
        let module = generate::module(&it.file).unwrap_or_default();
        for key in [(it.operator.as_str(), module), (it.operator.as_str(), "")] {
            *counts.entry(key).or_default() += 1;
        }
        *counts.entry(("", module)).or_default() += 1;
    }
    let count = |operator, module| counts.get(&(operator, module)).copied().unwrap_or(0);
    writeln!(
        text,
        "| operator | {} | all | mistake |",
        MODULES.join(" | ")
    )?;
    writeln!(text, "|---{}|---|---|", "|---".repeat(MODULES.len()))?;
    let rows = OPERATORS.iter().map(|it| (it.name, it.mistake));
    for (operator, mistake) in rows {
        let each = MODULES.map(|module| count(operator, module).to_string());
        let all = count(operator, "");
        writeln!(
            text,
            "| {operator} | {} | {all} | {mistake} |",
            each.join(" | ")
        )?;
    }
    let each = MODULES.map(|module| count("", module).to_string());
    writeln!(text, "| all | {} | {} | |", each.join(" | "), mutants.len())?;
    Ok(text)
}

fn all(workspace: &Path) -> Result<Vec<Mutant>, BadMutant> {
    generate::all(|file| fs::read_to_string(workspace.join(file)))
}
