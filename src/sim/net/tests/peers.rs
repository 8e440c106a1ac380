//! Peer messages: late, lost, repeated, overtaken, cut; never in part.

use std::net::SocketAddr;

use super::*;

/// Peers on machines 0 and 1.
fn peers(link: LinkConfig, seed: u64) -> (Bench, [EndpointId; 2], [SocketAddr; 2]) {
    let mut bench = Bench::new(link, seed);
    let addresses = [address(0, PORT), address(1, PORT)];
    let endpoints = [0, 1].map(|node| {
        let endpoint = bench.net.open(node);
        assert!(bench.net.listen_peers(endpoint, addresses[node as usize]));
        endpoint
    });
    (bench, endpoints, addresses)
}

/// The numbers of 1,000 numbered messages that machine 0 sends to machine 1, in
/// the order in which they came.
fn thousand_messages(link: LinkConfig, cut: bool) -> (Bench, Vec<u32>) {
    let (mut bench, [from, to], [sender, receiver]) = peers(link, 11);
    if cut {
        bench.cut(0, 1);
    }
    for number in 0..1_000_u32 {
        let bytes = Bytes::from([number.to_be_bytes(), (!number).to_be_bytes()].concat());
        bench.net.send_peer(&mut bench.core, from, receiver, bytes);
        bench.run_for(MS);
    }
    bench.run_for(10 * SECOND);
    let numbers = bench.events(to).into_iter().map(|event| {
        let NetEvent::Peer { from, bytes } = event else {
            panic!("{event:?}")
        };
        assert_eq!(from, sender);
        let (number, check) = bytes.split_first_chunk::<4>().expect("whole");
        let number = u32::from_be_bytes(*number);
        assert_eq!(check, (!number).to_be_bytes(), "never corrupted");
        number
    });
    let numbers = numbers.collect();
    (bench, numbers)
}

#[test]
fn peer_messages_are_lost_repeated_overtaken_or_cut_where_the_link_says_so() {
    let in_order: Vec<u32> = (0..1_000).collect();
    let (bench, numbers) = thousand_messages(plain(), false);
    assert_eq!(numbers, in_order);
    assert_eq!(bench.net.fates.delivered, 1_000);

    let losing = LinkConfig {
        loss: 0.2,
        ..plain()
    };
    let (bench, numbers) = thousand_messages(losing, false);
    assert!((150..250).contains(&bench.net.fates.lost));
    assert_eq!(numbers.len() as u64, 1_000 - bench.net.fates.lost);
    assert!(numbers.is_sorted(), "late by nothing but the latency");

    let repeating = LinkConfig {
        duplicate: 0.2,
        ..plain()
    };
    let (bench, mut numbers) = thousand_messages(repeating, false);
    assert!((150..250).contains(&bench.net.fates.repeated));
    assert_eq!(numbers.len() as u64, 1_000 + bench.net.fates.repeated);
    numbers.dedup();
    assert_eq!(numbers, in_order);

    let reordering = LinkConfig {
        reorder: 0.2,
        ..plain()
    };
    let (bench, mut numbers) = thousand_messages(reordering, false);
    assert!((150..250).contains(&bench.net.fates.overtaken));
    assert!(!numbers.is_sorted());
    numbers.sort_unstable();
    assert_eq!(numbers, in_order, "none lost, none twice");

    let (bench, numbers) = thousand_messages(plain(), true);
    assert_eq!((numbers.len(), bench.net.fates.cut), (0, 1_000));
}

#[test]
fn a_cut_drops_the_peer_messages_in_flight_for_good() {
    let (mut bench, [from, to], [_, receiver]) = peers(plain(), 1);
    bench
        .net
        .send_peer(&mut bench.core, from, receiver, Bytes::from_static(b"x"));
    bench.cut(0, 1);
    bench.run_for(SECOND);
    bench.heal(0, 1);
    bench.run_for(SECOND);
    assert_eq!(bench.events(to), []);
}

#[test]
fn a_dead_process_receives_no_peer_messages_and_its_successor_does() {
    let (mut bench, [from, _], [_, receiver]) = peers(plain(), 1);
    bench.dies(1, false);
    let send = |bench: &mut Bench| {
        let bytes = Bytes::from_static(b"x");
        bench.net.send_peer(&mut bench.core, from, receiver, bytes);
        bench.run_for(SECOND);
    };
    send(&mut bench);
    let successor = bench.net.open(1);
    assert!(bench.net.listen_peers(successor, receiver));
    assert_eq!(bench.events(successor), []);
    send(&mut bench);
    assert_eq!(bench.events(successor).len(), 1);
}
