//! `target`: whom a fault may hit.

use super::key::quoted;
use super::problem::Problem;
use super::table::{Field, Table};
use crate::history::FaultKind;
use crate::scenario::{Cluster, Target, Workload};

/// Reads `target`.
pub(super) fn target(
    table: &Table<'_>,
    kind: FaultKind,
    cluster: &Cluster,
    workloads: &[Workload],
) -> Result<Target, Problem> {
    let is_client = kind.is_client_s();
    table.note("target", values(is_client), Some("\"any\"".to_owned()));
    let Some(field) = table.get("target") else {
        return Ok(if is_client {
            Target::AnyClient
        } else {
            Target::AnyBroker
        });
    };
    if is_client {
        client_target(&field, workloads)
    } else {
        broker_target(&field, cluster)
    }
}

const OF_CLIENTS: [(&str, Target); 6] = [
    ("any", Target::AnyClient),
    ("producer", Target::AnyProducer),
    ("living-producer", Target::LivingProducer),
    ("producer-group", Target::AnyProducerGroup),
    ("database", Target::AnyDatabase),
    ("consumer", Target::AnyConsumer),
];
const OF_BROKERS: [(&str, Target); 7] = [
    ("any", Target::AnyBroker),
    ("any-broker", Target::AnyBroker),
    ("leader", Target::Leader),
    ("follower", Target::Follower),
    ("minority", Target::Minority),
    ("quorum", Target::Quorum),
    ("all", Target::All),
];

fn values(is_client: bool) -> String {
    match is_client {
        true => quoted(OF_CLIENTS.iter().map(|(word, _)| word)),
        false => {
            let words = quoted(OF_BROKERS.iter().map(|(word, _)| word));
            format!("{words}, or a broker's number, from 0")
        }
    }
}

fn client_target(field: &Field<'_>, workloads: &[Workload]) -> Result<Target, Problem> {
    let target = field.word(&OF_CLIENTS)?;
    let has = |wanted: fn(&Workload) -> bool| workloads.iter().any(wanted);
    match target {
        Target::AnyConsumer if !has(|workload| workload.consumers().is_some()) => {
            Err(field.problem("this scenario has no consumer", "nobody to kill"))
        }
        Target::AnyProducer if !has(|workload| workload.consumers().is_none()) => {
            Err(field.problem("this scenario has no producer", "nobody to kill"))
        }
        Target::LivingProducer | Target::AnyProducerGroup | Target::AnyDatabase
            if !has(|workload| matches!(workload, Workload::Pay(_))) =>
        {
            Err(field.problem("this scenario has no order service", "nobody to kill"))
        }
        _ => Ok(target),
    }
}

/// A role, or a broker's number.
fn broker_target(field: &Field<'_>, cluster: &Cluster) -> Result<Target, Problem> {
    if !field.is_string() {
        return Ok(Target::Broker(machine(field, cluster)?));
    }
    let target = field
        .word(&OF_BROKERS)
        .map_err(|problem| problem.help(values(false)))?;
    if target != Target::AnyBroker && !cluster.is_replicated() {
        return Err(field
            .problem(
                "a single broker has no such role",
                "replication is \"none\"",
            )
            .help("target = 0"));
    }
    Ok(target)
}

/// A machine's number, spares included.
pub(super) fn machine(field: &Field<'_>, cluster: &Cluster) -> Result<u32, Problem> {
    let number = field.integer(0..u64::from(u32::MAX))?;
    let machines = cluster.machines();
    if number < u64::from(machines) {
        return Ok(number as u32);
    }
    let label = match machines {
        1 => "the only broker is 0".to_owned(),
        _ => format!("brokers are 0 to {}", machines - 1),
    };
    Err(field.problem("there is no such broker", label))
}
