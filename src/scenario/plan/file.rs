//! A plan as a file: written here, read and held against its scenario in
//! `read::plan`.

use std::fmt::Write;

use serde::Serialize;
use toml::Value;

use super::{FaultPlan, Hit, PlannedFault, PlannedOperation};
use crate::scenario::{Condition, Scenario, ThenOn};

/// Of the form of plan files. A reader refuses any other.
pub const VERSION: u64 = 2;

/// The plan of `scenario` with `seed`, as a file's text.
pub fn written(scenario: &Scenario, seed: u64, plan: &FaultPlan) -> String {
    let Scenario {
        id, file, digest, ..
    } = scenario;
    let mut text = format!(
        "# The faults of {id} with seed {seed}, with nothing left to draw.\n\
         # Edit it, and: zeroloss replay {file} --plan THIS\n\
         #\n\
         # A fault comes at `from_ns`, or, where it waits for `when` or `at_event`, at the\n\
         # first moment until `until_ns` at which that is so. Times are since the start of\n\
         # the run. What an action leaves to chance (which sectors survive, which one rots)\n\
         # follows from the `draw` beside it, any number. Instead of a word, `survival` may be\n\
         # {{ keep_pending = [0, 3, 4] }}: what was pending, in the order of the operations,\n\
         # from 0 (each sector of a write, then its size where that grew; each name).\n\
         \n[plan]\n\
         version = {VERSION}\n\
         scenario = {}\n\
         digest = \"{digest:016x}\"  # of what the scenario says\n\
         seed = {seed}  # of everything but the faults: workload, latencies, elections\n",
        inline(&Value::String(id.clone()), false),
    );
    for fault in &plan.faults {
        write_fault(&mut text, fault);
    }
    for operation in &plan.operations {
        write_operation(&mut text, operation);
    }
    text.push_str("\n[end]  # without this line a plan is not whole\n");
    text
}

fn write_fault(text: &mut String, fault: &PlannedFault) {
    let trigger = &fault.trigger;
    text.push_str("\n[[fault]]\n");
    field(text, "from_ns", &trigger.from_ns);
    field(text, "until_ns", &trigger.until_ns);
    if trigger.when != Condition::Always {
        field(text, "when", &trigger.when);
    }
    if let Some(at_event) = &trigger.at_event {
        field(text, "at_event", at_event);
    }
    if trigger.within_budget {
        field(text, "within_budget", &true);
    }
    for hit in &fault.hits {
        write_hit(text, hit);
    }
}

fn write_hit(text: &mut String, hit: &Hit) {
    text.push_str("[[fault.hit]]\n");
    field(text, "victim", &hit.victim);
    field(text, "does", &hit.action.written());
    if hit.draw != 0 {
        field(text, "draw", &hit.draw);
    }
    if let Some(then) = &hit.then {
        let mut table = toml::Table::new();
        let after_ns = Value::Integer(then.after_ns as i64);
        table.insert("after_ns".to_owned(), after_ns);
        if then.on != ThenOn::Same {
            let on = Value::String(then.on.name().to_owned());
            table.insert("on".to_owned(), on);
        }
        if then.when != Condition::Always {
            let when = Value::try_from(then.when).expect("a word");
            table.insert("when".to_owned(), when);
        }
        table.insert("does".to_owned(), then.action.written());
        if then.draw != 0 {
            table.insert("draw".to_owned(), Value::Integer(i64::from(then.draw)));
        }
        field(text, "then", &Value::Table(table));
    }
}

fn write_operation(text: &mut String, planned: &PlannedOperation) {
    text.push_str("\n[[operation]]\n");
    field(text, "at_ns", &planned.at_ns);
    field(text, "does", &planned.operation);
}

fn field(text: &mut String, key: &str, value: &impl Serialize) {
    let value = Value::try_from(value).expect("plain data");
    let _ = writeln!(text, "{key} = {}", inline(&value, key.ends_with("_ns")));
}

/// In one line; numbers of nanoseconds in groups of three digits.
fn inline(value: &Value, is_ns: bool) -> String {
    match value {
        Value::Integer(number) if is_ns => grouped(*number),
        Value::Table(table) => {
            // The key that names the kind comes first.
            let mut keys: Vec<_> = table.keys().collect();
            keys.sort_by_key(|key| *key != "kind" && *key != "event");
            let pairs = keys.into_iter().map(|key| {
                let is_ns = key.ends_with("_ns");
                format!("{key} = {}", inline(&table[key], is_ns))
            });
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Array(values) => {
            let values = values.iter().map(|value| inline(value, false));
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-" } else { "" }.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}
