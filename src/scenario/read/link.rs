//! `[[link]]`.

use super::key::{Key, keys, union};
use super::problem::Problem;
use super::sections::{NETWORK, network_settings};
use super::table::{Entries, Table};
use crate::scenario::{LinkEnd, LinkRule, NetworkSettings};

const ENDS: &[Key] = keys! {
    "from": "The sender.";
    "to": "The receiver.";
};

/// Reads every rule; what one leaves out is as in `[network]`.
pub(super) fn read_all(
    rules: Vec<Entries<'_>>,
    network: NetworkSettings,
    brokers: u32,
) -> Result<Vec<LinkRule>, Problem> {
    let keys = union([ENDS, NETWORK]);
    let rules = rules.into_iter().map(|entries| {
        let table = entries.table("[[link]]", &keys)?;
        Ok(LinkRule {
            from: end(&table, "from", brokers)?,
            to: end(&table, "to", brokers)?,
            network: network_settings(&table, network)?,
        })
    });
    rules.collect()
}

fn end(table: &Table<'_>, key: &str, brokers: u32) -> Result<LinkEnd, Problem> {
    let values = "a broker's number, from 0, or \"brokers\", \"clients\", \"any\"";
    table.note(key, values, Some("\"any\"".to_owned()));
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
