//! The description that a client gives of itself: request 34.
//!
//! A broker reads who a client is, whatever language it is written in:
//!
//! ```
//! use zeroloss_broker::remoting::heartbeat::{ConsumerData, Heard, HeartbeatData, Spelling};
//!
//! let heartbeat = HeartbeatData {
//!     client_id: "10.0.0.1@8".to_owned(),
//!     producers: Vec::new(),
//!     consumers: vec![ConsumerData {
//!         group_name: "red-packet".to_owned(),
//!         consume_type: "CONSUME_PASSIVELY".to_owned(),
//!         message_model: "CLUSTERING".to_owned(),
//!         consume_from_where: "CONSUME_FROM_FIRST_OFFSET".to_owned(),
//!         subscription_data_set: Vec::new(),
//!         unit_mode: false,
//!     }],
//! };
//! let [java, cpp] = [Spelling::Java, Spelling::Cpp].map(|spelling| heartbeat.spelled(spelling));
//! assert_ne!(java, cpp);
//! let heard: [Heard; 2] = [serde_json::from_slice(&java)?, serde_json::from_slice(&cpp)?];
//! assert_eq!(heard[0], heard[1]);
//! assert_eq!(heard[0].consumers[0].group, "red-packet");
//! # Ok::<(), serde_json::Error>(())
//! ```

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::codes::RequestCode;
use super::encode::Request;
use super::fields::{FieldWriter, WriteFields};

/// A heartbeat (`HEART_BEAT`): no fields, the body is [`HeartbeatData`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat;

impl WriteFields for Heartbeat {
    fn write_fields(&self, _out: &mut FieldWriter<'_>) {}
}

impl Request for Heartbeat {
    const CODE: RequestCode = RequestCode::HEART_BEAT;
}

/// The groups that a client is in, as JSON: as clients here write it. Brokers
/// read a [`Heard`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HeartbeatData {
    /// Unique among the clients.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Groups that it produces for.
    #[serde(rename = "producerDataSet")]
    pub producers: Vec<ProducerData>,
    /// Groups that it consumes for.
    #[serde(rename = "consumerDataSet")]
    pub consumers: Vec<ConsumerData>,
}

/// A group that the client produces for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerData {
    /// The group.
    pub group_name: String,
}

/// A group that the client consumes for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerData {
    /// The group.
    pub group_name: String,
    /// `CONSUME_PASSIVELY` (push) or `CONSUME_ACTIVELY` (pull).
    pub consume_type: String,
    /// `CLUSTERING` or `BROADCASTING`.
    pub message_model: String,
    /// Where a group without a recorded offset begins.
    pub consume_from_where: String,
    /// Its subscriptions.
    pub subscription_data_set: Vec<SubscriptionData>,
    /// RocketMQ's unitisation; not used here.
    pub unit_mode: bool,
}

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionData {
    /// The topic.
    pub topic: String,
    /// `*`, or tags joined by `||`.
    pub sub_string: String,
    /// The tags.
    pub tags_set: Vec<String>,
    /// Their hashes.
    pub code_set: Vec<i32>,
    /// When it was made, milliseconds since 1970.
    pub sub_version: i64,
    /// `TAG`, or `SQL92`.
    pub expression_type: Option<String>,
    /// RocketMQ's class filter; not used here.
    pub class_filter_mode: bool,
}

/// How a client writes what brokers do not need to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spelling {
    /// Names and numbers.
    #[default]
    Java,
    /// Ordinals in place of names.
    Cpp,
    /// Hashes of tags as strings.
    Go,
}

impl HeartbeatData {
    /// The body, as a client of that kind writes it.
    ///
    /// # Panics
    /// Never: it is plain data.
    pub fn spelled(&self, spelling: Spelling) -> Vec<u8> {
        let mut json = serde_json::to_value(self).expect("strings and numbers have a JSON form");
        let consumers = json["consumerDataSet"].as_array_mut().into_iter().flatten();
        for consumer in consumers.filter_map(Value::as_object_mut) {
            match spelling {
                Spelling::Java => {}
                Spelling::Cpp => ordinals(consumer),
                Spelling::Go => hashes_as_text(consumer),
            }
        }
        json.to_string().into_bytes()
    }
}

fn ordinals(consumer: &mut Map<String, Value>) {
    for (key, names) in [
        (
            "consumeType",
            &["CONSUME_ACTIVELY", "CONSUME_PASSIVELY"][..],
        ),
        ("messageModel", &["BROADCASTING", "CLUSTERING"]),
        (
            "consumeFromWhere",
            &[
                "CONSUME_FROM_LAST_OFFSET",
                "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
                "CONSUME_FROM_MIN_OFFSET",
                "CONSUME_FROM_MAX_OFFSET",
                "CONSUME_FROM_FIRST_OFFSET",
                "CONSUME_FROM_TIMESTAMP",
            ],
        ),
    ] {
        let place = names.iter().position(|name| consumer[key] == **name);
        consumer[key] = place.unwrap_or(0).into();
    }
}

fn hashes_as_text(consumer: &mut Map<String, Value>) {
    let subscriptions = consumer["subscriptionDataSet"].as_array_mut();
    for subscription in subscriptions.into_iter().flatten() {
        let hashes = subscription["codeSet"].as_array_mut();
        for hash in hashes.into_iter().flatten() {
            *hash = hash.to_string().into();
        }
    }
}

/// A heartbeat as a broker reads it. Clients spell what they say of themselves
/// each in its own way, as names, ordinals, numbers or numbers in strings; only
/// their id, their groups and what these subscribe to is looked at, so that
/// nothing else can make one unreadable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Heard {
    /// Unique among the clients, as far as they keep to it.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Groups that it produces for.
    #[serde(rename = "producerDataSet", default, deserialize_with = "or_default")]
    pub producers: Vec<HeardProducer>,
    /// Groups that it consumes for.
    #[serde(rename = "consumerDataSet", default, deserialize_with = "or_default")]
    pub consumers: Vec<HeardConsumer>,
}

/// A group that a client produces for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HeardProducer {
    /// The group.
    #[serde(rename = "groupName")]
    pub group: String,
}

/// A group that a client consumes for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HeardConsumer {
    /// The group.
    #[serde(rename = "groupName")]
    pub group: String,
    /// Its subscriptions.
    #[serde(
        rename = "subscriptionDataSet",
        default,
        deserialize_with = "or_default"
    )]
    pub subscriptions: Vec<HeardSubscription>,
}

/// One subscription, in a heartbeat or in a question whether it can be served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeardSubscription {
    /// The topic.
    #[serde(default, deserialize_with = "or_default")]
    pub topic: String,
    /// `TAG`, or something that is more than tags.
    #[serde(default, deserialize_with = "or_default")]
    pub expression_type: String,
    /// RocketMQ's filter by a class of the client's.
    #[serde(default, deserialize_with = "is_true")]
    pub class_filter_mode: bool,
}

impl HeardSubscription {
    /// Whether it asks for tags and nothing else.
    pub fn is_of_tags(&self) -> bool {
        matches!(&*self.expression_type, "" | "TAG") && !self.class_filter_mode
    }
}

/// `null` stands for what is left out.
fn or_default<'de, T, D>(json: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

/// A boolean in any client's spelling.
fn is_true<'de, D: Deserializer<'de>>(json: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(json)? {
        Value::Bool(is_true) => is_true,
        Value::Number(number) => number.as_i64() == Some(1),
        Value::String(text) => text == "1" || text.eq_ignore_ascii_case("true"),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::{ConsumerData, Heard, HeartbeatData, Spelling, SubscriptionData};

    fn ours() -> HeartbeatData {
        HeartbeatData {
            client_id: "10.0.0.1@8".to_owned(),
            producers: Vec::new(),
            consumers: vec![ConsumerData {
                group_name: "cg".to_owned(),
                consume_type: "CONSUME_PASSIVELY".to_owned(),
                message_model: "CLUSTERING".to_owned(),
                consume_from_where: "CONSUME_FROM_TIMESTAMP".to_owned(),
                subscription_data_set: vec![SubscriptionData {
                    topic: "orders".to_owned(),
                    sub_string: "paid".to_owned(),
                    tags_set: vec!["paid".to_owned()],
                    code_set: vec![3_433_164],
                    sub_version: 7,
                    expression_type: Some("TAG".to_owned()),
                    class_filter_mode: false,
                }],
                unit_mode: false,
            }],
        }
    }

    #[test]
    fn a_heartbeat_is_understood_in_every_spelling() {
        let texts = [Spelling::Java, Spelling::Cpp, Spelling::Go].map(|it| ours().spelled(it));
        for text in &texts {
            let heard: Heard = serde_json::from_slice(text).unwrap();
            assert_eq!(heard.client_id, "10.0.0.1@8");
            assert_eq!(heard.consumers[0].group, "cg");
            let subscription = &heard.consumers[0].subscriptions[0];
            assert!(subscription.topic == "orders" && subscription.is_of_tags());
        }
        let [_, cpp, go] = texts.map(|text| String::from_utf8(text).unwrap());
        for part in [
            "\"consumeFromWhere\":5",
            "\"consumeType\":1",
            "\"messageModel\":1",
        ] {
            assert!(cpp.contains(part), "{cpp}");
        }
        assert!(go.contains("\"codeSet\":[\"3433164\"]"), "{go}");
    }

    #[test]
    fn a_filter_that_is_more_than_tags_is_noticed_in_every_spelling() {
        for (text, is_of_tags) in [
            (r#"{"expressionType":"TAG"}"#, true),
            (r#"{"expressionType":""}"#, true),
            (r#"{"expressionType":null,"classFilterMode":0}"#, true),
            (r#"{"expressionType":"SQL92"}"#, false),
            (r#"{"classFilterMode":true}"#, false),
            (r#"{"classFilterMode":"1"}"#, false),
        ] {
            let heard: super::HeardSubscription = serde_json::from_str(text).unwrap();
            assert_eq!(heard.is_of_tags(), is_of_tags, "{text}");
        }
    }

    #[test]
    fn lists_may_be_left_out_and_null() {
        let text = r#"{"clientID":"c","producerDataSet":null}"#;
        let heard: Heard = serde_json::from_str(text).unwrap();
        assert!(heard.producers.is_empty() && heard.consumers.is_empty());
        for text in ["{}", r#"{"clientID":"c","consumerDataSet":[{}]}"#] {
            assert!(serde_json::from_str::<Heard>(text).is_err());
        }
    }
}
