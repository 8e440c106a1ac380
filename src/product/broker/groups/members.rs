//! The members of a group, as heartbeats on a stream say.

use std::collections::{BTreeMap, BTreeSet};

use crate::env::ConnId;

/// Members of a group, at most: their list has to fit an answer.
pub(in crate::broker) const MEMBERS_MAX: usize = 4_096;
/// Members of all groups together, at most: each may have names of 255 bytes.
pub(in crate::broker) const SEATS_MAX: usize = 131_072;

#[derive(Debug)]
struct Member {
    client_id: String,
    /// When it last said so, on the broker's clock.
    heard_ns: u64,
}

/// The members of every group. A client that reconnects has two streams for a
/// while, and is one member.
#[derive(Debug, Default)]
pub(in crate::broker) struct Members {
    groups: BTreeMap<String, BTreeMap<ConnId, Member>>,
    /// Of all groups together.
    count: usize,
    /// No member is silent for too long before; nobody is where there is none.
    due_ns: Option<u64>,
}

/// The outcome of a heartbeat.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The groups whose members have changed.
    pub(super) changed: Vec<String>,
    /// A group that took the client in no more.
    pub(super) refused: Option<String>,
}

impl Members {
    /// A client says that it consumes for these groups, and for no other.
    pub(super) fn heard(
        &mut self,
        conn: ConnId,
        client_id: &str,
        groups: &BTreeSet<String>,
        (now_ns, lease_ns): (u64, u64),
    ) -> Heard {
        let mut changed = self.leaves(conn, |group| !groups.contains(group));
        let mut refused = None;
        for group in groups {
            let members = self.groups.get(group);
            let stays = members.is_some_and(|members| members.contains_key(&conn));
            let is_full = members.is_some_and(|members| members.len() >= MEMBERS_MAX);
            if !stays && (is_full || self.count >= SEATS_MAX) {
                refused = Some(group.clone());
                continue;
            }
            let members = self.groups.entry(group.clone()).or_default();
            let is_new = members.values().all(|it| it.client_id != client_id);
            self.count += usize::from(!stays);
            let member = Member {
                client_id: client_id.to_owned(),
                heard_ns: now_ns,
            };
            members.insert(conn, member);
            if is_new {
                changed.push(group.clone());
            }
        }
        if !groups.is_empty() && self.due_ns.is_none() {
            self.due_ns = Some(now_ns + lease_ns);
        }
        Heard { changed, refused }
    }

    /// The client leaves the groups that are named. Gives those whose members
    /// have changed.
    pub(super) fn leaves(&mut self, conn: ConnId, named: impl Fn(&str) -> bool) -> Vec<String> {
        self.drop_members(|group, other, _| other == conn && named(group))
    }

    /// Drops who was silent for a whole lease. Gives the groups whose members
    /// have changed.
    pub(super) fn expire(&mut self, now_ns: u64, lease_ns: u64) -> Vec<String> {
        let changed = self.drop_members(|_, _, member| member.heard_ns + lease_ns <= now_ns);
        let members = self.groups.values().flat_map(BTreeMap::values);
        let first_ns = members.map(|member| member.heard_ns).min();
        self.due_ns = first_ns.map(|heard_ns| heard_ns + lease_ns);
        changed
    }

    fn drop_members(&mut self, gone: impl Fn(&str, ConnId, &Member) -> bool) -> Vec<String> {
        let mut changed = Vec::new();
        let count = &mut self.count;
        self.groups.retain(|group, members| {
            let is_gone = |conn: &ConnId, member: &Member| gone(group, *conn, member);
            if !members.iter().any(|(conn, member)| is_gone(conn, member)) {
                return true;
            }
            let before = ids(members).len();
            *count -= members.len();
            members.retain(|conn, member| !is_gone(conn, member));
            *count += members.len();
            if ids(members).len() < before {
                changed.push(group.clone());
            }
            !members.is_empty()
        });
        changed
    }

    /// When to look for silent ones; `None`: there are no members.
    pub(in crate::broker) fn deadline_ns(&self) -> Option<u64> {
        self.due_ns
    }

    /// The client ids of a group's members, ascending, none twice.
    pub(super) fn list(&self, group: &str) -> Vec<String> {
        let members = self.groups.get(group).map(ids).unwrap_or_default();
        members.into_iter().map(str::to_owned).collect()
    }

    /// The streams to a group's members.
    pub(super) fn streams(&self, group: &str) -> Vec<ConnId> {
        let members = self.groups.get(group);
        members.map_or(Vec::new(), |members| members.keys().copied().collect())
    }
}

fn ids(members: &BTreeMap<ConnId, Member>) -> BTreeSet<&str> {
    members.values().map(|it| it.client_id.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Heard, MEMBERS_MAX, Members, SEATS_MAX};
    use crate::env::ConnId;

    const LEASE_NS: u64 = 100;

    fn groups(names: &[&str]) -> std::collections::BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn changed(heard: Heard) -> Vec<String> {
        assert_eq!(heard.refused, None);
        heard.changed
    }

    #[test]
    fn a_member_that_comes_or_goes_changes_a_group() {
        let mut members = Members::default();
        let at = (0, LEASE_NS);
        assert_eq!(
            changed(members.heard(ConnId(1), "a", &groups(&["g", "h"]), at)),
            ["g", "h"]
        );
        assert!(changed(members.heard(ConnId(1), "a", &groups(&["g", "h"]), at)).is_empty());
        assert_eq!(
            changed(members.heard(ConnId(2), "b", &groups(&["g"]), at)),
            ["g"]
        );
        assert_eq!(members.list("g"), ["a", "b"]);
        assert_eq!(members.streams("g"), [ConnId(1), ConnId(2)]);
        assert_eq!(
            changed(members.heard(ConnId(1), "a", &groups(&["g"]), at)),
            ["h"],
            "its heartbeat does not name it any more"
        );
        assert_eq!(members.leaves(ConnId(2), |group| group == "g"), ["g"]);
        assert!(members.leaves(ConnId(2), |_| true).is_empty());
        assert_eq!(members.list("g"), ["a"]);
        assert!(members.list("h").is_empty());
    }

    #[test]
    fn a_client_with_two_streams_is_one_member() {
        let mut members = Members::default();
        let at = (0, LEASE_NS);
        members.heard(ConnId(1), "a", &groups(&["g"]), at);
        assert!(changed(members.heard(ConnId(2), "a", &groups(&["g"]), at)).is_empty());
        assert!(members.leaves(ConnId(1), |_| true).is_empty());
        assert_eq!(members.list("g"), ["a"]);
        assert_eq!(members.leaves(ConnId(2), |_| true), ["g"]);
    }

    #[test]
    fn a_member_silent_for_a_lease_is_gone() {
        let mut members = Members::default();
        assert_eq!(members.deadline_ns(), None);
        members.heard(ConnId(1), "a", &groups(&["g"]), (0, LEASE_NS));
        members.heard(ConnId(2), "b", &groups(&["g"]), (60, LEASE_NS));
        assert_eq!(members.deadline_ns(), Some(100));
        assert_eq!(members.expire(100, LEASE_NS), ["g"]);
        assert_eq!(members.list("g"), ["b"]);
        assert_eq!(members.deadline_ns(), Some(160));
        members.heard(ConnId(2), "b", &groups(&["g"]), (150, LEASE_NS));
        assert!(members.expire(160, LEASE_NS).is_empty());
        assert_eq!(members.deadline_ns(), Some(250));
        assert_eq!(members.expire(250, LEASE_NS), ["g"]);
        assert_eq!(members.deadline_ns(), None);
    }

    #[test]
    fn a_group_has_so_many_members_and_no_more() {
        let mut members = Members::default();
        let (at, g) = ((0, LEASE_NS), groups(&["g"]));
        for number in 0..MEMBERS_MAX as u64 {
            let id = format!("client-{number}");
            assert_eq!(members.heard(ConnId(number), &id, &g, at).refused, None);
        }
        let one_more = ConnId(MEMBERS_MAX as u64);
        let heard = members.heard(one_more, "one more", &g, at);
        assert_eq!(heard.refused.as_deref(), Some("g"));
        let heard = members.heard(one_more, "client-0", &g, at);
        assert_eq!(
            heard.refused.as_deref(),
            Some("g"),
            "a second stream of one that is in"
        );
        assert_eq!(members.heard(ConnId(7), "client-7", &g, at).refused, None);
        assert_eq!(members.list("g").len(), MEMBERS_MAX);
        members.leaves(ConnId(7), |_| true);
        assert_eq!(members.heard(one_more, "one more", &g, at).refused, None);
    }

    #[test]
    fn all_groups_have_so_many_members_and_no_more() {
        let mut members = Members::default();
        let at = (0, LEASE_NS);
        let names: Vec<String> = (0..1_024).map(|number| format!("g{number}")).collect();
        let all = names.into_iter().collect();
        for number in 0..SEATS_MAX as u64 / 1_024 {
            assert_eq!(members.heard(ConnId(number), "c", &all, at).refused, None);
        }
        let one_more = ConnId(SEATS_MAX as u64);
        assert!(
            members
                .heard(one_more, "c", &groups(&["g"]), at)
                .refused
                .is_some()
        );
        assert!(members.streams("g").is_empty());
        assert_eq!(members.heard(ConnId(0), "c", &all, at).refused, None);
        members.leaves(ConnId(0), |_| true);
        assert_eq!(
            members.heard(one_more, "c", &groups(&["g"]), at).refused,
            None
        );
        (0..=SEATS_MAX as u64).for_each(|conn| {
            members.leaves(ConnId(conn), |_| true);
        });
        assert_eq!(members.count, 0);
    }
}
