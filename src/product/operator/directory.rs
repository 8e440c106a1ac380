//! A broker's directory under an operator's hand: `format`, `salvage` and
//! `recover`, and the lock that keeps it to one process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

use crate::broker::{
    BrokerConfig, BrokerError, RaftConfig, Replication, StoreError, Survivor, format_replica,
    recover_unsafe, salvage as salvage_store, survivor,
};
use crate::env::Env;
use crate::env::failure::cure;
use crate::env::real::RealEnv;
use crate::log::{
    DiskKind, FormatError, Identity, IdentityError, OpenError, SalvageError, SalvageReport,
    format as format_disk,
};

use super::flags::check_members;
use super::{Ending, FormatArgs, OperationError, RecoverArgs, SalvageArgs, program};

/// Held by every process that works on a directory (RocketMQ's `lock` in the store).
const LOCK_FILE: &str = "lock";

/// Why a command on a broker's directory did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum DirectoryError {
    #[error("error: there is no directory {0}\n  make one: {p} format {0}", p = program())]
    Missing(String),
    #[error("error: another process works on {0}; end it first")]
    InUse(String),
    #[error("error: {0} is not formatted\n  make it a broker's: {p} format {0}", p = program())]
    NotFormatted(String),
    #[error("error: {flag}: {why}")]
    Flags { flag: &'static str, why: String },
    #[error("error: {path}: {source}")]
    NotBlank { path: String, source: FormatError },
    #[error(
        "error: {path}: {source}\n  see first whether a copy can be restored, and keep one of the \
         directory as it is; then give up what cannot be read, acknowledged messages among it: \
         {p} salvage {path} --unsafe", p = program()
    )]
    Damaged { path: String, source: StoreError },
    #[error(
        "error: salvage gives up acknowledged messages; where no copy of the files can be \
         restored, say so: {p} salvage {0} --unsafe", p = program()
    )]
    NotUnsafe(String),
    #[error(
        "error: nothing was changed. Compare the survivors; on the one with the highest entry (the \
         later term first): {p} recover {0} --unsafe", p = program()
    )]
    NotRecovered(String),
    #[error("error: {address}: {why}")]
    Address { address: String, why: &'static str },
    #[error("error: {path}: {source}")]
    Broker { path: String, source: BrokerError },
    #[error("error: {path}: {source}")]
    Salvage { path: String, source: SalvageError },
    #[error("error: {path}: {source}: {}", cure_of(source))]
    Io { path: String, source: io::Error },
}

impl DirectoryError {
    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::Missing(_)
            | Self::InUse(_)
            | Self::NotFormatted(_)
            | Self::NotUnsafe(_)
            | Self::Flags { .. }
            | Self::NotRecovered(_)
            | Self::Address { .. }
            | Self::NotBlank { .. } => Ending::Usage,
            Self::Broker {
                source:
                    BrokerError::Store(StoreError::WrongKind { .. } | StoreError::UnknownMember { .. }),
                ..
            }
            | Self::Salvage {
                source: SalvageError::OfReplica,
                ..
            } => Ending::Usage,
            Self::Broker {
                source:
                    BrokerError::Store(
                        StoreError::Diverged(_)
                        | StoreError::RolledBack { .. }
                        | StoreError::NobodyToAsk { .. }
                        | StoreError::NewerEpoch { .. }
                        | StoreError::RivalEpoch { .. }
                        | StoreError::Recovering
                        | StoreError::Amnesia { .. },
                    ),
                ..
            } => Ending::Refused,
            Self::Damaged { .. } | Self::Broker { .. } | Self::Salvage { .. } | Self::Io { .. } => {
                Ending::Io
            }
        }
    }

    /// How a broker on the directory `path` ended.
    pub(super) fn of_broker(path: &Path, source: BrokerError) -> Self {
        let path = shown(path);
        match source {
            BrokerError::Store(StoreError::Open(OpenError::Identity(
                IdentityError::NotFormatted,
            ))) => Self::NotFormatted(path),
            BrokerError::Store(
                source @ (StoreError::Open(OpenError::Corrupt(_))
                | StoreError::LogBehindState { .. }),
            ) => Self::Damaged { path, source },
            source => Self::Broker { path, source },
        }
    }

    /// How a replica on it ended: what it cannot read, the others may have.
    pub(super) fn of_replica(path: &Path, source: BrokerError) -> Self {
        match Self::of_broker(path, source) {
            Self::Damaged { path, source } => Self::Broker {
                path,
                source: source.into(),
            },
            error => error,
        }
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = shown(path);
        move |source| Self::Io { path, source }
    }
}

/// The operator's remedy for an error of the system.
fn cure_of(source: &io::Error) -> &'static str {
    cure(source).unwrap_or_default()
}

/// A path as the user gave it.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The right to work on a directory, until dropped.
#[derive(Debug)]
pub(super) struct Locked(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Takes a directory that is there for this process alone.
pub(super) fn lock(path: &Path) -> Result<Locked, DirectoryError> {
    if !path.is_dir() {
        return Err(DirectoryError::Missing(shown(path)));
    }
    let file = path.join(LOCK_FILE);
    let failed = DirectoryError::io(&file);
    let mut options = OpenOptions::new();
    let opened = options.create(true).truncate(false).write(true).open(&file);
    let file = opened.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Locked(file)),
        Err(TryLockError::WouldBlock) => Err(DirectoryError::InUse(shown(path))),
        Err(TryLockError::Error(source)) => Err(DirectoryError::io(path)(source)),
    }
}

/// Threads of a runtime that run tasks.
const WORKERS: usize = 2;
/// Threads that wait for the disk and are there from the start: what is to be synced
/// waits for one of them where the system gives no more.
const SYNCERS: usize = 2;

/// A runtime for work on the real world, with all the threads that it needs.
pub(super) fn runtime(path: &Path) -> Result<tokio::runtime::Runtime, DirectoryError> {
    try_threads(WORKERS + SYNCERS).map_err(DirectoryError::io(path))?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(WORKERS).enable_all();
    let built = builder.thread_keep_alive(Duration::MAX).build();
    let runtime = built.map_err(DirectoryError::io(path))?;
    let all_here = Arc::new(Barrier::new(SYNCERS));
    let begun = (0..SYNCERS).map(|_| {
        let all_here = all_here.clone();
        runtime.spawn_blocking(move || {
            all_here.wait();
        })
    });
    for syncer in begun.collect::<Vec<_>>() {
        let ended = runtime.block_on(syncer);
        let ended = ended.map_err(io::Error::other);
        ended.map_err(DirectoryError::io(path))?;
    }
    Ok(runtime)
}

/// Whether so many threads are to be had at once: where they are not, this says so
/// and a runtime would panic.
fn try_threads(count: usize) -> io::Result<()> {
    let all_here = Arc::new((Mutex::new(false), Condvar::new()));
    let mut begun = Vec::new();
    let mut failed = None;
    for _ in 0..count {
        let all_here = all_here.clone();
        let waits = move || {
            let (over, rings) = &*all_here;
            let over = over.lock().expect("nobody panics with it");
            drop(rings.wait_while(over, |over| !*over));
        };
        match std::thread::Builder::new().spawn(waits) {
            Ok(thread) => begun.push(thread),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let (over, rings) = &*all_here;
    *over.lock().expect("nobody panics with it") = true;
    rings.notify_all();
    for thread in begun {
        thread.join().expect("it only waits");
    }
    failed.map_or(Ok(()), Err)
}

/// Makes a directory a broker's own.
pub(super) fn format(args: &FormatArgs, out: &mut dyn Write) -> Result<(), OperationError> {
    let path = &args.dir;
    check_members(args)?;
    std::fs::create_dir_all(path).map_err(DirectoryError::io(path))?;
    let _locked = lock(path)?;
    let identity = runtime(path)?.block_on(async {
        let env = RealEnv::new(path.clone()).map_err(DirectoryError::io(path))?;
        let (cluster_id, node_id) = (args.cluster_id, args.broker_id);
        let is_first = !args.members.is_empty();
        let identity = Identity {
            cluster_id,
            node_id,
            disk_id: env.random_u64(),
            kind: Some(DiskKind::Single),
        };
        let formatted = match is_first || args.replacement {
            true => {
                let first = is_first.then_some(&*args.members);
                format_replica(&env.disk(), identity, first).await
            }
            false => format_disk(&env.disk(), identity).await,
        };
        formatted.map_err(|source| match source {
            FormatError::Io(source) => DirectoryError::io(path)(source),
            source => DirectoryError::NotBlank {
                path: shown(path),
                source,
            },
        })?;
        Ok::<_, DirectoryError>(identity)
    })?;
    sync_parent(path).map_err(DirectoryError::io(path))?;
    let Identity {
        cluster_id,
        node_id,
        disk_id,
        ..
    } = identity;
    writeln!(
        out,
        "{} is the disk {disk_id:#018x} of broker {node_id}, cluster {cluster_id}",
        shown(path)
    )?;
    Ok(())
}

/// The directory's own name is as durable as what is in it.
fn sync_parent(path: &Path) -> io::Result<()> {
    let path: PathBuf = path.canonicalize()?;
    match path.parent() {
        Some(parent) => OpenOptions::new().read(true).open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Gives up what cannot be read, by the operator's explicit word.
pub(super) fn salvage(args: &SalvageArgs, out: &mut dyn Write) -> Result<(), OperationError> {
    let path = &args.dir;
    if !args.is_unsafe {
        return Err(DirectoryError::NotUnsafe(shown(path)).into());
    }
    let _locked = lock(path)?;
    let report = runtime(path)?.block_on(async {
        let env = RealEnv::new(path.clone()).map_err(DirectoryError::io(path))?;
        let config = BrokerConfig {
            segment_bytes: args.segment_bytes,
            ..BrokerConfig::default()
        };
        let salvaged = salvage_store(&env.disk(), &config, env.random_u64()).await;
        salvaged.map_err(|source| match source {
            SalvageError::Open(OpenError::Identity(IdentityError::NotFormatted)) => {
                DirectoryError::NotFormatted(shown(path))
            }
            source => DirectoryError::Salvage {
                path: shown(path),
                source,
            },
        })
    })?;
    out.write_all(words(report.as_ref()).as_bytes())?;
    Ok(())
}

/// Makes a survivor of a lost majority the only member of its cluster.
pub(super) fn recover(args: &RecoverArgs, out: &mut dyn Write) -> Result<(), OperationError> {
    let path = &args.dir;
    let _locked = lock(path)?;
    let config = BrokerConfig {
        segment_bytes: args.segment_bytes,
        replication: Replication::Raft(RaftConfig::default()),
        ..BrokerConfig::default()
    };
    let survivor = runtime(path)?.block_on(async {
        let env = RealEnv::new(path.clone()).map_err(DirectoryError::io(path))?;
        let recovered = match args.is_unsafe {
            true => recover_unsafe(&env, &config).await,
            false => survivor(&env, &config).await,
        };
        recovered.map_err(|source| DirectoryError::of_replica(path, source.into()))
    })?;
    out.write_all(cost(&survivor).as_bytes())?;
    if args.is_unsafe {
        writeln!(
            out,
            "this broker is the cluster now; format new disks for the others with --replacement, and \
             it lets them in.\nThe old disks are refused as soon as they meet a broker of the new \
             epoch. Until then, a majority of them would serve among themselves, without what is \
             acknowledged from now on: keep them off, and keep them"
        )?;
        return Ok(());
    }
    Err(DirectoryError::NotRecovered(shown(path)).into())
}

/// The cost of going on with a survivor alone.
fn cost(survivor: &Survivor) -> String {
    let Survivor {
        last,
        end_address,
        applied_index,
        nodes,
        is_uncertain,
    } = survivor;
    let mut text = format!(
        "of the cluster of brokers {nodes:?} this one has everything up to entry {last}, log \
         address {end_address}\n\
         lost: every message that was acknowledged beyond that and is on no disk that is left\n\
         kept, though maybe never acknowledged: entries between {applied_index} and {}\n",
        last.index
    );
    if *is_uncertain {
        text.push_str("its own log once ended in damage: acknowledged entries may be missing\n");
    }
    text
}

fn words(report: Option<&SalvageReport>) -> String {
    let Some(report) = report else {
        return "the log is sound; what is derived from it is made again at the next start\n"
            .to_owned();
    };
    let mut text = format!(
        "the log now ends at address {}; given up: at least {} records, up to address {}\n",
        report.corruption.address, report.records_lost_min, report.lost_upto_address_min
    );
    for path in &report.moved_aside {
        text.push_str(&format!("  kept aside: {path}\n"));
    }
    text
}
