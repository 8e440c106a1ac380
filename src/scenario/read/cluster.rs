//! `[cluster]`.

use super::key::{Key, keys, union};
use super::problem::Problem;
use super::sections::{BYTES, MS};
use super::table::{Field, Table};
use crate::broker::{self, BrokerConfig, FlushDiskType, RaftConfig};
use crate::check::Replication;
use crate::scenario::setting::{Of, SETTINGS, broker_keys};
use crate::scenario::{Between, Cluster, CpuSpeed, RestartWith};

const ANY: &[Key] = keys! {
    "brokers": "Members from the start, numbered from 0. With Raft it must be there.";
    "replication": "How they replicate. `\"primary-backup\"` is not built yet.";
    "flush": "`SYNC_FLUSH` or `ASYNC_FLUSH` (`flushDiskType`). A preset decides it: then it is left out.";
    "delay_levels_ms": "How long a message waits at each delay level, from level 1 on (`messageDelayLevel`).";
    "producer_dedup": "A send that names its producer and its number is stored once (D19).";
    "holds_reserve": "The reserve is held as a file, so that nobody else can take it.";
    "cpu_slowdown": "The brokers' work takes CPU time, so many times as long as the cost model says; left out, it takes none.";
    "restart_with_segment_bytes": "A broker that starts again has a segment size from this range.";
    "restart_with_queues": "A broker that starts again gives later topics a number of queues from this range.";
    "retention_ms": "Messages that are older may be dropped, whole segments at a time (`fileReservedTime`); left out, nothing expires.";
    "restart_with_retention_ms": "A broker that starts again has a retention from this range; never below `retention_ms`.";
    "restart_with_events_per_step": "A broker that starts again handles so many events of the network in one step.";
};

/// The keys that only brokers that replicate by Raft know.
const RAFT: &[Key] = keys! {
    "spares": "With Raft: further machines, formatted and running, members of nothing until the operator adds them.";
    "preset": "With Raft: RocketMQ's DLedger as it is: acknowledges from the page cache (guarantee.md, section 6).";
    "heartbeat_ms": "With Raft: pause between a leader's heartbeats.";
    "first_start_ms": "With Raft: each member starts for the first time at a moment of this range.";
    "election_timeout_ms": "With Raft: each broker's own election timeout is drawn from here; at least twice the heartbeat.";
    "own_sync_timeout_ms": "With Raft: a leader whose own sync takes longer steps down.";
    "scrub_interval_ms": "With Raft: pause between two looks at the log for rot (D28).";
    "preferred_leader": "With Raft: the broker that leads where it can, by its number.";
    "preferences_differ": "With `preferred_leader`: each broker prefers another leader, the next after the one before it.";
};

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
    let keys = union([ANY, &broker_keys(), RAFT]);
    let table = top.required_table("cluster")?.table("[cluster]", &keys)?;
    let numbers = "1 alone; 3, 5, 7 and so on up to 15 with Raft";
    table.note("brokers", numbers, Some("1".to_owned()));
    match replication(&table)? {
        Replication::None => single(&table),
        Replication::Raft => raft(&table),
    }
}

fn replication(table: &Table<'_>) -> Result<Replication, Problem> {
    let words = [
        ("none", Some(Replication::None)),
        ("primary-backup", None),
        ("raft", Some(Replication::Raft)),
    ];
    let replication = table.word("replication", &words, Some(Replication::None))?;
    replication.ok_or_else(|| {
        let field = table.get("replication");
        let span = field.map_or(table.span.clone(), |field| field.span);
        Problem::new(span, "this replication is not built yet", "not built yet")
            .help("replication = \"none\" or \"raft\"")
    })
}

fn single(table: &Table<'_>) -> Result<Cluster, Problem> {
    if let Some(field) = RAFT.iter().find_map(|key| table.get(key.name)) {
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
    let slowdown = table.maybe_integer("cpu_slowdown", SLOWDOWN)?;
    Ok(slowdown.map(|slowdown| CpuSpeed { slowdown }))
}

fn raft(table: &Table<'_>) -> Result<Cluster, Problem> {
    let brokers = members(&table.require("brokers")?)?;
    let election_timeout_ms = table.between("election_timeout_ms", 1..MS.end, (100, 200))?;
    let raft = raft_config(table, brokers, election_timeout_ms)?;
    table.maybe_word("preset", &[("dledger", ())])?;
    let preset = table.get("preset");
    let broker = match &preset {
        None => BrokerConfig {
            replication: broker::Replication::Raft(raft),
            ..broker(table, flush(table)?)?
        },
        Some(_) => dledger(table, raft)?,
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
    let differ = table.boolean("preferences_differ", false)?;
    match table.get("preferences_differ") {
        Some(field) if table.get("preferred_leader").is_none() => Err(field
            .problem("no broker prefers any other", "without `preferred_leader`")
            .help("preferred_leader = 0")),
        _ => Ok(differ),
    }
}

/// A retention is never made shorter: it is by the shortest that runs are judged.
fn restart_with(table: &Table<'_>, retention_ms: Option<u64>) -> Result<RestartWith, Problem> {
    let range = |key, bounds| table.maybe_between(key, bounds);
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
fn dledger(table: &Table<'_>, raft: RaftConfig) -> Result<BrokerConfig, Problem> {
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
    table.note("preferred_leader", "a broker's number, from 0", None);
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
    let words = [
        ("sync", FlushDiskType::Sync),
        ("async", FlushDiskType::Async),
    ];
    table.required_word("flush", &words)
}

/// Segments and reserves are small by default, so that short runs roll over
/// them and fill them.
fn broker(table: &Table<'_>, flush: FlushDiskType) -> Result<BrokerConfig, Problem> {
    let default = BrokerConfig::default();
    let mut config = BrokerConfig {
        flush_disk_type: flush,
        retention_ms: table.maybe_integer("retention_ms", 1..MS.end)?,
        delay_levels_ms: delay_levels(table, default.delay_levels_ms)?,
        producer_dedup: table.boolean("producer_dedup", default.producer_dedup)?,
        holds_reserve: table.boolean("holds_reserve", false)?,
        segment_bytes: 262_144,
        max_message_bytes: 65_536,
        reserve_bytes: 1 << 20,
        open_files_max: 4,
        ..default
    };
    for row in SETTINGS {
        if let Of::Broker { get, set } = row.of {
            let value = table.integer(row.key.name, row.bounds.clone(), get(&config))?;
            set(&mut config, value);
        }
    }
    config.bounds.connections_of_host = config.bounds.connections;
    Ok(config)
}

fn delay_levels(table: &Table<'_>, default: Vec<u64>) -> Result<Vec<u64>, Problem> {
    let Some(levels_ms) = table.maybe_integers("delay_levels_ms", MS)? else {
        return Ok(default);
    };
    let most = broker::LEVELS_MAX as usize;
    match table.get("delay_levels_ms") {
        Some(field) if levels_ms.len() > most => {
            let label = format!("these are {}", levels_ms.len());
            Err(field.problem(format!("there are at most {most} delay levels"), label))
        }
        _ => Ok(levels_ms),
    }
}
