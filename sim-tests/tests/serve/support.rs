//! Processes of the command line, and what they say.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::NamedTempFile;
use zeroloss::env::real::RealEnv;
use zeroloss::env::{Env, Timer};

/// Settings that every test serves with: small segments, so that a few messages roll
/// over.
pub(crate) const SEGMENTS: [&str; 2] = ["--segment-bytes", "65536"];

/// Long enough for any machine; nothing waits for it where all goes well.
pub(crate) const PATIENCE_NS: u64 = 60_000_000_000;

/// Looks again and again until `done`.
pub(crate) async fn until(env: &RealEnv, done: impl Fn() -> bool) {
    let deadline_ns = env.now_ns() + PATIENCE_NS;
    let mut pause = env.timer();
    while !done() {
        assert!(env.now_ns() < deadline_ns, "no end of waiting");
        pause.reset(Some(env.now_ns() + 10_000_000));
        pause.fired().await;
    }
}

fn zeroloss(arguments: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zeroloss-child"));
    command.arg(arguments[0]).arg(dir).args(&arguments[1..]);
    command
}

pub(crate) fn ran(arguments: &[&str], dir: &Path) -> Output {
    zeroloss(arguments, dir).output().expect("it runs")
}

/// Exit code and what was complained about, the directory's name left out.
pub(crate) fn complaint(arguments: &[&str], dir: &Path) -> (Option<i32>, String) {
    // One that serves where it should refuse ends with 124.
    let mut command = Command::new("timeout");
    command.args(["30", env!("CARGO_BIN_EXE_zeroloss-child"), arguments[0]]);
    let output = command.arg(dir).args(&arguments[1..]).output();
    let output = output.expect("it runs");
    let complaint = String::from_utf8(output.stderr).unwrap();
    (
        output.status.code(),
        complaint.replace(dir.to_str().unwrap(), "DIR"),
    )
}

/// A serving process; ended with its owner.
pub(crate) struct Served {
    process: Child,
    pub(crate) address: SocketAddr,
    /// Its output on standard error.
    told: NamedTempFile,
}

impl Served {
    /// A broker that stands alone, on any port.
    pub(crate) fn start(dir: &Path) -> Self {
        Self::with(&["--listen", "127.0.0.1:0"], dir)
    }

    /// One that may hold so many descriptors.
    pub(crate) fn limited(descriptors: &str, dir: &Path) -> Self {
        let mut command = Command::new("sh");
        let limit = format!("ulimit -n {descriptors}; exec \"$@\"");
        command.args([
            "-c",
            &limit,
            "sh",
            env!("CARGO_BIN_EXE_zeroloss-child"),
            "serve",
        ]);
        command
            .arg(dir)
            .args(SEGMENTS)
            .args(["--listen", "127.0.0.1:0"]);
        Self::of(command)
    }

    pub(crate) fn with(arguments: &[&str], dir: &Path) -> Self {
        Self::with_settings(&[&SEGMENTS[..], arguments].concat(), dir)
    }

    /// With no settings but these.
    pub(crate) fn with_settings(arguments: &[&str], dir: &Path) -> Self {
        let arguments = [&["serve"], arguments].concat();
        Self::of(zeroloss(&arguments, dir))
    }

    fn of(mut command: Command) -> Self {
        let told = NamedTempFile::new().unwrap();
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::from(told.reopen().unwrap()))
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("it says where it listens");
        let address = line.strip_prefix("listening on ").map(str::trim_end);
        let address = address.and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| {
            let said = std::fs::read_to_string(told.path()).unwrap_or_default();
            panic!("no address in {line:?}; it said: {said}")
        });
        Self {
            process,
            address,
            told,
        }
    }

    /// Whether it has told its operator so.
    pub(crate) fn has_told(&self, what: &str) -> bool {
        std::fs::read_to_string(self.told.path())
            .unwrap()
            .contains(what)
    }

    /// The most memory that it ever held, KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// Ends it by a signal, and waits for the end.
    pub(crate) fn signal(mut self, name: &str) -> Option<i32> {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.expect("kill runs").success());
        self.process.wait().expect("it ends").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
