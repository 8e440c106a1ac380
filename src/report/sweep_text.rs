//! A sweep as text.

use std::fmt::Write;

use crate::check::Exit;
use crate::scenario::CrashPoint;

use super::numbers::Grouped;
use super::text::{fail_block, replay};
use super::{SweepReport, SweepRow};

/// The command that shows one point again.
pub fn sweep_point(file: &str, seed: u64, point: &CrashPoint) -> String {
    match point.crashes.is_empty() {
        true => replay(file, seed),
        false => format!("zeroloss sweep {file} --seed {seed} --point {point}"),
    }
}

/// A line, a table of points, and the FAIL block of the first run that does not
/// fit.
pub fn sweep(report: &SweepReport) -> String {
    let assessment = report.assessment();
    let status = match assessment.exit {
        Exit::Success => "pass",
        _ => "FAIL",
    };
    let total = report.total();
    let mut text = format!(
        "{status}  {}  seed {}  {}  {:016x}  {} boundaries between disk operations  {} crash points in {} runs\n",
        report.about.id,
        report.seed,
        report.about.outcome,
        report.hash,
        Grouped(report.boundaries),
        Grouped(total.points),
        Grouped(total.runs),
    );
    table(report, &total, &mut text);
    if report.is_over() {
        text.push_str("      ended at the first point that does not fit\n");
    }
    for shortfall in &assessment.shortfalls {
        let _ = writeln!(text, "      {shortfall}");
    }
    if let Some((point, run)) = &report.first_unfit {
        let again = sweep_point(&report.about.file, report.seed, point);
        text.push_str(&fail_block(run, &again));
    }
    text
}

fn table(report: &SweepReport, total: &SweepRow, text: &mut String) {
    let head = [
        "crash",
        "of",
        "points",
        "dirty",
        "runs",
        "all checks",
        "black box",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for ((crash, victims), row) in &report.rows {
        rows.push(cells(crash.to_string(), victims.to_string(), row));
    }
    rows.push(cells("all together".to_owned(), String::new(), total));
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let mut line = String::from("     ");
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = match column {
                2..=4 => write!(line, " {cell:>width$} "),
                _ => write!(line, " {cell:<width$} "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn cells(crash: String, victims: String, row: &SweepRow) -> [String; 7] {
    let numbers = [row.points, row.dirty, row.runs].map(|number| Grouped(number).to_string());
    let [points, dirty, runs] = numbers;
    let (judged, black_box) = (row.judged.to_string(), row.black_box.to_string());
    [crash, victims, points, dirty, runs, judged, black_box]
}
