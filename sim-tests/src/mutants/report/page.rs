//! The score for people, in Markdown.

use std::fmt::{self, Write};

use super::{By, Class, Figures, Kind, Measured, Measurement, Score, Trend};

/// Digits of a commit that are shown.
const COMMIT_DIGITS: usize = 10;

const HEAD: &str = "# Mutation score

Mistakes that are planted one at a time, and what noticed them: blind, with the same runs for every mutant. The gate's
scenarios come in the order of their cost without a mutant, behind them the swarms. A hunt stops at the first kill. This
page is made by `cargo run --release -p sim-tests --bin mutants -- --report` from `mutation-score.json`; judgements of
survivors are in `sim-tests/mutants/judged.toml`. `src/contributing.md` says how to measure.
";

pub(super) fn page(score: &Score) -> String {
    let mut page = HEAD.to_owned();
    for measurement in &score.measurements {
        write(&mut page, measurement).expect("a text takes everything");
    }
    trend(&mut page, &score.trend).expect("a text takes everything");
    page
}

fn write(page: &mut String, it: &Measurement) -> fmt::Result {
    let title = match it.kind {
        Kind::Sample => "Random sample of generated mutants",
        Kind::Corpus => "Mutants that were written by hand",
    };
    writeln!(page, "\n## {title}\n\n{}\n", circumstances(it))?;
    let figures = it.figures();
    writeln!(page, "| came out | mutants |\n|---|---|")?;
    let (first, gate) = (figures.first_three, figures.gate);
    let is_capped = match it.is_gate_whole {
        true => "",
        false => ", as far as the cap let it go",
    };
    writeln!(
        page,
        "| killed by the gate's first three scenarios | {first} |"
    )?;
    writeln!(
        page,
        "| killed by the rest of the gate{is_capped} | {gate} |"
    )?;
    writeln!(
        page,
        "| killed by the swarm within 60 CPU seconds | {} |",
        figures.swarm_60
    )?;
    writeln!(
        page,
        "| killed by the swarm within 300 | {} |",
        figures.swarm_300
    )?;
    if figures.swarm_later > 0 {
        writeln!(
            page,
            "| killed by the swarm later | {} |",
            figures.swarm_later
        )?;
    }
    writeln!(page, "| survived, equivalent | {} |", figures.equivalent)?;
    writeln!(page, "| survived, a hole in reach | {} |", figures.holes)?;
    writeln!(
        page,
        "| survived, a check is missing | {} |",
        figures.missing_checks
    )?;
    writeln!(page, "| survived, not judged | {} |", figures.unjudged())?;
    writeln!(page, "\n{}", scores(&figures))?;
    kills(page, it)?;
    survivors(page, it)
}

fn circumstances(it: &Measurement) -> String {
    let of = match (it.seed, it.drawn_of) {
        (Some(seed), Some(of)) => format!(" of {of}, drawn with seed {seed}"),
        _ => String::new(),
    };
    let changed = match it.is_changed {
        true => " and changes that are not committed",
        false => "",
    };
    let (mutants, commit) = (it.mutants.len(), short(&it.commit));
    let grounds: Vec<_> = it.grounds.iter().map(|ground| ground.name()).collect();
    let (grounds, cap_s) = (grounds.join(", then "), it.cap_cpu_s);
    let mut text = format!(
        "{mutants} mutants{of}; commit {commit} of {}{changed}. Grounds: {grounds}, each for {cap_s} CPU seconds at most",
        it.date
    );
    if it.is_gate_whole {
        text.push_str(", but the gate without a bound");
    }
    text.push('.');
    if !it.gate.is_empty() {
        let gate_s: f64 = it.gate.iter().map(|scenario| scenario.cpu_s).sum();
        let scenarios = it.gate.len();
        text.push_str(&format!(
            " The gate's {scenarios} scenarios take {gate_s:.0} CPU seconds without a mutant."
        ));
    }
    let red: usize = it.mutants.iter().map(|it| it.red_anyway).sum();
    if red > 0 {
        text.push_str(&format!(
            " **{red} runs were red without their mutant, too.**"
        ));
    }
    text
}

fn scores(figures: &Figures) -> String {
    let median = match figures.median_cpu_s {
        Some(cpu_s) => format!(" Half of the kills took {cpu_s:.1} CPU seconds or less."),
        None => String::new(),
    };
    format!(
        "Killed of those that are not equivalent: **{}**. Without those that the first three scenarios kill: **{}**.{median}",
        share(figures.score()),
        share(figures.hard_score()),
    )
}

/// The kills by the kind of check, and the marked ones.
fn kills(page: &mut String, it: &Measurement) -> fmt::Result {
    writeln!(page, "\n| noticed by | kills |\n|---|---|")?;
    let rows = [
        (By::Safety, "a promise of safety"),
        (
            By::Expectation,
            "the expectation of a scenario's runs together",
        ),
        (By::Liveness, "liveness (marked)"),
        (By::Panic, "a panic (marked)"),
    ];
    for (by, name) in rows {
        let kills = it.mutants.iter().filter(|it| it.by == Some(by)).count();
        writeln!(page, "| {name} | {kills} |")?;
    }
    writeln!(
        page,
        "\nMarked kills say that something went wrong, and not what: where a promise of safety was broken, no check of it saw that."
    )
}

fn survivors(page: &mut String, it: &Measurement) -> fmt::Result {
    let survivors = it.mutants.iter().filter(|it| it.class == Class::Survived);
    let mut survivors: Vec<&Measured> = survivors.collect();
    survivors.sort_by(|a, b| a.key.cmp(&b.key));
    if survivors.is_empty() {
        return writeln!(page, "\nNone survived.");
    }
    writeln!(
        page,
        "\n| survivor | function | old text | new text | judged | reason |"
    )?;
    writeln!(page, "|---|---|---|---|---|---|")?;
    for it in survivors {
        let (judged, why) = match &it.judged {
            Some(it) => (it.judgement.name(), it.why.as_str()),
            None => ("**not judged**", ""),
        };
        let (function, old, new) = match (&it.old, &it.new) {
            (Some(old), Some(new)) => (it.key.function.as_str(), code(old), code(new)),
            _ => ("", cell(&it.key.description), String::new()),
        };
        let why = cell(why.trim());
        writeln!(
            page,
            "| {} | {function} | {old} | {new} | {judged} | {why} |",
            it.id
        )?;
    }
    Ok(())
}

fn trend(page: &mut String, rows: &[Trend]) -> fmt::Result {
    writeln!(page, "\n## Trend\n")?;
    let head = "| commit | date | mutants | first three | gate | swarm 60 s | swarm 300 s | survived | equivalent | not judged | score | without the first three | marked |";
    writeln!(
        page,
        "{head}\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    )?;
    for Trend {
        kind,
        commit,
        date,
        figures: it,
    } in rows
    {
        let commit = short(commit);
        let kind = match kind {
            Kind::Sample => "generated",
            Kind::Corpus => "by hand",
        };
        let (score, hard) = (share(it.score()), share(it.hard_score()));
        writeln!(
            page,
            "| {commit} | {date} | {} {kind} | {} | {} | {} | {} | {} | {} | {} | {score} | {hard} | {} |",
            it.mutants,
            it.first_three,
            it.gate,
            it.swarm_60,
            it.swarm_300,
            it.survived,
            it.equivalent,
            it.unjudged(),
            it.marked,
        )?;
    }
    Ok(())
}

fn short(commit: &str) -> &str {
    &commit[..commit.len().min(COMMIT_DIGITS)]
}

/// `9 of 12 (75 %)`.
fn share((part, whole): (usize, usize)) -> String {
    match whole {
        0 => "none".to_owned(),
        _ => format!(
            "{part} of {whole} ({:.0} %)",
            100.0 * part as f64 / whole as f64
        ),
    }
}

/// A text as code in a cell of a table.
fn code(text: &str) -> String {
    match text.is_empty() {
        true => "nothing".to_owned(),
        // A bar would end the cell, even in code.
        false => format!("`{}`", cell(text)),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
