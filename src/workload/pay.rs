//! The order service: pays an order in its own database, and tells the
//! red-packet service of it by a transactional message.
//!
//! ```text
//!   half message ──SEND_OK──▶ settle in the database ──▶ end the transaction
//!        └ anything else: not paid, ever      ▲
//!                       the broker asks ──────┘ not settled: barred, then
//!                                               "rolled back"
//! ```

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Progress;
use super::database::Database;
use crate::client::{HalfName, Producer, ProducerConfig, ProducerEvent, Question};
use crate::env::{Either, Env, Timer, either};
use crate::history::{ClientId, EndOutcome, Event, OpId, Recorder, SendOutcome, Value};

/// Of so many orders one is cancelled: its transaction is rolled back.
const CANCELLED_ONE_IN: u64 = 5;

/// Length of a body.
const BODY_BYTES: usize = 100;

/// What one order service does.
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
    /// What the payment takes between the half message and its being settled,
    /// nanoseconds.
    pub payment_ns: RangeInclusive<u64>,
    /// Decides which orders are cancelled, and what payments take.
    pub seed: u64,
}

/// An order between its half message and its end.
#[derive(Debug, Clone)]
struct Order {
    value: Value,
    half: HalfName,
}

struct Paying<E: Env> {
    env: E,
    plan: PayPlan,
    recorder: Recorder,
    progress: Progress,
    producer: Producer<E>,
    database: Database<E::Disk>,
    pacing: E::Timer,
    begun: u64,
    next_at_ns: u64,
    halves: BTreeMap<OpId, Value>,
    /// Paid for at this time.
    payments: BTreeMap<(u64, u64), Order>,
    ends: BTreeMap<OpId, Value>,
}

/// Pays orders by `plan`; goes on answering the broker's questions until it is
/// killed. Ends only where its database fails.
pub async fn pay<E: Env>(
    env: E,
    plan: PayPlan,
    config: ProducerConfig,
    recorder: Recorder,
    progress: Progress,
) {
    let Ok(database) = Database::open(&env.disk()).await else {
        return;
    };
    let producer = Producer::new(env.clone(), config);
    let pacing = env.timer();
    let paying = Paying {
        next_at_ns: env.now_ns(),
        env,
        plan,
        recorder,
        progress,
        producer,
        database,
        pacing,
        begun: 0,
        halves: BTreeMap::new(),
        payments: BTreeMap::new(),
        ends: BTreeMap::new(),
    };
    // A service whose database fails is a service that stops.
    paying.run().await.ok();
}

impl<E: Env> Paying<E> {
    async fn run(mut self) -> std::io::Result<()> {
        loop {
            self.begin_all_that_may();
            self.settle_what_is_due().await?;
            let open = self.halves.len() + self.payments.len() + self.ends.len();
            let progress = &self.progress.0;
            progress.in_flight.store(open as u64, Ordering::Relaxed);
            let finished = u64::from(open == 0 && self.is_done());
            progress.finished.store(finished, Ordering::Relaxed);
            self.wait().await?;
        }
    }

    fn is_done(&self) -> bool {
        self.env.now_ns() >= self.plan.stop_at_ns
    }

    fn may_begin(&self) -> bool {
        let open = self.halves.len() + self.payments.len() + self.ends.len();
        !self.is_done() && (open as u64) < self.plan.in_flight_max
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
        let half = self
            .producer
            .submit_half(&self.plan.topic, None, body.into(), "");
        let op = half.expect("a plain group name is a property's value");
        self.halves.insert(op, value);
        self.progress.0.begun.fetch_add(1, Ordering::Relaxed);
        self.record(Event::HalfBegan { op, value });
    }

    async fn settle_what_is_due(&mut self) -> std::io::Result<()> {
        let now_ns = self.env.now_ns();
        while let Some(entry) = self.payments.first_entry()
            && entry.key().0 <= now_ns
        {
            let Order { value, half } = entry.remove();
            let paid = self.settle(value, !self.is_cancelled(value)).await?;
            self.end(value, half, paid);
        }
        Ok(())
    }

    fn is_cancelled(&self, value: Value) -> bool {
        self.dice(value).is_multiple_of(CANCELLED_ONE_IN)
    }

    fn payment_ns(&self, value: Value) -> u64 {
        let (low, high) = self.plan.payment_ns.clone().into_inner();
        low + (self.dice(value) >> 8) % (high - low + 1)
    }

    fn dice(&self, value: Value) -> u64 {
        xxh3_64_with_seed(&value.sequence.to_be_bytes(), self.plan.seed)
    }

    /// Durably; what was settled before stays as it is.
    async fn settle(&mut self, value: Value, paid: bool) -> std::io::Result<bool> {
        let known = self.database.settled(value.sequence).is_some();
        let paid = self.database.settle(value.sequence, paid).await?;
        if !known {
            self.record(Event::Settled { value, paid });
        }
        Ok(paid)
    }

    fn end(&mut self, value: Value, half: HalfName, commit: bool) {
        let half_address = half.address;
        let op = self
            .producer
            .end_transaction(&self.plan.topic, half, commit);
        self.ends.insert(op, value);
        self.record(Event::EndBegan {
            op,
            value,
            half_address,
            commit,
        });
    }

    async fn wait(&mut self) -> std::io::Result<()> {
        let begin_ns = self.may_begin().then_some(self.next_at_ns);
        let payment_ns = self.payments.keys().next().map(|(at_ns, _)| *at_ns);
        self.pacing
            .reset(begin_ns.into_iter().chain(payment_ns).min());
        match either(self.producer.next_event(), self.pacing.fired()).await {
            Either::First(event) => self.happened(event).await,
            Either::Second(()) => Ok(()),
        }
    }

    async fn happened(&mut self, event: ProducerEvent) -> std::io::Result<()> {
        match event {
            ProducerEvent::Sent(op, outcome) => self.half_ended(op, outcome),
            ProducerEvent::Ended(op, outcome) => self.ended(op, outcome),
            ProducerEvent::Asked(question) => self.answer(question).await?,
        }
        Ok(())
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
            }
            self.record(Event::EndEnded { op, outcome });
        }
    }

    /// What is settled is answered so. What is not never will be paid: barred
    /// first, durably, then answered, even where the payment is under way.
    async fn answer(&mut self, question: Question) -> std::io::Result<()> {
        let Some(value) = Value::read(&question.body) else {
            return Ok(());
        };
        let commit = self.settle(value, false).await?;
        let half_address = question.half.address;
        self.record(Event::CheckAnswered {
            value,
            half_address,
            commit,
        });
        self.producer.answer(&question, Some(commit));
        Ok(())
    }

    fn record(&self, event: Event) {
        self.recorder
            .record(self.env.now_ns(), self.plan.client, event);
    }
}
