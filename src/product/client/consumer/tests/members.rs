//! A member of a group against a scripted broker.

use super::*;
use crate::client::config::{ClientConfig, GroupConfig, LockConfig};
use crate::client::records::Received;
use crate::remoting::NO_BODY;
use crate::remoting::group::{ConsumerList, GroupChanged, Unregister};
use crate::remoting::lock::{LockedQueues, QueueLocks};
use crate::remoting::retry::SendBack;
use crate::remoting::route::RouteRequest;

const MEMBERS: RequestCode = RequestCode::GET_CONSUMER_LIST_BY_GROUP;
const BACK: RequestCode = RequestCode::CONSUMER_SEND_MSG_BACK;
const LOCK: RequestCode = RequestCode::LOCK_BATCH_MQ;
const UNLOCK: RequestCode = RequestCode::UNLOCK_BATCH_MQ;
const OK: ResponseCode = ResponseCode::SUCCESS;

/// A member and the script of its broker: everything that it was asked and did
/// not answer.
struct Script {
    env: FakeEnv,
    consumer: Consumer<FakeEnv>,
    asked: Vec<Asked>,
}

impl Script {
    /// A member of a group of one, of a topic with two queues; its retry topic
    /// has none.
    fn new(lock: Option<LockConfig>) -> Self {
        let env = FakeEnv::default();
        let group = GroupConfig {
            reconsume_times_max: 3,
            lock,
            ..GroupConfig::default()
        };
        let client = ClientConfig {
            // A script may say nothing for long.
            silence_ms_max: 1_000_000,
            ..config()
        };
        let config = ConsumerConfig {
            share: Share::Group(group),
            ..ConsumerConfig::new(client, "cg", "orders")
        };
        let consumer = Consumer::new(env.clone(), config);
        env.accept();
        let asked = Vec::new();
        let mut script = Self {
            env,
            consumer,
            asked,
        };
        script.events();
        for route in script.take(ROUTE) {
            let topic = route.command.header::<RouteRequest<'_>>().unwrap().topic;
            let queues = if topic == "orders" { 2 } else { 0 };
            script.env.answer_route(&route, queues, broker());
        }
        script.events();
        script.told(&["client"]);
        script
    }

    /// Everything that happens by now.
    fn events(&mut self) -> Vec<ConsumerEvent> {
        let mut events = Vec::new();
        while let Some(event) = poll(self.consumer.next()) {
            events.push(event);
        }
        self.asked.extend(self.env.asked());
        events
    }

    /// Unanswered requests of that kind.
    fn take(&mut self, code: RequestCode) -> Vec<Asked> {
        let mine = |asked: &mut Asked| asked.command.code == code.0;
        self.asked.extract_if(.., mine).collect()
    }

    fn take_one(&mut self, code: RequestCode) -> Asked {
        let mut asked = self.take(code);
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }

    /// Tells the member who is in the group.
    fn told(&mut self, ids: &[&str]) -> Vec<ConsumerEvent> {
        let asked = self.take_one(MEMBERS);
        let list = ConsumerList {
            consumer_id_list: ids.iter().map(|id| (*id).to_owned()).collect(),
        };
        let body = serde_json::to_vec(&list).unwrap();
        self.env.answer(&asked, OK, &(), [body]);
        self.events()
    }

    /// The group has changed, and the member asks for the list.
    fn notified(&mut self) {
        let conn = self.env.any_conn();
        let notice = GroupChanged {
            consumer_group: "cg",
        };
        self.env.notify(conn, &notice);
        self.events();
    }

    /// Answers every question about a recorded offset, and pulls so that the
    /// queue has three messages in hand from there on.
    fn fill(&mut self, recorded: i64) -> Vec<(u32, Vec<Received>)> {
        for asked in self.take(QUERY) {
            self.env.answer_offset(&asked, recorded);
        }
        self.events();
        let mut served = Vec::new();
        for asked in self.take(PULL) {
            let request: PullRequest<'_> = asked.command.header().unwrap();
            let (queue, from) = (request.queue_id as u32, request.queue_offset as u64);
            let records = [from, from + 1, from + 2].map(|offset| record(queue, offset));
            self.env
                .answer_pull(&asked, FOUND, as_i64(from + 3), &records);
            for event in self.events() {
                if let ConsumerEvent::Pulled {
                    queue, messages, ..
                } = event
                {
                    served.push((queue.queue_id, messages));
                }
            }
        }
        served
    }

    fn locks(&mut self) -> Vec<(Asked, QueueLocks)> {
        let asked = self.take(LOCK).into_iter();
        asked
            .map(|asked| {
                let locks = serde_json::from_slice(&asked.command.body).unwrap();
                (asked, locks)
            })
            .collect()
    }

    fn answer_locks(&mut self, granted: bool) -> Vec<ConsumerEvent> {
        for (asked, locks) in self.locks() {
            let held = if granted { locks.mq_set } else { Vec::new() };
            let body = serde_json::to_vec(&LockedQueues { held }).unwrap();
            self.env.answer(&asked, OK, &(), [body]);
        }
        self.events()
    }
}

fn numbered(queue_id: u32) -> Queue {
    Queue {
        queue_id,
        ..queue()
    }
}

fn released(events: &[ConsumerEvent]) -> Vec<u32> {
    let released = events.iter().filter_map(|event| match event {
        ConsumerEvent::Released { queue } => Some(queue.queue_id),
        _ => None,
    });
    released.collect()
}

fn commits(events: &[ConsumerEvent]) -> Vec<(u32, u64)> {
    let commits = events.iter().filter_map(|event| match event {
        ConsumerEvent::CommitBegan { queue, offset, .. } => Some((queue.queue_id, *offset)),
        _ => None,
    });
    commits.collect()
}

#[test]
fn a_member_takes_its_part_and_no_more() {
    let mut script = Script::new(None);
    assert_eq!(script.take(QUERY).len(), 2);
    let mut script = Script::new(None);
    script.notified();
    let events = script.told(&["client", "another"]);
    assert!(
        events.contains(&ConsumerEvent::Ranked {
            place: Some(1),
            members: 2
        }),
        "{events:?}"
    );
    assert_eq!(script.fill(10).len(), 1, "queue 1 alone");
}

#[test]
fn one_that_is_not_in_the_list_has_nothing() {
    let mut script = Script::new(None);
    script.fill(10);
    script.notified();
    let events = script.told(&["another"]);
    assert_eq!(released(&events), [0, 1]);
    script.take(PULL);
    script.env.advance_ms(60_000);
    script.events();
    assert!(script.take(PULL).is_empty());
}

#[test]
fn a_queue_given_up_is_committed_once_and_never_again() {
    let mut script = Script::new(None);
    script.fill(10);
    script.consumer.processed(&numbered(0), 10);
    script.consumer.processed(&numbered(0), 12);
    script.notified();
    let events = script.told(&["another", "client"]);
    assert_eq!(released(&events), [0]);
    assert_eq!(commits(&events), [(0, 11)], "the lowest unprocessed");
    // The message in hand is nobody's now, whether it is processed or not.
    script.consumer.processed(&numbered(0), 11);
    let commit = script.take_one(COMMIT);
    script
        .env
        .refuse_request(&commit, ResponseCode::SYSTEM_BUSY);
    script.events();
    for _ in 0..20 {
        script.env.advance_ms(1_000);
        let events = script.events();
        assert!(
            commits(&events).iter().all(|(queue, _)| *queue == 1),
            "{events:?}"
        );
    }
}

#[test]
fn a_queue_that_comes_back_is_resumed_anew() {
    let mut script = Script::new(None);
    script.fill(10);
    script.notified();
    script.told(&["another", "client"]);
    script.notified();
    script.told(&["client"]);
    let asked = script.take_one(QUERY);
    let request: QueryOffset<'_> = asked.command.header().unwrap();
    assert_eq!(request.queue_id, 0);
    script.env.answer_offset(&asked, 40);
    let events = script.events();
    let pulled_from = events.iter().find_map(|event| match event {
        ConsumerEvent::PullBegan { queue, offset, .. } => Some((queue.queue_id, *offset)),
        _ => None,
    });
    assert_eq!(pulled_from, Some((0, 40)));
}

/// A member that gave queue 0 up while a commit of it was unanswered, and may
/// have it again; that commit.
fn given_up_and_given_back() -> (Script, Asked) {
    let mut script = Script::new(None);
    script.fill(10);
    script.consumer.processed(&numbered(0), 10);
    script.consumer.commit_now();
    let events = script.events();
    assert_eq!(commits(&events), [(0, 11)]);
    let commit = script.take_one(COMMIT);
    script.consumer.processed(&numbered(0), 11);
    script.notified();
    assert_eq!(released(&script.told(&["another", "client"])), [0]);
    script.notified();
    script.told(&["client"]);
    assert!(script.take(QUERY).is_empty(), "its last commit is to come");
    (script, commit)
}

#[test]
fn a_queue_is_taken_again_only_when_its_last_commit_is_over() {
    let (mut script, commit) = given_up_and_given_back();
    script.env.refuse_request(&commit, OK);
    assert_eq!(commits(&script.events()), [(0, 12)], "the last one");
    assert!(script.take(QUERY).is_empty());
    let commit = script.take_one(COMMIT);
    script.env.refuse_request(&commit, OK);
    script.events();
    let asked = script.take_one(QUERY);
    let request: QueryOffset<'_> = asked.command.header().unwrap();
    assert_eq!(request.queue_id, 0);
}

#[test]
fn a_last_commit_that_nobody_answers_is_not_waited_for_longer_than_a_request() {
    let (mut script, _unanswered) = given_up_and_given_back();
    script.env.advance_ms(config().request_timeout_ms);
    script.events();
    assert_eq!(script.take(QUERY).len(), 1);
}

#[test]
fn an_offset_that_stays_is_committed_again_sometimes() {
    let mut script = Script::new(None);
    script.fill(10);
    let mut begun = Vec::new();
    for _ in 0..6 {
        script.env.advance_ms(5_000);
        begun.extend(commits(&script.events()));
        for commit in script.take(COMMIT) {
            script.env.refuse_request(&commit, OK);
        }
        script.events();
    }
    assert!(begun.len() >= 4, "{begun:?}");
    assert!(begun.iter().all(|(_, offset)| *offset == 10), "{begun:?}");
}

#[test]
fn sent_back_is_done_only_when_that_is_acknowledged() {
    let mut script = Script::new(None);
    let served = script.fill(10);
    let (queue_id, messages) = &served[0];
    let queue = numbered(*queue_id);
    script.consumer.failed(&queue, &messages[0]);
    script.consumer.processed(&queue, 11);
    script.consumer.processed(&queue, 12);
    script.events();
    let asked = script.take_one(BACK);
    let request: SendBack<'_> = asked.command.header().unwrap();
    assert_eq!((request.offset, request.group), (1_000, "cg"));
    assert_eq!(request.max_reconsume_times, Some(3));
    script.consumer.commit_now();
    assert!(
        !commits(&script.events()).contains(&(*queue_id, 13)),
        "it is not known to be stored"
    );
    script.env.refuse_request(&asked, ResponseCode::SYSTEM_BUSY);
    script.events();
    script.env.advance_ms(1_000);
    script.events();
    let again = script.take_one(BACK);
    script.env.answer(&again, OK, &(), NO_BODY);
    for commit in script.take(COMMIT) {
        script.env.refuse_request(&commit, OK);
    }
    script.events();
    script.consumer.commit_now();
    assert!(commits(&script.events()).contains(&(*queue_id, 13)));
}

#[test]
fn nothing_is_asked_of_a_queue_before_it_is_locked() {
    let mut script = Script::new(Some(LockConfig::default()));
    script.events();
    assert!(script.take(QUERY).is_empty());
    script.answer_locks(false);
    assert!(script.take(QUERY).is_empty(), "another's");
    script.env.advance_ms(1_000);
    script.events();
    script.answer_locks(true);
    assert_eq!(script.take(QUERY).len(), 2);
}

#[test]
fn a_lock_that_is_lost_ends_everything_at_once() {
    let mut script = Script::new(Some(LockConfig::default()));
    script.answer_locks(true);
    script.fill(10);
    script.consumer.processed(&numbered(0), 10);
    script.env.advance_ms(20_000);
    script.events();
    script.take(COMMIT);
    let events = script.answer_locks(false);
    assert_eq!(released(&events), [0, 1]);
    assert!(commits(&events).is_empty(), "it may be another's by now");
    assert!(script.take(QUERY).is_empty());
}

#[test]
fn a_lock_that_is_not_renewed_runs_out_counted_from_its_asking() {
    let mut script = Script::new(Some(LockConfig::default()));
    script.env.advance_ms(2_000);
    script.events();
    script.answer_locks(true);
    script.fill(10);
    script.env.advance_ms(27_999);
    assert!(released(&script.events()).is_empty());
    script.env.advance_ms(1);
    assert_eq!(released(&script.events()), [0, 1]);
}

#[test]
fn a_lost_queue_is_held_no_more_before_that_is_told() {
    let mut script = Script::new(Some(LockConfig::default()));
    script.answer_locks(true);
    script.fill(10);
    assert!(script.consumer.holds(&numbered(0)) && script.consumer.holds(&numbered(1)));
    script.env.advance_ms(30_000);
    // Both are lost, and taken anew; the first is told of.
    let first = poll(script.consumer.next());
    assert_eq!(released(&Vec::from_iter(first)), [0]);
    assert!(!script.consumer.holds(&numbered(1)), "to be locked");
    script.events();
    script.answer_locks(true);
    assert!(!script.consumer.holds(&numbered(1)), "to be resumed");
    script.fill(10);
    assert!(script.consumer.holds(&numbered(1)));
}

#[test]
fn a_member_that_leaves_commits_unlocks_and_says_so() {
    let mut script = Script::new(Some(LockConfig::default()));
    script.answer_locks(true);
    script.fill(10);
    script.consumer.processed(&numbered(0), 10);
    script.consumer.leave();
    let events = script.events();
    assert_eq!(commits(&events), [(0, 11)]);
    let commit = script.take_one(COMMIT);
    script.env.refuse_request(&commit, OK);
    let events = script.events();
    assert_eq!(events.last(), Some(&ConsumerEvent::Left));
    assert_eq!(script.take(UNLOCK).len(), 2);
    let farewell = script.take_one(RequestCode::UNREGISTER_CLIENT);
    let farewell: Unregister<'_> = farewell.command.header().unwrap();
    assert_eq!(farewell.consumer_group, Some("cg"));
    assert_eq!(farewell.client_id, "client");
}
