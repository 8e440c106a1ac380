//! Messages on links take so many times as long.

use std::collections::{BTreeMap, BTreeSet};

use super::Strike;
use crate::history::FaultKind;
use crate::scenario::{Choice, CutDirection, CutLinks, PartitionShape};
use crate::sim::net::NodeId;
use crate::sim::run::cuts::{Links, Partition, keep_touching};
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// These links, so many times as long.
#[derive(Debug)]
struct LinksLimping(Links, u32);

impl Run<'_> {
    pub(super) fn limp_links(
        &mut self,
        strike: &Strike<'_>,
        (links, way): (Choice<CutLinks>, Choice<CutDirection>),
        factor: u32,
        lasts_ns: u64,
    ) {
        let limping = Partition {
            shape: PartitionShape::Isolate,
            links: links.get(),
            cut: way.get(),
        };
        let links = self.links_of(limping, strike.node as NodeId, strike.group);
        let limping = LinksLimping(links, factor);
        self.open_window(strike.node, FaultKind::LinkLimping, limping, Some(lasts_ns));
        self.renew_limping();
    }

    /// Slows what open windows say, and nothing else.
    pub(in crate::sim::run) fn renew_limping(&mut self) {
        let mut wanted = BTreeMap::new();
        for LinksLimping(links, factor) in self.open::<LinksLimping>() {
            for link in links {
                let known = wanted.entry(*link).or_insert(*factor);
                *known = (*known).max(*factor);
            }
        }
        self.world.lock().net.limp(wanted);
    }
}

impl Lasts for LinksLimping {
    fn traces(&self, run: &Run<'_>, _: usize) -> u64 {
        run.world.lock().net.limped_on(&self.0)
    }

    fn needs(&self) -> Needs {
        Needs::Traces
    }

    fn is_seen_at_the_end(&self) -> bool {
        true
    }

    fn end(&self, run: &mut Run<'_>, _: usize) {
        run.renew_limping();
    }

    fn stays_for(&mut self, stay: &BTreeSet<NodeId>) {
        keep_touching(&mut self.0, stay);
    }
}
