//! Whether what a plan says can happen in its scenario.

use super::plan::HIT;
use super::problem::Problem;
use super::table::{Field, Table};
use crate::history::FaultKind;
use crate::scenario::{
    Condition, CutLinks, FaultAction, FileClass, Hit, Operation, PartitionShape, PlannedFault,
    PlannedOperation, Scenario, Victim, Workload,
};

const NS_PER_MS: u64 = 1_000_000;

/// The facts that a plan has to fit.
pub(super) struct Frame<'a> {
    scenario: &'a Scenario,
    clients: u32,
}

impl<'a> Frame<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let clients = scenario.workloads.iter().map(Workload::client_count);
        let databases = scenario.databases().len() as u32;
        Self {
            scenario,
            clients: clients.sum::<u32>() + databases,
        }
    }

    fn replicated(&self) -> bool {
        self.scenario.cluster.is_replicated()
    }

    /// Refuses a time that the faults of a run do not reach.
    fn time(&self, table: &Table<'_>, key: &str, at_ns: u64) -> Result<(), Problem> {
        let duration_ns = self.scenario.run.duration_ms * NS_PER_MS;
        if at_ns <= duration_ns {
            return Ok(());
        }
        let message = format!("`{key}` is after the run's faults have ended");
        let label = format!("they end at {duration_ns} ns (duration_ms of [run])");
        Err(at(table, key, message, &label))
    }

    fn machine(&self, field: &Field<'_>, number: u32) -> Result<(), Problem> {
        let machines = self.scenario.cluster.machines();
        match number < machines {
            true => Ok(()),
            false => {
                let label = format!("{machines} of them, from 0");
                Err(field.problem(format!("there is no broker {number}"), label))
            }
        }
    }

    fn victim(&self, field: &Field<'_>, victim: Victim) -> Result<(), Problem> {
        match victim {
            Victim::Broker(number) => self.machine(field, number),
            Victim::Client(number) if number >= self.clients => {
                let label = format!("{} of them, from 0", self.clients);
                Err(field.problem(format!("there is no client {number}"), label))
            }
            Victim::Leader | Victim::Follower(_) if !self.replicated() => Err(field
                .problem(
                    "a single broker has no such role",
                    "replication is \"none\"",
                )
                .help("victim = { broker = 0 }")),
            Victim::LivingProducer(_) if self.scenario.producer_groups().is_empty() => {
                Err(field.problem("this scenario has no order service", "nobody to kill"))
            }
            _ => Ok(()),
        }
    }
}

/// A problem with a key's value, or, where it is left out, with its table.
fn at(table: &Table<'_>, key: &str, message: impl Into<String>, label: &str) -> Problem {
    match table.get(key) {
        Some(field) => field.problem(message, label),
        None => Problem::new(table.span.clone(), message, label),
    }
}

fn is_client_s(victim: Victim) -> bool {
    matches!(victim, Victim::Client(_) | Victim::LivingProducer(_))
}

/// Refuses a fault that cannot happen.
pub(super) fn fault_fits(
    table: &Table<'_>,
    fault: &PlannedFault,
    frame: &Frame<'_>,
) -> Result<(), Problem> {
    let trigger = &fault.trigger;
    frame.time(table, "from_ns", trigger.from_ns)?;
    frame.time(table, "until_ns", trigger.until_ns)?;
    if trigger.until_ns < trigger.from_ns {
        return Err(at(
            table,
            "until_ns",
            "the fault's window ends before it begins",
            "below `from_ns`",
        ));
    }
    let tables = table.require("hit")?.tables()?;
    for (entries, hit) in tables.into_iter().zip(&fault.hits) {
        let table = entries.table("[[fault.hit]]", HIT)?;
        hit_fits(&table, hit, frame)?;
    }
    waiting_fits(table, fault, frame)?;
    budget_fits(table, fault, frame)
}

fn hit_fits(table: &Table<'_>, hit: &Hit, frame: &Frame<'_>) -> Result<(), Problem> {
    let victim = table.require("victim")?;
    frame.victim(&victim, hit.victim)?;
    let kind = hit.action.kind();
    match (kind.is_client_s(), is_client_s(hit.victim)) {
        (true, false) => {
            let message = format!("{kind} is for clients");
            return Err(victim
                .problem(message, "a broker")
                .help("victim = { client = 0 }"));
        }
        (false, true) => {
            let message = format!("{kind} is for brokers");
            return Err(victim
                .problem(message, "a client")
                .help("victim = { broker = 0 }"));
        }
        _ => {}
    }
    if let FaultAction::Partition { shape, links, .. } = &hit.action
        && !frame.replicated()
        && (shape.get() != PartitionShape::Isolate || links.get() == CutLinks::Brokers)
    {
        return Err(at(
            table,
            "does",
            "a single broker has nobody to be parted from",
            "one broker",
        ));
    }
    let Some(then) = &hit.then else {
        return Ok(());
    };
    let kind = then.action.kind();
    if kind.is_client_s() || is_client_s(hit.victim) {
        return Err(at(table, "then", "`then` is for brokers", "a client dies"));
    }
    if matches!(kind, FaultKind::DiskRolledBack | FaultKind::Partition) {
        let message = format!("{kind} cannot come second");
        return Err(at(table, "then", message, "give it a [[fault]] of its own"));
    }
    Ok(())
}

/// Refuses a condition or an event that never comes.
fn waiting_fits(table: &Table<'_>, fault: &PlannedFault, frame: &Frame<'_>) -> Result<(), Problem> {
    let when = fault.trigger.when;
    let of_clients = fault.hits.iter().all(|hit| is_client_s(hit.victim));
    let of_broker_s = matches!(
        when,
        Condition::Dirty | Condition::Rolling | Condition::Recovering
    );
    if of_broker_s && of_clients {
        return Err(at(
            table,
            "when",
            "a client is never so",
            "its disk is no broker's",
        ));
    }
    let thens = fault.hits.iter().filter_map(|hit| hit.then.as_ref());
    let mut whens: Vec<Condition> = thens.map(|then| then.when).collect();
    whens.push(when);
    if whens.contains(&Condition::HasLeader) && !frame.replicated() {
        return Err(at(
            table,
            "when",
            "there is no leader without replication",
            "replication is \"none\"",
        ));
    }
    let pays = !frame.scenario.producer_groups().is_empty();
    let is_transaction_step = |when: &Condition| matches!(when, Condition::At(_));
    if whens.iter().any(is_transaction_step) && !pays {
        return Err(at(
            table,
            "when",
            "there is no transaction in this scenario",
            "no workload of kind \"pay\"",
        ));
    }
    let Some(event) = fault.trigger.at_event else {
        return Ok(());
    };
    let name = event.event.name();
    let is_rolled_back = |hit: &Hit| hit.action.kind() == FaultKind::DiskRolledBack;
    let problem = if when != Condition::Always {
        Some((
            "a fault waits for a condition or for an event".to_owned(),
            "`when` is there too",
        ))
    } else if fault.hits.iter().any(|hit| is_client_s(hit.victim)) {
        Some((
            "only brokers' events are counted".to_owned(),
            "a client is hit",
        ))
    } else if fault.hits.iter().any(is_rolled_back) {
        Some((
            "a rollback cannot come with an event".to_owned(),
            "its image is taken ahead, at a time",
        ))
    } else if event.event.is_of_replicas() && !frame.replicated() {
        Some((
            format!("a single broker has no {name}"),
            "replication is \"none\"",
        ))
    } else if event.file.is_some_and(|file| file != FileClass::Any) && !event.event.has_file() {
        Some((
            format!("an event of kind \"{name}\" has no `file`"),
            "only write, sync and synced have",
        ))
    } else if event.nth == 0 {
        Some(("events are counted from 1".to_owned(), "`nth` is 0"))
    } else {
        None
    };
    problem.map_or(Ok(()), |(message, label)| {
        Err(at(table, "at_event", message, label))
    })
}

fn budget_fits(table: &Table<'_>, fault: &PlannedFault, frame: &Frame<'_>) -> Result<(), Problem> {
    let actions = fault.hits.iter().flat_map(|hit| {
        let then = hit.then.as_ref().map(|then| then.action.kind());
        std::iter::once(hit.action.kind()).chain(then)
    });
    let mut kinds = actions.filter(|kind| kind.takes_what_was_synced());
    let is_bound = frame.replicated() && kinds.next().is_some();
    match fault.trigger.within_budget && !is_bound {
        false => Ok(()),
        true => Err(at(
            table,
            "within_budget",
            "the budget does not bound this fault",
            "takes nothing that was synced, or has no replicas",
        )),
    }
}

/// Refuses an operation that cannot be done.
pub(super) fn operation_fits(
    table: &Table<'_>,
    planned: &PlannedOperation,
    frame: &Frame<'_>,
) -> Result<(), Problem> {
    frame.time(table, "at_ns", planned.at_ns)?;
    let field = table.require("does")?;
    if !frame.replicated() {
        let message = "a single broker has no members to change";
        return Err(field.problem(message, "replication is \"none\""));
    }
    let (victim, machine) = match planned.operation {
        Operation::ReplaceNode { victim, spare } => (Some(victim), Some(spare)),
        Operation::AddNode { node } => (None, Some(node)),
        Operation::RemoveNode { victim } => (Some(victim), None),
        Operation::TransferLeadership { to } => (Some(to), None),
        Operation::Recover { survivor, .. } => (Some(survivor), None),
    };
    machine.map_or(Ok(()), |number| frame.machine(&field, number))?;
    match victim {
        Some(victim) if is_client_s(victim) => {
            Err(field.problem("members are brokers", "a client is none"))
        }
        Some(victim) => frame.victim(&field, victim),
        None => Ok(()),
    }
}
