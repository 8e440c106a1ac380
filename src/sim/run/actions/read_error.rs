//! A sector cannot be read until it is rewritten.

use crate::scenario::FileClass;
use crate::sim::run::phases::Run;

impl Run<'_> {
    pub(super) fn read_error(&mut self, machine: usize, file: FileClass, seed: u64) {
        self.damage_sector(machine, None, file, seed);
    }
}
