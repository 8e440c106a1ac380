//! State-machine safety: "if a server has applied a log entry at a given index to
//! its state machine, no other server will ever apply a different log entry for
//! the same index" (Ongaro, figure 3.2).
//!
//! The applied entries show in what is served ([`super::served`]), in snapshots,
//! which "are compared by digest of applied state at their index", and in the table
//! of committed entries, which no two majorities may fix.
//!
//! Replicas that applied the same entries store the same state:
//!
//! ```
//! use zeroloss::check::replicas::Replica;
//! use zeroloss::check::replicas::state_machine_safety::Snapshots;
//!
//! let [b0, b1, b2] = [0, 1, 2].map(|node| Replica { node, disk: 9 });
//! let digest_of_state = [0xaa, 0xbb];
//! let mut snapshots = Snapshots::default();
//! assert_eq!(snapshots.applied(b0, 5, digest_of_state[0]), Ok(()));
//! assert_eq!(snapshots.applied(b1, 5, digest_of_state[0]), Ok(()));
//! assert_eq!(snapshots.applied(b1, 6, digest_of_state[1]), Ok(()), "one entry more");
//!
//! let broken = snapshots.applied(b2, 5, digest_of_state[1]).unwrap_err();
//! let line = "b0 and b2 applied the log up to entry 5 and came to different states";
//! assert_eq!(broken.lines, [line]);
//! ```

use std::collections::BTreeMap;

use super::Broken;
use super::committed::Conflict;
use super::fact::Replica;
use crate::check::Promise;

/// Two majorities hold different entries.
pub fn check(conflict: &Conflict) -> Broken {
    let Conflict { was, now, term } = conflict;
    let line = format!("{was} is committed, and in term {term} a majority holds {now}");
    Broken::new(Promise::StateMachineSafety, line)
}

/// The states that replicas stored, by the index they were applied up to.
#[derive(Debug, Clone, Default)]
pub struct Snapshots(BTreeMap<u64, (u64, Replica)>);

impl Snapshots {
    /// A replica stored its state.
    ///
    /// # Errors
    /// Another one stored another state at that index.
    pub fn applied(&mut self, replica: Replica, index: u64, digest: u64) -> Result<(), Broken> {
        let (known, first) = *self.0.entry(index).or_insert((digest, replica));
        if known == digest {
            return Ok(());
        }
        let line = format!(
            "{first} and {replica} applied the log up to entry {index} and came to different states"
        );
        Err(Broken::new(Promise::StateMachineSafety, line))
    }
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::findings;

    #[test]
    fn two_majorities_show() {
        let text = "hard 0 1; hard 1 1; write 0 1.1; write 1 1.1; sync 0 1; sync 1 1;
                    hard 1 2; hard 2 2; power 1 0; write 1 1.2; write 2 1.2; sync 1 1; sync 2 1";
        insta::assert_snapshot!(
            findings(text),
            @"state-machine-safety: entry 1 of term 1 (00000101) is committed, and in term 2 a majority holds entry 1 of term 2 (00000201)"
        );
    }

    #[test]
    fn equal_states_at_equal_indices() {
        assert!(findings("applied 0 5 7; applied 1 6 9; applied 1 5 7; applied 2 6 9").is_empty());
        insta::assert_snapshot!(
            findings("applied 0 5 7; applied 2 5 8"),
            @"state-machine-safety: b0 and b2 applied the log up to entry 5 and came to different states"
        );
    }
}
