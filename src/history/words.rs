//! Events in words, a line each, for timelines.

use std::fmt;

use super::{Event, Value};

/// Ranges of offsets that a line names; further ones are counted.
const RANGES_MAX: usize = 4;

/// One line, without whose it is and when.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delayed { value, delay_ns } => {
                write!(f, "{value} is to come in {} ms", delay_ns / 1_000_000)
            }
            Self::BeyondLimit { value } => write!(f, "{value} is longer than the limits let it"),
            Self::SendBegan { op, value } if value.sequence == *op => {
                write!(f, "send #{op} begins")
            }
            Self::SendBegan { op, value } => write!(f, "send #{op} begins: {value}"),
            Self::SendEnded { op, outcome } => write!(f, "send #{op} {outcome}"),
            Self::HalfBegan { op, value } => write!(f, "half #{op} begins: {value}"),
            Self::HalfEnded { op, outcome } => write!(f, "half #{op} {outcome}"),
            Self::Settled { value, paid } => match paid {
                true => write!(f, "{value} is paid"),
                false => write!(f, "{value} is barred from being paid"),
            },
            Self::EndBegan {
                op, value, commit, ..
            } => match commit {
                true => write!(f, "commit #{op} of {value} begins"),
                false => write!(f, "rollback #{op} of {value} begins"),
            },
            Self::EndEnded { op, outcome } => write!(f, "end #{op} {outcome}"),
            Self::CheckAnswered { value, commit, .. } => match commit {
                true => write!(f, "asked about {value}: committed"),
                false => write!(f, "asked about {value}: rolled back"),
            },
            Self::Issued { value } => write!(f, "the red packet of {value} is issued"),
            Self::PullBegan { op, queue, offset } => write!(f, "pull #{op} {queue}@{offset}"),
            Self::Pulled {
                op,
                queue,
                offset,
                next_begin_offset,
                messages,
                found,
            } => {
                write!(f, "pull #{op} {queue}@{offset}: ")?;
                match found {
                    true => write_messages(f, messages)?,
                    false => f.write_str("nothing")?,
                }
                write!(f, ", next {next_begin_offset}")
            }
            Self::Subscribed {
                group,
                topic,
                of,
                wanted,
            } => write!(f, "{group} wants of {topic} one in {of}: {wanted:?}"),
            Self::Ranked {
                group,
                place,
                members,
            } => match place {
                Some(place) => write!(f, "is {} of {members} in {group}", place + 1),
                None => write!(f, "is not among the {members} in {group}"),
            },
            Self::Noticed(what) => write!(f, "notes: {what}"),
            Self::Released { group, queue } => write!(f, "gives {group} {queue} up"),
            Self::Taken {
                group,
                queue,
                offset,
            } => write!(f, "processes {queue}@{offset} for {group}, locked"),
            Self::Redelivered {
                group,
                value,
                times,
            } => write!(f, "{group} has {value} again, sent back {times} times"),
            Self::SendBackBegan {
                op,
                queue,
                offset,
                value,
                times,
                ..
            } => write!(
                f,
                "send back #{op} {queue}@{offset}, after {times}: {value}"
            ),
            Self::SendBackEnded { op, acknowledged } => match acknowledged {
                true => write!(f, "send back #{op} acknowledged"),
                false => write!(f, "send back #{op} unknown"),
            },
            Self::Processed {
                group,
                queue,
                offset,
                value,
            } => write!(f, "processed {queue}@{offset} for {group}: {value}"),
            Self::CommitBegan {
                op,
                group,
                queue,
                offset,
            } => write!(f, "commit #{op} {group} {queue}@{offset}"),
            Self::CommitEnded { op, acknowledged } => match acknowledged {
                true => write!(f, "commit #{op} acknowledged"),
                false => write!(f, "commit #{op} unknown"),
            },
            Self::ResumeBegan { group, queue } => write!(f, "asks where {group} stands in {queue}"),
            Self::Resumed {
                group,
                queue,
                offset,
            } => {
                write!(f, "resumes {group} {queue}")?;
                write_recorded(f, *offset)
            }
            Self::FinalRead {
                queue,
                min_offset,
                max_offset,
                messages,
            } => {
                write!(f, "final read {queue} of {min_offset}..{max_offset}: ")?;
                write_messages(f, messages)
            }
            Self::FinalDiscards { values } => {
                write!(f, "final read of the discard topic: {}", values.len())
            }
            Self::FinalOrders { orders } => {
                let paid = orders.iter().filter(|(_, paid)| *paid).count();
                write!(
                    f,
                    "in the end {} orders are settled, {paid} paid",
                    orders.len()
                )
            }
            Self::FinalPackets { packets } => {
                write!(f, "in the end there are {} red packets", packets.len())
            }
            Self::FinalGroupOffset {
                group,
                queue,
                offset,
            } => {
                write!(f, "final offset {group} {queue}")?;
                write_recorded(f, *offset)
            }
        }
    }
}

fn write_recorded(f: &mut fmt::Formatter<'_>, offset: Option<u64>) -> fmt::Result {
    match offset {
        Some(offset) => write!(f, "@{offset}"),
        None => f.write_str(": nothing recorded"),
    }
}

/// How many, at which offsets, and how many of them say nothing.
fn write_messages(f: &mut fmt::Formatter<'_>, messages: &[(u64, Option<Value>)]) -> fmt::Result {
    let noun = if messages.len() == 1 {
        "message"
    } else {
        "messages"
    };
    write!(f, "{} {noun}", messages.len())?;
    let ranges: Vec<_> = messages
        .chunk_by(|a, b| a.0 + 1 == b.0)
        .map(|run| (run[0].0, run[run.len() - 1].0))
        .collect();
    for (index, (first, last)) in ranges.iter().take(RANGES_MAX).enumerate() {
        f.write_str(if index == 0 { " " } else { " + " })?;
        match first == last {
            true => write!(f, "{first}")?,
            false => write!(f, "{first}..={last}")?,
        }
    }
    if ranges.len() > RANGES_MAX {
        write!(f, " + {} more ranges", ranges.len() - RANGES_MAX)?;
    }
    match messages.iter().filter(|(_, value)| value.is_none()).count() {
        0 => Ok(()),
        unreadable => write!(f, " ({unreadable} unreadable)"),
    }
}

#[cfg(test)]
mod tests {
    use crate::history::{Event, Queue, SendOutcome, Value};

    fn queue() -> Queue {
        Queue {
            topic: "orders".into(),
            queue_id: 3,
        }
    }

    fn value(sequence: u64) -> Value {
        Value {
            sequence,
            ..Value::MIN
        }
    }

    #[test]
    fn every_event_is_a_short_line() {
        let messages = |offsets: &[u64]| -> Vec<_> {
            let read = |offset: &u64| (*offset, (*offset != 9).then(|| value(*offset)));
            offsets.iter().map(read).collect()
        };
        let pulled = |offsets: &[u64]| Event::Pulled {
            op: 7,
            queue: queue(),
            offset: 5,
            next_begin_offset: 12,
            messages: messages(offsets),
            found: !offsets.is_empty(),
        };
        let ended = |outcome| Event::SendEnded { op: 8, outcome };
        let acknowledged = SendOutcome::Acknowledged {
            queue: queue(),
            offset: 52,
            address: 144_758,
        };
        let events = [
            Event::SendBegan {
                op: 8,
                value: value(8),
            },
            Event::SendBegan {
                op: 8,
                value: value(9),
            },
            ended(acknowledged),
            ended(SendOutcome::Rejected { code: 14 }),
            ended(SendOutcome::Unknown),
            Event::PullBegan {
                op: 7,
                queue: queue(),
                offset: 5,
            },
            pulled(&[5, 6, 7]),
            pulled(&[5, 7, 9]),
            pulled(&[1, 3, 5, 7, 9, 11]),
            pulled(&[]),
            Event::CommitBegan {
                op: 2,
                group: "red-packet".into(),
                queue: queue(),
                offset: 8,
            },
            Event::CommitEnded {
                op: 2,
                acknowledged: true,
            },
            Event::CommitEnded {
                op: 2,
                acknowledged: false,
            },
            Event::ResumeBegan {
                group: "red-packet".into(),
                queue: queue(),
            },
            Event::Resumed {
                group: "red-packet".into(),
                queue: queue(),
                offset: None,
            },
            Event::Processed {
                group: "red-packet".into(),
                queue: queue(),
                offset: 5,
                value: value(5),
            },
            Event::FinalRead {
                queue: queue(),
                min_offset: 0,
                max_offset: 3,
                messages: messages(&[0]),
            },
            Event::FinalGroupOffset {
                group: "red-packet".into(),
                queue: queue(),
                offset: Some(4),
            },
        ];
        let lines = events.map(|event| event.to_string()).join("\n");
        insta::assert_snapshot!(lines, @"
        send #8 begins
        send #8 begins: client 0 #9
        send #8 acknowledged orders/3@52 addr 144758
        send #8 rejected, code 14
        send #8 unknown
        pull #7 orders/3@5
        pull #7 orders/3@5: 3 messages 5..=7, next 12
        pull #7 orders/3@5: 3 messages 5 + 7 + 9 (1 unreadable), next 12
        pull #7 orders/3@5: 6 messages 1 + 3 + 5 + 7 + 2 more ranges (1 unreadable), next 12
        pull #7 orders/3@5: nothing, next 12
        commit #2 red-packet orders/3@8
        commit #2 acknowledged
        commit #2 unknown
        asks where red-packet stands in orders/3
        resumes red-packet orders/3: nothing recorded
        processed orders/3@5 for red-packet: client 0 #5
        final read orders/3 of 0..3: 1 message 0
        final offset red-packet orders/3@4
        ");
    }
}
