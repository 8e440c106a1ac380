//! A copy of the sources to plant mistakes in, and its builds.
//!
//! Only what differs is written, so Cargo rebuilds what changed and no more; and
//! what is restored is written anew, or Cargo would take the last mutant's build
//! for it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::patch::Mutant;

/// Not part of the sources.
const LEFT_OUT: [&str; 3] = ["target", ".git", ".ci"];

/// A build of the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// As built last.
    Planted,
    /// Without a mutant.
    Tree,
}

/// The copy, beside its own target folder, under the workspace's `target`.
#[derive(Debug)]
pub struct Tree {
    workspace: PathBuf,
    copy: PathBuf,
    target: PathBuf,
}

impl Tree {
    /// Brings the copy up to date with the workspace.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn of(workspace: &Path) -> io::Result<Self> {
        let mutants = workspace.join("target").join("mutants");
        let tree = Self {
            workspace: workspace.to_owned(),
            copy: mutants.join("tree"),
            target: mutants.join("target"),
        };
        tree.restore()?;
        Ok(tree)
    }

    /// Makes the copy equal to the workspace.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn restore(&self) -> io::Result<()> {
        let wanted = files(&self.workspace)?;
        if self.copy.exists() {
            for file in files(&self.copy)?.difference(&wanted) {
                fs::remove_file(self.copy.join(file))?;
            }
        }
        for file in &wanted {
            let bytes = fs::read(self.workspace.join(file))?;
            self.put(file, &bytes)?;
        }
        Ok(())
    }

    /// Plants a mutant.
    ///
    /// # Errors
    /// It does not apply, or cannot be written.
    pub fn plant(&self, mutant: &Mutant) -> Result<(), Box<dyn std::error::Error>> {
        let changed = mutant.apply(|file| fs::read_to_string(self.copy.join(file)))?;
        for (file, text) in changed {
            self.put(Path::new(&file), text.as_bytes())?;
        }
        Ok(())
    }

    fn put(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let path = self.copy.join(file);
        if fs::read(&path).is_ok_and(|present| present == bytes) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::File::create(path)?.write_all(bytes)
    }

    /// Builds `zeroloss` from the copy.
    ///
    /// # Errors
    /// It does not build: what the compiler says.
    pub fn build(&self) -> Result<(), String> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .args(["build", "--profile", "mutant", "-p", "zeroloss"])
            .args(["--bin", "zeroloss", "--quiet", "--target-dir"])
            .arg(&self.target)
            .current_dir(&self.copy);
        // Set, even to nothing, either would switch the simulation off.
        for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            cargo.env_remove(flags);
        }
        let built = cargo.output().map_err(|why| why.to_string())?;
        match built.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&built.stderr).into_owned()),
        }
    }

    /// Builds `zeroloss` from the copy as it is, without a mutant, and keeps it for
    /// [`Binary::Tree`].
    ///
    /// # Errors
    /// It does not build, or cannot be kept.
    pub fn build_unplanted(&self) -> Result<(), Box<dyn std::error::Error>> {
        self.restore()?;
        self.build()?;
        fs::copy(self.binary(Binary::Planted), self.binary(Binary::Tree))?;
        Ok(())
    }

    /// A `zeroloss`, in the copy's folder.
    #[must_use]
    pub fn zeroloss(&self, which: Binary) -> Command {
        let mut zeroloss = Command::new(self.binary(which));
        zeroloss.current_dir(&self.copy);
        zeroloss
    }

    fn binary(&self, which: Binary) -> PathBuf {
        self.target.join("mutant").join(match which {
            Binary::Planted => "zeroloss",
            Binary::Tree => "zeroloss-unplanted",
        })
    }
}

/// All files of the sources, relative to their root.
fn files(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let relative = folder.join(entry.file_name());
            if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            match entry.file_type()?.is_dir() {
                true => folders.push(relative),
                false => _ = found.insert(relative),
            }
        }
    }
    Ok(found)
}
