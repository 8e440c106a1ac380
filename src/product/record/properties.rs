//! A message's properties: `key \x01 value \x02`, repeated (RocketMQ's
//! `MessageDecoder.messageProperties2String`).
//!
//! [`Properties`] reads them where they stand; [`PropertyBuf`] changes a copy.
//! Neither lets a separator into a key or a value: a property smuggled in
//! behind one could switch off what another component relies on.

/// RocketMQ's property names, as far as the broker and the clients read them.
///
/// ```
/// use zeroloss_broker::record::{PropertyBuf, key};
///
/// let mut properties = PropertyBuf::default();
/// properties.set(key::TAGS, "paid")?;
/// properties.set(key::DELAY, "3")?;
/// assert_eq!(properties.as_str(), "TAGS\u{1}paid\u{2}DELAY\u{1}3\u{2}");
/// # Ok::<(), zeroloss_broker::record::PropertyError>(())
/// ```
pub mod key {
    /// Business keys, separated by spaces.
    pub const KEYS: &str = "KEYS";
    /// The tag that subscriptions filter by.
    pub const TAGS: &str = "TAGS";
    /// `false`: the producer does not wait for the store.
    pub const WAIT: &str = "WAIT";
    /// Delay level, 1 to 18.
    pub const DELAY: &str = "DELAY";
    /// The producer's own id of the message.
    pub const UNIQ_KEY: &str = "UNIQ_KEY";
    /// Names a producer that numbers its messages, so that a retried send is
    /// stored once. Not RocketMQ's.
    pub const PRODUCER_ID: &str = "PRODUCER_ID";
    /// The message's number there.
    pub const PRODUCER_SEQUENCE: &str = "PRODUCER_SEQ";
    /// Topic to return to when kept elsewhere (half, delayed).
    pub const REAL_TOPIC: &str = "REAL_TOPIC";
    /// Queue to return to when kept elsewhere.
    pub const REAL_QUEUE_ID: &str = "REAL_QID";
    /// `true` on a half message.
    pub const TRANSACTION_PREPARED: &str = "TRAN_MSG";
    /// The producer group, which is asked about its half messages.
    pub const PRODUCER_GROUP: &str = "PGROUP";
    /// The transaction's id.
    pub const TRANSACTION_ID: &str = "__transactionId__";
    /// Seconds during which a half message is not checked.
    pub const CHECK_IMMUNITY_TIME_S: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
    /// How often a half message has been checked.
    pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
    /// Topic that a message in the retry topic came from.
    pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
    /// How often a message was consumed without success.
    pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
    /// After how many attempts it goes to the dead letters.
    pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
    /// Message id before the first retry.
    pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
    /// Names that ask for delivery at a time, or for taking that back.
    pub const OF_TIMERS: [&str; 5] = [
        "TIMER_DELIVER_MS",
        "TIMER_DELAY_MS",
        "TIMER_DELAY_SEC",
        "TIMER_DEL_UNIQKEY",
        "TIMER_DEL_MSG",
    ];
}

const NAME_END: char = '\u{1}';
const PROPERTY_END: char = '\u{2}';

/// Properties as they stand in a record. Pieces without a name separator are
/// skipped, as RocketMQ does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Properties<'a>(&'a str);

impl<'a> Properties<'a> {
    /// Reads `text`; any text will do.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// All properties in order; nothing is allocated.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .split(PROPERTY_END)
            .filter_map(|property| property.split_once(NAME_END))
    }

    /// The value of `name`; of the last one where it is repeated, as a reader
    /// that fills a map would have it.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        // Most messages have none.
        if self.0.is_empty() {
            return None;
        }
        self.iter()
            .filter(|(key, _)| *key == name)
            .last()
            .map(|(_, value)| value)
    }
}

/// A property that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// A separator (0x01 or 0x02) inside.
    #[error("property {name:?} holds a separator byte (0x01 or 0x02)")]
    Separator {
        /// The property's name.
        name: String,
    },
    /// A property without a name.
    #[error("property without a name")]
    Unnamed,
}

/// Properties being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyBuf(String);

impl PropertyBuf {
    /// A copy of `text`; pieces that are no property are dropped, repeated
    /// names are kept.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let mut copy = Self::default();
        for (name, value) in Properties::new(text).iter() {
            // A value may hold a further 0x01: readers split at the first one.
            copy.push(name, value);
        }
        copy
    }

    /// Sets `name`, in the place of all that had it.
    ///
    /// # Errors
    /// Name or value hold a separator, or the name is empty.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), PropertyError> {
        if name.is_empty() {
            return Err(PropertyError::Unnamed);
        }
        if [name, value]
            .iter()
            .any(|text| text.contains([NAME_END, PROPERTY_END]))
        {
            return Err(PropertyError::Separator {
                name: name.to_owned(),
            });
        }
        self.remove(name);
        self.push(name, value);
        Ok(())
    }

    /// Removes `name`; absent is no error.
    pub fn remove(&mut self, name: &str) {
        if Properties::new(&self.0).get(name).is_none() {
            return;
        }
        let mut kept = Self::default();
        for (key, value) in Properties::new(&self.0)
            .iter()
            .filter(|(key, _)| *key != name)
        {
            kept.push(key, value);
        }
        *self = kept;
    }

    /// The text that goes into a record.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn push(&mut self, name: &str, value: &str) {
        self.0.push_str(name);
        self.0.push(NAME_END);
        self.0.push_str(value);
        self.0.push(PROPERTY_END);
    }
}

/// A tag's hash as consume queues and subscriptions carry it: Java's
/// `String.hashCode`, widened (`MessageExtBrokerInner.tagsString2tagsCode`).
#[must_use]
pub fn tag_hash(tag: &str) -> i64 {
    let hash = tag.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    i64::from(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_where_they_stand() {
        let text = "TAGS\u{1}paid\u{2}no separator\u{2}KEYS\u{1}a b\u{2}TAGS\u{1}late";
        let properties = Properties::new(text);
        let all: Vec<_> = properties.iter().collect();
        assert_eq!(all, [("TAGS", "paid"), ("KEYS", "a b"), ("TAGS", "late")]);
        assert_eq!(properties.get(key::TAGS), Some("late"));
        assert_eq!(properties.get(key::WAIT), None);
    }

    #[test]
    fn a_property_is_set_replaced_and_removed() {
        let mut properties = PropertyBuf::from_text("TAGS\u{1}paid\u{2}junk\u{2}KEYS\u{1}1");
        properties.set(key::TAGS, "late").expect("no separator");
        properties.set(key::WAIT, "false").expect("no separator");
        properties.remove(key::KEYS);
        properties.remove("absent");
        assert_eq!(properties.as_str(), "TAGS\u{1}late\u{2}WAIT\u{1}false\u{2}");
    }

    #[test]
    fn a_separator_cannot_smuggle_a_property_in() {
        let mut properties = PropertyBuf::default();
        for (name, value) in [
            ("a", "1\u{2}WAIT\u{1}false"),
            ("a\u{1}", "1"),
            ("a", "\u{1}"),
        ] {
            let refused = properties.set(name, value);
            assert_eq!(
                refused,
                Err(PropertyError::Separator {
                    name: name.to_owned()
                })
            );
        }
        assert_eq!(properties.set("", "1"), Err(PropertyError::Unnamed));
        assert_eq!(properties, PropertyBuf::default());
    }

    #[test]
    fn a_tag_hashes_as_in_java() {
        assert_eq!(tag_hash(""), 0);
        assert_eq!(tag_hash("TagA"), 2_598_919);
        assert_eq!(tag_hash("polygenelubricants"), i64::from(i32::MIN));
        // Beyond the basic plane: two UTF-16 units.
        assert_eq!(tag_hash("\u{1f600}"), 0xd83d * 31 + 0xde00);
    }
}
