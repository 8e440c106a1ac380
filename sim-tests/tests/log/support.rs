//! Disks, records, and the log driven as a broker's loop would drive it.

use std::sync::{Arc, Mutex};

use zeroloss::env::{Disk, Env, real::RealEnv};
use zeroloss::log::{
    CommitLog, Entry, Identity, JobKind, LogConfig, LogError, LogSizes, OpenError, Position,
    Recovery, Staged, format,
};
use zeroloss::record::{EntryKind, Message};
use zeroloss::sim::disk::{DiskConfig, DiskModel, DiskSurvival, StepDisk, block_on};
use zeroloss::sim::random::{Purpose, Stream};

pub(crate) const IDENTITY: Identity = Identity {
    cluster_id: 1,
    node_id: 2,
    disk_id: 3,
    kind: None,
};
pub(crate) const ENTROPY: u64 = 0x5eed;
/// Eight sectors: the header's and seven for groups.
pub(crate) const SMALL: LogConfig = LogConfig {
    sizes: LogSizes::DEFAULT,
    segment_bytes: 4096,
    reserve_bytes: 0,
    replicated: false,
};
/// As [`SMALL`], of one of several replicas, on this disk.
pub(crate) fn replica<D: Disk>(disk: &D) -> LogConfig {
    LogConfig {
        segment_bytes: 8 * disk.sector_bytes() as u64,
        replicated: true,
        ..SMALL
    }
}

/// Bytes of an envelope.
pub(crate) const ENVELOPE_BYTES: u64 = 80;

pub(crate) type Log<D = StepDisk> = CommitLog<D>;

/// Numbers of disk operations, for as long as a crash at one matters.
pub(crate) fn operations() -> impl Iterator<Item = u64> {
    (0..).inspect(|operation| assert!(*operation < 1000, "it does not end without a crash either"))
}

/// A formatted simulated disk.
pub(crate) fn formatted() -> DiskModel {
    let disk = StepDisk::new(shared(DiskModel::new(DiskConfig::default())));
    block_on(format(&disk, IDENTITY)).unwrap();
    let model = disk.model().clone();
    reborn(&model)
}

pub(crate) fn shared(model: DiskModel) -> Arc<Mutex<DiskModel>> {
    Arc::new(Mutex::new(model))
}

/// A new process on a copy of the disk.
pub(crate) fn boot(model: &DiskModel) -> StepDisk {
    StepDisk::new(shared(model.clone()))
}

/// The disk after the death of its process.
pub(crate) fn reborn(model: &DiskModel) -> DiskModel {
    let mut model = model.clone();
    model.kill();
    model
}

/// The disk after a power loss.
pub(crate) fn powerless(model: &DiskModel, survival: DiskSurvival, seed: u64) -> DiskModel {
    let mut model = model.clone();
    model.power_loss(survival, &mut Stream::new(seed, Purpose::Survival));
    model
}

pub(crate) async fn open<D: Disk>(disk: &D) -> (CommitLog<D>, Recovery) {
    try_open(disk).await.unwrap()
}

pub(crate) async fn try_open<D: Disk>(disk: &D) -> Result<(CommitLog<D>, Recovery), OpenError> {
    CommitLog::open(disk.clone(), SMALL, ENTROPY).await
}

/// Stages a record of `length` bytes that says `number`.
pub(crate) fn stage<D: Disk>(log: &mut CommitLog<D>, number: u64, length: u64) -> Staged {
    let staged = log.stage(EntryKind::NoOp, 0, |_, out| {
        out.extend_from_slice(&record(number, length));
        Ok(())
    });
    staged.unwrap()
}

pub(crate) fn record(number: u64, length: u64) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend((8..length).map(|at| (number + at) as u8));
    bytes.truncate(length as usize);
    bytes
}

/// Stages a message whose body says `number`.
pub(crate) fn stage_message<D: Disk>(log: &mut CommitLog<D>, number: u64) -> Staged {
    let body = number.to_be_bytes();
    let staged = log.stage(EntryKind::Message, 0, |address, out| {
        message(&body, address).encode(out)
    });
    staged.unwrap()
}

pub(crate) fn message(body: &[u8], address: u64) -> Message<'_> {
    Message {
        queue_id: 0,
        flag: 0,
        queue_offset: 0,
        physical_offset: address,
        sys_flag: 0,
        born_timestamp_ms: 1,
        born_host: ([10, 0, 0, 1], 1).into(),
        store_timestamp_ms: 2,
        store_host: ([10, 0, 0, 2], 2).into(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        topic: "orders",
        properties: "",
    }
}

/// Writes and syncs until nothing is left to do.
pub(crate) async fn flush<D: Disk>(log: &mut CommitLog<D>) -> Result<Position, LogError> {
    log.write().await?;
    while step(log).await?.is_some() {}
    Ok(log.flushed())
}

/// One job, and a write behind it.
pub(crate) async fn step<D: Disk>(log: &mut CommitLog<D>) -> Result<Option<JobKind>, LogError> {
    let Some(job) = log.next_job() else {
        return Ok(None);
    };
    let kind = job.kind();
    log.job_done(job.await)?;
    log.write().await?;
    Ok(Some(kind))
}

/// Every entry of the log, in order.
pub(crate) async fn entries<D: Disk>(log: &CommitLog<D>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut from = 0;
    while from < log.appended().address {
        let batch = log.read_batch(from, u64::MAX, 1000).await.unwrap();
        from = batch.next_address;
        entries.extend(batch.entries);
    }
    entries
}

pub(crate) async fn records<D: Disk>(log: &CommitLog<D>) -> Vec<Vec<u8>> {
    entries(log)
        .await
        .into_iter()
        .map(|entry| entry.record().to_vec())
        .collect()
}

/// Runs a test's body on a formatted simulated disk.
pub(crate) fn on_simulated<F: Future<Output = ()>>(body: impl FnOnce(StepDisk) -> F) {
    block_on(body(boot(&formatted())));
}

/// Runs a test's body on a formatted directory.
pub(crate) fn on_real<F: Future<Output = ()>>(body: impl FnOnce(<RealEnv as Env>::Disk) -> F) {
    let root = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let disk = RealEnv::new(root.path().to_owned()).unwrap().disk();
        format(&disk, IDENTITY).await.unwrap();
        body(disk).await;
    });
}
