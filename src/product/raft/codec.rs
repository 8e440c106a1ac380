//! The bytes of things that outlive the process: the hard state and the
//! configuration. Checksums are the files' and the entries' own (D1, D10).

use bytes::{Buf, BufMut};

use super::configuration::{Seat, SeatState};
use super::wire::WireError;
use super::{Configuration, HardState, ReplicaId, UncertainTail};

/// The first byte of either: what is of another version is not guessed at.
const VERSION: u8 = 1;
/// Of a configuration that names the disks that the cluster began with.
const VERSION_WITH_FOUNDERS: u8 = 2;

impl HardState {
    /// The payload of [`super::HARD_STATE_FILE`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.put_u64(self.term);
        out.put_u8(u8::from(self.vote.is_some()));
        if let Some(vote) = self.vote {
            out.put_u64(vote.node);
            out.put_u64(vote.disk);
        }
        out.put_u8(u8::from(self.uncertain_tail.is_some()));
        if let Some(uncertain_tail) = self.uncertain_tail {
            out.put_u64(uncertain_tail.from_index);
            out.put_u64(uncertain_tail.term_before);
            out.put_u64(uncertain_tail.had_upto_address);
        }
        out
    }

    /// Reads what [`HardState::encode`] wrote; `None` for anything else, which
    /// is amnesia and never term 0 (D1).
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let version = bytes.try_get_u8().ok()?;
        let term = bytes.try_get_u64().ok()?;
        let vote = optional(bytes, |bytes| {
            Some(ReplicaId {
                node: bytes.try_get_u64().ok()?,
                disk: bytes.try_get_u64().ok()?,
            })
        })?;
        let uncertain_tail = optional(bytes, |bytes| {
            Some(UncertainTail {
                from_index: bytes.try_get_u64().ok()?,
                term_before: bytes.try_get_u64().ok()?,
                had_upto_address: bytes.try_get_u64().ok()?,
            })
        })?;
        let whole = version == VERSION && bytes.is_empty();
        whole.then_some(Self {
            term,
            vote,
            uncertain_tail,
        })
    }
}

/// A flag, and what it announces; the outer `None` is an error.
fn optional<T>(bytes: &mut &[u8], read: impl FnOnce(&mut &[u8]) -> Option<T>) -> Option<Option<T>> {
    match bytes.try_get_u8().ok()? {
        0 => Some(None),
        1 => read(bytes).map(Some),
        _ => None,
    }
}

impl Configuration {
    /// The bytes of a configuration entry's record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION_WITH_FOUNDERS];
        put_configuration(&mut out, self);
        out
    }

    /// Reads what [`Configuration::encode`] wrote; `None` for anything else.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let version = bytes.try_get_u8().ok()?;
        let configuration = match version {
            VERSION => get_places(&mut bytes).ok()?,
            VERSION_WITH_FOUNDERS => get_configuration(&mut bytes).ok()?,
            _ => return None,
        };
        bytes.is_empty().then_some(configuration)
    }
}

/// Seats, learners and returning nodes of a configuration, each at most.
pub(super) const MEMBERS_MAX: usize = 128;

/// Counts, then (node, disk, state) for each seat, (node, disk) for each learner and
/// the nodes that may return, ascending; then the founders, in the same form.
pub(super) fn put_configuration(out: &mut impl BufMut, configuration: &Configuration) {
    let count = |count: usize| u32::try_from(count).expect("a cluster of a sane size");
    out.put_u32(count(configuration.seats.len()));
    out.put_u32(count(configuration.learners.len()));
    out.put_u32(count(configuration.returning.len()));
    for (node, seat) in &configuration.seats {
        out.put_u64(*node);
        out.put_u64(seat.disk);
        out.put_u8(match seat.state {
            SeatState::Voter => 1,
            SeatState::Replaced => 2,
        });
    }
    for (node, disk) in &configuration.learners {
        out.put_u64(*node);
        out.put_u64(*disk);
    }
    for node in &configuration.returning {
        out.put_u64(*node);
    }
    out.put_u32(count(configuration.founders.len()));
    for (node, disk) in &configuration.founders {
        out.put_u64(*node);
        out.put_u64(*disk);
    }
}

pub(super) fn get_configuration(bytes: &mut impl Buf) -> Result<Configuration, WireError> {
    let mut configuration = get_places(bytes)?;
    let founders = bytes.try_get_u32()?;
    for _ in 0..founders {
        let node = bytes.try_get_u64()?;
        configuration.founders.insert(node, bytes.try_get_u64()?);
    }
    match configuration.founders.len() == founders as usize {
        true => Ok(configuration),
        false => Err(WireError::Unknown),
    }
}

fn get_places(bytes: &mut impl Buf) -> Result<Configuration, WireError> {
    let seats = bytes.try_get_u32()?;
    let learners = bytes.try_get_u32()?;
    let returning = bytes.try_get_u32()?;
    if [seats, learners, returning]
        .iter()
        .any(|count| *count as usize > MEMBERS_MAX)
    {
        return Err(WireError::Beyond);
    }
    let mut configuration = Configuration::default();
    for _ in 0..seats {
        let node = bytes.try_get_u64()?;
        let disk = bytes.try_get_u64()?;
        let state = match bytes.try_get_u8()? {
            1 => SeatState::Voter,
            2 => SeatState::Replaced,
            _ => return Err(WireError::Unknown),
        };
        configuration.seats.insert(node, Seat { disk, state });
    }
    for _ in 0..learners {
        let node = bytes.try_get_u64()?;
        configuration.learners.insert(node, bytes.try_get_u64()?);
    }
    for _ in 0..returning {
        configuration.returning.insert(bytes.try_get_u64()?);
    }
    // A file that does not read back as it was written was not put there by us.
    let counted = [
        configuration.seats.len(),
        configuration.learners.len(),
        configuration.returning.len(),
    ];
    if counted == [seats, learners, returning].map(|count| count as usize) {
        Ok(configuration)
    } else {
        Err(WireError::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_states_come_back_and_nothing_else_does() {
        let vote = ReplicaId { node: 2, disk: 5 };
        let uncertain_tail = UncertainTail {
            from_index: 9,
            term_before: 3,
            had_upto_address: 4096,
        };
        for (vote, uncertain_tail) in [
            (None, None),
            (Some(vote), None),
            (None, Some(uncertain_tail)),
            (Some(vote), Some(uncertain_tail)),
        ] {
            let hard = HardState {
                term: 7,
                vote,
                uncertain_tail,
            };
            let mut bytes = hard.encode();
            assert_eq!(HardState::decode(&bytes), Some(hard));
            for length in 0..bytes.len() {
                assert_eq!(HardState::decode(&bytes[..length]), None);
            }
            bytes.push(0);
            assert_eq!(HardState::decode(&bytes), None);
        }
    }

    #[test]
    fn configurations_come_back_and_nothing_else_does() {
        let mut configuration = Configuration::of_voters((0..3).map(|node| ReplicaId {
            node,
            disk: 10 + node,
        }));
        configuration.learners.insert(7, 70);
        configuration.returning.insert(8);
        let replaced = Seat {
            disk: 99,
            state: SeatState::Replaced,
        };
        configuration.seats.insert(1, replaced);
        let mut bytes = configuration.encode();
        assert_eq!(Configuration::decode(&bytes), Some(configuration.clone()));
        for length in 0..bytes.len() {
            assert_eq!(Configuration::decode(&bytes[..length]), None);
        }
        bytes.push(0);
        assert_eq!(Configuration::decode(&bytes), None);
        // As it was written before the founders were.
        let count = configuration.founders.len();
        bytes.truncate(bytes.len() - 1 - 4 - 16 * count);
        bytes[0] = VERSION;
        configuration.founders.clear();
        assert_eq!(Configuration::decode(&bytes), Some(configuration));
    }
}
