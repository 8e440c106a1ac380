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

use serde::Deserialize;

use super::patch::Mutant;
use super::weave::{NUMBER_VARIABLE, Woven, WovenFile};

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

/// A `zeroloss` that was built from the copy.
#[derive(Debug, Clone)]
pub struct Program {
    file: PathBuf,
    /// Scenario files are named from here.
    folder: PathBuf,
    /// The mutant that is switched on; 0 for none.
    number: u32,
}

/// The two programs that a hunt compares.
#[derive(Debug, Clone)]
pub struct Pair {
    /// With the mutant.
    pub planted: Program,
    /// Without it.
    pub unplanted: Program,
}

/// How a build is optimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build again, for a few mutants.
    Mutant,
    /// Quick to run, for many.
    Release,
}

impl Program {
    /// The command, without arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut zeroloss = Command::new(&self.file);
        zeroloss.current_dir(&self.folder);
        zeroloss.env(NUMBER_VARIABLE, self.number.to_string());
        zeroloss
    }
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
        loop {
            self.restore()?;
            let files = woven.files();
            for file in &files {
                self.put(Path::new(&file.file), file.text.as_bytes())?;
            }
            let Err(errors) = self.build(profile) else {
                fs::copy(self.built(profile), self.woven())?;
                return Ok(());
            };
            let refused = refused(&errors, &files);
            if refused.is_empty() {
                let said: String = errors.iter().map(|error| error.said.as_str()).collect();
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
            let said: String = errors.iter().map(|error| error.said.as_str()).collect();
            format!("mutant {} does not build:\n{said}", mutant.id)
        })?;
        Ok(Pair {
            planted: self.program(self.built(Profile::Mutant), 0),
            unplanted: self.unplanted(),
        })
    }

    /// Builds `zeroloss` from the copy.
    fn build(&self, profile: Profile) -> Result<(), Vec<CompilerError>> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .args(["build", "--profile", profile.name(), "-p", "zeroloss"])
            .args(["--bin", "zeroloss", "--quiet", "--message-format", "json"])
            .arg("--target-dir")
            .arg(&self.target)
            .current_dir(&self.copy);
        // Set, even to nothing, either would switch the simulation off.
        for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            cargo.env_remove(flags);
        }
        let built = cargo
            .output()
            .map_err(|why| vec![CompilerError::without_place(why.to_string())])?;
        if built.status.success() {
            return Ok(());
        }
        let messages = String::from_utf8_lossy(&built.stdout);
        let errors: Vec<_> = messages.lines().filter_map(CompilerError::parse).collect();
        match errors.is_empty() {
            true => {
                let said = String::from_utf8_lossy(&built.stderr).into_owned();
                Err(vec![CompilerError::without_place(said)])
            }
            false => Err(errors),
        }
    }

    fn program(&self, file: PathBuf, number: u32) -> Program {
        Program {
            file,
            folder: self.copy.clone(),
            number,
        }
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

/// An error of the compiler.
#[derive(Debug)]
struct CompilerError {
    /// As it is shown to people.
    said: String,
    /// Files and lines, the one that is to blame first.
    places: Vec<(String, usize)>,
}

/// A line of `cargo build --message-format json`, as far as it matters here.
#[derive(Deserialize)]
struct CargoLine {
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
    spans: Vec<DiagnosticSpan>,
}

#[derive(Deserialize)]
struct DiagnosticSpan {
    file_name: String,
    line_start: usize,
    is_primary: bool,
}

impl CompilerError {
    fn parse(line: &str) -> Option<Self> {
        let message = serde_json::from_str::<CargoLine>(line).ok()?.message?;
        if message.level != "error" {
            return None;
        }
        let mut spans = message.spans;
        spans.sort_by_key(|span| !span.is_primary);
        Some(Self {
            said: message.rendered.unwrap_or_default(),
            places: spans
                .into_iter()
                .map(|span| (span.file_name, span.line_start))
                .collect(),
        })
    }

    fn without_place(said: String) -> Self {
        Self {
            said,
            places: Vec::new(),
        }
    }
}

/// The mutants in whose lines the errors are, each with the first line of one.
fn refused(errors: &[CompilerError], files: &[WovenFile]) -> BTreeMap<u32, String> {
    let mut refused = BTreeMap::new();
    for error in errors {
        let in_places = error.places.iter().find_map(|(name, line)| {
            let woven = files.iter().find(|woven| woven.file == *name)?;
            let mut lines = woven.lines.iter();
            lines.find_map(|(range, number)| range.contains(line).then_some(*number))
        });
        if let Some(number) = in_places {
            let first = error.said.lines().next().unwrap_or_default();
            let why = format!("beside the others the compiler says: {first}");
            refused.entry(number).or_insert(why);
        }
    }
    refused
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
