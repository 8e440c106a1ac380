//! A preset is compared with the strict setting under the same seeds: so the two
//! files may differ in what the preset decides, and in nothing else.

use std::fs;
use std::path::{Path, PathBuf};

/// Keys of `[cluster]` that the preset decides, and words for readers; of the seeds a
/// preset may run the first ones alone.
const MAY_DIFFER: [&str; 6] = ["title", "why", "flush", "preset", "producer_dedup", "seeds"];

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// The lines above `[expect]`, but for those that may differ.
fn asked_of(file: &str) -> Vec<String> {
    let text = fs::read_to_string(scenarios().join(file)).expect("it is there");
    let (asked, _) = text.split_once("[expect]").expect("it expects something");
    let key = |line: &&str| line.split(" = ").next().unwrap_or("").to_owned();
    let stays = |line: &&str| !MAY_DIFFER.contains(&key(line).as_str());
    asked.lines().filter(stays).map(str::to_owned).collect()
}

/// The range of seeds that a file runs.
fn seeds_of(file: &str) -> (u64, u64) {
    let asked = fs::read_to_string(scenarios().join(file)).expect("it is there");
    let seeds = asked
        .lines()
        .find_map(|line| line.strip_prefix("seeds = \""));
    let range = seeds.and_then(|rest| rest.trim_end_matches('"').split_once(".."));
    let (first, end) = range.expect("every file runs some seeds");
    let number = |text: &str| text.parse().expect("a number");
    (number(first), number(end))
}

#[test]
fn the_java_preset_is_asked_the_same_as_the_strict_setting() {
    let pairs = [
        ("weak/swarm-dledger.toml", "swarm.toml"),
        (
            "weak/dledger-power-quorum.toml",
            "raft/dledger-power-quorum-strict.toml",
        ),
    ];
    for (preset, strict) in pairs {
        let (of_preset, of_strict) = (asked_of(preset), asked_of(strict));
        assert!(of_preset.len() > 20, "{preset}");
        assert_eq!(of_preset, of_strict);
        let (seeds, strict_seeds) = (seeds_of(preset), seeds_of(strict));
        assert!(
            seeds.0 == strict_seeds.0 && seeds.1 <= strict_seeds.1,
            "{preset}: seeds that the strict setting does not run"
        );
    }
}
