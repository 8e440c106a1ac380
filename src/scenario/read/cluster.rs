//! `[cluster]`.

use super::problem::Problem;
use super::sections::{BYTES, MS};
use super::table::{Field, Table, union};
use crate::broker::{self, Bounds, BrokerConfig, FlushDiskType, RaftConfig};
use crate::check::Replication;
use crate::scenario::{Between, Cluster, CpuSpeed, RestartWith};

const ANY: &[&str] = &[
    "brokers",
    "replication",
    "flush",
    "segment_bytes",
    "sync_flush_timeout_ms",
    "flush_interval_ms",
    "checkpoint_interval_ms",
    "idle_mark_ms",
    "transaction_timeout_ms",
    "transaction_check_interval_ms",
    "transaction_check_max",
    "half_age_max_ms",
    "client_expired_ms",
    "queue_lock_ms",
    "delay_levels_ms",
    "max_message_bytes",
    "pending_max",
    "producer_dedup",
    "reserve_bytes",
    "holds_reserve",
    "open_files_max",
    "recent_bytes",
    "cpu_slowdown",
    "slice_bytes",
    "restart_with_segment_bytes",
    "restart_with_queues",
    "connections_max",
    "partial_bytes_max",
    "idle_ms",
    "peer_message_bytes",
    "retention_ms",
    "restart_with_retention_ms",
    "restart_with_events_per_step",
];

/// The keys that only brokers that replicate by Raft know.
const RAFT: &[&str] = &[
    "spares",
    "preset",
    "heartbeat_ms",
    "first_start_ms",
    "election_timeout_ms",
    "own_sync_timeout_ms",
    "scrub_interval_ms",
    "preferred_leader",
    "preferences_differ",
];

/// The keys that `preset = "dledger"` decides, whatever RocketMQ's own keys say.
const DECIDED_BY_PRESET: &[&str] = &["flush", "flush_interval_ms"];
/// DLedger forces its files every 10 ms.
const DLEDGER_FLUSH_INTERVAL_MS: u64 = 10;
/// How many times as long brokers' work may take.
pub(super) const SLOWDOWN: std::ops::Range<u64> = 1..100_001;
/// RocketMQ's `transactionOpBatchInterval`.
const OP_BATCH_INTERVAL_MS: u64 = 3_000;

/// Reads `[cluster]`.
pub(super) fn read(top: &Table<'_>) -> Result<Cluster, Problem> {
    let keys = union([ANY, RAFT]);
    let table = top.require("cluster")?.table("[cluster]", &keys)?;
    match replication(&table)? {
        Replication::None => single(&table),
        Replication::Raft => raft(&table),
    }
}

fn replication(table: &Table<'_>) -> Result<Replication, Problem> {
    let Some(field) = table.get("replication") else {
        return Ok(Replication::None);
    };
    let words = [
        ("none", Some(Replication::None)),
        ("primary-backup", None),
        ("raft", Some(Replication::Raft)),
    ];
    field.word(&words)?.ok_or_else(|| {
        field
            .problem("this replication is not built yet", "not built yet")
            .help("replication = \"none\" or \"raft\"")
    })
}

fn single(table: &Table<'_>) -> Result<Cluster, Problem> {
    if let Some(field) = RAFT.iter().find_map(|key| table.get(key)) {
        let message = format!("`{}` is a setting of Raft", field.key);
        return Err(field
            .problem(message, "replication is \"none\"")
            .help("replication = \"raft\""));
    }
    let brokers = table.count("brokers", 1)?;
    if let (Some(field), 2..) = (table.get("brokers"), brokers) {
        return Err(field
            .problem(
                "several brokers need replication",
                "replication is \"none\"",
            )
            .help("brokers = 1, or replication = \"raft\""));
    }
    let broker = broker(table, flush(table)?)?;
    Ok(Cluster {
        brokers,
        spares: 0,
        replication: Replication::None,
        restart_with: restart_with(table, broker.retention_ms)?,
        broker,
        election_timeout_ms: Between { low: 0, high: 0 },
        preferences_differ: false,
        cpu: cpu(table)?,
        first_start_ms: Between { low: 0, high: 0 },
    })
}

fn cpu(table: &Table<'_>) -> Result<Option<CpuSpeed>, Problem> {
    let field = table.get("cpu_slowdown");
    let slowdown = field.map(|field| field.integer(SLOWDOWN)).transpose()?;
    Ok(slowdown.map(|slowdown| CpuSpeed { slowdown }))
}

fn raft(table: &Table<'_>) -> Result<Cluster, Problem> {
    let brokers = members(&table.require("brokers")?)?;
    let election_timeout_ms = table.between("election_timeout_ms", 1..MS.end, (100, 200))?;
    let raft = raft_config(table, brokers, election_timeout_ms)?;
    let preset = table.get("preset");
    let broker = match &preset {
        None => BrokerConfig {
            replication: broker::Replication::Raft(raft),
            ..broker(table, flush(table)?)?
        },
        Some(field) => dledger(table, field, raft)?,
    };
    Ok(Cluster {
        brokers,
        first_start_ms: table.between("first_start_ms", 0..MS.end, (0, 0))?,
        spares: table.integer("spares", 0..SPARES_MAX + 1, 0)? as u32,
        replication: Replication::Raft,
        restart_with: restart_with(table, broker.retention_ms)?,
        broker,
        election_timeout_ms,
        preferences_differ: preferences_differ(table)?,
        cpu: cpu(table)?,
    })
}

/// Only where there is a preference that can differ.
fn preferences_differ(table: &Table<'_>) -> Result<bool, Problem> {
    match table.get("preferences_differ") {
        None => Ok(false),
        Some(field) if table.get("preferred_leader").is_none() => Err(field
            .problem("no broker prefers any other", "without `preferred_leader`")
            .help("preferred_leader = 0")),
        Some(field) => field.boolean(),
    }
}

/// A retention is never made shorter: it is by the shortest that runs are judged.
fn restart_with(table: &Table<'_>, retention_ms: Option<u64>) -> Result<RestartWith, Problem> {
    let range = |key, bounds| {
        let field = table.get(key);
        field.map(|field| field.between(bounds)).transpose()
    };
    let least_ms = retention_ms.unwrap_or(1);
    Ok(RestartWith {
        segment_bytes: range("restart_with_segment_bytes", 8_192..BYTES.end)?,
        queues: range("restart_with_queues", 1..256)?,
        retention_ms: range("restart_with_retention_ms", least_ms..MS.end)?,
        events_per_step: range("restart_with_events_per_step", 1..4_096)?,
    })
}

const SPARES_MAX: u64 = 16;
const BROKERS_MAX: u64 = 15;

/// An even number fails as soon as the odd one below it, and costs one more.
fn members(field: &Field<'_>) -> Result<u32, Problem> {
    let brokers = field.integer(1..BROKERS_MAX + 1)?;
    let help = "brokers = 3, 5, 7, …";
    if brokers < 3 {
        let label = "losing one would leave no majority";
        return Err(field
            .problem("Raft needs three brokers at least", label)
            .help(help));
    }
    if brokers % 2 == 0 {
        let label = format!("bears no more failures than {}", brokers - 1);
        return Err(field
            .problem("Raft needs an odd number of brokers", label)
            .help(help));
    }
    Ok(brokers as u32)
}

/// RocketMQ's DLedger as it is: acknowledges from the page cache, forces in the
/// background, and writes its vote without a sync (guarantee.md, section 6).
fn dledger(
    table: &Table<'_>,
    preset: &Field<'_>,
    raft: RaftConfig,
) -> Result<BrokerConfig, Problem> {
    preset.word(&[("dledger", ())])?;
    if let Some(field) = DECIDED_BY_PRESET.iter().find_map(|key| table.get(key)) {
        let message = format!("`{}` contradicts the preset", field.key);
        return Err(field
            .problem(message, "DLedger never looks at it")
            .help(format!("leave out `{}`, or `preset`", field.key)));
    }
    let raft = RaftConfig {
        hard_state_sync: false,
        ..raft
    };
    Ok(BrokerConfig {
        flush_interval_ms: DLEDGER_FLUSH_INTERVAL_MS,
        op_batch_interval_ms: Some(OP_BATCH_INTERVAL_MS),
        replication: broker::Replication::Raft(raft),
        ..broker(table, FlushDiskType::Async)?
    })
}

fn raft_config(
    table: &Table<'_>,
    brokers: u32,
    election_timeout_ms: Between,
) -> Result<RaftConfig, Problem> {
    let default = RaftConfig::default();
    let ms = |key, default| table.integer(key, 1..MS.end, default);
    let heartbeat_ms = ms("heartbeat_ms", 30)?;
    if 2 * heartbeat_ms > election_timeout_ms.low {
        let key = ["heartbeat_ms", "election_timeout_ms"];
        let field = key.iter().find_map(|key| table.get(key));
        let span = field.map_or(table.span.clone(), |field| field.span);
        let message = "followers would stand for election between two heartbeats";
        let label = format!(
            "heartbeat_ms is {heartbeat_ms}, election_timeout_ms begins at {}",
            election_timeout_ms.low
        );
        return Err(Problem::new(span, message, label)
            .help("an election timeout is twice the heartbeat at least"));
    }
    let preferred = table.get("preferred_leader");
    let preferred = preferred.map(|field| member(&field, brokers)).transpose()?;
    Ok(RaftConfig {
        heartbeat_ms,
        election_timeout_ms: election_timeout_ms.low,
        own_sync_timeout_ms: ms("own_sync_timeout_ms", 500)?,
        scrub_interval_ms: ms("scrub_interval_ms", default.scrub_interval_ms)?,
        preferred_leader: preferred.map(u64::from),
        ..default
    })
}

/// A member's number.
fn member(field: &Field<'_>, brokers: u32) -> Result<u32, Problem> {
    let number = field.integer(0..u64::from(u32::MAX))?;
    match number < u64::from(brokers) {
        true => Ok(number as u32),
        false => Err(field.problem(
            "there is no such broker",
            format!("brokers are 0 to {}", brokers - 1),
        )),
    }
}

fn flush(table: &Table<'_>) -> Result<FlushDiskType, Problem> {
    table.require("flush")?.word(&[
        ("sync", FlushDiskType::Sync),
        ("async", FlushDiskType::Async),
    ])
}

/// Segments and reserves are small by default, so that short runs roll over
/// them and fill them.
fn broker(table: &Table<'_>, flush: FlushDiskType) -> Result<BrokerConfig, Problem> {
    let default = BrokerConfig::default();
    let bytes = |key, default| table.integer(key, BYTES, default);
    let ms = |key, default| table.integer(key, 1..MS.end, default);
    let dedup = table.get("producer_dedup");
    let dedup = dedup.map(|field| field.boolean()).transpose()?;
    let holds_reserve = table.get("holds_reserve");
    let holds_reserve = holds_reserve.map(|field| field.boolean()).transpose()?;
    let retention = table.get("retention_ms");
    let retention = retention
        .map(|field| field.integer(1..MS.end))
        .transpose()?;
    Ok(BrokerConfig {
        flush_disk_type: flush,
        retention_ms: retention,
        segment_bytes: table.integer("segment_bytes", 8_192..BYTES.end, 262_144)?,
        sync_flush_timeout_ms: ms("sync_flush_timeout_ms", default.sync_flush_timeout_ms)?,
        flush_interval_ms: ms("flush_interval_ms", default.flush_interval_ms)?,
        checkpoint_interval_ms: ms("checkpoint_interval_ms", default.checkpoint_interval_ms)?,
        idle_mark_ms: ms("idle_mark_ms", default.idle_mark_ms)?,
        transaction_timeout_ms: ms("transaction_timeout_ms", default.transaction_timeout_ms)?,
        transaction_check_interval_ms: ms(
            "transaction_check_interval_ms",
            default.transaction_check_interval_ms,
        )?,
        transaction_check_max: table
            .count("transaction_check_max", default.transaction_check_max)?,
        half_age_max_ms: ms("half_age_max_ms", default.half_age_max_ms)?,
        client_expired_ms: ms("client_expired_ms", default.client_expired_ms)?,
        queue_lock_ms: ms("queue_lock_ms", default.queue_lock_ms)?,
        delay_levels_ms: delay_levels(table, default.delay_levels_ms)?,
        max_message_bytes: bytes("max_message_bytes", 65_536)? as usize,
        pending_max: table.count("pending_max", default.pending_max as u32)? as usize,
        producer_dedup: dedup.unwrap_or(default.producer_dedup),
        reserve_bytes: bytes("reserve_bytes", 1 << 20)?,
        holds_reserve: holds_reserve.unwrap_or(false),
        open_files_max: table.count("open_files_max", 4)? as usize,
        recent_bytes: bytes("recent_bytes", default.recent_bytes as u64)? as usize,
        slice_bytes: bytes("slice_bytes", default.slice_bytes)?,
        bounds: bounds(table, default.bounds)?,
        ..default
    })
}

/// The bounds of the resources that clients and peers may use.
fn bounds(table: &Table<'_>, default: Bounds) -> Result<Bounds, Problem> {
    let size = |key, default: usize| {
        let bytes = table.integer(key, BYTES, default as u64)?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    };
    let connections = table.count("connections_max", default.connections as u32)? as usize;
    Ok(Bounds {
        connections,
        connections_of_host: connections,
        idle_ms: table.integer("idle_ms", 1..MS.end, default.idle_ms)?,
        partial_bytes: size("partial_bytes_max", default.partial_bytes)?,
        peer_message_bytes: size("peer_message_bytes", default.peer_message_bytes)?,
        ..default
    })
}

fn delay_levels(table: &Table<'_>, default: Vec<u64>) -> Result<Vec<u64>, Problem> {
    let Some(field) = table.get("delay_levels_ms") else {
        return Ok(default);
    };
    let levels_ms = field.integers(MS)?;
    let most = broker::LEVELS_MAX as usize;
    match levels_ms.len() <= most {
        true => Ok(levels_ms),
        false => {
            let label = format!("these are {}", levels_ms.len());
            Err(field.problem(format!("there are at most {most} delay levels"), label))
        }
    }
}
