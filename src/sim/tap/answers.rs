//! The acknowledgement oracle for one broker: when it answers, is what the
//! answer depends on held by the medium that its configuration names?

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{Medium, Tap};
use crate::broker::OffsetCommit;
use crate::check::read_committed::CommitFact;
use crate::check::{Finding, Promise};
use crate::history::Queue;
use crate::remoting::offset::UpdateOffset;
use crate::remoting::{Command, FrameDecoder, Glance, MessageId, RequestCode, ResponseCode};
use crate::sim::disk_io::DiskIo;
use crate::sim::net::NodeId;
use crate::sim::world::{Core, TraceKind};

impl Tap {
    /// A client writes whole requests; only offset commits and ends of
    /// transactions matter here.
    pub(super) fn client_asks(&mut self, now_ns: u64, stream: u64, bytes: &Bytes) {
        let ends = self.transactions.is_some() && mentions(bytes, RequestCode::END_TRANSACTION);
        if !ends && !mentions(bytes, RequestCode::UPDATE_CONSUMER_OFFSET) {
            return;
        }
        for command in commands(bytes) {
            if let Some(transactions) = &mut self.transactions
                && command.code == RequestCode::END_TRANSACTION.0
                && !command.is_response()
            {
                transactions.end_asked(stream, &command);
                continue;
            }
            if command.code != RequestCode::UPDATE_CONSUMER_OFFSET.0 || command.is_response() {
                continue;
            }
            let Ok(request) = command.header::<UpdateOffset<'_>>() else {
                continue;
            };
            let mut record = Vec::new();
            OffsetCommit {
                group: request.consumer_group.to_owned(),
                topic: request.topic.to_owned(),
                queue_id: request.queue_id as u32,
                offset: request.commit_offset as u64,
            }
            .encode(&mut record);
            self.commits
                .insert((stream, command.opaque), (xxh3_64(&record), now_ns));
        }
    }

    /// A broker writes whole answers.
    pub(super) fn broker_answers(
        &mut self,
        core: &mut Core,
        disk: &DiskIo,
        node: NodeId,
        stream: u64,
        bytes: &Bytes,
    ) {
        let mut rest: &[u8] = bytes;
        while let Some((answer, behind)) = Glance::first(rest) {
            self.broker_answer(core, disk, node, stream, &answer);
            rest = behind;
        }
        if !rest.is_empty() {
            for answer in commands(&bytes.slice_ref(rest)) {
                self.broker_answer(core, disk, node, stream, &answer.glance());
            }
        }
    }

    fn broker_answer(
        &mut self,
        core: &mut Core,
        disk: &DiskIo,
        node: NodeId,
        stream: u64,
        answer: &Glance<'_>,
    ) {
        if !answer.is_response() {
            return self.broker_asks(core, node, answer);
        }
        self.owed.answered(node, stream, answer.opaque);
        let commit = self.commits.remove(&(stream, answer.opaque));
        let transactions = self.transactions.as_mut();
        let end = transactions.and_then(|it| it.ends.remove(&(stream, answer.opaque)));
        if let Some(end) = end {
            self.end_answered(core, disk, node, end, answer.code);
        }
        if !is_good_news(answer.code) {
            refused(core, node, answer);
            if commit.is_some() {
                self.commit_refused(core, disk, node, answer);
            }
            if answer.code == ResponseCode::SERVICE_NOT_AVAILABLE.0 {
                *self.refusals.entry(node).or_default() += 1;
            }
        }
        if answer.code != ResponseCode::SUCCESS.0 {
            return;
        }
        if let Some(commit) = commit {
            self.offset_committed(core, disk, node, commit);
        } else if let Some(id) = answer.get("msgId") {
            self.send_acknowledged(core, disk, node, id, answer);
        } else if answer.get("nextBeginOffset").is_some() {
            self.records_served(core, disk, node, answer.body);
        }
    }

    fn send_acknowledged(
        &mut self,
        core: &mut Core,
        disk: &DiskIo,
        node: NodeId,
        id: &[u8],
        answer: &Glance<'_>,
    ) {
        let Some(address) = address_of(id) else {
            return;
        };
        self.sightings.acknowledgements += 1;
        let relied_end = self.relied_end(disk, node);
        let medium = self.medium.name();
        core.trace(TraceKind::Answer, node, address, &[], || {
            let queue = text_of(answer, "queueId");
            let offset = text_of(answer, "queueOffset");
            format!("ack {address} queue {queue}@{offset} {medium}={relied_end}")
        });
        let end_address = self.holdings[node as usize].end_of(address);
        let end_address = end_address.unwrap_or(u64::MAX);
        if let Some(replicas) = &mut self.replicas {
            let what = format!("message at log address {address}");
            let moment = super::moment(core);
            replicas.cluster.acknowledges(moment, node, address, &what);
        } else if end_address > relied_end {
            self.unheld(
                core,
                format!("message at log address {address}"),
                relied_end,
            );
        }
        let acknowledged = self.acknowledged.entry(node).or_default();
        *acknowledged = (*acknowledged).max(end_address);
        if self.medium == Medium::Durable && end_address > self.durable_end(disk, node) {
            *self.on_lies.entry(node).or_default() += 1;
        }
    }

    fn offset_committed(
        &mut self,
        core: &mut Core,
        disk: &DiskIo,
        node: NodeId,
        (digest, asked_ns): (u64, u64),
    ) {
        let relied_end = self.relied_end(disk, node);
        let medium = self.medium.name();
        core.trace(TraceKind::Answer, node, digest, &[], || {
            format!("ack commit of a group's offset {medium}={relied_end}")
        });
        let own = self.holdings[node as usize].commit_end(digest, asked_ns);
        // Its own write may be on its way still (D3).
        let others = || {
            self.holdings
                .iter()
                .filter_map(|other| other.commit_end(digest, asked_ns))
        };
        let end_address = match self.replicas {
            Some(_) => own.or_else(|| others().max()),
            None => own,
        };
        if let Some(replicas) = &mut self.replicas {
            // No entry has the address u64::MAX.
            let address = end_address.map_or(u64::MAX, |end_address| end_address - 1);
            let what = "commit of a group's offset";
            let moment = super::moment(core);
            replicas.cluster.acknowledges(moment, node, address, what);
        } else if end_address.is_none_or(|end_address| end_address > relied_end) {
            self.unheld(core, "commit of a group's offset".to_owned(), relied_end);
        }
    }

    /// Records of a queue come in the order of their addresses: the last one
    /// is the one to ask about.
    fn records_served(&mut self, core: &Core, disk: &DiskIo, node: NodeId, records: &[u8]) {
        let Some(last) = last_record(records) else {
            return;
        };
        if let Some(replicas) = &mut self.replicas {
            let Served {
                address,
                topic,
                queue_id,
                queue_offset,
            } = last;
            let what = format!("{topic}/{queue_id} offset {queue_offset}");
            let moment = super::moment(core);
            replicas.cluster.serves(moment, node, address, &what);
            return;
        }
        let relied_end = self.relied_end(disk, node);
        let end_address = self.holdings[node as usize].end_of(last.address);
        let end_address = end_address.unwrap_or(last.address + 1);
        if end_address <= relied_end {
            return;
        }
        self.served_early.push(CommitFact::Limit {
            node,
            end_address: relied_end,
        });
        self.served_early.push(CommitFact::Served {
            at_ns: core.now_ns,
            event: core.trace_events(),
            node,
            queue: Queue {
                topic: last.topic.into(),
                queue_id: last.queue_id,
            },
            offset: last.queue_offset,
            end_address,
        });
    }

    pub(super) fn unheld(&mut self, core: &Core, what: String, relied_end: u64) {
        let medium = self.medium.name();
        self.findings.push(Finding {
            promise: Promise::Acknowledgement,
            lines: vec![format!(
                "{what} acknowledged, {medium} only up to {relied_end}"
            )],
            at_ns: core.now_ns,
            event: core.trace_events(),
            moments_ns: Vec::new(),
        });
    }
}

/// Answers that refuse nothing.
fn is_good_news(code: i32) -> bool {
    [
        ResponseCode::SUCCESS,
        ResponseCode::PULL_NOT_FOUND,
        ResponseCode::PULL_RETRY_IMMEDIATELY,
        ResponseCode::PULL_OFFSET_MOVED,
        ResponseCode::QUERY_NOT_FOUND,
    ]
    .iter()
    .any(|good| good.0 == code)
}

fn refused(core: &mut Core, node: NodeId, answer: &Glance<'_>) {
    core.trace(TraceKind::Answer, node, answer.code as u64, &[], || {
        let remark = answer.remark();
        format!("refuses with code {}: {remark}", answer.code)
    });
}

fn text_of<'a>(answer: &Glance<'a>, field: &str) -> std::borrow::Cow<'a, str> {
    let bytes = answer.get(field).unwrap_or(b"?");
    String::from_utf8_lossy(bytes)
}

fn commands(bytes: &Bytes) -> impl Iterator<Item = Command> {
    let mut decoder = FrameDecoder::new();
    decoder.feed(bytes.clone());
    std::iter::from_fn(move || decoder.next_command().ok().flatten())
}

/// Whether the first frame is of that code, or may be: a cheap look at the
/// binary header. A JSON header is always worth decoding.
fn mentions(bytes: &[u8], code: RequestCode) -> bool {
    match bytes.get(4..10) {
        Some([1, _, _, _, high, low]) => {
            let first = i32::from(u16::from_be_bytes([*high, *low]));
            let length = bytes
                .first_chunk()
                .map_or(0, |word| u32::from_be_bytes(*word));
            first == code.0 || bytes.len() > length as usize + 4
        }
        _ => true,
    }
}

fn address_of(id: &[u8]) -> Option<u64> {
    Some(
        std::str::from_utf8(id)
            .ok()?
            .parse::<MessageId>()
            .ok()?
            .address,
    )
}

struct Served {
    address: u64,
    queue_id: u32,
    queue_offset: u64,
    topic: String,
}

fn last_record(records: &[u8]) -> Option<Served> {
    let mut at = 0;
    let mut last = None;
    while let Some(size) = records.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        last = Some(at);
        at += u32::from_be_bytes(*size) as usize;
    }
    let (message, _) = crate::record::Message::decode_first(&records[last?..]).ok()?;
    Some(Served {
        address: message.physical_offset,
        queue_id: message.queue_id,
        queue_offset: message.queue_offset,
        topic: message.topic.to_owned(),
    })
}
