//! The name of a world: equal for worlds of which the same can come.
//!
//! Nodes are renamed by what they are, so that two worlds that differ by a permutation
//! of equal nodes are one. That is not always noticed (two nodes that look alike at first
//! keep their order), and it takes one thing for granted: the core asks and promotes
//! members in the order of their numbers, and of two equal copies takes that of the lower
//! number. Of worlds that differ by that order alone, one is looked at.

use xxhash_rust::xxh3::xxh3_128;

use super::world::{World, disk_name};
use crate::raft::{Message, Names, Role, Words};

/// The order of nodes by what does not depend on their numbers.
fn places(world: &World) -> Vec<u64> {
    let looks = |node: u64| {
        let place = world.node(node);
        let (disk, raft) = (&place.disk, &place.raft);
        let role = match raft.role() {
            Role::Blank => 0,
            Role::Follower => 1,
            Role::PreCandidate => 2,
            Role::Candidate => 3,
            Role::Leader => 4,
        };
        let ends = [raft.last(), disk.base, disk.last()];
        let to = world.bag.iter().filter(|it| it.to.node == node).count();
        let from = world.bag.iter().filter(|it| it.from.node == node).count();
        let marks = [raft.commit_index(), disk.durable_index, role, place.starts];
        let votes = raft.configuration().is_voter(place.me);
        let terms = (raft.term(), disk.hard.term, place.me.disk >> 16);
        (votes, terms, ends, marks, disk.rotten.len(), to, from)
    };
    let mut order: Vec<u64> = world.numbers().collect();
    order.sort_by_cached_key(|node| looks(*node));
    let mut places = vec![0; order.len()];
    for (place, node) in order.iter().enumerate() {
        places[super::world::at(*node)] = place as u64;
    }
    places
}

fn hash(words: &[u64]) -> u128 {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    xxh3_128(&bytes)
}

/// The name of all there is.
pub(super) fn of_world(world: &World) -> u128 {
    let mut names = Names::new(places(world), disk_name);
    for node in &world.nodes {
        names.note(&node.raft);
    }
    for flight in &world.bag {
        names.note_message(flight.term, &flight.message);
    }
    names.seal();
    let mut order: Vec<_> = world.nodes.iter().collect();
    order.sort_by_key(|node| names.node(node.me.node));
    let mut words = Words::with_capacity(512);
    for node in order {
        words.push(node.starts);
        node.disk.digest(&names, &mut words);
        words.push(u64::MAX);
        node.raft.digest(&names, &mut words);
    }
    let mut flights: Vec<u128> = Vec::with_capacity(world.bag.len());
    for flight in &world.bag {
        let mut of_one = Words::with_capacity(32);
        let between = (flight.from, flight.to);
        names.message(between, flight.term, &flight.message, &mut of_one);
        of_one.push(u64::from(flight.late));
        if !matches!(
            flight.message,
            Message::Vote { .. } | Message::VoteAnswer { .. }
        ) {
            of_one.extend(flight.entries.iter().map(|entry| entry.value));
        }
        flights.push(hash(&of_one));
    }
    flights.sort_unstable();
    for flight in flights {
        let halves = flight.to_le_bytes();
        words.extend(halves.chunks_exact(8).map(|half| {
            half.iter()
                .rev()
                .fold(0, |word, byte| (word << 8) | u64::from(*byte))
        }));
    }
    world.past.digest(&names, &mut words);
    words.extend(world.spent.words());
    hash(&words)
}

/// The name of what is on the disks.
pub(super) fn of_disks(world: &World) -> u128 {
    let names = Names::new(places(world), disk_name);
    let mut order: Vec<_> = world.nodes.iter().collect();
    order.sort_by_key(|node| names.node(node.me.node));
    let mut words = Words::with_capacity(128);
    for node in order {
        words.push(names.replica(node.me));
        node.disk.digest(&names, &mut words);
        words.push(u64::MAX);
    }
    hash(&words)
}
