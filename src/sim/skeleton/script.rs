//! The requests of the processes of a run to their world, in the order and at the
//! times in which they were made.

use std::net::SocketAddr;

use crate::env::ConnId;
use crate::sim::net::{EndpointId, NodeId};
use crate::sim::world::TimerId;

/// A file that a process has open: its descriptor.
pub(crate) type FileId = u64;

/// One call of a process. A length stands for bytes: what they say is the
/// business of brokers and clients.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// Timers.
    NewTimer(TimerId),
    Reset(TimerId, Option<u64>),
    DropTimer(TimerId),
    /// The network.
    NewNet(EndpointId),
    Listen(EndpointId, SocketAddr),
    ListenPeers(EndpointId, SocketAddr),
    Connect(EndpointId, ConnId, SocketAddr),
    Write(EndpointId, ConnId, usize),
    Close(EndpointId, ConnId),
    Send(EndpointId, SocketAddr, usize),
    DropNet(EndpointId),
    /// Files: position and length.
    Create(FileId, String),
    Open(FileId, String),
    WriteAt(FileId, u64, usize),
    ReadAt(FileId, u64, usize),
    SetLen(FileId, u64),
    Size(FileId),
    SyncData(FileId),
    SyncAll(FileId),
    DropFile(FileId),
    /// Names.
    Rename(String, String),
    Remove(String),
    List(String),
    CreateDir(String),
    SyncDir(String),
    FreeBytes,
}

/// A call, and when.
#[derive(Debug, Clone)]
pub(super) struct Timed {
    pub(super) at_ns: u64,
    pub(super) call: Call,
}

/// One process, from its start to its death.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) node: NodeId,
    pub(super) begins_ns: u64,
    pub(super) calls: Vec<Timed>,
}

/// How a life ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death {
    pub(super) at_ns: u64,
    pub(super) node: NodeId,
    /// The power went.
    pub(super) machine_too: bool,
}

/// Everything that the processes of a run asked, and when they lived.
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub(super) lives: Vec<Life>,
    pub(super) deaths: Vec<Death>,
    /// When the run was over.
    pub(super) ends_ns: u64,
    /// The broker that led then.
    pub(super) leader: Option<NodeId>,
}

impl Script {
    /// A process starts on a node.
    pub(crate) fn begins(&mut self, node: NodeId, at_ns: u64) {
        self.lives.push(Life {
            node,
            begins_ns: at_ns,
            calls: Vec::new(),
        });
    }

    /// The process of a node dies, with its machine or without.
    pub(crate) fn dies(&mut self, node: NodeId, at_ns: u64, machine_too: bool) {
        self.deaths.push(Death {
            at_ns,
            node,
            machine_too,
        });
    }

    /// The living process of a node calls.
    pub(crate) fn calls(&mut self, node: NodeId, at_ns: u64, call: Call) {
        let mut lives = self.lives.iter_mut().rev();
        if let Some(life) = lives.find(|life| life.node == node) {
            life.calls.push(Timed { at_ns, call });
        }
    }

    /// The run is over.
    pub(crate) fn ends(&mut self, at_ns: u64, leader: Option<NodeId>) {
        (self.ends_ns, self.leader) = (at_ns, leader);
    }
}
