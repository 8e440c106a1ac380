//! `[[fault]]`.

use super::event::at_event;
use super::key::{Key, keys, union};
use super::problem::Problem;
use super::sections::{MS, window};
use super::table::{Entries, Table};
use super::target::target;
use crate::check::ExpectedOutcome;
use crate::history::{FaultKind, TransactionStep, VictimRole};
use crate::scenario::parameter::Unit;
use crate::scenario::{
    Between, Cluster, Condition, CutDirection, CutLinks, FaultAction, FaultRule, PartitionShape,
    RunSettings, Target, ThenOn, ThenRule, Workload,
};

const COMMON: &[Key] = keys! {
    "kind": "The kind of the fault; each kind has further keys.";
    "target": "Its possible victims: a machine of that role is drawn for each fault. Faults of clients have targets of their own.";
    "at_ms": "When it may fire, since the start of the run; by default the whole run.";
    "when": "The condition that it waits for within that window; left out, the time alone decides.";
    "at_event": "In place of a time: it comes with an event of its victims.";
    "count": "How many are planned; with `every_ms`, at most. Left out beside `every_ms`: as many as there is time for.";
    "every_ms": "They follow each other, each so long after the one before; left out, each comes at a moment of its own.";
    "spread_ms": "Several victims are hit one after another, each so long after the one before; left out, at one instant.";
    "within_budget": "Of what takes synced bytes: held back while replicas would forget more than the budget allows (guarantee.md, section 3).";
    "then": "A second action that follows soon.";
};
const FROM_THE_START: &[Key] = &[COMMON[0], COMMON[1]];
const THEN: &[Key] = keys! {
    "kind": "The kind of the second action; that kind's own keys belong here, too.";
    "after_ms": "After the first.";
    "on": "The same victim, or all brokers at one instant.";
    "when": "The condition of one of them, which it waits for until the rule's window ends.";
};

/// The facts that a fault has to fit.
pub(super) struct Frame<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) workloads: &'a [Workload],
    pub(super) run: &'a RunSettings,
    pub(super) outcome: ExpectedOutcome,
}

/// Reads one fault.
pub(super) fn read(entries: Entries<'_>, frame: &Frame<'_>) -> Result<FaultRule, Problem> {
    let own = FaultKind::ALL.map(own_keys);
    let any = union(std::iter::once(COMMON).chain(own.iter().map(Vec::as_slice)));
    let kind = kind(&entries.clone().table("[[fault]]", &any)?)?;
    let keys = union([common_keys(kind), &own_keys(kind)]);
    let table = entries.table(format!("a fault of kind \"{kind}\""), &keys)?;
    table.note_required("kind", format!("\"{kind}\""));
    let target = target(&table, kind, frame.cluster, frame.workloads)?;
    let at_ms = match kind {
        FaultKind::ClockSkew => Between { low: 0, high: 0 },
        _ => window(&table, "at_ms", frame.run)?,
    };
    let (every_ms, count) = repetition(&table)?;
    let action = FaultAction::read(kind, &table, Unit::Ms)?;
    partition_fits(&table, target, &action, frame.cluster)?;
    let spread_ms = spread(&table, target, &action)?;
    let then = then(&table, (kind, target), frame)?;
    let kinds = std::iter::once(kind).chain(then.as_ref().map(|then| then.action.kind()));
    let within_budget = within_budget(&table, &kinds.collect::<Vec<_>>(), frame)?;
    Ok(FaultRule {
        target,
        at_ms,
        when: when(&table, kind, frame)?,
        at_event: at_event(&table, kind, frame)?,
        every_ms,
        spread_ms,
        count,
        within_budget,
        action,
        then,
    })
}

/// The keys that one kind has beside the common ones.
fn own_keys(kind: FaultKind) -> Vec<Key> {
    FaultAction::keys(kind, Unit::Ms)
}

pub(super) fn kind(table: &Table<'_>) -> Result<FaultKind, Problem> {
    let kinds = FaultKind::ALL.into_iter();
    let kinds = kinds.filter(|kind| !kind.is_a_setting());
    let kinds: Vec<_> = kinds.map(|kind| (kind.name(), kind)).collect();
    table.required_word("kind", &kinds)
}

/// The keys that a kind shares with others: what is so from the start has no
/// moment.
fn common_keys(kind: FaultKind) -> &'static [Key] {
    match kind {
        FaultKind::ClockSkew => FROM_THE_START,
        _ => COMMON,
    }
}

/// `every_ms` and `count`: without the first, each comes at a moment of its own;
/// with it, as many as there is time for unless `count` ends them.
pub(super) fn repetition(table: &Table<'_>) -> Result<(Option<Between>, u32), Problem> {
    let every_ms = table.maybe_between("every_ms", 1..MS.end)?;
    let count = table.count("count", 1)?;
    Ok(match (every_ms, table.get("count")) {
        (Some(_), None) => (every_ms, u32::MAX),
        _ => (every_ms, count),
    })
}

fn when(table: &Table<'_>, kind: FaultKind, frame: &Frame<'_>) -> Result<Condition, Problem> {
    let conditions = [
        ("dirty", Condition::Dirty),
        ("in-flight", Condition::InFlight),
        ("rolling", Condition::Rolling),
        ("has-leader", Condition::HasLeader),
        ("recovering", Condition::Recovering),
    ];
    let transaction_steps = TransactionStep::ALL
        .map(|transaction_step| (transaction_step.name(), Condition::At(transaction_step)));
    let words = [&conditions[..], &transaction_steps[..]].concat();
    let Some(when) = table.maybe_word("when", &words)? else {
        return Ok(Condition::Always);
    };
    let field = table.require("when")?;
    let of_client = match when {
        _ if !kind.is_client_s() => None,
        Condition::Dirty => Some(("a client has no commit log", "never dirty")),
        Condition::Rolling => Some(("a client has no commit log", "never rolls")),
        Condition::Recovering => Some(("a client has nothing to recover", "never recovers")),
        _ => None,
    };
    if let Some((message, label)) = of_client {
        return Err(field.problem(message, label).help("when = \"in-flight\""));
    }
    if when == Condition::HasLeader && !frame.cluster.is_replicated() {
        let message = "there is no leader without replication";
        return Err(field.problem(message, "replication is \"none\""));
    }
    if let Condition::At(transaction_step) = when
        && !kind.is_client_s()
        && !VictimRole::Broker.can_be_at(transaction_step)
    {
        let message = "a broker is never there";
        return Err(field.problem(message, "kind = \"client-kill\", target = \"consumer\""));
    }
    let pays = |workload: &Workload| matches!(workload, Workload::Pay(_));
    if matches!(when, Condition::At(_)) && !frame.workloads.iter().any(pays) {
        let message = "there is no transaction in this scenario";
        return Err(field.problem(message, "no workload of kind \"pay\""));
    }
    Ok(when)
}

/// Kinds that no look at the cluster can show to be harmless, whenever they come.
fn is_never_harmless(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::DiskLying | FaultKind::MisdirectedWrite | FaultKind::LostWrite
    )
}

/// Where zero loss is expected of replicas, what they forget stays within the
/// budget unless the file says otherwise. `kinds`: of both actions.
fn within_budget(
    table: &Table<'_>,
    kinds: &[FaultKind],
    frame: &Frame<'_>,
) -> Result<bool, Problem> {
    let replicated = frame.cluster.is_replicated();
    let bound = kinds.iter().any(|kind| kind.takes_what_was_synced());
    let never_harmless = kinds.iter().find(|kind| is_never_harmless(**kind));
    let is_default = replicated && bound && frame.outcome == ExpectedOutcome::ZeroLoss;
    let by_default = "true where replicas must lose nothing";
    table.note(
        "within_budget",
        "true or false",
        Some(by_default.to_owned()),
    );
    let Some(field) = table.get("within_budget") else {
        return match never_harmless {
            Some(kind) if is_default => {
                let message = format!("{kind} is outside every budget, and zero loss is expected");
                Err(Problem::new(table.span.clone(), message, "silent amnesia")
                    .help("outcome = \"loss\", or within_budget = false here"))
            }
            _ => Ok(is_default),
        };
    };
    let within = field.boolean()?;
    if within && !replicated {
        let message = "a single broker has no budget: its disk is the only one";
        return Err(field.problem(message, "replication is \"none\""));
    }
    if within && !bound {
        let label = "takes nothing that was synced";
        return Err(field.problem(format!("the budget does not bound {}", kinds[0]), label));
    }
    match never_harmless {
        Some(kind) if within => {
            Err(field.problem(format!("{kind} is outside every budget"), "silent amnesia"))
        }
        _ => Ok(within),
    }
}

/// A second action: an inline table with `kind`, `after_ms` and the kind's keys.
fn then(
    table: &Table<'_>,
    (first, target): (FaultKind, Target),
    frame: &Frame<'_>,
) -> Result<Option<ThenRule>, Problem> {
    table.note("then", "a table { kind = …, after_ms = …, … }", None);
    let Some(field) = table.get("then") else {
        return Ok(None);
    };
    let own = FaultKind::ALL.map(own_keys);
    let keys = union(std::iter::once(THEN).chain(own.iter().map(Vec::as_slice)));
    let any = field.table("`then`", &keys)?;
    let kind = kind(&any)?;
    if first.is_client_s() || kind.is_client_s() {
        return Err(field.problem("`then` is for brokers", "a client dies"));
    }
    if matches!(
        kind,
        FaultKind::DiskRolledBack | FaultKind::Partition | FaultKind::ClockSkew
    ) {
        let message = format!("{kind} cannot come second");
        return Err(field.problem(message, "give it a [[fault]] of its own"));
    }
    let table = field.table(
        &format!("`then` of kind \"{kind}\""),
        &union([THEN, &own_keys(kind)]),
    )?;
    table.note_required("kind", "the kind of a fault of brokers, but for \"clock-skew\", \"disk-rolled-back\", \"partition\"");
    let on = then_on(&table)?;
    if on == ThenOn::All && is_several(target) {
        let message = "all brokers are hit once for each victim of the first action";
        return Err(field.problem(message, "the first has several victims"));
    }
    Ok(Some(ThenRule {
        after_ms: table.required_between("after_ms", 0..MS.end)?,
        on,
        when: when(&table, kind, frame)?,
        action: FaultAction::read(kind, &table, Unit::Ms)?,
    }))
}

/// `on` of a second action.
pub(super) fn then_on(table: &Table<'_>) -> Result<ThenOn, Problem> {
    let words = ThenOn::ALL.map(|on| (on.name(), on));
    table.word("on", &words, ThenOn::Same)
}

/// `spread_ms`: several victims, one after another.
fn spread(
    table: &Table<'_>,
    target: Target,
    action: &FaultAction,
) -> Result<Option<Between>, Problem> {
    let spread_ms = table.maybe_between("spread_ms", MS)?;
    let Some(field) = table.get("spread_ms") else {
        return Ok(None);
    };
    let one = !is_several(target);
    let together = matches!(
        action,
        FaultAction::Partition { shape, .. } if shape.get() == PartitionShape::Split
    );
    let problem = if one {
        Some(("one victim is not hit one after another", "a single one"))
    } else if together {
        Some(("the victims of a split stay together", "shape = \"split\""))
    } else if table.get("at_event").is_some() {
        Some((
            "an event comes once for all victims",
            "`at_event` is there too",
        ))
    } else {
        None
    };
    match problem {
        Some((message, label)) => Err(field.problem(message, label)),
        None => Ok(spread_ms),
    }
}

/// Whether each fault of the rule has more than one victim.
fn is_several(target: Target) -> bool {
    matches!(
        target,
        Target::Minority | Target::Quorum | Target::All | Target::AnyProducerGroup
    )
}

/// Refuses a partition that cuts nothing, or contradicts itself.
fn partition_fits(
    table: &Table<'_>,
    target: Target,
    action: &FaultAction,
    cluster: &Cluster,
) -> Result<(), Problem> {
    let FaultAction::Partition {
        shape, links, cut, ..
    } = action
    else {
        return Ok(());
    };
    let (shape, links, cut) = (shape.get(), links.get(), cut.chosen());
    let at = |key: &str, message: &str, label: &str| match table.get(key) {
        Some(field) => Err(field.problem(message, label)),
        None => Err(Problem::new(table.span.clone(), message, label)),
    };
    let several = is_several(target);
    if !cluster.is_replicated() && shape != PartitionShape::Isolate {
        return at(
            "shape",
            "a single broker has nobody to be parted from",
            "one broker",
        );
    }
    if !cluster.is_replicated() && links == CutLinks::Brokers {
        return at(
            "links",
            "a single broker has no links to brokers",
            "one broker",
        );
    }
    if shape == PartitionShape::Split && target == Target::All {
        return at(
            "target",
            "all on one side are not parted",
            "nobody on the other side",
        );
    }
    if shape != PartitionShape::Bridge {
        return Ok(());
    }
    if several {
        return at("target", "a bridge is one broker", "several");
    }
    if links == CutLinks::Clients {
        return at("links", "a bridge parts brokers", "cuts nothing");
    }
    if matches!(cut, Some(CutDirection::Inbound | CutDirection::Outbound)) {
        return at(
            "cut",
            "the halves beside a bridge are parted both ways",
            "one way",
        );
    }
    Ok(())
}
