//! A producer that keeps a number of sends in flight.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Progress;
use super::consume::tag;
use super::limits::{AtLimit, Limits};
use crate::client::{Producer, ProducerConfig};
use crate::env::{Env, Timer};
use crate::history::{ClientId, Event, Happening, Recorder, SendOutcome, Value};
use crate::record::{PropertyBuf, key};
use crate::remoting::send::SCHEDULE_TOPIC;

/// The actions of one producer.
#[derive(Debug, Clone)]
pub struct SendPlan {
    /// Its name in the history.
    pub client: ClientId,
    /// Counts the producer's lives: values of a later life are new ones.
    pub life: u32,
    /// Where to.
    pub topic: String,
    /// Sends begun and not ended, at most.
    pub in_flight_max: u64,
    /// So many sends, then it ends; `None`: until `stop_at_ns`.
    pub messages: Option<u64>,
    /// Pause between two sends, nanoseconds; 0: as fast as `in_flight_max` lets.
    pub pause_ns: u64,
    /// No send begins after this, on the environment's clock.
    pub stop_at_ns: u64,
    /// Length of a body.
    pub body_bytes: RangeInclusive<u64>,
    /// One body in so many is longer: as long as this.
    pub long: Option<(u64, RangeInclusive<u64>)>,
    /// Messages carry so many tags, in turn; 0: none.
    pub tags: u64,
    /// Delay levels and what they stand for, nanoseconds: each message has one of
    /// them; empty: messages come at once.
    pub delays: Vec<(u32, u64)>,
    /// One message in so many is sent one-way; 0: none.
    pub oneway_one_in: u64,
    /// The limits of a message, and how often one is met.
    pub limits: Limits,
    /// Decides lengths, filler and delays.
    pub seed: u64,
}

impl SendPlan {
    fn length(&self, dice: u64) -> u64 {
        // Whether it is a long one is thrown apart, so that it does not follow from
        // the delay.
        let other = xxh3_64_with_seed(&dice.to_be_bytes(), self.seed);
        let long = self.long.as_ref();
        let (bytes, is_long) = match long.filter(|(one_in, _)| other.is_multiple_of(*one_in)) {
            Some((_, bytes)) => (bytes, true),
            None => (&self.body_bytes, false),
        };
        let (low, high) = (*bytes.start(), *bytes.end());
        let high = match is_long {
            true => {
                let doublings = (high / low.max(1)).checked_ilog2().unwrap_or(0) + 1;
                high.min(low << (1 + (other >> 32) % u64::from(doublings)))
            }
            false => high,
        };
        low + dice % (high - low + 1)
    }
}

/// Sends by `plan` until it is done and every send has ended, and records each.
pub async fn send<E: Env>(
    env: E,
    plan: SendPlan,
    config: ProducerConfig,
    recorder: Recorder,
    progress: Progress,
) {
    let producer = Producer::new(env.clone(), config);
    let pacing = env.timer();
    Sending {
        next_at_ns: env.now_ns(),
        env,
        plan,
        recorder,
        progress,
        producer,
        pacing,
        begun: 0,
    }
    .run()
    .await;
}

struct Sending<E: Env> {
    env: E,
    plan: SendPlan,
    recorder: Recorder,
    progress: Progress,
    producer: Producer<E>,
    pacing: E::Timer,
    begun: u64,
    next_at_ns: u64,
}

impl<E: Env> Sending<E> {
    async fn run(mut self) {
        loop {
            self.begin_all_that_may();
            if self.progress.in_flight() == 0 && self.is_done() {
                break;
            }
            self.wait().await;
        }
        self.progress.0.finished.store(1, Ordering::Relaxed);
    }

    fn is_done(&self) -> bool {
        self.plan
            .messages
            .is_some_and(|messages| self.begun >= messages)
            || self.env.now_ns() >= self.plan.stop_at_ns
    }

    fn begin_all_that_may(&mut self) {
        while !self.is_done()
            && self.progress.in_flight() < self.plan.in_flight_max
            && self.env.now_ns() >= self.next_at_ns
        {
            self.next_at_ns = match self.plan.pause_ns {
                0 => 0,
                pause_ns => self.env.now_ns() + pause_ns,
            };
            self.begin_one();
        }
    }

    fn begin_one(&mut self) {
        let sequence = u64::from(self.plan.life) << 32 | self.begun;
        self.begun += 1;
        let dice = xxh3_64_with_seed(&sequence.to_be_bytes(), self.plan.seed);
        let at_limit = self.plan.limits.draw(dice, self.plan.seed);
        let length = self.plan.length(dice) as usize;
        let length = at_limit.body_bytes.unwrap_or(length);
        let (value, body) = Value::make(self.plan.client, sequence, length, self.plan.seed);
        let delay = match self.plan.delays.len() as u64 {
            0 => None,
            count => Some(self.plan.delays[(dice % count) as usize]),
        };
        if let Some((_, delay_ns)) = delay {
            self.record(Event::Delayed { value, delay_ns });
        }
        let added_bytes = self.producer.added_properties_bytes();
        let properties = self.properties(sequence, delay, (at_limit, added_bytes));
        if self
            .plan
            .limits
            .refuse(body.len(), properties.len() + added_bytes)
        {
            self.record(Event::BeyondLimit { value });
        }
        let (topic, body) = (&*self.plan.topic, body.into());
        let one_in = self.plan.oneway_one_in;
        let oneway = one_in > 0 && (dice >> 32).is_multiple_of(one_in);
        let producer = &mut self.producer;
        let submit = || match oneway {
            true => producer.submit_oneway(topic, body, &properties),
            false => producer.submit(topic, None, body, &properties),
        };
        let (now_ns, client) = (self.env.now_ns(), self.plan.client);
        self.recorder
            .record_begun(now_ns, client, submit, |op| Event::SendBegan {
                op: *op,
                value,
            });
        self.progress.0.in_flight.fetch_add(1, Ordering::Relaxed);
        self.progress.0.begun.fetch_add(1, Ordering::Relaxed);
        if oneway {
            self.record(Event::Noticed(Happening::SentOneWay));
        }
    }

    /// `at_limit`: of these, once the producer has added so many bytes.
    fn properties(
        &self,
        sequence: u64,
        delay: Option<(u32, u64)>,
        (at_limit, added_bytes): (AtLimit, usize),
    ) -> String {
        let mut properties = PropertyBuf::default();
        if self.plan.tags > 0 {
            let tag = tag(sequence % self.plan.tags);
            let set = properties.set(key::TAGS, &tag);
            set.expect("a tag has no separator");
        }
        if let Some((level, _)) = delay {
            let set = properties.set(key::DELAY, &level.to_string());
            set.expect("a number has no separator");
        }
        at_limit.fill(&mut properties, added_bytes, self.plan.tags > 0);
        properties.as_str().to_owned()
    }

    async fn wait(&mut self) {
        let may_begin = !self.is_done() && self.progress.in_flight() < self.plan.in_flight_max;
        if !may_begin {
            let (op, outcome) = self.producer.next().await;
            self.ended(op, outcome);
            return;
        }
        self.pacing.reset(Some(self.next_at_ns));
        let ended = crate::env::either(self.producer.next(), self.pacing.fired()).await;
        if let crate::env::Either::First((op, outcome)) = ended {
            self.ended(op, outcome);
        }
    }

    fn ended(&mut self, op: u64, mut outcome: SendOutcome) {
        // The answer names a place in the topic in which it waits.
        if let SendOutcome::Acknowledged { queue, .. } = &mut outcome
            && !self.plan.delays.is_empty()
        {
            queue.topic = SCHEDULE_TOPIC.into();
        }
        self.progress.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        if matches!(outcome, SendOutcome::Acknowledged { .. }) {
            self.progress.0.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        self.record(Event::SendEnded { op, outcome });
    }

    fn record(&self, event: Event) {
        self.recorder
            .record(self.env.now_ns(), self.plan.client, event);
    }
}
