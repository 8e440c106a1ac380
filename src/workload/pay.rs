//! The order service: pays an order in its own database, and tells the
//! red-packet service of it by a transactional message.
//!
//! ```text
//!   half message ──SEND_OK──▶ payment ──▶ settle in the database ──▶ receipt ──▶ end
//!        └ anything else: not paid, ever      ▲                            the transaction
//!                       the broker asks ──────┘ not settled: barred, then
//!                                               "rolled back"
//! ```
//!
//! Several instances may share a database and a producer group: any of them
//! answers for any order of theirs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Progress;
use super::database::Orders;
use crate::client::{EndNaming, HalfName, Producer, ProducerConfig, ProducerEvent, Question};
use crate::env::{Either, Env, Timer, either};
use crate::history::{ClientId, EndOutcome, Event, Happening, OpId, Recorder, SendOutcome, Value};

/// Of so many orders one is cancelled: its transaction is rolled back.
const CANCELLED_ONE_IN: u64 = 5;

/// Length of a body.
const BODY_BYTES: usize = 100;

/// The actions of one order service.
#[derive(Debug, Clone)]
pub struct PayPlan {
    /// Its name in the history.
    pub client: ClientId,
    /// Counts the service's lives: orders of a later life are new ones.
    pub life: u32,
    /// Where the red-packet service listens.
    pub topic: String,
    /// Orders begun and not ended, at most.
    pub in_flight_max: u64,
    /// Pause between two orders, nanoseconds.
    pub pause_ns: u64,
    /// No order begins after this, on the environment's clock.
    pub stop_at_ns: u64,
    /// The time that the payment takes between the half message and its being settled,
    /// nanoseconds.
    pub payment_ns: RangeInclusive<u64>,
    /// The time that the service needs between an order's being settled and the end of
    /// its transaction, nanoseconds.
    pub receipt_ns: RangeInclusive<u64>,
    /// Of so many orders one is rolled back, and committed after all: a service
    /// that does what it must not. Its database knows nothing of it.
    pub changes_mind_one_in: Option<u64>,
    /// Where its database listens.
    pub database: SocketAddr,
    /// Decides which orders are cancelled, and what payments take.
    pub seed: u64,
}

/// An order between its half message and its end.
#[derive(Debug, Clone)]
struct Order {
    value: Value,
    half: HalfName,
}

/// Why an order is to be settled.
#[derive(Debug, Clone)]
enum Why {
    /// Its payment is through, or it is cancelled.
    Through(Order),
    /// A broker asked, and it may not be paid behind the answer's back.
    Asked(Value, Question),
}

struct Paying<E: Env> {
    env: E,
    plan: PayPlan,
    recorder: Recorder,
    progress: Progress,
    producer: Producer<E>,
    database: Orders<E>,
    pacing: E::Timer,
    begun: u64,
    next_at_ns: u64,
    halves: BTreeMap<OpId, Value>,
    /// Through at this time.
    payments: BTreeMap<(u64, u64), Order>,
    /// The questions to the database, by their numbers.
    settling: BTreeMap<u64, Why>,
    /// Settled, and to be ended at this time: whether they are paid.
    receipts: BTreeMap<(u64, u64), (Order, bool)>,
    ends: BTreeMap<OpId, Value>,
    /// Of these ends: what is committed once they are acknowledged.
    changing: BTreeMap<OpId, Order>,
}

/// Pays orders by `plan`; goes on answering the broker's questions until it is
/// killed.
pub async fn pay<E: Env>(
    env: E,
    plan: PayPlan,
    config: ProducerConfig,
    recorder: Recorder,
    progress: Progress,
) {
    if config.end_naming == EndNaming::Place {
        let notice = Event::Noticed(Happening::EndedByPlace);
        recorder.record(env.now_ns(), plan.client, notice);
    }
    let paying = Paying {
        next_at_ns: env.now_ns(),
        database: Orders::new(env.clone(), plan.database),
        producer: Producer::new(env.clone(), config),
        pacing: env.timer(),
        env,
        plan,
        recorder,
        progress,
        begun: 0,
        halves: BTreeMap::new(),
        payments: BTreeMap::new(),
        settling: BTreeMap::new(),
        receipts: BTreeMap::new(),
        ends: BTreeMap::new(),
        changing: BTreeMap::new(),
    };
    paying.run().await;
}

impl<E: Env> Paying<E> {
    async fn run(mut self) {
        loop {
            self.begin_all_that_may();
            self.settle_what_is_due();
            self.end_what_is_due();
            let progress = &self.progress.0;
            progress.in_flight.store(self.open(), Ordering::Relaxed);
            let finished = u64::from(self.open() == 0 && self.is_done());
            progress.finished.store(finished, Ordering::Relaxed);
            self.wait().await;
        }
    }

    fn is_done(&self) -> bool {
        self.env.now_ns() >= self.plan.stop_at_ns
    }

    /// Orders begun and not ended.
    fn open(&self) -> u64 {
        let paying = self.halves.len() + self.payments.len() + self.settling.len();
        (paying + self.receipts.len() + self.ends.len()) as u64
    }

    fn may_begin(&self) -> bool {
        !self.is_done() && self.open() < self.plan.in_flight_max
    }

    fn begin_all_that_may(&mut self) {
        while self.may_begin() && self.env.now_ns() >= self.next_at_ns {
            self.next_at_ns = self.env.now_ns() + self.plan.pause_ns.max(1);
            self.begin_one();
        }
    }

    fn begin_one(&mut self) {
        let order = u64::from(self.plan.life) << 32 | self.begun;
        self.begun += 1;
        let (value, body) = Value::make(self.plan.client, order, BODY_BYTES, self.plan.seed);
        let (producer, topic) = (&mut self.producer, &*self.plan.topic);
        let submit = || {
            let half = producer.submit_half(topic, None, body.into(), "");
            half.expect("a plain group name is a property's value")
        };
        let (now_ns, client) = (self.env.now_ns(), self.plan.client);
        let begun = |op: &OpId| Event::HalfBegan { op: *op, value };
        let op = self.recorder.record_begun(now_ns, client, submit, begun);
        self.halves.insert(op, value);
        self.progress.0.begun.fetch_add(1, Ordering::Relaxed);
    }

    fn settle_what_is_due(&mut self) {
        let now_ns = self.env.now_ns();
        while let Some(entry) = self.payments.first_entry()
            && entry.key().0 <= now_ns
        {
            let order = entry.remove();
            if self.changes_mind(order.value) {
                let op = self.end(order.value, order.half.clone(), false);
                self.changing.insert(op, order);
                continue;
            }
            let paid = !self.is_cancelled(order.value);
            let number = self.database.settle(order.value, paid);
            self.settling.insert(number, Why::Through(order));
        }
    }

    fn end_what_is_due(&mut self) {
        let now_ns = self.env.now_ns();
        while let Some(entry) = self.receipts.first_entry()
            && entry.key().0 <= now_ns
        {
            let (Order { value, half }, paid) = entry.remove();
            self.end(value, half, paid);
        }
    }

    fn is_cancelled(&self, value: Value) -> bool {
        self.dice(value).is_multiple_of(CANCELLED_ONE_IN)
    }

    fn changes_mind(&self, value: Value) -> bool {
        let one_in = self.plan.changes_mind_one_in;
        one_in.is_some_and(|one_in| (self.dice(value) >> 32).is_multiple_of(one_in))
    }

    fn payment_ns(&self, value: Value) -> u64 {
        let (low, high) = self.plan.payment_ns.clone().into_inner();
        low + (self.dice(value) >> 8) % (high - low + 1)
    }

    fn receipt_ns(&self, value: Value) -> u64 {
        let (low, high) = self.plan.receipt_ns.clone().into_inner();
        low + (self.dice(value) >> 24) % (high - low + 1)
    }

    fn dice(&self, value: Value) -> u64 {
        xxh3_64_with_seed(&value.sequence.to_be_bytes(), self.plan.seed)
    }

    fn end(&mut self, value: Value, half: HalfName, commit: bool) -> OpId {
        let half_address = half.address;
        let (producer, topic) = (&mut self.producer, &*self.plan.topic);
        let end = || producer.end_transaction(topic, half, commit);
        let (now_ns, client) = (self.env.now_ns(), self.plan.client);
        let begun = |op: &OpId| Event::EndBegan {
            op: *op,
            value,
            half_address,
            commit,
        };
        let op = self.recorder.record_begun(now_ns, client, end, begun);
        self.ends.insert(op, value);
        op
    }

    async fn wait(&mut self) {
        let begin_ns = self.may_begin().then_some(self.next_at_ns);
        let payment_ns = self.payments.keys().next().map(|(at_ns, _)| *at_ns);
        let receipt_ns = self.receipts.keys().next().map(|(at_ns, _)| *at_ns);
        let due_ns = [begin_ns, payment_ns, receipt_ns].into_iter().flatten();
        self.pacing.reset(due_ns.min());
        let heard = either(self.producer.next_event(), self.database.next());
        match either(heard, self.pacing.fired()).await {
            Either::First(Either::First(event)) => self.happened(event),
            Either::First(Either::Second((number, paid))) => self.settled(number, paid),
            Either::Second(()) => {}
        }
    }

    fn happened(&mut self, event: ProducerEvent) {
        match event {
            ProducerEvent::Sent(op, outcome) => self.half_ended(op, outcome),
            ProducerEvent::Ended(op, outcome) => self.ended(op, outcome),
            ProducerEvent::Asked(question) => self.asked(question),
        }
    }

    /// The database says durably how an order is settled.
    fn settled(&mut self, number: u64, paid: bool) {
        match self.settling.remove(&number) {
            Some(Why::Through(order)) => {
                let at_ns = self.env.now_ns() + self.receipt_ns(order.value);
                let key = (at_ns, order.value.sequence);
                self.receipts.insert(key, (order, paid));
            }
            Some(Why::Asked(value, question)) => self.answer(value, &question, paid),
            None => {}
        }
    }

    /// Only `SEND_OK` lets the order be paid.
    fn half_ended(&mut self, op: OpId, outcome: SendOutcome) {
        let Some(value) = self.halves.remove(&op) else {
            return;
        };
        if let SendOutcome::Acknowledged {
            offset, address, ..
        } = &outcome
        {
            let half = self.producer.half_name(op, *offset, *address);
            let at_ns = self.env.now_ns() + self.payment_ns(value);
            let order = Order { value, half };
            self.payments.insert((at_ns, value.sequence), order);
        }
        self.record(Event::HalfEnded { op, outcome });
    }

    fn ended(&mut self, op: OpId, outcome: EndOutcome) {
        if self.ends.remove(&op).is_some() {
            if outcome == EndOutcome::Acknowledged {
                self.progress.0.acknowledged.fetch_add(1, Ordering::Relaxed);
                self.change_mind(op);
            }
            self.record(Event::EndEnded { op, outcome });
        }
    }

    fn change_mind(&mut self, op: OpId) {
        if let Some(order) = self.changing.remove(&op) {
            let at_ns = self.env.now_ns() + self.payment_ns(order.value);
            let key = (at_ns, order.value.sequence);
            self.receipts.insert(key, (order, true));
        }
    }

    /// A settled order is answered as it was settled. One that is not never will be paid:
    /// it is barred first, durably, then answered, even where the payment is under way.
    fn asked(&mut self, question: Question) {
        if let Some(value) = Value::read(&question.body) {
            let number = self.database.settle(value, false);
            self.settling.insert(number, Why::Asked(value, question));
        }
    }

    fn answer(&mut self, value: Value, question: &Question, commit: bool) {
        let half_address = question.half.address;
        self.record(Event::CheckAnswered {
            value,
            half_address,
            commit,
        });
        self.producer.answer(question, Some(commit));
    }

    fn record(&self, event: Event) {
        self.recorder
            .record(self.env.now_ns(), self.plan.client, event);
    }
}
