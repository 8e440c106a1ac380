//! A machine of somebody who keeps to no rule, where the scenario has one.

use std::sync::Arc;

use super::clients::add_client;
use super::phases::Run;
use crate::check::{At, Finding, Promise};
use crate::history::Happening;
use crate::scenario::Workload;
use crate::sim::env::SimEnv;
use crate::sim::net::NodeId;
use crate::sim::world::Inner;
use crate::workload::{StrangerPlan, Turned, stranger};

/// Told apart from the clients' streams of chance.
const SEED: u64 = 0x57_4a_4e_47_e4;

/// The stranger's process.
#[derive(Debug)]
pub(super) struct Stranger {
    life: Option<madsim::task::NodeId>,
    turned: Turned,
}

impl Run<'_> {
    /// Lets the stranger in; it goes by itself when everything heals.
    pub(super) fn let_stranger_in(&mut self) {
        let Some(what) = self.scenario.stranger else {
            return;
        };
        let node = add_client(&self.world, self.seed);
        let incarnation = self.world.process_starts(node);
        let env = SimEnv::new(Arc::clone(&self.world), node, incarnation);
        let topics = self.scenario.workloads.iter().map(Workload::topic);
        let plan = StrangerPlan {
            brokers: self.setting.brokers.clone(),
            topics: topics.map(str::to_owned).collect(),
            pause_ns: 1_000_000_000 / what.rate_per_s.max(1),
            streams_max: what.streams_max as usize,
            partial_bytes: what.partial_bytes.low..=what.partial_bytes.high,
            stop_at_ns: self.setting.stop_at_ns,
            seed: self.seed ^ SEED,
        };
        let turned = Turned::default();
        let madsim = self.handle.create_node().build();
        drop(madsim.spawn(stranger(env, plan, turned.clone())));
        self.stranger = Some(Stranger {
            life: Some(madsim.id()),
            turned,
        });
    }

    /// The fate of the stranger.
    pub(super) fn strangers_fate(&self) -> Vec<(Happening, u64)> {
        let turned = self.stranger.as_ref().map(|stranger| &stranger.turned);
        let garbled = self.world.lock().net.fates.garbled_delivered;
        let counts = turned.map(|turned| {
            [
                (Happening::StrangerRefused, turned.refused()),
                (Happening::StrangerClosed, turned.closed()),
            ]
        });
        let counts = counts.into_iter().flatten();
        counts
            .chain([(Happening::PeerGarbled, garbled)])
            .filter(|(_, times)| *times > 0)
            .collect()
    }

    /// A broker that held more of what clients sent than it bears.
    pub(super) fn exceeded_bounds(&self) -> Option<Finding> {
        let inner = self.world.lock();
        let (node, what) = inner.net.held_too_much()?;
        Some(Finding {
            promise: Promise::Bounds,
            lines: vec![format!("{} held {what}", inner.core.name_of(node))],
            at_ns: inner.core.now_ns,
            event: 0,
            moments_ns: Vec::new(),
        })
    }

    /// Looks for a request that a broker took, and neither answered nor refused, while all
    /// processes still live: one that is gone owes nothing.
    pub(super) fn judge_unanswered(&self) {
        let stays = |node: NodeId| !self.machines[node as usize].retired;
        let mut inner = self.world.lock();
        let Inner { core, tap, .. } = &mut *inner;
        let Some((node, owing)) = tap.overdue(core.now_ns, stays) else {
            return;
        };
        let line = format!(
            "{} took a request with code {} at {}, and has not answered it",
            core.name_of(node),
            owing.code,
            At(owing.taken_ns)
        );
        tap.finds(core, Promise::Liveness, vec![line]);
    }

    /// Ends the stranger.
    pub(super) fn show_stranger_out(&mut self) {
        let life = self.stranger.as_mut().and_then(|it| it.life.take());
        if let Some(life) = life {
            self.handle.kill(life);
        }
    }
}
