//! Nothing is left out of all swarms: each key, fault kind, operation and size is drawn
//! by one of them, or stands below with the reason why not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use zeroloss::broker::served_requests;
use zeroloss::remoting::RequestCode;
use zeroloss::scenario::{KeyTable, OperationKind, reference};

const SWARMS: &[&str] = &["swarm.toml", "swarm-expiry.toml", "swarm-single.toml"];

/// The tables that say how a run is judged, or that a swarm is; not what happens in it.
const NOT_DRAWN: &[&str] = &["a scenario", "[swarm]", "[run]", "[expect]"];

/// Keys that no swarm names and no row of `[swarm]` draws.
const LEFT_OUT_KEYS: &[(&str, &str, &str)] = &[
    ("[cluster]", "preset", "weak/swarm-dledger.toml has it"),
    (
        "[disk]",
        "capacity_bytes",
        "disk-full fills disks, and empties them again",
    ),
    (
        "[[link]]",
        "*",
        "link-limping and partition make links differ",
    ),
    ("send", "messages", "they send until the faults are over"),
    ("send", "oneway_one_in", "a habit"),
    ("pay", "ends_by", "a habit"),
    ("pay", "ends_oneway", "a habit"),
    ("consume", "consumers", "in place of `members`"),
    ("consume", "commits_late", "a habit"),
    ("consume", "from", "a habit"),
    ("consume", "spelling", "a habit"),
    ("consume", "equal_ids", "a habit"),
    ("red-packet", "group", "a name"),
    (
        "disk-rolled-back",
        "*",
        "takes synced bytes unseen: nothing is promised",
    ),
    (
        "disk-lying",
        "*",
        "takes synced bytes unseen: nothing is promised",
    ),
    (
        "misdirected-write",
        "*",
        "takes synced bytes unseen: nothing is promised",
    ),
    (
        "lost-write",
        "*",
        "takes synced bytes unseen: nothing is promised",
    ),
    ("link-limping", "links", "all links are limping"),
    ("[[operator]]", "count", "`every_ms` repeats them"),
    ("[[operator]]", "one_by_one", "of `recover`"),
];

/// Operations that no swarm has.
const LEFT_OUT_OPERATIONS: &[(&str, &str)] = &[
    ("add-node", "replace-node adds one"),
    ("remove-node", "replace-node removes one"),
    ("recover", "leaves the promises of the old epoch (D16)"),
];

/// Sizes of the product that stay as they are, by the reason.
const FIXED_SIZES: &[(&str, &[&str])] = &[
    (
        "a format on the disk or on the network",
        &[
            "SEGMENT_HEADER_BYTES",
            "HEADER_BYTES",
            "ENTRY_BYTES",
            "ENVELOPE_BYTES",
            "MARK_BYTES",
            "FIXED_BYTES",
            "FIXED_HEAD_BYTES",
            "FIXED_MIDDLE_BYTES",
            "LENGTH_BYTES",
            "HEAD_BYTES",
            "SECTOR_BYTES_MIN",
            "TOTAL_BYTES_MAX",
        ],
    ),
    (
        "a bound that the test of BOUNDS reaches, at it and one past it",
        &[
            "RECORD_BYTES_MAX",
            "FRAME_BYTES_MAX",
            "NUMBER_MAX",
            "TERMS_AHEAD_MAX",
            "MEMBERS_MAX",
            "PEER_MESSAGE_BYTES_MAX",
            "PEER_LINKS_MAX",
            "PEER_PARTIAL_BYTES_MAX",
            "UNSENT_OF_STREAM_BYTES_MAX",
            "UNSENT_BYTES_MAX",
            "NODES_MAX",
            "NAME_BYTES_MAX",
            "SUBSCRIPTION_BYTES_MAX",
            "TAGS_MAX",
            "ANSWER_MESSAGES_MAX",
            "SUSPEND_MS_MAX",
            "READ_BYTES_MAX",
            "SENT_PROPERTIES_BYTES_MAX",
            "OWN_PROPERTIES_BYTES",
            "TOPIC_BYTES_MAX",
            "PROPERTIES_BYTES_MAX",
            "LEVELS_MAX",
            "RECONSUME_TIMES_MAX",
            "BASE_BYTES_MAX",
            "GROUPS_MAX",
            "LOCKS_MAX",
            "QUEUES_MAX",
            "SEATS_MAX",
            "BODY_BYTES_MAX",
            "TEXT_BYTES_MAX",
        ],
    ),
    (
        "part of what a log means: equal on every replica, at any time",
        &["DECIDED_MAX", "PRODUCERS_MAX", "WINDOW"],
    ),
    (
        "of real sockets and files only",
        &[
            "STREAMS_MAX",
            "DESCRIPTORS_MIN",
            "STORE_MAX",
            "SMALL_BYTES",
            "READ_BYTES_MIN",
        ],
    ),
    (
        "the size of a piece of memory; nothing follows from it",
        &[
            "STREAM_BYTES",
            "REQUESTS_BYTES",
            "REQUEST_BYTES",
            "RECORD_BYTES",
        ],
    ),
    (
        "open: a setting is to be made of it, or shown that runs reach it",
        &[
            "PIECE_BYTES",
            "SEEK_BYTES",
            "BELIEVED_BYTES_MAX",
            "LONG_BYTES",
            "PART_BYTES",
            "CHUNK_MAX",
            "CURSORS_MAX",
            "PROBES_MAX",
            "ROUND_BYTES",
            "STEP_BYTES",
            "WRITE_BYTES_MAX",
            "REMARK_BYTES_MAX",
            "ENTRY_ROOM_BYTES",
            "HEADER_BYTES_MAX",
            "HELD_MAX",
            "TOLD_MAX",
            "IN_FLIGHT_MAX",
            "DOUBLINGS_MAX",
            "STREAK_MAX",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn swarms() -> Vec<Table> {
    let read = |name: &&str| {
        let path = root().join("scenarios").join(name);
        let text = fs::read_to_string(path).expect("a swarm");
        text.parse().expect("TOML")
    };
    SWARMS.iter().map(read).collect()
}

/// The tables of that name in a swarm's file: one, or a list of them.
fn tables<'a>(swarm: &'a Table, name: &str) -> Vec<&'a Table> {
    match swarm.get(name) {
        Some(Value::Table(table)) => vec![table],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_table).collect(),
        _ => Vec::new(),
    }
}

/// `[[fault]] of kind = "kill"`: the name in a file, and the kind.
fn title(table: &KeyTable) -> (String, Option<&str>) {
    let (name, kind) = match table.title.split_once(" of kind = ") {
        Some((name, kind)) => (name, Some(kind.trim_matches('"'))),
        None => (table.title.as_str(), None),
    };
    (name.trim_matches(['[', ']', '`']).to_owned(), kind)
}

fn is_named(swarms: &[Table], (name, kind): &(String, Option<&str>), key: &str) -> bool {
    let of_kind = |table: &&Table| {
        let its = table.get("kind").and_then(Value::as_str);
        kind.is_none_or(|kind| its == Some(kind))
    };
    let mut found = swarms.iter().flat_map(|swarm| match name.as_str() {
        "at_event" | "then" => {
            let faults = tables(swarm, "fault").into_iter();
            faults
                .filter_map(|fault| fault.get(name)?.as_table())
                .collect()
        }
        name => tables(swarm, name),
    });
    found.any(|table| of_kind(&table) && table.contains_key(key))
}

/// The exception for a key, by its number in the list.
fn exception(table: &KeyTable, key: &str) -> Option<usize> {
    let (_, kind) = title(table);
    LEFT_OUT_KEYS.iter().position(|(of, name, _)| {
        (kind == Some(*of) || table.title == *of) && (*name == "*" || *name == key)
    })
}

#[test]
fn every_key_is_drawn_by_some_swarm() {
    let swarms = swarms();
    let draws: BTreeSet<&str> = swarms
        .iter()
        .flat_map(|swarm| tables(swarm, "swarm"))
        .flat_map(|table| table.keys().map(String::as_str))
        .collect();
    let (mut left_out, mut used) = (Vec::new(), BTreeSet::new());
    for table in reference() {
        if NOT_DRAWN.contains(&table.title.as_str()) {
            continue;
        }
        for key in &table.keys {
            let chooses_itself = key.default.as_deref() == Some("\"random\"");
            let is_drawn = draws.contains(key.name.as_str()) || chooses_itself;
            if is_named(&swarms, &title(&table), &key.name) || is_drawn {
                continue;
            }
            match exception(&table, &key.name) {
                Some(number) => _ = used.insert(number),
                None => left_out.push(format!("{}: {}", table.title, key.name)),
            }
        }
    }
    assert_eq!(left_out, Vec::<String>::new(), "in no swarm");
    let unused = (0..LEFT_OUT_KEYS.len()).filter(|number| !used.contains(number));
    let unused: Vec<_> = unused.map(|number| LEFT_OUT_KEYS[number]).collect();
    assert_eq!(unused, [], "a swarm has them: they are no exceptions");
}

/// Each draw of `[swarm]` that there is stands in some swarm.
#[test]
fn every_setting_that_can_be_drawn_is() {
    let swarms = swarms();
    let tables = reference();
    let of_swarms = tables.iter().find(|table| table.title == "[swarm]");
    let keys = of_swarms.expect("the reference has it").keys.iter();
    let unused: Vec<_> = keys
        .filter(|key| !is_named(&swarms, &("swarm".to_owned(), None), &key.name))
        .map(|key| key.name.as_str())
        .collect();
    assert_eq!(unused, Vec::<&str>::new());
}

#[test]
fn every_operation_is_in_some_swarm() {
    let swarms = swarms();
    let found: BTreeSet<&str> = swarms
        .iter()
        .flat_map(|swarm| tables(swarm, "operator"))
        .filter_map(|table| table.get("kind")?.as_str())
        .collect();
    for kind in OperationKind::ALL.map(OperationKind::name) {
        let is_exception = LEFT_OUT_OPERATIONS.iter().any(|(name, _)| *name == kind);
        assert_ne!(found.contains(kind), is_exception, "{kind}");
    }
}

/// Clients that keep to no rule send each request, with the ends of all ranges in its
/// fields.
#[test]
fn every_request_is_sent_by_strangers() {
    let swarms = swarms();
    let sent: Vec<i32> = zeroloss::workload::strangers_requests().collect();
    let missing: Vec<RequestCode> = served_requests()
        .filter(|code| !sent.contains(&code.0))
        .collect();
    assert!(missing.is_empty(), "no stranger sends {missing:?}");
    for swarm in &swarms {
        assert!(swarm.contains_key("stranger"), "a swarm has no stranger");
    }
}

/// A constant that is a size, in the product.
#[test]
fn every_size_is_a_setting_or_has_a_reason() {
    let mut folders = vec![root().join("src/product")];
    let mut sizes = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !["tests", "testing"].contains(&name.as_str()) {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).expect("a source");
                let product = text
                    .split("#[cfg(test)]\nmod tests {")
                    .next()
                    .unwrap_or_default();
                sizes.extend(product.lines().filter_map(size).map(str::to_owned));
            }
        }
    }
    let fixed: BTreeSet<&str> = FIXED_SIZES
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    let new: Vec<_> = sizes
        .iter()
        .filter(|name| !fixed.contains(name.as_str()))
        .collect();
    assert_eq!(
        new,
        Vec::<&String>::new(),
        "make it a field of `Sizes`, or say why not"
    );
    let gone: Vec<_> = fixed
        .iter()
        .filter(|name| !sizes.contains(**name))
        .collect();
    assert_eq!(
        gone,
        Vec::<&&str>::new(),
        "no constant is called so any more"
    );
}

/// The name in `const NAME: u64 = …;`, where it is one of a size.
fn size(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("const ")?;
    let (name, rest) = rest.split_once(": ")?;
    let is_number = ["u64 ", "usize ", "u32 ", "i32 "]
        .iter()
        .any(|kind| rest.starts_with(kind));
    let is_size = ["_BYTES", "_MAX", "_MIN", "_ENTRIES"]
        .iter()
        .any(|end| name.ends_with(end))
        || ["_PER_STEP", "_PER_FILE"]
            .iter()
            .any(|end| name.ends_with(end))
        || name == "WINDOW";
    (is_number && is_size).then_some(name)
}
