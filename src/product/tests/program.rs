//! `zeroloss-broker` as a process.

use std::path::Path;
use std::process::{Command, Output};

fn program(dir: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zeroloss-broker"));
    command.args(arguments.split(' ')).current_dir(dir);
    command.output().expect("it runs")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

#[test]
fn its_help_names_no_other_program() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for command in ["serve", "format", "salvage", "recover"] {
        let help = text(program(dir.path(), &format!("{command} --help")).stdout);
        assert!(help.contains("Usage: zeroloss-broker "), "{help}");
        assert!(!help.contains("zeroloss "), "{help}");
    }
}

#[test]
fn its_advice_names_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let served = program(dir.path(), "serve here");
    assert_eq!(served.status.code(), Some(2));
    insta::assert_snapshot!(text(served.stderr), @r"
    error: there is no directory here
      make one: zeroloss-broker format here
    ");
    let formatted = program(dir.path(), "format here --broker-id 7");
    assert_eq!(formatted.status.code(), Some(0));
    let said = text(formatted.stdout);
    assert!(said.ends_with(" of broker 7, cluster 1\n"), "{said}");
    let again = program(dir.path(), "format here --broker-id 7");
    assert_eq!(again.status.code(), Some(2), "once is enough");
}
