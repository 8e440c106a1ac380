//! Serving a directory on this machine's sockets and files.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::broker::{
    Broker, BrokerConfig, FlushDiskType, Peer, RaftConfig, Replication, StoreError, disk_kind,
};
use crate::env::real::{DESCRIPTORS_MIN, RealEnv, descriptors, raise_descriptors, store_share};
use crate::env::{Env, Notice, either};
use crate::log::{DiskKind, IdentityError, OpenError};

use super::directory::{DirectoryError, lock, runtime, shown};
use super::flags::peers;
use super::{Flush, OperationError, ServeArgs};

/// Of a process that was interrupted twice, as a shell reports it.
const INTERRUPTED: i32 = 130;

/// Serves a formatted directory until it is asked to stop, or until what is
/// stored cannot be served. Standard output gets the bound address.
pub(super) fn serve(args: &ServeArgs, out: &mut dyn Write) -> Result<(), OperationError> {
    let config = config(args)?;
    let path = &args.dir;
    if !path.is_dir() {
        return Err(DirectoryError::Missing(shown(path)).into());
    }
    runtime(path)?.block_on(async {
        let env = RealEnv::new(path.clone()).map_err(DirectoryError::io(path))?;
        // First of all: nothing is written to a directory that is not a broker's.
        let mut config = config;
        match disk_kind(&env.disk()).await {
            Err(StoreError::Open(OpenError::Identity(IdentityError::NotFormatted))) => {
                return Err(DirectoryError::NotFormatted(shown(path)).into());
            }
            // Not damage, and no reason to serve it as something else.
            Err(StoreError::Open(OpenError::Identity(IdentityError::Io(source)))) => {
                return Err(DirectoryError::io(path)(source).into());
            }
            // The broker says why, once it has the directory for itself.
            Err(_) => {}
            Ok((identity, DiskKind::Replica)) if !args.peers.is_empty() => {
                replicate(args, identity.node_id, &mut config)?;
            }
            Ok((_, DiskKind::Single)) if args.peers.is_empty() => {}
            Ok((identity, kind)) => {
                let source = StoreError::WrongKind {
                    kind,
                    cluster_id: identity.cluster_id,
                    node_id: identity.node_id,
                };
                return Err(DirectoryError::of_broker(path, source.into()).into());
            }
        }
        config.open_files_max = descriptors_for(&env);
        let _locked = lock(path)?;
        serve_until_asked(env, config, path, out).await
    })
}

/// Raises the limit of descriptors, says where it is low all the same, and gives
/// the store's share.
fn descriptors_for(env: &RealEnv) -> usize {
    // Where it cannot be raised the old limit holds, and is what is shared out.
    let limit = raise_descriptors().unwrap_or_else(|_| descriptors());
    if limit < DESCRIPTORS_MIN {
        env.report(Notice::FewDescriptors {
            limit,
            wanted: DESCRIPTORS_MIN,
        });
    }
    store_share(limit)
}

async fn serve_until_asked(
    env: RealEnv,
    config: BrokerConfig,
    path: &Path,
    out: &mut dyn Write,
) -> Result<(), OperationError> {
    let mut asked = Asked::new().map_err(DirectoryError::io(path))?;
    let ended = match config.replication {
        Replication::None => DirectoryError::of_broker,
        Replication::Raft(_) => DirectoryError::of_replica,
    };
    let broker = Broker::bind(env.clone(), config).await;
    let broker = broker.map_err(|source| ended(path, source))?;
    writeln!(out, "listening on {}", broker.address())?;
    out.flush()?;
    let stop = async move {
        asked.wait().await;
        env.spawn(async move {
            // An operator that asks twice does not want to wait for the disk.
            asked.wait().await;
            std::process::exit(INTERRUPTED);
        });
    };
    let served = broker.run(stop).await;
    served.map_err(|source| ended(path, source))?;
    Ok(())
}

/// `ID=PEER_ADDR/CLIENT_ADDR`.
pub(super) fn peer(text: &str) -> Result<(u64, Peer), String> {
    let (id, addresses) = text
        .split_once('=')
        .ok_or("wants ID=PEER_ADDR/CLIENT_ADDR")?;
    let (peer, client) = addresses
        .split_once('/')
        .ok_or("wants two addresses, as in 0=10.0.0.1:10912/10.0.0.1:10911")?;
    let address = |text: &str| {
        text.parse::<SocketAddr>()
            .map_err(|why| format!("{text}: {why}"))
    };
    let id = id.parse().map_err(|why| format!("{id}: {why}"))?;
    Ok((
        id,
        Peer {
            peer: address(peer)?,
            client: address(client)?,
        },
    ))
}

/// The directory's broker is one of the replicas that are named.
fn replicate(
    args: &ServeArgs,
    node_id: u64,
    config: &mut BrokerConfig,
) -> Result<(), DirectoryError> {
    let peers = peers(args, node_id)?;
    config.listen = peers[&node_id].client;
    config.replication = Replication::Raft(RaftConfig {
        node_id,
        preferred_leader: args.preferred_leader,
        peers,
        ..RaftConfig::default()
    });
    Ok(())
}

fn config(args: &ServeArgs) -> Result<BrokerConfig, DirectoryError> {
    let default = BrokerConfig::default();
    let listen = args.listen.unwrap_or(default.listen);
    if listen.ip().is_unspecified() {
        return Err(DirectoryError::Address {
            address: listen.to_string(),
            why: "clients are told to connect to this address: name one that they can reach",
        });
    }
    Ok(BrokerConfig {
        broker_name: args.broker_name.clone(),
        listen,
        retention_ms: args.retention_ms,
        flush_disk_type: match args.flush {
            Flush::Sync => FlushDiskType::Sync,
            Flush::Async => FlushDiskType::Async,
        },
        segment_bytes: args.segment_bytes,
        reserve_bytes: args.reserve_bytes,
        default_topic_queue_nums: args.queues,
        producer_dedup: args.producer_dedup,
        ..default
    })
}

/// Ctrl-C, or what a service manager sends.
struct Asked {
    interrupt: Signal,
    terminate: Signal,
}

impl Asked {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        either(self.interrupt.recv(), self.terminate.recv()).await;
    }
}
