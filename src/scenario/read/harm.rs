//! The effect of a `[[fault]]`: the keys of each kind.

use super::problem::Problem;
use super::sections::MS;
use super::table::Table;
use crate::history::FaultKind;
use crate::scenario::{
    Between, CutDirection, CutLinks, DRIFT_PPM_MAX, DiskVerb, FileClass, Harm, PartitionShape,
    Refusal, RotForm, Survival, SyncErrorCache, SyncForm,
};

/// The keys that one kind has beside the common ones.
pub(super) fn own_keys(kind: FaultKind) -> &'static [&'static str] {
    match kind {
        FaultKind::Kill | FaultKind::Restart | FaultKind::DiskDestroyed | FaultKind::ClientKill => {
            &["down_ms"]
        }
        FaultKind::PowerLoss | FaultKind::ClientPower => &["survival", "down_ms"],
        FaultKind::DiskRolledBack => &["age_ms", "down_ms"],
        FaultKind::SyncError => &["file", "cache", "form"],
        FaultKind::Rot => &["file", "form"],
        FaultKind::ReadError | FaultKind::MisdirectedWrite | FaultKind::LostWrite => &["file"],
        FaultKind::DiskFull
        | FaultKind::DiskHung
        | FaultKind::DiskLying
        | FaultKind::ClientPause => &["lasts_ms"],
        FaultKind::Pause => &["lasts_ms", "reading"],
        FaultKind::DiskError => &["error", "operation", "file", "lasts_ms"],
        FaultKind::DiskSlow => &["extra_ms", "lasts_ms"],
        FaultKind::DiskLimping => &["factor", "lasts_ms"],
        FaultKind::LinkLimping => &["links", "way", "factor", "lasts_ms"],
        FaultKind::ClockSkew => &["by_ms", "way"],
        FaultKind::ClockJump => &["by_ms", "way", "lasts_ms"],
        FaultKind::ClockDrift | FaultKind::ClientClockDrift => &["by_ppm", "way", "lasts_ms"],
        FaultKind::NetworkLoss
        | FaultKind::NetworkDuplicate
        | FaultKind::NetworkReorder
        | FaultKind::NetworkSplit => &[],
        FaultKind::Partition => &["shape", "links", "cut", "lasts_ms"],
    }
}

/// The effect of a fault of that kind.
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
            file: file(table, false)?,
            cache: cache(table)?,
            form: sync_form(table)?,
        },
        FaultKind::ReadError => Harm::ReadError {
            file: file(table, true)?,
        },
        FaultKind::Rot => Harm::Rot {
            file: file(table, true)?,
            form: rot_form(table)?,
        },
        FaultKind::MisdirectedWrite => Harm::MisdirectedWrite {
            file: file(table, false)?,
        },
        FaultKind::LostWrite => Harm::LostWrite {
            file: file(table, false)?,
        },
        FaultKind::DiskFull => Harm::DiskFull {
            lasts_ms: lasts_ms()?,
        },
        FaultKind::DiskError => Harm::DiskError {
            error: drawn(table, "error", Refusal::ALL)?,
            operation: drawn(table, "operation", DiskVerb::ALL)?,
            file: match table.get("file") {
                None => Some(FileClass::Any),
                Some(_) => file(table, false)?,
            },
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
        FaultKind::DiskLimping => Harm::DiskLimping {
            factor: factor(table)?,
            lasts_ms: lasts_ms()?,
        },
        FaultKind::LinkLimping => Harm::LinkLimping {
            links: links(table)?,
            way: direction(table, "way")?,
            factor: factor(table)?,
            lasts_ms: lasts_ms()?,
        },
        FaultKind::ClockSkew => Harm::ClockSkew {
            by_ms: table.between("by_ms", 1..MS.end, (10, 5_000))?,
            ahead: drawn(table, "way", &[("ahead", true), ("behind", false)])?,
        },
        FaultKind::ClockJump => Harm::ClockJump {
            by_ms: table.between("by_ms", 1..MS.end, (100, 60_000))?,
            ahead: drawn(table, "way", &[("forward", true), ("back", false)])?,
            lasts_ms: for_a_while(table, "for-good")?,
        },
        FaultKind::ClockDrift => Harm::ClockDrift {
            by_ppm: by_ppm(table)?,
            ahead: fast(table)?,
            lasts_ms: for_a_while(table, "to-the-end")?,
        },
        FaultKind::ClientClockDrift => Harm::ClientClockDrift {
            by_ppm: by_ppm(table)?,
            ahead: fast(table)?,
            lasts_ms: for_a_while(table, "to-the-end")?,
        },
        FaultKind::NetworkLoss
        | FaultKind::NetworkDuplicate
        | FaultKind::NetworkReorder
        | FaultKind::NetworkSplit => unreachable!("no [[fault]] has the kind of a setting"),
        FaultKind::Partition => Harm::Partition {
            shape: shape(table)?,
            links: links(table)?,
            cut: direction(table, "cut")?,
            lasts_ms: lasts_ms()?,
        },
        FaultKind::Pause => Harm::Pause {
            lasts_ms: pause_ms(table)?,
            reading: reading(table)?,
        },
        FaultKind::ClientPause => Harm::ClientPause {
            lasts_ms: pause_ms(table)?,
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

/// How many times as long: a hundred times, where nothing is said.
fn factor(table: &Table<'_>) -> Result<Between, Problem> {
    table.between("factor", 2..10_001, (100, 100))
}

/// Clocks are no further off than a tenth of what passes (guarantee.md,
/// section 3).
fn by_ppm(table: &Table<'_>) -> Result<Between, Problem> {
    table.between("by_ppm", 1..DRIFT_PPM_MAX + 1, (1_000, DRIFT_PPM_MAX))
}

fn fast(table: &Table<'_>) -> Result<Option<bool>, Problem> {
    drawn(table, "way", &[("fast", true), ("slow", false)])
}

/// A range, or a word for what does not end by itself.
fn for_a_while(table: &Table<'_>, word: &str) -> Result<Option<Between>, Problem> {
    match table.get("lasts_ms") {
        Some(field) if field.is_string() => field.word(&[(word, None)]),
        _ => table.between("lasts_ms", 1..MS.end, (200, 2_000)).map(Some),
    }
}

/// A range, or `"never"`.
fn client_down_ms(table: &Table<'_>) -> Result<Option<Between>, Problem> {
    match table.get("down_ms") {
        Some(field) if field.is_string() => field.word(&[("never", None)]),
        _ => table.between("down_ms", 1..MS.end, (100, 1_000)).map(Some),
    }
}

/// Longer than a leader's term survives by itself.
fn pause_ms(table: &Table<'_>) -> Result<Between, Problem> {
    table.between("lasts_ms", 1..MS.end, (1_000, 5_000))
}

/// At which reading of its clock a process stops, if in the middle of a step.
fn reading(table: &Table<'_>) -> Result<Option<Between>, Problem> {
    let field = table.get("reading");
    field.map(|field| field.between(0..10_001)).transpose()
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

fn direction(table: &Table<'_>, key: &str) -> Result<Option<CutDirection>, Problem> {
    let words = [
        ("both", CutDirection::Both),
        ("inbound", CutDirection::Inbound),
        ("outbound", CutDirection::Outbound),
    ];
    drawn(table, key, &words)
}

/// A class of files, or `"random"`: then each fault draws its own. Headers have
/// sectors, and no sync of their own.
fn file(table: &Table<'_>, sectors: bool) -> Result<Option<FileClass>, Problem> {
    let Some(field) = table.get("file") else {
        return Ok(Some(FileClass::CommitLog));
    };
    let classes = FileClass::ALL.into_iter();
    let classes = classes.filter(|class| sectors || *class != FileClass::SegmentHeader);
    let mut words = vec![("random", None)];
    words.extend(classes.map(|class| (class.name(), Some(class))));
    field.word(&words)
}

/// One flipped bit, where nothing is said.
fn rot_form(table: &Table<'_>) -> Result<Option<RotForm>, Problem> {
    match table.get("form") {
        None => Ok(Some(RotForm::default())),
        Some(_) => drawn(table, "form", &RotForm::ALL.map(|form| (form.name(), form))),
    }
}

/// The sync of a file, where nothing is said.
fn sync_form(table: &Table<'_>) -> Result<Option<SyncForm>, Problem> {
    match table.get("form") {
        None => Ok(Some(SyncForm::default())),
        Some(_) => drawn(
            table,
            "form",
            &SyncForm::ALL.map(|form| (form.name(), form)),
        ),
    }
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
