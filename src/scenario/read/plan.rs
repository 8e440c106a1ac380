//! Plan files: read as strictly as scenarios, and held against the scenario that
//! they are for.

use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::fault::{kind, then_on};
use super::files;
use super::key::{Key, keys, names, union};
use super::plan_fits::{Frame, fault_fits, operation_fits};
use super::problem::{Problem, ScenarioError};
use super::table::{Entries, Field, Table};
use crate::history::FaultKind;
use crate::scenario::parameter::Unit;
use crate::scenario::{
    Condition, FaultAction, FaultPlan, Hit, PlannedFault, PlannedOperation, Scenario, Then,
    Trigger, VERSION,
};

const KEYS: &[Key] = keys! {
    "plan": "The scenario and the seed that the plan is for.";
    "fault": "A fault, with nothing left to draw.";
    "operation": "An operation of the operator.";
    "end": "The last line: without it the file was cut off.";
};
const HEADER: &[Key] = keys! {
    "version": "Of the form of plans.";
    "scenario": "The scenario's id.";
    "digest": "Of all in the scenario's file that a run depends on.";
    "seed": "It decides everything but the faults: workload, latencies, elections.";
};
const FAULT: &[Key] = keys! {
    "from_ns": "When it may fire, since the start of the run.";
    "until_ns": "Until then; left out, at that moment or never.";
    "when": "The condition that it waits for.";
    "at_event": "The event that it comes with.";
    "within_budget": "Held back while it would exceed the fault budget.";
    "hit": "A victim, and what happens to it.";
};
pub(super) const HIT: &[Key] = keys! {
    "victim": "The machine that it hits.";
    "does": "The action: a kind, and its keys with one value each, times in nanoseconds.";
    "draw": "Decides what the keys leave open, such as the sector that rots.";
    "then": "A second action.";
};
const THEN: &[Key] = keys! {
    "after_ns": "After the first.";
    "on": "The same victim, or all brokers.";
    "when": "The condition that it waits for.";
    "does": "The action.";
    "draw": "As of a hit.";
};
const KIND: &[Key] = keys! {
    "kind": "The kind of the fault.";
};
const OPERATION: &[Key] = keys! {
    "at_ns": "When, since the start of the run.";
    "does": "The operation.";
};
const ANY: Range<u64> = 0..i64::MAX as u64;

/// Reads a plan for `scenario`: the seed of everything but the faults, and the
/// faults. `seed`: what the plan's has to be, where somebody says so.
///
/// # Errors
///
/// The diagnostic to show; nothing of a plan that does not fit is used.
pub fn load_plan(
    path: &Path,
    scenario: &Scenario,
    seed: Option<u64>,
) -> Result<(u64, FaultPlan), ScenarioError> {
    let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::NoPlan {
        path: path.to_owned(),
        source,
    })?;
    parse_plan(&files::display(path), &text, scenario, seed)
}

/// As [`load_plan`], of the text of a file of that name.
///
/// # Errors
///
/// The diagnostic to show.
pub fn parse_plan(
    file: &str,
    text: &str,
    scenario: &Scenario,
    seed: Option<u64>,
) -> Result<(u64, FaultPlan), ScenarioError> {
    let document = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Problem::new(span, "this is not TOML", error.message()).render(file, text)
    })?;
    let start = text.len() - text.trim_start().len();
    let top = Entries::new(start, document.get_ref(), None).table("a plan", KEYS);
    top.and_then(|top| read(&top, text, scenario, seed))
        .map_err(|problem| problem.render(file, text))
}

fn read(
    top: &Table<'_>,
    text: &str,
    scenario: &Scenario,
    wanted: Option<u64>,
) -> Result<(u64, FaultPlan), Problem> {
    let seed = header(top, scenario, wanted)?;
    let end = top.get("end").ok_or_else(|| {
        let end = text.trim_end().len();
        Problem::new(end..end, "the plan ends too early", "[end] should be here")
            .help("the file was cut off: make it anew, or add a line [end]")
    })?;
    end.table("[end]", &[])?;
    // Of a swarm, what the seed draws is what the faults have to fit.
    let drawn = scenario.drawn(seed);
    let frame = Frame::new(&drawn);
    let mut plan = FaultPlan::default();
    for entries in top.tables("fault")? {
        plan.faults.push(fault(entries, text, &frame)?);
    }
    for entries in top.tables("operation")? {
        plan.operations.push(operation(entries, text, &frame)?);
    }
    // Stable: what comes at one moment stays in the order of the file.
    plan.faults.sort_by_key(|fault| fault.trigger.from_ns);
    plan.operations.sort_by_key(|planned| planned.at_ns);
    Ok((seed, plan))
}

/// `[plan]`: returns the seed.
fn header(top: &Table<'_>, scenario: &Scenario, wanted: Option<u64>) -> Result<u64, Problem> {
    let header = top.require("plan")?.table("[plan]", HEADER)?;
    let again = |seed: &str| {
        let file = &scenario.file;
        format!("make it anew: zeroloss plan {file} --seed {seed}")
    };
    let version = header.require("version")?;
    let found = version.integer(ANY)?;
    if found != VERSION {
        let message = format!("a plan of version {found} cannot be read");
        let label = format!("this zeroloss reads version {VERSION}");
        return Err(version.problem(message, label).help(again("N")));
    }
    let seed = header.require("seed")?;
    let number = seed.integer(ANY)?;
    let id = header.require("scenario")?;
    let of = id.string()?;
    if of != scenario.id {
        let message = format!(
            "this is a plan for {of}, and the scenario is {}",
            scenario.id
        );
        return Err(id
            .problem(message, "another scenario")
            .help(again(&number.to_string())));
    }
    let digest = header.require("digest")?;
    let is_now = format!("{:016x}", scenario.digest);
    if digest.string()? != is_now {
        let message = format!("{of} has changed since this plan was made");
        let label = format!("the scenario's is {is_now} now");
        return Err(digest
            .problem(message, label)
            .help(again(&number.to_string())));
    }
    match wanted {
        Some(wanted) if wanted != number => {
            let message = format!("this is the plan of seed {number}, and not of {wanted}");
            Err(seed
                .problem(message, "of everything but the faults")
                .help("leave out --seed: the plan names its own"))
        }
        _ => Ok(number),
    }
}

fn fault(entries: Entries<'_>, text: &str, frame: &Frame<'_>) -> Result<PlannedFault, Problem> {
    let table = entries.table("[[fault]]", FAULT)?;
    let from = table.require("from_ns")?;
    let until = table.get("until_ns");
    let from_ns = from.integer(ANY)?;
    let mut hits = Vec::new();
    for entries in table.required_tables("hit")? {
        let hit = entries.table("[[fault.hit]]", HIT)?;
        hits.push(self::hit(&hit, text)?);
    }
    let at_event = table.get("at_event").map(|field| field.decoded(text));
    let within_budget = table.get("within_budget").map(|field| field.boolean());
    let fault = PlannedFault {
        trigger: Trigger {
            from_ns,
            until_ns: until.map_or(Ok(from_ns), |until| until.integer(ANY))?,
            when: condition(&table, text)?,
            at_event: at_event.transpose()?,
            within_budget: within_budget.transpose()?.unwrap_or(false),
        },
        hits,
    };
    fault_fits(&table, &fault, frame)?;
    Ok(fault)
}

fn hit(table: &Table<'_>, text: &str) -> Result<Hit, Problem> {
    let then = table.get("then").map(|field| {
        let table = field.table("`then`", THEN)?;
        Ok(Then {
            after_ns: table.require("after_ns")?.integer(ANY)?,
            on: then_on(&table)?,
            when: condition(&table, text)?,
            action: action(&table.require("does")?)?,
            draw: draw(&table)?,
        })
    });
    Ok(Hit {
        victim: table.require("victim")?.decoded(text)?,
        action: action(&table.require("does")?)?,
        draw: draw(table)?,
        then: then.transpose()?,
    })
}

fn condition(table: &Table<'_>, text: &str) -> Result<Condition, Problem> {
    let when = table.get("when").map(|field| field.decoded(text));
    Ok(when.transpose()?.unwrap_or(Condition::Always))
}

fn draw(table: &Table<'_>) -> Result<u32, Problem> {
    let draw = table.integer("draw", 0..u64::from(u32::MAX) + 1, 0)?;
    Ok(draw as u32)
}

/// As in a scenario, with times in nanoseconds and with nothing left to draw.
fn action(field: &Field<'_>) -> Result<FaultAction, Problem> {
    let own = FaultKind::ALL.map(|kind| FaultAction::keys(kind, Unit::Ns));
    let any = union(std::iter::once(KIND).chain(own.iter().map(Vec::as_slice)));
    let kind = kind(&field.table("`does`", &any)?)?;
    let own = FaultAction::keys(kind, Unit::Ns);
    let name = format!("an action of kind \"{kind}\"");
    let table = field.table(&name, &union([KIND, &own]))?;
    let action = FaultAction::read(kind, &table, Unit::Ns)?;
    match action.is_drawn() {
        true => Ok(action),
        false => Err(field
            .problem("a plan leaves nothing to draw", "something is open here")
            .help(format!(
                "keys of {name}: {}, each with one value",
                names(&own).join(", ")
            ))),
    }
}

fn operation(
    entries: Entries<'_>,
    text: &str,
    frame: &Frame<'_>,
) -> Result<PlannedOperation, Problem> {
    let table = entries.table("[[operation]]", OPERATION)?;
    let planned = PlannedOperation {
        at_ns: table.require("at_ns")?.integer(ANY)?,
        operation: table.require("does")?.decoded(text)?,
    };
    operation_fits(&table, &planned, frame)?;
    Ok(planned)
}
