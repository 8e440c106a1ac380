//! `members` of `[[workload]]`, and the keys that go with it.

use super::problem::Problem;
use super::sections::MS;
use super::table::Table;
use crate::scenario::{Between, Failing, Membership, Stays, Tags};

/// Keys that only members of a group have.
const OF_MEMBERS: &[&str] = &[
    "rebalance_interval_ms",
    "in_hand_max",
    "ordered",
    "equal_ids",
    "tags",
    "fail_one_in",
    "fail_times",
    "retries_max",
    "retry_delay_level",
    "stay_ms",
    "away_ms",
];

/// The settings that the consumers agree on; `None` where each has a share of its
/// own. `sent_tags`: so many tags are sent.
pub(super) fn membership(table: &Table<'_>, sent_tags: u32) -> Result<Option<Membership>, Problem> {
    if table.get("members").is_none() {
        let orphan = OF_MEMBERS.iter().find_map(|key| table.get(key));
        return match orphan {
            Some(field) => Err(field
                .problem("only members of a group do that", "nothing to agree on")
                .help("`members` in place of `consumers`")),
            None => Ok(None),
        };
    }
    if let Some(field) = table.get("consumers") {
        let message = "`consumers` have fixed shares, `members` agree on theirs";
        return Err(field.problem(message, "one of the two"));
    }
    let is_set = |key| table.get(key).map_or(Ok(false), |field| field.boolean());
    Ok(Some(Membership {
        rebalance_interval_ms: table.integer("rebalance_interval_ms", 1..MS.end, 1_000)?,
        in_hand_max: table.count("in_hand_max", 64)?,
        ordered: is_set("ordered")?,
        equal_ids: is_set("equal_ids")?,
        tags: tags(table, sent_tags)?,
        failing: failing(table)?,
        stays: stays(table)?,
    }))
}

fn tags(table: &Table<'_>, of: u32) -> Result<Option<Tags>, Problem> {
    let Some(field) = table.get("tags") else {
        return Ok(None);
    };
    if of == 0 {
        let message = "messages without tags cannot be told apart by them";
        return Err(field
            .problem(message, "none are sent")
            .help("`tags = 4` in the workload that sends"));
    }
    let wanted = field.between(0..u64::from(of))?;
    Ok(Some(Tags { wanted, of }))
}

fn failing(table: &Table<'_>) -> Result<Option<Failing>, Problem> {
    if table.get("fail_one_in").is_none() {
        return Ok(None);
    }
    Ok(Some(Failing {
        one_in: table.count("fail_one_in", 1)?,
        times: table.between("fail_times", 1..1 << 20, (1, 3))?,
        retries_max: table.count("retries_max", 16)?,
        delay_level: table.integer("retry_delay_level", 0..19, 0)? as u32,
    }))
}

fn stays(table: &Table<'_>) -> Result<Option<Stays>, Problem> {
    if table.get("stay_ms").is_none() {
        return Ok(None);
    }
    let between = |key, default| -> Result<Between, Problem> { table.between(key, MS, default) };
    Ok(Some(Stays {
        stay_ms: between("stay_ms", (1_000, 1_000))?,
        away_ms: between("away_ms", (100, 500))?,
    }))
}
