//! The steps that are possible, and what each of them makes of a world.

use std::mem::discriminant;
use std::sync::Arc;

use super::action::{Action, Move};
use super::bounds::Bounds;
use super::past::Broken;
use super::world::{Flight, Saves, World, at};
use crate::raft::{ANY_DISK, Change, Input, Message, Role};

/// Numbers of a search are small.
#[expect(
    clippy::cast_possible_truncation,
    reason = "numbers of a search are small"
)]
fn small(number: u64) -> u8 {
    number as u8
}

/// The steps that may be made in `world`. Some may turn out to change nothing.
pub(super) fn possible(world: &World, bounds: &Bounds) -> Vec<Action> {
    let mut actions = Vec::new();
    for (place, flight) in world.bag.iter().enumerate() {
        let at = small(place as u64);
        actions.push(Action::Deliver { at, stays: false });
        // Answers that come again change nothing that the first did not.
        let again = matches!(
            flight.message,
            Message::Append(_) | Message::Install { .. } | Message::AppendAnswer(_)
        );
        if world.spent.repeats < bounds.repeats && again {
            actions.push(Action::Deliver { at, stays: true });
        }
    }
    for node in world.numbers() {
        of_disk(world, bounds, node, &mut actions);
        of_core(world, bounds, node, &mut actions);
        of_power(world, bounds, node, &mut actions);
    }
    actions
}

fn of_disk(world: &World, bounds: &Bounds, node: u64, actions: &mut Vec<Action>) {
    let (disk, number) = (&world.node(node).disk, small(node));
    if disk.saving.is_some() {
        actions.push(Action::Save(number));
    }
    match bounds.slow_syncs {
        true if disk.sync.is_some() => actions.push(Action::EndSync(number)),
        true if disk.is_unsynced() => actions.push(Action::BeginSync(number)),
        false if disk.is_unsynced() => actions.push(Action::Sync(number)),
        _ => {}
    }
    if !disk.rotten.is_empty() {
        let peers = world.numbers().filter(|peer| *peer != node).map(small);
        actions.extend(peers.map(|peer| Action::Fetch { node: number, peer }));
    }
}

fn of_core(world: &World, bounds: &Bounds, node: u64, actions: &mut Vec<Action>) {
    let (raft, number) = (&world.node(node).raft, small(node));
    let holed = !world.node(node).disk.rotten.is_empty();
    match raft.role() {
        Role::Leader => {
            if is_beat_wanted(world, node, false) {
                actions.push(Action::Beat(number));
            }
            if world.spent.losses < bounds.losses && is_beat_wanted(world, node, true) {
                actions.push(Action::Again(number));
            }
            if raft.accepts_proposals() && world.spent.entries < bounds.entries {
                actions.push(Action::Propose(number));
            }
            if world.spent.step_downs < bounds.step_downs {
                actions.push(Action::StepDown(number));
            }
            if world.spent.changes < bounds.changes {
                let about = world.numbers();
                let about = about.filter(|about| change(world, node, *about).is_some());
                actions.extend(about.map(|about| Action::Change {
                    node: number,
                    about: small(about),
                }));
            }
        }
        Role::Blank if !is_waited_for(world, node) => actions.push(Action::Announce(number)),
        Role::Blank => {}
        _ if holed => {}
        _ if raft.hard_state().uncertain_tail.is_some() => {
            if !is_waited_for(world, node) {
                actions.push(Action::Ask(number));
            }
        }
        _ => {
            if raft.term() < bounds.terms {
                actions.push(Action::Stand(number));
            }
            if world.spent.unheard < bounds.unheard {
                actions.push(Action::Unheard(number));
            }
        }
    }
    let committed = raft.commit_index().min(world.node(node).disk.durable_index);
    if world.spent.drops < bounds.drops && !holed && committed > world.node(node).disk.base.index {
        actions.push(Action::Drop(number));
    }
}

/// A seat goes, and comes back by way of a learner's place.
fn change(world: &World, leader: u64, node: u64) -> Option<Change> {
    let configuration = world.node(leader).raft.configuration();
    if configuration.learners.contains_key(&node) {
        Some(Change::Promote { node })
    } else if !configuration.seats.contains_key(&node) {
        let disk = world.node(node).me.disk;
        Some(Change::AddLearner { node, disk })
    } else {
        // One seat less leaves a minority for those that were harmed.
        let left = configuration.seats.len() - 1;
        let minority = left - (left / 2 + 1).min(left);
        (world.past.harmed.len() <= minority && left > 0).then_some(Change::Remove { node })
    }
}

/// A follower has something to learn, and something, or nothing, is under way between it
/// and the leader.
fn is_beat_wanted(world: &World, leader: u64, talking: bool) -> bool {
    let raft = &world.node(leader).raft;
    let members = raft.configuration().members();
    let mut others = members.filter(|member| member.node != leader);
    others.any(|member| {
        let node = world.node(member.node);
        let behind = node.raft.commit_index() < raft.commit_index()
            || node.disk.durable_index < raft.last().index
            || node.disk.last() != raft.last()
            || node.raft.hard_state().uncertain_tail.is_some()
            || raft.commit_index() < raft.last().index;
        node.me == member && behind && is_talking(world, leader, member.node) == talking
    })
}

fn is_talking(world: &World, one: u64, other: u64) -> bool {
    let term = world.node(one).raft.term();
    world.bag.iter().any(|flight| {
        let between = (flight.from.node, flight.to.node);
        let appends = matches!(
            flight.message,
            Message::Append(_) | Message::AppendAnswer(_) | Message::Install { .. }
        );
        (between == (one, other) || between == (other, one)) && appends && flight.term == term
    })
}

/// Whether a question of the node is under way, or an answer to one.
fn is_waited_for(world: &World, node: u64) -> bool {
    world.bag.iter().any(|flight| match flight.message {
        Message::Ask { .. } | Message::Join { .. } => flight.from.node == node,
        Message::Tail(_) | Message::Challenge { .. } | Message::Install { .. } => {
            flight.to.node == node
        }
        _ => false,
    })
}

/// The smallest minority of any configuration that anyone may be in.
fn budget(world: &World) -> u64 {
    let nodes = world.nodes.iter();
    let stored = nodes.flat_map(|node| node.disk.appended_configurations());
    let entries = world.bag.iter().flat_map(|flight| &flight.entries);
    let under_way = entries.filter_map(|entry| entry.head.configuration.as_ref());
    let minority = stored.chain(under_way).map(|configuration| {
        let seats = configuration.seats.len();
        (seats - configuration.quorum()) as u64
    });
    minority.min().unwrap_or(0)
}

fn of_power(world: &World, bounds: &Bounds, node: u64, actions: &mut Vec<Action>) {
    let (disk, number) = (&world.node(node).disk, small(node));
    let blank = disk.base_configuration.is_none();
    let unsynced = disk.last().index - disk.durable_index.min(disk.last().index);
    if world.spent.crashes < bounds.crashes {
        for kept in 0..=unsynced {
            for saved in [false, true] {
                for torn in [false, true] {
                    // A tail that survived whole is not torn; a torn one says that a
                    // power loss is all that happened.
                    let makes_sense =
                        (!torn || kept < unsynced && !blank) && (!saved || disk.saving.is_some());
                    if makes_sense {
                        actions.push(Action::Crash {
                            node: number,
                            kept: small(kept),
                            saved,
                            torn,
                        });
                    }
                }
            }
        }
    }
    let mut harmed = world.past.harmed.clone();
    harmed.insert(node);
    if harmed.len() as u64 > budget(world) + bounds.harmed_beyond {
        return;
    }
    let durable = disk.durable_index.saturating_sub(disk.base.index);
    if world.spent.tears < bounds.tears && !blank {
        let lost = (1..=durable.min(2)).map(small);
        actions.extend(lost.map(|lost| Action::Tear { node: number, lost }));
    }
    if world.spent.rots < bounds.rots && !blank {
        for from in disk.base.index + 1..=disk.durable_index {
            for upto in from..=disk.durable_index {
                let (from, upto) = (small(from), small(upto));
                actions.push(Action::Rot {
                    node: number,
                    from,
                    upto,
                });
            }
        }
    }
    if world.spent.wipes < bounds.wipes && !blank {
        actions.push(Action::Wipe(number));
    }
}

/// Carries out an action. What it says stays in `sent`, to be settled.
pub(super) fn act(world: &mut World, action: Action, saves: Saves) -> Result<u64, Broken> {
    let node = match action {
        Action::Deliver { at: place, stays } => {
            let place = usize::from(place);
            let flight = match stays {
                true => {
                    // Nothing newer takes the place of what comes again.
                    Arc::make_mut(&mut world.bag[place]).late = true;
                    Arc::clone(&world.bag[place])
                }
                false => world.bag.remove(place),
            };
            world.spent.repeats += u64::from(stays);
            world.arrive(&flight)?;
            flight.to.node
        }
        Action::Stand(node) => {
            let node = u64::from(node);
            stand(world, node)?;
            node
        }
        Action::Beat(node) | Action::Ask(node) | Action::Announce(node) => {
            let node = u64::from(node);
            world.step(node, Input::Timeout, &[])?;
            filter(world, node);
            node
        }
        Action::Again(node) => {
            world.spent.losses += 1;
            world.step(u64::from(node), Input::Timeout, &[])?;
            u64::from(node)
        }
        Action::Unheard(node) => {
            world.spent.unheard += 1;
            world.step(u64::from(node), Input::Timeout, &[])?;
            world.sent.clear();
            u64::from(node)
        }
        Action::StepDown(node) => {
            world.spent.step_downs += 1;
            world.node_mut(u64::from(node)).now_ns += 1;
            world.step(u64::from(node), Input::Timeout, &[])?;
            u64::from(node)
        }
        Action::Propose(node) => {
            world.spent.entries += 1;
            let node = u64::from(node);
            let term = world.node(node).raft.term();
            world.stage(node, term, None)?;
            world.drain(node, &[])?;
            node
        }
        Action::Save(node) => {
            world.save(u64::from(node), Saves::GoOn)?;
            u64::from(node)
        }
        Action::Sync(node) => {
            world.begin_sync(u64::from(node));
            world.end_sync(u64::from(node))?;
            u64::from(node)
        }
        Action::BeginSync(node) => {
            world.begin_sync(u64::from(node));
            u64::from(node)
        }
        Action::EndSync(node) => {
            world.end_sync(u64::from(node))?;
            u64::from(node)
        }
        Action::Change { node, about } => {
            world.spent.changes += 1;
            if let Some(change) = change(world, u64::from(node), u64::from(about)) {
                world.say(|| format!("      {change:?}"));
                world.step(u64::from(node), Input::Change(change), &[])?;
            }
            u64::from(node)
        }
        Action::Drop(node) => {
            let node = u64::from(node);
            world.spent.drops += 1;
            let index = world.node(node).raft.commit_index();
            let disk = &mut world.node_mut(node).disk;
            let index = index.min(disk.durable_index);
            if let Some(base) = disk.drop_to(index) {
                world.step(node, Input::Dropped { base }, &[])?;
            }
            node
        }
        Action::Crash { .. }
        | Action::Tear { .. }
        | Action::Rot { .. }
        | Action::Wipe(_)
        | Action::Fetch { .. } => super::faults::act(world, action)?,
    };
    if saves == Saves::AtOnce {
        world.save(node, saves)?;
    }
    Ok(node)
}

/// Whether a power loss can still come. Where none can, a sync ends within the step that
/// wrote: what would wait for it waits under way instead.
fn has_power_faults(world: &World, bounds: &Bounds) -> bool {
    let spent = &world.spent;
    spent.crashes < bounds.crashes || spent.tears < bounds.tears || spent.rots < bounds.rots
}

/// Carries out a move, but for what becomes of its messages. Gives the places in the bag of
/// what these supersede.
pub(super) fn make_unsettled(
    world: &mut World,
    it: Move,
    bounds: &Bounds,
) -> Result<Vec<usize>, Broken> {
    let saves = match bounds.slow_saves || it.fails {
        true => Saves::GoOn,
        false => Saves::AtOnce,
    };
    let node = act(world, it.action, saves)?;
    if it.fails {
        super::faults::fail(world, node)?;
    }
    if !bounds.slow_syncs && !has_power_faults(world, bounds) {
        for node in world.numbers() {
            if world.node(node).disk.is_unsynced() {
                world.begin_sync(node);
                world.end_sync(node)?;
                world.save(node, saves)?;
            }
        }
    }
    Ok(superseded(world))
}

/// An election timeout passes at everybody, and the pre-vote succeeds whoever would give
/// it: it changes no state, so that safety must not rest on it.
fn stand(world: &mut World, node: u64) -> Result<(), Broken> {
    let before = world.sent.len();
    world.step(node, Input::Timeout, &[])?;
    let is_question = |flight: &Flight| matches!(flight.message, Message::PreVote { .. });
    world.sent.retain(|flight| !is_question(flight));
    debug_assert!(world.sent.len() >= before, "only questions went");
    let place = world.node(node);
    let voters: Vec<_> = place.raft.configuration().voters().collect();
    for from in voters {
        let raft = &world.node(node).raft;
        if raft.role() != Role::PreCandidate {
            break;
        }
        let (term, next_term) = (raft.term(), raft.term() + 1);
        let message = Message::PreVoteAnswer {
            next_term,
            granted: true,
        };
        let input = Input::Message {
            from,
            term,
            message,
        };
        world.step(node, input, &[])?;
    }
    Ok(())
}

/// Drops messages that a deadline makes a node say: appends to a node that others of its
/// are on the way to, and announcements to all but leaders.
fn filter(world: &mut World, node: u64) {
    let mut sent = std::mem::take(&mut world.sent);
    sent.retain(|flight| match flight.message {
        Message::Append(_) | Message::Install { .. } => !is_talking(world, node, flight.to.node),
        Message::Join { .. } => world.node(flight.to.node).raft.role() == Role::Leader,
        _ => true,
    });
    world.sent = sent;
}

/// The places in the bag of what the messages of this step supersede.
fn superseded(world: &World) -> Vec<usize> {
    let is_older = |flight: &Flight| {
        !flight.late
            && world.sent.iter().any(|new| {
                (new.from, new.to, new.term) == (flight.from, flight.to, flight.term)
                    && discriminant(&new.message) == discriminant(&flight.message)
            })
    };
    let places = world.bag.iter().enumerate();
    let older = places.filter(|(_, flight)| is_older(flight));
    older.map(|(place, _)| place).collect()
}

/// Puts what was said under way. Of what it supersedes, `kept` stays as late; what can
/// have no effect any more goes.
pub(super) fn settle(world: &mut World, superseded: &[usize], kept: u8, bounds: &Bounds) {
    for (bit, place) in superseded.iter().enumerate().rev() {
        if kept & (1 << bit) == 0 {
            world.bag.remove(*place);
        } else {
            world.spent.lates += 1;
            Arc::make_mut(&mut world.bag[*place]).late = true;
        }
    }
    let sent = std::mem::take(&mut world.sent);
    world.bag.extend(sent.into_iter().map(Arc::new));
    let mut bag = std::mem::take(&mut world.bag);
    bag.retain(|flight| is_alive(world, flight, bounds));
    world.bag = bag;
}

/// Whether the message can still have an effect; a bare refusal has none but to tell of a
/// later term, and counts only where the bounds say so.
fn is_alive(world: &World, flight: &Flight, bounds: &Bounds) -> bool {
    let place = &world.nodes[at(flight.to.node)];
    if flight.to.disk != place.me.disk && flight.to.disk != ANY_DISK {
        return false;
    }
    let stale = flight.term < place.disk.hard.term;
    let blank = place.raft.role() == Role::Blank;
    match &flight.message {
        Message::VoteAnswer { granted } => !stale && (*granted || bounds.refusals),
        Message::AppendAnswer(answer) => !stale && (answer.request != 0 || bounds.refusals),
        Message::TimeoutNow | Message::YouForgot { .. } => !stale,
        Message::Vote { .. } => !blank && (!stale || bounds.refusals),
        Message::Append(_) => !blank && (!stale || bounds.refusals),
        Message::PreVote { .. } | Message::PreVoteAnswer { .. } => false,
        Message::Challenge { .. } => blank,
        Message::Tail(tail) => place.raft.asks_in_round(tail.request),
        _ => true,
    }
}

impl Move {
    /// A step and no more.
    pub(super) fn plain(action: Action) -> Self {
        Self {
            action,
            fails: false,
            kept: 0,
        }
    }
}

/// Makes a move, as the search did when it found it.
pub(super) fn make(world: &mut World, it: Move, bounds: &Bounds) -> Result<(), Broken> {
    let older = make_unsettled(world, it, bounds)?;
    settle(world, &older, it.kept, bounds);
    world.check()
}
