//! `zeroloss list`.

use std::io::Write;

use crate::check::Exit;
use crate::report::paragraph;
use crate::scenario::{FaultRule, Scenario, find, load};

use super::{CommandError, ListArgs};

/// Lists scenarios, ordered by path.
pub(super) fn list(args: &ListArgs, out: &mut dyn Write) -> Result<Exit, CommandError> {
    let mut scenarios = Vec::new();
    for path in find(&args.paths)? {
        scenarios.push(load(&path)?);
    }
    let id_width = scenarios.iter().map(|it| it.id.chars().count()).max();
    let id_width = id_width.unwrap_or(0);
    let mut text = String::new();
    for scenario in &scenarios {
        let (id, outcome) = (&scenario.id, scenario.expect.outcome.to_string());
        let seeds = &scenario.run.seeds;
        text.push_str(&format!(
            "{id:<id_width$}  {outcome:<9}  seeds {}..{}\n",
            seeds.start, seeds.end
        ));
        paragraph(&mut text, &scenario.why, "    ");
        paragraph(&mut text, &format!("faults: {}", faults(scenario)), "    ");
    }
    out.write_all(text.as_bytes())?;
    Ok(Exit::Success)
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
