//! `[[operator]]`.

use super::fault::repetition;
use super::key::{Key, keys};
use super::problem::Problem;
use super::sections::window;
use super::table::{Entries, Table};
use super::target::machine;
use crate::scenario::{Cluster, OperationKind, OperationRule, RunSettings, Subject};

const KEYS: &[Key] = keys! {
    "kind": "The operation.";
    "target": "The broker that it is about; the kind decides which are fitting.";
    "at_ms": "When, since the start of the run; by default the whole run.";
    "every_ms": "They follow each other, each so long after the one before; left out, each comes at a moment of its own.";
    "count": "How many are planned; with `every_ms`, at most. Left out beside `every_ms`: as many as there is time for.";
    "one_by_one": "Of `recover`: an old disk comes back once those before it were replaced.";
};

/// Reads one rule.
pub(super) fn read(
    entries: Entries<'_>,
    cluster: &Cluster,
    run: &RunSettings,
) -> Result<OperationRule, Problem> {
    let table = entries.table("[[operator]]", KEYS)?;
    let kinds = OperationKind::ALL.map(|kind| (kind.name(), kind));
    let kind = table.required_word("kind", &kinds)?;
    let field = table.require("kind")?;
    if !cluster.is_replicated() {
        let message = "a single broker has no members to change";
        return Err(field.problem(message, "replication is \"none\""));
    }
    let needs_spare = matches!(kind, OperationKind::ReplaceNode | OperationKind::AddNode);
    if needs_spare && cluster.spares == 0 {
        return Err(field
            .problem("there is no machine to add", "`spares` of [cluster] is 0")
            .help("spares = 1"));
    }
    let one_by_one = table.get("one_by_one");
    if let Some(field) = one_by_one
        .as_ref()
        .filter(|_| kind != OperationKind::Recover)
    {
        let message = "only after a recovery do old disks come back";
        return Err(field.problem(message, "no recovery"));
    }
    let (every_ms, count) = repetition(&table)?;
    Ok(OperationRule {
        kind,
        subject: subject(&table, kind, cluster)?,
        at_ms: window(&table, "at_ms", run)?,
        every_ms,
        count,
        one_by_one: table.boolean("one_by_one", false)?,
    })
}

fn subject(table: &Table<'_>, kind: OperationKind, cluster: &Cluster) -> Result<Subject, Problem> {
    let values =
        "a broker's number, from 0, or \"any-broker\", \"leader\", \"follower\", \"spare\"";
    table.note("target", values, None);
    let adds = kind == OperationKind::AddNode;
    let Some(field) = table.get("target") else {
        return Ok(match kind {
            OperationKind::AddNode => Subject::Spare,
            OperationKind::TransferLeadership => Subject::Follower,
            OperationKind::Recover => Subject::Leader,
            OperationKind::ReplaceNode | OperationKind::RemoveNode => Subject::AnyBroker,
        });
    };
    let subject = match field.is_string() {
        true => field.word(&[
            ("any", Subject::AnyBroker),
            ("any-broker", Subject::AnyBroker),
            ("leader", Subject::Leader),
            ("follower", Subject::Follower),
            ("spare", Subject::Spare),
        ])?,
        false => Subject::Node(machine(&field, cluster)?),
    };
    let is_spare = match subject {
        Subject::Spare => true,
        Subject::Node(node) => node >= cluster.brokers,
        _ => false,
    };
    match (adds, is_spare) {
        (true, false) => Err(field
            .problem("only a spare can be added", "a member already")
            .help("target = \"spare\"")),
        (false, true) => Err(field.problem(
            format!("{} is about a member", kind.name()),
            "a spare is none",
        )),
        _ => Ok(subject),
    }
}
