//! The acknowledgement oracle for transactions: who is told that one is decided,
//! by a success or by "decided otherwise before", is told what is held.

use std::collections::BTreeMap;

use super::trail::{DiscardLimits, Ruling, TooEarly, Trail};
use super::{Medium, Tap};
use crate::check::{At, Finding, Promise};
use crate::remoting::transaction::{EndTransaction, sys_flag};
use crate::remoting::{Command, Glance, RequestCode, ResponseCode};
use crate::sim::disk_io::DiskIo;
use crate::sim::net::NodeId;
use crate::sim::world::{Core, TraceKind};

/// An end that was asked for and not answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedEnd {
    half_address: u64,
    commit: bool,
}

/// The tap's account of transactions.
#[derive(Debug)]
pub(super) struct Transactions {
    pub(super) trail: Trail,
    /// By stream and the request's number.
    pub(super) ends: BTreeMap<(u64, i32), AskedEnd>,
    /// Half messages whose end was answered with a success: whether as committed,
    /// and when, nanoseconds.
    told: BTreeMap<u64, (bool, u64)>,
    /// Brokers answer from memory, and promise nothing of it.
    from_memory: bool,
}

impl Transactions {
    pub(super) fn new(brokers: u32, limits: DiscardLimits, from_memory: bool) -> Self {
        Self {
            trail: Trail::new(brokers, limits),
            ends: BTreeMap::new(),
            told: BTreeMap::new(),
            from_memory,
        }
    }

    /// A client asks for an end. One that wants no answer gets none.
    pub(super) fn end_asked(&mut self, stream: u64, command: &Command) {
        let Ok(request) = command.header::<EndTransaction<'_>>() else {
            return;
        };
        let commit = match request.commit_or_rollback {
            sys_flag::COMMIT => true,
            sys_flag::ROLLBACK => false,
            _ => return,
        };
        if !command.is_oneway() {
            let end = AskedEnd {
                half_address: request.commit_log_offset as u64,
                commit,
            };
            self.ends.insert((stream, command.opaque), end);
        }
    }
}

fn so(committed: bool) -> &'static str {
    match committed {
        true => "committed",
        false => "not committed",
    }
}

impl Tap {
    /// The account of logs about transactions; `None`: the scenario has none.
    pub(crate) fn trail(&self) -> Option<&Trail> {
        self.transactions.as_ref().map(|it| &it.trail)
    }

    /// Whether a decision that a broker's log has is durable there, or committed
    /// where there are replicas.
    pub(crate) fn is_decision_held(
        &mut self,
        disk: &DiskIo,
        node: NodeId,
        half_address: u64,
    ) -> bool {
        let decision = self
            .trail()
            .and_then(|trail| trail.decision(node, half_address));
        let Some(decision) = decision else {
            return false;
        };
        match &self.replicas {
            Some(replicas) => replicas.cluster.is_committed(node, decision.address),
            None => decision.end_address <= self.durable_end(disk, node),
        }
    }

    /// A half message was discarded before it was due.
    pub(super) fn discarded_early(&mut self, core: &Core, node: NodeId, early: TooEarly) {
        let TooEarly {
            half_address,
            age_ns,
            checks,
        } = early;
        let age_ms = age_ns / 1_000_000;
        self.findings.push(Finding {
            promise: Promise::Transactions,
            lines: vec![format!(
                "the half message at {half_address} was discarded by b{node} at the age of \
                 {age_ms} ms, after {checks} checks: before any limit"
            )],
            at_ns: core.now_ns,
            event: core.trace_events(),
            moments_ns: Vec::new(),
        });
    }

    /// A broker writes a request: about a transaction whose end was answered, it
    /// would have forgotten what it said. One that was replaced as the leader and has
    /// not heard of it does not know what was answered since.
    pub(super) fn broker_asks(&mut self, core: &Core, node: NodeId, request: &Glance<'_>) {
        let replaced = self.leader().is_some_and(|leader| leader != node);
        if self.replicas.is_some() && replaced {
            return;
        }
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        // An entry that is acknowledged from a cache may be lost, and asked about again.
        let is_kept = transactions.from_memory || self.medium == Medium::Durable;
        if request.code != RequestCode::CHECK_TRANSACTION_STATE.0 || !is_kept {
            return;
        }
        let address = request.get("commitLogOffset");
        let address = address.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let Some((half_address, (committed, told_ns))) =
            address.and_then(|address| transactions.told.remove_entry(&address))
        else {
            return;
        };
        let so = so(committed);
        self.findings.push(Finding {
            promise: Promise::Transactions,
            lines: vec![format!(
                "b{node} asks about the half message at {half_address}, whose transaction was \
                 answered as {so} at {}",
                At(told_ns)
            )],
            at_ns: core.now_ns,
            event: core.trace_events(),
            moments_ns: vec![told_ns],
        });
    }

    /// A broker answered an end.
    pub(super) fn end_answered(
        &mut self,
        core: &mut Core,
        disk: &DiskIo,
        node: NodeId,
        end: AskedEnd,
        code: i32,
    ) {
        let AskedEnd {
            half_address,
            commit,
        } = end;
        let committed = match ResponseCode(code) {
            ResponseCode::SUCCESS => commit,
            ResponseCode::TRANSACTION_SHOULD_COMMIT => true,
            ResponseCode::TRANSACTION_SHOULD_ROLLBACK => false,
            _ => return,
        };
        let so = so(committed);
        core.trace(TraceKind::Answer, node, half_address, &[], || {
            format!("ack transaction {half_address} {so}")
        });
        let what = format!("transaction of the half message at {half_address} as {so}");
        if let Some(transactions) = &mut self.transactions {
            if code == ResponseCode::SUCCESS.0 {
                let told = (committed, core.now_ns);
                transactions.told.insert(half_address, told);
            }
            if transactions.from_memory {
                return;
            }
        }
        let found = self.trail().and_then(|trail| match &self.replicas {
            // Its own write may be on its way still (D3).
            Some(_) => trail.any_decision(node, half_address),
            None => trail.decision(node, half_address),
        });
        let found = found.filter(|it| (it.ruling == Ruling::Committed) == committed);
        let relied_end = self.relied_end(disk, node);
        if let Some(replicas) = &mut self.replicas {
            // No entry has the address u64::MAX.
            let address = found.map_or(u64::MAX, |decision| decision.address);
            let moment = super::moment(core);
            replicas.cluster.acknowledges(moment, node, address, &what);
        } else if found.is_none_or(|decision| decision.end_address > relied_end) {
            self.unheld(core, what, relied_end);
        }
        let end_address = found.map_or(0, |decision| decision.end_address);
        let acknowledged = self.acknowledged.entry(node).or_default();
        *acknowledged = (*acknowledged).max(end_address);
        if self.medium == Medium::Durable && end_address > self.durable_end(disk, node) {
            *self.on_lies.entry(node).or_default() += 1;
        }
    }
}
