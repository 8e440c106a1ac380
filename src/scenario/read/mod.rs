//! Reading scenario files. Strict: an unknown key, a wrong type, a number out
//! of its bounds and two settings that contradict each other are errors, shown
//! with the line. The first one found is reported.

mod cluster;
mod event;
mod fault;
mod files;
mod key;
mod link;
mod members;
mod operation;
mod plan;
mod plan_fits;
mod problem;
mod reference;
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

use self::key::Notes;
use self::table::Entries;
use super::{Cluster, FaultRule, OperationRule, RunSettings, Scenario, Workload};

pub use files::find;
pub(super) use key::{Key, keys, shown};
pub use plan::{load_plan, parse_plan};
pub(super) use problem::Problem;
pub use problem::ScenarioError;
pub use reference::{KeyRow, KeyTable, reference};
pub(crate) use sections::seeds;
pub(super) use sections::{BYTES, MS, NAME_BYTES_MAX, US};
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
    let scenario = of_document(id, file, text, document.get_ref(), None);
    scenario.map_err(|problem| problem.render(file, text))
}

/// `notes`: where it is written down what the readers ask.
fn of_document<'a>(
    id: &str,
    file: &str,
    text: &str,
    document: &'a DeTable<'a>,
    notes: Option<&'a Notes>,
) -> Result<Scenario, Problem> {
    // A key that is missing altogether is shown at the first thing that is there.
    let start = text.len() - text.trim_start().len();
    let top = Entries::new(start, document, notes).table("a scenario", KEYS)?;
    Ok(Scenario {
        digest: digest(text),
        ..read(id, file, &top)?
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

const KEYS: &[Key] = keys! {
    "title": "The subject, in a few words.";
    "why": "Why the scenario exists: the claim that it tests.";
    "faults": "`\"none\"` of a scenario without a [[fault]].";
    "cluster": "The brokers and how they are set up.";
    "disk": "Sizes and latencies of every broker's disk.";
    "network": "Every link, both ways.";
    "link": "Settings of the links from some machines to others.";
    "client": "Settings that all producers and consumers have in common.";
    "workload": "The work of a number of clients.";
    "stranger": "A client that keeps to no rule.";
    "fault": "A rule from which each seed draws faults.";
    "operator": "The operations that the operator begins by itself, faults or not.";
    "swarm": "Each seed leaves features and kinds of faults out, and draws sizes.";
    "run": "How long, over which seeds.";
    "expect": "The result that must come out.";
};

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
    let operations = operations(top.tables("operator")?, &cluster, &run)?;
    let swarm = swarm::read(
        top,
        &swarm::Frame {
            cluster: &cluster,
            faults: &faults,
        },
    )?;
    let network = sections::network(top)?;
    let links = link::read_all(top.tables("link")?, network, cluster.machines())?;
    Ok(Scenario {
        id: id.to_owned(),
        file: file.to_owned(),
        title: top.required_string("title")?,
        why: top.required_string("why")?,
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
    let mut workloads = Vec::new();
    for entries in top.required_tables("workload")? {
        let workload = workload::read(entries, cluster, &workloads)?;
        workloads.push(workload);
    }
    Ok(workloads)
}

fn faults(top: &Table<'_>, frame: &fault::Frame<'_>) -> Result<Vec<FaultRule>, Problem> {
    top.maybe_word("faults", &[("none", ())])?;
    let rules = top.tables("fault")?;
    match (top.get("faults"), top.get("fault")) {
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
        (None, Some(_)) => {
            let rules = rules.into_iter();
            rules.map(|entries| fault::read(entries, frame)).collect()
        }
    }
}

fn operations(
    rules: Vec<Entries<'_>>,
    cluster: &Cluster,
    run: &RunSettings,
) -> Result<Vec<OperationRule>, Problem> {
    let rules = rules.into_iter();
    rules
        .map(|entries| operation::read(entries, cluster, run))
        .collect()
}
