//! Habits of clients that are not ours, which a seed gives to those of a
//! scenario.

use crate::scenario::random::{Purpose, Stream};
use crate::scenario::{Begin, EndsBy, Scenario, Spelling, Workload};

/// One message in so many is sent one-way, where some are.
const ONEWAY_ONE_IN: u64 = 8;

/// Each workload gets each habit that fits it with that chance.
pub(super) fn draw(drawn: &mut Scenario, chance: f64, seed: u64) {
    for (number, workload) in (0..).zip(&mut drawn.workloads) {
        let mut stream = Stream::lane(seed, Purpose::Habits, number);
        // As many draws whatever comes of them.
        let has = [(); 5].map(|()| stream.chance(chance));
        let (one_in, turn) = (1 + stream.below(ONEWAY_ONE_IN) as u32, stream.below(2));
        match workload {
            Workload::Send(send) if has[0] => send.oneway_one_in = one_in,
            Workload::Send(_) | Workload::RedPacket(_) => {}
            Workload::Pay(pay) => {
                pay.ends_oneway |= has[0];
                if has[1] {
                    pay.ends_by = [EndsBy::Message, EndsBy::Place][turn as usize];
                }
            }
            Workload::Consume(consume) => {
                consume.commits_late |= has[0];
                if has[1] {
                    consume.spelling = [Spelling::Cpp, Spelling::Go][turn as usize];
                }
                if has[2] {
                    consume.from = Begin::Last;
                } else if has[3] {
                    consume.from = Begin::Timestamp;
                }
                if let Some(membership) = &mut consume.membership {
                    membership.equal_ids |= has[4];
                }
            }
        }
    }
}
