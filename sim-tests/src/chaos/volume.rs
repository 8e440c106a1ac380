//! A broker's disk: a small file system of its own where one may be mounted, so
//! that it can be full.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Size of the file system, MiB.
const SIZE_MIB: u64 = 192;
/// The other program's file.
const FILLER: &str = "somebody-elses-file";
/// It grows by so much at a time, bytes.
const PIECE_BYTES: usize = 1 << 20;

/// A folder, and whether it is a file system of its own. Unmounted when dropped.
#[derive(Debug)]
pub(super) struct Volume {
    path: PathBuf,
    mounted: bool,
}

impl Volume {
    pub(super) fn make(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        let size = format!("size={SIZE_MIB}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "zeroloss-chaos"])
            .arg(&path)
            .output()
            .is_ok_and(|mounted| mounted.status.success());
        Ok(Self { path, mounted })
    }

    /// Whether it can be full: it is a small file system.
    pub(super) fn is_small(&self) -> bool {
        self.mounted
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Another program takes all that is free.
    pub(super) fn fill(&self) -> io::Result<()> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.path.join(FILLER))?;
        let mut piece = vec![0xaa; PIECE_BYTES];
        while !piece.is_empty() {
            match file.write(&piece) {
                Ok(written) if written > 0 => {}
                Ok(_) => piece.clear(),
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    piece.truncate(piece.len() / 2);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// It gives that back.
    pub(super) fn empty(&self) -> io::Result<()> {
        match fs::remove_file(self.path.join(FILLER)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: a process that still ends may have a file open.
            let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        }
    }
}
