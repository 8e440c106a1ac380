//! The commit that is checked out: a draw follows from it, and a score names it.

use std::io;
use std::path::Path;
use std::process::Command;

use xxhash_rust::xxh3::xxh3_64;

/// The places whose changes make other sources of a commit.
const SOURCES: [&str; 4] = ["src", "scenarios", "Cargo.toml", "Cargo.lock"];

/// A commit of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Hexadecimal digits.
    pub hash: String,
    /// The date on which it was committed, `2026-12-01`.
    pub date: String,
    /// Whether the sources that are checked out are others.
    pub is_changed: bool,
}

impl Commit {
    /// The commit that is checked out.
    ///
    /// # Errors
    /// There is no Git checkout.
    pub fn of(workspace: &Path) -> io::Result<Self> {
        let shown = git(workspace, &["log", "-1", "--format=%H %cs"])?;
        let (hash, date) = shown
            .trim()
            .split_once(' ')
            .ok_or_else(|| io::Error::other("git log says what cannot be read"))?;
        let arguments = ["status", "--porcelain", "--"];
        let changed = git(workspace, &[&arguments[..], &SOURCES[..]].concat())?;
        Ok(Self {
            hash: hash.to_owned(),
            date: date.to_owned(),
            is_changed: !changed.is_empty(),
        })
    }

    /// The seed of this commit's draw: another commit draws others, and anybody can draw
    /// the same ones again.
    #[must_use]
    pub fn seed(&self) -> u64 {
        xxh3_64(self.hash.as_bytes())
    }
}

fn git(workspace: &Path, arguments: &[&str]) -> io::Result<String> {
    let asked = Command::new("git")
        .args(arguments)
        .current_dir(workspace)
        .output()?;
    match asked.status.success() {
        true => Ok(String::from_utf8_lossy(&asked.stdout).into_owned()),
        false => {
            let why = String::from_utf8_lossy(&asked.stderr);
            Err(io::Error::other(format!("git {}: {why}", arguments[0])))
        }
    }
}
