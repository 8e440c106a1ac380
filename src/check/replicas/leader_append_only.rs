//! Leader append-only: "a leader never overwrites or deletes entries in its log;
//! it only appends new entries" (Ongaro, figure 3.2).
//!
//! A leader of old may cut its log, once it has entered a higher term:
//!
//! ```
//! use zeroloss::check::replicas::{HardState, Replica, leader_append_only};
//!
//! let b0 = Replica { node: 0, disk: 9 };
//! let cut_in = |term| leader_append_only::check(b0, Some(1), HardState { term, vote: None }, 2);
//! assert_eq!(cut_in(2), None);
//! let broken = cut_in(1).unwrap();
//! assert_eq!(broken.lines, ["b0 leads term 1 and cut its log from entry 2 on"]);
//! ```

use super::Broken;
use super::fact::{HardState, Replica};
use crate::check::Promise;

/// A replica cut its own log, and goes on leading. In the term that it led it must not, for there is
/// nobody to tell it to; to follow another leader it first enters a higher one.
pub fn check(
    replica: Replica,
    led: Option<u64>,
    state: HardState,
    from_index: u64,
) -> Option<Broken> {
    let term = led.filter(|term| *term == state.term)?;
    let line = format!("{replica} leads term {term} and cut its log from entry {from_index} on");
    Some(Broken::new(Promise::LeaderAppendOnly, line))
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::findings;

    #[test]
    fn a_leader_of_old_may_be_cut() {
        assert!(findings("hard 0 1; lead 0 1; write 0 1.1 2.1; hard 0 2; cut 0 2").is_empty());
    }

    #[test]
    fn a_leader_may_not() {
        insta::assert_snapshot!(
            findings("hard 0 1; lead 0 1; write 0 1.1 2.1; cut 0 2; lead 0 1"),
            @"leader-append-only: b0 leads term 1 and cut its log from entry 2 on"
        );
    }

    #[test]
    fn a_replica_that_leads_no_longer_may() {
        assert!(findings("hard 0 1; lead 0 1; write 0 1.1 2.1; cut 0 2").is_empty());
        let text = "hard 0 1; lead 0 1; write 0 1.1 2.1; cut 0 2; hard 0 2; lead 0 2";
        assert!(findings(text).is_empty());
    }

    #[test]
    fn a_loss_by_a_fault_is_not_its_doing() {
        let text = "hard 0 1; lead 0 1; write 0 1.1 2.1; sync 0 1; power 0 1";
        assert!(findings(text).is_empty());
    }
}
