//! The tables that a scenario has once.

use std::ops::Range;

use toml::de::DeTable;

use super::key::{Key, keys};
use super::problem::Problem;
use super::table::{Entries, Table};
use crate::check::ExpectedOutcome;
use crate::history::{Happening, TransactionStep, VictimRole};
use crate::scenario::{
    Between, ClientSettings, Cluster, Core, DiskSettings, Expectation, Need, NetworkSettings, Rest,
    RunSettings, Stranger,
};

/// No time or size of a scenario is above this (a day of milliseconds, but for an age
/// that is RocketMQ's default; a disk of a tebibyte): products of two such numbers still fit 64 bits.
pub(in crate::scenario) const BYTES: Range<u64> = 1..(1 << 40) + 1;
pub(in crate::scenario) const MS: Range<u64> = 0..86_400_001;
pub(in crate::scenario) const US: Range<u64> = 0..60_000_001;

/// Runs `read` on a table that may be left out.
fn section<T>(
    top: &Table<'_>,
    key: &str,
    keys: &[Key],
    read: impl FnOnce(&Table<'_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    top.note(key, format!("a table [{key}]"), None);
    match top.get(key) {
        Some(field) => read(&field.table(&format!("[{key}]"), keys)?),
        None => {
            let empty = DeTable::new();
            read(&Entries::new(0, &empty, top.notes()).table(format!("[{key}]"), keys)?)
        }
    }
}

const DISK: &[Key] = keys! {
    "sector_bytes": "Size of a sector: a power loss may leave one whole and the next not.";
    "capacity_bytes": "The disk's size.";
    "sync_us": "How long a sync of a file or a directory takes, drawn for each.";
    "sync_tail": "Share of syncs that take longer.";
    "sync_tail_max_us": "How long those take at most; at least the longest of `sync_us`, by default 20 times.";
    "refuses_commands": "An operator's commands (format, salvage, recover) meet the disk's errors, as brokers do.";
};

pub(super) fn disk(top: &Table<'_>, cluster: &Cluster) -> Result<DiskSettings, Problem> {
    section(top, "disk", DISK, |table| {
        table.note("sector_bytes", "512 or 4096", Some("512".to_owned()));
        let sector_bytes = table.integer("sector_bytes", 512..4_097, 512)?;
        if let (Some(field), false) = (
            table.get("sector_bytes"),
            [512, 4_096].contains(&sector_bytes),
        ) {
            return Err(field.problem("`sector_bytes` must be 512 or 4096", "no such disk"));
        }
        let capacity_bytes = table.integer("capacity_bytes", BYTES, 256 << 20)?;
        let least = cluster.broker.reserve_bytes + 2 * cluster.broker.segment_bytes;
        if capacity_bytes < least {
            let span = table.get("capacity_bytes").map_or(0..0, |field| field.span);
            let message = "the disk is too small for this broker";
            let label = format!("reserve and two segments need {least}");
            return Err(Problem::new(span, message, label));
        }
        let sync_us = table.between("sync_us", US, (100, 2_000))?;
        let default_max_us = sync_us.high.saturating_mul(20).min(US.end - 1);
        Ok(DiskSettings {
            sector_bytes: sector_bytes as u32,
            capacity_bytes,
            sync_us,
            sync_tail: table.share("sync_tail", 0.0)?,
            sync_tail_max_us: table.integer(
                "sync_tail_max_us",
                sync_us.high..US.end,
                default_max_us,
            )?,
            refuses_commands: table.boolean("refuses_commands", false)?,
        })
    })
}

pub(super) const NETWORK: &[Key] = keys! {
    "latency_us": "The time of a message, one way, drawn for each.";
    "loss": "Share of what is sent that is lost: on a stream it comes late, a peer message never comes. Below 1.";
    "retransmit_ms": "The delay that a loss costs on a stream, and twice that after each further loss.";
    "connect_ms": "How long an operating system waits for the answer to a connect; Linux' own is 127,000.";
    "duplicate": "Share of peer messages that come twice.";
    "reorder": "Share of peer messages held back long enough to be overtaken.";
    "reorder_ms": "How long those are held back, at most; left out, ten times the longest latency.";
    "garbage": "Share of peer messages beside which something garbled comes.";
    "split": "Share of writes to a stream that come in two pieces.";
};

pub(super) fn network(top: &Table<'_>) -> Result<NetworkSettings, Problem> {
    let default = NetworkSettings {
        latency_us: Between { low: 50, high: 500 },
        loss: 0.0,
        retransmit_ms: 200,
        connect_ms: 3_000,
        duplicate: 0.0,
        reorder: 0.0,
        reorder_ms: None,
        garbage: 0.0,
        split: 0.02,
    };
    section(top, "network", NETWORK, |table| {
        network_settings(table, default)
    })
}

/// The keys of a link; what is left out is as in `default`.
pub(super) fn network_settings(
    table: &Table<'_>,
    default: NetworkSettings,
) -> Result<NetworkSettings, Problem> {
    let Between { low, high } = default.latency_us;
    let loss = table.share("loss", default.loss)?;
    if let (Some(field), true) = (table.get("loss"), loss == 1.0) {
        return Err(field
            .problem("`loss` must be below 1", "nothing would ever come through")
            .help("kind = \"partition\" of [[fault]] cuts links"));
    }
    Ok(NetworkSettings {
        latency_us: table.between("latency_us", US, (low, high))?,
        loss,
        retransmit_ms: table.integer("retransmit_ms", 1..MS.end, default.retransmit_ms)?,
        connect_ms: table.integer("connect_ms", 1..MS.end, default.connect_ms)?,
        duplicate: table.share("duplicate", default.duplicate)?,
        reorder: table.share("reorder", default.reorder)?,
        reorder_ms: table
            .maybe_integer("reorder_ms", 1..MS.end)?
            .or(default.reorder_ms),
        garbage: table.share("garbage", default.garbage)?,
        split: table.share("split", default.split)?,
    })
}

/// Longest name of a client or a group, bytes (RocketMQ's `CHARACTER_MAX_LENGTH`).
pub(in crate::scenario) const NAME_BYTES_MAX: u64 = 255;

const CLIENT: &[Key] = keys! {
    "send_timeout_ms": "The time of one attempt of a send (`sendMsgTimeout`).";
    "send_retries": "Further attempts after the first (`retryTimesWhenSendFailed`).";
    "pull_suspend_ms": "How long the broker may hold a pull that finds nothing (`brokerSuspendMaxTimeMillis`).";
    "client_heartbeat_ms": "Pause between heartbeats of order services and of members of a group (`heartbeatBrokerInterval`).";
    "name_bytes": "Names of clients, of producer groups and in numbered sends are padded to so many bytes; 0: as they are.";
};

pub(super) fn client(top: &Table<'_>) -> Result<ClientSettings, Problem> {
    section(top, "client", CLIENT, |table| {
        Ok(ClientSettings {
            send_timeout_ms: table.integer("send_timeout_ms", 1..MS.end, 3_000)?,
            send_retries: table.integer("send_retries", 0..101, 2)? as u32,
            pull_suspend_ms: table.integer("pull_suspend_ms", MS, 5_000)?,
            heartbeat_ms: table.integer("client_heartbeat_ms", 1..MS.end, 1_000)?,
            name_bytes: table.integer("name_bytes", 0..NAME_BYTES_MAX + 1, 0)?,
        })
    })
}

const STRANGER: &[Key] = keys! {
    "rate_per_s": "Its acts in a second: it opens a stream, begins a frame, or sends a request with extremes in its fields.";
    "streams_max": "Streams that it holds open, at most.";
    "partial_bytes": "How much comes of a frame that it begins.";
};

pub(super) fn stranger(top: &Table<'_>) -> Result<Option<Stranger>, Problem> {
    top.note("stranger", "a table [stranger]", None);
    let Some(field) = top.get("stranger") else {
        return Ok(None);
    };
    let table = field.table("[stranger]", STRANGER)?;
    Ok(Some(Stranger {
        rate_per_s: table.integer("rate_per_s", 1..1_000_001, 100)?,
        streams_max: table.integer("streams_max", 1..100_001, 16)?,
        partial_bytes: table.between("partial_bytes", 4..15 << 20, (4, 100_000))?,
    }))
}

const RUN: &[Key] = keys! {
    "seeds": "The seeds that `zeroloss run` takes by itself.";
    "duration_ms": "Workloads and faults last so long; then everything heals.";
    "events_per_s_max": "More events than this in one simulated second are a storm: the run ends, and is `stuck`.";
};

pub(super) fn run(top: &Table<'_>) -> Result<RunSettings, Problem> {
    let table = top.required_table("run")?.table("[run]", RUN)?;
    table.note_required("seeds", "a range such as \"0..8\", the end excluded");
    let field = table.require("seeds")?;
    let seeds =
        seeds(&field.string()?).map_err(|(message, label)| field.problem(message, label))?;
    Ok(RunSettings {
        seeds,
        duration_ms: table.integer("duration_ms", 1..MS.end, 10_000)?,
        events_per_s_max: table.integer("events_per_s_max", 1_000..1 << 40, 1_000_000)?,
    })
}

/// `"0..8"`: 8 is excluded.
pub(crate) fn seeds(text: &str) -> Result<Range<u64>, (String, String)> {
    let parsed = text.split_once("..").and_then(|(first, end)| {
        let first = first.trim().parse::<u64>().ok()?;
        Some(first..end.trim().parse::<u64>().ok()?)
    });
    match parsed {
        None => Err((
            "seeds are written \"0..8\", the end excluded".to_owned(),
            "no such range".to_owned(),
        )),
        Some(range) if range.is_empty() => Err((
            "there must be a seed".to_owned(),
            format!("{} up to, not including, {}: none", range.start, range.end),
        )),
        Some(range) => Ok(range),
    }
}

const EXPECT: &[Key] = keys! {
    "outcome": "The result over all seeds (guarantee.md, section 3).";
    "breaks": "The promises that a preset is seen to break, with `outcome = \"breaks\"`.";
    "share": "With `loss` and `breaks`: the least share of runs that lose, or break the promise; void ones are not counted. Judged where at least as many runs are made as `seeds` has.";
    "converge_within_ms": "After healing, a probe is acknowledged and every lag is zero within this.";
    "void_max": "The share of runs that may be void.";
    "core": "The brokers that come back when everything heals.";
    "rest": "The state of the others, with `core = \"majority\"`: switched off, or as they are then.";
    "needs": "Happenings without which a run is void.";
    "sometimes": "Each of these has to occur in at least one run. Judged where at least as many runs are made as `seeds` has.";
};

pub(super) fn expect(
    top: &Table<'_>,
    cluster: &Cluster,
    faultless: bool,
) -> Result<Expectation, Problem> {
    let table = top.required_table("expect")?.table("[expect]", EXPECT)?;
    Ok(Expectation {
        outcome: outcome(&table, cluster, faultless)?,
        converge_within_ms: table.integer("converge_within_ms", 1..MS.end, 30_000)?,
        void_max: table.share("void_max", 0.2)?,
        core: core(&table, cluster)?,
        rest: rest(&table, cluster)?,
        needs: needs(&table, cluster)?,
        sometimes: sometimes(&table)?,
    })
}

/// One word or several; a death is written `"broker-at-check-open"`.
fn needs(table: &Table<'_>, cluster: &Cluster) -> Result<Vec<Need>, Problem> {
    let mut words = vec![("base-installed".to_owned(), Need::BaseInstalled)];
    words.extend(Happening::ALL.map(|what| (what.name().to_owned(), Need::Happening(what))));
    for who in VictimRole::ALL {
        let there = TransactionStep::ALL.into_iter();
        let there = there.filter(|transaction_step| who.can_be_at(*transaction_step));
        words.extend(there.map(|transaction_step| {
            let word = format!("{}-at-{transaction_step}", who.word());
            (word, Need::DeathAt(who, transaction_step))
        }));
    }
    let words = words.iter().map(|(word, need)| (word.as_str(), *need));
    let needs = table.words("needs", &words.collect::<Vec<_>>())?;
    match table.get("needs") {
        Some(field) if needs.contains(&Need::BaseInstalled) && !cluster.is_replicated() => {
            let message = "a single broker is given no base";
            Err(field.problem(message, "replication is \"none\""))
        }
        _ => Ok(needs),
    }
}

fn sometimes(table: &Table<'_>) -> Result<Vec<Happening>, Problem> {
    let words = Happening::ALL.map(|what| (what.name(), what));
    table.words("sometimes", &words)
}

fn core(table: &Table<'_>, cluster: &Cluster) -> Result<Core, Problem> {
    let words = [("all", Core::All), ("majority", Core::Majority)];
    let core = table.word("core", &words, Core::All)?;
    match table.get("core") {
        Some(field) if core == Core::Majority && !cluster.is_replicated() => {
            let message = "a single broker has no majority but itself";
            Err(field.problem(message, "replication is \"none\""))
        }
        _ => Ok(core),
    }
}

/// The state of the brokers outside the core.
fn rest(table: &Table<'_>, cluster: &Cluster) -> Result<Rest, Problem> {
    let words = [("down", Rest::Down), ("as-it-is", Rest::AsItIs)];
    let rest = table.word("rest", &words, Rest::Down)?;
    match (table.get("rest"), core(table, cluster)?) {
        (Some(field), Core::All) => Err(field
            .problem("everybody heals", "there is no rest")
            .help("core = \"majority\"")),
        _ => Ok(rest),
    }
}

fn outcome(
    table: &Table<'_>,
    cluster: &Cluster,
    faultless: bool,
) -> Result<ExpectedOutcome, Problem> {
    let share = table.share("share", 0.5)?;
    let words = [
        ("zero-loss", ExpectedOutcome::ZeroLoss),
        ("loss", ExpectedOutcome::Loss { share }),
        ("halt", ExpectedOutcome::Halt),
        ("breaks", ExpectedOutcome::Breaks { share }),
    ];
    let outcome = table.required_word("outcome", &words)?;
    let field = table.require("outcome")?;
    breaks(table, cluster, outcome)?;
    let is_loss = matches!(
        outcome,
        ExpectedOutcome::Loss { .. } | ExpectedOutcome::Breaks { .. }
    );
    match table.get("share") {
        Some(share) if !is_loss => {
            return Err(share.problem("`share` is the share of losing runs", "no loss is expected"));
        }
        Some(field) if share == 0.0 => {
            return Err(field.problem("`share` must be above 0", "expects nothing"));
        }
        _ => {}
    }
    if is_loss && faultless {
        return Err(field.problem("nothing is lost without a fault", "faults = \"none\""));
    }
    if outcome == ExpectedOutcome::Halt && cluster.brokers < 3 {
        let label = "there is no majority to lose";
        return Err(field.problem("\"halt\" needs three brokers at least", label));
    }
    Ok(outcome)
}

/// The promise that a preset is seen to break, by its name.
fn breaks(table: &Table<'_>, cluster: &Cluster, outcome: ExpectedOutcome) -> Result<(), Problem> {
    let is_expected = matches!(outcome, ExpectedOutcome::Breaks { .. });
    table.words("breaks", &[("transactions", ())])?;
    let Some(field) = table.get("breaks") else {
        return match is_expected {
            true => Err(table
                .require("outcome")?
                .problem("what is broken?", "`breaks` is missing")
                .help("breaks = [\"transactions\"]")),
            false => Ok(()),
        };
    };
    if cluster.broker.op_batch_interval_ms.is_none() {
        let message = "only a preset breaks what this broker promises";
        return Err(field.problem(message, "`preset` is missing in [cluster]"));
    }
    if !is_expected {
        return Err(field
            .problem(
                "a break is named and not expected",
                "the outcome is another one",
            )
            .help("outcome = \"breaks\""));
    }
    Ok(())
}

/// A window that was given, or the whole run.
pub(super) fn window(table: &Table<'_>, key: &str, run: &RunSettings) -> Result<Between, Problem> {
    let window = table.between(key, MS, (0, run.duration_ms))?;
    match table.get(key) {
        Some(field) if window.high > run.duration_ms => {
            let message = "the window ends after the run's faults have ended";
            let label = format!("duration_ms of [run] is {}", run.duration_ms);
            Err(field.problem(message, label))
        }
        _ => Ok(window),
    }
}
