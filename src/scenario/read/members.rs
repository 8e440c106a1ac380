//! `members` of `[[workload]]`, and the keys that go with it.

use super::problem::Problem;
use super::sections::MS;
use super::table::{COUNT_MAX, Table};
use crate::scenario::{Failing, Membership, Stays, Tags};

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
    Ok(Some(Membership {
        rebalance_interval_ms: table.integer("rebalance_interval_ms", 1..MS.end, 1_000)?,
        in_hand_max: table.count("in_hand_max", 64)?,
        ordered: table.boolean("ordered", false)?,
        equal_ids: table.boolean("equal_ids", false)?,
        tags: tags(table, sent_tags)?,
        failing: failing(table)?,
        stays: stays(table)?,
    }))
}

fn tags(table: &Table<'_>, of: u32) -> Result<Option<Tags>, Problem> {
    table.note(
        "tags",
        "a number or [low, high], of those that are sent",
        None,
    );
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
    let one_in = table.maybe_integer("fail_one_in", 1..COUNT_MAX)?;
    let times = table.between("fail_times", 1..1 << 20, (1, 3))?;
    let retries_max = table.count("retries_max", 16)?;
    let delay_level = table.integer("retry_delay_level", 0..19, 0)? as u32;
    Ok(one_in.map(|one_in| Failing {
        one_in: one_in as u32,
        times,
        retries_max,
        delay_level,
    }))
}

fn stays(table: &Table<'_>) -> Result<Option<Stays>, Problem> {
    let away_ms = table.between("away_ms", MS, (100, 500))?;
    let stay_ms = table.maybe_between("stay_ms", MS)?;
    Ok(stay_ms.map(|stay_ms| Stays { stay_ms, away_ms }))
}
