//! Power, disks, and what a driver does about holes.

use super::action::Action;
use super::disk::Disk;
use super::past::Broken;
use super::world::World;
use crate::raft::Unreadable;
use std::sync::Arc;

/// The power of a node fails within a step: what it was saving and syncing is lost.
pub(super) fn fail(world: &mut World, node: u64) -> Result<(), Broken> {
    world.spent.crashes += 1;
    world.say(|| format!("      n{node}: power fails before that is saved"));
    world.node_mut(node).disk.lose_power(0, false);
    world.start(node)
}

/// A fault, or the mending of a hole. Gives the node.
pub(super) fn act(world: &mut World, action: Action) -> Result<u64, Broken> {
    match action {
        Action::Crash {
            node,
            kept,
            saved,
            torn,
        } => {
            let node = u64::from(node);
            world.spent.crashes += 1;
            let disk = &mut world.node_mut(node).disk;
            disk.lose_power(u64::from(kept), saved);
            if torn {
                disk.tear(disk.last().index + 1);
            }
            world.start(node)?;
            Ok(node)
        }
        Action::Tear { node, lost } => {
            let node = u64::from(node);
            world.spent.tears += 1;
            harm(world, node);
            let disk = &mut world.node_mut(node).disk;
            disk.lose_power(0, false);
            disk.tear(disk.last().index + 1 - u64::from(lost));
            world.start(node)?;
            Ok(node)
        }
        Action::Rot { node, from, upto } => {
            let node = u64::from(node);
            world.spent.rots += 1;
            harm(world, node);
            let disk = &mut world.node_mut(node).disk;
            disk.lose_power(0, false);
            disk.rotten.extend(u64::from(from)..=u64::from(upto));
            world.start(node)?;
            Ok(node)
        }
        Action::Wipe(node) => {
            let node = u64::from(node);
            harm(world, node);
            world.replace(node)?;
            Ok(node)
        }
        Action::Fetch { node, peer } => {
            fetch(world, u64::from(node), u64::from(peer))?;
            Ok(u64::from(node))
        }
        _ => Ok(0),
    }
}

fn harm(world: &mut World, node: u64) {
    Arc::make_mut(&mut world.past).harmed.insert(node);
}

/// A driver's way with the lowest hole: takes it from `peer`, or its base, or finds that
/// another entry is committed there (see `broker::replica::fetch`). Question and answer
/// are one step: what an answer says of what is committed stays true.
pub(super) fn fetch(world: &mut World, node: u64, peer: u64) -> Result<(), Broken> {
    let (disk, theirs) = (&world.node(node).disk, world.node(peer));
    let other = &theirs.disk;
    let Some(hole) = disk.holes().first().copied() else {
        return Ok(());
    };
    let Some(configuration) = other.base_configuration.clone() else {
        return Ok(());
    };
    let (base, commit_index) = (other.base, theirs.raft.commit_index());
    let same = |index: u64| {
        let id = disk.id_at(index);
        id.is_some_and(|id| other.holds(id))
    };
    if base.index >= hole.from_index {
        return reopen(world, node, |disk| disk.stand_in(base, configuration));
    }
    if (hole.from_index..hole.upto_index).all(same) {
        let filled = hole.from_index..hole.upto_index;
        return reopen(world, node, |disk| {
            disk.rotten.retain(|index| !filled.contains(index));
        });
    }
    if is_superseded(hole, disk, other, commit_index) {
        return reopen(world, node, |disk| disk.tear(hole.from_index));
    }
    Ok(())
}

/// Whether it is known without a look into the hole that other entries stand there.
fn is_superseded(hole: Unreadable, disk: &Disk, other: &Disk, commit_index: u64) -> bool {
    let last_index = hole.upto_index - 1;
    let differs = |index: u64| {
        let readable = !other.rotten.contains(&index);
        let theirs = other.id_at(index).filter(|_| readable);
        theirs.is_some() && disk.id_at(index).is_some() && theirs != disk.id_at(index)
    };
    let behind = disk.id_at(hole.upto_index).or(disk.id_at(last_index));
    let committed = other.id_at(commit_index).zip(behind);
    let of_later_term = (hole.from_index..=last_index).contains(&commit_index)
        && committed.is_some_and(|(id, behind)| id.term > behind.term);
    let parts_below = commit_index + 1 >= hole.from_index && differs(hole.from_index - 1);
    let below = commit_index < hole.from_index && differs(commit_index);
    // A base took the place of a part of it, and what is behind never followed.
    let before = disk.id_at(hole.from_index - 1).zip(behind);
    let parts_here = before.is_some_and(|(before, behind)| before.term > behind.term);
    parts_here
        || below
        || of_later_term
        || parts_below
        || commit_index >= last_index && differs(last_index)
}

/// A save under way ends before anything else is done to the disk.
fn reopen(world: &mut World, node: u64, change: impl FnOnce(&mut Disk)) -> Result<(), Broken> {
    let disk = &mut world.node_mut(node).disk;
    if let Some(hard) = disk.saving.take() {
        disk.hard = hard;
    }
    change(disk);
    world.start(node)
}
