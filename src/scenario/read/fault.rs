//! `[[fault]]`.

use std::ops::Range;

use toml::de::DeTable;

use super::problem::Problem;
use super::sections::{MS, window};
use super::table::{Field, Table, union};
use crate::history::FaultKind;
use crate::scenario::{
    Between, Condition, CutDirection, FaultRule, FileClass, Harm, RunSettings, Survival,
    SyncErrorCache, Target, Workload,
};

const COMMON: &[&str] = &["kind", "target", "at_ms", "when", "count"];

/// The keys that one kind has beside the common ones.
fn own_keys(kind: FaultKind) -> &'static [&'static str] {
    match kind {
        FaultKind::Kill | FaultKind::DiskDestroyed | FaultKind::ClientKill => &["down_ms"],
        FaultKind::PowerLoss => &["survival", "down_ms"],
        FaultKind::DiskRolledBack => &["age_ms", "down_ms"],
        FaultKind::SyncError => &["file", "cache"],
        FaultKind::ReadError
        | FaultKind::Rot
        | FaultKind::MisdirectedWrite
        | FaultKind::LostWrite => &["file"],
        FaultKind::DiskFull | FaultKind::DiskHung | FaultKind::DiskLying => &["lasts_ms"],
        FaultKind::DiskSlow => &["extra_ms", "lasts_ms"],
        FaultKind::Partition => &["cut", "lasts_ms"],
    }
}

/// Reads one fault.
pub(super) fn read(
    span: Range<usize>,
    entries: &DeTable<'_>,
    brokers: u32,
    workloads: &[Workload],
    run: &RunSettings,
) -> Result<FaultRule, Problem> {
    let own = FaultKind::ALL.map(own_keys);
    let any = union(std::iter::once(COMMON).chain(own));
    let table = Table::new("[[fault]]", span.clone(), entries, &any)?;
    let kind = table
        .require("kind")?
        .word(&FaultKind::ALL.map(|kind| (kind.name(), kind)))?;
    let keys = union([COMMON, own_keys(kind)]);
    let name = format!("a fault of kind \"{kind}\"");
    let table = Table::new(name, span, entries, &keys)?;
    Ok(FaultRule {
        target: target(&table, kind, brokers, workloads)?,
        at_ms: window(&table, "at_ms", run)?,
        when: when(&table, kind)?,
        count: table.count("count", 1)?,
        harm: harm(&table, kind)?,
    })
}

fn when(table: &Table<'_>, kind: FaultKind) -> Result<Condition, Problem> {
    let Some(field) = table.get("when") else {
        return Ok(Condition::Always);
    };
    let when = field.word(&[
        ("dirty", Condition::Dirty),
        ("in-flight", Condition::InFlight),
    ])?;
    if when == Condition::Dirty && kind == FaultKind::ClientKill {
        return Err(field
            .problem("a client has no commit log", "never dirty")
            .help("when = \"in-flight\""));
    }
    Ok(when)
}

fn target(
    table: &Table<'_>,
    kind: FaultKind,
    brokers: u32,
    workloads: &[Workload],
) -> Result<Target, Problem> {
    let is_client = kind == FaultKind::ClientKill;
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
        broker_target(&field, brokers)
    }
}

fn client_target(field: &Field<'_>, workloads: &[Workload]) -> Result<Target, Problem> {
    let target = field.word(&[
        ("any", Target::AnyClient),
        ("producer", Target::AnyProducer),
        ("consumer", Target::AnyConsumer),
    ])?;
    let has = |wanted: fn(&Workload) -> bool| workloads.iter().any(wanted);
    match target {
        Target::AnyConsumer if !has(|workload| matches!(workload, Workload::Consume(_))) => {
            Err(field.problem("this scenario has no consumer", "nobody to kill"))
        }
        Target::AnyProducer if !has(|workload| matches!(workload, Workload::Send(_))) => {
            Err(field.problem("this scenario has no producer", "nobody to kill"))
        }
        _ => Ok(target),
    }
}

/// `"any"`, or a broker's number.
fn broker_target(field: &Field<'_>, brokers: u32) -> Result<Target, Problem> {
    if field.is_string() {
        return field
            .word(&[("any", Target::AnyBroker)])
            .map_err(|problem| problem.help("\"any\", or a broker's number, from 0"));
    }
    let number = field.integer(0..u64::from(u32::MAX))?;
    if number >= u64::from(brokers) {
        let label = match brokers {
            1 => "the only broker is 0".to_owned(),
            _ => format!("brokers are 0 to {}", brokers - 1),
        };
        return Err(field.problem("there is no such broker", label));
    }
    Ok(Target::Broker(number as u32))
}

fn harm(table: &Table<'_>, kind: FaultKind) -> Result<Harm, Problem> {
    let down_ms = || table.between("down_ms", 1..MS.end, (100, 1_000));
    let lasts_ms = || table.between("lasts_ms", 1..MS.end, (200, 2_000));
    Ok(match kind {
        FaultKind::Kill => Harm::Kill {
            down_ms: down_ms()?,
        },
        FaultKind::PowerLoss => Harm::PowerLoss {
            survival: survival(table)?,
            down_ms: down_ms()?,
        },
        FaultKind::DiskDestroyed => Harm::DiskDestroyed {
            down_ms: down_ms()?,
        },
        FaultKind::DiskRolledBack => Harm::DiskRolledBack {
            age_ms: age_ms(table)?,
            down_ms: down_ms()?,
        },
        FaultKind::SyncError => Harm::SyncError {
            file: file(table)?,
            cache: cache(table)?,
        },
        FaultKind::ReadError => Harm::ReadError { file: file(table)? },
        FaultKind::Rot => Harm::Rot { file: file(table)? },
        FaultKind::MisdirectedWrite => Harm::MisdirectedWrite { file: file(table)? },
        FaultKind::LostWrite => Harm::LostWrite { file: file(table)? },
        FaultKind::DiskFull => Harm::DiskFull {
            lasts_ms: lasts_ms()?,
        },
        FaultKind::DiskHung => Harm::DiskHung {
            lasts_ms: lasts_ms()?,
        },
        FaultKind::DiskLying => Harm::DiskLying {
            lasts_ms: lasts_ms()?,
        },
        FaultKind::DiskSlow => Harm::DiskSlow {
            extra_ms: table.between("extra_ms", 1..MS.end, (10, 200))?,
            lasts_ms: lasts_ms()?,
        },
        FaultKind::Partition => Harm::Partition {
            cut: cut(table)?,
            lasts_ms: lasts_ms()?,
        },
        FaultKind::ClientKill => Harm::ClientKill {
            down_ms: down_ms()?,
        },
    })
}

fn age_ms(table: &Table<'_>) -> Result<Between, Problem> {
    table.between("age_ms", 1..MS.end, (100, 2_000))
}

/// A word that may be left out or `"random"`: then it is drawn.
fn drawn<T: Copy>(table: &Table<'_>, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
    let Some(field) = table.get(key) else {
        return Ok(None);
    };
    let mut choices = vec![("random", None)];
    choices.extend(words.iter().map(|(word, meaning)| (*word, Some(*meaning))));
    field.word(&choices)
}

fn survival(table: &Table<'_>) -> Result<Option<Survival>, Problem> {
    drawn(
        table,
        "survival",
        &Survival::ALL.map(|survival| (survival.name(), survival)),
    )
}

fn cache(table: &Table<'_>) -> Result<Option<SyncErrorCache>, Problem> {
    let words = [
        ("keeps", SyncErrorCache::Keeps),
        ("reverts", SyncErrorCache::Reverts),
    ];
    drawn(table, "cache", &words)
}

fn cut(table: &Table<'_>) -> Result<Option<CutDirection>, Problem> {
    let words = [
        ("both", CutDirection::Both),
        ("inbound", CutDirection::Inbound),
        ("outbound", CutDirection::Outbound),
    ];
    drawn(table, "cut", &words)
}

fn file(table: &Table<'_>) -> Result<FileClass, Problem> {
    let words = [
        ("commit-log", FileClass::CommitLog),
        ("any", FileClass::Any),
    ];
    let field = table.get("file");
    field.map_or(Ok(FileClass::CommitLog), |field| field.word(&words))
}
