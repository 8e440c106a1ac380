//! Reading scenario files. Strict: an unknown key, a wrong type, a number out
//! of its bounds and two settings that contradict each other are errors, shown
//! with the line. The first one found is reported.

mod cluster;
mod event;
mod fault;
mod files;
mod link;
mod members;
mod operation;
mod plan;
mod plan_fits;
mod problem;
mod sections;
mod swarm;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod workload;

use std::path::Path;

use toml::de::DeTable;
use xxhash_rust::xxh3::xxh3_64;

use self::table::Field;
use super::{Cluster, FaultRule, OperationRule, RunSettings, Scenario, Workload};

pub use files::find;
pub use plan::{load_plan, parse_plan};
pub(super) use problem::Problem;
pub use problem::ScenarioError;
pub(super) use sections::MS;
pub(crate) use sections::seeds;
pub(super) use table::Table;

/// Reads and validates one scenario file.
///
/// # Errors
///
/// The diagnostic to show; nothing of an invalid file is used.
pub fn load(path: &Path) -> Result<Scenario, ScenarioError> {
    let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&files::id(path), &files::display(path), &text)
}

/// Validates the text of a scenario file. `id` and `file` as in [`Scenario`].
///
/// # Errors
///
/// The diagnostic to show.
pub fn parse(id: &str, file: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let document = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Problem::new(span, "this is not TOML", error.message()).render(file, text)
    })?;
    // A key that is missing altogether is shown at the first thing that is there.
    let start = text.len() - text.trim_start().len();
    let top = Table::new("a scenario", start..start, document.get_ref(), KEYS);
    let scenario = top.and_then(|top| read(id, file, &top));
    let scenario = scenario.map_err(|problem| problem.render(file, text))?;
    Ok(Scenario {
        digest: digest(text),
        ..scenario
    })
}

/// Of what a run depends on: not of words for people, of comments, of seeds.
fn digest(text: &str) -> u64 {
    let mut said: toml::Table = text.parse().expect("it was read");
    said.remove("title");
    said.remove("why");
    if let Some(toml::Value::Table(run)) = said.get_mut("run") {
        run.remove("seeds");
    }
    xxh3_64(said.to_string().as_bytes())
}

const KEYS: &[&str] = &[
    "title", "why", "faults", "cluster", "disk", "network", "link", "client", "workload",
    "stranger", "fault", "operator", "swarm", "run", "expect",
];

fn read(id: &str, file: &str, top: &Table<'_>) -> Result<Scenario, Problem> {
    let cluster = cluster::read(top)?;
    let disk = sections::disk(top, &cluster)?;
    let run = sections::run(top)?;
    let workloads = workloads(top, &cluster)?;
    let expect = sections::expect(top, &cluster, top.get("fault").is_none())?;
    let frame = fault::Frame {
        cluster: &cluster,
        workloads: &workloads,
        run: &run,
        outcome: expect.outcome,
    };
    let faults = faults(top, &frame)?;
    let operations = match top.get("operator") {
        Some(field) => operations(&field, &cluster, &run)?,
        None => Vec::new(),
    };
    let swarm = swarm::read(
        top,
        &swarm::Frame {
            cluster: &cluster,
            faults: &faults,
        },
    )?;
    let network = sections::network(top)?;
    let links = match top.get("link") {
        Some(field) => link::read_all(&field, network, cluster.machines())?,
        None => Vec::new(),
    };
    Ok(Scenario {
        id: id.to_owned(),
        file: file.to_owned(),
        title: top.require("title")?.string()?,
        why: top.require("why")?.string()?,
        network,
        links,
        client: sections::client(top)?,
        stranger: sections::stranger(top)?,
        cluster,
        disk,
        workloads,
        faults,
        operations,
        swarm,
        run,
        expect,
        digest: 0,
        planned: None,
    })
}

fn workloads(top: &Table<'_>, cluster: &Cluster) -> Result<Vec<Workload>, Problem> {
    let field = top.require("workload")?;
    let mut workloads = Vec::new();
    for (span, entries) in field.tables()? {
        let workload = workload::read(span, entries, cluster, &workloads)?;
        workloads.push(workload);
    }
    Ok(workloads)
}

fn faults(top: &Table<'_>, frame: &fault::Frame<'_>) -> Result<Vec<FaultRule>, Problem> {
    let none = top.get("faults");
    if let Some(none) = &none {
        none.word(&[("none", ())])?;
    }
    match (none, top.get("fault")) {
        (None, None) => Err(Problem::new(
            top.span.clone(),
            "a scenario without faults must say so",
            "no [[fault]] here",
        )
        .help("add a [[fault]], or faults = \"none\" above the first table")),
        (Some(none), Some(_)) => Err(none.problem(
            "faults = \"none\" contradicts the [[fault]] below",
            "one of the two",
        )),
        (Some(_), None) => Ok(Vec::new()),
        (None, Some(field)) => {
            let tables = field.tables()?.into_iter();
            tables
                .map(|(span, entries)| fault::read(span, entries, frame))
                .collect()
        }
    }
}

fn operations(
    field: &Field<'_>,
    cluster: &Cluster,
    run: &RunSettings,
) -> Result<Vec<OperationRule>, Problem> {
    let tables = field.tables()?.into_iter();
    tables
        .map(|(span, entries)| operation::read(span, entries, cluster, run))
        .collect()
}
