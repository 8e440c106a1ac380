//! Breadth first, over all states that have not been seen.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::action::{Action, Move};
use super::bounds::{Begin, Bounds};
use super::digest;
use super::healing::heal;
use super::moves::{act, make, make_unsettled, possible, settle};
use super::past::{Broken, Promise};
use super::seen::Seen;
use super::world::{Saves, World};

/// Of the states with messages under way, one in so many is healed as it is.
const HEALED_ONE_IN: u128 = 256;

/// The result of a search.
#[derive(Debug, Clone)]
pub struct Searched {
    /// Its limits.
    pub bounds: Bounds,
    /// Different states.
    pub states: u64,
    /// Steps that were tried.
    pub steps: u64,
    /// Steps of the longest path that was looked at whole.
    pub depth: u64,
    /// Nothing within the bounds is left to be looked at.
    pub is_exhausted: bool,
    /// States from which the replicas had to recover, and did.
    pub healed: u64,
    /// CPU time, milliseconds.
    pub cpu_ms: u64,
    /// Kind of action to how often it led to a new state.
    pub fired: BTreeMap<&'static str, u64>,
    /// The shortest way to a broken promise.
    pub found: Option<Counterexample>,
}

/// A way to a broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterexample {
    /// The promise, and what broke it.
    pub broken: Broken,
    /// Steps.
    pub depth: u64,
    /// The course of events, line by line.
    pub transcript: Vec<String>,
}

/// How a state was reached: from which one, and by what.
#[derive(Clone, Copy)]
struct Reached {
    from: u32,
    by: Move,
}

struct Search<'a> {
    bounds: &'a Bounds,
    seen: Seen,
    disks: Seen,
    /// In the order in which they were met; so the states of each depth stand together,
    /// and those that come from one state, too.
    reached: Vec<Reached>,
    /// The way to the state that is gone on from: numbers and worlds, from the beginning.
    /// All others are made again when their turn comes: a world takes 5 KB.
    way: Vec<(usize, World)>,
    searched: Searched,
}

/// Looks at every interleaving within `bounds`, shortest first, until a promise is broken,
/// nothing is left or the CPU time is over. `cpu_ms` gives the CPU time of the thread.
#[must_use]
pub fn search(bounds: &Bounds, cpu_ms: impl Fn() -> u64) -> Searched {
    let began_ms = cpu_ms();
    let searched = Searched {
        bounds: bounds.clone(),
        states: 0,
        steps: 0,
        depth: 0,
        is_exhausted: false,
        healed: 0,
        cpu_ms: 0,
        fired: BTreeMap::new(),
        found: None,
    };
    let mut search = Search {
        bounds,
        seen: Seen::default(),
        disks: Seen::default(),
        reached: Vec::new(),
        way: Vec::new(),
        searched,
    };
    if let Err((broken, path)) = search.run(|| cpu_ms() - began_ms) {
        search.searched.found = Some(Counterexample {
            depth: path.len() as u64,
            transcript: transcript(bounds, &path, &broken),
            broken,
        });
    }
    search.searched.cpu_ms = cpu_ms() - began_ms;
    search.searched
}

type Found = (Broken, Vec<Move>);

impl Search<'_> {
    fn run(&mut self, cpu_ms: impl Fn() -> u64) -> Result<(), Found> {
        let world = begin(self.bounds).map_err(|broken| (broken, Vec::new()))?;
        self.seen.insert(digest::of_world(&world));
        self.searched.states = 1;
        self.reached.push(Reached {
            from: 0,
            by: Move::plain(Action::Stand(0)),
        });
        self.way.push((0, world));
        let mut level = 0..1;
        while !level.is_empty() {
            if self.searched.depth >= self.bounds.depth {
                return Ok(());
            }
            for number in level.clone() {
                if number % 64 == 0 && cpu_ms() > self.bounds.cpu_s * 1000 {
                    return Ok(());
                }
                let world = self.world(number);
                self.go_on(number, &world)?;
            }
            level = level.end..self.reached.len();
            self.searched.depth += 1;
        }
        self.searched.is_exhausted = true;
        Ok(())
    }

    /// The state of that number. Its neighbours in the order have come from the same state,
    /// or nearly: little of the way is made again.
    fn world(&mut self, number: usize) -> World {
        let mut missing = Vec::new();
        let mut at = number;
        // The way holds one state of each depth.
        let mut depth = self.depth(number);
        while self.way.get(depth).is_none_or(|(on_way, _)| *on_way != at) {
            missing.push(at);
            at = self.reached[at].from as usize;
            depth -= 1;
        }
        self.way.truncate(depth + 1);
        for number in missing.into_iter().rev() {
            let mut world = self.way[self.way.len() - 1].1.clone();
            let made = make(&mut world, self.reached[number].by, self.bounds);
            made.expect("it was made before");
            self.way.push((number, world));
        }
        self.way[self.way.len() - 1].1.clone()
    }

    fn depth(&self, number: usize) -> usize {
        let (mut depth, mut at) = (0, number);
        while at != 0 {
            at = self.reached[at].from as usize;
            depth += 1;
        }
        depth
    }

    fn go_on(&mut self, number: usize, world: &World) -> Result<(), Found> {
        let crashes_left = world.spent.crashes < self.bounds.crashes;
        let from = (number, world);
        for action in possible(world, self.bounds) {
            let saved = self.try_action(from, action, false)?;
            if saved && crashes_left && !self.bounds.slow_saves {
                self.try_action(from, action, true)?;
            }
        }
        Ok(())
    }

    /// Gives whether the action made the node save its hard state.
    fn try_action(
        &mut self,
        (number, from): (usize, &World),
        action: Action,
        fails: bool,
    ) -> Result<bool, Found> {
        self.searched.steps += 1;
        let plain = Move {
            fails,
            ..Move::plain(action)
        };
        let made = caught(|| {
            let mut world = from.clone();
            let older = make_unsettled(&mut world, plain, self.bounds)?;
            Ok((world, older))
        });
        let (world, older) = made.map_err(|broken| (broken, self.path(number, plain)))?;
        let pairs = world.nodes.iter().zip(&from.nodes);
        let saved = pairs
            .into_iter()
            .any(|(now, before)| now.disk.hard != before.disk.hard);
        if older.is_empty() {
            let mut settled = world;
            settle(&mut settled, &older, 0, self.bounds);
            self.note(number, settled, plain)?;
            return Ok(saved);
        }
        let left = self.bounds.lates - from.spent.lates;
        for kept in 0..1_u8 << older.len().min(7) {
            if u64::from(kept.count_ones()) > left {
                continue;
            }
            let mut settled = world.clone();
            settle(&mut settled, &older, kept, self.bounds);
            self.note(number, settled, Move { kept, ..plain })?;
        }
        Ok(saved)
    }

    /// A state: looked at, and kept to be gone on from, where it is new.
    fn note(&mut self, from: usize, world: World, by: Move) -> Result<(), Found> {
        let name = digest::of_world(&world);
        if !self.seen.insert(name) {
            return Ok(());
        }
        world
            .check()
            .map_err(|broken| (broken, self.path(from, by)))?;
        self.searched.states += 1;
        *self.searched.fired.entry(by.action.kind()).or_default() += 1;
        if by.fails {
            *self.searched.fired.entry("crash-in-step").or_default() += 1;
        }
        self.check_healing(&world, name)
            .map_err(|broken| (broken, self.path(from, by)))?;
        self.reached.push(Reached {
            from: u32::try_from(from).expect("memory ends before"),
            by,
        });
        Ok(())
    }

    /// The rule: from every state of the disks, everybody restarted and nothing under way;
    /// and from one in [`HEALED_ONE_IN`] of all states as it is.
    fn check_healing(&mut self, world: &World, name: u128) -> Result<(), Broken> {
        let later = |broken: Broken| Broken {
            how: format!("after this all is healed, and then: {}", broken.how),
            ..broken
        };
        if self.disks.insert(digest::of_disks(world)) {
            self.searched.healed += 1;
            caught(|| {
                let mut world = world.clone();
                world.bag.clear();
                for node in world.numbers() {
                    world.node_mut(node).disk.saving = None;
                    world.start(node)?;
                }
                heal(world)
            })
            .map_err(later)?;
        }
        if name.is_multiple_of(HEALED_ONE_IN) {
            self.searched.healed += 1;
            caught(|| heal(world.clone())).map_err(later)?;
        }
        Ok(())
    }

    fn path(&self, from: usize, last: Move) -> Vec<Move> {
        let mut path = vec![last];
        let mut at = from;
        while at != 0 {
            path.push(self.reached[at].by);
            at = self.reached[at].from as usize;
        }
        path.reverse();
        path
    }
}

/// A panic is a broken promise.
fn caught<T>(work: impl FnOnce() -> Result<T, Broken>) -> Result<T, Broken> {
    // Nothing that the work has touched is used after a panic.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Err(Broken {
            promise: Promise::NoPanic,
            how: text.unwrap_or_else(|| "a panic without words".to_owned()),
        })
    })
}

/// The state from which everything goes out.
fn begin(bounds: &Bounds) -> Result<World, Broken> {
    let mut world = World::new(bounds)?;
    if bounds.begin == Begin::Cold {
        return Ok(world);
    }
    act(&mut world, Action::Stand(0), Saves::AtOnce)?;
    for _ in 0..4 {
        super::healing::settle(&mut world)?;
        act(&mut world, Action::Beat(0), Saves::AtOnce)?;
    }
    super::healing::settle(&mut world)?;
    world.forget();
    Ok(world)
}

/// The path again, told.
fn transcript(bounds: &Bounds, path: &[Move], broken: &Broken) -> Vec<String> {
    let mut lines = Vec::new();
    let Ok(mut world) = begin(bounds) else {
        return lines;
    };
    world.told = Some(Vec::new());
    for (number, it) in path.iter().enumerate() {
        let what = match it.action {
            Action::Deliver { at, .. } => {
                let flight = &world.bag[usize::from(at)];
                format!("{} {}", super::transcript::flight(flight), it.action)
            }
            action => action.to_string(),
        };
        lines.push(format!("{:>3}  {what}", number + 1));
        let ended = caught(|| make(&mut world, *it, bounds));
        lines.extend(world.told.replace(Vec::new()).unwrap_or_default());
        if ended.is_err() {
            break;
        }
    }
    lines.push(format!("     {}: {}", broken.promise.name(), broken.how));
    lines
}
