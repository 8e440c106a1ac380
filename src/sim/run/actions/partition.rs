//! Links are cut.

use std::collections::BTreeSet;

use super::Strike;
use crate::history::FaultKind;
use crate::scenario::{Choice, CutDirection, CutLinks, PartitionShape};
use crate::sim::net::NodeId;
use crate::sim::run::cuts::{Links, Partition, keep_touching};
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// These links are cut.
#[derive(Debug)]
struct Cut(Links);

impl Run<'_> {
    pub(super) fn part(
        &mut self,
        strike: &Strike<'_>,
        (shape, links, cut): (
            Choice<PartitionShape>,
            Choice<CutLinks>,
            Choice<CutDirection>,
        ),
        lasts_ns: u64,
    ) {
        let partition = Partition {
            shape: shape.get(),
            links: links.get(),
            cut: cut.get(),
        };
        let links = self.links_of(partition, strike.node as NodeId, strike.group);
        let kind = FaultKind::Partition;
        self.open_window(strike.node, kind, Cut(links), Some(lasts_ns));
        self.renew_cuts();
    }

    /// Cuts what open windows say, and heals everything else.
    pub(in crate::sim::run) fn renew_cuts(&mut self) {
        let wanted = self.open::<Cut>().flat_map(|cut| &cut.0).copied().collect();
        self.cut_only(wanted);
    }
}

impl Lasts for Cut {
    /// A message was held or dropped.
    fn traces(&self, run: &Run<'_>, _: usize) -> u64 {
        run.world.lock().net.cut_hits_on(&self.0)
    }

    fn needs(&self) -> Needs {
        Needs::Traces
    }

    fn end(&self, run: &mut Run<'_>, _: usize) {
        run.renew_cuts();
    }

    fn stays_for(&mut self, stay: &BTreeSet<NodeId>) {
        keep_touching(&mut self.0, stay);
    }
}
