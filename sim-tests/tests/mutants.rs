//! The planted mistakes still fit the product. Whether they are noticed is what
//! the `mutants` binary is for: it builds each of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sim_tests::mutants::mutant::Mutant;
use sim_tests::mutants::patch::{load_all, parse};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_mutant_applies_and_names_what_may_kill_it() {
    let root = workspace();
    let mutants = load_all(&root.join("sim-tests/mutants")).expect("whole headers");
    let mut ids = BTreeSet::new();
    for mutant in &mutants {
        let id = &mutant.id;
        assert!(ids.insert(id.clone()), "{id} is there twice");
        let aim = mutant
            .aim
            .as_ref()
            .unwrap_or_else(|| panic!("{id} has a header"));
        assert!(!aim.seeds.is_empty(), "{id} has no seeds");
        for scenario in &aim.scenarios {
            let path = root.join(scenario);
            zeroloss::scenario::load(&path).unwrap_or_else(|why| panic!("{id}: {why}"));
        }
        let changed = mutant.apply(|file| fs::read_to_string(root.join(file)));
        for (file, text) in changed.unwrap_or_else(|why| panic!("{why}")) {
            let before = fs::read_to_string(root.join(&file)).expect("it was read");
            assert_ne!(before, text, "{id} leaves {file} as it is");
        }
    }
}

/// A patch may apply and not compile, where a name in an added line is gone since: two did
/// for a day. To build each takes a minute; to look for its words takes none.
#[test]
fn words_in_added_lines_are_words_of_the_sources() {
    let root = workspace();
    let mut known = BTreeSet::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).expect("a source");
                known.extend(words(&text).map(|(_, word)| word.to_owned()));
            }
        }
    }
    let mut unknown = Vec::new();
    for mutant in load_all(&root.join("sim-tests/mutants")).expect("whole headers") {
        let added = mutant
            .diff()
            .unwrap_or_default()
            .lines()
            .filter(|line| !line.starts_with("+++"));
        let added: Vec<&str> = added.filter_map(|line| line.strip_prefix('+')).collect();
        let code: Vec<&str> = added
            .iter()
            .map(|line| without_words_for_people(line))
            .collect();
        let named = code.iter().flat_map(|line| words(line));
        let (own, used): (Vec<_>, Vec<_>) = named.partition(|(before, _)| names(before));
        let own: BTreeSet<&str> = own.into_iter().map(|(_, word)| word).collect();
        for (_, word) in used {
            if !known.contains(word) && !own.contains(word) {
                unknown.push(format!("{}: {word}", mutant.id));
            }
        }
    }
    assert!(unknown.is_empty(), "no such words:\n{}", unknown.join("\n"));
}

/// The words of code, each with the text between it and the line's begin.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.lines().flat_map(move |line| {
        let parts = line.split(move |letter: char| !is_letter(letter));
        let is_word =
            |part: &&str| part.starts_with(|first: char| first.is_alphabetic() || first == '_');
        parts.filter(is_word).map(move |word| {
            let at = word.as_ptr() as usize - line.as_ptr() as usize;
            (&line[..at], word)
        })
    })
}

/// Whether the word behind that text is a new name.
fn names(before: &str) -> bool {
    let before = before.trim_end();
    let keywords = [
        "let", "mut", "fn", "const", "static", "struct", "for", "|", "(",
    ];
    keywords.iter().any(|keyword| before.ends_with(keyword))
        && ["let", "fn", "const", "static", "struct", "for", "|"]
            .iter()
            .any(|keyword| before.contains(keyword))
}

/// A line of code up to its comment or its first text.
fn without_words_for_people(line: &str) -> &str {
    let code = line.split("//").next().unwrap_or_default();
    code.split('"').next().unwrap_or_default()
}

/// One that is gone is gone from the measure of every check.
#[test]
fn these_are_the_mutants_and_what_is_expected_of_them() {
    let mutants = load_all(&workspace().join("sim-tests/mutants")).expect("whole headers");
    let line = |mutant: &Mutant| format!("{} {:?}\n", mutant.id, mutant.expect);
    insta::assert_snapshot!(mutants.iter().map(line).collect::<String>());
}

#[test]
fn an_incomplete_header_is_named() {
    let whole = "id: X01\nbreaks: b\nexposed-by: e\nlevel: easy\nexpect: killed\n\
                 scenarios: s.toml\nseeds: 0..8\ncap-cpu-s: 1\n\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n";
    let parse = |text: &str| parse(Path::new("x.patch"), text);
    let changed = parse(whole).and_then(|mutant| mutant.apply(|_| Ok("a\n".to_owned())));
    assert_eq!(
        changed.expect("it applies"),
        [("f".to_owned(), "b\n".to_owned())]
    );
    for key in [
        "id",
        "breaks",
        "exposed-by",
        "level",
        "expect",
        "scenarios",
        "seeds",
        "cap-cpu-s",
    ] {
        let lines = whole.split_inclusive('\n');
        let without: String = lines
            .filter(|line| !line.starts_with(&format!("{key}: ")))
            .collect();
        let why = parse(&without).expect_err(key).to_string();
        assert_eq!(why, format!("x.patch: the header has no `{key}`"));
    }
    let gone = parse(whole).and_then(|mutant| mutant.apply(|_| Ok("c\n".to_owned())));
    assert!(gone.is_err(), "the code moved on");
}

/// The output of `git diff` will do: its id is the file's name, and nobody aims at it.
#[test]
fn a_bare_diff_is_a_mutant() {
    let part = |file: &str| {
        format!(
            "diff --git a/{file} b/{file}\nindex 1..2 100644\n--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-a\n+b\n"
        )
    };
    let text = part("f") + &part("g");
    let mutant = parse(Path::new("d/mine.patch"), &text).expect("it has no header");
    assert_eq!((mutant.id.as_str(), mutant.aim.is_none()), ("mine", true));
    let changed = mutant.apply(|_| Ok("a\n".to_owned())).expect("it applies");
    let wanted = ["f", "g"].map(|file| (file.to_owned(), "b\n".to_owned()));
    assert_eq!(changed, wanted);
}
