//! Plan files: read as strictly as scenarios, and held against the scenario that
//! they are for.

use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::fault::{kind, then_on};
use super::files;
use super::plan_fits::{Frame, fault_fits, operation_fits};
use super::problem::{Problem, ScenarioError};
use super::table::{Field, Table, union};
use crate::history::FaultKind;
use crate::scenario::parameter::Unit;
use crate::scenario::{
    Condition, FaultAction, FaultPlan, Hit, PlannedFault, PlannedOperation, Scenario, Then,
    Trigger, VERSION,
};

const KEYS: &[&str] = &["plan", "fault", "operation", "end"];
const HEADER: &[&str] = &["version", "scenario", "digest", "seed"];
const FAULT: &[&str] = &[
    "from_ns",
    "until_ns",
    "when",
    "at_event",
    "within_budget",
    "hit",
];
const HIT: &[&str] = &["victim", "does", "draw", "then"];
const THEN: &[&str] = &["after_ns", "on", "when", "does", "draw"];
const KIND: &[&str] = &["kind"];
const OPERATION: &[&str] = &["at_ns", "does"];
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
    let top = Table::new("a plan", start..start, document.get_ref(), KEYS);
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
    if let Some(field) = top.get("fault") {
        for (span, entries) in field.tables()? {
            plan.faults.push(fault(span, entries, text, &frame)?);
        }
    }
    if let Some(field) = top.get("operation") {
        for (span, entries) in field.tables()? {
            plan.operations
                .push(operation(span, entries, text, &frame)?);
        }
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

fn fault(
    span: Range<usize>,
    entries: &DeTable<'_>,
    text: &str,
    frame: &Frame<'_>,
) -> Result<PlannedFault, Problem> {
    let table = Table::new("[[fault]]", span, entries, FAULT)?;
    let from = table.require("from_ns")?;
    let until = table.get("until_ns");
    let from_ns = from.integer(ANY)?;
    let mut hits = Vec::new();
    for (span, entries) in table.require("hit")?.tables()? {
        let hit = Table::new("[[fault.hit]]", span, entries, HIT)?;
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
                own.join(", ")
            ))),
    }
}

fn operation(
    span: Range<usize>,
    entries: &DeTable<'_>,
    text: &str,
    frame: &Frame<'_>,
) -> Result<PlannedOperation, Problem> {
    let table = Table::new("[[operation]]", span, entries, OPERATION)?;
    let planned = PlannedOperation {
        at_ns: table.require("at_ns")?.integer(ANY)?,
        operation: table.require("does")?.decoded(text)?,
    };
    operation_fits(&table, &planned, frame)?;
    Ok(planned)
}
