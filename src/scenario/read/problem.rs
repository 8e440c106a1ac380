//! A problem in a scenario file, shown at its place.

use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Why there is no scenario. Its text is a diagnostic: file, line, column, the
/// source line with a caret, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file or directory cannot be read.
    #[error(
        "error: cannot read {path}: {source}\n  help: scenarios are .toml files, by custom under scenarios/"
    )]
    Unreadable {
        /// As the user named it.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file with a plan cannot be read.
    #[error(
        "error: cannot read the plan {path}: {source}\n  help: zeroloss plan FILE --seed N --out {path}"
    )]
    NoPlan {
        /// As the user named it.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A directory holds no scenario.
    #[error("error: no scenario under {path}\n  help: scenarios are files that end in .toml")]
    NoneThere {
        /// As the user named it.
        path: PathBuf,
    },
    /// The file is no valid scenario.
    #[error("{0}")]
    Invalid(String),
}

/// One thing wrong, at a range of bytes of the text.
#[derive(Debug)]
pub(in crate::scenario) struct Problem {
    pub(in crate::scenario) message: String,
    pub(in crate::scenario) span: Range<usize>,
    /// Beside the caret.
    pub(in crate::scenario) label: String,
    /// The right way to write it.
    pub(in crate::scenario) help: Option<String>,
}

impl Problem {
    pub(in crate::scenario) fn new(
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            message: message.into(),
            span,
            label: label.into(),
            help: None,
        }
    }

    pub(in crate::scenario) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The diagnostic's text.
    pub(in crate::scenario) fn render(&self, file: &str, text: &str) -> ScenarioError {
        let caret = AnnotationKind::Primary
            .span(self.span.clone())
            .label(&self.label);
        let snippet = Snippet::source(text).path(file).annotation(caret);
        let mut group = Level::ERROR.primary_title(&self.message).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        ScenarioError::Invalid(Renderer::plain().render(&[group]).to_string())
    }
}
