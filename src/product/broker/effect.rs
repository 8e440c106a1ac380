//! The effect of a message in the log on the state beside standing in its queue.

use super::state::AppliedState;
use super::{delays, transactions};
use crate::record::Message;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// On half messages.
    Transaction(transactions::TransactionEffect),
    /// On what waits for its time.
    Delay(delays::DelayEffect),
}

impl Effect {
    /// Of the message at `address`, if it has one.
    pub(super) fn of(message: &Message<'_>, address: u64, record_bytes: u32) -> Option<Self> {
        let of_transaction = transactions::TransactionEffect::of(message, address, record_bytes);
        of_transaction
            .map(Self::Transaction)
            .or_else(|| delays::DelayEffect::of(message, address, record_bytes).map(Self::Delay))
    }
}

impl AppliedState {
    /// Applies what a message does.
    ///
    /// # Errors
    /// It does not fit what came before; the words say how.
    pub(super) fn apply_effect(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Transaction(effect) => {
                let half_address = effect.half_address();
                match self.transactions.apply(effect) {
                    true => Ok(()),
                    false => Err(format!("the half message at {half_address} is not pending")),
                }
            }
            Effect::Delay(effect) => {
                let address = effect.scheduled_address();
                match self.delays.apply(effect) {
                    true => Ok(()),
                    false => Err(format!("the message at {address} does not wait")),
                }
            }
        }
    }
}
