//! Operations of the disk are refused, and nothing of what it holds is lost.

use crate::history::FaultKind;
use crate::scenario::{Choice, DiskVerb, Files, Refusal};
use crate::sim::disk_io::Refused;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// These are refused.
#[derive(Debug)]
struct Refusing(Refused);

pub(super) fn refused(error: Choice<Refusal>, operation: Choice<DiskVerb>, file: Files) -> Refused {
    Refused {
        error: error.get(),
        operation: operation.get(),
        file: file.class(),
    }
}

impl Run<'_> {
    pub(super) fn refuse_operations(&mut self, machine: usize, refused: Refused, lasts_ns: u64) {
        self.world.lock().disks[machine].refuse(refused);
        let kind = FaultKind::DiskError;
        self.open_window(machine, kind, Refusing(refused), Some(lasts_ns));
    }
}

impl Lasts for Refusing {
    fn traces(&self, run: &Run<'_>, machine: usize) -> u64 {
        run.world.lock().disks[machine].counts.refused
    }

    fn needs(&self) -> Needs {
        Needs::Traces
    }

    fn end(&self, run: &mut Run<'_>, machine: usize) {
        let still = run.open_on::<Self>(machine).map(|other| other.0).collect();
        run.world.lock().disks[machine].refuse_only(still);
    }
}
