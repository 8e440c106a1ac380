//! With all faults healed and every message delivered, does the cluster work again?
//!
//! Here pre-votes are asked for and given as the core has it: who cannot win disturbs nobody.

use super::action::Action;
use super::moves::act;
use super::past::{Broken, Promise, keep};
use super::world::{Saves, World};
use crate::raft::{Input, Raft, Role};

/// Quiet rounds for each node until the replicas must agree.
const ROUNDS: u64 = 16;
/// Messages between two quiet moments.
const MESSAGES_MAX: usize = 400;

/// Goes on from `world` in one fair order: disks end what they began, the oldest message
/// arrives, and where it is quiet deadlines come: of leaders, of those that ask, and, where
/// nobody serves, of one node after the other.
///
/// # Errors
/// The replicas do not come to serve and to agree in so many rounds, or break a promise.
pub(super) fn heal(mut world: World) -> Result<(), Broken> {
    let count = world.nodes.len() as u64;
    let mut probed = 0;
    for round in 0..ROUNDS * count {
        settle(&mut world)?;
        if is_well(&world, probed) {
            return Ok(());
        }
        for node in world.numbers() {
            for peer in world.numbers().filter(|peer| *peer != node) {
                super::faults::fetch(&mut world, node, peer)?;
            }
        }
        settle(&mut world)?;
        let serving = world.nodes.iter().find(|node| node.raft.is_serving());
        if let Some(leader) = serving.filter(|it| it.raft.term() != probed) {
            let node = leader.me.node;
            probed = leader.raft.term();
            world.stage(node, probed, None)?;
            world.drain(node, &[])?;
        }
        let is_served = world.nodes.iter().any(|node| node.raft.is_serving());
        for node in world.numbers() {
            let raft = &world.node(node).raft;
            let number = node as u8;
            let waits = raft.role() == Role::Blank || raft.hard_state().uncertain_tail.is_some();
            if waits {
                act(&mut world, Action::Ask(number), Saves::AtOnce)?;
            } else if raft.role() == Role::Leader {
                act(&mut world, Action::Beat(number), Saves::AtOnce)?;
            }
        }
        settle(&mut world)?;
        let next = round % count;
        if !is_served && !world.nodes.iter().any(|node| node.raft.is_serving()) {
            if world.node(next).raft.role() == Role::Leader {
                act(&mut world, Action::StepDown(next as u8), Saves::AtOnce)?;
            } else {
                world.step(next, Input::Timeout, &[])?;
            }
        }
    }
    keep(Promise::Liveness, false, || describe(&world))
}

/// Disks end what they began, and messages arrive, until nothing is under way.
pub(super) fn settle(world: &mut World) -> Result<(), Broken> {
    for _ in 0..MESSAGES_MAX {
        let sent = std::mem::take(&mut world.sent);
        world.bag.extend(sent.into_iter().map(std::sync::Arc::new));
        for node in world.numbers() {
            world.save(node, Saves::AtOnce)?;
            world.end_sync(node)?;
            if world.node(node).disk.is_unsynced() {
                world.begin_sync(node);
                world.end_sync(node)?;
            }
        }
        if world.bag.is_empty() {
            if world.sent.is_empty() {
                return world.check();
            }
            continue;
        }
        let flight = world.bag.remove(0);
        if world.is_meant(&flight) {
            world.arrive(&flight)?;
        }
    }
    keep(Promise::Liveness, false, || {
        "messages chase each other for ever".to_owned()
    })
}

/// Somebody serves and has committed the probe of its term; whom it feeds holds and knows
/// all that is committed, has no hole and nothing uncertain.
fn is_well(world: &World, probed: u64) -> bool {
    let leader = world.nodes.iter().find(|node| node.raft.is_serving());
    let Some(leader) = leader.filter(|it| it.raft.term() == probed) else {
        return false;
    };
    let end = leader.raft.last();
    let is_done = leader.raft.commit_index() == end.index;
    let configuration = leader.raft.configuration();
    is_done
        && world.nodes.iter().all(|node| {
            let seated = configuration.seats.contains_key(&node.me.node);
            let well = node.raft.commit_index() == end.index
                && node.raft.last() == end
                && configuration.is_voter(node.me)
                && node.disk.rotten.is_empty()
                && node.raft.hard_state().uncertain_tail.is_none();
            well || !seated
        })
}

fn describe(world: &World) -> String {
    let line = |node: &super::world::Node| {
        let (raft, disk): (&Raft, _) = (&node.raft, &node.disk);
        let unheard = raft.unheard_about_tail();
        format!(
            "n{} {:?} term {} last {} committed {}{}{}",
            node.me.node,
            raft.role(),
            raft.term(),
            raft.last(),
            raft.commit_index(),
            match disk.rotten.is_empty() {
                true => String::new(),
                false => format!(", cannot read {:?}", disk.rotten),
            },
            match raft.hard_state().uncertain_tail {
                None => String::new(),
                Some(tail) => format!(
                    ", uncertain from {} on, unheard {unheard:?}",
                    tail.from_index
                ),
            }
        )
    };
    let lines: Vec<String> = world.nodes.iter().map(|node| line(node)).collect();
    format!("nothing can be committed: {}", lines.join("; "))
}
