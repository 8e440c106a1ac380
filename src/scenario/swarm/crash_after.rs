//! Crashes that follow other faults soon. Many mistakes show only where a crash meets
//! what a fault has just left: an error that was not recorded, damage that nobody has
//! read yet, a file that is half replaced.

use super::draw::{Lane, lane_of, part_of};
use crate::history::FaultKind;
use crate::scenario::parameter::{Span, Survivors};
use crate::scenario::random::Stream;
use crate::scenario::{
    Between, Condition, FaultAction, FaultRule, Survival, Target, ThenOn, ThenRule,
};

/// Until the crash.
const AFTER_MS: Between = Between { low: 0, high: 400 };
/// Until the brokers are started again.
const DOWN_MS: Between = Between { low: 5, high: 300 };

/// Each kind has crashes behind it with that chance.
pub(super) fn draw(rules: &mut [FaultRule], chance: f64, seed: u64) {
    for rule in rules {
        let kind = rule.action.kind();
        let mut stream = lane_of(seed, Lane::CrashAfter, kind as u32);
        if stream.chance(chance) && may_be_followed(rule, kind) {
            rule.then = Some(crash(rule.target, &mut stream));
        }
    }
}

/// Whether a crash is news: behind a kill, a stop or a power loss it is more of the same.
fn may_be_followed(rule: &FaultRule, kind: FaultKind) -> bool {
    let ends_it = matches!(
        kind,
        FaultKind::Kill
            | FaultKind::Restart
            | FaultKind::PowerLoss
            | FaultKind::ClockSkew
            | FaultKind::StrayFile
    );
    rule.then.is_none() && !kind.is_client_s() && !ends_it
}

fn crash(target: Target, stream: &mut Stream) -> ThenRule {
    let has_one_victim = !matches!(target, Target::Minority | Target::Quorum | Target::All);
    let down = Span::of_ms(part_of(DOWN_MS, stream));
    let survival = match stream.chance(0.5) {
        true => Survivors::InThisWay(Survival::Torn),
        false => Survivors::Any,
    };
    let action = match stream.chance(0.8) {
        true => FaultAction::PowerLoss { down, survival },
        false => FaultAction::Kill { down },
    };
    let on = match stream.chance(0.6) && has_one_victim {
        true => ThenOn::All,
        false => ThenOn::Same,
    };
    let when = match stream.chance(0.7) {
        true => Condition::Dirty,
        false => Condition::Always,
    };
    ThenRule {
        after_ms: part_of(AFTER_MS, stream),
        on,
        when,
        action,
    }
}
