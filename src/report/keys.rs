//! The reference of keys as text.

use std::fmt::Write;

use super::paragraph::paragraph;
use crate::scenario::{KeyRow, reference};

/// The keys of scenario files in whose name, or in whose table's, `wanted` stands; empty
/// where there is none.
#[must_use]
pub fn keys(wanted: &str) -> String {
    let mut text = String::new();
    for table in reference() {
        let is_wanted = |key: &KeyRow| table.title.contains(wanted) || key.name.contains(wanted);
        let mut shown = table.keys.iter().filter(|key| is_wanted(key)).peekable();
        if shown.peek().is_none() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "{}", table.title);
        paragraph(&mut text, &table.about, "    ");
        shown.for_each(|key| row(&mut text, key));
    }
    text
}

fn row(text: &mut String, key: &KeyRow) {
    let name = &key.name;
    let _ = match &key.default {
        Some(default) if is_toml(default) => writeln!(text, "  {name} = {default}"),
        Some(default) => writeln!(text, "  {name} (by default {default})"),
        None if key.is_required => writeln!(text, "  {name} (required)"),
        None => writeln!(text, "  {name} (may be left out)"),
    };
    paragraph(text, &key.meaning, "      ");
    paragraph(text, &format!("Values: {}.", key.values), "      ");
}

fn is_toml(value: &str) -> bool {
    format!("key = {value}").parse::<toml::Table>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::paragraph::WIDTH;
    use super::keys;

    #[test]
    fn a_table_or_a_key_is_shown_alone() {
        insta::assert_snapshot!(keys("capacity_bytes"), @r"
        [disk]
          capacity_bytes = 268435456
              The disk's size.
              Values: 1 or more.
        ");
        insta::assert_snapshot!(keys("kind = \"lost-write"), @r#"
        [[fault]] of kind = "lost-write"
            The next write is reported and never done.
          file = "commit-log"
              Of these files.
              Values: "random", "commit-log", "hard-state", "base", "checkpoint", "state", "queues", "ages",
              "identity", "founding", "quarantined", "any".
          skip (may be left out)
              Matching operations that pass before the one that it strikes.
              Values: a number or [low, high], 0 to 10000.
        "#);
        assert_eq!(keys("no such key"), "");
    }

    #[test]
    fn no_line_is_longer_than_a_terminal() {
        let text = keys("");
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(
            longest.is_some_and(|longest| longest <= WIDTH),
            "{longest:?}"
        );
    }
}
