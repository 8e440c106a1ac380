//! The real world: tokio and `std::fs`. The only place of the product that
//! names tokio.
//!
//! Promise: nothing here decides anything. It passes the operating system's
//! answers through the seam, and ends with its owner: a dropped endpoint takes
//! its tasks, streams and listening sockets along.
//!
//! The world of a tokio runtime, with a directory as its disk:
//!
//! ```
//! use zeroloss_broker::env::real::RealEnv;
//! use zeroloss_broker::env::{Disk, Env, File, Timer};
//!
//! # #[tokio::main]
//! # async fn main() -> std::io::Result<()> {
//! let dir = std::env::temp_dir().join(format!("zeroloss-real-{}", std::process::id()));
//! let env = RealEnv::new(dir.clone())?;
//!
//! let mut timer = env.timer();
//! let deadline_ns = env.now_ns() + 1_000_000;
//! timer.reset(Some(deadline_ns));
//! timer.fired().await;
//! assert!(env.now_ns() >= deadline_ns);
//!
//! let file = env.disk().create("a").await?;
//! file.write_at(0, "cached, and then durable".into()).await?;
//! file.sync_data().await?;
//! assert_eq!(std::fs::read_to_string(dir.join("a"))?, "cached, and then durable");
//! # std::fs::remove_dir_all(dir)
//! # }
//! ```

mod disk;
mod limits;
mod net;
mod peers;
#[cfg(test)]
mod pool_tests;
mod streams;
mod timer;

pub use disk::{RealDisk, RealFile};
pub use limits::{
    DESCRIPTORS_BESIDE, DESCRIPTORS_MIN, connections_share, descriptors, raise_descriptors,
    store_share,
};
pub use net::RealNet;
pub use timer::RealTimer;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;

use super::{Env, Notice};
use net::Limits;

/// A node's world on this machine. Clones are the same world.
#[derive(Clone)]
pub struct RealEnv {
    origin: Instant,
    runtime: Handle,
    root: Arc<PathBuf>,
    operator: Arc<dyn Fn(&Notice) + Send + Sync>,
}

impl RealEnv {
    /// The world of the calling tokio runtime, whose disk is the directory
    /// `root`. Makes the directory where it is missing.
    ///
    /// Errors: no runtime is running here, or the directory cannot be made.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock behind the seam"
    )]
    pub fn new(root: PathBuf) -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        std::fs::create_dir_all(&root)?;
        Ok(Self {
            origin: Instant::now(),
            runtime,
            root: Arc::new(root),
            operator: Arc::new(to_standard_error),
        })
    }

    /// The same world with another disk, the directory `root`: clients of one process
    /// share a clock and keep their files apart. Makes the directory where it is
    /// missing.
    ///
    /// Errors: the directory cannot be made.
    pub fn with_disk(&self, root: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&root)?;
        Ok(Self {
            root: Arc::new(root),
            ..self.clone()
        })
    }

    /// The one who is told what a broker reports; standard error by default, a line
    /// at a time, where a service manager looks for it.
    #[must_use]
    pub fn reporting_to(mut self, operator: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.operator = Arc::new(operator);
        self
    }
}

fn to_standard_error(notice: &Notice) {
    use std::io::Write;
    // Where even this cannot be written nobody is there to be told.
    let _ = writeln!(io::stderr(), "zeroloss: {notice}");
}

impl Env for RealEnv {
    type Disk = RealDisk;
    type Net = RealNet;
    type Timer = RealTimer;

    fn now_ns(&self) -> u64 {
        let since = self.origin.elapsed().as_nanos();
        u64::try_from(since).expect("no process lives for 584 years")
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock behind the seam"
    )]
    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or(Duration::ZERO).as_millis() as u64
    }

    /// SipHash of nothing, under fresh keys that the system seeded.
    fn random_u64(&self) -> u64 {
        RandomState::new().hash_one(())
    }

    fn timer(&self) -> RealTimer {
        RealTimer::new(self.origin, &self.runtime)
    }

    fn disk(&self) -> RealDisk {
        RealDisk::new(self.root.clone(), self.runtime.clone())
    }

    fn net(&self) -> RealNet {
        RealNet::new(self.runtime.clone(), Limits::of_process())
    }

    fn report(&self, notice: Notice) {
        (self.operator)(&notice);
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Timer;

    fn env() -> (RealEnv, tempfile::TempDir) {
        let root = tempfile::tempdir().unwrap();
        (RealEnv::new(root.path().join("made")).unwrap(), root)
    }

    #[test]
    fn needs_a_runtime() {
        assert!(RealEnv::new(PathBuf::from("unused")).is_err());
    }

    #[tokio::test]
    async fn clocks_and_chance_move_on() {
        let (env, _root) = env();
        let before = env.now_ns();
        assert!(env.now_ns() >= before);
        assert!(env.wall_ms() > 1_600_000_000_000);
        assert_ne!(env.random_u64(), env.random_u64());
    }

    #[tokio::test]
    async fn a_spawned_task_runs() {
        let (env, _root) = env();
        let (send, receive) = tokio::sync::oneshot::channel();
        env.spawn(async move { send.send(7).unwrap() });
        assert_eq!(receive.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_timer_fires_once_and_not_before_it_is_set() {
        let (env, _root) = env();
        let mut timer = env.timer();
        let deadline = env.now_ns() + 2_000_000;
        timer.reset(Some(deadline));
        timer.fired().await;
        assert!(env.now_ns() >= deadline);
        let mut beat = env.timer();
        beat.reset(Some(0));
        // Unset again by firing, and by `None`: the other one comes first.
        for unset in [false, true] {
            if unset {
                timer.reset(Some(0));
                timer.reset(None);
            }
            beat.reset(Some(0));
            tokio::select! {
                biased;
                () = timer.fired() => panic!("fired unset"),
                () = beat.fired() => {}
            }
        }
    }
}
