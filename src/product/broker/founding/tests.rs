//! The founding under crashes, lost disks, and late, lost and repeated messages.

use bytes::Bytes;

use super::*;

const LIST: [u64; 3] = [0, 1, 2];

fn replica(node: u64, disk: u64) -> ReplicaId {
    ReplicaId { node, disk }
}

fn unfounded(node: u64, disk: u64, question: u64) -> Unfounded {
    Unfounded::new(replica(node, disk), &LIST, LIST, question)
}

fn says_unfounded(question: u64) -> Said {
    Said::Unfounded {
        question,
        members: LIST.to_vec(),
    }
}

#[test]
fn a_founder_decides_once_all_have_said_so_twice() {
    let mut founder = unfounded(0, 10, 1);
    assert_eq!(founder.hear(replica(1, 11), says_unfounded(1), 2), []);
    let again = founder.hear(replica(2, 12), says_unfounded(1), 2);
    assert_eq!(again, founder.ask(), "the second round");
    assert_eq!(
        founder.hear(replica(1, 11), says_unfounded(1), 3),
        [],
        "late"
    );
    assert_eq!(founder.hear(replica(1, 11), says_unfounded(2), 3), []);
    let decided = founder.hear(replica(2, 12), says_unfounded(2), 3);
    assert_eq!(
        decided,
        [Action::Decide(First::from([(0, 10), (1, 11), (2, 12)]))]
    );
}

#[test]
fn a_disk_that_changed_between_the_rounds_is_asked_again() {
    let mut founder = unfounded(0, 10, 1);
    founder.hear(replica(1, 11), says_unfounded(1), 2);
    founder.hear(replica(2, 12), says_unfounded(1), 2);
    founder.hear(replica(1, 11), says_unfounded(2), 3);
    let other = founder.hear(replica(2, 13), says_unfounded(2), 3);
    assert_eq!(other, founder.ask(), "12 is gone");
}

#[test]
fn a_disk_that_hears_of_a_cluster_joins_it_where_it_is_named_and_else_stands_back() {
    let first = First::from([(0, 10), (1, 11), (2, 12)]);
    let epoch = Epoch {
        founding: 9,
        number: 1,
        id: 9,
    };
    let said = |question| Said::Founded {
        question,
        first: first.clone(),
        epoch,
    };
    let mut named = unfounded(1, 11, 5);
    assert_eq!(named.hear(replica(0, 10), said(4), 6), [], "not asked");
    let accept = Action::Accept {
        first: first.clone(),
        epoch,
    };
    assert_eq!(named.hear(replica(0, 10), said(5), 6), [accept]);
    let mut other = unfounded(1, 21, 5);
    assert_eq!(other.hear(replica(2, 12), said(5), 6), [Action::StandBack]);
}

#[test]
fn a_disk_that_answers_the_founder_takes_nothing_that_it_asked_for_before() {
    let mut member = unfounded(1, 11, 5);
    let ask = Said::Ask {
        question: 1,
        members: LIST.to_vec(),
    };
    let told = Said::Founded {
        question: 5,
        first: First::from([(0, 10), (1, 11), (2, 12)]),
        epoch: Epoch::default(),
    };
    assert_eq!(member.hear(replica(0, 20), ask, 6).len(), 1);
    assert_eq!(member.hear(replica(0, 10), told, 7), []);
}

#[test]
fn lists_that_differ_and_replacements_found_nothing_and_are_named() {
    let mut founder = unfounded(0, 10, 1);
    let members = vec![0, 1, 3];
    let other = Said::Unfounded {
        question: 1,
        members,
    };
    assert_eq!(founder.hear(replica(1, 11), other, 2), []);
    assert_eq!(
        founder.hear(replica(2, 12), Said::Blank { question: 1 }, 2),
        []
    );
    insta::assert_snapshot!(founder.waiting(), @"the cluster is not founded yet: that takes every first member once. Nothing is heard of brokers [1]: start them. Broker 1 was formatted with --members [0, 1, 3]: format the one that is wrong again, in a new directory. The disk of broker 2 was formatted with --replacement, and there is nothing yet to be let in to: format it with --members, as the others, in a new directory.");
    assert_eq!(founder.waiting().silent, [1, 2]);
}

#[test]
fn a_replacement_is_to_be_formatted_again_once_all_others_are_as_they_should_be() {
    let asked_again = |heard: &[u64], is_blank: bool| {
        let mut founder = unfounded(0, 10, 1);
        for node in heard {
            let members = vec![0, 1, 2];
            let said = Said::Unfounded {
                question: 1,
                members,
            };
            founder.hear(replica(*node, 10 + node), said, 2);
        }
        if is_blank {
            founder.hear(replica(2, 12), Said::Blank { question: 1 }, 2);
        }
        founder.waiting().only_for_replacements()
    };
    assert_eq!(asked_again(&[1], true), [2]);
    assert!(asked_again(&[], true).is_empty(), "1 may know of a cluster");
    assert!(asked_again(&[1], false).is_empty());
}

#[test]
fn packets_come_back_as_they_were_and_nothing_else_does() {
    let epoch = Epoch {
        founding: 1,
        number: 2,
        id: 3,
    };
    let first = First::from([(0, 10), (1, 11)]);
    for said in [
        Said::Ask {
            question: 7,
            members: LIST.to_vec(),
        },
        says_unfounded(7),
        Said::Blank { question: 7 },
        Said::Epoch { to_disk: 7, epoch },
        Said::Founded {
            question: 7,
            first,
            epoch,
        },
    ] {
        let packet = FoundingMessage {
            cluster_id: 77,
            from: replica(1, 11),
            to_node: 2,
            said,
        };
        let bytes = packet.encode();
        assert_eq!(FoundingMessage::decode(&bytes), Some(packet));
        for length in 0..bytes.len() {
            assert_eq!(FoundingMessage::decode(&bytes.slice(..length)), None);
        }
        let longer = Bytes::from([&bytes[..], &[0]].concat());
        assert_eq!(FoundingMessage::decode(&longer), None);
    }
}

/// The durable state of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stored {
    Unfounded,
    Founded(First),
    Blank,
}

/// Nodes with a disk and a process each, and messages on their way.
struct World {
    list: Vec<u64>,
    random: u64,
    disks: Vec<u64>,
    stored: Vec<Stored>,
    /// Of an unfounded disk.
    machines: Vec<Unfounded>,
    messages: Vec<(ReplicaId, u64, Said)>,
    /// The first one that a majority took, and the disks lost since.
    active: Option<(First, usize)>,
    lost: usize,
}

impl World {
    fn new(nodes: u64, seed: u64) -> Self {
        let mut world = Self {
            list: (0..nodes).collect(),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            disks: Vec::new(),
            stored: Vec::new(),
            machines: Vec::new(),
            messages: Vec::new(),
            active: None,
            lost: 0,
        };
        for node in 0..nodes {
            let (disk, question) = (world.draw(), world.draw());
            let list = world.list.clone();
            world.disks.push(disk);
            world.stored.push(Stored::Unfounded);
            let machine = Unfounded::new(replica(node, disk), &list, list.clone(), question);
            world.machines.push(machine);
        }
        world
    }

    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.draw() >> 11) as usize % bound
    }

    fn restart(&mut self, node: usize) {
        let (list, question) = (self.list.clone(), self.draw());
        let me = replica(node as u64, self.disks[node]);
        self.machines[node] = Unfounded::new(me, &list, list.clone(), question);
    }

    fn wipe(&mut self, node: usize) {
        self.lost += 1;
        self.disks[node] = self.draw();
        self.stored[node] = Stored::Unfounded;
        self.restart(node);
    }

    fn tick(&mut self, node: usize) {
        if self.stored[node] == Stored::Unfounded {
            let asked = self.machines[node].ask();
            self.carry_out(node, asked, false);
        }
    }

    fn deliver(&mut self, number: usize, keep: bool, crash: bool) {
        let (from, to, said) = match keep {
            true => self.messages[number].clone(),
            false => self.messages.swap_remove(number),
        };
        let node = to as usize;
        let question = match &said {
            Said::Ask { question, .. } => *question,
            _ => 0,
        };
        let answer = match (&self.stored[node], &said) {
            (Stored::Unfounded, _) => {
                let fresh = self.draw();
                let actions = self.machines[node].hear(from, said, fresh);
                return self.carry_out(node, actions, crash);
            }
            (Stored::Founded(first), Said::Ask { .. }) => Said::Founded {
                question,
                first: first.clone(),
                epoch: Epoch::default(),
            },
            (Stored::Blank, Said::Ask { .. }) if from.node == 0 => {
                self.stored[node] = Stored::Unfounded;
                return self.restart(node);
            }
            (Stored::Blank, Said::Ask { .. }) => Said::Blank { question },
            _ => return,
        };
        let me = replica(to, self.disks[node]);
        self.messages.push((me, from.node, answer));
    }

    /// `crash`: it dies before it does the first thing that is durable.
    fn carry_out(&mut self, node: usize, actions: Vec<Action>, crash: bool) {
        for action in actions {
            let stored = match action {
                Action::Send { to, said } => {
                    let me = replica(node as u64, self.disks[node]);
                    self.messages.push((me, to, said));
                    continue;
                }
                Action::Decide(first) | Action::Accept { first, .. } => Stored::Founded(first),
                Action::StandBack => Stored::Blank,
            };
            match crash {
                true => self.restart(node),
                false => self.stored[node] = stored,
            }
        }
        self.check();
    }

    fn takers(&self, first: &First) -> usize {
        let all = self
            .stored
            .iter()
            .filter(|stored| **stored == Stored::Founded(first.clone()));
        all.count()
    }

    /// Within the budget, no second configuration ever has a majority.
    fn check(&mut self) {
        let quorum = self.list.len() / 2 + 1;
        let firsts: Vec<First> = self
            .stored
            .iter()
            .filter_map(|stored| match stored {
                Stored::Founded(first) => Some(first.clone()),
                _ => None,
            })
            .collect();
        for first in firsts {
            if self.takers(&first) < quorum {
                continue;
            }
            match &self.active {
                None => self.active = Some((first, self.lost)),
                Some((active, lost_before)) if *active != first => {
                    let lost_since = self.lost - lost_before;
                    assert!(
                        lost_since >= quorum,
                        "founded twice: {active:?} and {first:?}"
                    );
                    self.active = Some((first, self.lost));
                }
                Some(_) => {}
            }
        }
    }

    fn faults(&mut self, steps: usize, wipes: usize) {
        let nodes = self.list.len();
        for _ in 0..steps {
            let node = self.below(nodes);
            match self.below(40) {
                0..6 => self.tick(node),
                6 => self.restart(node),
                7 if self.lost < wipes => self.wipe(node),
                8 if !self.messages.is_empty() => {
                    let number = self.below(self.messages.len());
                    self.messages.swap_remove(number);
                }
                _ if !self.messages.is_empty() => {
                    // Some come at once, and some much later.
                    let all = self.messages.len();
                    let number = match self.below(2) {
                        0 => self.below(all),
                        _ => all - 1 - self.below(all.min(3)),
                    };
                    let (keep, crash) = (self.below(8) == 0, self.below(12) == 0);
                    self.deliver(number, keep, crash);
                }
                _ => {}
            }
            self.messages.truncate(60);
        }
    }

    /// Everybody is up, and every message arrives.
    fn calm(&mut self) {
        self.calm_for(12);
    }

    fn calm_for(&mut self, rounds: usize) {
        for _ in 0..rounds {
            (0..self.list.len()).for_each(|node| self.tick(node));
            while !self.messages.is_empty() {
                self.deliver(0, false, false);
            }
        }
    }
}

/// Crashes and lost disks at any moment: never two clusters, and in the end one.
#[test]
fn no_schedule_founds_two_clusters() {
    let (mut founded, mut stood_back) = (0, 0);
    for seed in 0..30_000 {
        let nodes = if seed % 3 == 0 { 5 } else { 3 };
        let wipes = 1 + seed as usize % 4;
        let mut world = World::new(nodes, seed);
        world.faults(120, wipes);
        world.calm_for(seed as usize % 3);
        world.faults(120, wipes + 1);
        founded += usize::from(world.active.is_some());
        world.calm();
        if world.lost > (nodes as usize - 1) / 2 {
            continue;
        }
        assert!(
            !world.stored.contains(&Stored::Unfounded),
            "seed {seed}: it ends"
        );
        let (active, _) = world.active.clone().expect("somebody was left");
        let blank = world
            .stored
            .iter()
            .filter(|stored| **stored == Stored::Blank)
            .count();
        let of_one = world.takers(&active) + blank;
        assert_eq!(
            of_one, nodes as usize,
            "seed {seed}: all are of one cluster, or blank"
        );
        stood_back += blank;
    }
    assert!(
        founded > 10_000 && stood_back > 400,
        "{founded} founded, {stood_back} stood back"
    );
}
