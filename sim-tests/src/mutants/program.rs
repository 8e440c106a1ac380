//! A `zeroloss` that was built, and its runs.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::weave::NUMBER_VARIABLE;

/// Memory of a process, bytes: what a mistake makes grow without end ends here, and not with
/// the machine's. A swarm takes less than 300 MB on two cores. The address space as such has
/// no limit: on many cores much of it is set aside and not used.
const MEMORY_BYTES: u64 = 8 << 30;

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

impl Program {
    /// The program in that file, which is run in `folder`.
    #[must_use]
    pub fn new(file: PathBuf, folder: PathBuf, number: u32) -> Self {
        Self {
            file,
            folder,
            number,
        }
    }

    /// Runs it to its end, within bounded memory.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> io::Result<Output> {
        let child = Command::new(&self.file)
            .args(arguments)
            .current_dir(&self.folder)
            .env(NUMBER_VARIABLE, self.number.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let limit = Rlimit {
            current: Some(MEMORY_BYTES),
            maximum: Some(MEMORY_BYTES),
        };
        // One that has ended already needs no limit.
        let _ = prlimit(Some(Pid::from_child(&child)), Resource::Data, limit);
        child.wait_with_output()
    }
}

#[cfg(test)]
mod tests {
    use super::Program;

    /// The limit comes right behind the begin, so the process waits for it.
    #[test]
    fn a_process_has_its_number_and_a_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Program::new("/bin/sh".into(), folder.path().to_owned(), 7);
        let script = "i=0; while [ $(ulimit -d) = unlimited ] && [ $i -lt 1000 ]; do i=$((i + 1)); done; \
                      echo $ZEROLOSS_MUTANT $(ulimit -d)";
        let ended = program.run(["-c", script]).expect("it is run");
        assert_eq!(String::from_utf8_lossy(&ended.stdout), "7 8388608\n");
    }
}
