//! The protocol as a whole: golden bytes, real clients' headers, round trips,
//! and streams that lie or are cut anywhere.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::group::{GroupChanged, ListConsumers, Unregister};
use super::heartbeat::{Heard, Heartbeat};
use super::lock::{LockQueues, UnlockQueues};
use super::offset::{
    EarliestTime, MaxOffset, MinOffset, OffsetResponse, QueryOffset, SearchOffset, UpdateOffset,
};
use super::pull::{FLAG_SUBSCRIPTION, FLAG_SUSPEND, PullRequest, PullResponse};
use super::retry::SendBack;
use super::route::{RouteRequest, TopicRouteData};
use super::send::{DEFAULT_TOPIC, REGION, SendRequest, SendResponse};
use super::*;

const BOTH: [SerializeType; 2] = [SerializeType::Json, SerializeType::Binary];

fn send_request() -> SendRequest<'static> {
    SendRequest {
        producer_group: "pg",
        topic: "orders",
        default_topic: DEFAULT_TOPIC,
        default_topic_queue_nums: 4,
        queue_id: 3,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_123,
        flag: 0,
        properties: "KEYS\u{1}o-1\u{2}",
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
    }
}

fn encoded<R: Request>(serialize_type: SerializeType, request: &R, body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    encode_request(&mut out, serialize_type, 7, request, [body]);
    out.freeze()
}

/// Decodes bytes that hold exactly one command.
fn decoded(frame: Bytes) -> Command {
    let mut decoder = FrameDecoder::new();
    decoder.feed(frame);
    let command = decoder.next_command().unwrap().unwrap();
    assert_eq!(decoder.next_command(), Ok(None));
    command
}

/// A frame with this header.
fn framed(serialize_type: u8, header: &[u8], body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u32((4 + header.len() + body.len()) as u32);
    frame.put_u32(u32::from(serialize_type) << 24 | header.len() as u32);
    frame.put_slice(header);
    frame.put_slice(body);
    frame.freeze()
}

fn first_error(bytes: &[u8]) -> DecodeError {
    let mut decoder = FrameDecoder::new();
    decoder.feed(Bytes::copy_from_slice(bytes));
    decoder.next_command().unwrap_err()
}

fn hex_dump(bytes: &[u8]) -> String {
    bytes.chunks(16).fold(String::new(), |mut dump, line| {
        for byte in line {
            write!(dump, "{byte:02x} ").unwrap();
        }
        dump.truncate(dump.trim_end().len());
        dump.push('\n');
        dump
    })
}

#[test]
fn a_send_in_the_binary_header_is_these_bytes() {
    let frame = encoded(SerializeType::Binary, &send_request(), b"hello");
    insta::assert_snapshot!(hex_dump(&frame), @"
    00 00 00 a5 01 00 00 9c 01 36 00 01 11 00 00 00
    07 00 00 00 00 00 00 00 00 00 00 00 87 00 01 61
    00 00 00 02 70 67 00 01 62 00 00 00 06 6f 72 64
    65 72 73 00 01 63 00 00 00 06 54 42 57 31 30 32
    00 01 64 00 00 00 01 34 00 01 65 00 00 00 01 33
    00 01 66 00 00 00 01 30 00 01 67 00 00 00 0d 31
    37 30 30 30 30 30 30 30 30 31 32 33 00 01 68 00
    00 00 01 30 00 01 69 00 00 00 09 4b 45 59 53 01
    6f 2d 31 02 00 01 6a 00 00 00 01 30 00 01 6b 00
    00 00 05 66 61 6c 73 65 00 01 6d 00 00 00 05 66
    61 6c 73 65 68 65 6c 6c 6f
    ");
}

#[test]
fn a_send_in_the_json_header_is_this_text() {
    let frame = encoded(SerializeType::Json, &send_request(), b"hello");
    assert_eq!(&frame[..8], [0, 0, 1, 9, 0, 0, 1, 0]);
    insta::assert_snapshot!(std::str::from_utf8(&frame[8..]).unwrap(), @r#"{"code":310,"language":"JAVA","version":273,"opaque":7,"flag":0,"extFields":{"a":"pg","b":"orders","c":"TBW102","d":"4","e":"3","f":"0","g":"1700000000123","h":"0","i":"KEYS\u0001o-1\u0002","j":"0","k":"false","m":"false"},"serializeTypeCurrentRPC":"JSON"}hello"#);
}

#[test]
fn every_request_reads_as_it_was_written() {
    fn check<'a, R>(request: &R, frame: &'a Command)
    where
        R: Request + ReadFields<'a> + PartialEq + std::fmt::Debug,
    {
        assert_eq!(frame.header::<R>().as_ref(), Ok(request));
        assert_eq!(RequestCode(frame.code), R::CODE);
        assert!(!frame.is_response() && !frame.is_oneway());
    }
    macro_rules! check_all {
        ($($request:expr),* $(,)?) => {
            for serialize_type in BOTH {
                $({
                    let request = $request;
                    check(&request, &decoded(encoded(serialize_type, &request, b"")));
                })*
            }
        };
    }
    let (consumer_group, topic, queue_id) = ("cg", "orders", 5);
    check_all!(
        send_request(),
        SendRequest {
            max_reconsume_times: Some(16),
            unit_mode: true,
            batch: true,
            reconsume_times: 2,
            ..send_request()
        },
        PullRequest {
            consumer_group,
            topic,
            queue_id,
            queue_offset: i64::MAX,
            max_msg_nums: 32,
            sys_flag: FLAG_SUSPEND | FLAG_SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_millis: 15_000,
            subscription: "TagA || \"Tag\\B\"",
            sub_version: 1,
            expression_type: Some("TAG"),
        },
        QueryOffset {
            consumer_group,
            topic,
            queue_id,
            set_zero_if_not_found: Some(false),
        },
        SearchOffset {
            topic,
            queue_id,
            timestamp: 1_700_000_000_123,
            boundary_type: Some("LOWER"),
        },
        EarliestTime { topic, queue_id },
        UpdateOffset {
            consumer_group,
            topic,
            queue_id,
            commit_offset: 42
        },
        MaxOffset { topic, queue_id },
        MinOffset { topic, queue_id },
        RouteRequest { topic },
        ListConsumers { consumer_group },
        Unregister {
            client_id: "10.0.0.1@8",
            producer_group: None,
            consumer_group: Some(consumer_group),
        },
        SendBack {
            offset: i64::MAX,
            group: consumer_group,
            delay_level: -1,
            origin_msg_id: "C0A8000A00002A9F0000000000ABCDEF",
            origin_topic: topic,
            unit_mode: false,
            max_reconsume_times: Some(3),
        },
    );
}

#[test]
fn a_notice_wants_no_answer() {
    for serialize_type in BOTH {
        let notice = GroupChanged {
            consumer_group: "cg",
        };
        let command = decoded(encoded(serialize_type, &notice, b""));
        assert_eq!(command.header(), Ok(notice));
        assert_eq!(RequestCode(command.code), GroupChanged::CODE);
        assert!(command.is_oneway() && !command.is_response());
    }
}

#[test]
fn a_request_whose_body_says_all_has_no_fields() {
    for serialize_type in BOTH {
        let lock = decoded(encoded(serialize_type, &LockQueues, b"{}"));
        let unlock = decoded(encoded(serialize_type, &UnlockQueues, b"{}"));
        assert_eq!((lock.code, unlock.code), (41, 42));
        for command in [lock, unlock] {
            assert_eq!(command.fields, Fields::default());
            assert_eq!(&command.body[..], b"{}");
        }
    }
}

#[test]
fn a_real_clients_send_back_is_understood() {
    let java = br#"{"code":36,"extFields":{"delayLevel":"0","group":"cg","maxReconsumeTimes":"16",
        "offset":"1234","originMsgId":"C0A8000A00002A9F0000000000ABCDEF","originTopic":"orders",
        "unitMode":"false"},"flag":0,"language":"JAVA","opaque":7,"version":317}"#;
    let command = decoded(framed(0, java, b""));
    assert_eq!(RequestCode(command.code), SendBack::CODE);
    let expected = SendBack {
        offset: 1_234,
        group: "cg",
        delay_level: 0,
        origin_msg_id: "C0A8000A00002A9F0000000000ABCDEF",
        origin_topic: "orders",
        unit_mode: false,
        max_reconsume_times: Some(16),
    };
    assert_eq!(command.header(), Ok(expected));
}

#[test]
fn an_answer_has_its_requests_opaque_and_serialisation() {
    for serialize_type in BOTH {
        let request = decoded(encoded(serialize_type, &send_request(), b""));
        let answer = SendResponse {
            msg_id: "C0A8000A00002A9F0000000000ABCDEF",
            queue_id: 3,
            queue_offset: 1842,
            transaction_id: Some("FD0001"),
            region: Some(REGION),
            trace_on: Some("true"),
        };
        let mut out = BytesMut::new();
        let code = ResponseCode::SUCCESS;
        encode_response(&mut out, request.reply_to(), code, "", &answer, NO_BODY);
        let response = decoded(out.freeze());
        assert_eq!(response.header(), Ok(answer));
        assert!(response.is_response());
        assert_eq!(response.opaque, request.opaque);
        assert_eq!(response.serialize_type, serialize_type);
        assert_eq!(response.code, 0);
        assert_eq!(response.remark(), "");
    }
}

#[test]
fn an_error_carries_its_remark_and_a_pull_its_records() {
    for serialize_type in BOTH {
        let request = decoded(encoded(serialize_type, &send_request(), b""));
        let mut out = BytesMut::new();
        let code = ResponseCode::SYSTEM_BUSY;
        encode_response(
            &mut out,
            request.reply_to(),
            code,
            "not \"leader\"\n",
            &(),
            NO_BODY,
        );
        let refusal = decoded(out.split().freeze());
        assert_eq!(ResponseCode(refusal.code), code);
        assert_eq!(refusal.remark(), "not \"leader\"\n");

        let answer = PullResponse {
            suggest_which_broker_id: 0,
            next_begin_offset: 12,
            min_offset: 0,
            max_offset: 20,
        };
        let records = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        let code = ResponseCode::SUCCESS;
        encode_response(&mut out, request.reply_to(), code, "", &answer, &records);
        let found = decoded(out.freeze());
        assert_eq!(found.header(), Ok(answer));
        assert_eq!(&found.body[..], b"onetwo");
    }
}

#[test]
fn real_clients_headers_are_understood() {
    let java = br#"{"code":10,"extFields":{"topic":"orders","queueId":"3","producerGroup":"pg",
        "batch":"false","bornTimestamp":"1700000000123","defaultTopic":"TBW102","flag":"0",
        "defaultTopicQueueNums":"4","maxReconsumeTimes":"16","unitMode":"false","sysFlag":"0",
        "properties":"KEYS\u0001o-1\u0002","reconsumeTimes":"0"},
        "flag":0,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":317}"#;
    let cpp = br#"{"code":310,"language":"CPP","version":200,"opaque":7,"flag":0,"remark":"",
        "extFields":{"a":"pg","b":"orders","c":"TBW102","d":"4","e":"3","f":"0",
        "g":"1700000000123","h":"0","i":"KEYS\u0001o-1\u0002","j":"0","k":"0","l":"16","m":"0"}}"#;
    let node = br#"{"code":310,"language":"JAVA","version":78,"opaque":7,"flag":0,"remark":null,
        "extFields":{"a":"pg","b":"orders","c":"TBW102","d":4,"e":3,"f":0,"g":1700000000123,
        "h":0,"i":"KEYS\u0001o-1\u0002","j":0,"k":false,"l":16,"m":false,"n":null}}"#;
    let expected = SendRequest {
        max_reconsume_times: Some(16),
        ..send_request()
    };
    for header in [&java[..], cpp, node] {
        let command = decoded(framed(0, header, b"hello"));
        assert_eq!(command.header(), Ok(expected));
        assert_eq!(command.opaque, 7);
        assert_eq!(&command.body[..], b"hello");
    }
    assert_eq!(decoded(framed(0, cpp, b"")).language, Language(1));
}

#[test]
fn booleans_come_in_every_spelling() {
    for (text, expected) in [
        ("true", true),
        ("\"true\"", true),
        ("\"1\"", true),
        ("1", true),
        ("false", false),
        ("\"False\"", false),
        ("\"0\"", false),
        ("0", false),
        ("null", false),
    ] {
        let header = format!(
            r#"{{"code":310,"opaque":1,"extFields":{{"a":"","b":"","c":"","d":0,"e":0,"f":0,"g":0,"h":0,"m":{text}}}}}"#
        );
        let command = decoded(framed(0, header.as_bytes(), b""));
        let request: SendRequest<'_> = command.header().unwrap();
        assert_eq!(request.batch, expected, "{text}");
    }
}

#[test]
fn a_missing_and_a_malformed_field_are_named() {
    let command = decoded(framed(
        0,
        br#"{"code":31,"opaque":1,"extFields":{"topic":"orders"}}"#,
        b"",
    ));
    let error = command.header::<MinOffset<'_>>().unwrap_err();
    assert_eq!(error.to_string(), "field queueId is missing from extFields");

    let command = decoded(framed(
        0,
        br#"{"code":31,"opaque":1,"extFields":{"topic":"orders","queueId":"3x"}}"#,
        b"",
    ));
    let error = command.header::<MinOffset<'_>>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "field queueId of extFields cannot be \"3x\""
    );
}

#[test]
fn a_header_without_ext_fields_is_a_command() {
    for ext_fields in ["", r#","extFields":null"#, r#","extFields":{}"#] {
        let header = format!(r#"{{"code":34,"opaque":1{ext_fields}}}"#);
        let command = decoded(framed(0, header.as_bytes(), b"{}"));
        assert_eq!(command.fields, Fields::default());
    }
}

#[test]
fn lengths_that_lie_are_told_apart() {
    let too_long = first_error(&[0x7f, 0xff, 0xff, 0xff]);
    assert!(
        matches!(too_long, DecodeError::FrameTooLong { .. }),
        "{too_long}"
    );
    let negative = first_error(&[0xff; 8]);
    assert!(
        matches!(negative, DecodeError::FrameTooLong { .. }),
        "{negative}"
    );
    let short = first_error(&[0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(short, DecodeError::FrameTooShort { length: 3 });
    let header = first_error(&[0, 0, 0, 5, 0, 0, 0, 2, b'{']);
    assert_eq!(
        header,
        DecodeError::HeaderTooLong {
            header_bytes: 2,
            frame_bytes: 1
        }
    );
    let unknown = first_error(&framed(2, b"", b""));
    assert_eq!(unknown, DecodeError::UnknownSerializeType(2));
    let json = first_error(&framed(0, b"{\"code\":1}", b""));
    assert!(json.to_string().contains("opaque"), "{json}");
    let nested = first_error(&framed(
        0,
        b"{\"code\":1,\"opaque\":1,\"extFields\":{\"a\":[]}}",
        b"",
    ));
    assert!(nested.to_string().contains("a boolean"), "{nested}");
}

#[test]
fn every_cut_of_a_binary_header_is_noticed() {
    let frame = encoded(SerializeType::Binary, &send_request(), b"");
    let header = &frame[8..];
    for cut in 0..header.len() {
        let error = first_error(&framed(1, &header[..cut], b""));
        assert!(
            matches!(error, DecodeError::Truncated { .. }),
            "{cut}: {error}"
        );
    }
}

#[test]
fn a_decoder_stays_failed() {
    let mut decoder = FrameDecoder::new();
    decoder.feed(Bytes::from_static(&[0, 0, 0, 0]));
    let error = decoder.next_command().unwrap_err();
    decoder.feed(encoded(SerializeType::Binary, &Heartbeat, b"{}"));
    assert_eq!(decoder.next_command(), Err(error));
}

#[test]
fn a_whole_frame_is_not_copied() {
    let frame = encoded(SerializeType::Binary, &send_request(), b"hello");
    let body_at = frame[frame.len() - 5..].as_ptr();
    assert_eq!(decoded(frame).body.as_ptr(), body_at);
}

#[test]
fn a_route_is_strict_json_in_rocketmqs_shape() {
    let text = r#"{"brokerDatas":[{"cluster":"c","brokerName":"broker-a","brokerAddrs":{"0":"127.0.0.1:10911"},"enableActingMaster":false}],"queueDatas":[{"brokerName":"broker-a","readQueueNums":8,"writeQueueNums":8,"perm":6,"topicSysFlag":0}],"filterServerTable":{}}"#;
    let route: TopicRouteData = serde_json::from_str(text).unwrap();
    assert_eq!(route.queue_datas[0].write_queue_nums, 8);
    assert_eq!(serde_json::to_string(&route).unwrap(), text);
}

#[test]
fn a_real_clients_heartbeat_is_understood() {
    let text = r#"{"clientID":"10.0.0.1@8","producerDataSet":[{"groupName":"CLIENT_INNER_PRODUCER"}],
        "consumerDataSet":[{"groupName":"cg","consumeType":"CONSUME_PASSIVELY",
        "messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","unitMode":false,
        "subscriptionDataSet":[{"classFilterMode":false,"topic":"orders","subString":"*",
        "tagsSet":[],"codeSet":[],"subVersion":1700000000123,"expressionType":"TAG"}]}]}"#;
    let heard: Heard = serde_json::from_str(text).unwrap();
    assert_eq!(heard.producers[0].group, "CLIENT_INNER_PRODUCER");
    assert_eq!(heard.consumers[0].group, "cg");
    assert_eq!(heard.consumers[0].subscriptions[0].topic, "orders");
}

proptest! {
    #[test]
    fn any_send_reads_as_it_was_written(
        group in ".*", topic in ".*", properties in "(?s).*",
        queue_id: i32, born_timestamp: i64, flags: (i32, i32, i32), body: Vec<u8>,
    ) {
        let request = SendRequest {
            producer_group: &group,
            topic: &topic,
            properties: &properties,
            queue_id,
            born_timestamp,
            sys_flag: flags.0,
            flag: flags.1,
            max_reconsume_times: Some(flags.2),
            ..send_request()
        };
        for serialize_type in BOTH {
            let command = decoded(encoded(serialize_type, &request, &body));
            prop_assert_eq!(command.header(), Ok(request));
            prop_assert_eq!(&command.body[..], &body[..]);
        }
    }

    #[test]
    fn any_answer_reads_as_it_was_written(code: i16, remark in "(?s).*", offset: i64) {
        for serialize_type in BOTH {
            let request = decoded(encoded(serialize_type, &Heartbeat, b""));
            let mut out = BytesMut::new();
            let answer = OffsetResponse { offset };
            let code = ResponseCode(code.into());
            encode_response(&mut out, request.reply_to(), code, &remark, &answer, NO_BODY);
            let response = decoded(out.freeze());
            prop_assert_eq!(response.header(), Ok(answer));
            prop_assert_eq!(ResponseCode(response.code), code);
            prop_assert_eq!(response.remark(), remark.as_str());
        }
    }

    #[test]
    fn any_cuts_of_a_stream_yield_the_same_commands(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
        binary: bool,
        cuts in prop::collection::vec((1usize..90, any::<bool>()), 1..200),
    ) {
        let serialize_type = if binary { SerializeType::Binary } else { SerializeType::Json };
        let mut stream = BytesMut::new();
        for (opaque, body) in (0..).zip(&bodies) {
            encode_request(&mut stream, serialize_type, opaque, &send_request(), [body]);
        }
        let mut stream = stream.freeze();
        let mut decoder = FrameDecoder::new();
        let mut received = Vec::new();
        let mut cuts = cuts.into_iter().cycle();
        while !stream.is_empty() {
            let (length, drain) = cuts.next().unwrap();
            decoder.feed(stream.split_to(length.min(stream.len())));
            while drain && let Some(command) = decoder.next_command().unwrap() {
                received.push(command.body.to_vec());
            }
        }
        while let Some(command) = decoder.next_command().unwrap() {
            received.push(command.body.to_vec());
        }
        prop_assert_eq!(received, bodies);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_everything(Bytes::from(bytes));
    }

    #[test]
    fn arbitrary_headers_in_a_sound_frame_never_panic(
        header in prop::collection::vec(any::<u8>(), 0..200), binary: bool,
    ) {
        read_everything(framed(binary.into(), &header, b""));
    }

    #[test]
    fn a_sound_frame_with_any_byte_changed_never_panics(
        at: prop::sample::Index, byte: u8, binary: bool,
    ) {
        let serialize_type = if binary { SerializeType::Binary } else { SerializeType::Json };
        let mut frame = encoded(serialize_type, &send_request(), b"hello").to_vec();
        let at = at.index(frame.len());
        frame[at] = byte;
        read_everything(Bytes::from(frame));
    }
}

/// Reads what a stream says, as far as it can be read, in every way.
fn read_everything(stream: Bytes) {
    let mut decoder = FrameDecoder::new();
    decoder.feed(stream);
    while let Ok(Some(command)) = decoder.next_command() {
        let _ = command.header::<SendRequest<'_>>();
        let _ = command.header::<PullResponse>();
        let _ = (command.remark().len(), format!("{:?}", command.fields));
    }
}
