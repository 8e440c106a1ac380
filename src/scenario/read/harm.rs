//! What a `[[fault]]` does: the keys of each kind.

use super::problem::Problem;
use super::sections::MS;
use super::table::Table;
use crate::history::FaultKind;
use crate::scenario::{
    Between, CutDirection, CutLinks, FileClass, Harm, PartitionShape, Survival, SyncErrorCache,
};

/// The keys that one kind has beside the common ones.
pub(super) fn own_keys(kind: FaultKind) -> &'static [&'static str] {
    match kind {
        FaultKind::Kill | FaultKind::Restart | FaultKind::DiskDestroyed | FaultKind::ClientKill => {
            &["down_ms"]
        }
        FaultKind::PowerLoss | FaultKind::ClientPower => &["survival", "down_ms"],
        FaultKind::DiskRolledBack => &["age_ms", "down_ms"],
        FaultKind::SyncError => &["file", "cache"],
        FaultKind::ReadError
        | FaultKind::Rot
        | FaultKind::MisdirectedWrite
        | FaultKind::LostWrite => &["file"],
        FaultKind::DiskFull | FaultKind::DiskHung | FaultKind::DiskLying => &["lasts_ms"],
        FaultKind::DiskSlow => &["extra_ms", "lasts_ms"],
        FaultKind::Partition => &["shape", "links", "cut", "lasts_ms"],
    }
}

/// What a fault of that kind does.
pub(super) fn harm(table: &Table<'_>, kind: FaultKind) -> Result<Harm, Problem> {
    let down_ms = || table.between("down_ms", 1..MS.end, (100, 1_000));
    let lasts_ms = || table.between("lasts_ms", 1..MS.end, (200, 2_000));
    Ok(match kind {
        FaultKind::Restart => Harm::Restart {
            down_ms: down_ms()?,
        },
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
            shape: shape(table)?,
            links: links(table)?,
            cut: cut(table)?,
            lasts_ms: lasts_ms()?,
        },
        FaultKind::ClientKill => Harm::ClientKill {
            down_ms: client_down_ms(table)?,
        },
        FaultKind::ClientPower => Harm::ClientPower {
            survival: survival(table)?,
            down_ms: client_down_ms(table)?,
        },
    })
}

/// A range, or `"never"`.
fn client_down_ms(table: &Table<'_>) -> Result<Option<Between>, Problem> {
    match table.get("down_ms") {
        Some(field) if field.is_string() => field.word(&[("never", None)]),
        _ => table.between("down_ms", 1..MS.end, (100, 1_000)).map(Some),
    }
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

fn shape(table: &Table<'_>) -> Result<PartitionShape, Problem> {
    let words = [
        ("isolate", PartitionShape::Isolate),
        ("split", PartitionShape::Split),
        ("bridge", PartitionShape::Bridge),
    ];
    let field = table.get("shape");
    field.map_or(Ok(PartitionShape::Isolate), |field| field.word(&words))
}

fn links(table: &Table<'_>) -> Result<CutLinks, Problem> {
    let words = [
        ("all", CutLinks::All),
        ("brokers", CutLinks::Brokers),
        ("clients", CutLinks::Clients),
    ];
    let field = table.get("links");
    field.map_or(Ok(CutLinks::All), |field| field.word(&words))
}
