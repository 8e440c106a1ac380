//! A producer against a scripted broker.

use super::*;
use crate::client::config::ClientConfig;
use crate::client::fake::{Asked, FakeEnv, broker, config, other_broker, poll};
use crate::remoting::route::RouteRequest;
use crate::remoting::{NO_BODY, RequestCode, SerializeType};

const SEND: RequestCode = RequestCode::SEND_MESSAGE_V2;
const ROUTE: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;

fn producer(env: &FakeEnv, client: ClientConfig) -> Producer<FakeEnv> {
    let config = ProducerConfig {
        retries: 1,
        ..ProducerConfig::new(client, "pg")
    };
    Producer::new(env.clone(), config)
}

fn submit(producer: &mut Producer<FakeEnv>) -> OpId {
    producer.submit("orders", Some(3), Bytes::from_static(b"hello"), "")
}

fn acknowledged(offset: u64) -> SendOutcome {
    SendOutcome::Acknowledged {
        queue: Queue {
            topic: "orders".into(),
            queue_id: 3,
        },
        offset,
        address: 4096,
    }
}

/// A producer with a route to `orders`.
fn ready(env: &FakeEnv) -> Producer<FakeEnv> {
    let mut producer = producer(env, config());
    assert_eq!(producer.queue_count("orders"), None);
    env.accept();
    assert_eq!(poll(producer.next()), None);
    env.answer_route(&env.asked_one(ROUTE), 8, broker());
    assert_eq!(poll(producer.next()), None);
    assert_eq!(producer.queue_count("orders"), Some(8));
    producer
}

/// A ready producer and its first attempt of one send.
fn sending(env: &FakeEnv) -> (Producer<FakeEnv>, Asked) {
    let mut producer = ready(env);
    assert_eq!(submit(&mut producer), 0);
    let asked = env.asked_one(SEND);
    (producer, asked)
}

/// Lets the pause before a retry pass; the retry.
fn retried(env: &FakeEnv, producer: &mut Producer<FakeEnv>) -> Asked {
    env.advance_ms(50);
    assert_eq!(poll(producer.next()), None);
    let mut asked = env.asked();
    asked.retain(|asked| asked.command.code == SEND.0);
    assert_eq!(asked.len(), 1, "{asked:?}");
    asked.remove(0)
}

#[test]
fn a_send_waits_for_its_route_and_is_acknowledged() {
    let env = FakeEnv::default();
    let mut producer = producer(&env, config());
    let op = submit(&mut producer);
    assert_eq!(producer.in_flight(), 1);
    assert_eq!(poll(producer.next()), None);
    env.accept();
    assert_eq!(poll(producer.next()), None);
    env.answer_route(&env.asked_one(ROUTE), 8, broker());
    assert_eq!(poll(producer.next()), None);
    let asked = env.asked_one(SEND);
    let request: SendRequest<'_> = asked.command.header().unwrap();
    assert_eq!((request.topic, request.queue_id), ("orders", 3));
    assert_eq!(&asked.command.body[..], b"hello");
    env.answer_send_ok(&asked, 3, 1842);
    assert_eq!(poll(producer.next()), Some((op, acknowledged(1842))));
    assert_eq!(producer.in_flight(), 0);
}

#[test]
fn the_json_header_works_as_well() {
    let env = FakeEnv::default();
    let mut json = config();
    json.serialize_type = SerializeType::Json;
    let mut producer = producer(&env, json);
    let op = submit(&mut producer);
    env.accept();
    assert_eq!(poll(producer.next()), None);
    env.answer_route(&env.asked_one(ROUTE), 8, broker());
    assert_eq!(poll(producer.next()), None);
    let asked = env.asked_one(SEND);
    assert_eq!(asked.command.serialize_type, SerializeType::Json);
    env.answer_send_ok(&asked, 3, 7);
    assert_eq!(poll(producer.next()), Some((op, acknowledged(7))));
}

#[test]
fn without_a_queue_the_queues_take_turns() {
    let env = FakeEnv::default();
    let mut producer = ready(&env);
    for _ in 0..10 {
        producer.submit("orders", None, Bytes::new(), "");
    }
    let queues: Vec<i32> = env
        .asked()
        .iter()
        .map(|asked| asked.command.header::<SendRequest<'_>>().unwrap().queue_id)
        .collect();
    assert_eq!(queues, [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]);
}

#[test]
fn refused_in_every_attempt_is_rejected() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.refuse_request(&first, ResponseCode::SYSTEM_BUSY);
    assert_eq!(poll(producer.next()), None);
    let second = retried(&env, &mut producer);
    env.refuse_request(&second, ResponseCode::SERVICE_NOT_AVAILABLE);
    let code = ResponseCode::SERVICE_NOT_AVAILABLE.0;
    let rejected = SendOutcome::Rejected { code };
    assert_eq!(poll(producer.next()), Some((0, rejected)));
}

#[test]
fn a_send_that_no_retry_helps_is_rejected_at_once() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.refuse_request(&first, ResponseCode::MESSAGE_ILLEGAL);
    let rejected = SendOutcome::Rejected { code: 13 };
    assert_eq!(poll(producer.next()), Some((0, rejected)));
}

#[test]
fn not_known_to_be_durable_is_unknown() {
    for code in [
        ResponseCode::FLUSH_DISK_TIMEOUT,
        ResponseCode::SLAVE_NOT_AVAILABLE,
        ResponseCode::FLUSH_SLAVE_TIMEOUT,
    ] {
        let env = FakeEnv::default();
        let (mut producer, first) = sending(&env);
        env.refuse_request(&first, code);
        assert_eq!(poll(producer.next()), Some((0, SendOutcome::Unknown)));
    }
}

#[test]
fn silence_is_unknown() {
    let env = FakeEnv::default();
    let (mut producer, _first) = sending(&env);
    env.advance_ms(3_000);
    assert_eq!(poll(producer.next()), None);
    let _second = retried(&env, &mut producer);
    env.advance_ms(2_999);
    assert_eq!(poll(producer.next()), None);
    env.advance_ms(1);
    assert_eq!(poll(producer.next()), Some((0, SendOutcome::Unknown)));
}

#[test]
fn an_unresolved_attempt_beside_a_refused_one_is_unknown() {
    let env = FakeEnv::default();
    let (mut producer, _first) = sending(&env);
    env.advance_ms(3_000);
    assert_eq!(poll(producer.next()), None);
    let second = retried(&env, &mut producer);
    env.refuse_request(&second, ResponseCode::SYSTEM_BUSY);
    assert_eq!(poll(producer.next()), Some((0, SendOutcome::Unknown)));
}

#[test]
fn a_retry_brings_the_acknowledgement() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.refuse_request(&first, ResponseCode::SYSTEM_ERROR);
    assert_eq!(poll(producer.next()), None);
    let second = retried(&env, &mut producer);
    env.answer_send_ok(&second, 3, 9);
    assert_eq!(poll(producer.next()), Some((0, acknowledged(9))));
}

#[test]
fn a_late_answer_of_an_earlier_attempt_acknowledges() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.advance_ms(3_000);
    assert_eq!(poll(producer.next()), None);
    let second = retried(&env, &mut producer);
    env.answer_send_ok(&first, 3, 1);
    assert_eq!(poll(producer.next()), Some((0, acknowledged(1))));
    env.answer_send_ok(&second, 3, 2);
    assert_eq!(poll(producer.next()), None, "a send ends once");
}

#[test]
fn an_answer_after_the_end_changes_nothing() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.advance_ms(3_000);
    assert_eq!(poll(producer.next()), None);
    let second = retried(&env, &mut producer);
    env.refuse_request(&second, ResponseCode::MESSAGE_ILLEGAL);
    assert_eq!(poll(producer.next()), Some((0, SendOutcome::Unknown)));
    env.answer_send_ok(&first, 3, 1);
    assert_eq!(poll(producer.next()), None);
}

#[test]
fn a_reset_is_retried_on_a_new_stream() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.reset(first.conn);
    assert_eq!(poll(producer.next()), None);
    env.accept();
    let second = retried(&env, &mut producer);
    assert_ne!(first.conn, second.conn);
    env.answer_send_ok(&second, 3, 5);
    assert_eq!(poll(producer.next()), Some((0, acknowledged(5))));
}

#[test]
fn a_new_stream_does_not_answer_for_an_old_one() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.reset(first.conn);
    assert_eq!(poll(producer.next()), None);
    let conn = env.accept()[0];
    let second = retried(&env, &mut producer);
    let command = first.command.clone();
    env.answer_send_ok(&Asked { conn, command }, 3, 1);
    assert_eq!(poll(producer.next()), None);
    env.refuse_request(&second, ResponseCode::MESSAGE_ILLEGAL);
    assert_eq!(poll(producer.next()), Some((0, SendOutcome::Unknown)));
}

#[test]
fn a_send_that_never_left_ends_unknown() {
    let env = FakeEnv::default();
    let mut producer = producer(&env, config());
    let op = submit(&mut producer);
    assert_eq!(env.refuse(), [broker()]);
    env.advance_ms(5_999);
    assert_eq!(poll(producer.next()), None);
    assert_eq!(env.refuse(), [broker()], "it connects again");
    env.advance_ms(1);
    assert_eq!(poll(producer.next()), Some((op, SendOutcome::Unknown)));
}

#[test]
fn waiting_for_the_broker_after_a_refusal_leaves_it_rejected() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.refuse_request(&first, ResponseCode::SYSTEM_BUSY);
    assert_eq!(poll(producer.next()), None);
    env.reset(first.conn);
    assert_eq!(poll(producer.next()), None);
    env.advance_ms(6_000);
    let rejected = SendOutcome::Rejected { code: 2 };
    assert_eq!(poll(producer.next()), Some((0, rejected)));
}

#[test]
fn a_stream_that_stays_silent_is_replaced() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.advance_ms(3_000);
    assert_eq!(poll(producer.next()), None);
    let _second = retried(&env, &mut producer);
    assert!(env.is_open(first.conn));
    env.advance_ms(3_000);
    assert_eq!(poll(producer.next()), Some((0, SendOutcome::Unknown)));
    assert!(!env.is_open(first.conn));
    assert_eq!(poll(producer.next()), None);
    assert_eq!(env.accept().len(), 1);
}

#[test]
fn an_unreadable_stream_is_replaced_and_its_sends_are_unresolved() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.data(first.conn, Bytes::from_static(&[0xff; 8]));
    assert_eq!(poll(producer.next()), None);
    assert!(!env.is_open(first.conn));
    env.accept();
    let second = retried(&env, &mut producer);
    env.refuse_request(&second, ResponseCode::MESSAGE_ILLEGAL);
    assert_eq!(poll(producer.next()), Some((0, SendOutcome::Unknown)));
}

#[test]
fn an_unreadable_acknowledgement_is_unknown() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.answer(&first, ResponseCode::SUCCESS, &(), NO_BODY);
    assert_eq!(poll(producer.next()), Some((0, SendOutcome::Unknown)));
}

#[test]
fn a_topic_that_no_broker_knows_is_made_by_the_first_send() {
    let env = FakeEnv::default();
    let mut producer = producer(&env, config());
    submit(&mut producer);
    env.accept();
    assert_eq!(poll(producer.next()), None);
    env.refuse_request(&env.asked_one(ROUTE), ResponseCode::TOPIC_NOT_EXIST);
    assert_eq!(poll(producer.next()), None);
    let asked = env.asked_one(ROUTE);
    let request: RouteRequest<'_> = asked.command.header().unwrap();
    assert_eq!(request.topic, DEFAULT_TOPIC, "whose route it gets");
    env.answer_route(&asked, 16, broker());
    assert_eq!(poll(producer.next()), None);
    let asked = env.asked_one(SEND);
    let request: SendRequest<'_> = asked.command.header().unwrap();
    assert_eq!(request.default_topic, DEFAULT_TOPIC);
    assert_eq!(request.default_topic_queue_nums, 8);
    env.advance_ms(500);
    assert_eq!(poll(producer.next()), None);
    env.answer_route(&env.asked_one(ROUTE), 4, broker());
    assert_eq!(poll(producer.next()), None);
    assert_eq!(producer.queue_count("orders"), Some(4));
}

#[test]
fn the_route_leads_to_another_broker() {
    let env = FakeEnv::default();
    let mut producer = producer(&env, config());
    let op = submit(&mut producer);
    let bootstrap = env.accept();
    assert_eq!(poll(producer.next()), None);
    env.answer_route(&env.asked_one(ROUTE), 8, other_broker());
    assert_eq!(poll(producer.next()), None);
    let conn = env.accept()[0];
    assert!(!bootstrap.contains(&conn));
    assert_eq!(poll(producer.next()), None);
    let asked = env.asked_one(SEND);
    assert_eq!(asked.conn, conn);
    env.answer_send_ok(&asked, 3, 0);
    assert_eq!(poll(producer.next()), Some((op, acknowledged(0))));
}

#[test]
fn a_busy_broker_makes_the_route_doubtful() {
    let env = FakeEnv::default();
    let (mut producer, first) = sending(&env);
    env.advance_ms(600);
    env.refuse_request(&first, ResponseCode::SYSTEM_BUSY);
    assert_eq!(poll(producer.next()), None);
    env.asked_one(ROUTE);
}

#[test]
fn a_message_beyond_a_limit_is_rejected_unsent() {
    let env = FakeEnv::default();
    let mut producer = ready(&env);
    let large = Bytes::from(vec![0; (4 << 20) + 1]);
    let properties = "p".repeat(PROPERTIES_BYTES_MAX + 1);
    let topic = "t".repeat(TOPIC_BYTES_MAX + 1);
    let empty = Bytes::new;
    let ops = [
        producer.submit("orders", Some(0), large, ""),
        producer.submit("orders", Some(0), empty(), &properties),
        producer.submit(&topic, Some(0), empty(), ""),
        producer.submit("", Some(0), empty(), ""),
    ];
    for op in ops {
        let rejected = SendOutcome::Rejected { code: 13 };
        assert_eq!(poll(producer.next()), Some((op, rejected)));
    }
    assert!(env.asked().is_empty());
}

#[test]
fn many_in_flight_are_matched_whatever_the_order_of_answers() {
    let env = FakeEnv::default();
    let mut producer = ready(&env);
    let ops: Vec<OpId> = (0..100).map(|_| submit(&mut producer)).collect();
    let asked = env.asked();
    for (op, asked) in ops.iter().zip(&asked).rev() {
        env.answer_send_ok(asked, 3, i64::try_from(*op).unwrap());
    }
    for op in ops.into_iter().rev() {
        assert_eq!(poll(producer.next()), Some((op, acknowledged(op))));
    }
}

#[test]
fn its_futures_may_move_between_threads() {
    fn check(_: &impl Send) {}
    let env = FakeEnv::default();
    check(&producer(&env, config()).next());
}
