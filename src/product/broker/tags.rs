//! The filter of a subscription: tags, by their hashes.
//!
//! A queue's entries carry the hash of each message's tag. Two tags may share
//! one, so what passes here is looked at again by the client, whose own the exact
//! match is (as in RocketMQ).

use crate::record::tag_hash;

/// Longest subscription, bytes: it is kept while a pull waits.
pub(super) const SUBSCRIPTION_BYTES_MAX: usize = 16 << 10;
/// Tags of a subscription, at most: their hashes are kept while a pull waits.
pub(super) const TAGS_MAX: usize = 512;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TagFilter {
    /// Every message.
    All,
    /// Those with one of these hashes.
    Hashes(Vec<i64>),
}

impl TagFilter {
    /// Reads `*`, or tags joined by `||`.
    ///
    /// # Errors
    /// It is none of them; the words say why.
    pub(super) fn parse(subscription: &str) -> Result<Self, String> {
        if subscription.len() > SUBSCRIPTION_BYTES_MAX {
            let length = subscription.len();
            return Err(format!(
                "a subscription of {length} bytes; at most {SUBSCRIPTION_BYTES_MAX}"
            ));
        }
        if matches!(subscription.trim(), "" | "*") {
            return Ok(Self::All);
        }
        let tags = subscription.split("||").map(str::trim);
        let mut hashes: Vec<i64> = tags.filter(|tag| !tag.is_empty()).map(tag_hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.len() > TAGS_MAX {
            let count = hashes.len();
            return Err(format!(
                "a subscription to {count} tags; at most {TAGS_MAX}"
            ));
        }
        if hashes.is_empty() {
            return Err(format!("no tag in subscription {subscription:?}"));
        }
        Ok(Self::Hashes(hashes))
    }

    /// Whether a message whose tag has this hash may be wanted; 0 is that of one
    /// without a tag.
    pub(super) fn passes(&self, hash: i64) -> bool {
        match self {
            Self::All => true,
            Self::Hashes(hashes) => hashes.binary_search(&hash).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SUBSCRIPTION_BYTES_MAX, TAGS_MAX, TagFilter};
    use crate::record::tag_hash;

    #[test]
    fn everything_passes_a_star() {
        for all in ["*", " * ", ""] {
            assert_eq!(TagFilter::parse(all), Ok(TagFilter::All));
        }
        assert!(TagFilter::All.passes(0));
    }

    #[test]
    fn tags_pass_by_their_hashes() {
        let filter = TagFilter::parse(" paid||late || paid").unwrap();
        assert!(filter.passes(tag_hash("paid")));
        assert!(filter.passes(tag_hash("late")));
        assert!(!filter.passes(tag_hash("unpaid")));
        assert!(!filter.passes(0), "no tag");
        // Two tags with one hash: the client tells them apart.
        let filter = TagFilter::parse("Aa").unwrap();
        assert!(filter.passes(tag_hash("BB")));
    }

    #[test]
    fn a_subscription_has_so_many_tags_and_no_more() {
        let tags = |count: usize| {
            let tags: Vec<String> = (0..count).map(|number| format!("tag-{number}")).collect();
            TagFilter::parse(&tags.join("||"))
        };
        assert!(tags(TAGS_MAX).is_ok());
        assert!(tags(TAGS_MAX + 1).is_err());
    }

    #[test]
    fn text_that_is_no_subscription_is_refused() {
        let long = "t".repeat(SUBSCRIPTION_BYTES_MAX + 1);
        for subscription in ["||", &*long] {
            assert!(TagFilter::parse(subscription).is_err());
        }
    }
}
