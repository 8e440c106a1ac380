//! A history, indexed once for all checks.
//!
//! ```text
//!   history ── pairs begun with ended ──> sends   by value
//!                                    ├──> transactions  by value
//!                                    ├──> queues  acknowledgements, reads, places
//!                                    └──> groups  resumes, commits, processed
//! ```
//!
//! An *index* is a position in `History::entries`: the order in which things
//! happened, finer than time.

use std::collections::BTreeMap;

use crate::history::{ClientId, Event, History, Ledger, OpId, Queue, Recorded, SendOutcome, Value};

use super::business::BusinessFacts;
use super::clocks::Clocks;
use super::groups::{GroupFacts, GroupPairs, Key, Subscriptions, in_order, subscribe};
use super::places::{Place, Places};
use super::transactions::{TransactionFacts, TransactionPairs};

/// The index of a history.
pub struct Facts<'a> {
    history: &'a History,
    pub(super) sends: Sends<'a>,
    pub(super) transactions: TransactionFacts,
    pub(super) business: BusinessFacts,
    pub(super) queues: BTreeMap<&'a Queue, QueueFacts<'a>>,
    pub(super) groups: BTreeMap<Key<'a>, GroupFacts>,
    subscriptions: Subscriptions<'a>,
    /// Whether some consumers were members that agreed on their queues.
    pub(super) has_members: bool,
    /// Messages older than this may have expired, nanoseconds; `None`: none do.
    retention_ns: Option<u64>,
    /// Brokers' clocks.
    pub(super) clocks: Clocks,
}

/// One send.
pub(super) struct Sent<'a> {
    pub(super) value: Value,
    pub(super) began: usize,
    pub(super) outcome: Option<(usize, &'a SendOutcome)>,
}

/// Every send, in the order of clients and their counts.
#[derive(Default)]
pub(super) struct Sends<'a> {
    all: Vec<Sent<'a>>,
    /// Where each client's first one is.
    firsts: BTreeMap<ClientId, usize>,
}

impl<'a> Sends<'a> {
    fn new(clients: BTreeMap<ClientId, ClientSends<'a>>) -> Self {
        let mut all = Vec::with_capacity(clients.values().map(|sends| sends.all.len()).sum());
        all.extend(clients.into_values().flat_map(|sends| sends.all));
        // They are in order, unless a client says that it is another one.
        all.sort_by_key(Sent::key);
        let (mut firsts, mut first) = (BTreeMap::new(), 0);
        for of_client in all.chunk_by(|a, b| a.value.client == b.value.client) {
            firsts.insert(of_client[0].value.client, first);
            first += of_client.len();
        }
        Self { all, firsts }
    }

    /// The send of that value, whatever its body said.
    pub(super) fn get(&self, value: Value) -> Option<&Sent<'a>> {
        let first = *self.firsts.get(&value.client)?;
        let ahead = value.sequence.checked_sub(self.all[first].value.sequence)?;
        // A client counts by one, as long as it lives.
        let there = usize::try_from(ahead).ok()?.checked_add(first)?;
        match self.all.get(there) {
            Some(sent) if sent.key() == key(value) => Some(sent),
            _ => self.search(key(value)),
        }
    }

    fn search(&self, key: (ClientId, u64)) -> Option<&Sent<'a>> {
        let found = self.all.binary_search_by_key(&key, Sent::key);
        found.ok().map(|index| &self.all[index])
    }

    /// All of them.
    pub(super) fn values(&self) -> impl Iterator<Item = &Sent<'a>> {
        self.all.iter()
    }
}

impl Sent<'_> {
    fn key(&self) -> (ClientId, u64) {
        key(self.value)
    }
}

fn key(value: Value) -> (ClientId, u64) {
    (value.client, value.sequence)
}

/// The facts about one queue.
#[derive(Default)]
pub(super) struct QueueFacts<'a> {
    /// In the order of the acknowledgements.
    pub(super) acknowledged: Vec<Acknowledged>,
    /// Answers to pulls and the final read, in the order in which they came.
    pub(super) reads: Vec<Read<'a>>,
    acknowledged_places: Places,
    read_places: Places,
    places: Places,
    /// The last final read.
    pub(super) final_read: Option<FinalRead<'a>>,
}

/// An acknowledgement.
#[derive(Clone, Copy)]
pub(super) struct Acknowledged {
    pub(super) index: usize,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) value: Value,
}

/// A read that was answered.
pub(super) struct Read<'a> {
    pub(super) index: usize,
    pub(super) messages: &'a [(u64, Option<Value>)],
    /// Where it was a pull that found something and whose begin is known.
    pub(super) covered: Option<Covered>,
}

impl Read<'_> {
    fn length(&self) -> usize {
        self.messages.len()
    }
}

/// The range that a successful pull answers for: `offset..next_begin_offset`, as of
/// its begin.
#[derive(Clone, Copy)]
pub(super) struct Covered {
    pub(super) began: usize,
    pub(super) offset: u64,
    pub(super) next_begin_offset: u64,
}

/// The final read of a queue.
#[derive(Clone, Copy)]
pub(super) struct FinalRead<'a> {
    pub(super) index: usize,
    pub(super) min_offset: u64,
    pub(super) max_offset: u64,
    pub(super) messages: &'a [(u64, Option<Value>)],
}

impl<'a> Facts<'a> {
    /// Indexes `history`; near-linear.
    pub fn new(history: &'a History) -> Self {
        let mut facts = Self {
            history,
            sends: Sends::default(),
            transactions: TransactionFacts::default(),
            business: BusinessFacts::default(),
            queues: BTreeMap::new(),
            groups: BTreeMap::new(),
            subscriptions: Subscriptions::new(),
            has_members: false,
            retention_ns: None,
            clocks: Clocks::default(),
        };
        let mut pairs = Pairs::default();
        for (index, entry) in history.entries.iter().enumerate() {
            facts.add(index, entry, &mut pairs);
        }
        for queue in facts.queues.values_mut() {
            queue.collect_places();
        }
        for group in facts.groups.values_mut() {
            in_order(&mut group.processed);
            in_order(&mut group.sent_back);
        }
        facts.sends = Sends::new(pairs.sends);
        facts
    }

    /// With a retention: messages older than this may have expired.
    #[must_use]
    pub fn with_retention(self, retention_ms: Option<u64>) -> Self {
        Self {
            retention_ns: retention_ms.map(|ms| ms.saturating_mul(1_000_000)),
            ..self
        }
    }

    /// With brokers' clocks that may have been wrong.
    #[must_use]
    pub fn with_clocks(self, ledger: &Ledger) -> Self {
        Self {
            clocks: Clocks::of(ledger),
            ..self
        }
    }

    /// Whether anything may have expired when the entry at `index` was recorded.
    pub(super) fn may_expire_by(&self, index: usize) -> bool {
        self.retention_ns
            .is_some_and(|retention_ns| self.at_ns(index) > retention_ns)
    }

    /// Whether a message, at a place known since the entry at `known`, may have
    /// expired when the entry at `read` was recorded. It is as old as its send.
    pub(super) fn may_have_expired(&self, value: Value, known: usize, read: usize) -> bool {
        let born = self.sends.get(value).map_or(known, |sent| sent.began);
        let age_ns = self.at_ns(read).saturating_sub(self.at_ns(born));
        self.retention_ns
            .is_some_and(|retention_ns| age_ns > retention_ns)
    }

    /// Everything, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, &'a Recorded)> + use<'a> {
        self.history.entries.iter().enumerate()
    }

    /// Whether the group wants that message of the queue.
    pub(super) fn wants(&self, (group, queue): Key<'_>, value: Value) -> bool {
        let wanted = self.subscriptions.get(&(group, &queue.topic));
        wanted.is_none_or(|wanted| wanted.wants(value))
    }

    /// When the entry at `index` was recorded, nanoseconds.
    pub(super) fn at_ns(&self, index: usize) -> u64 {
        self.history.entries[index].at_ns
    }

    /// The last entry; `None` where there is none.
    pub(super) fn last_index(&self) -> Option<usize> {
        self.history.entries.len().checked_sub(1)
    }

    /// Whether any group processed that message.
    pub(super) fn is_processed(&self, queue: &Queue, offset: u64, value: Value) -> bool {
        let mut groups = self.groups.iter().filter(|((_, of), _)| *of == queue);
        groups.any(|(_, group)| group.has_processed(offset, value))
    }

    /// Whether a half message was discarded, and rightly: nothing decided it, and
    /// nobody answered for it.
    pub(super) fn has_aged_out(&self, value: Value) -> bool {
        let open = self
            .transactions
            .get(value)
            .is_none_or(|it| it.is_unanswered());
        open && self.business.is_discarded(value)
    }

    fn add(&mut self, index: usize, entry: &'a Recorded, pairs: &mut Pairs<'a>) {
        let client = entry.client;
        match &entry.event {
            Event::SendBegan { op, value } => {
                let sent = Sent {
                    value: *value,
                    began: index,
                    outcome: None,
                };
                pairs.sends.entry(client).or_default().begin(*op, sent);
            }
            Event::SendEnded { op, outcome } => {
                let of_client = pairs.sends.get_mut(&client);
                let sent = of_client.and_then(|sends| sends.end(*op));
                let sent = sent.expect("a send ends once, after it began");
                sent.outcome = Some((index, outcome));
                self.add_outcome(index, sent.value, outcome);
            }
            Event::PullBegan { op, queue, offset } => {
                pairs.pulls.insert((client, *op), index);
                pairs
                    .groups
                    .pulls(&mut self.groups, client, (queue, *offset));
            }
            Event::Pulled {
                op,
                queue,
                offset,
                next_begin_offset,
                messages,
                found,
            } => {
                let began = pairs.pulls.remove(&(client, *op)).filter(|_| *found);
                // A client that was sent elsewhere has not begun.
                if !messages.is_empty() || next_begin_offset == offset {
                    let pulled = (queue, *offset);
                    pairs.groups.pulled(&mut self.groups, client, pulled);
                }
                self.queues.entry(queue).or_default().reads.push(Read {
                    index,
                    messages,
                    covered: began.map(|began| Covered {
                        began,
                        offset: *offset,
                        next_begin_offset: *next_begin_offset,
                    }),
                });
            }
            Event::FinalRead {
                queue,
                min_offset,
                max_offset,
                messages,
            } => {
                let facts = self.queues.entry(queue).or_default();
                facts.reads.push(Read {
                    index,
                    messages,
                    covered: None,
                });
                facts.final_read = Some(FinalRead {
                    index,
                    min_offset: *min_offset,
                    max_offset: *max_offset,
                    messages,
                });
            }
            transaction @ (Event::HalfBegan { .. }
            | Event::HalfEnded { .. }
            | Event::Settled { .. }
            | Event::EndBegan { .. }
            | Event::EndEnded { .. }
            | Event::CheckAnswered { .. }) => {
                let pairs = &mut pairs.transactions;
                self.transactions.add(index, client, transaction, pairs);
            }
            last @ (Event::FinalDiscards { .. }
            | Event::FinalOrders { .. }
            | Event::FinalPackets { .. }) => self.business.add(index, last),
            event @ Event::Subscribed { .. } => subscribe(&mut self.subscriptions, event),
            Event::Ranked { .. } => self.has_members = true,
            other => super::groups::add(&mut self.groups, index, client, other, &mut pairs.groups),
        }
    }

    fn add_outcome(&mut self, index: usize, value: Value, outcome: &'a SendOutcome) {
        if let SendOutcome::Acknowledged {
            queue,
            offset,
            address,
        } = outcome
        {
            let facts = self.queues.entry(queue).or_default();
            facts.acknowledged.push(Acknowledged {
                index,
                offset: *offset,
                address: *address,
                value,
            });
        }
    }
}

/// Operations that began and have not ended, while indexing.
#[derive(Default)]
struct Pairs<'a> {
    sends: BTreeMap<ClientId, ClientSends<'a>>,
    pulls: BTreeMap<(ClientId, OpId), usize>,
    groups: GroupPairs<'a>,
    transactions: TransactionPairs,
}

/// The sends of one client, while indexing.
#[derive(Default)]
struct ClientSends<'a> {
    all: Vec<Sent<'a>>,
    /// Those that have not ended, by their places in `all`: few at once.
    open: Vec<(OpId, usize)>,
}

impl<'a> ClientSends<'a> {
    fn begin(&mut self, op: OpId, sent: Sent<'a>) {
        self.open.push((op, self.all.len()));
        self.all.push(sent);
    }

    /// A client counts anew in its next life: the later one is meant.
    fn end(&mut self, op: OpId) -> Option<&mut Sent<'a>> {
        let at = self.open.iter().rposition(|(open, _)| *open == op)?;
        let (_, place) = self.open.remove(at);
        Some(&mut self.all[place])
    }
}

impl QueueFacts<'_> {
    /// Where messages were acknowledged.
    pub(super) fn acknowledged_places(&self) -> &Places {
        &self.acknowledged_places
    }

    /// Where messages were read.
    pub(super) fn read_places(&self) -> &Places {
        &self.read_places
    }

    /// Where messages were acknowledged or read.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    fn collect_places(&mut self) {
        let acknowledged = self.acknowledged.iter();
        self.acknowledged_places = Places::new(acknowledged.map(Acknowledged::place));
        let mut read_places = Vec::with_capacity(self.reads.iter().map(Read::length).sum());
        for read in &self.reads {
            let readable = read.messages.iter();
            read_places.extend(readable.filter_map(|(offset, value)| {
                Some(Place {
                    offset: *offset,
                    value: (*value)?,
                    known: read.index,
                })
            }));
        }
        self.read_places = Places::new(read_places);
        let acknowledged = self.acknowledged_places.all().iter();
        self.places = Places::new(acknowledged.chain(self.read_places.all()).copied());
    }
}

impl Acknowledged {
    fn place(&self) -> Place {
        Place {
            offset: self.offset,
            value: self.value,
            known: self.index,
        }
    }
}
