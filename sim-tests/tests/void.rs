//! A run in which nothing could have gone wrong proves nothing: it is void, and
//! the command line says so by its exit code (guarantee.md, section 3).

use std::path::Path;
use std::process::Command;

/// One broker that is sent so many messages, one after the other, and the faults
/// of each case.
fn scenario(messages: u64, faults: &str) -> String {
    format!(
        r#"title = "nothing can matter"
why = "The test of void runs."

[cluster]
flush = "sync"
segment_bytes = 1_048_576

[[workload]]
kind = "send"
producers = 1
in_flight = 1
messages = {messages}
{faults}
[run]
seeds = "0..3"
duration_ms = 3_000

[expect]
outcome = "zero-loss"
"#
    )
}

/// The command line's exit code, and what it printed.
fn run(name: &str, messages: u64, faults: &str) -> (Option<i32>, String) {
    run_text(name, &scenario(messages, faults))
}

#[expect(clippy::disallowed_methods, reason = "a file for another process")]
fn run_text(name: &str, text: &str) -> (Option<i32>, String) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.toml"));
    std::fs::write(&file, text).expect("a file in the test's own directory");
    let ran = Command::new(env!("CARGO_BIN_EXE_zeroloss-child"))
        .args(["run", "--jobs", "1", "--ledger"])
        .arg(&file)
        .output()
        .expect("the command line runs");
    let shown = String::from_utf8(ran.stdout).expect("text");
    (ran.status.code(), shown)
}

const VOID: Option<i32> = Some(14);
/// Sent in the first tenth of a second.
const FEW: u64 = 5;

#[test]
fn a_fault_that_can_never_fire_makes_a_scenario_void() {
    // Five messages fill no segment.
    let never = "\n[[fault]]\nkind = \"power-loss\"\nwhen = \"rolling\"\n";
    let (code, shown) = run("never-fires", FEW, never);
    assert_eq!(code, VOID, "{shown}");
    assert!(shown.contains("3 void"), "{shown}");
    assert!(
        shown.contains("power-loss armed 3 times, fired 0"),
        "{shown}"
    );
}

#[test]
fn a_fault_that_a_scenario_does_not_ask_for_proves_nothing() {
    // Streams come in pieces by default, and thousands of messages meet that.
    let never = "\n[[fault]]\nkind = \"power-loss\"\nat_ms = [2_900, 2_950]\nwhen = \"rolling\"\n";
    let (code, shown) = run("in-pieces", 5_000, never);
    assert_eq!(code, VOID, "{shown}");
    assert!(shown.contains("3 void"), "{shown}");
    let asked = format!("\n[network]\nsplit = 0.5\n{never}");
    let (code, shown) = run("asked-for-pieces", 5_000, &asked);
    assert_eq!(code, VOID, "a stream in pieces is no fault: {shown}");
}

#[test]
fn a_fault_that_fires_when_nothing_can_matter_makes_a_scenario_void() {
    for (kind, keys) in [
        ("kill", ""),
        ("stray-file", ""),
        ("pause", "lasts_ms = 500\n"),
        ("disk-limping", "lasts_ms = 500\n"),
        ("link-limping", "lasts_ms = 500\n"),
        ("partition", "lasts_ms = 500\n"),
        ("clock-jump", "by_ms = 5_000\nlasts_ms = 500\n"),
        ("clock-drift", "lasts_ms = 500\n"),
        ("client-pause", "lasts_ms = 500\n"),
        ("client-clock-drift", "lasts_ms = 500\n"),
    ] {
        let late = format!("\n[[fault]]\nkind = \"{kind}\"\nat_ms = [2_000, 2_400]\n{keys}");
        let (code, shown) = run(kind, FEW, &late);
        assert_eq!(code, VOID, "{kind}: {shown}");
        assert!(
            shown.contains("fired 3 times, never when it could"),
            "{kind}: {shown}"
        );
    }
}

#[test]
fn the_same_faults_while_messages_are_sent_are_not_void() {
    for kind in ["kill", "pause", "clock-drift", "client-pause"] {
        let early =
            format!("\n[[fault]]\nkind = \"{kind}\"\nat_ms = [100, 300]\nwhen = \"in-flight\"\n");
        let (code, shown) = run(&format!("{kind}-early"), 5_000, &early);
        assert_eq!(code, Some(0), "{kind}: {shown}");
    }
}

/// An expectation missed.
const MISSED: Option<i32> = Some(10);

#[test]
fn a_happening_that_no_run_has_turns_the_gate_red() {
    let killed = |sometimes: &str| {
        let text = scenario(5_000, "\n[[fault]]\nkind = \"kill\"\nat_ms = [100, 300]\n");
        let expected = format!("outcome = \"zero-loss\"\nsometimes = [{sometimes}]");
        run_text(
            "sometimes",
            &text.replace("outcome = \"zero-loss\"", &expected),
        )
    };
    let (code, shown) = killed("\"tail-copied\"");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("runs with: tail-copied 3"), "{shown}");
    let (code, shown) = killed("\"tail-copied\", \"dead-letter\"");
    assert_eq!(code, MISSED, "{shown}");
    assert!(shown.contains("happened in no run: dead-letter"), "{shown}");
}
