//! "A cluster is founded once" (guarantee.md, D13): no two disks that are there at
//! the same time took different first configurations.

use std::collections::BTreeMap;

use super::Broken;
use super::fact::{Replica, Seats};
use crate::check::Promise;

/// A replica took a first configuration; `founded`: those that the disks of the
/// other nodes took.
pub(super) fn check(
    replica: Replica,
    seats: &Seats,
    founded: &BTreeMap<u32, Seats>,
) -> Option<Broken> {
    let mut others = founded.iter().filter(|(node, _)| **node != replica.node);
    let (other, _) = others.find(|(_, theirs)| *theirs != seats)?;
    let line = format!("{replica} began a cluster, and b{other} another one");
    Some(Broken::new(Promise::ElectionSafety, line))
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::findings;

    #[test]
    fn a_cluster_that_begins_twice_is_found() {
        insta::assert_snapshot!(
            findings("found 0 0:0,1:0,2:0; found 1 0:7,1:0,2:0"),
            @"election-safety: b1 began a cluster, and b0 another one"
        );
    }

    #[test]
    fn a_cluster_that_a_lost_disk_had_begun_may_begin_again() {
        let again = "found 0 0:0,1:0,2:0; destroy 0; disk 0 7; found 1 0:7,1:0,2:0";
        assert_eq!(findings(again), "");
    }
}
