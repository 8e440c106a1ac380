//! Ports for brokers that have to know each other's before any of them runs.

use std::net::{IpAddr, SocketAddr, TcpListener};

/// So many addresses that are free, all of them different, at a loopback address
/// of this process alone: what was free a moment ago stays so, since nobody else
/// takes ports there. Where the system has one loopback address only, somebody
/// may.
///
/// # Panics
/// No loopback address is to be had.
#[must_use]
pub fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let listeners: Vec<TcpListener> = (0..count).map(|_| free_port()).collect();
    let addresses = listeners.iter().map(TcpListener::local_addr);
    addresses
        .collect::<Result<_, _>>()
        .expect("it is bound to one")
}

fn free_port() -> TcpListener {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let own = IpAddr::from([127, a | 0x40, b, c | 1]);
    TcpListener::bind((own, 0))
        .or_else(|_| TcpListener::bind("127.0.0.1:0"))
        .expect("a loopback address")
}
