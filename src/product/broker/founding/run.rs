//! The founding of a cluster, made real: what is asked, stored and told.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;

use super::{Action, First, FoundingMessage, Record, Said, Unfounded};
use crate::broker::base::Base;
use crate::broker::closed::PauseEnd;
use crate::broker::config::{RaftConfig, Replication};
use crate::broker::error::StoreError;
use crate::broker::interruption::{Interruption, Renewal};
use crate::broker::kind::require;
use crate::broker::replica::{ReplicaView, renew_unfounded};
use crate::broker::server::Broker;
use crate::broker::state::AppliedState;
use crate::env::{Disk, Env, Net, NetEvent, Notice, Timer};
use crate::log::{DiskKind, Identity, Position};
use crate::raft::{Configuration, Epoch, ReplicaId};

/// Pause between two questions.
const ASK_NS: u64 = 100_000_000;
/// From the start to the first line about who is missing.
const FIRST_WORD_NS: u64 = 2_000_000_000;
/// Pause between two such lines.
const NEXT_WORD_NS: u64 = 30_000_000_000;
/// The answer to clients meanwhile.
const NOT_YET: &str = "the cluster is not founded yet";

/// How the wait for a founding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Founded {
    /// The disk may be opened: it has a base, or waits to be let in.
    Open,
    /// The broker is to stop.
    Stop,
}

/// The base of a cluster that begins with these disks.
fn first_base(first: &First) -> Base {
    let replicas = first.iter().map(|(node, disk)| ReplicaId {
        node: *node,
        disk: *disk,
    });
    let state = AppliedState {
        configuration: Some(Configuration::of_voters(replicas)),
        ..AppliedState::default()
    };
    Base {
        position: Position::START,
        state,
    }
}

/// Makes a disk one of those with which a cluster begins, durably: it is founded
/// once the base is there.
async fn begin<D: Disk>(disk: &D, record: &Record, first: &First) -> Result<(), StoreError> {
    record.store(disk).await?;
    Base::store(disk, &first_base(first).encode()).await
}

impl<E: Env> Broker<E> {
    /// Waits until the disk of a replica is founded, or stands back; at once where
    /// there is nothing to wait for.
    pub(in crate::broker) async fn found<S: Future<Output = ()>>(
        &mut self,
        stop: Pin<&mut S>,
    ) -> Result<Founded, StoreError> {
        let Replication::Raft(raft) = self.config.replication.clone() else {
            return Ok(Founded::Open);
        };
        let disk = self.env.disk();
        let identity = require(&disk, DiskKind::Replica).await?;
        if identity.node_id != raft.node_id {
            // Opening says so.
            return Ok(Founded::Open);
        }
        let record = Record::read(&disk, identity).await?;
        if self.stood_back || record.members.is_empty() || Base::read(&disk).await?.is_some() {
            return Ok(Founded::Open);
        }
        let mut members = record.members.iter();
        if let Some(node) = members.find(|node| !raft.peers.contains_key(node)) {
            return Err(StoreError::UnknownMember { node: *node });
        }
        self.wait_for_founding(identity, record, &raft, stop).await
    }

    async fn wait_for_founding<S: Future<Output = ()>>(
        &mut self,
        identity: Identity,
        record: Record,
        raft: &RaftConfig,
        mut stop: Pin<&mut S>,
    ) -> Result<Founded, StoreError> {
        renew_unfounded(&self.env.disk(), identity, &record).await?;
        let me = ReplicaId {
            node: identity.node_id,
            disk: identity.disk_id,
        };
        let question = self.env.random_u64();
        let peers = raft.peers.keys().copied();
        let mut unfounded = Unfounded::new(me, &record.members, peers, question);
        let mut ask_at_ns = self.env.now_ns();
        let mut word_at_ns = ask_at_ns + FIRST_WORD_NS;
        loop {
            let now_ns = self.env.now_ns();
            if now_ns >= ask_at_ns {
                ask_at_ns = now_ns + ASK_NS;
                let asked = unfounded.ask();
                self.say(identity, raft, asked);
            }
            if now_ns >= word_at_ns {
                word_at_ns = now_ns + NEXT_WORD_NS;
                let waiting = unfounded.waiting();
                let why = waiting.to_string();
                let replacements = waiting.only_for_replacements();
                self.env.report(Notice::FoundingWaits { why, replacements });
            }
            self.timer.reset(Some(ask_at_ns.min(word_at_ns)));
            let event = match self.next_while_closed(stop.as_mut()).await {
                PauseEnd::Stop => return Ok(Founded::Stop),
                PauseEnd::Over => continue,
                PauseEnd::Net(event) => event,
            };
            let NetEvent::Peer { bytes, .. } = event else {
                self.refuse_event(event, NOT_YET);
                continue;
            };
            let Some((from, said)) = heard(&bytes, identity) else {
                continue;
            };
            let fresh = self.env.random_u64();
            for action in unfounded.hear(from, said, fresh) {
                match action {
                    Action::Send { .. } => self.say(identity, raft, [action]),
                    action => return self.settle(action, &record).await,
                }
            }
        }
    }

    /// The action that ends the wait, made durable.
    async fn settle(&mut self, action: Action, record: &Record) -> Result<Founded, StoreError> {
        let disk = self.env.disk();
        let (first, epoch) = match action {
            Action::Decide(first) => {
                let founding = self.env.random_u64();
                let epoch = Epoch {
                    founding,
                    number: 1,
                    id: founding,
                };
                (first, epoch)
            }
            Action::Accept { first, epoch } => (first, epoch),
            Action::StandBack | Action::Send { .. } => {
                self.stood_back = true;
                self.env.report(Notice::StoodBack);
                return Ok(Founded::Open);
            }
        };
        let record = Record {
            epoch,
            ..record.clone()
        };
        begin(&disk, &record, &first).await?;
        let nodes: Vec<u64> = first.into_keys().collect();
        self.env.report(Notice::Founded { nodes });
        Ok(Founded::Open)
    }

    /// Says something to nodes, whatever their disks.
    fn say(
        &mut self,
        identity: Identity,
        raft: &RaftConfig,
        actions: impl IntoIterator<Item = Action>,
    ) {
        for action in actions {
            let Action::Send { to, said } = action else {
                continue;
            };
            if let Some(peer) = raft.peers.get(&to) {
                let packet = packet(identity, to, said);
                self.net.send(peer.peer, packet.encode());
            }
        }
    }

    /// The next thing that happens to a broker whose store is not open.
    pub(in crate::broker) async fn next_while_closed<S: Future<Output = ()>>(
        &mut self,
        mut stop: Pin<&mut S>,
    ) -> PauseEnd {
        poll_fn(|context| {
            if stop.as_mut().poll(context).is_ready() {
                return Poll::Ready(PauseEnd::Stop);
            }
            if pin!(self.timer.fired()).poll(context).is_ready() {
                return Poll::Ready(PauseEnd::Over);
            }
            pin!(self.net.next()).poll(context).map(PauseEnd::Net)
        })
        .await
    }
}

impl<E: Env> ReplicaView<'_, E> {
    /// Answers who asks a replica whether there is a cluster, and of which epoch.
    /// False where that is not what the message is.
    pub(in crate::broker) async fn about_the_cluster(
        &mut self,
        bytes: &Bytes,
    ) -> Result<bool, Interruption> {
        let identity = self.store.log.identity();
        let Some(packet) = FoundingMessage::decode(bytes) else {
            return Ok(false);
        };
        let is_blank = self.store.base.is_none();
        match for_me(packet, identity) {
            Some((from, Said::Ask { question, members })) => {
                let said = match is_blank {
                    // The founding that it had stood back from may be gone.
                    true if is_founder(from, &members, &self.replica.members) => {
                        return Err(Renewal::FoundingAgain.into());
                    }
                    true => Said::Blank { question },
                    false => Said::Founded {
                        question,
                        first: self.replica.first(),
                        epoch: self.replica.epoch,
                    },
                };
                self.inform(from.node, said);
            }
            Some((from, Said::Epoch { to_disk, epoch })) if !is_blank => {
                self.meets_epoch(from, to_disk, epoch).await?;
            }
            _ => {}
        }
        Ok(true)
    }

    /// Tells a node something about the cluster.
    pub(in crate::broker) fn inform(&mut self, to_node: u64, said: Said) {
        if let Some(peer) = self.replica.peers().get(&to_node) {
            let packet = packet(self.store.log.identity(), to_node, said);
            self.broker.net.send(peer.peer, packet.encode());
        }
    }
}

/// Whether the founder of one's own list asks.
fn is_founder(from: ReplicaId, members: &[u64], own: &[u64]) -> bool {
    own.first() == Some(&from.node) && members == own
}

fn packet(identity: Identity, to_node: u64, said: Said) -> FoundingMessage {
    FoundingMessage {
        cluster_id: identity.cluster_id,
        from: ReplicaId {
            node: identity.node_id,
            disk: identity.disk_id,
        },
        to_node,
        said,
    }
}

fn heard(bytes: &Bytes, identity: Identity) -> Option<(ReplicaId, Said)> {
    for_me(FoundingMessage::decode(bytes)?, identity)
}

fn for_me(packet: FoundingMessage, identity: Identity) -> Option<(ReplicaId, Said)> {
    let mine = packet.cluster_id == identity.cluster_id && packet.to_node == identity.node_id;
    (mine && packet.from.node != identity.node_id).then_some((packet.from, packet.said))
}
