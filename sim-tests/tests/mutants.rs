//! The planted mistakes still fit the product. Whether they are noticed is what
//! the `mutants` binary is for: it builds each of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sim_tests::mutants::patch::{Mutant, load_all};

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
        assert!(!mutant.seeds.is_empty(), "{id} has no seeds");
        for scenario in &mutant.scenarios {
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
    let parse = |text: &str| Mutant::parse(Path::new("x.patch"), text);
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
