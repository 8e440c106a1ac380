//! Topics with a meaning: who writes to them, and how many queues they have.

use super::delays::LEVELS_MAX;
use super::transactions::{DISCARD_TOPIC, HALF_TOPIC, OP_TOPIC};
use crate::record::TOPIC_BYTES_MAX;
use crate::remoting::retry::{DEAD_LETTER_PREFIX, RETRY_PREFIX};
use crate::remoting::send::SCHEDULE_TOPIC;

/// Topics whose messages are kept for later: nobody reads it as what it will be.
const KEPT: [&str; 4] = [HALF_TOPIC, OP_TOPIC, DISCARD_TOPIC, SCHEDULE_TOPIC];

/// RocketMQ's `TopicValidator`. Topics name directories, so nothing else goes.
pub(super) fn is_topic(topic: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%|-_".contains(&byte);
    (1..=TOPIC_BYTES_MAX).contains(&topic.len()) && topic.bytes().all(plain)
}

/// Whether only the broker itself writes to a topic
/// (`TopicValidator.isNotAllowedSendTopic`). A dead letter is a decision of the
/// broker, and not a client's to forge; a retry topic is open, since RocketMQ's
/// clients send there themselves where sending back fails.
pub(super) fn is_brokers_own(topic: &str) -> bool {
    is_kept(topic) || topic.starts_with(DEAD_LETTER_PREFIX)
}

/// Whether a topic holds what is no message for a consumer: not yet, or never.
pub(super) fn is_kept(topic: &str) -> bool {
    KEPT.contains(&topic)
}

/// How many queues a topic begins with.
pub(super) fn queues_of_new(topic: &str, default_nums: u32) -> u32 {
    match topic {
        SCHEDULE_TOPIC => LEVELS_MAX,
        _ if is_brokers_own(topic) || topic.starts_with(RETRY_PREFIX) => 1,
        _ => default_nums,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_brokers_own, is_topic, queues_of_new};

    #[test]
    fn each_topic_has_its_writers() {
        for own in [
            "RMQ_SYS_TRANS_HALF_TOPIC",
            "RMQ_SYS_TRANS_OP_HALF_TOPIC",
            "TRANS_CHECK_MAX_TIME_TOPIC",
            "SCHEDULE_TOPIC_XXXX",
            "%DLQ%red-packet",
        ] {
            assert!(is_topic(own) && is_brokers_own(own), "{own}");
        }
        for open in ["orders", "%RETRY%red-packet", "DLQ", "SCHEDULE_TOPIC"] {
            assert!(!is_brokers_own(open), "{open}");
        }
    }

    #[test]
    fn how_many_queues_a_topic_begins_with() {
        assert_eq!(queues_of_new("orders", 8), 8);
        assert_eq!(queues_of_new("%RETRY%red-packet", 8), 1);
        assert_eq!(queues_of_new("%DLQ%red-packet", 8), 1);
        assert_eq!(queues_of_new("RMQ_SYS_TRANS_HALF_TOPIC", 8), 1);
        assert_eq!(queues_of_new("SCHEDULE_TOPIC_XXXX", 8), 18);
    }

    #[test]
    fn topics_name_directories() {
        assert!(is_topic(&"t".repeat(127)));
        for none in ["", "..", "a/b", "a\0", "a.b", &"t".repeat(128)] {
            assert!(!is_topic(none), "{none:?}");
        }
    }
}
