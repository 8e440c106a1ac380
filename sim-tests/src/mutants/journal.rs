//! The journal of a hunt over many mutants: a line for each that is done, so that a run
//! that was cut off goes on where it ended.
//!
//! ```text
//!   {"of":"the sources, the patches and the arguments, as a hash"} ⏎
//!   {"id":"S01","hunts":[…]} ⏎ …
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::table::Hunt;

/// The subject of the lines behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    of: String,
}

/// A mutant that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Done {
    id: String,
    hunts: Vec<Hunt>,
}

/// See the module.
#[derive(Debug)]
pub struct Journal {
    file: Option<File>,
    done: BTreeMap<String, Vec<Hunt>>,
}

impl Journal {
    /// No journal: every mutant is hunted.
    #[must_use]
    pub fn none() -> Self {
        Self {
            file: None,
            done: BTreeMap::new(),
        }
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
        let mut done = BTreeMap::new();
        for (line, number) in lines.zip(2..) {
            let read: Done = serde_json::from_str(line)
                .map_err(|why| io::Error::other(format!("{}:{number}: {why}", path.display())))?;
            done.insert(read.id, read.hunts);
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(whole.len() as u64)?;
        if !is_begun {
            writeln!(file, "{}", serde_json::to_string(&head)?)?;
        }
        Ok(Self {
            file: Some(file),
            done,
        })
    }

    /// The hunts of a mutant that is done.
    #[must_use]
    pub fn done(&self, id: &str) -> Option<&[Hunt]> {
        self.done.get(id).map(Vec::as_slice)
    }

    /// A mutant is done.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn add(&mut self, id: &str, hunts: &[Hunt]) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let done = Done {
            id: id.to_owned(),
            hunts: hunts.to_owned(),
        };
        writeln!(file, "{}", serde_json::to_string(&done)?)?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::{File, Journal, Path, Write, fs};

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
}
