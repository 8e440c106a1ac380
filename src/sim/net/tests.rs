//! Every meaning that the module claims: its effect when on, its absence when
//! off.

mod peers;

use bytes::Bytes;

use super::{EndpointId, GIVE_UP_NS, LinkConfig, Network, NodeId};
use crate::env::{CloseReason, ConnId, NetEvent, Source};
use crate::sim::latency::Latency;
use crate::sim::random::{Purpose, Stream};
use crate::sim::world::{Core, Due, address};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const PORT: u16 = 10911;

/// A link without losses, splits or surprises.
fn plain() -> LinkConfig {
    LinkConfig {
        latency: Latency::uniform(MS, MS),
        loss: 0.0,
        retransmit_ns: 200 * MS,
        connect_ns: 3_000 * MS,
        duplicate: 0.0,
        garbage: 0.0,
        reorder: 0.0,
        held_back_ns_max: None,
        split: 0.0,
    }
}

/// A link on which every packet takes its own time.
fn shuffling() -> LinkConfig {
    LinkConfig {
        latency: Latency::uniform(MS, 50 * MS),
        ..plain()
    }
}

/// A network of three machines, and its clock.
struct Bench {
    core: Core,
    net: Network,
}

impl Bench {
    fn new(link: LinkConfig, seed: u64) -> Self {
        Self {
            core: Core::of_machines(3),
            net: Network::new(link, Stream::new(seed, Purpose::Network)),
        }
    }

    /// Lets everything happen that is due by `at_ns`.
    fn run_to(&mut self, at_ns: u64) {
        while let Some(next_ns) = self.core.agenda.next_at_ns().filter(|next| *next <= at_ns) {
            self.core.now_ns = next_ns;
            let due = self.core.agenda.pop_due(next_ns);
            let Some(Due::Net(arrival)) = due else {
                panic!("only the network acts here: {due:?}")
            };
            self.net.arrive(&mut self.core, arrival);
        }
        self.core.now_ns = at_ns;
    }

    fn run_for(&mut self, for_ns: u64) {
        self.run_to(self.core.now_ns + for_ns);
    }

    fn listener(&mut self, node: NodeId) -> EndpointId {
        let endpoint = self.net.open(node);
        assert!(self.net.listen(endpoint, address(node, PORT)));
        endpoint
    }

    fn events(&mut self, endpoint: EndpointId) -> Vec<NetEvent> {
        let next = |net: &mut Network| {
            let said = net.take_event(endpoint, Source::Peers);
            said.or_else(|| net.take_event(endpoint, Source::Streams))
        };
        std::iter::from_fn(|| next(&mut self.net)).collect()
    }

    fn write(&mut self, conn: ConnId, bytes: &'static [u8]) {
        self.net
            .write(&mut self.core, conn, Bytes::from_static(bytes));
    }

    fn cut(&mut self, from: NodeId, to: NodeId) {
        self.net.cut(from, to);
    }

    fn heal(&mut self, from: NodeId, to: NodeId) {
        self.net.heal(&mut self.core, from, to);
    }

    fn dies(&mut self, node: NodeId, machine_too: bool) {
        self.core.machine_dies(node, machine_too);
        self.net.process_died(&mut self.core, node);
    }
}

/// A stream from machine 1 to machine 0, up on both sides.
struct Pair {
    bench: Bench,
    server: EndpointId,
    client: EndpointId,
    server_conn: ConnId,
    client_conn: ConnId,
}

impl Pair {
    fn new(link: LinkConfig, seed: u64) -> Self {
        let mut bench = Bench::new(link, seed);
        let server = bench.listener(0);
        let client = bench.net.open(1);
        let client_conn = bench.net.connect(&mut bench.core, client, address(0, PORT));
        bench.run_for(2 * SECOND);
        let [NetEvent::Accepted { conn, from }] = bench.events(server)[..] else {
            panic!("not accepted")
        };
        assert_eq!(from.ip(), address(1, 0).ip());
        let connected = NetEvent::Connected { conn: client_conn };
        assert_eq!(bench.events(client), [connected]);
        Self {
            bench,
            server,
            client,
            server_conn: conn,
            client_conn,
        }
    }

    fn at_server(&mut self) -> Vec<NetEvent> {
        self.bench.events(self.server)
    }

    fn at_client(&mut self) -> Vec<NetEvent> {
        self.bench.events(self.client)
    }

    fn client_writes(&mut self, bytes: &'static [u8]) {
        self.bench.write(self.client_conn, bytes);
    }

    fn server_writes(&mut self, bytes: &'static [u8]) {
        self.bench.write(self.server_conn, bytes);
    }

    fn closed_at_client(&self, reason: CloseReason) -> Vec<NetEvent> {
        let conn = self.client_conn;
        vec![NetEvent::Closed { conn, reason }]
    }

    fn closed_at_server(&self, reason: CloseReason) -> Vec<NetEvent> {
        let conn = self.server_conn;
        vec![NetEvent::Closed { conn, reason }]
    }
}

/// The bytes of all data events, and how many events there were.
fn data(events: &[NetEvent]) -> (Vec<u8>, usize) {
    let pieces = events.iter().filter_map(|event| match event {
        NetEvent::Data { bytes, .. } => Some(bytes),
        _ => None,
    });
    let pieces: Vec<_> = pieces.collect();
    let all = pieces.iter().flat_map(|bytes| bytes.iter().copied());
    (all.collect(), pieces.len())
}

/// The bytes that 200 writes of 10 bytes to the server bring, when they are all there.
fn two_hundred_writes(link: LinkConfig) -> (Pair, Vec<u8>, usize) {
    let mut pair = Pair::new(link, 7);
    let text: &'static [u8] = b"0123456789";
    for _ in 0..200 {
        pair.client_writes(text);
    }
    pair.bench.run_for(50 * SECOND);
    let (bytes, pieces) = data(&pair.at_server());
    assert_eq!(bytes, text.repeat(200), "in order, nothing twice");
    (pair, bytes, pieces)
}

#[test]
fn streams_keep_their_order_whatever_overtakes() {
    two_hundred_writes(plain());
    two_hundred_writes(shuffling());
}

#[test]
fn writes_are_split_and_joined_only_where_the_link_splits() {
    assert_eq!(two_hundred_writes(plain()).2, 200);
    let splitting = LinkConfig {
        split: 0.5,
        ..plain()
    };
    let (pair, _, pieces) = two_hundred_writes(splitting);
    let fates = pair.bench.net.fates;
    assert!((60..140).contains(&fates.split), "{fates:?}");
    // Nobody reads before all is there.
    assert!((100..200).contains(&fates.joined), "{fates:?}");
    assert_eq!(pieces as u64, 200 + fates.split - fates.joined);
    assert_eq!(fates.pieces_delivered, fates.split);
    let shuffled = LinkConfig {
        split: 0.5,
        ..shuffling()
    };
    let fates = two_hundred_writes(shuffled).0.bench.net.fates;
    assert!((1..fates.split).contains(&fates.pieces_alone), "{fates:?}");
}

#[test]
fn a_loss_on_a_stream_is_a_delay_and_nothing_else() {
    assert_eq!(two_hundred_writes(plain()).0.bench.net.fates.lost, 0);
    let losing = LinkConfig {
        loss: 0.3,
        ..plain()
    };
    let (pair, ..) = two_hundred_writes(losing);
    assert!(pair.bench.net.fates.lost > 40);
    // A single write, lost for sure once: it comes after the retransmission.
    let mut pair = Pair::new(plain(), 1);
    let once = LinkConfig {
        loss: 1.0,
        ..plain()
    };
    pair.bench.net.set_link(1, 0, once);
    pair.client_writes(b"x");
    pair.bench.run_for(199 * MS);
    assert_eq!(pair.at_server(), []);
    let retransmit = LinkConfig {
        loss: 0.0,
        retransmit_ns: 7 * MS,
        ..plain()
    };
    pair.bench.net.set_link(1, 0, retransmit);
    pair.bench.run_for(2 * GIVE_UP_NS);
    assert_eq!(data(&pair.at_server()).0, b"x");
}

#[test]
fn a_link_has_a_character_of_its_own_in_one_direction() {
    let mut pair = Pair::new(plain(), 1);
    let slow = LinkConfig {
        latency: Latency::uniform(30 * MS, 30 * MS),
        ..plain()
    };
    pair.bench.net.set_link(1, 0, slow);
    pair.client_writes(b"slow");
    pair.server_writes(b"fast");
    pair.bench.run_for(2 * MS);
    assert_eq!(data(&pair.at_client()).0, b"fast");
    assert_eq!(pair.at_server(), []);
    pair.bench.run_for(30 * MS);
    assert_eq!(data(&pair.at_server()).0, b"slow");
}

#[test]
fn bytes_may_be_written_at_once_and_none_come_before_the_stream_is_up() {
    for seed in 0..50 {
        let mut bench = Bench::new(shuffling(), seed);
        let (server, client) = (bench.listener(0), bench.net.open(1));
        let conn = bench.net.connect(&mut bench.core, client, address(0, PORT));
        bench.write(conn, b"early");
        for _ in 0..400 {
            bench.run_for(MS);
            let events = bench.events(server);
            if let Some(NetEvent::Accepted { conn, .. }) = events.first() {
                bench.write(*conn, b"welcome");
            }
        }
        let at_client = bench.events(client);
        assert_eq!(at_client[0], NetEvent::Connected { conn }, "seed {seed}");
        assert_eq!(data(&at_client).0, b"welcome");
    }
}

#[test]
fn bytes_written_at_once_arrive() {
    for seed in 0..50 {
        let mut bench = Bench::new(shuffling(), seed);
        let (server, client) = (bench.listener(0), bench.net.open(1));
        let conn = bench.net.connect(&mut bench.core, client, address(0, PORT));
        bench.write(conn, b"early");
        bench.run_for(SECOND);
        let events = bench.events(server);
        assert!(matches!(events[0], NetEvent::Accepted { .. }), "{events:?}");
        assert_eq!(data(&events).0, b"early", "seed {seed}");
    }
}

#[test]
fn cuts_hold_what_is_sent_and_what_is_in_flight_in_their_direction() {
    for (cut, to_server, to_client) in [
        (vec![], true, true),
        (vec![(1, 0)], false, true),
        (vec![(0, 1)], true, false),
        (vec![(1, 0), (0, 1)], false, false),
        (vec![(2, 0), (0, 2), (1, 2)], true, true),
    ] {
        let mut pair = Pair::new(plain(), 3);
        pair.client_writes(b"in flight");
        pair.server_writes(b"in flight");
        for (from, to) in &cut {
            pair.bench.cut(*from, *to);
        }
        pair.client_writes(b", sent");
        pair.server_writes(b", sent");
        pair.bench.run_for(10 * SECOND);
        let came = (!pair.at_server().is_empty(), !pair.at_client().is_empty());
        assert_eq!(came, (to_server, to_client), "{cut:?}");
        let held = 2 * (u64::from(!to_server) + u64::from(!to_client));
        assert_eq!(pair.bench.net.fates.cut, held);
        assert_eq!(pair.bench.net.cut_hits_on(&[(0, 1), (1, 0)]), held);
        assert_eq!(pair.bench.net.cut_hits_on(&[(2, 0), (0, 2)]), 0);
    }
}

#[test]
fn healing_sends_again_in_order_and_nothing_twice() {
    for seed in 0..20 {
        let mut pair = Pair::new(shuffling(), seed);
        pair.client_writes(b"a");
        pair.bench.run_for(20 * MS);
        for (from, to) in [(1, 0), (0, 1)] {
            pair.bench.cut(from, to);
        }
        pair.client_writes(b"b");
        pair.client_writes(b"c");
        pair.bench.run_for(5 * SECOND);
        for (from, to) in [(1, 0), (0, 1)] {
            pair.bench.heal(from, to);
        }
        pair.client_writes(b"d");
        pair.bench.run_for(5 * SECOND);
        assert_eq!(data(&pair.at_server()).0, b"abcd", "seed {seed}");
        assert_eq!(pair.at_client(), []);
    }
}

#[test]
fn a_sender_gives_up_a_minute_after_what_a_cut_holds() {
    for (cut_ns, ends) in [(GIVE_UP_NS - SECOND, false), (GIVE_UP_NS + SECOND, true)] {
        let mut pair = Pair::new(plain(), 3);
        pair.bench.cut(1, 0);
        pair.client_writes(b"x");
        pair.bench.run_for(cut_ns);
        pair.bench.heal(1, 0);
        pair.bench.run_for(SECOND);
        let (at_client, at_server) = (pair.at_client(), pair.at_server());
        if ends {
            assert_eq!(at_client, pair.closed_at_client(CloseReason::Timeout));
            assert_eq!(at_server, []);
        } else {
            assert_eq!(at_client, []);
            assert_eq!(data(&at_server).0, b"x");
        }
    }
}

#[test]
fn a_close_is_an_end_after_all_that_was_written() {
    let mut pair = Pair::new(shuffling(), 5);
    pair.client_writes(b"first");
    pair.client_writes(b" last");
    let conn = pair.client_conn;
    pair.bench.net.close(&mut pair.bench.core, conn);
    pair.client_writes(b"too late");
    pair.bench.run_for(SECOND);
    let events = pair.at_server();
    assert_eq!(data(&events).0, b"first last");
    assert_eq!(
        events[events.len() - 1..],
        pair.closed_at_server(CloseReason::Eof)
    );
    assert_eq!(pair.at_client(), [], "the side that closes is told nothing");
}

#[test]
fn writing_to_a_side_that_closed_is_answered_by_a_reset() {
    let mut pair = Pair::new(plain(), 5);
    let conn = pair.client_conn;
    pair.server_writes(b"crossing");
    pair.bench.net.close(&mut pair.bench.core, conn);
    pair.bench.run_for(SECOND);
    assert_eq!(pair.at_client(), []);
    assert_eq!(pair.at_server(), pair.closed_at_server(CloseReason::Eof));
    pair.server_writes(b"late");
    pair.bench.run_for(SECOND);
    assert_eq!(pair.at_client(), []);
    assert_eq!(pair.at_server(), []);
}

#[test]
fn a_killed_process_ends_its_streams_by_its_operating_system() {
    let mut seen = [0, 0];
    for seed in 0..40 {
        let mut pair = Pair::new(plain(), seed);
        pair.server_writes(b"written before");
        pair.bench.dies(0, false);
        pair.bench.run_for(SECOND);
        let events = pair.at_client();
        assert_eq!(data(&events).0, b"written before");
        match events.last() {
            Some(NetEvent::Closed { reason, .. }) if *reason == CloseReason::Eof => seen[0] += 1,
            Some(NetEvent::Closed { reason, .. }) if *reason == CloseReason::Reset => seen[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(seen[0] > 5 && seen[1] > 5, "EOF and reset: {seen:?}");
}

/// The first reset took the number that the next one had to have: it waited for
/// ever, and so did the client.
#[test]
fn a_reset_that_a_cut_swallowed_is_made_good_by_the_next() {
    let mut ended = 0;
    for seed in 0..20 {
        let mut pair = Pair::new(plain(), seed);
        pair.bench.cut(0, 1);
        pair.bench.dies(0, false);
        pair.bench.run_for(SECOND);
        assert_eq!(pair.at_client(), [], "nothing comes through a cut");
        pair.bench.heal(0, 1);
        pair.client_writes(b"anybody there?");
        pair.bench.run_for(10 * SECOND);
        let events = pair.at_client();
        assert!(
            matches!(events[..], [NetEvent::Closed { .. }]),
            "seed {seed}: {events:?}"
        );
        ended += 1;
    }
    assert_eq!(ended, 20);
}

#[test]
fn a_machine_without_power_is_silent_and_says_reset_once_it_is_up() {
    let mut pair = Pair::new(plain(), 2);
    pair.bench.dies(0, true);
    pair.client_writes(b"x");
    pair.bench.run_for(30 * SECOND);
    assert_eq!(pair.at_client(), [], "silence");
    pair.bench.core.machine_starts(0);
    pair.bench.run_for(2 * SECOND);
    assert_eq!(pair.at_client(), pair.closed_at_client(CloseReason::Reset));
}

#[test]
fn a_writer_to_a_dead_machine_gives_up_after_a_minute() {
    let mut pair = Pair::new(plain(), 2);
    pair.bench.dies(0, true);
    pair.client_writes(b"x");
    pair.bench.run_for(GIVE_UP_NS - SECOND);
    assert_eq!(pair.at_client(), []);
    pair.bench.run_for(2 * SECOND);
    assert_eq!(
        pair.at_client(),
        pair.closed_at_client(CloseReason::Timeout)
    );
    // One that writes nothing learns nothing.
    let mut idle = Pair::new(plain(), 2);
    idle.bench.dies(0, true);
    idle.bench.run_for(10 * GIVE_UP_NS);
    assert_eq!(idle.at_client(), []);
}

/// Bytes that a cut held were sent again by a machine that had no power.
#[test]
fn a_machine_without_power_sends_nothing_again() {
    for machine_too in [false, true] {
        let mut pair = Pair::new(plain(), 2);
        pair.bench.cut(0, 1);
        pair.server_writes(b"held");
        pair.bench.run_for(SECOND);
        pair.bench.dies(0, machine_too);
        pair.bench.heal(0, 1);
        pair.bench.run_for(SECOND);
        let (bytes, _) = data(&pair.at_client());
        let wanted: &[u8] = if machine_too { b"" } else { b"held" };
        assert_eq!(bytes, wanted, "machine too: {machine_too}");
    }
}

#[test]
fn nobody_listens_and_the_connect_is_refused() {
    for process_up in [true, false] {
        let mut bench = Bench::new(plain(), 1);
        if !process_up {
            bench.dies(0, false);
        }
        let client = bench.net.open(1);
        let conn = bench.net.connect(&mut bench.core, client, address(0, PORT));
        bench.run_for(10 * MS);
        let reason = CloseReason::Reset;
        assert_eq!(bench.events(client), [NetEvent::Closed { conn, reason }]);
        bench.run_for(10 * SECOND);
        assert_eq!(bench.events(client), [], "told once");
    }
}

#[test]
fn nobody_answers_and_the_connect_times_out() {
    type Damage = fn(&mut Bench);
    let cases: [(&str, Damage); 3] = [
        ("no power", |bench| bench.dies(0, true)),
        ("the way there is cut", |bench| bench.cut(1, 0)),
        ("the way back is cut", |bench| bench.cut(0, 1)),
    ];
    for (name, damage) in cases {
        let mut bench = Bench::new(plain(), 1);
        let _server = bench.listener(0);
        damage(&mut bench);
        let client = bench.net.open(1);
        let conn = bench.net.connect(&mut bench.core, client, address(0, PORT));
        bench.run_for(2_999 * MS);
        assert_eq!(bench.events(client), [], "{name}");
        bench.run_for(2 * MS);
        let reason = CloseReason::Timeout;
        let closed = NetEvent::Closed { conn, reason };
        assert_eq!(bench.events(client), [closed], "{name}");
    }
}

#[test]
fn a_connect_is_asked_again_while_it_may_still_come_up() {
    for cut in [(1, 0), (0, 1)] {
        let mut bench = Bench::new(plain(), 1);
        let server = bench.listener(0);
        bench.cut(cut.0, cut.1);
        let client = bench.net.open(1);
        let conn = bench.net.connect(&mut bench.core, client, address(0, PORT));
        bench.run_for(500 * MS);
        bench.heal(cut.0, cut.1);
        bench.run_for(SECOND);
        assert_eq!(bench.events(client), [NetEvent::Connected { conn }]);
        assert_eq!(bench.events(server).len(), 1, "accepted once");
    }
}

#[test]
fn a_listener_s_address_is_its_own_until_it_is_gone() {
    let mut bench = Bench::new(plain(), 1);
    let first = bench.listener(0);
    let second = bench.net.open(0);
    assert!(!bench.net.listen(second, address(0, PORT)));
    bench.net.close_endpoint(&mut bench.core, first);
    assert!(bench.net.listen(second, address(0, PORT)));
}
