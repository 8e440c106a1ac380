//! A copy of the sources to plant mistakes in, and its builds.
//!
//! Only what differs is written, so Cargo rebuilds what changed and no more; and
//! what is restored is written anew, or Cargo would take the last mutant's build
//! for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::compiler::{CompilerError, refused, said};
use super::mutant::Mutant;
use super::program::{Pair, Program};
use super::weave::Woven;

/// Not part of the sources.
const LEFT_OUT: [&str; 3] = ["target", ".git", ".ci"];

/// The places that a build or a run reads.
const IS_READ: [&str; 6] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "scenarios",
    "sim-tests/src",
    "src",
];

/// How a build is optimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build again, for a few mutants.
    Mutant,
    /// Quick to run, for many.
    Release,
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
        self.restore_but(&BTreeMap::new())
    }

    /// As [`Tree::restore`], but for files with other texts. A file that has its text
    /// already is not touched: Cargo builds again what is newer than its last build.
    fn restore_but(&self, texts: &BTreeMap<&Path, &String>) -> io::Result<()> {
        let wanted = files(&self.workspace)?;
        if self.copy.exists() {
            for file in files(&self.copy)?.difference(&wanted) {
                fs::remove_file(self.copy.join(file))?;
            }
        }
        for file in &wanted {
            match texts.get(file.as_path()) {
                Some(text) => self.put(file, text.as_bytes())?,
                None => self.put(file, &fs::read(self.workspace.join(file))?)?,
            }
        }
        Ok(())
    }

    /// Hashes the names and contents of all files that a build or a run reads.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn hash_sources(&self, hasher: &mut impl Hasher) -> io::Result<()> {
        for file in files(&self.workspace)? {
            if IS_READ.iter().any(|place| file.starts_with(place)) {
                (&file, fs::read(self.workspace.join(&file))?).hash(hasher);
            }
        }
        Ok(())
    }

    fn plant(&self, mutant: &Mutant) -> Result<(), Box<dyn std::error::Error>> {
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

    /// Builds the copy with all mutants that can be switches, and keeps it. A mutant that
    /// the compiler refuses is taken out, and the others are built without it.
    ///
    /// # Errors
    /// The copy does not build even so: what the compiler says.
    pub fn build_woven(
        &self,
        woven: &mut Woven,
        profile: Profile,
    ) -> Result<(), Box<dyn std::error::Error>> {
        self.without_refused(woven, || self.build(profile))?;
        fs::copy(self.built(profile), self.woven())?;
        Ok(())
    }

    /// Takes out the mutants of the product that the compiler refuses: a check of all of
    /// them at once, which costs a tenth of a build.
    ///
    /// # Errors
    /// As [`Tree::build_woven`].
    pub fn check_woven(&self, woven: &mut Woven) -> Result<(), Box<dyn std::error::Error>> {
        let arguments = ["check", "-p", "zeroloss-broker", "--lib", "--profile"];
        let arguments = arguments.into_iter().chain([Profile::Mutant.name()]);
        let arguments: Vec<_> = arguments.collect();
        self.without_refused(woven, || self.cargo(&arguments))
    }

    fn without_refused(
        &self,
        woven: &mut Woven,
        compile: impl Fn() -> Result<(), Vec<CompilerError>>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        loop {
            let files = woven.files();
            let texts = files
                .iter()
                .map(|woven| (Path::new(&woven.file), &woven.text));
            self.restore_but(&texts.collect())?;
            let Err(errors) = compile() else {
                return Ok(());
            };
            let refused = refused(&errors, &files);
            if refused.is_empty() {
                let said = said(&errors);
                return Err(format!("the tree with its switches does not build:\n{said}").into());
            }
            for (number, why) in refused {
                woven.take_out(number, &why);
            }
        }
    }

    /// The woven build with a mutant that is a switch.
    #[must_use]
    pub fn switched(&self, number: u32) -> Pair {
        Pair {
            planted: self.program(self.woven(), number),
            unplanted: self.unplanted(),
        }
    }

    /// The woven build with nothing switched on.
    #[must_use]
    pub fn unplanted(&self) -> Program {
        self.program(self.woven(), 0)
    }

    /// A build of its own for a mutant.
    ///
    /// # Errors
    /// It does not apply, or does not build.
    pub fn build_apart(&self, mutant: &Mutant) -> Result<Pair, Box<dyn std::error::Error>> {
        self.restore()?;
        self.plant(mutant)?;
        self.build(Profile::Mutant).map_err(|errors| {
            let said = said(&errors);
            format!("mutant {} does not build:\n{said}", mutant.id)
        })?;
        Ok(Pair {
            planted: self.program(self.built(Profile::Mutant), 0),
            unplanted: self.unplanted(),
        })
    }

    /// Builds `zeroloss` from the copy.
    fn build(&self, profile: Profile) -> Result<(), Vec<CompilerError>> {
        let arguments = ["build", "-p", "zeroloss", "--bin", "zeroloss", "--profile"];
        let arguments = arguments.into_iter().chain([profile.name()]);
        self.cargo(&arguments.collect::<Vec<_>>())
    }

    fn cargo(&self, arguments: &[&str]) -> Result<(), Vec<CompilerError>> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .args(arguments)
            .args(["--quiet", "--message-format", "json", "--target-dir"])
            .arg(&self.target)
            .current_dir(&self.copy);
        // Set, even to nothing, either would switch the simulation off.
        for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            cargo.env_remove(flags);
        }
        let ended = cargo
            .output()
            .map_err(|why| vec![CompilerError::without_place(why.to_string())])?;
        match ended.status.success() {
            true => Ok(()),
            false => Err(CompilerError::all(&ended)),
        }
    }

    fn program(&self, file: PathBuf, number: u32) -> Program {
        Program::new(file, self.copy.clone(), number)
    }

    fn built(&self, profile: Profile) -> PathBuf {
        self.target.join(profile.name()).join("zeroloss")
    }

    fn woven(&self) -> PathBuf {
        self.target.join("zeroloss-woven")
    }
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Mutant => "mutant",
            Self::Release => "release",
        }
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
