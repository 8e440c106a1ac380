//! The operator's requests to the leader.

use super::operator::Action;
use super::phases::Run;

impl Run<'_> {
    /// Asks the leader for a change.
    pub(super) fn ask_leader(&mut self, _action: Action) {}
}
