//! A full reader against a scripted broker.

use std::pin::pin;

use bytes::Bytes;

use super::*;
use crate::client::fake::{Asked, FakeEnv, broker, config, poll, record};
use crate::remoting::RequestCode;

const FOUND: ResponseCode = ResponseCode::SUCCESS;
const NOT_FOUND: ResponseCode = ResponseCode::PULL_NOT_FOUND;

/// Drives `read` while `script` answers what is asked, for at most ten seconds.
fn drive<T>(
    env: &FakeEnv,
    read: impl Future<Output = Result<T, ReadError>>,
    mut script: impl FnMut(&Asked),
) -> Result<T, ReadError> {
    let mut read = pin!(read);
    for _ in 0..1_000 {
        env.accept();
        if let Some(end) = poll(read.as_mut()) {
            return end;
        }
        let asked = env.asked();
        asked.iter().for_each(&mut script);
        if asked.is_empty() {
            env.advance_ms(10);
        }
    }
    panic!("the read does not end");
}

fn reader(env: &FakeEnv) -> FullReader<FakeEnv> {
    FullReader::new(env.clone(), config(), 5_000)
}

fn pulled_offset(asked: &Asked) -> u64 {
    let request: PullRequest<'_> = asked.command.header().unwrap();
    u64::try_from(request.queue_offset).unwrap()
}

/// Answers all but pulls: one queue with offsets 2..6.
fn bounds(env: &FakeEnv, asked: &Asked) {
    match RequestCode(asked.command.code) {
        RequestCode::GET_ROUTEINFO_BY_TOPIC => env.answer_route(asked, 1, broker()),
        RequestCode::GET_MAX_OFFSET => env.answer_offset(asked, 6),
        RequestCode::GET_MIN_OFFSET => env.answer_offset(asked, 2),
        _ => {}
    }
}

fn offsets(contents: &QueueContents) -> Vec<u64> {
    contents
        .messages
        .iter()
        .map(|message| message.offset)
        .collect()
}

/// Reads the topic from a broker that answers pulls so.
fn read(
    env: &FakeEnv,
    mut answer: impl FnMut(&Asked, u64),
) -> Result<Vec<QueueContents>, ReadError> {
    let mut reader = reader(env);
    drive(env, reader.read_all("orders"), |asked| {
        bounds(env, asked);
        if asked.command.code == RequestCode::PULL_MESSAGE.0 {
            answer(asked, pulled_offset(asked));
        }
    })
}

/// Serves offsets `from..to` to a pull.
fn serve(env: &FakeEnv, asked: &Asked, from: u64, to: u64) {
    let records: Vec<Bytes> = (from..to).map(|offset| record(0, offset)).collect();
    env.answer_pull(asked, FOUND, as_i64(to), &records);
}

#[test]
fn a_queue_is_read_from_its_first_offset_to_its_last() {
    let env = FakeEnv::default();
    let contents = read(&env, |asked, from| serve(&env, asked, from, from + 2)).unwrap();
    assert_eq!(contents.len(), 1);
    assert_eq!((contents[0].min_offset, contents[0].max_offset), (2, 6));
    assert_eq!(offsets(&contents[0]), [2, 3, 4, 5]);
    assert!(contents[0].bad.is_empty());
}

#[test]
fn errors_and_lost_streams_are_overcome() {
    let env = FakeEnv::default();
    let mut pulls = 0;
    let contents = read(&env, |asked, from| {
        pulls += 1;
        match pulls {
            1 => env.refuse_request(asked, ResponseCode::SYSTEM_ERROR),
            2 => env.answer_pull(asked, NOT_FOUND, as_i64(from), &[]),
            3 => env.reset(asked.conn),
            // Not answered.
            4 => {}
            _ => serve(&env, asked, from, 6),
        }
    });
    assert_eq!(offsets(&contents.unwrap()[0]), [2, 3, 4, 5]);
    assert_eq!(pulls, 5);
}

#[test]
fn a_message_that_expires_during_the_read_is_below_the_first_offset() {
    let env = FakeEnv::default();
    let contents = read(&env, |asked, from| match from {
        2 => env.answer_moved(asked, 4),
        _ => serve(&env, asked, from, 6),
    });
    let contents = contents.unwrap();
    assert_eq!(contents[0].min_offset, 4);
    assert_eq!(offsets(&contents[0]), [4, 5]);
}

#[test]
fn a_missing_message_is_missing_in_the_result() {
    let env = FakeEnv::default();
    let moved = ResponseCode::PULL_OFFSET_MOVED;
    let contents = read(&env, |asked, from| match from {
        2 => env.answer_pull(asked, FOUND, 4, &[record(0, 3)]),
        _ => env.answer_pull(asked, moved, 6, &[]),
    });
    assert_eq!(offsets(&contents.unwrap()[0]), [3]);
}

#[test]
fn a_bad_record_is_reported_at_its_offset_and_reading_goes_on() {
    let env = FakeEnv::default();
    let contents = read(&env, |asked, from| match from {
        2 => {
            let records = [record(0, 2), Bytes::from_static(b"rubbish"), record(0, 4)];
            env.answer_pull(asked, FOUND, 5, &records);
        }
        _ => serve(&env, asked, from, 6),
    });
    let contents = contents.unwrap();
    assert_eq!(offsets(&contents[0]), [2, 4, 5]);
    assert_eq!(contents[0].bad.len(), 1);
    assert_eq!(contents[0].bad[0].0, 3);
}

#[test]
fn a_queue_that_cannot_be_read_to_its_end_is_an_error() {
    let env = FakeEnv::default();
    let error = read(&env, |asked, from| match from {
        2 => serve(&env, asked, 2, 4),
        _ => env.answer_pull(asked, NOT_FOUND, as_i64(from), &[]),
    });
    assert_eq!(
        error.unwrap_err().to_string(),
        "time was up while reading orders/0 at offset 4 of 6; the last answer was code 19 \"\""
    );
}

#[test]
fn an_answer_that_leads_nowhere_is_not_an_end() {
    let env = FakeEnv::default();
    let error = read(&env, |asked, from| {
        env.answer_pull(asked, FOUND, as_i64(from), &[]);
    });
    assert!(
        matches!(error, Err(ReadError::Deadline { .. })),
        "{error:?}"
    );
}

#[test]
fn an_empty_queue_is_read_at_once() {
    let env = FakeEnv::default();
    let mut reader = reader(&env);
    let contents = drive(&env, reader.read_all("orders"), |asked| {
        match RequestCode(asked.command.code) {
            RequestCode::GET_ROUTEINFO_BY_TOPIC => env.answer_route(asked, 3, broker()),
            _ => env.answer_offset(asked, 0),
        }
    });
    let contents = contents.unwrap();
    assert_eq!(contents.len(), 3);
    assert!(contents.iter().all(|queue| queue.messages.is_empty()));
}

#[test]
fn a_topic_that_no_broker_knows_is_an_error() {
    let env = FakeEnv::default();
    let mut reader = reader(&env);
    let error = drive(&env, reader.read_all("orders"), |asked| {
        env.refuse_request(asked, ResponseCode::TOPIC_NOT_EXIST);
    });
    assert_eq!(
        error.unwrap_err(),
        ReadError::NoSuchTopic("orders".to_owned())
    );
}

#[test]
fn the_ends_of_queues_are_read() {
    let env = FakeEnv::default();
    let mut reader = reader(&env);
    let ends = drive(&env, reader.queue_ends("orders"), |asked| {
        bounds(&env, asked)
    });
    assert_eq!(ends, Ok(vec![6]));
}

#[test]
fn recorded_offsets_are_told_from_none() {
    let env = FakeEnv::default();
    let mut reader = reader(&env);
    let offsets = drive(&env, reader.group_offsets("cg", "orders"), |asked| {
        if asked.command.code == RequestCode::GET_ROUTEINFO_BY_TOPIC.0 {
            return env.answer_route(asked, 2, broker());
        }
        let request: QueryOffset<'_> = asked.command.header().unwrap();
        match request.queue_id {
            0 => env.answer_offset(asked, 7),
            _ => env.refuse_request(asked, ResponseCode::QUERY_NOT_FOUND),
        }
    });
    assert_eq!(offsets, Ok(vec![Some(7), None]));
}

#[test]
fn its_futures_may_move_between_threads() {
    fn check(_: &impl Send) {}
    let env = FakeEnv::default();
    check(&reader(&env).read_all("orders"));
    check(&reader(&env).group_offsets("cg", "orders"));
}

/// A broker that was removed says for ever who led when it was.
#[test]
fn a_route_to_a_broker_that_refuses_is_asked_for_again() {
    let env = FakeEnv::default();
    let mut routes = 0;
    let mut reader = reader(&env);
    let ends = drive(
        &env,
        reader.queue_ends("orders"),
        |asked| match RequestCode(asked.command.code) {
            RequestCode::GET_ROUTEINFO_BY_TOPIC => {
                routes += 1;
                env.answer_route(asked, 1, broker());
            }
            RequestCode::GET_MAX_OFFSET if routes < 2 => {
                env.refuse_request(asked, ResponseCode::SYSTEM_BUSY);
            }
            _ => bounds(&env, asked),
        },
    );
    assert_eq!(ends.expect("it looks again"), [6]);
}
