//! The errors of the compiler, and the mutants that they are of.

use std::collections::BTreeMap;
use std::process::Output;

use serde::Deserialize;

use super::weave::WovenFile;

/// An error of the compiler.
#[derive(Debug)]
pub(super) struct CompilerError {
    /// As it is shown to people.
    said: String,
    /// Files and lines, the one that is to blame first.
    places: Vec<(String, usize)>,
}

/// A line of `cargo build --message-format json`, as far as it matters here.
#[derive(Deserialize)]
struct CargoLine {
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
    spans: Vec<DiagnosticSpan>,
}

#[derive(Deserialize)]
struct DiagnosticSpan {
    file_name: String,
    line_start: usize,
    is_primary: bool,
}

impl CompilerError {
    /// The errors of a call of Cargo that failed.
    pub(super) fn all(ended: &Output) -> Vec<Self> {
        let messages = String::from_utf8_lossy(&ended.stdout);
        let errors: Vec<_> = messages.lines().filter_map(Self::parse).collect();
        match errors.is_empty() {
            true => {
                let said = String::from_utf8_lossy(&ended.stderr).into_owned();
                vec![Self::without_place(said)]
            }
            false => errors,
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let message = serde_json::from_str::<CargoLine>(line).ok()?.message?;
        if message.level != "error" {
            return None;
        }
        let mut spans = message.spans;
        spans.sort_by_key(|span| !span.is_primary);
        Some(Self {
            said: message.rendered.unwrap_or_default(),
            places: spans
                .into_iter()
                .map(|span| (span.file_name, span.line_start))
                .collect(),
        })
    }

    /// An error that is of no line of a source.
    pub(super) fn without_place(said: String) -> Self {
        Self {
            said,
            places: Vec::new(),
        }
    }
}

/// The mutants in whose lines the errors are, each with the first line of one.
pub(super) fn refused(errors: &[CompilerError], files: &[WovenFile]) -> BTreeMap<u32, String> {
    let mut refused = BTreeMap::new();
    for error in errors {
        let in_places = error.places.iter().find_map(|(name, line)| {
            let woven = files.iter().find(|woven| woven.file == *name)?;
            let mut lines = woven.lines.iter();
            lines.find_map(|(range, number)| range.contains(line).then_some(*number))
        });
        if let Some(number) = in_places {
            let first = error.said.lines().next().unwrap_or_default();
            let why = format!("beside the others the compiler says: {first}");
            refused.entry(number).or_insert(why);
        }
    }
    refused
}

/// All errors, for people.
pub(super) fn said(errors: &[CompilerError]) -> String {
    errors.iter().map(|error| error.said.as_str()).collect()
}
