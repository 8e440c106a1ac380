//! A durable sector changes.

use crate::scenario::{FileClass, RotForm};
use crate::sim::disk::RotKind;
use crate::sim::run::phases::Run;

impl Run<'_> {
    pub(super) fn rot(&mut self, machine: usize, file: FileClass, form: RotForm, seed: u64) {
        let rot = match form {
            RotForm::Bit => RotKind::Bit,
            RotForm::Zeros => RotKind::Zeros,
            RotForm::Garbage => RotKind::Garbage,
        };
        self.damage_sector(machine, Some(rot), file, seed);
    }
}
