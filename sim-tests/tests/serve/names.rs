//! The names of a replica's own files are durable before anything rests on them
//! (D24).

use std::future::Future;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use zeroloss::broker::{
    BASE_FILE, BrokerConfig, FOUNDING_FILE, RaftConfig, Replication, format_replica, survivor,
};
use zeroloss::env::real::RealEnv;
use zeroloss::env::{Env, Notice};
use zeroloss::log::{AtomicFile, read_atomic_file, read_identity, replace_atomic_file};
use zeroloss::sim::disk::{
    ArmedFault, DiskConfig, DiskFault, DiskModel, DiskSurvival, StepDisk, block_on,
};
use zeroloss::sim::random::{Purpose, Stream};

use crate::recover::{Replicas, Sender};

/// A real process' world, but for its disk.
#[derive(Clone)]
struct OnDisk {
    real: RealEnv,
    disk: StepDisk,
}

impl Env for OnDisk {
    type Disk = StepDisk;
    type Net = <RealEnv as Env>::Net;
    type Timer = <RealEnv as Env>::Timer;

    fn now_ns(&self) -> u64 {
        self.real.now_ns()
    }
    fn wall_ms(&self) -> u64 {
        self.real.wall_ms()
    }
    fn random_u64(&self) -> u64 {
        self.real.random_u64()
    }
    fn timer(&self) -> Self::Timer {
        self.real.timer()
    }
    fn disk(&self) -> StepDisk {
        self.disk.clone()
    }
    fn net(&self) -> Self::Net {
        self.real.net()
    }
    fn report(&self, notice: Notice) {
        self.real.report(notice);
    }
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.real.spawn(task);
    }
}

fn booted(model: DiskModel) -> StepDisk {
    StepDisk::new(Arc::new(Mutex::new(model)))
}

fn payload(disk: &StepDisk, path: &str) -> Bytes {
    match block_on(read_atomic_file(disk, path)).unwrap() {
        AtomicFile::Whole(payload) => payload,
        other => panic!("{path}: {other:?}"),
    }
}

/// A founding record whose directory could not be synced, and that is read by its
/// new name, says after a power loss what it said before.
#[tokio::test]
async fn an_epoch_that_was_read_stays_whatever_the_power_takes() {
    let replicas = Replicas::formatted();
    let env = RealEnv::new(replicas.dir(0)).unwrap();
    let served: Vec<_> = (0..3).map(|node| replicas.serve(node)).collect();
    Sender::to(&env, &replicas.clients).send(1).await;
    served.into_iter().for_each(|served| {
        served.signal("-TERM");
    });
    let identity = read_identity(&env.disk()).await.unwrap();
    let real = async |path| match read_atomic_file(&env.disk(), path).await.unwrap() {
        AtomicFile::Whole(payload) => payload,
        other => panic!("{path}: {other:?}"),
    };
    let (record, base) = (real(FOUNDING_FILE).await, real(BASE_FILE).await);
    let config = BrokerConfig {
        replication: Replication::Raft(RaftConfig::default()),
        ..BrokerConfig::default()
    };

    let mut fell = 0;
    for seed in 0..20 {
        let disk = booted(DiskModel::new(DiskConfig::default()));
        block_on(format_replica(&disk, identity, None)).unwrap();
        block_on(replace_atomic_file(&disk, BASE_FILE, &base)).unwrap();
        let before = payload(&disk, FOUNDING_FILE);
        assert_ne!(before, record, "it is not founded yet");
        let failure = ArmedFault::next(DiskFault::DirSyncError, "", seed);
        disk.model().arm(failure);
        block_on(replace_atomic_file(&disk, FOUNDING_FILE, &record)).unwrap_err();
        fell += u32::from(payload(&without_power(&disk), FOUNDING_FILE) == before);
        let on_disk = OnDisk {
            real: env.clone(),
            disk: disk.clone(),
        };
        block_on(survivor(&on_disk, &config)).unwrap();
        let after = payload(&without_power(&disk), FOUNDING_FILE);
        assert_eq!(after, record, "seed {seed}");
    }
    assert!(fell > 3, "{fell}");
}

fn without_power(disk: &StepDisk) -> StepDisk {
    let mut model = disk.model().clone();
    let mut dice = Stream::new(0, Purpose::Survival);
    model.power_loss(DiskSurvival::None, &mut dice);
    model.disarm();
    booted(model)
}
