//! The layers, kept: who may use whom, and what the product must never name.
//!
//! A layer is a folder of `src/`, or of `src/product/`: the product is a crate of its
//! own, so that the compiler keeps it from all that is above it. The uses of a file are
//! read off its text: every `crate::layer` and `crate::{layer, …}` in code, tests
//! included.

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with the layers it may use, from the ground up.
const MAY_USE: &[(&str, &[&str])] = &[
    ("record", &[]),
    ("env", &[]),
    ("remoting", &["record"]),
    ("log", &["record", "env"]),
    ("raft", &["record"]),
    ("broker", &["record", "env", "remoting", "log", "raft"]),
    ("operator", &["env", "log", "broker"]),
    ("client", &["record", "env", "remoting"]),
    ("history", &["client"]),
    ("check", &["history", "broker"]),
    (
        "workload",
        &["history", "client", "env", "record", "remoting"],
    ),
    ("scenario", &["history", "check", "broker"]),
    ("report", &["history", "check", "broker", "scenario"]),
    ("interleavings", &["raft"]),
    ("sim", &["*"]),
    ("explore", &["*"]),
    ("cli", &["*"]),
];

/// Layers that must not know that they may be simulated.
const PRODUCT: &[&str] = &[
    "record", "env", "remoting", "log", "raft", "broker", "operator", "client",
];
/// Layers that judge, and must not know the simulator either.
const JUDGEMENT: &[&str] = &["history", "check"];

/// Names that product and judgement must not use.
const BANNED: &[&str] = &["madsim", "crate::sim", "rand_chacha"];
/// Folders of the real world's sockets, files and threads.
const OF_THE_REAL_WORLD: &[&str] = &["real", "operator"];
/// Further for every product layer outside those folders.
const BANNED_OUTSIDE_REAL: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net::Tcp",
    "std::thread",
    "SystemTime",
    "Instant::now",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn layer_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(source()).expect("a file below src");
    let inside = inside.strip_prefix("product").unwrap_or(inside);
    let first = inside.components().next()?.as_os_str().to_str()?;
    // A crate's own tests use what is public.
    (inside.components().count() > 1 && first != "tests").then(|| first.to_owned())
}

/// The text with comments taken out: prose may name what it likes.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

fn layers_used(code: &str) -> Vec<String> {
    let after = code
        .match_indices("crate::")
        .map(|(at, found)| at + found.len());
    after
        .flat_map(|at| first_names(&code[at..]))
        .filter(|name| MAY_USE.iter().any(|(layer, _)| layer == name))
        .collect()
}

/// The first name of a path, or of each path in braces.
fn first_names(text: &str) -> Vec<String> {
    let name = |text: &str| {
        let name = text.trim_start().chars();
        name.take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let Some(inside) = text.strip_prefix('{') else {
        return vec![name(text)];
    };
    let (mut names, mut depth) = (vec![name(inside)], 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&inside[at + 1..])),
            _ => {}
        }
    }
    names
}

/// The problems of a file of `layer` with that code, in words.
fn complaints(layer: &str, code: &str, in_real: bool) -> Vec<String> {
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("layer `{layer}` is not in the table")];
    };
    let mut complaints: Vec<String> = layers_used(code)
        .into_iter()
        .filter(|used| {
            used != layer && !allowed.contains(&"*") && !allowed.contains(&used.as_str())
        })
        .map(|used| format!("`{layer}` may not use `{used}`"))
        .collect();
    let product = PRODUCT.contains(&layer);
    if product || JUDGEMENT.contains(&layer) {
        let further = if product && !in_real {
            BANNED_OUTSIDE_REAL
        } else {
            &[]
        };
        let named = BANNED
            .iter()
            .chain(further)
            .filter(|word| code.contains(**word));
        complaints.extend(named.map(|word| format!("`{layer}` may not name `{word}`")));
    }
    complaints
}

#[test]
fn every_layer_uses_only_what_its_row_allows() {
    let mut found = Vec::new();
    for file in rust_files(&source()) {
        let Some(layer) = layer_of(&file) else {
            continue;
        };
        let text = fs::read_to_string(&file).expect("src is readable");
        let in_real = file
            .iter()
            .any(|part| OF_THE_REAL_WORLD.iter().any(|real| part == *real));
        let shown = file
            .strip_prefix(source())
            .expect("below src")
            .display()
            .to_string();
        for complaint in complaints(&layer, &code(&text), in_real) {
            found.push(format!("src/{shown}: {complaint}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_check_sees_what_it_bans() {
    let seen = |layer: &str, code: &str| !complaints(layer, code, false).is_empty();
    assert!(seen("record", "use crate::log::CommitLog;"));
    assert!(seen("record", "use crate::{record::key, log::CommitLog};"));
    assert!(seen("record", "use crate::{record::{key, x}, log};"));
    assert!(!seen("record", "use crate::{record::{key, log}};"));
    assert!(seen("broker", "use madsim::time::sleep;"));
    assert!(seen("log", "use tokio::fs;"));
    assert!(seen("check", "use crate::sim::World;"));
    assert!(seen("nowhere", ""));
    assert!(!seen("broker", "use crate::log::CommitLog;"));
    assert!(complaints("env", "use tokio::net::TcpStream;", true).is_empty());
    assert_eq!(code("a // madsim").trim(), "a");
}

#[test]
fn every_select_is_biased() {
    for file in rust_files(&source()) {
        let text = code(&fs::read_to_string(&file).expect("src is readable"));
        for (at, _) in text.match_indices("select! {") {
            let rest = text[at + "select! {".len()..].trim_start();
            assert!(
                rest.starts_with("biased;"),
                "{}: an unbiased select is seeded from a process-wide counter: a seed found \
                 in an exploration would not replay alone",
                file.display()
            );
        }
    }
}
