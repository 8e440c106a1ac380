//! `[[link]]`.

use super::problem::Problem;
use super::sections::{NETWORK, network_settings};
use super::table::{Field, Table, union};
use crate::scenario::{LinkEnd, LinkRule, NetworkSettings};

const ENDS: &[&str] = &["from", "to"];

/// Reads every rule; what one leaves out is as in `[network]`.
pub(super) fn read_all(
    field: &Field<'_>,
    network: NetworkSettings,
    brokers: u32,
) -> Result<Vec<LinkRule>, Problem> {
    let keys = union([ENDS, NETWORK]);
    let rules = field.tables()?.into_iter().map(|(span, entries)| {
        let table = Table::new("[[link]]", span, entries, &keys)?;
        Ok(LinkRule {
            from: end(&table, "from", brokers)?,
            to: end(&table, "to", brokers)?,
            network: network_settings(&table, network)?,
        })
    });
    rules.collect()
}

fn end(table: &Table<'_>, key: &str, brokers: u32) -> Result<LinkEnd, Problem> {
    let Some(field) = table.get(key) else {
        return Ok(LinkEnd::Any);
    };
    if field.is_string() {
        return field.word(&[
            ("brokers", LinkEnd::Brokers),
            ("clients", LinkEnd::Clients),
            ("any", LinkEnd::Any),
        ]);
    }
    let broker = field.integer(0..1 << 16)? as u32;
    match broker < brokers {
        true => Ok(LinkEnd::Broker(broker)),
        false => Err(field.problem(
            format!("there is no broker {broker}"),
            format!("[cluster] has {brokers}, counted from 0"),
        )),
    }
}
