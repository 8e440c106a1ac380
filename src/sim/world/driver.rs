//! The driver: the only task that sleeps on madsim's clock.

use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use madsim::time::{Instant, Sleep, TimeHandle, sleep_until};

use super::{Due, Inner, World};

/// The time that a woken node may take before the next event is looked at. It stands
/// for the CPU time of a step, and lets all that was woken run first.
const STEP: Duration = Duration::from_micros(20);

/// Runs the agenda until `control`, which is called for each control step that
/// is due, breaks off, or `events_max` events were handled, or nothing is left
/// to happen.
///
/// Returns whether `control` ended it.
pub(crate) async fn drive(
    world: &Arc<World>,
    events_max: u64,
    mut control: impl FnMut(u64) -> ControlFlow<()>,
) -> DriveEnd {
    let time = TimeHandle::current();
    let start = time.now_instant() - time.elapsed();
    let mut step = pin!(sleep_until(time.now_instant()));
    loop {
        settle(&time, &mut step).await;
        // Events that a process set off come before anything else.
        if spring(world, &mut control).is_break() {
            return DriveEnd::Control;
        }
        let Some(due_control) = fire_next(world, &time, start) else {
            return DriveEnd::NothingLeft;
        };
        if spring(world, &mut control).is_break() {
            return DriveEnd::Control;
        }
        for token in due_control {
            if control(token).is_break() {
                return DriveEnd::Control;
            }
        }
        if world.lock().core.agenda_events > events_max {
            return DriveEnd::TooManyEvents;
        }
    }
}

/// Fires the faults whose traps were sprung.
fn spring(world: &World, control: &mut impl FnMut(u64) -> ControlFlow<()>) -> ControlFlow<()> {
    loop {
        let sprung = world.lock().traps.first_sprung();
        let Some(step) = sprung else {
            return ControlFlow::Continue(());
        };
        control(step)?;
    }
}

/// Why the driver stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DriveEnd {
    /// A control step asked for it.
    Control,
    /// The agenda is empty: everyone waits for ever.
    NothingLeft,
    /// The budget of events was exceeded.
    TooManyEvents,
}

async fn settle(time: &TimeHandle, step: &mut Pin<&mut Sleep>) {
    step.as_mut().reset(time.now_instant() + STEP);
    step.as_mut().await;
}

/// Moves madsim's clock to the next event and fires all that is due by then.
fn fire_next(world: &World, time: &TimeHandle, start: Instant) -> Option<Vec<u64>> {
    let mut inner = world.lock();
    if inner.has_fallen() {
        // Somebody crashed while others were awake: that comes before all else.
        return Some(std::mem::take(&mut inner.due_control));
    }
    let next_ns = inner.core.agenda.next_at_ns()?;
    let elapsed_ns = (time.now_instant() - start).as_nanos() as u64;
    if next_ns > elapsed_ns {
        time.advance(Duration::from_nanos(next_ns - elapsed_ns));
    }
    let now_ns = next_ns.max(elapsed_ns);
    world.set_now(&mut inner, now_ns);
    while !inner.has_fallen()
        && let Some(due) = inner.core.agenda.pop_due(now_ns)
    {
        inner.core.agenda_events += 1;
        fire(&mut inner, due);
        if inner.traps.has_sprung() {
            break;
        }
    }
    Some(std::mem::take(&mut inner.due_control))
}

/// Moves a world without madsim to its next event and fires it; false where
/// nothing is left to happen.
#[cfg(test)]
pub(crate) fn fire_due(world: &World) -> bool {
    let mut inner = world.lock();
    let Some(next_ns) = inner.core.agenda.next_at_ns() else {
        return false;
    };
    let now_ns = inner.core.now_ns.max(next_ns);
    world.set_now(&mut inner, now_ns);
    let due = inner.core.agenda.pop_due(next_ns);
    fire(&mut inner, due.expect("it is due"));
    true
}

fn fire(inner: &mut Inner, due: Due) {
    match due {
        Due::Timer(timer) => inner.timers.due(&mut inner.core, timer),
        Due::Net(arrival) => inner.net.arrive(&mut inner.core, arrival),
        Due::Disk(node, op) => {
            inner.begins_operation(node);
            let disk = &mut inner.disks[node as usize];
            if let Some(synced) = disk.complete(&mut inner.core, op) {
                inner.tap.synced(&inner.core, disk, node, synced);
                inner.synced(node, synced);
                inner.passes_operation(node);
            }
        }
        Due::Free(node) => inner.core.comes_free(node),
        Due::Control(step) => inner.due_control.push(step),
    }
}
