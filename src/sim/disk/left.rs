//! Files and directories that somebody else leaves on a disk, durably.

use std::io;

use bytes::Bytes;

use super::Ino;
use super::content::Content;
use super::error::refused;
use super::file::FileNode;
use super::model::DiskModel;
use super::names::EntryChange;

impl DiskModel {
    /// Somebody else makes a file of that size that begins with these bytes, and zeros
    /// follow. `mark` comes back from [`DiskModel::take_met`] once a process opens, renames,
    /// replaces or removes it. `AlreadyExists`; `NotFound` where the parent is missing.
    pub fn leave_file(
        &mut self,
        path: &str,
        bytes: &Bytes,
        size_bytes: u64,
        mark: usize,
    ) -> io::Result<()> {
        let ino = self.leave(path, mark)?;
        let mut content = Content::default();
        content.write(0, bytes, size_bytes);
        let mut file = FileNode::default();
        file.cached = content.clone();
        file.durable = content;
        self.files.insert(ino, file);
        Ok(())
    }

    /// As [`DiskModel::leave_file`], an empty directory.
    pub fn leave_directory(&mut self, path: &str, mark: usize) -> io::Result<()> {
        let ino = self.leave(path, mark)?;
        self.names.directories.insert(ino, Default::default());
        Ok(())
    }

    fn leave(&mut self, path: &str, mark: usize) -> io::Result<Ino> {
        let name = self.name(path)?;
        // Where the name stands for something on the disk that processes do not see, this
        // one would take the place of a file that nobody removed.
        let components: Vec<&str> = path.split('/').collect();
        let is_durable = self.names.resolve(&components, true).is_some();
        if is_durable || self.lookup(&name).is_some() {
            return Err(refused(io::ErrorKind::AlreadyExists, path));
        }
        let (ino, seq) = (self.new_ino(), self.next_seq());
        self.names
            .change_durably(EntryChange::create(seq, name, ino));
        self.faults.left(ino, mark);
        Ok(ino)
    }

    /// The paths of all directories that a process sees, the root's (`""`) first.
    pub fn directories(&self) -> Vec<String> {
        let inodes = self.names.directories.keys();
        inodes.filter_map(|ino| self.path_of(*ino)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::disk::DiskConfig;

    /// Processes renamed `f` and do not see the name any more; the disk still has it.
    #[test]
    fn nothing_is_left_under_a_name_that_the_disk_alone_has() {
        let mut disk = DiskModel::new(DiskConfig::default());
        disk.create("f").expect("a new file");
        let sync = disk.begin_sync_dir("").expect("the root");
        disk.finish_sync_dir(sync).expect("no fault is armed");
        disk.rename("f", "g").expect("it is there");
        for taken in ["f", "g"] {
            let left = disk.leave_directory(taken, 0);
            let kind = left.map_err(|error| error.kind());
            assert_eq!(kind, Err(io::ErrorKind::AlreadyExists), "{taken}");
        }
        assert!(disk.leave_directory("h", 0).is_ok());
    }
}
