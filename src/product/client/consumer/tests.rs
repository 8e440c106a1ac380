//! A consumer against a scripted broker.

use bytes::Bytes;

use super::*;
use crate::client::convert::as_i64;
use crate::client::fake::{Asked, FakeEnv, broker, config, poll, record, tagged};
use crate::client::records::BadRecord;
use crate::remoting::offset::{QueryOffset, UpdateOffset};
use crate::remoting::pull::PullRequest;
use crate::remoting::{RequestCode, ResponseCode};

const ROUTE: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;
const QUERY: RequestCode = RequestCode::QUERY_CONSUMER_OFFSET;
const MIN: RequestCode = RequestCode::GET_MIN_OFFSET;
const PULL: RequestCode = RequestCode::PULL_MESSAGE;
const COMMIT: RequestCode = RequestCode::UPDATE_CONSUMER_OFFSET;
const FOUND: ResponseCode = ResponseCode::SUCCESS;

/// A consumer that has asked for what its group has recorded in the only queue.
fn asking(env: &FakeEnv) -> (Consumer<FakeEnv>, Asked) {
    let config = ConsumerConfig {
        unprocessed_max: 4,
        ..ConsumerConfig::new(config(), "cg", "orders")
    };
    let mut consumer = Consumer::new(env.clone(), config);
    env.accept();
    assert_eq!(poll(consumer.next()), None);
    env.answer_route(&env.asked_one(ROUTE), 1, broker());
    assert_eq!(poll(consumer.next()), resumes());
    let asked = env.asked_one(QUERY);
    (consumer, asked)
}

fn resumes() -> Option<ConsumerEvent> {
    Some(ConsumerEvent::ResumeBegan { queue: queue() })
}

fn queue() -> Queue {
    Queue {
        topic: "orders".into(),
        queue_id: 0,
    }
}

/// The next event is the beginning of a pull from there; its request.
fn pull_begins(env: &FakeEnv, consumer: &mut Consumer<FakeEnv>, from: u64) -> Asked {
    let event = poll(consumer.next());
    let Some(ConsumerEvent::PullBegan { offset, .. }) = event else {
        panic!("{event:?}");
    };
    assert_eq!(offset, from);
    assert_eq!(poll(consumer.next()), None);
    let asked = env.asked_one(PULL);
    let request: PullRequest<'_> = asked.command.header().unwrap();
    assert_eq!(request.queue_offset, as_i64(from));
    asked
}

/// A consumer that resumed at 10, and its first pull.
fn pulling(env: &FakeEnv) -> (Consumer<FakeEnv>, Asked) {
    let (mut consumer, asked) = asking(env);
    env.answer_offset(&asked, 10);
    let resumed = ConsumerEvent::Resumed {
        queue: queue(),
        recorded: Some(10),
        start: 10,
    };
    assert_eq!(poll(consumer.next()), Some(resumed));
    let asked = pull_begins(env, &mut consumer, 10);
    (consumer, asked)
}

/// Answers a pull; (end, offsets served, next begin, bad record) as reported.
fn pulled(
    env: &FakeEnv,
    consumer: &mut Consumer<FakeEnv>,
    asked: &Asked,
    (code, next): (ResponseCode, i64),
    records: &[Bytes],
) -> (PullEnd, Vec<u64>, u64, Option<BadRecord>) {
    env.answer_pull(asked, code, next, records);
    let event = poll(consumer.next());
    let Some(ConsumerEvent::Pulled {
        end,
        next_begin_offset,
        messages,
        bad,
        ..
    }) = event
    else {
        panic!("{event:?}");
    };
    let offsets = messages.iter().map(|message| message.offset).collect();
    (end, offsets, next_begin_offset, bad)
}

/// Asks for a commit; what it says and its request.
fn committing(env: &FakeEnv, consumer: &mut Consumer<FakeEnv>) -> (u64, Asked) {
    consumer.commit_now();
    let event = poll(consumer.next());
    let Some(ConsumerEvent::CommitBegan { offset, .. }) = event else {
        panic!("{event:?}");
    };
    let mut asked = env.asked();
    asked.retain(|asked| asked.command.code == COMMIT.0);
    assert_eq!(asked.len(), 1);
    let request: UpdateOffset<'_> = asked[0].command.header().unwrap();
    assert_eq!(request.commit_offset, as_i64(offset));
    (offset, asked.remove(0))
}

#[test]
fn it_resumes_where_the_group_stands_and_reads_on() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    let records = [record(0, 10), record(0, 11)];
    let (end, offsets, next, bad) = pulled(&env, &mut consumer, &asked, (FOUND, 12), &records);
    assert_eq!((end, next, bad), (PullEnd::Found, 12, None));
    assert_eq!(offsets, [10, 11]);
    assert_eq!(consumer.unprocessed(), 2);
    pull_begins(&env, &mut consumer, 12);
}

#[test]
fn messages_are_whole() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    env.answer_pull(&asked, FOUND, 11, &[record(0, 10)]);
    let Some(ConsumerEvent::Pulled { messages, .. }) = poll(consumer.next()) else {
        panic!("not pulled");
    };
    assert_eq!(&messages[0].body[..], b"m10");
    assert_eq!(messages[0].address, 1000);
    assert_eq!(messages[0].properties().get("KEYS"), Some("k"));
}

#[test]
fn a_group_without_a_record_begins_at_the_first_offset() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = asking(&env);
    env.refuse_request(&asked, ResponseCode::QUERY_NOT_FOUND);
    assert_eq!(poll(consumer.next()), None);
    env.answer_offset(&env.asked_one(MIN), 3);
    let resumed = ConsumerEvent::Resumed {
        queue: queue(),
        recorded: None,
        start: 3,
    };
    assert_eq!(poll(consumer.next()), Some(resumed));
    pull_begins(&env, &mut consumer, 3);
}

#[test]
fn an_error_is_no_record_and_no_reason_to_begin_anywhere() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = asking(&env);
    env.refuse_request(&asked, ResponseCode::SYSTEM_ERROR);
    assert_eq!(poll(consumer.next()), None);
    env.advance_ms(1_000);
    assert_eq!(poll(consumer.next()), resumes());
    let mut asked = env.asked();
    asked.retain(|asked| asked.command.code == QUERY.0);
    assert_eq!(asked.len(), 1);
}

#[test]
fn the_lowest_unprocessed_is_committed() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    let records = [record(0, 10), record(0, 11), record(0, 12)];
    pulled(&env, &mut consumer, &asked, (FOUND, 13), &records);
    consumer.processed(&queue(), 10);
    consumer.processed(&queue(), 12);
    let (offset, asked) = committing(&env, &mut consumer);
    assert_eq!(offset, 11);
    env.refuse_request(&asked, ResponseCode::SUCCESS);
    pull_begins_among(&mut consumer);
    let Some(ConsumerEvent::CommitEnded { acknowledged, .. }) = poll(consumer.next()) else {
        panic!("not committed");
    };
    assert!(acknowledged);
    consumer.processed(&queue(), 11);
    assert_eq!(committing(&env, &mut consumer).0, 13);
}

/// The next event is the beginning of a pull.
fn pull_begins_among(consumer: &mut Consumer<FakeEnv>) {
    let event = poll(consumer.next());
    assert!(
        matches!(event, Some(ConsumerEvent::PullBegan { .. })),
        "{event:?}"
    );
}

#[test]
fn a_recorded_offset_is_not_committed_again() {
    let env = FakeEnv::default();
    let (mut consumer, _asked) = pulling(&env);
    consumer.commit_now();
    assert_eq!(poll(consumer.next()), None);
    assert!(env.asked().is_empty());
}

#[test]
fn commits_come_at_their_interval() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    pulled(&env, &mut consumer, &asked, (FOUND, 11), &[record(0, 10)]);
    consumer.processed(&queue(), 10);
    pull_begins(&env, &mut consumer, 11);
    env.advance_ms(4_999);
    assert_eq!(poll(consumer.next()), None);
    env.advance_ms(1);
    let event = poll(consumer.next());
    assert!(
        matches!(event, Some(ConsumerEvent::CommitBegan { offset: 11, .. })),
        "{event:?}"
    );
}

#[test]
fn a_commit_that_is_not_answered_is_not_acknowledged_and_is_repeated() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    pulled(&env, &mut consumer, &asked, (FOUND, 11), &[record(0, 10)]);
    consumer.processed(&queue(), 10);
    let (offset, asked) = committing(&env, &mut consumer);
    pull_begins_among(&mut consumer);
    env.reset(asked.conn);
    let event = poll(consumer.next());
    let Some(ConsumerEvent::CommitEnded { acknowledged, .. }) = event else {
        panic!("{event:?}");
    };
    assert!(!acknowledged);
    let event = poll(consumer.next());
    assert!(
        matches!(event, Some(ConsumerEvent::PullFailed { code: None, .. })),
        "{event:?}"
    );
    assert_eq!(poll(consumer.next()), None);
    env.accept();
    consumer.commit_now();
    let event = poll(consumer.next());
    let Some(ConsumerEvent::CommitBegan { offset: again, .. }) = event else {
        panic!("{event:?}");
    };
    assert_eq!(again, offset);
}

#[test]
fn nothing_found_is_asked_again_from_the_same_offset_but_not_in_a_storm() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    let code = ResponseCode::PULL_NOT_FOUND;
    let (end, offsets, next, _) = pulled(&env, &mut consumer, &asked, (code, 90), &[]);
    assert_eq!((end, next), (PullEnd::NotFound, 90));
    assert!(offsets.is_empty());
    assert_eq!(poll(consumer.next()), None);
    env.advance_ms(50);
    pull_begins(&env, &mut consumer, 10);
}

#[test]
fn no_match_goes_on_where_the_broker_says() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    let code = ResponseCode::PULL_RETRY_IMMEDIATELY;
    pulled(&env, &mut consumer, &asked, (code, 20), &[]);
    env.advance_ms(50);
    pull_begins(&env, &mut consumer, 20);
}

#[test]
fn a_moved_offset_is_followed() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    let code = ResponseCode::PULL_OFFSET_MOVED;
    let (end, ..) = pulled(&env, &mut consumer, &asked, (code, 4), &[]);
    assert_eq!(end, PullEnd::Moved);
    env.advance_ms(1_000);
    let event = poll(consumer.next());
    assert!(
        matches!(event, Some(ConsumerEvent::PullBegan { offset: 4, .. })),
        "{event:?}"
    );
}

#[test]
fn an_offset_in_the_lost_part_of_a_queue_is_not_committed() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    let records = [record(0, 10), record(0, 11), record(0, 12)];
    pulled(&env, &mut consumer, &asked, (FOUND, 13), &records);
    consumer.processed(&queue(), 10);
    consumer.processed(&queue(), 11);
    let asked = pull_begins(&env, &mut consumer, 13);
    let code = ResponseCode::PULL_OFFSET_MOVED;
    pulled(&env, &mut consumer, &asked, (code, 11), &[]);
    assert_eq!(consumer.unprocessed(), 0);
    assert_eq!(committing(&env, &mut consumer).0, 11);
}

#[test]
fn a_bad_record_is_reported_and_never_passed() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    let mut rotten = record(0, 11).to_vec();
    let at = rotten.iter().position(|byte| *byte == b'm').unwrap();
    rotten[at] ^= 1;
    let records = [record(0, 10), rotten.into(), record(0, 12)];
    let (end, offsets, next, bad) = pulled(&env, &mut consumer, &asked, (FOUND, 13), &records);
    assert_eq!((end, next), (PullEnd::Found, 13));
    assert_eq!(offsets, [10]);
    assert!(
        matches!(bad, Some(BadRecord::Undecodable { index: 1, .. })),
        "{bad:?}"
    );
    consumer.processed(&queue(), 10);
    assert_eq!(poll(consumer.next()), None, "after a pause");
    env.advance_ms(1_000);
    let event = poll(consumer.next());
    assert!(
        matches!(event, Some(ConsumerEvent::PullBegan { offset: 11, .. })),
        "{event:?}"
    );
    assert_eq!(committing(&env, &mut consumer).0, 11);
}

#[test]
fn a_record_of_another_queue_is_bad() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    let (_, offsets, _, bad) = pulled(&env, &mut consumer, &asked, (FOUND, 11), &[record(7, 10)]);
    assert!(offsets.is_empty());
    assert!(
        matches!(bad, Some(BadRecord::Foreign { queue_id: 7, .. })),
        "{bad:?}"
    );
}

#[test]
fn found_that_leads_nowhere_is_not_a_storm() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    pulled(&env, &mut consumer, &asked, (FOUND, 10), &[]);
    assert_eq!(poll(consumer.next()), None);
    env.advance_ms(999);
    assert_eq!(poll(consumer.next()), None);
    env.advance_ms(1);
    pull_begins_among(&mut consumer);
}

#[test]
fn a_full_hand_is_not_filled_further() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    let records: Vec<Bytes> = (10..14).map(|offset| record(0, offset)).collect();
    pulled(&env, &mut consumer, &asked, (FOUND, 14), &records);
    assert_eq!(poll(consumer.next()), None);
    consumer.processed(&queue(), 13);
    pull_begins(&env, &mut consumer, 14);
}

#[test]
fn after_a_reset_it_goes_on_where_it_was() {
    let env = FakeEnv::default();
    let (mut consumer, asked) = pulling(&env);
    env.reset(asked.conn);
    let event = poll(consumer.next());
    assert!(
        matches!(event, Some(ConsumerEvent::PullFailed { code: None, .. })),
        "{event:?}"
    );
    assert_eq!(poll(consumer.next()), None);
    env.accept();
    let event = poll(consumer.next());
    assert!(
        matches!(event, Some(ConsumerEvent::PullBegan { offset: 10, .. })),
        "{event:?}"
    );
}

#[test]
fn a_pull_that_was_given_up_is_answered_in_vain() {
    let env = FakeEnv::default();
    let (mut consumer, first) = pulling(&env);
    // Something is heard: the stream is alive, the answer alone is missing.
    env.advance_ms(17_000);
    env.answer_nothing(&first);
    let event = poll(consumer.next());
    assert!(
        matches!(event, Some(ConsumerEvent::CommitBegan { offset: 10, .. })),
        "an offset that stays is committed again: {event:?}"
    );
    assert_eq!(poll(consumer.next()), None);
    env.advance_ms(1_000);
    let event = poll(consumer.next());
    assert!(
        matches!(event, Some(ConsumerEvent::PullFailed { code: None, .. })),
        "{event:?}"
    );
    pull_begins_among(&mut consumer);
    env.answer_pull(&first, FOUND, 11, &[record(0, 10)]);
    assert_eq!(poll(consumer.next()), None);
    assert_eq!(consumer.unprocessed(), 0);
}

#[test]
fn only_assigned_queues_are_consumed() {
    let env = FakeEnv::default();
    let config = ConsumerConfig {
        share: Share::These(vec![1, 2]),
        ..ConsumerConfig::new(config(), "cg", "orders")
    };
    let mut consumer = Consumer::new(env.clone(), config);
    env.accept();
    assert_eq!(poll(consumer.next()), None);
    env.answer_route(&env.asked_one(ROUTE), 4, broker());
    while poll(consumer.next()).is_some() {}
    let queues: Vec<i32> = env
        .asked()
        .iter()
        .map(|asked| asked.command.header::<QueryOffset<'_>>().unwrap().queue_id)
        .collect();
    assert_eq!(queues, [1, 2]);
}

#[test]
fn only_wanted_tags_are_served_and_the_others_are_passed() {
    let env = FakeEnv::default();
    let config = ConsumerConfig {
        tags: vec!["a".to_owned(), "b".to_owned()],
        ..ConsumerConfig::new(config(), "cg", "orders")
    };
    let mut consumer = Consumer::new(env.clone(), config);
    env.accept();
    assert_eq!(poll(consumer.next()), None);
    env.answer_route(&env.asked_one(ROUTE), 1, broker());
    assert_eq!(poll(consumer.next()), resumes());
    env.answer_offset(&env.asked_one(QUERY), 10);
    poll(consumer.next());
    let asked = pull_begins(&env, &mut consumer, 10);
    let request: PullRequest<'_> = asked.command.header().unwrap();
    assert_eq!(request.subscription, "a || b");
    let records = [tagged(10, "b"), tagged(11, "c"), record(0, 12)];
    let (_, offsets, ..) = pulled(&env, &mut consumer, &asked, (FOUND, 13), &records);
    assert_eq!(offsets, [10]);
    consumer.processed(&queue(), 10);
    assert_eq!(committing(&env, &mut consumer).0, 13);
}

#[test]
fn its_futures_may_move_between_threads() {
    fn check(_: &impl Send) {}
    let env = FakeEnv::default();
    check(&asking(&env).0.next());
}

mod members;
