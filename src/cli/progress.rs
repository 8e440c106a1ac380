//! A progress bar on standard error, and only on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that hides itself where nobody looks.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar for so many runs.
    pub(super) fn new(runs: u64) -> Self {
        // Hidden by itself where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs");
        bar.set_style(style.expect("the template is right"));
        Self(bar)
    }

    /// No bar at all.
    pub(super) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// So many runs more are to come.
    pub(super) fn more(&self, runs: u64) {
        self.0.inc_length(runs);
    }

    /// One more run.
    pub(super) fn advance(&self) {
        // A closer look is a run more than was announced.
        let length = self.0.length().unwrap_or(0);
        self.0.set_length(length.max(self.0.position() + 1));
        self.0.inc(1);
    }

    /// Takes the bar away while `write` uses the terminal.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
