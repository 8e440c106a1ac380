//! `[swarm]`.

use super::cluster::SLOWDOWN;
use super::key::{Key, keys, union};
use super::problem::Problem;
use super::sections::MS;
use super::table::Table;
use crate::broker::Replication;
use crate::scenario::setting::SETTINGS;
use crate::scenario::swarm::Range;
use crate::scenario::{Cluster, FaultRule, Swarm, Target};

const KEYS: &[Key] = keys! {
    "brokers": "One of these numbers of brokers.";
    "cpu_slowdown": "How many times as long brokers' work takes; in some runs it takes no time.";
    "in_flight": "Sends or orders in flight, for each workload that sends.";
    "batch_max": "Messages that one pull asks for, for each workload that consumes.";
    "calm_ms": "In a calm run no fault comes before this time: the cluster is founded by then, and clients have begun.";
    "calm": "The chance of a run to begin calmly.";
    "keep_feature": "The chance of every feature to stay: a topic, a trouble of the network, deduplication, and so on.";
    "keep_fault": "The chance of every kind of fault to stay.";
    "keep_fault_percent": "The chance of a kind of fault to stay, in percent of `keep_fault`: a run with few kinds gets further than one with many.";
    "habits": "The chance of each habit that other clients have, for each workload.";
    "crash_after": "The chance of every kind of fault that stays to have a crash follow each of its faults soon.";
    "rate_percent": "How often the faults of a kind that stays come, in percent of what their rules say.";
};

/// The facts that a swarm has to fit.
pub(super) struct Frame<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) faults: &'a [FaultRule],
}

/// Reads `[swarm]`, if there is one. Every draw of a seed is a valid scenario: a
/// swarm with any other draw is refused here.
pub(super) fn read(top: &Table<'_>, frame: &Frame<'_>) -> Result<Option<Swarm>, Problem> {
    top.note("swarm", "a table [swarm]", None);
    let Some(field) = top.get("swarm") else {
        return Ok(None);
    };
    let table = field.table("[swarm]", &keys())?;
    if !frame
        .faults
        .iter()
        .any(|rule| !rule.action.kind().is_client_s())
    {
        let message = "a swarm leaves faults out, and one that harms brokers stays";
        return Err(field.problem(message, "no [[fault]] here harms a broker"));
    }
    let range = |key, bounds| table.maybe_between(key, bounds);
    Ok(Some(Swarm {
        brokers: brokers(&table, frame)?,
        cpu_slowdown: range("cpu_slowdown", SLOWDOWN)?,
        settings: settings(&table)?,
        in_flight: range("in_flight", 1..10_001)?,
        batch_max: range("batch_max", 1..10_001)?,
        calm_ms: table.integer("calm_ms", 0..MS.end, 0)?,
        calm: table.share("calm", 1.0)?,
        keep_feature: share(&table, "keep_feature")?,
        keep_fault: share(&table, "keep_fault")?,
        keep_fault_percent: table.between("keep_fault_percent", 1..101, (100, 100))?,
        habits: table.share("habits", 0.0)?,
        crash_after: table.share("crash_after", 0.0)?,
        rate_percent: table.between("rate_percent", 1..10_001, (25, 200))?,
    }))
}

fn keys() -> Vec<Key> {
    let settings: Vec<Key> = SETTINGS.iter().map(|row| row.key).collect();
    union([KEYS, &settings])
}

fn settings(table: &Table<'_>) -> Result<Vec<Range>, Problem> {
    let mut ranges = Vec::new();
    for row in SETTINGS {
        let range = table.maybe_between(row.key.name, row.bounds.clone())?;
        ranges.extend(range.map(|values| Range { row, values }));
    }
    Ok(ranges)
}

fn share(table: &Table<'_>, key: &str) -> Result<f64, Problem> {
    let share = table.share(key, 0.5)?;
    match table.get(key) {
        Some(field) if share == 0.0 => {
            Err(field.problem(format!("`{key}` must be above 0"), "nothing would stay"))
        }
        _ => Ok(share),
    }
}

/// Numbers of brokers, each of which every fault and every role fits.
fn brokers(table: &Table<'_>, frame: &Frame<'_>) -> Result<Vec<u32>, Problem> {
    table.note("brokers", "a list of odd numbers, each 3 to 15", None);
    let Some(field) = table.get("brokers") else {
        return Ok(Vec::new());
    };
    let Replication::Raft(raft) = &frame.cluster.broker.replication else {
        return Err(field.problem("a single broker stays one", "replication is \"none\""));
    };
    let numbers = field.integers(3..16)?;
    let (Some(least), false) = (
        numbers.iter().min(),
        numbers.iter().any(|number| number % 2 == 0),
    ) else {
        let message = "Raft needs an odd number of brokers, from 3 on";
        return Err(field.problem(message, "not all of these are"));
    };
    let named = frame.faults.iter().filter_map(|rule| match rule.target {
        Target::Broker(broker) => Some(u64::from(broker)),
        _ => None,
    });
    match named
        .chain(raft.preferred_leader)
        .find(|named| named >= least)
    {
        None => Ok(numbers.into_iter().map(|number| number as u32).collect()),
        Some(named) => Err(field.problem(
            format!("broker {named} is named below, and not always there"),
            format!("with {least} brokers the last one is {}", least - 1),
        )),
    }
}
