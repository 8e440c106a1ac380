//! A medium in one number: equal numbers, and no process can tell one from the
//! other.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Ino;
use super::model::DiskModel;
use super::names::ROOT;

impl DiskModel {
    /// Over all that a process could read after a power loss in which nothing
    /// unsynced survived: names, sizes, bytes, and what cannot be read.
    pub fn durable_digest(&self) -> u64 {
        self.digest_under(ROOT, 0)
    }

    fn digest_under(&self, directory: Ino, before: u64) -> u64 {
        let entries = &self.names.directories[&directory].durable;
        // A directory's end is told by the number of its entries.
        let mut digest = xxh3_64_with_seed(&(entries.len() as u64).to_le_bytes(), before);
        for (name, ino) in entries.iter() {
            digest = xxh3_64_with_seed(name.as_bytes(), digest);
            digest = match self.names.is_directory(*ino) {
                true => self.digest_under(*ino, digest),
                false => self.digest_of_file(*ino, digest),
            };
        }
        digest
    }

    fn digest_of_file(&self, ino: Ino, before: u64) -> u64 {
        let file = self.file(ino);
        let digest = xxh3_64_with_seed(&file.durable.size_bytes().to_le_bytes(), before);
        let digest = xxh3_64_with_seed(&file.durable.written(), digest);
        let bad = file.unreadable.iter();
        bad.fold(digest, |digest, sector| {
            xxh3_64_with_seed(&sector.to_le_bytes(), digest)
        })
    }
}
