//! Hand-written facts about three brokers, for tests: one statement a line or
//! between `;`, each at an event of its own.
//!
//! ```text
//! disk 2 9                 b2 has disk 9        (at first every disk is 0)
//! hard 0 2 1 · hard 0 2    b0's term is 2, it voted for b1, or for nobody
//! write 0 1.1 2.1b         b0 caches entries 1 and 2 of term 1, 2 in variant b
//! write 0 3.1=0:0,2:9      entry 3 gives votes to disk 0 of b0 and disk 9 of b2
//! seat 0 1 4=0:0,2:9       leading term 1, b0 sent entry 4, with these votes
//! sync 0 2 · believe 0 2   they are durable, or the disk only said so
//! write 0 3.1!100          entry 3 says that all below address 100 has expired
//! base 2 1 · base 2 1=2:9  b2 has a base in place of all up to entry 1 as it is
//!                          committed, where disk 9 of b2 has a vote
//! base 1 1 drops           it drops what is behind that, too
//! base 1 1 own             the base is its own entry 1, committed or not
//! cut 0 2 · recut 0 2      b0 cuts its log from entry 2 on; in its cache only
//! power 0 1 · rot 0 1      the power, or a bad sector, leaves b0 entry 1
//! destroy 0                a blank disk
//! speak 2 9                b2 says something in the name of disk 9
//! blank 2 9 · halt 0 1 2   b2 says that its disk 9 is blank; b0 has halted, for
//!                          b1 and b2 are
//! halt 0 1 2 by 4          by the configuration of entry 4
//! halt 0 1 2 hears 2 3     while it hears b2 lead term 3
//! lead 0 1 · vote 0 1 2 · answer 0 1 5 · applied 0 5 77
//! ack 0 1 · serve 0 1      b0 acknowledges, or serves, what stands at entry 1
//! ```

use super::amnesia::Forgot;
use super::cluster::{Cluster, Media};
use super::fact::{Cause, Fact, HardState, Head, LogEntry, Medium, Moment, Replica, Seats};

/// The breaches in a story of replicas that acknowledge what is synced.
pub(super) fn findings(text: &str) -> String {
    let media = Media {
        log: Medium::Durable,
        hard_state: Medium::Durable,
    };
    in_words(&mut told(text, media))
}

/// As [`findings`], of replicas that acknowledge what is cached.
pub(super) fn async_findings(text: &str) -> String {
    let media = Media {
        log: Medium::Cached,
        hard_state: Medium::Cached,
    };
    in_words(&mut told(text, media))
}

/// The nodes whose amnesia is outstanding in the end.
pub(super) fn outstanding(text: &str) -> Vec<u32> {
    let media = Media {
        log: Medium::Durable,
        hard_state: Medium::Durable,
    };
    told(text, media).outstanding().into_iter().collect()
}

fn in_words(cluster: &mut Cluster) -> String {
    let findings = cluster.take_findings().into_iter();
    let findings = findings.map(|found| format!("{}: {}", found.promise, found.lines.join("\n  ")));
    findings.collect::<Vec<_>>().join("\n")
}

fn told(text: &str, media: Media) -> Cluster {
    let mut teller = Teller {
        cluster: Cluster::new(3, 3, media),
        moment: Moment::default(),
    };
    for statement in text.split(['\n', ';']).map(str::trim) {
        if !statement.is_empty() {
            teller.moment.event += 1;
            teller.moment.at_ns += 1_000_000_000;
            teller.tell(statement);
        }
    }
    teller.cluster
}

struct Teller {
    cluster: Cluster,
    moment: Moment,
}

impl Teller {
    fn tell(&mut self, statement: &str) {
        let mut words = statement.split_whitespace();
        let verb = words.next().expect("a verb");
        let node: u32 = words.next().expect("a node").parse().expect("a node");
        if verb == "write" {
            return words.for_each(|word| self.write(node, word));
        }
        if verb == "seat" {
            let (term, word) = (words.next().expect("a term"), words.next());
            return self.seat(node, number(term), word.expect("index=seats"));
        }
        let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        let first = numbers.first().copied().unwrap_or(0);
        let address = 100 * first.saturating_sub(1);
        match verb {
            "sync" => self.sync(node, first),
            "cut" => self.cut(node, first, Cause::Replica),
            "recut" => self.note(Fact::Cut {
                node,
                medium: Medium::Cached,
                from_index: first,
                cause: Cause::Replica,
            }),
            "power" => self.cut(node, first + 1, Cause::Crash),
            "rot" => {
                let upto = self.cluster.log(node, Medium::Durable).last().index;
                self.cluster.forgets(node, Forgot::Record { upto });
                self.cut(node, first + 1, Cause::Detected);
            }
            "destroy" => {
                self.cluster.forgets(node, Forgot::Everything);
                self.cut(node, 1, Cause::Detected);
                self.hard(node, &[], Cause::Detected);
            }
            "base" => self.base(node, statement),
            "found" => {
                let seats = statement.split_whitespace().last().map(seats_of);
                let seats = seats.expect("found NODE SEATS");
                self.cluster
                    .note(self.moment, Fact::Founded { node, seats });
            }
            "hard" => self.hard(node, &numbers, Cause::Replica),
            "halt" => self.halt(node, &numbers, statement),
            "ack" => {
                let what = format!("entry {first}");
                self.cluster.acknowledges(self.moment, node, address, &what);
            }
            "serve" => {
                let what = format!("orders/3 offset {first}");
                self.cluster.serves(self.moment, node, address, &what);
            }
            _ => self.tell_fact(verb, node, &numbers),
        }
    }

    fn tell_fact(&mut self, verb: &str, node: u32, numbers: &[u64]) {
        let fact = match (verb, numbers) {
            ("disk", [disk]) => Fact::Disk { node, disk: *disk },
            ("believe", [index]) => Fact::Believed {
                node,
                index: *index,
            },
            ("lead", [term]) => Fact::Leads { node, term: *term },
            ("vote", [term, candidate]) => Fact::Voted {
                node,
                term: *term,
                candidate: self.replica(*candidate),
            },
            ("answer", [term, matched]) => Fact::Answered {
                node,
                term: *term,
                matched: *matched,
            },
            ("applied", [index, digest]) => Fact::Applied {
                node,
                index: *index,
                digest: *digest,
            },
            ("speak", [disk]) => Fact::Spoke { node, disk: *disk },
            ("blank", [disk]) => Fact::Announced { node, disk: *disk },
            other => panic!("a story has no {other:?}"),
        };
        self.note(fact);
    }

    fn halt(&mut self, node: u32, named: &[u64], statement: &str) {
        let by = statement.split_once(" by ");
        let hears = statement.split_once(" hears ").map(|(_, heard)| {
            let (leader, term) = heard.split_once(' ').expect("hears NODE TERM");
            (number(leader) as u32, number(term))
        });
        self.note(Fact::Halted {
            node,
            named: named.iter().map(|node| *node as u32).collect(),
            seats_index: by.map_or(0, |(_, index)| number(index)),
            heard: hears,
        });
    }

    fn note(&mut self, fact: Fact) {
        self.cluster.note(self.moment, fact);
    }

    fn replica(&self, node: u64) -> Replica {
        self.cluster.replica(node as u32)
    }

    fn hard(&mut self, node: u32, numbers: &[u64], cause: Cause) {
        let state = numbers.first().map(|term| HardState {
            term: *term,
            vote: numbers.get(1).map(|vote| self.replica(*vote)),
        });
        self.note(Fact::HardState { node, state, cause });
    }

    fn write(&mut self, node: u32, word: &str) {
        let (word, expired) = word
            .split_once('!')
            .map_or((word, None), |(word, below)| (word, Some(number(below))));
        let (place, seats) = word.split_once('=').map_or((word, None), |(place, seats)| {
            (place, Some(seats_of(seats)))
        });
        let variant = u64::from(place.ends_with('b'));
        let (index, term) = place
            .trim_end_matches('b')
            .split_once('.')
            .expect("index.term");
        let (index, term): (u64, u64) = (number(index), number(term));
        let head = Head {
            index,
            term,
            hash: (variant << 16 | term << 8 | index) << 32,
            end_address: 100 * index,
        };
        let (medium, expired_address) = (Medium::Cached, expired);
        let entry = LogEntry {
            head,
            seats,
            expired_address,
        };
        self.note(Fact::Appended {
            node,
            medium,
            entry,
        });
    }

    fn seat(&mut self, node: u32, term: u64, word: &str) {
        let (index, seats) = word.split_once('=').expect("index=seats");
        self.note(Fact::Seated {
            node,
            term,
            index: number(index),
            seats: seats_of(seats),
        });
    }

    fn sync(&mut self, node: u32, upto: u64) {
        let (cached, durable) = (Medium::Cached, Medium::Durable);
        let from = self.cluster.log(node, durable).last().index + 1;
        for index in from..=upto {
            let entry = self.cluster.log(node, cached).entry(index);
            self.note(Fact::Appended {
                node,
                medium: durable,
                entry: entry.expect("it was written"),
            });
        }
    }

    /// The entry that is committed there, or its own.
    fn base(&mut self, node: u32, statement: &str) {
        let mut words = statement.split_whitespace().skip(2);
        let word = words.next().expect("an index");
        let (index, seats) = word.split_once('=').map_or((word, None), |(index, seats)| {
            (index, Some(seats_of(seats)))
        });
        let (index, how) = (number(index), words.next());
        let own = self.cluster.log(node, Medium::Cached).get(index);
        let fixed = self.cluster.committed.get(index);
        let keeps = own.is_some() && own == fixed && how != Some("drops");
        let base = match how {
            Some("own") => own,
            _ => fixed,
        };
        let base = base.expect("an entry");
        let digest = index;
        self.note(Fact::Stands { node, base, digest });
        for medium in [Medium::Cached, Medium::Durable] {
            if keeps {
                continue;
            }
            if self.cluster.log(node, medium).last().index > base.index {
                self.note(Fact::Cut {
                    node,
                    medium,
                    from_index: base.index + 1,
                    cause: Cause::Replica,
                });
            }
            self.note(Fact::Based {
                node,
                medium,
                base,
                seats: seats.clone(),
                cause: Cause::Replica,
            });
        }
    }

    fn cut(&mut self, node: u32, from_index: u64, cause: Cause) {
        for medium in [Medium::Cached, Medium::Durable] {
            if self.cluster.log(node, medium).last().index >= from_index {
                self.note(Fact::Cut {
                    node,
                    medium,
                    from_index,
                    cause,
                });
            }
        }
    }
}

fn seats_of(text: &str) -> Seats {
    let seats = text.split(',').map(|seat| {
        let (node, disk) = seat.split_once(':').expect("node:disk");
        (number(node) as u32, disk.parse().ok())
    });
    Seats(seats.collect())
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}
