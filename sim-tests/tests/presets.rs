//! A preset is compared with the strict setting under the same seeds: so the two
//! files may differ in what the preset decides, and in nothing else.

use std::fs;
use std::path::Path;

/// Keys of `[cluster]` that the preset decides, words for readers, and how many of the same
/// seeds are run.
const MAY_DIFFER: [&str; 6] = ["title", "why", "flush", "preset", "producer_dedup", "seeds"];

/// The lines above `[expect]`, but for those that may differ.
fn asked_of(file: &str) -> Vec<String> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let text = fs::read_to_string(scenarios.join(file)).expect("it is there");
    let (asked, _) = text.split_once("[expect]").expect("it expects something");
    let key = |line: &&str| line.split(" = ").next().unwrap_or("").to_owned();
    let stays = |line: &&str| !MAY_DIFFER.contains(&key(line).as_str());
    asked.lines().filter(stays).map(str::to_owned).collect()
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
    }
}
