//! `zeroloss list`.

use std::io::Write;

use crate::check::Exit;
use crate::scenario::{FaultRule, Scenario, find, load};

use super::{CommandError, ListArgs};

/// Lists scenarios, ordered by path.
pub(super) fn list(args: &ListArgs, out: &mut dyn Write) -> Result<Exit, CommandError> {
    let mut rows = Vec::new();
    for path in find(&args.paths)? {
        rows.push(row(&load(&path)?));
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2, 3].map(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(&row[4]);
        text.push('\n');
    }
    out.write_all(text.as_bytes())?;
    Ok(Exit::Success)
}

/// id, expectation, seeds, faults, why.
fn row(scenario: &Scenario) -> [String; 5] {
    let seeds = &scenario.run.seeds;
    [
        scenario.id.clone(),
        scenario.expect.outcome.to_string(),
        format!("{}..{}", seeds.start, seeds.end),
        faults(scenario),
        scenario.why.clone(),
    ]
}

fn faults(scenario: &Scenario) -> String {
    let rules = scenario.faults.iter();
    let rules: Vec<_> = rules.map(fault).collect();
    match rules.is_empty() {
        true => "none".to_owned(),
        false => rules.join(", "),
    }
}

/// `kill then power-loss ×3`; `×n` where there are as many as there is time for.
fn fault(rule: &FaultRule) -> String {
    let mut text = rule.action.kind().to_string();
    if let Some(then) = &rule.then {
        text.push_str(&format!(" then {}", then.action.kind()));
    }
    if let Some(at) = &rule.at_event {
        text.push_str(&format!(" at {}", at.event.name()));
    }
    match rule.count {
        1 => {}
        u32::MAX => text.push_str(" ×n"),
        count => text.push_str(&format!(" ×{count}")),
    }
    text
}
