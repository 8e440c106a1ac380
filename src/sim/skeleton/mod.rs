//! A bare skeleton: the world of a run, and what its processes asked of it, with no
//! broker, no protocol and no judgement in them. The cost of a run beside it is the
//! cost of the product, the clients and the checks.
//!
//! ```text
//!   a run, watched ──▶ Script: every call on clock, disk and network, and when
//!                        │
//!   a fresh world  ◀── Player, one for each process: makes the same calls at
//!                      the same times, and takes what comes
//! ```
//!
//! The same links, disks and seed, so the same latencies; bytes of the same
//! lengths, which say nothing. Faults other than deaths are left out.

mod player;
mod script;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use madsim::runtime::{Handle, Runtime};

pub(crate) use script::Call;
pub use script::Script;

use self::player::{Player, Progress, Shared};
use self::script::Death;
use super::costs::RunCosts;
use super::disk::DiskSurvival;
use super::env::SimEnv;
use super::random::{Purpose, Stream};
use super::run::empty_world;
use super::world::{World, drive};
use crate::scenario::Scenario;

/// The run looks at everything so often; so does its skeleton.
const TICK_NS: u64 = 10_000_000;

/// Plays `script`, recorded from a run of `scenario` with `seed`; returns what
/// that did to the world. To be called on a fresh thread, as [`super::run`].
pub fn run_skeleton(scenario: &Scenario, seed: u64, script: Script) -> RunCosts {
    let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.block_on(run_here(scenario, seed, script))
}

async fn run_here(scenario: &Scenario, seed: u64, script: Script) -> RunCosts {
    let world = Arc::new(empty_world(scenario, seed));
    let (ends_ns, leader) = (script.ends_ns, script.leader);
    let mut stage = Stage {
        world: Arc::clone(&world),
        handle: Handle::current(),
        shared: Arc::default(),
        steps: steps_of(script),
        players: Vec::new(),
    };
    for (number, step) in stage.steps.iter().enumerate() {
        world.plan_control(step.at_ns(), number as u64);
    }
    drive(&world, u64::MAX, |number| {
        stage.step(number as usize);
        match world.now_ns() >= ends_ns {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })
    .await;
    stage.end().await;
    RunCosts::of(&world, leader, 0)
}

/// The events of the skeleton's machines.
#[derive(Debug)]
enum ScriptStep {
    Begin(script::Life),
    Death(Death),
    Tick(u64),
}

impl ScriptStep {
    fn at_ns(&self) -> u64 {
        match self {
            Self::Begin(life) => life.begins_ns,
            Self::Death(death) => death.at_ns,
            Self::Tick(at_ns) => *at_ns,
        }
    }
}

/// In the order of their times; a death comes before the birth that follows it.
fn steps_of(script: Script) -> Vec<ScriptStep> {
    let ticks = (1..=script.ends_ns.div_ceil(TICK_NS)).map(|tick| ScriptStep::Tick(tick * TICK_NS));
    let deaths = script.deaths.into_iter().map(ScriptStep::Death);
    let lives = script.lives.into_iter().map(ScriptStep::Begin);
    let mut steps: Vec<ScriptStep> = deaths.chain(lives).chain(ticks).collect();
    steps.sort_by_key(ScriptStep::at_ns);
    steps
}

struct Stage {
    world: Arc<World>,
    handle: Handle,
    shared: Arc<Shared>,
    steps: Vec<ScriptStep>,
    players: Vec<(u32, madsim::task::NodeId, Progress)>,
}

impl Stage {
    fn step(&mut self, number: usize) {
        let now_ns = self.world.now_ns();
        match std::mem::replace(&mut self.steps[number], ScriptStep::Tick(now_ns)) {
            ScriptStep::Begin(life) => self.begin(life),
            ScriptStep::Death(death) => self.die(death),
            ScriptStep::Tick(_) => {
                for (_, _, progress) in &self.players {
                    progress.wake_if_late(now_ns);
                }
            }
        }
    }

    fn begin(&mut self, life: script::Life) {
        self.kill(life.node);
        let incarnation = self.world.process_starts(life.node);
        let env = SimEnv::new(Arc::clone(&self.world), life.node, incarnation);
        let progress = Progress::default();
        let player = Player::new(env, life.calls, Arc::clone(&self.shared), progress.clone());
        let madsim = self.handle.create_node().build();
        drop(madsim.spawn(player.play()));
        self.players.push((life.node, madsim.id(), progress));
    }

    fn die(&mut self, death: Death) {
        let Death {
            node, machine_too, ..
        } = death;
        self.kill(node);
        self.world.process_dies(node, machine_too);
        let disk = &mut self.world.lock().disks[node as usize];
        match machine_too {
            true => {
                // Operations that did not survive could not be called on any more.
                let mut dice = Stream::new(0, Purpose::Survival);
                disk.model.power_loss(DiskSurvival::All, &mut dice);
                disk.machine_died();
            }
            false => disk.process_died(),
        }
    }

    fn kill(&mut self, node: u32) {
        self.players.retain(|(of, madsim, _)| {
            if *of == node {
                self.handle.kill(*madsim);
            }
            *of != node
        });
    }

    async fn end(&mut self) {
        for (_, madsim, _) in &self.players {
            self.handle.kill(*madsim);
        }
        madsim::time::sleep(Duration::from_millis(5)).await;
    }
}
