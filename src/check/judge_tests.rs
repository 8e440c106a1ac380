//! The verdicts, on hand-written histories.

use super::{Ending, Evidence, Judgement, Verdict, judge};
use crate::check::read_committed::CommitFact;
use crate::check::story::story;
use crate::check::{Blame, Configuration, Finding, Flush, Liveness, Lost, Promise};
use crate::history::{FaultEvent, FaultKind, Ledger};

const S: u64 = 1_000_000_000;

/// A run with everything in order, but for what a test changes.
struct Case {
    configuration: Configuration,
    faultless: bool,
    lacks: bool,
    ledger: Ledger,
    blame: Blame,
    commit_facts: Vec<CommitFact>,
    oracle: Vec<Finding>,
    waived: Vec<Finding>,
    has_lapsed: bool,
    core: bool,
    probed_ns: Option<u64>,
    ending: Ending,
}

fn case(flush: Flush, kind: FaultKind) -> Case {
    let mut ledger = Ledger::default();
    ledger.fired.push(fault(kind, true));
    Case {
        configuration: Configuration::single(flush),
        faultless: false,
        lacks: false,
        ledger,
        blame: Blame::Fault(0),
        commit_facts: Vec::new(),
        oracle: Vec::new(),
        waived: Vec::new(),
        has_lapsed: false,
        core: true,
        probed_ns: Some(10 * S),
        ending: Ending::Completed,
    }
}

fn fault(kind: FaultKind, eligible: bool) -> FaultEvent {
    FaultEvent {
        at_ns: 2 * S + S / 2,
        event: 0,
        kind,
        node: 0,
        eligible,
        observed: eligible,
        dirty_log_bytes: 512,
        dirty_other_bytes: 0,
        sends_in_flight: 1,
        held_after: 0,
        hit: 1,
        held_by: 0,
        death: None,
        note: String::new(),
    }
}

impl Case {
    fn judge(&self, text: &str) -> Judgement {
        let history = story(text);
        judge(Evidence {
            configuration: self.configuration,
            faultless: self.faultless,
            lacks: self.lacks,
            history: &history,
            ledger: &self.ledger,
            blame: &|_: &Lost| self.blame,
            commit_facts: &self.commit_facts,
            oracle: self.oracle.clone(),
            waived: self.waived.clone(),
            has_lapsed: self.has_lapsed,
            liveness: Liveness {
                core: self.core,
                healed_ns: 10 * S,
                bound_ns: 30 * S,
                probed_ns: self.probed_ns,
                caught_up_ns: Some(10 * S),
                level_ns: Some(10 * S),
                held_in_the_end: Vec::new(),
                leaderships_ns: Vec::new(),
                operations_ns: Vec::new(),
            },
            ending: self.ending.clone(),
        })
    }
}

fn promises(judgement: &Judgement) -> Vec<Promise> {
    judgement
        .findings
        .iter()
        .map(|found| found.promise)
        .collect()
}

/// As [`case`], of replicas.
fn raft_case(flush: Flush, kind: FaultKind, hit: u32) -> Case {
    let mut case = case(flush, kind);
    case.configuration = Configuration::raft(3, flush);
    case.ledger.fired[0].hit = hit;
    case
}

#[test]
fn replicas_may_lose_what_is_silently_forgotten_and_no_disk() {
    let verdict = |flush, kind, hit| raft_case(flush, kind, hit).judge(LOST).verdict;
    let (fail, expected) = (Verdict::Fail, Verdict::ExpectedLoss);
    assert_eq!(verdict(Flush::Sync, FaultKind::DiskDestroyed, 1), fail);
    assert_eq!(
        verdict(Flush::Sync, FaultKind::DiskDestroyed, 2),
        fail,
        "it has to halt"
    );
    assert_eq!(verdict(Flush::Sync, FaultKind::PowerLoss, 0), fail);
    assert_eq!(verdict(Flush::Sync, FaultKind::DiskRolledBack, 1), expected);
    assert_eq!(verdict(Flush::Async, FaultKind::PowerLoss, 0), expected);
    assert_eq!(verdict(Flush::Async, FaultKind::DiskDestroyed, 1), fail);
}

#[test]
fn a_replica_that_forgot_without_a_promise_need_not_come_back() {
    let mut case = raft_case(Flush::Async, FaultKind::PowerLoss, 2);
    case.probed_ns = None;
    assert_eq!(case.judge(WHOLE).verdict, Verdict::Stuck);
    case.has_lapsed = true;
    let judgement = case.judge(WHOLE);
    assert_eq!(judgement.verdict, Verdict::ExpectedLoss);
    let kinds: Vec<_> = judgement.waived.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [FaultKind::PowerLoss]);
    case.ending = Ending::Halted;
    assert_eq!(case.judge(WHOLE).verdict, Verdict::ExpectedLoss);
    case.has_lapsed = false;
    assert_eq!(case.judge(WHOLE).verdict, Verdict::Halted);
    (case.has_lapsed, case.ending) = (true, Ending::Completed);
    case.ledger.fired[0].kind = FaultKind::Kill;
    assert_eq!(case.judge(WHOLE).verdict, Verdict::Stuck, "nothing took it");
}

#[test]
fn a_lapse_is_excused_by_an_earlier_fault_and_by_no_other() {
    let mut case = raft_case(Flush::Sync, FaultKind::DiskRolledBack, 1);
    case.ledger.fired[0].event = 7;
    let unsafe_at = |event| Finding {
        promise: Promise::StateMachineSafety,
        lines: vec!["two majorities".to_owned()],
        at_ns: S,
        event,
        moments_ns: Vec::new(),
    };
    case.waived = vec![unsafe_at(8)];
    let judgement = case.judge(WHOLE);
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert_eq!(
        judgement.waived,
        [(FaultKind::DiskRolledBack, unsafe_at(8))]
    );
    case.waived = vec![unsafe_at(6)];
    assert_eq!(promises(&case.judge(WHOLE)), [Promise::StateMachineSafety]);
    case.waived = vec![unsafe_at(8)];
    case.ledger.fired[0].kind = FaultKind::PowerLoss;
    assert_eq!(case.judge(WHOLE).verdict, Verdict::Fail);
}

#[test]
fn a_loss_of_a_message_that_enough_replicas_held_is_a_fail() {
    let mut held = raft_case(Flush::Async, FaultKind::PowerLoss, 0);
    held.blame = Blame::StillHeld;
    assert_eq!(held.judge(LOST).verdict, Verdict::Fail);
}

const WHOLE: &str = "send 1; ack 1@0; final 0..1: 1@0";
const LOST: &str = "send 1; ack 1@0; final 0..0:";

#[test]
fn all_promises_held_is_a_pass() {
    let judgement = case(Flush::Sync, FaultKind::PowerLoss).judge(WHOLE);
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert_eq!(judgement.counts.acknowledged, 1);
}

#[test]
fn loss_where_nothing_is_promised_is_expected() {
    let judgement = case(Flush::Async, FaultKind::PowerLoss).judge(LOST);
    assert_eq!(judgement.verdict, Verdict::ExpectedLoss);
    assert_eq!(judgement.lost.len(), 1);
    assert!(judgement.findings.is_empty());
    assert_eq!(
        judgement.allowed[0].lines[1],
        "taken by power-loss of broker 0 at 2.500s, under which nothing is promised"
    );
}

#[test]
fn the_same_loss_with_synchronous_flush_is_a_fail() {
    let judgement = case(Flush::Sync, FaultKind::PowerLoss).judge(LOST);
    assert_eq!(judgement.verdict, Verdict::Fail);
    insta::assert_snapshot!(judgement.findings[0].lines.join("\n"), @r"
    client 1 #1, acknowledged at 2.000s as orders/3@0 (log address 0), absent after convergence
    taken by power-loss of broker 0 at 2.500s, under which nothing may be lost
    ");
    assert_eq!(judgement.findings[0].moments_ns, [2 * S, 2 * S + S / 2]);
}

#[test]
fn a_lost_message_that_was_still_held_is_a_fail_anywhere() {
    let mut held = case(Flush::Async, FaultKind::PowerLoss);
    held.blame = Blame::StillHeld;
    let judgement = held.judge(LOST);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(
        judgement.findings[0].lines[1],
        "no fault took it: enough replicas still held it"
    );
}

#[test]
fn a_destroyed_disk_excuses_also_with_synchronous_flush() {
    let judgement = case(Flush::Sync, FaultKind::DiskDestroyed).judge(LOST);
    assert_eq!(judgement.verdict, Verdict::ExpectedLoss);
}

/// Three messages, one after the other; a sector rots; another message takes the
/// place of the first.
const SILENT: &str = "send 1; ack 1@0; send 2; ack 2@1; send 3; ack 3@2; send 4; ack 4@0;
                      final 0..1: 4@0";

fn rot_at(at_ns: u64) -> Case {
    let mut rot = case(Flush::Sync, FaultKind::Rot);
    rot.ledger.fired[0].at_ns = at_ns;
    rot
}

#[test]
fn rot_excuses_what_the_operator_gave_up() {
    let mut rot = rot_at(6 * S + S / 2);
    rot.ledger.salvaged.push((0, 7 * S));
    let judgement = rot.judge(SILENT);
    assert_eq!(judgement.verdict, Verdict::ExpectedLoss);
    assert_eq!(judgement.lost.len(), 3);
}

#[test]
fn a_broker_that_serves_on_over_proved_damage_is_not_excused() {
    let judgement = rot_at(6 * S + S / 2).judge(SILENT);
    assert_eq!(judgement.verdict, Verdict::Fail);
    insta::assert_snapshot!(judgement.findings[0].lines.join("\n"), @r"
    client 1 #1, acknowledged at 2.000s as orders/3@0 (log address 0), replaced by client 1 #4 after convergence
    taken by rot of broker 0 at 6.500s, under which the broker must stop until its operator salvages what is left, and it served on
    ");
    let mut too_late = rot_at(6 * S + S / 2);
    too_late.ledger.salvaged.push((0, 9 * S));
    assert_eq!(too_late.judge(SILENT).verdict, Verdict::Fail);
    let mut elsewhere = rot_at(6 * S + S / 2);
    elsewhere.ledger.salvaged.push((1, 7 * S));
    assert_eq!(elsewhere.judge(SILENT).verdict, Verdict::Fail);
}

#[test]
fn rot_of_what_was_synced_last_may_pass_for_a_torn_write() {
    let last = "send 1; ack 1@0; send 2; ack 2@1; send 3; ack 3@0; final 0..1: 3@0";
    assert_eq!(
        rot_at(4 * S + S / 2).judge(last).verdict,
        Verdict::ExpectedLoss,
        "the one later record may be the one that rotted"
    );
}

#[test]
fn a_consequence_of_an_expected_loss_is_waived_and_nothing_else() {
    let follows = "send 1; ack 1@0; process 1@0; commit 1; send 2; ack 2@0;
                   final 0..1: 2@0; recorded 1";
    let judgement = case(Flush::Async, FaultKind::PowerLoss).judge(follows);
    assert_eq!(judgement.verdict, Verdict::ExpectedLoss);

    let phantom = "send 1; ack 1@0; final 0..1: 7@0";
    let judgement = case(Flush::Async, FaultKind::PowerLoss).judge(phantom);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert!(promises(&judgement).contains(&Promise::NoPhantom));

    let skipped = "send 1; ack 1@0; send 2; ack 2@1; commit 1; final 0..1: 1@0; recorded 1";
    let judgement = case(Flush::Async, FaultKind::PowerLoss).judge(skipped);
    assert_eq!(promises(&judgement), [Promise::AtLeastOnce]);
}

#[test]
fn a_lost_group_offset_is_excused_as_a_message_is() {
    let fallen = "commit 1; final 1..1:; recorded 0; begin 0";
    let excused = case(Flush::Async, FaultKind::PowerLoss).judge(fallen);
    assert_eq!(excused.verdict, Verdict::ExpectedLoss);
    let broken = case(Flush::Sync, FaultKind::PowerLoss).judge(fallen);
    assert_eq!(promises(&broken), [Promise::GroupOffsets]);
}

#[test]
fn no_eligible_fault_is_void_unless_none_was_meant() {
    let mut idle = case(Flush::Sync, FaultKind::PowerLoss);
    idle.ledger.fired = vec![fault(FaultKind::PowerLoss, false)];
    assert_eq!(idle.judge(WHOLE).verdict, Verdict::Void);
    idle.blame = Blame::StillHeld;
    assert_eq!(
        idle.judge(LOST).verdict,
        Verdict::Fail,
        "void hides nothing"
    );
    idle.faultless = true;
    assert_eq!(idle.judge(WHOLE).verdict, Verdict::Pass);
}

#[test]
fn without_what_the_scenario_is_there_for_a_run_is_void() {
    let mut lacking = case(Flush::Sync, FaultKind::PowerLoss);
    lacking.lacks = true;
    assert_eq!(lacking.judge(WHOLE).verdict, Verdict::Void);
    lacking.blame = Blame::StillHeld;
    assert_eq!(lacking.judge(LOST).verdict, Verdict::Fail);
}

#[test]
fn a_missed_bound_is_stuck_and_a_broken_promise_beside_it_a_fail() {
    let mut late = case(Flush::Sync, FaultKind::Kill);
    late.probed_ns = None;
    assert_eq!(late.judge(WHOLE).verdict, Verdict::Stuck);
    assert_eq!(late.judge(LOST).verdict, Verdict::Fail);
    late.core = false;
    assert_eq!(late.judge(WHOLE).verdict, Verdict::Pass);
}

#[test]
fn a_storm_is_stuck_and_says_so() {
    let mut storm = case(Flush::Sync, FaultKind::Kill);
    storm.ending = Ending::Storm {
        at_ns: 7 * S,
        event: 70_000,
        events_per_s: 60_000,
    };
    let judgement = storm.judge("send 1; ack 1@0");
    assert_eq!(judgement.verdict, Verdict::Stuck);
    insta::assert_snapshot!(
        judgement.findings[0].lines.join("\n"),
        @"60000 events in one simulated second: a storm, cut off at 7.000s"
    );
}

#[test]
fn a_cluster_that_refuses_is_halted_and_must_not_serve_holes() {
    let mut halted = case(Flush::Sync, FaultKind::DiskDestroyed);
    halted.ending = Ending::Halted;
    assert_eq!(halted.judge("send 1; ack 1@0").verdict, Verdict::Halted);
    halted.blame = Blame::StillHeld;
    let mut serves = case(Flush::Sync, FaultKind::DiskDestroyed);
    serves.ending = Ending::Halted;
    let late = format!("send 1; {} ack 1@0", "nothing 0..1; ".repeat(10));
    assert_eq!(serves.judge(&late).verdict, Verdict::Stuck);
    let hole = "send 1; ack 1@0; pull 0..1:";
    assert_eq!(halted.judge(hole).verdict, Verdict::Fail);
}

#[test]
fn oracles_and_the_read_limit_speak_too() {
    let mut early = case(Flush::Sync, FaultKind::Kill);
    early.commit_facts = vec![CommitFact::Served {
        at_ns: S,
        event: 3,
        node: 0,
        queue: crate::check::story::queue(),
        offset: 0,
        end_address: 100,
    }];
    early.oracle = vec![Finding {
        promise: Promise::Acknowledgement,
        lines: vec!["acknowledged 9120, synced 9119".to_owned()],
        at_ns: S,
        event: 4,
        moments_ns: Vec::new(),
    }];
    let judgement = early.judge(WHOLE);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(
        promises(&judgement),
        [Promise::ReadCommitted, Promise::Acknowledgement]
    );
}
