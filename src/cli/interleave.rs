//! `zeroloss interleave`.

use std::io::Write;

use clap::Args;

use super::CommandError;
use crate::check::Exit;
use crate::interleavings::{Begin, Bounds, Promise, Searched, search};

#[derive(Debug, Args)]
pub(super) struct InterleaveArgs {
    /// Replicas and bounds of that name.
    #[arg(default_value = "3", value_parser = Bounds::NAMES)]
    preset: String,
    /// Begin with new disks and without a leader, not with one in term 1.
    #[arg(long)]
    cold: bool,
    /// A replica in this term does not stand any more.
    #[arg(long, value_name = "N")]
    terms: Option<u64>,
    /// Entries that clients send.
    #[arg(long, value_name = "N")]
    entries: Option<u64>,
    /// Power losses; a torn tail may come with each.
    #[arg(long, value_name = "N")]
    crashes: Option<u64>,
    /// Power losses after which durable entries at the end do not verify.
    #[arg(long, value_name = "N")]
    tears: Option<u64>,
    /// Ranges of durable entries that cannot be read any more.
    #[arg(long, value_name = "N")]
    rots: Option<u64>,
    /// Disks that are replaced by blank ones.
    #[arg(long, value_name = "N")]
    wipes: Option<u64>,
    /// Nodes beyond a minority that may lose what was durable: a loss is to be expected.
    #[arg(long, value_name = "N")]
    harmed_beyond: Option<u64>,
    /// Messages that arrive twice.
    #[arg(long, value_name = "N")]
    repeats: Option<u64>,
    /// Messages that stay under way behind a newer one.
    #[arg(long, value_name = "N")]
    lates: Option<u64>,
    /// Leaders that hear no majority for long.
    #[arg(long, value_name = "N")]
    step_downs: Option<u64>,
    /// Election timeouts after which nobody answers.
    #[arg(long, value_name = "N")]
    unheard: Option<u64>,
    /// Heartbeats in whose place an older append is lost.
    #[arg(long, value_name = "N")]
    losses: Option<u64>,
    /// Changes of members.
    #[arg(long, value_name = "N")]
    changes: Option<u64>,
    /// Logs whose beginning is dropped.
    #[arg(long, value_name = "N")]
    drops: Option<u64>,
    /// Entries in one append.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    append_entries: Option<u64>,
    /// Term and vote take a step of their own to be durable.
    #[arg(long)]
    slow_saves: bool,
    /// A sync takes two steps.
    #[arg(long)]
    slow_syncs: bool,
    /// Bare refusals arrive, which tell of a later term and of nothing else.
    #[arg(long)]
    refusals: bool,
    /// Steps of a path, at most.
    #[arg(long, value_name = "N")]
    depth: Option<u64>,
    /// CPU seconds, at most.
    #[arg(long, value_name = "N")]
    cpu_s: Option<u64>,
    /// Judge by losses and contradictions alone, not by what is durable when something is
    /// said or committed.
    #[arg(long)]
    no_oracle: bool,
}

impl InterleaveArgs {
    fn bounds(&self) -> Bounds {
        let mut bounds = Bounds::named(&self.preset).expect("the names were checked");
        for (asked, bound) in [
            (self.terms, &mut bounds.terms),
            (self.entries, &mut bounds.entries),
            (self.crashes, &mut bounds.crashes),
            (self.tears, &mut bounds.tears),
            (self.rots, &mut bounds.rots),
            (self.wipes, &mut bounds.wipes),
            (self.harmed_beyond, &mut bounds.harmed_beyond),
            (self.repeats, &mut bounds.repeats),
            (self.lates, &mut bounds.lates),
            (self.step_downs, &mut bounds.step_downs),
            (self.unheard, &mut bounds.unheard),
            (self.losses, &mut bounds.losses),
            (self.changes, &mut bounds.changes),
            (self.drops, &mut bounds.drops),
            (self.append_entries, &mut bounds.append_entries),
            (self.depth, &mut bounds.depth),
            (self.cpu_s, &mut bounds.cpu_s),
        ] {
            *bound = asked.unwrap_or(*bound);
        }
        if self.cold {
            bounds.begin = Begin::Cold;
        }
        bounds.slow_saves |= self.slow_saves;
        bounds.slow_syncs |= self.slow_syncs;
        bounds.refusals |= self.refusals;
        bounds.inside &= !self.no_oracle;
        bounds
    }
}

/// Searches, and says what was searched and found.
pub(super) fn interleave(
    args: &InterleaveArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, CommandError> {
    let searched = search(&args.bounds(), || super::bench::thread_cpu_ns() / 1_000_000);
    out.write_all(text(&args.preset, &searched).as_bytes())?;
    let (cpu_s, tenths) = (searched.cpu_ms / 1000, searched.cpu_ms / 100 % 10);
    writeln!(err, "{cpu_s}.{tenths} CPU seconds")?;
    Ok(match &searched.found {
        None => Exit::Success,
        Some(found) => match found.broken.promise {
            Promise::NoPanic => Exit::Crashed,
            Promise::Liveness => Exit::Stuck,
            _ => Exit::Missed,
        },
    })
}

fn text(preset: &str, searched: &Searched) -> String {
    let mut text = String::new();
    let ended = match (&searched.found, searched.is_exhausted) {
        (Some(found), _) => {
            for line in &found.transcript {
                text.push_str(line);
                text.push('\n');
            }
            format!("broken after {} steps", found.depth)
        }
        (None, true) => "nothing is broken, and nothing is left".to_owned(),
        (None, false) => format!("nothing is broken in {} steps or fewer", searched.depth),
    };
    let Searched {
        states,
        steps,
        healed,
        ..
    } = searched;
    let fired = searched.fired.iter();
    let fired: Vec<_> = fired
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    text.push_str(&format!(
        "{preset}: {ended}\n  {states} states, {steps} steps tried, {healed} states healed\n  \
         new states by: {}\n",
        fired.join(", ")
    ));
    text
}
