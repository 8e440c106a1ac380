//! The journal of a hunt over many mutants: a line for each that is done, so that a run
//! that was cut off goes on where it ended. What was found out before the first of them
//! is written down, too, and is not done again.
//!
//! ```text
//!   {"of":"the sources, the patches and the arguments, as a hash"} ⏎
//!   {"drawn":["raft/vote.rs:12 off-by-one-1",…]} ⏎
//!   {"gate":[{"scenario":"scenarios/acts/…","cpu_s":0.4},…]} ⏎
//!   {"green_cpu_s":812.5} ⏎
//!   {"id":"S01","hunts":[…]} ⏎ …
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::gate::GateScenario;
use super::table::Hunt;

/// The subject of the lines behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    of: String,
}

/// A line behind the head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    /// The generated mutants that compile, by id.
    Drawn { drawn: Vec<String> },
    /// The gate without a mutant, the cheapest scenario first.
    Gate { gate: Vec<GateScenario> },
    /// The tree was run without a mutant and is green.
    Green { green_cpu_s: f64 },
    /// A mutant is done.
    Done { id: String, hunts: Vec<Hunt> },
}

/// See the module.
#[derive(Debug, Default)]
pub struct Journal {
    file: Option<File>,
    drawn: Option<Vec<String>>,
    gate: Option<Vec<GateScenario>>,
    is_green: bool,
    done: BTreeMap<String, Vec<Hunt>>,
}

impl Journal {
    /// No journal: every mutant is hunted.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The journal in that file, which is begun where there is none. A last line that was
    /// cut off is left out: its mutant is hunted again.
    ///
    /// # Errors
    /// It cannot be read or written, or is of something else than `of`.
    pub fn open(path: &Path, of: &str) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut lines = whole.lines();
        let head = Head { of: of.to_owned() };
        let is_cut_head = serde_json::to_string(&head)?.starts_with(&text);
        if whole.is_empty() && !is_cut_head {
            let why = "is no journal: name another file";
            return Err(io::Error::other(format!("{} {why}", path.display())));
        }
        let is_begun = match lines.next() {
            None => false,
            Some(line) if serde_json::from_str(line).is_ok_and(|read: Head| read == head) => true,
            Some(_) => {
                let why = "is of other sources, patches or arguments: move it away";
                return Err(io::Error::other(format!("{} {why}", path.display())));
            }
        };
        let mut journal = Self::default();
        for (line, number) in lines.zip(2..) {
            let line = serde_json::from_str(line)
                .map_err(|why| io::Error::other(format!("{}:{number}: {why}", path.display())))?;
            journal.take(line);
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(whole.len() as u64)?;
        if !is_begun {
            writeln!(file, "{}", serde_json::to_string(&head)?)?;
        }
        journal.file = Some(file);
        Ok(journal)
    }

    /// The generated mutants that were drawn, by id.
    #[must_use]
    pub fn drawn(&self) -> Option<&[String]> {
        self.drawn.as_deref()
    }

    /// The gate's scenarios and their costs, where they were measured.
    #[must_use]
    pub fn gate(&self) -> Option<&[GateScenario]> {
        self.gate.as_deref()
    }

    /// Whether the tree was run without a mutant and is green.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.is_green
    }

    /// The hunts of a mutant that is done.
    #[must_use]
    pub fn done(&self, id: &str) -> Option<&[Hunt]> {
        self.done.get(id).map(Vec::as_slice)
    }

    /// These generated mutants were drawn.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn add_drawn(&mut self, drawn: Vec<String>) -> io::Result<()> {
        self.add_line(Line::Drawn { drawn })
    }

    /// The gate was measured.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn add_gate(&mut self, gate: Vec<GateScenario>) -> io::Result<()> {
        self.add_line(Line::Gate { gate })
    }

    /// The tree is green.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn add_green(&mut self, green_cpu_s: f64) -> io::Result<()> {
        self.add_line(Line::Green { green_cpu_s })
    }

    /// A mutant is done.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn add(&mut self, id: &str, hunts: &[Hunt]) -> io::Result<()> {
        let (id, hunts) = (id.to_owned(), hunts.to_owned());
        self.add_line(Line::Done { id, hunts })
    }

    fn add_line(&mut self, line: Line) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            writeln!(file, "{}", serde_json::to_string(&line)?)?;
            file.sync_data()?;
        }
        self.take(line);
        Ok(())
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Drawn { drawn } => self.drawn = Some(drawn),
            Line::Gate { gate } => self.gate = Some(gate),
            Line::Green { .. } => self.is_green = true,
            Line::Done { id, hunts } => _ = self.done.insert(id, hunts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{File, GateScenario, Journal, Path, Write, fs};

    fn save(path: &Path, bytes: &[u8]) {
        let written = File::create(path).and_then(|mut file| file.write_all(bytes));
        written.expect("it is written");
    }

    /// Cut off at each byte, it has what was whole, goes on, and is refused by others.
    #[test]
    fn a_line_that_was_cut_off_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, "a").expect("it is begun");
        journal.add("S01", &[]).expect("it is written");
        journal.add("S02", &[]).expect("it is written");
        let text = fs::read(&path).expect("it is there");
        for end in 0..text.len() {
            save(&path, &text[..end]);
            let journal = Journal::open(&path, "a").expect("it goes on");
            let lines = text[..end].iter().filter(|byte| **byte == b'\n').count();
            let done = ["S01", "S02"].map(|id| journal.done(id).is_some());
            assert_eq!(done, [lines > 1, lines > 2], "cut at byte {end}");
        }
        let other = Journal::open(&path, "b").expect_err("another tree");
        assert!(other.to_string().contains("move it away"), "{other}");
        save(&path, b"a letter");
        let other = Journal::open(&path, "a").expect_err("no journal");
        assert!(other.to_string().contains("is no journal"), "{other}");
        assert_eq!(fs::read(&path).expect("it is there"), b"a letter");
    }

    /// The draw, the gate's costs and the tree's colour are read again, each with its line.
    #[test]
    fn what_was_found_out_first_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let gate = vec![GateScenario {
            scenario: "scenarios/a.toml".to_owned(),
            cpu_s: 0.5,
        }];
        let drawn = vec!["log/a.rs:1 off-by-one-1".to_owned()];
        let mut journal = Journal::open(&path, "a").expect("it is begun");
        assert!(journal.drawn().is_none() && journal.gate().is_none() && !journal.is_green());
        journal.add_drawn(drawn.clone()).expect("it is written");
        journal.add_gate(gate.clone()).expect("it is written");
        journal.add_green(2.5).expect("it is written");
        for journal in [journal, Journal::open(&path, "a").expect("it goes on")] {
            assert_eq!(journal.drawn(), Some(drawn.as_slice()));
            assert_eq!(journal.gate(), Some(gate.as_slice()));
            assert!(journal.is_green());
        }
    }
}
