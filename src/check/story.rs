//! Hand-written histories, for tests: one statement a line or between `;`, one
//! simulated second each, about queue `orders/3` and group `red-packet`.
//!
//! ```text
//! send 1 · ack 1@0 · reject 1 · unknown 1     client 1's message of that number
//! beyond 1 · illegal 1                        the next is too long; refused for good
//! pull 0..2: 1@0 2@1                          asked and answered
//! ask 0 · answer 0..2: 1@0 2@1                the same in two steps
//! nothing 0..9                                answered "not found"
//! final 0..2: 1@0 2@1                         the complete read after heal
//! process 1@0 · commit 7 · begin 7 · end 1    commit = begin and end; the first commit
//! half 1 · stored 1 · lost-half 1 · pay 1     an order and its half message
//! commits 1 · rolls 1 · ended 1 · refused 1 201 · end-unknown 1
//! says-commit 1 · says-rollback 1             in answer to the broker
//! orders 1 2! · packets 1 · discards 1        in the end; 2! is not paid
//! query · resume 1 · resume none · recorded 1 · recorded none
//! wants 0 2 of 4 · ranked 0 of 2 · ranked none of 2 · released · taken 5
//! back 1@0 2 +3 · back 1@0 3 dead · backed 1  sent back after 2 times, due in 3 s
//! again 1 2                                   redelivered as sent back twice
//! dead-letters 1 2 · retried 1 · scheduled 1   all that stands there, by numbers
//! delay 1 3                                   1 is to come in 3 s
//! ```
//! `2: process 1@0` is client 2's. All else is client 1's.
//! `?@0` is a message without a value, `1!@0` number 1 with another body.

use std::sync::Arc;

use super::{Facts, Finding};
use crate::history::{ClientId, EndOutcome, Event, History, Queue, Recorded, SendOutcome, Value};

/// The lines of what a check finds in a story.
pub(super) fn lines_found(text: &str, check: impl Fn(&Facts<'_>) -> Vec<Finding>) -> String {
    let history = story(text);
    let findings = check(&Facts::new(&history));
    let lines = findings.into_iter().flat_map(|found| found.lines);
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads a story.
pub(super) fn story(text: &str) -> History {
    let mut teller = Teller::default();
    for statement in text.split(['\n', ';']).map(str::trim) {
        if !statement.is_empty() {
            teller.at_ns += 1_000_000_000;
            let by = statement.split_once(": ");
            let by = by.and_then(|(client, rest)| Some((client.parse().ok()?, rest)));
            let (client, statement) = by.unwrap_or((1, statement));
            teller.client = client;
            teller.tell(statement);
        }
    }
    teller.history
}

/// The queue of all stories.
pub(super) fn queue() -> Queue {
    Queue {
        topic: "orders".into(),
        queue_id: 3,
    }
}

/// The message of a number.
pub(super) fn value(sequence: u64) -> Value {
    Value {
        client: 1,
        sequence,
        digest: sequence,
    }
}

#[derive(Default)]
struct Teller {
    history: History,
    at_ns: u64,
    client: ClientId,
    commits: u64,
    backs: u64,
}

impl Teller {
    fn add(&mut self, event: Event) {
        self.history.entries.push(Recorded {
            at_ns: self.at_ns,
            client: self.client,
            event,
        });
    }

    fn tell(&mut self, statement: &str) {
        let (verb, rest) = statement.split_once(' ').unwrap_or((statement, ""));
        match verb {
            "beyond" => {
                let value = value(rest.parse().expect("a number"));
                self.add(Event::BeyondLimit { value });
            }
            "send" | "ack" | "reject" | "illegal" | "unknown" => self.tell_send(verb, rest),
            "pull" => {
                self.ask(rest.split_once("..").expect("a range").0);
                self.answer(rest, true);
            }
            "ask" => self.ask(rest),
            "answer" => self.answer(rest, true),
            "nothing" => {
                self.ask(rest.split_once("..").expect("a range").0);
                self.answer(rest, false);
            }
            "final" => {
                let (min_offset, max_offset, messages) = answer(rest);
                self.add(Event::FinalRead {
                    queue: queue(),
                    min_offset,
                    max_offset,
                    messages,
                });
            }
            "orders" | "packets" | "discards" => self.tell_end(verb, rest),
            _ if self.tell_transaction(verb, rest) => {}
            _ if self.tell_member(verb, rest) => {}
            _ => self.tell_group(verb, rest),
        }
    }

    /// False where it is about something else.
    fn tell_transaction(&mut self, verb: &str, rest: &str) -> bool {
        let (number, code) = rest.split_once(' ').unwrap_or((rest, "0"));
        let Ok(op) = number.parse::<u64>() else {
            return false;
        };
        let (value, half_address) = (value(op), 100 * op);
        let end = |commit| Event::EndBegan {
            op,
            value,
            half_address,
            commit,
        };
        let says = |commit| Event::CheckAnswered {
            value,
            half_address,
            commit,
        };
        let ended = |outcome| Event::EndEnded { op, outcome };
        let half = |outcome| Event::HalfEnded { op, outcome };
        self.add(match verb {
            "half" => Event::HalfBegan { op, value },
            "stored" => half(SendOutcome::Acknowledged {
                queue: queue(),
                offset: op,
                address: half_address,
            }),
            "lost-half" => half(SendOutcome::Unknown),
            "pay" => Event::Settled { value, paid: true },
            "commits" => end(true),
            "rolls" => end(false),
            "ended" => ended(EndOutcome::Acknowledged),
            "refused" => ended(EndOutcome::Refused {
                code: code.parse().expect("a code"),
            }),
            "end-unknown" => ended(EndOutcome::Unknown),
            "says-commit" => says(true),
            "says-rollback" => says(false),
            _ => return false,
        });
        true
    }

    fn tell_end(&mut self, verb: &str, rest: &str) {
        let read = |word: &str| {
            let number = word.strip_suffix('!');
            let digits = number.unwrap_or(word);
            (value(digits.parse().expect("a number")), number.is_none())
        };
        let orders: Vec<_> = rest.split_whitespace().map(read).collect();
        let values = orders.iter().map(|(value, _)| *value).collect();
        self.add(match verb {
            "orders" => Event::FinalOrders { orders },
            "packets" => Event::FinalPackets { packets: values },
            _ => Event::FinalDiscards { values },
        });
    }

    /// False where it is about something else.
    fn tell_member(&mut self, verb: &str, rest: &str) -> bool {
        let (group, queue): (Arc<str>, _) = ("red-packet".into(), queue());
        let number = |text: &str| text.parse::<u64>().expect("a number");
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        let event = match verb {
            "wants" => {
                let (wanted, of) = rest.split_once(" of ").expect("so many of so many");
                Event::Subscribed {
                    group,
                    topic: queue.topic,
                    of: number(of),
                    wanted: wanted.split(' ').map(number).collect(),
                }
            }
            "ranked" => {
                let (place, members) = rest.split_once(" of ").expect("one of so many");
                Event::Ranked {
                    group,
                    place: place.parse().ok(),
                    members: members.parse().expect("a number"),
                }
            }
            "released" => Event::Released { group, queue },
            "taken" => Event::Taken {
                group,
                queue,
                offset: number(rest),
            },
            "again" => Event::Redelivered {
                group,
                value: value(number(first)),
                times: second.parse().expect("a number"),
            },
            "back" => {
                self.backs += 1;
                let (offset, value) = message(first);
                let (times, delay) = second.split_once(' ').expect("times and a delay");
                let delay_s = delay.strip_prefix('+').map(number);
                Event::SendBackBegan {
                    op: self.backs,
                    group,
                    queue,
                    offset,
                    value: value.expect("a value"),
                    times: times.parse().expect("a number"),
                    delay_ns: delay_s.map(|s| s * 1_000_000_000),
                }
            }
            "backed" => Event::SendBackEnded {
                op: number(rest),
                acknowledged: true,
            },
            "dead-letters" => all_of("%DLQ%red-packet", rest),
            "retried" => all_of("%RETRY%red-packet", rest),
            "scheduled" => all_of("SCHEDULE_TOPIC_XXXX", rest),
            "delay" => Event::Delayed {
                value: value(number(first)),
                delay_ns: number(second) * 1_000_000_000,
            },
            _ => return false,
        };
        self.add(event);
        true
    }

    fn tell_send(&mut self, verb: &str, rest: &str) {
        let (number, offset) = rest.split_once('@').unwrap_or((rest, "0"));
        let op = number.parse().expect("a number");
        let outcome = match verb {
            "send" => {
                return self.add(Event::SendBegan {
                    op,
                    value: value(op),
                });
            }
            "ack" => SendOutcome::Acknowledged {
                queue: queue(),
                offset: offset.parse().expect("an offset"),
                address: offset.parse::<u64>().expect("an offset") * 100,
            },
            "reject" => SendOutcome::Rejected { code: 2 },
            "illegal" => SendOutcome::Rejected { code: 13 },
            _ => SendOutcome::Unknown,
        };
        self.add(Event::SendEnded { op, outcome });
    }

    fn ask(&mut self, offset: &str) {
        self.add(Event::PullBegan {
            op: 1,
            queue: queue(),
            offset: offset.parse().expect("an offset"),
        });
    }

    fn answer(&mut self, rest: &str, found: bool) {
        let (offset, next_begin_offset, messages) = answer(rest);
        self.add(Event::Pulled {
            op: 1,
            queue: queue(),
            offset,
            next_begin_offset,
            messages,
            found,
        });
    }

    fn tell_group(&mut self, verb: &str, rest: &str) {
        let group: Arc<str> = "red-packet".into();
        let queue = queue();
        let offset = rest.parse().ok();
        let event = match verb {
            "process" => {
                let (offset, value) = message(rest);
                let value = value.expect("a value");
                Event::Processed {
                    group,
                    queue,
                    offset,
                    value,
                }
            }
            "commit" => {
                self.tell_group("begin", rest);
                let last = self.commits.to_string();
                return self.tell_group("end", &last);
            }
            "begin" => {
                self.commits += 1;
                Event::CommitBegan {
                    op: self.commits,
                    group,
                    queue,
                    offset: offset.expect("an offset"),
                }
            }
            "end" => Event::CommitEnded {
                op: offset.expect("which commit, from 1"),
                acknowledged: true,
            },
            "query" => Event::ResumeBegan { group, queue },
            "resume" => Event::Resumed {
                group,
                queue,
                offset,
            },
            "recorded" => Event::FinalGroupOffset {
                group,
                queue,
                offset,
            },
            other => panic!("a story has no verb {other}"),
        };
        self.add(event);
    }
}

/// The complete read of another topic, which has one queue.
fn all_of(topic: &str, values: &str) -> Event {
    let numbers = values.split_whitespace().map(str::parse);
    let values = numbers.map(|number| Some(value(number.expect("a number"))));
    let messages: Messages = (0..).zip(values).collect();
    Event::FinalRead {
        queue: Queue {
            topic: topic.into(),
            queue_id: 0,
        },
        min_offset: 0,
        max_offset: messages.len() as u64,
        messages,
    }
}

type Messages = Vec<(u64, Option<Value>)>;

fn answer(text: &str) -> (u64, u64, Messages) {
    let (range, messages) = text.split_once(':').unwrap_or((text, ""));
    let (low, high) = range.split_once("..").expect("a range");
    let messages = messages.split_whitespace().map(message).collect();
    (
        low.parse().expect("an offset"),
        high.parse().expect("an offset"),
        messages,
    )
}

fn message(text: &str) -> (u64, Option<Value>) {
    let (number, offset) = text.split_once('@').expect("number@offset");
    let offset = offset.parse().expect("an offset");
    let value = match number.strip_suffix('!') {
        _ if number == "?" => None,
        Some(number) => Some(Value {
            digest: 0,
            ..value(number.parse().expect("a number"))
        }),
        None => Some(value(number.parse().expect("a number"))),
    };
    (offset, value)
}
