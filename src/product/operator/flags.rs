//! Flags that contradict each other or the directory: refused before anything is
//! written or served.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::directory::DirectoryError;
use super::{FormatArgs, ServeArgs};
use crate::broker::Peer;

/// The nodes that a cluster begins with: this one among them, each once, and as
/// many as a majority makes sense of.
pub(super) fn check_members(args: &FormatArgs) -> Result<(), DirectoryError> {
    let (members, me) = (&args.members, args.broker_id);
    let mut seen = BTreeSet::new();
    let twice = members.iter().find(|member| !seen.insert(**member));
    let why = if members.is_empty() {
        return Ok(());
    } else if let Some(twice) = twice {
        format!("they name broker {twice} twice; name each member once")
    } else if !members.contains(&me) {
        format!("they must name this broker too: {me} (see --broker-id)")
    } else if members.len() == 1 {
        "one member is no cluster: a single disk that is lost takes everything with it. Name three, \
         or leave --members out for a broker that stands alone"
            .to_owned()
    } else if members.len().is_multiple_of(2) {
        let n = members.len();
        format!(
            "{n} members are an even number, and bear the loss of no more disks than {} do. Name \
             one less or one more",
            n - 1
        )
    } else {
        return Ok(());
    };
    Err(DirectoryError::Flags {
        flag: "--members",
        why,
    })
}

/// The replicas by node; each named once, at addresses of its own, this one and
/// the preferred leader among them.
pub(super) fn peers(args: &ServeArgs, me: u64) -> Result<BTreeMap<u64, Peer>, DirectoryError> {
    let refused = |flag, why| Err(DirectoryError::Flags { flag, why });
    let mut peers = BTreeMap::new();
    let mut addresses = BTreeMap::<SocketAddr, u64>::new();
    for (id, peer) in &args.peers {
        if peers.insert(*id, *peer).is_some() {
            let why = format!("it names broker {id} twice; name each replica once");
            return refused("--peer", why);
        }
        for address in [peer.peer, peer.client] {
            if address.ip().is_unspecified() || address.port() == 0 {
                let why = format!(
                    "broker {id} at {address}: the others connect to this address; name one that \
                     they can reach"
                );
                return refused("--peer", why);
            }
            if let Some(other) = addresses.insert(address, *id) {
                let why = format!("brokers {other} and {id} have the same address, {address}");
                return refused("--peer", why);
            }
        }
    }
    let Some(own) = peers.get(&me) else {
        let why = format!("the directory is broker {me}'s, and no --peer names it");
        return refused("--peer", why);
    };
    if let Some(listen) = args.listen.filter(|listen| *listen != own.client) {
        let why = format!(
            "{listen} contradicts --peer {me}=…/{}: clients of a replica are told the latter. Leave \
             --listen out",
            own.client
        );
        return refused("--listen", why);
    }
    match args.preferred_leader {
        Some(node) if !peers.contains_key(&node) => {
            let why = format!("no --peer names it: {node}");
            refused("--preferred-leader", why)
        }
        _ => Ok(peers),
    }
}
