//! Real processes, real sockets, real files, and an operator's ordinary day: three
//! brokers are killed, stopped, restarted with other settings, wiped and replaced,
//! run out of descriptors and out of disk, while clients work.
//!
//! ```text
//!   seed ─▶ actions ─▶ three broker processes on loopback
//!                          ▲
//!   workloads ─────────────┘  the simulation's own clients
//!       │
//!       └─▶ history ─▶ the simulation's own checkers ─▶ report
//! ```
//!
//! A seed decides which actions come and how long each lasts. It replays no
//! failure to the byte, as a simulation does: what processes, kernel and clock do
//! beside is theirs. So the folder of a red run is kept.

mod action;
mod broker;
mod cluster;
mod judging;
mod volume;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use zeroloss::env::real::RealEnv;
use zeroloss::env::{Env, Timer};
use zeroloss::sim::random::{Purpose, Stream};

pub use judging::Report;

use action::{Action, Under};
use cluster::Cluster;
use work::Work;

const MS_NS: u64 = 1_000_000;
/// Pause between two looks at what is due.
const LOOK_EVERY_NS: u64 = 10 * MS_NS;
/// Calm between two actions, milliseconds, at most.
const CALM_MS_MAX: u64 = 1_500;
/// How long a cluster may take to acknowledge a message where all is well.
const START_PATIENCE_MS: u64 = 60_000;
/// Leaderships that may begin after all has healed: reading takes minutes, on a
/// machine that may be busy with other things.
const LEADERSHIPS_MAX: usize = 12;

/// One run's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Decides the actions.
    pub seed: u64,
    /// How long actions go on.
    pub lasts: Duration,
    /// The program that has `format` and `serve`.
    pub program: PathBuf,
    /// An empty folder for disks and logs.
    pub root: PathBuf,
    /// Messages that each of the producers sends in a second.
    pub rate_per_s: u64,
}

/// Runs the actions of a seed against three brokers under load, heals everything,
/// reads everything, and judges.
///
/// # Errors
/// The testbed's own: a folder, a process or a socket that is not to be had.
pub async fn run(settings: &Settings) -> std::io::Result<Report> {
    let env = RealEnv::new(settings.root.join("clients"))?;
    let mut cluster = Cluster::start(settings)?;
    let stop_at_ns = env.now_ns() + settings.lasts.as_nanos() as u64;
    let work = Work::start(settings, &env, &cluster.clients(), stop_at_ns)?;
    let served = work.acknowledges_within(&env, START_PATIENCE_MS).await;
    if served {
        let mut day = Day {
            dice: Stream::new(settings.seed, Purpose::Faults),
            env: env.clone(),
            under: Vec::new(),
            next_ns: env.now_ns(),
        };
        day.goes_by(&mut cluster, &work, stop_at_ns).await?;
    } else {
        cluster.complain(format!(
            "nothing was acknowledged within {START_PATIENCE_MS} ms of the start"
        ));
    }
    let healed_ns = env.now_ns();
    let led_before = cluster.leaderships();
    let finished = work.finish(&env).await;
    let leaderships = cluster.leaderships() - led_before;
    if leaderships > LEADERSHIPS_MAX {
        cluster.complain(format!(
            "{leaderships} leaderships began after all had healed"
        ));
    }
    cluster.look_for_panics()?;
    let report = judging::judge_run(
        settings,
        &mut cluster,
        &work.take_history(),
        finished,
        healed_ns,
    );
    work.end();
    cluster.end()?;
    Ok(report)
}

/// The time in which things happen.
struct Day {
    dice: Stream,
    env: RealEnv,
    /// Actions that have begun and not ended.
    under: Vec<Under>,
    next_ns: u64,
}

impl Day {
    async fn goes_by(
        &mut self,
        cluster: &mut Cluster,
        work: &Work,
        stop_at_ns: u64,
    ) -> std::io::Result<()> {
        let mut timer = self.env.timer();
        while self.env.now_ns() < stop_at_ns {
            self.end_what_is_due(cluster, false)?;
            cluster.look_for_ends();
            if self.env.now_ns() >= self.next_ns {
                self.begin_one(cluster, work)?;
                let calm_ms = self.dice.between(0, CALM_MS_MAX);
                self.next_ns = self.env.now_ns() + calm_ms * MS_NS;
            }
            timer.reset(Some(self.env.now_ns() + LOOK_EVERY_NS));
            timer.fired().await;
        }
        self.end_what_is_due(cluster, true)
    }

    /// Begins a drawn action where its victim is free, and where it fits the budget.
    fn begin_one(&mut self, cluster: &mut Cluster, work: &Work) -> std::io::Result<()> {
        let action = Action::draw(&mut self.dice);
        let victims = action.victims(&mut self.dice, cluster);
        let lasts_ms = action.lasts_ms(&mut self.dice);
        if victims.iter().any(|node| cluster.is_busy(*node)) || !cluster.has_room(action) {
            cluster.postponed(action);
            return Ok(());
        }
        cluster.note(action, &victims, work.in_flight(), self.env.now_ns());
        let ends_ns = self.env.now_ns() + lasts_ms * MS_NS;
        let under = action.begin(&mut self.dice, cluster, &victims, ends_ns)?;
        self.under.extend(under);
        Ok(())
    }

    fn end_what_is_due(&mut self, cluster: &mut Cluster, all: bool) -> std::io::Result<()> {
        let now_ns = self.env.now_ns();
        let is_due = |under: &mut Under| all || under.ends_ns <= now_ns;
        for under in self.under.extract_if(.., is_due) {
            under.end(&mut self.dice, cluster)?;
        }
        Ok(())
    }
}
